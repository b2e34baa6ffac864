"""For all tests: a property holds however busy the machine is; no test speaks to AWS with the session of another."""

import pytest
from hypothesis import settings

from router import clients

settings.register_profile("whole", deadline=None)
settings.load_profile("whole")


@pytest.fixture(autouse=True)
def _own_session() -> None:
    """The session of a process keeps its credentials; tests play many processes."""
    clients._session.cache_clear()  # noqa: SLF001 - nobody else has a reason to

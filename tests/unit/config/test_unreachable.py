"""One match that covers another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config.match import accepts, matches
from router.config.unreachable import covers

GLOBS = st.lists(st.from_regex(r"!?[ab*?]{1,3}", fullmatch=True), min_size=1, max_size=2).map(tuple)
MATCHES = st.dictionaries(st.sampled_from(["cluster", "service", "container"]), GLOBS, max_size=2)
VALUES = st.text("ab", min_size=1, max_size=3)


@given(
    wide=MATCHES,
    narrow=MATCHES,
    facts=st.fixed_dictionaries(
        {
            "cluster": st.lists(VALUES, max_size=1),
            "service": st.lists(VALUES, max_size=1),
            "container": st.lists(VALUES, max_size=2),
        }
    ),
)
def test_a_match_that_covers_another_matches_all_that_it_matches(
    wide: dict[str, tuple[str, ...]], narrow: dict[str, tuple[str, ...]], facts: dict[str, list[str]]
) -> None:
    if covers(wide, narrow) and matches(narrow, facts):
        assert matches(wide, facts)


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        (("prod-*",), ("prod-eu", "prod-us"), True),
        (("prod-*",), ("prod-eu*",), True),
        (("PROD",), ("prod",), True),
        (("!staging",), ("prod",), True),
        (("!staging",), ("!staging", "!test"), True),
        (("*", "!staging"), ("prod",), True),
        (("prod-?",), ("prod-*",), False),
        (("prod",), ("!staging",), False),
        (("!staging",), ("*",), False),
        (("!prod-eu",), ("prod-*",), False),
    ],
)
def test_globs_cover_globs_as_far_as_that_is_certain(
    wide: tuple[str, ...], narrow: tuple[str, ...], *, expected: bool
) -> None:
    assert covers({"service": wide}, {"service": narrow}) is expected


def test_a_match_without_a_fact_is_wider_than_one_with_it() -> None:
    assert covers({}, {"service": ("web",)})
    assert not covers({"service": ("*",)}, {})
    assert covers({"cluster": ("*",)}, {})  # every alert
    assert accepts(("*",))(["x"])

"""Globs, compiled once, match what fnmatch matches."""

from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from router.config.globs import compiled
from router.config.settings import Route
from router.route import route
from tests.doubles.alerts import CRITICAL

WORDS = st.text("abAB.-*?[]!İß|()$\\\n", max_size=6)


@given(st.lists(WORDS, max_size=3).map(tuple), WORDS)
def test_a_value_matches_if_fnmatch_matches_any_glob_in_lower_case(globs: tuple[str, ...], value: str) -> None:
    expected = any(fnmatchcase(value.lower(), glob.lower()) for glob in globs)
    assert bool(compiled(globs)(value.lower())) is expected


def test_no_glob_matches_nothing() -> None:
    assert not compiled(())("")


def test_globs_are_compiled_once_for_all_events() -> None:
    routes = [Route(match={"cluster": (f"other-{number}*",), "service": ("web-*",)}) for number in range(100)]
    route(CRITICAL, routes)
    before = compiled.cache_info().misses
    route(CRITICAL, routes)
    assert compiled.cache_info().misses == before

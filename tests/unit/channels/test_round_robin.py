"""router.channels.round_robin: every account, and every cluster in it, has its turn."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from router.channels.round_robin import round_robin

ITEMS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 3)), max_size=40)


def shared(items: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    return round_robin(items, lambda item: item[2], lambda item: item[0], lambda item: item[1])


@given(ITEMS)
def test_nothing_is_lost_and_nothing_comes_twice(items: list[tuple[str, str, int]]) -> None:
    assert Counter(shared(items)) == Counter(items)


@given(ITEMS)
def test_no_account_is_more_than_a_turn_ahead_of_one_that_waits(items: list[tuple[str, str, int]]) -> None:
    totals, taken = Counter(item[0] for item in items), Counter[str]()
    for item in shared(items):
        waiting = [account for account in totals if taken[account] < totals[account]]
        assert taken[item[0]] == min(taken[account] for account in waiting)
        taken[item[0]] += 1


@given(ITEMS)
def test_within_an_account_no_cluster_is_more_than_a_turn_ahead(items: list[tuple[str, str, int]]) -> None:
    for account in "abc":
        totals = Counter(item[1] for item in items if item[0] == account)
        taken = Counter[str]()
        for item in shared(items):
            if item[0] == account:
                assert taken[item[1]] == min(taken[name] for name in totals if taken[name] < totals[name])
                taken[item[1]] += 1


@given(ITEMS)
def test_within_a_cluster_the_lowest_rank_comes_first(items: list[tuple[str, str, int]]) -> None:
    for place in {item[:2] for item in items}:
        ranks = [item[2] for item in shared(items) if item[:2] == place]
        assert ranks == sorted(ranks)


def test_one_account_with_one_cluster_is_sorted_alone() -> None:
    assert round_robin([3, None or 0, 1], lambda item: item, lambda _: "a", lambda _: "x") == [0, 1, 3]

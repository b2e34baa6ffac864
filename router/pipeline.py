"""The whole way of an event, on one page.

    normalise ─► classify ─► route ─► claim ─► enrich ─► render ─► deliver ─► settle
    └───── understand: pure ──────┘     │      └─ tell: each channel by itself ───┘
                                        └────── history: DynamoDB ─────────────┘

What is due (a retry, the end of a window or of a recovery) goes the same way, from the claim on. Each step is the
module of its name; what they hand on is in `router.context`, and what is to be said is decided in
`router.incident.lifecycle` and `router.incident.outbox`.
"""

from collections.abc import Callable, Iterable, Sequence

from router.claim import claim_all, claim_due, invocation_lease
from router.context import Dependencies, EventResult
from router.incident.state import Delivery, SubjectState
from router.model import Decision
from router.notify import notify, observe
from router.understand import understand_safely

_SPOKEN_OF = {Decision.ANNOUNCED, Decision.GATHERED}


def process(raws: Sequence[object], deps: Dependencies, remaining: Callable[[], float]) -> list[EventResult]:
    """Takes events in and tells whoever is to be told. Events of one subject are put together.

    Args:
        raws: EventBridge events, or whatever else came in their place.
        remaining: seconds until the invocation must come to its end.

    Returns:
        One answer per event, in their order.
    """
    results = [understand_safely(raw, deps) for raw in raws]
    lease = invocation_lease(deps, remaining)
    claims = claim_all([each for each in results if each.routed], lease, deps)
    for state, deliveries in notify(claims, lease, deps):
        for each in _announced(results, state):
            each.deliveries += deliveries
    observe(results, deps)
    return results


def process_due(
    due: Sequence[SubjectState], deps: Dependencies, remaining: Callable[[], float], *, all_due: bool
) -> list[Delivery]:
    """Says what has become due, with nothing new having happened. What cannot be leased is left to the next tick.

    Args:
        collecting: whether this is everything that is due, so that it can be gathered (`router.channels.rate_limit`).
    """
    lease = invocation_lease(deps, remaining)
    claims = claim_due(due, lease, deps, all_due=all_due)  # whoever is first sends, the others do not
    return [delivery for _, deliveries in notify(claims, lease, deps) for delivery in deliveries]


def _announced(results: Iterable[EventResult], state: SubjectState) -> Iterable[EventResult]:
    """The alerts of a subject because of which something was said now."""
    for each in results:
        if each.routed and each.routed.alert.subject == state.subject and each.decision in _SPOKEN_OF:
            yield each

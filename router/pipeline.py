"""The whole path of an event, on one page.

    normalise ─► classify ─► route ─► claim ─► enrich ─► render ─► deliver ─► settle
    └────── understand: pure ────┘      │      └─── one thread per channel ──┘   │
                                        └─────────── history: DynamoDB ──────────┘

Work that is due (a retry, the end of a window or of a recovery) takes the same path, from the claim on. Each step is
the module of its name. `router.context` defines what the steps pass on; `router.incident.lifecycle` and
`router.incident.outbox` decide what is sent.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

from router.claim import claim_alerts, claim_due, invocation_lease
from router.context import Claims, Dependencies, EventResult, InvocationLease, RoutedAlert
from router.deadline import Deadline, applies
from router.errors import UnreadableEvent
from router.history.table import Key
from router.incident.recovery import Findings
from router.incident.state import Delivery, SubjectState
from router.model import Decision, Subject
from router.notify import build_jobs, observe
from router.settle import record_channel_states, record_results, schedule_checks
from router.understand import reclassify, understand_safely

_NOTIFIED = {Decision.ANNOUNCED, Decision.GATHERED}

Sent = Sequence[tuple[Subject, Delivery]]
"""Each attempt to notify a channel of a subject's incident, in the order of the answers."""


def process(raws: Sequence[object], deps: Dependencies, deadline: Deadline) -> list[EventResult]:
    """Records a batch of events and notifies the channels; events of one subject are handled together.

    Args:
        raws: EventBridge events, or whatever else arrived in their place.
        deadline: of the invocation. The claim has an earlier one, so that what it could not record can still be
            announced without history.

    Returns:
        One result for each event, in their order.
    """
    lease = invocation_lease(deps.new_id(), deps.runtime.clock(), deadline.left())
    with applies(deadline._replace(at=lease.begin_by)):
        now = deps.runtime.clock()
        understood = [understand_safely(raw, deps.config, deps.plugins, deps.essential, now) for raw in raws]
        alerts = [routed for routed in understood if isinstance(routed, RoutedAlert)]
        again = partial(reclassify, config=deps.config, plugins=deps.plugins, essential=deps.essential)
        claims = claim_alerts(alerts, lease, deps.config.channels, deps.runtime, again)
    for claim in claims.claims:
        for row in claim.rows:
            if not row.is_repeat:
                deps.count_decision(row.decision)
    sent = _notify(claims, lease, deps, deadline)
    results = [_result(event, claims, sent) for event in understood]
    observe(results, deps.plugins)
    return results


def process_due(
    due: Sequence[SubjectState],
    deps: Dependencies,
    deadline: Deadline,
    findings: Mapping[Key, Findings] = MappingProxyType({}),
    *,
    all_due: bool,
) -> list[Delivery]:
    """Sends what has become due without a new event. What cannot be leased now is left to the next tick.

    Args:
        findings: what AWS says about the conditions of these subjects, by the keys of their states (`router.verify`).
        all_due: whether `due` is everything that is due; only then are bundles sent (`router.channels.rate_limit`).
    """
    lease = invocation_lease(deps.new_id(), deps.runtime.clock(), deadline.left())
    with applies(deadline._replace(at=lease.begin_by)):
        claims = claim_due(due, lease, deps.config.channels, deps.runtime, findings, all_due=all_due)
    return [delivery for _, delivery in _notify(claims, lease, deps, deadline)]


def _notify(claims: Claims, lease: InvocationLease, deps: Dependencies, deadline: Deadline) -> Sent:
    """Sends what was leased, records the results, and schedules what follows from them."""
    clock = deps.runtime.clock
    jobs = build_jobs(claims.claims, deps.config, deps.enrich, lease.begin_by - clock())
    answers = deps.deliver(jobs, deadline._replace(at=lease.settle_by)) if jobs else ()
    results = record_results(answers, claims, lease.owner, deps.runtime)  # each answer as soon as it is there
    record_channel_states(results, claims, deps.runtime)
    schedule_checks(results, claims, deps.queues, clock)
    return results.sent


def _result(event: RoutedAlert | UnreadableEvent, claims: Claims, sent: Sent) -> EventResult:
    if isinstance(event, UnreadableEvent):
        return EventResult(None, Decision.UNREADABLE, str(event))
    routed = claims.reclassified.get((event.event.id, event.alert.id), event)
    alert = routed.alert
    decision = claims.decisions.get(alert.id)
    notified = decision in _NOTIFIED
    return EventResult(
        routed,
        decision,
        error=claims.errors.get(alert.id),
        deliveries=tuple(delivery for subject, delivery in sent if notified and subject == alert.subject),
    )

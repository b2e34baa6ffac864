"""Alerts as the built-in table classifies them, for tests of routes and globs."""

from local_aws import events
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.model import Alert


def alert_of(raw: events.Raw) -> Alert:
    event = normalise(raw)
    return alert(event, classify(event))


CRITICAL = alert_of(events.task_stopped())
"""essential_container_exited of service:web in prod, account 123456789012, eu-west-1"""
STANDALONE = alert_of(events.task_stopped(service=None, family="nightly"))
ALARM = alert_of(events.alarm())
"""error; its cluster is unknown"""
SPOT = alert_of(events.task_stopped("SpotInterruption", "Your Spot Task was interrupted."))

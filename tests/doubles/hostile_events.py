"""Events as AWS sends them, with hostile texts in some of their fields, and the alerts that they become."""

from typing import Any

from hypothesis import strategies as st

from local_aws import events
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.errors import UnreadableEvent
from router.model import Alert
from tests.doubles.oom import ALERT
from tests.doubles.text import ANY_TEXT

REALISTIC = [
    events.task_event(),
    events.task_stopped(None, "OutOfMemoryError", events.container("app", 137, "OutOfMemoryError: killed")),
    events.task_stopped("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/1)"),
    events.container_exited(events.container("app", 1)),
    events.service_action("SERVICE_TASK_START_IMPAIRED"),
    events.deployment(reason="tasks failed to start"),
    events.hook(),
    events.daemon_action(),
    events.instance_health(),
    events.alarm(
        metrics=(("RunningTaskCount", "ECS/ContainerInsights", {"ServiceName": "web", "ClusterName": "prod"}),)
    ),
    events.codedeploy(),
]


def with_texts(value: Any, draw: st.DrawFn, texts: st.SearchStrategy[str]) -> Any:
    """The value with texts inserted into some of its texts."""
    if isinstance(value, dict):
        return {
            key: item if key in {"source", "detail-type"} else with_texts(item, draw, texts)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [with_texts(item, draw, texts) for item in value]
    if not isinstance(value, str) or draw(st.integers(0, 3)):
        return value
    middle = draw(st.integers(0, len(value)))
    return value[:middle] + draw(texts) + value[middle:]


@st.composite
def alerts(draw: st.DrawFn, texts: st.SearchStrategy[str] = ANY_TEXT) -> Alert:
    raw = with_texts(draw(st.sampled_from(REALISTIC)), draw, texts)
    try:
        event = normalise(raw, now=2e9)
    except UnreadableEvent:
        return ALERT
    return alert(event, classify(event))

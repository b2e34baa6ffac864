"""Which container caused an ending: from the strongest evidence to the weakest, in any order of the list."""

import json
import random
from collections.abc import Iterator, Sequence
from itertools import islice, permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.pages import message
from router.ecs.classify import alert, classify
from router.ecs.culprit import Ending, culprits
from router.ecs.normalise import normalise
from router.ecs.reasons import STOP_CODES
from router.errors import UnreadableEvent
from router.model import Container

SHARED = Path(__file__).resolve().parents[4] / "shared"
PULL = "CannotPullContainerError: failed to resolve ref {}: not found"
OOM = "OutOfMemoryError: Container killed due to memory usage"
GRAPH = (
    "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency "
    "[migrate(ecr/migrate:1) (STOPPED->RUNNING) - Exit: 1] for target [app(ecr/app:1) (NONE->RUNNING)]"
)


def exited(name: str, code: int | None = None, reason: str = "", **fields: Any) -> Container:
    return Container(name, "STOPPED", code, reason, **fields)


def blamed(*containers: Container, error: str = "", **fields: Any) -> list[str]:
    """The names of the culprits, where reasons that begin with `error` decided the cause."""
    fields |= {"decides": lambda reason: bool(error) and reason.startswith(error)}
    return [container.name for container in culprits(Ending(containers, **fields))]


STEPS: dict[str, tuple[list[Container], dict[str, Any], list[str]]] = {
    "a running container is never one": ([exited("a", 1), Container("b", "RUNNING", 1)], {}, ["a"]),
    "one that ended earlier is never one": ([exited("a", 1), exited("b", 1)], {"ended": {"a"}}, ["b"]),
    "in a task that goes on, one that is still starting is none": (
        [Container("a", "PENDING"), Container("b", "RUNNING")],
        {"over": False},
        [],
    ),
    "a health check: the unhealthy": (
        [exited("a", 1), exited("b", 137, health="UNHEALTHY"), exited("c", 0, health="HEALTHY")],
        {"health_check": True},
        ["b"],
    ),
    "a health check: else the only one": ([exited("a", 137)], {"health_check": True}, ["a"]),
    "a health check: else none": ([exited("a", 1), exited("b", 0)], {"health_check": True}, []),
    "an error: the one that carries it, whatever the codes": (
        [exited("a", 1), exited("b", 0, OOM)],
        {"error": "OutOf"},
        ["b"],
    ),
    "an error: the one that its reason waited for": (
        [exited("app", 143, GRAPH), exited("migrate", 1)],
        {"error": "CannotStart"},
        ["migrate"],
    ),
    "an error of the task: the one with its image": (
        [exited("app", image="ecr/app:1"), exited("otel", image="public.ecr.aws/otel:v9")],
        {"error": "CannotPull", "reason": PULL.format("public.ecr.aws/otel:v9")},
        ["otel"],
    ),
    "an error of the task: Docker Hub's image is written in two ways": (
        [exited("app", image="redis"), exited("web", image="nginx")],
        {"error": "CannotPull", "reason": PULL.format("docker.io/library/nginx:latest")},
        ["web"],
    ),
    "an error of the task: an image that two have tells nothing": (
        [exited("a", image="ecr/app:1"), exited("b", image="ecr/app:1")],
        {"error": "CannotPull", "reason": PULL.format("ecr/app:1")},
        [],
    ),
    "an error of the task: one container ended well before, which is not why": (
        [exited("a"), exited("init", 0)],
        {"error": "Resource", "reason": "ResourceInitializationError: x"},
        [],
    ),
    "no error: the one that another waited for": (
        [exited("app", 1, "dependency container 'db' unhealthy"), exited("db", 137)],
        {},
        ["db"],
    ),
    "no error: the end of a chain of dependencies": (
        [
            exited("app", None, "dependency container 'proxy' unhealthy"),
            exited("proxy", None, "dependency container 'db' unhealthy"),
            exited("db", 137),
        ],
        {},
        ["db"],
    ),
    "no error: the one that the stopped reason names": (
        [exited("a", 1), exited("b", 1)],
        {"reason": "Essential container 'b' in task exited"},
        ["b"],
    ),
    "an error of the task: the one whose image has the digest": (
        [exited("app", image="ecr/app@sha256:ab"), exited("old", image="ecr/app:1")],
        {"error": "CannotPull", "reason": PULL.format("ecr/app@sha256:ab")},
        ["app"],
    ),
    "no error: a name without quotation marks": (
        [exited("a", 1), exited("b", 1)],
        {"reason": "Essential container b in task exited"},
        ["b"],
    ),
    "no error: the words of a reason are no names": (
        [exited("in", 0), exited("task", 0), exited("app", 3)],
        {"reason": "Essential container in task exited"},
        ["app"],
    ),
    "a code of its own before SIGKILL": ([exited("a", 137), exited("b", 139)], {}, ["b"]),
    "a code of its own before SIGTERM": ([exited("a", 143), exited("b", 1), exited("c", 0)], {}, ["b"]),
    "several codes of their own: all": ([exited("b", 2), exited("a", 1), exited("c", 0)], {}, ["a", "b"]),
    "an essential container's code before any other": (
        [exited("app", 0), exited("sidecar", 1)],
        {"essential": {"app": True, "sidecar": False}},
        ["app"],
    ),
    "SIGKILL before 0": ([exited("a", 0), exited("b", 137), exited("c", 143)], {}, ["b"]),
    "the only 0 before SIGTERM": ([exited("a", 0), exited("b", 143)], {}, ["a"]),
    "of two 0, SIGTERM": ([exited("a", 0), exited("b", 143), exited("c", 0)], {}, ["b"]),
    "in a task that goes on, nobody was asked to stop": (
        [exited("init", 0), exited("b", 143), Container("c", "RUNNING")],
        {"over": False},
        ["b"],
    ),
    "Windows' Ctrl+C, signed": ([exited("a", 0), exited("b", -1073741510)], {}, ["a"]),
    "the only one": ([exited("a")], {}, ["a"]),
    "none": ([exited("a"), exited("b")], {}, []),
}


@pytest.mark.parametrize("step", STEPS)
def test_the_first_step_that_yields_one_decides_in_any_order(step: str) -> None:
    containers, fields, names = STEPS[step]
    assert all(blamed(*order, **fields) == names for order in permutations(containers))


@pytest.mark.parametrize(
    ("codes", "names"),
    [({"sidecar": 137, "app": 139}, ("app",)), ({"sidecar": 137, "app": 1}, ("sidecar",))],
)
def test_a_crash_comes_before_lack_of_memory_whose_time_is_unknown(
    codes: dict[str, int], names: tuple[str, ...]
) -> None:
    raw = _stopped([{"name": "sidecar", "reason": OOM}, {"name": "app"}], codes)
    event = normalise(raw)
    result = alert(event, classify(event))
    assert result.culprits == names
    assert (result.cause == "out_of_memory") is (names == ("sidecar",))


def test_what_is_known_to_have_ended_explains_nothing() -> None:
    event = normalise(_stopped([{"name": "sidecar", "reason": OOM}, {"name": "app"}], {"sidecar": 137, "app": 1}))
    ended = frozenset({"sidecar"})
    result = alert(event, classify(event, ended=ended), ended)
    assert (result.cause, result.culprits, result.ended) == ("essential_container_exited", ("app",), ("sidecar",))


@pytest.mark.parametrize(
    ("essential", "cause", "severity", "resolves"),
    [
        (None, "essential_container_exited", "warning", False),
        ({"job": True, "log": True}, "essential_container_exited", "critical", False),
        ({"job": True, "log": False}, "task_completed", "info", True),
    ],
)
def test_the_essential_flags_decide_about_sigkill_beside_success(
    essential: dict[str, bool] | None, cause: str, severity: str, *, resolves: bool
) -> None:
    event = normalise(_stopped([{"name": "job"}, {"name": "log"}], {"job": 0, "log": 137}, group="family:job"))
    result = classify(event, essential)
    assert (result.cause, str(result.severity), result.resolves) == (cause, severity, resolves)


def test_the_essential_flags_decide_whose_exit_ended_the_task() -> None:
    event = normalise(_stopped([{"name": "app"}, {"name": "sidecar"}], {"app": 0, "sidecar": 1}))
    flags = {"app": True, "sidecar": False}
    assert alert(event, classify(event, flags), essential=flags).culprits == ("app",)
    assert alert(event, classify(event)).culprits == ("sidecar",)


def test_after_an_unknown_stop_the_container_with_an_error_is_the_culprit() -> None:
    failed = {"name": "a", "reason": "CannotStartContainerError: x"}
    raw = _stopped([failed, {"name": "b"}], {"a": 0, "b": 0}, stopCode="", stoppedReason="Something new")
    del raw["detail"]["containers"][0]["exitCode"]
    event = normalise(raw)
    result = alert(event, classify(event))
    assert (result.cause, result.culprits) == ("task_stopped", ("a",))


def _stopped(containers: Sequence[dict[str, Any]], codes: dict[str, int], **detail: Any) -> dict[str, Any]:
    listed = [{"lastStatus": "STOPPED", "exitCode": codes[container["name"]], **container} for container in containers]
    return {
        "source": "aws.ecs",
        "detail-type": "ECS Task State Change",
        "detail": {
            "lastStatus": "STOPPED",
            "desiredStatus": "STOPPED",
            "stopCode": "EssentialContainerExited",
            "stoppedReason": "Essential container in task exited",
            "group": "service:web",
            "containers": listed,
            **detail,
        },
    }


# --- any containers, in any order -------------------------------------------------------------------------------------

names = st.sampled_from(["app", "db", "in", "init", "web-2", ""])
reasons = st.sampled_from(
    [
        "",
        OOM,
        GRAPH,
        PULL.format("ecr/app:1"),
        "dependency container 'db' unhealthy",
        "Container db was dependent on container app reaching HEALTHY but it did not (db exited non zero)",
        "odd",
    ]
)
codes = st.none() | st.sampled_from([0, 1, 130, 137, 139, 143, -1073741510]) | st.integers(-(2**31), 2**32)
containers = st.builds(
    Container,
    names,
    st.sampled_from(["STOPPED", "RUNNING", "PENDING", ""]),
    codes,
    reasons,
    st.sampled_from(["", "ecr/app:1", "nginx"]),
    health=st.sampled_from(["", "UNHEALTHY", "HEALTHY"]),
)
endings = st.builds(
    Ending,
    st.lists(containers, max_size=6, unique_by=lambda container: container.name),
    over=st.booleans(),
    reason=reasons,
    decides=st.sampled_from([lambda _reason: False, lambda reason: reason.startswith("OutOf"), bool]),
    health_check=st.booleans(),
    ended=st.frozensets(names, max_size=2),
)


@given(endings, st.randoms(use_true_random=False))
def test_the_order_of_the_list_never_decides(ending: Ending, shuffled: random.Random) -> None:
    other = list(ending.containers)
    shuffled.shuffle(other)
    assert culprits(ending) == culprits(ending._replace(containers=other))


@given(endings)
def test_a_culprit_is_a_container_of_the_task_that_has_just_stopped(ending: Ending) -> None:
    for culprit in culprits(ending):
        assert culprit in ending.containers
        assert culprit.status != "RUNNING"
        assert culprit.name not in ending.ended


@given(
    st.lists(containers, max_size=5), st.sampled_from(["STOPPED", "RUNNING"]), st.sampled_from([*STOP_CODES.values()])
)
def test_an_alert_blames_only_containers_of_its_event(listed: list[Container], status: str, stop_code: str) -> None:
    raw = _stopped([], {}, lastStatus=status, stopCode=stop_code)
    event = normalise(raw)._replace(containers=tuple(listed))
    result = alert(event, classify(event))
    assert set(result.culprits) <= {container.name for container in listed}
    assert all(container.status != "RUNNING" for container in result.blamed)


# --- events that engineers judged -------------------------------------------------------------------------------------


def _events() -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of several containers beside the checkout, by file and place."""
    for folder in ("cases", "review/messages", "corpus"):
        for path in sorted((SHARED / folder).rglob("*.json*")):
            if ".expected." in path.name or path.name == "index.jsonl":
                continue
            text = path.read_text(encoding="utf-8")
            lines = map(json.loads, text.splitlines()) if path.suffix == ".jsonl" else [json.loads(text)]
            for place, item in enumerate(
                item for line in lines for item in (line if isinstance(line, list) else [line])
            ):
                raw = item.get("event", item) if isinstance(item, dict) else {}
                if _has_several_containers(raw):
                    yield f"{path.stem[:40]}-{place}", raw


def _has_several_containers(raw: object) -> bool:
    try:
        return len(normalise(raw, now=0.0).containers) > 1
    except UnreadableEvent:
        return False


EVENTS = dict(_events())
without_events = pytest.mark.skipif(not EVENTS, reason=f"no events of several containers at {SHARED}")


def _orders(listed: list[Any]) -> Iterator[list[Any]]:
    """Every order of up to five, and some of more."""
    if len(listed) <= 5:
        return map(list, permutations(listed))
    shuffled = random.Random(5)
    return islice(iter(lambda: shuffled.sample(listed, len(listed)), None), 24)


@without_events
@pytest.mark.parametrize("name", EVENTS)
def test_the_message_of_a_judged_event_is_the_same_in_every_order(name: str) -> None:
    raw = EVENTS[name]
    first = normalise(raw, now=0.0)
    expected, shown = alert(first, classify(first)).culprits, message(raw, "en")
    for order in _orders(raw["detail"]["containers"]):
        other = raw | {"detail": raw["detail"] | {"containers": order}}
        event = normalise(other, now=0.0)
        assert alert(event, classify(event)).culprits == expected
        assert message(other, "en") == shown


JUDGED = {
    "C1-pull-fails-for-the-second-container-0": ["proxy"],
    "C3-log-router-crashed-app-was-killed-0": ["log_router"],
    "C4-dependency-failed-0": ["migrate"],
    "two-0": ["app"],
    "two-1": ["app"],
    "r078-0": ["TEST"],
    "w1-dependency-unhealthy-0": ["db-proxy"],
    "w1b-dependency-essential-exited-0": ["envoy"],
    "w10-health-container-0": ["app"],
    "w11c-pull-sidecar-of-two-0": ["otel"],
    "h9-two-die-memory-0": ["app", "log_router", "nginx"],
    "006-cdp-portal-backend-fargate-stopped-t-0": [],
}


@without_events
@pytest.mark.parametrize("name", JUDGED)
def test_the_culprit_of_a_judged_event_is_the_one_that_an_engineer_named(name: str) -> None:
    event = normalise(EVENTS[name])
    assert list(alert(event, classify(event)).culprits) == JUDGED[name]

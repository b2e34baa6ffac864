"""Sentences about a task's containers: those that failed, and what happened to the others."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws import events
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.ecs.reasons import STOP_CODES
from router.messages.containers import joined, line, memory_limit, sentence
from router.model import Alert, Container

ESSENTIAL, FAILED, SCHEDULER = "EssentialContainerExited", "TaskFailedToStart", "ServiceSchedulerInitiated"
OOM = "OutOfMemoryError: Container killed due to memory usage"
RAN = "The task ran for 7 min 42 s."


def stopped(*containers: events.Raw, code: str = ESSENTIAL, reason: str = "", ended: str = "", **fields: Any) -> Alert:
    texts = {ESSENTIAL: "Essential container in task exited", FAILED: "Task failed to start"}
    event = normalise(events.task_stopped(code, reason or texts.get(code, "x"), *containers, **fields))
    names = frozenset(filter(None, [ended]))
    return alert(event, classify(event, ended=names), names)


of = events.container

SENTENCES: Mapping[str, tuple[Alert, str]] = {
    "one": (stopped(of("app", 139)), f"Container app exited with code 139: segmentation fault (SIGSEGV). {RAN}"),
    "several of one code": (
        stopped(of("b", 1), of("a", 1)),
        f"Containers a and b exited with code 1: the application reported an error. {RAN}",
    ),
    "several codes": (
        stopped(of("b", 139), of("a", 42)),
        f"Several containers failed: a 42, b 139 (segmentation fault, SIGSEGV). {RAN}",
    ),
    "several that carry the error": (
        stopped(
            of("b", None, "CannotPullContainerError: y"), of("a", None, "CannotPullContainerError: x"), code=FAILED
        ),
        "Several containers failed: a (never started), b (CannotPullContainerError: y).",
    ),
    "several that ran out of the same memory": (
        stopped(of("a", 137, OOM, memory="512"), of("b", 137, OOM, memory="512")),
        f"Containers a and b were killed for exceeding their 512 MiB memory limit. {RAN}",
    ),
    "several that ran out of memory": (
        stopped(of("a", 137, OOM, memory="512"), of("b", 137, OOM, memory="256")),
        f"Containers a and b were killed for exceeding their memory limits. {RAN}",
    ),
    "none that started": (stopped(of("a"), of("b"), code=FAILED), "None of the 2 containers started."),
    "none that is to blame": (stopped(of("a", 0), of("b", 0)), ""),
    "a task that never ran": (
        stopped(of("app", 1), startedAt=None),
        "Container app exited with code 1: the application reported an error.",
    ),
    "a task whose times cannot be right": (
        stopped(of("app", 1), startedAt="2030-08-08T17:19:02.67Z"),
        "Container app exited with code 1: the application reported an error.",
    ),
    "a health check": (
        stopped(
            of("app", 137, healthStatus="UNHEALTHY"),
            of("b", 0),
            code=SCHEDULER,
            reason="Task failed container health checks",
        ),
        "Container app failed its health check. ECS stopped the task after 7 min 42 s.",
    ),
    "a user's stop": (stopped(of("app", 137), code="UserInitiated"), RAN),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_the_sentence_names_the_failed_containers(case: str) -> None:
    told, text = SENTENCES[case]
    assert sentence(told, "en", {}) == text


LINES: Mapping[str, tuple[Alert, str]] = {
    "stopped and killed by ECS after the culprit": (
        stopped(of("app", 1), of("worker", 137), of("log", 143), of("nginx", 0)),
        (
            "Other containers: log 143 (stopped by ECS after app exited), nginx 0, "
            "worker 137 (killed by ECS after app exited)"
        ),
    ),
    "after a culprit that ECS may have killed itself": (
        stopped(of("job", 0), of("log", 137), of("proxy", 143)),
        "Other containers: job 0, proxy 143 (stopped by ECS)",
    ),
    "after a culprit that was killed": (
        stopped(of("app", 137), of("proxy", 143)),
        "Other containers: proxy 143 (stopped by ECS after app exited)",
    ),
    "after several culprits": (
        stopped(of("a", 1), of("b", 2), of("c", 137)),
        "Other containers: c 137 (killed by ECS)",
    ),
    "never started": (
        stopped(of("app"), of("otel", None, "CannotPullContainerError: x"), code=FAILED),
        "Other containers: app (never started)",
    ),
    "waited for the culprit": (
        stopped(of("app", 143, "dependency container 'db' unhealthy"), of("db", 1), code=FAILED),
        "Other containers: app 143 (never started)",
    ),
    "an error of another": (
        stopped(of("sidecar", 137, OOM), of("app", 139)),
        f"Other containers: sidecar 137 ({OOM})",
    ),
    "a reason of another": (
        stopped(of("a", 1), of("b", 137, "odd")),
        "Other containers: b 137 (killed by ECS after a exited; odd)",
    ),
    "had exited before": (
        stopped(of("sidecar", 137), of("app", 1), ended="sidecar"),
        "Other containers: sidecar 137 (had already exited)",
    ),
    "without a code": (stopped(of("app", 1), of("web")), "Other containers: web (no exit code)"),
    "none is to blame": (stopped(of("a", 0), of("b", 0)), "Containers: a 0, b 0"),
    "none started": (stopped(of("a"), of("b"), code=FAILED), ""),
    "only the culprit": (stopped(of("app", 1)), ""),
    "a health check": (
        stopped(of("app", 137, healthStatus="UNHEALTHY"), of("b", 143), code=SCHEDULER, reason="failed health checks"),
        "Containers: app 137 (killed by ECS), b 143 (stopped by ECS)",
    ),
    "a health check of one container": (
        stopped(of("app", 143), code=SCHEDULER, reason="Task failed ELB health checks"),
        "",
    ),
    "a health check beside lack of memory": (
        stopped(of("app", 137, OOM), code=SCHEDULER, reason="Task failed ELB health checks"),
        f"Container: app 137 ({OOM})",
    ),
    "a scale-in": (stopped(of("a", 137, OOM), of("b", 0), code=SCHEDULER, reason="Scaling activity"), ""),
}


@pytest.mark.parametrize("case", LINES)
def test_the_line_describes_the_other_containers(case: str) -> None:
    told, text = LINES[case]
    assert line(told, "en") == text


def test_in_a_running_task_the_other_containers_are_still_running() -> None:
    event = normalise(events.task_event(containers=[of("sidecar", 1), of("app", status="RUNNING")]))
    told = alert(event, classify(event))
    assert told.culprits == ("sidecar",)
    assert line(told, "en") == "Other containers: app (still running)"


def test_sentence_and_line_are_available_in_japanese() -> None:
    told = stopped(of("app", 1), of("nginx", 1), of("worker", 137), of("log", 0))
    assert sentence(told, "ja", {}).startswith("コンテナ app、nginx が終了コード 1 で終了しました: ")
    assert line(told, "ja") == "その他のコンテナ: log 0、worker 137 (ECS が強制終了)"
    assert sentence(stopped(of("a"), of("b"), code=FAILED), "ja", {}) == (
        "2 個のコンテナはいずれも起動しませんでした。"
    )


def test_at_most_ten_containers_are_shown() -> None:
    told = stopped(*(of(f"c{number:02}", 0) for number in range(13)))
    assert line(told, "en").endswith("c09 0 and 3 more")


def test_the_task_definitions_limit_has_priority_over_the_events() -> None:
    assert memory_limit(Container("app", memory=512), {"app": 1024}) == 1024
    assert memory_limit(Container("app", memory=512), {}) == 512


def test_names_are_joined_as_in_a_sentence() -> None:
    three = [Container("a"), Container("b"), Container("c")]
    assert (joined(three, "en"), joined(three[:1], "en"), joined([], "en")) == ("a, b and c", "a", "")


names = st.sampled_from(["zq-app", "zq-db", "zq-in", "zq-web"])


@given(
    st.dictionaries(names, st.none() | st.sampled_from([0, 1, 137, 139, 143]), min_size=1),
    st.sampled_from([*STOP_CODES.values()]),
    st.sampled_from(["en", "ja"]),
)
def test_sentence_and_line_name_each_container_of_the_event_at_most_once(
    codes: dict[str, int | None], stop_code: str, language: str
) -> None:
    told = stopped(*(of(name, code) for name, code in codes.items()), code=stop_code)
    lead, others = sentence(told, language, {}), line(told, language)
    for name in ("zq-app", "zq-db", "zq-in", "zq-web"):
        assert (name in lead + others) <= (name in codes)
        assert (name in lead) <= (name in told.culprits)

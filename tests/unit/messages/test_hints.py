"""What to do: for each kind of failure its own hint, in both languages, with its source."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.pictures import announced
from router.causes import CAUSES
from router.messages.hints import HINTS, Hint, hint, placeholders, worded

ALL = [(cause, each) for cause, hints in HINTS.items() for each in hints]
KNOWN = {
    "container": "app",
    "image": "web:1.4.3",
    "memory": "512",
    "expires": "2024-08-08 17:29 UTC",
    "new_revision": "web:43",
}
NOTHING = dict.fromkeys(KNOWN, "")
SECRET = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "


def advice(cause: str, reason: str = "", code: int | None = None, **known: str) -> str:
    found = hint(cause, reason, code, {**NOTHING, **known})
    return worded(found, "en", {**NOTHING, **known}) if found else ""


@pytest.mark.parametrize("cause", announced())
def test_every_cause_that_is_announced_has_a_hint_but_an_alarm_of_the_users_own(cause: str) -> None:
    """Nor has a channel that fails: its text says what to do, and no page of AWS does."""
    assert advice(cause, container="app") or cause in {"cloudwatch_alarm", "channel_failing"}


@pytest.mark.parametrize(("cause", "each"), ALL)
def test_every_hint_is_of_a_known_cause_and_has_a_source_and_both_languages(cause: str, each: Hint) -> None:
    assert cause in CAUSES
    assert re.fullmatch(r"https://(docs\.aws\.amazon\.com|repost\.aws|docs\.docker\.com|man7\.org)/\S+", each.source)
    assert placeholders(each.en) == placeholders(each.ja) <= KNOWN.keys()
    assert each.en.isascii()
    assert each.en.endswith(".")
    assert each.ja.endswith("。")


@pytest.mark.parametrize(("cause", "each"), ALL)
def test_a_hint_is_short_enough_to_be_read_on_a_phone(cause: str, each: Hint) -> None:
    assert len(each.en) <= 200
    assert len(each.ja) <= 140


@pytest.mark.parametrize(("cause", "each"), ALL)
def test_every_hint_can_be_given(cause: str, each: Hint) -> None:
    """None stands behind one that always fits before it."""
    before = HINTS[cause][: HINTS[cause].index(each)]
    assert not any(
        not other.words and other.code is None and placeholders(other.en) <= placeholders(each.en) for other in before
    )


@pytest.mark.parametrize(
    ("known", "text"),
    [
        (
            {"memory": "512", "image": "api:1"},
            "Raise its limit of 512 MiB in the task definition, or find what grew in api:1.",
        ),
        ({"image": "api:1"}, "Raise its memory limit in the task definition, or find what grew in api:1."),
        ({"memory": "512"}, "Raise its memory limit in the task definition, or look for a leak."),
        ({}, "Raise its memory limit in the task definition, or look for a leak."),
    ],
)
def test_out_of_memory_names_limit_and_image_where_they_are_known(known: dict[str, str], text: str) -> None:
    assert advice("out_of_memory", "OutOfMemoryError: Container killed due to memory usage", 137, **known) == text


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("CannotPullContainerError: failed to resolve ref web:1.4.3: not found", "There is no web:1.4.3"),
        ("CannotPullImageManifestError: manifest unknown: Requested image not found", "There is no web:1.4.3"),
        ("CannotPullContainerError: API error (404): repository 1.dkr.ecr/x not found", "There is no web:1.4.3"),
        (
            "CannotPullContainerError: pull access denied for x, repository does not exist or may require 'docker login'",
            "does not exist there, or may not be pulled",
        ),
        ("CannotPullContainerError: unexpected status: 403 Forbidden", "The registry refuses it"),
        ("CannotPullContainerError: User is not authorized to perform: ecr:BatchGetImage", "The registry refuses it"),
        ("CannotPullContainerError: toomanyrequests: You have reached your pull rate limit", "Docker Hub's pull limit"),
        ("CannotPullContainerError: httpReadSeeker: 429 Too Many Requests", "Docker Hub's pull limit"),
        ("CannotPullContainerError: Head: dial tcp 54.83.42.45:443: i/o timeout", "cannot be reached from the subnet"),
        (
            "CannotPullContainerError: API error (500): Get https://1.dkr.ecr.us-east-1.amazonaws.com/v2/: net/http: "
            "request canceled while waiting for connection",
            "cannot be reached from the subnet",
        ),
        ("CannotPullContainerError: write /var/lib/docker/tmp/Blob1: no space left on device", "The disk is full"),
        ("CannotPullContainerError: no match for platform in manifest", "not built for this CPU"),
        ("CannotPullContainerError: something else", "Check that web:1.4.3 exists"),
    ],
)
def test_each_way_of_not_pulling_an_image_has_its_own_hint(reason: str, said: str) -> None:
    assert said in advice("image_pull_failed", reason, image="web:1.4.3")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (SECRET + "retrieved secret from Secrets Manager did not contain json key MY_SECRET", "no such JSON key"),
        (SECRET + "unable to retrieve secret from asm: ResourceNotFoundException: Secrets Manager can't find the "
         "specified secret.", "is not there under that name"),
        (SECRET + "unable to retrieve secret from asm: AccessDeniedException: not authorized to perform: "
         "secretsmanager:GetSecretValue", "Let the task execution role read it"),
        ("unable to retrieve secrets from ssm: There is a connection issue between the task and AWS Systems Manager "
         "Parameter Store. RequestCanceled: context deadline exceeded", "cannot be reached from the subnet"),
        (SECRET + "unable to retrieve secret from asm: service call has been retried 5 time(s): RequestCanceled: "
         "request context canceled", "Secrets Manager or Systems Manager cannot be reached"),
        (SECRET + 'unable to retrieve ecr registry auth: RequestError: send request failed caused by: Post '
         '"https://api.ecr.us-east-2.amazonaws.com/": dial tcp: i/o timeout', "ECR cannot be reached"),
        ("ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: b'mount.nfs4: "
         "access denied by server while mounting 127.0.0.1:/'", "refuses the mount"),
        ("ResourceInitializationError: failed to invoke EFS utils commands: mount.nfs4: mounting fs-e:/opt failed, "
         "reason given by server: No such file or directory", "The directory is not on the file system"),
        ("ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: Mount attempt "
         "1/3 failed due to timeout after 15 sec", "The file system does not answer"),
        ("ResourceInitializationError: failed to configure ENI: failed to setup regional eni", "no free address"),
        ("ResourceInitializationError: failed to validate logger args: signal: killed", "log group"),
    ],
)  # fmt: skip
def test_each_way_of_not_initialising_has_its_own_hint(reason: str, said: str) -> None:
    assert said in advice("resource_initialization_failed", reason)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "ended by itself"),
        (126, "cannot be executed"),
        (127, "not in the image"),
        (137, "ECS reports no lack of memory"),
        (139, "A crash in native code"),
        (143, "Something asked it to stop"),
        (1, "Read the last log lines of app"),
        (None, "Read the last log lines of app"),
    ],
)
def test_exit_codes_have_their_own_hints(code: int | None, said: str) -> None:
    assert said in advice("essential_container_exited", "", code, container="app")


def test_a_crash_that_began_with_a_deployment_says_which_revision_to_leave() -> None:
    known = {"container": "app", "new_revision": "web:43"}
    assert advice("essential_container_exited", "", 1, **known).startswith("It began with web:43: go back")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("RESOURCE:CPU", "CPU units"),
        ("RESOURCE:MEMORY", "memory left"),
        ("RESOURCE:FARGATE", "Fargate has no capacity"),
        ("RESOURCE:GPU", "free GPU"),
        ("RESOURCE:ENI", "network interface"),
        ("RESOURCE:PORTS", "port is taken"),
        ("AGENT", "agent is disconnected"),
        ("no container instance met all of its requirements", "No instance fits"),
    ],
)
def test_each_failure_of_placement_has_its_own_hint(reason: str, said: str) -> None:
    assert said in advice("service_task_placement_failure", reason)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("Task failed ELB health checks in (target-group arn:aws:x)", "The load balancer"),
        ("Task failed container health checks", "The container's own health check"),
        ("unhealthy", "Ask the health check's address"),
    ],
)
def test_each_kind_of_health_check_has_its_own_hint(reason: str, said: str) -> None:
    assert said in advice("health_check_failed", reason)


def test_only_an_alarm_on_task_counts_has_a_hint() -> None:
    assert "why its tasks stop" in advice("cloudwatch_alarm", "Threshold Crossed RunningTaskCount")
    assert advice("cloudwatch_alarm", "Threshold Crossed: CPUUtilization") == ""


def test_a_cause_of_the_users_own_has_no_hint() -> None:
    assert hint("nightly_batch_failed", "x", 1, {}) is None


@given(st.sampled_from([*HINTS]), st.text(max_size=300), st.none() | st.integers(0, 255))
def test_what_a_hint_does_not_know_it_does_not_name(cause: str, reason: str, code: int | None) -> None:
    found = hint(cause, reason, code, NOTHING)
    assert found is None or not placeholders(found.en)


@pytest.mark.parametrize("cause", HINTS)
def test_a_reason_of_any_length_takes_no_time(cause: str) -> None:
    begin = time.process_time()
    for text in ("secret " * 40_000, "denied" * 40_000, "a" * 262_144):
        hint(cause, text, 1, KNOWN)
    assert time.process_time() - begin < 1.0

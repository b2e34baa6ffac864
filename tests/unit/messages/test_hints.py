"""Hints: each kind of failure has its own, in both languages, with its source."""

import re
import time
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.pages import message
from docs.pictures import announced
from local_aws import events
from router.causes import CAUSES
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.ecs.stop_reason import _FAILURES, _TARGETS, NAME, parse
from router.messages.hints import HINTS, Hint, Situation, hint, named, placeholders, worded

ALL = [(cause, entry) for cause, hints in HINTS.items() for entry in hints]
KNOWN = {
    "container": "app",
    "image": "web:1.4.3",
    "memory": "512",
    "expires": "2024-08-08 17:29 UTC",
    "new_revision": "web:43",
}
NOTHING = dict.fromkeys(KNOWN, "")
NAMES = {*KNOWN, *named(Situation("x"), {})}
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
SECRET = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
USER = "User: arn:aws:sts::123456789012:assumed-role/runner/0a1b is not authorized to perform: "


def advice(
    cause: str, reason: str = "", code: int | None = None, *, launch: str = "", of: str = "", **known: str
) -> str:
    """The hint in English. `of`: the image that the task definition names."""
    situation = Situation(cause, parse(reason), code, image=of, launch=launch, metric=known.pop("metric", ""))
    found = hint(situation, {**NOTHING, **known})
    return worded(found, "en", named(situation, {**NOTHING, **known})) if found else ""


# --- the table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", announced())
def test_every_announced_cause_has_a_hint_except_the_users_alarms(cause: str) -> None:
    """A failing channel has none either: its text says what to do, and AWS has no page about it."""
    assert advice(cause, container="app") or cause in {"cloudwatch_alarm", "channel_failing"}


@pytest.mark.parametrize(("cause", "each"), ALL)
def test_every_hint_has_a_known_cause_a_source_and_both_languages(cause: str, each: Hint) -> None:
    assert cause in CAUSES
    assert re.fullmatch(
        r"https://(docs\.aws\.amazon\.com|repost\.aws|docs\.docker\.com|man7\.org|learn\.microsoft\.com)/\S+",
        each.source,
    )
    assert placeholders(each.en) == placeholders(each.ja) <= NAMES
    assert each.en.isascii()
    assert each.en.endswith(".")
    assert each.ja.endswith("。")


@pytest.mark.parametrize(("cause", "each"), ALL)
def test_a_hint_is_short_enough_to_be_read_on_a_phone(cause: str, each: Hint) -> None:
    assert len(each.en) <= 200
    assert len(each.ja) <= 160


def _covers(one: Hint, other: Hint) -> bool:
    """Whether `one` matches whenever `other` does."""
    always = placeholders(one.en) - {"execution_role"} <= placeholders(other.en)
    return always and all(not a or (b and set(a) >= set(b)) for a, b in zip(one[3:], other[3:], strict=True))


@pytest.mark.parametrize(("cause", "each"), ALL)
def test_every_hint_can_be_reached(cause: str, each: Hint) -> None:
    """No hint comes after one that matches whenever it does."""
    before = HINTS[cause][: HINTS[cause].index(each)]
    assert not [other.en for other in before if _covers(other, each)]


@pytest.mark.parametrize("word", ["somebody", "whoever", "nobody", "look at", "mend", "permit", "for ever", "anew"])
def test_hints_use_plain_technical_english(word: str) -> None:
    assert not [entry.en for _, entry in ALL if re.search(rf"\b{word}\b", entry.en, re.IGNORECASE)]


# --- which one --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "text"),
    [
        (
            {"memory": "512", "image": "api:1"},
            "Raise its limit of 512 MiB in the task definition, or find out why api:1 now needs more memory.",
        ),
        (
            {"image": "api:1"},
            "Raise its memory limit in the task definition, or find out why api:1 now needs more memory.",
        ),
        ({"memory": "512"}, "Raise its memory limit in the task definition, or look for a leak."),
        ({}, "Raise its memory limit in the task definition, or look for a leak."),
    ],
)
def test_the_out_of_memory_hint_names_limit_and_image_if_known(known: dict[str, str], text: str) -> None:
    assert advice("out_of_memory", "OutOfMemoryError: Container killed due to memory usage", 137, **known) == text


@pytest.mark.parametrize(
    ("of", "reason", "said"),
    [
        (f"{ECR}/web:1", "failed to resolve ref {of}: not found", "does not exist in ECR"),
        ("redis:7", "manifest for redis:7 not found: manifest unknown", "does not exist in Docker Hub"),
        ("envoyproxy/ratelimit:v9", "failed to resolve ref docker.io/{of}: not found", "does not exist in Docker Hub"),
        (f"{ECR}/platform/api:1", "failed to resolve ref {of}: {of}: not found", "does not exist in ECR"),
        ("ghcr.io/acme/denied:1", "failed to resolve ref {of}: not found", "does not exist in GitHub Container Registry"),
        ("public.ecr.aws/timeout/api:1", "failed to resolve ref {of}: not found", "does not exist in Amazon ECR Public"),
        ("quay.io/acme/no-space:1", "failed to resolve ref {of}: not found", "does not exist: was it pushed"),
        ("redis:7", "pull access denied for redis, repository does not exist or may require", "or you are not allowed"),
        ("redis:7", "toomanyrequests: You have reached your pull rate limit", "Docker Hub's pull limit"),
        ("public.ecr.aws/nginx/nginx:1", "toomanyrequests: Rate exceeded", "ECR Public limits"),
        (f"{ECR}/web:1", "toomanyrequests: Rate exceeded", "ECR throttles"),
        ("quay.io/acme/web:1", "429 Too Many Requests", "The registry limits"),
        ("", "429 Too Many Requests", "The registry limits"),
        ("ghcr.io/acme/web:1", "unexpected status: 403 Forbidden", "token with read:packages"),
        ("acme/web:1", "unexpected status: 401 Unauthorized", "Docker Hub denied access"),
        (f"{ECR}/web:1", "unexpected status: 403 Forbidden", "ecr:BatchGetImage, ecr:GetDownloadUrlForLayer"),
        (f"{ECR}/web:1", USER + "ecr:BatchGetImage on resource: x", "grant ecr:BatchGetImage to"),
        ("redis:7", "Head: dial tcp 54.83.42.45:443: i/o timeout", "cannot reach Docker Hub, and no VPC endpoint"),
        (f"{ECR}/web:1", "Head: dial tcp 10.0.1.5:443: i/o timeout", "ecr.api, ecr.dkr, s3"),
        ("quay.io/acme/web:1", "Head: dial tcp 10.0.1.5:443: i/o timeout", "The registry cannot be reached"),
        (f"{ECR}/web:1", "Get https://bucket.s3.eu-west-1.amazonaws.com/x: dial tcp: i/o timeout", "cannot reach Amazon S3"),
        ("web:1", "write /var/lib/docker/tmp/Blob1: no space left on device", "The disk is full"),
        ("web:1", "image Manifest does not contain descriptor matching platform 'linux/amd64'", "CPU architecture"),
        ("web:1", "The container operating system does not match the host operating system", "operating system"),
        ("web:1", "something else", "Check that web:1 exists"),
    ],
)  # fmt: skip
def test_each_image_pull_failure_has_its_own_hint(of: str, reason: str, said: str) -> None:
    reason = f"CannotPullContainerError: ref pull has been retried 5 time(s): {reason.format(of=of)}"
    assert said in advice("image_pull_failed", reason, of=of, image=of or "web:1")


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (SECRET + "retrieved secret from Secrets Manager did not contain json key DB_URL", "no JSON key DB_URL"),
        (SECRET + "unable to retrieve secret from asm: ResourceNotFoundException: Secrets Manager can't find the "
         "specified secret.", "The secret does not exist"),
        (SECRET + "unable to retrieve secret from asm: " + USER + "secretsmanager:GetSecretValue",
         "Grant secretsmanager:GetSecretValue to"),
        (SECRET + "unable to retrieve secret from asm: " + USER + "kms:Decrypt", "Grant kms:Decrypt"),
        (SECRET + "unable to retrieve secrets from ssm: " + USER + "ssm:GetParameters", "Grant ssm:GetParameters"),
        (SECRET + "unable to retrieve secrets from ssm: invalid parameters: /web/db", "Parameter /web/db does not exist"),
        ("unable to retrieve secrets from ssm: There is a connection issue between the task and AWS Systems Manager "
         "Parameter Store. RequestCanceled: context deadline exceeded", "cannot reach Systems Manager"),
        (SECRET + "unable to retrieve secret from asm: RequestCanceled: request context canceled",
         "cannot reach Secrets Manager"),
        (SECRET + "unable to retrieve ecr registry auth: " + USER + "ecr:GetAuthorizationToken on resource: *",
         "grant ecr:GetAuthorizationToken to"),
        (SECRET + 'unable to retrieve ecr registry auth: RequestError: send request failed caused by: Post '
         '"https://api.ecr.us-east-2.amazonaws.com/": dial tcp: i/o timeout', "cannot reach Amazon ECR"),
        ("failed to invoke EFS utils commands to set up EFS volumes: stderr: b'mount.nfs4: access denied by server "
         "while mounting 127.0.0.1:/'", "Access to the file system was denied"),
        ("failed to invoke EFS utils commands: mount.nfs4: mounting fs-0a.efs.eu-west-1.amazonaws.com:/opt failed, "
         "reason given by server: No such file or directory", "The directory is not on the file system"),
        ("failed to invoke EFS utils commands to set up EFS volumes: stderr: Mount attempt 1/3 failed due to timeout "
         "after 15 sec", "The file system does not respond"),
        ("failed to configure ENI: failed to setup regional eni", "network interfaces"),
        ("failed to validate logger args: signal: killed", "cannot reach CloudWatch Logs"),
        ("failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist",
         "The log group does not exist"),
        ("failed to create Cloudwatch log stream: " + USER + "logs:CreateLogStream", "Grant logs:CreateLogStream"),
        ("failed to download env files: AccessDenied: Access Denied status code: 403", "Grant s3:GetObject"),
        ("unable to attach Amazon EBS volume: instance attachment limit exceeded", "A limit for EBS volumes"),
        ("unable to create new container: mount callback failed on /tmp/x: no users found", "lacks /etc/passwd"),
        ('exec: "npm": executable file not found in $PATH', "Command npm is not in the image"),
        ("something new", "Check secrets, registry, volumes"),
    ],
)  # fmt: skip
def test_each_initialization_failure_has_its_own_hint(reason: str, said: str) -> None:
    reason = f"ResourceInitializationError: {reason.removeprefix('ResourceInitializationError: ')}"
    for launch in ("FARGATE", "EC2", ""):
        assert said in advice("resource_initialization_failed", reason, launch=launch).replace(
            "The task cannot", "cannot"
        )


@pytest.mark.parametrize(
    ("cause", "reason", "said"),
    [
        ("task_failed_to_start", "ECS was unable to assume the role 'arn:aws:iam::1:role/web' that was provided",
         "could not assume role web"),
        ("task_failed_to_start", "You\u2019ve reached the limit on the number of vCPUs you can run concurrently.",
         "quota of Fargate vCPUs"),
        ("task_failed_to_start", f"Amazon EBS volume not created: {USER}ec2:CreateVolume on resource: arn:aws:ec2:x",
         "Grant ec2:CreateVolume to role runner"),
        ("task_failed_to_start", f"a new service failed: {USER}vpc-lattice:RegisterTargets on resource: *",
         "Grant vpc-lattice:RegisterTargets to role runner."),
        ("task_failed_to_start", "TaskFailedToStart: RESOURCE:CPU", "CPU units"),
        ("task_failed_to_start", "Timeout waiting for network interface provisioning to complete.",
         "free IP addresses"),
        ("deployment_failed", "Service deployment rolled back because PRE_SCALE_UP lifecycle hook(s) failed.",
         "A lifecycle hook failed, so ECS rolled back"),
        ("deployment_failed", "ECS deployment circuit breaker: tasks failed to start.", "did not become healthy"),
        ("deployment_failed", "ECS deployment failed: alarm detected.", "alarm of the deployment"),
        ("service_task_placement_failure", "RESOURCE:CPU", "CPU units"),
        ("service_task_placement_failure", "RESOURCE:MEMORY", "free memory"),
        ("service_task_placement_failure", "RESOURCE:FARGATE", "No capacity for this size"),
        ("service_task_placement_failure", "RESOURCE:GPU", "free GPU"),
        ("service_task_placement_failure", "RESOURCE:ENI", "network interface"),
        ("service_task_placement_failure", "RESOURCE:PORTS", "port is already used"),
        ("service_task_placement_failure", "AGENT", "agent is disconnected"),
        ("service_task_placement_failure", "no container instance met all of its requirements", "no instance"),
        (
            "container_start_failed",
            'CannotCreateContainerError: Conflict. The container name "/ecs-web-1" is already in use by container 4d1',
            "A container with this name is left",
        ),
        (
            "task_failed_to_start",
            "Unexpected EC2 error while attempting to Create Network Interface: InsufficientFreeAddressesInSubnet",
            "The subnet is out of IP addresses",
        ),
        (
            "task_failed_to_start",
            "Unable to create network interface: subnet-1 has insufficient free addresses",
            "The subnet is out of IP addresses",
        ),
        ("health_check_failed", "Task failed ELB health checks in (target-group arn:aws:x)", "The load balancer"),
        ("health_check_failed", "Task failed container health checks", "The container's own health check"),
        ("health_check_failed", "(service web) (port 8080) is unhealthy in (target-group arn:aws:x) due to (reason Health checks failed with these codes: [502])", "answered with status 502"),
        ("health_check_failed", "(service web) (port 8080) is unhealthy in (target-group arn:aws:x) due to (reason Health checks failed with these codes: [404, 503])", "status 404, 503:"),
        ("health_check_failed", "(service web) (port 8080) is unhealthy in (target-group arn:aws:x) due to (reason Request timed out)", "no answer in time"),
        ("health_check_failed", "(service web) (port 8080) is unhealthy in (target-group arn:aws:x) due to (reason Health checks failed)", "no healthy response"),
        ("health_check_failed", "(service codes) (port 8080) is unhealthy in (target-group x)", "no healthy response"),
        ("health_check_failed", "unhealthy", "Call the health check URL"),
    ],
)  # fmt: skip
def test_each_reason_of_other_causes_has_its_own_hint(cause: str, reason: str, said: str) -> None:
    assert said in advice(cause, reason)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "It finished normally"),
        (125, "container runtime could not run"),
        (126, "cannot be executed"),
        (127, "not in the image"),
        (130, "asked to stop, but not by ECS"),
        (132, "another CPU"),
        (134, "aborted itself"),
        (136, "A crash in native code"),
        (137, "did not report an out-of-memory kill"),
        (139, "A crash in native code"),
        (143, "asked to stop, but not by ECS"),
        (255, "command line or entry point"),
        (-1, "command line or entry point"),
        (3221225477, "A crash in native code"),
        (-1073741819, "A crash in native code"),
        (3221225781, "A DLL is missing"),
        (-532462766, "stack trace"),
        (3221225786, "asked to stop, but not by ECS"),
        (1, "Read the last log lines of app"),
        (None, "Read the last log lines of app"),
    ],
)
def test_exit_codes_have_their_own_hints(code: int | None, said: str) -> None:
    assert said in advice("essential_container_exited", "", code, container="app")


def test_the_hint_depends_on_where_the_task_runs() -> None:
    late = "DockerTimeoutError: Could not transition to started; timed out after waiting 3m0s"
    assert "instance is overloaded" in advice("container_start_failed", late, launch="EC2")
    assert "instance" not in advice("container_start_failed", late, launch="FARGATE")
    full = "CannotPullContainerError: failed to copy: write /x: no space left on device"
    assert advice("image_pull_failed", full, launch="EC2").startswith("The instance's disk is full")
    assert "ephemeralStorage" in advice("image_pull_failed", full, launch="FARGATE")
    far = "CannotPullContainerError: dial tcp 10.0.1.5:443: i/o timeout"
    assert "public IP" in advice("image_pull_failed", far, launch="FARGATE", of=f"{ECR}/web:1")
    assert "public IP" not in advice("image_pull_failed", far, launch="EC2", of=f"{ECR}/web:1")


def test_the_role_that_was_denied_is_named() -> None:
    """On Fargate this is the execution role; an instance pulls images with its own role."""
    denied = f"{SECRET}unable to retrieve ecr registry auth: {USER}ecr:GetAuthorizationToken"
    said = advice("resource_initialization_failed", denied, launch="FARGATE")
    assert said.endswith("to the task execution role runner.")
    assert advice("resource_initialization_failed", denied, launch="EC2").endswith("to role runner.")
    pull = "CannotPullContainerError: unexpected status: 403 Forbidden"
    assert "to the container instance role" in advice("image_pull_failed", pull, launch="EC2", of=f"{ECR}/web:1")
    assert "to the task execution role" in advice("image_pull_failed", pull, launch="FARGATE", of=f"{ECR}/web:1")


def test_a_paused_deployment_that_is_rolled_back_has_no_lambda_function() -> None:
    pause, function = (Situation("hook_failed", hook=kind) for kind in ("PAUSE", "AWS_LAMBDA"))
    answered, failed = hint(pause, {}), hint(function, {})
    assert answered is not None
    assert failed is not None
    assert "Lambda" not in answered.en
    assert "Lambda" in failed.en


@pytest.mark.parametrize("kind", ["", "STEP_FUNCTIONS"])
def test_a_hook_of_another_kind_has_no_lambda_function(kind: str) -> None:
    found = hint(Situation("hook_failed", hook=kind), {})
    assert found is not None
    assert "Lambda" not in found.en


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (
            "Service deployment rolled back because PRE_SCALE_UP lifecycle hook(s) failed. Lifecycle hook target "
            "arn:aws:lambda:us-west-2:111122223333:function:check:live returned FAILED status.",
            "so ECS rolled back. The log of its Lambda function check says why.",
        ),
        (
            "Lifecycle hook arn:aws:lambda:us-west-2:111122223333:function:check timed out.",
            "hook failed. The log of its Lambda function check says why.",
        ),
        (
            "Service deployment rolled back because POST_TEST_TRAFFIC_SHIFT lifecycle hook(s) failed. Lifecycle hook "
            "PAUSE timed out.",
            "so ECS rolled back. Fix what the reason names",
        ),
        ("Lifecycle hook PAUSE timed out.", "Check which version is serving"),
    ],
)
def test_a_deployment_that_a_hook_ended_names_the_function_that_the_reason_names(reason: str, said: str) -> None:
    assert said in advice("deployment_failed", reason)


def test_the_hint_for_a_crash_after_a_deployment_names_the_revision() -> None:
    known = {"container": "app", "new_revision": "web:43"}
    assert advice("essential_container_exited", "", 1, **known).startswith("It started with web:43: roll back")


def test_only_an_alarm_on_task_counts_has_a_hint() -> None:
    assert "why its tasks stop" in advice("cloudwatch_alarm", "Threshold Crossed", metric="RunningTaskCount")
    assert advice("cloudwatch_alarm", "Threshold Crossed: RunningTaskCount", metric="CPUUtilization") == ""


def test_a_users_own_cause_has_no_hint() -> None:
    assert hint(Situation("nightly_batch_failed", parse("x"), 1), {}) is None


OOM = "OutOfMemoryError: Container killed due to memory usage"


def stopped(code: str, reason: str, *containers: events.Raw, **fields: Any) -> str:
    """The advice about a task that stopped with these containers."""
    return message(events.task_stopped(code, reason, *containers, **fields), "en").hint


@pytest.mark.parametrize(
    ("containers", "said"),
    [
        ([events.container("app", 137, OOM, memory="512")], "app ran out of memory, which can fail its health check"),
        ([events.container("app", 137, OOM, memory="512")], "its limit of 512 MiB"),
        (
            [events.container("app", 137, OOM, healthStatus="UNHEALTHY"), events.container("nginx", 143)],
            "app ran out of memory",
        ),
        (
            [events.container("app", 137, OOM), events.container("nginx", 143)],
            "A container of the task ran out of memory",
        ),
        (
            [events.container("app", 143, healthStatus="UNHEALTHY"), events.container("sidecar", 137, OOM)],
            "The load balancer gets no healthy response",
        ),
        ([events.container("app", 137, "CannotStopContainerError: x")], "The load balancer gets no healthy response"),
    ],
)
def test_a_health_check_of_a_container_without_memory_gets_the_advice_about_memory(
    containers: list[events.Raw], said: str
) -> None:
    assert said in stopped(
        "ServiceSchedulerInitiated", "Task failed ELB health checks in (target-group x)", *containers
    )


@pytest.mark.parametrize(
    ("service", "codes", "said"),
    [
        (None, {"job": 0, "log_router": 137}, "ECS probably killed log_router for not stopping within stopTimeout"),
        (None, {"job": 0, "envoy": 137, "xray": 137}, "ECS probably killed envoy and xray for not stopping"),
        (None, {"job": 0, "envoy": 137, "xray": 143}, "ECS probably killed envoy for not stopping"),
        (None, {"job": 137}, "MemoryUtilized"),
        (None, {"job": 143, "envoy": 137}, "MemoryUtilized"),
        ("web", {"app": 0, "log_router": 137}, "MemoryUtilized"),
    ],
)
def test_what_ecs_killed_once_the_job_was_done_did_not_run_out_of_memory(
    service: str | None, codes: dict[str, int], said: str
) -> None:
    containers = [events.container(name, code) for name, code in codes.items()]
    reason = "Essential container in task exited"
    assert said in stopped("EssentialContainerExited", reason, *containers, service=service, family="nightly")


@given(st.sampled_from([*HINTS]), st.text(max_size=300), st.none() | st.integers(0, 255))
def test_a_hint_names_nothing_that_is_unknown(cause: str, reason: str, code: int | None) -> None:
    situation = Situation(cause, parse(reason), code)
    found = hint(situation, NOTHING)
    names = named(situation, NOTHING)
    assert found is None or all(names[name] for name in placeholders(found.en) - {"execution_role"})


@pytest.mark.parametrize("cause", HINTS)
def test_a_reason_of_any_length_is_parsed_quickly(cause: str) -> None:
    begin = time.process_time()
    for text in ("secret " * 40_000, "denied" * 40_000, "a" * 262_144):
        hint(Situation(cause, parse(text), 1), KNOWN)
    assert time.process_time() - begin < 1.0


# --- no word inside a name counts -------------------------------------------------------------------------------------

# Every word that selects something, and every word in a hint.
VOCABULARY = sorted(
    {word for _, phrases in chain(_FAILURES, _TARGETS) for phrase in phrases for word in phrase.split()}
    - {NAME, "resource:eni", "i/o"}
    | {word for _, entry in ALL for word in re.findall(r"[a-z]{3,}", entry.en.lower())}
    | {"maintenance", "draining", "deregistration", "unhealthy", "scaling", "rebalancing", "oom-killed", "spot"}
    | {"outofmemoryerror", "cannotpullcontainererror", "resourceinitializationerror", "dockertimeouterror"}
)
_PLAIN = [word for word in VOCABULARY if word.isalnum()]


def _joined(separators: str, *, least: int = 1) -> st.SearchStrategy[str]:
    """Names made of these words."""
    words = st.lists(st.sampled_from(_PLAIN), min_size=least, max_size=3)
    return st.builds(str.join, st.sampled_from([*separators]), words)


NAME_OF = {
    "image": st.builds("{}/{}:{}".format, st.just(ECR), _joined("/-_"), _joined("-._")),
    "hub": st.builds("{}:{}".format, _joined("/-_"), _joined("-._")),
    "secret": st.builds("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{}".format, _joined("-/_")),
    "parameter": st.builds("/{}".format, _joined("/-")),
    "log_group": _joined("/-_."),
    "group_arn": st.builds("arn:aws:logs:eu-west-1:123456789012:log-group:{}:*".format, _joined("/-_.")),
    "path": st.builds("/{}".format, _joined("/-_.")),
    "host": st.builds("{}.example.com".format, _joined(".-")),
    "command": _joined(" -/"),
    "container": _joined("-_"),
    "role": st.builds("arn:aws:sts::123456789012:assumed-role/{}/{}".format, _joined("-"), _joined("-")),
    "user": _joined("-_"),
    "key": _joined("-_"),
    "target": st.builds("arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/{}/0a1b".format, _joined("-")),
    "service": _joined("-_"),
}
PLAIN_NAMES = {
    "image": f"{ECR}/web:1",
    "hub": "web:1",
    "secret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:web",
    "parameter": "/web",
    "log_group": "web",
    "group_arn": "arn:aws:logs:eu-west-1:123456789012:log-group:web:*",
    "path": "/web",
    "host": "web.example.com",
    "command": "web",
    "container": "web",
    "role": "arn:aws:sts::123456789012:assumed-role/web/web",
    "user": "web",
    "key": "web",
    "target": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0a1b",
    "service": "web",
}
PULL, START, RUNC = (
    "CannotPullContainerError: ",
    "CannotStartContainerError: Error response from daemon: ",
    "CannotStartContainerError: OCI runtime create failed: runc create failed: unable to start container process: ",
)
INIT = "ResourceInitializationError: "
WORDINGS = (
    PULL + "pull image manifest has been retried 1 time(s): failed to resolve ref {image}: {image}: not found",
    PULL + "failed to resolve ref {hub}: unexpected status: 403 Forbidden",
    PULL + "Error response from daemon: manifest for {hub} not found: manifest unknown: Requested image not found",
    PULL + "Error response from daemon: pull access denied for {hub}, repository does not exist or may require 'docker login'",
    PULL + "ref pull has been retried 5 time(s): failed to do request: Head https://{host}/v2/x: dial tcp: lookup {host}: no such host",
    PULL + "toomanyrequests: Rate exceeded for {image}",
    PULL + "write {path}: no space left on device",
    SECRET + "unable to retrieve secret from asm: failed to fetch secret {secret} from secrets manager: RequestCanceled: request context canceled",
    SECRET + "unable to retrieve secret from asm: AccessDeniedException: User: {role} is not authorized to perform: secretsmanager:GetSecretValue on resource: {secret}",
    SECRET + "retrieved secret from Secrets Manager did not contain json key {key}",
    SECRET + "unable to retrieve secrets from ssm: invalid parameters: {parameter}",
    SECRET + "unable to retrieve ecr registry auth: AccessDeniedException: User: {role} is not authorized to perform: ecr:GetAuthorizationToken",
    INIT + "failed to validate logger args: failed to create Cloudwatch log stream: AccessDeniedException: User: {role} is not authorized to perform: logs:CreateLogStream on resource: {group_arn}",
    INIT + 'failed to create log stream: The log group "{log_group}" does not exist',
    INIT + "failed to invoke EFS utils commands to set up EFS volumes: stderr: mount.nfs4: mounting fs-0a1b.efs.eu-west-1.amazonaws.com:{path} failed, reason given by server: No such file or directory",
    RUNC + 'exec: "{command}": executable file not found in $PATH: unknown',
    RUNC + 'exec: "{command}": permission denied: unknown',
    START + "unable to find user {user}: no matching entries in passwd file",
    START + 'invalid mount config for type "bind": bind source path does not exist: {path}',
    START + "driver failed programming external connectivity on endpoint {container}: Bind for 0.0.0.0:80 failed: port is already allocated",
    "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency [{container}({image}) (STOPPED->RUNNING) - Exit: 1] for target [{service}({image}) (NONE->RUNNING)] as dependency did not exit successfully.",
    "DockerTimeoutError: Could not transition to started; timed out after waiting 3m0s",
    "OutOfMemoryError: Container killed due to memory usage",
    "ECS was unable to assume the role '{role}' that was provided for this task.",
    "Service {service}: ECS is performing maintenance on the underlying infrastructure hosting the task",
    "Service {service}: Scaling activity initiated by (deployment ecs-svc/1)",
    "Task failed ELB health checks in (target-group {target})",
    "(service {service}) (port 80) is unhealthy in (target-group {target}) due to (reason Health checks failed)",
    "dependency container '{container}' unhealthy",
)  # fmt: skip


def outcome(text: str) -> tuple[object, ...]:
    """Everything that a reason determines."""
    container = events.container(reason=text)
    verdicts = []
    for raw in (
        events.task_stopped(None, text),
        events.task_stopped("TaskFailedToStart", "Task failed to start", container),
        events.task_stopped("ServiceSchedulerInitiated", text),
    ):
        made = normalise(raw)
        verdict = classify(made)
        situation = Situation(verdict.cause, parse(alert(made, verdict).reason))
        found = hint(situation, KNOWN)
        verdicts.append((made.stop_code, verdict, found and found.en))
    reason = parse(text)
    return (reason.error, reason.target, reason.failure, reason.action, *verdicts)


@pytest.mark.parametrize("wording", WORDINGS)
@given(data=st.data())
def test_words_inside_names_do_not_change_the_hint(wording: str, data: st.DataObject) -> None:
    kinds = re.findall(r"\{(\w+)\}", wording)
    names = {kind: data.draw(NAME_OF[kind], label=kind) for kind in dict.fromkeys(kinds)}
    assert outcome(wording.format(**names)) == outcome(wording.format(**PLAIN_NAMES))

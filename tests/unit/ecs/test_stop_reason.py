"""What a reason says. Each row below is one way in which AWS, the agent, containerd or runc word a failure."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.ecs.stop_reason import Image, Registry, StopReason, image, parse

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
INIT = "ResourceInitializationError: "
PULL_SECRETS = f"{INIT}unable to pull secrets or registry auth: execution resource retrieval failed: "
PULL = "CannotPullContainerError: "
START = "CannotStartContainerError: Error response from daemon: "
RUNC = f"{START}failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "
USER = "User: arn:aws:sts::123456789012:assumed-role/runner/0a1b is not authorized to perform: "
DENIED = f"AccessDeniedException: {USER}"

# Reason: target and failure, by the names of the enumerations.
REASONS = {
    # ECR, Secrets Manager, Parameter Store and KMS: AWS's fixed words name all of them.
    f"{PULL_SECRETS}unable to retrieve ecr registry auth: service call has been retried 1 time(s): {DENIED}ecr:GetAuthorizationToken on resource: *": "ECR DENIED",
    f"{PULL_SECRETS}unable to retrieve ecr registry auth: service call has been retried 3 time(s): RequestError: send request failed caused by: Post https://api.ecr....": "ECR UNREACHABLE",
    f'{PULL_SECRETS}unable to retrieve ecr registry auth: RequestError: send request failed caused by: Post "https://api.ecr.eu-west-1.amazonaws.com/": dial tcp 10.0.1.5:443: i/o timeout': "ECR TIMEOUT",
    f'{PULL_SECRETS}unable to retrieve ecr registry auth: Post "https://api.ecr.eu-west-1.amazonaws.com/": dial tcp: lookup api.ecr.eu-west-1.amazonaws.com on 10.0.0.2:53: no such host': "ECR DNS",
    f"{INIT}unable to pull secrets or registry auth: The task cannot pull registry auth from Amazon ECR: There is a connection issue between the task and Amazon ECR. Check your task network configuration.": "ECR UNREACHABLE",
    f"{PULL_SECRETS}unable to retrieve secret from asm: service call has been retried 1 time(s): retrieved secret from Secrets Manager did not contain json key DB_URL": "SECRETS_MANAGER NO_JSON_KEY",
    f"{PULL_SECRETS}unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf from secrets manager: {DENIED}secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf": "SECRETS_MANAGER DENIED",
    f"{PULL_SECRETS}unable to retrieve secret from asm: service call has been retried 5 time(s): failed to fetch secret arn:aws:secretsmanager:eu-west-1:123456789012:secret:db from secrets manager: RequestCanceled: request context canceled caused by: context deadline exceeded": "SECRETS_MANAGER TIMEOUT",
    f"{PULL_SECRETS}unable to retrieve secret from asm: ResourceNotFoundException: Secrets Manager can't find the specified secret.": "SECRETS_MANAGER NOT_FOUND",
    "ResourceNotFoundException: The task can't retrieve the secret with ARN 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:db' from AWS Secrets Manager. Check whether the secret exists in the specified Region": "SECRETS_MANAGER NOT_FOUND",
    f"{INIT}unable to retrieve secret from asm: There is a connection issue between the task and AWS Secrets Manager. Check your task network configuration.": "SECRETS_MANAGER UNREACHABLE",
    f"{PULL_SECRETS}unable to get registry auth from asm: service call has been retried 5 time(s): asm fetching secret from the service for db": "SECRETS_MANAGER None",
    f"{PULL_SECRETS}unable to retrieve secret from asm: {DENIED}kms:Decrypt on resource: arn:aws:kms:eu-west-1:123456789012:key/0a1b": "KMS DENIED",
    f"{PULL_SECRETS}unable to retrieve secret from asm: AccessDeniedException: Access to KMS is not allowed": "KMS DENIED",
    f"{PULL_SECRETS}unable to retrieve secret from asm: ThrottlingException: Rate exceeded": "SECRETS_MANAGER THROTTLED",
    f"{INIT}unable to pull secrets or registry auth: unable to retrieve secrets from ssm: {USER}ssm:GetParameters on resource: arn:aws:ssm:eu-west-1:123456789012:parameter/web/db": "PARAMETER_STORE DENIED",
    f"{PULL_SECRETS}unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid parameters: /web/db": "PARAMETER_STORE NOT_FOUND",
    f"{PULL_SECRETS}unable to retrieve secrets from ssm: service call has been retried 5 time(s): RequestCanceled: request context canceled caused by: context deadline exceeded": "PARAMETER_STORE TIMEOUT",
    f"{INIT}The task cannot pull secrets from AWS Systems Manager Parameter Store. Check your network connection between the task and AWS Systems Manager.": "PARAMETER_STORE UNREACHABLE",
    f"Fetching secret data from SSM Parameter Store in eu-west-1: {DENIED}ssm:GetParameters": "PARAMETER_STORE DENIED",
    f"{INIT}unable to pull secrets or registry auth: operation error Secrets Manager: GetSecretValue, exceeded maximum number of attempts, 3, request send failed, dial tcp 10.0.1.5:443: i/o timeout": "SECRETS_MANAGER TIMEOUT",
    f"{INIT}unable to pull secrets or registry auth: pull command failed: : signal: killed": "None UNREACHABLE",
    # Logs
    f"{INIT}failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : exit status 1": "LOGS NOT_FOUND",
    f"{INIT}failed to validate logger args: failed to create Cloudwatch log stream: {DENIED}logs:CreateLogStream on resource: arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/web:log-stream:app": "LOGS DENIED",
    f"{INIT}failed to validate logger args: The task cannot find the Amazon CloudWatch log group defined in the task definition. There is a connection issue between the task and Amazon CloudWatch. Check your network configuration. : signal: killed": "LOGS UNREACHABLE",
    f"{INIT}failed to validate logger args: : signal: killed": "LOGS UNREACHABLE",
    f"{START}failed to initialize logging driver: failed to create Cloudwatch log group: {DENIED}logs:CreateLogGroup": "LOGS DENIED",
    f"{START}failed to initialize logging driver: dial tcp 127.0.0.1:24224: connect: connection refused": "LOG_DRIVER REFUSED",
    # Volumes
    f"{INIT}failed to invoke EFS utils commands to set up EFS volumes: stderr: b'mount.nfs4: access denied by server while mounting 127.0.0.1:/': unsuccessful EFS utils command execution; code: 32": "EFS DENIED",
    f"{INIT}failed to invoke EFS utils commands to set up EFS volumes: stderr: mount.nfs4: mounting fs-0a1b2c3d.efs.eu-west-1.amazonaws.com:/data failed, reason given by server: No such file or directory": "EFS NOT_FOUND",
    f"{INIT}failed to invoke EFS utils commands to set up EFS volumes: stderr: Mount attempt 1/3 failed due to timeout after 15 sec": "EFS TIMEOUT",
    f'{INIT}failed to invoke EFS utils commands to set up EFS volumes: stderr: Failed to resolve "fs-0a1b2c3d.efs.eu-west-1.amazonaws.com" - check that your file system ID is correct': "EFS DNS",
    f"{INIT}unable to attach Amazon EBS volume: failed to attach EBS volume to task: instance attachment limit exceeded": "EBS QUOTA",
    "ECS timed out while configuring the EBS volume attachment to your Task": "EBS TIMEOUT",
    f"Amazon EBS volume not created: {USER}ec2:CreateVolume on resource: arn:aws:ec2:eu-west-1:123456789012:volume/*": "EBS DENIED",
    "ECS was unable to assume the configured ECS Infrastructure Role 'arn:aws:iam::123456789012:role/infra'. Please verify that the role being passed has the proper trust relationship with Amazon ECS": "INFRASTRUCTURE_ROLE None",
    f"{START}error while mounting volume '/var/lib/docker/plugins/0a1b/rootfs': VolumeDriver.Mount: Mount failed, Timeout": "VOLUME_DRIVER TIMEOUT",
    'CannotCreateVolumeError: Error response from daemon: create web-data: error looking up volume plugin rexray/ebs: plugin "rexray/ebs" not found': "VOLUME_DRIVER NOT_FOUND",
    f"{INIT}failed to download env files: file download command: non empty error stream: AccessDenied: Access Denied status code: 403": "ENV_FILE DENIED",
    f"{INIT}failed to download env files: file download command: non empty error stream: NoSuchKey: The specified key does not exist. status code: 404": "ENV_FILE NOT_FOUND",
    # Images
    f"{PULL}pull image manifest has been retried 1 time(s): failed to resolve ref {ECR}/web:1: {ECR}/web:1: not found": "IMAGE NOT_FOUND",
    "CannotPullImageManifestError: manifest unknown: Requested image not found": "IMAGE NOT_FOUND",
    f"{PULL}Error response from daemon: manifest for {ECR}/web:1 not found: manifest unknown": "IMAGE NOT_FOUND",
    f"{PULL}The task can\u2019t pull the image. Check whether the image exists.": "IMAGE NOT_FOUND",
    f"{PULL}The task can\u2019t pull the image. Check that the role has the permissions to pull images from the registry.": "IMAGE DENIED",
    f"{PULL}The task can\u2019t pull the image. Check your network configuration.": "IMAGE UNREACHABLE",
    f"{PULL}The task cannot pull {ECR}/web:1 from the Amazon ECR repository {ECR}/web. There is a connection issue between the task and Amazon ECR. Check your task network configuration.": "IMAGE UNREACHABLE",
    f"{PULL}{USER}ecr:BatchGetImage on resource: arn:aws:ecr:eu-west-1:210987654321:repository/web": "ECR DENIED",
    f"{PULL}ref pull has been retried 1 time(s): failed to resolve ref ghcr.io/acme/web:1: failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized": "IMAGE DENIED",
    f"{PULL}ref pull has been retried 1 time(s): failed to resolve ref ghcr.io/acme/web:1: unexpected status from HEAD request to https://ghcr.io/v2/acme/web/manifests/1: 403 Forbidden": "IMAGE DENIED",
    f"{PULL}Error response from daemon: pull access denied for web, repository does not exist or may require 'docker login': denied: requested access to the resource is denied": "IMAGE NOT_FOUND_OR_DENIED",
    f"{PULL}inspect image has been retried 5 time(s): httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/library/redis/manifests/sha256:0a: 429 Too Many Requests": "IMAGE THROTTLED",
    f"{PULL}Error response from daemon: toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit": "IMAGE THROTTLED",
    f"{PULL}pull image manifest has been retried 1 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'": "IMAGE PLATFORM",
    f"{PULL}Error response from daemon: no matching manifest for linux/arm64/v8 in the manifest list entries": "IMAGE PLATFORM",
    f"{PULL}ref pull has been retried 1 time(s): failed to copy: httpReadSeeker: failed open: failed to do request: Get https://prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com/0a1b: dial tcp 52.1.1.1:443: i/o timeout": "IMAGE_LAYERS TIMEOUT",
    f"{PULL}API error (500): Get https://{ECR}/v2/: net/http: request canceled while waiting for connection": "IMAGE TIMEOUT",
    f"{PULL}failed to resolve ref registry.example.com/web:1: failed to do request: Head https://registry.example.com/v2/web/manifests/1: x509: certificate signed by unknown authority": "IMAGE TLS",
    f"{PULL}failed to resolve ref quay.io/acme/web:1: unexpected status from HEAD request to https://quay.io/v2/acme/web/manifests/1: 503 Service Unavailable": "IMAGE SERVER_ERROR",
    f"{PULL}failed to copy: write /var/lib/containerd/io.containerd.content.v1.content/ingest/0a/data: no space left on device": "IMAGE NO_SPACE",
    f"{PULL}pull command failed: panic: runtime error: invalid memory address or nil pointer dereference": "IMAGE UNREACHABLE",
    f"{PULL}failed to get stream processor for application/vnd.in-toto+json: no processor for media-type: unknown": "IMAGE IMAGE_FORMAT",
    f"{PULL}hcsshim::ImportLayer: The container operating system does not match the host operating system.": "IMAGE HOST_OS",
    f"{PULL}no matching manifest for windows/amd64 10.0.17763 in the manifest list entries": "IMAGE HOST_OS",
    f'{PULL}image operating system "windows" cannot be used on this platform': "IMAGE HOST_OS",
    # Starting
    f'{START}OCI runtime create failed: exec: "nvidia-container-runtime": executable file not found in $PATH': "GPU_DRIVER NOT_FOUND",
    f'{START}Conflict. The container name "/ecs-web" is already in use by container "0a1b"': "DOCKER IN_USE",
    f"{START}container 0a1b encountered an error during CreateProcess: The system cannot find the file specified. (0x2)": "COMMAND NOT_FOUND",
    f'{RUNC}exec: "npm": executable file not found in $PATH: unknown': "COMMAND NOT_FOUND",
    f'{RUNC}exec: "/docker-entrypoint.sh": stat /docker-entrypoint.sh: no such file or directory: unknown': "COMMAND NOT_FOUND",
    f"{RUNC}exec /app/run.sh: no such file or directory: unknown": "COMMAND NOT_FOUND",
    f'{RUNC}exec: "/start.sh": permission denied: unknown': "COMMAND PERMISSION",
    f"{RUNC}exec /usr/local/bin/app: exec format error": "COMMAND PLATFORM",
    f'{RUNC}chdir to cwd ("/srv/app") set in config.json failed: no such file or directory: unknown': "WORKING_DIRECTORY NOT_FOUND",
    f'{RUNC}error during container init: error mounting "/etc/app.conf" to rootfs at "/app.conf": mount /etc/app.conf:/app.conf: not a directory: unknown': "MOUNT NOT_FOUND",
    f'{START}invalid mount config for type "bind": bind source path does not exist: /mnt/data': "MOUNT NOT_FOUND",
    f"{START}driver failed programming external connectivity on endpoint web: Bind for 0.0.0.0:8080 failed: port is already allocated": "PORT IN_USE",
    f"{START}failed to set up container networking: listen tcp4 0.0.0.0:8080: bind: address already in use": "PORT IN_USE",
    f"{START}unable to find user web: no matching entries in passwd file": "USER NOT_FOUND",
    "CannotStartContainerError: ResourceInitializationError: unable to create new container: mount callback failed on /tmp/containerd-mount1: open /tmp/containerd-mount1/etc/passwd: no such file or directory": "USER NOT_FOUND",
    f"{INIT}unable to create new container: mount callback failed on /tmp/containerd-mount1: no users found": "USER None",
    f"{RUNC}error during container init: error running hook #0: exit status 1, stderr: nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown": "GPU_DRIVER None",
    f"{RUNC}stderr: Auto-detected mode as 'legacy' nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory": "GPU_DRIVER NOT_FOUND",
    f'{START}could not select device driver "nvidia" with capabilities: [[gpu]]': "GPU_DRIVER None",
    f'{START}error gathering device information while adding custom device "/dev/fuse": no such file or directory': "DEVICE NOT_FOUND",
    f"{RUNC}error during container init: error setting rlimits for ready process: error setting rlimit type 7: operation not permitted: unknown": "ULIMIT DENIED",
    f"{RUNC}unable to apply caps: operation not permitted: unknown": "CAPABILITY DENIED",
    f"{START}Minimum memory limit allowed is 6MB": "MEMORY_SETTING None",
    f"{START}Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available": "CPU_SETTING None",
    "CannotCreateContainerError: API error (500): devmapper: Thin Pool has 10 free data blocks which is less than minimum required 20 free data blocks": "None NO_SPACE",
    "CannotCreateContainerError: Error response from daemon: mkdir /var/lib/docker/overlay2/0a1b: no space left on device": "None NO_SPACE",
    "DockerTimeoutError: Could not transition to started; timed out after waiting 3m0s": "None START_TIMEOUT",
    "ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 1m: <reason>": "None START_TIMEOUT",
    f"{START}OCI runtime create failed: container_linux.go:380: starting container process caused: container init was OOM-killed (memory limit too low?): unknown": "MEMORY_SETTING OUT_OF_MEMORY",
    "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency [init-db(acme/init:1) (STOPPED->RUNNING) - Exit: 1] for target [web(acme/web:1) (NONE->RUNNING)] as dependency did not exit successfully.": "DEPENDENCY None",
    # Task
    "Timeout waiting for network interface provisioning to complete.": "NETWORK_INTERFACE TIMEOUT",
    "Unexpected EC2 error while attempting to Create Network Interface in subnet 'subnet-0a1b2c3d': InsufficientFreeAddressesInSubnet": "NETWORK_INTERFACE NO_CAPACITY",
    "Timeout waiting for EphemeralStorage provisioning to complete": "EPHEMERAL_STORAGE TIMEOUT",
    "Task failed to start: Timeout waiting for Service Connect: ecs-service-connect-aB1 container health check failed": "SERVICE_CONNECT TIMEOUT",
    "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/web-task' that was provided for this task.": "ROLE None",
    "You\u2019ve reached the limit on the number of vCPUs you can run concurrently": "CPU QUOTA",
    "The requested MEMORY configuration is above your limit": "MEMORY QUOTA",
    "Capacity is unavailable at this time. Please try again later or in a different availability zone": "FARGATE NO_CAPACITY",
    "TaskFailedToStart: RESOURCE:GPU": "GPU None",
    "RESOURCE:MEMORY": "MEMORY None",
    "RESOURCE:ENI": "NETWORK_INTERFACE None",
    "TaskFailedToStart: AGENT": "AGENT None",
    "TaskFailedToStart: MemberOf placement constraint unsatisfied": "CONSTRAINT None",
    "TaskFailedToStart: NO ACTIVE INSTANCES": "NO_INSTANCE None",
    "TaskFailedToStart: EMPTY CAPACITY PROVIDER": "NO_INSTANCE None",
    "(service web) (port 8080) is unhealthy in (target-group arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/0a) due to (reason Health checks failed with these codes: [502])": "LOAD_BALANCER None",
    "Task failed container health checks": "CONTAINER_HEALTH None",
    "ECS deployment circuit breaker: tasks failed to start.": "CIRCUIT_BREAKER None",
    "Service deployment rolled back because PRE_SCALE_UP lifecycle hook(s) failed.": "LIFECYCLE_HOOK ROLLED_BACK",
    "Essential container in task exited": "None None",
    "": "None None",
}  # fmt: skip


def said(reason: StopReason) -> str:
    return f"{reason.target.name if reason.target else None} {reason.failure.name if reason.failure else None}"


@pytest.mark.parametrize(("text", "expected"), REASONS.items())
def test_each_wording_says_what_failed_and_how(text: str, expected: str) -> None:
    assert said(parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (
            f"{PULL_SECRETS}unable to retrieve secret from asm: {DENIED}secretsmanager:GetSecretValue on resource: "
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf",
            {"action": "secretsmanager:GetSecretValue", "role": "runner", "secret": "db-AbCdEf"},
        ),
        (f"{PULL_SECRETS}retrieved secret from Secrets Manager did not contain json key DB_URL", {"key": "DB_URL"}),
        (f"{PULL_SECRETS}invalid parameters: /web/db", {"parameter": "/web/db"}),
        (
            f"{DENIED}logs:CreateLogStream on resource: arn:aws:logs:eu-west-1:1:log-group:/ecs/web:log-stream:a",
            {"action": "logs:CreateLogStream", "log_group": "/ecs/web"},
        ),
        ("operation error CloudWatch Logs: CreateLogStream, x", {"action": "logs:CreateLogStream"}),
        (
            "unable to assume the role 'arn:aws:iam::123456789012:role/path/web-task' that was provided",
            {"role": "web-task"},
        ),
        (f'{RUNC}exec: "npm start": executable file not found', {"command": "npm start"}),
        (f"{START}unable to find user web: no matching entries in passwd file", {"user": "web"}),
        (f"{START}Bind for 0.0.0.0:8080 failed: port is already allocated", {"port": "8080"}),
        (
            "mount.nfs4: mounting fs-0a1b2c3d.efs.eu-west-1.amazonaws.com:/data failed",
            {"file_system": "fs-0a1b2c3d", "hosts": ("fs-0a1b2c3d.efs.eu-west-1.amazonaws.com",)},
        ),
        ("dependency container 'db-proxy' unhealthy", {"blamed": ("db-proxy",)}),
        ("Container web was dependent on container init-db reaching HEALTHY", {"blamed": ("init-db",)}),
        (
            "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency "
            "[init(acme/init:1) (STOPPED->RUNNING) - Exit: 1] for target [web(acme/web:1) (NONE->RUNNING)]",
            {"blamed": ("init",), "error": "cannotstartcontainererror"},
        ),
    ],
)
def test_names_are_data(text: str, names: dict[str, object]) -> None:
    assert names.items() <= parse(text)._asdict().items()


@pytest.mark.parametrize(
    ("reference", "parts", "registry"),
    [
        (f"{ECR}/team/web:1", Image(ECR, "team/web", "1"), Registry.ECR),
        ("123456789012.dkr-ecr.eu-west-1.on.aws/web", Image("123456789012.dkr-ecr.eu-west-1.on.aws", "web"), "Amazon ECR"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/web", None, Registry.ECR),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/web", None, Registry.ECR),
        ("public.ecr.aws/nginx/nginx:1", Image("public.ecr.aws", "nginx/nginx", "1"), Registry.ECR_PUBLIC),
        ("redis:7", Image("", "redis", "7"), Registry.DOCKER_HUB),
        ("redis", Image("", "redis"), Registry.DOCKER_HUB),
        ("bitnami/redis@sha256:0a1b", Image("", "bitnami/redis", "", "sha256:0a1b"), Registry.DOCKER_HUB),
        ("docker.io/library/redis:7", None, Registry.DOCKER_HUB),
        ("registry-1.docker.io/library/redis", None, Registry.DOCKER_HUB),
        ("ghcr.io/acme/web:main", Image("ghcr.io", "acme/web", "main"), Registry.GHCR),
        ("quay.io/acme/web", None, Registry.OTHER),
        ("localhost:5000/web:1", Image("localhost:5000", "web", "1"), Registry.OTHER),
    ],
)  # fmt: skip
def test_an_image_reference_has_its_parts_and_its_registry(
    reference: str, parts: Image | None, registry: Registry
) -> None:
    found = image(reference)
    assert found is not None
    assert found.registry == registry
    assert parts is None or found == parts
    assert str(found) == reference


def test_an_image_that_ecs_cut_off_is_not_named() -> None:
    assert parse(f"{PULL}failed to resolve ref {ECR}/team/we...").image is None
    assert parse(f"{PULL}failed to resolve ref {ECR}/team/web:1: not found").image == Image(ECR, "team/web", "1")


def test_the_image_of_a_registrys_address_is_known() -> None:
    text = f'{PULL}failed to do request: Head "https://registry-1.docker.io/v2/acme/web/manifests/1.2": dial tcp'
    assert parse(text).image == Image("registry-1.docker.io", "acme/web", "1.2")


SPACES = st.sampled_from([" ", "  ", "\n", "\t "])


@given(text=st.sampled_from([*REASONS]), spaces=SPACES, before=st.sampled_from(["", " ", "Service web: "]))
def test_case_spaces_and_the_services_name_make_no_difference(text: str, spaces: str, before: str) -> None:
    for cased in (text.upper(), text.lower(), text):
        result = parse(before + spaces.join(cased.split(" ")))
        assert (result.error, said(result)) == (parse(text).error, REASONS[text])


@given(st.text(max_size=400) | st.lists(st.sampled_from([*REASONS, *"'\"()[]:=."]), max_size=4).map("".join))
def test_any_text_can_be_parsed(text: str) -> None:
    result = parse(text)
    assert result.wording == result.wording.lower()


@given(text=st.sampled_from([*REASONS]), end=st.integers(0, 400))
def test_a_reason_can_be_cut_anywhere(text: str, end: int) -> None:
    """What it leads with stays: the error's name."""
    whole, cut = parse(text), parse(text[:end])
    assert cut.error in {whole.error, ""} or whole.error.startswith(cut.error)


@pytest.mark.parametrize(
    "unit", ["(", "a.", "secret ", "denied", "a", "'", '"', "[a(", "exec: '", "arn:", "https://", '="']
)
def test_a_reason_of_any_length_is_parsed_quickly(unit: str) -> None:
    begin = time.process_time()
    parse(unit * 200_000)
    assert time.process_time() - begin < 0.2

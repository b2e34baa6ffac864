"""A reason of ECS, parsed once into data: which error, what failed, how, and the names that it mentions.

Reasons are free text around names that their owners choose: images, secrets, log groups, containers, commands. So the
names are taken out first and kept as data. What is left, the wording, is compared with whole words and phrases only; no
word inside a name is ever compared. A repository called `data-platform` does not mean that the platform is wrong.

Sources of the phrases: "Stopped task error messages" and its sister pages in the Amazon ECS Developer Guide, the ECS
agent's error names, containerd's and runc's messages, and reasons found in real events.
"""

import enum
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

LOOKED_AT = 2048  # characters of a reason; ECS cuts its own at 1024
NAME = "□"  # replaces, in the wording, each name that was taken out


class Failure(enum.StrEnum):
    """How it failed."""

    OUT_OF_MEMORY = "out of memory"
    NO_JSON_KEY = "the secret lacks the JSON key"
    THROTTLED = "throttled"
    NOT_FOUND_OR_DENIED = "not found or denied"
    PERMISSION = "file permission denied"
    EXPIRED = "credentials expired"
    DENIED = "denied"
    HOST_OS = "another operating system"
    PLATFORM = "another platform"
    NO_SPACE = "no space left"
    IN_USE = "in use"
    START_TIMEOUT = "did not start in time"
    IMAGE_FORMAT = "image format"
    DNS = "name resolution"
    TLS = "certificate"
    REFUSED = "connection refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    SERVER_ERROR = "server error"
    NO_CAPACITY = "no capacity"
    QUOTA = "quota reached"
    NOT_FOUND = "not found"
    INVALID = "invalid value"
    ROLLED_BACK = "rolled back"


NETWORK = (Failure.DNS, Failure.TLS, Failure.REFUSED, Failure.UNREACHABLE, Failure.TIMEOUT)


class Target(enum.StrEnum):
    """What failed, or what could not be reached or used."""

    DEPENDENCY = "container dependency"
    USER = "user of the container"
    GPU_DRIVER = "GPU driver"
    SERVICE_CONNECT = "Service Connect"
    VOLUME_DRIVER = "volume driver"
    EFS = "EFS"
    FSX = "FSx"
    EBS = "EBS"
    ENV_FILE = "environment file"
    KMS = "KMS"
    SECRETS_MANAGER = "Secrets Manager"
    PARAMETER_STORE = "Parameter Store"
    LOGS = "CloudWatch Logs"
    LOG_DRIVER = "log driver"
    ECR = "ECR"
    IMAGE_LAYERS = "image layers in S3"
    IMAGE = "image"
    ROLE = "IAM role"
    INFRASTRUCTURE_ROLE = "ECS infrastructure role"
    NETWORK_INTERFACE = "network interface"
    EPHEMERAL_STORAGE = "ephemeral storage"
    WORKING_DIRECTORY = "working directory"
    COMMAND = "command"
    PORT = "port"
    DEVICE = "device"
    CAPABILITY = "Linux capability"
    ULIMIT = "ulimit"
    SYSCTL = "kernel parameter"
    MEMORY_SETTING = "memory setting"
    CPU_SETTING = "CPU setting"
    MOUNT = "mount"
    DOCKER = "container runtime"
    CPU = "CPU"
    MEMORY = "memory"
    GPU = "GPU"
    PORTS = "ports"
    FARGATE = "Fargate capacity"
    AGENT = "ECS agent"
    LOCATION = "Availability Zone"
    ATTRIBUTE = "instance attribute"
    CONSTRAINT = "placement constraint"
    NO_INSTANCE = "container instances"
    COMPATIBILITY = "launch type"
    CONTAINER_HEALTH = "container health check"
    LOAD_BALANCER = "load balancer health check"
    CIRCUIT_BREAKER = "deployment circuit breaker"
    LIFECYCLE_HOOK = "lifecycle hook"
    ALARM = "deployment alarm"
    ACCELERATOR = "accelerator"


class Registry(enum.StrEnum):
    """Where an image comes from."""

    ECR = "Amazon ECR"
    ECR_PUBLIC = "Amazon ECR Public"
    DOCKER_HUB = "Docker Hub"
    GHCR = "GitHub Container Registry"
    OTHER = "another registry"


_ECR_HOST = re.compile(r"(?:[0-9]{12}|□)\.dkr[.-]ecr(?:-fips)?\.", re.IGNORECASE)
_DOCKER_HUB = ("docker.io", "docker.com")


class Image(NamedTuple):
    """An image reference in its parts; `host` is "" where the reference names none, which means Docker Hub."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def registry(self) -> Registry:
        host = self.host.lower()
        if _ECR_HOST.match(host):
            return Registry.ECR
        if host == "public.ecr.aws":
            return Registry.ECR_PUBLIC
        if not host or host in _DOCKER_HUB or host.endswith(tuple(f".{domain}" for domain in _DOCKER_HUB)):
            return Registry.DOCKER_HUB
        return Registry.GHCR if host in {"ghcr.io", "docker.pkg.github.com"} else Registry.OTHER

    def __str__(self) -> str:
        """The reference as people write it."""
        name = f"{self.host}/{self.repository}" if self.host else self.repository
        return name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def image(reference: str) -> Image | None:
    """The parts of `[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]`; None for an empty text."""
    rest, _, digest = reference.partition("@")
    host, slash, path = rest.partition("/")
    if not slash or not (set(host) & {".", ":"} or host == "localhost"):
        host, path = "", rest
    repository, _, tag = path.partition(":")
    return Image(host, repository, tag, digest) if repository else None


class StopReason(NamedTuple):
    """What a reason says.

    Attributes:
        wording: the text in lower case with single spaces and `□` for each name, without the `Service NAME: ` that some
            reasons begin with.
        error: the `…Error` that the reason leads with, in lower case, or "".
        failure, target: how and what; None where the wording does not say.
        action: the IAM action that was denied or that failed, such as `ssm:GetParameters`, or "".
        role: the IAM role that was denied, or that could not be assumed.
        image: the image that the reason names; None where it names none or was cut inside it.
        blamed: the containers for which, by this reason, another one waited in vain.
        secret, parameter, log_group, file_system, path, user, key, command, port: names, or "".
        http_status: what a load balancer's health check got, such as `502`, or several, or "".
        function: the Lambda function that it names, or "".
        hosts: the hosts that it names.
    """

    wording: str = ""
    error: str = ""
    failure: Failure | None = None
    target: Target | None = None
    action: str = ""
    role: str = ""
    image: Image | None = None
    blamed: tuple[str, ...] = ()
    secret: str = ""
    parameter: str = ""
    log_group: str = ""
    file_system: str = ""
    path: str = ""
    user: str = ""
    key: str = ""
    command: str = ""
    port: str = ""
    http_status: str = ""
    function: str = ""
    hosts: tuple[str, ...] = ()


# --- the vocabulary: whole words of the wording; the first row that is found counts -----------------------------------

# `□` stands for a name. AWS's fixed words are taken out before: they name three things, of which one failed.
_FIXED = "unable to pull secrets or registry auth"

_FAILURES: tuple[tuple[Failure, tuple[str, ...]], ...] = (
    (Failure.ROLLED_BACK, ("rolled back", "rolling back")),  # whatever the deployment failed of
    (Failure.OUT_OF_MEMORY, ("oom-killed", "oom killed", "oomkilled", "outofmemoryerror")),
    (Failure.NO_JSON_KEY, ("json key",)),
    (
        Failure.THROTTLED,
        (
            "toomanyrequests",
            "too many requests",
            "toomanyrequestsexception",
            "rate exceeded",
            "pull rate limit",
            "rate limit exceeded",
            "throttling",
            "throttled",
            "throttlingexception",
            "status code 429",
        ),
    ),
    (Failure.NOT_FOUND_OR_DENIED, ("pull access denied",)),
    (Failure.PERMISSION, ("permission denied",)),
    (
        Failure.EXPIRED,
        (
            "token has expired",
            "token is expired",
            "request is expired",
            "expiredtoken",
            "expiredtokenexception",
            "nocredentialproviders",
            "no valid providers in chain",
        ),
    ),
    (
        Failure.DENIED,
        (
            "denied",
            "accessdenied",
            "accessdeniedexception",
            "not authorized",
            "unauthorized",
            "unauthorizedoperation",
            "forbidden",
            "no basic auth credentials",
            "authorization failed",
            "authentication required",
            "insufficient_scope",
            "status code 403",
            "status code 401",
            "explicit deny",
            "operation not permitted",
            "permissions to pull images",
        ),
    ),
    (
        Failure.HOST_OS,
        (
            "does not match the host operating system",
            "windows version",
            "image operating system",
        ),
    ),
    (
        Failure.PLATFORM,
        (
            "exec format error",
            "matching platform",
            "match for platform",
            "no matching manifest",
            "no match for manifest",
            "cannot be used on this platform",
            "does not match the specified platform",
            "does not match the expected platform",
        ),
    ),
    (
        Failure.NO_SPACE,
        ("no space left", "disk quota", "thin pool", "devmapper", "devicemapper", "free data blocks"),
    ),
    (Failure.IN_USE, ("already allocated", "already in use", "already attached", "volumeinuse")),
    (
        Failure.START_TIMEOUT,
        (
            "dockertimeouterror",
            "containerruntimetimeouterror",
            "could not transition",
            "waiting for container start",
        ),
    ),
    (
        Failure.IMAGE_FORMAT,
        ("no processor for", "stream processor", "unsupported media type", "unsupported manifest", "schema version"),
    ),
    (
        Failure.DNS,
        (
            "no such host",
            "server misbehaving",
            "failure in name resolution",
            "could not resolve",
            "cannot resolve",
            "name or service not known",
            f"failed to resolve {NAME}",
        ),
    ),
    (Failure.TLS, ("x509", "signed by unknown authority", "certificate has expired")),
    (Failure.REFUSED, ("connection refused",)),
    (
        Failure.UNREACHABLE,
        (
            "connection issue",
            "network is unreachable",
            "no route to host",
            "connection reset",
            "connection closed",
            "unexpected eof",
            "broken pipe",
            "signal killed",
        ),
    ),
    (
        Failure.TIMEOUT,
        (
            "i/o timeout",
            "deadline exceeded",
            "timed out",
            "timeout",
            "request canceled",
            "requestcanceled",
            "context canceled",
            "awaiting headers",
        ),
    ),
    (
        Failure.UNREACHABLE,
        (
            "dial tcp",
            "send request failed",
            "request send failed",
            "requesterror",
            "unable to reach",
            "failed to connect",
            "could not connect",
            "nil pointer dereference",
        ),
    ),
    (
        Failure.SERVER_ERROR,
        ("internal server error", "service unavailable", "bad gateway", "gateway timeout", "status code 500"),
    ),
    (
        Failure.NO_CAPACITY,
        (
            "capacity is unavailable",
            "insufficient capacity",
            "insufficientinstancecapacity",
            "insufficientfreeaddressesinsubnet",
            "free addresses",
        ),
    ),
    (
        Failure.QUOTA,
        (
            "limit on the number",
            "above your limit",
            "limit exceeded",
            "limitexceeded",
            "quota",
            "reached the limit",
            "limit was reached",
        ),
    ),
    (
        Failure.NOT_FOUND,
        (
            "not found",
            "manifest unknown",
            "name unknown",
            "does not exist",
            "doesn't exist",
            "can't find",
            "cannot find",
            "could not find",
            "unable to find",
            "resourcenotfoundexception",
            "repositorynotfoundexception",
            "parameternotfound",
            "no such image",
            "no such file",
            "no such volume",
            "nosuchkey",
            "nosuchbucket",
            "invalid parameters",
            "invalid ssm parameters",
            "status code 404",
            "not a directory",
            "whether the secret exists",
            "whether the parameter exists",
            "whether the image exists",
        ),
    ),
    (Failure.INVALID, ("invalid", "malformed", "not supported", "unsupported")),
    (
        Failure.UNREACHABLE,
        ("check your network configuration", "check your task network configuration", "check your network connection"),
    ),
)

_TARGETS: tuple[tuple[Target, tuple[str, ...]], ...] = (
    (
        Target.DEPENDENCY,
        (
            "dependency graph",
            "dependent on container",
            "dependency container",
            "ordering dependency",
            "task dependencies",
            "taskdependencyerror",
        ),
    ),
    (
        Target.USER,
        ("no users found", "no groups found", "entries in passwd", "entries in group", "find user", "find group"),
    ),
    (Target.GPU_DRIVER, ("nvidia-container-cli", "nvidia-container-runtime", "nvidia", "nvml", "device driver")),
    (Target.SERVICE_CONNECT, ("service connect",)),
    (Target.INFRASTRUCTURE_ROLE, ("infrastructure role",)),
    (
        Target.VOLUME_DRIVER,
        (
            "volumedriver.mount",
            "volumedriver.create",
            "volumedriver.get",
            "volume driver",
            "volume plugin",
            "while mounting volume",
            "mount local volume",
            "cannotcreatevolumeerror",
            "cannotinspectvolumeerror",
            "invalidvolumeerror",
            f"plugin {NAME} not found",
        ),
    ),
    (Target.EFS, ("efs", "mount.nfs4", "mount.nfs", "nfs")),
    (Target.FSX, ("fsx",)),
    (Target.EBS, ("ebs",)),
    (
        Target.ENV_FILE,
        (
            "env file",
            "env files",
            "envfile",
            "envfiles",
            "environment file",
            "environment files",
            "file download command",
        ),
    ),
    (Target.KMS, ("kms", "kmsaccessdeniedexception")),
    (Target.SECRETS_MANAGER, ("secrets manager", "secret manager", "secretsmanager", "asm", "json key")),
    (
        Target.PARAMETER_STORE,
        ("ssm", "systems manager", "parameter store", "parameternotfound", "invalid parameters"),
    ),
    (
        Target.LOGS,
        (
            "log group",
            "log groups",
            "log stream",
            "awslogs",
            "cloudwatch logs",
            "cloudwatch",
            "logger args",
            "create stream",
        ),
    ),
    (Target.LOG_DRIVER, ("logging driver", "log driver", "logger", "fluentd", "firelens", "splunk")),
    (Target.ECR, ("ecr", "registry auth")),
    (Target.ROLE, ("assume the role", "assume role", "assume iam role")),
    (
        Target.NETWORK_INTERFACE,
        (
            "network interface",
            "network interfaces",
            "eni",
            "insufficientfreeaddressesinsubnet",
            "free addresses",
            "resource:eni",
            "networkinterfaceerror",
        ),
    ),
    (Target.EPHEMERAL_STORAGE, ("ephemeralstorage", "ephemeral storage")),
    (Target.WORKING_DIRECTORY, ("chdir to cwd", "chdir", "working directory")),
    (Target.PORT, ("port is already", "address already in use", "bind for", "userland proxy", "host port")),
    (
        Target.COMMAND,
        ("executable file", "exec", "exec format error", "entrypoint", "is a directory", "executable", "createprocess"),
    ),
    (Target.DEVICE, ("custom device", "device information", "device node")),
    (Target.CAPABILITY, ("capability", "apply caps", "capadd", "unknown capability", "capabilities")),
    (Target.ULIMIT, ("ulimit", "ulimits", "rlimit", "setting rlimits", "rlimits")),
    (Target.SYSCTL, ("sysctl", "sysctls")),
    (Target.MEMORY_SETTING, ("memory limit", "minimum memory", "memory reservation", "memory swappiness")),
    (Target.CPU_SETTING, ("range of cpus", "cpu shares", "cpu-shares", "cpu period", "cpu quota")),
    (Target.MOUNT, ("error mounting", "bind source path", "mount config", "mounting", "mount", "rootfs")),
    (Target.DOCKER, ("docker daemon", "docker socket", "cgroup", "cgroups", "storage driver", "container name")),
    (Target.CONTAINER_HEALTH, ("container health checks", "container health check", "failed container health")),
    (
        Target.LOAD_BALANCER,
        ("elb", "target-group", "target group", "load balancer", "health checks failed with these codes"),
    ),
    (Target.CIRCUIT_BREAKER, ("circuit breaker",)),
    (Target.LIFECYCLE_HOOK, ("lifecycle hook", "lifecycle hooks", "hook(s")),
    (Target.ALARM, ("alarm", "alarms")),
    (Target.GPU, ("resource:gpu", "gpu", "gpus")),
    (Target.CPU, ("resource:cpu", "cpu", "vcpu", "vcpus")),
    (Target.MEMORY, ("resource:memory", "memory")),
    (Target.PORTS, ("resource:ports", "resource:port", "port", "ports")),
    (Target.FARGATE, ("resource:fargate", "fargate", "capacity is unavailable")),
    (Target.AGENT, ("agent",)),
    (Target.LOCATION, ("location",)),
    (Target.CONSTRAINT, ("placement constraint", "memberof", "distinctinstance")),
    (Target.ATTRIBUTE, ("attribute", "attributes")),
    (
        Target.NO_INSTANCE,
        ("no active instances", "empty capacity provider", "no container instances", "no container instance"),
    ),
    (Target.COMPATIBILITY, ("not compatible", "requirescompatibilities", "compatible with")),
    (Target.ACCELERATOR, ("xid", "accelerated_compute", "accelerated compute", "accelerator")),
)

# What an IAM action or a host of AWS belongs to.
_OF_SERVICE: Mapping[str, Target] = {
    "ecr": Target.ECR,
    "secretsmanager": Target.SECRETS_MANAGER,
    "ssm": Target.PARAMETER_STORE,
    "kms": Target.KMS,
    "logs": Target.LOGS,
    "s3": Target.ENV_FILE,
    "elasticfilesystem": Target.EFS,
    "fsx": Target.FSX,
}
_OPERATION_OF = {  # as the AWS SDK for Go writes them: "operation error Secrets Manager: GetSecretValue"
    "ecr": "ecr",
    "secrets manager": "secretsmanager",
    "ssm": "ssm",
    "kms": "kms",
    "cloudwatch logs": "logs",
    "s3": "s3",
    "ec2": "ec2",
    "efs": "elasticfilesystem",
}
# Kinds of ARN that say what failed; others, such as the role that was denied, only say who asked.
_OF_ARN = {"secretsmanager": Target.SECRETS_MANAGER, "ssm": Target.PARAMETER_STORE, "logs": Target.LOGS}
_USER_FILES = ("/etc/passwd", "/etc/group")
_GPU_FILES = ("/dev/nvidia", "libnvidia", "libcuda", "nvidia-container")

# Words that tell how a placement failed when they are all that the reason says.
_ALONE = {"agent": Target.AGENT, "attribute": Target.ATTRIBUTE, "location": Target.LOCATION}


# --- names ------------------------------------------------------------------------------------------------------------

_SERVICE_PREFIX = re.compile(r"^\s*service \S+:\s", re.IGNORECASE)
_GLUED_ERROR = re.compile(r"^(\s*(?:\w+: )?\w+Error):(?=\S)", re.IGNORECASE)
_COMMAND = re.compile(r"""\bexec: ?(["'])([^"']{0,512})(?:\1|$)""", re.IGNORECASE)
_ASSIGNED = re.compile(r"=(?=[\"'])")  # `error="failed to …"`: a sentence, not a name
_TOKEN = re.compile(
    r"""[(\[{<]*(?P<quote>["'`])(?P<quoted>[^"'`\s]{1,512})(?P=quote)(?!\w)|(?:b(?=["']))?(?P<plain>\S+)"""
)
_OPENING, _CLOSING = "([{<\"'`\u201c\u2018", ")]}>\"'`\u201d\u2019,;:!?"
# Whole tokens that look like names but are not. Those of the vocabulary are added below.
_WORDS = {
    "roll-back",
    "rolled-back",
    "rolling-back",
    "rolls-back",
    "oom-killed",
    "net/http",
    "client.timeout",
    "availability-zone",
    "ec2",
    "fargate_spot",
}
_LOOKS_LIKE_A_NAME = re.compile(r"[/:@_.\\=\-]|[a-z][0-9]|[0-9][a-z]", re.IGNORECASE)

# The word after these is a name, whatever it looks like, unless it is a word that continues the sentence.
_INTRODUCING = tuple(
    (phrase, kind, frozenset(unless.split()))
    for phrase, kind, unless in (
        ("resolve ref", "image", ""),
        ("resolve reference", "image", ""),
        ("pull ref", "image", ""),
        ("manifest for", "image", "platform"),
        ("denied for", "image", ""),
        ("find image", "image", ""),
        ("such image", "image", ""),
        ("pulling image", "image", ""),
        ("pull image", "image", "manifest from"),
        ("repository with name", "image", ""),
        ("log group", "log_group", "defined in is was does not name or for and cannot could that"),
        ("log group name", "log_group", ""),
        ("log stream", "other", "name in is was does not for has"),
        ("fetch secret", "secret", "data value from"),
        ("secret with name", "secret", ""),
        ("secret named", "secret", ""),
        ("invalid parameters", "parameter", ""),
        ("invalid ssm parameters", "parameter", ""),
        ("parameter named", "parameter", ""),
        ("json key", "key", ""),
        ("find user", "user", ""),
        ("find group", "user", ""),
        ("lookup", "host", ""),
        ("stat", "path", ""),
        ("on endpoint", "other", ""),
        ("volume", "other", "driver plugin not is was in to from does has mount creation attachment for"),
        ("device driver", "other", ""),
        ("dependent on container", "blamed", ""),
        ("dependency container", "blamed", ""),
    )
)
# The same by the last word of the phrase: most words introduce nothing.
_INTRODUCED = {
    last: tuple(row for row in _INTRODUCING if row[0].rpartition(" ")[2] == last)
    for last in {phrase.rpartition(" ")[2] for phrase, _, _ in _INTRODUCING}
}
# `(service web) (port 80) is unhealthy in (target-group …)`.
_IN_PARENTHESES = {
    "service": "other",
    "elb": "other",
    "target-group": "other",
    "deployment": "other",
    "task": "other",
    "taskset": "other",
    "cluster": "other",
    "instance": "other",
    "port": "port",
}


# A name is between these: "container web was …". Not: "container init was OOM-killed", "service call has been …".
_BETWEEN = {"container": {"was", "is", "exited", "unhealthy"}, "service": {"was", "has"}}
_NOT_BETWEEN = {"init", "that", "which", "it", "instance", "call"}


class _Token(NamedTuple):
    """A word or a name, with the characters before and after it."""

    opening: str
    core: str
    closing: str
    quoted: bool

    @property
    def key(self) -> str:
        return self.core.lower()


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        quoted = match["quoted"]
        if quoted is not None:
            yield _Token("", quoted, "", quoted=True)
            continue
        plain = match["plain"]
        bare = plain.lstrip(_OPENING)
        core = bare.rstrip(_CLOSING)
        shown = core.rstrip(".") if not core.endswith("..") else core
        yield _Token(plain[: len(plain) - len(bare)], shown, bare[len(shown) :], quoted=False)


class _Names(NamedTuple):
    """The names by kind, in order, and the words that are left of the text."""

    by_kind: Mapping[str, list[str]]
    words: tuple[str, ...]
    wording: str


def _split(text: str) -> _Names:
    """Takes the names out of the text."""
    by_kind: dict[str, list[str]] = {}
    commands = [match[2] for match in _COMMAND.finditer(text)]
    if commands:
        by_kind["command"] = commands
    tokens = list(_tokens(_ASSIGNED.sub("= ", _COMMAND.sub(f"exec: {NAME}", text))))
    words: list[str] = []
    shown: list[str] = []
    for place, token in enumerate(tokens):
        kind = _kind(tokens, place, words)
        if kind:
            by_kind.setdefault(kind, []).append(token.core)
        word = NAME if kind or token.core == NAME else token.key
        if word:
            words.append(word)
        shown.append(f"{token.opening}{word}{token.closing.rstrip('.')}")
    return _Names(by_kind, tuple(words), " ".join(shown).lower())


def _kind(tokens: list[_Token], place: int, words: list[str]) -> str:
    """The kind of name that the token is, or "" for a word. `words` are those before it."""
    token = tokens[place]
    if not token.core or token.core == NAME:
        return ""
    by_place = _by_place(tokens, place, words)
    is_word = token.key in _WORDS or token.key.isdigit() or not _LOOKS_LIKE_A_NAME.search(token.core)
    if by_place or (is_word and not token.quoted):
        return by_place
    return _shape(token.core) or "other"


def _by_place(tokens: list[_Token], place: int, words: list[str]) -> str:
    """The kind of name that must come here, or ""."""
    token = tokens[place]
    before = tokens[place - 1] if place else None
    after = tokens[place + 1].key if place + 1 < len(tokens) else ""
    if "[" in token.opening and "(" in token.core:
        return "dependency"
    if token.opening.endswith("(") and after == "exited":
        return "blamed"
    introduced = _introduced(token, words, before)
    if introduced or not before or before.closing or token.key in _NOT_BETWEEN:
        return introduced
    return "other" if after in _BETWEEN.get(before.key, ()) else ""


def _introduced(token: _Token, words: list[str], before: _Token | None) -> str:
    if before and before.opening.endswith("(") and before.key in _IN_PARENTHESES and not before.closing:
        return _IN_PARENTHESES[before.key]
    rows = _INTRODUCED.get(words[-1], ()) if words else ()
    tail = f" {' '.join(words[-3:])}" if rows else ""
    for phrase, kind, unless in rows:
        if tail.endswith(f" {phrase}") and (token.quoted or token.key not in unless):
            shape = _shape(token.core)
            return shape if shape in {"url", "arn", "image", "platform"} else kind
    return ""


_SHAPES = (
    ("url", re.compile(r"https?://", re.IGNORECASE)),
    ("arn", re.compile(r"arn:[\w-]*:", re.IGNORECASE)),  # not the image `arn:1`
    ("path", re.compile("/")),
    ("platform", re.compile(r"(?:linux|windows)/[^:]*$", re.IGNORECASE)),  # not the image `linux/web:1`
)


def _shape(core: str) -> str:
    """What kind of name this looks like; "" if that is not clear."""
    by_beginning = next((kind for kind, pattern in _SHAPES if pattern.match(core)), "")
    host, slash, _ = core.partition("/")
    if by_beginning or not slash:
        return by_beginning or ("host" if re.fullmatch(r"[\w-]+(?:\.[\w-]+)+(?::[0-9]+)?", core) else "")
    if host.endswith(":"):
        return "mount"
    return "image" if "." in host else ""


# --- what the names say -----------------------------------------------------------------------------------------------

_ACTION = re.compile(r"(?:perform:? |allows the |action:? )([a-z0-9-]{2,40}:[a-z]\w{1,80})\b", re.IGNORECASE)
_OPERATION = re.compile(r"operation error ([a-z0-9 ]{2,24}): (\w{3,64})", re.IGNORECASE)
_ARN = re.compile(r"^arn:[\w-]*:([\w-]*):[\w-]*:[\w*-]*:(.*)$", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?!go$)[a-z]{2,}", re.IGNORECASE)
_MANIFEST = re.compile(r"^https?://([^/]+)/v2/(.+)/manifests/([^/]+)$", re.IGNORECASE)
_HTTP_STATUS = re.compile(r"failed with these codes: \[([0-9]{3}(?:, ?[0-9]{3}){0,9})\]", re.IGNORECASE)
_PORT = re.compile(r"(?::|port )([0-9]{1,5})(?::| failed| is already)", re.IGNORECASE)


def _action(text: str) -> str:
    match = _ACTION.search(text)
    if match:
        return match[1]
    match = _OPERATION.search(text)
    service = _OPERATION_OF.get(match[1].lower()) if match else None
    return f"{service}:{match[2]}" if match and service else ""


def _hosts(by_kind: Mapping[str, list[str]]) -> tuple[str, ...]:
    of_urls = (url.split("/")[2] if url.count("/") > 1 else "" for url in by_kind.get("url", ()))
    of_mounts = (mount.partition(":")[0] for mount in by_kind.get("mount", ()))
    hosts = (host.partition(":")[0].lower() for host in (*of_urls, *by_kind.get("host", ()), *of_mounts))
    return tuple(host for host in hosts if _HOST.fullmatch(host))


def _image(by_kind: Mapping[str, list[str]]) -> Image | None:
    for reference in by_kind.get("image", ()):
        if not reference.endswith((".", "…")):  # ECS cut the text inside the name
            return image(reference)
    for url in by_kind.get("url", ()):
        match = _MANIFEST.match(url)
        if match:
            tag, digest = ("", match[3]) if match[3].startswith("sha256:") else (match[3], "")
            return Image(match[1], match[2], tag, digest)
    return None


def _arns(by_kind: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Service and resource of each ARN."""
    for text in by_kind.get("arn", ()):
        match = _ARN.match(text)
        if match:
            yield match[1].lower(), match[2]


def _resource(by_kind: Mapping[str, list[str]], service: str, kind: str) -> str:
    for of_service, resource in _arns(by_kind):
        if of_service == service and resource.lower().startswith(kind):
            return resource[len(kind) :].partition(":")[0] if service == "logs" else resource[len(kind) :]
    return ""


def _role(by_kind: Mapping[str, list[str]]) -> str:
    assumed = _resource(by_kind, "sts", "assumed-role/").partition("/")[0]
    return assumed or _resource(by_kind, "iam", "role/").rpartition("/")[2]


def _blamed(by_kind: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Containers of `dependency [migrate(IMAGE) …] for target [app(IMAGE) …]` but the target, and those in words."""
    *of_graph, _target = [text.partition("(")[0] for text in by_kind.get("dependency", ())] or [""]
    return tuple(dict.fromkeys((*of_graph, *reversed(by_kind.get("blamed", ())))))


def _first(by_kind: Mapping[str, list[str]], kind: str) -> str:
    return next(iter(by_kind.get(kind, ())), "")


# --- how and what -----------------------------------------------------------------------------------------------------

_WORDS |= {
    word
    for rows in (_FAILURES, _TARGETS)
    for _, phrases in rows
    for phrase in phrases
    for word in phrase.split()
    if _LOOKS_LIKE_A_NAME.search(word)
}
# A name comes first, or after a prefix that ends in ": ", ") " and the like; anywhere else it is only mentioned. The
# `Cannot…` families also count without their "Error": some wrappers cut a reason after a few characters.
_ERROR_NAME = re.compile(r"(?:^|: |[(\[]|[)\]] |- )[\"']?(\w+error|cannot(?:pull|start|create)\w+)\b")


def _failure(by_kind: Mapping[str, list[str]], words: str) -> Failure | None:
    failure = next(
        (meaning for meaning, phrases in _FAILURES if any(f" {phrase} " in words for phrase in phrases)), None
    )
    for_windows = any(name.lower().startswith("windows/") for name in by_kind.get("platform", ()))
    return Failure.HOST_OS if failure is Failure.PLATFORM and for_windows else failure


def _target_in(words: str) -> Target | None:
    return next((meaning for meaning, phrases in _TARGETS if any(f" {phrase} " in words for phrase in phrases)), None)


def _target(names: _Names, words: str, error: str, action: str) -> Target | None:
    """What the action, the files and hosts, and then the words name; of a pull that names nothing else, the image."""
    by_kind = names.by_kind
    files = [name for kind in ("path", "host", "command", "other") for name in by_kind.get(kind, ())]
    service = action.partition(":")[0].lower()
    target = _ALONE.get(words.strip().removeprefix("taskfailedtostart ")) or _target_in(words)
    if any(path.lower().endswith(_USER_FILES) for path in files):
        return Target.USER
    if any(path.lower().startswith(_GPU_FILES) for path in files):
        return Target.GPU_DRIVER
    if service in _OF_SERVICE:
        return _OF_SERVICE[service]
    pulls = error.startswith("cannotpull")
    if pulls and target not in {Target.SECRETS_MANAGER, Target.ROLE}:
        layers = any(host.startswith("s3.") or ".s3." in host for host in _hosts(by_kind))
        return Target.IMAGE_LAYERS if layers else Target.IMAGE
    of_hosts = (_of_host(host) for host in _hosts(by_kind))
    of_arns = (_OF_ARN.get(of_service) for of_service, _ in _arns(by_kind))
    return target or next(filter(None, of_hosts), None) or next(filter(None, of_arns), None)


def _of_host(host: str) -> Target | None:
    """`api.ecr.REGION.amazonaws.com`, `fs-1.efs.REGION.amazonaws.com`."""
    if ".amazonaws.com" not in host:
        return None
    labels = host.split(".")
    if "efs" in labels:
        return Target.EFS
    return next((_OF_SERVICE[label] for label in labels if label in _OF_SERVICE), None)


@lru_cache(maxsize=512)  # classification, advice and message ask for the same few texts
def parse(text: str) -> StopReason:
    """What the reason says. It never raises, and its time is linear in the first `LOOKED_AT` characters.

    Case, runs of white space and the `Service NAME: ` in front make no difference.
    """
    line = _GLUED_ERROR.sub(r"\1: ", _SERVICE_PREFIX.sub("", " ".join(text[:LOOKED_AT].replace("\u2019", "'").split())))
    names = _split(line)
    by_kind = names.by_kind
    joined = f" {' '.join(names.words)} ".replace(f" {_FIXED} ", " ")
    match = _ERROR_NAME.search(names.wording)
    error = match[1] if match else ""
    action = _action(line)
    target = _target(names, joined, error, action)
    port = _PORT.search(line) if target is Target.PORT else None
    answered = _HTTP_STATUS.search(line)
    secret = _resource(by_kind, "secretsmanager", "secret:") or _first(by_kind, "secret")
    return StopReason(
        wording=names.wording,
        error=error,
        failure=_failure(by_kind, joined),
        target=target,
        action=action,
        role=_role(by_kind),
        image=_image(by_kind),
        blamed=_blamed(by_kind),
        secret=secret,
        parameter=_resource(by_kind, "ssm", "parameter") or _first(by_kind, "parameter"),
        log_group=_resource(by_kind, "logs", "log-group:") or _first(by_kind, "log_group"),
        file_system=_resource(by_kind, "elasticfilesystem", "file-system/") or _file_system(_hosts(by_kind)),
        path=_first(by_kind, "path"),
        user=_first(by_kind, "user"),
        key=_first(by_kind, "key"),
        command=_first(by_kind, "command"),
        port=port[1] if port else _first(by_kind, "port"),
        http_status=answered[1] if answered else "",
        function=_resource(by_kind, "lambda", "function:").partition(":")[0],
        hosts=_hosts(by_kind),
    )


def _file_system(hosts: tuple[str, ...]) -> str:
    return next((host.partition(".")[0] for host in hosts if host.startswith("fs-") and ".efs." in host), "")

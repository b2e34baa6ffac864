"""What to do about a cause, in one or two sentences. This is data: the first hint that fits is used.

A hint is chosen by what `router.ecs.stop_reason` reads from the reason, and by what the event says: the exit code, the image's
registry, the launch type. It fits if each of its conditions holds and everything that its text names is known; so a
hint that names the memory limit comes before one that does not. `source` is the page with the advice.
"""

from collections.abc import Mapping
from string import Formatter
from typing import NamedTuple

from router.causes import Words
from router.ecs.exit_codes import CONTROL_C, SIGINT, SIGKILL, SIGTERM, TERMINATED_BY_CONSOLE
from router.ecs.stop_reason import NETWORK, Failure, Registry, StopReason, Target, image

_GUIDE = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/"
_MEMORY = f"{_GUIDE}out-of-memory.html"
_PULL = f"{_GUIDE}task_cannot_pull_image.html"
_INIT = f"{_GUIDE}resource-initialization-error.html"
_START = f"{_GUIDE}cannot-start-container.html"
_CREATE = f"{_GUIDE}CannotCreateContainerError.html"
_STOPPED = f"{_GUIDE}stopped-task-error-codes.html"
_CHECKS = f"{_GUIDE}healthcheck.html"
_BALANCER = f"{_GUIDE}troubleshoot-service-load-balancers.html"
_BREAKER = f"{_GUIDE}deployment-circuit-breaker.html"
_HOOKS = f"{_GUIDE}deployment-lifecycle-hooks.html"
_PLACING = f"{_GUIDE}service-event-messages-list.html"
_FAILURES = f"{_GUIDE}api_failures_messages.html"
_ACTIONS = f"{_GUIDE}ecs_service_events.html"
_SPOT = f"{_GUIDE}fargate-capacity-providers.html"
_MAINTENANCE = f"{_GUIDE}task-maintenance.html"
_DRAINING = f"{_GUIDE}container-instance-draining.html"
_EVENTS = f"{_GUIDE}ecs_cwe_events.html"
_EXECUTION_ROLE = f"{_GUIDE}task_execution_IAM_role.html"
_TASK_ROLE = f"{_GUIDE}task-iam-roles.html"
_ENV_FILES = f"{_GUIDE}use-environment-file.html"
_PRIVATE = f"{_GUIDE}private-auth.html"
_EBS = f"{_GUIDE}troubleshoot-ebs-volumes-scenarios.html"
_EFS = f"{_GUIDE}efs-volumes.html"
_CONNECT = f"{_GUIDE}service-connect.html"
_PARAMETERS = f"{_GUIDE}task_definition_parameters.html"
_GPU = f"{_GUIDE}ecs-gpu.html"
_DEPENDS = f"{_GUIDE}example_task_definitions.html"
_ECR_LIMITS = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html"
_ECR_PUBLIC = "https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html"
_CODES = "https://repost.aws/knowledge-center/ecs-task-stopped"
_RUN = "https://docs.docker.com/engine/containers/run/#exit-status"
_ATTESTATIONS = "https://docs.docker.com/build/metadata/attestations/"
_SIGNALS = "https://man7.org/linux/man-pages/man7/signal.7.html"
_WINDOWS = "https://learn.microsoft.com/archive/blogs/joshpoley/common-process-termination-values"
_INSTANCE = "https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerInstance.html"
_INSIGHTS = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html"
_RUN_TASK = "https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html"
_EVENTS_ROLE = f"{_GUIDE}CWE_IAM_role.html"
_RETIRING = f"{_GUIDE}prepare-task-retirement.html"
_HEALTH = "https://docs.aws.amazon.com/health/latest/ug/getting-started-health-dashboard.html"
_CODEDEPLOY = "https://docs.aws.amazon.com/codedeploy/latest/userguide/deployments-stop.html"

_FARGATE = ("FARGATE",)
_ON_INSTANCES = ("EC2", "EXTERNAL", "MANAGED_INSTANCES")
_DENIED = (Failure.DENIED, Failure.PERMISSION, Failure.EXPIRED)
_OUTSIDE_AWS = (Registry.DOCKER_HUB, Registry.GHCR, Registry.OTHER)


class Hint(NamedTuple):
    """One line of the table. An empty condition holds for everything.

    Attributes:
        source: the page that says so.
        target, failure: what failed and how, as the reason says.
        registry: where the image comes from.
        launch: the task's launch type.
        code: the exit code, without a sign.
        metric: of an alarm.
        hook: the kind of a deployment's lifecycle hook.
        beside: the exit code of another container, in a standalone task.
        refusal: how the reason or error of a refused call begins. affects: what a Health event affects.
    """

    en: str
    ja: str
    source: str
    target: tuple[Target, ...] = ()
    failure: tuple[Failure, ...] = ()
    registry: tuple[Registry, ...] = ()
    launch: tuple[str, ...] = ()
    code: tuple[int, ...] = ()
    metric: tuple[str, ...] = ()
    hook: tuple[str, ...] = ()
    beside: tuple[int, ...] = ()
    refusal: tuple[str, ...] = ()
    affects: tuple[str, ...] = ()


class Situation(NamedTuple):
    """What hints are chosen by.

    Attributes:
        reason: what the reason says, parsed.
        code: exit code of the container that caused the alert, or None.
        image: that container's image as the task definition names it, or "".
        launch: `FARGATE`, `EC2`, `EXTERNAL`, or "" where the event does not say.
        metric: of an alarm, its metric. hook: of a deployment hook, `AWS_LAMBDA` or `PAUSE`.
        beside: of a standalone task that has stopped, the exit codes of all containers.
        refusal: of a call that ECS refused, the reason of the first failure, or the error's name.
        affects: of a Health event, `tasks` or `services`.
    """

    cause: str
    reason: StopReason = StopReason()
    code: int | None = None
    image: str = ""
    launch: str = ""
    metric: str = ""
    hook: str = ""
    beside: frozenset[int] = frozenset()
    refusal: str = ""
    affects: str = ""

    @property
    def registry(self) -> Registry | None:
        """The registry of the image that the reason names, else of the container's image."""
        reference = self.reason.image or image(self.image)
        return reference.registry if reference else None


def _unreachable(
    en: str, ja: str, endpoints: str, target: tuple[Target, ...], source: str = _INIT
) -> tuple[Hint, Hint]:
    """Two hints for a service of AWS that the task cannot reach; only a Fargate task may have a public IP address."""
    several = "endpoints" if "," in endpoints else "endpoint"
    return (
        Hint(
            f"The subnet cannot reach {en}: you need a NAT gateway, a public IP or the VPC {several} ({endpoints}), and "
            "a security group that allows outbound 443.",
            f"サブネットから {ja} に接続できません。NAT ゲートウェイ、パブリック IP または VPC エンドポイント ({endpoints}) と、"
            "443 のアウトバウンドの許可が必要です。",
            source,
            target,
            NETWORK,
            launch=_FARGATE,
        ),
        Hint(
            f"The task cannot reach {en}: check the route (NAT gateway or VPC {several} {endpoints}), DNS, and outbound "
            "443 in the security groups.",
            f"{ja} に接続できません。ルート (NAT ゲートウェイまたは VPC エンドポイント {endpoints})、DNS、セキュリティグループの "
            "443 のアウトバウンドを確認してください。",
            source,
            target,
            NETWORK,
        ),
    )


_ROLE = (
    Hint(
        "ECS could not assume role {role}: it must exist and trust ecs-tasks.amazonaws.com, and the caller that starts "
        "the task needs iam:PassRole for it.",
        "ロール {role} を引き受けられません。ロールの存在、信頼ポリシー (ecs-tasks.amazonaws.com)、タスクを起動する側の "
        "iam:PassRole を確認してください。",
        _TASK_ROLE,
        (Target.ROLE,),
    ),
    Hint(
        "ECS could not assume the task's role: it must exist and trust ecs-tasks.amazonaws.com, and the caller that "
        "starts the task needs iam:PassRole for it.",
        "タスクのロールを引き受けられません。ロールの存在、信頼ポリシー (ecs-tasks.amazonaws.com)、タスクを起動する側の "
        "iam:PassRole を確認してください。",
        _TASK_ROLE,
        (Target.ROLE,),
    ),
)

_INFRASTRUCTURE_ROLE = Hint(
    "ECS could not assume the infrastructure role: it must trust ecs.amazonaws.com, and the caller that starts the task "
    "needs iam:PassRole for it.",
    "ECS インフラストラクチャロールを引き受けられません。信頼ポリシー (ecs.amazonaws.com) と、タスクを起動する側の iam:PassRole "
    "を確認してください。",
    _EBS,
    (Target.INFRASTRUCTURE_ROLE,),
)

_STORES = (Target.SECRETS_MANAGER, Target.PARAMETER_STORE)
# A secret that the task cannot read. Older platforms report it without ResourceInitializationError in front.
_SECRETS = (
    Hint(
        "The secret has no JSON key {key}: compare the key in valueFrom with the keys in the secret.",
        "シークレットに JSON キー {key} がありません。タスク定義の valueFrom のキー名とシークレットの内容を照合してください。",
        _INIT,
        failure=(Failure.NO_JSON_KEY,),
    ),
    Hint(
        "The secret lacks the JSON key that valueFrom names: compare it with the keys in the secret.",
        "シークレットに該当する JSON キーがありません。タスク定義の valueFrom のキー名とシークレットの内容を照合してください。",
        _INIT,
        failure=(Failure.NO_JSON_KEY,),
    ),
    Hint(
        "Grant kms:Decrypt on the customer managed key to {execution_role}, and allow it in the key policy.",
        "{execution_role}にカスタマーマネージドキーの kms:Decrypt を許可し、キーポリシーでも許可してください。",
        _EXECUTION_ROLE,
        (Target.KMS,),
        _DENIED,
    ),
    *_unreachable("AWS KMS", "AWS KMS", "kms", (Target.KMS,)),
    Hint(
        "The KMS key could not be used: check that it exists in this Region and is enabled, and that {execution_role} "
        "has kms:Decrypt.",
        "KMS キーを使用できません。このリージョンにキーが存在して有効であること、{execution_role}に kms:Decrypt があることを"
        "確認してください。",
        _EXECUTION_ROLE,
        (Target.KMS,),
    ),
    Hint(
        "Grant {action} to {execution_role}, plus kms:Decrypt if you use a customer managed key.",
        "{execution_role}に {action} を許可してください。カスタマーマネージドキーを使う場合は kms:Decrypt も必要です。",
        _EXECUTION_ROLE,
        _STORES,
        _DENIED,
    ),
    Hint(
        "Grant secretsmanager:GetSecretValue to {execution_role}, plus kms:Decrypt if you use a customer managed key.",
        "{execution_role}に secretsmanager:GetSecretValue を許可してください。カスタマーマネージドキーを使う場合は kms:Decrypt "
        "も必要です。",
        _EXECUTION_ROLE,
        (Target.SECRETS_MANAGER,),
        _DENIED,
    ),
    Hint(
        "Grant ssm:GetParameters to {execution_role}, plus kms:Decrypt if you use a customer managed key.",
        "{execution_role}に ssm:GetParameters を許可してください。カスタマーマネージドキーを使う場合は kms:Decrypt も必要です。",
        _EXECUTION_ROLE,
        (Target.PARAMETER_STORE,),
        _DENIED,
    ),
    Hint(
        "Secret {secret} does not exist under that name: check the ARN and Region in valueFrom, and whether it was "
        "deleted.",
        "シークレット {secret} が存在しません。valueFrom の ARN とリージョン、削除されていないかを確認してください。",
        _INIT,
        (Target.SECRETS_MANAGER,),
        (Failure.NOT_FOUND,),
    ),
    Hint(
        "The secret does not exist under that name: check the ARN and Region in valueFrom, and whether it was deleted.",
        "その名前のシークレットが存在しません。valueFrom の ARN とリージョン、削除されていないかを確認してください。",
        _INIT,
        (Target.SECRETS_MANAGER,),
        (Failure.NOT_FOUND,),
    ),
    Hint(
        "Parameter {parameter} does not exist under that name: check the name and Region in valueFrom, and whether it "
        "was deleted.",
        "パラメータ {parameter} が存在しません。valueFrom の名前とリージョン、削除されていないかを確認してください。",
        _INIT,
        (Target.PARAMETER_STORE,),
        (Failure.NOT_FOUND, Failure.INVALID),
    ),
    Hint(
        "The parameter does not exist under that name: check the name and Region in valueFrom, and whether it was "
        "deleted.",
        "その名前のパラメータが存在しません。valueFrom の名前とリージョン、削除されていないかを確認してください。",
        _INIT,
        (Target.PARAMETER_STORE,),
        (Failure.NOT_FOUND, Failure.INVALID),
    ),
    Hint(
        "Too many requests to Parameter Store at once: start fewer tasks at a time, or turn on higher throughput in "
        "its settings.",
        "Parameter Store へのリクエストが多すぎます。同時に起動するタスクを減らすか、Parameter Store の高スループット設定を"
        "有効にしてください。",
        "https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-throughput.html",
        (Target.PARAMETER_STORE,),
        (Failure.THROTTLED,),
    ),
    Hint(
        "Too many requests to Secrets Manager at once: start fewer tasks at a time, and check its quotas.",
        "Secrets Manager へのリクエストが多すぎます。同時に起動するタスクを減らし、クォータを確認してください。",
        "https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html",
        (Target.SECRETS_MANAGER,),
        (Failure.THROTTLED,),
    ),
    *_unreachable("Secrets Manager", "Secrets Manager", "secretsmanager", (Target.SECRETS_MANAGER,)),
    *_unreachable("Systems Manager", "Systems Manager", "ssm", (Target.PARAMETER_STORE,)),
    Hint(
        "The secret could not be read: check the network path to Secrets Manager, then "
        "secretsmanager:GetSecretValue of {execution_role}.",
        "シークレットを取得できません。Secrets Manager へのネットワーク経路と、{execution_role}の "
        "secretsmanager:GetSecretValue を確認してください。",
        _INIT,
        (Target.SECRETS_MANAGER,),
    ),
    Hint(
        "The parameter could not be read: check the network path to Systems Manager, then ssm:GetParameters of "
        "{execution_role}.",
        "パラメータを取得できません。Systems Manager へのネットワーク経路と、{execution_role}の ssm:GetParameters を"
        "確認してください。",
        _INIT,
        (Target.PARAMETER_STORE,),
    ),
)

_LOGS = (
    Hint(
        "Grant {action} on the log group to {execution_role}.",
        "{execution_role}に、ロググループに対する {action} を許可してください。",
        _EXECUTION_ROLE,
        (Target.LOGS,),
        _DENIED,
    ),
    Hint(
        "Grant logs:CreateLogStream and logs:PutLogEvents to {execution_role}, plus logs:CreateLogGroup if "
        "awslogs-create-group is set.",
        "{execution_role}に logs:CreateLogStream と logs:PutLogEvents を許可してください。awslogs-create-group を使う場合は "
        "logs:CreateLogGroup も必要です。",
        _EXECUTION_ROLE,
        (Target.LOGS,),
        _DENIED,
    ),
    Hint(
        "Log group {log_group} does not exist: create it, or set awslogs-create-group and grant logs:CreateLogGroup.",
        "ロググループ {log_group} が存在しません。作成するか、awslogs-create-group を設定して logs:CreateLogGroup を許可して"
        "ください。",
        _INIT,
        (Target.LOGS,),
        (Failure.NOT_FOUND,),
    ),
    Hint(
        "The log group does not exist: create it, or set awslogs-create-group and grant logs:CreateLogGroup.",
        "ロググループが存在しません。作成するか、awslogs-create-group を設定して logs:CreateLogGroup を許可してください。",
        _INIT,
        (Target.LOGS,),
        (Failure.NOT_FOUND,),
    ),
    *_unreachable("CloudWatch Logs", "CloudWatch Logs", "logs", (Target.LOGS,)),
    Hint(
        "Logging could not be set up: check logConfiguration (group, Region), the permissions of {execution_role}, and "
        "the path to CloudWatch Logs.",
        "ログの設定に失敗しました。logConfiguration (ロググループ、リージョン)、{execution_role}の権限、CloudWatch Logs への"
        "経路を確認してください。",
        _INIT,
        (Target.LOGS,),
    ),
    Hint(
        "The log driver could not start: check logConfiguration, and that its log router or server is running and "
        "can be reached.",
        "ログドライバーを起動できません。logConfiguration と、ログの送信先 (ログルーターやサーバー) に接続できることを確認して"
        "ください。",
        _START,
        (Target.LOG_DRIVER,),
    ),
)

_VOLUMES = (
    Hint(
        "Access to the file system was denied: allow elasticfilesystem:ClientMount in its policy, or in the task role "
        "if IAM authorization is on.",
        "ファイルシステムへのアクセスが拒否されました。ファイルシステムポリシー、または IAM 認可が有効な場合はタスクロールで "
        "elasticfilesystem:ClientMount を許可してください。",
        _EFS,
        (Target.EFS,),
        _DENIED,
    ),
    Hint(
        "The directory is not on the file system: create it, or correct rootDirectory or the access point.",
        "ファイルシステムにディレクトリがありません。作成するか、rootDirectory またはアクセスポイントを修正してください。",
        _EFS,
        (Target.EFS,),
        (Failure.NOT_FOUND,),
    ),
    Hint(
        "The name of the file system cannot be resolved: check its ID, its mount target in the task's Availability "
        "Zone, and the VPC's DNS settings.",
        "ファイルシステムの名前を解決できません。ファイルシステム ID、タスクのアベイラビリティーゾーンのマウントターゲット、"
        "VPC の DNS 設定を確認してください。",
        _EFS,
        (Target.EFS,),
        (Failure.DNS,),
    ),
    Hint(
        "The file system does not respond: you need a mount target in the task's Availability Zone, and NFS (2049) "
        "open between the security groups.",
        "ファイルシステムが応答しません。タスクのアベイラビリティーゾーンのマウントターゲットと、セキュリティグループ間の "
        "NFS (2049) の許可が必要です。",
        _EFS,
        (Target.EFS,),
    ),
    Hint(
        "The FSx volume could not be mounted: check the file system ID, its credentials, and the network path to it.",
        "FSx ボリュームをマウントできません。ファイルシステム ID、認証情報、ネットワーク経路を確認してください。",
        f"{_GUIDE}wfsx-volumes.html",
        (Target.FSX,),
    ),
    Hint(
        "Grant {action} to role {role}, which manages the task's EBS volume (the ECS infrastructure role).",
        "タスクの EBS ボリュームを管理するロール {role} (ECS インフラストラクチャロール) に {action} を許可してください。",
        f"{_GUIDE}infrastructure_IAM_role.html",
        (Target.EBS,),
        _DENIED,
    ),
    Hint(
        "The ECS infrastructure role may not manage the EBS volume: compare it with the managed policy "
        "AmazonECSInfrastructureRolePolicyForVolumes.",
        "ECS インフラストラクチャロールの権限が不足しています。マネージドポリシー "
        "AmazonECSInfrastructureRolePolicyForVolumes と比較してください。",
        f"{_GUIDE}infrastructure_IAM_role.html",
        (Target.EBS,),
        _DENIED,
    ),
    Hint(
        "A limit for EBS volumes is reached: check the EBS quotas of the account, and how many volumes the instance "
        "type can attach.",
        "EBS ボリュームの上限に達しています。アカウントの EBS クォータと、インスタンスタイプごとのアタッチ数の上限を確認して"
        "ください。",
        _EBS,
        (Target.EBS,),
        (Failure.QUOTA,),
    ),
    Hint(
        "The EBS volume could not be attached: see the attachment's statusReason in the task, and check snapshot, "
        "encryption key and volume settings.",
        "EBS ボリュームをアタッチできません。タスクのアタッチメントの statusReason と、スナップショット、暗号化キー、ボリュームの"
        "設定を確認してください。",
        _EBS,
        (Target.EBS,),
    ),
    Hint(
        "The volume driver did not provide the volume: check that the plugin is installed and running, and that the "
        "volume is not attached elsewhere.",
        "ボリュームドライバーがボリュームを提供できません。プラグインの稼働状況と、ボリュームが他にアタッチされていないかを"
        "確認してください。",
        f"{_GUIDE}docker-volumes.html",
        (Target.VOLUME_DRIVER,),
    ),
)

_ENV_FILE = (
    Hint(
        "Grant s3:GetObject on the environment file and s3:GetBucketLocation on its bucket to {execution_role}.",
        "{execution_role}に、環境変数ファイルの s3:GetObject とバケットの s3:GetBucketLocation を許可してください。",
        _ENV_FILES,
        (Target.ENV_FILE,),
        _DENIED,
    ),
    Hint(
        "The environment file does not exist: check bucket and key in environmentFiles, and the file's Region.",
        "環境変数ファイルが存在しません。environmentFiles のバケットとキー、リージョンを確認してください。",
        _ENV_FILES,
        (Target.ENV_FILE,),
        (Failure.NOT_FOUND,),
    ),
    *_unreachable("Amazon S3", "Amazon S3", "s3", (Target.ENV_FILE,)),
    Hint(
        "The environment file could not be read: check its name (it must end in .env), its lines, and s3:GetObject of "
        "{execution_role}.",
        "環境変数ファイルを読み込めません。ファイル名 (.env で終わること)、内容、{execution_role}の s3:GetObject を確認して"
        "ください。",
        _ENV_FILES,
        (Target.ENV_FILE,),
    ),
)

_NO_SPACE = (
    Hint(
        "The task's disk is full: raise ephemeralStorage in the task definition, or make the image smaller.",
        "タスクのディスク容量が不足しています。タスク定義の ephemeralStorage を増やすか、イメージを小さくしてください。",
        f"{_GUIDE}fargate-task-storage.html",
        failure=(Failure.NO_SPACE,),
        launch=_FARGATE,
    ),
    Hint(
        "The instance's disk is full: remove unused images and stopped containers, or enlarge its volume.",
        "インスタンスのディスク容量が不足しています。不要なイメージと停止済みコンテナを削除するか、ボリュームを拡張してください。",
        _CREATE,
        failure=(Failure.NO_SPACE,),
        launch=_ON_INSTANCES,
    ),
    Hint(
        "The disk is full: on an instance, remove unused images or enlarge its volume; on Fargate, raise "
        "ephemeralStorage.",
        "ディスク容量が不足しています。インスタンスでは不要なイメージを削除するかボリュームを拡張し、Fargate では "
        "ephemeralStorage を増やしてください。",
        _CREATE,
        failure=(Failure.NO_SPACE,),
    ),
)

_INTERFACE = (
    Hint(
        "The subnet is out of IP addresses or the account out of network interfaces: free some, or use a larger "
        "subnet.",
        "サブネットの空き IP アドレス、またはネットワークインターフェイスのクォータが不足しています。解放するか、より大きな"
        "サブネットを使用してください。",
        _STOPPED,
        (Target.NETWORK_INTERFACE,),
        (Failure.QUOTA, Failure.NO_CAPACITY),
    ),
    Hint(
        "A service retries automatically; rerun a standalone task. If it persists, check free IP addresses in the "
        "subnet, the quota of network interfaces, and AWS Health.",
        "サービスのタスクは自動的に再試行されます。スタンドアロンタスクは再実行してください。続く場合は、サブネットの空き IP "
        "アドレス、ネットワークインターフェイスのクォータ、AWS Health を確認してください。",
        _STOPPED,
        (Target.NETWORK_INTERFACE,),
    ),
)

_DEPENDENCY = (
    Hint(
        "Container {blamed} failed first, and another one depends on it: read the log of {blamed}.",
        "依存先のコンテナ {blamed} が先に失敗しています。{blamed} のログを確認してください。",
        _DEPENDS,
        (Target.DEPENDENCY,),
    ),
    Hint(
        "A container that another one depends on failed or did not become healthy: check dependsOn, and read its log.",
        "依存先のコンテナが失敗したか、正常になりませんでした。dependsOn と依存先のコンテナのログを確認してください。",
        _DEPENDS,
        (Target.DEPENDENCY,),
    ),
)

_PLATFORM = (
    Hint(
        "The image is for another operating system or Windows version: use a tag that matches "
        "runtimePlatform.operatingSystemFamily.",
        "イメージの OS または Windows のバージョンが異なります。runtimePlatform.operatingSystemFamily に合うタグを使用して"
        "ください。",
        f"{_GUIDE}windows-considerations.html",
        failure=(Failure.HOST_OS,),
    ),
    Hint(
        "The program is built for another CPU, or its script lacks a shebang line: build the image for this CPU, or "
        "change runtimePlatform.cpuArchitecture.",
        "別の CPU 向けのプログラムか、スクリプトのシバン行がありません。この CPU 向けにビルドするか、"
        "runtimePlatform.cpuArchitecture を変更してください。",
        _CODES,
        (Target.COMMAND,),
        (Failure.PLATFORM,),
    ),
    Hint(
        "{image} is not built for this CPU architecture: push one that is, or change runtimePlatform.cpuArchitecture.",
        "{image} はこの CPU アーキテクチャ向けにビルドされていません。対応するイメージをプッシュするか、"
        "runtimePlatform.cpuArchitecture を変更してください。",
        _PULL,
        failure=(Failure.PLATFORM,),
    ),
    Hint(
        "The image is not built for this CPU architecture: push one that is, or change "
        "runtimePlatform.cpuArchitecture.",
        "イメージがこの CPU アーキテクチャ向けにビルドされていません。対応するイメージをプッシュするか、"
        "runtimePlatform.cpuArchitecture を変更してください。",
        _PULL,
        failure=(Failure.PLATFORM,),
    ),
)

# What keeps a container from starting. Fargate says some of it as ResourceInitializationError.
_STARTING = (
    *_DEPENDENCY,
    Hint(
        "User {user} does not exist in the image: correct user in the task definition, or add it to the image.",
        "ユーザー {user} がイメージ内に存在しません。タスク定義の user を修正するか、イメージに追加してください。",
        _PARAMETERS,
        (Target.USER,),
    ),
    Hint(
        "The image lacks /etc/passwd or the user: check user in the task definition and USER in the image, and that "
        "the image is for this operating system.",
        "イメージに /etc/passwd または該当ユーザーがありません。タスク定義の user とイメージの USER、イメージの OS を確認して"
        "ください。",
        _PARAMETERS,
        (Target.USER,),
    ),
    Hint(
        "The instance has no working NVIDIA driver: use the ECS GPU-optimized AMI on a GPU instance type.",
        "インスタンスで NVIDIA ドライバーを使用できません。GPU インスタンスタイプで ECS GPU 最適化 AMI を使用してください。",
        _GPU,
        (Target.GPU_DRIVER,),
    ),
    *_PLATFORM,
    *_VOLUMES,
    *_LOGS,
    Hint(
        "Command {command} is not in the image: check command, entryPoint and PATH; of a script, also the interpreter "
        "in its first line.",
        "コマンド {command} がイメージ内にありません。command、entryPoint、PATH を確認し、スクリプトの場合は先頭行の"
        "インタープリターも確認してください。",
        _START,
        (Target.COMMAND,),
        (Failure.NOT_FOUND,),
    ),
    Hint(
        "The command is not in the image: check command, entryPoint and PATH; of a script, also the interpreter in its "
        "first line.",
        "コマンドがイメージ内にありません。command、entryPoint、PATH を確認し、スクリプトの場合は先頭行のインタープリターも"
        "確認してください。",
        _START,
        (Target.COMMAND,),
        (Failure.NOT_FOUND,),
    ),
    Hint(
        "The command is not allowed to run: make it executable in the image, and check the user.",
        "コマンドの実行が許可されていません。イメージ内の実行権限と実行ユーザーを確認してください。",
        _START,
        (Target.COMMAND,),
        _DENIED,
    ),
    Hint(
        "The working directory is not in the image: correct workingDirectory, or create it in the image.",
        "作業ディレクトリがイメージ内にありません。workingDirectory を修正するか、イメージに作成してください。",
        _PARAMETERS,
        (Target.WORKING_DIRECTORY,),
    ),
    Hint(
        "Port {port} is already used on the instance: use dynamic host ports (hostPort 0) or awsvpc.",
        "ポート {port} はインスタンス上ですでに使用されています。動的ホストポート (hostPort 0) または awsvpc を使用してください。",
        _START,
        (Target.PORT,),
    ),
    Hint(
        "The port is already used by another container or process on the instance: use dynamic host ports "
        "(hostPort 0) or awsvpc.",
        "ポートはインスタンス上の別のコンテナまたはプロセスが使用しています。動的ホストポート (hostPort 0) または awsvpc を使用"
        "してください。",
        _START,
        (Target.PORT,),
    ),
    Hint(
        "The instance lacks a device that the task definition asks for: check linuxParameters.devices and the instance "
        "type.",
        "タスク定義で指定されたデバイスがインスタンスにありません。linuxParameters.devices とインスタンスタイプを確認してください。",
        _PARAMETERS,
        (Target.DEVICE,),
    ),
    Hint(
        "A Linux capability cannot be set: check linuxParameters.capabilities; Fargate allows only SYS_PTRACE to be "
        "added.",
        "Linux ケーパビリティを設定できません。linuxParameters.capabilities を確認してください (Fargate で追加できるのは "
        "SYS_PTRACE のみです)。",
        _PARAMETERS,
        (Target.CAPABILITY,),
    ),
    Hint(
        "A ulimit is higher than the host allows: lower ulimits in the task definition.",
        "ulimit の値がホストの上限を超えています。タスク定義の ulimits を下げてください。",
        _PARAMETERS,
        (Target.ULIMIT,),
    ),
    Hint(
        "A kernel parameter cannot be set: check systemControls in the task definition and the network mode.",
        "カーネルパラメータを設定できません。タスク定義の systemControls とネットワークモードを確認してください。",
        _PARAMETERS,
        (Target.SYSCTL,),
    ),
    Hint(
        "The memory setting is invalid: raise memory or correct memoryReservation in the task definition.",
        "メモリの設定が不正です。タスク定義の memory を増やすか、memoryReservation を修正してください。",
        _PARAMETERS,
        (Target.MEMORY_SETTING,),
    ),
    Hint(
        "The CPU setting is invalid on this host: correct cpu in the task definition, or use a larger instance.",
        "このホストでは CPU の設定が不正です。タスク定義の cpu を修正するか、より大きなインスタンスを使用してください。",
        _PARAMETERS,
        (Target.CPU_SETTING,),
    ),
    *_NO_SPACE,
    Hint(
        "A directory or file to be mounted does not exist or has another type: check volumes and mountPoints in the "
        "task definition.",
        "マウント対象のディレクトリまたはファイルが存在しないか、種類が異なります。タスク定義の volumes と mountPoints を確認して"
        "ください。",
        _START,
        (Target.MOUNT,),
    ),
    Hint(
        "The task did not start in time, often because it cannot reach ECR, Secrets Manager or CloudWatch Logs: check "
        "routes and VPC endpoints. A service retries automatically.",
        "時間内に起動できませんでした。ECR、Secrets Manager、CloudWatch Logs に接続できないことがよくある原因です。ルートと VPC "
        "エンドポイントを確認してください。",
        "https://repost.aws/knowledge-center/ecs-fargate-docker-timeout-error",
        failure=(Failure.START_TIMEOUT,),
        launch=_FARGATE,
    ),
    Hint(
        "The instance is overloaded or its disk is slow: check its CPU credits and disk, or replace it.",
        "インスタンスの過負荷またはディスク性能の不足が考えられます。CPU クレジットとディスクを確認し、必要なら交換してください。",
        _STOPPED,
        failure=(Failure.START_TIMEOUT,),
        launch=_ON_INSTANCES,
    ),
    Hint(
        "The container did not start in time: check the network path of the task, and on an instance its load and "
        "disk.",
        "コンテナが時間内に起動しませんでした。タスクのネットワーク経路と、インスタンスの場合は負荷とディスクを確認してください。",
        _STOPPED,
        failure=(Failure.START_TIMEOUT,),
    ),
    Hint(
        "A container with this name is left on the instance: remove it (docker rm), or replace the instance.",
        "インスタンスに同じ名前のコンテナが残っています。削除する (docker rm) か、インスタンスを交換してください。",
        _CREATE,
        (Target.DOCKER,),
        (Failure.IN_USE,),
    ),
    Hint(
        "The container runtime on the instance does not work: check Docker's log, or replace the instance.",
        "インスタンスのコンテナランタイムが正常に動作していません。Docker のログを確認するか、インスタンスを交換してください。",
        _STOPPED,
        (Target.DOCKER,),
        launch=_ON_INSTANCES,
    ),
)

_PLACEMENT = (
    Hint(
        "The account's quota of Fargate vCPUs is reached: request an increase in Service Quotas, or stop tasks.",
        "アカウントの Fargate vCPU クォータに達しています。Service Quotas で引き上げを申請するか、タスクを停止してください。",
        _PLACING,
        (Target.CPU, Target.FARGATE),
        (Failure.QUOTA,),
    ),
    Hint(
        "A quota of the account is reached: request an increase in Service Quotas, or stop tasks.",
        "アカウントのクォータに達しています。Service Quotas で引き上げを申請するか、タスクを停止してください。",
        _PLACING,
        failure=(Failure.QUOTA,),
    ),
    Hint(
        "No capacity for this size in these zones right now: allow more Availability Zones, use another size, or wait.",
        "現在、これらのゾーンではこのサイズのキャパシティが不足しています。他のアベイラビリティーゾーンやサイズを許可するか、"
        "しばらく待ってください。",
        _FAILURES,
        (Target.FARGATE,),
    ),
    Hint(
        "No capacity for this size in these zones right now: allow more Availability Zones, use another size, or wait.",
        "現在、これらのゾーンではこのサイズのキャパシティが不足しています。他のアベイラビリティーゾーンやサイズを許可するか、"
        "しばらく待ってください。",
        _FAILURES,
        failure=(Failure.NO_CAPACITY,),
    ),
    Hint(
        "No instance has enough free CPU units for the task: add instances, or lower its cpu.",
        "必要な CPU ユニットを持つコンテナインスタンスがありません。インスタンスを追加するか、タスクの cpu を下げてください。",
        _PLACING,
        (Target.CPU,),
    ),
    Hint(
        "No instance has enough free memory for the task: add instances, or lower its memory.",
        "必要なメモリを持つコンテナインスタンスがありません。インスタンスを追加するか、タスクの memory を下げてください。",
        _PLACING,
        (Target.MEMORY,),
    ),
    Hint(
        "No instance has a free GPU: add instances that have one.",
        "空き GPU のあるコンテナインスタンスがありません。GPU インスタンスを追加してください。",
        _PLACING,
        (Target.GPU,),
    ),
    Hint(
        "The port is already used on every instance: use dynamic host ports (hostPort 0), awsvpc, or more instances.",
        "すべてのインスタンスでポートが使用中です。動的ホストポート (hostPort 0)、awsvpc、またはインスタンスの追加を検討して"
        "ください。",
        _PLACING,
        (Target.PORTS, Target.PORT),
    ),
    Hint(
        "The ECS agent is disconnected on the instances that would fit: check its log, or replace them.",
        "候補インスタンスの ECS エージェントが切断されています。エージェントのログを確認するか、インスタンスを交換してください。",
        _PLACING,
        (Target.AGENT,),
    ),
    Hint(
        "The instance and the subnets are in different Availability Zones: use subnets in the instances' zones.",
        "インスタンスとサブネットのアベイラビリティーゾーンが異なります。インスタンスと同じゾーンのサブネットを使用してください。",
        _FAILURES,
        (Target.LOCATION,),
    ),
    Hint(
        "No instance has an attribute that the task needs: compare the task definition with the instances' attributes "
        "and agent version.",
        "タスクに必要な属性を持つインスタンスがありません。タスク定義を、インスタンスの属性とエージェントのバージョンと比較して"
        "ください。",
        _FAILURES,
        (Target.ATTRIBUTE,),
    ),
    Hint(
        "No instance satisfies the placement constraint: compare it with the instances' attributes, or add instances.",
        "配置制約を満たすインスタンスがありません。制約とインスタンスの属性を比較するか、インスタンスを追加してください。",
        _FAILURES,
        (Target.CONSTRAINT,),
    ),
    Hint(
        "The cluster has no instance that can run the task: check the Auto Scaling group or capacity provider, and "
        "add instances.",
        "タスクを実行できるインスタンスがクラスターにありません。Auto Scaling グループまたはキャパシティプロバイダーを確認し、"
        "インスタンスを追加してください。",
        _FAILURES,
        (Target.NO_INSTANCE,),
    ),
)

_EXITS = (
    Hint(
        "It finished normally, but a service counts that as a failure: make the command stay in the foreground, or run "
        "it as a scheduled task.",
        "正常に終了しましたが、サービスでは障害として扱われます。コマンドをフォアグラウンドで動かし続けるか、スケジュールされた"
        "タスクとして実行してください。",
        _CODES,
        code=(0,),
    ),
    Hint(
        "The container runtime could not run the command: check command, entryPoint and volumes in the task "
        "definition.",
        "コンテナランタイムがコマンドを実行できませんでした。タスク定義の command、entryPoint、volumes を確認してください。",
        _RUN,
        code=(125,),
    ),
    Hint(
        "The command is in the image but cannot be executed: make it executable and check its shebang line.",
        "コマンドは存在しますが実行できません。実行権限とシバン行を確認してください。",
        _RUN,
        code=(126,),
    ),
    Hint(
        "The command is not in the image: check command and entryPoint in the task definition, and PATH.",
        "コマンドがイメージ内にありません。タスク定義の command、entryPoint と PATH を確認してください。",
        _RUN,
        code=(127,),
    ),
    Hint(
        "The image may be for another CPU (arm64 or x86_64), or a library needs instructions that this CPU lacks.",
        "イメージの CPU アーキテクチャ (arm64 / x86_64) の不一致、またはライブラリが要求する命令を CPU がサポートしていない"
        "可能性があります。",
        _SIGNALS,
        code=(132, 0xC000001D),
    ),
    Hint(
        "The process aborted itself (assertion, heap corruption, runtime fatal error). The last log lines say which.",
        "プロセス自身が異常終了しました (アサーション、ヒープ破損、ランタイムの致命的エラー)。ログの末尾を確認してください。",
        _SIGNALS,
        code=(134, 0x80000003, 0x80131506, 0x80131623, 0xC0000409, 0xC0000420),
    ),
    Hint(
        "ECS probably killed {container} for not stopping within stopTimeout (30 s by default) once another container "
        "had finished: make it exit on SIGTERM, or raise stopTimeout.",
        "他のコンテナの終了後、stopTimeout (デフォルト 30 秒) 以内に停止しなかったため、ECS が {container} を強制終了した可能性が"
        "高いです。SIGTERM で終了するようにするか、stopTimeout を延ばしてください。",
        _PARAMETERS,
        code=(SIGKILL,),
        beside=(0,),
    ),
    Hint(
        "ECS did not report an out-of-memory kill. Check MemoryUtilized first: the host or a child process ran out of "
        "memory, or SIGTERM was ignored for longer than stopTimeout.",
        "ECS はメモリ不足を報告していません。まず Container Insights の MemoryUtilized を確認してください。ホストや子プロセスの"
        "メモリ不足か、stopTimeout 以内に停止しなかったことが考えられます。",
        _CODES,
        code=(SIGKILL,),
    ),
    Hint(
        "A crash in native code. Compare with the previous image; look for a changed native library.",
        "ネイティブコードのクラッシュです。直前のイメージと比較し、変更されたネイティブライブラリを確認してください。",
        _SIGNALS,
        code=(135, 136, 139, 0xC0000005, 0xC0000094, 0xC00000FD, 0xC0000374, 0xC0000417, 0xE06D7363),
    ),
    Hint(
        "It was asked to stop, but not by ECS. Check for an instance shutdown, a process manager in the container, "
        "`docker stop`, or another container.",
        "ECS 以外の要因 (インスタンスの停止、プロセスマネージャー、`docker stop`、他のコンテナなど) で停止要求を受け取りました。",
        _CODES,
        code=(SIGINT, SIGTERM, CONTROL_C, TERMINATED_BY_CONSOLE),
    ),
    Hint(
        "A DLL is missing or does not match: check that the image contains every runtime the application needs, such "
        "as the Visual C++ redistributable.",
        "DLL が見つからないか、一致しません。アプリケーションに必要なランタイム (Visual C++ 再頒布可能パッケージなど) がイメージに"
        "含まれているか確認してください。",
        _WINDOWS,
        code=(0xC000007B, 0xC0000135, 0xC0000138, 0xC0000139, 0xC0000142, 0xC06D007E),
    ),
    Hint(
        "The process ran out of memory: raise the memory in the task definition, or look for a leak.",
        "プロセスのメモリが不足しました。タスク定義のメモリを増やすか、メモリリークを調べてください。",
        _WINDOWS,
        code=(0xC0000017, 0xC000012D),
    ),
    Hint(
        "An exception was not handled. The last log lines show its stack trace.",
        "例外が処理されませんでした。ログの末尾のスタックトレースを確認してください。",
        _WINDOWS,
        code=(0xE0434352,),
    ),
    Hint(
        "Often a wrong command line or entry point. See the last log lines.",
        "コマンドラインまたはエントリポイントの誤りがよくある原因です。ログの末尾を確認してください。",
        _CODES,
        code=(255, 2**32 - 1),
    ),
    Hint(
        "It started with {new_revision}: roll back to the previous revision, then read the last log lines of "
        "{container}.",
        "{new_revision} のデプロイ後に発生しています。前のリビジョンに戻してから、{container} のログの末尾を確認してください。",
        _CODES,
    ),
    Hint(
        "Read the last log lines of {container}. If it started with a new revision, roll back to the previous one.",
        "{container} のログの末尾を確認してください。新しいリビジョンから発生している場合は、前のリビジョンに戻してください。",
        _CODES,
    ),
    Hint(
        "Read the last log lines. If it started with a new revision, roll back to the previous one.",
        "ログの末尾を確認してください。新しいリビジョンから発生している場合は、前のリビジョンに戻してください。",
        _CODES,
    ),
)

# A call that ECS refused. Nothing tries again, unless the caller does.
_REFUSALS = (
    Hint(
        "Grant {action} on the resource that the reason names to role {role}, then start the task again.",
        "ロール {role} に、理由に示されたリソースへの {action} を許可し、タスクを再度起動してください。",
        _EVENTS_ROLE,
        refusal=("accessdenied",),
    ),
    Hint(
        "The caller lacks a permission: grant what the reason names (ecs:RunTask, or iam:PassRole for the task's roles), "
        "then start the task again.",
        "呼び出し元の権限が不足しています。理由に示されたもの (ecs:RunTask、またはタスクのロールへの iam:PassRole) を許可し、"
        "タスクを再度起動してください。",
        _EVENTS_ROLE,
        refusal=("accessdenied",),
    ),
    Hint(
        "No instance has enough free CPU units: add instances or lower the task's cpu, then start the task again.",
        "空き CPU ユニットが足りません。インスタンスを追加するかタスクの cpu を下げ、再度起動してください。",
        _FAILURES,
        refusal=("resource:cpu",),
    ),
    Hint(
        "No instance has enough free memory: add instances or lower the task's memory, then start the task again.",
        "空きメモリが足りません。インスタンスを追加するかタスクの memory を下げ、再度起動してください。",
        _FAILURES,
        refusal=("resource:memory",),
    ),
    Hint(
        "The host port is in use on every instance: use dynamic host ports (hostPort 0) or awsvpc, or add instances.",
        "すべてのインスタンスでホストポートが使用中です。動的ホストポート (hostPort 0) または awsvpc を使うか、インスタンスを"
        "追加してください。",
        _FAILURES,
        refusal=("resource:port",),
    ),
    Hint(
        "No instance can take another network interface: add or enlarge instances, or turn on awsvpcTrunking.",
        "ネットワークインターフェイスを追加できるインスタンスがありません。インスタンスを追加または大きくするか、awsvpcTrunking を"
        "有効にしてください。",
        _FAILURES,
        refusal=("resource:eni",),
    ),
    Hint(
        "No instance has enough free GPUs: add instances with GPUs, then start the task again.",
        "空き GPU が足りません。GPU インスタンスを追加し、再度起動してください。",
        _FAILURES,
        refusal=("resource:gpu",),
    ),
    Hint(
        "No instance has the free resources that the task requests: add instances, then start the task again.",
        "タスクに必要な空きリソースを持つインスタンスがありません。インスタンスを追加し、再度起動してください。",
        _FAILURES,
        refusal=("resource:",),
    ),
    Hint(
        "The ECS agent of the instance is disconnected: restart the agent or replace the instance, then start the task "
        "again.",
        "インスタンスの ECS エージェントが切断されています。エージェントを再起動するかインスタンスを交換し、再度起動してください。",
        _FAILURES,
        refusal=("agent",),
    ),
    Hint(
        "The instance and the subnets of the call are in different Availability Zones: name subnets in the instances' "
        "zones.",
        "インスタンスと、指定したサブネットのアベイラビリティーゾーンが異なります。インスタンスと同じゾーンのサブネットを指定して"
        "ください。",
        _FAILURES,
        refusal=("location",),
    ),
    Hint(
        "No instance has an attribute that the task definition requires, such as ecs.capability.task-eni for awsvpc: "
        "compare both, and update the agent.",
        "タスク定義に必要な属性 (awsvpc の場合の ecs.capability.task-eni など) を持つインスタンスがありません。両者を比較し、"
        "エージェントを更新してください。",
        _FAILURES,
        refusal=("attribute",),
    ),
    Hint(
        "The call names a container instance that does not exist: check its id, the cluster and the Region.",
        "指定されたコンテナインスタンスが存在しません。ID、クラスター、リージョンを確認してください。",
        _FAILURES,
        refusal=("missing",),
    ),
    Hint(
        "The call names a container instance that was deregistered: name one that is ACTIVE.",
        "指定されたコンテナインスタンスは登録解除されています。ACTIVE のインスタンスを指定してください。",
        _FAILURES,
        refusal=("inactive",),
    ),
    Hint(
        "Fargate has no capacity for this size in these zones right now. Start the task again later, or allow subnets in "
        "more Availability Zones.",
        "現在、これらのゾーンではこのサイズの Fargate キャパシティが不足しています。後で再度起動するか、他のアベイラビリティーゾーンの"
        "サブネットも指定してください。",
        _FAILURES,
        refusal=("capacity is unavailable",),
    ),
    Hint(
        "No instance satisfies the placement constraint: compare it with the instances' attributes, or add instances.",
        "配置制約を満たすインスタンスがありません。制約とインスタンスの属性を比較するか、インスタンスを追加してください。",
        _FAILURES,
        refusal=("memberof", "distinctinstance"),
    ),
    Hint(
        "The cluster or capacity provider has no instance: check its Auto Scaling group, then start the task again.",
        "クラスターまたはキャパシティプロバイダーにインスタンスがありません。Auto Scaling グループを確認し、再度起動してください。",
        _FAILURES,
        refusal=("no active instances", "empty capacity provider"),
    ),
    Hint(
        "The cluster has no instance that can run the task: check its Auto Scaling group or capacity provider.",
        "タスクを実行できるインスタンスがクラスターにありません。Auto Scaling グループまたはキャパシティプロバイダーを確認して"
        "ください。",
        _RUN_TASK,
        (Target.NO_INSTANCE,),
    ),
    Hint(
        "A quota of the account is reached: request an increase in Service Quotas or stop tasks, then start the task "
        "again.",
        "アカウントのクォータに達しています。Service Quotas で引き上げを申請するかタスクを停止し、再度起動してください。",
        _PLACING,
        failure=(Failure.QUOTA,),
    ),
    Hint(
        "The call names a cluster that does not exist in this Region: correct it where the call is made.",
        "指定されたクラスターがこのリージョンに存在しません。呼び出し元の設定を修正してください。",
        _RUN_TASK,
        refusal=("clusternotfound",),
    ),
    Hint(
        "The platform version of the call does not exist or does not fit the task definition: use LATEST, or correct it.",
        "指定されたプラットフォームバージョンが存在しないか、タスク定義に対応していません。LATEST を使うか修正してください。",
        _RUN_TASK,
        refusal=("platform",),
    ),
    Hint(
        "This Region does not support what the task needs: run it in another Region, or change the task definition.",
        "タスクに必要な機能がこのリージョンでサポートされていません。別のリージョンで実行するか、タスク定義を変更してください。",
        _RUN_TASK,
        refusal=("unsupportedfeature",),
    ),
    Hint(
        "AWS has blocked the account: contact AWS Support.",
        "アカウントが AWS によりブロックされています。AWS サポートに連絡してください。",
        _RUN_TASK,
        refusal=("blocked",),
    ),
    Hint(
        "ECS had an error or received too many calls. Start the task again, with a pause between attempts.",
        "ECS 側のエラー、または呼び出しの過多です。間隔を空けて、タスクを再度起動してください。",
        _RUN_TASK,
        refusal=("server", "serviceunavailable", "internal", "throttl", "conflict", "limitexceeded"),
    ),
    Hint(
        "Correct what the reason names where the call is made, then start the task again: every further call will fail.",
        "理由に示された設定を呼び出し元で修正し、タスクを再度起動してください。修正するまで呼び出しは毎回失敗します。",
        _RUN_TASK,
        refusal=("invalidparameter", "client", "namespacenotfound"),
    ),
    Hint(
        "Nothing starts this task again unless the caller does: resolve the reason, then start it.",
        "呼び出し元が再試行しない限り、タスクは起動されません。理由を解消し、再度起動してください。",
        _FAILURES,
    ),
)

HINTS: Mapping[str, tuple[Hint, ...]] = {
    "task_not_started": _REFUSALS,
    "retirement_scheduled": (
        Hint(
            "Start a replacement before then and stop the old task. AWS replaces no standalone task, whether RunTask, a "
            "schedule, AWS Batch or Step Functions started it.",
            "期限までに代わりのタスクを起動し、古いタスクを停止してください。RunTask、スケジュール、AWS Batch、Step Functions で"
            "起動したスタンドアロンタスクは、AWS により置き換えられません。",
            _MAINTENANCE,
            affects=("tasks",),
        ),
        Hint(
            "No action needed if the service can start new tasks. To choose the time yourself, force a new deployment "
            "before then.",
            "サービスが新しいタスクを起動できる状態であれば対応は不要です。時刻を選びたい場合は、それまでに新しいデプロイを強制して"
            "ください。",
            _RETIRING,
            affects=("services",),
        ),
        Hint(
            "Look up the affected tasks in the AWS Health Dashboard. Replace standalone tasks yourself; services replace "
            "theirs.",
            "AWS Health Dashboard で対象のタスクを確認してください。スタンドアロンタスクは手動で置き換えてください。サービスのタスクは"
            "自動的に置き換えられます。",
            _MAINTENANCE,
        ),
    ),
    "aws_issue": (
        Hint(
            "Follow the event in the AWS Health Dashboard. Avoid deployments and restarts that need new tasks until AWS "
            "closes it.",
            "AWS Health Dashboard でイベントの経過を確認してください。AWS がクローズするまで、新しいタスクを必要とするデプロイや再起動は"
            "避けてください。",
            _HEALTH,
        ),
    ),
    "out_of_memory": (
        Hint(
            "The limit of {memory} MiB is too low for the container even to start: raise it in the task definition.",
            "上限 {memory} MiB ではコンテナを起動できません。タスク定義のメモリを増やしてください。",
            _MEMORY,
            (Target.MEMORY_SETTING,),
        ),
        Hint(
            "Raise its limit of {memory} MiB in the task definition, or find out why {image} now needs more memory.",
            "タスク定義のメモリ上限 (現在 {memory} MiB) を増やすか、{image} のメモリ使用量が増えた原因を調べてください。",
            _MEMORY,
        ),
        Hint(
            "Raise its memory limit in the task definition, or find out why {image} now needs more memory.",
            "タスク定義のメモリ上限を増やすか、{image} のメモリ使用量が増えた原因を調べてください。",
            _MEMORY,
        ),
        Hint(
            "Raise its memory limit in the task definition, or look for a leak.",
            "タスク定義のメモリ上限を増やすか、メモリリークを調べてください。",
            _MEMORY,
        ),
    ),
    "image_pull_failed": (
        *_ROLE,
        _INFRASTRUCTURE_ROLE,
        *_SECRETS,
        Hint(
            "Docker Hub's pull limit is reached: pull through an ECR cache, or log in with repositoryCredentials.",
            "Docker Hub のプル回数制限に達しました。ECR のプルスルーキャッシュを使うか、repositoryCredentials で認証してください。",
            _PULL,
            failure=(Failure.THROTTLED,),
            registry=(Registry.DOCKER_HUB,),
        ),
        Hint(
            "ECR Public limits how often this address may pull: pull through an ECR cache, or copy the image to a "
            "private repository.",
            "ECR Public のプル回数制限に達しました。ECR のプルスルーキャッシュを使うか、イメージをプライベートリポジトリに"
            "コピーしてください。",
            _ECR_PUBLIC,
            failure=(Failure.THROTTLED,),
            registry=(Registry.ECR_PUBLIC,),
        ),
        Hint(
            "Amazon ECR throttles the account's pulls: start fewer tasks at a time, or raise the quota in Service "
            "Quotas.",
            "Amazon ECR のスロットリングが発生しています。同時に起動するタスクを減らすか、Service Quotas で引き上げを申請して"
            "ください。",
            _ECR_LIMITS,
            failure=(Failure.THROTTLED,),
            registry=(Registry.ECR,),
        ),
        Hint(
            "The registry limits how often you may pull: log in with repositoryCredentials, or copy the image to ECR.",
            "レジストリのプル回数制限に達しました。repositoryCredentials で認証するか、イメージを ECR にコピーしてください。",
            _PRIVATE,
            failure=(Failure.THROTTLED,),
        ),
        Hint(
            "{image} does not exist, or you are not allowed to pull it: check the name first, then the credentials.",
            "{image} が存在しないか、プルする権限がありません。イメージ名、認証情報の順に確認してください。",
            _PULL,
            failure=(Failure.NOT_FOUND_OR_DENIED,),
        ),
        *_PLATFORM,
        Hint(
            "Amazon ECR denied access: grant {action} to {execution_role}; across accounts, also in the repository "
            "policy.",
            "Amazon ECR に拒否されました。{execution_role}に {action} を許可してください。クロスアカウントの場合はリポジトリ"
            "ポリシーでも許可が必要です。",
            _PULL,
            (Target.ECR,),
            _DENIED,
        ),
        Hint(
            "Amazon ECR denied access: grant ecr:BatchGetImage, ecr:GetDownloadUrlForLayer and "
            "ecr:GetAuthorizationToken to {execution_role}; across accounts, also in the repository policy.",
            "Amazon ECR に拒否されました。{execution_role}に ecr:BatchGetImage、ecr:GetDownloadUrlForLayer、"
            "ecr:GetAuthorizationToken を許可してください。クロスアカウントではリポジトリポリシーも必要です。",
            _PULL,
            failure=_DENIED,
            registry=(Registry.ECR,),
        ),
        Hint(
            "GitHub denied access to {image}: store a token with read:packages in Secrets Manager and name it in "
            "repositoryCredentials.",
            "GitHub に {image} へのアクセスを拒否されました。read:packages 権限のトークンを Secrets Manager に保存し、"
            "repositoryCredentials に指定してください。",
            _PRIVATE,
            failure=_DENIED,
            registry=(Registry.GHCR,),
        ),
        Hint(
            "{registry} denied access to {image}: check the name, and the secret that repositoryCredentials names.",
            "{registry} に {image} へのアクセスを拒否されました。イメージ名と、repositoryCredentials のシークレットを確認して"
            "ください。",
            _PRIVATE,
            failure=_DENIED,
            registry=(*_OUTSIDE_AWS, Registry.ECR_PUBLIC),
        ),
        Hint(
            "The registry denied access: for ECR, check the permissions of {execution_role}; for others, "
            "repositoryCredentials.",
            "レジストリに拒否されました。ECR の場合は{execution_role}の権限、その他の場合は repositoryCredentials を確認して"
            "ください。",
            _PULL,
            failure=_DENIED,
        ),
        Hint(
            "{image} does not exist in ECR: was it pushed? Did a lifecycle policy remove it? Push it, or deploy a tag "
            "that exists.",
            "{image} が ECR に存在しません。プッシュ済みか、ライフサイクルポリシーで削除されていないかを確認し、プッシュするか、"
            "存在するタグをデプロイしてください。",
            _PULL,
            failure=(Failure.NOT_FOUND,),
            registry=(Registry.ECR,),
        ),
        Hint(
            "{image} does not exist in {registry}: check repository and tag, and deploy a tag that exists.",
            "{image} が {registry} に存在しません。リポジトリ名とタグを確認し、存在するタグをデプロイしてください。",
            _PULL,
            failure=(Failure.NOT_FOUND,),
            registry=(Registry.ECR_PUBLIC, Registry.DOCKER_HUB, Registry.GHCR),
        ),
        Hint(
            "{image} does not exist: was it pushed? Check repository and tag, and deploy a tag that exists.",
            "{image} が存在しません。プッシュ済みか、リポジトリ名とタグが正しいかを確認し、存在するタグをデプロイしてください。",
            _PULL,
            failure=(Failure.NOT_FOUND,),
        ),
        Hint(
            "The image does not exist: was it pushed? Check repository and tag, and deploy a tag that exists.",
            "イメージが存在しません。プッシュ済みか、リポジトリ名とタグが正しいかを確認し、存在するタグをデプロイしてください。",
            _PULL,
            failure=(Failure.NOT_FOUND,),
        ),
        *_NO_SPACE,
        Hint(
            "The runtime cannot unpack this image format: rebuild the image, without attestations "
            "(--provenance=false) if it has them.",
            "このイメージ形式を展開できません。イメージを再ビルドしてください (アテステーションがある場合は --provenance=false)。",
            _ATTESTATIONS,
            failure=(Failure.IMAGE_FORMAT,),
        ),
        Hint(
            "The registry's certificate is not trusted: check its chain and expiry, and any proxy in between.",
            "レジストリの証明書を信頼できません。証明書チェーンと有効期限、途中のプロキシを確認してください。",
            _PULL,
            failure=(Failure.TLS,),
        ),
        *_unreachable(
            "Amazon S3, which holds ECR's image layers",
            "Amazon S3 (ECR のイメージレイヤー)",
            "s3",
            (Target.IMAGE_LAYERS,),
            _PULL,
        ),
        *(
            hint._replace(registry=(Registry.ECR,))
            for hint in _unreachable("Amazon ECR", "Amazon ECR", "ecr.api, ecr.dkr, s3", (), _PULL)
        ),
        Hint(
            "The subnet cannot reach {registry}, and no VPC endpoint leads there: you need a NAT gateway or a public "
            "IP with outbound 443, or an ECR pull through cache.",
            "サブネットから {registry} に接続できません (VPC エンドポイントは使えません)。NAT ゲートウェイまたはパブリック IP と "
            "443 のアウトバウンドの許可、または ECR のプルスルーキャッシュが必要です。",
            _PULL,
            failure=NETWORK,
            registry=(Registry.ECR_PUBLIC, *_OUTSIDE_AWS[:2]),
        ),
        Hint(
            "The registry cannot be reached: check the route to it (NAT gateway or public IP), DNS, and outbound 443 in "
            "the security groups.",
            "レジストリに接続できません。レジストリへのルート (NAT ゲートウェイまたはパブリック IP)、DNS、セキュリティグループの "
            "443 のアウトバウンドを確認してください。",
            _PULL,
            failure=NETWORK,
        ),
        Hint(
            "The registry reported a failure of its own: check its status page. A service retries automatically; rerun "
            "a standalone task.",
            "レジストリ側でエラーが発生しています。ステータスページを確認してください。サービスのタスクは自動的に再試行されます。",
            _PULL,
            failure=(Failure.SERVER_ERROR,),
        ),
        Hint(
            "Check that {image} exists, and that {execution_role} and the subnet can reach its registry.",
            "{image} が存在し、{execution_role}とサブネットからレジストリにアクセスできることを確認してください。",
            _PULL,
        ),
        Hint(
            "Check that the image exists, and that {execution_role} and the subnet can reach its registry.",
            "イメージが存在し、{execution_role}とサブネットからレジストリにアクセスできることを確認してください。",
            _PULL,
        ),
    ),
    "resource_initialization_failed": (
        *_ROLE,
        _INFRASTRUCTURE_ROLE,
        *_SECRETS,
        Hint(
            "Amazon ECR denied access: grant {action} to {execution_role}.",
            "Amazon ECR に拒否されました。{execution_role}に {action} を許可してください。",
            _EXECUTION_ROLE,
            (Target.ECR,),
            _DENIED,
        ),
        Hint(
            "Amazon ECR denied access: grant ecr:GetAuthorizationToken to {execution_role}.",
            "Amazon ECR に拒否されました。{execution_role}に ecr:GetAuthorizationToken を許可してください。",
            _EXECUTION_ROLE,
            (Target.ECR,),
            _DENIED,
        ),
        *_unreachable("Amazon ECR", "Amazon ECR", "ecr.api, ecr.dkr, s3", (Target.ECR,)),
        *_ENV_FILE,
        *_INTERFACE,
        *_STARTING,
        Hint(
            "A host name cannot be resolved: turn on DNS resolution in the VPC, and check private DNS of its endpoints.",
            "ホスト名を解決できません。VPC の DNS 解決を有効にし、VPC エンドポイントのプライベート DNS を確認してください。",
            _INIT,
            failure=(Failure.DNS,),
        ),
        Hint(
            "The task could not reach what it needs to start: check routes, security groups and VPC endpoints.",
            "起動に必要なリソースに接続できません。ルート、セキュリティグループ、VPC エンドポイントを確認してください。",
            _INIT,
            failure=NETWORK,
        ),
        Hint(
            "Check secrets, registry, volumes and logging in the task definition, and the network path to them.",
            "タスク定義のシークレット、レジストリ、ボリューム、ログ設定と、それらへのネットワーク経路を確認してください。",
            _INIT,
        ),
    ),
    "container_start_failed": (
        *_STARTING,
        *(hint for hint in _EXITS if {126, 127}.intersection(hint.code)),
        Hint(
            "Compare command, volumes and linuxParameters with the last revision of the task definition that ran.",
            "command、volumes、linuxParameters を、最後に正常に起動したタスク定義のリビジョンと比較してください。",
            _START,
        ),
    ),
    "task_failed_to_start": (
        *_ROLE,
        _INFRASTRUCTURE_ROLE,
        *_SECRETS,
        *_VOLUMES[5:],
        *_INTERFACE,
        Hint(
            "A service retries automatically; rerun a standalone task. If it persists, check AWS Health.",
            "サービスのタスクは自動的に再試行されます。スタンドアロンタスクは再実行してください。続く場合は AWS Health を確認して"
            "ください。",
            _STOPPED,
            (Target.EPHEMERAL_STORAGE,),
        ),
        Hint(
            "The Service Connect proxy did not become healthy: read its log, and give the task more CPU and memory for "
            "the proxy.",
            "Service Connect プロキシが正常になりませんでした。プロキシのログを確認し、プロキシの分の CPU とメモリをタスクに追加して"
            "ください。",
            _CONNECT,
            (Target.SERVICE_CONNECT,),
        ),
        *_DEPENDENCY,
        *_PLACEMENT,
        Hint(
            "The task definition does not match the launch type: compare requiresCompatibilities with launch type and "
            "capacity provider.",
            "タスク定義と起動タイプが一致していません。requiresCompatibilities と、起動タイプまたはキャパシティプロバイダーを比較して"
            "ください。",
            _STOPPED,
            (Target.COMPATIBILITY,),
        ),
        Hint(
            "Grant {action} to role {role}.",
            "ロール {role} に {action} を許可してください。",
            _STOPPED,
            failure=_DENIED,
        ),
        Hint(
            "ECS deletes stopped tasks after about an hour: open it now, and compare with the last revision that "
            "started.",
            "停止したタスクの情報は約 1 時間で表示されなくなります。早めにタスクを開き、最後に起動できたリビジョンと比較して"
            "ください。",
            _STOPPED,
        ),
    ),
    "essential_container_exited": (*_DEPENDENCY, *_EXITS),
    "container_exited": (
        *(hint for hint in _EXITS if hint.code and 0 not in hint.code),
        Hint(
            "The task runs on without {container}, and ECS does not start it again: if it is needed, make it "
            "essential or give it a restartPolicy.",
            "タスクは {container} なしで実行を継続し、ECS は再起動しません。必要なコンテナなら essential にするか、"
            "restartPolicy を設定してください。",
            f"{_GUIDE}container-restart-policy.html",
        ),
    ),
    "health_check_failed": (
        Hint(
            "{container} ran out of memory, which can fail its health check: raise its limit of {memory} MiB in the task "
            "definition, or look for a leak.",
            "{container} のメモリ不足がヘルスチェック失敗の原因の可能性があります。タスク定義のメモリ上限 (現在 {memory} MiB) を"
            "増やすか、メモリリークを調べてください。",
            _MEMORY,
            failure=(Failure.OUT_OF_MEMORY,),
        ),
        Hint(
            "{container} ran out of memory, which can fail its health check: raise its memory limit in the task "
            "definition, or look for a leak.",
            "{container} のメモリ不足がヘルスチェック失敗の原因の可能性があります。タスク定義のメモリ上限を増やすか、メモリリークを"
            "調べてください。",
            _MEMORY,
            failure=(Failure.OUT_OF_MEMORY,),
        ),
        Hint(
            "A container of the task ran out of memory, which can fail the health check: raise its memory limit in the "
            "task definition, or look for a leak.",
            "タスク内のコンテナのメモリ不足がヘルスチェック失敗の原因の可能性があります。タスク定義のメモリ上限を増やすか、"
            "メモリリークを調べてください。",
            _MEMORY,
            failure=(Failure.OUT_OF_MEMORY,),
        ),
        Hint(
            "The container's own health check fails: run its command in the container, and give it time with "
            "startPeriod.",
            "コンテナのヘルスチェックに失敗しています。チェックコマンドをコンテナ内で実行して確認し、startPeriod で起動時間を"
            "確保してください。",
            _CHECKS,
            (Target.CONTAINER_HEALTH,),
        ),
        Hint(
            "The load balancer reaches the task, but its health check is answered with status {http_status}: check its "
            "path and the application's log, or the success codes of the target group.",
            "ロードバランサーからタスクには到達していますが、ヘルスチェックの応答が {http_status} です。パスとアプリケーションのログ、"
            "ターゲットグループの成功コードを確認してください。",
            _BALANCER,
            (Target.LOAD_BALANCER,),
        ),
        Hint(
            "The load balancer gets no answer in time: check that the application listens on the port, that its security "
            "group lets the load balancer in, and whether it is overloaded or starts slowly.",
            "ロードバランサーが時間内に応答を得られません。アプリケーションの待ち受けポート、セキュリティグループ、過負荷や起動の遅延を"
            "確認してください。",
            _BALANCER,
            (Target.LOAD_BALANCER,),
            (Failure.TIMEOUT,),
        ),
        Hint(
            "The load balancer gets no healthy response: check path, port and security group; if it starts slowly, "
            "raise healthCheckGracePeriodSeconds.",
            "ロードバランサーが正常な応答を得られません。パス、ポート、セキュリティグループを確認し、起動が遅い場合は "
            "healthCheckGracePeriodSeconds を増やしてください。",
            _BALANCER,
            (Target.LOAD_BALANCER,),
        ),
        Hint(
            "Call the health check URL yourself, and check whether the service is overloaded or starts slowly.",
            "ヘルスチェックの URL に手動でアクセスし、過負荷や起動の遅延がないか確認してください。",
            _CHECKS,
        ),
    ),
    "spot_interruption": (
        Hint(
            "No action if the service replaces the task within two minutes. If it happens often, raise the On-Demand "
            "base of the capacity provider strategy.",
            "2 分以内にサービスが代わりのタスクを起動すれば対応は不要です。頻発する場合は、キャパシティプロバイダー戦略の"
            "オンデマンドの base を増やしてください。",
            _SPOT,
        ),
    ),
    "host_terminated": (
        Hint(
            "A service starts the task elsewhere automatically; rerun a standalone task. See the Auto Scaling group's "
            "activity history for who terminated it.",
            "サービスのタスクは自動的に別のインスタンスで起動します。スタンドアロンタスクは再実行してください。終了の経緯は "
            "Auto Scaling グループのアクティビティ履歴で確認できます。",
            _DRAINING,
        ),
    ),
    "infrastructure_maintenance": (
        Hint(
            "AWS replaces the host. A service starts the task elsewhere automatically; rerun a standalone task.",
            "AWS がホストを交換しています。サービスのタスクは自動的に置き換えられます。スタンドアロンタスクは再実行して"
            "ください。",
            _MAINTENANCE,
        ),
    ),
    "task_stopped": (
        Hint(
            "The router does not know this stop reason. Open the task now: ECS deletes stopped tasks after about an "
            "hour.",
            "この通知ツールが判別できない停止理由です。停止したタスクの情報は約 1 時間で表示されなくなるため、早めにタスクを開いて"
            "確認してください。",
            _STOPPED,
        ),
    ),
    "deployment_stopped": (
        Hint(
            "The deployment was stopped manually or by one of its alarms; the previous tasks are still serving.",
            "デプロイは手動またはアラームにより停止されました。以前のタスクが引き続き稼働しています。",
            _CODEDEPLOY,
        ),
    ),
    "deployment_failed": (
        Hint(
            "A lifecycle hook failed, so ECS rolled back. The log of its Lambda function {function} says why.",
            "ライフサイクルフックが失敗したため、ロールバックされました。理由は Lambda 関数 {function} のログを確認してください。",
            _HOOKS,
            (Target.LIFECYCLE_HOOK,),
            (Failure.ROLLED_BACK,),
        ),
        Hint(
            "A lifecycle hook failed. The log of its Lambda function {function} says why.",
            "ライフサイクルフックが失敗しました。理由は Lambda 関数 {function} のログを確認してください。",
            _HOOKS,
            (Target.LIFECYCLE_HOOK,),
        ),
        Hint(
            "A lifecycle hook failed, so ECS rolled back. Fix what the reason names before you deploy again.",
            "ライフサイクルフックが失敗したため、ロールバックされました。再度デプロイする前に、理由に示された原因を修正してください。",
            _HOOKS,
            (Target.LIFECYCLE_HOOK,),
            (Failure.ROLLED_BACK,),
        ),
        Hint(
            "A lifecycle hook failed. Check which version is serving, and fix what the reason names.",
            "ライフサイクルフックが失敗しました。現在稼働しているバージョンを確認し、理由に示された原因を修正してください。",
            _HOOKS,
            (Target.LIFECYCLE_HOOK,),
        ),
        Hint(
            "The new tasks did not become healthy. Check why they stopped: ECS rolls back only if rollback is enabled.",
            "新しいタスクが正常になりませんでした。タスクの停止理由を確認してください。ロールバックは有効にしている場合のみ"
            "行われます。",
            _BREAKER,
            (Target.CIRCUIT_BREAKER,),
        ),
        Hint(
            "A CloudWatch alarm of the deployment went off: see which, and whether the new version is to blame.",
            "デプロイに設定された CloudWatch アラームが発生しました。該当アラームと、新しいバージョンが原因かどうかを確認して"
            "ください。",
            f"{_GUIDE}deployment-alarm-failure.html",
            (Target.ALARM,),
        ),
        Hint(
            "ECS rolled back to the previous version. Fix the cause that the reason names before you deploy again.",
            "前のバージョンにロールバックされました。再度デプロイする前に、理由に示された原因を修正してください。",
            _BREAKER,
            failure=(Failure.ROLLED_BACK,),
        ),
        Hint(
            "Check why its tasks stopped. Without rollback the service stays as it is: redeploy the previous version.",
            "タスクの停止理由を確認してください。ロールバックが無効な場合はこの状態のままです。前のバージョンをデプロイしてください。",
            _BREAKER,
        ),
    ),
    "deployment_rolling_back": (
        Hint(
            "The previous version is being restored automatically. Check why the new tasks stopped before you deploy "
            "again.",
            "前のバージョンに自動的に戻ります。再度デプロイする前に、新しいタスクの停止理由を確認してください。",
            _BREAKER,
        ),
    ),
    "hook_awaiting_action": (
        Hint(
            "Check the new version, then continue or stop the deployment before {expires}.",
            "新しいバージョンを確認し、{expires} までにデプロイを続行または停止してください。",
            _HOOKS,
        ),
        Hint(
            "Check the new version, then continue or stop the deployment.",
            "新しいバージョンを確認し、デプロイを続行または停止してください。",
            _HOOKS,
        ),
    ),
    "hook_failed": (
        Hint(
            "The pause was answered with a rollback. The previous version is being restored.",
            "一時停止中のデプロイに対してロールバックが選択されました。前のバージョンに戻ります。",
            _HOOKS,
            hook=("PAUSE",),
        ),
        Hint(
            "The deployment is being rolled back. The log of the hook's Lambda function says why.",
            "デプロイはロールバックされます。理由はフックの Lambda 関数のログを確認してください。",
            _HOOKS,
            hook=("AWS_LAMBDA",),
        ),
        Hint(
            "The deployment is being rolled back. Check the hook in the service's deployments.",
            "デプロイはロールバックされます。サービスのデプロイ画面でフックを確認してください。",
            _HOOKS,
        ),
    ),
    "hook_timed_out": (
        Hint(
            "No one answered in time, and the hook's timeout action applies. Check which version is serving.",
            "時間内に応答がなかったため、フックのタイムアウト設定に従って処理されます。現在どちらのバージョンが稼働しているか"
            "確認してください。",
            _HOOKS,
            hook=("PAUSE",),
        ),
        Hint(
            "The hook did not finish in time, and its timeout action applies. Check which version is serving.",
            "フックが時間内に完了しなかったため、タイムアウト設定に従って処理されます。現在どちらのバージョンが稼働しているか"
            "確認してください。",
            _HOOKS,
        ),
    ),
    "service_task_placement_failure": (
        *_PLACEMENT,
        Hint(
            "No instance can take another network interface: use larger instances or turn on awsvpcTrunking.",
            "ネットワークインターフェイスを追加できるインスタンスがありません。大きなインスタンスを使うか、awsvpcTrunking を"
            "有効にしてください。",
            _PLACING,
            (Target.NETWORK_INTERFACE,),
        ),
        Hint(
            "No instance fits: compare the placement constraints with the instances' attributes, or add instances.",
            "条件を満たすコンテナインスタンスがありません。配置制約とインスタンスの属性を比較するか、インスタンスを追加して"
            "ください。",
            _PLACING,
        ),
    ),
    "service_task_start_impaired": (
        Hint(
            "Its tasks fail one after another, and ECS waits longer between attempts. Check why the last one stopped; "
            "once fixed, force a new deployment.",
            "タスクの起動が連続して失敗し、ECS は再試行の間隔を延ばしています。直近のタスクの停止理由を確認し、修正後に新しい"
            "デプロイを強制してください。",
            f"{_GUIDE}service-throttle-logic.html",
        ),
    ),
    "service_discovery_instance_unhealthy": (
        Hint(
            "Clients may still connect to it: check the health of the task behind it in AWS Cloud Map.",
            "クライアントがまだ接続する可能性があります。AWS Cloud Map で対象タスクのヘルスを確認してください。",
            _ACTIONS,
        ),
    ),
    "vpc_lattice_target_unhealthy": (
        Hint(
            "VPC Lattice gets no healthy response: check path, port and security group of the target group's health "
            "check.",
            "VPC Lattice が正常な応答を得られません。ターゲットグループのヘルスチェックのパス、ポート、セキュリティグループを"
            "確認してください。",
            _ACTIONS,
        ),
    ),
    "service_daemon_placement_constraint_violated": (
        Hint(
            "A task of the daemon service runs on an instance that its constraint no longer allows: compare the "
            "constraint with the instance's attributes.",
            "デーモンサービスのタスクが、配置制約を満たさないインスタンスで実行されています。制約とインスタンスの属性を比較して"
            "ください。",
            _ACTIONS,
        ),
    ),
    "ecs_operation_throttled": (
        Hint(
            "Deployments and scaling are slowed down. Find out what calls the ECS API so often, and check Service "
            "Quotas.",
            "デプロイとスケーリングが遅延します。ECS API を頻繁に呼び出している処理と Service Quotas を確認してください。",
            _ACTIONS,
        ),
    ),
    "service_discovery_operation_throttled": (
        Hint(
            "Tasks are registered in AWS Cloud Map late. Check its Service Quotas, and deploy fewer services at once.",
            "AWS Cloud Map への登録が遅延します。Service Quotas を確認し、同時にデプロイするサービスを減らしてください。",
            _ACTIONS,
        ),
    ),
    "service_task_configuration_failure": (
        Hint(
            "ECS cannot start tasks until the configuration is corrected: check the task definition, its roles, "
            "subnets and security groups.",
            "設定を修正するまでタスクを起動できません。タスク定義、ロール、サブネット、セキュリティグループを確認してください。",
            _ACTIONS,
        ),
    ),
    "service_health_unknown": (
        Hint(
            "ECS cannot see whether the tasks are healthy: check load balancer, service discovery and AWS Health.",
            "ECS がタスクのヘルスを確認できません。ロードバランサー、サービス検出、AWS Health を確認してください。",
            _ACTIONS,
        ),
    ),
    "daemon_task_start_impaired": (
        Hint(
            "The instance runs without this daemon until its task starts. Fix the error named in the reason.",
            "タスクが起動するまで、インスタンスはこのデーモンなしで稼働します。理由に示されたエラーを修正してください。",
            _EVENTS,
        ),
    ),
    "daemon_deployment_rollback_failed": (
        Hint(
            "Instances may run the old and the new daemon side by side: check the deployment, and deploy again.",
            "新旧のデーモンが混在している可能性があります。デプロイを確認し、再度デプロイしてください。",
            _EVENTS,
        ),
    ),
    "instance_impaired": (
        Hint(
            "The GPU reports an error: drain the instance and replace it.",
            "GPU がエラーを報告しています。インスタンスをドレインし、交換してください。",
            f"{_GUIDE}container-instance-health.html",
            (Target.ACCELERATOR, Target.GPU, Target.GPU_DRIVER),
        ),
        Hint(
            "Drain the instance so that its tasks move, then replace it.",
            "インスタンスをドレインしてタスクを移動させ、交換してください。",
            f"{_GUIDE}container-instance-health.html",
        ),
    ),
    "container_instance_registration_failed": (
        Hint(
            "No tasks are placed on the instance. Read its statusReason (aws ecs describe-container-instances), correct "
            "what it names, and replace the instance.",
            "このインスタンスにタスクは配置されません。statusReason (aws ecs describe-container-instances) を確認して"
            "原因を修正し、インスタンスを交換してください。",
            _INSTANCE,
        ),
    ),
    "task_overdue": (
        Hint(
            "Check whether its schedule is enabled and may run it: the schedule's dead-letter queue, its TargetErrorCount "
            "or FailedInvocations, and RunTask in CloudTrail name the reason.",
            "スケジュールが有効か、実行権限があるかを確認してください。スケジュールのデッドレターキュー、"
            "TargetErrorCount や FailedInvocations のメトリクス、CloudTrail の RunTask に理由が記録されています。",
            "https://docs.aws.amazon.com/scheduler/latest/UserGuide/monitoring-cloudwatch.html",
        ),
    ),
    "too_few_tasks": (
        Hint(
            "Check why its tasks stop or do not start: aws ecs describe-services shows the service's events, with the "
            "last reason. If it is meant to be down, set its desired count to 0.",
            "タスクが停止または起動しない理由を確認してください。サービスのイベント (aws ecs describe-services) に直近の"
            "理由が記録されています。意図的な停止であれば、必要なタスク数を 0 にしてください。",
            f"{_GUIDE}service-event-messages.html",
        ),
    ),
    "cloudwatch_alarm": (
        Hint(
            "Check why its tasks stop or do not start: the service's events name the last reason.",
            "タスクが停止または起動しない理由を確認してください。サービスのイベントに直近の理由が記録されています。",
            _INSIGHTS,
            metric=("RunningTaskCount", "DesiredTaskCount"),
        ),
    ),
}

# How a text names the role that starts a task: on Fargate always the execution role; on an instance, the instance's own
# pulls images ("CannotPullContainer task errors in Amazon ECS").
_ROLES: Mapping[str, Words] = {
    "execution": Words("the task execution role", "タスク実行ロール"),
    "instance": Words("the container instance role", "コンテナインスタンスロール"),
}
_ANY_ROLE = Words("role", "ロール")


def hint(situation: Situation, known: Mapping[str, str]) -> Hint | None:
    """The first hint for that cause that fits, or None.

    Args:
        known: what hints may name beyond what the reason does, such as `memory`; what is empty counts as not known.
    """
    names = {name for name, value in named(situation, known).items() if value} | {"execution_role"}
    return next((hint for hint in HINTS.get(situation.cause, ()) if _fits(hint, situation, names)), None)


def _fits(candidate: Hint, situation: Situation, names: set[str]) -> bool:
    reason, code = situation.reason, situation.code
    return (
        (not candidate.target or reason.target in candidate.target)
        and (not candidate.failure or reason.failure in candidate.failure)
        and (not candidate.registry or situation.registry in candidate.registry)
        and (not candidate.launch or situation.launch.upper() in candidate.launch)
        and (not candidate.code or (code is not None and code % 2**32 in candidate.code))
        and (not candidate.metric or situation.metric in candidate.metric)
        and (not candidate.hook or situation.hook.upper() in candidate.hook)
        and (not candidate.beside or not situation.beside.isdisjoint(candidate.beside))
        and (not candidate.refusal or situation.refusal.lower().startswith(candidate.refusal))
        and (not candidate.affects or situation.affects in candidate.affects)
        and placeholders(candidate.en) <= names
    )


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def named(situation: Situation, known: Mapping[str, str]) -> dict[str, str]:
    """Everything that a hint may name: what the caller knows, and the names that the reason holds."""
    reason, registry = situation.reason, situation.registry
    return {
        "registry": registry.value if registry and registry is not Registry.OTHER else _host(situation),
        "action": reason.action,
        "role": reason.role,
        "execution_role": reason.role,
        "role_kind": _role_kind(situation),
        "secret": reason.secret,
        "parameter": reason.parameter,
        "log_group": reason.log_group,
        "user": reason.user,
        "key": reason.key,
        "command": reason.command,
        "port": reason.port,
        "http_status": reason.http_status,
        "function": reason.function,
        "blamed": next(iter(reason.blamed), ""),
        **known,
    }


def _role_kind(situation: Situation) -> str:
    on_instance = situation.launch.upper() in _ON_INSTANCES
    if on_instance and situation.cause == "image_pull_failed":
        return "instance"
    return "" if on_instance and situation.reason.role else "execution"


def _host(situation: Situation) -> str:
    reference = situation.reason.image or image(situation.image)
    return reference.host if reference else ""


def worded(chosen: Hint, language: str, names: Mapping[str, str]) -> str:
    """The hint in that language, filled in with what `named` gave."""
    kind = _in(_ROLES.get(names.get("role_kind", ""), _ANY_ROLE), language)
    role = names.get("execution_role", "")
    shown = (f"{kind} {role} " if language == "ja" else f"{kind} {role}") if role else kind
    return _in(Words(chosen.en, chosen.ja), language).format(**{**names, "execution_role": shown})


def _in(words: Words, language: str) -> str:
    return words.ja if language == "ja" else words.en

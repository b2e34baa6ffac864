"""What to do about a cause, in one or two sentences worth reading at night. Data: the first hint that fits is given.

A hint fits where its `words` (a regular expression) are found in the reason, in lower case, its exit code is the
container's, and everything that it names is known: a hint that tells the memory limit stands before one that does not.
`source` is where the fact stands.
"""

import re
from collections.abc import Mapping
from string import Formatter
from typing import NamedTuple

from router.causes import Words
from router.ecs.reasons import wording

_GUIDE = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/"
_MEMORY = f"{_GUIDE}out-of-memory.html"
_PULL = f"{_GUIDE}task_cannot_pull_image.html"
_INIT = f"{_GUIDE}resource-initialization-error.html"
_START = f"{_GUIDE}cannot-start-container.html"
_STOPPED = f"{_GUIDE}stopped-task-error-codes.html"
_CHECKS = f"{_GUIDE}healthcheck.html"
_BALANCER = f"{_GUIDE}troubleshoot-service-load-balancers.html"
_BREAKER = f"{_GUIDE}deployment-circuit-breaker.html"
_HOOKS = f"{_GUIDE}deployment-lifecycle-hooks.html"
_PLACING = f"{_GUIDE}service-event-messages-list.html"
_ACTIONS = f"{_GUIDE}ecs_service_events.html"
_SPOT = f"{_GUIDE}fargate-capacity-providers.html"
_MAINTENANCE = f"{_GUIDE}task-maintenance.html"
_DRAINING = f"{_GUIDE}container-instance-draining.html"
_EVENTS = f"{_GUIDE}ecs_cwe_events.html"
_CODES = "https://repost.aws/knowledge-center/ecs-task-stopped"
_RUN = "https://docs.docker.com/engine/containers/run/#exit-status"
_SIGNALS = "https://man7.org/linux/man-pages/man7/signal.7.html"
_INSIGHTS = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html"


_CODEDEPLOY = "https://docs.aws.amazon.com/codedeploy/latest/userguide/deployments-stop.html"

_LOOKED_AT = 2048  # characters of a reason; ECS cuts its own at 1024


class Hint(NamedTuple):
    """One line of the table.

    Attributes:
        source: the page that says so.
        words: a regular expression for the reason in lower case; "" fits any.
        code: the exit code; None fits any.
    """

    en: str
    ja: str
    source: str
    words: str = ""
    code: int | None = None


_NETWORK = (
    r"timeout|timed out|deadline|request ?canceled|dial tcp|no such host|connection (issue|refused|reset)"
    r"|request send failed|send request failed|tls handshake|unexpected eof"
)
_DENIED = r"\b403\b|forbidden|access ?denied|\bdenied\b|unauthori[sz]ed|not authori[sz]ed|no basic auth|\b401\b"
_NO_SPACE = r"no space left|disk quota|thin pool|devmapper"
_STORED = r"secret|\bssm\b|\basm\b|parameter"


def _both(one: str, other: str) -> str:
    """Anchored: a search that looked ahead from every place would take quadratic time."""
    return rf"\A(?=.*({one}))(?=.*({other}))"


# A secret that the task cannot have. Older platforms say it without ResourceInitializationError in front.
_SECRETS = (
    Hint(
        "The secret has no such JSON key: compare the key that valueFrom names with those in the secret.",
        "シークレットに該当する JSON キーがありません。タスク定義の valueFrom のキー名とシークレットの内容を照合してください。",
        _INIT,
        "json key",
    ),
    Hint(
        "Let the task execution role read it: secretsmanager:GetSecretValue or ssm:GetParameters, and kms:Decrypt "
        "where the key is your own.",
        "タスク実行ロールに読み取り権限 (secretsmanager:GetSecretValue または ssm:GetParameters、"
        "カスタマーマネージドキーなら kms:Decrypt も) を付与してください。",
        _INIT,
        _both(rf"{_DENIED}", rf"{_STORED}|kms"),
    ),
    Hint(
        "The secret or parameter is not there under that name: check the ARN and the Region in valueFrom, and whether "
        "it was deleted.",
        "その名前のシークレットまたはパラメータが存在しません。valueFrom の ARN とリージョン、削除の有無を確認してください。",
        _INIT,
        _both(r"resourcenotfound|can't find|not found|invalid ?parameter", rf"{_STORED}"),
    ),
)
_LOGS = Hint(
    "The log group does not exist or must not be written to: create it, or set awslogs-create-group and permit "
    "logs:CreateLogGroup.",
    "ロググループが存在しないか、書き込み権限がありません。ロググループを作成するか、awslogs-create-group を設定して "
    "logs:CreateLogGroup を許可してください。",
    _START,
    r"log group|logging driver|logger",
)
_FORMAT = Hint(
    "The image is for another CPU architecture: build it for this one, or change runtimePlatform.cpuArchitecture.",
    "イメージの CPU アーキテクチャが異なります。対象アーキテクチャ用にビルドするか、runtimePlatform.cpuArchitecture を"
    "変更してください。",
    _CODES,
    "exec format error",
)

_EXITS = (
    Hint(
        "It ended by itself without an error, which a service takes for a failure: make the command stay in the "
        "foreground, or run it as a scheduled task.",
        "エラーなしで終了しましたが、サービスでは障害として扱われます。コマンドをフォアグラウンドで動かし続けるか、"
        "スケジュールされたタスクとして実行してください。",
        _CODES,
        code=0,
    ),
    Hint(
        "The command is there but cannot be executed: give it the executable bit and check its first line (#!).",
        "コマンドは存在しますが実行できません。実行権限と先頭行 (#!) を確認してください。",
        _RUN,
        code=126,
    ),
    Hint(
        "The command is not in the image: check command and entryPoint of the task definition, and PATH.",
        "コマンドがイメージ内にありません。タスク定義の command、entryPoint と PATH を確認してください。",
        _RUN,
        code=127,
    ),
    Hint(
        "The image may be for another CPU (arm64 or x86_64), or a library needs instructions that this CPU lacks.",
        "イメージの CPU アーキテクチャ (arm64 / x86_64) の不一致、またはライブラリが要求する命令を CPU が"
        "サポートしていない可能性があります。",
        _SIGNALS,
        code=132,
    ),
    Hint(
        "The process gave itself up: an assertion, a corrupted heap, or the runtime. The last log lines tell which.",
        "プロセス自身が異常終了しました (アサーション、ヒープ破損、ランタイムなど)。ログの末尾を確認してください。",
        _SIGNALS,
        code=134,
    ),
    Hint(
        "ECS reports no lack of memory, so: the host or a child process ran out of it, or SIGTERM was ignored for "
        "longer than stopTimeout (30 s). Look at MemoryUtilized first.",
        "ECS はメモリ不足を報告していません。ホストまたは子プロセスのメモリ不足か、SIGTERM 後に stopTimeout (既定 30 秒) "
        "以内に停止しなかったことが考えられます。まず MemoryUtilized を確認してください。",
        _CODES,
        code=137,
    ),
    Hint(
        "A crash in native code. Compare with the image before this one, and look for a native library that changed.",
        "ネイティブコードのクラッシュです。直前のイメージと比較し、変更されたネイティブライブラリを確認してください。",
        _CODES,
        code=139,
    ),
    Hint(
        "Something asked it to stop, and it was not ECS: look in its log for who sent SIGTERM, such as another "
        "process in the task.",
        "ECS 以外から停止を要求されました。タスク内の他のプロセスなど、SIGTERM の送信元をログで確認してください。",
        _CODES,
        code=143,
    ),
    Hint(
        "Often a wrong command line or entry point. The last log lines tell.",
        "コマンドラインまたはエントリポイントの誤りがよくある原因です。ログの末尾を確認してください。",
        _CODES,
        code=255,
    ),
    Hint(
        "It began with {new_revision}: go back to the revision before, then read the last log lines of {container}.",
        "{new_revision} のデプロイ後に発生しています。前のリビジョンに戻してから、{container} のログの末尾を確認してください。",
        _CODES,
    ),
    Hint(
        "Read the last log lines of {container}. If it began with a new revision, go back to the one before.",
        "{container} のログの末尾を確認してください。新しいリビジョンから発生している場合は、前のリビジョンに戻してください。",
        _CODES,
    ),
    Hint(
        "Read its last log lines. If it began with a new revision, go back to the one before.",
        "ログの末尾を確認してください。新しいリビジョンから発生している場合は、前のリビジョンに戻してください。",
        _CODES,
    ),
)

HINTS: Mapping[str, tuple[Hint, ...]] = {
    "out_of_memory": (
        Hint(
            "The limit of {memory} MiB is too low even to start: raise it in the task definition.",
            "上限 {memory} MiB では起動もできません。タスク定義のメモリを増やしてください。",
            _MEMORY,
            "container init was oom",
        ),
        Hint(
            "Raise its limit of {memory} MiB in the task definition, or find what grew in {image}.",
            "タスク定義のメモリ上限 (現在 {memory} MiB) を増やすか、{image} のメモリ使用量の増加を調べてください。",
            _MEMORY,
        ),
        Hint(
            "Raise its memory limit in the task definition, or find what grew in {image}.",
            "タスク定義のメモリ上限を増やすか、{image} のメモリ使用量の増加を調べてください。",
            _MEMORY,
        ),
        Hint(
            "Raise its memory limit in the task definition, or look for a leak.",
            "タスク定義のメモリ上限を増やすか、メモリリークを調べてください。",
            _MEMORY,
        ),
    ),
    "image_pull_failed": (
        Hint(
            "Docker Hub's pull limit is reached: pull through an ECR cache, or log in with repositoryCredentials.",
            "Docker Hub のプル回数制限に達しました。ECR のプルスルーキャッシュを使うか、repositoryCredentials で認証して"
            "ください。",
            _PULL,
            r"toomanyrequests|rate ?limit|\b429\b",
        ),
        Hint(
            "{image} does not exist there, or may not be pulled: check the name first, then the credentials.",
            "{image} が存在しないか、プルする権限がありません。イメージ名、認証情報の順に確認してください。",
            _PULL,
            "pull access denied",
        ),
        Hint(
            "{image} is not built for this CPU architecture: push one that is, or change "
            "runtimePlatform.cpuArchitecture.",
            "{image} はこの CPU アーキテクチャ向けにビルドされていません。対応するイメージをプッシュするか、"
            "runtimePlatform.cpuArchitecture を変更してください。",
            _PULL,
            r"platform",
        ),
        Hint(
            "There is no {image}: was it pushed, and not removed by a lifecycle policy? Push it, or deploy a tag "
            "that exists.",
            "{image} が存在しません。プッシュ済みか、ライフサイクルポリシーで削除されていないかを確認し、プッシュするか、"
            "存在するタグをデプロイしてください。",
            _PULL,
            r"not found|manifest unknown|does not exist|name unknown|\b404\b",
        ),
        Hint(
            "The registry refuses it: permit ecr:BatchGetImage, ecr:GetDownloadUrlForLayer and "
            "ecr:GetAuthorizationToken to the task execution role; across accounts, in the repository's policy as well.",
            "レジストリに拒否されました。タスク実行ロールに ecr:BatchGetImage、ecr:GetDownloadUrlForLayer、"
            "ecr:GetAuthorizationToken を許可してください。クロスアカウントの場合はリポジトリポリシーも必要です。",
            _PULL,
            _DENIED,
        ),
        Hint(
            "The disk is full: remove images from the instance or enlarge its volume; on Fargate, raise "
            "ephemeralStorage.",
            "ディスク容量が不足しています。インスタンスの不要なイメージを削除するかボリュームを拡張してください。Fargate では "
            "ephemeralStorage を増やしてください。",
            _PULL,
            _NO_SPACE,
        ),
        Hint(
            "The registry cannot be reached from the subnet: it takes a NAT gateway, a public IP, or VPC endpoints "
            "(ecr.api, ecr.dkr, s3), and a security group that lets 443 out.",
            "サブネットからレジストリに接続できません。NAT ゲートウェイ、パブリック IP、または VPC エンドポイント "
            "(ecr.api、ecr.dkr、s3) と、443 のアウトバウンドを許可するセキュリティグループが必要です。",
            _PULL,
            _NETWORK,
        ),
        Hint(
            "Check that {image} exists, and that the task execution role and the subnet can reach its registry.",
            "{image} が存在し、タスク実行ロールとサブネットからレジストリにアクセスできることを確認してください。",
            _PULL,
        ),
        Hint(
            "Check that the image exists, and that the task execution role and the subnet can reach its registry.",
            "イメージが存在し、タスク実行ロールとサブネットからレジストリにアクセスできることを確認してください。",
            _PULL,
        ),
    ),
    "resource_initialization_failed": (
        *_SECRETS,
        Hint(
            "Amazon ECR refuses: permit ecr:GetAuthorizationToken to the task execution role.",
            "Amazon ECR に拒否されました。タスク実行ロールに ecr:GetAuthorizationToken を許可してください。",
            _INIT,
            _both(r"registry auth", rf"{_DENIED}"),
        ),
        Hint(
            "The file system refuses the mount: let its policy, or the task role with iam enabled, allow "
            "elasticfilesystem:ClientMount.",
            "ファイルシステムがマウントを拒否しました。ファイルシステムポリシーまたはタスクロール (IAM 認可が有効な場合) で "
            "elasticfilesystem:ClientMount を許可してください。",
            _INIT,
            _both(r"\befs\b|mount", rf"{_DENIED}"),
        ),
        Hint(
            "The directory is not on the file system: create it, or correct rootDirectory or the access point.",
            "ファイルシステムにディレクトリがありません。作成するか、rootDirectory またはアクセスポイントを修正してください。",
            _INIT,
            _both(r"\befs\b|mount", "no such file"),
        ),
        Hint(
            "The file system does not answer: it takes a mount target in the task's Availability Zone, NFS (2049) open "
            "between the security groups, and DNS in the VPC.",
            "ファイルシステムが応答しません。タスクのアベイラビリティーゾーンのマウントターゲット、セキュリティグループ間の "
            "NFS (2049)、VPC の DNS を確認してください。",
            _INIT,
            r"\befs\b|mount",
        ),
        Hint(
            "ECR cannot be reached from the subnet: it takes a NAT gateway, a public IP, or VPC endpoints (ecr.api, "
            "ecr.dkr, s3), and a security group that lets 443 out.",
            "サブネットから ECR に接続できません。NAT ゲートウェイ、パブリック IP、または VPC エンドポイント (ecr.api、ecr.dkr、"
            "s3) と、443 のアウトバウンドを許可するセキュリティグループが必要です。",
            _INIT,
            _both(r"\becr\b", rf"{_NETWORK}"),
        ),
        Hint(
            "Secrets Manager or Systems Manager cannot be reached from the subnet: it takes a NAT gateway, a public "
            "IP, or the VPC endpoint (secretsmanager, ssm), and a security group that lets 443 out.",
            "サブネットから Secrets Manager または Systems Manager に接続できません。NAT ゲートウェイ、パブリック IP、または "
            "VPC エンドポイント (secretsmanager、ssm) と、443 のアウトバウンドの許可が必要です。",
            _INIT,
            _both(rf"{_STORED}", rf"{_NETWORK}|retried"),
        ),
        Hint(
            "The subnet has no free address or the account no free network interface: free some, or add a subnet.",
            "サブネットの空き IP アドレス、またはアカウントのネットワークインターフェイスの上限を確認し、サブネットの追加などを"
            "行ってください。",
            _INIT,
            r"network interface|\beni\b|insufficientfreeaddresses",
        ),
        _LOGS,
        Hint(
            "What the task needs before it starts could not be had from the subnet: check routes, security groups "
            "and VPC endpoints.",
            "起動に必要なリソースにサブネットから接続できません。ルート、セキュリティグループ、VPC エンドポイントを確認して"
            "ください。",
            _INIT,
            _NETWORK,
        ),
        Hint(
            "Check secrets, registry, volumes and logging in the task definition, and the network that leads to them.",
            "タスク定義のシークレット、レジストリ、ボリューム、ログ設定と、それらへのネットワーク経路を確認してください。",
            _INIT,
        ),
    ),
    "container_start_failed": (
        _FORMAT,
        _LOGS,
        Hint(
            "The command is not in the image: check command and entryPoint of the task definition, and PATH.",
            "コマンドがイメージ内にありません。タスク定義の command、entryPoint と PATH を確認してください。",
            _START,
            r"executable file not found|no such file or directory",
        ),
        Hint(
            "The command may not be executed: give it the executable bit in the image, and check the user.",
            "コマンドの実行が許可されていません。イメージ内の実行権限と実行ユーザーを確認してください。",
            _START,
            "permission denied",
        ),
        Hint(
            "Another container on the instance has the port: use dynamic host ports (hostPort 0) or awsvpc.",
            "インスタンス上の別のコンテナがポートを使用しています。動的ホストポート (hostPort 0) または awsvpc を使用して"
            "ください。",
            _START,
            r"port is already allocated|address already in use",
        ),
        Hint(
            "The instance's disk is full: remove images and stopped containers, or enlarge the volume.",
            "インスタンスのディスク容量が不足しています。不要なイメージと停止済みコンテナを削除するか、ボリュームを拡張して"
            "ください。",
            _STOPPED,
            _NO_SPACE,
        ),
        Hint(
            "The instance is overloaded or its disk is slow: look at its CPU credits and disk, or replace it.",
            "インスタンスの過負荷またはディスク性能の不足が考えられます。CPU クレジットとディスクを確認し、必要なら交換して"
            "ください。",
            _STOPPED,
            r"timed out|timeout",
        ),
        Hint(
            "Compare command, volumes and linuxParameters with the last revision of the task definition that ran.",
            "command、volumes、linuxParameters を、最後に正常に起動したタスク定義のリビジョンと比較してください。",
            _START,
        ),
    ),
    "task_failed_to_start": (
        *_SECRETS,
        Hint(
            "The subnet has no free IP address: use a larger one, add another, or remove what is not needed.",
            "サブネットに空き IP アドレスがありません。より大きなサブネットの使用や追加、不要なリソースの削除を行ってください。",
            _STOPPED,
            "insufficientfreeaddresses",
        ),
        Hint(
            "A service tries again by itself; a standalone task you start again. If it stays: free addresses in the "
            "subnet, the quota of network interfaces, AWS Health.",
            "サービスのタスクは自動的に再試行されます。スタンドアロンタスクは再実行してください。続く場合は、サブネットの"
            "空き IP アドレス、ネットワークインターフェイスのクォータ、AWS Health を確認してください。",
            _STOPPED,
            "network interface",
        ),
        Hint(
            "A service tries again by itself; a standalone task you start again. If it stays, see AWS Health.",
            "サービスのタスクは自動的に再試行されます。スタンドアロンタスクは再実行してください。続く場合は AWS Health を確認"
            "してください。",
            _STOPPED,
            "ephemeral ?storage",
        ),
        Hint(
            "AWS has no capacity for this size here now: allow more Availability Zones, another size, or wait.",
            "現在、このサイズのキャパシティが不足しています。他のアベイラビリティーゾーンやサイズを許可するか、しばらく待って"
            "ください。",
            _STOPPED,
            "capacity is unavailable",
        ),
        Hint(
            "No instance has what the task asks for: add instances, or ask for less.",
            "タスクの要件を満たすコンテナインスタンスがありません。インスタンスを追加するか、要件を下げてください。",
            _PLACING,
            r"resource:",
        ),
        Hint(
            "The instance's ECS agent is disconnected: look at the agent's log, or replace the instance.",
            "コンテナインスタンスの ECS エージェントが切断されています。エージェントのログを確認するか、インスタンスを交換して"
            "ください。",
            _PLACING,
            r"\bagent$",
        ),
        Hint(
            "The task definition does not suit where it is to run: compare requiresCompatibilities with launch type "
            "and capacity provider.",
            "タスク定義と起動先が一致していません。requiresCompatibilities と、起動タイプまたはキャパシティープロバイダーを"
            "比較してください。",
            _STOPPED,
            "not compatible",
        ),
        Hint(
            "ECS forgets why after an hour: open the task now, and compare with the last revision that started.",
            "ECS は停止理由を約 1 時間で破棄します。早めにタスクを開き、最後に起動できたリビジョンと比較してください。",
            _STOPPED,
        ),
    ),
    "essential_container_exited": _EXITS,
    "container_exited": (
        *(hint for hint in _EXITS if hint.code not in {0, None}),
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
            "The container's own health check fails: run its command in the container, and give it time with "
            "startPeriod.",
            "コンテナのヘルスチェックに失敗しています。チェックコマンドをコンテナ内で実行して確認し、startPeriod で起動時間を"
            "確保してください。",
            _CHECKS,
            "container health",
        ),
        Hint(
            "The load balancer gets no good answer: check path, port and security group; if it starts slowly, raise "
            "healthCheckGracePeriodSeconds.",
            "ロードバランサーが正常な応答を得られません。パス、ポート、セキュリティグループを確認し、起動が遅い場合は "
            "healthCheckGracePeriodSeconds を増やしてください。",
            _BALANCER,
            r"\belb\b|target|load balancer",
        ),
        Hint(
            "Ask the health check's address by hand, and look whether the service is overloaded or starts slowly.",
            "ヘルスチェックの対象に手動でアクセスし、過負荷や起動の遅延がないか確認してください。",
            _CHECKS,
        ),
    ),
    "spot_interruption": (
        Hint(
            "Nothing to do if the service replaces it in time; it has two minutes from the notice. If it comes often, "
            "raise the base of FARGATE or On-Demand.",
            "サービスが代わりのタスクを起動すれば対応は不要です (通知から停止まで 2 分)。頻発する場合は FARGATE または"
            "オンデマンドの base を増やしてください。",
            _SPOT,
        ),
    ),
    "host_terminated": (
        Hint(
            "A service starts the task elsewhere by itself; a standalone one you start again. Who ended the instance "
            "stands in the activity of its Auto Scaling group.",
            "サービスのタスクは自動的に別のインスタンスで起動します。スタンドアロンタスクは再実行してください。終了の経緯は "
            "Auto Scaling グループのアクティビティ履歴で確認できます。",
            _DRAINING,
        ),
    ),
    "infrastructure_maintenance": (
        Hint(
            "AWS replaces the host. A service starts the task elsewhere by itself; a standalone one you start again.",
            "AWS がホストを交換しています。サービスのタスクは自動的に置き換えられます。スタンドアロンタスクは再実行して"
            "ください。",
            _MAINTENANCE,
        ),
    ),
    "task_stopped": (
        Hint(
            "ECS gives no reason that the router knows. Open the task within the hour: after that ECS forgets it.",
            "既知の停止理由ではありません。ECS がタスク情報を破棄する前 (約 1 時間以内) にタスクを開いて確認してください。",
            _STOPPED,
        ),
    ),
    "deployment_stopped": (
        Hint(
            "Somebody stopped the deployment, or one of its alarms did: the tasks of before are still serving.",
            "デプロイは手動またはアラームにより停止されました。以前のタスクが引き続き稼働しています。",
            _CODEDEPLOY,
        ),
    ),
    "deployment_failed": (
        Hint(
            "The new tasks did not become healthy. Look at why they stopped: ECS rolls back only where rollback is on.",
            "新しいタスクが正常になりませんでした。タスクの停止理由を確認してください。ロールバックは有効にしている場合のみ"
            "行われます。",
            _BREAKER,
            "circuit breaker",
        ),
        Hint(
            "A CloudWatch alarm of the deployment went off: see which, and whether the new version is to blame.",
            "デプロイに設定された CloudWatch アラームが発生しました。該当アラームと、新しいバージョンが原因かどうかを確認して"
            "ください。",
            f"{_GUIDE}deployment-alarm-failure.html",
            "alarm",
        ),
        Hint(
            "Look at why its tasks stopped. Without rollback the service stays as it is: deploy the version before.",
            "タスクの停止理由を確認してください。ロールバックが無効な場合はこの状態のままです。前のバージョンをデプロイして"
            "ください。",
            _BREAKER,
        ),
    ),
    "deployment_rolling_back": (
        Hint(
            "The version before comes back by itself. Look at why the new tasks stopped before you deploy again.",
            "前のバージョンに自動的に戻ります。再度デプロイする前に、新しいタスクの停止理由を確認してください。",
            _BREAKER,
        ),
    ),
    "hook_awaiting_action": (
        Hint(
            "Look at the new version, then continue or stop the deployment before {expires}.",
            "新しいバージョンを確認し、{expires} までにデプロイを続行または停止してください。",
            _HOOKS,
        ),
        Hint(
            "Look at the new version, then continue or stop the deployment.",
            "新しいバージョンを確認し、デプロイを続行または停止してください。",
            _HOOKS,
        ),
    ),
    "hook_failed": (
        Hint(
            "The deployment is rolled back. The log of the hook's Lambda function tells why.",
            "デプロイはロールバックされます。理由はフックの Lambda 関数のログを確認してください。",
            _HOOKS,
        ),
    ),
    "hook_timed_out": (
        Hint(
            "Nobody answered in time, and the deployment goes the way that the hook's time-out says. Look whether the "
            "old or the new version is serving.",
            "時間内に応答がなかったため、フックのタイムアウト設定に従って処理されます。現在どちらのバージョンが稼働しているか"
            "確認してください。",
            _HOOKS,
        ),
    ),
    "service_task_placement_failure": (
        Hint(
            "No instance has the CPU units left that the task asks for: add instances, or lower its cpu.",
            "必要な CPU ユニットを持つコンテナインスタンスがありません。インスタンスを追加するか、タスクの cpu を下げてください。",
            _PLACING,
            r"resource:cpu|\bcpu\b",
        ),
        Hint(
            "No instance has the memory left that the task asks for: add instances, or lower its memory.",
            "必要なメモリを持つコンテナインスタンスがありません。インスタンスを追加するか、タスクの memory を下げてください。",
            _PLACING,
            r"resource:memory|\bmemory\b",
        ),
        Hint(
            "Fargate has no capacity here now, or the account's quota of vCPUs is used up: look at Service Quotas; "
            "allow more Availability Zones.",
            "Fargate のキャパシティ不足、またはアカウントの vCPU クォータに達しています。Service Quotas を確認し、他の"
            "アベイラビリティーゾーンを許可してください。",
            _PLACING,
            "fargate|capacity is unavailable",
        ),
        Hint(
            "No instance has a free GPU: add instances that have one.",
            "空き GPU のあるコンテナインスタンスがありません。GPU インスタンスを追加してください。",
            _PLACING,
            r"\bgpu\b",
        ),
        Hint(
            "The port is taken on every instance: use dynamic host ports (hostPort 0), awsvpc, or more instances.",
            "すべてのインスタンスでポートが使用中です。動的ホストポート (hostPort 0)、awsvpc、またはインスタンスの追加を検討して"
            "ください。",
            _PLACING,
            r"\bports?\b",
        ),
        Hint(
            "No instance can take another network interface: use larger instances or turn on awsvpcTrunking.",
            "ネットワークインターフェイスを追加できるインスタンスがありません。大きなインスタンスを使うか、awsvpcTrunking を"
            "有効にしてください。",
            _PLACING,
            r"\beni\b|network interface",
        ),
        Hint(
            "The ECS agent is disconnected on the instances that would do: look at its log, or replace them.",
            "候補インスタンスの ECS エージェントが切断されています。エージェントのログを確認するか、インスタンスを交換して"
            "ください。",
            _PLACING,
            r"\bagent\b",
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
            "Its tasks fail one after another, and ECS waits ever longer between tries. Look at why the last one "
            "stopped; after mending, force a new deployment.",
            "タスクの起動が連続して失敗し、ECS は再試行の間隔を延ばしています。直近のタスクの停止理由を確認し、修正後に新しい"
            "デプロイを強制してください。",
            f"{_GUIDE}service-throttle-logic.html",
        ),
    ),
    "service_discovery_instance_unhealthy": (
        Hint(
            "Clients may still be sent to it: look at the health of the task behind it in AWS Cloud Map.",
            "クライアントがまだ接続する可能性があります。AWS Cloud Map で対象タスクのヘルスを確認してください。",
            _ACTIONS,
        ),
    ),
    "vpc_lattice_target_unhealthy": (
        Hint(
            "VPC Lattice gets no good answer: check path, port and security group of the target group's health check.",
            "VPC Lattice が正常な応答を得られません。ターゲットグループのヘルスチェックのパス、ポート、セキュリティグループを"
            "確認してください。",
            _ACTIONS,
        ),
    ),
    "service_daemon_placement_constraint_violated": (
        Hint(
            "A task of the daemon service runs where its constraint no longer allows it: compare the constraint with "
            "the instance's attributes.",
            "デーモンサービスのタスクが、配置制約を満たさないインスタンスで実行されています。制約とインスタンスの属性を比較して"
            "ください。",
            _ACTIONS,
        ),
    ),
    "ecs_operation_throttled": (
        Hint(
            "Deployments and scaling are slowed down. Look who calls the ECS API so often, and at Service Quotas.",
            "デプロイとスケーリングが遅延します。ECS API を頻繁に呼び出している処理と Service Quotas を確認してください。",
            _ACTIONS,
        ),
    ),
    "service_discovery_operation_throttled": (
        Hint(
            "Tasks are registered in AWS Cloud Map late. Look at its Service Quotas, and deploy fewer services at once.",
            "AWS Cloud Map への登録が遅延します。Service Quotas を確認し、同時にデプロイするサービスを減らしてください。",
            _ACTIONS,
        ),
    ),
    "service_task_configuration_failure": (
        Hint(
            "ECS cannot start tasks with this configuration until it is corrected: see the reason, and the task "
            "definition, roles, subnets and security groups that it names.",
            "設定を修正するまでタスクを起動できません。理由に示されたタスク定義、ロール、サブネット、セキュリティグループを確認"
            "してください。",
            _ACTIONS,
        ),
    ),
    "service_health_unknown": (
        Hint(
            "ECS cannot see whether the tasks are healthy: look at load balancer and service discovery, and AWS Health.",
            "ECS がタスクのヘルスを確認できません。ロードバランサー、サービス検出、AWS Health を確認してください。",
            _ACTIONS,
        ),
    ),
    "daemon_task_start_impaired": (
        Hint(
            "The instance runs without this daemon until its task starts. The reason names the error to mend.",
            "タスクが起動するまで、インスタンスはこのデーモンなしで稼働します。理由に示されたエラーを修正してください。",
            _EVENTS,
        ),
    ),
    "daemon_deployment_rollback_failed": (
        Hint(
            "Instances may run the old and the new daemon side by side: look at the deployment, and deploy again.",
            "新旧のデーモンが混在している可能性があります。デプロイを確認し、再度デプロイしてください。",
            _EVENTS,
        ),
    ),
    "instance_impaired": (
        Hint(
            "The GPU reports an error: drain the instance and replace it.",
            "GPU がエラーを報告しています。インスタンスをドレインし、交換してください。",
            f"{_GUIDE}container-instance-health.html",
            r"xid|accelerated",
        ),
        Hint(
            "Drain the instance so that its tasks move, then replace it.",
            "インスタンスをドレインしてタスクを移動させ、交換してください。",
            f"{_GUIDE}container-instance-health.html",
        ),
    ),
    "cloudwatch_alarm": (
        Hint(
            "Look at why its tasks stop or do not start: the service's events name the last reason.",
            "タスクが停止または起動しない理由を確認してください。サービスのイベントに直近の理由が記録されています。",
            _INSIGHTS,
            "runningtaskcount|desiredtaskcount",
        ),
    ),
}


def hint(cause: str, reason: str, code: int | None, known: Mapping[str, object]) -> Hint | None:
    """The first hint for that cause that fits, or None.

    Args:
        code: exit code of the container that died, or None.
        known: what hints may name, such as `memory`; what is empty counts as not known.
    """
    text = wording(reason)[:_LOOKED_AT]
    names = {name for name, value in known.items() if value}
    return next((each for each in HINTS.get(cause, ()) if _fits(each, text, code, names)), None)


def _fits(each: Hint, text: str, code: int | None, names: set[str]) -> bool:
    return (
        (each.code is None or each.code == code)
        and re.search(each.words, text) is not None
        and placeholders(each.en) <= names
    )


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def worded(each: Hint, language: str, known: Mapping[str, object]) -> str:
    """The hint in that language, filled in."""
    text = Words(each.en, each.ja)
    return (text.ja if language == "ja" else text.en).format(**known)

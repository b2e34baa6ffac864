"""Every cause in plain words, for the title of a message.

Japanese uses the terms of AWS's own Japanese documentation (タスク, デプロイ, 定常状態, キャパシティプロバイダー).
"""

from collections.abc import Mapping
from typing import NamedTuple


class Words(NamedTuple):
    """One text in each language; the field names are those of `language` in alert-router.toml."""

    en: str
    ja: str


CAUSES: Mapping[str, Words] = {
    # Tasks
    "out_of_memory": Words("Out of memory", "メモリ不足"),
    "image_pull_failed": Words("Image pull failed", "イメージのプルに失敗"),
    "resource_initialization_failed": Words(
        "Task could not set up its secrets, logs, volumes or network",
        "シークレット・ログ・ボリューム・ネットワークの準備に失敗",
    ),
    "container_start_failed": Words("Container could not start", "コンテナの起動に失敗"),
    "task_failed_to_start": Words("Task failed to start", "タスクの起動に失敗"),
    "essential_container_exited": Words("Essential container exited", "必須コンテナが終了"),
    "container_exited": Words("Container exited in a running task", "実行中のタスクでコンテナが終了"),
    "health_check_failed": Words("Health check failed", "ヘルスチェックに失敗"),
    "spot_interruption": Words("Spot interruption", "Spot の中断"),
    "host_terminated": Words(
        "Container instance terminated or deregistered", "コンテナインスタンスの終了または登録解除"
    ),
    "infrastructure_maintenance": Words("AWS infrastructure maintenance", "AWS のインフラストラクチャのメンテナンス"),
    "task_stopped": Words("Task stopped for an unknown reason", "不明な理由でタスクが停止"),
    "task_completed": Words("Task completed", "タスクが完了"),
    "stopped_by_user": Words("Stopped by a user", "ユーザーによる停止"),
    "stopped_by_scheduler": Words("Stopped by the service scheduler", "サービススケジューラによる停止"),
    "task_provisioning": Words("Task provisioning", "タスクのプロビジョニング中"),
    "task_pending": Words("Task pending", "タスクの保留中"),
    "task_activating": Words("Task activating", "タスクのアクティブ化中"),
    "task_running": Words("Task running", "タスクの実行中"),
    "task_deactivating": Words("Task deactivating", "タスクの非アクティブ化中"),
    "task_stopping": Words("Task stopping", "タスクの停止中"),
    "task_deprovisioning": Words("Task deprovisioning", "タスクのプロビジョニング解除中"),
    "task_deleted": Words("Task deleted", "タスクの削除"),
    # Deployments
    "deployment_failed": Words("Deployment failed", "デプロイに失敗"),
    "deployment_rolling_back": Words("Deployment rolling back", "デプロイをロールバック中"),
    "deployment_in_progress": Words("Deployment in progress", "デプロイの進行中"),
    "deployment_stopped": Words("Deployment stopped early", "デプロイが途中で停止"),
    "deployment_completed": Words("Deployment completed", "デプロイが完了"),
    "hook_in_progress": Words("Deployment hook in progress", "デプロイフックの進行中"),
    "hook_awaiting_action": Words("Deployment is waiting for approval", "デプロイが手動の承認待ち"),
    "hook_succeeded": Words("Deployment hook succeeded", "デプロイフックが成功"),
    "hook_failed": Words("Deployment hook failed", "デプロイフックが失敗"),
    "hook_timed_out": Words("Deployment hook timed out", "デプロイフックがタイムアウト"),
    # Services
    "service_steady_state": Words("Service reached a steady state", "サービスが定常状態に到達"),
    "taskset_steady_state": Words("Task set reached a steady state", "タスクセットが定常状態に到達"),
    "capacity_provider_steady_state": Words(
        "Capacity provider reached a steady state", "キャパシティプロバイダーが定常状態に到達"
    ),
    "service_desired_count_updated": Words("Desired count updated", "必要なタスク数の更新"),
    "tasks_started": Words("Tasks started", "タスクの開始"),
    "tasks_stopped": Words("Tasks stopped", "タスクの停止"),
    "service_task_start_impaired": Words("Tasks keep failing to start", "タスクの起動失敗が継続"),
    "service_discovery_instance_unhealthy": Words(
        "Unhealthy instance in service discovery", "サービス検出のインスタンスに異常"
    ),
    "vpc_lattice_target_unhealthy": Words("Unhealthy VPC Lattice target", "VPC Lattice のターゲットに異常"),
    "service_daemon_placement_constraint_violated": Words(
        "Daemon task violates its placement constraint", "デーモンタスクが配置制約に違反"
    ),
    "ecs_operation_throttled": Words("ECS API throttled", "ECS API のスロットリング"),
    "service_discovery_operation_throttled": Words(
        "Service discovery API throttled", "サービス検出 API のスロットリング"
    ),
    "service_task_placement_failure": Words("Task placement failed", "タスクの配置に失敗"),
    "service_task_configuration_failure": Words("Invalid task configuration", "タスクの設定エラー"),
    "service_health_unknown": Words("Service health unknown", "サービスのヘルスが不明"),
    "service_rebalancing_started": Words(
        "Availability Zone rebalancing started", "アベイラビリティーゾーンの再調整を開始"
    ),
    "service_rebalancing_completed": Words(
        "Availability Zone rebalancing completed", "アベイラビリティーゾーンの再調整が完了"
    ),
    "service_rebalancing_stopped": Words(
        "Availability Zone rebalancing stopped", "アベイラビリティーゾーンの再調整を停止"
    ),
    "taskset_scale_in_failure_by_task_protection": Words(
        "Scale-in blocked by task protection", "タスク保護によりスケールインに失敗"
    ),
    # Daemons
    "daemon_task_start_impaired": Words("Daemon task failed to start", "デーモンタスクの起動に失敗"),
    "daemon_deployment_pending": Words("Daemon deployment pending", "デーモンのデプロイの保留中"),
    "daemon_deployment_in_progress": Words("Daemon deployment in progress", "デーモンのデプロイの進行中"),
    "daemon_deployment_successful": Words("Daemon deployment completed", "デーモンのデプロイが完了"),
    "daemon_deployment_stopped": Words("Daemon deployment stopped", "デーモンのデプロイを停止"),
    "daemon_deployment_stop_requested": Words("Daemon deployment stopping", "デーモンのデプロイの停止中"),
    "daemon_deployment_rollback_in_progress": Words(
        "Daemon deployment rolling back", "デーモンのデプロイをロールバック中"
    ),
    "daemon_deployment_rollback_successful": Words(
        "Daemon deployment rolled back", "デーモンのデプロイのロールバックが完了"
    ),
    "daemon_deployment_rollback_failed": Words(
        "Daemon deployment rollback failed", "デーモンのデプロイのロールバックに失敗"
    ),
    # Container instances
    "instance_impaired": Words("Container instance impaired", "コンテナインスタンスに障害"),
    "agent_disconnected": Words("Container agent disconnected", "コンテナエージェントの切断"),
    "container_instance_active": Words("Container instance active", "コンテナインスタンスが有効"),
    "container_instance_draining": Words("Container instance draining", "コンテナインスタンスのドレイン中"),
    "container_instance_inactive": Words("Container instance inactive", "コンテナインスタンスが無効"),
    "container_instance_registering": Words("Container instance registering", "コンテナインスタンスの登録中"),
    "container_instance_registration_failed": Words(
        "Container instance registration failed", "コンテナインスタンスの登録に失敗"
    ),
    "container_instance_deregistering": Words("Container instance deregistering", "コンテナインスタンスの登録解除中"),
    # What the router finds when it polls
    "too_few_tasks": Words("Too few tasks running", "実行中のタスクが不足"),
    "task_overdue": Words("Scheduled task is overdue", "定期実行タスクの遅延"),
    # What no ECS event says
    "task_not_started": Words("Task not started", "タスクが開始されず"),
    "retirement_scheduled": Words("AWS will retire tasks", "AWS によるタスクの廃止予定"),
    "aws_issue": Words("AWS reports an issue with ECS", "ECS に関する AWS の障害情報"),
    # The router's own
    "channel_failing": Words("Alert channel is failing", "通知チャネルに障害"),
    "test_alert": Words("TEST alert, nothing is wrong", "TEST (テスト通知、対応は不要)"),
    # CloudWatch
    "cloudwatch_alarm": Words("CloudWatch alarm", "CloudWatch アラーム"),
    "cloudwatch_alarm_deleted": Words("CloudWatch alarm deleted", "CloudWatch アラームが削除されました"),
    "cloudwatch_alarm_contributor_state_change": Words(
        "One time series of a CloudWatch alarm changed", "CloudWatch アラームのコントリビューターの状態変化"
    ),
}

# The words for the resolving event of causes that both open and resolve.
_OVER: Mapping[str, Words] = {
    "instance_impaired": Words("Container instance is healthy again", "コンテナインスタンスが正常に復帰"),
    "channel_failing": Words("Alert channel recovered", "通知チャネルが復旧"),
    "too_few_tasks": Words("Enough tasks running again", "実行中のタスク数が回復"),
    "retirement_scheduled": Words("AWS closed the task retirement", "AWS によるタスクの廃止が終了"),
    "aws_issue": Words("AWS closed the issue with ECS", "ECS に関する AWS の障害情報が終了"),
    "cloudwatch_alarm": Words("CloudWatch alarm is OK again", "CloudWatch アラームが OK に復帰"),
}

# More exact words for `essential_container_exited`, where the exit code says more.
CRASHED = Words("Container crashed", "必須コンテナが異常終了")
KILLED = Words("Container killed", "必須コンテナが強制終了")

# They are upper case in the middle of a sentence too.
_NAMES = ("AWS", "Availability", "CloudWatch", "ECS", "Spot", "TEST", "VPC")


def cause_words(cause: str, language: str, *, over: bool = False) -> str:
    """The cause in plain words.

    Args:
        language: `en` or `ja`.
        over: the words are for the event that resolves the cause.
    """
    words = (_OVER.get(cause) if over else None) or CAUSES.get(cause)
    if words is None:  # an event name that AWS added, or a user's own cause
        return cause.replace("_", " ").strip().capitalize()
    return in_language(words, language)


def in_language(words: Words, language: str) -> str:
    return words.ja if language == "ja" else words.en


def mid_sentence(words: str) -> str:
    """The words as they are written in the middle of a sentence: "out of memory", but "CloudWatch alarm"."""
    return words if words.startswith(_NAMES) else words[:1].lower() + words[1:]

"""Everything that messages say besides the causes, in English and Japanese (AWS's own terms where it has them).

A test proves that both languages have every key, with the same placeholders.
"""

from typing import Any

PHRASES: dict[str, dict[str, str]] = {
    "title_opened": {"en": "{cause}: {subject}", "ja": "{cause}: {subject}"},
    "title_updated": {"en": "Still going on: {cause}: {subject}", "ja": "継続中: {cause}: {subject}"},
    "title_resolved": {"en": "Resolved: {cause}: {subject}", "ja": "解決: {cause}: {subject}"},
    "title_gathered": {
        "en": "{count} incidents{place}, worst first",
        "ja": "インシデント {count} 件{place} 重大順",
    },
    "title_gathered_resolved": {
        "en": "Resolved: {count} incidents{place}",
        "ja": "解決: インシデント {count} 件{place}",
    },
    "in_cluster": {"en": " in {cluster}", "ja": " ({cluster})"},
    "in_clusters": {"en": " in {count} clusters", "ja": " ({count} 個のクラスター)"},
    "gathered_opened": {
        "en": "• {cause}{place}, {count} new ({severity})",
        "ja": "• {cause}{place} 新規 {count} 件 [{severity}]",
    },
    "gathered_updated": {
        "en": "• {cause}{place}, {count} still going on ({severity})",
        "ja": "• {cause}{place} 継続中 {count} 件 [{severity}]",
    },
    "gathered_resolved": {
        "en": "• {cause}{place}, {count} resolved (were {severity})",
        "ja": "• {cause}{place} 解決 {count} 件 [{severity}]",
    },
    "gathered_names_more": {"en": " and {count} more", "ja": " 他 {count} 件"},
    "gathered_more": {"en": "… and {count} more incidents", "ja": "… 他 {count} 件のインシデント"},
    "channel_failing": {
        "en": "Nothing has reached this alert channel for 15 minutes. What it misses, it hears when it is back. "
        "Try it with `ecs-alert-router send-test`.",
        "ja": "この通知チャネルに 15 分以上送信できていません。復旧後に最新の状態を送信します。"
        "`ecs-alert-router send-test` で確認してください。",
    },
    "subject_service": {"en": "service {name}", "ja": "サービス {name}"},
    "subject_family": {"en": "task {name}", "ja": "タスク {name}"},
    "subject_alarm": {"en": "{name}", "ja": "{name}"},
    "subject_instance": {"en": "instance {name}", "ja": "インスタンス {name}"},
    "subject_daemon": {"en": "daemon {name}", "ja": "デーモン {name}"},
    "subject_channel": {"en": "{name}", "ja": "{name}"},
    "subject_deployment-group": {"en": "deployment group {name}", "ja": "デプロイグループ {name}"},
    "too_few_tasks": {"en": "Too few tasks running", "ja": "実行中のタスクが不足"},
    "subject_in_cluster": {"en": "{subject} in {cluster}", "ja": "{subject} ({cluster})"},
    "container_with_meaning": {
        "en": "Container {container} exited with code {code}: {meaning}.",
        "ja": "コンテナ {container} が終了コード {code} で終了しました: {meaning}。",
    },
    "container_with_code": {
        "en": "Container {container} exited with code {code}.",
        "ja": "コンテナ {container} が終了コード {code} で終了しました。",
    },
    "self_reported": {
        "en": "This was reported by the task itself, not by AWS.",
        "ja": "これはタスク自身からの報告であり、AWS からの通知ではありません。",
    },
    "container_never_ran": {
        "en": "Container {container} never ran.",
        "ja": "コンテナ {container} は起動していません。",
    },
    "container_without_code": {
        "en": "Container {container} stopped without an exit code: ECS does not know how it ended.",
        "ja": "コンテナ {container} は終了コードなしで停止しました (ECS は終了理由を取得していません)。",
    },
    "container_killed_at": {
        "en": "Container {container} was killed: it wanted more than its {memory} MiB of memory.",
        "ja": "コンテナ {container} はメモリ上限 {memory} MiB を超えたため強制終了されました。",
    },
    "container_killed": {
        "en": "Container {container} was killed: it wanted more memory than it may have.",
        "ja": "コンテナ {container} はメモリ上限を超えたため強制終了されました。",
    },
    "it_ran": {"en": "The task ran for {lasted}.", "ja": "タスクの実行時間は {lasted}でした。"},
    "task_stopped_after": {
        "en": "ECS stopped the task after {lasted}.",
        "ja": "タスクは起動から {lasted}後に ECS によって停止されました。",
    },
    "task_will_stop": {
        "en": "ECS will stop the task within two minutes.",
        "ja": "タスクは 2 分以内に停止されます。",
    },
    "tasks_missing": {
        "en": "Fewer tasks of service {service} in {cluster} are running than desired.",
        "ja": "サービス {service} ({cluster}) の実行中のタスク数が必要なタスク数を下回っています。",
    },
    "first_after_deployment": {
        "en": "First seen {later} after {revision} was deployed.",
        "ja": "{revision} のデプロイから {later}後に初めて発生しました。",
    },
    "first_after_some_deployment": {
        "en": "First seen {later} after a deployment began.",
        "ja": "デプロイの開始から {later}後に初めて発生しました。",
    },
    "again_after_deployment": {
        "en": "{revision} had been deployed {later} before.",
        "ja": "{revision} のデプロイから {later}後です。",
    },
    "again_after_some_deployment": {
        "en": "A deployment had begun {later} before.",
        "ja": "デプロイの開始から {later}後です。",
    },
    "seen_before": {
        "en": "{day} × in 24 h, {week} × in 7 d; the last one was {earlier} earlier.",
        "ja": "24 時間で {day} 件目、7 日間で {week} 件目です。前回は {earlier}前でした。",
    },
    "yes": {"en": "yes", "ja": "はい"},
    "no": {"en": "no", "ja": "いいえ"},
    "going_on": {
        "en": "{counts} since the last message; {total} in all since {since}.",
        "ja": "前回の通知以降: {counts}。{since} からの合計 {total} 件。",
    },
    "over": {"en": "Over after {lasted}: {counts}.", "ja": "{lasted}で解決しました: {counts}。"},
    "over_unheard": {
        "en": "It began and was over after {lasted}, before this channel could be told: {counts}.",
        "ja": "このチャネルに通知できる前に発生し、{lasted}で解決しました: {counts}。",
    },
    "lapsed": {
        "en": "No further occurrence in 24 h, so this is taken to be over: {counts}.",
        "ja": "24 時間発生がないため終了とみなします: {counts}。",
    },
    "closed": {
        "en": "Closed by hand by {by} after {lasted}: {counts}.",
        "ja": "{by} が手動でクローズしました。継続時間 {lasted}: {counts}。",
    },
    "held_back": {
        "en": "It has been going on since {since}: {count} before this one held back by silence {by}.",
        "ja": "{since} から継続しています。これ以前の {count} 件はサイレンス {by} により通知されませんでした。",
    },
    "history_unavailable": {
        "en": "History is unavailable: this may repeat, and nothing will say when it is over.",
        "ja": "履歴を利用できません。通知が重複する場合があり、解決は通知されません。",
    },
    "test_sent": {
        "en": "Somebody ran `ecs-alert-router send-test`: this channel works. There is nothing to do.",
        "ja": "`ecs-alert-router send-test` によるテスト通知です。このチャネルは正常に動作しています。対応は不要です。",
    },
    "heartbeat_title": {
        "en": "Weekly heartbeat: the alert router works",
        "ja": "週次ハートビート: アラートルーターは正常です",
    },
    "heartbeat_text": {
        "en": "This message came the whole way of an alert: EventBridge, queue, Lambda, history and this channel.",
        "ja": "このメッセージはアラートと同じ経路 (EventBridge、キュー、Lambda、履歴、このチャネル) で届きました。",
    },
    "heartbeat_unconfirmed": {
        "en": "Not confirmed, so these addresses hear nothing: {addresses}.",
        "ja": "未確認のため、次のアドレスには通知が届きません: {addresses}。",
    },
    "heartbeat_unknown": {
        "en": "Whether all e-mail subscriptions are confirmed could not be found out.",
        "ja": "メール購読の確認状況を取得できませんでした。",
    },
    "heartbeat_look_failed": {
        "en": "Some messages could not be delivered at all. Look at the channels of the failed deliveries in history.",
        "ja": "配信できなかった通知があります。履歴で配信に失敗したチャネルを確認してください。",
    },
    "heartbeat_alerts": {"en": "Alerts in 7 days", "ja": "7 日間のアラート"},
    "heartbeat_announced": {"en": "Announced", "ja": "通知"},
    "heartbeat_held_back": {"en": "Held back", "ja": "抑制"},
    "heartbeat_failed": {"en": "Deliveries failed", "ja": "配信失敗"},
    "heartbeat_open": {"en": "Incidents open now", "ja": "未解決のインシデント"},
    "span_d": {"en": "{count} d", "ja": "{count} 日"},
    "span_h": {"en": "{count} h", "ja": "{count} 時間"},
    "span_min": {"en": "{count} min", "ja": "{count} 分"},
    "span_s": {"en": "{count} s", "ja": "{count} 秒"},
    "severity_critical": {"en": "critical", "ja": "重大 (critical)"},
    "severity_error": {"en": "error", "ja": "エラー (error)"},
    "severity_warning": {"en": "warning", "ja": "警告 (warning)"},
    "severity_info": {"en": "info", "ja": "情報 (info)"},
    "label_severity": {"en": "Severity", "ja": "重要度"},
    "label_subject": {"en": "What", "ja": "対象"},
    "label_cluster": {"en": "Cluster", "ja": "クラスター"},
    "label_place": {"en": "Account", "ja": "アカウント"},
    "label_container": {"en": "Container", "ja": "コンテナ"},
    "label_exit_code": {"en": "Exit code", "ja": "終了コード"},
    "label_image": {"en": "Image", "ja": "イメージ"},
    "label_task_definition": {"en": "Task definition", "ja": "タスク定義"},
    "label_task": {"en": "Task", "ja": "タスク"},
    "label_memory": {"en": "Memory limit", "ja": "メモリ上限"},
    "label_essential": {"en": "Essential", "ja": "必須 (essential)"},
    "label_log_group": {"en": "Log group", "ja": "ロググループ"},
    "label_lifecycle_stage": {"en": "Lifecycle stage", "ja": "ライフサイクルステージ"},
    "label_instance": {"en": "Instance", "ja": "インスタンス"},
    "label_tasks": {"en": "Tasks", "ja": "タスク"},
    "label_until": {"en": "Until", "ja": "終了時刻"},
    "label_since": {"en": "Since", "ja": "発生時刻"},
    "label_alerts": {"en": "Alerts", "ja": "件数"},
    "label_silenced": {"en": "Silenced", "ja": "サイレンス"},
    "label_incident": {"en": "Incident", "ja": "インシデント"},
    "label_more": {"en": "More", "ja": "詳細"},
    "link_runbook": {"en": "Open the runbook", "ja": "ランブックを開く"},
    "link_service": {"en": "Open the service", "ja": "サービスを開く"},
    "link_task": {"en": "Open the task", "ja": "タスクを開く"},
    "link_cluster": {"en": "Open the cluster", "ja": "クラスターを開く"},
    "link_logs": {"en": "Open the log", "ja": "ログを開く"},
    "link_source": {"en": "What AWS says", "ja": "AWS の説明"},
    "link_alarm": {"en": "Open the alarm", "ja": "アラームを開く"},
}


def phrase(key: str, language: str, *, default: str | None = None, **values: Any) -> str:
    """The phrase in that language, filled in; `default` (else KeyError) where there is none."""
    if default is not None and key not in PHRASES:
        return default
    return PHRASES[key][language].format(**values)


def span(seconds: float, language: str, *, units_shown: int = 2) -> str:
    """A length of time in its largest units: `42 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size or (unit == "s" and not parts):
            parts.append(phrase(f"span_{unit}", language, count=left // size))
        left %= size
    return " ".join(parts[:units_shown])

"""Everything that messages say besides the causes, in English and Japanese (AWS's own terms where it has them).

A test proves that both languages have every key, with the same placeholders.
"""

from typing import Any

from router.model import Incident, IncidentStatus, Kind, PartLabels

PHRASES: dict[str, dict[str, str]] = {
    "title_opened": {"en": "{cause}: {subject}", "ja": "{cause} - {subject}"},
    "title_updated": {"en": "Ongoing: {subject} ({cause})", "ja": "[継続中] {cause} - {subject}"},
    "title_updated_failure": {"en": "Still failing: {subject} ({cause})", "ja": "[継続中] {cause} - {subject}"},
    "title_resolved": {"en": "Resolved: {subject} ({cause})", "ja": "[解決済み] {cause} - {subject}"},
    "title_unconfirmed": {
        "en": "No longer tracked: {subject} ({cause})",
        "ja": "[追跡終了] {cause} - {subject}",
    },
    "title_gathered": {
        "en": "{count} incidents{place}, worst first",
        "ja": "インシデント {count} 件 (重大度順{place})",
    },
    "title_gathered_one": {"en": "1 incident{place}", "ja": "インシデント 1 件 (重大度順{place})"},
    "title_gathered_resolved": {
        "en": "Resolved: {count} incidents{place}",
        "ja": "[解決済み] インシデント {count} 件{place}",
    },
    "title_gathered_resolved_one": {"en": "Resolved: 1 incident{place}", "ja": "[解決済み] インシデント 1 件{place}"},
    "in_cluster": {"en": "in {cluster}", "ja": "{cluster}"},
    "in_clusters": {"en": "in {count} clusters", "ja": "{count} 個のクラスター"},
    "counted_place": {"en": "{count} {place}", "ja": "{place} {count} 件"},
    "alarms": {"en": "{count} alarms", "ja": "アラーム {count} 件"},
    "alarms_one": {"en": "1 alarm", "ja": "アラーム 1 件"},
    "others": {"en": "{count} others", "ja": "その他 {count} 件"},
    "others_one": {"en": "1 other", "ja": "その他 1 件"},
    "gathered_opened": {
        "en": "• {cause}{place}, {count} new incidents ({severity})",
        "ja": "• {cause}{place} {severity}・新規 {count} 件",
    },
    "gathered_opened_one": {
        "en": "• {cause}{place}, 1 new incident ({severity})",
        "ja": "• {cause}{place} {severity}・新規 1 件",
    },
    "gathered_updated": {
        "en": "• {cause}{place}, {count} ongoing incidents ({severity})",
        "ja": "• {cause}{place} {severity}・継続中 {count} 件",
    },
    "gathered_updated_one": {
        "en": "• {cause}{place}, 1 ongoing incident ({severity})",
        "ja": "• {cause}{place} {severity}・継続中 1 件",
    },
    "gathered_resolved": {
        "en": "• {cause}{place}, {count} resolved incidents (was {severity})",
        "ja": "• {cause}{place} {severity}・解決済み {count} 件",
    },
    "gathered_resolved_one": {
        "en": "• {cause}{place}, 1 resolved incident (was {severity})",
        "ja": "• {cause}{place} {severity}・解決済み 1 件",
    },
    "gathered_alerts": {"en": "{name} ({count} alerts{causes})", "ja": "{name} (アラート {count} 件{causes})"},
    "gathered_causes": {"en": ": {causes}", "ja": ": {causes}"},
    "gathered_names_more": {"en": " and {count} more", "ja": " 他 {count} 件"},
    "gathered_more": {"en": "… and {count} more incidents", "ja": "… 他 {count} 件のインシデント"},
    "gathered_more_one": {"en": "… and 1 more incident", "ja": "… 他 1 件のインシデント"},
    "severity_count": {"en": "{count} {severity}", "ja": "{severity} {count} 件"},
    "about_channel_failing": {
        "en": "No alert has reached this channel for 15 minutes. It will get the current state of every incident once "
        "it recovers. Test it with `{command}`.",
        "ja": "この通知チャネルに 15 分以上送信できていません。復旧後に各インシデントの最新の状態を送信します。"
        "`{command}` で確認してください。",
    },
    "about_too_few_tasks": {
        "en": "The service has run {running} of {desired} desired tasks for 5 minutes or longer, and no deployment in "
        "progress explains it.",
        "ja": "必要なタスク {desired} 個に対し、実行中のタスクは {running} 個です。5 分以上続いており、"
        "進行中のデプロイによるものではありません。",
    },
    "about_task_overdue": {
        "en": "The run {expected} was due at {due}, and has not started.",
        "ja": "{expected} は {due} に開始される予定でしたが、開始されていません。",
    },
    "about_task_overdue_running": {
        "en": "The run {expected} started at {due}, and has not finished in time (task {task}).",
        "ja": "{expected} は {due} に開始されましたが、想定の時間内に完了していません (タスク {task})。",
    },
    "call_refused": {
        "en": "{caller} called {call}, and ECS refused it.",
        "ja": "{caller} による {call} の呼び出しが ECS に拒否されました。",
    },
    "call_started_none": {
        "en": "{caller} called {call} for {requested} tasks, and ECS started none.",
        "ja": "{caller} が {call} で {requested} 個のタスクの起動を要求しましたが、1 つも開始されませんでした。",
    },
    "call_started_fewer": {
        "en": "{caller} called {call} for {requested} tasks, and ECS started only {started}.",
        "ja": "{caller} が {call} で {requested} 個のタスクを要求しましたが、開始されたのは {started} 個だけです。",
    },
    "call_unknown_task": {
        "en": "CloudTrail does not record the parameters of such a call.",
        "ja": "CloudTrail はこのような呼び出しのパラメータを記録しません。",
    },
    "caller_unknown": {"en": "An unknown caller", "ja": "不明な呼び出し元"},
    "retirement_of_tasks": {
        "en": "AWS will stop standalone tasks{at} and will not replace them.",
        "ja": "AWS は{at}スタンドアロンタスクを停止します。停止したタスクは置き換えられません。",
    },
    "retirement_of_services": {
        "en": "AWS will stop tasks of services{at}; ECS starts their replacements automatically.",
        "ja": "AWS は{at}サービスのタスクを停止します。代わりのタスクは ECS が自動的に起動します。",
    },
    "retirement_of_unknown": {
        "en": "AWS will stop Fargate tasks{at}. ECS replaces those of services; standalone tasks are not replaced.",
        "ja": "AWS は{at} Fargate タスクを停止します。サービスのタスクは ECS が置き換えますが、スタンドアロンタスクは"
        "置き換えられません。",
    },
    "retirement_at": {"en": " at or after {time}", "ja": " {time} 以降に"},
    "aws_issue_since": {
        "en": "AWS reports this for {service} in {region} since {time}.",
        "ja": "AWS が {region} の {service} について {time} から報告しています。",
    },
    "aws_change_at": {
        "en": "AWS plans this change of {service} in {region} for {time}.",
        "ja": "AWS が {region} の {service} について {time} に予定している変更です。",
    },
    "health_pages": {
        "en": "AWS sent the list of what is affected in {count} parts; the AWS Health Dashboard shows all of it.",
        "ja": "対象の一覧は {count} 件に分割されて届きます。全体は AWS Health Dashboard で確認できます。",
    },
    "affected_in": {"en": "{region}", "ja": "{region}"},
    "affected_services_in": {"en": "services in {region}", "ja": "サービス ({region})"},
    "affected_tasks_in": {"en": "standalone tasks in {region}", "ja": "スタンドアロンタスク ({region})"},
    "affected_services_counted": {"en": "{count} services in {region}", "ja": "サービス {count} 個 ({region})"},
    "affected_services_counted_one": {"en": "service {name}", "ja": "サービス {name}"},
    "affected_tasks_counted": {
        "en": "{count} standalone tasks in {region}",
        "ja": "スタンドアロンタスク {count} 個 ({region})",
    },
    "affected_tasks_counted_one": {"en": "standalone task {name}", "ja": "スタンドアロンタスク {name}"},
    "affected_more": {"en": "{names} and {count} more", "ja": "{names} 他 {count} 件"},
    "aws_change": {"en": "AWS plans a change of ECS", "ja": "ECS に関する AWS の変更予定"},
    "too_few_tasks": {"en": "Too few tasks running", "ja": "実行中のタスクが不足"},
    "too_many_tasks": {"en": "Too many tasks running", "ja": "実行中のタスクが過多"},
    "alarm_in_service": {"en": "{alarm} ({service})", "ja": "{alarm} - {service}"},
    "alarm_threshold": {
        "en": "{metric} was {values}{during}; the threshold is {threshold}.",
        "ja": "{metric}が{during} {values} でした。しきい値は {threshold} です。",
    },
    "alarm_outside_band": {
        "en": "{metric} was {values}{during}; the expected range is {lower} to {upper}.",
        "ja": "{metric}が{during} {values} でした。想定範囲は {lower} から {upper} です。",
    },
    "alarm_value": {"en": "{metric} was {values}{during}.", "ja": "{metric}が{during} {values} でした。"},
    "alarm_tasks_missing": {
        "en": "{service} is running fewer tasks than desired ({count} missing{during}).",
        "ja": "{service} の実行中のタスク数が必要なタスク数を下回っています ({during} {count} 個不足)。",
    },
    "alarm_data_missing": {
        "en": "CloudWatch received no data for {metric}{during}, and the alarm counts missing data as breaching.",
        "ja": "CloudWatch が{metric}のデータを受信していません{during}。"
        "このアラームは欠落データをしきい値超過として扱います。",
    },
    "alarm_insufficient_data": {
        "en": "CloudWatch does not have enough data to evaluate the alarm: no recent values of {metric}{during}.",
        "ja": "アラームの評価に必要なデータが不足しています ({metric}の最近の値がありません{during})。",
    },
    "alarm_for": {"en": " for {lasted}", "ja": " {lasted}間"},
    "alarm_in_periods": {
        "en": " in {breaching} of the last {evaluated} periods of {period}",
        "ja": "直近 {evaluated} 期間 (各 {period}) のうち {breaching} 期間で",
    },
    "alarm_metric_of": {"en": "{metric} of {owner}", "ja": "{owner}の{metric}"},
    "alarm_metric": {"en": "the alarm's metric", "ja": "アラームのメトリクス"},
    "alarm_expression": {"en": "the alarm's expression", "ja": "アラームの数式"},
    "alarm_running_tasks": {"en": "the number of running tasks", "ja": "実行中のタスク数"},
    "alarm_desired_tasks": {"en": "the number of desired tasks", "ja": "必要なタスク数"},
    "alarm_pending_tasks": {"en": "the number of pending tasks", "ja": "保留中のタスク数"},
    "alarm_target_group": {"en": "target group {name}", "ja": "ターゲットグループ {name}"},
    "alarm_load_balancer": {"en": "load balancer {name}", "ja": "ロードバランサー {name}"},
    "alarm_children": {"en": "Triggered by alarm {names}.", "ja": "アラーム {names} により発生しました。"},
    "alarm_children_more": {"en": " and {count} more", "ja": " 他 {count} 件"},
    "alarm_was_muted": {
        "en": "CloudWatch mute rule {rule} muted this alarm until {until}, and it has not recovered.",
        "ja": "CloudWatch のミュートルール {rule} により {until} までミュートされていましたが、復旧していません。",
    },
    "container_with_meaning": {
        "en": "Container {container} exited with code {code}: {meaning}.",
        "ja": "コンテナ {container} が終了コード {code} で終了しました: {meaning}。",
    },
    "container_with_code": {
        "en": "Container {container} exited with code {code}.",
        "ja": "コンテナ {container} が終了コード {code} で終了しました。",
    },
    "containers_with_meaning": {
        "en": "Containers {container} exited with code {code}: {meaning}.",
        "ja": "コンテナ {container} が終了コード {code} で終了しました: {meaning}。",
    },
    "containers_with_code": {
        "en": "Containers {container} exited with code {code}.",
        "ja": "コンテナ {container} が終了コード {code} で終了しました。",
    },
    "containers_failed": {
        "en": "Several containers failed: {containers}.",
        "ja": "複数のコンテナで障害が発生しました: {containers}。",
    },
    "self_reported": {
        "en": "This was reported by the task itself, not by AWS.",
        "ja": "これはタスク自身からの報告であり、AWS からの通知ではありません。",
    },
    "container_never_ran": {
        "en": "Container {container} never started.",
        "ja": "コンテナ {container} は一度も起動しませんでした。",
    },
    "containers_never_ran": {
        "en": "Containers {container} never started.",
        "ja": "コンテナ {container} は一度も起動しませんでした。",
    },
    "none_started": {
        "en": "None of the {count} containers started.",
        "ja": "{count} 個のコンテナはいずれも起動しませんでした。",
    },
    "container_without_code": {
        "en": "Container {container} stopped, and ECS reported no exit code.",
        "ja": "コンテナ {container} が停止しましたが、ECS は終了コードを報告していません。",
    },
    "containers_without_code": {
        "en": "Containers {container} stopped without an exit code: ECS does not know how they ended.",
        "ja": "コンテナ {container} は終了コードなしで停止しました (ECS は終了理由を取得していません)。",
    },
    "container_killed_at": {
        "en": "Container {container} was killed for exceeding its {memory} MiB memory limit.",
        "ja": "コンテナ {container} はメモリ上限 {memory} MiB を超えたため強制終了されました。",
    },
    "containers_killed_at": {
        "en": "Containers {container} were killed for exceeding their {memory} MiB memory limit.",
        "ja": "コンテナ {container} はメモリ上限 {memory} MiB を超えたため強制終了されました。",
    },
    "container_killed": {
        "en": "Container {container} was killed for exceeding its memory limit.",
        "ja": "コンテナ {container} はメモリ上限を超えたため強制終了されました。",
    },
    "containers_killed": {
        "en": "Containers {container} were killed for exceeding their memory limits.",
        "ja": "コンテナ {container} はメモリ上限を超えたため強制終了されました。",
    },
    "container_unhealthy": {
        "en": "Container {container} failed its health check.",
        "ja": "コンテナ {container} のヘルスチェックが失敗しました。",
    },
    "containers_unhealthy": {
        "en": "Containers {container} failed their health checks.",
        "ja": "コンテナ {container} のヘルスチェックが失敗しました。",
    },
    "one_container": {"en": "Container: {containers}", "ja": "コンテナ: {containers}"},
    "all_containers": {"en": "Containers: {containers}", "ja": "コンテナ: {containers}"},
    "other_containers": {"en": "Other containers: {containers}", "ja": "その他のコンテナ: {containers}"},
    "note_killed_after": {
        "en": "killed by ECS after {container} exited",
        "ja": "{container} の終了後に ECS が強制終了",
    },
    "note_killed": {"en": "killed by ECS", "ja": "ECS が強制終了"},
    "note_stopped_after": {"en": "stopped by ECS after {container} exited", "ja": "{container} の終了後に ECS が停止"},
    "note_stopped": {"en": "stopped by ECS", "ja": "ECS が停止"},
    "note_never_ran": {"en": "never started", "ja": "起動せず"},
    "note_no_code": {"en": "no exit code", "ja": "終了コードなし"},
    "note_running": {"en": "still running", "ja": "実行中"},
    "note_ended_before": {"en": "had already exited", "ja": "これ以前に終了"},
    "listed": {"en": "{first} and {last}", "ja": "{first}、{last}"},
    "comma": {"en": ", ", "ja": "、"},
    "it_ran": {"en": "The task ran for {lasted}.", "ja": "タスクの実行時間は {lasted}でした。"},
    "task_stopped_after": {
        "en": "ECS stopped the task after {lasted}.",
        "ja": "タスクは起動から {lasted}後に ECS によって停止されました。",
    },
    "task_will_stop": {
        "en": "ECS will stop the task within two minutes.",
        "ja": "タスクは 2 分以内に停止されます。",
    },
    "first_after_deployment": {
        "en": "First seen {later} after {revision} was deployed.",
        "ja": "{revision} のデプロイの {later}後に初めて発生しました。",
    },
    "first_after_some_deployment": {
        "en": "First seen {later} after a deployment started.",
        "ja": "デプロイの開始の {later}後に初めて発生しました。",
    },
    "again_after_deployment": {
        "en": "{revision} was deployed {later} earlier.",
        "ja": "{revision} のデプロイの {later}後に発生しました。",
    },
    "again_after_some_deployment": {
        "en": "A deployment had started {later} earlier.",
        "ja": "デプロイの開始の {later}後に発生しました。",
    },
    "seen_before": {
        "en": "{day} time in 24 h, {week} in 7 days; last seen {earlier} before.",
        "ja": "過去 24 時間で {day} 回目、過去 7 日間で {week} 回目です。前回は {earlier}前です。",
    },
    "yes": {"en": "yes", "ja": "はい"},
    "no": {"en": "no", "ja": "いいえ"},
    "cause_counted": {"en": "{cause} {count} times", "ja": "{cause} {count} 件"},
    "cause_counted_one": {"en": "{cause} once", "ja": "{cause} 1 件"},
    "other_causes": {"en": "{count} others", "ja": "その他 {count} 件"},
    "other_causes_one": {"en": "1 other", "ja": "その他 1 件"},
    "cause_more": {"en": "{cause} {count} more times", "ja": "{cause} {count} 件"},
    "cause_more_one": {"en": "{cause} once more", "ja": "{cause} 1 件"},
    "list_separator": {"en": ", ", "ja": "、"},
    "going_on": {
        "en": "{counts} since the last message; {total} in total since {since}.",
        "ja": "前回の通知以降に{counts}が発生しました ({since} から合計 {total} 件)。",
    },
    "going_on_in_total": {
        "en": "{count} alerts since {since}.",
        "ja": "{since} から合計 {count} 件のアラートが発生しています。",
    },
    "going_on_in_total_one": {
        "en": "1 alert since {since}.",
        "ja": "{since} から合計 1 件のアラートが発生しています。",
    },
    "last_time": {"en": "Last time, {sentence}", "ja": "直近の発生: {sentence}"},
    "at_a_time": {"en": "At {time}, {sentence}", "ja": "{time} の発生: {sentence}"},
    "reminder": {
        "en": "Reminder: this has not ended. Ongoing since {since}.",
        "ja": "リマインダー: 終了していません。{since} から継続中です。",
    },
    "reminder_without_data": {
        "en": "Reminder: the alarm has had no data since {time}, so it is not known whether this has ended. "
        "It began at {since}.",
        "ja": "リマインダー: アラームは {time} からデータを受信していないため、終了したかどうかは不明です。"
        "発生時刻は {since} です。",
    },
    "returned": {
        "en": "It came back after it was resolved, {count} times since {since}.",
        "ja": "解決後に再発しました ({since} から {count} 回)。",
    },
    "returned_one": {"en": "It came back after it was resolved.", "ja": "解決後に再発しました。"},
    "flapping": {
        "en": "Flapping: it has recovered and failed again {count} times since {since}.",
        "ja": "フラッピング: {since} から回復と再発を {count} 回繰り返しています。",
    },
    "had_returned": {
        "en": "It recovered and failed again {count} times in between.",
        "ja": "その間に回復と再発を {count} 回繰り返しました。",
    },
    "had_returned_one": {
        "en": "It recovered and failed again once in between.",
        "ja": "その間に 1 回、回復後に再発しました。",
    },
    "continuing": {"en": "Still continuing: {causes}.", "ja": "継続中: {causes}。"},
    "continuing_cause": {"en": "{cause} ({count})", "ja": "{cause} ({count} 件)"},
    "continuing_cause_one": {"en": "{cause}", "ja": "{cause}"},
    "recovered_for_now": {"en": "It has recovered for now.", "ja": "現在は回復しています。"},
    "ended_steady_state": {"en": "The service reached a steady state.", "ja": "サービスが定常状態に達しました。"},
    "ended_deployment_completed": {"en": "A deployment completed.", "ja": "デプロイが完了しました。"},
    "ended_rollback_completed": {"en": "The rollback completed.", "ja": "ロールバックが完了しました。"},
    "ended_run_completed": {"en": "A later run completed.", "ja": "後から開始されたタスクが正常に完了しました。"},
    "ended_task_stopped": {"en": "The task has stopped.", "ja": "該当のタスクが停止しました。"},
    "ended_container_running": {"en": "The container is running again.", "ja": "コンテナが再び実行中になりました。"},
    "ended_alarm_ok": {"en": "The alarm is OK again.", "ja": "アラームが OK に戻りました。"},
    "ended_alarm_deleted": {"en": "The alarm was deleted.", "ja": "アラームが削除されました。"},
    "ended_approved": {"en": "The deployment was continued.", "ja": "デプロイが続行されました。"},
    "ended_rejected": {"en": "The lifecycle hook failed.", "ja": "ライフサイクルフックが失敗しました。"},
    "ended_approval_timed_out": {"en": "The time for the approval ran out.", "ja": "承認の期限が切れました。"},
    "ended_deployment_ended": {"en": "The deployment has ended.", "ja": "該当のデプロイが終了しました。"},
    "ended_instance_healthy": {
        "en": "The container instance is healthy again.",
        "ja": "コンテナインスタンスが正常に戻りました。",
    },
    "ended_instance_gone": {
        "en": "The container instance left the cluster.",
        "ja": "コンテナインスタンスがクラスターから登録解除されました。",
    },
    "ended_channel_works": {
        "en": "The channel accepts messages again.",
        "ja": "チャネルへの送信が再び成功しました。",
    },
    "ended_enough_tasks": {
        "en": "The service runs as many tasks as desired.",
        "ja": "実行中のタスク数が必要な数に達しました。",
    },
    "ended_service_deleted": {"en": "The service was deleted.", "ja": "サービスが削除されました。"},
    "ended_not_expected": {
        "en": "The run is not expected any more.",
        "ja": "この実行は監視対象から外されました。",
    },
    "ended_health_event_closed": {
        "en": "AWS closed the Health event.",
        "ja": "AWS がこの Health イベントをクローズしました。",
    },
    "ended_health_event_expired": {
        "en": "The end time that AWS announced passed more than a day ago.",
        "ja": "AWS が通知した終了時刻から 1 日以上経過しました。",
    },
    "ended_verified": {
        "en": "AWS no longer reports the problem.",
        "ja": "AWS の API で、継続していないことを確認しました。",
    },
    "unconfirmed": {
        "en": "It is not known whether this has ended: no event reported it, and AWS could not be asked ({counts}).",
        "ja": "終了したかどうかは不明です。終了を示すイベントがなく、AWS への確認もできませんでした ({counts})。",
    },
    "unconfirmed_without_data": {
        "en": "It is not known whether this has ended: the alarm has had no data for 24 h ({counts}).",
        "ja": "終了したかどうかは不明です。アラームは 24 時間データを受信していません ({counts})。",
    },
    "over": {"en": "The incident lasted {lasted} ({counts}).", "ja": "継続時間は {lasted}でした ({counts})。"},
    "over_at_once": {"en": "It is over ({counts}).", "ja": "終了しました ({counts})。"},
    "over_unheard": {
        "en": "It started and ended within {lasted}, before this channel could be notified ({counts}).",
        "ja": "このチャネルに通知する前に発生し、{lasted}後に解決しました ({counts})。",
    },
    "over_unheard_at_once": {
        "en": "It was over before this channel could be notified ({counts}).",
        "ja": "このチャネルに通知する前に解決しました ({counts})。",
    },
    "alerts": {"en": "{count} alerts", "ja": "アラート {count} 件"},
    "alerts_one": {"en": "1 alert", "ja": "アラート 1 件"},
    "more_alerts": {"en": "{count} more alerts", "ja": "アラート {count} 件"},
    "more_alerts_one": {"en": "1 more alert", "ja": "アラート 1 件"},
    "lapsed": {
        "en": "No further occurrence in 24 h, so the incident is considered over ({counts}).",
        "ja": "24 時間発生がないため、終了とみなします ({counts})。",
    },
    "closed": {
        "en": "Closed manually by {by} after {lasted} ({counts}).",
        "ja": "{by} が発生から {lasted}後に手動でクローズしました ({counts})。",
    },
    "held_back": {
        "en": "Ongoing since {since}. Silence {by} held back {count} earlier alerts.",
        "ja": "{since} から継続しています。これ以前の {count} 件はサイレンス {by} により通知されませんでした。",
    },
    "held_back_one": {
        "en": "Ongoing since {since}. Silence {by} held back 1 earlier alert.",
        "ja": "{since} から継続しています。これ以前の 1 件はサイレンス {by} により通知されませんでした。",
    },
    "history_unavailable": {
        "en": "History is unavailable: you may get this again, and no resolution will be sent.",
        "ja": "履歴を利用できません。通知が重複する場合があり、解決は通知されません。",
    },
    "test_sent": {
        "en": "Test sent with `{command}`; this channel works. No action needed.",
        "ja": "`{command}` によるテスト通知です。このチャネルは正常に動作しています。対応は不要です。",
    },
    "heartbeat_title": {
        "en": "Weekly heartbeat: the alert router is working",
        "ja": "週次ハートビート: アラートルーターは正常に動作しています",
    },
    "heartbeat_text": {
        "en": "This message took the same path as an alert: EventBridge, queue, Lambda, history and this channel.",
        "ja": "このメッセージはアラートと同じ経路 (EventBridge、キュー、Lambda、履歴、このチャネル) で届きました。",
    },
    "heartbeat_unconfirmed": {
        "en": "These addresses have not confirmed and receive nothing: {addresses}.",
        "ja": "未確認のため、次のアドレスには通知が届きません: {addresses}。",
    },
    "heartbeat_unknown": {
        "en": "Could not check whether all e-mail subscriptions are confirmed.",
        "ja": "メール購読の確認状況を取得できませんでした。",
    },
    "heartbeat_look_failed": {
        "en": "Some messages could not be delivered. Check history for the channels that failed.",
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
    "severity_critical": {"en": "critical", "ja": "重大"},
    "severity_error": {"en": "error", "ja": "エラー"},
    "severity_warning": {"en": "warning", "ja": "警告"},
    "severity_info": {"en": "info", "ja": "情報"},
    "status_opened": {"en": "{severity}", "ja": "{severity}"},
    "status_updated": {"en": "{severity}, ongoing", "ja": "{severity}・継続中"},
    "status_resolved": {"en": "RESOLVED", "ja": "解決済み"},
    "status_unconfirmed": {"en": "NOT CONFIRMED", "ja": "解決は未確認"},
    "part_lead": {"en": "What happened", "ja": "概要"},
    "part_reason": {"en": "Reason", "ja": "理由"},
    "part_hint": {"en": "What to do", "ja": "対処"},
    "part_log": {"en": "Last log lines", "ja": "ログ"},
    "label_severity": {"en": "Severity", "ja": "重要度"},
    "label_subject": {"en": "Resource", "ja": "リソース"},
    "label_place": {"en": "Account / Region", "ja": "アカウント / リージョン"},
    "label_container": {"en": "Container", "ja": "コンテナ"},
    "label_exit_code": {"en": "Exit code", "ja": "終了コード"},
    "label_image": {"en": "Image", "ja": "イメージ"},
    "label_task_definition": {"en": "Task definition", "ja": "タスク定義"},
    "label_task": {"en": "Task", "ja": "タスク"},
    "label_memory": {"en": "Memory limit", "ja": "メモリ上限"},
    "label_essential": {"en": "Essential container", "ja": "必須コンテナ"},
    "label_log_group": {"en": "Log group", "ja": "ロググループ"},
    "label_lifecycle_stage": {"en": "Lifecycle stage", "ja": "ライフサイクルステージ"},
    "label_instance": {"en": "Instance", "ja": "インスタンス"},
    "label_tasks": {"en": "Tasks", "ja": "タスク"},
    "label_recovered": {"en": "Recovered", "ja": "復旧時刻"},
    "label_ended": {"en": "Ended", "ja": "終了時刻"},
    "label_since": {"en": "Since", "ja": "発生時刻"},
    "label_alerts": {"en": "Alerts", "ja": "アラート件数"},
    "label_silenced": {"en": "Silenced", "ja": "サイレンス中の件数"},
    "label_incidents": {"en": "Incidents", "ja": "インシデント"},
    "label_more": {"en": "CLI", "ja": "確認コマンド"},
    "label_log_lines": {"en": "Log lines", "ja": "ログ"},
    "log_lines": {
        "en": "times as the application wrote them",
        "ja": "時刻はアプリケーションの出力のまま",
    },
    "log_lines_until": {
        "en": "times as the application wrote them; last line logged at {time}",
        "ja": "時刻はアプリケーションの出力のまま (最終行の記録時刻 {time})",
    },
    "link_runbook": {"en": "View runbook", "ja": "ランブックを表示"},
    "link_logs": {"en": "View logs", "ja": "ログを表示"},
    "link_task": {"en": "View task", "ja": "タスクを表示"},
    "link_stopped_tasks": {"en": "View stopped tasks", "ja": "停止したタスクを表示"},
    "link_deployments": {"en": "View deployments", "ja": "デプロイを表示"},
    "link_service": {"en": "View service", "ja": "サービスを表示"},
    "link_cluster": {"en": "View cluster", "ja": "クラスターを表示"},
    "link_alarm": {"en": "View alarm", "ja": "アラームを表示"},
    "link_source": {"en": "AWS guide", "ja": "AWS ガイド"},
    "link_of": {"en": "{link} ({name})", "ja": "{link} ({name})"},
    "label_affected_services": {"en": "Affected services", "ja": "対象のサービス"},
    "label_affected_tasks": {"en": "Affected tasks", "ja": "対象のタスク"},
    "label_affected": {"en": "Affected", "ja": "対象"},
    "label_planned": {"en": "Planned", "ja": "予定時刻"},
    "label_caller": {"en": "Caller", "ja": "呼び出し元"},
    "link_health_event": {"en": "View AWS Health event", "ja": "AWS Health イベントを表示"},
    "label_alarm": {"en": "Alarm", "ja": "アラーム"},
    "label_metric": {"en": "Metric", "ja": "メトリクス"},
    "label_threshold": {"en": "Threshold", "ja": "しきい値"},
    "label_alarm_rule": {"en": "Alarm rule", "ja": "アラームルール"},
    "label_alarm_state": {"en": "State", "ja": "状態"},
    "label_availability_zone": {"en": "Availability Zone", "ja": "アベイラビリティーゾーン"},
    "label_capacity_provider": {"en": "Capacity provider", "ja": "キャパシティプロバイダー"},
    "label_launch_type": {"en": "Launch type", "ja": "起動タイプ"},
    "label_started_by": {"en": "Started by", "ja": "起動元"},
    "link_child_alarm": {"en": "View alarm {name}", "ja": "アラーム {name} を表示"},
    "link_target_group": {"en": "View target group", "ja": "ターゲットグループを表示"},
    "link_auto_scaling_group": {"en": "View Auto Scaling group", "ja": "Auto Scaling グループを表示"},
}


def phrase(key: str, language: str, *, default: str | None = None, **values: Any) -> str:
    """The phrase in that language, filled in; `default` (else KeyError) where there is none.

    A `count` of 1 chooses the phrase `{key}_one` where there is one.
    """
    if default is not None and key not in PHRASES:
        return default
    if values.get("count") == 1 and f"{key}_one" in PHRASES:
        key = f"{key}_one"
    return PHRASES[key][language].format(**values)


def ordinal(number: int, language: str) -> str:
    """`1st`, `2nd`, `11th`; in Japanese the number alone, because its counters say the rest."""
    if language == "ja":
        return str(number)
    is_teen = number % 100 in range(11, 14)
    return f"{number}{'th' if is_teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def status(kind: Kind, incident: Incident, language: str) -> str:
    """`Message.status`: severity and status in one phrase, such as `CRITICAL, ongoing`."""
    unconfirmed = kind is Kind.RESOLVED and incident.status is IncidentStatus.UNCONFIRMED
    key = "status_unconfirmed" if unconfirmed else f"status_{kind}"
    return phrase(key, language, severity=phrase(f"severity_{incident.severity}", language).upper())


def part_labels(language: str) -> PartLabels:
    """`Message.labels`: what the parts of a message are called."""
    return PartLabels(*(phrase(f"part_{part}", language) for part in PartLabels._fields))


def span(seconds: float, language: str, *, units_shown: int = 2) -> str:
    """A length of time in its largest units: `42 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size or (unit == "s" and not parts):
            parts.append(phrase(f"span_{unit}", language, count=left // size))
        left %= size
    return " ".join(parts[:units_shown])

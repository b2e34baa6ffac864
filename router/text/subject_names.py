"""How text for people names a subject: "service orders in prod". Machines use `Subject.text`: `service:orders`."""

from collections.abc import Mapping

from router.model import Subject, SubjectKind

TASK_SHOWN = 8
"""Characters of a task's id: enough to find it by."""

_NAMES: Mapping[SubjectKind, Mapping[str, str]] = {
    SubjectKind.SERVICE: {"en": "service {name}", "ja": "サービス {name}"},
    SubjectKind.FAMILY: {"en": "task family {name}", "ja": "タスクファミリー {name}"},
    SubjectKind.ALARM: {"en": "{name}", "ja": "{name}"},  # the cause says that it is an alarm
    SubjectKind.INSTANCE: {"en": "instance {name}", "ja": "インスタンス {name}"},
    SubjectKind.DAEMON: {"en": "daemon {name}", "ja": "デーモン {name}"},
    SubjectKind.DEPLOYMENT_GROUP: {"en": "deployment group {name}", "ja": "デプロイグループ {name}"},
    SubjectKind.CLUSTER: {"en": "cluster {name}", "ja": "クラスター {name}"},
    SubjectKind.CAPACITY_PROVIDER: {"en": "capacity provider {name}", "ja": "キャパシティプロバイダー {name}"},
    SubjectKind.CHANNEL: {"en": "{name}", "ja": "{name}"},  # so does the cause of a failing channel
    SubjectKind.ROUTER: {"en": "alert router {name}", "ja": "アラートルーター {name}"},
    SubjectKind.HEALTH_EVENT: {"en": "AWS Health event {name}", "ja": "AWS Health イベント {name}"},
    SubjectKind.CALLER: {"en": "caller {name}", "ja": "呼び出し元 {name}"},
    SubjectKind.OTHER: {"en": "{name}", "ja": "{name}"},
}
_TASK = {"en": "task {name}", "ja": "タスク {name}"}
_UNKNOWN = {"en": "(unknown)", "ja": "(不明)"}
_IN_CLUSTER = {"en": "{subject} in {cluster}", "ja": "{subject} ({cluster})"}


def subject_name(subject: Subject, language: str, task: str = "") -> str:
    """The subject's kind and name, such as "service orders" or "task family nightly-invoices".

    Args:
        language: `en` or `ja`.
        task: id of the task that the alert is about. It stands for a family that the event does not name.
    """
    is_known = subject.name not in {"", "-"}
    if not is_known and task:
        return _TASK[language].format(name=task[:TASK_SHOWN])
    name = subject.name.rpartition("/")[2] if subject.kind is SubjectKind.HEALTH_EVENT else subject.name
    return _NAMES[subject.kind][language].format(name=name if is_known else _UNKNOWN[language])


def subject_in_cluster(subject: Subject, language: str, task: str = "") -> str:
    """The same with the cluster, such as "service orders in prod"; without it if the event names none."""
    name = subject_name(subject, language, task)
    if subject.cluster in {"", "-"} or subject.kind is SubjectKind.CLUSTER:
        return name
    return _IN_CLUSTER[language].format(subject=name, cluster=subject.cluster)

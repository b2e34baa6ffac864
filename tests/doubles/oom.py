"""One incident, for the tests of channels: service:web was killed twice for its memory."""

from router.model import Alert, Incident, IncidentStatus, Severity, Subject, SubjectKind

SUBJECT = Subject("123456789012", "eu-west-1", "prod", SubjectKind.SERVICE, "web")
ALERT = Alert(
    "a1",
    "e1",
    1723137542.67,
    Severity.CRITICAL,
    "out_of_memory",
    resolves=False,
    rule="oom",
    title="Out of memory: service:web",
    subject=SUBJECT,
)
INCIDENT = Incident(3, IncidentStatus.OPEN, SUBJECT, Severity.CRITICAL, {"out_of_memory": 2}, ("t1",), ALERT, 1.0, 2.0)

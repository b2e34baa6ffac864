"""Writes docs/classification.md, docs/messages.md and the JSON Schema, from code and examples: `make docs-pages`.

A test compares the result with the repository.
"""

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from docs.examples import EXAMPLES, Example
from docs.pictures import Picture, announced
from local_aws.events import Raw
from router.causes import CAUSES, cause_words
from router.channels.plugins import load
from router.config.schema import json_schema
from router.ecs.classify import RULES, Rule, alert, classify
from router.ecs.normalise import normalise
from router.incident.state import Dispatch
from router.messages.hints import HINTS, Hint
from router.messages.render import notification
from router.model import Alert, ChannelConfig, Enrichment, Incident, IncidentStatus, Kind, Message, Recurrence

DOCS = Path(__file__).parent
_BY_NAME = "`eventName` in lower case"


def alert_of(raw: Raw) -> Alert:
    event = normalise(raw)
    return alert(event, classify(event))


def message(raw: Raw, language: str, enrichment: Mapping[str, object] | None = None) -> Message:
    """The `opened` message of an event."""
    first = alert_of(raw)
    incident = Incident(
        1,
        IncidentStatus.OPEN,
        first.subject,
        first.severity,
        {first.cause: 1},
        (first.task,),
        first,
        first.at,
        first.at,
    )
    known = dict(enrichment or {})
    recurrence = known.pop("recurrence", None)
    enriched = Enrichment(**known, recurrence=Recurrence(**recurrence) if isinstance(recurrence, dict) else None)  # type: ignore[arg-type]
    time_zone = "Asia/Tokyo" if language == "ja" else "UTC"
    config = ChannelConfig("docs", "docs", {}, language=language, time_zone=time_zone)
    dispatch = Dispatch("docs", Kind.OPENED, 1, 1, is_first=True, severity=first.severity, suppressed={})
    return notification(dispatch, incident, config, enriched).message


# --- classification.md ------------------------------------------------------------------------------------------------


def classification() -> str:
    """The table of rules, then each rule with an event and its message."""
    return "\n".join([_TABLE_HEAD, *map(_row, RULES, EXAMPLES), _EXAMPLES_HEAD, *map(_example, EXAMPLES)]) + "\n"


_TABLE_HEAD = """# Classification

Made by `make docs-pages` from [router/ecs/classify.py](../router/ecs/classify.py) and [docs/examples.py](examples.py).

Plugins are asked first (`classify_event`), then this table, in which the first rule that matches decides, and then your own
`[[rules]]`. Text is matched without regard to case. For a STOPPED task the containers' reasons count only with the stop
codes EssentialContainerExited and TaskFailedToStart, or with an unknown one. If ECS gives no stop code, it is inferred from
the reason. If exit codes contradict each other (some 0, some not), the task definition's `essential` flags decide which
count, provided that `[enrich]` has `task_definition = true`; otherwise the worst counts.

A task that someone stopped is `info`, whatever the reason says, because anyone can write it. AWS Batch ends a job that runs
too long in the same way. If you use Batch, this rule makes such a job an alert:

```toml
[[rules]]
name = "AWS Batch job took too long"
match = { cause = "stopped_by_user", reason = "job attempt duration exceeded timeout*" }
severity = "error"
```

"resolves" marks an event that ends a problem. To classify an event: `ecs-alert-router classify event.json`.

| rule | when | severity | cause |
|---|---|---|---|"""

_EXAMPLES_HEAD = """
## An event for each rule

Every event is complete, and invented. The message above it is what a channel gets if the alert is announced.
"""


def _row(rule: Rule, example: Example) -> str:
    assert rule.name == example.rule, f"{rule.name}: its example must have the same position"
    cause = f"`{rule.cause}`" if isinstance(rule.cause, str) else _cause_made(rule)
    resolves = ", resolves" if rule.resolves else ""
    when = example.when.replace("|", "\\|")
    return f"| [{rule.name}](#{anchor(rule.name)}) | {when} | {rule.severity}{resolves} | {cause} |"


def _cause_made(rule: Rule) -> str:
    names = {"task state": "`task_` and the status", "instance state": "`container_instance_` and the status"}
    return names.get(rule.name, _BY_NAME)


def anchor(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _example(example: Example) -> str:
    alert = alert_of(example.event)
    resolves = ", resolves" if alert.resolves else ""
    return "\n".join(
        [
            f"### {example.rule}\n",
            f"{alert.severity}{resolves}, `{alert.cause}`, `{alert.subject.fingerprint}`\n",
            _quoted(message(example.event, "en", example.enrichment)),
            "<details><summary>event</summary>\n",
            f"```json\n{json.dumps(example.event, indent=1)}\n```\n",
            "</details>\n",
        ]
    )


def _quoted(shown: Message) -> str:
    lines = [f"<b>{html.escape(shown.title)}</b>", *map(html.escape, shown.text.splitlines())]
    return "".join(f"> {line}<br>\n" for line in lines)


# --- messages.md ------------------------------------------------------------------------------------------------------


def messages() -> str:
    """A picture for each cause that is announced, its title in both languages, and every hint."""
    return "\n".join([_MESSAGES_HEAD, *_contents(), "", *_pictured(), _HINTS_HEAD, *_hints()]) + "\n"


_MESSAGES_HEAD = """# Messages

Made by `make docs-pages` and `make docs-images` from [docs/examples.py](examples.py): each picture is the page that
`ecs-alert-router simulate event.json --html page.html` makes, drawn by a browser. Slack's blocks are drawn by hand, Teams'
cards by the official renderer of adaptive cards. Render your own events the same way before you need them.

A message says which container failed and how long it had run, how often this has happened, the preceding deployment, ECS's
own reason, and what to do; then the image, the last log lines, and the pages to open. Recurrence and deployment come from
the router's own history. Memory limits, essential containers and log lines appear if `[enrich]` of
[alert-router.toml](../alert-router.toml) turns them on:

| `[enrich]` | adds | permits the function |
|---|---|---|
| `history = true` (the default) | how often the cause occurred in 24 hours (to the hour) and in 7 days (to the day), counting alerts that match a route or were silenced; when it last occurred; the preceding deployment | nothing new |
| `task_definition = true` | memory limits, essential containers, a link to the log; a better classification of contradicting exit codes | `ecs:DescribeTaskDefinition` |
| `log_groups = ["/ecs/*"]` | the last lines of the failed container, with what looks like a secret redacted | `logs:GetLogEvents` on these groups |

Each lookup has its own short timeout; all together get three seconds. A lookup that fails is left out: no message waits for
it. Secrets are recognised by their form and by the text before them (`password=`, `Bearer`, `://user:`); that is a guess,
so only give a channel to people who may see those logs.

## Notification kinds

**Opened**: what happened.

![Slack and Teams: out of memory, with the limit, the deployment before it, what to do and the last log lines](images/chat.png)

**Updated**: it got worse, or a digest of what was held back.

![The digest on each channel: how often since the last message, and in all](images/updated.png)

**Gathered**: several incidents in one message, worst first, when a channel's rate limit is reached. PagerDuty gets each
separately.

![Many incidents in one message on Slack, Teams and e-mail](images/gathered.png)

**Resolved**: what ended it, how long it lasted, and how often it occurred.

![The end on each channel, short and green](images/resolved.png)

**E-mail through SES** ([channels.md](channels.md#e-mail-through-ses)) is HTML and text, in one thread per incident:

![Out of memory as a mail in HTML](images/mail.png)

**Japanese**, in the reader's time zone (`language = "ja"`, `time_zone = "Asia/Tokyo"`):

![Out of memory in Japanese on each channel](images/japanese.png)
![A crash in Japanese on each channel](images/japanese-crash.png)
![A missing image in Japanese on each channel](images/japanese-image.png)

## Each cause

Alerts of severity info are recorded and notify no one, whatever the routes say. Your own [rule](configuration.md#rules) can
raise their severity."""

_HINTS_HEAD = """
## Hints

A message has the first hint that matches. `{memory}`, `{image}` and other placeholders are filled in; a hint whose placeholder
is unknown is left out.
"""


def _contents() -> Iterator[str]:
    yield "\n| cause | English | 日本語 |\n|---|---|---|"
    shown = announced()
    for cause, words in CAUSES.items():
        name = f"[`{cause}`](#{cause})" if cause in shown else f"`{cause}`"
        yield f"| {name} | {words.en} | {words.ja} |"


def _pictured() -> Iterator[str]:
    for cause, picture in announced().items():
        yield f"### {cause}\n"
        yield f"![{cause_words(cause, 'en')}, on each channel](images/{cause}.png)\n"
        yield _quoted(_message(picture, "ja"))


def _message(picture: Picture, language: str) -> Message:
    return message(picture.event, language, picture.enrichment)


def _hints() -> Iterator[str]:
    for cause, hints in HINTS.items():
        yield f"### {cause}: hints\n"
        yield "| if | hint | source |\n|---|---|---|"
        yield from map(_hint_row, hints)
        yield ""


def _hint_row(hint: Hint) -> str:
    codes = f"exit code {' or '.join(map(str, hint.code))}" if hint.code else ""
    codes += f" beside a {' or '.join(map(str, hint.beside))} in a standalone task" if hint.beside else ""
    conditions = (hint.target, hint.failure, hint.registry, hint.launch, hint.metric, hint.hook)
    where = "; ".join(filter(None, [codes, *map(" or ".join, conditions)])) or "otherwise"
    return f"| {where} | {hint.en}<br>{hint.ja} | [{urlsplit(hint.source).netloc}]({hint.source}) |"


PAGES: Mapping[str, Callable[[], str]] = {
    "classification.md": classification,
    "messages.md": messages,
    "../alert-router.schema.json": lambda: json_schema(load(DOCS.parent / "plugins")),
}

if __name__ == "__main__":
    for name, write in PAGES.items():
        (DOCS / name).write_text(write(), "utf-8")

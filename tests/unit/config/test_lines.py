"""Problems are given the lines that they are about."""

from router.config.lines import with_lines

TEXT = """language = "fr"

[channels.ops-slack]
kind = "slack"
"odd key" = 1

[[routes]] # the first
channels = ["x"]
[[routes]]
match = { cluster = "!", cause = [
    "oom",
] }
severity = "fatal"

[channels."team a"]
kind = "x"
[routes.match]
cluster = "x"
"""


def lines(*problems: str) -> list[str]:
    return list(with_lines(problems, TEXT))


def test_a_problem_has_the_line_of_its_key_or_else_of_its_table() -> None:
    assert lines("language: x") == ["language: x (line 1)"]
    assert lines("channels.ops-slack.kind: x") == ["channels.ops-slack.kind: x (line 4)"]
    assert lines("channels.ops-slack: x") == ["channels.ops-slack: x (line 3)"]
    assert lines("channels.ops-slack.url.deep: x") == ["channels.ops-slack.url.deep: x (line 3)"]
    assert lines("routes[2].severity: x") == ["routes[2].severity: x (line 13)"]
    assert lines("routes[2].match.cause: x") == ["routes[2].match.cause: x (line 10)"]
    assert lines("routes[1].hours: x") == ["routes[1].hours: x (line 7)"]


def test_what_the_file_does_not_have_has_no_line() -> None:
    assert lines("rules[1].name: x", "plugins/odd.py: cannot be imported") == [
        "rules[1].name: x",
        "plugins/odd.py: cannot be imported",
    ]


def test_problems_come_in_the_order_of_the_file() -> None:
    found = lines("routes[2].severity: b", "plugins/odd.py: z", "language: a")
    assert [reported.partition(":")[0] for reported in found] == ["plugins/odd.py", "language", "routes[2].severity"]

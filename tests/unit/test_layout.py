"""Each module of router/ has its tests in the file of its name."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = Path(__file__).parent
TESTED_ELSEWHERE = {
    "router/context.py": "data and small accessors that every step's tests use",
    "router/pipeline.py": "the order of the steps: every test with World runs it",
    "router/understand.py": "classification with rules and plugins: config/test_rules.py, channels/test_plugins.py",
    "router/notify.py": "which jobs are sent and when: incident/test_outbox.py, channels/test_rate_limit.py",
    "router/causes.py": "a table; messages/test_render.py and docs/test_docs.py read it",
    "router/config/settings.py": "data; config/test_parse.py",
    "router/errors.py": "exception classes",
    "router/poll/state.py": "data; poll/test_services.py",
    "router/aws/home.py": "data; test_verify.py and test_polling.py",
    "router/channels/state.py": "data; channels/test_rate_limit.py and test_health.py",
    "router/config/time_zones.py": "config/test_hours.py and config/test_parse.py",
    "router/config/forms.py": "config/test_parse.py and config/test_schema.py, for each kind of value",
    "router/config/tables.py": "config/test_parse.py and config/test_schema.py",
    "router/ecs/fields.py": "ecs/test_normalise.py and ecs/test_alarms.py, with fields of every type",
    "router/ecs/reasons.py": "ecs/test_classify.py",
    "router/enrichment/task_definitions.py": "enrichment/test_enrich.py",
    "router/cli/confirm.py": "cli/test_incident.py and cli/test_redrive.py",
    "router/cli/invoke.py": "cli/test_doctor.py",
    "router/cli/outboxes.py": "cli/test_redrive.py",
    "router/cli/demo.py": "end_to_end/, which runs the demo",
    "router/cli/placeholders.py": "cli/test_simulate.py and cli/test_replay.py",
    "router/cli/preview.py": "cli/test_simulate.py",
    "router/cli/stack.py": "cli/test_doctor.py, cli/test_redrive.py and cli/test_incident.py",
    "router/cli/replay/": "cli/test_replay.py",
    "router/cli/history/": "cli/history/test_history.py, test_questions.py, test_report.py, one for each question",
}
"""Modules, or packages ending in `/`, without a test file of their name; and where they are tested."""


def modules_with_public_functions() -> list[str]:
    paths = []
    for file in sorted((ROOT / "router").rglob("*.py")):
        definitions = ast.parse(file.read_text("utf-8")).body
        functions = (node.name for node in definitions if isinstance(node, ast.FunctionDef | ast.ClassDef))
        if file.name not in {"__init__.py", "__main__.py"} and any(not name.startswith("_") for name in functions):
            paths.append(file.relative_to(ROOT).as_posix())
    return paths


def file_of_tests(module: str) -> Path:
    path = Path(module).relative_to("router")
    return UNIT / path.with_name(f"test_{path.name}")


def is_excepted(module: str) -> bool:
    return module in TESTED_ELSEWHERE or any(
        module.startswith(package) for package in TESTED_ELSEWHERE if package.endswith("/")
    )


@pytest.mark.parametrize("module", modules_with_public_functions())
def test_a_module_has_its_test_file_or_a_stated_exception(module: str) -> None:
    assert file_of_tests(module).is_file() or is_excepted(module)


@pytest.mark.parametrize("module", sorted(TESTED_ELSEWHERE))
def test_an_exception_names_a_module_without_a_test_file(module: str) -> None:
    assert (ROOT / module).exists()
    assert module.endswith("/") or not file_of_tests(module).is_file()


def test_no_test_imports_from_another_test_file() -> None:
    importing = [
        str(file)
        for file in UNIT.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests.unit")
    ]
    assert importing == []

"""Plugins: one file is enough, and a broken one affects only itself."""

import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import NoReturn

import pytest

import router
from local_aws import events
from router.channels.plugins import INDEX, Plugins, load
from router.channels.secrets import Secrets
from router.config.parse import load as load_config
from router.config.parse import parse
from router.enrichment.enrich import FACT_LENGTH, FACTS_SHOWN, enrich, facts_of, from_plugins
from router.model import Outcome
from router_conformance.server import ScriptedServer, answer
from tests.doubles.world import World

MATTERMOST = '''
    """Mattermost, through an incoming webhook."""
    from router import ChannelConfig, Notification, hookimpl, post_json

    class Mattermost:
        def __init__(self, config: ChannelConfig) -> None:
            self.url = config.options["webhook_url"]

        def render(self, notification: Notification) -> dict:      # pure, JSON-able
            return {"text": f"**{notification.message.title}**\\n{notification.message.text}"}

        def send(self, payload: dict) -> None:                     # once; raises TransientError or PermanentError
            post_json(self.url, payload)

    @hookimpl
    def register_channels(register) -> None:
        register("mattermost", Mattermost)
'''
"""The example of the plugin API, as a reader would copy it."""

GOOD = """
    from router import hookimpl

    @hookimpl
    def register_channels(register):
        register("good", dict)
"""


class Directory:
    """A directory of plugins that a test fills."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, **files: str) -> Plugins:
        for name, source in files.items():
            (self.path / f"{name}.py").write_text(dedent(source))
        return load(self.path)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    path = tmp_path / "plugins"
    path.mkdir()
    before = dict(sys.modules)
    yield Directory(path)
    for name in sys.modules.keys() - before.keys():
        del sys.modules[name]


def world_with(plugins: Plugins) -> World:
    world = World()
    found = partial(enrich, enrichers=[from_plugins(plugins)])
    world.router = world.router._replace(plugins=plugins, enrich=found)
    return world


# --- the facade -------------------------------------------------------------------------------------------------------


def test_the_facade_exports_exactly_these_names() -> None:
    """Plugins outside this repository import them: removing one breaks users, and adding one is a promise."""
    assert set(router.__all__) == {
        "Alert",
        "ChannelConfig",
        "Event",
        "Incident",
        "Message",
        "Notification",
        "PayloadRejected",
        "Option",
        "PermanentError",
        "RemoteGone",
        "Severity",
        "TransientError",
        "hookimpl",
        "incident_data",
        "post_json",
    }
    assert all(hasattr(router, name) for name in router.__all__)


# --- found in a directory ---------------------------------------------------------------------------------------------


def test_a_file_dropped_into_the_directory_registers_its_kind(directory: Directory) -> None:
    plugins = directory.load(good=GOOD)
    assert (list(plugins.kinds), plugins.problems) == (["good"], ())


def test_an_empty_or_missing_directory_is_allowed(tmp_path: Path) -> None:
    plugins = load(tmp_path / "nowhere")
    assert (dict(plugins.kinds), plugins.problems) == ({}, ())


def test_files_whose_names_start_with_an_underscore_are_not_plugins(directory: Directory) -> None:
    plugins = directory.load(__init__="raise RuntimeError", _draft="raise RuntimeError")
    assert (dict(plugins.kinds), plugins.problems) == ({}, ())


def test_a_dataclass_in_a_plugin_finds_its_module(directory: Directory) -> None:
    """With postponed annotations, dataclasses look their module up by its name."""
    source = """
        from __future__ import annotations
        from dataclasses import KW_ONLY, dataclass
        from router import hookimpl

        @dataclass
        class Webhook:
            _: KW_ONLY
            url: str

        @hookimpl
        def register_channels(register):
            register("webhook", Webhook)
    """
    plugins = directory.load(webhook=source)
    assert plugins.problems == ()
    assert list(plugins.kinds) == ["webhook"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import no_such_module", "plugins/bad.py: cannot be imported: ModuleNotFoundError"),
        ("def (", "plugins/bad.py: cannot be imported: SyntaxError"),
        ("1 / 0", "plugins/bad.py: cannot be imported: ZeroDivisionError"),
        ("raise SystemExit(0)", "plugins/bad.py: cannot be imported: SystemExit"),
        (GOOD.replace("register_channels", "register_chanels"), "plugins/bad.py: not a hook of the router"),
        (GOOD.replace("(register)", "(registry)"), "plugins/bad.py: not a hook of the router"),
        (GOOD.replace("dict)", "1 / 0)"), "plugins/bad.py: register_channels raised ZeroDivisionError"),
    ],
)
@pytest.mark.parametrize("neighbour", ["a_good_one", "good"])
def test_a_broken_plugin_is_reported_with_its_file_and_the_others_work(
    source: str, told: str, neighbour: str, directory: Directory
) -> None:
    plugins = directory.load(bad=source, **{neighbour: GOOD})
    (problem,) = plugins.problems
    assert problem.startswith(told)
    assert list(plugins.kinds) == ["good"]


def test_a_plugin_that_cannot_be_imported_leaves_no_module_behind(directory: Directory) -> None:
    directory.load(half_done="value = 1\nimport no_such_module")
    assert "plugins.half_done" not in sys.modules


def test_all_broken_plugins_are_reported_by_name(directory: Directory) -> None:
    problems = directory.load(b="1 / 0", a="1 / 0", c="1 / 0").problems
    assert [problem.partition(":")[0] for problem in problems] == ["plugins/a.py", "plugins/b.py", "plugins/c.py"]


def test_if_two_plugins_register_a_kind_the_first_by_name_keeps_it(directory: Directory) -> None:
    """The error names both files; other kinds of the second plugin are kept."""
    second = GOOD.replace("dict)", "list)") + '        register("more", list)\n'
    plugins = directory.load(b=second, a=GOOD)
    assert dict(plugins.kinds) == {"good": dict, "more": list}
    assert plugins.problems == ("plugins/b.py: kind 'good' is already provided by plugins/a.py; rename one of them",)


def test_kinds_registered_before_a_plugin_raises_are_kept(directory: Directory) -> None:
    plugins = directory.load(half=GOOD + "        1 / 0\n")
    assert list(plugins.kinds) == ["good"]
    assert plugins.problems == ("plugins/half.py: register_channels raised ZeroDivisionError: division by zero",)


# --- installed --------------------------------------------------------------------------------------------------------


class Site:
    """A directory of installed distributions that is on the path, each with one module."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def install(self, **sources: str) -> None:
        """Announces each module as an installed distribution of that name does."""
        for module, source in sources.items():
            (self.path / f"{module}.py").write_text(dedent(source))
            metadata = self.path / f"acme_{module}-1.0.dist-info"
            metadata.mkdir()
            (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-{module}\nVersion: 1.0\n")
            (metadata / "entry_points.txt").write_text(f"[ecs_alert_router]\nchat = {module}\n")

    def list(self, *modules: str) -> None:
        """Writes the index, as layer/build.py does."""
        found = [{"distribution": f"acme-{module}", "name": "chat", "module": module} for module in modules]
        (self.path / INDEX).write_text(json.dumps(found))


@pytest.fixture
def site(tmp_path: Path, directory: Directory, monkeypatch: pytest.MonkeyPatch) -> Site:
    path = tmp_path / "site-packages"
    path.mkdir()
    monkeypatch.syspath_prepend(path)
    return Site(path)


def test_an_installed_package_registers_its_kind(site: Site, directory: Directory) -> None:
    """Without an index, as for the command line, every distribution is searched."""
    site.install(good=GOOD)
    plugins = directory.load()
    assert (list(plugins.kinds), plugins.problems) == (["good"], ())


def test_with_an_index_no_packages_are_searched(
    site: Site, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search would take some 20 ms of each cold start. An index is trusted even if it is empty."""

    def search(**_: str) -> NoReturn:
        pytest.fail("searched")

    monkeypatch.setattr("router.channels.plugins.entry_points", search)
    site.install(good=GOOD, unlisted="1 / 0")
    site.list("good")
    assert list(directory.load().kinds) == ["good"]
    site.list()
    assert list(directory.load().kinds) == []


@pytest.mark.parametrize("listed", [("bad", "good"), ()])
@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import no_such_module", "acme-bad (bad): cannot be imported: ModuleNotFoundError"),
        ("1 / 0", "acme-bad (bad): cannot be imported: ZeroDivisionError"),
        (GOOD.replace("register_channels", "register_chanels"), "acme-bad (bad): not a hook of the router"),
        (GOOD.replace("dict)", "1 / 0)"), "acme-bad (bad): register_channels raised ZeroDivisionError"),
    ],
)
def test_a_broken_package_is_reported_by_name_and_the_others_work(
    source: str, told: str, listed: tuple[str, ...], site: Site, directory: Directory
) -> None:
    site.install(bad=source, good=GOOD)
    if listed:
        site.list(*listed)
    plugins = directory.load(ours=GOOD.replace('"good"', '"ours"'))
    (problem,) = plugins.problems
    assert problem.startswith(told)
    assert list(plugins.kinds) == ["ours", "good"]


def test_if_a_file_and_a_package_register_a_kind_the_file_keeps_it(site: Site, directory: Directory) -> None:
    """The file has priority whatever the names, because it is part of the checkout. The clash is still an error."""
    site.install(a=GOOD.replace("dict)", "list)") + '        register("more", list)\n')
    plugins = directory.load(z=GOOD)
    assert dict(plugins.kinds) == {"good": dict, "more": list}
    assert plugins.problems == ("acme-a (a): kind 'good' is already provided by plugins/z.py; rename one of them",)


def test_files_are_asked_before_packages(site: Site, directory: Directory) -> None:
    classifies = CLASSIFIES.format(answer="{'severity': 'info', 'cause': __name__.rpartition('.')[2]}")
    site.install(a=classifies)
    world = world_with(directory.load(z=classifies))
    (results,) = world.receive(events.task_stopped())
    assert results.routed
    assert results.routed.alert.cause == "z"


def test_a_module_that_two_packages_announce_is_registered_once(site: Site, directory: Directory) -> None:
    site.install(good=GOOD)
    site.list("good", "good")
    plugins = directory.load()
    assert list(plugins.kinds) == ["good"]
    assert plugins.problems == ("acme-good (good): its module is a plugin already; announce it once",)


# --- asked one by one -------------------------------------------------------------------------------------------------

RAISES = """
    from router import hookimpl

    @hookimpl
    def {hook}({arguments}):
        raise RuntimeError("secret")
"""


def test_hooks_are_called_in_file_order_and_an_error_stops_no_other(directory: Directory) -> None:
    says = RAISES.replace('raise RuntimeError("secret")', 'return {{"from": __name__}}')
    answers = {"a": says, "b": RAISES, "c": says}
    sources = {name: source.format(hook="enrich_alert", arguments="alert") for name, source in answers.items()}
    asked = list(directory.load(**sources).ask("enrich_alert", alert=None))
    assert [plugin for plugin, _ in asked] == ["plugins/a.py", "plugins/b.py", "plugins/c.py"]
    answered = [repr(answer) for _, answer in asked]
    assert answered == ["{'from': 'plugins.a'}", "RuntimeError('secret')", "{'from': 'plugins.c'}"]


def test_a_hook_gets_only_the_arguments_that_it_names(directory: Directory) -> None:
    source = RAISES.format(hook="alert_settled", arguments="").replace('raise RuntimeError("secret")', "return 1")
    assert list(directory.load(a=source).ask("alert_settled", alert=1, deliveries=2)) == [("plugins/a.py", 1)]


CLASSIFIES = """
    from router import hookimpl

    @hookimpl
    def classify_event(event):
        return {answer}
"""


@pytest.mark.parametrize(
    ("answers", "cause"),
    [
        (["None"], "essential_container_exited"),
        (["1 / 0"], "essential_container_exited"),
        (["'critical'"], "essential_container_exited"),
        (["{'severity': 'info', 'cause': 'ours'}"], "ours"),
        (["{'severity': 'dreadful', 'cause': 'ours'}"], "essential_container_exited"),
        (["None", "1 / 0", "{'severity': 'info', 'cause': 'ours'}"], "ours"),
        ([f"{{'severity': 'info', 'cause': '{cause}'}}" for cause in ("first", "second")], "first"),
    ],
)
def test_the_first_plugin_that_classifies_decides_before_the_core(
    answers: list[str], cause: str, directory: Directory
) -> None:
    plugins = directory.load(**{f"p{place}": CLASSIFIES.format(answer=answer) for place, answer in enumerate(answers)})
    (results,) = world_with(plugins).receive(events.task_stopped())
    assert results.routed is not None
    assert results.routed.alert.cause == cause


ENRICHES = """
    from router import hookimpl

    @hookimpl
    def enrich_alert(alert):
        return {answer}
"""


def test_facts_from_plugins_are_in_the_message(directory: Directory) -> None:
    facts = "{'Runbook': 'wiki/' + alert.cause, 'Owner': 7}"
    world = world_with(directory.load(a=ENRICHES.format(answer=facts)))
    world.receive(events.task_stopped())
    (told,) = world.slack.told
    assert told.message.facts[-2:] == (("Runbook", "wiki/essential_container_exited"), ("Owner", "7"))


@pytest.mark.parametrize("answer", ["None", "1 / 0", "['Owner']", "'Owner'", "7", "{}"])
def test_a_plugins_facts_never_block_an_alert(answer: str, directory: Directory) -> None:
    """Whatever a plugin returns as facts, the alert is sent with the facts of the others."""
    plugins = directory.load(a=ENRICHES.format(answer=answer), b=ENRICHES.format(answer="{'Owner': 'web team'}"))
    world = world_with(plugins)
    world.receive(events.task_stopped())
    assert world.slack.told[0].message.facts[-1] == ("Owner", "web team")


def test_facts_from_plugins_are_limited_in_size(directory: Directory) -> None:
    answer = "{str(number): 'x' * 10_000 for number in range(100)}"
    world = World()
    (results,) = world.receive(events.task_stopped())
    assert results.routed is not None
    facts = facts_of(results.routed.alert, directory.load(a=ENRICHES.format(answer=answer)))
    assert (len(facts), {len(value) for value in facts.values()}) == (FACTS_SHOWN, {FACT_LENGTH})


def test_a_fact_without_a_label_or_a_value_is_dropped(directory: Directory) -> None:
    """As when a plugin has found nothing."""
    answer = "{'Owner': '', ' ': 'web team', 'Team': ' web '}"
    (results,) = World().receive(events.task_stopped())
    assert results.routed is not None
    assert facts_of(results.routed.alert, directory.load(a=ENRICHES.format(answer=answer))) == {"Team": "web"}


OBSERVES = """
    from router import hookimpl

    seen = []

    @hookimpl
    def alert_settled(alert, deliveries):
        seen.append((alert.cause, deliveries))
        {then}
"""


@pytest.mark.parametrize("then", ["pass", "1 / 0"])
def test_observers_get_the_deliveries_of_an_announced_alert(then: str, directory: Directory) -> None:
    world = world_with(directory.load(watch=OBSERVES.format(then=then), b=OBSERVES.format(then="pass")))
    world.receive(events.task_stopped(), events.task_stopped(task="0" * 32), events.service_action())
    sent = [
        {"channel": name, "kind": "opened", "outcome": "sent", "attempt": 1} for name in ("slack", "email", "pager")
    ]
    for name in ("watch", "b"):
        assert sys.modules[f"plugins.{name}"].seen == [("essential_container_exited", sent)]


# --- a whole channel --------------------------------------------------------------------------------------------------


def test_the_documented_example_is_a_working_channel(
    directory: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    plugins = directory.load(mattermost=MATTERMOST)
    file = tmp_path / "alert-router.toml"
    file.write_text('[channels.x]\nkind = "mattermost"\nwebhook_url = "env:HOOK"\n[[routes]]\nchannels = ["x"]\n')
    with ScriptedServer(answer(200, "ok")) as server:
        config = load_config(file, plugins, {"HOOK": server.url("/hooks/xyz")})
        world = World()
        world.router = world.router._replace(plugins=plugins, config=config)
        (results,) = world.receive(events.task_stopped())
        ((head, body),) = server.requests
    assert (plugins.problems, config.problems) == ((), ())
    assert [(delivery.dispatch.channel, delivery.outcome) for delivery in results.deliveries] == [("x", Outcome.SENT)]
    assert head.startswith("POST /hooks/xyz ")
    assert json.loads(body)["text"].startswith("**Container crashed: service web in prod**\n")


# --- [plugins.NAME] ---------------------------------------------------------------------------------------------------

OWNERS = """
    from router import Option, hookimpl

    options = (Option("table", required=True), Option("token", secret=True))
    given = {}

    @hookimpl
    def configure_plugin(options):
        if options["table"] == "wrong":
            raise ValueError(f"table is not a table: {options['table']}")
        given.update(options)

    @hookimpl
    def enrich_alert(alert):
        return {"Owner": given["table"]}
"""
OF_ITS_OWN = OWNERS.replace('options = (Option("table", required=True), Option("token", secret=True))', "")


def configured(plugins: Plugins, tables: dict[str, object], environ: dict[str, str] | None = None) -> list[str]:
    """The problems of the tables `[plugins.NAME]`."""
    problems = parse({"plugins": tables, "routes": [{"channels": []}]}, plugins, environ or {}).problems
    return [problem for problem in problems if problem.startswith("plugins.")]


def test_a_plugin_without_a_channel_gets_its_own_options_with_references_resolved(directory: Directory) -> None:
    plugins = directory.load(owners=OWNERS)
    assert configured(plugins, {"owners": {"table": "env:OWNERS"}}, {"OWNERS": "teams"}) == []
    ((_, answer),) = plugins.ask("enrich_alert", alert=None)
    assert answer == {"Owner": "teams"}


def test_a_secret_of_a_plugin_is_read_by_the_function_alone(directory: Directory) -> None:
    plugins = directory.load(owners=OWNERS)
    table = {"plugins": {"owners": {"table": "ssm:/owners"}}, "routes": [{"channels": []}]}
    parse(table, plugins, {})
    assert sys.modules["plugins.owners"].given == {}

    class Parameters:
        def get_parameter(self, **_: object) -> dict[str, dict[str, str]]:
            return {"Parameter": {"Value": "teams"}}

    parse(table, plugins, {}, Secrets(Parameters, Parameters, float))
    assert sys.modules["plugins.owners"].given == {"table": "teams"}


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        ({"owner": {}}, "plugins.owner: is no plugin with the hook configure_plugin; did you mean owners?"),
        ({"owners": {"table": "x", "tabel": "y"}}, "plugins.owners.tabel: is no option of this plugin; did you mean"),
        ({"owners": {"token": "x"}}, "plugins.owners: 'table' is missing"),
        ({"owners": {"table": "wrong"}}, "plugins.owners: table is not a table: wrong"),
        ({"owners": {"table": "ssm:owners"}}, "plugins.owners.table: must be ssm: and the whole name"),
        ({"good": {"table": "x"}}, "plugins.good: is no plugin with the hook configure_plugin"),
        ({"owners": "x"}, "plugins.owners: must be a table"),
    ],
)
def test_what_is_wrong_with_a_plugins_table_is_named(
    tables: dict[str, object], problem: str, directory: Directory
) -> None:
    plugins = directory.load(owners=OWNERS, good=GOOD)
    assert any(found.startswith(problem) for found in configured(plugins, tables)), configured(plugins, tables)


def test_an_option_that_is_unset_is_no_problem(directory: Directory) -> None:
    assert configured(directory.load(owners=OWNERS), {"owners": {"table": "env:UNSET"}}) == []


def test_a_plugin_that_declares_no_options_takes_any(directory: Directory) -> None:
    assert configured(directory.load(owners=OF_ITS_OWN), {"owners": {"table": "x", "tabel": "y"}}) == []

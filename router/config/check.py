"""Checks what the tables of alert-router.toml mean: what can never match, is never reached, or changes nothing.

`config check` and deployments run it. The function does not, because nothing here keeps it from working.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from router.channels.configured import OptionMissing, call_plugin
from router.channels.plugins import Plugins
from router.config.forms import Place, known
from router.config.hours import Hours
from router.config.match import Match, accepts
from router.config.rules import UserRule
from router.config.settings import Config, Route
from router.config.silences import Silence
from router.config.unmatchable import BUILT_IN, Known, doubtful, unmatchable
from router.config.unreachable import Taker, unreachable
from router.errors import PermanentError
from router.model import Severity
from router.poll.schedule import has_no_day

_DAY = 24 * 60
_WEEK = 7 * _DAY  # minutes


def check(config: Config, windows: Sequence[Silence | None], plugins: Plugins, file: Place) -> list[str]:
    """Reports problems at their places, and returns warnings.

    Args:
        windows: the maintenance windows at their places; None for one that is wrong already.
    """
    before, after = _names(config, plugins)
    rules, routes, maintenance = (file.key(name) for name in ("rules", "routes", "maintenance"))
    matches = [
        *((rules.item(at), rule.match, before) for at, rule in enumerate(config.rules, 1)),
        *((routes.item(at), route.match, after) for at, route in enumerate(config.routes, 1)),
        *((maintenance.item(at), window.match, after) for at, window in enumerate(windows, 1) if window),
    ]
    _check_channels(config, file.key("channels"))
    _check_options(config, file.key("channels"))
    _check_schedules(config, file.key("expect"))
    _check_rules(config, rules)
    _check_routes(config, routes)
    for place, match, names in matches:
        for fact, problem in unmatchable(match, names):
            _at(place, fact).report(problem)
    _report_duplicates([rule.name for rule in config.rules], rules)
    _report_duplicates([window.id if window else "" for window in windows], maintenance)
    for at, window in enumerate(windows, 1):
        if window and _always(window.hours):
            maintenance.item(at).key("hours").report("are the whole week, so the window never ends")
    doubts = [(_at(place, fact), doubt) for place, match, _ in matches for fact, doubt in doubtful(match)]
    return [*(f"{place.path}: {doubt}" for place, doubt in doubts), *_warnings(config)]


def _names(config: Config, plugins: Plugins) -> tuple[Known, Known]:
    """The causes and rules that alerts can have before the user's rules, and after them."""
    if plugins.implements("classify_event"):
        return Known(None, None), Known(None, None)
    causes, rules = BUILT_IN.causes or (), BUILT_IN.rules or ()
    own_causes = {rule.cause for rule in config.rules if rule.cause}
    return BUILT_IN, Known({*causes, *own_causes}, {*rules, *(rule.name for rule in config.rules)})


def _at(place: Place, fact: str) -> Place:
    return place.key("match").key(fact) if fact else place.key("match")


def _report_duplicates(names: Sequence[str], place: Place) -> None:
    """Names that differ only in case are the same to a `match`."""
    lower = [name.lower() for name in names]
    counts = Counter(lower)
    for at, name in enumerate(names, 1):
        if name and counts[name.lower()] > 1:
            place.item(at).key("name").report(
                f"{name!r} is the name of another one too, at {place.path}[{_first(lower, name.lower(), at)}]"
            )


def _first(names: Sequence[str], name: str, but: int) -> int:
    return next(at for at, other in enumerate(names, 1) if other == name and at != but)


def _check_channels(config: Config, place: Place) -> None:
    """Warns of names that differ only in case, which people confuse."""
    names: dict[str, str] = {}
    for name in (*config.channels, *config.unset, *config.disabled):
        if (other := names.setdefault(name.lower(), name)) != name:
            place.key(name).report(f"differs only in case from the channel {other!r}: give it another name")


def _check_options(config: Config, place: Place) -> None:
    """Checks what is known without secrets: only the function creates a channel that needs them."""
    for name, channel in config.channels.items():
        if channel.has_secret_references:
            try:
                call_plugin(partial(channel.factory, channel.config), channel.config.options)
            except OptionMissing as error:
                place.key(name).report(str(error))
            except PermanentError:
                pass  # a reference does not have the form of a secret


def _check_schedules(config: Config, place: Place) -> None:
    for at, expected in enumerate(config.expect, 1):
        if has_no_day(expected.schedule):
            place.item(at).key("schedule").report("never runs: there is no such day")


def _check_rules(config: Config, place: Place) -> None:
    takers = [_rule_taker(rule, place.item(at)) for at, rule in enumerate(config.rules, 1)]
    for unreached, by in unreachable(takers):
        Place(unreached, place.problems).report(
            f"is never reached: {_list(by)} matches all of its alerts, and only the first rule that matches counts"
        )
    for at, (rule, taker) in enumerate(zip(config.rules, takers, strict=True), 1):
        others = (rule.cause, rule.resolves, rule.runbook_url)
        if others == (None, None, "") and taker.severities == {rule.severity}:
            place.item(at).report(f"changes nothing: its alerts have the severity {rule.severity} already")


def _check_routes(config: Config, place: Place) -> None:
    takers = [_taker(route, place.item(at)) for at, route in enumerate(config.routes, 1)]
    for taker, route in zip(takers, config.routes, strict=True):
        if not taker.severities and not list(unmatchable({"severity": route.match.get("severity", ())})):
            Place(taker.place, place.problems).key("match").key("severity").report(
                f"never matches: the route takes only {route.severity} and worse"
            )
    for unreached, by in unreachable(takers):
        Place(unreached, place.problems).report(
            f"is never reached: {_list(by)} takes all of its alerts; write continue = true there, or move this up"
        )


def _is_known(place: Place) -> bool:
    """Whether it matches what its author meant: nothing is wrong with it, except perhaps its channels."""
    wrong = (problem for problem in place.problems if problem.startswith(f"{place.path}."))
    return all(problem.startswith(f"{place.path}.channels: ") for problem in wrong)


def _rule_taker(rule: UserRule, place: Place) -> Taker:
    return Taker(place.path, rule.match, _severities(rule.match), is_known=_is_known(place))


def _taker(route: Route, place: Place) -> Taker:
    severities = {severity for severity in _severities(route.match) if severity.at_least(route.severity)}
    takes = not route.continues and (not route.hours or _always(route.hours))
    return Taker(place.path, route.match, frozenset(severities), takes=takes, is_known=_is_known(place))


def _severities(match: Match) -> frozenset[Severity]:
    globs = match.get("severity", ())
    return frozenset(severity for severity in Severity if not globs or accepts(globs)([severity.value]))


def _always(hours: Iterable[Hours]) -> bool:
    """Whether the hours are the whole week."""
    minutes: set[int] = set()
    for period in hours:
        length = (period.end - period.begin) % _DAY or _DAY
        for day in period.days:
            minutes.update((day * _DAY + period.begin + minute) % _WEEK for minute in range(length))
    return len(minutes) == _WEEK


def _list(places: Sequence[str]) -> str:
    return " and ".join(places)


def _warnings(config: Config) -> Iterator[str]:
    routed = {channel for route in config.routes for channel in route.channels}
    for name in [*config.channels, *config.unset]:
        if config.routes and name not in routed:
            yield f"channels.{name}: no route names it, so it gets nothing but reports about other channels"
    for at, route in enumerate(config.routes, 1):
        if _taker(route, Place("", [])).severities == {Severity.INFO}:
            yield f"routes[{at}]: takes only severity info, which is recorded and never announced"
    yield from _sent_twice(config)
    for at, rule in enumerate(config.rules, 1):
        meant = known(BUILT_IN.causes or (), rule.cause) if rule.cause else ""
        if rule.cause and rule.cause not in (BUILT_IN.causes or ()) and meant.endswith("?"):
            yield f"rules[{at}].cause: is a cause of your own; {meant}"


def _sent_twice(config: Config) -> Iterator[str]:
    for at, route in enumerate(config.routes, 1):
        by_endpoint: dict[str, list[str]] = {}
        for name in route.channels:
            if name in config.channels:
                by_endpoint.setdefault(config.channels[name].endpoint, []).append(name)
        for names in by_endpoint.values():
            if len(names) > 1:
                yield f"routes[{at}].channels: {_list(names)} send to the same place, which gets each message twice"

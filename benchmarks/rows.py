"""The measurements: each row runs its variants in turn, round after round, and returns samples.

The speed of a machine changes by a third within minutes, so compare only variants of the same row, and only as ratios.
Every row also checks what the servers received, because a variant that skips its work is wrong, not fast.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from benchmarks.events import batch, batched, crash, deployed
from benchmarks.lambda_ import Function, Variant
from benchmarks.servers import AT_ONCE, CONNECT, REALISTIC, Servers
from benchmarks.variants import WORK
from router.config.silences import Silence
from router.history.items import silence_item
from router.history.table import typed_item

CHANNELS = ("sns", "slack", "teams", "pagerduty")
SHARE_128 = 128 / 1769
"""The share of one vCPU that a function with 128 MB gets (Lambda guide: 1,769 MB are one vCPU)."""


@dataclass(slots=True)
class Samples:
    """One value per round, by variant and quantity."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, variant: str, **quantities: float) -> None:
        for name, value in quantities.items():
            self.values.setdefault(variant, {}).setdefault(name, []).append(value)

    def median(self, variant: str, quantity: str) -> float:
        return median(self.values[variant][quantity])

    def ratio(self, quantity: str, variant: str, to: str) -> float:
        return self.median(variant, quantity) / self.median(to, quantity)


@dataclass(frozen=True, slots=True)
class Bench:
    """The servers and variants for a row. `rounds` does not count the first one, which fills the file cache."""

    servers: Servers
    variants: dict[str, Variant]
    rounds: int

    def function(self, name: str, *, one_core: bool = False, environment: Mapping[str, str] | None = None) -> Function:
        variant = self.variants[name]
        changed = {**variant.environment, **(environment or {})}
        return Function(replace(variant, environment=changed), one_core=one_core)


def _check(servers: Servers, events: int, channels: Sequence[str] = CHANNELS, *, history: bool = True) -> None:
    """Checks that every channel received every event, and that history was written. Raises AssertionError."""
    report = servers.report(bodies=True)
    for name in channels:
        assert report["counts"].get(name, 0) >= events, (name, report["counts"])
    if "pagerduty" in channels:
        body = json.loads(report["bodies"]["pagerduty"][0])
        assert body.get("routing_key"), body
    if history:
        assert report["rows"], report


# --- cold -------------------------------------------------------------------------------------------------------------


_COLD = ("ours", "plain", "blog", "one channel", "one channel, no client", "floor")
_TOLD: Mapping[str, Sequence[str]] = {"floor": (), "one channel": ("slack",), "one channel, no client": ("slack",)}


def cold(bench: Bench, names: Sequence[str] = _COLD) -> Samples:
    """From the start of the process to the answer to its first event, with servers that answer immediately."""
    bench.servers.delays(AT_ONCE)
    samples = Samples()
    for number in range(bench.rounds + 1):
        for name in names:
            bench.servers.reset()
            with bench.function(name) as function:
                answer = function.invoke(batch([crash("web-1")]))
                assert not answer.value["batchItemFailures"], function.said()
                if number:
                    total = time_ms(function.init + answer.wall)
                    cpu = time_ms(function.cpu)
                    samples.add(name, total=total, init=time_ms(function.init), cpu=cpu, peak=function.peak)
            told = _TOLD.get(name, CHANNELS)
            _check(bench.servers, 1, told, history=len(told) == len(CHANNELS))
    return samples


def small(bench: Bench) -> Samples:
    """The first event with the CPU share of 128 MB; while Lambda starts a function, it has a whole CPU.

    It is measured on one core and then calculated: n ms of CPU take n ms divided by the share. A real CPU quota, which
    stops and continues the process, takes more time on a virtual machine than the event itself.
    """
    bench.servers.delays(AT_ONCE)
    samples = Samples()
    for number in range(bench.rounds + 1):
        for name in ("ours", "plain", "blog"):
            bench.servers.reset()
            with bench.function(name, one_core=True) as function:
                answer = function.invoke(batch([crash("web-1")]))
                first = max(0.0, answer.wall - answer.cpu) + answer.cpu / SHARE_128
                if number:
                    samples.add(name, first=time_ms(first), total=time_ms(function.init + first))
            _check(bench.servers, 1)
    return samples


# --- warm -------------------------------------------------------------------------------------------------------------


def warm(bench: Bench, events: int = 40) -> Samples:
    """Announced events, one by one, with servers that answer immediately and without rate limits (`unlimited.py`)."""
    bench.servers.delays(AT_ONCE)
    return _warm(bench, ("unlimited", "plain", "blog", "apprise"), events, max(3, bench.rounds // 2))


def realistic(bench: Bench, events: int = 8) -> Samples:
    """The same with the delays of the real services."""
    bench.servers.delays(REALISTIC, CONNECT)
    return _warm(bench, ("unlimited", "plain", "blog", "apprise"), events, 3)


def _warm(bench: Bench, names: Sequence[str], events: int, rounds: int) -> Samples:
    samples = Samples()
    for number in range(rounds):
        for name in names:
            bench.servers.reset()
            with bench.function(name) as function:
                for repeat in range(3):
                    function.invoke(batch([crash(f"before-{repeat}")]))
                cpu, walls = function.cpu, []
                for repeat in range(events):
                    answer = function.invoke(batch([crash(f"web-{number}-{repeat}")]))
                    assert not answer.value["batchItemFailures"], function.said()
                    walls.append(answer.wall)
                used = function.cpu - cpu
                samples.add(name, wall=time_ms(median(walls)), cpu=time_ms(used / events))
                if name == "blog":  # for the cost model
                    cpu = function.cpu
                    for _ in range(10):
                        function.invoke(batch([crash(f"web-{number}-0")]))
                    samples.add(name, repeated=time_ms((function.cpu - cpu) / 10))
            _check(bench.servers, events + 3, history=name != "apprise")
    return samples


# --- storm ------------------------------------------------------------------------------------------------------------


def storm(bench: Bench, events: int = 960) -> Samples:
    """95 % of the events repeat a problem that has been announced, of three services at a time.

    The number of events is a multiple of 60, so that every service has all of its repeats.
    """
    samples = Samples()
    for delay in (0.0, REALISTIC["dynamodb"]):
        bench.servers.delays({"dynamodb": delay})
        for number in range(max(2, bench.rounds // 4)):
            for name, size in (("batches", 10), ("one by one", 1)):
                count = events if size > 1 and not delay else events // 4
                bench.servers.reset()
                with bench.function("unlimited") as function:
                    function.invoke(batch([crash("before")]))
                    before = sum(bench.servers.report()["calls"].values())
                    taken, cpu = _storm(function, count, size, f"{number}-{delay}")
                report = bench.servers.report()
                assert report["rows"]["alert"] == count + 1, report["rows"]
                at = f"{delay * 1000:g} ms"
                calls = (sum(report["calls"].values()) - before) / count
                writes = report["write"] / count
                key = f"{name}, DynamoDB {at}"
                samples.add(key, rate=count / taken, calls=calls, cpu=time_ms(cpu / count), writes=writes)
                samples.add(key, reads=report["read"] / count, wall=time_ms(taken / count))
    return samples


def _storm(function: Function, count: int, size: int, mark: str) -> tuple[float, float]:
    began, cpu = time.perf_counter(), function.cpu
    for lot in batched(_burst(count, mark), size):
        answer = function.invoke(batch([crash(service) for service in lot]))
        assert not answer.value["batchItemFailures"], function.said()
    return time.perf_counter() - began, function.cpu - cpu


def _burst(count: int, mark: str) -> Iterator[str]:
    """The names of services, each twenty times, three of them interleaved."""
    for number in range(count):
        yield f"loop-{mark}-{number // 60 * 3 + number % 3}"


# --- DynamoDB calls of an event ---------------------------------------------------------------------------------------


def calls(bench: Bench) -> Samples:
    """Calls and units of one event of each kind, in a process that has handled others before."""
    bench.servers.delays(AT_ONCE)
    samples = Samples()
    bench.servers.reset()
    with bench.function("unlimited") as function:
        function.invoke(batch([crash("before")]))
        first = crash("web")
        for kind, raw in (("announced", first), ("held back", crash("web")), ("repeated", first)):
            before = bench.servers.report()
            function.invoke(batch([raw]))
            after = bench.servers.report()
            made = {name: count - before["calls"].get(name, 0) for name, count in after["calls"].items()}
            samples.add(
                kind,
                calls=sum(made.values()),
                **{name: float(count) for name, count in made.items() if count},
                read=after["read"] - before["read"],
                write=after["write"] - before["write"],
            )
        _uneventful(bench, function, samples)
    return samples


def _uneventful(bench: Bench, function: Function, samples: Samples, deployments: int = 20) -> None:
    """The mean of the events of successful deployments, one by one: the router's, all of one service; then the blog's,
    with empty tables for each deployment.
    """
    start = time.time() - deployments * 300 - 300
    for raw in deployed("calm", start):
        function.invoke(batch([raw]))
    before, cpu = bench.servers.report(), function.cpu
    for number in range(1, deployments + 1):
        for raw in deployed("calm", start + 300 * number):
            function.invoke(batch([raw]))
    after, count = bench.servers.report(), 4 * deployments
    assert all(after["counts"].get(name) == before["counts"].get(name) for name in CHANNELS), after["counts"]
    of_each = {name: (after[name] - before[name]) / count for name in ("read", "write")}
    made = {name: (calls - before["calls"].get(name, 0)) / count for name, calls in after["calls"].items()}
    samples.add("uneventful", calls=sum(made.values()), cpu=time_ms((function.cpu - cpu) / count), **of_each)
    samples.add("uneventful", **{name: value for name, value in made.items() if value})
    with bench.function("blog") as blog:
        for number in range(5):
            bench.servers.reset()
            cpu = blog.cpu
            for raw in deployed("calm", start):
                blog.invoke(batch([raw]))
            if number:
                told = bench.servers.report()["counts"].get("sns", 0) / 4
                samples.add("uneventful, blog", cpu=time_ms((blog.cpu - cpu) / 4), told=told)


# --- memory and growth ------------------------------------------------------------------------------------------------


def memory(bench: Bench, events: int = 10_000) -> Samples:
    """Memory in MB after some numbers of events, and its peak."""
    bench.servers.delays(AT_ONCE)
    samples = Samples()
    bench.servers.reset()
    with bench.function("floor") as function:
        function.invoke({})
        samples.add("floor", peak=function.peak)
    with bench.function("unlimited") as function:
        for number in range(0, events, 10):
            function.invoke(batch([crash(f"loop-{number // 200}") for _ in range(10)]))
            if number + 10 in {10, events // 10, events}:
                samples.add("ours", **{f"after {number + 10}": function.memory})
        samples.add("ours", peak=function.peak)
    return samples


def growth(bench: Bench) -> Samples:
    """CPU of a suppressed event with few and with many routes, silences and open incidents.

    The differences are small, so each round begins with another case, and no case always has the same place.
    """
    bench.servers.delays(AT_ONCE)
    samples = Samples()
    many = "\n".join(
        f'[[routes]]\nseverity = "error"\nmatch = {{ cluster = "other-{number}" }}\nchannels = ["slack"]'
        for number in range(99)
    )
    shipped = (WORK / "router" / "alert-router.toml").read_text()
    (WORK / "router" / "many-routes.toml").write_text(shipped.replace("[[routes]]", many + "\n[[routes]]", 1))
    cases: list[tuple[str, dict[str, str], Callable[[Function], None]]] = [
        ("1 route, no silence, 1 open incident", {}, lambda _: None),
        ("100 routes", {"ALERT_ROUTER_CONFIG": "many-routes.toml"}, lambda _: None),
        ("1,000 silences", {}, lambda _: bench.servers.put(_silences(1000))),
        ("1,000 open incidents", {}, _open_incidents),
    ]
    for number in range(max(4, bench.rounds)):
        first = number % len(cases)
        for name, environment, prepared in cases[first:] + cases[:first]:
            bench.servers.reset()
            with bench.function("unlimited", environment=environment) as function:
                prepared(function)
                samples.add(name, cpu=_held_back(function, "web"))
        for size in (10_000, 200_000):
            bench.servers.reset()
            with bench.function("unlimited") as function:
                samples.add(f"events of {size // 1000} KB", cpu=_held_back(function, "web", size))
    return samples


def _held_back(function: Function, service: str, size: int = 0, events: int = 60) -> float:
    """Milliseconds of CPU per event."""
    for _ in range(10):
        function.invoke(batch([_padded(crash(service), size)]))
    cpu = function.cpu
    for _ in range(events):
        function.invoke(batch([_padded(crash(service), size)]))
    return time_ms((function.cpu - cpu) / events)


def _padded(raw: dict[str, Any], size: int) -> dict[str, Any]:
    """The event with environment overrides up to `size` bytes, as large events have them."""
    missing = size - len(json.dumps(raw))
    if missing <= 0:
        return raw
    variables = [{"name": f"VARIABLE_{number}", "value": "x" * 170} for number in range(missing // 210)]
    overrides = {"containerOverrides": [{"name": "app", "environment": variables}]}
    return raw | {"detail": raw["detail"] | {"overrides": overrides}}


def _silences(count: int) -> list[dict[str, Any]]:
    now = time.time()
    silences = (
        Silence(
            id=f"s{number}",
            match={"service": (f"other-{number}",), "cluster": ("prod",)},
            reason="benchmark",
            author="benchmark",
            created_at=now,
            starts_at=now - 1,
            ends_at=now + 3600,
            planned_end=now + 3600,
        )
        for number in range(count)
    )
    return [typed_item(silence_item(silence, int(now + 7200))) for silence in silences]


def _open_incidents(function: Function) -> None:
    for number in range(0, 1000, 50):
        function.invoke(batch([crash(f"open-{number + offset}") for offset in range(50)]))


def time_ms(seconds: float) -> float:
    return seconds * 1000

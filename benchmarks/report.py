"""Turns samples into lines of the table: a figure, its spread, and its goal."""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from benchmarks.cost import Use, billed, million
from benchmarks.rows import CHANNELS, Samples, time_ms
from benchmarks.servers import CONNECT, OUTSIDE, REALISTIC
from benchmarks.variants import LAYER, WORK

MEMORY_SIZES = (256, 512, 1024, 1769)
ROUND_TRIPS = 4  # consecutive DynamoDB calls of an announced event (docs/performance.md)
_WAIT = ROUND_TRIPS * REALISTIC["dynamodb"] + REALISTIC["teams"]
# The blog calls one channel after the other, each over a new connection, and DynamoDB three times.
_BLOG_WAIT = sum(REALISTIC[name] for name in CHANNELS) + 3 * REALISTIC["dynamodb"] + len(OUTSIDE) * CONNECT
_ANNOUNCED = 0.05  # the share of a storm's events that are announced


class Figure(NamedTuple):
    """A line of the table. `met` is None if there is no goal."""

    what: str
    shown: str
    spread: str = ""
    goal: str = ""
    met: bool | None = None


def lines(measured: Mapping[str, Samples]) -> Iterator[Figure]:
    for name, samples in measured.items():
        yield from _OF[name](samples)


def _ratio(  # noqa: PLR0913, PLR0917 - the cells of a line
    samples: Samples, what: str, quantity: str, variant: str, to: str, goal: float, *, least: bool = False
) -> Figure:
    """A ratio of medians. The spread is that of the ratios of each round."""
    ratio = samples.ratio(quantity, variant, to)
    pairs = zip(samples.values[variant][quantity], samples.values[to][quantity], strict=False)
    rounds = sorted(one / other for one, other in pairs)
    met = ratio >= goal if least else ratio <= goal
    return Figure(
        what, f"{ratio:.2f} ×", f"{rounds[0]:.2f} – {rounds[-1]:.2f}", f"{'≥' if least else '≤'} {goal:g} ×", met
    )


def _value(samples: Samples, what: str, variant: str, quantity: str, unit: str) -> Figure:
    values = samples.values[variant][quantity]
    spread = f"{min(values):,.2f} – {max(values):,.2f}" if len(values) > 1 else ""
    return Figure(what, f"{samples.median(variant, quantity):,.2f} {unit}", spread)


def _cold(samples: Samples) -> Iterator[Figure]:
    for name in samples.values:
        yield _value(samples, f"cold: init and first event, {name}", name, "total", "ms")
    for to, goal in (("plain", 0.60), ("blog", 0.70), ("one channel", 0.85)):
        yield _ratio(samples, f"cold: init and first event, to {to}", "total", "ours", to, goal)
    yield _ratio(samples, "peak memory after the first event, to an empty handler", "peak", "ours", "floor", 3.3)


def _small(samples: Samples) -> Iterator[Figure]:
    for name in samples.values:
        yield _value(samples, f"at the CPU of 128 MB: first event, {name}", name, "first", "ms")
    yield _ratio(samples, "at the CPU of 128 MB: first event, to plain", "first", "ours", "plain", 0.35)
    for to in ("plain", "blog"):
        figure = _ratio(samples, f"at the CPU of 128 MB: init and first event, to {to}", "total", "ours", to, 1)
        yield figure._replace(goal="", met=None)


def _warm(samples: Samples) -> Iterator[Figure]:
    for name in samples.values:
        yield _value(samples, f"warm: CPU of an event, {name}", name, "cpu", "ms")
    for to, goal in (("blog", 1 / 8), ("apprise", 1 / 14)):
        figure = _ratio(samples, f"warm: CPU of an event, to {to}", "cpu", "unlimited", to, goal)
        yield figure._replace(goal=f"≤ 1/{1 / goal:.0f} ×")
    yield _ratio(samples, "warm: CPU of an event, to plain", "cpu", "unlimited", "plain", 1)._replace(goal="", met=None)


def _realistic(samples: Samples) -> Iterator[Figure]:
    for name in samples.values:
        yield _value(samples, f"realistic delays: an event, {name}", name, "wall", "ms")
    bound = time_ms(_WAIT)
    ratio = samples.median("unlimited", "wall") / bound
    values = [wall / bound for wall in samples.values["unlimited"]["wall"]]
    yield Figure(
        f"realistic delays: to {ROUND_TRIPS} round trips and the slowest channel ({bound:.0f} ms)",
        f"{ratio:.3f} ×",
        f"{min(values):.3f} – {max(values):.3f}",
        "≤ 1.05 ×",
        ratio <= 1.05,  # noqa: PLR2004
    )


def _storm(samples: Samples) -> Iterator[Figure]:
    for at, goal in (("0 ms", 3), ("4 ms", 6)):
        batches, single = f"batches, DynamoDB {at}", f"one by one, DynamoDB {at}"
        yield _value(samples, f"storm: events a second, {batches}", batches, "rate", "")
        yield _ratio(
            samples, f"storm: batches of ten, to one by one, DynamoDB {at}", "rate", batches, single, goal, least=True
        )
    calls = samples.median("batches, DynamoDB 0 ms", "calls")
    yield Figure("storm: DynamoDB calls per event, a row for each", f"{calls:.2f}", "", "≤ 0.5", calls <= 0.5)  # noqa: PLR2004


def _calls(samples: Samples) -> Iterator[Figure]:
    for kind, measured in samples.values.items():
        if "calls" not in measured:
            continue
        made = ", ".join(
            f"{name} {values[0]:g}"
            for name, values in measured.items()
            if name not in {"calls", "read", "write", "cpu"}
        )
        units = f"{measured['read'][0]:g} read and {measured['write'][0]:g} write units"
        yield Figure(f"DynamoDB: an event that is {kind}", f"{measured['calls'][0]:.3g} calls ({made}), {units}")


def _memory(samples: Samples) -> Iterator[Figure]:
    yield _ratio(samples, "peak memory after 10,000 events, to an empty handler", "peak", "ours", "floor", 3.3)
    after = {name: values[0] for name, values in samples.values["ours"].items() if name.startswith("after")}
    shown = ", ".join(f"{value:.1f} MB {name}" for name, value in after.items())
    first, last = list(after.values())[1:3]
    yield Figure("memory", shown, "", "flat", last <= first * 1.03)


def _growth(samples: Samples) -> Iterator[Figure]:
    base = "1 route, no silence, 1 open incident"
    yield _value(samples, f"CPU of a held-back event: {base}", base, "cpu", "ms")
    for name in samples.values:
        if name.startswith(("100", "1,000")):
            yield _ratio(samples, f"CPU of a held-back event: {name}", "cpu", name, base, 1.1)
    figure = _ratio(samples, "CPU of an event: 200 KB, to 10 KB", "cpu", "events of 200 KB", "events of 10 KB", 20)
    yield figure


_OF = {
    "cold": _cold,
    "small": _small,
    "warm": _warm,
    "realistic": _realistic,
    "storm": _storm,
    "calls": _calls,
    "memory": _memory,
    "growth": _growth,
}


# --- size -------------------------------------------------------------------------------------------------------------


def package_sizes() -> Iterator[Figure]:
    """The zipped sizes of package and layer, and of their largest parts."""
    package, layer = WORK / "router", LAYER
    total = _zipped(package) + _zipped(layer)
    yield Figure("package and layer, zipped", f"{total / 1e6:.2f} MB", "", "≤ 3.5 MB", total <= 3.5e6)  # noqa: PLR2004
    parts = {"the router and its channels": _zipped(package)}
    for path in layer.iterdir():
        if path.name != "__pycache__":
            parts[path.name.partition("-")[0].removesuffix(".py")] = parts.get(path.name, 0) + _zipped(path)
    largest = sorted(parts.items(), key=lambda part: -part[1])[:7]
    yield Figure("of it", ", ".join(f"{name} {size / 1e6:.2f}" for name, size in largest) + " MB")


def _zipped(path: Path) -> int:
    archive = WORK / "size.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file():
                made.write(file, file.relative_to(path.parent))
    size = archive.stat().st_size
    archive.unlink()
    return size


# --- money ------------------------------------------------------------------------------------------------------------


def money(measured: Mapping[str, Samples]) -> Iterator[Figure]:
    """The cost of a million events: quiet, with each event announced separately; stormy, in batches with 95 % repeats;
    and uneventful, from successful deployments, which the blog announces as well because it knows no severity.
    """
    if {"warm", "storm", "calls"} <= measured.keys():
        for memory in MEMORY_SIZES:
            for kind, of in (("a quiet", _quiet), ("a stormy", _stormy), ("an uneventful", _uneventful)):
                figure = _dollars(f"{kind} million events at {memory} MB", *map(million, of(measured, memory)))
                yield figure._replace(goal="", met=None) if of is _uneventful else figure


def _quiet(measured: Mapping[str, Samples], memory: int) -> tuple[Use, Use]:
    """The resources that our function and the blog variant use for one event, if every event is announced."""
    warm, calls = measured["warm"], measured["calls"]
    cpu, blog_cpu = warm.median("unlimited", "cpu") / 1000, warm.median("blog", "cpu") / 1000
    writes, reads = (calls.median("announced", quantity) for quantity in ("write", "read"))
    return (
        Use(billed(cpu, _WAIT, memory), memory, writes, reads, sqs_requests=3),
        Use(billed(blog_cpu, _BLOG_WAIT, memory), memory, 2, 0.5, x86=True),
    )


def _uneventful(measured: Mapping[str, Samples], memory: int) -> tuple[Use, Use]:
    """The same for one event of deployments that succeed, of which the router announces none."""
    calls = measured["calls"]
    cpu, made, writes, reads = (calls.median("uneventful", measure) for measure in ("cpu", "calls", "write", "read"))
    blog_cpu, told = (calls.median("uneventful, blog", measure) for measure in ("cpu", "told"))
    waiting = told * _BLOG_WAIT + (1 - told) * REALISTIC["dynamodb"]
    return (
        Use(billed(cpu / 1000, made * REALISTIC["dynamodb"], memory), memory, writes, reads, sqs_requests=3),
        Use(billed(blog_cpu / 1000, waiting, memory), memory, 2 * told, 0.5, x86=True),
    )


def _stormy(measured: Mapping[str, Samples], memory: int) -> tuple[Use, Use]:
    """The same for one event of a storm, in which most events are held back."""
    warm, storm, batches = measured["warm"], measured["storm"], "batches, DynamoDB 0 ms"
    cpu, calls, writes, reads = (storm.median(batches, quantity) for quantity in ("cpu", "calls", "writes", "reads"))
    waiting = calls * REALISTIC["dynamodb"] + _ANNOUNCED * REALISTIC["teams"] / 10
    told = billed(warm.median("blog", "cpu") / 1000, _BLOG_WAIT, memory)
    repeated = billed(warm.median("blog", "repeated") / 1000, REALISTIC["dynamodb"], memory)
    return (
        Use(billed(cpu / 1000, waiting, memory), memory, writes, reads, events=10, sqs_requests=0.3),
        Use((1 - _ANNOUNCED) * repeated + _ANNOUNCED * told, memory, 0.1, 0.5, x86=True),
    )


def _dollars(what: str, ours: Mapping[str, float], blog: Mapping[str, float]) -> Figure:
    parts = ", ".join(f"{name} {value:.2f}" for name, value in ours.items() if name != "total")
    ratio = ours["total"] / blog["total"]
    shown = f"${ours['total']:.2f} ({parts}); blog ${blog['total']:.2f}: {ratio:.2f} ×"
    return Figure(what, shown, "", "≤ 0.45 ×", ratio <= 0.45)  # noqa: PLR2004

"""The plan of a run, chosen by its seed: which faults occur, how many, and where. No run has all of them.

With every fault at once nothing gets far enough to fail in an interesting way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

MINUTE = 60.0
HOUR = 3600.0

CHANNELS = ("slack", "email", "pager")
MOODS = ("busy", "broken", "gone", "picky", "mute", "deaf", "stuck", "buggy")
RARE_MOODS = {"deaf": "late", "stuck": "slow"}
"""What half of the runs have instead."""
"""How a channel's remote can answer, besides `fine`; see `tests.simulation.remotes`."""

BUDGETS = {"slack": (1, 1.0), "email": (5, 1.0), "pager": (16, 10.0)}
_TIGHT = ((1, 1.0), (1, 30.0), (2, 60.0), (4, 60.0))

TABLE_FAULTS = ("refused", "answer lost", "late and lost", "collision", "crash before", "crash after", "slow")
SQS_FAULTS = ("refused", "answer lost", "crash before", "crash after", "slow")
SEND_FAULTS = ("crash before", "crash after")


@dataclass(frozen=True, slots=True)
class Mood:
    """A period of virtual time in which a remote misbehaves."""

    begins: float
    ends: float
    name: str


@dataclass(frozen=True, slots=True)
class Muting:
    """A silence of one subject, in seconds since the start. It can end before its planned end."""

    name: str
    begins: float
    ends: float
    planned: float


@dataclass(frozen=True, slots=True)
class Contention:
    """A period in which another writer is faster, with this chance for each commit."""

    begins: float
    ends: float
    chance: float


@dataclass(frozen=True, slots=True)
class Reservation:
    """A period in which only a newer version may read the item of a subject."""

    name: str
    begins: float
    ends: float


@dataclass(frozen=True, slots=True)
class Damage:
    """The item of a subject becomes unreadable."""

    name: str
    at: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults of one run. Times are seconds since its start; rates are per call.

    Attributes:
        steady: every call takes the same time, and only moods cause faults, so that two runs that differ in one
            channel's moods can be compared.
        storm: how long the workload and the faults last. Afterwards nothing fails.
        outages: periods in which the table refuses everything.
        hangs: in these periods it does not answer at all instead, so that each call waits for its timeouts.
        doubled, undeleted, lost: rates of SQS messages that are delivered twice at once, not deleted, or (hints only)
            never delivered.
        tick_missing, tick_twice: rates of ticks that are missing or run twice.
        bare: rate of events that invoke the function directly, whose failures the caller sees.
        processes: how many invocations run at once.
        budgets: each channel's rate limit: messages, and the seconds in which it takes so many.
        silences: what operators silence for a while.
        verify: whether AWS is asked if conditions continue. blind: how often it does not answer.
        world: what is special about the run, if anything; see `WORLDS`.
        subjects: how many there are; 0 for a small random number.
        fleet: how many tasks a large service has, in all of which a container dies; 0 for no such service. It is only
            there if history is sound: of so many alerts, a state does not remember each whose row may be missing.
        again: most subjects recover, fail and recover once more, after one of these times, in seconds.
        due_page: how many entries a query of the due index returns at most.
        contention: when another writer is faster.
        newer: rate of execution environments that run the next version of the router.
        reserved, damaged: what becomes of the items of some subjects.
        redrives: when an operator runs `redrive`.
        polls: whether ECS is polled. ecs: how often its calls fail.
    """

    seed: int
    storm: float
    steady: bool = False
    table: dict[str, float] = field(default_factory=dict)
    sqs: dict[str, float] = field(default_factory=dict)
    send: dict[str, float] = field(default_factory=dict)
    outages: Sequence[tuple[float, float]] = ()
    hangs: bool = False
    moods: dict[str, tuple[Mood, ...]] = field(default_factory=dict)
    doubled: float = 0.0
    undeleted: float = 0.0
    lost: float = 0.0
    tick_missing: float = 0.0
    tick_twice: float = 0.0
    bare: float = 0.0
    processes: int = 8
    retention: float = 90 * 24 * HOUR
    budgets: dict[str, tuple[int, float]] = field(default_factory=lambda: dict(BUDGETS))
    silences: Sequence[Muting] = ()
    verify: bool = True
    blind: dict[str, float] = field(default_factory=dict)
    world: str = ""
    subjects: int = 0
    fleet: int = 0
    again: Sequence[float] = ()
    due_page: int = 100
    contention: Sequence[Contention] = ()
    newer: float = 0.0
    reserved: Sequence[Reservation] = ()
    damaged: Sequence[Damage] = ()
    redrives: Sequence[float] = ()
    polls: bool = False
    ecs: dict[str, float] = field(default_factory=dict)

    @property
    def history_answers(self) -> bool:
        """Whether nothing crashes, and the table answers every call."""
        return not (self.table or self.send or self.outages or any("crash" in name for name in self.sqs))

    @property
    def history_is_sound(self) -> bool:
        """Whether only channels, queues and ticks fail: every call to the table succeeds besides."""
        return self.history_answers and not (self.contention or self.reserved or self.damaged)


def plan(seed: int) -> Plan:
    """The plan of a seed. Rare worlds change the usual plans of some seeds only."""
    usual = _usual(seed)
    chance = Random(f"world {seed}")
    if Random(f"moods {seed}").random() < 0.5:
        usual = _with_moods(usual, lambda mood: replace(mood, name=RARE_MOODS.get(mood.name, mood.name)))
    if Random(f"long {seed}").random() < 0.7:  # days of attempts take most of the time, and are all alike
        usual = _with_moods(usual, lambda mood: replace(mood, ends=min(mood.ends, mood.begins + 90 * MINUTE)))
    world = chance.choices([*WORLDS], [weight for weight, _ in WORLDS.values()])[0]
    if usual.steady and world not in _STEADY_WORLDS:
        return _with_fleet(usual)
    return _with_fleet(replace(WORLDS[world][1](usual, chance), world=world))


def _with_fleet(usual: Plan) -> Plan:
    chance = Random(f"large service {usual.seed}")
    return replace(usual, fleet=60) if chance.random() < 0.03 and usual.history_is_sound else usual


def _with_moods(usual: Plan, change: Callable[[Mood], Mood]) -> Plan:
    return replace(usual, moods={name: tuple(map(change, moods)) for name, moods in usual.moods.items()})


# --- rare worlds ------------------------------------------------------------------------------------------------------


def _contended(usual: Plan, chance: Random) -> Plan:
    """Another writer is faster, again and again."""
    periods, begins = [], chance.uniform(0, usual.storm / 4)
    for _ in range(chance.randint(1, 3)):
        lasts = chance.choice((20.0, 90.0, 5 * MINUTE))
        periods.append(Contention(begins, begins + lasts, chance.choice((0.5, 0.9, 1.0))))
        begins += lasts + chance.uniform(0, usual.storm / 4)
    return replace(_perhaps_sound(usual, chance), contention=tuple(periods))


def _perhaps_sound(usual: Plan, chance: Random) -> Plan:
    """In half of the runs history works, which shows the effect of the world alone."""
    return _sound(usual) if chance.random() < 0.5 else usual


def _redriven(usual: Plan, chance: Random) -> Plan:
    """DynamoDB is unreachable for longer than an event is retried, and an operator runs `redrive` several times."""
    begins = chance.uniform(0, usual.storm / 2)
    ends = begins + chance.choice((33 * MINUTE, 45 * MINUTE, HOUR))
    times = [chance.uniform(0, ends + HOUR), *(ends + after for after in (chance.uniform(0, HOUR), HOUR, 5 * HOUR))]
    return replace(usual, outages=((begins, ends),), redrives=tuple(times), retention=90 * 24 * HOUR)


def _two_versions(usual: Plan, chance: Random) -> Plan:
    periods = []
    for name in chance.sample(_SUBJECTS, 2):
        begins = chance.uniform(0, usual.storm)
        periods.append(Reservation(name, begins, begins + chance.choice((MINUTE, 10 * MINUTE, 15 * MINUTE))))
    return replace(usual, newer=0.5, reserved=tuple(periods))


def _damaged(usual: Plan, chance: Random) -> Plan:
    return replace(usual, damaged=tuple(Damage(name, chance.uniform(0, usual.storm)) for name in _SUBJECTS[:3]))


def _crowd(usual: Plan, chance: Random) -> Plan:
    return replace(usual, subjects=50, storm=min(usual.storm, 20 * MINUTE), due_page=chance.choice((100, 2)))


def _polled(usual: Plan, chance: Random) -> Plan:
    """Ticks come every minute, so the storm is short. ECS may hang, which must not delay any alert."""
    kinds = chance.choice(({}, {"refused": 0.1}, {"hangs": 0.3}))
    return replace(_perhaps_sound(usual, chance), storm=min(usual.storm, HOUR), polls=True, ecs=kinds)


def _channel_outage(usual: Plan, chance: Random) -> Plan:
    """A channel fails for hours: incidents return and end meanwhile, and the next ones open. Or when it is reminded."""
    name, lasts = chance.choice(CHANNELS), chance.choice((3 * HOUR, 6 * HOUR, 12 * HOUR))
    begins = chance.choice((chance.uniform(0, usual.storm), usual.storm + chance.uniform(0, HOUR), 23 * HOUR))
    outage = Mood(begins, begins + lasts, chance.choice(("broken", "gone") if begins > 12 * HOUR else _OUTAGES))
    again = (HOUR, 2 * HOUR, 4.5 * HOUR, 5 * HOUR, 6 * HOUR)
    return replace(_sound(usual), moods={name: (outage,)}, subjects=5, again=again)


def _silenced(usual: Plan, chance: Random) -> Plan:
    """Operators silence what is open, and some of it continues when the silences end."""
    silences = []
    for name in _SUBJECTS:
        begins = chance.uniform(0, usual.storm)
        ends = begins + chance.choice((5 * MINUTE, 20 * MINUTE, HOUR))
        silences.append(Muting(name, begins, ends, ends))
    return replace(_sound(usual), silences=tuple(silences), subjects=5)


def _sound(usual: Plan) -> Plan:
    return replace(usual, table={}, sqs={}, send={}, outages=())


_OUTAGES = ("broken", "broken", "gone", "deaf", "stuck", "mute", "late")
_SUBJECTS = tuple(f"s{number}" for number in range(5))
WORLDS: Mapping[str, tuple[int, Callable[[Plan, Random], Plan]]] = {
    "": (9, lambda usual, _: usual),
    "channel outage": (2, _channel_outage),
    "silenced": (1, _silenced),
    "contended": (2, _contended),
    "redriven": (2, _redriven),
    "two versions": (2, _two_versions),
    "damaged": (2, _damaged),
    "crowd": (1, _crowd),
    "polled": (3, _polled),
}
"""What some runs are about, each with its weight: how many of 24 seeds have it."""
_STEADY_WORLDS = {"polled"}


# --- usual ones -------------------------------------------------------------------------------------------------------


def _usual(seed: int) -> Plan:
    chance = Random(f"plan {seed}")
    storm = chance.choice((5 * MINUTE, 20 * MINUTE, 20 * MINUTE, HOUR, 3 * HOUR))
    verify = Random(f"verify {seed}").random() < 0.7
    kind = chance.choices(("calm", "one channel", "channels", "everything"), (2, 2, 3, 5))[0]
    sick = {"calm": 0, "one channel": 1, "channels": 3, "everything": chance.randint(0, 3)}[kind]
    moods = {name: _moods(chance, storm) for name in chance.sample(CHANNELS, sick)}
    if kind in {"calm", "one channel"} and chance.random() < 0.5:
        return Plan(seed, storm, steady=True, moods=moods, processes=30, verify=verify)
    everything = kind == "everything"
    table, sqs, send = (_some(chance, kinds, everything) for kinds in (TABLE_FAULTS, SQS_FAULTS, SEND_FAULTS))
    return Plan(
        seed,
        storm,
        table=table,
        sqs=sqs,
        send=send,
        outages=_outages(chance, storm) if everything else (),
        hangs=Random(f"hangs {seed}").random() < 0.5,
        moods=moods,
        doubled=chance.choice((0.0, 0.1, 0.5)),
        undeleted=chance.choice((0.0, 0.05, 0.3)),
        lost=chance.choice((0.0, 0.2, 1.0)),
        tick_missing=chance.choice((0.0, 0.0, 0.3)),
        tick_twice=chance.choice((0.0, 0.0, 0.5)),
        bare=chance.choice((0.0, 0.0, 0.3)),
        processes=chance.choice((1, 2, 4, 8)),
        retention=chance.choice((90, 90, 3)) * 24 * HOUR,
        budgets=_budgets(Random(f"budgets {seed}")),
        silences=_silences(Random(f"silences {seed}"), storm),
        verify=verify,
        blind={"refused": Random(f"blind {seed}").choice((0.0, 0.0, 0.3))},
    )


def _budgets(chance: Random) -> dict[str, tuple[int, float]]:
    """The real channels' rate limits, or limits so tight that even a few incidents exceed them."""
    if chance.random() < 0.5:
        return dict(BUDGETS)
    return {name: chance.choice(_TIGHT) for name in CHANNELS}


def _some(chance: Random, kinds: Sequence[str], everything: bool) -> dict[str, float]:  # noqa: FBT001
    if not everything or chance.random() < 0.3:
        return {}
    rates = {kind: chance.choice((0.0, 0.0, 0.0, 0.01, 0.05, 0.2)) for kind in kinds}
    return {kind: rate for kind, rate in rates.items() if rate}


def _silences(chance: Random, storm: float) -> Sequence[Muting]:
    made = []
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        begins = chance.choice((0.0, chance.uniform(0, storm)))
        planned = begins + chance.choice((3 * MINUTE, 20 * MINUTE, 3 * HOUR, 30 * HOUR))
        ends = chance.choice((planned, planned, begins + (planned - begins) * chance.random()))
        ends = min(ends, begins + 3 * HOUR)  # it is read again every minute
        made.append(Muting(f"s{chance.choice((0, 0, 1, 2, 3, 4))}", begins, ends, planned))
    return tuple(made)


def _outages(chance: Random, storm: float) -> Sequence[tuple[float, float]]:
    if chance.random() < 0.7:
        return ()
    begins = chance.uniform(0, storm)
    return ((begins, begins + chance.choice((10.0, 5 * MINUTE, 40 * MINUTE))),)


def _moods(chance: Random, storm: float) -> tuple[Mood, ...]:
    """A few periods one after the other, some of them longer than any retry lasts."""
    moods = []
    if chance.random() < 0.1:  # an incident lapses meanwhile, and the next one opens
        return (Mood(0.0, 26 * HOUR + storm, chance.choice(("stuck", "stuck", "mute"))),)
    begins = chance.choice((0.0, chance.uniform(0, storm)))
    for _ in range(chance.randint(1, 3)):
        name = chance.choice(MOODS)
        lasts = chance.choices((20.0, 3 * MINUTE, 20 * MINUTE, 90 * MINUTE, 30 * HOUR), (3, 4, 4, 2, 1))[0]
        if name == "busy":
            lasts = min(lasts, 20 * MINUTE)  # it asks for very frequent retries
        moods.append(Mood(begins, begins + lasts, name))
        begins += lasts + chance.choice((0.0, MINUTE, 30 * MINUTE))
    return tuple(moods)

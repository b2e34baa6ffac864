"""DynamoDB hangs, or refuses every connection, until all records were received for the last time; then it is back."""

from collections.abc import Callable, Iterator
from functools import partial

from local_aws.stories import died
from tests.chaos.result import Result, dead_letters, misses_and_repeats, recover, told_of
from tests.chaos.stage import CHANNELS, Report, Stage, deployed
from tests.doubles.proxy import Proxy

_VISIBILITY = 15  # seconds instead of 360: each record is received five times; an invocation here takes less
_TIMEOUT = 60.0  # seconds; of the function
_BEFORE = "before"
_DURING = [f"during-{number}" for number in range(8)]  # one batch; more than some rate limits allow at once
_EVERYONE = [_BEFORE, *_DURING]


def hang(report: Report) -> Result:
    return _run("hang", Proxy.hang, report)


def refuse(report: Report) -> Result:
    return _run("refuse", Proxy.refuse, report)


def lost(report: Report) -> Result:
    """The records are written into history the first time, and the function never learns it."""
    return _run("lost", partial(Proxy.hang_after, request=b"TransactWriteItems"), report, again=True)


def _run(name: str, fail: Callable[[Proxy], None], report: Report, *, again: bool = False) -> Result:
    """`again`: the router may announce once more, with history, what it announced without."""
    with Proxy() as proxy, deployed(report) as stage:
        proxy.forward_to(stage.aws.endpoint)
        stage.set_variable("AWS_ENDPOINT_URL_DYNAMODB", proxy.url)
        stage.set_visibility_timeout(_VISIBILITY)
        stage.happen(died(_BEFORE))
        stage.until(f"an incident while all is well: {_BEFORE}", partial(stage.all_told, [_BEFORE]))
        stage.until("its results are recorded", stage.is_settled)

        fail(proxy)
        with stage.waiting_events():
            stage.happen_together([died(service) for service in _DURING])
        copies = f"no DynamoDB: {len(_DURING)} records are received until they are announced without history"
        stage.until(copies, lambda: stage.dead_letters() == len(_DURING))
        broken = [*_announced_without_history(stage)]
        longest = stage.longest_invocation()
        if longest >= _TIMEOUT:
            broken.append(f"an invocation took {longest:.0f} s")
        announced = told_of(stage, _DURING)

        proxy.restore()
        stage.until("DynamoDB is back: what is due there is sent", stage.is_settled)
        broken += _redrive(stage)
        broken += recover(stage, _EVERYONE)
        most = dict.fromkeys(_DURING, 2 if again else 1) | {_BEFORE: 1}
        broken += misses_and_repeats(stage.told, _EVERYONE, lambda _channel, service: most[service])
        broken += dead_letters(stage)
        pages = [alert.status for alert in stage.pagerduty.alerts]
        resolved = f"{pages.count('resolved')} of {len(pages)} pages resolved"
        counts = f"{announced} without history, longest invocation {longest:.1f} s, {len(_DURING)} copies redriven"
        return Result(name, f"{counts}, {resolved}", tuple(broken))


def _announced_without_history(stage: Stage) -> Iterator[str]:
    for service in _DURING:
        for channel in CHANNELS:
            announced, _, without_history = stage.told(channel, service)
            if without_history < announced:
                yield f"{channel} was told of {service} as if there were a history"


def _redrive(stage: Stage) -> Iterator[str]:
    """The copies go into history, and no channel hears anything."""
    heard = {channel: len(stage.messages(channel)) for channel in CHANNELS}
    stage.report("ecs-alert-router redrive")
    _, lines = stage.type("redrive", "--json")
    outcomes = [line["outcome"] for line in lines]
    if outcomes != ["into history, nothing is sent"] * len(_DURING):
        yield f"redrive said {outcomes}"
    stage.until("the copies are written into history", lambda: all(map(stage.decisions, _DURING)))
    stage.until("nothing is left to do", stage.is_settled)
    for service in _DURING:
        if (decisions := stage.decisions(service)) not in (["announced"], ["gathered"]):
            yield f"history says of {service}: {decisions}"
    for channel in CHANNELS:
        if more := len(stage.messages(channel)) - heard[channel]:
            yield f"{channel} got {more} messages from the redrive"

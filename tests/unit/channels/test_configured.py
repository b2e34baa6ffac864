"""router.channels.configured: channels are created when first needed, and again when their secrets have changed."""

import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from local_aws.events import service_action, task_stopped
from plugins.slack import Slack
from router.channels.configured import ConfiguredChannel, no_secret_client
from router.channels.secrets import Secrets
from router.config.settings import Route
from router.context import Job
from router.deliver import attempt
from router.errors import PermanentError
from router.history.items import iso
from router.incident.state import Delivery, Dispatch, SubjectState
from router.model import ChannelConfig, Kind, Notification, Outcome, Severity
from tests.doubles.world import World

REFERENCE = "ssm:/router/url"


@dataclass
class Vault:
    """An SSM with one parameter."""

    value: str = "https://old.example.com/secret"
    reads: int = 0
    failure: Exception | None = None

    def get_parameter(self, **_: Any) -> Any:
        self.reads += 1
        if self.failure:
            raise self.failure
        return {"Parameter": {"Value": self.value}}


@dataclass
class Chat:
    config: ChannelConfig
    refuses: str = "https://old.example.com/secret"
    sent: list[str] = field(default_factory=list)
    status: int = 404

    def render(self, notification: Notification) -> dict[str, Any]:
        return {"title": notification.message.title}

    def send(self, payload: dict[str, Any]) -> None:
        if self.config.options["url"] == self.refuses:
            raise PermanentError("no such webhook", status=self.status)
        self.sent.append(payload["title"])


class Setting:
    def __init__(self, status: int = 404) -> None:
        self.vault, self.made = Vault(), list[Chat]()

        def make(config: ChannelConfig) -> Chat:
            self.made.append(Chat(config, status=status))
            return self.made[-1]

        secrets = Secrets(lambda: self.vault, lambda: self.vault, lambda: 0.0)
        self.source = ConfiguredChannel(ChannelConfig("chat", "chat", {"url": REFERENCE}), make, secrets)

    def attempt(self) -> Delivery:
        world = World()
        world.receive(task_stopped())
        (told,) = world.slack.told
        dispatch = Dispatch("chat", Kind.OPENED, 1, 1, is_first=True, severity=Severity.ERROR, suppressed={})
        return attempt(
            Job(SubjectState(told.incident.subject), dispatch, self.source.config, lambda: told, self.source)
        )


def test_a_channel_is_created_once_with_the_secret_in_its_options() -> None:
    setting = Setting()
    assert setting.vault.reads == 0
    settings, channel = setting.source.open()
    assert settings.options == {"url": setting.vault.value}
    assert setting.source.open()[1] is channel
    assert (setting.vault.reads, len(setting.made)) == (1, 1)
    assert setting.vault.value not in repr(setting.source)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_secret_is_read_again_and_the_send_is_repeated(status: int) -> None:
    setting = Setting(status)
    setting.source.open()
    setting.vault.value = "https://new.example.com/secret"
    assert setting.attempt().outcome is Outcome.SENT
    assert len(setting.made[-1].sent) == 1


@pytest.mark.parametrize(("status", "reads"), [(404, 2), (410, 1)])
def test_an_unchanged_secret_is_not_sent_again(status: int, reads: int) -> None:
    setting = Setting(status)
    assert setting.attempt().outcome is Outcome.FAILED
    assert (setting.vault.reads, len(setting.made)) == (reads, 1)


@pytest.mark.parametrize("budget", [0, (0, 1.0), (1, 0), ("4", 60), (1,), None])
def test_a_plugin_with_an_invalid_budget_is_refused(budget: object) -> None:
    class Odd:
        def __init__(self, _: ChannelConfig) -> None:
            self.budget = budget

    secrets = Secrets(no_secret_client, no_secret_client, time.monotonic)
    source = ConfiguredChannel(ChannelConfig("chat", "odd", {}), Odd, secrets)  # type: ignore[arg-type]
    with pytest.raises(PermanentError, match="budget must be"):
        source.open()


def test_two_channels_with_the_same_secret_share_an_endpoint_that_does_not_reveal_it() -> None:
    def endpoint(**options: str) -> str:
        secrets = Secrets(no_secret_client, no_secret_client, time.monotonic)
        return ConfiguredChannel(ChannelConfig("chat", "slack", options), Slack, secrets).endpoint

    url = "https://hooks.slack.com/services/T0/B0/secret"
    assert endpoint(webhook_url=url) == endpoint(webhook_url=url, colour="red") != endpoint(webhook_url=url + "2")
    assert "secret" not in endpoint(webhook_url=url)


def test_a_secret_that_cannot_be_read_leads_to_a_retry_without_a_send() -> None:
    setting = Setting()
    setting.vault.failure = TimeoutError()
    delivery = setting.attempt()
    assert (delivery.outcome, delivery.unanswered) == (Outcome.RETRY, False)
    assert REFERENCE in delivery.response


def test_an_option_that_the_plugin_refuses_fails_without_revealing_its_value() -> None:
    def refuse(config: ChannelConfig) -> Any:
        raise ValueError(f"{config.options['url']} is no address")

    setting = Setting()
    setting.source.factory = refuse
    with pytest.raises(PermanentError, match=r"^\[url\] is no address$"):
        setting.source.open()


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("http://hooks.example.com/x", True),
        ("HTTP://10.0.0.1/x", True),
        ("http://127.0.0.1:80@hooks.example.com/x", True),
        ("http://[", True),
        ("http://127.0.0.1:8080/x", False),
        ("http://localhost/x", False),
        ("http://[::1]:8080/x", False),
        ("https://hooks.example.com/x", False),
    ],
)
def test_a_plain_http_url_is_refused_unless_it_is_loopback(url: str, *, refused: bool) -> None:
    source = ConfiguredChannel(ChannelConfig("chat", "chat", {"url": url}), Chat, Setting().source.secrets)
    if refused:
        with pytest.raises(PermanentError) as raised:
            source.open()
        assert url not in str(raised.value)
    else:
        assert source.open()


# --- what a route says in place of the channel ------------------------------------------------------------------------


def test_a_route_sets_mention_language_time_zone_and_window() -> None:
    route = Route(channels=("slack",), mention="<!here>", language="ja", time_zone="Asia/Tokyo", dedup_window=60.0)
    world = World(routes=[route])
    world.receive(task_stopped())
    (told,) = world.slack.told
    assert told.mention == "<!here>"
    assert "必須コンテナが異常終了" in told.message.title
    assert any("JST" in value for _, value in told.message.facts)
    world.receive(task_stopped(task="t2"))
    world.wait(70)
    assert world.slack.kinds == [Kind.OPENED, Kind.UPDATED]


def test_resolutions_mention_no_one() -> None:
    world = World(routes=[Route(channels=("slack",), mention="<!here>")])
    world.receive(task_stopped(stoppedAt=iso(world.now)))
    world.receive(service_action(createdAt=iso(world.now + 1)))
    world.wait(600)
    assert [(told.kind, told.mention) for told in world.slack.told] == [(Kind.OPENED, "<!here>"), (Kind.RESOLVED, "")]

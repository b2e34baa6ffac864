"""plugins._slack_api: one message for each incident, on a double that behaves as Slack's Web API."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local_aws import events
from local_aws.slack_api import ALERTS, BOT_TOKEN, SlackApiDouble, SlackChannel, SlackMessage
from plugins import _slack_api
from plugins.slack import Slack
from router import ChannelConfig, Notification, PayloadRejected, PermanentError, RemoteGone, TransientError
from router.channels.configured import ConfiguredChannel
from router.history.items import iso
from router.model import Kind, Message, Outcome, Reason
from tests.doubles.oom import ALERT, INCIDENT
from tests.doubles.service_events import crash, spot, steady
from tests.doubles.world import DAY, MINUTE, START, World

MESSAGE = Message("Out of memory", "Container app was killed.", status="CRITICAL", headline="Out of memory: web")
OPENED = Notification(Kind.OPENED, MESSAGE, ALERT, INCIDENT, revision=1)
GREEN = "#2eb67d"
WEBHOOK = "https://hooks.slack.com/services/T0/B0/x"
ROOT = Path(__file__).parents[3]


def update(remote: Any, revision: int = 2, **fields: Any) -> Notification:
    return replace(
        OPENED, **{"kind": Kind.UPDATED, "reason": Reason.DIGEST, "revision": revision, **fields}, remote=remote
    )


@pytest.fixture
def slack() -> Iterator[SlackApiDouble]:
    with SlackApiDouble() as double:
        double.workspace.limited = False
        yield double


def bot(slack: SlackApiDouble, channel: str = ALERTS) -> Slack:
    options = {"token": BOT_TOKEN, "channel": channel, "api_url": slack.api_url}
    return Slack(ChannelConfig("ops", "slack", options))


def sent(slack: SlackApiDouble, notification: Notification, channel: str = ALERTS) -> Any:
    """What `send` returns."""
    plugin = bot(slack, channel)
    return plugin.send(plugin.render(notification))


def calls(slack: SlackApiDouble) -> list[str]:
    """The methods that were called; those that were refused with the error word."""
    return [f"{call.method} {call.error}".strip() for call in slack.workspace.calls]


def revision(message: SlackMessage) -> Any:
    return message.metadata["event_payload"]["revision"]


# --- one message for each incident ------------------------------------------------------------------------------------


def test_opened_posts_a_message_and_remembers_it(slack: SlackApiDouble) -> None:
    memory = sent(slack, OPENED)
    (root,) = slack.workspace.roots()
    assert memory == {"channel": ALERTS, "ts": root.ts, "to": ALERTS}
    assert calls(slack) == ["chat.postMessage"]
    assert root.metadata == {
        "event_type": "ecs_alert_router_incident",
        "event_payload": {"incident": INCIDENT.id, "revision": 1},
    }


def test_a_digest_edits_the_message_and_replies_in_its_thread(slack: SlackApiDouble) -> None:
    memory = sent(slack, OPENED)
    assert sent(slack, update(memory)) == memory
    (root,) = slack.workspace.roots()
    (reply,) = slack.workspace.replies(root.ts)
    assert (revision(root), revision(reply), reply.broadcast) == (2, 2, False)
    assert calls(slack)[1:] == ["chat.update", "chat.postMessage"]


@pytest.mark.parametrize("reason", [Reason.WORSE, Reason.RETURNED])
def test_what_is_worse_or_returns_is_shown_in_the_channel_too(slack: SlackApiDouble, reason: Reason) -> None:
    memory = sent(slack, OPENED)
    sent(slack, update(memory, reason=reason))
    (reply,) = slack.workspace.replies(memory["ts"])
    assert reply.broadcast


def test_the_end_turns_the_message_green_and_replies(slack: SlackApiDouble) -> None:
    memory = sent(slack, OPENED)
    sent(slack, update(memory, kind=Kind.RESOLVED, reason=Reason.ENDED))
    (root,) = slack.workspace.roots()
    (reply,) = slack.workspace.replies(root.ts)
    assert [sent_payload.attachments[0]["color"] for sent_payload in (root, reply)] == [GREEN, GREEN]
    assert not reply.broadcast


def test_every_update_replaces_text_blocks_and_attachments(slack: SlackApiDouble) -> None:
    """Slack keeps attachments that are left out, and sometimes blocks."""
    memory = sent(slack, OPENED)
    plugin = bot(slack)
    for payload in (plugin.render(update(memory)), plugin.render_plain(update(memory))):
        plugin.send(payload)
        arguments = [call.arguments for call in slack.workspace.calls if call.method == "chat.update"][-1]
        assert {"text", "blocks", "attachments"} <= arguments.keys()
        assert not {"unfurl_links", "address"} & arguments.keys()
        (root,) = slack.workspace.roots()
        assert (list(root.blocks), list(root.attachments)) == (arguments["blocks"], arguments["attachments"])
    assert (list(root.blocks), list(root.attachments)) == ([], [])


def test_posts_and_updates_are_parsed_alike(slack: SlackApiDouble) -> None:
    """The default of `parse` differs between the two methods."""
    sent(slack, update(sent(slack, OPENED)))
    assert {call.arguments["parse"] for call in slack.workspace.calls} == {"none"}


def test_an_api_url_may_lack_its_last_slash(slack: SlackApiDouble) -> None:
    options = {"token": BOT_TOKEN, "channel": ALERTS, "api_url": slack.api_url.rstrip("/")}
    plugin = Slack(ChannelConfig("ops", "slack", options))
    plugin.send(plugin.render(OPENED))
    assert calls(slack) == ["chat.postMessage"]


def test_a_channel_can_be_named_and_is_edited_by_its_id(slack: SlackApiDouble) -> None:
    memory = sent(slack, OPENED, "#alerts")
    assert memory["channel"] == ALERTS
    assert sent(slack, update(memory), "#alerts") == memory
    assert len(slack.workspace.roots()) == 1


def test_another_channel_in_the_configuration_gets_a_new_message(slack: SlackApiDouble) -> None:
    slack.workspace.channels["C2"] = SlackChannel("C2", "other", members={"A0000000001"})
    memory = sent(slack, OPENED)
    assert sent(slack, update(memory), "C2")["channel"] == "C2"
    assert [revision(root) for root in slack.workspace.roots()] == [1]


# --- what is gone -----------------------------------------------------------------------------------------------------


def test_a_deleted_message_is_gone(slack: SlackApiDouble) -> None:
    memory = sent(slack, OPENED)
    slack.workspace.delete(memory["ts"])
    with pytest.raises(RemoteGone):
        sent(slack, update(memory))
    assert slack.workspace.roots() == []


def test_a_message_that_may_not_be_edited_any_more_is_gone(slack: SlackApiDouble) -> None:
    memory = sent(slack, OPENED)
    slack.workspace.edit_window = -1.0
    with pytest.raises(RemoteGone):
        sent(slack, update(memory))
    assert slack.workspace.replies(memory["ts"]) == []


def test_a_message_of_another_app_is_gone(slack: SlackApiDouble) -> None:
    """The token is another app's now."""
    by_hand = slack.workspace.post_by_hand("hello")
    with pytest.raises(RemoteGone):
        sent(slack, update({"channel": ALERTS, "ts": by_hand.ts, "to": ALERTS}))


@pytest.mark.parametrize("change", [{"archived": True}, {"members": set()}])
def test_a_remembered_channel_that_is_lost_is_gone(slack: SlackApiDouble, change: dict[str, Any]) -> None:
    """A channel of the same name may have replaced it, so the configured one is tried."""
    memory = sent(slack, OPENED)
    for name, value in change.items():
        setattr(slack.workspace.channels[ALERTS], name, value)
    slack.answer_with(200, json.dumps({"ok": False, "error": "is_archived"}))
    with pytest.raises(RemoteGone):
        sent(slack, update(memory))
    slack.answer_with(200, json.dumps({"ok": False, "error": "is_archived"}))
    with pytest.raises(PermanentError) as caught:
        sent(slack, OPENED)
    assert not isinstance(caught.value, RemoteGone)


def test_a_reply_that_slack_puts_into_the_channel_becomes_the_message(slack: SlackApiDouble) -> None:
    """It does so if the message is deleted between the edit and the reply (slack-go/slack issue 1571)."""
    memory = sent(slack, OPENED)
    plugin = bot(slack)
    payload = plugin.render(update(memory))
    slack.answer_with(200, json.dumps({"ok": True}))  # the edit, after which the message is deleted
    slack.workspace.delete(memory["ts"])
    after = plugin.send(payload)
    (root,) = slack.workspace.roots()
    assert after == {**memory, "ts": root.ts}


def test_a_thread_that_may_not_be_replied_to_is_gone(slack: SlackApiDouble) -> None:
    memory = sent(slack, OPENED)
    slack.answer_with(200, json.dumps({"ok": True}))
    slack.answer_with(200, json.dumps({"ok": False, "error": "cannot_reply_to_message"}))
    with pytest.raises(RemoteGone):
        sent(slack, update(memory))


def test_where_a_reply_cannot_be_shown_in_the_channel_it_stays_in_the_thread(slack: SlackApiDouble) -> None:
    memory = sent(slack, OPENED)
    slack.answer_with(200, json.dumps({"ok": True}))
    slack.answer_with(200, json.dumps({"ok": False, "error": "cant_broadcast_message"}))
    assert sent(slack, update(memory, reason=Reason.WORSE)) == memory
    (reply,) = slack.workspace.replies(memory["ts"])
    assert not reply.broadcast


# --- an attempt of unknown outcome ------------------------------------------------------------------------------------


def lost(slack: SlackApiDouble, notification: Notification) -> None:
    """Sends it; Slack accepts it, and its answer is lost."""
    methods = 2 if notification.remote else 1
    if methods > 1:
        plugin = bot(slack)
        payload = plugin.render(notification)
        slack.answer_with(200, json.dumps({"ok": True}))
        slack.lose_answer()
        with pytest.raises(TransientError) as caught:
            plugin.send(payload)
    else:
        slack.lose_answer()
        with pytest.raises(TransientError) as caught:
            sent(slack, notification)
    assert (caught.value.status, caught.value.unsent) == (None, False)


def test_a_message_whose_answer_was_lost_is_adopted(slack: SlackApiDouble) -> None:
    lost(slack, OPENED)
    memory = sent(slack, replace(OPENED, in_doubt=True))
    (root,) = slack.workspace.roots()
    assert (memory["ts"], slack.workspace.replies(root.ts)) == (root.ts, [])


def test_a_message_that_did_not_arrive_is_posted(slack: SlackApiDouble) -> None:
    slack.reset_connection()
    with pytest.raises(TransientError):
        sent(slack, OPENED)
    sent(slack, replace(OPENED, in_doubt=True))
    assert len(slack.workspace.roots()) == 1


def test_an_older_message_is_adopted_edited_and_replied_to(slack: SlackApiDouble) -> None:
    """The incident went on before the next attempt, and people must hear of that."""
    lost(slack, OPENED)
    memory = sent(slack, replace(OPENED, in_doubt=True, revision=2))
    (root,) = slack.workspace.roots()
    (reply,) = slack.workspace.replies(root.ts)
    assert (memory["ts"], revision(root), revision(reply), reply.broadcast) == (root.ts, 2, 2, True)


def test_a_reply_whose_answer_was_lost_is_not_repeated(slack: SlackApiDouble) -> None:
    memory = sent(slack, OPENED)
    lost(slack, update(memory))
    assert sent(slack, update(memory, in_doubt=True)) == memory
    assert [revision(reply) for reply in slack.workspace.replies(memory["ts"])] == [2]
    assert [revision(root) for root in slack.workspace.roots()] == [2]


def test_a_reply_that_did_not_arrive_is_posted(slack: SlackApiDouble) -> None:
    memory = sent(slack, OPENED)
    sent(slack, update(memory))
    sent(slack, update(memory, revision=3, in_doubt=True))
    assert [revision(reply) for reply in slack.workspace.replies(memory["ts"])] == [2, 3]


def test_messages_of_others_are_not_adopted(slack: SlackApiDouble) -> None:
    """Anybody in the workspace can post the same metadata, which must not keep an alert from being posted."""
    metadata = {"event_type": "ecs_alert_router_incident", "event_payload": {"incident": INCIDENT.id, "revision": 1}}
    forged = slack.workspace.post_by_hand("all is well", metadata=metadata)
    memory = sent(slack, replace(OPENED, in_doubt=True))
    assert memory["ts"] != forged.ts
    slack.workspace.post_by_hand("fine", thread_ts=memory["ts"], metadata=metadata)
    sent(slack, update(memory, revision=1, in_doubt=True))
    assert len(slack.workspace.replies(memory["ts"])) == 2


def test_a_message_about_another_incident_is_not_adopted(slack: SlackApiDouble) -> None:
    sent(slack, replace(OPENED, incident=replace(INCIDENT, number=99)))
    sent(slack, replace(OPENED, in_doubt=True))
    assert len(slack.workspace.roots()) == 2


def test_a_reply_that_the_channel_shows_is_not_adopted_as_the_message(slack: SlackApiDouble) -> None:
    memory = sent(slack, OPENED)
    sent(slack, update(memory, reason=Reason.WORSE))
    slack.workspace.delete(memory["ts"])
    after = sent(slack, update({}, in_doubt=True))
    assert [root.ts for root in slack.workspace.roots()] == [after["ts"]]


def test_the_search_goes_through_several_pages(slack: SlackApiDouble) -> None:
    lost(slack, OPENED)
    for number in range(250):
        slack.workspace.post_by_hand(f"chat {number}")
    (memory, count) = sent(slack, replace(OPENED, in_doubt=True)), calls(slack).count("conversations.history")
    assert (memory["ts"], count) == (slack.workspace.roots()[0].ts, 3)


def test_an_answer_of_many_large_messages_is_read_completely(slack: SlackApiDouble) -> None:
    lost(slack, OPENED)
    for number in range(90):
        slack.workspace.post_by_hand(f"{number}" * 3000)
    assert sent(slack, replace(OPENED, in_doubt=True))["ts"] == slack.workspace.roots()[0].ts


@pytest.mark.parametrize("scopes", [{"chat:write"}, {"chat:write", "groups:history"}])
def test_without_the_scope_a_message_is_posted_again_and_the_log_says_why(
    slack: SlackApiDouble, scopes: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    slack.workspace.apps[BOT_TOKEN].scopes = scopes
    lost(slack, OPENED)
    sent(slack, replace(OPENED, in_doubt=True))
    assert len(slack.workspace.roots()) == 2
    assert "missing_scope" in caplog.text


def test_a_name_cannot_be_searched_so_the_message_is_posted_again(slack: SlackApiDouble) -> None:
    lost(slack, OPENED)
    sent(slack, replace(OPENED, in_doubt=True), "alerts")
    assert len(slack.workspace.roots()) == 2


def test_a_search_that_is_over_its_limit_is_tried_later(slack: SlackApiDouble) -> None:
    """A repeat is worse than a minute."""
    slack.answer_with(429, json.dumps({"ok": False, "error": "ratelimited"}), headers={"Retry-After": "30"})
    with pytest.raises(TransientError) as caught:
        sent(slack, replace(OPENED, in_doubt=True))
    assert caught.value.retry_after == 30
    assert slack.workspace.roots() == []


# --- messages about many incidents ------------------------------------------------------------------------------------


def bundle(*remembered: Notification, **fields: Any) -> Notification:
    others = [replace(INCIDENT, subject=INCIDENT.subject._replace(name=f"web-{number}")) for number in range(2)]
    return replace(OPENED, bundled=tuple(others), remembered=remembered, **fields)


def test_a_bundle_is_never_edited_and_its_incidents_reply_underneath(slack: SlackApiDouble) -> None:
    memory = sent(slack, bundle())
    (root,) = slack.workspace.roots()
    before = (root.text, root.blocks, root.attachments, root.changed_at)
    assert sent(slack, update(memory, reason=Reason.WORSE)) == memory
    assert sent(slack, update(memory, 3, kind=Kind.RESOLVED, reason=Reason.ENDED)) == memory
    assert slack.workspace.roots() == [root]
    assert (root.text, root.blocks, root.attachments, root.changed_at) == before
    assert [(revision(reply), reply.broadcast) for reply in slack.workspace.replies(root.ts)] == [(2, True), (3, False)]


def test_a_bundle_brings_the_messages_of_its_incidents_up_to_date_before_it_is_posted(slack: SlackApiDouble) -> None:
    memory = sent(slack, OPENED)
    sent(slack, bundle(update(memory, kind=Kind.RESOLVED, reason=Reason.ENDED)))
    root, _ = slack.workspace.roots()
    assert (root.attachments[0]["color"], revision(root), slack.workspace.replies(root.ts)) == (GREEN, 2, [])
    assert calls(slack)[1:] == ["chat.update", "chat.postMessage"]


def test_a_bundle_is_posted_even_if_a_message_of_its_incidents_is_gone(slack: SlackApiDouble) -> None:
    memory = sent(slack, OPENED)
    slack.workspace.delete(memory["ts"])
    sent(slack, bundle(update(memory)))
    assert len(slack.workspace.roots()) == 1


def test_a_bundle_updates_no_more_messages_than_slack_allows(slack: SlackApiDouble) -> None:
    memory = sent(slack, OPENED)
    slack.answer_with(429, json.dumps({"ok": False, "error": "ratelimited"}))
    sent(slack, bundle(*[update(memory)] * 3))
    assert calls(slack) == ["chat.postMessage", "chat.postMessage"]
    sent(slack, bundle(*[update(memory)] * 50))
    assert calls(slack).count("chat.update") == 20


def test_a_bundle_is_not_adopted_as_the_message_of_its_worst_incident(slack: SlackApiDouble) -> None:
    sent(slack, replace(bundle(), incident=INCIDENT))
    sent(slack, replace(OPENED, in_doubt=True))
    assert len(slack.workspace.roots()) == 2


# --- errors -----------------------------------------------------------------------------------------------------------

RETRY = "ratelimited rate_limited streaming_state_conflict external_channel_migrating"
LATER = "team_added_to_org org_login_required message_limit_exceeded"
UNKNOWN = "internal_error fatal_error service_unavailable request_timeout update_failed"
SECRET = "not_authed invalid_auth account_inactive token_revoked token_expired not_allowed_token_type is_bot"
REFUSED = """
    missing_scope no_permission access_denied accesslimited app_access_restricted team_access_not_granted
    two_factor_setup_required ekm_access_denied enterprise_is_restricted channel_not_found not_in_channel is_archived
    team_not_found restricted_action restricted_action_read_only_channel restricted_action_thread_only_channel
    messages_tab_disabled as_user_not_supported send_on_behalf_not_allowed is_inactive invalid_arg_name
    invalid_arguments invalid_array_arg invalid_charset invalid_form_data invalid_post_type missing_post_type
    deprecated_endpoint method_deprecated unknown_method duplicate_channel_not_found duplicate_message_not_found
    missing_file_data max_file_sharing_exceeded unable_to_share_files posting_to_channel_denied blocked_file_type
    cant_broadcast_message no_dual_broadcast_content_update slack_connect_file_link_sharing_blocked draft_anything
    a_word_of_next_year
"""
REJECTED = """
    no_text msg_blocks_too_long invalid_blocks invalid_blocks_format too_many_attachments
    attachment_payload_limit_exceeded too_many_contact_cards markdown_text_conflict metadata_too_large
    invalid_metadata_format invalid_metadata_schema metadata_must_be_sent_from_app msg_too_long msg_too_large
    block_mismatch invalid_attachments
"""
GONE = """
    message_not_found cant_update_message edit_window_closed cannot_reply_to_message thread_not_found
    restricted_action_thread_locked restricted_action_non_threadable_channel
"""


def error_of(slack: SlackApiDouble, body: str, status: int = 200, **headers: str) -> Any:
    slack.answer_with(status, body, headers=headers)
    with pytest.raises((TransientError, PermanentError)) as caught:
        sent(slack, OPENED)
    return caught.value


def refused_with(slack: SlackApiDouble, word: str) -> Any:
    return error_of(slack, json.dumps({"ok": False, "error": word}))


@pytest.mark.parametrize(
    ("words", "error", "status"),
    [
        (RETRY, TransientError, {200, 429}),
        (LATER, TransientError, {200}),
        (UNKNOWN, TransientError, {None}),
        (SECRET, PermanentError, {401}),
        (REFUSED, PermanentError, {200}),
        (REJECTED, PayloadRejected, {200}),
        (GONE, RemoteGone, {200}),
    ],
    ids=["retry", "later", "unknown outcome", "token", "refused", "rejected", "gone"],
)
def test_each_error_word_has_its_meaning(
    slack: SlackApiDouble, words: str, error: type[Exception], status: set[int | None]
) -> None:
    """Without a status, the outcome is unknown; with 401, the router reads the token again."""
    for word in words.split():
        found = refused_with(slack, word)
        assert (type(found), found.answer, word in str(found)) == (error, word, True)
        assert found.status in status, word


def test_a_workspace_that_is_over_its_limit_is_tried_much_later(slack: SlackApiDouble) -> None:
    assert {refused_with(slack, word).retry_after for word in LATER.split()} == {3600.0}


def test_an_error_that_a_person_must_correct_says_how(slack: SlackApiDouble) -> None:
    for word in ("missing_scope", "not_in_channel", "is_archived", "invalid_auth", "restricted_action"):
        assert f"{word}: " in str(refused_with(slack, word))


@pytest.mark.parametrize("body", ["", "ok", "<html>", "[]", "null", '{"ok": "yes"}', '{"ok": false}', '{"ok": 1}'])
def test_only_ok_is_success(slack: SlackApiDouble, body: str) -> None:
    assert isinstance(error_of(slack, body), PermanentError)


def test_a_warning_is_a_success(slack: SlackApiDouble) -> None:
    slack.answer_with(
        200, json.dumps({"ok": True, "warning": "superfluous_charset", "channel": "C2", "ts": "1.000002"})
    )
    assert sent(slack, OPENED) == {"channel": "C2", "ts": "1.000002", "to": ALERTS}


def test_the_wait_of_a_429_is_honoured(slack: SlackApiDouble) -> None:
    error = error_of(slack, json.dumps({"ok": False, "error": "ratelimited"}), 429, **{"Retry-After": "17"})
    assert (type(error), error.retry_after, error.status) == (TransientError, 17, 429)


def test_after_a_5xx_the_outcome_is_unknown(slack: SlackApiDouble) -> None:
    error = error_of(slack, "busy", 503)
    assert (type(error), error.status, error.unsent) == (TransientError, None, False)


def test_an_error_word_counts_whatever_the_status(slack: SlackApiDouble) -> None:
    assert isinstance(error_of(slack, json.dumps({"ok": False, "error": "invalid_blocks"}), 400), PayloadRejected)


def test_no_error_shows_the_token(slack: SlackApiDouble) -> None:
    for status in (200, 403, 500):
        error = error_of(slack, f"bad token {BOT_TOKEN}", status)
        assert BOT_TOKEN not in f"{error}{error.answer}"


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({}, "webhook_url"),
        ({"token": "xoxb-1"}, "channel"),
        ({"channel": "C1"}, "token"),
        ({"api_url": "x"}, "webhook_url"),
    ],
)
def test_a_token_needs_a_channel(options: dict[str, str], missing: str) -> None:
    with pytest.raises(KeyError) as caught:
        Slack(ChannelConfig("ops", "slack", options))
    assert caught.value.args == (missing,)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"webhook_url": "https://hooks.slack.com/services/T/B/x"}, "webhook_url"),
        ({"token": "xapp-1-A0-0"}, "token"),
        ({"token": "xoxp-1-2-3"}, "token"),
        ({"token": "https://hooks.slack.com/services/T/B/x"}, "token"),
        ({"channel": "https://example.slack.com/archives/C1"}, "channel"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Slack(ChannelConfig("ops", "slack", {"token": "xoxb-1", "channel": "C1", **options}))


def test_each_channel_of_a_token_has_its_own_rate_limit() -> None:
    """Slack's limit for posts is one a second and channel."""

    def endpoint(channel: str) -> str:
        config = ChannelConfig("ops", "slack", {"token": "xoxb-1", "channel": channel})
        return ConfiguredChannel(config, Slack, None).endpoint  # type: ignore[arg-type]

    assert endpoint("C1") == endpoint("C1") != endpoint("C2")


@pytest.mark.parametrize(
    ("options", "loaded"), [({"webhook_url": WEBHOOK}, False), ({"token": "x", "channel": "C1"}, True)]
)
def test_only_a_token_loads_the_web_api(options: dict[str, str], *, loaded: bool) -> None:
    """Each cold start of a webhook's users would pay for it."""
    code = f"""
import sys
from plugins.slack import Slack
from router import ChannelConfig
Slack(ChannelConfig("ops", "slack", {options}))
print("plugins._slack_api" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(loaded)


def test_metadata_keeps_to_slacks_form() -> None:
    """Other punctuation drops the metadata with nothing but a warning."""
    for name in (_slack_api._INCIDENT, _slack_api._BUNDLE):  # noqa: SLF001 - what everybody in the workspace sees
        assert name.replace("_", "").isalnum()


# --- the life of an incident, through the whole router ----------------------------------------------------------------


class SlackWorld(World):
    """The router with Slack's bot in place of one of the recorders."""

    def __init__(self, slack: SlackApiDouble) -> None:
        self.double = slack
        super().__init__()
        slack.workspace.clock = lambda: self.now
        options = {"token": BOT_TOKEN, "channel": ALERTS, "api_url": slack.api_url}
        config = ChannelConfig("slack", "slack", options)
        channels = {**self.config.channels, "slack": ConfiguredChannel.of(config, Slack(config))}
        self.config = self.config._replace(channels=channels)
        self.router = self.router._replace(config=self.config)

    @property
    def story(self) -> list[str]:
        """The channel as people see it: each root with the status it shows, and below it its replies."""
        lines = []
        for root in self.double.workspace.roots():
            lines.append(status(root))
            replies = self.double.workspace.replies(root.ts)
            lines += [f"- {status(reply)}{' (in the channel)' if reply.broadcast else ''}" for reply in replies]
        return lines


def status(message: SlackMessage) -> str:
    return message.text.split(" · ")[0].partition(" ")[2]


@pytest.fixture
def world(slack: SlackApiDouble) -> SlackWorld:
    return SlackWorld(slack)


def test_the_life_of_an_incident_is_one_thread(world: SlackWorld) -> None:
    world.receive(spot("t1", START))
    world.wait(2 * MINUTE)
    world.receive(crash("t2", world.now))
    world.receive(crash("t3", world.now))
    world.wait(70 * MINUTE)
    world.receive(steady(world.now))
    world.wait(20 * MINUTE)
    assert world.story == [
        "RESOLVED",
        "- CRITICAL, ongoing (in the channel)",
        "- CRITICAL, ongoing",
        "- RESOLVED",
    ]


def test_a_return_goes_on_in_the_same_thread_and_a_later_incident_starts_its_own(world: SlackWorld) -> None:
    world.receive(crash("t1", START))
    world.receive(steady(world.now))
    world.wait(20 * MINUTE)
    world.receive(crash("t2", world.now))
    world.receive(steady(world.now))
    world.wait(DAY)
    world.receive(crash("t3", world.now))
    roots = world.double.workspace.roots()
    assert [status(root) for root in roots] == ["RESOLVED", "CRITICAL"]
    assert [reply.broadcast for reply in world.double.workspace.replies(roots[0].ts)] == [False, True, False]


def test_a_message_that_somebody_deletes_is_posted_again_and_goes_on(world: SlackWorld) -> None:
    world.receive(crash("t1", START))
    world.double.workspace.delete(world.double.workspace.roots()[0].ts)
    world.receive(crash("t2", world.now))
    world.wait(20 * MINUTE)
    world.receive(steady(world.now))
    world.wait(20 * MINUTE)
    assert world.story == ["RESOLVED", "- RESOLVED"]
    assert [delivery["outcome"] for delivery in world.ledger("slack")] == [Outcome.SENT] * 3


def test_lost_answers_repeat_nothing(world: SlackWorld) -> None:
    world.double.lose_answer()
    world.receive(crash("t1", START))
    world.wait(5 * MINUTE)
    world.receive(crash("t2", world.now))
    world.double.lose_answer()  # of the edit
    world.wait(11 * MINUTE)
    world.wait(5 * MINUTE)
    world.receive(steady(world.now))
    world.wait(20 * MINUTE)
    assert world.story == ["RESOLVED", "- CRITICAL, ongoing", "- RESOLVED"]
    assert [delivery["outcome"] for delivery in world.ledger("slack")] == ["retry", "sent", "retry", "sent", "sent"]


def test_a_rejected_layout_is_plain_text_in_the_same_message(world: SlackWorld) -> None:
    world.receive(crash("t1", START))
    world.double.answer_with(200, json.dumps({"ok": False, "error": "invalid_blocks"}))
    world.receive(steady(world.now))
    world.wait(20 * MINUTE)
    (root,) = world.double.workspace.roots()
    assert (list(root.blocks), root.text.startswith("✅ RESOLVED")) == ([], True)
    assert len(world.double.workspace.replies(root.ts)) == 1


def test_a_token_that_was_revoked_fails_with_the_fix(world: SlackWorld) -> None:
    world.double.workspace.apps[BOT_TOKEN].revoked = True
    world.receive(crash("t1", START))
    (delivery,) = world.ledger("slack")
    assert (delivery["outcome"], "token_revoked: copy" in delivery["answer"]) == (Outcome.FAILED, True)


def test_two_incidents_that_end_together_are_green_in_their_own_messages(world: SlackWorld) -> None:
    """Their ends are one message, because of the rate limit."""
    for service in ("a", "b"):
        world.receive(crash(f"task-{service}", world.now, group=f"service:{service}"))
        world.wait(2 * MINUTE)
    ends = [
        events.service_action(service=service, createdAt=iso(world.now)) | {"id": f"steady-{service}"}
        for service in ("a", "b")
    ]
    world.receive(*ends)
    world.wait(20 * MINUTE)
    *own, both = world.double.workspace.roots()
    assert [sent_payload.attachments[0]["color"] for sent_payload in own] == [GREEN, GREEN]
    assert "2" in both.text

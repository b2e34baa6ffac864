"""local_aws.slack_api: what Slack's own client finds in the double is what Slack documents."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from local_aws.slack_api import ALERTS, BOT_TOKEN, SlackApiDouble, SlackApp, SlackChannel, SlackWorkspace

METADATA = {"event_type": "incident", "event_payload": {"incident": "a-1", "revision": 1}}
BLOCK = {"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}


class Clock:
    now = 1_760_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def double() -> Iterator[SlackApiDouble]:
    with SlackApiDouble(SlackWorkspace(Clock())) as double:
        yield double


def client(double: SlackApiDouble, token: str = BOT_TOKEN) -> WebClient:
    return WebClient(token=token, base_url=double.api_url, retry_handlers=[])


def refusal(double: SlackApiDouble, method: str, token: str = BOT_TOKEN, **arguments: Any) -> Any:
    """The body of an answer that is not ok."""
    with pytest.raises(SlackApiError) as caught:
        client(double, token).api_call(method, json=arguments)
    return caught.value.response.data


def post(double: SlackApiDouble, **arguments: Any) -> str:
    return str(client(double).chat_postMessage(channel=ALERTS, **{"text": "hello", **arguments})["ts"])


def history(double: SlackApiDouble, **arguments: Any) -> list[Any]:
    return list(client(double).conversations_history(channel=ALERTS, **arguments)["messages"])


# --- posts and threads ------------------------------------------------------------------------------------------------


def test_a_post_is_answered_with_channel_ts_and_message(double: SlackApiDouble) -> None:
    answer = client(double).chat_postMessage(channel=ALERTS, text="hello", blocks=[BLOCK], metadata=METADATA)
    assert (answer["channel"], answer["message"]["ts"]) == (ALERTS, answer["ts"])
    assert answer["message"]["metadata"] == METADATA
    assert "thread_ts" not in answer["message"]


def test_each_ts_is_different_and_later(double: SlackApiDouble) -> None:
    first, second = post(double), post(double)
    assert float(first) < float(second)


def test_posting_takes_the_name_of_a_public_channel_and_answers_with_its_id(double: SlackApiDouble) -> None:
    assert client(double).chat_postMessage(channel="#alerts", text="hello")["channel"] == ALERTS
    assert refusal(double, "chat.update", channel="#alerts", ts="1.0", text="x")["error"] == "channel_not_found"


def test_a_reply_is_in_its_thread_and_in_the_channel_only_if_it_is_broadcast(double: SlackApiDouble) -> None:
    root = post(double)
    quiet = client(double).chat_postMessage(channel=ALERTS, text="quiet", thread_ts=root)
    client(double).chat_postMessage(channel=ALERTS, text="loud", thread_ts=root, reply_broadcast=True)
    assert quiet["message"]["thread_ts"] == root
    assert [message["text"] for message in history(double)] == ["loud", "hello"]
    thread = client(double).conversations_replies(channel=ALERTS, ts=root)["messages"]
    assert [message["text"] for message in thread] == ["hello", "quiet", "loud"]


@pytest.mark.parametrize("unthreads", [True, False])
def test_a_reply_to_a_deleted_message_goes_to_the_channel_or_is_refused(
    double: SlackApiDouble, *, unthreads: bool
) -> None:
    double.workspace.unthreads = unthreads
    root = post(double)
    client(double).chat_delete(channel=ALERTS, ts=root)
    if unthreads:
        answer = client(double).chat_postMessage(channel=ALERTS, text="late", thread_ts=root)
        assert "thread_ts" not in answer["message"]
    else:
        assert refusal(double, "chat.postMessage", channel=ALERTS, text="x", thread_ts=root)["error"] == (
            "thread_not_found"
        )


def test_a_reply_has_no_thread_of_its_own(double: SlackApiDouble) -> None:
    reply = post(double, thread_ts=post(double))
    assert refusal(double, "chat.postMessage", channel=ALERTS, text="x", thread_ts=reply)["error"] == "thread_not_found"


# --- edits ------------------------------------------------------------------------------------------------------------


def test_an_update_keeps_what_it_leaves_out_but_text_takes_the_blocks_away(double: SlackApiDouble) -> None:
    attachments = [{"color": "#ff0000", "blocks": [BLOCK]}]
    ts = post(double, blocks=[BLOCK], attachments=attachments, metadata=METADATA)
    client(double).chat_update(channel=ALERTS, ts=ts, text="new")
    (message,) = history(double, include_all_metadata=True)
    assert (message["text"], message["blocks"], message["attachments"]) == ("new", [], attachments)
    assert message["metadata"] == METADATA
    client(double).chat_update(channel=ALERTS, ts=ts, text="newer", attachments=[], metadata={})
    (message,) = history(double, include_all_metadata=True)
    assert (message["attachments"], message.get("metadata")) == ([], None)


def test_only_own_messages_that_exist_and_are_new_enough_can_be_edited(double: SlackApiDouble) -> None:
    theirs, own = double.workspace.post_by_hand("theirs").ts, post(double)
    errors = [refusal(double, "chat.update", channel=ALERTS, ts=ts, text="x")["error"] for ts in (theirs, "1.000001")]
    double.workspace.edit_window = -1.0
    errors.append(refusal(double, "chat.update", channel=ALERTS, ts=own, text="x")["error"])
    assert errors == ["cant_update_message", "message_not_found", "edit_window_closed"]


def test_a_text_may_be_posted_that_is_too_long_for_an_update(double: SlackApiDouble) -> None:
    ts = post(double, text="x" * 5000)
    assert refusal(double, "chat.update", channel=ALERTS, ts=ts, text="x" * 5000)["error"] == "msg_too_long"


def test_layouts_are_judged_as_for_webhooks(double: SlackApiDouble) -> None:
    wrong = [{"type": "section", "text": {"type": "mrkdwn", "text": ""}}]
    assert refusal(double, "chat.postMessage", channel=ALERTS, blocks=wrong)["error"] == "invalid_blocks"
    assert refusal(double, "chat.postMessage", channel=ALERTS)["error"] == "no_text"


# --- metadata ---------------------------------------------------------------------------------------------------------


def test_a_wrong_event_type_is_a_warning_and_drops_the_metadata(double: SlackApiDouble) -> None:
    metadata = {**METADATA, "event_type": "com.example.incident"}
    answer = client(double).chat_postMessage(channel=ALERTS, text="hello", metadata=metadata)
    assert (answer["ok"], answer["warning"]) == (True, "invalid_metadata_schema")
    assert "metadata" not in history(double, include_all_metadata=True)[0]


@pytest.mark.parametrize(
    ("payload", "error"),
    [({"a": {"b": {}}}, "invalid_metadata_format"), ({"a": "x" * 9000}, "metadata_too_large")],
)
def test_other_wrong_metadata_is_refused(double: SlackApiDouble, payload: Any, error: str) -> None:
    metadata = {"event_type": "incident", "event_payload": payload}
    assert refusal(double, "chat.postMessage", channel=ALERTS, text="x", metadata=metadata)["error"] == error


def test_the_payload_of_metadata_is_shown_only_if_asked_for(double: SlackApiDouble) -> None:
    post(double, metadata=METADATA)
    assert history(double)[0]["metadata"] == {"event_type": "incident"}
    assert history(double, include_all_metadata=True)[0]["metadata"] == METADATA


# --- history ----------------------------------------------------------------------------------------------------------


def test_history_is_newest_first_in_pages_and_between_two_times(double: SlackApiDouble) -> None:
    times = [double.workspace.post_by_hand(str(number)).ts for number in range(5)]
    page = client(double).conversations_history(channel=ALERTS, limit=2)
    assert ([message["text"] for message in page["messages"]], page["has_more"]) == (["4", "3"], True)
    cursor = page["response_metadata"]["next_cursor"]
    assert [message["text"] for message in history(double, limit=3, cursor=cursor)] == ["2", "1", "0"]
    assert [message["text"] for message in history(double, oldest=times[1], latest=times[3])] == ["2"]
    assert [message["text"] for message in history(double, oldest=times[1], latest=times[3], inclusive=True)] == [
        "3",
        "2",
        "1",
    ]


# --- who may ----------------------------------------------------------------------------------------------------------


def test_tokens_are_checked(double: SlackApiDouble) -> None:
    double.workspace.apps["xoxb-revoked"] = SlackApp("A2", {"chat:write"}, revoked=True)
    errors = [refusal(double, "auth.test", token)["error"] for token in ("", "xoxb-unknown", "xoxb-revoked")]
    assert errors == ["not_authed", "invalid_auth", "token_revoked"]
    assert client(double).auth_test()["bot_id"] == "B0000000001"


def test_a_missing_scope_is_named(double: SlackApiDouble) -> None:
    double.workspace.apps[BOT_TOKEN].scopes = {"chat:write"}
    answer = refusal(double, "conversations.history", channel=ALERTS)
    assert (answer["error"], answer["needed"], answer["provided"]) == (
        "missing_scope",
        "channels:history",
        "chat:write",
    )


def test_an_app_reads_and_posts_where_it_is_a_member(double: SlackApiDouble) -> None:
    workspace = double.workspace
    workspace.channels |= {"C2": SlackChannel("C2", "open"), "C3": SlackChannel("C3", "secret", private=True)}
    assert refusal(double, "chat.postMessage", channel="C2", text="x")["error"] == "not_in_channel"
    assert refusal(double, "chat.postMessage", channel="C3", text="x")["error"] == "channel_not_found"
    workspace.apps[BOT_TOKEN].scopes.add("chat:write.public")
    assert client(double).chat_postMessage(channel="C2", text="x")["ok"]
    assert refusal(double, "conversations.history", channel="C2")["error"] == "not_in_channel"
    workspace.channels[ALERTS].archived = True
    assert refusal(double, "chat.postMessage", channel=ALERTS, text="x")["error"] == "is_archived"
    assert refusal(double, "chat.postMessage", channel="C9", text="x")["error"] == "channel_not_found"


def test_unknown_methods_are_refused(double: SlackApiDouble) -> None:
    assert refusal(double, "chat.shout")["error"] == "unknown_method"


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_channel_takes_a_burst_and_then_one_post_a_second(double: SlackApiDouble) -> None:
    for _ in range(5):
        post(double)
    with pytest.raises(SlackApiError) as caught:
        post(double)
    response = caught.value.response
    assert (response.status_code, response.data["error"]) == (429, "ratelimited")
    assert int(response.headers["Retry-After"]) == 5
    assert isinstance(double.workspace.clock, Clock)
    double.workspace.clock.now += 5
    assert post(double)


def test_updates_have_a_limit_of_their_own(double: SlackApiDouble) -> None:
    ts = post(double)
    for _ in range(50):
        client(double).chat_update(channel=ALERTS, ts=ts, text="x")
    assert refusal(double, "chat.update", channel=ALERTS, ts=ts, text="x")["error"] == "ratelimited"
    assert post(double)


# --- failures that a test scripts -------------------------------------------------------------------------------------


def test_a_lost_answer_is_of_a_call_that_succeeded(double: SlackApiDouble) -> None:
    double.lose_answer()
    with pytest.raises(OSError, match="reset"):
        post(double)
    assert [root.text for root in double.workspace.roots()] == ["hello"]
    assert json.loads(double.requests[0].answer)["ok"]

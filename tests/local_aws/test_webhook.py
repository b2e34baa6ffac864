"""The failures that the channels' doubles play."""

import socket
from urllib.parse import urlsplit

import pytest

from local_aws.slack import SlackDouble


def test_a_message_whose_answer_is_withheld_has_arrived() -> None:
    """And nothing keeps the double from closing."""
    with SlackDouble() as slack:
        slack.withhold_answer()
        address = urlsplit(slack.webhook_url)
        body = b'{"text": "hello"}'
        request = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (address.path.encode(), len(body))
        with socket.create_connection((str(address.hostname), int(address.port or 0))) as client:
            client.sendall(request + body)
            (message,) = slack.wait_for(1)
            assert message.payload == {"text": "hello"}
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(1)

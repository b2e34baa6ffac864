"""The conformance kit: what every channel plugin must do, as tests that its author runs with pytest.

    from router_conformance import Answer, ChannelConformance

    class TestMattermost(ChannelConformance):
        factory = Mattermost
        accepted = (Answer(200, "ok"),)

        def options(self, server: str) -> dict[str, str]:
            return {"webhook_url": f"{server}/hooks/a-secret-of-sixteen"}

It stands outside `router`, which the function's package takes as it is: neither pytest nor a server that misbehaves
has any business in there. Needs `pytest` and `cryptography`. See docs/write-a-channel.md.
"""

import pytest

pytest.register_assert_rewrite("router_conformance.channel")

from router_conformance.channel import Answer, ChannelConformance, RenderConformance  # noqa: E402 - after the rewrite

__all__ = ["Answer", "ChannelConformance", "RenderConformance"]

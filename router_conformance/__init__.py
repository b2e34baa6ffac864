"""The conformance kit: tests of what every channel plugin must do, which the plugin's author runs with pytest.

    from router_conformance import Answer, ChannelConformance

    class TestMattermost(ChannelConformance):
        factory = Mattermost
        accepted = (Answer(200, "ok"),)

        def options(self, server: str) -> dict[str, str]:
            return {"webhook_url": f"{server}/hooks/a-secret-of-sixteen"}

It is not part of `router`, because the function's package contains all of `router` and needs neither pytest nor a
misbehaving server. Requires `pytest` and `cryptography`. See docs/write-a-channel.md.
"""

import pytest

pytest.register_assert_rewrite("router_conformance.channel")

from router_conformance.channel import Answer, ChannelConformance, RenderConformance  # noqa: E402 - after the rewrite

__all__ = ["Answer", "ChannelConformance", "RenderConformance"]

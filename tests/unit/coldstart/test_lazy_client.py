"""router.coldstart.lazy_client."""

from router.coldstart.lazy_client import LazyClient


def test_the_client_is_made_once_at_its_first_call() -> None:
    made: list[str] = []

    def make() -> str:
        made.append("made")
        return "client"

    client = LazyClient(make)
    assert made == []
    assert (client.upper(), client.title()) == ("CLIENT", "Client")
    assert made == ["made"]

"""Every error that the router raises on purpose. Each message names the fix.

RouterError
├── ConfigError         alert-router.toml or the environment is wrong; lists every problem
├── PluginError         a channel plugin cannot be registered; names its file
├── UnreadableEvent     the router cannot read the input: it goes to the dead-letter queue, with the reason
├── DeadlineExceeded    the invocation has no time left for a call, so it was not made: a later one makes it
├── HistoryError
│   ├── HistoryUnavailable   a DynamoDB request failed: retry later
│   │   ├── Contended        other writers were first every time: retry later
│   │   └── NewerItem        only a newer version can read this item: it alone is left for later
│   ├── DamagedItem          an item cannot be read: it alone is set aside
│   └── Conflict             another writer was first: read again
└── ChannelError        raised by channel plugins
    ├── TransientError       retry later
    └── PermanentError       a retry will not help
        ├── PayloadRejected  the remote rejected this payload; plain text may be accepted
        └── RemoteGone       what the channel remembers of the incident is gone; a new message may be accepted
"""

from collections.abc import Iterable, Mapping
from typing import Any


class RouterError(Exception):
    """The root of every error that the router raises on purpose."""


class ConfigError(RouterError):
    """The configuration is wrong.

    Attributes:
        problems: every problem found, each with its place and its fix.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class PluginError(RouterError):
    """A plugin cannot be used; the message names the file it came from."""


class UnreadableEvent(RouterError):
    """The input is not an event that the router reads; the message is the reason, short enough for an SQS attribute."""


class DeadlineExceeded(RouterError):
    """The invocation has no time left for a call, so the call was not made, and nothing was written to a remote."""

    def __init__(self) -> None:
        super().__init__("no time was left in this invocation; the next one tries again")


class HistoryError(RouterError):
    """The history table cannot do what was asked; the message says why."""


class HistoryUnavailable(HistoryError):
    """DynamoDB refused, throttled or did not answer. A write may or may not have happened.

    Attributes:
        answered: False if DynamoDB did not answer at all. Then another request will hardly get an answer either.
    """

    def __init__(self, message: str, *, answered: bool = True) -> None:
        self.answered = answered
        super().__init__(message)


class Contended(HistoryUnavailable):
    """Other writers changed the same item before every attempt of this one. Nothing was written."""

    def __init__(self, tries: int) -> None:
        super().__init__(f"other writers changed the same item {tries} times in a row; try again later")


class NewerItem(HistoryUnavailable):
    """An item says that this version is too old to read it, so it is left as it is.

    To a caller its subject is unavailable: what concerns it is received again, until a newer version handles it.
    """

    def __init__(self, key: tuple[str, str], needs: str) -> None:
        super().__init__(f"item {key} was written by a newer version and {needs}: deploy the newer version again")


class DamagedItem(HistoryError):
    """An item of the history table cannot be read; the message says which part, and why."""


class Conflict(HistoryError):
    """A condition failed, so nothing of the commit was written.

    Attributes:
        keys: the (pk, sk) of the items whose condition failed; empty if DynamoDB reported two colliding transactions.
        items: those items by their keys, as far as DynamoDB returned them.
    """

    def __init__(
        self, keys: Iterable[tuple[str, str]] = (), items: Mapping[tuple[str, str], dict[str, Any]] | None = None
    ) -> None:
        self.keys = frozenset(keys)
        self.items = items or {}
        super().__init__(f"another writer was faster: {sorted(self.keys) or 'transaction collision'}")


class ChannelError(RouterError):
    """A channel failed. The channel only reports it; the deliver step decides about retries.

    Attributes:
        status: the remote's HTTP status, or None if it did not answer.
        answer: the remote's own words, at most 200 characters. It is stored in history, so it must hold no secret.
    """

    def __init__(self, message: str, *, status: int | None = None, answer: str = "") -> None:
        self.status = status
        self.answer = answer[:200]
        super().__init__(message)


class TransientError(ChannelError):
    """The remote may accept the same payload later.

    Attributes:
        retry_after: seconds the remote asked us to wait, or None if it did not say.
        unsent: nothing was written to the remote, as when no connection was made. Without this and without a status,
            the remote may have accepted the payload.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        answer: str = "",
        unsent: bool = False,
    ) -> None:
        self.retry_after = retry_after
        self.unsent = unsent
        super().__init__(message, status=status, answer=answer)


class PermanentError(ChannelError):
    """The remote will never accept this notification; there is no retry."""


class PayloadRejected(PermanentError):
    """The remote rejected this payload. The deliver step sends the plugin's `render_plain` once, if it has one."""


class RemoteGone(PermanentError):
    """What `notification.remote` names is gone, or can no longer be changed.

    The deliver step renders the notification once more, with an empty `remote`, and sends that.
    """

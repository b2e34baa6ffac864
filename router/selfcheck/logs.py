"""The log: lines of Powertools' Logger, which is made when there is something to say.

Most invocations say nothing, and to import it takes 6 ms of a cold start.
"""

import logging
from typing import Any

NAME = "ecs-alert-router"
"""Of the parent of every logger of the router: their lines come out as its JSON."""


class LazyLogger(logging.Handler):
    """Listens in the Logger's place until the first line, and has it make that line and all that follow."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[str, Any] = {}
        self._made: Any = None
        self._parent = logging.getLogger(NAME)
        self._parent.setLevel(logging.DEBUG)  # what is not worth a line is for the Logger to say
        self._parent.addHandler(self)

    def append_keys(self, **keys: Any) -> None:
        """Puts these into each line from now on."""
        self._keys |= keys
        if self._made is not None:
            self._made.append_keys(**keys)

    def make(self) -> Any:
        """Powertools' Logger."""
        if self._made is None:
            from aws_lambda_powertools import Logger  # noqa: PLC0415 - see above

            self._parent.removeHandler(self)
            self._made = Logger(service=NAME)
            self._made.append_keys(**self._keys)
        return self._made

    def emit(self, record: logging.LogRecord) -> None:
        """By whoever is in this place now; logging itself goes on with who comes behind it."""
        outputs = self._parent.handlers
        place = outputs.index(self) if self in outputs else 0
        self.make()
        if self._parent.isEnabledFor(record.levelno):
            outputs[place].handle(record)

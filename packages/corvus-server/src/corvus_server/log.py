"""The event log: what happened, with a connection id, never a secret.

Two readers share it.  `EventLog.recent` is a ring buffer behind the live page and keeps every event
as data; standard error gets those from a level up, rendered by structlog.  Nothing is formatted for
a reader who is not there.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, TextIO, final

import structlog

LEVELS: Final[Mapping[str, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


@final
@dataclass(frozen=True, slots=True)
class LogEvent:
    """One thing that happened."""

    number: int
    """Grows by one; what a reader saw last, so that it can ask for the rest."""
    time: float
    """Seconds since the epoch."""
    level: str
    protocol: str
    """``smtp``, ``imap``, ``pop3``, ``delivery``, ``web``, ``auth``, ``server``."""
    name: str
    connection: str
    """The id of the connection it belongs to, or the empty text."""
    fields: Mapping[str, Any]


class EventLog:
    """Where every part of the server says what happened."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.time,
        keep: int = 5_000,
        level: str = "info",
        style: str = "text",
        stream: TextIO | None = None,
    ) -> None:
        self._now = now
        self._numbers = count(1)
        self._threshold = LEVELS[level]
        self._readers: list[Callable[[LogEvent], None]] = []
        self.recent: deque[LogEvent] = deque(maxlen=keep)
        """The newest events, oldest first."""
        self._write = _writer(style, stream if stream is not None else sys.stderr)

    def __call__(
        self, level: str, protocol: str, name: str, connection: str = "", /, **fields: Any
    ) -> None:
        """Note an event; *fields* are facts for people, never credentials or message text."""
        event = LogEvent(
            next(self._numbers), self._now(), level, protocol, name, connection, fields
        )
        self.recent.append(event)
        for reader in self._readers:
            reader(event)
        if LEVELS[level] >= self._threshold:
            self._write(event)

    def subscribe(self, reader: Callable[[LogEvent], None]) -> Callable[[], None]:
        """Call *reader* with each new event; the returned function ends that."""
        self._readers.append(reader)

        def unsubscribe() -> None:
            if reader in self._readers:
                self._readers.remove(reader)

        return unsubscribe


def _writer(style: str, stream: TextIO) -> Callable[[LogEvent], None]:
    renderer: Any
    if style == "json":
        renderer = structlog.processors.JSONRenderer(default=str)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty(), sort_keys=False)
    logger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.BoundLogger,
    )

    def write(event: LogEvent) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(event.time))
        facts = {"connection": event.connection} if event.connection else {}
        log = getattr(logger, event.level)
        log(
            f"{event.protocol} {event.name}",
            timestamp=stamp,
            level=event.level,
            **facts,
            **event.fields,
        )

    return write


def silent_log(now: Callable[[], float] = time.time) -> EventLog:
    """A log that only remembers, for tests and simulations."""
    log = EventLog(now=now)
    log._threshold = 100
    return log

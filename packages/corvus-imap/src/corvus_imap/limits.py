"""How much one peer may cost: every buffer, count and depth of the engines (RFC 2683 §3.2.1.5)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """What an engine holds and does at most; octets, unless a field says otherwise."""

    command_before_login: int = 16 * 1024
    """A whole command of somebody unknown, literals included; an OAuth token fits."""
    line: int = 64 * 1024
    """One line of a command, CRLF included.  RFC 2683 §3.2.1.5 asks for 8000; UID sets are longer."""
    literal: int = 64 * 1024
    """A literal that is not the message of an APPEND, but a mailbox name or a search text."""
    command: int = 256 * 1024
    """A whole command after login, literals included, the messages of APPEND excluded."""
    literals: int = 1000
    """How many literals one command may hold (``{0+}`` ten thousand times is an attack)."""
    nonsync_literal: int | None = None
    """The largest ``{n+}``, which is 4096 under LITERAL- (RFC 7888 §5), ``None`` under LITERAL+."""
    message: int = 50 * 1024 * 1024
    """The message of an APPEND; told as APPENDLIMIT (RFC 7889)."""
    messages: int = 1000
    """How many messages one MULTIAPPEND may hold."""
    drain: int = 1024 * 1024 * 1024
    """What is read and thrown away of one refused command before the peer is sent away."""
    drain_before_login: int = 1024 * 1024
    """The same before login."""
    tag: int = 256
    """A tag."""
    mailbox_name: int = 1024
    """A mailbox name or pattern, as it stands on the wire."""
    patterns: int = 64
    """How many patterns (or select, return and status options) one LIST may name."""
    fetch_items: int = 256
    """How many items one FETCH may name."""
    flags: int = 256
    """How many flags one STORE or APPEND may name."""
    search_depth: int = 32
    """How deep parentheses, NOT and OR of a search may nest."""
    search_keys: int = 2048
    """How many keys a search may have, those in parentheses, NOT and OR and these themselves included."""
    mistakes: int = 50
    """How many commands in a row may be BAD before ``* BYE``."""
    inflated: int = 64 * 1024
    """What COMPRESS may unpack at a time; a bomb goes off in steps of this (RFC 4978)."""
    response_line: int = 16 * 1024 * 1024
    """A client's limit for one line of a response (SEARCH of a million messages is 8 MB)."""
    response_literal: int = 64 * 1024
    """A client's limit for literals; longer ones are not buffered but come as chunks."""
    response: int = 32 * 1024 * 1024
    """A client's limit for one whole response as far as it is buffered."""
    response_depth: int = 64
    """A client's limit for how deep BODYSTRUCTURE and THREAD may nest."""
    login_timeout: float = 60.0
    """Seconds of silence allowed before login."""
    command_timeout: float = 120.0
    """Seconds of silence allowed inside a command or literal."""
    idle_timeout: float = 1860.0
    """Seconds between commands and in IDLE; it "MUST be at least 30 minutes" (RFC 9051 §5.4)."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value <= 0:
                raise ValueError(f"{field.name} must be positive")

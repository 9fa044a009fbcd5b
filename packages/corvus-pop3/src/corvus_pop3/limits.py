"""What one peer may cost us; every field is finite by default."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    Sizes in octets with CRLF, times in seconds.

    Over a size the session ends with a `RemoteProtocolError`.  The engine has no clock: the
    times come out again as ``conn.timeout``.
    """

    command_line: int = 512
    """A command line. "255 octets, including the terminating CRLF" (RFC 2449 §4), doubled for long
    pass phrases."""

    auth_line: int = 12288
    """A line of a SASL exchange, AUTH with an initial response included: RFC 5034 lifts the limit of
    255 for "the maximum encoded size" of a mechanism; 12288 is what RFC 4954 §4 asks of SMTP, and
    OAuth tokens of 2 to 4 KB are sent with AUTH by clients of today."""

    failed_logins: int = 5
    """Refused logins in one session; the reply to the last one says goodbye."""

    rejected_commands: int = 50
    """Commands in a row that were refused by the engine itself: somebody is not speaking POP3."""

    listing_slice: int = 1000
    """Lines of LIST or UIDL that are queued at once, 82 KB at most; the rest follows with
    `ListingContinued`, so that neither memory nor a neighbour suffers."""

    response_line: int = 2048
    """A status line that a client reads.  "512 octets maximum" (RFC 2449 §3), generously."""

    listing: int = 16 * 1024 * 1024
    """All lines of a CAPA, LIST, UIDL or LANG response that a client collects: 200,000 messages."""

    listing_lines: int = 500_000
    """Lines of such a response: the shortest cost a client twenty times their octets."""

    outstanding: int = 10_000
    """Commands that a client has issued and that wait for their answer."""

    idle: float = 600.0
    """Silence of the peer.  "Such a timer MUST be of at least 10 minutes' duration" (RFC 1939 §3)."""

    tls_handshake: float = 60.0
    """Time for the handshake after STLS."""

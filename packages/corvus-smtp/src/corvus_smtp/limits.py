"""What one peer may cost, what a server offers, and which mistakes are forgiven.

Three frozen values: `Limits` (numbers), `Policy` (what is offered and demanded) and `Quirks`
(deviations from the RFC, off by default, each with who needs it).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Final, final

from corvus_smtp.extensions import EXTENSIONS

__all__ = ["DEFAULT_EXTENSIONS", "BareNewlines", "Limits", "Policy", "Quirks", "Timeouts"]


class BareNewlines(enum.Enum):
    """What becomes of a CR or LF on its own in a message (:rfc:`5321#section-2.3.8`)."""

    REJECT = "550 5.6.0 after the end of the message"
    NORMALISE = "each becomes CRLF; for submission, where cron jobs and printers send bare LF"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds of silence, as :rfc:`5321#section-4.5.3.2` gives them; each is about progress."""

    greeting: float = 300.0
    """A client awaits the 220 (§4.5.3.2.1)."""
    mail: float = 300.0
    """A client awaits the reply to MAIL (§4.5.3.2.2), and to commands of no row of their own."""
    rcpt: float = 300.0
    """A client awaits the reply to RCPT (§4.5.3.2.3)."""
    data: float = 120.0
    """A client awaits the 354 (§4.5.3.2.4)."""
    block: float = 180.0
    """A client's write of a block of data should have ended (§4.5.3.2.5)."""
    end: float = 600.0
    """A client awaits the reply to the end of the message (§4.5.3.2.6)."""
    server: float = 300.0
    """A server awaits the next command, or the next octets of a message (§4.5.3.2.7)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one peer may cost us; every buffer and count has a field."""

    command_line: int = 2048
    """
    Octets of a command with CRLF.  "512 octets" (:rfc:`5321#section-4.5.3.1.4`) and what the
    extensions add: SIZE 26, BODY 17, AUTH 500, RET and ENVID 109, NOTIFY and ORCPT 533, SMTPUTF8 10.
    """
    auth_line: int = 12288
    """Octets of a line of AUTH with CRLF: 12288 must do (:rfc:`4954#section-4`)."""
    auth_challenges: int = 32
    """Challenges in one exchange; SCRAM needs 2."""
    auth_failures: int = 10
    """Refused AUTHs before 421; a lockout that outlives the connection is the caller's."""
    local_part: int = 128
    """Octets.  64 must do (:rfc:`5321#section-4.5.3.1.1`), but VERP and SRS exceed it."""
    recipients: int = 1000
    """Of one transaction; 100 must do (:rfc:`5321#section-4.5.3.1.8`).  Given as RCPTMAX."""
    transactions: int = 100_000
    """MAIL commands of one connection; given as MAILMAX."""
    message_size: int = 50 * 1024 * 1024
    """Octets of a message, given as SIZE.  Webmail providers take 25 to 50 MiB."""
    errors: int = 100
    """Commands that could not be understood, before 421.  Postfix ends a session at 20."""
    reply_line: int = 2048
    """Octets of a received line of reply; 512 must do (:rfc:`5321#section-4.5.3.1.5`)."""
    reply_lines: int = 500
    """Lines of one received reply; the longest EHLO replies seen have about 30."""
    pipelined: int = 10_000
    """Commands a client may have under way or in waiting."""
    timeouts: Timeouts = Timeouts()

    def __post_init__(self) -> None:
        if self.command_line < 512 or self.auth_line < 512 or self.reply_line < 512:
            raise ValueError("lines of 512 octets must be taken (RFC 5321 §4.5.3.1)")
        for name in ("recipients", "transactions", "message_size", "errors", "local_part"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")


#: What costs nothing and promises nothing that the caller must keep.  Left out: STARTTLS (needs a
#: certificate), BINARYMIME and REQUIRETLS (promises about delivery), EXPN (tells who reads a list).
DEFAULT_EXTENSIONS: Final = frozenset(
    {
        "8BITMIME",
        "CHUNKING",
        "DSN",
        "ENHANCEDSTATUSCODES",
        "HELP",
        "LIMITS",
        "PIPELINING",
        "SIZE",
        "SMTPUTF8",
        "VRFY",
    }
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    What a server offers and what it demands.

    >>> "CHUNKING" in Policy().without("CHUNKING").extensions
    False
    >>> sorted(Policy().offering("STARTTLS").extensions - Policy().extensions)
    ['STARTTLS']
    """

    extensions: frozenset[str] = DEFAULT_EXTENSIONS
    """Keywords of `EXTENSIONS`; the parameters and verbs of the others are refused (555, 502)."""
    auth_mechanisms: tuple[str, ...] = ()
    """SASL mechanisms, best first; AUTH is offered if there are any and the channel allows it."""
    auth_in_clear: bool = False
    """Whether AUTH is offered without TLS; else it earns ``538 5.7.11``."""
    require_tls: bool = False
    """Whether everything but EHLO, NOOP, STARTTLS and QUIT earns ``530 5.7.0`` without TLS."""
    require_auth: bool = False
    """Whether mail commands earn ``530 5.7.0`` before AUTH succeeded: a submission listener."""
    bare_newlines: BareNewlines = BareNewlines.REJECT
    """What becomes of bare CR and LF in messages."""
    greeting: str = "ESMTP"
    """Text behind the host name in the 220."""

    def __post_init__(self) -> None:
        for keyword in self.extensions:
            if keyword not in EXTENSIONS:
                raise ValueError(f"no extension is called {keyword!r}")
            for needed in EXTENSIONS[keyword].needs:
                if needed not in self.extensions:
                    raise ValueError(f"{keyword} is offered with {needed} or not at all")
        if "AUTH" in self.extensions:
            raise ValueError("AUTH is offered by giving auth_mechanisms")
        for mechanism in self.auth_mechanisms:
            if not (mechanism.isascii() and mechanism.replace("-", "").replace("_", "").isalnum()):
                raise ValueError(f"not the name of a mechanism: {mechanism!r}")
            if mechanism != mechanism.upper():
                raise ValueError(f"names of mechanisms are upper case: {mechanism!r}")
        if not self.greeting.isascii() or not self.greeting.isprintable():
            raise ValueError("the greeting is printable ASCII")

    def offering(self, *keywords: str) -> Policy:
        """Give the same policy with *keywords* offered too."""
        return replace(self, extensions=self.extensions | set(keywords))

    def without(self, *keywords: str) -> Policy:
        """Give the same policy with *keywords*, and what needs them, switched off."""
        dropped = set(keywords)
        dropped |= {row.keyword for row in EXTENSIONS.values() if dropped.intersection(row.needs)}
        return replace(self, extensions=self.extensions - dropped)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Deviations a server forgives; all off."""

    space_after_colon: bool = False
    """
    ``MAIL FROM: <a@b>``: "spaces are not permitted on either side of the colon"
    (:rfc:`5321#section-3.3`), yet appliances and hand-written scripts send one.
    """
    hello_without_name: bool = False
    """``EHLO`` with nothing behind it, as some monitoring probes do."""

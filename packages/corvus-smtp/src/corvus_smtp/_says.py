"""What a server says of its own accord: the usual replies, and the lines of EHLO."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from corvus_smtp.commands import BadAddress, BadSyntax
from corvus_smtp.events import (
    AuthResponse,
    AuthStarted,
    ConnectionOpened,
    DataRequested,
    HelloReceived,
    HelpRequested,
    MailOffered,
    MessageChunk,
    MessageReceived,
    NoopReceived,
    QuitReceived,
    RecipientOffered,
    ResetReceived,
    StartTLSRequested,
    VerifyRequested,
)
from corvus_smtp.extensions import EXTENSIONS, UnknownParameter
from corvus_smtp.limits import Limits, Policy
from corvus_smtp.replies import Reply

#: What accept() says, and what reject() says when told nothing else.
ACCEPT: Final[dict[type, Reply]] = {
    StartTLSRequested: Reply(220, "2.0.0", "Ready to start TLS"),
    AuthStarted: Reply(235, "2.7.0", "Authentication succeeded"),
    AuthResponse: Reply(235, "2.7.0", "Authentication succeeded"),
    MailOffered: Reply(250, "2.1.0", "Sender OK"),
    RecipientOffered: Reply(250, "2.1.5", "Recipient OK"),
    DataRequested: Reply(354, None, "End data with <CRLF>.<CRLF>"),
    MessageReceived: Reply(250, "2.0.0", "Message accepted"),
    VerifyRequested: Reply(252, "2.5.0", "Cannot verify, but mail is accepted and tried"),
}
REJECT: Final[Mapping[type, Reply]] = {
    ConnectionOpened: Reply(554, None, "No SMTP service here"),
    HelloReceived: Reply(550, "5.7.1", "Not welcome"),
    StartTLSRequested: Reply(454, "4.7.0", "TLS not available now"),
    AuthStarted: Reply(535, "5.7.8", "Authentication credentials invalid"),
    AuthResponse: Reply(535, "5.7.8", "Authentication credentials invalid"),
    MailOffered: Reply(550, "5.7.1", "Sender refused"),
    RecipientOffered: Reply(550, "5.1.1", "No such user here"),
    # What went wrong is nobody's business but ours, and may pass: 451 says neither.
    DataRequested: Reply(451, "4.3.0", "Local error in processing"),
    MessageReceived: Reply(451, "4.3.0", "Local error in processing"),
    VerifyRequested: Reply(550, "5.1.1", "No such user here"),
}
#: What is said without being told to.
UNASKED: Final[dict[type, Reply]] = {
    ResetReceived: Reply(250, "2.0.0", "OK"),
    NoopReceived: Reply(250, "2.0.0", "OK"),
    HelpRequested: Reply(214, "2.0.0", "See RFC 5321"),
    QuitReceived: Reply(221, "2.0.0", "Bye"),
    MessageChunk: Reply(250, "2.0.0", "Chunk taken"),
}
#: Both as octets, with and without the enhanced status: the hot path formats nothing.
WIRES: Final[Mapping[bool, Mapping[type, bytes]]] = {
    enhanced: {kind: reply.wire(enhanced=enhanced) for kind, reply in (ACCEPT | UNASKED).items()}
    for enhanced in (False, True)
}
CLOSING: Final = Reply(421, "4.3.2", "Service closing transmission channel")
BARE: Final = Reply(550, "5.6.0", "Message holds a CR or LF on its own (RFC 5321 section 2.3.8)")
TOO_LARGE: Final = Reply(552, "5.3.4", "Message too big")
NOT_ASCII: Final = Reply(553, "5.6.7", "Address is not ASCII: SMTPUTF8 was not asked for")
NOT_BASE64: Final = Reply(501, "5.5.2", "Not base64")


def mail_error(error: ValueError, address: str, syntax: str) -> Reply:
    """The reply to a MAIL or RCPT that could not be read."""
    if isinstance(error, BadSyntax):
        return Reply(501, "5.5.4", f"Syntax: {syntax}")
    if isinstance(error, BadAddress):
        return Reply(501, address, "Bad address syntax")
    # "If the server SMTP does not recognize or cannot implement one or more of the parameters
    # [...] it will return code 555" (RFC 5321 §4.1.1.11).
    if isinstance(error, UnknownParameter):
        return Reply(555, "5.5.4", "Parameter not recognised or not offered")
    return Reply(501, "5.5.4", "Bad value of a parameter")


@lru_cache(maxsize=256)
def greeting(hostname: str, text: str) -> bytes:
    """The 220, without an enhanced status (RFC 2034 §3)."""
    return Reply(220, None, f"{hostname} {text}").wire()


@lru_cache(maxsize=256)
def helo(hostname: str) -> bytes:
    """The reply to HELO: the name alone."""
    return Reply(250, None, hostname).wire()


#: (hostname, id of the policy, id of the limits, TLS) -> what `hello` gives, and the two values
#: themselves: held here they keep their ids, and hashing them at every EHLO costs more than it.
_HELLOS: Final[dict[tuple[str, int, int, bool], tuple[frozenset[str], bytes, Policy, Limits]]] = {}


def hello(hostname: str, policy: Policy, limits: Limits, tls: bool) -> tuple[frozenset[str], bytes]:
    """What EHLO offers: the keywords, and the octets of the reply."""
    key = (hostname, id(policy), id(limits), tls)
    known = _HELLOS.get(key)
    if known is None:
        lines = offered_lines(policy, limits, tls)
        wire = Reply(250, None, (hostname, *lines.values())).wire()
        if len(_HELLOS) >= 256:
            _HELLOS.clear()
        known = _HELLOS[key] = (frozenset(lines), wire, policy, limits)
    return known[0], known[1]


def offered_lines(policy: Policy, limits: Limits, tls: bool) -> Mapping[str, str]:
    """What EHLO says: keyword -> its line."""
    lines: dict[str, str] = {}
    for keyword, row in EXTENSIONS.items():
        if keyword not in policy.extensions or (row.tls is not None and row.tls != tls):
            continue
        lines[keyword] = keyword
    if "SIZE" in lines:
        lines["SIZE"] = f"SIZE {limits.message_size}"
    if "LIMITS" in lines:
        # Both have six digits at most (RFC 9422 §4.1, §4.2).
        mails, recipients = min(limits.transactions, 999_999), min(limits.recipients, 999_999)
        lines["LIMITS"] = f"LIMITS MAILMAX={mails} RCPTMAX={recipients}"
    if policy.auth_mechanisms and (tls or policy.auth_in_clear):
        lines["AUTH"] = "AUTH " + " ".join(policy.auth_mechanisms)
    return lines

"""Reports: delivery status (RFC 3464, 6533) and disposition (RFC 8098), in multipart/report (RFC 6522).

Both are built and read here.  Whoever sends one owes two things: the null reverse-path, so that
reports never answer reports, and not to send one at all where the message had none (RFC 5321 §4.5.5).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, final

from corvus_message.builder import (
    Entity,
    assemble,
    is_international,
    multipart,
    text_entity,
    with_crlf,
)
from corvus_message.dates import format_date
from corvus_message.fields import (
    AddressArgument,
    as_addresses,
    check_text,
    fold,
    format_params_field,
)
from corvus_message.header import Headers
from corvus_message.parser import parse
from corvus_message.part import Part

_STATUS: Final = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")


@final
class Action(enum.Enum):
    """What became of a recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    """Handed to a system that does not report."""
    EXPANDED = "expanded"
    """Handed to a list or several addresses."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientStatus:
    """The fate of one recipient; addresses without brackets."""

    final_recipient: str
    action: Action
    status: str
    """The enhanced status code (RFC 3463): ``5.1.1``."""
    original_recipient: str | None = None
    """The ORCPT parameter as it was given, type included: ``rfc822;bob@example.com``."""
    remote_mta: str | None = None
    diagnostic: str | None = None
    """The other server's reply, ``550 5.1.1 no such user``; several lines joined by spaces."""
    last_attempt: datetime | None = None
    will_retry_until: datetime | None = None
    """Only with `Action.DELAYED` (RFC 3464 §2.3.9)."""

    def __post_init__(self) -> None:
        if not _STATUS.fullmatch(self.status):
            raise ValueError(f"not a status code: {self.status!r}")
        for name in ("final_recipient", "original_recipient", "remote_mta", "diagnostic"):
            value = getattr(self, name)
            if value is not None:
                check_text(value, name)
        if not self.final_recipient.strip():
            raise ValueError("a status needs its recipient")


# RFC 6533 §3: QCHAR and EmbeddedUnicodeChar, "\x{HEXPOINT}".
_NOT_QCHAR: Final = re.compile(r"[^!-*,-<>-\[\]-~]")
_EMBEDDED: Final = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_XTEXT: Final = re.compile(r"\+([0-9A-F]{2})")


def typed_address(address: str, *, utf8: bool = False) -> str:
    """
    An address with its type, as Final-Recipient carries it.

    >>> typed_address("bob@example.com"), typed_address("\\u00fc@example.com")
    ('rfc822;bob@example.com', 'utf-8;\\\\x{FC}@example.com')

    Args:
        address: Without brackets.
        utf8: Whether the part is ``message/global-delivery-status``, where letters outside
            ASCII stand for themselves (:rfc:`6533#section-3`).
    """
    if address.isascii():
        return f"rfc822;{address}"
    if utf8:
        return f"utf-8;{address}"
    return "utf-8;" + _NOT_QCHAR.sub(lambda m: f"\\x{{{ord(m[0]):02X}}}", address)


def untyped_address(value: str) -> str:
    """
    The address of a typed one, the encodings of RFC 6533 and RFC 3461 undone.

    >>> untyped_address("utf-8;\\\\x{FC}@example.com"), untyped_address("rfc822; a+2Bb@x")
    ('ü@example.com', 'a+2Bb@x')
    """
    kind, semicolon, address = value.partition(";")
    if not semicolon:
        return value.strip()
    address = address.strip()
    if kind.strip().lower() == "utf-8":
        address = _EMBEDDED.sub(_code_point, address)
    return address


def _code_point(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    # Surrogates and what is beyond Unicode are left as they were written.
    return match[0] if 0xD800 <= number <= 0xDFFF or number > 0x10FFFF else chr(number)


def decode_xtext(value: str) -> str:
    """
    Undo xtext (RFC 3461 §4), in which ORCPT and ENVID travel.

    >>> decode_xtext("a+2Bb+3D@example.com")
    'a+b=@example.com'
    """
    return _XTEXT.sub(lambda match: chr(int(match[1], 16)), value)


def _group(pairs: Iterable[tuple[str, str | None]]) -> bytes:
    """One group of fields; words apart, so that long diagnostics fold."""
    return b"".join(
        fold(name, [word for word in _cut(value) if word])
        for name, value in pairs
        if value is not None and value.strip()
    )


#: Octets of a word that fits on a line.
_LONGEST_WORD: Final = 900


def _cut(value: str) -> list[str]:
    """Words, and pieces of words that fit no line.  A tab is a space: a reply may hold either."""
    pieces: list[str] = []
    for word in value.replace("\t", " ").split(" "):
        # UTF-8 makes at most four octets of a character.
        fits = len(word.encode("utf-8", "replace")) <= _LONGEST_WORD
        size = _LONGEST_WORD if fits else _LONGEST_WORD // 4
        pieces += [word[i : i + size] for i in range(0, len(word), size)]
    return pieces


def _recipient_group(status: RecipientStatus, utf8: bool) -> bytes:
    def moment(value: datetime | None) -> str | None:
        return None if value is None else format_date(value)

    diagnostic = status.diagnostic
    if diagnostic is not None and not utf8:
        # "7-bit-only message/delivery-status" (RFC 6533 §4).
        diagnostic = diagnostic.encode("ascii", "replace").decode()
    original = status.original_recipient
    if original is not None and not utf8 and not original.isascii():
        original = typed_address(untyped_address(original))
    elif original is not None and utf8 and original.lower().startswith("utf-8;"):
        original = "utf-8;" + untyped_address(original)
    # The order of RFC 3464 §2.3.
    return _group(
        [
            ("Original-Recipient", original),
            ("Final-Recipient", typed_address(status.final_recipient, utf8=utf8)),
            ("Action", status.action.value),
            ("Status", status.status),
            ("Remote-MTA", None if status.remote_mta is None else f"dns; {status.remote_mta}"),
            ("Diagnostic-Code", None if diagnostic is None else f"smtp; {diagnostic}"),
            ("Last-Attempt-Date", moment(status.last_attempt)),
            (
                "Will-Retry-Until",
                moment(status.will_retry_until) if status.action is Action.DELAYED else None,
            ),
        ]
    )


def _returned(original: bytes | None, *, full: bool, utf8: bool) -> list[Entity]:
    """The third part: the message, or its header."""
    if original is None:
        return []
    message = parse(original)
    octets = with_crlf(original if full else message.header_octets)
    if not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    utf8 = utf8 and is_international(message.header_octets)
    if full:
        kind = "message/global" if utf8 else "message/rfc822"
    else:
        kind = "message/global-headers" if utf8 else "text/rfc822-headers"
    header = format_params_field("Content-Type", kind, ())
    header += fold("Content-Transfer-Encoding", ["7bit" if octets.isascii() else "8bit"])
    return [Entity(header, octets)]


def _machine_part(kind: str, octets: bytes) -> Entity:
    header = format_params_field("Content-Type", kind, ())
    header += fold("Content-Transfer-Encoding", ["7bit" if octets.isascii() else "8bit"])
    return Entity(header, octets)


_SUBJECTS: Final = {
    Action.FAILED: "Undelivered mail returned to sender",
    Action.DELAYED: "Mail is delayed",
    Action.DELIVERED: "Mail was delivered",
    Action.RELAYED: "Mail was relayed",
    Action.EXPANDED: "Mail was forwarded to a list",
}
_SENTENCES: Final = {
    Action.FAILED: "Your message could not be delivered to the following recipients:",
    Action.DELAYED: "Your message has not been delivered yet to the following recipients."
    "\nDelivery will be tried again; you need not send it once more.",
    Action.DELIVERED: "Your message was delivered to the following recipients:",
    Action.RELAYED: "Your message was handed to a system that sends no reports, for:",
    Action.EXPANDED: "Your message was handed on to several addresses behind:",
}


def dsn_text(recipients: Sequence[RecipientStatus]) -> str:
    """The part for people, in plain English; what `dsn` uses unless it is given another."""
    lines: list[str] = []
    for action in Action:
        concerned = [r for r in recipients if r.action is action]
        if concerned:
            lines += [_SENTENCES[action], ""]
            for recipient in concerned:
                reason = recipient.diagnostic or recipient.status
                host = f" ({recipient.remote_mta} said)" if recipient.remote_mta else ""
                lines.append(f"  <{recipient.final_recipient}>: {reason}{host}")
            lines.append("")
    return "\n".join(lines)


def dsn(
    *,
    from_: AddressArgument,
    to: AddressArgument,
    reporting_mta: str,
    recipients: Sequence[RecipientStatus],
    original: bytes | None = None,
    return_full: bool = False,
    envelope_id: str | None = None,
    arrival_date: datetime | None = None,
    text: str | None = None,
    subject: str | None = None,
    date: datetime | None = None,
    message_id: str | None = None,
    boundary: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
    utf8: bool | None = None,
) -> bytes:
    """
    A delivery status notification (:rfc:`3464`), to be sent with the null reverse-path.

    >>> report = dsn(from_="MAILER-DAEMON@example.com", to="alice@example.org",
    ...     reporting_mta="mx.example.com", original=b"Subject: hi\\r\\n\\r\\nhello\\r\\n",
    ...     recipients=[RecipientStatus(final_recipient="bob@example.com", status="5.1.1",
    ...                                 action=Action.FAILED, diagnostic="550 5.1.1 unknown")])
    >>> read_dsn(parse(report)).recipients[0].headers["diagnostic-code"]
    'smtp; 550 5.1.1 unknown'

    Args:
        from_: ``MAILER-DAEMON@`` our name, usually.
        to: The reverse-path of the message; must not be empty.
        reporting_mta: Our own name.
        recipients: At least one.
        original: The message, of which the header or, with ``return_full``, all is returned
            (the RET parameter of :rfc:`3461#section-4.3`).
        return_full: Whether all of ``original`` goes back; at most for failures.
        envelope_id: The ENVID parameter, decoded.
        arrival_date: When we took the message.
        text: What people read; `dsn_text` by default.
        subject: By default in words of the gravest action.
        date: The Date field; ``None`` leaves it out.
        message_id: Without brackets; random if ``None``.
        boundary: Random if ``None``.
        headers: More fields.
        utf8: Whether the receiver reads :rfc:`6533` parts; ``None`` decides by the addresses.
    """
    if not recipients:
        raise ValueError("a report is about at least one recipient (RFC 3464 §2.1)")
    if not as_addresses(to):
        # "SMTP servers MUST NOT send notification messages about problems transporting
        # notification messages" (RFC 5321 §3.6.3).
        raise ValueError("a message without a reverse-path gets no report")
    if utf8 is None:
        utf8 = not all(r.final_recipient.isascii() for r in recipients)
    order = list(Action)
    gravest = min((r.action for r in recipients), key=order.index)
    groups = [
        _group(
            [
                ("Original-Envelope-Id", envelope_id),
                ("Reporting-MTA", f"dns; {check_text(reporting_mta, 'reporting_mta')}"),
                ("Arrival-Date", None if arrival_date is None else format_date(arrival_date)),
            ]
        ),
        *(_recipient_group(recipient, utf8) for recipient in recipients),
    ]
    # "Each group of per-recipient fields is preceded by a blank line" (RFC 3464 §2.3).
    machine = b"\r\n".join(groups)
    eight_bit = not machine.isascii()
    kind = "message/global-delivery-status" if eight_bit else "message/delivery-status"
    entity = multipart(
        "report",
        [
            text_entity(dsn_text(recipients) if text is None else text),
            _machine_part(kind, machine),
            *_returned(original, full=return_full, utf8=utf8),
        ],
        boundary=boundary,
        params=[("report-type", "delivery-status")],
    )
    return assemble(
        entity,
        from_=from_,
        to=to,
        subject=_SUBJECTS[gravest] if subject is None else subject,
        date=date,
        message_id=message_id,
        # RFC 3834 §5: "auto-replied" or "auto-generated", so that nothing answers.
        headers=[("Auto-Submitted", "auto-replied"), *headers],
    )


def mdn(
    *,
    from_: AddressArgument,
    to: AddressArgument,
    final_recipient: str,
    original: bytes | None = None,
    original_message_id: str | None = None,
    disposition: str = "displayed",
    automatic: bool = False,
    reporting_ua: str | None = None,
    text: str | None = None,
    subject: str = "Disposition notification",
    date: datetime | None = None,
    message_id: str | None = None,
    boundary: str | None = None,
) -> bytes:
    """
    A message disposition notification (:rfc:`8098`), to be sent with the null reverse-path and,
    unless ``automatic``, only after the user agreed (:rfc:`8098#section-2.1`).

    >>> m = parse(mdn(from_="bob@example.com", to="alice@example.org",
    ...               final_recipient="bob@example.com", original_message_id="1@example.org"))
    >>> m.parts[1].content_type.value, b"manual-action/MDN-sent-manually; displayed" in m.octets
    ('message/disposition-notification', True)

    Args:
        from_: Who read the message.
        to: The address of its Disposition-Notification-To field.
        final_recipient: The address it was delivered to.
        original: The message; its header goes back as the third part.
        original_message_id: Without brackets.
        disposition: ``displayed``, ``deleted``, ``dispatched`` or ``processed``.
        automatic: Whether a program decided, not a person.
        reporting_ua: ``name; product``.
        text: What people read.
        subject: The subject.
        date: The Date field; ``None`` leaves it out.
        message_id: Without brackets; random if ``None``.
        boundary: Random if ``None``.
    """
    if disposition not in ("displayed", "deleted", "dispatched", "processed"):
        raise ValueError(f"not a disposition (RFC 8098 §3.2.6.2): {disposition!r}")
    for value in (final_recipient, original_message_id or "", reporting_ua or ""):
        check_text(value, "a report")
    mode = (
        "automatic-action/MDN-sent-automatically"
        if automatic
        else "manual-action/MDN-sent-manually"
    )
    utf8 = not final_recipient.isascii()
    identifier = None if original_message_id is None else f"<{original_message_id.strip('<>')}>"
    machine = _group(
        [
            ("Reporting-UA", reporting_ua),
            ("Final-Recipient", typed_address(final_recipient, utf8=utf8)),
            ("Original-Message-ID", identifier),
            ("Disposition", f"{mode}; {disposition}"),
        ]
    )
    kind = "message/global-disposition-notification" if utf8 else "message/disposition-notification"
    words = text or f"Your message to {final_recipient} was {disposition}.\n"
    entity = multipart(
        "report",
        [
            text_entity(words),
            _machine_part(kind, machine),
            *_returned(original, full=False, utf8=utf8),
        ],
        boundary=boundary,
        params=[("report-type", "disposition-notification")],
    )
    return assemble(
        entity,
        from_=from_,
        to=to,
        subject=subject,
        date=date,
        message_id=message_id,
        in_reply_to=[original_message_id] if original_message_id else (),
        headers=[("Auto-Submitted", "auto-replied")],
    )


# --- reading ---------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class RecipientReport:
    """One per-recipient group of a delivery status, as it was received."""

    headers: Headers

    @property
    def final_recipient(self) -> str:
        """The address without its type; ``""`` if the field is missing."""
        return untyped_address(self.headers.get("final-recipient") or "")

    @property
    def original_recipient(self) -> str | None:
        """The address the sender used, without its type."""
        value = self.headers.get("original-recipient")
        return None if value is None else untyped_address(value)

    @property
    def action(self) -> Action | None:
        """What became of it; ``None`` for a word nobody knows."""
        words = (self.headers.get("action") or "").lower().split()
        return next((a for a in Action if words and a.value == words[0]), None)

    @property
    def status(self) -> str:
        """The enhanced status code; ``""`` if there is none."""
        found = _STATUS.search(self.headers.get("status") or "")
        return "" if found is None else found[0]


@final
@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What a delivery status notification says."""

    headers: Headers
    """The per-message fields."""
    recipients: tuple[RecipientReport, ...]
    returned: Part | None
    """The message that came back, or the part with its header."""


_STATUS_TYPES: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RETURNED_TYPES: Final = frozenset(
    {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"}
)
#: Groups that are read: one a recipient.
_MOST_GROUPS: Final = 10_000
_EMPTY_LINE: Final = re.compile(rb"\n(?:[ \t]*\r?\n)+")


def read_dsn(message: Part) -> DeliveryReport | None:
    """
    Read a delivery status notification; ``None`` if the message has no such part.

    Takes a ``message/delivery-status`` wherever it stands, since some senders forget the
    ``multipart/report`` around it.
    """
    machine: Part | None = None
    returned: Part | None = None
    for part in message.walk():
        if machine is None:
            if part.content_type.value in _STATUS_TYPES:
                machine = part
        elif part.content_type.value in _RETURNED_TYPES:
            returned = part.message or part
            break
    if machine is None:
        return None
    groups = _EMPTY_LINE.split(machine.decoded().strip(b"\r\n"), maxsplit=_MOST_GROUPS)
    read = [parse(group + b"\n\n").headers for group in groups if group.strip()]
    per_message = read[0] if read else parse(b"").headers
    if "final-recipient" in per_message and len(read) == 1:
        # One group for both, as some servers write it.
        return DeliveryReport(per_message, (RecipientReport(per_message),), returned)
    return DeliveryReport(per_message, tuple(RecipientReport(h) for h in read[1:]), returned)

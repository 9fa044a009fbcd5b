"""Building messages: text, HTML, inline images, attachments (RFC 5322, 2045-2049, 2387).

What is built parses back to what was asked, by this package and by others, and nothing that a
person typed becomes a header field of its own.  The system's random source makes boundaries and
identifiers; both may be given instead.  There is no clock: `build` writes the date it is told.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, final

from corvus_message import fields
from corvus_message.dates import format_date
from corvus_message.fields import AddressArgument, as_addresses, check_id, check_text
from corvus_message.params import format_params
from corvus_message.transfer import encode_base64, encode_quoted_printable

_CHARACTERS: Final = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+"
_TYPE: Final = re.compile(rf"({_CHARACTERS})/({_CHARACTERS})")
#   boundary := 0*69<bchars> bcharsnospace      RFC 2046 §5.1.1; a space is never needed
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=?]{1,60}")
_BARE_END: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_DISPOSITIONS: Final = frozenset({"attachment", "inline"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """
    A file to go with a message; its constructor refuses what could become another header field.

    >>> Attachment(content=b"%PDF", filename="offer.pdf", type="application/pdf").disposition
    'attachment'
    """

    content: bytes
    """The octets, not encoded."""
    filename: str | None = None
    """The name to suggest; any text without CR, LF and NUL."""
    type: str = "application/octet-stream"
    """The media type, without parameters."""
    params: tuple[tuple[str, str], ...] = ()
    """Parameters of the type, such as ``("charset", "utf-8")``; the name is added by itself."""
    id: str | None = None
    """Content-ID without brackets, for ``cid:`` links; makes an image part of the HTML body."""
    disposition: str = "attachment"
    """``attachment`` or ``inline``."""
    description: str | None = None
    """Content-Description."""

    def __post_init__(self) -> None:
        if not _TYPE.fullmatch(self.type):
            raise ValueError(f"not a media type: {self.type!r}")
        if self.type.lower().startswith("multipart/"):
            raise ValueError("a multipart is built, not attached")
        if self.disposition not in _DISPOSITIONS:
            raise ValueError(f"not a disposition: {self.disposition!r}")
        if self.filename is not None:
            check_text(self.filename, "filename")
        if self.description is not None:
            check_text(self.description, "description")
        if self.id is not None:
            check_id(self.id)
        format_params(self.params)


@final
@dataclass(frozen=True, slots=True)
class Entity:
    """Content header and body of one part, ready to be put together; see `leaf`, `multipart`."""

    header: bytes
    body: bytes

    @property
    def octets(self) -> bytes:
        """Header, empty line, body."""
        return self.header + b"\r\n" + self.body


def new_boundary() -> str:
    """A boundary no text contains: 128 random bits, and "=_", which neither base64 nor
    quoted-printable can produce (RFC 2045 §6.7 (end))."""
    return f"=_{secrets.token_hex(16)}"


def new_message_id(domain: str) -> str:
    """An identifier that is unique by 128 random bits, without brackets."""
    return check_id(f"{secrets.token_hex(16)}@{domain}")


def with_crlf(octets: bytes) -> bytes:
    """Line ends made CRLF; a bare CR is one too."""
    return _BARE_END.sub(b"\r\n", octets)


def is_international(octets: bytes) -> bool:
    """Whether a header is one of RFC 6532: UTF-8, and not ASCII.  Other 8-bit headers are broken."""
    if octets.isascii():
        return False
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def _longest_line(octets: bytes) -> int:
    return max(map(len, octets.split(b"\r\n")))


def text_entity(
    text: str, subtype: str = "plain", params: Sequence[tuple[str, str]] = ()
) -> Entity:
    """
    A text part in UTF-8: as it is where it is ASCII in short lines, else quoted-printable or
    base64, whichever is shorter.
    """
    octets = with_crlf(text.encode("utf-8", "replace"))
    kind = ["text/" + subtype, *format_params([("charset", "utf-8"), *params])]
    header = fields.format_params_field("Content-Type", kind[0], kind[1:])
    if octets.isascii() and b"\0" not in octets and _longest_line(octets) <= fields.LINE:
        return Entity(header + b"Content-Transfer-Encoding: 7bit\r\n", octets)
    printable = encode_quoted_printable(octets)
    # Base64: four for three, and a line end for every 76.
    if len(printable) <= len(octets) * 4 // 3 * 78 // 76 + 4:
        return Entity(header + b"Content-Transfer-Encoding: quoted-printable\r\n", printable)
    return Entity(header + b"Content-Transfer-Encoding: base64\r\n", encode_base64(octets))


def leaf(attachment: Attachment) -> Entity:
    """
    The part for an attachment.  A ``message/*`` is never encoded (:rfc:`2046#section-5.2.1`):
    its lines are ended by CRLF and it is labelled 8bit where it must be; all else is base64.
    """
    params = list(attachment.params)
    if attachment.filename is not None:
        params.append(("name", attachment.filename))
    header = fields.format_params_field("Content-Type", attachment.type, format_params(params))
    if attachment.type.lower().startswith("message/"):
        body = with_crlf(attachment.content)
        encoding = "7bit" if body.isascii() else "8bit"
        if not body.endswith(b"\r\n"):
            body += b"\r\n"
    else:
        body = encode_base64(attachment.content)
        encoding = "base64"
    header += fields.fold("Content-Transfer-Encoding", [encoding])
    named = [] if attachment.filename is None else [("filename", attachment.filename)]
    header += fields.format_params_field(
        "Content-Disposition", attachment.disposition, format_params(named)
    )
    if attachment.id is not None:
        header += fields.format_ids("Content-ID", [attachment.id])
    if attachment.description is not None:
        header += fields.format_field("Content-Description", attachment.description)
    return Entity(header, body)


def multipart(
    subtype: str,
    parts: Sequence[Entity],
    *,
    boundary: str | None = None,
    params: Sequence[tuple[str, str]] = (),
) -> Entity:
    """
    Parts in a multipart.

    Raises:
        ValueError: *boundary* is none, or one of the parts contains it.
    """
    chosen = new_boundary() if boundary is None else boundary
    if not _BOUNDARY.fullmatch(chosen):
        raise ValueError(f"not a boundary: {chosen!r}")
    delimiter = b"--" + chosen.encode()
    for part in parts:
        # Random ones never collide; one that was given, perhaps twice, can.
        if delimiter in part.header or delimiter in part.body:
            raise ValueError(f"a part contains the boundary {chosen!r}")
    shown = format_params([*params, ("boundary", chosen)])
    header = fields.format_params_field("Content-Type", f"multipart/{subtype}", shown)
    body = b"".join(delimiter + b"\r\n" + part.octets + b"\r\n" for part in parts)
    return Entity(header, body + delimiter + b"--\r\n")


def assemble(
    entity: Entity,
    *,
    from_: AddressArgument,
    to: AddressArgument = (),
    cc: AddressArgument = (),
    bcc: AddressArgument = (),
    sender: AddressArgument = (),
    reply_to: AddressArgument = (),
    subject: str | None = None,
    date: datetime | None = None,
    message_id: str | None = None,
    in_reply_to: str | Iterable[str] = (),
    references: str | Iterable[str] = (),
    headers: Iterable[tuple[str, str]] = (),
) -> bytes:
    """The message whose content is *entity*; arguments as `build` takes them."""
    authors = as_addresses(from_)
    if not authors:
        raise ValueError("a message needs an author (RFC 5322 §3.6.2)")
    if len(authors) > 1 and not sender:
        # "If the from field contains more than one mailbox ... the sender field ... MUST appear"
        # (RFC 5322 §3.6.2).
        sender = authors[0]
    out: list[bytes] = []
    if date is not None:
        out.append(fields.fold("Date", format_date(date).split(" ")))
    named: list[tuple[str, AddressArgument]] = [
        ("From", authors), ("Sender", sender), ("Reply-To", reply_to), ("To", to), ("Cc", cc),
        ("Bcc", bcc),
    ]  # fmt: skip
    for name, argument in named:
        if mailboxes := as_addresses(argument):
            out.append(fields.format_address_field(name, mailboxes))
    if subject is not None:
        out.append(fields.format_field("Subject", subject))
    identifier = new_message_id(authors[0].domain) if message_id is None else message_id
    out.append(fields.format_ids("Message-ID", [identifier]))
    for name, ids in (("In-Reply-To", in_reply_to), ("References", references)):
        if listed := [ids] if isinstance(ids, str) else list(ids):
            out.append(fields.format_ids(name, listed))
    for name, value in headers:
        if name.lower() in _OURS:
            raise ValueError(f"{name} has an argument of its own")
        out.append(fields.format_field(name, value))
    out.append(b"MIME-Version: 1.0\r\n")
    out.append(entity.header)
    out.append(b"\r\n")
    out.append(entity.body)
    return b"".join(out)


#: Fields that the arguments write: a second one would make the message mean two things.
_OURS: Final = frozenset({
    "date", "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "message-id",
    "in-reply-to", "references", "mime-version", "content-type", "content-transfer-encoding",
})  # fmt: skip


def content(
    text: str | None, html: str | None, attachments: Sequence[Attachment], boundary: str | None
) -> Entity:
    """``mixed(alternative(text, related(html, inline images)), attachments)``, as far as needed."""
    count = 0

    def wrap(subtype: str, parts: list[Entity], params: Sequence[tuple[str, str]] = ()) -> Entity:
        nonlocal count
        count += 1
        given = None if boundary is None else f"{boundary}.{count}" if count > 1 else boundary
        return multipart(subtype, parts, boundary=given, params=params)

    inline = [a for a in attachments if html is not None and a.id and a.disposition == "inline"]
    others = [a for a in attachments if a not in inline]
    bodies: list[Entity] = []
    if text is not None or html is None:
        bodies.append(text_entity(text or ""))
    if html is not None:
        page = text_entity(html, "html")
        if inline:
            # "the type parameter must be specified" (RFC 2387 §3.1).
            parts = [page, *(leaf(a) for a in inline)]
            page = wrap("related", parts, [("type", "text/html")])
        bodies.append(page)
    body = bodies[0] if len(bodies) == 1 else wrap("alternative", bodies)
    return wrap("mixed", [body, *(leaf(a) for a in others)]) if others else body


def build(
    *,
    from_: AddressArgument,
    to: AddressArgument = (),
    cc: AddressArgument = (),
    bcc: AddressArgument = (),
    sender: AddressArgument = (),
    reply_to: AddressArgument = (),
    subject: str | None = None,
    text: str | None = None,
    html: str | None = None,
    attachments: Sequence[Attachment] = (),
    date: datetime | None = None,
    message_id: str | None = None,
    in_reply_to: str | Iterable[str] = (),
    references: str | Iterable[str] = (),
    headers: Iterable[tuple[str, str]] = (),
    boundary: str | None = None,
) -> bytes:
    """
    Build a message; lines end in CRLF, none is longer than 998 octets but those of a message that
    is attached, whose lines are not ours to break.

    >>> raw = build(from_="Zo\\u00eb <zoe@example.com>", to=["bob@example.com"],
    ...             subject="Caf\\u00e9", text="Hello!\\n", message_id="1@example.com")
    >>> print(raw.decode().replace("\\r\\n", "\\n"))
    From: =?utf-8?q?Zo=C3=AB?= <zoe@example.com>
    To: bob@example.com
    Subject: =?utf-8?q?Caf=C3=A9?=
    Message-ID: <1@example.com>
    MIME-Version: 1.0
    Content-Type: text/plain; charset=utf-8
    Content-Transfer-Encoding: 7bit
    <BLANKLINE>
    Hello!
    <BLANKLINE>

    Args:
        from_: The author, or several; then ``sender`` is the first one unless it is given.
            Addresses are text as in a field, `Address` values, or a sequence of both.
        to: Recipients.  An address outside ASCII makes the header UTF-8: the message then
            needs SMTPUTF8 (:rfc:`6532`).
        cc: Copies.
        bcc: Blind copies; written as a field, so whoever sends the message removes it.
        sender: Who sent it, if not the author.
        reply_to: Where answers should go.
        subject: Any text without CR, LF and NUL; ``None`` leaves the field out.
        text: The plain text; lines ended any way.
        html: The same as HTML, preferred by readers that can.
        attachments: Inline ones with an ``id`` go with the HTML, the others behind the body.
        date: The Date field; ``None`` leaves it out, and somebody must add it before the
            message is sent (:rfc:`5322#section-3.6.1`).
        message_id: Without brackets; ``None`` makes a random one in the author's domain.
        in_reply_to: What it answers; see `reply_headers`.
        references: The thread, oldest first.
        headers: More fields, unstructured, in order.
        boundary: Of the first multipart (others get a suffix); ``None`` makes random ones.

    Raises:
        ValueError: Something cannot stand where it was asked to: an address without a domain,
            CR, LF or NUL in a field, a boundary that occurs in a message attached.
    """
    return assemble(
        content(text, html, attachments, boundary),
        from_=from_, to=to, cc=cc, bcc=bcc, sender=sender, reply_to=reply_to, subject=subject,
        date=date, message_id=message_id, in_reply_to=in_reply_to, references=references,
        headers=headers,
    )  # fmt: skip

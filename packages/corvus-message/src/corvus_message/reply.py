"""Answering and forwarding (RFC 5322 §3.6.4, §3.6.6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, final

from corvus_message.address import Address, addresses, is_addr_spec
from corvus_message.builder import Attachment, is_international
from corvus_message.fields import is_id
from corvus_message.filenames import safe_filename
from corvus_message.part import Part
from corvus_message.threads import message_id, message_ids, references, split_subject
from corvus_message.words import encode_words

#: Identifiers that a References field is cut to: the first one and the newest.  Longer threads
#: make fields of more than 998 octets a line long before they make sense.
_MOST_REFERENCES: Final = 40


#: Octets of an identifier that is carried on: it has to fit on a line.
_LONGEST_IDENTIFIER: Final = 900


@final
@dataclass(frozen=True, slots=True)
class ReplyHeaders:
    """What an answer says of what it answers; the arguments of `build` bear the same names."""

    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]


def _mailboxes(part: Part, name: bytes) -> list[Address]:
    # Only the first field counts: a second From or To is not what a reader was shown.
    value = part.field(name)
    found = addresses(value) if value else []
    return [a for a in found if is_addr_spec(a.local, a.domain)]


def _distinct(found: Iterable[Address], seen: set[str]) -> tuple[Address, ...]:
    kept: list[Address] = []
    for entry in found:
        key = entry.address.lower()
        if key not in seen:
            seen.add(key)
            kept.append(_answerable(entry))
    return tuple(kept)


def _answerable(entry: Address) -> Address:
    """*entry* with a name that `build` takes: an encoded word may hide line ends in it."""
    name = _one_line(entry.name)
    return entry if name == entry.name else replace(entry, phrase=encode_words(name).encode())


def reply_headers(part: Part, *, own: Iterable[str] = (), everybody: bool = False) -> ReplyHeaders:
    """
    Recipients, subject and identifiers of an answer to *part*.

    Args:
        part: The message to answer.
        own: The addresses of whoever answers, which are left out; if that leaves nobody, they
            wrote to themselves and the answer goes to the recipients of then.
        everybody: Whether the other recipients get copies.

    >>> from corvus_message import parse
    >>> r = reply_headers(parse(b"From: a@x.example\\nTo: b@x.example, c@x.example\\n"
    ...     b"Subject: hi\\nMessage-ID: <2@x>\\nReferences: <1@x>\\n\\n"), own=["b@x.example"],
    ...     everybody=True)
    >>> [a.address for a in r.to], [a.address for a in r.cc], r.subject, r.references
    (['a@x.example'], ['c@x.example'], 'Re: hi', ('1@x', '2@x'))
    """
    mine = {address.lower() for address in own}
    # "When the "Reply-To:" field is present, it indicates the address(es) to which the author of
    # the message suggests that replies be sent" (RFC 5322 §3.6.2).
    authors = _mailboxes(part, b"reply-to") or _mailboxes(part, b"from")
    others = _mailboxes(part, b"to")
    if authors and all(a.address.lower() in mine for a in authors):
        authors = others or authors
        mine -= {a.address.lower() for a in authors}
    seen = set(mine)
    to = _distinct(authors, seen)
    cc = _distinct([*others, *_mailboxes(part, b"cc")], seen) if everybody else ()
    identifier = message_id(part)
    # "The "References:" field will contain the contents of the parent's "References:" field (if
    # any) followed by the contents of the parent's "Message-ID:" field"; where there is no
    # References, In-Reply-To stands in, "containing a single message identifier" (RFC 5322 §3.6.4).
    chain = references(part)
    if part.field(b"references") is None:
        chain = message_ids(part.field(b"in-reply-to") or b"")
        chain = chain if len(chain) == 1 else []
    if identifier is not None:
        chain = [*(known for known in chain if known != identifier), identifier]
    if len(chain) > _MOST_REFERENCES:
        chain = [chain[0], *chain[1 - _MOST_REFERENCES :]]
    chain = [known for known in chain if _writable(known)]
    return ReplyHeaders(
        to,
        cc,
        _prefixed("Re: ", part.subject),
        () if identifier is None or identifier not in chain else (identifier,),
        tuple(chain),
    )


def _writable(identifier: str) -> bool:
    """
    Whether `build` can write it, and it is the same when it is read.

    ``<"a<b"@x>`` is legal, and no identifier once its quotes are gone; who sent it must not keep
    anybody from answering.
    """
    if len(identifier.encode("utf-8", "replace")) > _LONGEST_IDENTIFIER:
        return False
    if not (is_id(identifier) and identifier.isprintable()):
        return False
    return message_ids(f"<{identifier}>") == [identifier]


def _one_line(text: str) -> str:
    return " ".join(text.replace("\0", " ").split())


def _prefixed(prefix: str, subject: str) -> str:
    subject = _one_line(subject)
    if subject[: len(prefix)].lower() == prefix.lower():
        return subject
    return prefix + subject


def quote(text: str, *, attribution: str | None = None) -> str:
    """
    *text* as an answer quotes it.

    >>> quote("a\\n> b\\n", attribution="Bob wrote:")
    'Bob wrote:\\n> a\\n>> b\\n'
    """
    lines = text.removesuffix("\n").split("\n")
    quoted = [">" + line if line.startswith(">") else "> " + line for line in lines]
    head = [] if attribution is None else [attribution]
    return "\n".join([*head, *quoted]) + "\n"


def forward_subject(part: Part) -> str:
    """``Fwd:`` and the subject, whose own leaders stay."""
    return _prefixed("Fwd: ", part.subject)


def as_attachment(part: Part) -> Attachment:
    """
    A message as a ``message/rfc822`` attachment, to be given to `build`: forwarding that keeps
    every field of it.

    >>> from corvus_message import build, parse
    >>> inner = parse(b"Subject: hi\\r\\n\\r\\nhello\\r\\n")
    >>> m = parse(build(from_="a@x.example", to="b@x.example", subject=forward_subject(inner),
    ...                 text="see below", attachments=[as_attachment(inner)]))
    >>> m.subject, m.parts[1].message.subject
    ('Fwd: hi', 'hi')
    """
    name = split_subject(_one_line(part.subject))[0]
    kind = "message/global" if is_international(part.header_octets) else "message/rfc822"
    return Attachment(
        content=part.octets,
        filename=safe_filename(name[:80] or None, default="message") + ".eml",
        type=kind,
    )

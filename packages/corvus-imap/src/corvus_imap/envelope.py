r"""ENVELOPE and PREVIEW: what a list of messages shows (RFC 9051 §7.5.2, RFC 8970).

Octets in, octets out: what stands in the header goes into the answer, encoded words still encoded,
because a client decodes them.  Computed once, at delivery, and stored as it is sent.

Where the header is none, we say so as the big servers do: an address without a domain gets the word
``MISSING_DOMAIN`` for a host, because NIL would make it the beginning of a group.
"""

from __future__ import annotations

from typing import Final

from corvus_imap.types.atoms import string
from corvus_message import Address, Part, address_list, parse

__all__ = ["Message", "envelope", "preview"]

#: A message, or one that was parsed before: what is made of it several times is parsed once.
Message = bytes | bytearray | memoryview | Part

_DESTINATIONS: Final = frozenset({b"to", b"cc", b"bcc"})
_END_OF_GROUP: Final = b"(NIL NIL NIL NIL)"


def parsed(message: Message) -> Part:
    """*message*, parsed if it is not."""
    return message if isinstance(message, Part) else parse(message)


def text(octets: bytes | None, utf8: bool) -> bytes:
    """*octets* as an nstring.  "NUL ... MUST NOT be used" (RFC 9051 §4.3.1): left out."""
    if octets is None:
        return b"NIL"
    if b"\0" in octets:
        octets = octets.replace(b"\0", b"")
    return string(octets, utf8=utf8)


def envelope(message: Message, *, utf8: bool = False) -> bytes:
    r"""
    Return the envelope of *message*, as it stands behind ``ENVELOPE`` in a FETCH response.

    Args:
        message: The message, or its `corvus_message.Part`.
        utf8: The client has enabled IMAP4rev2 or UTF8=ACCEPT: raw UTF-8 of the header goes into
            quoted strings; before that it goes into literals.

    >>> print(envelope(b"Subject: lunch?\r\nTo: Ann <ann@b.example>\r\n\r\n").decode())
    (NIL "lunch?" NIL NIL NIL (("Ann" NIL "ann" "b.example")) NIL NIL NIL NIL)
    """
    part = parsed(message)
    field = part.field
    # "If the Sender or Reply-To header fields are absent in the [RFC5322] header, or are present
    # but empty, the server sets the corresponding member of the envelope to be the same value as
    # the from member" (RFC 9051 §7.5.2).
    from_ = _addresses(part, b"from", utf8)
    sender = _addresses(part, b"sender", utf8)
    reply_to = _addresses(part, b"reply-to", utf8)
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        text(field(b"date"), utf8),
        text(field(b"subject"), utf8),
        from_,
        from_ if sender == b"NIL" else sender,
        from_ if reply_to == b"NIL" else reply_to,
        _addresses(part, b"to", utf8),
        _addresses(part, b"cc", utf8),
        _addresses(part, b"bcc", utf8),
        text(field(b"in-reply-to"), utf8),
        text(field(b"message-id"), utf8),
    )


def preview(message: Message, *, utf8: bool = False) -> bytes:
    r"""
    Return the first words of *message*, as they stand behind ``PREVIEW`` in a FETCH response.

    At most 200 characters in UTF-8 (:rfc:`8970#section-3.3`).  Where there is nothing to show "the
    server MUST return a zero-length string"; NIL, which only a LAZY request may get, is the
    caller's to say.

    >>> preview(b"Content-Type: text/html\r\n\r\n<p>Preview <b>text</b>!\r\n")
    b'"Preview text!"'
    """
    return text(parsed(message).preview().encode("utf-8", "replace"), utf8)


def _addresses(part: Part, name: bytes, utf8: bool) -> bytes:
    """
    The field *name* as a list of address structures.

    "If the From, To, Cc, and Bcc header fields are absent in the [RFC5322] header, or are present
    but empty, the corresponding member of the envelope is NIL" (:rfc:`9051#section-7.5.2`).
    """
    values = part.fields(name)
    if name in _DESTINATIONS:
        # "When multiple occurrences of destination address fields occur in a message, they SHOULD
        # be treated as if the address list in the first occurrence of the field is combined with
        # the address lists of the subsequent occurrences" (RFC 5322 §4.5.3).  Of the fields that
        # say who wrote the message the first one counts.
        value = b",".join([value for value in values if value])
    else:
        value = values[0] if values else b""
    if not value:
        return b"NIL"
    out: list[bytes] = []
    for entry in address_list(value):
        if isinstance(entry, Address):
            out.append(_address(entry, utf8))
            continue
        # "[RFC5322] group syntax is indicated by a special form of address structure in which the
        # hostname field is NIL.  If the mailbox name field is also NIL, this is an end-of-group
        # marker" (RFC 9051 §7.5.2).
        out.append(b"(NIL NIL %b NIL)" % text(entry.phrase, utf8))
        out.extend([_address(member, utf8) for member in entry.members])
        out.append(_END_OF_GROUP)
    return b"(%b)" % b"".join(out) if out else b"NIL"


def _address(address: Address, utf8: bool) -> bytes:
    phrase, local = address.phrase, address.local_octets
    if not phrase and not address.domain_octets and b" " in local:
        # Words and no "@": a name that lost its address, not a mailbox.
        phrase, local = local, b""
    return b"(%b %b %b %b)" % (
        text(phrase or None, utf8),
        text(address.route or None, utf8),
        text(local or b"MISSING_MAILBOX", utf8),
        text(address.domain_octets or b"MISSING_DOMAIN", utf8),
    )

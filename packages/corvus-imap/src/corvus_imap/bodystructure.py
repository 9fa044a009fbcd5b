r"""BODYSTRUCTURE and BODY: the tree of parts as parentheses (RFC 9051 §7.5.2).

Three promises that clients count on and peers break.  Every part that is shown can be fetched under
the number that its place gives it.  A ``message/rfc822`` is only called so if the message inside
could be read.  And a multipart always holds a part (``body-type-mpart = 1*body``): one that could
not be divided shows its whole content as one ``text/plain``.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote_from_bytes

from corvus_imap.envelope import Message, envelope, parsed, text
from corvus_message import Part

__all__ = ["bodystructure"]

RawParams = tuple[tuple[bytes, bytes], ...]

#: "The default character set, which must be assumed in the absence of a charset parameter, is
#: US-ASCII" (RFC 2046 §4.1.2); spelt out, as in the examples of RFC 9051 §7.5.2.
_US_ASCII: Final[RawParams] = ((b"charset", b"us-ascii"),)

#   attribute "*" section ["*"]                                             RFC 2231 §7
_CONTINUED: Final = re.compile(rb"([^*]+)\*(0|[1-9][0-9]{0,3})(\*)?")


def bodystructure(message: Message, *, utf8: bool = False, extended: bool = True) -> bytes:
    r"""
    Return the body structure of *message*, as it stands behind ``BODYSTRUCTURE`` in a FETCH
    response.

    Args:
        message: The message, or its `corvus_message.Part`.
        utf8: As for `corvus_imap.envelope`. Also: ``message/global`` is opened like
            ``message/rfc822`` (:rfc:`9051#section-9`), which a client of RFC 3501 would not
            understand.
        extended: ``False`` gives what stands behind ``BODY``: no extension data.

    >>> bodystructure(b"Content-Type: text/html\r\n\r\n<p>\r\n")
    b'("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 5 1 NIL NIL NIL NIL)'
    """
    out: list[bytes] = []
    # What is still to be written, last first: parts to open, and octets that close others.  No
    # recursion, whatever the depth to which the message was parsed.
    todo: list[Part | bytes] = [parsed(message)]
    while todo:
        item = todo.pop()
        if isinstance(item, bytes):
            out.append(item)
        elif item.is_multipart:
            out.append(b"(")
            todo.append(_multipart_tail(item, utf8, extended))
            if item.children:
                todo.extend(reversed(item.children))
            else:
                todo.append(_undivided(item, extended))
        elif opens(item, utf8):
            # "A body type of type MESSAGE and subtype RFC822 contains, immediately after the basic
            # fields, the envelope structure, body structure, and size in text lines of the
            # encapsulated message."
            inside = item.children[0]
            out.append(b"(%b %b " % (_basic(item, utf8), envelope(inside, utf8=utf8)))
            todo.append(b" %d%b)" % (item.lines, _extension(item, utf8) if extended else b""))
            todo.append(inside)
        else:
            lines = b" %d" % item.lines if item.type == "text" else b""
            tail = _extension(item, utf8) if extended else b""
            out.append(b"(%b%b%b)" % (_basic(item, utf8), lines, tail))
    return b"".join(out)


def opens(part: Part, utf8: bool) -> bool:
    """Whether *part* is shown as a message with an envelope and a body of its own."""
    return part.message is not None and (part.subtype == "rfc822" or utf8)


def _basic(part: Part, utf8: bool) -> bytes:
    """``body-fields`` with the type in front: type, subtype, parameters, id, description, encoding,
    size."""
    media, subtype, params = part.type, part.subtype, part.raw_params
    if media == "text":
        if not any(name.partition(b"*")[0].lower() == b"charset" for name, _ in params):
            params += _US_ASCII
    elif part.content_type.value in ("message/rfc822", "message/global") and part.message is None:
        # Too deep, or encoded against RFC 2046 §5.2.1: no envelope can be told, so it is none.
        media, subtype = "application", "octet-stream"
    return b"%b %b %b %b %b %b %d" % (
        text(media.encode("latin-1"), utf8),
        text(subtype.encode("latin-1"), utf8),
        _params(params, utf8),
        text(part.id, utf8),
        text(part.description, utf8),
        text(part.encoding.encode("latin-1"), utf8),
        part.size,
    )


def _undivided(part: Part, extended: bool) -> bytes:
    """The content of a multipart that has no parts, as the one part it is shown to have."""
    tail = b" NIL NIL NIL NIL" if extended else b""
    return b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" %d %d%b)' % (
        part.size,
        part.lines,
        tail,
    )


def _multipart_tail(part: Part, utf8: bool, extended: bool) -> bytes:
    subtype = text(part.subtype.encode("latin-1"), utf8)
    if not extended:
        return b" %b)" % subtype
    # "body parameter parenthesized list", then what all parts have in common.
    return b" %b %b %b)" % (subtype, _params(part.raw_params, utf8), _common(part, utf8))


def _extension(part: Part, utf8: bool) -> bytes:
    """``body-ext-1part``: "body MD5", then what all parts have in common."""
    return b" %b %b" % (text(part.md5, utf8), _common(part, utf8))


def _common(part: Part, utf8: bool) -> bytes:
    """Disposition, language, location: the end of both kinds of extension data."""
    disposition = part.disposition
    told = b"NIL"
    if disposition is not None and disposition.value:
        told = b"(%b %b)" % (
            text(disposition.value.encode("latin-1"), utf8),
            _params(disposition.raw_params, utf8),
        )
    language = part.language
    tags = b"(%b)" % b" ".join([text(tag, utf8) for tag in language]) if language else b"NIL"
    return b"%b %b %b" % (told, tags, text(part.location, utf8))


def _params(params: RawParams, utf8: bool) -> bytes:
    """ "A parenthesized list of attribute/value pairs", or NIL."""
    if not params:
        return b"NIL"
    if any(b"*" in name for name, _ in params):
        params = _joined(params)
    return b"(%b)" % b" ".join(
        [b"%b %b" % (text(name, utf8), text(value, utf8)) for name, value in params]
    )


def _joined(params: RawParams) -> RawParams:
    """
    *params* with the continuations of RFC 2231 put together.

    "if the message contains parameters "baz*0", "baz*1", and "baz*2", the server should decode them
    per [RFC2231], concatenate, and return the resulting value as a parameter "baz"".  What is
    encoded comes as ``foo*`` in the form that RFC 2231 §4 gives to a parameter of that name,
    ``charset'language'%41``: the one form of it that clients of RFC 3501 and of RFC 9051 alike can
    read.
    """
    sections: dict[bytes, dict[int, tuple[bool, bytes]]] = {}
    for name, value in params:
        if match := _CONTINUED.fullmatch(name):
            numbered = sections.setdefault(match[1].lower(), {})
            numbered.setdefault(int(match[2]), (match[3] is not None, value))
    out: list[tuple[bytes, bytes]] = []
    for name, value in params:
        match = _CONTINUED.fullmatch(name)
        numbered = sections.get(match[1].lower(), {}) if match else {}
        if match is None or 0 not in numbered:
            out.append((name, value))
            continue
        if match[2] != b"0":
            continue
        pieces: list[tuple[bool, bytes]] = []
        while len(pieces) in numbered:
            pieces.append(numbered[len(pieces)])
        if not any(encoded for encoded, _ in pieces):
            out.append((match[1], b"".join([piece for _, piece in pieces])))
            continue
        whole = b"".join(
            [p if encoded else quote_from_bytes(p, safe="").encode() for encoded, p in pieces]
        )
        if not pieces[0][0]:
            # "charset'language'" stands in the first section, if that is encoded at all.
            whole = b"''" + whole
        out.append((match[1] + b"*", whole))
    return tuple(out)

r"""``BODY[section]<partial>`` and ``BINARY[part]``: octets by part numbers (RFC 9051 §6.4.5.1).

The numbering, in the words of the RFC and then in ours.  "Every message has at least one part
number": part 1 of a message that is no multipart is its body.  "A part of type MESSAGE/RFC822 ...
also has nested part numbers, referring to parts of the MESSAGE part's body": so below such a part
counts the message inside, whose own multipart takes no number.  ``HEADER`` and ``TEXT`` are of a
message (the outermost one, or the one inside of a message part), ``MIME`` is of a part.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from corvus_imap.envelope import Message, parsed
from corvus_imap.outline import ENCODINGS, Outline
from corvus_imap.types.fetch import Partial, Section, SectionText
from corvus_message import Decoder, Part, transfer_decoder

__all__ = [
    "UnknownEncoding",
    "binary",
    "binary_chunks",
    "binary_size",
    "decode_chunks",
    "literal",
    "section",
    "section_octets",
    "section_range",
]

_BARE_LF: Final = re.compile(rb"(?<!\r)\n")


class UnknownEncoding(ValueError):
    """
    A part whose transfer encoding cannot be undone; answer BINARY with ``NO [UNKNOWN-CTE]``.

    "If the server does not know how to decode the section's Content-Transfer-Encoding, it MUST fail
    the request and issue a "NO" response that contains the "UNKNOWN-CTE" response code" (RFC 9051
    §7.5.2).
    """


class _Role(enum.Enum):
    """As what a node of the tree was reached: it decides how the numbers below it count."""

    MESSAGE = enum.auto()  # the outermost message, or the one inside a message part
    PART = enum.auto()
    OPAQUE = enum.auto()  # the content of a multipart that could not be divided


#: A node of either tree: they have the same names for what numbers are about.
_Node = TypeVar("_Node", Part, Outline)


def _find(root: _Node, path: tuple[int, ...]) -> tuple[_Node, _Role] | None:
    part, role = root, _Role.MESSAGE
    for number in path:
        if role is _Role.PART and part.message is not None:
            part, role = part.message, _Role.MESSAGE
        if role is not _Role.OPAQUE and part.is_multipart:
            if number <= len(part.children):
                part, role = part.children[number - 1], _Role.PART
            elif number == 1:
                role = _Role.OPAQUE
            else:
                return None
        elif role is _Role.MESSAGE and number == 1:
            role = _Role.PART
        else:
            return None
    return part, role


def section_range(message: Message | Outline, spec: Section) -> range | None:
    """
    Find the octets that *spec* means in the buffer of *message*, for who sends them from a file.

    Not for HEADER.FIELDS, which is no contiguous stretch: read that HEADER, and ask
    `section_octets` for the fields of what was read.

    Args:
        message: The message, its `corvus_message.Part`, or the `Outline` that was stored of it.
        spec: What stands between the brackets.

    Returns:
        First octet and the one behind the last, or ``None`` if there is no such section; say
        ``NIL``.

    Raises:
        ValueError: HEADER.FIELDS or HEADER.FIELDS.NOT.
    """
    if isinstance(message, Outline):
        return _range(_find(message, spec.part), spec)
    return _range(_find(parsed(message), spec.part), spec)


def _range(found: tuple[_Node, _Role] | None, spec: Section) -> range | None:
    if found is None:
        return None
    part, role = found
    if spec.text is None:
        return range(part.start if role is _Role.MESSAGE else part.body_start, part.end)
    if spec.text is SectionText.MIME:
        # "The MIME part specifier refers to the [MIME-IMB] header for this part" (RFC 9051
        # §6.4.5.1); what stands for the content of an undivided multipart has none.
        return range(part.start, part.start if role is _Role.OPAQUE else part.body_start)
    inside = _message_of(part, role)
    if inside is None:
        return None
    if spec.text is SectionText.HEADER:
        return range(inside.start, inside.body_start)
    if spec.text is SectionText.TEXT:
        return range(inside.body_start, inside.end)
    raise ValueError("HEADER.FIELDS is no contiguous stretch of the message")


def _message_of(part: _Node, role: _Role) -> _Node | None:
    """
    The message whose HEADER and TEXT are meant.

    They "can be the sole part specifier or can be prefixed by one or more numeric part specifiers,
    provided that the numeric part specifier refers to a part of type MESSAGE/RFC822 or
    MESSAGE/GLOBAL" (:rfc:`9051#section-6.4.5.1`).
    """
    if role is _Role.MESSAGE:
        return part
    return part.message if role is _Role.PART else None


def section_octets(message: Message, spec: Section) -> bytes | None:
    r"""
    Return the octets that *spec* means, ``None`` if *message* has no such section.

    >>> m = b"To: a@b\r\nCc: c@d\r\n\r\nhi\r\n"
    >>> section_octets(m, Section.parse(b"HEADER.FIELDS (cc)")), section_octets(m, Section((2,)))
    (b'Cc: c@d\r\n\r\n', None)
    """
    part = parsed(message)
    if spec.fields:
        found = _find(part, spec.part)
        inside = None if found is None else _message_of(*found)
        if inside is None:
            return None
        return _subset(inside, spec.fields, spec.text is SectionText.HEADER_FIELDS)
    where = section_range(part, spec)
    return None if where is None else part.buffer[where.start : where.stop]


def _subset(part: Part, names: tuple[str, ...], wanted: bool) -> bytes:
    """The fields of *names*, or all others: "ASCII-range case insensitive but ... otherwise
    exact"."""
    chosen = {name.encode("ascii").lower() for name in names}
    fields = part.headers.fields
    kept = [field.octets for field in fields if (field.name.lower() in chosen) is wanted]
    # Behind the last field: what a limit of the parser left unread, and the empty line.
    rest = part.buffer[fields[-1].end if fields else part.start : part.body_start]
    if not wanted:
        # Nothing of the header is in neither subset, not even the "From " line of an mbox.
        kept.insert(0, part.buffer[part.start : fields[0].start if fields else part.start])
        kept.append(rest)
    # "Subsetting does not exclude the [RFC5322] delimiting blank line between the header and the
    # body; the blank line is included in all header fetches, except in the case of a message that
    # has no body and no blank line" (RFC 9051 §6.4.5.1).
    if wanted or not rest:
        if rest.endswith(b"\n"):
            kept.append(b"\n" if rest == b"\n" or rest.endswith(b"\n\n") else b"\r\n")
        elif part.body_start < part.end:
            kept.append(b"\r\n")
    return b"".join(kept)


def section(message: Message, spec: bytes | Section, partial: Partial | None = None) -> bytes:
    r"""
    Return the section *spec* of *message*, as it stands behind ``BODY[spec]`` in a FETCH response.

    Args:
        message: The message, or its `corvus_message.Part`.
        spec: What stands between the brackets.
        partial: "If the starting octet is beyond the end of the text, an empty string is returned"
            (:rfc:`9051#section-6.4.5`).

    Returns:
        A literal; ``NIL`` if *message* has no such section.

    >>> section(b"To: a@b\r\n\r\nhello\r\n", b"TEXT", Partial(1, 3))
    b'{3}\r\nell'

    Raises:
        ValueError: *spec* is no section.
    """
    octets = section_octets(message, Section.parse(spec) if isinstance(spec, bytes) else spec)
    return b"NIL" if octets is None else literal(_cut(octets, partial))


def _cut(octets: bytes, partial: Partial | None) -> bytes:
    if partial is None:
        return octets
    return octets[partial.offset : partial.offset + partial.length]


def literal(octets: bytes) -> bytes:
    """*octets* as a literal, whatever they are; one with a NUL was no text when it came in."""
    return b"{%d}\r\n%b" % (len(octets), octets)


# BINARY (RFC 3516, RFC 9051 §6.4.5).


def binary_chunks(message: Message, path: tuple[int, ...]) -> Iterator[bytes] | None:
    """
    Decode the part *path*, a piece at a time, for who sends it without holding it.

    "servers MUST ensure that textual line-oriented sections are always transmitted using the IMAP
    CRLF line termination syntax" (:rfc:`9051#section-7.5.2`): of ``text/*`` a bare LF becomes
    CRLF.  ``()`` is the message itself, which has no transfer encoding.

    Returns:
        The pieces; ``None`` if there is no such part.  "Note that this data item can only be
        requested for leaf body parts" (:rfc:`9051#section-6.4.5`): of others the content comes as
        it stands, since composite types have no encoding of their own (:rfc:`2045#section-6.4`).

    Raises:
        UnknownEncoding: The encoding cannot be undone.
    """
    found = _find(parsed(message), path)
    if found is None:
        return None
    part, role = found
    if role is _Role.MESSAGE:
        return iter((part.octets,))
    if role is _Role.OPAQUE:
        return iter((part.content(),))
    if part.is_multipart or part.message is not None:
        return iter((part.content(),))
    if part.encoding not in ENCODINGS:
        raise UnknownEncoding("this transfer encoding is not known here")
    return _crlf(part.chunks()) if part.type == "text" else part.chunks()


def decode_chunks(
    outline: Outline, path: tuple[int, ...], pieces: Iterable[bytes]
) -> Iterator[bytes]:
    """
    Decode the octets of part *path* as they are read from a file; otherwise `binary_chunks`.

    Args:
        outline: What was stored of the message.
        path: A part that is there.
        pieces: The octets of `section_range`, in order.

    Raises:
        UnknownEncoding: The encoding cannot be undone; before the first piece is taken.
    """
    found = _find(outline, path)
    if found is None or found[1] is not _Role.PART or found[0].children or found[0].is_multipart:
        return iter(pieces)
    part = found[0]
    if part.encoding not in ENCODINGS:
        raise UnknownEncoding("this transfer encoding is not known here")
    decoded = _decoded(transfer_decoder(part.encoding), pieces)
    return _crlf(decoded) if part.is_text else decoded


def _decoded(decoder: Decoder, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if octets := decoder.update(piece):
            yield octets
    if octets := decoder.finish():
        yield octets


def _crlf(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """*pieces* with every bare LF as CRLF."""
    after_cr = False
    for piece in pieces:
        if b"\n" in piece:
            if piece[0] == 10 and after_cr:
                # The other half of a CRLF that was cut in two.
                yield piece[:1]
                piece = piece[1:]
            piece = _BARE_LF.sub(b"\r\n", piece)
        yield piece
        after_cr = piece.endswith(b"\r")


def binary_size(message: Message, path: tuple[int, ...]) -> int | None:
    """
    Return what `binary` would send, counted; ``None`` as there.

    Raises:
        UnknownEncoding: The encoding cannot be undone.
    """
    pieces = binary_chunks(message, path)
    return None if pieces is None else sum(map(len, pieces))


def binary(message: Message, path: tuple[int, ...], partial: Partial | None = None) -> bytes:
    r"""
    Return the decoded part *path*, as it stands behind ``BINARY[path]`` in a FETCH response.

    Args:
        partial: Counts decoded octets.

    Returns:
        A literal, or a ``~{n}`` literal if there is a NUL in it: "If the domain of the decoded data
        is "8bit" and the data does not contain the NUL octet, the server SHOULD return the data in
        a <string> instead of a <literal8>" (:rfc:`9051#section-7.5.2`).  ``NIL`` if there is no
        such leaf.

    >>> binary(b"Content-Transfer-Encoding: base64\r\n\r\nAAE=\r\n", (1,))
    b'~{2}\r\n\x00\x01'

    Raises:
        UnknownEncoding: The encoding cannot be undone; answer ``NO [UNKNOWN-CTE]``.
    """
    pieces = binary_chunks(message, path)
    if pieces is None:
        return b"NIL"
    octets = _cut(b"".join(pieces), partial)
    return (b"~" if b"\0" in octets else b"") + literal(octets)

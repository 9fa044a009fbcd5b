"""Canonicalization (RFC 6376 §3.4): what of a message is hashed.

Header fields are canonicalized one at a time, the body as a stream: `SimpleBody` and `RelaxedBody`
take chunks cut anywhere and hand out the same octets, keeping at most two of them and a count.
No regular expression runs over a body: a few searches and replacements in C do, each linear, and
only where a search has found that there is something to replace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

#: What takes the canonical octets, such as the ``update`` of a hash.
Sink = Callable[[bytes], object]

_TAB_TO_SPACE: Final = bytes.maketrans(b"\t", b" ")

#: The body is worked on in blocks that fit a cache; a run of spaces is halved once per pass, so
#: the block also bounds the passes.
BLOCK: Final = 64 * 1024

_EMPTY_LINES: Final = b"\r\n" * (BLOCK // 2)


def relaxed_header(name: bytes, value: bytes) -> bytes:
    """
    One field in "relaxed" form (RFC 6376 §3.4.2), with its CRLF.

    Args:
        name: As it stands before the colon.
        value: As it stands behind the colon, with or without the CRLF at its end.

    >>> relaxed_header(b"B ", b" Y\\t\\r\\n\\tZ  \\r\\n")
    b'b:Y Z\\r\\n'
    """
    return b"%s:%s\r\n" % (name.rstrip(b" \t").lower(), relaxed_value(value))


def relaxed_value(value: bytes) -> bytes:
    """Unfold, reduce whitespace to one space, remove it at both ends."""
    if b"\r\n" in value:
        value = value.replace(b"\r\n", b"")
    return _one_space(value).strip(b" ")


def relaxed_headers(fields: Iterable[bytes]) -> bytes:
    """
    Several fields in "relaxed" form, one after the other.

    Args:
        fields: As they stand, without the CRLF at their ends; none begins with whitespace.

    >>> relaxed_headers([b"A: X", b"B : Y\\t\\r\\n\\tZ  "])
    b'a:X\\r\\nb:Y Z\\r\\n'
    """
    # A CRLF before a blank is a fold, one before a name the end of a field, so that all of them
    # can be unfolded and reduced together.
    text = _one_space(b"\r\n".join(fields))
    if b"\r\n " in text:
        text = _one_space(text.replace(b"\r\n ", b" "))
    lines = []
    for line in text.split(b"\r\n") if text else ():
        name, _, value = line.partition(b":")
        lines.append(name.rstrip(b" ").lower() + b":" + value.strip(b" ") + b"\r\n")
    return b"".join(lines)


def _one_space(text: bytes) -> bytes:
    """Every run of spaces and tabs as one space."""
    if b"\t" in text:
        text = text.translate(_TAB_TO_SPACE)
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text


class SimpleBody:
    """The "simple" body (RFC 6376 §3.4.3): only the empty lines at its end are dropped."""

    __slots__ = ("_carry", "_empty_lines", "sink")

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self._carry = b""
        self._empty_lines = 0

    def update(self, chunk: bytes) -> None:
        """Take the next octets, cut anywhere."""
        data = self._carry + chunk if self._carry else chunk
        # A CR at the end may be half a line end.
        if data.endswith(b"\r"):
            self._carry, data = b"\r", data[:-1]
        else:
            self._carry = b""
        self._write(data)

    def finish(self) -> None:
        """Say that the body is complete."""
        if self._carry:
            self._content(self._carry)
        # "If there is no body or no trailing CRLF on the message body, a CRLF is added."
        self.sink(b"\r\n")

    def _write(self, data: bytes) -> None:
        """Pass *data* on, except the line ends at its end: they may turn out to be empty lines."""
        end = _without_line_ends(data)
        if end:
            self._content(data if end == len(data) else data[:end])
        self._empty_lines += (len(data) - end) // 2

    def _content(self, data: bytes) -> None:
        while self._empty_lines:
            lines = min(self._empty_lines, BLOCK // 2)
            self.sink(_EMPTY_LINES[: 2 * lines])
            self._empty_lines -= lines
        self.sink(data)


class RelaxedBody(SimpleBody):
    """The "relaxed" body (RFC 6376 §3.4.4): whitespace reduced, empty lines at its end dropped."""

    __slots__ = ("_written",)

    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._written = False

    def update(self, chunk: bytes) -> None:
        """Take the next octets, cut anywhere."""
        if len(chunk) <= BLOCK:
            self._block(chunk)
        else:
            for block in _blocks(chunk):
                self._block(block)

    def _block(self, chunk: bytes) -> None:
        data = self._carry + chunk if self._carry else chunk
        if b"\t" in data:
            data = data.translate(_TAB_TO_SPACE)
        if b" " in data:  # base64 has none, and one octet is found ten times faster than two
            # "Reduce all sequences of WSP within a line to a single SP character" comes first, so
            # that at most one space is left to "ignore at the end of lines".
            while b"  " in data:
                data = data.replace(b"  ", b" ")
            if b" \r\n" in data:
                data = data.replace(b" \r\n", b"\r\n")
        # What the next octets may still change: one space, one CR, or both.
        if data.endswith((b" ", b"\r")):
            cut = len(data) - (2 if data.endswith(b" \r") else 1)
            self._carry, data = data[cut:], data[:cut]
        else:
            self._carry = b""
        self._write(data)

    def finish(self) -> None:
        """Say that the body is complete."""
        # A last line without CRLF ends here: its white space is "at the end of lines" too.
        # So a body and the same body with the CRLF that SMTP adds have one hash.
        if self._carry.endswith(b"\r"):
            self._content(self._carry)
        # "If the body is non-empty but does not end with a CRLF, a CRLF is added."
        if self._written:
            self.sink(b"\r\n")

    def _content(self, data: bytes) -> None:
        self._written = True
        super()._content(data)


def _blocks(chunk: bytes) -> Iterator[bytes]:
    for at in range(0, len(chunk), BLOCK):
        yield chunk[at : at + BLOCK]


def _without_line_ends(data: bytes) -> int:
    """The length of *data* without the CRLFs at its end, in time linear in their number."""
    if not data.endswith(b"\r\n"):
        return len(data)
    end = len(data) - 2
    if not data.endswith(b"\r\n", 0, end):
        return end
    start = len(data.rstrip(b"\r\n"))
    # From *start* on there are only CR and LF.  The CRLFs at the end begin behind the last place
    # where two of the same kind meet.
    if (twice := data.rfind(b"\n\n", start)) >= 0:
        start = twice + 2
    if (twice := data.rfind(b"\r\r", start)) >= 0:
        start = twice + 1
    return start if data.startswith(b"\r", start) else start + 1


BODY: Final[dict[str, type[SimpleBody]]] = {"simple": SimpleBody, "relaxed": RelaxedBody}

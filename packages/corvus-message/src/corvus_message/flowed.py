"""Text whose lines flow (RFC 3676): ``text/plain; format=flowed``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_QUOTE: Final = re.compile(r">*")
_SIGNATURE: Final = "-- "
#: Characters of a line, the trailing space included (RFC 3676 §4.2 asks for 78 or less).
_WIDTH: Final = 72


def decode_flowed(text: str, *, delsp: bool = False) -> str:
    """
    Join the lines that flow together; quote depth stays as ``>`` marks, line ends become LF.

    Args:
        text: The text as it stands, lines ended by CRLF or LF.
        delsp: The parameter ``delsp=yes``: the space that marks the flow is dropped.

    >>> decode_flowed("> a \\r\\n> b\\r\\nc \\r\\nd\\r\\n-- \\r\\nme\\r\\n")
    '> a b\\nc d\\n-- \\nme\\n'
    """
    done: list[str] = []
    flowing: list[str] = []  # the lines of the paragraph so far
    depth = 0

    def close() -> None:
        if flowing:
            mark = ">" * depth + " " if depth else ""
            done.append(mark + "".join(flowing))
            flowing.clear()

    lines = text.split("\n")
    ended = lines[-1] == ""
    if ended:
        lines.pop()
    for line in lines:
        line = line.removesuffix("\r")
        quotes = _QUOTE.match(line)
        assert quotes is not None  # the pattern matches the empty string
        if flowing and quotes.end() != depth:
            # A flowed line in front of another quote depth is taken as fixed (RFC 3676 §4.5).
            close()
        depth = quotes.end()
        # The first space is stuffing and goes (RFC 3676 §4.4).
        content = line[depth:].removeprefix(" ")
        if content == _SIGNATURE:
            # The mark of a signature is neither fixed nor flowed (RFC 3676 §4.3).
            close()
            flowing.append(content)
            close()
        elif content.endswith(" "):
            flowing.append(content[:-1] if delsp else content)
        else:
            flowing.append(content)
            close()
    close()
    return "\n".join(done) + ("\n" if ended and done else "")


def encode_flowed(text: str) -> str:
    """
    Break long lines so that they flow (``format=flowed``, without ``delsp``); ends lines in CRLF.

    >>> encode_flowed("From here\\n" + "word " * 15).split("\\r\\n")[:2]
    [' From here', 'word word word word word word word word word word word word word word ']

    Trailing spaces of a line are dropped: they would make it flow (:rfc:`3676#section-4.2`).
    """
    done: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if line != _SIGNATURE:
            line = line.rstrip(" ")
        quotes = _QUOTE.match(line)
        assert quotes is not None  # the pattern matches the empty string
        mark, body = quotes[0], line[quotes.end() :]
        if mark:
            body = body.removeprefix(" ")
            done += [f"{mark} {piece}" for piece in _wrap(body, _WIDTH - len(mark) - 1)]
        else:
            # Space-stuffing, for what would be read as stuffed, quoted or mbox (RFC 3676 §4.4).
            done += [
                f" {piece}" if piece.startswith((" ", "From ", ">")) else piece
                for piece in _wrap(body, _WIDTH - 1)
            ]
    return "\r\n".join(done)


def _wrap(line: str, width: int) -> Iterable[str]:
    """Pieces of *line* that end in the space they were cut behind, but for the last one."""
    if len(line) <= width:
        return [line]
    pieces: list[str] = []
    start = 0
    while len(line) - start > width:
        cut = line.rfind(" ", start, start + max(width, 1)) + 1
        if cut <= start:
            cut = line.find(" ", start + max(width, 1)) + 1
            if not cut:
                break
        # "-- " alone would be taken for the mark of a signature.
        pieces.append(line[start:cut])
        start = cut
    pieces.append(line[start:])
    return pieces

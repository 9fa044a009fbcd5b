"""What structured header fields share: comments, quoted strings, folding (RFC 5322 §3.2).

Reading is linear, does not recurse and never raises anything but `StructureError`; writing lets no
text end the field, the line or the string it is in.
"""

from __future__ import annotations

import re
from typing import Final

from corvus_auth.printable import printable

#: Comments nest; nobody means more levels than these.
MAX_DEPTH: Final = 20
#: "SHOULD be no more than 78 characters, excluding the CRLF" (RFC 5322 §2.1.1).
LINE: Final = 78

_SPACE: Final = " \t\r\n"


class StructureError(ValueError):
    """A field that does not follow its grammar; the message holds nothing of the field."""


def read_comment(text: str, at: int) -> tuple[str, int]:
    """The text of the comment that starts at *at*, and the place behind it."""
    depth = 0
    parts: list[str] = []
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
            parts.append(text[at : at + 1])
        elif char == "(":
            depth += 1
            if depth > MAX_DEPTH:
                raise StructureError("comments are nested too deeply")
            if depth > 1:
                parts.append(char)
        elif char == ")":
            depth -= 1
            if depth == 0:
                return "".join(parts), at + 1
            parts.append(char)
        else:
            parts.append(char)
        at += 1
    raise StructureError("a comment does not end")


def read_quoted(text: str, at: int) -> tuple[str, int]:
    """The value of the quoted string that starts at *at*, and the place behind it."""
    parts: list[str] = []
    at += 1
    while at < len(text):
        char = text[at]
        if char == '"':
            return "".join(parts), at + 1
        if char == "\\":
            at += 1
            char = text[at : at + 1]
        if char not in "\r\n":  # folding inside a string is not part of it
            parts.append(char)
        at += 1
    raise StructureError("a quoted string does not end")


def skip_cfws(text: str, at: int, comments: list[str] | None = None) -> int:
    """The place behind white space and comments; the comments are added to *comments*."""
    while at < len(text):
        if text[at] in _SPACE:
            at += 1
        elif text[at] == "(":
            comment, at = read_comment(text, at)
            if comments is not None:
                comments.append(comment)
        else:
            break
    return at


def quote(text: str, most: int = 400) -> str:
    """*text* as a quoted string: printable, at most *most* characters of it (twice as many if all are escaped)."""
    return '"' + _QUOTED_SPECIAL.sub(r"\\\g<0>", printable(text, most)) + '"'


def comment(text: str, most: int = 400) -> str:
    """*text* as a comment that neither ends early nor nests."""
    return "(" + _COMMENT_SPECIAL.sub(r"\\\g<0>", printable(text, most)) + ")"


_QUOTED_SPECIAL: Final = re.compile(r'["\\]')
_COMMENT_SPECIAL: Final = re.compile(r"[()\\]")


def fold(name: str, words: list[str]) -> str:
    """
    A field body out of *words*, each of which may start a new line; the name is counted only.

    A word longer than a line stays whole, well under the 998 octets that a line may have.
    """
    lines: list[str] = []
    line = ""
    room = LINE - len(name) - 2
    for word in words:
        if line and len(line) + 1 + len(word) > room:
            lines.append(line)
            line, room = word, LINE - 1
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    return "\r\n\t".join(lines)

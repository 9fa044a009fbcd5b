"""Header fields, written: folded at 78, never over 998, and never more than one (RFC 5322 §2.1.1).

No text can become a second field: CR, LF and NUL are refused, here and nowhere later (CVE-2024-6923
and CVE-2026-1299 are two of the times that `email` let one through).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from corvus_message.address import Address, address_list, format_address, parse_address
from corvus_message.words import LONGEST_WORD, encode_word_list, is_plain

#: "Each line of characters MUST be no more than 998 characters, and SHOULD be no more than 78
#: characters, excluding the CRLF" (RFC 5322 §2.1.1).
LINE: Final = 78
LONGEST_LINE: Final = 998

_NAME: Final = re.compile(r"[!-9;-~]+")
_LINE_BREAKER: Final = re.compile(r"[\r\n\0]")
_MESSAGE_ID: Final = re.compile(r"[!-;=?-~\u0080-\U0010ffff]+")

#: What an argument that names mailboxes may be.
AddressArgument = str | Address | Sequence[str | Address]


def check_text(text: str, what: str) -> str:
    """*text*, or ValueError where it holds CR, LF or NUL."""
    if _LINE_BREAKER.search(text):
        raise ValueError(f"{what} may not hold CR, LF or NUL: {text[:80]!r}")
    return text


def fold(name: str, tokens: Iterable[str]) -> bytes:
    """
    One field of *tokens* that are separated by single spaces; a line is broken in front of the
    token that would not fit.

    Raises:
        ValueError: The name is none (RFC 5322 §2.2), a token holds CR, LF or NUL or is empty, or
            a token is too long for any line.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a field name: {name!r}")
    lines: list[bytes] = []
    line = name.encode("ascii") + b":"
    bare = True  # nothing but the name, or the fold, stands on the line
    for token in tokens:
        octets = check_text(token, name).encode("utf-8", "replace")
        if not octets.strip(b" \t"):
            # No line may be "made up entirely of WSP characters and nothing else" (RFC 5322 §3.2.2).
            raise ValueError(f"{name}: an empty token")
        limit = LONGEST_LINE if bare and not lines else LINE
        if len(line) + 1 + len(octets) > limit and not (bare and lines):
            lines.append(line)
            line = b""
        if len(line) + 1 + len(octets) > LONGEST_LINE:
            raise ValueError(f"{name}: a word of {len(octets)} octets fits no line")
        line += b" " + octets
        bare = False
    lines.append(line)
    return b"\r\n".join(lines) + b"\r\n"


def format_field(name: str, text: str) -> bytes:
    """
    An unstructured field: printable ASCII as it is, all else in encoded words.

    >>> format_field("Subject", "caf\\u00e9")
    b'Subject: =?utf-8?q?caf=C3=A9?=\\r\\n'

    Raises:
        ValueError: The name is none, or *text* holds CR, LF or NUL.
    """
    check_text(text, name)
    words = text.split(" ")
    if is_plain(text) and all(len(word) < LONGEST_LINE - len(name) - 2 for word in words):
        return fold(name, words if text else ())
    return fold(name, encode_word_list(text, first=max(LINE - len(name) - 2, 30)))


def format_raw_field(name: str, value: str) -> bytes:
    """
    A structured field whose value is already in its own syntax; folded at single spaces, UTF-8
    where it is not ASCII (RFC 6532).

    >>> format_raw_field("List-Id", "<a.example.com>")
    b'List-Id: <a.example.com>\\r\\n'
    """
    return fold(name, [word for word in check_text(value, name).split(" ") if word])


def as_addresses(argument: AddressArgument) -> list[Address]:
    """
    The mailboxes of an argument: a string is read as an address field, a sequence entry by entry.

    Raises:
        ValueError: Something is not an address with a domain.
    """
    if isinstance(argument, Address):
        return [argument]
    found: list[Address] = []
    entries = address_list(argument) if isinstance(argument, str) else argument
    for entry in entries:
        if isinstance(entry, str):
            found.append(parse_address(entry))
        elif isinstance(entry, Address):
            found.append(entry)
        else:
            found += entry.members
    return found


def format_address_field(name: str, argument: AddressArgument) -> bytes:
    """
    An address field, folded between words.

    >>> format_address_field("To", ["Zo\\u00eb <z@example.com>", "b@example.com"])
    b'To: =?utf-8?q?Zo=C3=AB?= <z@example.com>, b@example.com\\r\\n'
    """
    shown = [
        format_address(check_text(a.name, name), a.local, a.domain) for a in as_addresses(argument)
    ]
    return fold(name, _address_tokens(shown))


# Words end at a space and nowhere else: U+00A0 in a local part is one of its characters.
_QUOTED_OR_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"[^ ]*|[^ ]+')


def _address_tokens(shown: list[str]) -> Iterable[str]:
    """Words of the addresses; inside a quoted string a fold would be legal and is not done."""
    for number, text in enumerate(shown):
        words = _QUOTED_OR_WORD.findall(text)
        if number + 1 < len(shown):
            words[-1] += ","
        yield from words


def format_ids(name: str, identifiers: Iterable[str]) -> bytes:
    """
    A Message-ID, In-Reply-To or References field of identifiers, with or without brackets.

    >>> format_ids("References", ["a@x", "<b@x>"])
    b'References: <a@x> <b@x>\\r\\n'

    Raises:
        ValueError: An identifier holds white space, brackets or controls.
    """
    return fold(name, [f"<{check_id(identifier)}>" for identifier in identifiers])


def is_id(bare: str) -> bool:
    """Whether *bare* can stand between the brackets of an identifier."""
    return _MESSAGE_ID.fullmatch(bare) is not None


def check_id(identifier: str) -> str:
    """*identifier* without its brackets; ValueError if it cannot stand between them."""
    bare = identifier[1:-1] if identifier[:1] == "<" and identifier[-1:] == ">" else identifier
    if not is_id(bare):
        raise ValueError(f"not a message identifier: {identifier!r}")
    return bare


def format_params_field(name: str, value: str, params: Iterable[str]) -> bytes:
    """A value and its parameters (as `format_params` gives them), folded between parameters."""
    tokens = [value, *params]
    return fold(name, [token + ";" for token in tokens[:-1]] + tokens[-1:])


#: Room that the longest encoded word leaves on a line of its own.
assert LONGEST_WORD + 1 <= LINE

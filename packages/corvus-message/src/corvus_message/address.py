"""Addresses of header fields (RFC 5322 §3.4, the obsolete forms of §4.4, RFC 6532).

One parser for what is shown and for what is checked: a field that could be read in two ways gives
*more* addresses, never the friendlier one (CVE-2023-27043).  Text behind ``<a@b>`` begins a new
address, whether or not a comma stands there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from corvus_message.charsets import decode_unlabelled, encode_text
from corvus_message.words import decode_words, encode_word_list, encode_words, is_plain


@final
@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox, in octets as they stand in the field, quotes and comments removed."""

    phrase: bytes
    """The display name, encoded words still encoded; ``b""`` if there is none."""

    route: bytes
    """The obsolete source route (``@a,@b``), without the colon; what ENVELOPE calls adl."""

    local_octets: bytes
    """What is left of the last "@"; unquoted."""

    domain_octets: bytes
    """What is right of it; ``b""`` if there was no "@".  Brackets of a literal are kept."""

    @property
    def name(self) -> str:
        """The display name for people, encoded words decoded; may hold any character."""
        return decode_words(self.phrase)

    @property
    def local(self) -> str:
        """The local part, unquoted."""
        return decode_unlabelled(self.local_octets)

    @property
    def domain(self) -> str:
        """The domain as it was written: neither lower case nor A-labels are forced on it."""
        return decode_unlabelled(self.domain_octets)

    @property
    def address(self) -> str:
        """``local@domain``, the local part quoted where it must be."""
        return format_addr_spec(self.local, self.domain)

    def __str__(self) -> str:
        """
        As it may stand in a field; what is no address, on one printable line all the same.

        >>> str(Address(b"", b"", b"undisclosed", b""))
        'undisclosed'
        """
        if is_addr_spec(self.local, self.domain):
            return format_address(self.name, self.local, self.domain)
        return encode_words(f"{self.name} <{self.address}>" if self.phrase else self.address)


@final
@dataclass(frozen=True, slots=True)
class Group:
    """A named list: ``Friends: a@b, c@d;`` (RFC 5322 §3.4); often empty."""

    phrase: bytes
    """The name, encoded words still encoded."""

    members: tuple[Address, ...]

    @property
    def name(self) -> str:
        """The name for people, encoded words decoded."""
        return decode_words(self.phrase)


# The forms that nearly all mail uses; a field they cover from end to end needs no tokenizer.
#   "quoted" <local@domain> ; words <local@domain> ; local@domain ; each with a comma or the end
_ATOM: Final = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-\x80-\xff]++"
_PLAIN: Final = re.compile(
    rb"[ \t\r\n]*+(?:"
    rb'(?:"([^"\\\r\n]*+)"|((?:' + _ATOM + rb"[ \t]*+)*+))[ \t\r\n]*+"
    rb"<(" + _ATOM + rb")@(" + _ATOM + rb")>"
    rb"|(" + _ATOM + rb")@(" + _ATOM + rb")"
    rb")[ \t\r\n]*+(?:(,)|\Z)"
)
_COMMENT_MARK: Final = re.compile(rb"[()\\]")
_TOKEN: Final = re.compile(
    rb"([ \t\r\n]++)"
    rb'|"((?:[^"\\]++|\\.)*+)"?'
    rb"|(\[(?:[^\]\\]++|\\.)*+\]?)"
    rb"|([<>,:;@.(])"
    rb"|([^ \t\r\n\"\[<>,:;@.(]++)",
    re.DOTALL,
)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_FOLD: Final = re.compile(rb"[ \t\r\n]+")


def address_list(value: bytes | str) -> list[Address | Group]:
    """
    Read an address field, groups kept together; never raises, and linear in its length.

    >>> [type(x).__name__ for x in address_list(b"A <a@b>, Team: c@d, e@f;, g@h")]
    ['Address', 'Group', 'Address']

    A mailbox without an "@" has an empty domain; text that is no address at all comes as such a
    mailbox too, so nothing that was written is dropped but comments and stray punctuation.
    """
    octets = encode_text(value) if isinstance(value, str) else value
    found: list[Address | Group] = []
    position = 0
    match_plain = _PLAIN.match
    while match := match_plain(octets, position):
        quoted, words, local, domain, bare_local, bare_domain, comma = match.groups()
        if local is None:
            found.append(Address(b"", b"", bare_local, bare_domain))
        else:
            phrase = quoted if quoted is not None else words.rstrip(b" \t")
            found.append(Address(phrase, b"", local, domain))
        position = match.end()
        if comma is None:
            return found
    # What is behind the last comma is read by the grammar.
    _Reader(found).read(octets, position)
    return found


def addresses(value: bytes | str) -> list[Address]:
    """
    The mailboxes of an address field, those of groups included, in order.

    >>> [(a.name, a.address) for a in addresses('"Doe, J" <jd@example.com>, =?utf-8?q?=C3=A4?= <x@y>')]
    [('Doe, J', 'jd@example.com'), ('ä', 'x@y')]
    """
    flat: list[Address] = []
    for entry in address_list(value):
        if isinstance(entry, Group):
            flat += entry.members
        else:
            flat.append(entry)
    return flat


#: A word in octets, or one of the marks "@", "." and " " as text: neither is taken for the other.
_Piece = bytes | str


def _joined(pieces: list[_Piece]) -> bytes:
    return b"".join(p if isinstance(p, bytes) else p.encode() for p in pieces)


def _tight(pieces: list[_Piece]) -> list[_Piece]:
    """*pieces* without the white space that the obsolete syntax allows around "." and "@"."""
    out: list[_Piece] = []
    for piece in pieces:
        if piece == " " and (not out or isinstance(out[-1], str)):
            continue
        if isinstance(piece, str) and out and out[-1] == " ":
            out.pop()
        out.append(piece)
    if out and out[-1] == " ":
        out.pop()
    return out


def _split(spec: list[_Piece]) -> tuple[bytes, bytes]:
    """Local part and domain: the last "@" separates them."""
    for place in range(len(spec) - 1, -1, -1):
        if spec[place] == "@":
            return _joined(spec[:place]), _joined(spec[place + 1 :])
    return _joined(spec), b""


class _Reader:
    """The tokenizer and the state it fills: one pass, no recursion, no backtracking."""

    def __init__(self, found: list[Address | Group]) -> None:
        self.found = found
        self.group: bytes | None = None
        self.members: list[Address] = []
        self._reset()

    def _reset(self) -> None:
        # Outside the angle brackets: pieces of a phrase or of a bare addr-spec.
        self.pieces: list[_Piece] = []
        self.at: int | None = None  # where in `pieces` the last "@" stands
        self.comment = b""
        # Between the brackets; `inside` while they are open.
        self.angle: list[_Piece] | None = None
        self.inside = False
        self.route = b""

    def read(self, octets: bytes, position: int) -> None:
        size = len(octets)
        while position < size:
            match = _TOKEN.match(octets, position)
            assert match is not None  # the classes of the pattern cover every octet
            blank, quoted, literal, special, atom = match.groups()
            position = match.end()
            if special == b"(":
                position = self._comment(octets, position)
            elif special is not None:
                self._special(special.decode())
            elif blank is not None:
                self._blank()
            elif quoted is not None:
                text = _ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted
                self._word(text.replace(b"\r\n", b"").replace(b"\n", b""))
            else:
                self._word(literal if literal is not None else atom)
        self._flush()
        if self.group is not None:
            self._end_group()

    def _comment(self, octets: bytes, position: int) -> int:
        depth = 1
        start = position
        while depth and (mark := _COMMENT_MARK.search(octets, position)):
            position = mark.end()
            if mark[0] == b"\\":
                position += 1
            else:
                depth += 1 if mark[0] == b"(" else -1
        if depth:
            position = len(octets)
        # "jdoe@example.com (John Doe)": a name in a comment is how it was done before RFC 822.
        if not self.comment and not self.inside:
            self.comment = octets[start : position - (not depth)].strip(b" \t\r\n")
        self._blank()
        return position

    def _word(self, word: bytes) -> None:
        if self.inside:
            assert self.angle is not None  # opened by "<"
            self.angle.append(word)
            return
        if self.angle is not None:
            self._flush()
        elif self.at is not None and self.pieces[-1] == " " and isinstance(self.pieces[-2], bytes):
            # "a@b c": a second thing begins; white space inside a domain is legal only at a dot.
            self._flush()
        self.pieces.append(word)

    def _blank(self) -> None:
        pieces = self.angle if self.inside else self.pieces
        if pieces and pieces[-1] != " ":
            pieces.append(" ")

    def _special(self, special: str) -> None:
        if self.inside:
            self._inside_angle(special)
        elif special == "<":
            if self.angle is not None:
                self._flush()
            self.angle = []
            self.inside = True
        elif special == ",":
            self._flush()
        elif special == ";":
            self._flush()
            if self.group is not None:
                self._end_group()
        elif special == ":":
            # The colon of a group's name.  A second one inside a group names a new group:
            # groups do not nest (RFC 5322 §3.4), so "a:b:c:" costs no stack.
            if self.angle is not None or self.at is not None:
                self._flush()  # "a@b: c@d": an address is no name, and is not to be lost as one
            if self.group is not None:
                self._end_group()
            self.group = _FOLD.sub(b" ", _joined(self.pieces)).strip(b" ")
            self._reset()
        elif special != ">":
            if self.angle is not None:
                self._flush()
            if special == "@":
                if self.pieces and self.pieces[-1] == " ":
                    self.pieces.pop()
                self.at = len(self.pieces)
            self.pieces.append(special)

    def _inside_angle(self, special: str) -> None:
        assert self.angle is not None  # opened by "<"
        if special == ">":
            self.inside = False
        elif special == ":":
            #   obs-route = obs-domain-list ":" ; "<@a,@b:c@d>"      RFC 5322 §4.4
            self.route = _joined(_tight(self.angle))
            self.angle.clear()
        else:
            self.angle.append(special)

    def _flush(self) -> None:
        """One entry of the list is complete; a bracket that was not closed is closed."""
        if self.angle is not None:
            phrase = _joined(self.pieces).strip(b" ") or self.comment
            self._add(phrase, self.route, *_split(_tight(self.angle)))
        elif any(piece != " " for piece in self.pieces):
            self._bare()
        self._reset()

    def _bare(self) -> None:
        """An addr-spec without brackets, perhaps behind words that were meant as a name."""
        pieces = self.pieces
        if self.at is None:
            self._add(self.comment, b"", _joined(pieces).strip(b" "), b"")
            return
        start = self.at
        # The local part reaches back over dots: "John a . b@c" has the name John.
        while start > 0:
            if pieces[start - 1] == " ":
                around = (pieces[start], pieces[start - 2] if start > 1 else None)
                if "." not in around and "@" not in around:
                    break
            start -= 1
        phrase = _joined(pieces[:start]).strip(b" ") or self.comment
        self._add(phrase, b"", *_split(_tight(pieces[start:])))

    def _add(self, phrase: bytes, route: bytes, local: bytes, domain: bytes) -> None:
        entry = Address(_FOLD.sub(b" ", phrase), route, local, domain)
        if self.group is not None:
            self.members.append(entry)
        else:
            self.found.append(entry)

    def _end_group(self) -> None:
        assert self.group is not None  # asked by every caller
        self.found.append(Group(self.group, tuple(self.members)))
        self.group = None
        self.members = []


# --- writing ---------------------------------------------------------------------------

_DOT_ATOM: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+"
                              r"(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+)*")  # fmt: skip
_LITERAL: Final = re.compile(r"\[[!-Z^-~]+\]")
# C1 and the separators as well: nobody's address, and white space or a line end to many a reader.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def format_addr_spec(local: str, domain: str) -> str:
    """
    ``local@domain``, quoted where the grammar wants it (RFC 5322 §3.4.1).

    >>> format_addr_spec("john smith", "example.com")
    '"john smith"@example.com'
    """
    shown = local if _DOT_ATOM.fullmatch(local) else _quote(local)
    return f"{shown}@{domain}" if domain else shown


def format_address(name: str, local: str, domain: str) -> str:
    """
    One mailbox as it may stand in a field, not folded.

    >>> format_address("Doe, J", "jd", "example.com"), format_address("Zo\\u00eb", "z", "example.com")
    ('"Doe, J" <jd@example.com>', '=?utf-8?q?Zo=C3=AB?= <z@example.com>')

    Raises:
        ValueError: The address holds a control character, such as CR or LF, or has no domain
            or a domain that is none.
    """
    check_addr_spec(local, domain)
    spec = format_addr_spec(local, domain)
    return f"{format_phrase(name)} <{spec}>" if name else spec


_PHRASE: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+)*"
)


_LONGEST_QUOTED: Final = 200
#: More than any path of SMTP (256, RFC 5321 §4.5.3.1.3), less than a line.
_LONGEST_ADDRESS: Final = 900


def format_phrase(name: str) -> str:
    """A display name: atoms as they are, other ASCII quoted, the rest in encoded words."""
    # A quoted string is not folded, so a long one is encoded too.
    if is_plain(name) and len(name) <= _LONGEST_QUOTED:
        return name if _PHRASE.fullmatch(name) else _quote(name)
    return " ".join(encode_word_list(name))


def is_addr_spec(local: str, domain: str) -> bool:
    """Whether a field may carry that address: no controls, a domain, and room on a line."""
    if not local or len(local) + len(domain) > _LONGEST_ADDRESS:
        return False
    if _CONTROL.search(local) or _CONTROL.search(domain):
        return False
    return bool(_DOT_ATOM.fullmatch(domain) or _LITERAL.fullmatch(domain))


def check_addr_spec(local: str, domain: str) -> None:
    """Refuse what is no address; see `is_addr_spec`."""
    if not is_addr_spec(local, domain):
        raise ValueError(f"not an address: {local[:80]!r} at {domain[:80]!r}")


def parse_address(text: str) -> Address:
    """
    Exactly one mailbox, for values that people configure or type.

    >>> parse_address("Zo\\u00eb <z@example.com>").name
    'Zoë'

    Raises:
        ValueError: *text* is not one mailbox with a domain.
    """
    found = address_list(text)
    if len(found) != 1 or not isinstance(found[0], Address):
        raise ValueError(f"not one address: {text!r}")
    check_addr_spec(found[0].local, found[0].domain)
    return found[0]


def format_addresses(entries: Iterable[Address | str]) -> list[str]:
    """Each entry as `format_address` writes it; strings are read by `parse_address` first."""
    found = [parse_address(entry) if isinstance(entry, str) else entry for entry in entries]
    return [format_address(entry.name, entry.local, entry.domain) for entry in found]

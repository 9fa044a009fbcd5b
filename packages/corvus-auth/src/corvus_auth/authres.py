"""The Authentication-Results field, RFC 8601: read it, write it, remove the ones that lie.

>>> field = parse("mx.example.org; spf=pass (authorized) smtp.mailfrom=example.net; dkim=none")
>>> field.results[0].properties
(Property(ptype='smtp', name='mailfrom', value='example.net'),)
>>> format("mx.example.org", [Result("spf", "pass", properties=field.results[0].properties)])
'mx.example.org; spf=pass smtp.mailfrom=example.net'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from corvus_auth.domains import DomainError, to_ascii
from corvus_auth.printable import printable
from corvus_auth.structured import (
    StructureError,
    comment,
    fold,
    quote,
    read_quoted,
    skip_cfws,
)

NAME: Final = "Authentication-Results"

#: A field that is longer, or has more results or properties, is not read.
MAX_FIELD: Final = 65_536
MAX_RESULTS: Final = 200
MAX_PROPERTIES: Final = 200

#   Keyword = Let-dig [Ldh-str] ; RFC 5321 §4.1.2, and the "_" that some methods have.  A dot
#   would end a ptype or a result; only names of properties are seen with one ("from.domain").
_KEYWORD: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?\Z")
_PROPERTY: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?\Z")
#   token = 1*<any (US-ASCII) CHAR except SPACE, CTLs, or tspecials> ; RFC 2045 §5.1
_TOKEN: Final = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+\Z")
_DOT_ATOM: Final = re.compile(r"[!#-'*+/-9=?A-Z^-~-]+(?:\.[!#-'*+/-9=?A-Z^-~-]+)*\Z")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*)(?:\.[A-Za-z0-9_-]+)*\Z")

# Reading is broader than the grammar: servers write bare "<>", "=", ":" and "/" in values.
_WORD: Final = re.compile(r"[^\s;()=/.\"]+")
_VALUE: Final = re.compile(r"[^\s;()\"]+")


def _keyword(text: str, what: str, pattern: re.Pattern[str] = _KEYWORD) -> None:
    if not pattern.match(text):
        raise ValueError(f"not a {what}: {text[:40]!r}")


@final
@dataclass(frozen=True, slots=True)
class Property:
    """``ptype.name=value``: what of the message was evaluated."""

    ptype: str
    """``smtp``, ``header``, ``body`` or ``policy``; ``""`` where a server left it out."""
    name: str
    value: str

    def __post_init__(self) -> None:
        if self.ptype:
            _keyword(self.ptype, "property type")
        elif self.name.lower() == "reason":
            raise ValueError("reason= is no property; give it to Result")
        _keyword(self.name, "property", _PROPERTY if self.ptype else _KEYWORD)

    def __str__(self) -> str:
        name = f"{self.ptype}.{self.name}" if self.ptype else self.name
        return f"{name}={_format_value(self.value)}"


@final
@dataclass(frozen=True, slots=True)
class Result:
    """One ``method=result`` with what belongs to it."""

    method: str
    result: str
    reason: str = ""
    properties: tuple[Property, ...] = ()
    comment: str = ""
    """Comments behind the result, joined; for people."""
    version: int | None = None
    """Of the method, where it was given; 1 is meant without."""

    def __post_init__(self) -> None:
        _keyword(self.method, "method")
        _keyword(self.result, "result")

    def get(self, ptype: str, name: str) -> str | None:
        """The value of the first property of that name, in any case."""
        for prop in self.properties:
            if prop.ptype.lower() == ptype.lower() and prop.name.lower() == name.lower():
                return prop.value
        return None

    def words(self) -> list[str]:
        """The parts between which a line may be folded."""
        method = self.method if self.version is None else f"{self.method}/{self.version}"
        words = [f"{method}={self.result}"]
        if self.comment:
            words.append(comment(self.comment))
        if self.reason:
            words.append(f"reason={quote(self.reason)}")
        words.extend(map(str, self.properties))
        return words


@final
@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """A field: who says it, and what.  No results is ``none``."""

    authserv_id: str
    results: tuple[Result, ...] = ()
    version: int | None = None

    def __post_init__(self) -> None:
        if not self.authserv_id or not self.authserv_id.isprintable():
            raise ValueError(f"not an authserv-id: {self.authserv_id[:40]!r}")

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON-safe values."""
        return {
            "authserv_id": printable(self.authserv_id),
            "version": self.version,
            "results": [
                {
                    "method": result.method,
                    "result": result.result,
                    "reason": printable(result.reason),
                    "comment": printable(result.comment),
                    "properties": {
                        name: printable(value) for name, value in map(_value_of, result.properties)
                    },
                }
                for result in self.results
            ],
        }


def _value_of(prop: Property) -> tuple[str, str]:
    return (f"{prop.ptype}.{prop.name}" if prop.ptype else prop.name, prop.value)


def _format_value(value: str) -> str:
    """A ``pvalue``: token, quoted string, or ``[[local-part] "@"] domain-name``."""
    if _TOKEN.match(value) and len(value) <= 400:
        return value
    local, at, domain = value.rpartition("@")
    if at and _DOMAIN.match(domain) and len(domain) <= 255:
        if not local or (_DOT_ATOM.match(local) and len(local) <= 256):
            return value
        if local.startswith('"') and local.endswith('"') and len(local) > 1:
            # A quoted local-part, as it stands in the envelope: quoted anew, never trusted.
            try:
                inner, end = read_quoted(local, 0)
            except StructureError:
                return quote(value)
            local = inner if end == len(local) else local
        return f"{quote(local)}@{domain}"
    return quote(value)


def format(  # noqa: A001 - the name outside programs call; `parse` is its twin
    authserv_id: str | AuthenticationResults,
    results: Iterable[Result] = (),
    *,
    version: int | None = None,
) -> str:
    """
    The body of a field, folded with CRLF and a tab, without a final line end.

    Whatever the values hold, the body reads back as exactly these results: what is not printable
    ASCII is escaped, what could end a string, a comment or a line is quoted, and values of more
    than 400 characters are cut.

    Args:
        authserv_id: Our name, or a whole `AuthenticationResults`.
        results: In the order in which they are written; none of them is ``none``.
        version: Of the field; left out when ``None``.

    Raises:
        ValueError: The id has control characters or is empty.
    """
    if isinstance(authserv_id, str):
        field = AuthenticationResults(authserv_id, tuple(results), version)
    else:
        field = authserv_id
    name = field.authserv_id
    head = [name if _TOKEN.match(name) and len(name) <= 255 else quote(name, 255)]
    if field.version is not None:
        head.append(str(field.version))
    lines: list[list[str]] = [result.words() for result in field.results] or [["none"]]
    head[-1] += ";"
    for line in lines[:-1]:
        line[-1] += ";"
    bodies = [fold(NAME, head + lines[0])]
    bodies.extend(fold("", line) for line in lines[1:])
    return "\r\n\t".join(bodies)


def field(authserv_id: str | AuthenticationResults, results: Iterable[Result] = ()) -> bytes:
    """The whole field, ``Authentication-Results: ...`` with CRLF, to be put in front."""
    return f"{NAME}: {format(authserv_id, results)}\r\n".encode("ascii")


# Reading.


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def cfws(self, comments: list[str] | None = None) -> None:
        self.at = skip_cfws(self.text, self.at, comments)

    @property
    def next(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, char: str) -> bool:
        if self.next == char:
            self.at += 1
            return True
        return False

    def word(self, what: str) -> str:
        match = _WORD.match(self.text, self.at)
        if match is None:
            raise StructureError(f"{what} is missing")
        self.at = match.end()
        return match[0]

    def value(self, what: str) -> str:
        """A token or a quoted string, and whatever is joined to it: ``"a b"@example.org``."""
        parts: list[str] = []
        while True:
            if self.next == '"':
                start = self.at
                inner, self.at = read_quoted(self.text, self.at)
                # Quotes of a local-part belong to the address.
                parts.append(self.text[start : self.at] if self.next == "@" else inner)
            elif match := _VALUE.match(self.text, self.at):
                self.at = match.end()
                parts.append(match[0])
            elif parts:
                return "".join(parts)
            else:
                raise StructureError(f"{what} is missing")


def _text(value: str | bytes) -> str:
    if len(value) > MAX_FIELD:
        raise StructureError("the field is too long")
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def parse(value: str | bytes) -> AuthenticationResults:
    """
    Read the body of a field, folded or not.

    Broader than the grammar where servers are: a final semicolon, properties without a type
    (``action=none``), bare ``=``, ``:``, ``/`` and ``<>`` in values are read.

    Raises:
        ValueError: The field cannot be read; the message says where it went wrong.
    """
    reader = _Reader(_text(value))
    reader.cfws()
    quoted = reader.next == '"'
    authserv_id = reader.value("the authserv-id")
    if "=" in authserv_id and not quoted:
        # Seen from servers that leave their name out: "spf=pass smtp.mailfrom=...".
        raise StructureError("the authserv-id is missing")
    reader.cfws()
    version = None
    if reader.next and reader.next != ";":
        number = reader.word("the version")
        if not (number.isascii() and number.isdigit() and len(number) <= 9):
            raise StructureError("the version is not a number")
        version = int(number)
        reader.cfws()
    results: list[Result] = []
    while reader.next:
        if not reader.take(";"):
            raise StructureError("a result does not end in a semicolon")
        reader.cfws()
        if reader.next in ("", ";"):
            continue
        result = _resinfo(reader)
        if result is not None:
            results.append(result)
        if len(results) > MAX_RESULTS:
            raise StructureError("there are too many results")
    return AuthenticationResults(authserv_id, tuple(results), version)


def _resinfo(reader: _Reader) -> Result | None:
    method = reader.word("the method")
    method_version = None
    reader.cfws()
    if reader.take("/"):
        reader.cfws()
        number = reader.word("the version of a method")
        if not (number.isascii() and number.isdigit() and len(number) <= 9):
            raise StructureError("the version of a method is not a number")
        method_version = int(number)
        reader.cfws()
    if not reader.take("="):
        if method.lower() == "none" and reader.next in ("", ";"):
            return None
        raise StructureError("a method has no result")
    reader.cfws()
    outcome = reader.word("the result")
    comments: list[str] = []
    reader.cfws(comments)
    reason = ""
    properties: list[Property] = []
    while reader.next not in ("", ";"):
        name = reader.word("a property")
        ptype = ""
        reader.cfws()
        if reader.take("."):
            reader.cfws()
            ptype, name = name, reader.word("a property")
            # "header.from.domain" and such: the rest belongs to the name.
            while reader.take("."):
                name += "." + reader.word("a property")
            reader.cfws()
        if not reader.take("="):
            raise StructureError("a property has no value")
        reader.cfws()
        value = "" if reader.next in ("", ";") else reader.value("a value")
        reader.cfws(comments if not properties else None)
        if not ptype and name.lower() == "reason":
            reason = value
        else:
            properties.append(Property(ptype, name, value))
        if len(properties) > MAX_PROPERTIES:
            raise StructureError("there are too many properties")
    return Result(method, outcome, reason, tuple(properties), "; ".join(comments), method_version)


def claims(value: str | bytes, authserv_ids: str | Sequence[str]) -> bool:
    """
    Whether a field body says that it is by one of *authserv_ids*, in any case, commented or quoted.

    A body whose id cannot be read claims everything: who reads it more generously than we do might
    take it for ours (RFC 8601 §5).
    """
    ours = [authserv_ids] if isinstance(authserv_ids, str) else authserv_ids
    try:
        reader = _Reader(_text(value))
        reader.cfws()
        theirs = reader.value("the authserv-id")
    except StructureError:
        return True
    return _comparable(theirs) in {_comparable(name) for name in ours}


def _comparable(name: str) -> str:
    try:
        return to_ascii(name)
    except DomainError:
        return name.lower().rstrip(".")


def remove(message: bytes, authserv_ids: str | Sequence[str]) -> bytes:
    """
    *message* without the Authentication-Results fields that claim one of *authserv_ids*.

    "any MTA conforming to this specification MUST delete any discovered instance of this header
    field that claims, by virtue of its authentication service identifier, to have been added
    within its trust boundary" (RFC 8601 §5).  The body and all other fields stay octet for octet.
    One pass; lines end in LF, with or without CR.
    """
    kept: list[bytes] = []
    copied = 0
    for start, body, end in _fields(message):
        if claims(message[body:end], authserv_ids):
            kept.append(message[copied:start])
            copied = end
    if not kept:
        return message
    kept.append(message[copied:])
    return b"".join(kept)


def values(message: bytes) -> list[bytes]:
    """
    The bodies of all Authentication-Results fields of *message*, from the top.

    What does not look like a message (its first line has no field name) is taken as one body.
    """
    if not _LOOKS_LIKE_A_FIELD.match(message):
        return [message.strip()] if message.strip() else []
    return [message[body:end] for _, body, end in _fields(message)]


_FIELD_NAME: Final = NAME.lower().encode()
_LOOKS_LIKE_A_FIELD: Final = re.compile(rb"[!-9;-~]+[ \t]*:")


def _fields(message: bytes) -> Iterator[tuple[int, int, int]]:
    """Start, body and end of each Authentication-Results field in the header."""
    at = 0
    while at < len(message):
        start = at
        at = _next_line(message, at)
        line = message[start:at]
        if line in (b"\n", b"\r\n"):
            return
        while at < len(message) and message[at : at + 1] in (b" ", b"\t"):
            at = _next_line(message, at)
        name, colon, _ = line.partition(b":")
        if colon and name.rstrip(b" \t").lower() == _FIELD_NAME:
            yield start, start + len(name) + 1, at


def _next_line(message: bytes, at: int) -> int:
    end = message.find(b"\n", at)
    return len(message) if end < 0 else end + 1


# Results of our own evaluations.


def from_spf(result: Any) -> Result:
    """The result for an `corvus_auth.spf.SPFResult` (RFC 7208 §9.2, RFC 8601 §2.7.2)."""
    if result.identity == "helo":
        prop = Property("smtp", "helo", result.domain)
    else:
        prop = Property("smtp", "mailfrom", result.sender or result.domain)
    return Result("spf", str(result.status), result.reason, (prop,) if prop.value else ())


def from_dkim(result: Any) -> Result:
    """The result for one signature: anything with the attributes of corvus_dkim's results."""
    pairs = (("d", "domain"), ("i", "identity"), ("s", "selector"), ("a", "algorithm"))
    status = getattr(result.status, "value", result.status)
    properties = [
        Property("header", name, str(getattr(result, attribute)))
        for name, attribute in pairs
        if getattr(result, attribute, None)
    ]
    return Result("dkim", str(status), getattr(result, "reason", "") or "", tuple(properties))


def from_dmarc(result: Any) -> Result:
    """The result for an `corvus_auth.dmarc.DMARCResult` (RFC 9989 §9.1)."""
    properties = [Property("header", "from", result.author_domain)] if result.author_domain else []
    if result.policy is not None:
        properties.append(Property("policy", "dmarc", str(result.disposition)))
    return Result("dmarc", str(result.status), result.reason, tuple(properties))

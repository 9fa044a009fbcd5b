"""SPF records: selection is the evaluation's, syntax is here (RFC 7208 §4.5, §4.6, §5, §6, §12).

`parse_record` is total: what is wrong with a record is in the record.  Networks are integers,
macro strings are compiled, and the most recent records are kept, so that a record met again costs
a dictionary look-up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple, cast

from corvus_auth.printable import printable
from corvus_auth.spf.macros import (
    MacroError,
    MacroString,
    compile_domain,
    compile_macros,
    target_name,
)
from corvus_auth.spf.result import Status

VERSION: Final = b"v=spf1"


class Kind(StrEnum):
    """The mechanisms of RFC 7208 §5 and the modifiers of §6, by their names."""

    ALL = "all"
    INCLUDE = "include"
    A = "a"
    MX = "mx"
    PTR = "ptr"
    IP4 = "ip4"
    IP6 = "ip6"
    EXISTS = "exists"
    REDIRECT = "redirect"
    EXP = "exp"


MECHANISMS: Final[Mapping[str, Kind]] = {
    kind.value: kind for kind in Kind if kind not in (Kind.REDIRECT, Kind.EXP)
}

#: "the "include", "a", "mx", "ptr", and "exists" mechanisms, and the "redirect" modifier".
COUNTED: Final = frozenset({Kind.INCLUDE, Kind.A, Kind.MX, Kind.PTR, Kind.EXISTS, Kind.REDIRECT})

QUALIFIERS: Final = {
    "+": Status.PASS,
    "-": Status.FAIL,
    "~": Status.SOFTFAIL,
    "?": Status.NEUTRAL,
}


class RecordError(ValueError):
    """A term that does not follow the grammar; the message is one sentence."""


class Term(NamedTuple):
    """A directive, or one of the two modifiers that mean something."""

    kind: Kind
    text: str
    """As published."""
    status: Status = Status.NEUTRAL
    """What a match means; of no account for modifiers."""
    spec: MacroString | None = None
    """The ``domain-spec``; ``None`` is the domain of the record."""
    target: str | None = None
    """The name to look up, where the spec has no macros; `target_name` of it."""
    network: int = 0
    shift4: int = 0
    """Low-order bits of an IPv4 address that do not count."""
    shift6: int = 0
    """Low-order bits of an IPv6 address that do not count."""

    def explain(self, outcome: str, ip: object) -> str:
        """One sentence on *outcome* for the trace."""
        verb = "matches" if outcome == "match" else "does not match"
        if self.kind is Kind.ALL:
            return "always matches"
        return f"{ip} {verb} {self.kind}"


class Record(NamedTuple):
    """A record that begins with ``v=spf1``, whether or not the rest of it is in order."""

    text: str
    """The record, printable."""
    terms: tuple[Term, ...] = ()
    """The directives, in order, up to and including the first ``all``."""
    redirect: Term | None = None
    """``None`` as well when there is an ``all``: it "MUST be ignored" then (RFC 7208 §5.1)."""
    exp: Term | None = None
    unknown: tuple[str, ...] = ()
    """Modifiers that mean nothing to SPF, as published."""
    unreachable: tuple[str, ...] = ()
    """Directives behind ``all``, and a ``redirect`` beside it."""
    error: str = ""
    """What is wrong, one sentence; ``""`` when nothing is.  A record in error is a permerror."""
    errors: tuple[str, ...] = ()
    """All that is wrong, for a linter; at most 20."""


# "discard records that do not begin with a version section of exactly "v=spf1".  Note that the
# version section is terminated by either an SP character or the end of the record." (§4.5)
def is_spf(raw: bytes) -> bool:
    """Whether a TXT record is an SPF record."""
    return raw[:6].lower() == VERSION and raw[6:7] in (b" ", b"")


#   directive = [ qualifier ] mechanism ; unknown-modifier = name "=" macro-string
#   name      = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
_TERM: Final = re.compile(r"([-+?~]?)([A-Za-z][A-Za-z0-9_.-]*)(?:([=:/])(.*))?\Z")
#   ip4-cidr-length  = "/" ("0" / %x31-39 0*1DIGIT) ; value range 0-32
#   ip6-cidr-length  = "/" ("0" / %x31-39 0*2DIGIT) ; value range 0-128
_DUAL_CIDR: Final = re.compile(r"(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?\Z")
_PREFIX: Final = re.compile(r"(0|[1-9][0-9]{0,2})\Z")


def _dual_cidr(rest: str) -> tuple[str, int, int]:
    """Split ``domain/24//64`` into the domain and the bits that do not count."""
    # At most "/32//128" can be a length: look at the last eight characters only.
    start = rest.find("/", max(0, len(rest) - 8))
    while start >= 0:
        if match := _DUAL_CIDR.match(rest, start):
            four, six = int(match[1] or 32), int(match[2] or 128)
            if four > 32 or six > 128:
                raise RecordError("a prefix length is out of range")
            return rest[:start], 32 - four, 128 - six
        start = rest.find("/", start + 1)
    return rest, 0, 0


#   qnum = DIGIT / %x31-39 DIGIT / "1" 2DIGIT / "2" %x30-34 DIGIT / "25" %x30-35
_QNUM: Final[Mapping[str, int]] = {str(number): number for number in range(256)}


def _network(kind: Kind, rest: str) -> tuple[int, int]:
    address, slash, prefix = rest.partition("/")
    size = 32 if kind is Kind.IP4 else 128
    shift = 0
    if slash:
        if not _PREFIX.match(prefix) or int(prefix) > size:
            raise RecordError("a prefix length is out of range")
        shift = size - int(prefix)
    try:
        if size == 128:
            return _ip6(address) >> shift, shift
        a, b, c, d = address.split(".")
        value = _QNUM[a] << 24 | _QNUM[b] << 16 | _QNUM[c] << 8 | _QNUM[d]
    except (ValueError, KeyError):
        raise RecordError(f"not an {'IPv4' if size == 32 else 'IPv6'} network") from None
    return value >> shift, shift


def _ip6(text: str) -> int:
    if "%" in text:
        raise AddressValueError("a scope")
    return int(IPv6Address(text))


@lru_cache(maxsize=2048)
def _parse_term(text: str) -> Term | str:
    """A directive or known modifier, or the text of an unknown modifier; raises RecordError."""
    match = _TERM.match(text)
    if match is None:
        raise RecordError("not a directive and not a modifier")
    qualifier, name, separator, rest = match.groups()
    name = name.lower()
    if separator == "=":
        if qualifier:
            raise RecordError("a modifier has a qualifier")
        if name not in ("redirect", "exp"):
            compile_macros(rest)  # "unknown-modifier = name "=" macro-string"
            return text
        spec, target = _domain(rest)
        return Term(Kind(name), text, Status.NEUTRAL, spec, target)
    kind = MECHANISMS.get(name)
    if kind is None:
        raise RecordError("an unknown mechanism")
    status = QUALIFIERS[qualifier or "+"]
    rest = (separator + rest) if separator else ""
    if kind is Kind.ALL:
        if rest:
            raise RecordError("all takes no argument")
        return Term(kind, text, status)
    if kind is Kind.IP4 or kind is Kind.IP6:
        if separator != ":":
            raise RecordError("no network is given")
        network, shift = _network(kind, rest[1:])
        return Term(kind, text, status, None, None, network, shift, shift)
    shift4 = shift6 = 0
    if kind is Kind.A or kind is Kind.MX:
        rest, shift4, shift6 = _dual_cidr(rest)
    if rest[:1] == ":":
        spec, target = _domain(rest[1:])
        return Term(kind, text, status, spec, target, 0, shift4, shift6)
    if rest or kind is Kind.INCLUDE or kind is Kind.EXISTS:
        raise RecordError("a prefix length is malformed" if rest else "no domain is given")
    return Term(kind, text, status, None, None, 0, shift4, shift6)


def _domain(text: str) -> tuple[MacroString, str | None]:
    """The compiled ``domain-spec``, and the name where it is always the same."""
    spec = compile_domain(text)
    for part in spec.parts:
        if not isinstance(part, str):
            return spec, None
    return spec, target_name("".join(cast("tuple[str, ...]", spec.parts)))


def _parse(raw: bytes) -> Record:
    shown = printable(raw, 2000)
    try:
        # "The character content of the record is encoded as [US-ASCII]" (RFC 7208 §3.1).
        words = raw.decode("ascii").split(" ")
    except UnicodeDecodeError:
        return Record(shown, error="the record has characters that are not ASCII")
    terms: list[Term] = []
    unknown: list[str] = []
    unreachable: list[str] = []
    errors: list[str] = []
    modifiers: dict[Kind, Term] = {}
    error = ""
    ended = False
    for word in words[1:]:
        if not word:
            continue
        try:
            term = _parse_term(word) if len(word) < 256 else _parse_term.__wrapped__(word)
            if isinstance(term, str):
                unknown.append(printable(term, 200))
            elif term.kind is Kind.REDIRECT or term.kind is Kind.EXP:
                # "These two modifiers MUST NOT appear in a record more than once each." (§6)
                if term.kind in modifiers:
                    raise RecordError(f"{term.kind}= appears more than once")
                modifiers[term.kind] = term
            elif ended:
                # "Mechanisms listed after "all" MUST be ignored" (§5.1), yet their syntax counts.
                unreachable.append(term.text)
            else:
                terms.append(term)
                ended = term.kind is Kind.ALL
        except (RecordError, MacroError) as reason:
            # "if there are any syntax errors anywhere in the record, check_host() returns
            # immediately with the result "permerror"" (§4.6)
            error = error or f"{printable(word, 100)!r}: {reason}"
            errors.append(f"{printable(word, 100)!r}: {reason}")
            if len(errors) == 20:
                break
    redirect = modifiers.get(Kind.REDIRECT)
    if redirect is not None and ended:
        unreachable.append(redirect.text)
        redirect = None
    return Record(
        shown,
        tuple(terms),
        redirect,
        modifiers.get(Kind.EXP),
        tuple(unknown),
        tuple(unreachable),
        error,
        tuple(errors),
    )


_parse_kept: Final = lru_cache(maxsize=512)(_parse)


def parse_record(raw: bytes) -> Record:
    """
    Parse a record for which `is_spf` holds.  Never raises; see `Record.error`.

    The last 512 records of up to 512 octets are kept.  Linear in the length of *raw*.
    """
    return _parse_kept(raw) if len(raw) <= 512 else _parse(raw)


def forget_records() -> None:
    """Empty what `parse_record` keeps, for benchmarks and tests."""
    _parse_kept.cache_clear()
    _parse_term.cache_clear()

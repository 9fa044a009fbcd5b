"""DMARC policy records (RFC 9989 §4.7, §4.8).

"Unknown tags MUST be ignored.  Syntax errors in the remainder of the record MUST be discarded in
favor of default values (if any) or ignored outright": parsing never fails, `Record.problems` says
what was discarded.  Tag names are read in any case, as ABNF strings are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, final
from urllib.parse import unquote

from corvus_auth.printable import printable


class Policy(StrEnum):
    """``dmarc-request``: what a domain owner asks for, in order of severity."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


#: One level below, for ``t=y`` (RFC 9989 §4.7) and for mail outside ``pct`` (RFC 7489 §6.6.4).
BELOW: Final = {
    Policy.NONE: Policy.NONE,
    Policy.QUARANTINE: Policy.NONE,
    Policy.REJECT: Policy.QUARANTINE,
}

#: Reporting addresses of one tag that are looked at; "at least two" is what reporters support.
MAX_URIS: Final = 10
MAX_TAGS: Final = 64


@final
@dataclass(frozen=True, slots=True)
class ReportURI:
    """A DMARC reporting URI, without the obsolete size limit behind ``!``."""

    uri: str
    address: str | None
    """The mailbox of a ``mailto:`` URI, percent-decoded; ``None`` for other schemes, which
    "MUST be ignored" by who does not support them."""

    @property
    def domain(self) -> str:
        """The domain of the mailbox, lower case; ``""`` without one."""
        return self.address.rpartition("@")[2].lower() if self.address else ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record whose first tag is ``v=DMARC1``; defaults stand where nothing valid was said."""

    text: str
    """The record, printable."""
    p: Policy | None = None
    """``None`` when absent or invalid; see `effective`."""
    sp: Policy | None = None
    np: Policy | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    psd: str = "u"
    """``y``, ``n`` or ``u``."""
    testing: bool = False
    """``t=y``: apply one level less than the policy says."""
    pct: int = 100
    """Of RFC 7489; removed by RFC 9989, which ignores it."""
    rua: tuple[ReportURI, ...] = ()
    ruf: tuple[ReportURI, ...] = ()
    fo: tuple[str, ...] = ("0",)
    interval: int = 86400
    """``ri`` of RFC 7489, seconds between aggregate reports; removed by RFC 9989."""
    invalid_request: bool = False
    """``p`` missing or invalid, or ``sp`` or ``np`` invalid."""
    problems: tuple[str, ...] = ()

    @property
    def applies(self) -> bool:
        """Whether the record leads to DMARC processing at all (RFC 9989 §4.10.1)."""
        # "If a "rua" tag is present and contains at least one syntactically valid reporting URI,
        # the Mail Receiver MUST act as if a record containing "p=none" was retrieved [...]
        # Otherwise, the Mail Receiver applies no DMARC processing to this message."
        return not self.invalid_request or bool(self.rua)

    def effective(self, *, subdomain: bool, exists: bool | None) -> Policy:
        """The policy for the domain of the record, or for a subdomain that exists or does not."""
        if self.invalid_request or self.p is None:
            return Policy.NONE
        if not subdomain:
            return self.p
        if exists is False and self.np is not None:
            return self.np
        return self.p if self.sp is None else self.sp


#   dmarc-version = "v" equals %s"DMARC1" ; case sensitive
_VERSION: Final = re.compile(rb"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):([!-~]+)\Z")
_SIZE: Final = re.compile(r"![0-9]+[kmgtKMGT]?\Z")
_ADDRESS: Final = re.compile(r"[^\s@<>,;:\\\"()\[\]\x00-\x1f\x7f]+@[A-Za-z0-9_.-]+\Z")


def is_dmarc(raw: bytes) -> bool:
    """Whether a TXT record is a DMARC record; if not, "the entire record MUST be ignored"."""
    return _VERSION.match(raw) is not None


def _uris(value: str, problems: list[str], tag: str) -> tuple[ReportURI, ...]:
    found: list[ReportURI] = []
    # "commas (ASCII 0x2C) and exclamation points (ASCII 0x21) MUST be encoded" (§4.8)
    for text in value.split(",", MAX_URIS)[:MAX_URIS]:
        text = _SIZE.sub("", text.strip(" \t"))
        match = _URI.match(text)
        if match is None or "!" in text:
            problems.append(f"{tag}: not a URI: {printable(text, 60)!r}")
            continue
        address = None
        if match[1].lower() == "mailto":
            address = unquote(match[2].partition("?")[0], errors="replace")
            if not _ADDRESS.match(address) or not address.isprintable():
                problems.append(f"{tag}: not a mailbox: {printable(text, 60)!r}")
                continue
        found.append(ReportURI(text, address))
    return tuple(found)


def _request(
    tags: dict[str, str], tag: str, problems: list[str], *, required: bool
) -> tuple[Policy | None, bool]:
    value = tags.get(tag)
    if value is None:
        if required:
            problems.append(f"{tag} is missing")
        return None, required
    try:
        return Policy(value.lower()), False
    except ValueError:
        problems.append(f"{tag}: neither none, quarantine nor reject: {printable(value, 40)!r}")
        return None, True


def _choice(tags: dict[str, str], tag: str, choices: str, default: str, problems: list[str]) -> str:
    value = tags.get(tag, default).lower()
    if len(value) == 1 and value in choices:
        return value
    problems.append(f"{tag}: not one of {', '.join(choices)}: {printable(value, 40)!r}")
    return default


def _number(tags: dict[str, str], tag: str, default: int, most: int, problems: list[str]) -> int:
    value = tags.get(tag)
    if value is None:
        return default
    if value.isascii() and value.isdigit() and len(value) <= 10 and int(value) <= most:
        return int(value)
    problems.append(f"{tag}: not a number up to {most}: {printable(value, 40)!r}")
    return default


@lru_cache(maxsize=512)
def parse_record(raw: bytes) -> Record:
    """
    Parse a record for which `is_dmarc` holds.  Never raises; linear.

    >>> parse_record(b"v=DMARC1; p=reject; sp=none; x=1").effective(subdomain=True, exists=True)
    <Policy.NONE: 'none'>
    """
    problems: list[str] = []
    tags: dict[str, str] = {}
    words = raw.decode("ascii", "replace").split(";", MAX_TAGS)
    if len(words) > MAX_TAGS:
        problems.append("too many tags; the rest is ignored")
    for word in words[1:MAX_TAGS]:
        name, equals, value = word.partition("=")
        name = name.strip(" \t").lower()
        if not equals or not (name.isascii() and name.isalpha()):
            if word.strip(" \t"):
                problems.append(f"not a tag: {printable(word.strip(), 40)!r}")
            continue
        if name in tags:
            # RFC 6376 §3.2 would void the whole list; §4.8 discards the error, so the first counts.
            problems.append(f"{name} appears twice; the first counts")
            continue
        tags[name] = value.strip(" \t")
    p, no_p = _request(tags, "p", problems, required=True)
    sp, bad_sp = _request(tags, "sp", problems, required=False)
    np, bad_np = _request(tags, "np", problems, required=False)
    fo = tuple([option.strip(" \t").lower() for option in tags.get("fo", "0").split(":", 8)])
    if not set(fo) <= {"0", "1", "d", "s"} or {"0", "1"} <= set(fo):
        problems.append("fo: not a list of 0 or 1, d and s")
        fo = ("0",)
    return Record(
        text=printable(raw, 2000),
        p=p,
        sp=sp,
        np=np,
        strict_dkim=_choice(tags, "adkim", "rs", "r", problems) == "s",
        strict_spf=_choice(tags, "aspf", "rs", "r", problems) == "s",
        psd=_choice(tags, "psd", "ynu", "u", problems),
        testing=_choice(tags, "t", "yn", "n", problems) == "y",
        pct=_number(tags, "pct", 100, 100, problems),
        rua=_uris(tags["rua"], problems, "rua") if "rua" in tags else (),
        ruf=_uris(tags["ruf"], problems, "ruf") if "ruf" in tags else (),
        fo=fo,
        interval=_number(tags, "ri", 86400, 2**32 - 1, problems),
        invalid_request=no_p or bad_sp or bad_np,
        problems=tuple(problems),
    )

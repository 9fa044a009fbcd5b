"""
Capabilities: what a server offers beyond the minimum (RFC 2449 §5, §6 and the RFCs that add tags).

A server makes them from its `Policy`, a client reads them; both look at the same value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, final

from corvus_pop3.languages import ENGLISH, Language

#   capa-tag   = 1*cchar                            ; RFC 2449 §3: printable ASCII, excluding "."
#   capability = capa-tag *(SP param) CRLF          ; 512 octets maximum
_MECHANISM = re.compile(r"[A-Z0-9_-]{1,20}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_PARAMETERS = re.compile(r"[!-~]+(?: [!-~]+)*")
#   gchar      = %x21-3B / %x3D-7F                  ; a "<" would begin a timestamp
_GREETING = re.compile(r"[ -;=-~]{0,200}")


#: Days of retention; ``NEVER`` are they deleted by the server (RFC 2449 §6.7).
Expire: TypeAlias = int | Literal["NEVER"]


def check_announced(expire: Expire | None, login_delay: int | None) -> None:
    """
    Let pass what CAPA can announce.

    Raises:
        ValueError: It is something else.
    """
    for value in (None if expire == "NEVER" else expire, login_delay):
        # Digits, and not what int() would make a number of: "5\r\n" is two lines of CAPA.
        if value is not None and not _NUMBER.fullmatch(str(value)):
            raise ValueError(f"not a number of days or seconds: {value!r}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    What a server offers; the same value for all its connections.

    Raises:
        ValueError: A value that could not be announced as it stands.
    """

    greeting: str = "POP3 server ready"
    """Text of the greeting, ASCII without ``<``."""

    require_tls: bool = True
    """Without TLS refuse, and do not announce, everything that logs in."""

    stls: bool = False
    """Offer STLS (where TLS is not active yet)."""

    user: bool = True
    """Offer USER and PASS."""

    mechanisms: tuple[str, ...] = ()
    """SASL mechanisms for AUTH, best first; you will get their `AuthStarted`."""

    utf8: bool = True
    """Offer UTF8."""

    utf8_user: bool = True
    """Take UTF-8 in USER and PASS.  You SHOULD apply SASLprep before comparing (RFC 6856 §2.2)."""

    languages: tuple[Language, ...] = (ENGLISH,)
    """For LANG, the preferred one first; until it is used the engine speaks English."""

    expire: Expire | None = None
    """Days a message is kept at least; 0 means that RETR may imply DELE (RFC 2449 §6.7)."""

    expire_varies: bool = False
    """Per user: *expire* is the smallest, and `open` can tell the user's own."""

    login_delay: int | None = None
    """Seconds between logins (RFC 2449 §6.5); you enforce them with ``ResponseCode.LOGIN_DELAY``."""

    login_delay_varies: bool = False
    """Per user: *login_delay* is the largest, and `open` can tell the user's own."""

    implementation: str | None = None
    """Who we are, shown by CAPA; without it nothing is shown."""

    def __post_init__(self) -> None:
        if not _GREETING.fullmatch(self.greeting) or self.greeting.startswith("["):
            raise ValueError(f"not a greeting: {self.greeting!r}")
        for mechanism in self.mechanisms:
            if not _MECHANISM.fullmatch(mechanism):
                raise ValueError(f"not a SASL mechanism: {mechanism!r}")
        if len(self.mechanisms) > 20:
            raise ValueError("more than 20 mechanisms do not fit into a line")
        if self.implementation is not None and (
            len(self.implementation) > 200 or not _PARAMETERS.fullmatch(self.implementation)
        ):
            raise ValueError(f"not parameters of a capability: {self.implementation!r}")
        check_announced(self.expire, self.login_delay)


@final
@dataclass(frozen=True, slots=True)
class Capabilities:
    """
    Tags, upper case, and their parameters.

    >>> offered = parse_capabilities([b"TOP", b"SASL PLAIN SCRAM-SHA-256", b"EXPIRE 5 USER"])
    >>> "top" in offered, offered.mechanisms, offered["EXPIRE"]
    (True, ('PLAIN', 'SCRAM-SHA-256'), ('5', 'USER'))
    """

    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __contains__(self, tag: str) -> bool:
        return tag.upper() in self.tags

    def __getitem__(self, tag: str) -> tuple[str, ...]:
        return self.tags[tag.upper()]

    def get(self, tag: str) -> tuple[str, ...]:
        """The parameters of *tag*; none if it is not there either."""
        return self.tags.get(tag.upper(), ())

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """SASL mechanisms, in upper case, in the server's order."""
        return tuple(mechanism.upper() for mechanism in self.get("SASL"))

    def lines(self) -> Iterator[bytes]:
        for tag, parameters in self.tags.items():
            yield " ".join((tag, *parameters)).encode("ascii")


def parse_capabilities(lines: Iterable[bytes]) -> Capabilities:
    """
    Read the lines of a CAPA response; "tags are case-insensitive" (:rfc:`2449#section-5`).

    The first of two lines with one tag counts, and a line without a tag not at all.
    """
    tags: dict[str, tuple[str, ...]] = {}
    for line in lines:
        tag, *parameters = line.decode("ascii", "replace").split(" ")
        if tag:
            tags.setdefault(tag.upper(), tuple(part for part in parameters if part))
    return Capabilities(tags)


def offer(
    policy: Policy,
    *,
    login: bool,
    stls: bool,
    transaction: bool,
    expire: Expire | None,
    login_delay: int | None,
) -> Capabilities:
    """
    What CAPA announces now.

    "Capabilities available in the AUTHORIZATION state MUST be announced in both states"
    (RFC 2449 §5); STLS is announced in "AUTHORIZATION state only" (RFC 2595 §10).

    Args:
        login: Whether logging in is possible now, without or after TLS.
        stls: Whether STLS is possible now.
    """
    tags: dict[str, tuple[str, ...]] = {
        "TOP": (),
        "UIDL": (),
        "RESP-CODES": (),
        "AUTH-RESP-CODE": (),
        "PIPELINING": (),
    }
    if policy.user and login:
        tags["USER"] = ()
    if policy.mechanisms and login:
        tags["SASL"] = policy.mechanisms
    if stls:
        tags["STLS"] = ()
    if policy.utf8:
        tags["UTF8"] = ("USER",) if policy.utf8_user else ()
    if policy.languages:
        tags["LANG"] = ()
    # "The server SHOULD append the token "USER" to the EXPIRE parameter in AUTHENTICATION state, to
    # inform the client that a more accurate value is available" (RFC 2449 §6.7; §6.5 likewise).
    if expire is not None:
        varies = ("USER",) if policy.expire_varies and not transaction else ()
        tags["EXPIRE"] = (str(expire), *varies)
    if login_delay is not None:
        varies = ("USER",) if policy.login_delay_varies and not transaction else ()
        tags["LOGIN-DELAY"] = (str(login_delay), *varies)
    if policy.implementation is not None:
        tags["IMPLEMENTATION"] = tuple(policy.implementation.split(" "))
    return Capabilities(tags)

"""The parameters of MAIL and RCPT as values (RFC 5321 §4.1.1.11 and the extensions' own RFCs)."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, final

from corvus_smtp.address import Mailbox

__all__ = [
    "BodyType",
    "MailParameters",
    "Notify",
    "OriginalRecipient",
    "RcptParameters",
    "Ret",
]

_CONTROLS: Final = re.compile("[\x00-\x1f\x7f]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
#   addr-type = atom                                     ; RFC 3461 §4.2
_ADDR_TYPE: Final = re.compile("[A-Za-z0-9!#$%&'*/?^_`{|}~-]{1,63}")
#   esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
#   esmtp-value   = 1*(%d33-60 / %d62-126)
_KEYWORD: Final = re.compile("[A-Z0-9][A-Z0-9-]*+")
_VALUE: Final = re.compile("[!-<>-~]++")


_NOTHING: Final[Mapping[str, str | None]] = MappingProxyType({})


def _none() -> Mapping[str, str | None]:
    return _NOTHING


class BodyType(enum.Enum):
    """BODY= of MAIL (:rfc:`6152`, :rfc:`3030#section-3`)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT_MIME = "8BITMIME"
    BINARY_MIME = "BINARYMIME"


class Ret(enum.Enum):
    """RET= of MAIL: what a failure notice returns (:rfc:`3461#section-4.3`)."""

    FULL = "FULL"
    HDRS = "HDRS"


class Notify(enum.Enum):
    """NOTIFY= of RCPT: when to notify the sender (:rfc:`3461#section-4.1`)."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


@final
@dataclass(frozen=True, slots=True)
class OriginalRecipient:
    """ORCPT= of RCPT: the address as the sender wrote it (:rfc:`3461#section-4.2`)."""

    addr_type: str
    """``rfc822``, ``utf-8`` (:rfc:`6533`), or another registered type."""
    address: str
    """Decoded; of no certain syntax, and not to be trusted with one."""

    def __post_init__(self) -> None:
        if _ADDR_TYPE.fullmatch(self.addr_type) is None:
            raise ValueError("an address type is an atom")
        if not self.address or _CONTROLS.search(self.address):
            raise ValueError("an original recipient may not be empty or hold control characters")
        # Addresses of the other types are "printable (graphic and white space) characters from
        # the US-ASCII" repertoire (RFC 3461 §4.2).
        if not self.address.isascii() and self.addr_type.lower() != "utf-8":
            raise ValueError("an original recipient beyond ASCII has the type utf-8")
        if _SURROGATES.search(self.address):
            raise ValueError("an original recipient may not hold surrogates")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MailParameters:
    """
    What was asked for with MAIL; ``None`` and ``False`` mean that it was not.

    >>> MailParameters(size=1000, envid="QQ314159").envid
    'QQ314159'
    """

    size: int | None = None
    """SIZE: octets of the message as the client counts them (:rfc:`1870#section-6`)."""
    body: BodyType | None = None
    """BODY."""
    smtputf8: bool = False
    """SMTPUTF8: addresses or header fields need it (:rfc:`6531#section-3.4`)."""
    ret: Ret | None = None
    """RET."""
    envid: str | None = None
    """ENVID, decoded: to be returned in notices, as it is (:rfc:`3461#section-4.4`)."""
    auth: str | None = None
    """AUTH, decoded: who submitted it, says the client; ``""`` is ``<>`` (:rfc:`4954#section-5`)."""
    requiretls: bool = False
    """REQUIRETLS (:rfc:`8689#section-2`)."""
    other: Mapping[str, str | None] = field(default_factory=_none, hash=False)
    """Parameters of extensions beyond these, by upper-case keyword, as they stood."""

    def __post_init__(self) -> None:
        if self.size is not None and not 0 <= self.size < 10**20:
            raise ValueError("SIZE is a number of up to 20 digits")
        # "an envelope identifier ... MUST consist entirely of printable (graphic and white
        # space) characters from the US-ASCII [...] repertoire" (RFC 3461 §4.4).
        if self.envid is not None and not (self.envid.isascii() and self.envid.isprintable()):
            raise ValueError("ENVID is printable ASCII")
        if self.envid is not None and not 1 <= len(self.envid) <= 100:
            raise ValueError("ENVID has 1 to 100 characters")
        if self.auth:
            Mailbox.parse(self.auth)
        object.__setattr__(self, "other", _checked(self.other))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RcptParameters:
    """What was asked for with one RCPT."""

    notify: frozenset[Notify] | None = None
    """NOTIFY; absent means FAILURE, perhaps DELAY too."""
    orcpt: OriginalRecipient | None = None
    """ORCPT."""
    other: Mapping[str, str | None] = field(default_factory=_none, hash=False)
    """Parameters of extensions beyond these, by upper-case keyword, as they stood."""

    def __post_init__(self) -> None:
        check_notify(self.notify)
        object.__setattr__(self, "other", _checked(self.other))


def _checked(other: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Give a copy that nobody can change, so that what was checked is what is sent."""
    if not other:
        return _NOTHING
    other = MappingProxyType(dict(other))
    for keyword, value in other.items():
        if not _KEYWORD.fullmatch(keyword):
            raise ValueError(f"not the keyword of a parameter: {keyword!r}")
        if value is not None and not _VALUE.fullmatch(value):
            raise ValueError(f"not the value of a parameter: {keyword}={value!r}")
    return other


def check_notify(notify: Iterable[Notify] | None) -> None:
    """Refuse an empty set, and NEVER beside others: "MUST appear by itself"."""
    if notify is None:
        return
    wanted = frozenset(notify)
    if not wanted or (Notify.NEVER in wanted and len(wanted) > 1):
        raise ValueError("NOTIFY is NEVER, or some of SUCCESS, FAILURE and DELAY")

"""The Received-SPF field: written and read (RFC 7208 §9.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, final

from corvus_auth.spf.result import SPFResult, Status
from corvus_auth.structured import StructureError, comment, fold, quote, read_quoted, skip_cfws

NAME: Final = "Received-SPF"
MAX_FIELD: Final = 16_384
MAX_PAIRS: Final = 50

_DOT_ATOM: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z"
)
_WORD: Final = re.compile(r"[^\s;()=\"]+")
_VALUE: Final = re.compile(r"[^\s;()\"]+")

_WHAT: Final = {
    Status.PASS: "{ip} is authorized to use {sender}",
    Status.FAIL: "{ip} is not authorized to use {sender}",
    Status.SOFTFAIL: "{ip} is probably not authorized to use {sender}",
    Status.NEUTRAL: "{domain} does not say whether {ip} may use {sender}",
    Status.NONE: "{domain} publishes no policy",
    Status.TEMPERROR: "the policy of {domain} could not be looked up",
    Status.PERMERROR: "the policy of {domain} cannot be interpreted",
}


@final
@dataclass(frozen=True, slots=True)
class ReceivedSPF:
    """A field that was read."""

    status: Status
    comment: str = ""
    pairs: dict[str, str] = field(default_factory=dict)
    """Keys in lower case (``client-ip``, ``envelope-from``, ``helo``, ...); the first of each."""


def format_received_spf(result: SPFResult, receiver: str) -> str:
    """
    The body of a Received-SPF field for *result*, folded with CRLF and a tab.

    Args:
        receiver: The name of the host that checked.
    """
    ip = str(result.ip)
    what = _WHAT[result.status].format(ip=ip, sender=result.sender, domain=result.domain)
    pairs = [
        ("receiver", receiver),
        ("identity", result.identity),
        ("client-ip", ip),
        ("envelope-from", result.sender if result.identity == "mailfrom" else ""),
        ("helo", result.helo),
        ("mechanism", result.mechanism),
    ]
    if result.status in (Status.TEMPERROR, Status.PERMERROR):
        pairs.append(("problem", result.reason))
    words = [str(result.status), comment(f"{receiver}: {what}")]
    words += [f"{key}={_format_value(value)};" for key, value in pairs if value]
    words[-1] = words[-1].removesuffix(";")
    return fold(NAME, words)


def _format_value(value: str) -> str:
    # "dot-atom / quoted-string": an IPv6 address and a mailbox are no dot-atom.
    return value if _DOT_ATOM.match(value) and len(value) <= 255 else quote(value)


def parse_received_spf(value: str | bytes) -> ReceivedSPF:
    """
    Read the body of a Received-SPF field, in this form or the older ones that servers write.

    Raises:
        ValueError: The field cannot be read.
    """
    if len(value) > MAX_FIELD:
        raise StructureError("the field is too long")
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
    at = skip_cfws(text, 0)
    match = _WORD.match(text, at)
    try:
        status = Status(match[0].lower() if match else "")
    except ValueError:
        raise StructureError("the result is none of the seven") from None
    comments: list[str] = []
    at = skip_cfws(text, match.end() if match else at, comments)
    pairs: dict[str, str] = {}
    while at < len(text):
        if text[at] == ";":
            at = skip_cfws(text, at + 1)
            continue
        match = _WORD.match(text, at)
        if match is None:
            raise StructureError("a key is missing")
        key = match[0].lower()
        at = skip_cfws(text, match.end())
        if text[at : at + 1] != "=":
            raise StructureError("a key has no value")
        at = skip_cfws(text, at + 1)
        if text[at : at + 1] == '"':
            found, at = read_quoted(text, at)
        elif (match := _VALUE.match(text, at)) is not None:
            found, at = match[0], match.end()
        else:
            found = ""
        pairs.setdefault(key, found)
        if len(pairs) > MAX_PAIRS:
            raise StructureError("there are too many keys")
        at = skip_cfws(text, at)
    return ReceivedSPF(status, "; ".join(comments), pairs)

"""The registry of service extensions: one row each, with its RFC (RFC 5321 §2.2, §4.1.1.1).

A row says what an extension adds: its EHLO keyword, the verbs, the parameters of MAIL and RCPT.
To add one, add its row (and, if it brings a verb, the verb's rows in ``_state.py``); parsing,
the refusal of what was not offered, and the client's formatting follow from the row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, final

from corvus_smtp._grammar import esmtp_param
from corvus_smtp.parameters import (
    BodyType,
    MailParameters,
    Notify,
    OriginalRecipient,
    RcptParameters,
    Ret,
)
from corvus_smtp.xtext import (
    decode_utf8_xtext,
    decode_xtext,
    encode_utf8_xtext,
    encode_xtext,
)

__all__ = ["EXTENSIONS", "Extension", "Parameter", "format_parameters", "parse_parameters"]

#   size-value ::= 1*20DIGIT                                   ; RFC 1870 §4
_DIGITS: Final = re.compile(rb"[0-9]{1,20}")


@final
@dataclass(frozen=True, slots=True)
class Parameter:
    """One ESMTP parameter: the field it fills, how it is read, how it is written."""

    name: str
    """The field of `MailParameters` or `RcptParameters`."""
    parse: Callable[[bytes | None], Any]
    """From the value, or ``None`` where there is no ``=``; a ValueError means 501."""
    format: Callable[[Any], bytes | None]
    """To the value, or ``None`` for a keyword on its own."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """One row of the registry."""

    keyword: str
    rfc: str
    adds: str
    """In a few words."""
    verbs: tuple[str, ...] = ()
    mail: Mapping[str, Parameter] = field(default_factory=dict, hash=False)
    rcpt: Mapping[str, Parameter] = field(default_factory=dict, hash=False)
    needs: tuple[str, ...] = ()
    """Extensions without which it cannot be offered."""
    tls: bool | None = None
    """Offered only under TLS (True), only in clear (False), or regardless (None)."""


def _value(value: bytes | None) -> bytes:
    if value is None:
        raise ValueError("a value is missing")
    return value


def _size(value: bytes | None) -> int:
    if _DIGITS.fullmatch(_value(value)) is None:
        raise ValueError("SIZE is a number of up to 20 digits")
    return int(_value(value))


def _keyword_alone(value: bytes | None) -> bool:
    if value is not None:
        raise ValueError("takes no value")
    return True


def _ascii(value: bytes | None) -> str:
    return _value(value).decode("ascii")


def _body(value: bytes | None) -> BodyType:
    return BodyType(_ascii(value).upper())


def _ret(value: bytes | None) -> Ret:
    return Ret(_ascii(value).upper())


def _envid(value: bytes | None) -> str:
    return decode_xtext(_value(value)).decode("ascii")


def _auth(value: bytes | None) -> str:
    # AUTH=<>: who submitted it is not known, or not believed (RFC 4954 §5).
    decoded = decode_xtext(_value(value))
    return "" if decoded == b"<>" else decoded.decode("utf-8")


def _format_auth(auth: str) -> bytes:
    return b"<>" if auth == "" else encode_xtext(auth.encode("utf-8"))


def _notify(value: bytes | None) -> frozenset[Notify]:
    return frozenset(Notify(word) for word in _ascii(value).upper().split(","))


def _format_notify(notify: frozenset[Notify]) -> bytes:
    return ",".join(n.value for n in Notify if n in notify).encode("ascii")


def _orcpt(value: bytes | None) -> OriginalRecipient:
    addr_type, semicolon, address = _value(value).partition(b";")
    if not semicolon or len(_value(value)) > 500:
        raise ValueError("ORCPT is addr-type;xtext, of up to 500 characters")
    if addr_type.lower() == b"utf-8":
        return OriginalRecipient(addr_type.decode("ascii"), decode_utf8_xtext(address))
    # Decoded it is "printable (graphic and white space) characters" of ASCII (RFC 3461 §4.2).
    return OriginalRecipient(addr_type.decode("ascii"), decode_xtext(address).decode("ascii"))


def _format_orcpt(orcpt: OriginalRecipient) -> bytes:
    head = orcpt.addr_type.encode("ascii") + b";"
    if orcpt.addr_type.lower() == "utf-8":
        return head + encode_utf8_xtext(orcpt.address)
    return head + encode_xtext(orcpt.address.encode("ascii"))


def _digits(number: int) -> bytes:
    return b"%d" % number


def _enum(value: BodyType | Ret) -> bytes:
    return str(value.value).encode("ascii")


def _nothing(_: object) -> None:
    return None


_BODY: Final = Parameter("body", _body, _enum)
_ROWS: Final = (
    Extension(
        keyword="8BITMIME",
        rfc="RFC 6152",
        adds="bodies in 8 bits",
        mail={"BODY": _BODY},
    ),
    Extension(
        keyword="AUTH",
        rfc="RFC 4954",
        adds="authentication by SASL",
        verbs=("AUTH",),
        mail={"AUTH": Parameter("auth", _auth, _format_auth)},
    ),
    Extension(
        keyword="BINARYMIME",
        rfc="RFC 3030",
        adds="bodies of any octets, by BDAT",
        mail={"BODY": _BODY},
        needs=("CHUNKING",),
    ),
    Extension(
        keyword="CHUNKING",
        rfc="RFC 3030",
        adds="BDAT: messages in counted chunks, without dots",
        verbs=("BDAT",),
    ),
    Extension(
        keyword="DSN",
        rfc="RFC 3461",
        adds="which notices of delivery the sender wants",
        mail={
            "ENVID": Parameter("envid", _envid, lambda envid: encode_xtext(envid.encode("ascii"))),
            "RET": Parameter("ret", _ret, _enum),
        },
        rcpt={
            "NOTIFY": Parameter("notify", _notify, _format_notify),
            "ORCPT": Parameter("orcpt", _orcpt, _format_orcpt),
        },
    ),
    Extension(
        keyword="ENHANCEDSTATUSCODES",
        rfc="RFC 2034",
        adds="a status code in front of each reply's text",
    ),
    Extension(keyword="EXPN", rfc="RFC 5321", adds="expansion of lists", verbs=("EXPN",)),
    Extension(keyword="HELP", rfc="RFC 5321", adds="help", verbs=("HELP",)),
    Extension(keyword="LIMITS", rfc="RFC 9422", adds="how much is taken at once"),
    Extension(
        keyword="PIPELINING",
        rfc="RFC 2920",
        adds="commands in groups, without a wait for each reply",
    ),
    Extension(
        keyword="REQUIRETLS",
        rfc="RFC 8689",
        adds="delivery over TLS or not at all",
        mail={"REQUIRETLS": Parameter("requiretls", _keyword_alone, _nothing)},
        tls=True,
    ),
    Extension(
        keyword="SIZE",
        rfc="RFC 1870",
        adds="the size of a message, declared beforehand",
        mail={"SIZE": Parameter("size", _size, _digits)},
    ),
    Extension(
        keyword="SMTPUTF8",
        rfc="RFC 6531",
        adds="addresses and header fields beyond ASCII",
        mail={"SMTPUTF8": Parameter("smtputf8", _keyword_alone, _nothing)},
        # "this specification requires that SMTPUTF8-aware SMTP servers support the 8BITMIME
        # extension" (RFC 6531 §3.6).
        needs=("8BITMIME",),
    ),
    Extension(
        keyword="STARTTLS",
        rfc="RFC 3207",
        adds="TLS",
        verbs=("STARTTLS",),
        # "A server MUST NOT return the STARTTLS extension in response to an EHLO command received
        # after a TLS handshake has completed" (RFC 3207 §4.2).
        tls=False,
    ),
    Extension(keyword="VRFY", rfc="RFC 5321", adds="verification of addresses", verbs=("VRFY",)),
)

#: Keyword -> row, in the order of IANA's list.
EXTENSIONS: Final[Mapping[str, Extension]] = MappingProxyType({row.keyword: row for row in _ROWS})

#: Parameter keyword -> (the extensions that bring it, the parameter), for MAIL and for RCPT.
MAIL_PARAMETERS: Final[Mapping[str, tuple[frozenset[str], Parameter]]] = MappingProxyType(
    {
        name: (frozenset(r.keyword for r in _ROWS if name in r.mail), parameter)
        for row in _ROWS
        for name, parameter in row.mail.items()
    }
)
RCPT_PARAMETERS: Final[Mapping[str, tuple[frozenset[str], Parameter]]] = MappingProxyType(
    {
        name: (frozenset(r.keyword for r in _ROWS if name in r.rcpt), parameter)
        for row in _ROWS
        for name, parameter in row.rcpt.items()
    }
)


@final
class UnknownParameter(ValueError):
    """A parameter that no offered extension brings: 555 (RFC 5321 §4.1.1.11)."""


def parse_parameters(
    octets: bytes,
    known: Mapping[str, tuple[frozenset[str], Parameter]],
    offered: frozenset[str],
) -> dict[str, Any]:
    """
    Read the parameters behind a path: fields of `MailParameters` or `RcptParameters`.

    Args:
        octets: What follows the ``>``, with the space in front.
        known: `MAIL_PARAMETERS` or `RCPT_PARAMETERS`.
        offered: The keywords that EHLO gave.

    Raises:
        UnknownParameter: An extension was not offered, or there is none.
        ValueError: The syntax is wrong, or a parameter stands twice.
    """
    fields: dict[str, Any] = {}
    for word in octets.split(b" "):
        if not word:
            continue  # several spaces: harmless, and Outlook Express ended lines in one
        match = esmtp_param.fullmatch(word)
        if match is None:
            raise ValueError("a parameter is keyword or keyword=value")
        keyword = match[1].decode("ascii").upper()
        row = known.get(keyword)
        if row is None or offered.isdisjoint(row[0]):
            raise UnknownParameter(keyword)
        parameter = row[1]
        # "If more than one of either of these parameters appears [...] 501" (RFC 3461 §4.5).
        if parameter.name in fields:
            raise ValueError(f"{keyword} stands twice")
        fields[parameter.name] = parameter.parse(match[2])
    if fields.get("body") is BodyType.BINARY_MIME and "BINARYMIME" not in offered:
        raise UnknownParameter("BODY=BINARYMIME")
    if fields.get("body") is BodyType.EIGHT_BIT_MIME and "8BITMIME" not in offered:
        raise UnknownParameter("BODY=8BITMIME")
    return fields


def format_parameters(
    parameters: MailParameters | RcptParameters,
    known: Mapping[str, tuple[frozenset[str], Parameter]],
    offered: Container[str],
) -> tuple[bytes, list[str]]:
    """
    Write *parameters* for a server that offers *offered*.

    Returns:
        The octets behind the path, each parameter with a space in front; and the keywords of
        the parameters that were asked for and belong to no offered extension, for the caller to
        drop or to give up on.
    """
    words: list[bytes] = []
    missing: list[str] = []
    for keyword, (extensions, parameter) in known.items():
        value = getattr(parameters, parameter.name)
        if value is None or value is False:
            continue
        if not any(extension in offered for extension in extensions):
            missing.append(keyword)
            continue
        octets = parameter.format(value)
        words.append(keyword.encode("ascii") + (b"" if octets is None else b"=" + octets))
    for keyword, text in parameters.other.items():
        words.append(keyword.encode("ascii") + (b"" if text is None else b"=" + text.encode()))
    return b"".join(b" " + word for word in words), missing

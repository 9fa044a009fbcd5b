"""The grammar of command lines (RFC 5321 §4.1.1), without a word about when they are allowed."""

from __future__ import annotations

import binascii
import re
from typing import Any, Final

from corvus_smtp import _grammar
from corvus_smtp._state import Verb
from corvus_smtp.address import Mailbox, _ascii_dotted, _from_match
from corvus_smtp.extensions import MAIL_PARAMETERS, RCPT_PARAMETERS, parse_parameters
from corvus_smtp.parameters import MailParameters, RcptParameters

__all__ = [
    "VERBS",
    "BadAddress",
    "BadSyntax",
    "decode_base64",
    "parse_auth",
    "parse_bdat",
    "parse_mail",
    "parse_rcpt",
]

#: The word in front of the first space, in upper case.
VERBS: Final = {verb.value.encode("ascii"): verb for verb in Verb}

#: What no command may hold: CR and LF on their own, NUL, and the other controls but TAB.
CONTROLS: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
#: Names behind EHLO: "the server MUST NOT refuse" an unverified one (RFC 5321 §4.1.4), and Windows
#: machines give names with underscores; so any visible ASCII.
HELLO_NAME: Final = re.compile(rb"[!-~]{1,255}")

# The plain forms, which nearly every command has: one expression tells and takes them apart.
_ATEXT: Final = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_SUB_DOMAIN: Final = rb"[A-Za-z0-9][A-Za-z0-9-]{0,62}+(?<!-)"
_PLAIN: Final = (
    rb"<((" + _ATEXT + rb"++(?:\." + _ATEXT + rb"++)*+)"
    rb"@(" + _SUB_DOMAIN + rb"(?:\." + _SUB_DOMAIN + rb")*+))>"
)
_PLAIN_MAIL: Final = re.compile(rb"[Mm][Aa][Ii][Ll] [Ff][Rr][Oo][Mm]:" + _PLAIN)
_PLAIN_RCPT: Final = re.compile(rb"[Rr][Cc][Pp][Tt] [Tt][Oo]:" + _PLAIN)

#   mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF
#   Reverse-path   = Path / "<>"
_MAIL: Final = re.compile(
    rb"(?i:MAIL FROM:)(?P<space> *)(?:(?P<null><>)|" + _grammar.PATH + rb")(?P<rest>(?: .*)?)",
    re.DOTALL,
)
#   rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path )
#                [SP Rcpt-parameters] CRLF
_RCPT: Final = re.compile(
    rb"(?i:RCPT TO:)(?P<space> *)(?:<(?P<postmaster>(?i:postmaster))>|"
    + _grammar.PATH
    + rb")(?P<rest>(?: .*)?)",
    re.DOTALL,
)
#   bdat-cmd   ::= "BDAT" SP chunk-size [ SP end-marker ] CR LF      ; RFC 3030 §2
_BDAT: Final = re.compile(rb"(?i:BDAT) ([0-9]{1,19})(?: (?i:(LAST)))? *")
#   auth-command     = "AUTH" SP sasl-mech [SP initial-response]
#                      *(CRLF [base64]) [CRLF cancel-response] CRLF  ; RFC 4954 §8
#   sasl-mech = 1*20(UPPER-ALPHA / DIGIT / "-" / "_")                 ; RFC 4422 §3.1
_AUTH: Final = re.compile(rb"(?i:AUTH) ([A-Za-z0-9_-]{1,20})(?: ([A-Za-z0-9+/=]+))? *")

#   base64          = base64-terminal / ( 1*(4base64-char) [base64-terminal] )
#   base64-terminal = (2base64-char "==") / (3base64-char "=")
_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

_NO_MAIL_PARAMETERS: Final = MailParameters()
_NO_RCPT_PARAMETERS: Final = RcptParameters()


class BadSyntax(ValueError):
    """501 5.5.4: the line is not of the command's form."""


class BadAddress(ValueError):
    """501 5.1.7 or 5.1.3: the line is, but its address is none."""


def _match(pattern: re.Pattern[bytes], line: bytes, head: bytes, *, space: bool) -> re.Match[bytes]:
    match = pattern.fullmatch(line)
    if match is None:
        if line[: len(head)].upper() != head:
            raise BadSyntax
        raise BadAddress
    # "spaces are not permitted on either side of the colon" (RFC 5321 §3.3): Quirks.
    if match["space"] and not space:
        raise BadSyntax
    return match


def _mailbox(match: re.Match[bytes], local_part: int) -> Mailbox:
    try:
        mailbox = _from_match(match)
    except ValueError:
        raise BadAddress from None
    if len(mailbox.local_part.encode("utf-8")) > local_part:
        raise BadAddress
    return mailbox


def parse_mail(
    line: bytes, offered: frozenset[str], *, local_part: int, space: bool
) -> tuple[Mailbox | None, MailParameters]:
    """
    Read a MAIL command.

    Raises:
        BadSyntax: It is none.
        BadAddress: The reverse-path is none.
        UnknownParameter: No offered extension brings a parameter.
        ValueError: The value of a parameter is wrong.
    """
    plain = _PLAIN_MAIL.fullmatch(line)
    if plain is not None:
        octets, local, domain = plain.groups()
        if len(local) <= local_part and len(domain) <= 255:
            return _ascii_dotted(octets, local, domain), _NO_MAIL_PARAMETERS
    match = _match(_MAIL, line, b"MAIL FROM:", space=space)
    path = None if match["null"] else _mailbox(match, local_part)
    fields: dict[str, Any] = parse_parameters(match["rest"], MAIL_PARAMETERS, offered)
    return path, MailParameters(**fields) if fields else _NO_MAIL_PARAMETERS


def parse_rcpt(
    line: bytes, offered: frozenset[str], *, local_part: int, space: bool
) -> tuple[Mailbox, RcptParameters]:
    """Read a RCPT command; raises as `parse_mail` does."""
    plain = _PLAIN_RCPT.fullmatch(line)
    if plain is not None:
        octets, local, domain = plain.groups()
        if len(local) <= local_part and len(domain) <= 255:
            return _ascii_dotted(octets, local, domain), _NO_RCPT_PARAMETERS
    match = _match(_RCPT, line, b"RCPT TO:", space=space)
    if match["postmaster"]:
        path = Mailbox(match["postmaster"].decode("ascii"), "")
    else:
        path = _mailbox(match, local_part)
    fields: dict[str, Any] = parse_parameters(match["rest"], RCPT_PARAMETERS, offered)
    return path, RcptParameters(**fields) if fields else _NO_RCPT_PARAMETERS


def parse_bdat(line: bytes) -> tuple[int, bool]:
    """Read a BDAT command: the size, and whether it is the last (BadSyntax if it is none)."""
    match = _BDAT.fullmatch(line)
    if match is None:
        raise BadSyntax
    return int(match[1]), match[2] is not None


def parse_auth(line: bytes) -> tuple[str, bytes | None]:
    """
    Read an AUTH command: the mechanism in upper case, and the initial response.

    Raises:
        BadSyntax: It is none.
        ValueError: The initial response is not base64.
    """
    match = _AUTH.fullmatch(line)
    if match is None:
        raise BadSyntax
    initial: bytes | None = match[2]
    if initial is not None:
        # "If the client is transmitting an initial response of zero length, it MUST instead
        # transmit the response as a single equals sign ("=")" (RFC 4954 §4).
        initial = b"" if initial == b"=" else decode_base64(initial)
    return match[1].decode("ascii").upper(), initial


def decode_base64(octets: bytes) -> bytes:
    """
    Decode strictly, since "A"s and "="s too many have been ways past a check (RFC 4954 §4).

    Raises:
        ValueError: There is anything but whole groups of four.
    """
    if _BASE64.fullmatch(octets) is None:
        raise ValueError("not base64")
    return binascii.a2b_base64(octets)

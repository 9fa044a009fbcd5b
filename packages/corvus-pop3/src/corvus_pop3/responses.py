"""
Responses: a status, perhaps a code in brackets, and text for people (RFC 1939 §3, RFC 2449 §8).

    single-line = status [SP text] CRLF            ; 512 octets maximum
    status      = "+OK" / "-ERR"
    text        = *schar / resp-code *CHAR         ; RFC 2449 §3
    resp-code   = "[" resp-level *("/" resp-level) "]"
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from corvus_pop3.errors import LocalProtocolError
from corvus_pop3.languages import Text, one_line


class ResponseCode(enum.Enum):
    """Why a command was refused, for programs; the registry of RFC 2449 §9."""

    LOGIN_DELAY = "LOGIN-DELAY"
    """The login delay has not expired (RFC 2449 §8.1.1)."""

    IN_USE = "IN-USE"
    """Authenticated, but the maildrop is locked by another session (RFC 2449 §8.1.2)."""

    SYS_TEMP = "SYS/TEMP"
    """Trouble on our side that will pass; no need to alarm the user (RFC 3206 §4)."""

    SYS_PERM = "SYS/PERM"
    """Trouble on our side that somebody must look after (RFC 3206 §4)."""

    AUTH = "AUTH"
    """The credentials were the problem: ask the user for new ones (RFC 3206 §5)."""

    UTF8 = "UTF8"
    """The message needs UTF8 mode (RFC 6856 §5)."""


#: What is said when the caller gives a code alone.
TEXT_OF_CODE: Final[Mapping[ResponseCode | None, Text]] = {
    None: Text.REFUSED,
    ResponseCode.LOGIN_DELAY: Text.LOGIN_DELAY,
    ResponseCode.IN_USE: Text.IN_USE,
    ResponseCode.SYS_TEMP: Text.TRY_LATER,
    ResponseCode.SYS_PERM: Text.ASK_SUPPORT,
    ResponseCode.AUTH: Text.CREDENTIALS,
    ResponseCode.UTF8: Text.NEEDS_UTF8,
}

MAX_LINE: Final = 512


def format_response(
    ok: bool, text: str, *, code: ResponseCode | None = None, utf8: bool = False
) -> bytes:
    """
    A status line with CRLF.

    Args:
        utf8: Whether the client has asked for UTF-8 or for a language; else text is ASCII.

    Raises:
        LocalProtocolError: A line end or NUL in *text*, a letter the client did not ask for, a
            bracket in front that would be read as a code, or more than 512 octets in all.
    """
    if not one_line(text) or not (utf8 or text.isascii()):
        raise LocalProtocolError(f"not a line of {'UTF-8' if utf8 else 'ASCII'}: {text!r}")
    if text.startswith("["):
        # RESP-CODES promises "that any response text issued by this server which begins with an
        # open square bracket ("[") is an extended response code" (RFC 2449 §6.4).
        raise LocalProtocolError(f"would be read as a response code: {text!r}")
    parts = ["+OK" if ok else "-ERR", f"[{code.value}]" if code else "", text]
    line = " ".join(part for part in parts if part).encode() + b"\r\n"
    if len(line) > MAX_LINE:
        raise LocalProtocolError(f"a response of {len(line)} octets, {MAX_LINE} are allowed")
    return line


#   status, then nothing or a space; a code only directly behind it.
_RESPONSE = re.compile(rb"(\+OK|-ERR)(?: (?:\[([!-\\^-~]{1,64})\] ?)?([^\x00\r\n]*))?")


@final
@dataclass(frozen=True, slots=True)
class Response:
    """A status line as a client reads it."""

    ok: bool
    text: str
    """For people, without the code; what is not UTF-8 is replaced by U+FFFD."""

    code: str | None = None
    """The response code in upper case and with all its levels, such as ``SYS/TEMP``."""

    def is_code(self, code: ResponseCode) -> bool:
        """
        Whether the code is *code* or a detail of it.

        "Clients MUST ignore unknown hierarchical detail about the response code"
        (:rfc:`2449#section-8`).

        >>> parse_response(b"-ERR [sys/temp/disk] later").is_code(ResponseCode.SYS_TEMP)
        True
        """
        return f"{self.code or ''}/".startswith(f"{code.value}/")


def parse_response(line: bytes) -> Response | None:
    """
    Read a status line that has lost its CRLF; ``None`` if it is none.

    >>> parse_response(b"-ERR [IN-USE] Do you have another POP session running?")
    Response(ok=False, text='Do you have another POP session running?', code='IN-USE')
    """
    found = _RESPONSE.fullmatch(line)
    if found is None:
        return None
    status, code, text = found.groups()
    return Response(
        ok=status == b"+OK",
        text=(text or b"").decode("utf-8", "replace"),
        code=code.decode("ascii").upper() if code else None,
    )

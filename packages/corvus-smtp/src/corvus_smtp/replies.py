"""Replies and enhanced status codes (RFC 5321 §4.2, RFC 2034, RFC 3463, RFC 5248).

A `Reply` is the same value on both sides: what a server sends and what a client received.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, final

__all__ = ["CODES", "ENHANCED_CODES", "EnhancedStatus", "Reply"]

#: "The maximum total length of a reply line including the reply code and the <CRLF> is
#: 512 octets" (RFC 5321 §4.5.3.1.5); longer texts are spread over several lines.
REPLY_LINE: Final = 512

#: What may not stand in a line of text: it would be, or be taken for, a line end.
_FORBIDDEN: Final = re.compile("[\x00\r\n]")
#: What a received line may hold and a person's terminal should not.
_CONTROLS: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")

#   status-code = class "." subject "." detail      ; RFC 2034 §4
#   class = "2" / "4" / "5"; subject = 1*3digit; detail = 1*3digit
_STATUS: Final = re.compile(r"([245])\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})")
_LEADING_STATUS: Final = re.compile(r"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?: +|$)")


@final
@dataclass(frozen=True, slots=True, order=True)
class EnhancedStatus:
    """
    An enhanced mail system status code, such as ``5.1.1`` (:rfc:`3463#section-2`).

    >>> EnhancedStatus.parse("5.1.1")
    EnhancedStatus(class_=5, subject=1, detail=1)
    >>> str(EnhancedStatus(4, 2, 2))
    '4.2.2'
    """

    class_: int
    subject: int
    detail: int

    def __post_init__(self) -> None:
        if self.class_ not in (2, 4, 5):
            raise ValueError(f"class must be 2, 4 or 5, not {self.class_}")
        if not (0 <= self.subject <= 999 and 0 <= self.detail <= 999):
            raise ValueError("subject and detail have at most three digits")

    @classmethod
    def parse(cls, text: str) -> EnhancedStatus:
        """Read ``class.subject.detail``; leading zeros are refused, as in :rfc:`2034#section-4`."""
        match = _STATUS.fullmatch(text)
        if match is None:
            raise ValueError(f"not an enhanced status code: {text!r}")
        return cls(int(match[1]), int(match[2]), int(match[3]))

    def __str__(self) -> str:
        return f"{self.class_}.{self.subject}.{self.detail}"


@final
@dataclass(frozen=True, slots=True, init=False)
class Reply:
    """
    One reply: three digits, perhaps an enhanced status, any number of lines of text.

    >>> Reply(550, "5.1.1", "No such user").wire()
    b'550 5.1.1 No such user\\r\\n'
    >>> Reply(250, None, ("mx.example", "PIPELINING")).wire()
    b'250-mx.example\\r\\n250 PIPELINING\\r\\n'
    >>> Reply(550, "5.1.1", "two\\r\\n250 lines")
    Traceback (most recent call last):
    ...
    ValueError: a line of a reply may not hold CR, LF or NUL

    Args:
        code: 200 to 599.
        enhanced: An `EnhancedStatus` or its text; its class must be that of the code.
        text: One line, or several.

    Raises:
        ValueError: A line holds CR, LF or NUL; the code is no reply code; the classes differ.
    """

    code: int
    enhanced: EnhancedStatus | None
    lines: tuple[str, ...]

    def __init__(
        self,
        code: int,
        enhanced: EnhancedStatus | str | None = None,
        text: str | Iterable[str] = "",
    ) -> None:
        if not 200 <= code <= 599:
            raise ValueError(f"{code} is no reply code")
        if isinstance(enhanced, str):
            enhanced = EnhancedStatus.parse(enhanced)
        # "All status codes returned by the server must agree with the primary response code"
        # (RFC 2034 §4).
        if enhanced is not None and enhanced.class_ != code // 100:
            raise ValueError(f"{enhanced} does not go with {code}")
        lines = (text,) if isinstance(text, str) else tuple(text) or ("",)
        for line in lines:
            if _FORBIDDEN.search(line):
                raise ValueError("a line of a reply may not hold CR, LF or NUL")
        object.__setattr__(self, "code", code)
        object.__setattr__(self, "enhanced", enhanced)
        object.__setattr__(self, "lines", lines)

    @property
    def text(self) -> str:
        """The lines, joined by spaces: what a log or a bounce shows."""
        return " ".join(self.lines)

    @property
    def positive(self) -> bool:
        """2yz: done."""
        return 200 <= self.code < 300

    @property
    def intermediate(self) -> bool:
        """3yz: go on."""
        return 300 <= self.code < 400

    @property
    def temporary(self) -> bool:
        """4yz: "the action may be requested again" (:rfc:`5321#section-4.2.1`)."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """5yz: "the SMTP client SHOULD NOT repeat the exact request"."""
        return self.code >= 500

    def wire(self, *, enhanced: bool = True, utf8: bool = False) -> bytes:
        """
        Give the octets, CRLF included.

        Args:
            enhanced: Whether the status stands in front of each line, as
                :rfc:`2034#section-3` wants it once ENHANCEDSTATUSCODES is offered.
            utf8: Whether the client asked for SMTPUTF8; else what is not ASCII is escaped
                (:rfc:`6531#section-3.7.4.1`: no UTF-8 for a client that did not).
        """
        status = f"{self.enhanced} " if enhanced and self.enhanced is not None else ""
        encoding = "utf-8" if utf8 else "ascii"
        room = REPLY_LINE - len("250 ") - len(status) - len("\r\n")
        lines: list[bytes] = []
        for line in self.lines:
            octets = line.encode(encoding, "backslashreplace")
            while len(octets) > room:
                cut = octets.rfind(b" ", room // 2, room) + 1 or room
                while utf8 and cut > 1 and octets[cut] & 0xC0 == 0x80:
                    cut -= 1  # not inside a character
                lines.append(octets[:cut])
                octets = octets[cut:]
            lines.append(octets)
        head = b"%d" % self.code
        prefix = status.encode("ascii")
        last = len(lines) - 1
        return b"".join(
            b"%b%b%b%b\r\n" % (head, b" " if n == last else b"-", prefix, line)
            for n, line in enumerate(lines)
        )

    @classmethod
    def parse(cls, lines: Iterable[bytes]) -> Reply:
        """
        Make a reply of received lines, without CRLF, each ``ddd``, ``ddd text`` or ``ddd-text``.

        Replies of any shape become one: text in 8 bits that is not UTF-8 is shown as
        ``\\xNN``, control characters as U+FFFD, and of several codes the last counts (as it
        does for Postfix and smtplib).  An enhanced status is taken off every line that begins with it.

        >>> Reply.parse([b"550-5.7.1 no", b"550 5.7.1 way"])
        Reply(code=550, enhanced=EnhancedStatus(class_=5, subject=7, detail=1), lines=('no', 'way'))

        Raises:
            ValueError: A line does not begin with a reply code.
        """
        code = 0
        texts: list[str] = []
        for line in lines:
            digits = line[:3]
            if len(digits) != 3 or not digits.isdigit() or line[3:4] not in (b"", b" ", b"-"):
                raise ValueError("a line of the reply has no reply code")
            code = int(digits)
            text = line[4:].decode("utf-8", "backslashreplace")
            texts.append(_CONTROLS.sub("\ufffd", text))
        status: EnhancedStatus | None = None
        match = _LEADING_STATUS.match(texts[-1]) if texts else None
        if match is not None and int(match[1]) == code // 100:
            status = EnhancedStatus(int(match[1]), int(match[2]), int(match[3]))
            prefix = match[0].rstrip(" ")
            texts = [
                text[len(prefix) :].lstrip(" ")
                if text == prefix or text.startswith(prefix + " ")
                else text
                for text in texts
            ]
        return cls(code, status, texts)

    def __str__(self) -> str:
        parts = [str(self.code), str(self.enhanced) if self.enhanced else "", self.text]
        return " ".join(part for part in parts if part)


#: Reply code -> (RFC, meaning), the codes of RFC 5321 §4.2.3 and of the extensions here.
CODES: Final[Mapping[int, tuple[str, str]]] = {
    211: ("RFC 5321", "system status, or system help reply"),
    214: ("RFC 5321", "help message"),
    220: ("RFC 5321", "service ready"),
    221: ("RFC 5321", "service closing transmission channel"),
    235: ("RFC 4954", "authentication succeeded"),
    250: ("RFC 5321", "requested mail action okay, completed"),
    251: ("RFC 5321", "user not local; will forward"),
    252: ("RFC 5321", "cannot VRFY user, but will accept message and attempt delivery"),
    334: ("RFC 4954", "a challenge, base64"),
    354: ("RFC 5321", "start mail input; end with <CRLF>.<CRLF>"),
    421: ("RFC 5321", "service not available, closing transmission channel"),
    432: ("RFC 4954", "a password transition is needed"),
    450: ("RFC 5321", "mailbox unavailable (busy, or blocked for policy reasons)"),
    451: ("RFC 5321", "local error in processing"),
    452: ("RFC 5321", "insufficient system storage; too many recipients"),
    454: ("RFC 3207", "TLS not available due to temporary reason; temporary failure of AUTH"),
    455: ("RFC 5321", "server unable to accommodate parameters"),
    500: ("RFC 5321", "syntax error, command unrecognised or line too long"),
    501: ("RFC 5321", "syntax error in parameters or arguments"),
    502: ("RFC 5321", "command not implemented"),
    503: ("RFC 5321", "bad sequence of commands"),
    504: ("RFC 5321", "command parameter not implemented"),
    521: ("RFC 7504", "host does not accept mail"),
    530: ("RFC 3207", "STARTTLS or authentication required"),
    534: ("RFC 4954", "authentication mechanism is too weak"),
    535: ("RFC 4954", "authentication credentials invalid"),
    538: ("RFC 4954", "encryption required for requested authentication mechanism"),
    550: ("RFC 5321", "mailbox unavailable (no such user, or policy)"),
    551: ("RFC 5321", "user not local; please try another path"),
    552: ("RFC 5321", "exceeded storage allocation"),
    553: ("RFC 5321", "mailbox name not allowed"),
    554: ("RFC 5321", "transaction failed, or no SMTP service here"),
    555: ("RFC 5321", "MAIL FROM or RCPT TO parameters not recognised or not implemented"),
    556: ("RFC 7504", "domain does not accept mail"),
}

#: ``subject.detail`` -> (RFC, meaning): the registry of RFC 5248, as far as mail needs it.
ENHANCED_CODES: Final[Mapping[str, tuple[str, str]]] = {
    "0.0": ("RFC 3463", "other or undefined"),
    "1.0": ("RFC 3463", "other address status"),
    "1.1": ("RFC 3463", "bad destination mailbox address"),
    "1.2": ("RFC 3463", "bad destination system address"),
    "1.3": ("RFC 3463", "bad destination mailbox address syntax"),
    "1.4": ("RFC 3463", "destination mailbox address ambiguous"),
    "1.5": ("RFC 3463", "destination address valid"),
    "1.6": ("RFC 3463", "destination mailbox has moved, no forwarding address"),
    "1.7": ("RFC 3463", "bad sender's mailbox address syntax"),
    "1.8": ("RFC 3463", "bad sender's system address"),
    "1.9": ("RFC 3886", "message relayed to non-compliant mailer"),
    "1.10": ("RFC 7505", "recipient address has null MX"),
    "2.0": ("RFC 3463", "other mailbox status"),
    "2.1": ("RFC 3463", "mailbox disabled, not accepting messages"),
    "2.2": ("RFC 3463", "mailbox full"),
    "2.3": ("RFC 3463", "message length exceeds administrative limit"),
    "2.4": ("RFC 3463", "mailing list expansion problem"),
    "3.0": ("RFC 3463", "other mail system status"),
    "3.1": ("RFC 3463", "mail system full"),
    "3.2": ("RFC 3463", "system not accepting network messages"),
    "3.3": ("RFC 3463", "system not capable of selected features"),
    "3.4": ("RFC 3463", "message too big for system"),
    "3.5": ("RFC 3463", "system incorrectly configured"),
    "4.0": ("RFC 3463", "other network or routing status"),
    "4.1": ("RFC 3463", "no answer from host"),
    "4.2": ("RFC 3463", "bad connection"),
    "4.3": ("RFC 3463", "directory server failure"),
    "4.4": ("RFC 3463", "unable to route"),
    "4.5": ("RFC 3463", "mail system congestion"),
    "4.6": ("RFC 3463", "routing loop detected"),
    "4.7": ("RFC 3463", "delivery time expired"),
    "5.0": ("RFC 3463", "other protocol status"),
    "5.1": ("RFC 3463", "invalid command"),
    "5.2": ("RFC 3463", "syntax error"),
    "5.3": ("RFC 3463", "too many recipients"),
    "5.4": ("RFC 3463", "invalid command arguments"),
    "5.5": ("RFC 3463", "wrong protocol version"),
    "5.6": ("RFC 4954", "authentication exchange line is too long"),
    "6.0": ("RFC 3463", "other media error"),
    "6.1": ("RFC 3463", "media not supported"),
    "6.2": ("RFC 3463", "conversion required and prohibited"),
    "6.3": ("RFC 3463", "conversion required but not supported"),
    "6.4": ("RFC 3463", "conversion with loss performed"),
    "6.5": ("RFC 3463", "conversion failed"),
    "6.6": ("RFC 4468", "message content not available"),
    "6.7": ("RFC 6531", "non-ASCII addresses not permitted for that sender or recipient"),
    "6.8": ("RFC 6531", "UTF-8 string reply is required, but not permitted"),
    "6.9": ("RFC 6531", "UTF-8 header message cannot be transferred"),
    "7.0": ("RFC 3463", "other security status"),
    "7.1": ("RFC 3463", "delivery not authorised, message refused"),
    "7.2": ("RFC 3463", "mailing list expansion prohibited"),
    "7.3": ("RFC 3463", "security conversion required but not possible"),
    "7.4": ("RFC 3463", "security features not supported"),
    "7.5": ("RFC 3463", "cryptographic failure"),
    "7.6": ("RFC 3463", "cryptographic algorithm not supported"),
    "7.7": ("RFC 3463", "message integrity failure"),
    "7.8": ("RFC 4954", "authentication credentials invalid"),
    "7.9": ("RFC 4954", "authentication mechanism is too weak"),
    "7.10": ("RFC 5248", "encryption needed"),
    "7.11": ("RFC 4954", "encryption required for requested authentication mechanism"),
    "7.12": ("RFC 4954", "a password transition is needed"),
    "7.13": ("RFC 5248", "user account disabled"),
    "7.14": ("RFC 5248", "trust relationship required"),
    "7.15": ("RFC 6710", "priority level is too low"),
    "7.16": ("RFC 6710", "message is too big for the specified priority"),
    "7.17": ("RFC 7293", "mailbox owner has changed"),
    "7.18": ("RFC 7293", "domain owner has changed"),
    "7.19": ("RFC 7293", "RRVS test cannot be completed"),
    "7.20": ("RFC 7372", "no passing DKIM signature found"),
    "7.21": ("RFC 7372", "no acceptable DKIM signature found"),
    "7.22": ("RFC 7372", "no valid author-matched DKIM signature found"),
    "7.23": ("RFC 7372", "SPF validation failed"),
    "7.24": ("RFC 7372", "SPF validation error"),
    "7.25": ("RFC 7372", "reverse DNS validation failed"),
    "7.26": ("RFC 7372", "multiple authentication checks failed"),
    "7.27": ("RFC 7505", "sender address has null MX"),
    "7.28": ("RFC 7505", "mail flood detected"),
    "7.29": ("RFC 8617", "ARC validation failure"),
    "7.30": ("RFC 8689", "REQUIRETLS support required"),
}

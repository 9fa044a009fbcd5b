"""Mailboxes: what stands between ``<`` and ``>`` (RFC 5321 §4.1.2, §4.1.3; RFC 6531 §3.3)."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final, final

from corvus_smtp import _grammar

__all__ = ["IPAddress", "Mailbox", "parse_address_literal"]

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Controls (C0, DEL, C1), the separators that some libraries take for line ends, and
#: surrogates, which are no characters: none may stand in an address.
_FORBIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNQUOTE: Final = re.compile(r"\\(.)", re.DOTALL)
_QUOTE: Final = re.compile(r'(["\\])')

#: Octets of a domain: the limit of RFC 5321 §4.5.3.1.2, and of DNS itself.
_DOMAIN_OCTETS: Final = 255


@final
class Mailbox:
    """
    An address: a local part, without quotes, and a domain or an address literal.

    >>> str(Mailbox("alice", "example.com"))
    'alice@example.com'
    >>> str(Mailbox("Joe Doe", "[192.0.2.1]"))
    '"Joe Doe"@[192.0.2.1]'
    >>> Mailbox.parse('"a@b"@c.example').local_part
    'a@b'
    >>> Mailbox("a@b>\\r\\nRCPT TO:<x", "y")
    Traceback (most recent call last):
    ...
    ValueError: a local part may not hold control characters

    Two mailboxes are equal when their local parts are, and their domains but for case
    (:rfc:`5321#section-2.4`).  The domain ``""`` goes with the local part ``postmaster``
    alone, which every server knows without one (:rfc:`5321#section-4.1.1.3`).

    Raises:
        ValueError: The text is no address.
    """

    __slots__ = ("_octets", "domain", "local_part")

    local_part: str
    """Without quotes and backslashes; case matters only to the domain's owner."""
    domain: str
    """As it was written: a domain, an address literal with its brackets, or ``""``."""
    _octets: bytes

    def __init__(self, local_part: str, domain: str) -> None:
        if _FORBIDDEN.search(local_part):
            raise ValueError("a local part may not hold control characters")
        if not domain:
            if local_part.lower() != "postmaster":
                raise ValueError("only postmaster has no domain")
        else:
            _check_domain(domain)
        octets = local_part.encode("utf-8")
        if _grammar.dot_string.fullmatch(octets) is None:
            octets = b'"%b"' % _QUOTE.sub(r"\\\1", local_part).encode("utf-8")
        if domain:
            octets = b"%b@%b" % (octets, domain.encode("utf-8"))
        object.__setattr__(self, "local_part", local_part)
        object.__setattr__(self, "domain", domain)
        object.__setattr__(self, "_octets", octets)

    @classmethod
    def parse(cls, text: str | bytes) -> Mailbox:
        """
        Read ``local-part@domain``, without angle brackets; quoted local parts are unquoted.

        Raises:
            ValueError: It is none, or its octets are not UTF-8.
        """
        try:
            octets = text.encode("utf-8") if isinstance(text, str) else bytes(text)
        except UnicodeEncodeError:
            raise ValueError("an address may not hold surrogates") from None
        match = _grammar.mailbox.fullmatch(octets)
        if match is None:
            raise ValueError("not an address: local-part@domain, with no name and no brackets")
        return _from_match(match)

    def __bytes__(self) -> bytes:
        """The octets on the wire, in UTF-8 where they are not ASCII."""
        return self._octets

    def __str__(self) -> str:
        return self._octets.decode("utf-8")

    def __repr__(self) -> str:
        return f"Mailbox({self.local_part!r}, {self.domain!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mailbox):
            return NotImplemented
        return self.local_part == other.local_part and self.domain.lower() == other.domain.lower()

    def __hash__(self) -> int:
        return hash((self.local_part, self.domain.lower()))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Mailbox does not change: {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Mailbox does not change: {name}")

    def __reduce__(self) -> tuple[type[Mailbox], tuple[str, str]]:
        return Mailbox, (self.local_part, self.domain)

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server that offers SMTPUTF8 can take it (:rfc:`6531#section-3.2`)."""
        return not self._octets.isascii()

    @property
    def address_literal(self) -> IPAddress | None:
        """The IP address, if the domain is a literal of one."""
        return parse_address_literal(self.domain)


def parse_address_literal(text: str) -> IPAddress | None:
    """
    Read ``[192.0.2.1]`` or ``[IPv6:2001:db8::1]`` (:rfc:`5321#section-4.1.3`), else ``None``.

    >>> parse_address_literal("[IPv6:2001:db8::1]")
    IPv6Address('2001:db8::1')
    """
    if not text.isascii() or not _grammar.address_literal.fullmatch(text.encode("ascii")):
        return None
    inner = text[1:-1]
    try:
        if inner.startswith("IPv6:"):
            return ipaddress.IPv6Address(inner[5:])
        return ipaddress.IPv4Address(inner)
    except ValueError:
        return None


def _check_domain(domain: str) -> None:
    try:
        octets = domain.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a domain may not hold surrogates") from None
    if len(octets) > _DOMAIN_OCTETS:
        raise ValueError(f"a domain has at most {_DOMAIN_OCTETS} octets")
    if octets.startswith(b"["):
        if parse_address_literal(domain) is None:
            raise ValueError("not an address literal")
    elif _grammar.domain.fullmatch(octets) is None or _FORBIDDEN.search(domain):
        raise ValueError("not a domain")


def _from_match(match: re.Match[bytes]) -> Mailbox:
    """Make a mailbox of a match of `_grammar.MAILBOX`."""
    local, domain = match["dotted"], match["domain"]
    if local is None:
        quoted = _decode(match["quoted"][1:-1])
        return Mailbox(_UNQUOTE.sub(r"\1", quoted), _decode(domain))
    return Mailbox(_decode(local), _decode(domain))


def _decode(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("an address beyond ASCII is in UTF-8") from None


# The way of the hot path: three slots set by their descriptors cost a tenth of the checks above,
# which the expression that matched has made already.
_set_local: Final[Any] = Mailbox.__dict__["local_part"].__set__
_set_domain: Final[Any] = Mailbox.__dict__["domain"].__set__
_set_octets: Final[Any] = Mailbox.__dict__["_octets"].__set__


def _ascii_dotted(octets: bytes, local: bytes, domain: bytes) -> Mailbox:
    """Make a mailbox of what matched ASCII ``Dot-string "@" Domain`` and has been measured."""
    mailbox = Mailbox.__new__(Mailbox)
    _set_local(mailbox, local.decode("ascii"))
    _set_domain(mailbox, domain.decode("ascii"))
    _set_octets(mailbox, octets)
    return mailbox

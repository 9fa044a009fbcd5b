"""A smarthost: where all mail goes, and how to sign in there."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, final
from urllib.parse import unquote

from corvus_auth.lookup import Lookup
from corvus_server.outbound.routing import Hop, Route


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """
    The next server for everything, whatever the MX records say.

    With a user it is told our credentials, and then only under TLS with a certificate that is valid
    for `host`.
    """

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Relay | None:
        """
        Read ``host:port`` or ``user:password@host:port``; empty is none.

        In user and password ``%40`` is ``@``, ``%3A`` is ``:`` and ``%25`` is ``%``.

        >>> Relay.parse("alice%40corvus.example:secret@relay.example:587")
        Relay(host='relay.example', port=587, user='alice@corvus.example')
        >>> Relay.parse("[2001:db8::1]")
        Relay(host='2001:db8::1', port=25, user='')

        Raises:
            ValueError: It is neither.
        """
        if not text:
            return None
        credentials, _, place = text.rpartition("@")
        user, _, password = credentials.partition(":")
        host, port = place, "25"
        if (not place.endswith("]") and place.count(":") == 1) or "]:" in place:
            host, _, port = place.rpartition(":")
        if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
            raise ValueError("a relay is host:port or user:password@host:port")
        host = host.strip("[]").lower()
        if ":" in host:
            ip_address(host)  # what else would have colons
        user, password = unquote(user), unquote(password)
        if "\0" in user + password:
            raise ValueError("a relay is host:port or user:password@host:port")
        return cls(host=host, port=int(port), user=user, password=password)

    @property
    def signs_in(self) -> bool:
        """Whether there are credentials to be told."""
        return bool(self.user)

    def plain(self) -> bytes:
        """The initial response of PLAIN (:rfc:`4616#section-2`)."""
        return b"\0".join((b"", self.user.encode(), self.password.encode()))

    def route(self) -> Generator[Any, Any, Route]:
        """All mail goes to one host; that it has no address is trouble that passes."""
        try:
            addresses: tuple[str, ...] = (str(ip_address(self.host)),)
        except ValueError:
            answers = yield (Lookup(self.host, "AAAA"), Lookup(self.host, "A"))
            addresses = tuple(str(record) for answer in answers for record in answer.records)
        if not addresses:
            return Route(
                domain=self.host,
                code=451,
                enhanced="4.4.3",
                reason="the relay has no address just now",
            )
        return Route(
            domain=self.host,
            hops=(Hop(host=self.host, preference=0, addresses=addresses),),
            reason="all mail goes to the relay",
        )

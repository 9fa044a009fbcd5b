"""Listening sockets, and the connections that came through them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Final, final

from corvus_server.config import ListenAddress
from corvus_server.transports.limits import ConnectionGate
from corvus_server.transports.stream import Engine, Session, Shell

#: Connections that the kernel may hold for us until we accept them.
BACKLOG: Final = 1024


class ListenError(Exception):
    """An address cannot be listened on; the message is one sentence."""


def bind(address: ListenAddress) -> list[socket.socket]:
    """
    Listening sockets for *address*; one for ``host:port``, v6 and v4 for ``:port``.

    They are made with ``IPPROTO_TCP``: asyncio sets ``TCP_NODELAY`` only on sockets that say so,
    and without it Nagle's algorithm and delayed ACKs cost pipelining clients a factor of sixteen.

    Raises:
        ListenError: The port is taken, reserved or not ours.
    """
    families: list[tuple[socket.AddressFamily, str]]
    if address.host:
        host = "127.0.0.1" if address.host == "localhost" else address.host
        families = [(socket.AF_INET6 if ":" in host else socket.AF_INET, host)]
    else:
        families = [(socket.AF_INET, "0.0.0.0")]  # noqa: S104 - ":25" means all addresses
        if socket.has_ipv6:
            families.append((socket.AF_INET6, "::"))
    bound: list[socket.socket] = []
    port = address.port
    for family, host in families:
        try:
            each = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        except OSError:
            continue  # a kernel without IPv6
        try:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            each.bind((host, port))
            each.listen(BACKLOG)
            each.setblocking(False)
        except OSError as error:
            each.close()
            if (
                family == socket.AF_INET6
                and not address.host
                and error.errno == errno.EADDRNOTAVAIL
            ):
                continue  # IPv6 is compiled in and switched off
            for other in bound:
                other.close()
            raise ListenError(_sentence(address, error)) from error
        bound.append(each)
        port = each.getsockname()[1]  # port 0: the same for both families
    return bound


def _sentence(address: ListenAddress, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{address} is in use by another program; stop it or choose another port."
    if error.errno == errno.EACCES:
        return (
            f"{address} may only be used by the administrator; give the program the capability"
            " CAP_NET_BIND_SERVICE or let systemd open the socket."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is not an address of this machine."
    return f"{address} cannot be listened on: {error.strerror}."


@final
@dataclass(frozen=True, slots=True)
class Service:
    """What a listener serves."""

    name: str
    """``smtp``, ``submission``, ``imap`` ...: the protocol in the log, and its setting."""
    engine: Engine
    make: Callable[[Shell, bool], Session]
    """Builds a session; the flag says whether the connection may stay (`ConnectionGate`)."""
    implicit_tls: bool = False


@final
@dataclass(slots=True)
class Listener:
    """One service on its sockets."""

    service: Service
    sockets: list[socket.socket]
    servers: list[asyncio.Server] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.sockets[0].getsockname()[1])

    @property
    def address(self) -> str:
        """``host:port`` of the first socket, with the port that was really taken."""
        host, port = self.sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@final
class Listeners:
    """All listeners of a server and every connection that lives."""

    def __init__(
        self,
        *,
        gate: ConnectionGate,
        tls: ssl.SSLContext | None,
        certificate: Callable[[], bytes | None] = lambda: None,
        identify: Callable[[str], str] = lambda address: address,
    ) -> None:
        self._gate = gate
        self._tls = tls
        self._certificate = certificate
        self._identify = identify
        self._numbers = count(1)
        self.listeners: list[Listener] = []
        self.connections: dict[str, tuple[Service, Shell]] = {}
        """Who is connected, by connection id."""

    async def open(self, service: Service, sockets: Iterable[socket.socket]) -> Listener:
        """Serve *service* on *sockets*, which become ours to close."""
        listener = Listener(service, list(sockets))
        loop = asyncio.get_running_loop()
        for each in listener.sockets:
            server = await loop.create_server(
                lambda: self.shell(service),
                sock=each,
                ssl=self._tls if service.implicit_tls else None,
                ssl_handshake_timeout=30.0 if service.implicit_tls else None,
                backlog=BACKLOG,
            )
            listener.servers.append(server)
        self.listeners.append(listener)
        return listener

    def shell(self, service: Service) -> Shell:
        """
        The protocol of one new connection to *service*, counted and listed as any other.

        Sockets are not needed: whoever has a transport of another kind, as the simulation has,
        hands it to the shell's `connection_made`.
        """
        connection = f"{service.name[:4]}-{next(self._numbers):x}"

        def make(shell: Shell) -> Session:
            self.connections[connection] = (service, shell)
            return service.make(shell, self._gate.enter(shell.peer.address))

        def gone(shell: Shell) -> None:
            self._gate.leave(shell.peer.address)
            self.connections.pop(connection, None)

        return Shell(
            service.engine,
            make,
            connection=connection,
            tls=self._tls,
            tls_certificate=self._certificate,
            identify=self._identify,
            on_close=gone,
        )

    async def close(self, *, grace: float = 5.0) -> None:
        """Stop listening, let answers at work finish for *grace* seconds, say goodbye, close."""
        for listener in self.listeners:
            for server in listener.servers:
                server.close()
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        for _, shell in list(self.connections.values()):
            if not shell.busy:
                _dismiss(shell)
        while self.connections and loop.time() < end:
            for _, shell in list(self.connections.values()):
                if not shell.busy:
                    _dismiss(shell)
            await asyncio.sleep(0.02)
        for _, shell in list(self.connections.values()):
            shell.abort()
        for _ in range(3):
            await asyncio.sleep(0)
        self.listeners.clear()


def _dismiss(shell: Shell) -> None:
    conn = shell.session.conn
    with contextlib.suppress(Exception):  # a goodbye is a courtesy; closing is not
        if not conn.closing and not conn.tls_pending:
            shell.session.dismiss("the server is shutting down")
    shell.disconnect()

"""What the pages need of the server, in one place, so that a test can build it over a store alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from corvus_server.accounts.lockout import Lockout
from corvus_server.accounts.signin import SignIn
from corvus_server.config import Config
from corvus_server.log import EventLog
from corvus_server.operations import Operations
from corvus_server.outbound.submission import Submitter
from corvus_server.storage.protocols import Store

if TYPE_CHECKING:
    from corvus_server.app import Server

#: Seconds in which a mail that was sent can be called back.
UNDO_SEND = 10.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a page may touch; nothing here knows of HTTP."""

    config: Config
    store: Store
    operations: Operations
    sign_in: SignIn
    submitter: Submitter
    log: EventLog
    lockout: Lockout
    resolver: Any = None
    """``aresolve`` (corvus_auth.lookup): what the DNS checklist asks."""
    network: Any = None
    """How connections to other servers are made (`network.Network`); ``None``: the machine's own."""
    connections: Callable[[], Iterable[tuple[str, Any, Any]]] = tuple
    """Who is connected now: (connection id, service, shell)."""
    fingerprint: Callable[[], str] = str
    """SHA-256 of the certificate, or the empty text."""
    addresses: Callable[[], dict[str, str]] = dict
    """Where each listener listens, by the name of its setting."""
    now: Callable[[], float] = time.time
    """The wall clock, seconds since the epoch."""
    token: Callable[[int], bytes] = os.urandom
    """Random octets."""
    undo_send: float = UNDO_SEND


def services_of(server: Server) -> Services:
    """The services of a running server."""

    def connections() -> list[tuple[str, Any, Any]]:
        held = server.listeners.connections
        return [(name, service, shell) for name, (service, shell) in list(held.items())]

    return Services(
        config=server.config,
        store=server.store,
        operations=server.operations,
        sign_in=server.sign_in,
        submitter=server.submitter,
        log=server.log,
        lockout=server.lockout,
        resolver=server.resolver,
        network=server.world.network,
        connections=connections,
        fingerprint=lambda: server.certificate.fingerprint,
        addresses=server.addresses,
        now=server.world.now,
        token=server.world.token,
    )

"""The one transport shell: an `asyncio.Protocol` under any engine of the contract.

It pulls events inside ``data_received``, hands each to the session, and writes once per read.  A
session that is done answers at once; only one that has to wait returns an awaitable and costs a
task.  The shell owns the clock, TLS, backpressure and the end of a connection; it knows no verb.
(docs/explanation/engine-contract.md)

What may not enter: an ``if`` about a command, a policy, a store.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

from corvus_server.tls import SessionFacts, facts_of

#: Octets an engine may hold while a session works on an event; more and we stop reading.
READ_AHEAD: Final = 64 * 1024
#: Octets that may wait to be written before a session's `Shell.drain` waits.
WRITE_HIGH: Final = 256 * 1024
#: Octets that must arrive within one `conn.timeout` for body chunks to count as progress: a peer
#: that sends one octet a minute has stalled (checklist row 27).
PROGRESS: Final = 1024
#: Seconds for a TLS handshake.
HANDSHAKE_TIMEOUT: Final = 30.0
#: Seconds a peer may leave our answers unread before we give up.
WRITE_TIMEOUT: Final = 300.0

_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What the shell must know of a protocol package: its waits, its error, its bulk events."""

    need_data: Any
    paused: Any
    protocol_error: type[Exception]
    ended: type
    tls_info: Callable[[SessionFacts], Any]
    """Makes the package's ``TLSInfo`` from the facts of a handshake."""
    bulk: tuple[type, ...] = ()
    """Events that carry pieces of a body: they count as progress only by their weight."""


class Session(Protocol):
    """What a connection *means*: events in, answers to its engine."""

    conn: Any
    """The engine."""

    def handle(self, event: Any, /) -> Awaitable[None] | None:
        """Answer *event*; an awaitable when the answer has to wait."""

    def secured(self, facts: SessionFacts, /) -> None:
        """TLS is up; `conn` has been told already."""

    def failed(self, error: Exception, /) -> None:
        """Answering raised *error*, a defect of ours: say goodbye without saying why."""

    def dismiss(self, reason: str, /) -> None:
        """Say the protocol's goodbye, for *reason*; `conn.closing` is true after it."""

    def closed(self) -> None:
        """The connection is gone; answers go nowhere."""


@final
@dataclass(frozen=True, slots=True)
class Peer:
    """The two ends of a connection."""

    address: str
    port: int
    local_address: str
    local_port: int


class Shell(asyncio.Protocol):
    """One connection: a transport, an engine inside a session, a timer."""

    __slots__ = (
        "_deadline", "_drained", "_early", "_engine", "_heard",
        "_identify", "_loop", "_make", "_reading",
        "_socket", "_task", "_timer", "_tls", "_tls_certificate", "_writable", "_write_deadline",
        "connection", "ended", "facts", "octets_in", "octets_out", "on_close", "peer", "session",
        "since", "transport",
    )  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        make: Callable[[Shell], Session],
        *,
        connection: str = "",
        tls: ssl.SSLContext | None = None,
        tls_certificate: Callable[[], bytes | None] = lambda: None,
        identify: Callable[[str], str] = lambda address: address,
        on_close: Callable[[Shell], None] = lambda shell: None,
    ) -> None:
        """
        Args:
            engine: What to know of the protocol.
            make: Builds the session once the connection stands; it may read `peer` and `facts`.
            connection: The id that the log shows.
            tls: The context for STARTTLS; ``None`` where it is not offered.
            tls_certificate: Our certificate in DER, for channel binding.
            identify: By which address a peer is known (`corvus_server.network`).
            on_close: Called once, when the connection is gone.
        """
        self._engine = engine
        self._make = make
        self._tls = tls
        self._tls_certificate = tls_certificate
        self._identify = identify
        self.connection = connection
        self.on_close = on_close
        self.session: Session
        self.transport: asyncio.Transport
        self.peer = Peer("", 0, "", 0)
        self.facts: SessionFacts | None = None
        self.since = 0.0
        self.octets_in = 0
        self.octets_out = 0
        self.ended = False
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        self._write_deadline: float | None = None
        self._heard = 0
        self._early: list[bytes] | None = None
        self._reading = True
        self._writable = True
        self._drained: asyncio.Future[None] | None = None
        self._socket: Any = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's is no subclass
        self.transport.set_write_buffer_limits(high=WRITE_HIGH)
        self._socket = transport.get_extra_info("socket")
        there = transport.get_extra_info("peername") or ("", 0)
        here = transport.get_extra_info("sockname") or ("", 0)
        if not isinstance(there, tuple):  # a Unix socket
            there, here = ("127.0.0.1", 0), ("127.0.0.1", 0)
        self.peer = Peer(self._identify(_plain(there[0])), there[1], _plain(here[0]), here[1])
        self.since = self._loop.time()
        if (ssl_object := transport.get_extra_info("ssl_object")) is not None:
            self.facts = facts_of(ssl_object, certificate=self._tls_certificate())
        self.session = self._make(self)
        self._pump()
        self._arm()

    def data_received(self, data: bytes) -> None:
        if self._early is not None:
            # Decrypted octets can arrive before `await start_tls()` returns to us.
            self._early.append(data)
            return
        conn = self.session.conn
        if conn.closing:
            return
        self.octets_in += len(data)
        self._heard += len(data)
        conn.receive_data(data)
        if self._task is None:
            self._pump()
        elif conn.buffered > READ_AHEAD:
            self._pause_reading()

    def eof_received(self) -> bool:
        if self._early is not None or self.ended:
            return False
        self.session.conn.receive_eof()
        if self._task is None:
            self._pump()
        # A task still at work may have an answer to write: keep our side open for it.
        return self._task is not None and self.facts is None

    def pause_writing(self) -> None:
        self._writable = False
        self._write_deadline = self._loop.time() + WRITE_TIMEOUT
        self._pause_reading()

    def resume_writing(self) -> None:
        self._writable = True
        self._write_deadline = None
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self._task is None and not self.ended:
            self._resume_reading()
            self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.ended:
            return
        self.ended = True
        if self._timer is not None:
            self._timer.cancel()
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(ConnectionResetError("the peer is gone"))
            self._drained.exception()
        with contextlib.suppress(self._engine.protocol_error):
            self.session.conn.receive_eof()
        if self._task is None:
            self._drain_events()
        self.session.closed()
        self.on_close(self)

    # What sessions call.

    def flush(self) -> None:
        """Write what the engine holds."""
        if self.ended:
            self.session.conn.data_to_send()
            return
        if data := self.session.conn.data_to_send():
            self.octets_out += len(data)
            self.transport.write(data)

    async def drain(self) -> None:
        """Flush, then wait until the transport has room again.

        Raises:
            ConnectionResetError: The peer is gone.
        """
        self.flush()
        if self.ended:
            raise ConnectionResetError("the peer is gone")
        if not self._writable:
            self._drained = self._loop.create_future()
            await self._drained

    def pause_reading(self) -> None:
        """Stop reading; a session calls it before it accepts STARTTLS."""
        self._pause_reading()

    def disconnect(self) -> None:
        """Write what is left, then close."""
        if not self.ended:
            self.flush()
            self.transport.close()

    def abort(self) -> None:
        """Close without waiting for what the peer has not read."""
        if not self.ended:
            self.transport.abort()

    @property
    def busy(self) -> bool:
        """Whether an answer is being worked on."""
        return self._task is not None

    # The loop of the contract: pull, answer, write, read.

    def _pump(self) -> None:
        engine, session = self._engine, self.session
        conn, handle = session.conn, session.handle
        progress = False
        try:
            while self._writable:
                event = conn.next_event()
                if event is engine.need_data:
                    break
                if event is engine.paused:
                    if conn.tls_pending:
                        self._start_tls()
                        return
                    break
                if event.__class__ is engine.ended:
                    handle(event)
                    break
                progress = progress or self._heard >= PROGRESS or not isinstance(event, engine.bulk)
                waiting = handle(event)
                if waiting is not None:
                    self._task = self._loop.create_task(self._finish(waiting))
                    break
        except engine.protocol_error:
            pass  # its reply is queued and conn.closing is set
        except Exception as error:  # a defect of ours must cost one connection, not the server
            session.failed(error)
        self._after(progress)

    def _after(self, progress: bool) -> None:
        conn = self.session.conn
        data = conn.data_to_send()
        if data and not self.ended:
            self.octets_out += len(data)
            self.transport.write(data)
        if conn.closing and self._task is None:
            if not self.ended:
                self.transport.close()
            return
        if progress:
            self._heard = 0
            timeout = conn.timeout
            self._deadline = None if timeout is None else self._loop.time() + timeout
            if self._timer is None:
                self._arm()
        if not data and _QUICKACK is not None and self._task is None and conn.buffered:
            # The peer is in the middle of something and may wait for our ACK before it goes on:
            # Nagle against delayed ACK, 40 ms each (imaplib's APPEND: 23/s instead of 11,700/s).
            with contextlib.suppress(OSError, AttributeError):
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    async def _finish(self, waiting: Awaitable[None]) -> None:
        """Wait for one answer, then go on pulling."""
        try:
            await waiting
        except self._engine.protocol_error:
            self.session.dismiss("protocol error")
        except ConnectionResetError:
            pass
        except Exception as error:
            self.session.failed(error)
        self._task = None
        if self.ended:
            self._drain_events()
            return
        if not self._reading and self._writable and not self.session.conn.tls_pending:
            self._resume_reading()
        self._pump()

    def _drain_events(self) -> None:
        """After the end: let the session hear what was left, without answering."""
        engine, session = self._engine, self.session
        with contextlib.suppress(engine.protocol_error):
            for _ in range(10_000):
                event = session.conn.next_event()
                if event is engine.need_data or event is engine.paused:
                    return
                if event.__class__ is engine.ended:
                    return
                if isinstance(event, engine.bulk):
                    continue
                waiting = session.handle(event)
                if waiting is not None:
                    self._task = self._loop.create_task(self._finish(waiting))
                    return

    # TLS.

    def _start_tls(self) -> None:
        self._pause_reading()
        self.flush()
        self._early = []
        self._task = self._loop.create_task(self._upgrade())

    async def _upgrade(self) -> None:
        assert self._tls is not None, "STARTTLS was accepted where no context was given"
        try:
            transport = await self._loop.start_tls(
                self.transport,
                self,
                self._tls,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
            )
        except (TimeoutError, OSError, ConnectionError):
            transport = None
        self._task = None
        if transport is None:
            self.transport.abort()
            self.connection_lost(None)
            return
        if self.ended:
            return
        self.transport = transport
        self.transport.set_write_buffer_limits(high=WRITE_HIGH)
        self._reading = True
        self.facts = facts_of(
            transport.get_extra_info("ssl_object"), certificate=self._tls_certificate()
        )
        self.session.conn.start_tls(self._engine.tls_info(self.facts))
        self.session.secured(self.facts)
        early, self._early = self._early or [], None
        for data in early:
            self.data_received(data)
        if not self.busy and not self.ended:
            self._pump()

    # Reading, and the clock.

    def _pause_reading(self) -> None:
        if self._reading and not self.ended:
            self._reading = False
            with contextlib.suppress(RuntimeError):
                self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self._reading and not self.ended:
            self._reading = True
            with contextlib.suppress(RuntimeError):
                self.transport.resume_reading()

    def _arm(self) -> None:
        """One timer, re-armed when it fires early, so that a read costs no timer of its own."""
        timeout = self.session.conn.timeout
        if self.ended or timeout is None:
            return
        now = self._loop.time()
        if self._deadline is None:
            self._deadline = now + timeout
        self._timer = self._loop.call_at(self._deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self.ended:
            return
        now = self._loop.time()
        if self._write_deadline is not None and now >= self._write_deadline:
            self.abort()  # it sends and never reads
            return
        if self._task is not None or self._early is not None:
            # We are the slow ones: the peer waits for us.
            self._deadline = now + (self.session.conn.timeout or WRITE_TIMEOUT)
        if self._deadline is not None and now >= self._deadline:
            self.session.dismiss("timeout")
            self._after(False)
            return
        self._timer = self._loop.call_at(self._deadline or now + WRITE_TIMEOUT, self._ring)


def _plain(host: str) -> str:
    """An IPv4 client of an IPv6 socket is an IPv4 client."""
    return host.removeprefix("::ffff:") if "." in host else host.partition("%")[0]

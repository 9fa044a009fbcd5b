"""The client's side of the transport: an SMTP client engine on a connection, awaited event by event.

As `stream.Shell` it is an `asyncio.Protocol`, so that no second buffer keeps plaintext over STARTTLS,
and it knows no verb.  It writes down the dialogue, without message data and credentials.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any, Final, final

import corvus_smtp as smtp
from corvus_server.network import Network
from corvus_server.tls import SessionFacts, facts_of
from corvus_server.transports.stream import HANDSHAKE_TIMEOUT, WRITE_HIGH

#: Octets of dialogue that are kept; the beginning and the end tell the story.
MAX_DIALOGUE: Final = 16 * 1024


class Timeout(OSError):
    """The other server did not answer in the time that RFC 5321 §4.5.3.2 gives it."""


@final
class Link(asyncio.Protocol):
    """One outgoing connection with its engine."""

    def __init__(self, conn: smtp.ClientConnection) -> None:
        self.conn = conn
        self.facts: SessionFacts | None = None
        self.dialogue = Dialogue()
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._early: list[bytes] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._writable = True
        self._lost = False

    @classmethod
    async def open(
        cls,
        network: Network,
        address: str,
        port: int,
        conn: smtp.ClientConnection,
        *,
        source: str | None = None,
        patience: float = 30.0,
    ) -> Link:
        """
        Connect to *address*.

        Raises:
            OSError: Nobody answers there in time.
        """
        try:
            _, link = await asyncio.wait_for(
                network.connect(lambda: cls(conn), address, port, source=source), patience
            )
        except TimeoutError as error:
            raise Timeout("no answer to the connection") from error
        found: Link = link
        return found

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)

    def data_received(self, data: bytes) -> None:
        if self._early is not None:
            self._early.append(data)
            return
        if self.conn.closing:
            return
        self.dialogue.heard(data)
        self.conn.receive_data(data)
        self._wake()

    def eof_received(self) -> bool:
        if self._early is None:
            self.conn.receive_eof()
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        with contextlib.suppress(smtp.ProtocolError):
            self.conn.receive_eof()
        for waiter in (self._waiter, self._drained):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What a delivery calls.

    async def next_event(self) -> Any:
        """
        The next event of the engine; writes, reads and waits as long as the protocol allows.

        Returns:
            An event, `corvus_smtp.ConnectionEnded` among them; or `PAUSED` when it is our turn.

        Raises:
            Timeout: The other server was silent for too long.
            corvus_smtp.RemoteProtocolError: It speaks no SMTP.
        """
        while True:
            event = self.conn.next_event()
            self._flush()
            if event is not smtp.NEED_DATA:
                return event
            timeout = self.conn.timeout
            self._waiter = self._loop.create_future()
            try:
                await asyncio.wait_for(self._waiter, timeout)
            except TimeoutError as error:
                raise Timeout(f"no answer for {timeout:g} seconds") from error
            finally:
                self._waiter = None

    def _flush(self, *, record: bool = True) -> None:
        if data := self.conn.data_to_send():
            if record:
                self.dialogue.said(data)
            if not self._lost:
                self._transport.write(data)

    async def send_body(self, octets: bytes, *, last: bool = False) -> None:
        """Send a piece of the message and wait until the transport has room for the next."""
        if last:
            self.conn.end(octets)
        else:
            self.conn.chunk(octets)
        self._flush(record=False)
        if last:
            self.dialogue.note("(the message)")
        if not self._writable and not self._lost:
            self._drained = self._loop.create_future()
            try:
                await asyncio.wait_for(self._drained, 180.0)  # RFC 5321 §4.5.3.2.5
            except TimeoutError as error:
                raise Timeout("the message was not read for 180 seconds") from error
            finally:
                self._drained = None

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> SessionFacts:
        """
        Shake hands, after the engine said that it is time.

        Raises:
            OSError: The handshake failed (`ssl.SSLError` is one); the connection is of no more use.
        """
        self._flush()
        self._early = []
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                context,
                server_hostname=server_name,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
            )
        except (TimeoutError, ConnectionError) as error:
            raise OSError(
                f"the TLS handshake failed: {str(error) or 'the connection was closed'}"
            ) from error
        if transport is None:
            raise OSError("the TLS handshake failed: the connection was closed")
        self._transport = transport
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)
        self.facts = facts_of(transport.get_extra_info("ssl_object"))
        self.conn.start_tls(smtp.TLSInfo(version=self.facts.version, cipher=self.facts.cipher))
        self.dialogue.note(f"(TLS: {self.facts.version} {self.facts.cipher})")
        early, self._early = self._early, None
        for data in early:
            self.data_received(data)
        return self.facts

    def secret(self) -> None:
        """What goes out next is a credential: the dialogue shows stars."""
        if data := self.conn.data_to_send():
            verb = data.split(b" ", 2)[:2]
            self.dialogue.said(b" ".join(verb)[:40].split(b"\r")[0] + b" ***\r\n")
            if not self._lost:
                self._transport.write(data)

    def close(self) -> None:
        """Close the connection; what is unsent is sent first."""
        if not self._lost and self._transport is not None:
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        if not self._lost and self._transport is not None:
            self._transport.abort()


@final
class Dialogue:
    """``C:`` and ``S:`` lines, cut in the middle when they become too many."""

    def __init__(self) -> None:
        self._head: list[str] = []
        self._tail: list[str] = []
        self._size = 0
        self._cut = False

    def said(self, data: bytes) -> None:
        self._lines("C", data)

    def heard(self, data: bytes) -> None:
        self._lines("S", data)

    def note(self, text: str) -> None:
        self._add(text)

    def _lines(self, who: str, data: bytes) -> None:
        for line in data.split(b"\r\n"):
            if line:
                text = line[:500].decode("utf-8", "replace")
                self._add(f"{who}: {''.join(c if c.isprintable() else '?' for c in text)}")

    def _add(self, line: str) -> None:
        size = len(line.encode()) + 1
        self._size += size
        if self._size <= MAX_DIALOGUE // 2:
            self._head.append(line)
            return
        self._tail.append(line)
        while len(self._tail) > 1 and sum(len(each) + 1 for each in self._tail) > MAX_DIALOGUE // 3:
            self._tail.pop(0)
            self._cut = True

    def __str__(self) -> str:
        middle = ["(...)"] if self._cut else []
        return "\n".join([*self._head, *middle, *self._tail])

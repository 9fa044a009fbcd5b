"""The client's side of the transport: an SMTP client engine on a connection, awaited event by event.

As `stream.Shell` it is an `asyncio.Protocol`, so that no second buffer keeps plaintext over STARTTLS,
and it knows no verb.  It writes down the dialogue, without message data and credentials.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from base64 import b64encode
from collections import deque
from typing import Any, Final, final

import corvus_smtp as smtp
from corvus_server.network import Network
from corvus_server.tls import SessionFacts, facts_of
from corvus_server.transports.stream import HANDSHAKE_TIMEOUT, WRITE_HIGH

#: Octets of dialogue that are kept; the beginning and the end tell the story.
MAX_DIALOGUE: Final = 15 * 1024
#: Characters of a line that are kept.
_LINE: Final = 500
#: Three minutes "while awaiting the completion of each TCP SEND call transmitting a chunk of data"
#: (RFC 5321 §4.5.3.2.5).
_BLOCK: Final = 180.0
#: Seconds for what the engine has no time for: nothing is under way, yet somebody waits.
_IDLE: Final = 300.0


class Timeout(TimeoutError):
    """The other server did not answer in the time that RFC 5321 §4.5.3.2 gives it."""


@final
class Link(asyncio.Protocol):
    """One outgoing connection with its engine."""

    def __init__(self, conn: smtp.ClientConnection, dialogue: Dialogue | None = None) -> None:
        self.conn = conn
        self.facts: SessionFacts | None = None
        self.dialogue = dialogue or Dialogue()
        self.lost = False
        """The connection is gone; what is written goes nowhere."""
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._early: list[bytes] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._writable = True

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
        dialogue: Dialogue | None = None,
    ) -> Link:
        """
        Connect to *address*.

        Raises:
            OSError: Nobody answers there in time.
        """
        try:
            async with asyncio.timeout(patience):
                _, link = await network.connect(
                    lambda: cls(conn, dialogue), address, port, source=source
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
        self.lost = True
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

    async def next_event(self, patience: float | None = None) -> Any:
        """
        The next event of the engine; writes, reads and waits as long as the protocol allows.

        The time is that of a whole reply: a server that sends an octet a minute has not answered
        (checklist row 27).

        Args:
            patience: Fewer seconds, where the answer changes nothing any more.

        Returns:
            An event, `corvus_smtp.ConnectionEnded` among them; or `PAUSED` when it is our turn.

        Raises:
            Timeout: The other server was silent for too long.
            corvus_smtp.RemoteProtocolError: It speaks no SMTP.
        """
        since = self._loop.time()
        while True:
            event = self.conn.next_event()
            self._flush()
            if event is not smtp.NEED_DATA:
                return event
            allowed = self.conn.timeout or _IDLE
            if patience is not None:
                allowed = min(allowed, patience)
            self._waiter = self._loop.create_future()
            try:
                async with asyncio.timeout_at(since + allowed):
                    await self._waiter
            except TimeoutError as error:
                raise Timeout(f"no answer for {allowed:g} seconds") from error
            finally:
                self._waiter = None

    def _flush(self, *, record: bool = True) -> None:
        if data := self.conn.data_to_send():
            if record:
                self.dialogue.said(data)
            if not self.lost:
                self._transport.write(data)

    async def send_body(self, octets: bytes, *, last: bool = False) -> None:
        """Send a piece of the message and wait until the transport has room for the next."""
        if last:
            self.conn.end(octets)
        else:
            self.conn.chunk(octets)
        self._flush(record=False)
        if not self._writable and not self.lost:
            self._drained = self._loop.create_future()
            try:
                async with asyncio.timeout(_BLOCK):
                    await self._drained
            except TimeoutError as error:
                raise Timeout(f"the message was not read for {_BLOCK:g} seconds") from error
            finally:
                self._drained = None

    def respond(self, data: bytes) -> None:
        """Answer a challenge; the dialogue shows stars."""
        self.conn.respond(data)
        octets = self.conn.data_to_send()
        self.dialogue.note("C: ***")
        if not self.lost:
            self._transport.write(octets)

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> SessionFacts:
        """
        Shake hands, after the engine said that it is time.

        Raises:
            OSError: The handshake failed (`ssl.SSLError` is one); the connection is of no more use.
        """
        self._flush()
        if self.lost:
            raise OSError("the TLS handshake failed: the connection was closed")
        self._early = []
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                context,
                server_hostname=server_name,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
            )
        except ssl.SSLError:
            raise
        except OSError as error:
            raise OSError(
                f"the TLS handshake failed: {str(error) or 'the connection was closed'}"
            ) from error
        if transport is None or self.lost:
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

    def close(self) -> None:
        """Close the connection; what is unsent is sent first."""
        if not self.lost and self._transport is not None:
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        """Close the connection now."""
        if not self.lost and self._transport is not None:
            self._transport.abort()


@final
class Dialogue:
    r"""
    ``C:`` and ``S:`` lines, cut in the middle when they become too many.

    >>> dialogue = Dialogue(secrets=["hunter2"])
    >>> dialogue.said(b"AUTH PLAIN AGFsaWNlAGh1bnRlcjI=\r\n")
    >>> dialogue.heard(b"535 not with hun")
    >>> dialogue.heard(b"ter2\r\n")
    >>> print(dialogue)
    C: AUTH PLAIN ***
    S: 535 not with ***

    Args:
        secrets: What is never shown, even if the other side says it.
    """

    def __init__(self, secrets: list[str] | None = None) -> None:
        found = [secret for secret in secrets or [] if secret]
        self._secrets = [*found, *(b64encode(secret.encode()).decode() for secret in found)]
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._size = 0
        self._tail_size = 0
        self._cut = False
        self._partial: dict[str, bytes] = {}

    def said(self, data: bytes) -> None:
        """Note what we sent."""
        self._lines("C", data)

    def heard(self, data: bytes) -> None:
        """Note what the other side sent."""
        self._lines("S", data)

    def note(self, text: str) -> None:
        """Note what was done."""
        self._add(text)

    def _lines(self, who: str, data: bytes) -> None:
        # A line may arrive in pieces; beyond its limit the rest of it is not kept.
        *lines, rest = (self._partial.pop(who, b"") + data).split(b"\r\n")
        for line in lines:
            self._add(self._shown(who, line))
        if rest:
            self._partial[who] = rest[: 4 * _LINE]

    def _shown(self, who: str, line: bytes) -> str:
        if who == "C" and line[:5].upper() == b"AUTH ":
            words = line.split(b" ", 2)
            line = b" ".join(words[:2]) + (b" ***" if words[2:] else b"")
        text = line[: 4 * _LINE].decode("utf-8", "replace")
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return f"{who}: {''.join(c if c.isprintable() else '?' for c in text[:_LINE])}"

    def _add(self, line: str) -> None:
        size = len(line.encode()) + 1
        self._size += size
        if self._size <= MAX_DIALOGUE // 2:
            self._head.append(line)
            return
        self._tail.append(line)
        self._tail_size += size
        while len(self._tail) > 1 and self._tail_size > MAX_DIALOGUE // 3:
            self._tail_size -= len(self._tail.popleft().encode()) + 1
            self._cut = True

    def __str__(self) -> str:
        middle = ["(...)"] if self._cut else []
        rest = [self._shown(who, line) for who, line in self._partial.items()]
        return "\n".join([*self._head, *middle, *self._tail, *rest])

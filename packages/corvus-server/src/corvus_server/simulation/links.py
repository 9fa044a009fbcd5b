"""Connections without sockets: two transports that hand octets to one another, with weather between.

Each direction keeps its order, takes time, and pushes back when the reader pauses.  A line can be
cut, become silent, or lose one side, after so many pieces have passed: pieces, not octets, because
their number is the same in every run and the size of a TLS signature is not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, Final, final

#: Octets under way in one direction before the writer is asked to pause.
HIGH_WATER: Final = 64 * 1024


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What a connection will meet with; the default is a fine day."""

    delay: float = 0.01
    """Virtual seconds that a piece takes from end to end."""
    refused: bool = False
    """Nobody answers at that port: connecting fails at once."""
    unreachable: bool = False
    """Packets vanish: connecting never ends."""
    cut_after: int | None = None
    """Pieces (both directions counted) after which the line is cut; both ends see a reset."""
    silent_after: int | None = None
    """Pieces after which nothing arrives any more, and nobody is told."""
    half_close_after: int | None = None
    """Pieces after which the connecting side hears the end of the stream, but may go on writing."""


@final
class End(asyncio.Transport):
    """One end of a simulated connection."""

    #: `asyncio.loop.start_tls` wants to be told that it may.
    _start_tls_compatible = True

    def __init__(
        self, line: Line, here: tuple[str, int], there: tuple[str, int], context: Context
    ) -> None:
        super().__init__({"peername": there, "sockname": here})
        self.context = context
        """In which this end's protocol is called, so that each machine's tasks are its own."""
        self.line = line
        self.peer: End
        self._loop = asyncio.get_running_loop()
        self._protocol: Any = None
        self._sent: deque[bytes | None] = deque()
        self._inbox: deque[bytes | None] = deque()
        self._reading = True
        self._closing = False
        self._lost = False
        self._eof_sent = False
        self._under_way = 0
        self._high = HIGH_WATER
        self._paused = False
        self._next = 0.0

    # What protocols call.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        found: asyncio.BaseProtocol = self._protocol
        return found

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._loop.call_soon(self._consume, context=self.context)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = HIGH_WATER if high is None else high

    def get_write_buffer_size(self) -> int:
        return self._under_way

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._closing or self._eof_sent or not data:
            return
        self._under_way += len(data)
        self._send(bytes(data))
        if self._under_way > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._eof_sent:
            self._eof_sent = True
            self._send(None)

    def close(self) -> None:
        if self._closing:
            return
        self.write_eof()
        self._closing = True
        self._loop.call_soon(self._lose, None, context=self.context)

    def abort(self) -> None:
        self._force_close(None)

    def _force_close(self, error: BaseException | None) -> None:
        """Close without sending what is left; `asyncio.sslproto` knows it by this name."""
        if self._lost:
            return
        self._closing = True
        self._eof_sent = True
        self._loop.call_soon(self._lose, error, context=self.context)
        self._loop.call_later(self.line.weather.delay, self.peer._reset)

    # What happens on the line.

    def _send(self, piece: bytes | None) -> None:
        # A later piece never overtakes an earlier one: the loop's timers keep no order among those
        # of the same moment, so the order is kept here.
        self._sent.append(piece)
        self._next = max(self._next, self._loop.time() + self.line.weather.delay)
        self._loop.call_at(self._next, self._carry, context=self.peer.context)

    def _carry(self) -> None:
        self.line.carry(self, self._sent.popleft())

    def _arrive(self, piece: bytes | None) -> None:
        if not self._lost:
            self._inbox.append(piece)
            self._consume()

    def _consume(self) -> None:
        while self._inbox and self._reading and not self._lost:
            piece = self._inbox.popleft()
            if piece is None:
                if not self._protocol.eof_received():
                    self.close()
                continue
            self.peer._arrived(len(piece))
            if isinstance(self._protocol, asyncio.BufferedProtocol):
                self._fill(self._protocol, piece)
            else:
                self._protocol.data_received(piece)

    def _fill(self, protocol: asyncio.BufferedProtocol, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            room = memoryview(protocol.get_buffer(len(rest)))[: len(rest)]
            room[:] = rest[: len(room)]
            protocol.buffer_updated(len(room))
            rest = rest[len(room) :]

    def _arrived(self, octets: int) -> None:
        self._under_way -= octets
        if self._paused and self._under_way <= self._high // 4:
            self._paused = False
            self._loop.call_soon(self._resume_writing, context=self.context)

    def _resume_writing(self) -> None:
        if not self._lost and not self._paused:
            self._protocol.resume_writing()

    def _reset(self) -> None:
        if not self._lost:
            self._closing = True
            error = ConnectionResetError("the line was cut")
            self._loop.call_soon(self._lose, error, context=self.context)

    def _lose(self, error: BaseException | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._inbox.clear()
        self._protocol.connection_lost(error)


@final
class Line:
    """Two ends and what lies between."""

    def __init__(
        self,
        weather: Weather,
        client: tuple[str, int],
        server: tuple[str, int],
        *,
        server_context: Context | None = None,
    ) -> None:
        self.weather = weather
        self.pieces = 0
        self.client = End(self, client, server, copy_context())
        self.server = End(self, server, client, server_context or copy_context())
        self.client.peer, self.server.peer = self.server, self.client

    def connect(self, client: asyncio.BaseProtocol, server: asyncio.BaseProtocol) -> None:
        """Give each end its protocol; both hear `connection_made`, the server first."""
        for end, protocol in ((self.server, server), (self.client, client)):
            end.set_protocol(protocol)
            end.context.run(protocol.connection_made, end)

    @property
    def over(self) -> bool:
        """Whether both ends are gone."""
        return self.client._lost and self.server._lost

    def carry(self, sender: End, piece: bytes | None) -> None:
        """Bring *piece* to the other end, if the weather lets it."""
        if self.over:
            return
        self.pieces += 1
        weather, passed = self.weather, self.pieces
        if weather.silent_after is not None and passed > weather.silent_after:
            return
        if weather.cut_after is not None and passed > weather.cut_after:
            self.client._reset()
            self.server._reset()
            return
        if weather.half_close_after is not None and sender is self.server:
            if passed > weather.half_close_after:
                if not self.client._closing and passed == weather.half_close_after + 1:
                    self.client._arrive(None)
                return
        sender.peer._arrive(piece)

"""The two buffers of an engine, and what reading and writing them has in common on both sides."""

from __future__ import annotations

from typing import Final

from corvus_smtp._state import State
from corvus_smtp.errors import LocalProtocolError, RemoteProtocolError
from corvus_smtp.tls import TLSInfo

__all__ = ["Buffers"]

#: To get a member of an enum by its class costs as much as a call.
_TLS: Final = State.TLS


class Buffers:
    """Octets in, octets out, and the end of both; the base of the two connections."""

    __slots__ = (
        "_buffer",
        "_closing",
        "_eof",
        "_error",
        "_more",
        "_out",
        "_position",
        "_state",
        "_tls",
    )

    def __init__(self, state: State, tls: TLSInfo | None) -> None:
        # Immutable octets and a position: a line costs one slice, and a read that holds nothing
        # but message data becomes a chunk without a copy.  What arrives while something is left
        # waits in a list, so that small reads behind a large rest stay linear.
        self._buffer = b""
        self._position = 0
        self._more: list[bytes] = []
        self._out = bytearray()
        self._eof = False
        self._closing = False
        self._state = state
        self._tls = tls
        self._error: RemoteProtocolError | None = None

    # Feeding.

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """
        Store octets that arrived; parse nothing.

        Raises:
            LocalProtocolError: After `receive_eof`, or while a TLS handshake is pending: what
                arrives then belongs to TLS, or comes decrypted and waits for `start_tls`.
        """
        if self._eof or self._state is _TLS:
            raise LocalProtocolError(
                "octets after the end" if self._eof else "octets while TLS is pending"
            )
        if self._position == len(self._buffer) and not self._more:
            self._buffer = data if isinstance(data, bytes) else bytes(data)
            self._position = 0
        else:
            self._more.append(bytes(data))

    def receive_eof(self) -> None:
        """The peer closed its side.  May be said twice."""
        self._eof = True

    def _join(self) -> None:
        """Put what waits behind the rest."""
        self._buffer = b"".join((self._buffer[self._position :], *self._more))
        self._position = 0
        self._more.clear()

    def _forget(self) -> None:
        """Drop what was received and not parsed."""
        self._buffer = b""
        self._position = 0
        self._more.clear()

    # Output.

    def data_to_send(self) -> bytes:
        """Give the octets to write, and forget them; ``b""`` when there are none."""
        data = bytes(self._out)
        self._out.clear()
        return data

    # What a transport looks at.

    @property
    def state(self) -> State:
        """Where the session is."""
        return self._state

    @property
    def closing(self) -> bool:
        """Whether nothing will be read any more: write `data_to_send`, close the transport."""
        return self._closing

    @property
    def tls_pending(self) -> bool:
        """Whether STARTTLS was agreed on and `start_tls` has not been called."""
        return self._state is State.TLS

    @property
    def tls(self) -> TLSInfo | None:
        """The channel, or ``None`` in clear."""
        return self._tls

    @property
    def buffered(self) -> int:
        """Octets received and not yet parsed."""
        return len(self._buffer) - self._position + sum(map(len, self._more))

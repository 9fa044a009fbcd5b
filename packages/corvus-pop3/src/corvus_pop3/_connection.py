"""What both sides of the engine contract share: octets in, octets out, and where we are."""

from __future__ import annotations

from corvus_pop3._buffer import LineBuffer
from corvus_pop3._state import State
from corvus_pop3.errors import LocalProtocolError
from corvus_pop3.limits import Limits
from corvus_pop3.values import TLSInfo

S = State


class Connection:
    """One end of a session; `ServerConnection` and `ClientConnection` add what is said."""

    def __init__(self, state: State, limits: Limits, tls: TLSInfo | None) -> None:
        self.limits = limits
        self._state = state
        self._tls = tls
        self._buffer = LineBuffer()
        self._out: list[bytes] = []
        self._eof = False

    def receive_data(self, data: bytes, /) -> None:
        """
        Store octets of the peer; parse nothing.

        Raises:
            LocalProtocolError: After `receive_eof`, or while the TLS handshake is under way.
        """
        if self._eof:
            raise LocalProtocolError("octets after the end")
        if self._state is S.TLS:
            raise LocalProtocolError("these octets belong to TLS; feed them after start_tls()")
        if self._state is not S.CLOSED:
            self._buffer.feed(data)

    def receive_eof(self) -> None:
        """The peer closed its side; what it said before still counts.  Idempotent."""
        self._eof = True

    def data_to_send(self) -> bytes:
        """Octets to write; reading empties them."""
        data, self._out = b"".join(self._out), []
        return data

    @property
    def state(self) -> State:
        """Where the session is."""
        return self._state

    @property
    def closing(self) -> bool:
        """Whether nothing will be read any more: write `data_to_send`, then close."""
        return self._state is S.CLOSED

    @property
    def tls_pending(self) -> bool:
        """Whether STLS was agreed on and `start_tls` has not been called yet."""
        return self._state is S.TLS

    @property
    def tls(self) -> TLSInfo | None:
        """What is known about the channel; ``None`` in clear."""
        return self._tls

    @property
    def buffered(self) -> int:
        """Octets received and not yet parsed."""
        return len(self._buffer)

    @property
    def timeout(self) -> float | None:
        """Seconds the peer may stay silent from now on; ``None`` once closed."""
        if self._state is S.CLOSED:
            return None
        return self.limits.tls_handshake if self._state is S.TLS else self.limits.idle

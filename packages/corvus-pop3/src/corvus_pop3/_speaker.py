"""How a server speaks: replies in the client's language, refusals that are counted, goodbyes."""

from __future__ import annotations

from corvus_pop3._connection import Connection
from corvus_pop3._state import REFUSED, State
from corvus_pop3.errors import RemoteProtocolError
from corvus_pop3.languages import ENGLISH, Language, Text
from corvus_pop3.limits import Limits
from corvus_pop3.responses import ResponseCode, format_response
from corvus_pop3.values import TLSInfo

S = State


class Speaker(Connection):
    """The half of `ServerConnection` that knows no command."""

    def __init__(self, state: State, limits: Limits, tls: TLSInfo | None) -> None:
        super().__init__(state, limits, tls)
        self._utf8 = False
        self._language: Language | None = None
        self._rejected = 0

    @property
    def utf8(self) -> bool:
        """
        Whether the client gave UTF8.

        If not, "character strings outside the ASCII repertoire MUST NOT be sent to the client as
        is": a message with such a header wants a surrogate, or ``reject(code=ResponseCode.UTF8)``
        (:rfc:`6856#section-2.1`).
        """
        return self._utf8

    @property
    def language(self) -> Language:
        """The language of texts for people."""
        return self._language or ENGLISH

    def _enter(self, state: State) -> None:
        # An answer that is given after close() is legal and changes nothing any more.
        if self._state is not S.CLOSED:
            self._state = state

    def _queue(self, octets: bytes) -> None:
        if octets and self._state is not S.CLOSED:
            self._out.append(octets)

    def _goodbye(self, reply: bytes) -> None:
        self._queue(reply)
        self._state = S.CLOSED

    def _format(
        self,
        ok: bool,
        usual: Text,
        text: str | None = None,
        code: ResponseCode | None = None,
        /,
        **filling: int,
    ) -> bytes:
        if text is None:
            text = self.language.say(usual, **filling)
        # "This, and subsequent protocol-level human-readable text, is encoded in the UTF-8 charset"
        # (RFC 6856 §3.2); before LANG and UTF8 all of it is ASCII.
        utf8 = self._utf8 or self._language is not None
        return format_response(ok, text, code=code, utf8=utf8)

    def _ok(self, usual: Text, **filling: int) -> None:
        self._queue(self._format(True, usual, **filling))

    def _take_line(self) -> bytes | None:
        in_sasl = self._state is S.SASL
        try:
            try:
                return self._buffer.take_line(
                    self.limits.auth_line if in_sasl else self.limits.command_line
                )
            except RemoteProtocolError:
                if not self._buffer.starts_with(b"AUTH "):
                    raise
                return self._buffer.take_line(self.limits.auth_line)
        except RemoteProtocolError as error:
            raise self._fatal(Text.LINE_TOO_LONG, str(error)) from None

    def _fatal(self, text: Text, reason: str) -> RemoteProtocolError:
        reply = self._format(False, text)
        self._buffer.clear()
        self._goodbye(reply)
        return RemoteProtocolError(reason, reply=reply)

    def _refuse(self, text: Text, **filling: int) -> bytes:
        self._rejected += 1
        if self._rejected >= self.limits.rejected_commands:
            raise self._fatal(Text.TOO_MANY_ERRORS, f"{self._rejected} refused commands in a row")
        reply = self._format(False, text, **filling)
        self._queue(reply)
        self._enter(REFUSED[self._state])
        return reply

"""What the caller may answer, and what follows from each answer."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from corvus_smtp._data import DATAReader
from corvus_smtp._says import ACCEPT, CLOSING, REJECT, greeting, hello, helo
from corvus_smtp._session import Session
from corvus_smtp._state import State
from corvus_smtp.errors import LocalProtocolError
from corvus_smtp.events import (
    Abort,
    AuthResponse,
    AuthStarted,
    ConnectionOpened,
    DataRequested,
    Event,
    HelloReceived,
    MailOffered,
    MessageReceived,
    RecipientOffered,
    StartTLSRequested,
)
from corvus_smtp.limits import BareNewlines
from corvus_smtp.lmtp import Protocol
from corvus_smtp.replies import EnhancedStatus, Reply
from corvus_smtp.tls import TLSInfo

__all__ = ["Answers"]


# Bound once: to get a member of an enum by its class costs as much as a call.
_SMTP: Final = Protocol.SMTP
_READY, _MAIL, _RCPT, _DATA = State.READY, State.MAIL, State.RCPT, State.DATA
_NORMALISE: Final = BareNewlines.NORMALISE

#: Events whose acceptance is the same few octets every time.
_STRAIGHT: Final = frozenset({MailOffered, RecipientOffered, MessageReceived})


class Answers(Session):
    """The half of a server's connection that is called by its owner."""

    __slots__ = ()

    def accept(self, text: str | None = None) -> None:
        """
        Do what the event asks for, with the usual reply, or with *text* in it.

        Raises:
            LocalProtocolError: You owe no answer.
            ValueError: *text* holds CR, LF or NUL.
        """
        owed = self._owed
        if owed is None:
            raise LocalProtocolError("nothing to accept")
        kind = owed.__class__
        if text is None and kind in _STRAIGHT and self._protocol is _SMTP:
            self._owed = None
            if not self._closing:
                self._out += self._wires[kind]
                self._settled(owed, True)
        elif kind is ConnectionOpened or kind is HelloReceived:
            wire = self._welcome(owed, text)
            self._owed = None
            if not self._closing:
                self._out += wire
            self._settled(owed, True)
        elif kind is DataRequested and self._bdat is not None:
            self._owed = None
            self._begin_message()
        elif kind is StartTLSRequested and self.buffered:
            self._injected()
        elif text is not None:
            default = ACCEPT[kind]
            self._answer(owed, Reply(default.code, default.enhanced, text))
        else:
            self._owed = None
            copies = 1
            if kind is MessageReceived and self._protocol is Protocol.LMTP:
                copies = self._recipients
            if not self._closing:
                self._out += self._wires[kind] * copies
            self._settled(owed, True)

    def reject(
        self,
        code: int | Reply | None = None,
        enhanced: EnhancedStatus | str | None = None,
        text: str | Sequence[str] = "",
    ) -> None:
        """
        Refuse what the event asks for; the session stays in step.

        Args:
            code: 400 to 599, or a whole `Reply`; left out, the usual one.  421 closes.
            enhanced: Such as ``"5.1.1"``.
            text: For people; several lines as a sequence.

        Raises:
            LocalProtocolError: You owe no answer.
            ValueError: The code is no refusal; the text holds CR, LF or NUL.
        """
        owed = self._must_owe()
        if code is None:
            reply = REJECT[owed.__class__]
        else:
            reply = code if isinstance(code, Reply) else Reply(code, enhanced, text)
        if not (reply.temporary or reply.permanent):
            raise ValueError(f"{reply.code} does not refuse")
        self._answer(owed, reply)

    def reply(
        self,
        code: int | Reply,
        enhanced: EnhancedStatus | str | None = None,
        text: str | Sequence[str] = "",
    ) -> None:
        """
        Answer with a reply of your own: 2yz (354 to DATA) accepts, 4yz and 5yz refuse.

        Raises:
            LocalProtocolError: You owe no answer, or none of that kind: 220 to STARTTLS, 354 and
                334 change the session and are said by `accept` and `challenge`.
            ValueError: The text holds CR, LF or NUL.
        """
        owed = self._must_owe()
        reply = code if isinstance(code, Reply) else Reply(code, enhanced, text)
        if reply.temporary or reply.permanent:
            self._answer(owed, reply)
            return
        usual = ACCEPT.get(owed.__class__)
        if isinstance(owed, StartTLSRequested | HelloReceived | ConnectionOpened) or (
            isinstance(owed, DataRequested) and owed.chunking
        ):
            raise LocalProtocolError("accept() says this one")
        if usual is not None and (reply.intermediate != usual.intermediate):
            raise LocalProtocolError(f"{reply.code} is no answer to {owed.__class__.__name__}")
        self._answer(owed, reply)

    def reply_each(self, replies: Sequence[Reply]) -> None:
        """
        Answer a message under LMTP: one reply per accepted recipient, in the order of their RCPTs.

        Raises:
            LocalProtocolError: It is not LMTP, or no message waits, or the number is not that of
                the recipients.
        """
        owed = self._must_owe()
        if self._protocol is not Protocol.LMTP or not isinstance(owed, MessageReceived):
            raise LocalProtocolError("only a message received by LMTP has a reply per recipient")
        if self._closing:
            self._owed = None
            return
        if len(replies) != self._recipients:
            raise LocalProtocolError(f"{len(replies)} replies to {self._recipients} recipients")
        self._owed = None
        for reply in replies:
            self._say(reply)
        self._settled(owed, True)

    def challenge(self, data: bytes) -> None:
        """
        Go on with a SASL exchange: 334 and *data* in base64.

        Raises:
            LocalProtocolError: No AUTH waits for an answer.
        """
        owed = self._must_owe()
        if not isinstance(owed, AuthStarted | AuthResponse):
            raise LocalProtocolError("a challenge answers AUTH")
        self._owed = None
        if self._closing:
            return
        self._challenges += 1
        if self._challenges > self._limits.auth_challenges:
            self._state = State.READY
            self._say(Reply(535, "5.7.8", "Too many challenges"))
            return
        self._out += b"334 %b\r\n" % b64encode(data)
        self._state = State.AUTH

    def start_tls(self, info: TLSInfo) -> None:
        """
        Tell that the TLS handshake you performed has succeeded.

        "the SMTP protocol is reset to the initial state [...] The server MUST discard any
        knowledge obtained from the client" (:rfc:`3207#section-4.2`): the EHLO name, what was
        offered, who was authenticated.  No greeting is said again.

        Raises:
            LocalProtocolError: No handshake is pending.
        """
        if self._state is not State.TLS:
            raise LocalProtocolError("no TLS handshake is pending")
        self._tls = info
        self._state = State.CONNECTED
        self._hello = None
        self._offered = frozenset()
        self._authenticated = False
        self._reset()

    def close(self, reply: Reply = CLOSING) -> None:
        """
        End the session from our side with *reply*, a 421; ``closing`` is true from then on.

        An answer still owed may be given and goes nowhere.  Twice is once.
        """
        if reply.code != 421:
            raise ValueError("421 is how a server closes (RFC 5321 §3.8)")
        if not self._closing:
            # During a handshake nothing can be said: neither side would read it in clear.
            if self._state is not State.TLS:
                self._say(reply)
            self._end(Abort.CLOSED)

    # Private: what an answer does.

    def _must_owe(self) -> Event:
        if self._owed is None:
            raise LocalProtocolError("nothing to answer")
        return self._owed

    def _offers(self) -> tuple[frozenset[str], bytes]:
        return hello(self._hostname, self._policy, self._limits, self._tls is not None)

    def _welcome(self, owed: Event, text: str | None) -> bytes:
        if isinstance(owed, ConnectionOpened):
            return greeting(self._hostname, self._policy.greeting if text is None else text)
        if isinstance(owed, HelloReceived) and owed.verb == "HELO":
            return helo(self._hostname)
        return self._offers()[1]

    def _answer(self, owed: Event, reply: Reply) -> None:
        """Say *reply* and do what follows from it."""
        self._owed = None
        if self._closing:
            return
        # "the initial greeting and any response to HELO or EHLO" go without a status (RFC 2034 §3).
        bare = isinstance(owed, ConnectionOpened | HelloReceived)
        wire = reply.wire(enhanced=self._enhanced and not bare, utf8=self._smtputf8)
        if self._bdat is not None and isinstance(owed, DataRequested) and reply.code != 421:
            # "the receiver-SMTP MUST accept and discard the associated message data before
            # sending the appropriate 5XX or 4XX code" (RFC 3030 §2).
            self._skip, self._skip_refused, self._skip_reply = self._bdat.left, False, reply
            return
        if isinstance(owed, MessageReceived) and self._protocol is Protocol.LMTP:
            wire *= self._recipients
        self._out += wire
        if reply.code == 421:
            self._end(Abort.CLOSED)
        else:
            self._settled(owed, reply.positive or reply.intermediate)

    def _settled(self, owed: Event, accepted: bool) -> None:
        """Go where the answer leads."""
        if self._closing:
            return
        kind = owed.__class__
        if kind is RecipientOffered:
            if accepted:
                self._recipients += 1
                self._state = _RCPT
        elif kind is MailOffered:
            if accepted:
                self._state = _MAIL
            else:
                self._reset()
        elif kind is MessageReceived:
            # Taken or not, "on the completion of this command these buffers are cleared"
            # (RFC 5321 §4.1.1.4).
            self._state = _READY
            self._reset()
        elif kind is DataRequested:
            if accepted:
                self._begin_message()
        elif kind is HelloReceived:
            assert isinstance(owed, HelloReceived)
            if accepted:
                self._hello = owed
                self._offered = frozenset() if owed.verb == "HELO" else self._offers()[0]
                self._state = State.READY
                self._reset()
        elif kind is AuthStarted or kind is AuthResponse:
            self._state = State.READY
            self._authenticated = accepted
            if not accepted:
                self._failures += 1
                if self._failures >= self._limits.auth_failures:
                    self._fatal("too many failed AUTHs", Reply(421, "4.7.0", "Too many failures"))
        elif kind is StartTLSRequested:
            if accepted:
                self._state = State.TLS
        elif kind is ConnectionOpened:
            # "A server taking this approach MUST still wait for the client to send a QUIT"
            # (RFC 5321 §3.1).
            self._state = State.CONNECTED if accepted else State.REFUSED

    def _begin_message(self) -> None:
        normalise = self._policy.bare_newlines is _NORMALISE
        self._message_open = True
        if self._bdat is not None:
            self._state = State.CHUNK
        else:
            self._reader = DATAReader(self._limits.message_size, normalise)
            self._state = _DATA

    def _injected(self) -> None:
        # RFC 3207 §4.2 and CVE-2011-0411: octets behind STARTTLS would be obeyed as if they had
        # come through the tunnel.  Nobody honest sends them ("the client MUST NOT" pipeline
        # behind it), so this is an attack and no mistake: no 220, no session.
        self._owed = None
        self._fatal("octets behind STARTTLS", Reply(554, "5.5.1", "Octets behind STARTTLS"))

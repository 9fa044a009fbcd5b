"""One session as a server remembers it, and what refuses a command before it is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from corvus_smtp._buffer import Buffers
from corvus_smtp._data import BDATReader, DATAReader
from corvus_smtp._says import WIRES
from corvus_smtp._state import ACCEPTED, OUT_OF_SEQUENCE, State, Verb
from corvus_smtp.commands import HELLO_NAME
from corvus_smtp.errors import RemoteProtocolError
from corvus_smtp.events import (
    Abort,
    CommandRejected,
    Event,
    HelloReceived,
    MessageAborted,
    MessageReceived,
)
from corvus_smtp.extensions import EXTENSIONS
from corvus_smtp.limits import Limits, Policy, Quirks
from corvus_smtp.lmtp import HELLO, Protocol
from corvus_smtp.parameters import BodyType
from corvus_smtp.replies import Reply
from corvus_smtp.tls import TLSInfo

__all__ = ["LineTooLong", "Session"]

#: Verbs that need no TLS where the policy demands it (RFC 3207 §4), and no AUTH (RFC 4954 §6).
_WITHOUT_TLS: Final = frozenset({Verb.EHLO, Verb.LHLO, Verb.STARTTLS, Verb.NOOP, Verb.QUIT})
_WITHOUT_AUTH: Final = _WITHOUT_TLS | {Verb.HELO, Verb.AUTH, Verb.RSET}
_WITHOUT_ARGUMENT: Final = frozenset({Verb.STARTTLS, Verb.DATA, Verb.RSET, Verb.QUIT})
#: Verbs that exist only where their extension is offered.
_VERB_OF: Final = {Verb(verb): row.keyword for row in EXTENSIONS.values() for verb in row.verbs}

#: The first five octets of a line -> its verb, for the commands that every session has, as they
#: are mostly spelt: with an argument that is judged by an expression of its own, or with none.
_EVERY: Final = {
    b"MAIL ": Verb.MAIL,
    b"RCPT ": Verb.RCPT,
    b"DATA": Verb.DATA,
    b"RSET": Verb.RSET,
    b"NOOP": Verb.NOOP,
    b"QUIT": Verb.QUIT,
}
STRAIGHT: Final[Mapping[Protocol, Mapping[bytes, Verb]]] = {
    protocol: _EVERY | {b"%b " % verb.value.encode("ascii"): verb for verb in HELLO[protocol]}
    for protocol in Protocol
}
_NONE: Final[Mapping[bytes, Verb]] = {}

_HELLO_VERBS: Final = frozenset({Verb.EHLO, Verb.HELO, Verb.LHLO})
_BEFORE_HELLO: Final = frozenset({State.GREETING, State.CONNECTED, State.REFUSED})


class LineTooLong(Exception):
    """A line beyond its limit has come to its end."""


class Session(Buffers):
    """What was said so far, what is owed, and what is on its way."""

    __slots__ = (
        "_authenticated",
        "_bdat",
        "_body",
        "_challenges",
        "_discarding",
        "_enhanced",
        "_errors",
        "_failures",
        "_hello",
        "_hostname",
        "_last",
        "_limits",
        "_message_open",
        "_offered",
        "_owed",
        "_pending",
        "_policy",
        "_protocol",
        "_quirks",
        "_reader",
        "_recipients",
        "_skip",
        "_skip_refused",
        "_skip_reply",
        "_smtputf8",
        "_straight",
        "_transactions",
        "_wires",
    )

    def __init__(
        self,
        hostname: str,
        *,
        policy: Policy = Policy(),
        limits: Limits = Limits(),
        quirks: Quirks = Quirks(),
        protocol: Protocol = Protocol.SMTP,
        tls: TLSInfo | None = None,
    ) -> None:
        if not hostname.isascii() or HELLO_NAME.fullmatch(hostname.encode("ascii")) is None:
            raise ValueError(f"a host name is 1 to 255 visible ASCII characters: {hostname!r}")
        super().__init__(State.GREETING, tls)
        self._hostname = hostname
        self._policy = policy
        self._limits = limits
        self._quirks = quirks
        self._protocol = protocol
        self._enhanced = "ENHANCEDSTATUSCODES" in policy.extensions
        self._wires = WIRES[self._enhanced]
        # Where nothing is demanded the table alone decides about the commands of every session.
        self._straight = _NONE if policy.require_tls or policy.require_auth else STRAIGHT[protocol]
        self._owed: Event | None = None
        self._pending: Event | None = None
        self._hello: HelloReceived | None = None
        self._offered: frozenset[str] = frozenset()
        self._authenticated = False
        self._challenges = 0
        self._failures = 0
        self._errors = 0
        self._transactions = 0
        # The transaction.
        self._body: BodyType | None = None
        self._smtputf8 = False
        self._recipients = 0
        self._reader: DATAReader | None = None
        self._bdat: BDATReader | None = None
        self._last = False
        self._message_open = False
        # Octets that nobody wants: those of a refused BDAT, those of a line without end.
        self._skip = 0
        self._skip_refused = False
        self._skip_reply: Reply | None = None
        self._discarding = False

    # Facts of the session.

    @property
    def hello(self) -> HelloReceived | None:
        """The EHLO, HELO or LHLO that was accepted last."""
        return self._hello

    @property
    def authenticated(self) -> bool:
        """Whether AUTH succeeded; as whom is yours to know."""
        return self._authenticated

    @property
    def offered(self) -> frozenset[str]:
        """The extensions offered in this session; none after HELO."""
        return self._offered

    @property
    def recipients(self) -> int:
        """How many recipients of the open transaction were accepted."""
        return self._recipients

    @property
    def owed(self) -> Event | None:
        """The event you have not answered."""
        return self._owed

    @property
    def timeout(self) -> float | None:
        """
        Seconds the client may stay silent from now on; ``None`` while it is your turn, or over.

        A server waits "at least 5 minutes" for the next command (:rfc:`5321#section-4.5.3.2.7`);
        the same holds while a message arrives, from its last octet, not its first.  The connection
        has no clock: arm a timer, and add a minimum rate of your own.
        """
        if self._closing or self._owed is not None:
            return None
        return self._limits.timeouts.server

    # What follows is for the two halves built on this one.

    def _say(self, reply: Reply) -> None:
        self._out += reply.wire(enhanced=self._enhanced, utf8=self._smtputf8)

    def _reset(self) -> None:
        """Forget the transaction."""
        self._recipients = 0
        self._body = None
        self._smtputf8 = False
        self._reader = None
        self._bdat = None
        self._message_open = False

    def _end(self, why: Abort) -> None:
        """Nothing will be read any more; an open message is aborted first."""
        waiting = self._pending
        if self._message_open or isinstance(waiting, MessageReceived):
            # One that has come to its end, of which nobody was told: a 250 can no more be said,
            # so nobody may take it for accepted.
            self._pending = MessageAborted(why)
        elif waiting is not None and waiting.owes:
            self._pending = None
        self._skip_reply = None
        self._reset()
        self._forget()
        self._state = State.CLOSED
        self._closing = True

    def _fatal(self, message: str, reply: Reply) -> None:
        """Say *reply*, close, and have `next_event` raise."""
        self._say(reply)
        self._end(Abort.CLOSED)
        self._error = RemoteProtocolError(message, reply)

    def _line(self, limit: int) -> bytes | None:
        """Take a line off the buffer, without its CRLF; ``None`` if there is no whole one."""
        buffer, start = self._buffer, self._position
        end = buffer.find(b"\r\n", start)
        if end < 0:
            if len(buffer) - start < limit and not self._discarding:
                return None
            # Too long: thrown away as it comes, but for a CR that may belong to its end.
            self._discarding = True
            self._position = len(buffer) - buffer.endswith(b"\r", start)
            return None
        self._position = end + 2
        if self._discarding or end + 2 - start > limit:
            self._discarding = False
            raise LineTooLong
        return buffer[start:end]

    def _not_now(self, verb: Verb, line: bytes) -> Reply | None:
        """Why *verb* is not allowed now, or ``None``."""
        if verb in _HELLO_VERBS and verb not in HELLO[self._protocol]:
            # Not accepted, so that nobody takes LMTP for SMTP, or SMTP for LMTP (RFC 2033 §4.1, §5).
            wanted = HELLO[self._protocol][0].value
            return Reply(500, "5.5.1", f"This is {self._protocol.value}: say {wanted}")
        if self._state is State.REFUSED and verb is not Verb.QUIT:
            return Reply(503, "5.5.1", "Bad sequence of commands")
        keyword = _VERB_OF.get(verb)
        if keyword is not None:
            refusal = self._not_offered(verb, keyword)
            if refusal is not None:
                return refusal
        if verb not in ACCEPTED[self._state]:
            text = OUT_OF_SEQUENCE.get((self._state, verb), "Bad sequence of commands")
            return Reply(503, "5.5.1", text)
        # "530 Must issue a STARTTLS command first" is the reply "to every command other than NOOP,
        # EHLO, STARTTLS, or QUIT" (RFC 3207 §4).
        if self._policy.require_tls and self._tls is None and verb not in _WITHOUT_TLS:
            return Reply(530, "5.7.0", "Must issue a STARTTLS command first")
        if self._policy.require_auth and not self._authenticated and verb not in _WITHOUT_AUTH:
            return Reply(530, "5.7.0", "Authentication required")
        if verb in _WITHOUT_ARGUMENT and len(line.rstrip(b" ")) > len(verb.value):
            return Reply(501, "5.5.4", f"{verb.value} takes no argument")
        return None

    def _not_offered(self, verb: Verb, keyword: str) -> Reply | None:
        """Why a verb of an extension is refused, or ``None``."""
        if verb in (Verb.VRFY, Verb.EXPN, Verb.HELP):
            # As old as HELO, and legal before it (RFC 5321 §4.1.4).
            if keyword in self._policy.extensions:
                return None
        elif keyword in self._offered or self._state in _BEFORE_HELLO:
            return None
        if verb is Verb.STARTTLS and self._tls is not None:
            return Reply(503, "5.5.1", "TLS is on already")
        if verb is Verb.AUTH and self._policy.auth_mechanisms and self._tls is None:
            if self._offered:
                return Reply(538, "5.7.11", self._encryption_required())
        return Reply(502, "5.5.1", f"{verb.value} is not offered")

    def _encryption_required(self) -> str:
        if "STARTTLS" in self._offered:
            return "Encryption required for authentication: issue STARTTLS first"
        return "Encryption required for authentication: connect to the TLS port"

    def _refuse(self, verb: str, reply: Reply) -> CommandRejected | None:
        """Answer a command that cannot be obeyed."""
        self._say(reply)
        # Mistakes are free up to a number; recipients beyond the limit (452) and policy are none.
        if 500 <= reply.code <= 504 or reply.code == 555:
            self._errors += 1
            if self._errors > self._limits.errors:
                self._fatal("too many errors", Reply(421, "4.7.0", "Too many errors"))
                return None
        return CommandRejected(reply, verb)

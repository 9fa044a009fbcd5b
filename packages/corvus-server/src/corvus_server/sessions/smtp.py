"""SMTP sessions: mail from other servers, and submission by our own users.

`SMTPSession` answers what both have in common; what differs is the `Role` it is given: who may be a
sender, which recipients are taken, and what becomes of a message.  The roles hold no protocol, the
session holds no policy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, final

import corvus_smtp as smtp
from corvus_server.log import EventLog
from corvus_server.storage.bodies import Body
from corvus_server.storage.errors import OverQuota, StoreError
from corvus_server.tls import SessionFacts
from corvus_server.transports.stream import Engine, Shell

ENGINE: Final = Engine(
    need_data=smtp.NEED_DATA,
    paused=smtp.PAUSED,
    protocol_error=smtp.ProtocolError,
    ended=smtp.ConnectionEnded,
    tls_info=lambda facts: smtp.TLSInfo(
        version=facts.version,
        cipher=facts.cipher,
        server_name=facts.server_name,
        peer_certificate=facts.peer_certificate,
    ),
    bulk=(smtp.MessageChunk,),
)
"""What the transport must know of SMTP."""


@dataclass(slots=True)
class Transaction:
    """One mail on its way in."""

    mail_from: str
    """The reverse path without ``<>``; empty for a notice."""
    parameters: Any
    recipients: list[Recipient] = field(default_factory=list)
    body: Body | None = None
    sinks: tuple[Callable[[bytes], object], ...] = ()
    """What else wants the octets as they arrive: hashes of signatures."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What the role keeps between DATA and the end of the message."""
    began: float = 0.0


@final
@dataclass(frozen=True, slots=True)
class Recipient:
    """One accepted recipient: its address, what RCPT said, and what the role found out."""

    address: str
    parameters: Any
    found: Any


@final
@dataclass(frozen=True, slots=True)
class Client:
    """Who is on the other side, as far as is known now."""

    connection: str
    address: str
    port: int
    helo: str = ""
    esmtp: bool = False
    tls: SessionFacts | None = None
    account: Any = None
    """The account that has signed in, or ``None``."""


class Role(Protocol):
    """What a listener is for; answers are replies, ``None`` is yes."""

    @property
    def protocol(self) -> str: ...

    def opened(self, client: Client, /) -> smtp.Reply | None: ...

    def sender(self, client: Client, address: str, parameters: Any, /) -> smtp.Reply | None: ...

    def recipient(
        self, client: Client, transaction: Transaction, address: str, parameters: Any, /
    ) -> smtp.Reply | Recipient: ...

    def start(self, client: Client, transaction: Transaction, /) -> None:
        """The body begins: set `Transaction.body` and `Transaction.sinks`."""

    def finish(self, client: Client, transaction: Transaction, /) -> Awaitable[smtp.Reply]:
        """The whole message is in the body: the reply to its end."""


class SignIn(Protocol):
    """The exchange behind AUTH."""

    def begin(
        self, client: Client, mechanism: str, initial: bytes | None, /
    ) -> Awaitable[Exchange]: ...


class Exchange(Protocol):
    """One AUTH: a challenge to send, or how it ended."""

    challenge: bytes | None
    account: Any
    refusal: str
    temporary: bool

    def respond(self, data: bytes, /) -> Awaitable[Exchange]: ...


OVER_QUOTA: Final = smtp.Reply(452, "4.2.2", "The mailbox is full")
NO_STORE: Final = smtp.Reply(
    452, "4.3.1", "The message cannot be stored just now; please try again"
)
BROKEN_OFF: Final = smtp.Reply(421, "4.3.0", "A local error; please come again later")
BROKEN: Final = smtp.Reply(451, "4.3.0", "A local error; please try again")


@final
class SMTPSession:
    """Answers the events of one SMTP connection."""

    def __init__(
        self,
        shell: Shell,
        conn: smtp.ServerConnection,
        role: Role,
        *,
        log: EventLog,
        now: Callable[[], float],
        admitted: bool = True,
        sign_in: SignIn | None = None,
    ) -> None:
        """
        Args:
            admitted: Whether the network of the client holds few enough connections.
            sign_in: What AUTH leads to; ``None`` where it is not offered.
        """
        self.conn = conn
        self._shell = shell
        self._role = role
        self._log = log
        self._now = now
        self._admitted = admitted
        self._sign_in = sign_in
        self._exchange: Exchange | None = None
        self._client = Client(
            shell.connection, shell.peer.address, shell.peer.port, tls=shell.facts
        )
        self._transaction: Transaction | None = None
        self._handlers: dict[type, Callable[[Any], Awaitable[None] | None]] = {
            smtp.ConnectionOpened: self._opened,
            smtp.HelloReceived: self._hello,
            smtp.StartTLSRequested: self._start_tls,
            smtp.AuthStarted: self._auth,
            smtp.AuthResponse: self._auth_response,
            smtp.AuthCancelled: self._auth_cancelled,
            smtp.MailOffered: self._mail,
            smtp.RecipientOffered: self._recipient,
            smtp.DataRequested: self._data,
            smtp.MessageChunk: self._chunk,
            smtp.MessageReceived: self._received,
            smtp.MessageAborted: self._aborted,
            smtp.ResetReceived: self._reset,
            smtp.VerifyRequested: self._verify,
            smtp.CommandRejected: self._rejected,
            smtp.NoopReceived: _nothing,
            smtp.HelpRequested: _nothing,
            smtp.QuitReceived: _nothing,
            smtp.ConnectionEnded: _nothing,
        }

    @property
    def client(self) -> Client:
        return self._client

    # What the shell calls.

    def handle(self, event: Any, /) -> Awaitable[None] | None:
        return self._handlers[event.__class__](event)

    def secured(self, facts: SessionFacts, /) -> None:
        # "the server MUST discard any knowledge obtained from the client" (RFC 3207 §4.2).
        self._client = Client(
            self._client.connection, self._client.address, self._client.port, tls=facts
        )
        self._forget()
        self._note("debug", "tls", version=facts.version, cipher=facts.cipher)

    def failed(self, error: Exception, /) -> None:
        self._note("error", "failed", exc_info=error)
        self._forget()
        if not self.conn.closing:
            self.conn.close(BROKEN_OFF)

    def dismiss(self, reason: str, /) -> None:
        if not self.conn.closing:
            # RFC 5321 §3.8: a server that must close says 421 first.
            self.conn.close(smtp.Reply(421, "4.4.2" if reason == "timeout" else "4.3.2", reason))

    def closed(self) -> None:
        self._forget()
        self._note("debug", "closed")

    # One method per event, in the order of a session.

    def _opened(self, event: smtp.ConnectionOpened) -> None:
        self._note("debug", "connected", peer=self._client.address, port=self._client.port)
        if not self._admitted:
            self._note("warning", "too many connections", peer=self._client.address)
            reply: smtp.Reply | None = smtp.Reply(
                421, "4.7.0", "Too many connections from your network"
            )
        else:
            reply = self._role.opened(self._client)
        self._answer(reply)

    def _hello(self, event: smtp.HelloReceived) -> None:
        self._forget()
        c = self._client
        self._client = Client(
            c.connection, c.address, c.port, event.name, event.verb != "HELO", c.tls, c.account
        )
        self.conn.accept()

    def _start_tls(self, event: smtp.StartTLSRequested) -> None:
        self._shell.pause_reading()
        self.conn.accept()

    def _auth(self, event: smtp.AuthStarted) -> Awaitable[None] | None:
        if self._sign_in is None:
            self.conn.reject(smtp.Reply(503, "5.5.1", "Nobody signs in here"))
            return None
        return self._step(self._sign_in.begin(self._client, event.mechanism, event.initial))

    def _auth_response(self, event: smtp.AuthResponse) -> Awaitable[None]:
        assert self._exchange is not None
        return self._step(self._exchange.respond(event.data))

    async def _step(self, step: Awaitable[Exchange]) -> None:
        exchange = await step
        if exchange.challenge is not None:
            self._exchange = exchange
            self.conn.challenge(exchange.challenge)
            return
        self._exchange = None
        if exchange.account is not None:
            c = self._client
            self._client = Client(
                c.connection, c.address, c.port, c.helo, c.esmtp, c.tls, exchange.account
            )
            self._note("info", "signed in", account=exchange.account.address)
            self.conn.accept()
        elif exchange.temporary:
            self.conn.reject(smtp.Reply(454, "4.7.0", exchange.refusal))
        else:
            self.conn.reject(smtp.Reply(535, "5.7.8", exchange.refusal))

    def _auth_cancelled(self, event: smtp.AuthCancelled) -> None:
        self._exchange = None

    def _mail(self, event: smtp.MailOffered) -> None:
        address = "" if event.reverse_path is None else str(event.reverse_path)
        reply = self._role.sender(self._client, address, event.parameters)
        if reply is None:
            self._transaction = Transaction(address, event.parameters, began=self._now())
        else:
            self._note("info", "sender refused", sender=address, reply=str(reply))
        self._answer(reply)

    def _recipient(self, event: smtp.RecipientOffered) -> None:
        assert self._transaction is not None
        address = str(event.forward_path)
        found = self._role.recipient(self._client, self._transaction, address, event.parameters)
        if isinstance(found, Recipient):
            self._transaction.recipients.append(found)
            self.conn.accept()
        else:
            self._note("info", "recipient refused", recipient=address, reply=str(found))
            self.conn.reject(found)

    def _data(self, event: smtp.DataRequested) -> None:
        transaction = self._transaction
        assert transaction is not None
        try:
            self._role.start(self._client, transaction)
        except StoreError as error:
            self._note("error", "no room", error=str(error))
            self.conn.reject(NO_STORE)
            return
        self.conn.accept()

    def _chunk(self, event: smtp.MessageChunk) -> None:
        transaction = self._transaction
        assert transaction is not None
        assert transaction.body is not None
        if "error" in transaction.notes:
            return
        try:
            transaction.body.write(event.data)
            for sink in transaction.sinks:
                sink(event.data)
        except StoreError as error:
            # A full disk in the middle: the octets go on coming, the answer waits for their end.
            transaction.notes["error"] = error

    def _received(self, event: smtp.MessageReceived) -> Awaitable[None] | None:
        return self._finish()

    async def _finish(self) -> None:
        transaction = self._transaction
        assert transaction is not None
        self._transaction = None
        try:
            if "error" in transaction.notes:
                raise transaction.notes["error"]
            reply = await self._role.finish(self._client, transaction)
        except OverQuota:
            reply = OVER_QUOTA
        except StoreError as error:
            self._note("error", "not stored", error=str(error))
            reply = NO_STORE
        except Exception as error:
            self._note("error", "failed", exc_info=error)
            reply = BROKEN
        finally:
            if transaction.body is not None:
                transaction.body.discard()
        self.conn.reply(reply)

    def _aborted(self, event: smtp.MessageAborted) -> None:
        self._note("info", "message aborted", reason=event.reason.value)
        self._forget()

    def _reset(self, event: smtp.ResetReceived) -> None:
        self._forget()

    def _verify(self, event: smtp.VerifyRequested) -> None:
        self.conn.accept()

    def _rejected(self, event: smtp.CommandRejected) -> None:
        self._note("debug", "command rejected", verb=event.verb, reply=str(event.reply))

    # Private.

    def _answer(self, reply: smtp.Reply | None) -> None:
        if reply is None:
            self.conn.accept()
        else:
            self.conn.reject(reply)

    def _forget(self) -> None:
        if self._transaction is not None:
            if self._transaction.body is not None:
                self._transaction.body.discard()
            self._transaction = None

    def _note(self, level: str, name: str, /, **fields: Any) -> None:
        self._log(level, self._role.protocol, name, self._client.connection, **fields)


def _nothing(event: Any) -> None:
    """The engine has answered; nothing is owed."""

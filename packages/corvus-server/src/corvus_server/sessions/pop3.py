"""POP3 sessions: a user's INBOX, fetched and deleted.

The engine answers from the snapshot that `_enter` hands it; here are sign-in, the octets of
messages, and the one moment in which messages are deleted.  A mailbox is open in one POP3 session
at a time (RFC 1939 §4); IMAP sessions share it freely.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, final

import corvus_pop3 as pop3
from corvus_server.accounts.signin import Exchange, SignIn, Visitor
from corvus_server.log import EventLog
from corvus_server.storage.errors import StoreError
from corvus_server.storage.protocols import Store
from corvus_server.tls import SessionFacts
from corvus_server.transports.stream import Engine, Shell

ENGINE: Final = Engine(
    need_data=pop3.NEED_DATA,
    paused=pop3.PAUSED,
    protocol_error=pop3.ProtocolError,
    ended=pop3.ConnectionEnded,
    tls_info=lambda facts: pop3.TLSInfo(version=facts.version, cipher=facts.cipher),
)
"""What the transport must know of POP3."""

#: Octets of a message that are read and sent at a time.
CHUNK: Final = 64 * 1024


@final
class POP3Session:
    """Answers the events of one POP3 connection."""

    def __init__(
        self,
        shell: Shell,
        conn: pop3.ServerConnection,
        store: Store,
        sign_in: SignIn,
        *,
        log: EventLog,
        locks: set[int],
        admitted: bool = True,
    ) -> None:
        """
        Args:
            locks: The accounts whose INBOX a POP3 session has open, shared by all sessions.
        """
        self.conn = conn
        self._shell = shell
        self._store = store
        self._sign_in = sign_in
        self._log = log
        self._locks = locks
        self._exchange: Exchange | None = None
        self._account: Any = None
        self._mailbox: Any = None
        self._uids: tuple[int, ...] = ()
        self._handlers: dict[type, Callable[[Any], Awaitable[None] | None]] = {
            pop3.StlsRequested: self._stls,
            pop3.LoginOffered: self._login,
            pop3.AuthStarted: self._auth,
            pop3.AuthResponse: self._auth_response,
            pop3.AuthCancelled: self._auth_cancelled,
            pop3.RetrieveRequested: self._retrieve,
            pop3.TopRequested: self._retrieve,
            pop3.QuitRequested: self._quit,
        }
        self._note("debug", "connected", peer=shell.peer.address, port=shell.peer.port)
        if not admitted:
            conn.close("too many connections from your network")

    @property
    def account(self) -> Any:
        """Who has signed in, or ``None``."""
        return self._account

    # What the shell calls.

    def handle(self, event: Any, /) -> Awaitable[None] | None:
        handler = self._handlers.get(event.__class__)
        return None if handler is None else handler(event)

    def secured(self, facts: SessionFacts, /) -> None:
        self._exchange = None
        self._note("debug", "tls", version=facts.version, cipher=facts.cipher)

    def failed(self, error: Exception, /) -> None:
        self._note("error", "failed", exc_info=error)
        if not self.conn.closing:
            self.conn.close("a local error; please try again later")

    def dismiss(self, reason: str, /) -> None:
        if not self.conn.closing:
            # At a timeout "without ... sending any response to the client" (RFC 1939 §3).
            self.conn.close("" if reason == "timeout" else reason)

    def closed(self) -> None:
        self._release()
        self._note("debug", "closed")

    # One method per event.

    def _stls(self, event: pop3.StlsRequested) -> None:
        self._shell.pause_reading()
        self.conn.accept()

    def _visitor(self) -> Visitor:
        return Visitor("pop3", self._shell.connection, self._shell.peer.address, self._shell.facts)

    async def _login(self, event: pop3.LoginOffered) -> None:
        await self._settle(
            await self._sign_in.password(self._visitor(), event.user, event.password)
        )

    async def _auth(self, event: pop3.AuthStarted) -> None:
        await self._settle(
            await self._sign_in.begin(self._visitor(), event.mechanism, event.initial)
        )

    async def _auth_response(self, event: pop3.AuthResponse) -> None:
        assert self._exchange is not None
        await self._settle(await self._exchange.respond(event.response))

    def _auth_cancelled(self, event: pop3.AuthCancelled) -> None:
        self._exchange = None

    async def _settle(self, exchange: Exchange) -> None:
        if exchange.challenge is not None:
            self._exchange = exchange
            self.conn.challenge(exchange.challenge)
            return
        self._exchange = None
        if exchange.account is None:
            code = pop3.ResponseCode.SYS_TEMP if exchange.temporary else None
            self.conn.reject(exchange.refusal, code=code)
            return
        account = exchange.account
        if account.id in self._locks:
            self.conn.reject(
                "another POP3 session has this mailbox open", code=pop3.ResponseCode.IN_USE
            )
            return
        await self._enter(account)

    async def _enter(self, account: Any) -> None:
        mailbox = self._store.mailboxes.get(account.id, "INBOX")
        if mailbox is None:
            self.conn.reject("the mailbox is gone", code=pop3.ResponseCode.SYS_TEMP)
            return
        self._locks.add(account.id)
        self._account, self._mailbox = account, mailbox
        try:
            state = await self._store.messages.open(mailbox.id)
        except StoreError:
            self._release()
            self.conn.reject(code=pop3.ResponseCode.SYS_TEMP)
            return
        view = state.view()
        self._uids = tuple(view.uids())
        sizes = dict(self._store.messages.fetch(mailbox.id, self._uids, ("size",)))
        self._uids = tuple(uid for uid in self._uids if uid in sizes)
        self.conn.open(
            sizes=[sizes[uid] for uid in self._uids],
            # Never the same for two messages: the validity changes when UIDs begin anew.
            uids=[f"{mailbox.uid_validity:x}.{uid:x}" for uid in self._uids],
        )
        self._note("info", "signed in", account=account.address, messages=len(self._uids))

    def _retrieve(
        self, event: pop3.RetrieveRequested | pop3.TopRequested
    ) -> Awaitable[None] | None:
        uid = self._uids[event.number - 1]
        bodies = self._store.messages.bodies(self._mailbox.id, (uid,))
        if not bodies:
            self.conn.reject("the message was deleted by another program")
            return None
        if event.size <= CHUNK:
            try:
                octets = self._store.messages.read_body(bodies[0])
            except (StoreError, OSError):
                self.conn.reject(code=pop3.ResponseCode.SYS_TEMP)
                return None
            self.conn.chunk(octets)
            self.conn.end()
            return None
        return self._stream(bodies[0])

    async def _stream(self, body: Any) -> None:
        try:
            reader = self._store.messages.open_body(body)
        except (StoreError, OSError):
            self.conn.reject(code=pop3.ResponseCode.SYS_TEMP)
            return
        with reader:
            while (octets := reader.read(CHUNK)) and self.conn.chunk(octets):
                await self._shell.drain()
            self.conn.end()

    async def _quit(self, event: pop3.QuitRequested) -> None:
        uids = [self._uids[number - 1] for number in event.delete]
        try:
            if uids:
                await self._store.messages.expunge(self._mailbox.id, uids, only_deleted=False)
        except StoreError:
            self.conn.reject(code=pop3.ResponseCode.SYS_TEMP)
            return
        finally:
            self._release()
        self._note("info", "signed out", deleted=len(uids))
        self.conn.accept()

    # Private.

    def _release(self) -> None:
        if self._account is not None:
            self._locks.discard(self._account.id)
            self._account = None

    def _note(self, level: str, name: str, /, **fields: Any) -> None:
        self._log(level, "pop3", name, self._shell.connection, **fields)

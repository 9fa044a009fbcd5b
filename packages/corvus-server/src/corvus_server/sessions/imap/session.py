"""One IMAP connection: sign-in, what is told when, and which function answers what.

Rules R8 and R9 live in `IMAPSession.tell`: a notice of the store says only that something happened;
the session looks, and tells as much as the command in progress allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, final

import corvus_imap as imap
from corvus_imap import commands as c
from corvus_imap import responses
from corvus_imap.extensions.compress import Compress
from corvus_imap.extensions.id import Id
from corvus_imap.extensions.quota import GetQuota, GetQuotaRoot, SetQuota
from corvus_imap.extensions.sort import Sort, Thread
from corvus_imap.types.flags import SYSTEM_FLAGS, Flag
from corvus_imap.types.sequence import SequenceSet
from corvus_server import __version__
from corvus_server.accounts.signin import MECHANISMS, Exchange, SignIn, Visitor
from corvus_server.log import EventLog
from corvus_server.sessions.imap import (
    append,
    fetch,
    mailboxes,
    messages,
    order,
    quota,
    search,
    select,
)
from corvus_server.sessions.imap.errors import REFUSALS, Refusal, refusal_of
from corvus_server.sessions.imap.selected import Selected
from corvus_server.storage.protocols import Store
from corvus_server.storage.values import Account
from corvus_server.tls import SessionFacts
from corvus_server.transports.stream import Engine, Shell

ENGINE: Final = Engine(
    need_data=imap.NEED_DATA,
    paused=imap.PAUSED,
    protocol_error=imap.ProtocolError,
    ended=imap.ConnectionEnded,
    tls_info=lambda facts: imap.TLSInfo(version=facts.version, cipher=facts.cipher),
    bulk=(imap.LiteralChunk,),
)
"""What the transport must know of IMAP."""

POLICY: Final = imap.Policy(
    capabilities=imap.ALL_CAPABILITIES, mechanisms=MECHANISMS, starttls=True
)
"""All that the engine understands; no password in clear."""

#: News that a client in IDLE may leave unread before it is told no more: it hears of the rest when
#: it reads again.
UNREAD: Final = 64 * 1024


@final
class IMAPSession:
    """Answers the events of one IMAP connection."""

    __slots__ = (
        "_exchange", "_log", "_shell", "_sign_in", "_stop", "_waiting", "account", "appending",
        "conn", "late", "selected", "store", "tag",
    )  # fmt: skip

    def __init__(
        self,
        shell: Shell,
        conn: imap.ServerConnection,
        store: Store,
        sign_in: SignIn,
        *,
        log: EventLog,
        admitted: bool = True,
    ) -> None:
        self.conn = conn
        self.store = store
        self.account: Account | None = None
        self.selected: Selected | None = None
        self.appending: append.Appending | None = None
        """The APPEND on its way."""
        self.late: append.Late | None = None
        """Those that are complete and not answered yet."""
        self.tag = ""
        """Of the command in progress."""
        self._shell = shell
        self._sign_in = sign_in
        self._log = log
        self._exchange: Exchange | None = None
        self._stop: Callable[[], None] | None = None
        self._waiting: asyncio.Task[None] | None = None
        self.note("debug", "connected", peer=shell.peer.address, port=shell.peer.port)
        if not admitted:
            conn.close("too many connections from your network")

    # What the shell calls.

    def handle(self, event: Any, /) -> Awaitable[None] | None:
        if event.__class__ is imap.CommandReceived:
            if self.late is not None:
                # Whatever is no APPEND sees what came before it.
                return self._behind(self.late, event)
            self.tag = event.tag
            handler, argument = _COMMANDS[event.command.__class__], event.command
        else:
            found = _EVENTS.get(event.__class__)
            if found is None:
                return None
            handler, argument = found, event
        try:
            waiting = handler(self, argument)
        except REFUSALS as error:
            self._refuse(error)
            return None
        return None if waiting is None else self._guarded(waiting)

    def secured(self, facts: SessionFacts, /) -> None:
        self._exchange = None
        self.note("debug", "tls", version=facts.version, cipher=facts.cipher)

    def failed(self, error: Exception, /) -> None:
        self.note("error", "failed", exc_info=error)
        append.forget(self)
        if not self.conn.closing:
            self.conn.close("a local error; please come again", "SERVERBUG")

    def dismiss(self, reason: str, /) -> None:
        if not self.conn.closing:
            self.conn.close("idle for too long" if reason == "timeout" else reason)

    def closed(self) -> None:
        select.deselect(self)
        append.forget(self)
        if self._stop is not None:
            self._stop()
            self._stop = None
        if self._waiting is not None:
            self._waiting.cancel()
        self.note("debug", "closed")

    async def _behind(self, late: append.Late, event: imap.CommandReceived) -> None:
        await late.done()
        waiting = self.handle(event)
        if waiting is not None:
            await waiting

    async def _guarded(self, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except ConnectionError:
            raise  # the client is gone: the shell's business
        except REFUSALS as error:
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        if self.conn.closing:
            return
        refusal = refusal_of(error)
        if refusal.code == "UNAVAILABLE":
            self.note("warning", "unavailable", error=str(error))
        if refusal.bad:
            self.conn.bad(refusal.text)
        else:
            self.conn.no(refusal.code, refusal.text)

    # What commands use.

    def note(self, level: str, name: str, /, **fields: Any) -> None:
        self._log(level, "imap", name, self._shell.connection, **fields)

    @property
    def owner(self) -> Account:
        """Who has signed in; commands that ask are legal only then."""
        assert self.account is not None
        return self.account

    @property
    def box(self) -> Selected:
        """
        The selected mailbox.

        Raises:
            Refusal: This client has deleted it, though the protocol has no word for that state.
        """
        if self.selected is None:
            raise Refusal("NONEXISTENT", "the selected mailbox was deleted")
        return self.selected

    async def drain(self) -> None:
        """
        Write, and wait until the client keeps up.

        Raises:
            ConnectionResetError: The client is gone.
        """
        await self._shell.drain()

    def flush(self) -> None:
        """Write."""
        self._shell.flush()

    def hang_up(self) -> None:
        """Write what is left, then close."""
        self._shell.disconnect()

    def finish(self, code: imap.Code | str | None = None, text: str = "") -> None:
        """Bring the client up to date and end the command with OK."""
        self.tell()
        if not self.conn.closing:
            self.conn.ok(code, text)

    # What the client is told besides (R8, R9).

    def tell(self, *, expunges: bool = True) -> None:
        """
        Bring the client up to date.

        Args:
            expunges: Whether the command in progress allows EXPUNGE: "An EXPUNGE response MUST NOT be
                sent when no command is in progress, nor while responding to a FETCH, STORE, or SEARCH
                command" (RFC 9051 §7.5.1); their UID forms are other commands.
        """
        box = self.selected
        if box is None:
            return
        poll = box.view.poll(expunges=expunges, ignore=box.own)
        if box.own:
            box.own.clear()
        if not poll:
            return
        conn = self.conn
        if poll.gone:
            self.selected = None
            conn.close("the selected mailbox was deleted")
            return
        if poll.expunged:
            if conn.qresync:
                conn.push(responses.Vanished(SequenceSet.of(uid for _, uid in poll.expunged)))
            else:
                conn.send_raw(b"".join([b"* %d EXPUNGE\r\n" % seq for seq, _ in poll.expunged]))
        if poll.exists is not None:
            conn.push(responses.Exists(poll.exists))
            if box.recent:
                conn.push(responses.Recent(box.recents()))
        if poll.changed:
            _, uids, flags, modseqs = zip(*poll.changed, strict=True)
            self.tell_flags(uids, flags, modseqs)

    def tell_flags(self, uids: Sequence[int], flags: Sequence[int], modseqs: Sequence[int]) -> None:
        """FETCH responses that nobody asked for; "they MUST include UID" (RFC 9051 §7.5.2)."""
        if not uids:
            return
        box = self.box
        texts = box.flag_texts(uids, flags)
        self.announce_keywords()
        seqs = [box.view.seq(uid) or 0 for uid in uids]
        lines = zip(seqs, uids, texts, modseqs, strict=True)
        if self.conn.condstore:
            self.conn.send_raw(
                b"".join(
                    [b"* %d FETCH (UID %d FLAGS (%b) MODSEQ (%d))\r\n" % line for line in lines]
                )
            )
        else:
            self.conn.send_raw(
                b"".join([b"* %d FETCH (UID %d FLAGS (%b))\r\n" % line[:3] for line in lines])
            )

    def announce_keywords(self) -> None:
        """FLAGS anew, if keywords are about to be shown that the last one did not name."""
        box = self.selected
        if box is None or box.names <= set(box.told):
            return
        box.told = tuple(sorted({*box.told, *box.names}, key=str.lower))
        self.conn.push(responses.Flags((*SYSTEM_FLAGS, *map(Flag, box.told))))

    def _noticed(self, account_id: int, modseq: int) -> None:
        """Something of the account has changed: told at once in IDLE, else with the next answer."""
        conn = self.conn
        if self.selected is None or not conn.idling or conn.closing or self._waiting is not None:
            return
        if self._shell.transport.get_write_buffer_size() > UNREAD:
            self._waiting = asyncio.get_running_loop().create_task(self._tell_later())
            return
        try:
            self.tell()
        except (
            Exception
        ) as error:  # a defect of ours costs this connection, never the notices of others
            self.failed(error)
        self.flush()
        if conn.closing:
            self.hang_up()

    async def _tell_later(self) -> None:
        """The client does not read: what happens meanwhile becomes one piece of news."""
        try:
            await self._shell.drain()
        except ConnectionResetError:
            return
        self._waiting = None
        self._noticed(0, 0)

    # Sign-in.

    def _start_tls(self, command: Any) -> None:
        self._shell.pause_reading()
        self.conn.accept()

    def _visitor(self) -> Visitor:
        return Visitor("imap", self._shell.connection, self._shell.peer.address, self._shell.facts)

    async def _login(self, command: Any) -> None:
        self._settle(
            await self._sign_in.password(
                self._visitor(), command.user, command.password.reveal().decode("utf-8", "replace")
            )
        )

    async def _authenticate(self, command: Any) -> None:
        initial = None if command.initial is None else command.initial.reveal()
        self._settle(await self._sign_in.begin(self._visitor(), command.mechanism, initial))

    async def _auth_response(self, event: imap.AuthResponse) -> None:
        assert self._exchange is not None
        self._settle(await self._exchange.respond(event.data.reveal()))

    def _auth_aborted(self, event: Any) -> None:
        self._exchange = None

    def _settle(self, exchange: Exchange) -> None:
        if exchange.challenge is not None:
            self._exchange = exchange
            self.conn.challenge(exchange.challenge)
            return
        self._exchange = None
        if exchange.account is None:
            code = "UNAVAILABLE" if exchange.temporary else "AUTHENTICATIONFAILED"
            self.conn.no(code, exchange.refusal)
            return
        self.account = exchange.account
        self._stop = self.store.subscribe(self.account.id, self._noticed)
        self.note("info", "signed in", account=self.account.address)
        self.conn.ok()

    # Small commands.

    def _noop(self, command: Any) -> None:
        self.finish()

    def _ok(self, command: Any) -> None:
        """What the engine does by itself once it may."""
        self.conn.ok()

    def _id(self, command: Id) -> None:
        if command.pairs:
            told = {name[:30]: (value or "")[:100] for name, value in command.pairs[:10]}
            self.note("debug", "client", id=told)
        self.conn.send(responses.Id((("name", "Corvus"), ("version", __version__))))
        self.conn.ok()

    def _namespace(self, command: Any) -> None:
        self.conn.send(responses.Namespace())
        self.conn.ok()

    def _idle(self, command: Any) -> None:
        self.conn.accept()
        self.tell()

    def _idle_done(self, event: Any) -> None:
        self.finish()


_EVENTS: Final[dict[type, Callable[[IMAPSession, Any], Awaitable[None] | None]]] = {
    imap.AuthResponse: IMAPSession._auth_response,
    imap.AuthAborted: IMAPSession._auth_aborted,
    imap.AppendOffered: append.offered,
    imap.LiteralChunk: append.chunk,
    imap.AppendReceived: append.received,
    imap.AppendAborted: append.aborted,
    imap.IdleDone: IMAPSession._idle_done,
}

_COMMANDS: Final[dict[type, Callable[[IMAPSession, Any], Awaitable[None] | None]]] = {
    c.Capability: IMAPSession._ok,
    c.Noop: IMAPSession._noop,
    c.Check: IMAPSession._noop,
    c.Logout: IMAPSession._ok,
    c.Enable: IMAPSession._ok,
    Compress: IMAPSession._ok,
    Id: IMAPSession._id,
    c.StartTLS: IMAPSession._start_tls,
    c.Login: IMAPSession._login,
    c.Authenticate: IMAPSession._authenticate,
    c.Namespace: IMAPSession._namespace,
    c.Select: select.select,
    c.Close: select.close,
    c.Unselect: select.unselect,
    c.Idle: IMAPSession._idle,
    c.List: mailboxes.list_,
    c.Lsub: mailboxes.lsub,
    c.Status: mailboxes.status,
    c.Create: mailboxes.create,
    c.Delete: mailboxes.delete,
    c.Rename: mailboxes.rename,
    c.Subscribe: mailboxes.subscribe,
    c.Unsubscribe: mailboxes.unsubscribe,
    GetQuota: quota.get_quota,
    GetQuotaRoot: quota.get_quota_root,
    SetQuota: quota.set_quota,
    c.Fetch: fetch.fetch,
    c.Store: messages.store,
    c.Copy: messages.copy,
    c.Move: messages.move,
    c.Expunge: messages.expunge,
    c.Search: search.search,
    Sort: order.sort,
    Thread: order.thread,
}


def make(
    shell: Shell,
    store: Store,
    sign_in: SignIn,
    *,
    log: EventLog,
    admitted: bool,
    hostname: str,
    max_append: int,
    policy: imap.Policy = POLICY,
) -> IMAPSession:
    """
    Build the session of a new connection.

    Args:
        hostname: What the greeting names.
        max_append: Octets of the largest message that APPEND takes.
    """
    facts = shell.facts
    conn = imap.ServerConnection(
        f"{hostname} Corvus",
        policy=policy,
        limits=_limits(max_append),
        tls=None if facts is None else ENGINE.tls_info(facts),
    )
    return IMAPSession(shell, conn, store, sign_in, log=log, admitted=admitted)


_LIMITS: Final[dict[int, imap.Limits]] = {}


def _limits(max_append: int) -> imap.Limits:
    """One value for all connections: they are many."""
    found = _LIMITS.get(max_append)
    if found is None:
        found = _LIMITS[max_append] = imap.Limits(message=max(1, max_append))
    return found

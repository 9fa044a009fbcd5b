"""One IMAP connection: sign-in, the selected mailbox, and what a client is told when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Final, final

import corvus_imap as imap
from corvus_imap import responses
from corvus_imap.types import codes
from corvus_imap.types.flags import SYSTEM_FLAGS, Flag
from corvus_imap.types.sequence import SavedResult, SequenceSet
from corvus_server.accounts.signin import MECHANISMS, Exchange, SignIn, Visitor
from corvus_server.log import EventLog
from corvus_server.sessions.imap import fetch, mailboxes, messages, search
from corvus_server.sessions.imap.errors import Refusal, refusal_of
from corvus_server.storage.errors import StoreError
from corvus_server.storage.protocols import Store
from corvus_server.storage.state import MailboxState, View
from corvus_server.storage.values import Account, Mailbox
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


@final
class Selected:
    """The selected mailbox, as this session knows it."""

    __slots__ = ("mailbox", "own", "read_only", "recent", "saved", "view")

    def __init__(self, mailbox: Mailbox, view: View, read_only: bool, recent: int) -> None:
        self.mailbox = mailbox
        self.view = view
        self.read_only = read_only
        self.recent = recent
        r"""The first UID that is \Recent here."""
        self.own: set[int] = set()
        """MODSEQs of our own STOREs, which the client was told of already."""
        self.saved: list[int] = []
        """UIDs that ``$`` stands for (RFC 5182)."""

    @property
    def state(self) -> MailboxState:
        return self.view.state


class IMAPSession:
    """Answers the events of one IMAP connection."""

    __slots__ = (
        "_changed", "_exchange", "_log", "_shell", "_sign_in", "_stop", "account", "bodies",
        "conn", "hostname", "offers", "selected", "store", "target",
    )  # fmt: skip

    def __init__(
        self,
        shell: Shell,
        conn: imap.ServerConnection,
        store: Store,
        sign_in: SignIn,
        *,
        log: EventLog,
        hostname: str,
        admitted: bool = True,
    ) -> None:
        self.conn = conn
        self.store = store
        self.hostname = hostname
        self.account: Account | None = None
        self.selected: Selected | None = None
        self.bodies: list[Any] = []
        """Bodies of an APPEND on its way."""
        self.offers: list[Any] = []
        self.target: Mailbox | None = None
        self._shell = shell
        self._sign_in = sign_in
        self._log = log
        self._exchange: Exchange | None = None
        self._stop: Callable[[], None] | None = None
        self._changed = False
        self.note("debug", "connected", peer=shell.peer.address, port=shell.peer.port)
        if not admitted:
            conn.close("too many connections from your network")

    # What the shell calls.

    def handle(self, event: Any, /) -> Awaitable[None] | None:
        if event.__class__ is imap.CommandReceived:
            return self._command(event.command)
        handler = _EVENTS.get(event.__class__)
        return None if handler is None else handler(self, event)

    def secured(self, facts: SessionFacts, /) -> None:
        self._exchange = None
        self.note("debug", "tls", version=facts.version, cipher=facts.cipher)

    def failed(self, error: Exception, /) -> None:
        self.note("error", "failed", exc_info=error)
        messages.forget_append(self)
        if not self.conn.closing:
            self.conn.close("a local error; please come again", "SERVERBUG")

    def dismiss(self, reason: str, /) -> None:
        if not self.conn.closing:
            self.conn.close("idle for too long" if reason == "timeout" else reason)

    def closed(self) -> None:
        self.deselect()
        messages.forget_append(self)
        if self._stop is not None:
            self._stop()
            self._stop = None
        self.note("debug", "closed")

    # Commands.

    def _command(self, command: Any) -> Awaitable[None] | None:
        handler = _COMMANDS[command.__class__]
        try:
            waiting = handler(self, command)
        except (Refusal, StoreError) as error:
            self._refuse(error)
            return None
        if waiting is None:
            return None
        return self._guarded(waiting)

    async def _guarded(self, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except (Refusal, StoreError) as error:
            self._refuse(error)

    def _refuse(self, error: Refusal | StoreError) -> None:
        refusal = error if isinstance(error, Refusal) else refusal_of(error)
        if refusal.bad:
            self.conn.bad(refusal.text)
        else:
            self.conn.no(refusal.code, refusal.text)

    def note(self, level: str, name: str, /, **fields: Any) -> None:
        self._log(level, "imap", name, self._shell.connection, **fields)

    @property
    def owner(self) -> Account:
        """Who has signed in; commands that ask are legal only then."""
        assert self.account is not None
        return self.account

    @property
    def box(self) -> Selected:
        """The selected mailbox; commands that ask are legal only while there is one."""
        assert self.selected is not None
        return self.selected

    async def drain(self) -> None:
        """Write, and wait until the client keeps up."""
        await self._shell.drain()

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
        self.tell()
        self.conn.ok()

    def _plain_ok(self, command: Any) -> None:
        self.conn.ok()

    def _id(self, command: Any) -> None:
        from corvus_server import __version__

        self.conn.send(responses.Id((("name", "Corvus"), ("version", __version__))))
        self.conn.ok()

    def _namespace(self, command: Any) -> None:
        self.conn.send(responses.Namespace())
        self.conn.ok()

    # Selecting.

    async def _select(self, command: Any) -> None:
        self.deselect()
        conn = self.conn
        mailbox = self.store.mailboxes.get(self.owner.id, command.mailbox)
        if mailbox is None:
            raise Refusal("NONEXISTENT", "there is no such mailbox")
        state = await self.store.messages.open(mailbox.id)
        view = state.view()
        recent = state.uid_next
        if not command.read_only and not conn.rev2:
            recent = self.store.messages.claim_recent(mailbox.id)
        selected = Selected(mailbox, view, command.read_only, recent)
        known = [*(str(flag) for flag in SYSTEM_FLAGS), *state.keyword_names()]
        conn.send(responses.Flags(tuple(Flag(name) for name in known)))
        conn.send(responses.Exists(len(view)))
        conn.send(responses.Recent(len(view.uid_range(recent, 0xFFFFFFFF)) if recent else 0))
        first = state.first_unseen()
        if first is not None and not conn.rev2:
            self._ok(codes.unseen(first + 1), "the first unseen")
        permanent = () if command.read_only else tuple(known)
        self._ok(
            codes.permanent_flags(permanent, new_keywords=not command.read_only), "what may be set"
        )
        self._ok(codes.uid_next(state.uid_next), "the next UID")
        self._ok(codes.uid_validity(state.uid_validity), "UIDs are valid")
        self._ok(codes.high_modseq(max(1, state.modseq)), "the highest")
        self._ok(codes.mailbox_id(mailbox.object_id), "its id")
        if conn.rev2:
            conn.send(responses.List(mailbox.name, "/", mailboxes.attributes(self, mailbox)))
        self.selected = selected
        if command.qresync is not None:
            self._resynchronise(command.qresync, state)
        conn.ok()

    def _ok(self, code: codes.Code, text: str) -> None:
        self.conn.send(responses.Condition(responses.Kind.OK, text, code))

    def _resynchronise(self, known: Any, state: MailboxState) -> None:
        """What the client missed (RFC 7162 §3.2.5)."""
        if known.uid_validity != state.uid_validity:
            return
        changes = self.store.messages.changes_since(state.id, known.modseq)
        wanted = known.known_uids
        self._vanished_earlier(changes, wanted, state)
        for uid, flags, modseq in changes.changed:
            seq = self.box.view.seq(uid)
            if seq is not None and (wanted is None or _holds(wanted, uid)):
                self.conn.send_raw(_flags_line(seq, uid, state.flag_text(flags), modseq))

    def _vanished_earlier(
        self, changes: Any, wanted: SequenceSet | None, state: MailboxState
    ) -> None:
        """``VANISHED (EARLIER)``, cut to what the client holds; all it holds where the past is gone."""
        present = set(state.uids)
        spans = list(changes.vanished)
        if not changes.complete:
            spans = [(1, max(1, state.uid_next - 1))]
        gone: list[int] = []
        for low, high in spans:
            top = min(high, state.uid_next - 1)
            for uid in range(low, top + 1):
                if uid not in present and (wanted is None or _holds(wanted, uid)):
                    gone.append(uid)
        if gone:
            self.conn.send(responses.Vanished(SequenceSet.of(gone), earlier=True))

    def deselect(self) -> None:
        self.selected = None

    def _close(self, command: Any) -> Awaitable[None] | None:
        return self._close_expunging()

    async def _close_expunging(self) -> None:
        box = self.box
        if not box.read_only:
            await self.store.messages.expunge(box.mailbox.id)
        self.deselect()
        self.conn.ok()

    def _unselect(self, command: Any) -> None:
        self.deselect()
        self.conn.ok()

    # What the client is told besides (R8, R9).

    def tell(self, *, expunges: bool = True) -> None:
        """Bring the client up to date, as far as the command in progress allows."""
        box = self.selected
        if box is None:
            return
        poll = box.view.poll(expunges=expunges, ignore=box.own)
        box.own.clear()
        if not poll:
            return
        conn = self.conn
        if poll.gone:
            conn.close("the mailbox was deleted")
            return
        if poll.expunged:
            if conn.qresync:
                conn.push(responses.Vanished(SequenceSet.of(uid for _, uid in poll.expunged)))
            else:
                conn.push(*(responses.Expunge(seq) for seq, _ in poll.expunged))
        if poll.exists is not None:
            conn.push(responses.Exists(poll.exists))
        state = box.state
        for seq, uid, flags, modseq in poll.changed:
            shown = modseq if conn.condstore else None
            conn.send_raw(_flags_line(seq, uid, self.flags_of(uid, flags, state), shown))

    def flags_of(self, uid: int, value: int, state: MailboxState) -> bytes:
        r"""The flags of a message as they stand between the parentheses, \Recent with them."""
        text = state.flag_text(value)
        box = self.selected
        if box is not None and box.recent and uid >= box.recent and not self.conn.rev2:
            return text + b" \\Recent" if text else b"\\Recent"
        return text

    def _noticed(self, account_id: int, modseq: int) -> None:
        """Something of the account has changed: told at once in IDLE, else with the next answer."""
        if self.conn.idling and not self.conn.closing:
            self.tell()
            self._shell.flush()

    def _idle(self, command: Any) -> None:
        self.conn.accept()
        self.tell()

    def _idle_done(self, event: Any) -> None:
        self.tell()
        self.conn.ok()

    # Numbers.

    def chosen(self, wanted: Any, *, uid: bool) -> list[int]:
        """
        The UIDs that *wanted* means, ascending.

        Raises:
            Refusal: A message number beyond the last (BAD).
        """
        box = self.box
        view = box.view
        if isinstance(wanted, SavedResult):
            return [each for each in box.saved if view.seq(each) is not None]
        found: list[int] = []
        count = len(view)
        if uid:
            last = view.uid(count) if count else 0
            for span in wanted.resolve(last):
                found.extend(view.uid_range(span.start, span.stop - 1))
            return found
        for low, high in wanted.ranges:
            named = high if high <= 0xFFFFFFFF else low if low <= 0xFFFFFFFF else 1
            if named > count:
                raise Refusal(text=f"there are {count} messages", bad=True)
        for span in wanted.resolve(count):
            found.extend(view.uids(span.start, span.stop - 1))
        return found


def _flags_line(seq: int, uid: int, flags: bytes, modseq: int | None) -> bytes:
    tail = b"" if modseq is None else b" MODSEQ (%d)" % modseq
    return b"* %d FETCH (UID %d FLAGS (%b)%b)\r\n" % (seq, uid, flags, tail)


def _holds(wanted: SequenceSet, uid: int) -> bool:
    return any(low <= uid <= high for low, high in wanted.ranges)


def _numbers(uids: Iterable[int], known: Collection[int]) -> list[int]:
    return [uid for uid in uids if uid in known]


_EVENTS: Final[dict[type, Callable[[IMAPSession, Any], Awaitable[None] | None]]] = {
    imap.AuthResponse: IMAPSession._auth_response,
    imap.AuthAborted: IMAPSession._auth_aborted,
    imap.AppendOffered: messages.append_offered,
    imap.LiteralChunk: messages.append_chunk,
    imap.AppendReceived: messages.append_received,
    imap.AppendAborted: messages.append_aborted,
    imap.IdleDone: IMAPSession._idle_done,
}

c = imap.commands
_COMMANDS: Final[dict[type, Callable[[IMAPSession, Any], Awaitable[None] | None]]] = {
    c.Capability: IMAPSession._plain_ok,
    c.Noop: IMAPSession._noop,
    c.Check: IMAPSession._noop,
    c.Logout: IMAPSession._plain_ok,
    c.Enable: IMAPSession._plain_ok,
    c.Compress: IMAPSession._plain_ok,
    c.Id: IMAPSession._id,
    c.StartTLS: IMAPSession._start_tls,
    c.Login: IMAPSession._login,
    c.Authenticate: IMAPSession._authenticate,
    c.Namespace: IMAPSession._namespace,
    c.Select: IMAPSession._select,
    c.Close: IMAPSession._close,
    c.Unselect: IMAPSession._unselect,
    c.Idle: IMAPSession._idle,
    c.List: mailboxes.list_,
    c.Lsub: mailboxes.lsub,
    c.Status: mailboxes.status,
    c.Create: mailboxes.create,
    c.Delete: mailboxes.delete,
    c.Rename: mailboxes.rename,
    c.Subscribe: mailboxes.subscribe,
    c.Unsubscribe: mailboxes.unsubscribe,
    c.GetQuota: mailboxes.get_quota,
    c.GetQuotaRoot: mailboxes.get_quota_root,
    c.SetQuota: mailboxes.set_quota,
    c.Fetch: fetch.fetch,
    c.Store: messages.store,
    c.Copy: messages.copy,
    c.Move: messages.move,
    c.Expunge: messages.expunge,
    c.Search: search.search,
    c.Sort: search.sort,
    c.Thread: search.thread,
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
    """Build the session of a new connection."""
    facts = shell.facts
    conn = imap.ServerConnection(
        policy=policy,
        limits=_limits(max_append),
        tls=None if facts is None else ENGINE.tls_info(facts),
    )
    return IMAPSession(shell, conn, store, sign_in, log=log, hostname=hostname, admitted=admitted)


_LIMITS: Final[dict[int, imap.Limits]] = {}


def _limits(max_append: int) -> imap.Limits:
    """One value for all connections: they are many."""
    found = _LIMITS.get(max_append)
    if found is None:
        found = _LIMITS[max_append] = imap.Limits(message=max_append)
    return found

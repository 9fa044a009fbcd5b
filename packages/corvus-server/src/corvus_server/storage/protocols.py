"""
What the server asks of a store, grouped by who asks.

Three kinds of calls, the same in every group:

- **writes** are coroutines: they return when the change is durable (R6).  Many waiters share one transaction, each
  succeeds or fails on its own;
- **short reads** (by key, or one slice of a mailbox) are plain methods that may be called on the event loop;
- **long reads** are coroutines that work elsewhere.

Whatever cannot be done raises a `corvus_server.storage.errors.StoreError` and changes nothing.  Nothing here names
SQL or files, so that PostgreSQL with an object store can stand behind it; `corvus_server.testing.store_suite` is the
meaning of every sentence below, as tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from corvus_server.storage.bodies import Body, BodyReader
from corvus_server.storage.state import MailboxState
from corvus_server.storage.values import (
    Accepted,
    Account,
    Alias,
    Appended,
    AppPassword,
    Attempt,
    Changes,
    Copied,
    DKIMKey,
    Domain,
    Expunged,
    Finding,
    FlagOperation,
    FlagsStored,
    GreylistEntry,
    Intake,
    Lease,
    LoginAttempt,
    Mailbox,
    NewMessage,
    Part,
    QueueEntry,
    QueueRecipient,
    RecipientOutcome,
    RecipientState,
    Resolution,
    StoredBody,
    Summary,
    SweepReport,
    Verdict,
    WebSession,
)

__all__ = [
    "ChangeCallback",
    "Directory",
    "Greylist",
    "Keys",
    "Logins",
    "Mailboxes",
    "Messages",
    "Queue",
    "Settings",
    "Store",
    "Verdicts",
    "WebSessions",
]

ChangeCallback = Callable[[int, int], None]
"""Called on the event loop with (account id, modseq), which is all a notice says (R8)."""


class Directory(Protocol):
    """Who has mail here: the consumers are RCPT, sign-in, the admin pages and the command line."""

    def domain(self, name: str) -> Domain | None: ...
    def domains(self) -> list[Domain]: ...
    async def add_domain(self, name: str) -> Domain: ...

    async def update_domain(
        self,
        name: str,
        *,
        enabled: bool | None = None,
        catch_all: str | None = None,
        strict_dmarc: bool | None = None,
    ) -> Domain:
        """None leaves a field as it is; an empty `catch_all` takes the catch-all away."""
        ...

    async def remove_domain(self, name: str) -> None:
        """
        Take away a domain that has no account and no alias left.

        Raises:
            AlreadyExists: it still has some.
        """
        ...

    def account(self, address: str) -> Account | None:
        """The account of exactly this address (case-insensitive); aliases are not followed."""
        ...

    def account_by_id(self, account_id: int) -> Account | None: ...
    def accounts(self, domain: str | None = None) -> list[Account]: ...

    async def add_account(
        self,
        address: str,
        *,
        password_hash: str = "",
        name: str = "",
        admin: bool = False,
        quota: int = 0,
        seeded: bool = False,
    ) -> Account:
        """Make an account with its mailboxes (`SPECIAL_USES`) in a domain of ours."""
        ...

    async def update_account(
        self,
        account_id: int,
        *,
        password_hash: str | None = None,
        name: str | None = None,
        admin: bool | None = None,
        enabled: bool | None = None,
        quota: int | None = None,
        seeded: bool | None = None,
    ) -> Account:
        """None leaves a field as it is.  A new `password_hash` clears `seeded` unless that is given too."""
        ...

    async def remove_account(self, account_id: int) -> None:
        """Take away an account with all its mail, app passwords and web sessions."""
        ...

    def over_quota(self, account_id: int, octets: int = 0) -> bool:
        """Whether `octets` more would not fit: what RCPT asks."""
        ...

    def alias(self, address: str) -> Alias | None: ...
    def aliases(self, domain: str | None = None) -> list[Alias]: ...

    async def set_alias(
        self, address: str, targets: Sequence[str], *, enabled: bool = True
    ) -> Alias:
        """Make an alias, or give it other targets."""
        ...

    async def remove_alias(self, address: str) -> None: ...

    def resolve_recipient(self, address: str) -> Resolution:
        """
        Where mail for `address` goes: account, alias, the same without ``+detail``, catch-all.

        Aliases of aliases are followed 10 deep; a cycle ends where it closes.
        """
        ...

    def app_passwords(self, account_id: int) -> list[AppPassword]: ...

    async def add_app_password(
        self,
        account_id: int,
        name: str,
        secrets: Mapping[str, str],
        *,
        scopes: Iterable[str] = (),
    ) -> AppPassword: ...

    async def remove_app_password(self, account_id: int, app_password_id: int) -> None: ...

    async def touch_app_password(self, app_password_id: int, client: str) -> None:
        """Note that it was used now, from `client`."""
        ...


class Logins(Protocol):
    """Attempts to sign in: the consumers are the lockout and the page that lists them."""

    async def record(self, attempt: LoginAttempt) -> None: ...

    def failures(self, address: str, network: str, since: float) -> int:
        """Failed attempts behind `since` and behind the last success of this (address, network)."""
        ...

    def recent(self, limit: int = 100, address: str | None = None) -> list[LoginAttempt]:
        """Newest first."""
        ...

    async def forget(self, address: str, network: str | None = None) -> None:
        """Lift a lockout."""
        ...


class Mailboxes(Protocol):
    """The folders of an account: the consumers are IMAP's LIST, CREATE, RENAME ... and the web's rail."""

    def all(self, account_id: int) -> list[Mailbox]:
        """All, by name, INBOX first."""
        ...

    def get(self, account_id: int, name: str) -> Mailbox | None:
        """By name; INBOX in any case."""
        ...

    def by_id(self, mailbox_id: int) -> Mailbox | None: ...
    def special(self, account_id: int, special_use: str) -> Mailbox | None: ...

    async def create(self, account_id: int, name: str, *, special_use: str = "") -> Mailbox:
        """
        Make a mailbox, and the superiors it lacks (RFC 9051 §6.3.4).

        Raises:
            AlreadyExists: it is there.
            InvalidName: empty levels, controls, longer than 1000 octets, deeper than 50.
        """
        ...

    async def rename(self, account_id: int, name: str, new_name: str) -> Mailbox:
        """
        Rename a mailbox and its inferiors; they keep their UIDVALIDITY (R3).

        Renaming INBOX moves its messages into a new mailbox and leaves INBOX empty (RFC 9051 §6.3.6).
        """
        ...

    async def delete(self, account_id: int, name: str) -> None:
        """
        Delete a mailbox and its messages; inferiors stay.  INBOX cannot be deleted.
        """
        ...

    async def set_special_use(self, account_id: int, name: str, special_use: str) -> Mailbox: ...

    def subscriptions(self, account_id: int) -> list[str]:
        """Subscribed names, whether such a mailbox exists or not."""
        ...

    async def subscribe(self, account_id: int, name: str, subscribed: bool = True) -> None: ...

    def annotations(self, account_id: int, mailbox_id: int | None = None) -> dict[str, bytes]:
        """METADATA (RFC 5464) of a mailbox, or with None the server annotations of the account."""
        ...

    async def annotate(
        self, account_id: int, mailbox_id: int | None, entries: Mapping[str, bytes | None]
    ) -> None:
        """Set entries, names in lower case; None takes one away.  All or nothing."""
        ...


class Messages(Protocol):
    """
    What lies in the mailboxes: the consumers are the IMAP and POP3 sessions and the web.

    `uids` are any ascending sequences of UIDs (an `array` slice will do).  UIDs that are not there are passed over
    in silence, as RFC 9051 §6.4.9 asks.
    """

    async def open(self, mailbox_id: int) -> MailboxState:
        """
        The state of a mailbox, shared by everybody who has it open in this process.

        Take a `MailboxState.view()` of it for a session; while a view is alive the state stays in memory.
        """
        ...

    def opened(self, mailbox_id: int) -> MailboxState | None:
        """The state if it is in memory."""
        ...

    def claim_recent(self, mailbox_id: int) -> int:
        """
        The first UID that is \\Recent for the caller, who takes them all (RFC 3501 §2.3.2).

        Kept across restarts without waiting for the disk: after a crash a message may be recent twice.
        """
        ...

    def fetch(
        self, mailbox_id: int, uids: Sequence[int], columns: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        """
        Rows ``(uid, *columns)``, ascending; ask for a slice of a few hundred at a time.

        Columns: ``flags`` ``modseq`` ``size`` ``header_size`` ``internal_date`` (bytes as in a FETCH response)
        ``internal_time`` (float) ``saved_at`` (float) ``envelope`` ``bodystructure`` ``body`` (bytes) ``header_fields``
        (bytes or None, see `facts.cut_fields`) ``preview`` (str) ``subject`` ``sender`` ``to`` ``cc`` ``message_id``
        (str) ``sent_at`` (float or None) ``has_attachment`` ``email_id`` ``thread_id`` (str) ``verdict_id``.
        """
        ...

    def summaries(self, mailbox_id: int, uids: Sequence[int]) -> list[Summary]: ...

    def parts(self, mailbox_id: int, uid: int) -> tuple[Part, ...]:
        """The MIME parts of a message, offsets from the start of what is fetched; empty if it is gone."""
        ...

    def bodies(self, mailbox_id: int, uids: Sequence[int]) -> list[StoredBody]:
        """Handles, ascending by UID."""
        ...

    def read_body(self, body: StoredBody, offset: int = 0, length: int | None = None) -> bytes:
        """Octets of prefix and body; for what is small, or a chunk of what is not."""
        ...

    def open_body(self, body: StoredBody) -> BodyReader:
        """For streaming; close it."""
        ...

    async def append(
        self,
        mailbox_id: int,
        messages: Sequence[NewMessage],
        *,
        replaces: tuple[int, int] | None = None,
    ) -> Appended:
        """
        Put messages into a mailbox, all or none (RFC 3502); `replaces` is (mailbox id, uid) of one that goes in the
        same moment (RFC 8508).

        Raises:
            OverQuota, NoSuchMailbox, NotFound (what is replaced is gone), StoreUnavailable
        """
        ...

    async def store_flags(
        self,
        mailbox_id: int,
        uids: Sequence[int],
        operation: FlagOperation,
        flags: Iterable[str],
        *,
        unchanged_since: int | None = None,
    ) -> FlagsStored: ...

    async def copy(self, mailbox_id: int, uids: Sequence[int], target_id: int) -> Copied:
        """Copy by reference: no body is touched.  Into the same mailbox is allowed."""
        ...

    async def move(self, mailbox_id: int, uids: Sequence[int], target_id: int) -> Copied: ...

    async def expunge(
        self, mailbox_id: int, uids: Sequence[int] | None = None, *, only_deleted: bool = True
    ) -> Expunged:
        """Remove what is \\Deleted, among `uids` if given; with ``only_deleted=False`` remove `uids` as they are."""
        ...

    def changes_since(self, mailbox_id: int, modseq: int) -> Changes:
        """What QRESYNC and a reconnecting client ask (RFC 7162 §3.2.5)."""
        ...

    async def search_text(self, mailbox_id: int, field: str, needle: str) -> list[int]:
        """
        UIDs whose `field` contains `needle`, ascending, after `words.search_key` on both sides.

        Fields: ``subject`` ``from`` ``to`` ``cc`` ``bcc`` (decoded), ``body`` (the text parts), ``text`` (header and
        text parts).  Always right, indexed or not yet.
        """
        ...

    async def search_header(self, mailbox_id: int, name: str, needle: str) -> list[int]:
        """UIDs that have a header field `name` whose decoded value contains `needle` (which may be empty)."""
        ...

    async def search_dates(
        self, mailbox_id: int, which: str, since: int | None, before: int | None
    ) -> list[int]:
        """
        UIDs whose date lies in ``since <= day < before``, days since 1970 in the date's own zone.

        `which` is ``internal``, ``sent`` or ``saved``.
        """
        ...

    async def thread(self, account_id: int, thread_id: str) -> list[tuple[int, int]]:
        """(mailbox id, uid) of all messages of a conversation, oldest first."""
        ...

    async def index(self, limit: int | None = None) -> int:
        """Put bodies that are behind the high-water mark into the full-text index; how many it did."""
        ...


class Queue(Protocol):
    """Mail on its way out: the consumers are the queue runner and the queue pages."""

    async def lease_due(
        self, now: float, limit: int, lease_seconds: float, *, skip_domains: Iterable[str] = ()
    ) -> list[Lease]:
        """
        Take what is due: at most `limit` leases, each the due recipients of one entry at one domain (R7).

        Expired leases are due again.
        """
        ...

    async def renew(self, token: str, until: float) -> None:
        """Keep a lease longer.  Raises LeaseLost."""
        ...

    async def finish_attempt(
        self,
        token: str,
        outcomes: Sequence[RecipientOutcome],
        attempt: Attempt | None,
        *,
        then: Intake | None = None,
    ) -> Accepted | None:
        """
        End a lease; `then` (a DSN) becomes visible in the same commit.

        Recipients of the lease without an outcome go back as they were, due at once.

        Raises:
            LeaseLost: the token is not the one of today; nothing was recorded.
        """
        ...

    def next_due(self) -> float | None:
        """When something is due next, or None."""
        ...

    def entry(self, entry_id: int) -> QueueEntry | None: ...

    def entries(
        self,
        *,
        state: RecipientState | None = None,
        domain: str | None = None,
        account_id: int | None = None,
        finished: bool = False,
        before_id: int | None = None,
        limit: int = 100,
    ) -> list[QueueEntry]:
        """Newest first; a page is `limit` entries below `before_id`."""
        ...

    def counts(self) -> dict[RecipientState, int]: ...
    def attempts(self, entry_id: int) -> list[Attempt]: ...
    def recipients(self, entry_id: int) -> tuple[QueueRecipient, ...]: ...
    def read_body(self, entry: QueueEntry, offset: int = 0, length: int | None = None) -> bytes:
        """Octets of prefix and body."""
        ...

    def open_body(self, entry: QueueEntry) -> BodyReader: ...

    async def hold(self, entry_id: int, recipients: Sequence[int] | None = None) -> int:
        """Waiting recipients (of the entry, or those named by id) are held; how many."""
        ...

    async def release(self, entry_id: int, recipients: Sequence[int] | None = None) -> int: ...

    async def retry(self, entry_id: int, recipients: Sequence[int] | None = None) -> int:
        """Waiting and held recipients are due now."""
        ...

    async def drop(self, entry_id: int, recipients: Sequence[int] | None = None) -> int:
        """Recipients that have no final state get `DROPPED`; a lease on them is lost."""
        ...

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` on the loop whenever something may have become due; returns what ends it."""
        ...


class Verdicts(Protocol):
    """Why mail went where it went."""

    async def record(self, verdict: Verdict) -> int:
        """For mail that was not kept (greylisted, refused); with kept mail it goes into the `Intake`."""
        ...

    def get(self, verdict_id: int) -> Verdict | None: ...

    def recent(
        self, limit: int = 100, *, action: str | None = None, before_id: int | None = None
    ) -> list[Verdict]:
        """Newest first."""
        ...


class Greylist(Protocol):
    """What is known of (client network, envelope domain)."""

    def get(self, network: str, domain: str) -> GreylistEntry | None: ...

    async def seen(self, network: str, domain: str, *, passed: bool) -> GreylistEntry:
        """Count one more sight of the pair, deferred or passed."""
        ...

    def entries(self, limit: int = 100) -> list[GreylistEntry]:
        """Newest first."""
        ...

    async def forget(self, *, before: float | None = None, network: str | None = None) -> int: ...


class WebSessions(Protocol):
    """Who is signed in on the web."""

    async def create(self, session: WebSession) -> None: ...
    def get(self, digest: bytes) -> WebSession | None:
        """The session, unless it has expired."""
        ...

    async def touch(
        self, digest: bytes, *, expires: float | None = None, data: Mapping[str, Any] | None = None
    ) -> None: ...
    async def end(self, digest: bytes) -> None: ...
    async def end_all(self, account_id: int, *, but: bytes | None = None) -> int: ...
    def of(self, account_id: int) -> list[WebSession]: ...


class Settings(Protocol):
    """Small facts of the installation, by key; values are anything JSON holds."""

    def get(self, key: str, default: Any = None) -> Any: ...
    def all(self, prefix: str = "") -> dict[str, Any]: ...
    async def set(self, key: str, value: Any) -> None:
        """None takes the key away."""
        ...


class Keys(Protocol):
    """DKIM keys, sealed (R14)."""

    async def add(self, key: DKIMKey, private_pem: bytes) -> DKIMKey:
        """Raises AlreadyExists: the selector is in use; rotate with another."""
        ...

    def get(self, domain: str, selector: str) -> DKIMKey | None: ...
    def all(self, domain: str | None = None) -> list[DKIMKey]:
        """By domain, then in the order made."""
        ...

    def private_key(self, domain: str, selector: str) -> bytes:
        """The PEM, unsealed.  Raises NotFound."""
        ...

    async def set_active(self, domain: str, selector: str, active: bool) -> DKIMKey: ...
    async def remove(self, domain: str, selector: str) -> None: ...


class Store(Protocol):
    """A whole store.  Consumers take the group they need; only the composition root holds this."""

    @property
    def directory(self) -> Directory: ...
    @property
    def logins(self) -> Logins: ...
    @property
    def mailboxes(self) -> Mailboxes: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def queue(self) -> Queue: ...
    @property
    def verdicts(self) -> Verdicts: ...
    @property
    def greylist(self) -> Greylist: ...
    @property
    def web_sessions(self) -> WebSessions: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def keys(self) -> Keys: ...

    def new_body(self) -> Body:
        """A place for the octets of a message on its way in; see `Body`."""
        ...

    async def accept(self, intake: Intake) -> Accepted:
        """
        Make a body durable, then visible to all its recipients and the queue in one commit (R5, R6).

        Raises:
            OverQuota: no delivery found room and nothing was queued.  Where some did, see `Accepted.refused`.
            NotFound: an account is gone.
            StoreUnavailable: nothing was kept; the body may be handed in again.
        """
        ...

    def subscribe(self, account_id: int | None, callback: ChangeCallback) -> Callable[[], None]:
        """Call `callback` after each commit that changes the account (None: any); returns what ends it (R8)."""
        ...

    async def check(self, *, fix: bool = False) -> list[Finding]:
        """Compare what is stored with itself (R12); with `fix` repair what can be repaired."""
        ...

    async def sweep(self, *, grace: float = 3600.0) -> SweepReport:
        """Take away what nobody refers to any more and what is past its time."""
        ...

    async def flush(self) -> None:
        """Return when everything asked for so far is durable."""
        ...

    async def close(self) -> None:
        """Finish what was asked for and let go of the data folder; idempotent."""
        ...

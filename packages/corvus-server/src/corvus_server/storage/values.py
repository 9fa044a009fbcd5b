"""
The nouns of the store: frozen values that consumers read and hand in.

Times are seconds since 1970 as `float` (wall clock, UTC); sizes are octets; addresses are ``local@domain`` with the
domain in lower-case A-labels.  Flags are `str` in IMAP's spelling (``\\Seen``, ``$Forwarded``); in memory and in bulk
answers they are one integer (see `corvus_server.storage.flags`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, final

from corvus_server.storage.prefixes import KEPT_FIELDS, check_prefix
from corvus_server.storage.queue_values import (
    MAX_DIALOGUE,
    Attempt,
    Lease,
    Queued,
    QueuedRecipient,
    QueueEntry,
    QueueRecipient,
    RecipientOutcome,
    RecipientState,
)

if TYPE_CHECKING:
    from corvus_server.storage.bodies import Body

__all__ = [
    "KEPT_FIELDS",
    "MAX_DIALOGUE",
    "MAX_VERDICT",
    "SPECIAL_USES",
    "Accepted",
    "Account",
    "Alias",
    "AppPassword",
    "Appended",
    "Attempt",
    "Changes",
    "Copied",
    "DKIMKey",
    "Delivery",
    "Domain",
    "Expunged",
    "Filed",
    "Finding",
    "FlagOperation",
    "FlagsStored",
    "GreylistEntry",
    "Intake",
    "Lease",
    "LoginAttempt",
    "Mailbox",
    "MessageFacts",
    "NewMessage",
    "Part",
    "QueueEntry",
    "QueueRecipient",
    "Queued",
    "QueuedRecipient",
    "RecipientOutcome",
    "RecipientState",
    "Resolution",
    "StoredBody",
    "Summary",
    "SweepReport",
    "Verdict",
    "WebSession",
]

MAX_VERDICT: Final = 16 * 1024
"""Octets of a verdict tree as JSON; the pipeline cuts and hashes long answers before it hands one in."""

SPECIAL_USES: Final[Mapping[str, str]] = {
    "INBOX": "",
    "Sent": "\\Sent",
    "Drafts": "\\Drafts",
    "Junk": "\\Junk",
    "Trash": "\\Trash",
    "Archive": "\\Archive",
}
"""The mailboxes that are made with each account, and their special use (RFC 6154 §2)."""


# Who can receive and sign in.


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain whose mail is ours."""

    id: int
    name: str
    created: float
    enabled: bool = True
    catch_all: str | None = None
    """The address that gets what nobody else at the domain does, or None: such recipients are refused."""
    strict_dmarc: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who receives mail and signs in."""

    id: int
    address: str
    name: str = ""
    password_hash: str = field(default="", repr=False)
    """As `corvus_auth.passwords.hash` made it; empty: nobody can sign in with a password."""
    seeded: bool = False
    """The password is a published one (`corvus seed`) and has not been changed."""
    admin: bool = False
    enabled: bool = True
    quota: int = 0
    """Octets; 0 is without limit."""
    used: int = 0
    messages: int = 0
    modseq: int = 1
    created: float = 0.0
    folder: str = ""
    """Where the bodies are, relative to the data folder."""

    @property
    def local_part(self) -> str:
        return self.address.rpartition("@")[0]

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """An address that stands for others, here or outside."""

    address: str
    targets: tuple[str, ...]
    created: float
    enabled: bool = True


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AppPassword:
    """
    A password of 128 random bits made for one program.

    `secrets` holds what each mechanism needs, made by the accounts layer and opaque here, such as
    ``{"hash": "...", "SCRAM-SHA-256": "..."}``.
    """

    id: int
    account_id: int
    name: str
    secrets: Mapping[str, str] = field(repr=False)
    scopes: frozenset[str] = frozenset()
    created: float = 0.0
    last_used: float | None = None
    last_address: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Where mail for one address goes; `known` is false where RCPT is answered 550 5.1.1."""

    address: str
    accounts: tuple[Account, ...] = ()
    """Local accounts, each once, in the order found."""
    external: tuple[str, ...] = ()
    """Addresses at domains that are not ours."""
    local_domain: bool = False
    """The domain is ours: if false, delivering would be relaying."""
    disabled: bool = False
    """It would be known, but the account or alias is switched off (550 5.2.1)."""
    detail: str = ""
    """What stood behind the ``+``."""
    path: tuple[str, ...] = ()
    """The aliases followed, for "forwarded because" and for loop detection."""

    @property
    def known(self) -> bool:
        return bool(self.accounts or self.external)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAttempt:
    """One try to sign in, for lockout and for the page that lists them."""

    when: float
    address: str
    network: str
    ok: bool
    service: str = ""
    mechanism: str = ""
    client: str = ""


# Mailboxes and messages.


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One mailbox as it stands in the database."""

    id: int
    account_id: int
    name: str
    """Hierarchy separator ``/``; INBOX in capitals."""
    special_use: str = ""
    uid_validity: int
    uid_next: int
    modseq: int
    messages: int = 0
    unseen: int = 0
    deleted: int = 0
    octets: int = 0
    subscribed: bool = True
    created: float = 0.0

    @property
    def object_id(self) -> str:
        """MAILBOXID (RFC 8474): the same over renames, never used again."""
        return f"F{self.id}"


@final
@dataclass(frozen=True, slots=True)
class Part:
    """Where one MIME part lies; offsets are octets from the start of what a client fetches."""

    path: str
    """IMAP's part number, such as ``1.2``; empty for the message itself."""
    header: int
    body: int
    end: int
    media_type: str = "text/plain"
    encoding: str = "7bit"
    charset: str = ""
    filename: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFacts:
    """
    Everything FETCH and SEARCH need without the body (R11); `corvus_server.storage.facts.facts_of` computes it.

    The facts are of exactly the octets they were computed from.  `behind(prefix)` gives those of ``prefix + octets``.
    """

    size: int
    header_size: int
    """Octets of the header with the empty line behind it."""
    envelope: bytes
    bodystructure: bytes
    body: bytes
    header_fields: bytes | None = None
    """The usual fields, packed by `facts.kept_fields`; None where they could not be kept."""
    subject: str = ""
    sender: str = ""
    """The decoded From field."""
    to: str = ""
    cc: str = ""
    bcc: str = ""
    message_id: str = ""
    references: tuple[str, ...] = ()
    """Message-IDs of In-Reply-To and References: what threads are made of."""
    sent_at: float | None = None
    sent_zone: int = 0
    """Minutes east of UTC in the Date field, so that SENTSINCE compares the sender's own day."""
    preview: str = ""
    has_attachment: bool = False
    parts: tuple[Part, ...] = ()
    begins_with_field: bool = True
    """A header field may be put in front without changing what the rest means."""

    def behind(self, prefix: bytes) -> MessageFacts:
        """
        The facts of ``prefix + octets``, where `prefix` is whole header fields that no fact is made of.

        Raises:
            ValueError: the octets do not begin with a header field, so the facts must be computed anew.
        """
        if not prefix:
            return self
        if not self.begins_with_field:
            raise ValueError(
                "what does not begin with a header field must be examined with its prefix"
            )
        n = len(prefix)
        parts = tuple(
            replace(
                part, header=part.header and part.header + n, body=part.body + n, end=part.end + n
            )
            for part in self.parts
        )
        return replace(self, size=self.size + n, header_size=self.header_size + n, parts=parts)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One copy of a body for one account."""

    account_id: int
    mailbox: str = "INBOX"
    """A name, or a special use such as ``\\Junk``; where there is none, INBOX takes it."""
    prefix: bytes = b""
    """
    Whole header fields put in front for this recipient: Return-Path, Delivered-To, Authentication-Results.

    None that ENVELOPE or BODYSTRUCTURE are made of, and none of `KEPT_FIELDS`: those are the body's.
    """
    flags: frozenset[str] = frozenset()
    internal_date: float | None = None
    """None: now."""
    zone: int = 0
    """Minutes east of UTC in which INTERNALDATE is shown."""

    def __post_init__(self) -> None:
        check_prefix(self.prefix, with_facts=True)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why a message went where it went."""

    action: str
    """``accept``, ``junk``, ``greylist`` or ``reject``."""
    tree: Mapping[str, Any]
    """At most `MAX_VERDICT` octets as JSON."""
    sentence: str = ""
    mail_from: str = ""
    recipients: tuple[str, ...] = ()
    client: str = ""
    created: float | None = None
    id: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """
    What one acceptance makes visible in one commit: local copies, queue entries and the verdict.

    The 250 may be sent when `accept` returns.
    """

    body: Body
    facts: MessageFacts | None = None
    """Of the body without prefixes; None: the store computes them in a thread."""
    deliveries: Sequence[Delivery] = ()
    queued: Sequence[Queued] = ()
    verdict: Verdict | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """Where one delivery ended."""

    account_id: int
    mailbox_id: int
    uid: int
    modseq: int
    email_id: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What became of an `Intake`; all of it is durable."""

    filed: tuple[Filed | None, ...] = ()
    """One for each delivery, in order; None: that account is over its quota."""
    queue_ids: tuple[int, ...] = ()
    verdict_id: int | None = None

    @property
    def refused(self) -> tuple[int, ...]:
        """Indices of the deliveries that found no room."""
        return tuple(i for i, filed in enumerate(self.filed) if filed is None)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message for APPEND, a draft, a copy in Sent."""

    body: Body
    facts: MessageFacts | None = None
    flags: frozenset[str] = frozenset()
    internal_date: float | None = None
    zone: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """APPENDUID (RFC 4315 §3): `uids` in the order given."""

    uid_validity: int
    uids: tuple[int, ...]
    modseq: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """COPYUID (RFC 4315 §3): `sources[i]` became `targets[i]`; both ascend.  Sources that were gone are left out."""

    uid_validity: int
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    modseq: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Expunged:
    """What went, ascending."""

    uids: tuple[int, ...]
    modseq: int


class FlagOperation(StrEnum):
    """What STORE does with its flags."""

    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FlagsStored:
    """What a STORE did."""

    changed: tuple[int, ...]
    """UIDs whose flags are different now; the others were so already and keep their MODSEQ (R10)."""
    failed: tuple[int, ...]
    """UIDs that were modified after UNCHANGEDSINCE: MODIFIED (RFC 7162 §3.1.3)."""
    modseq: int
    """What the changed ones have now; the mailbox's own where nothing changed."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What happened to a mailbox behind a MODSEQ."""

    modseq: int
    changed: tuple[tuple[int, int, int], ...] = ()
    """(uid, flags, modseq), ascending by uid."""
    vanished: tuple[tuple[int, int], ...] = ()
    """Inclusive ranges of UIDs, ascending; may name UIDs that never were."""
    complete: bool = True
    """False: older tombstones are gone, compare all known UIDs with what is there (R4)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A line of a message list."""

    uid: int
    flags: frozenset[str]
    size: int
    internal_date: float
    sent_at: float | None
    subject: str
    sender: str
    to: str
    preview: str
    has_attachment: bool
    message_id: str
    email_id: str
    thread_id: str
    verdict_id: int | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBody:
    """A handle on the octets of one message; `size` counts the prefix."""

    uid: int
    size: int
    prefix: bytes = field(repr=False)
    folder: str
    name: str


# The rest.


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GreylistEntry:
    """What is known of (client network, envelope domain)."""

    network: str
    domain: str
    first_seen: float
    last_seen: float
    deferred: int = 0
    passed: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WebSession:
    """Somebody signed in on the web; `digest` is a hash of the cookie's token, never the token."""

    digest: bytes = field(repr=False)
    account_id: int
    created: float
    expires: float
    last_seen: float = 0.0
    client: str = ""
    agent: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DKIMKey:
    """A signing key without its private part, which `keys.private_key` unseals (R14)."""

    domain: str
    selector: str
    algorithm: str
    """``rsa`` or ``ed25519``."""
    record: str
    """The TXT record to publish."""
    active: bool = True
    created: float = 0.0
    retired: float | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something `corvus check` found wrong (R12)."""

    rule: str
    """``R1`` ... ``R14``, or ``schema``."""
    subject: str
    """Such as ``alice@corvus.local/INBOX uid 7``."""
    message: str
    fixable: bool = False
    fixed: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """What a sweep took away."""

    contents: int = 0
    bodies: int = 0
    queue_entries: int = 0
    attempts: int = 0
    verdicts: int = 0
    tombstones: int = 0
    sessions: int = 0
    logins: int = 0
    greylist: int = 0

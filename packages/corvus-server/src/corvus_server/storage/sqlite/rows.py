"""
The steps that several writes share: counters, flags, contents, tombstones.  All run inside the writer's transaction.
"""

# ruff: noqa: S608 - names of tables and columns are ours, values are bound

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final, final

from corvus_server.storage.errors import NoSuchMailbox, NotFound
from corvus_server.storage.facts import format_internal_date
from corvus_server.storage.flags import DELETED, SEEN, split_flags
from corvus_server.storage.registry import Registry
from corvus_server.storage.sqlite.engine import Transaction
from corvus_server.storage.values import MessageFacts
from corvus_server.storage.words import search_key

__all__ = [
    "Computed",
    "bump",
    "content_id",
    "counts",
    "decode_flags",
    "encode_flags",
    "encode_uids",
    "insert_content",
    "insert_tombstones",
    "mailbox_account",
    "next_uid_validity",
    "parts_text",
    "ranges_of",
    "unshifted",
]

_REFERENCES: Final = 32
"""Message-IDs of a message that make its thread; a References field of thousands is somebody's joke."""


def content_id(account_id: int, serial: int) -> int:
    return account_id << 32 | serial


def mailbox_account(tx: Transaction, mailbox_id: int) -> int:
    """Whose mailbox it is.  Raises NoSuchMailbox."""
    row = tx.db.execute("select account_id from mailboxes where id = ?", (mailbox_id,)).fetchone()
    if row is None:
        raise NoSuchMailbox("there is no such mailbox")
    account_id: int = row[0]
    return account_id


def bump(tx: Transaction, account_id: int, *, octets: int = 0, messages: int = 0) -> int:
    """The next MODSEQ of an account, whose row every change of it takes first (R1, R2)."""
    row = tx.db.execute(
        "update accounts set modseq = modseq + 1, used = used + ?, messages = messages + ? where id = ? "
        "returning modseq",
        (octets, messages, account_id),
    ).fetchone()
    if row is None:
        raise NotFound("there is no such account")
    modseq: int = row[0]
    tx.touched[account_id] = modseq
    return modseq


def next_uid_validity(tx: Transaction, account_id: int) -> int:
    """Larger than all before, and not below the clock (R3)."""
    row = tx.db.execute(
        "update accounts set next_uid_validity = max(next_uid_validity, ?) + 1 where id = ? "
        "returning next_uid_validity - 1",
        (int(tx.now), account_id),
    ).fetchone()
    if row is None:
        raise NotFound("there is no such account")
    value: int = row[0]
    return value


def encode_flags(tx: Transaction, registry: Registry, account_id: int, flags: Iterable[str]) -> int:
    """Flags as one integer; a keyword set that the account has not seen gets a number."""
    bits, keywords = split_flags(flags)
    if not keywords:
        return bits
    db = tx.db
    spelled = []
    for keyword in keywords:
        # Keywords are case-insensitive and keep the spelling they had first.
        row = db.execute(
            "select name from keywords where account_id = ? and folded = ?",
            (account_id, keyword.lower()),
        ).fetchone()
        if row is None:
            db.execute(
                "insert into keywords values (?, ?, ?)", (account_id, keyword.lower(), keyword)
            )
        spelled.append(row[0] if row else keyword)
    names = " ".join(spelled)
    row = db.execute(
        "select id from keyword_sets where account_id = ? and names = ?", (account_id, names)
    ).fetchone()
    if row is None:
        row = db.execute(
            "insert into keyword_sets select ?, coalesce(max(id), 0) + 1, ? from keyword_sets "
            "where account_id = ? returning id",
            (account_id, names, account_id),
        ).fetchone()
    set_id: int = row[0]
    learnt = tuple(spelled)
    tx.effects.append(lambda: registry.keywords(account_id).learn(set_id, learnt))
    return set_id << 8 | bits


def decode_flags(tx: Transaction, account_id: int, value: int) -> tuple[int, tuple[str, ...]]:
    """System bits and keywords."""
    if value < 256:
        return value, ()
    row = tx.db.execute(
        "select names from keyword_sets where account_id = ? and id = ?", (account_id, value >> 8)
    ).fetchone()
    return value & 255, tuple(row[0].split(" "))


@final
@dataclass(slots=True, eq=False)
class Computed:
    """What all copies of a body have in common, made once and not in the writer's turn."""

    facts: MessageFacts
    parts: str
    keys: tuple[str, str, str, str, str]

    @classmethod
    def of(cls, facts: MessageFacts) -> Computed:
        keys = (facts.subject, facts.sender, facts.to, facts.cc, facts.bcc)
        subject, sender, to, cc, bcc = (search_key(text) for text in keys)
        return cls(facts, parts_text(facts), (subject, sender, to, cc, bcc))


def insert_content(
    tx: Transaction,
    account_id: int,
    serial: int,
    *,
    body_file: str,
    prefix: bytes,
    computed: Computed,
    internal_time: int,
    zone: int,
    verdict_id: int | None,
) -> int:
    """
    All that FETCH and SEARCH need of a message (R11); returns the content id.

    The facts are those of the body without `prefix`, which shifts sizes and offsets and changes nothing else.
    """
    facts, shift = computed.facts, len(prefix)
    content = content_id(account_id, serial)
    thread = _thread(tx, account_id, content, facts)
    db = tx.db
    db.execute(
        "insert into contents values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            content,
            body_file,
            prefix,
            facts.size + shift,
            facts.header_size + shift,
            thread,
            facts.message_id,
            facts.sent_at,
            facts.sent_zone,
            int(facts.has_attachment),
            verdict_id,
        ),
    )
    db.execute(
        "insert into envelopes values (?, ?, ?)",
        (content, format_internal_date(internal_time, zone), facts.envelope),
    )
    db.execute(
        "insert into details values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            content,
            facts.bodystructure,
            facts.header_fields,
            facts.body,
            facts.subject,
            facts.sender,
            facts.to,
            facts.cc,
            facts.preview,
            computed.parts,
        ),
    )
    keys = (content, *computed.keys)
    db.execute("insert into heads values (?, ?, ?, ?, ?, ?)", keys)
    tx.heads.append(keys)
    return content


def parts_text(facts: MessageFacts) -> str:
    """The parts as JSON rows; offsets from the start of the body, without the prefix of a recipient."""
    return json.dumps(
        [
            (p.path, p.header, p.body, p.end, p.media_type, p.encoding, p.charset, p.filename)
            for p in facts.parts
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def unshifted(facts: MessageFacts, prefix: bytes) -> MessageFacts:
    """Facts of ``prefix + body`` with sizes and offsets as if the prefix were not there."""
    n = len(prefix)
    parts = tuple(
        replace(p, header=p.header - n if p.path else 0, body=p.body - n, end=p.end - n)
        for p in facts.parts
    )
    return replace(facts, size=facts.size - n, header_size=facts.header_size - n, parts=parts)


def _thread(tx: Transaction, account_id: int, content: int, facts: MessageFacts) -> int:
    """
    The thread of a message: that of the oldest message it names, or that names it, else its own.
    """
    wanted = [facts.message_id] if facts.message_id else []
    wanted += facts.references[-_REFERENCES:]
    if not wanted:
        return content
    refs = list(dict.fromkeys(_ref(message_id) for message_id in wanted))
    marks = ",".join("?" * len(refs))
    row = tx.db.execute(
        f"select min(thread_id) from thread_refs where account_id = ? and ref in ({marks})",
        (account_id, *refs),
    ).fetchone()
    thread: int = content if row[0] is None else row[0]
    tx.db.executemany(
        "insert or ignore into thread_refs values (?, ?, ?)",
        [(account_id, ref, thread) for ref in refs],
    )
    return thread


def _ref(message_id: str) -> int:
    digest = blake2b(message_id.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def ranges_of(uids: Sequence[int]) -> list[tuple[int, int]]:
    """
    Ascending UIDs as inclusive runs.

    >>> ranges_of([1, 2, 3, 7])
    [(1, 3), (7, 7)]
    """
    ranges: list[tuple[int, int]] = []
    if not uids:
        return ranges
    first = last = uids[0]
    if uids[-1] - first == len(uids) - 1:
        return [(first, uids[-1])]
    for uid in uids:
        if uid > last + 1:
            ranges.append((first, last))
            first = uid
        last = uid
    ranges.append((first, last))
    return ranges


def encode_uids(uids: Sequence[int]) -> tuple[str, tuple[Any, ...]]:
    """
    A condition on ``uid`` and its values.

    Runs are compared as ranges; many scattered UIDs go through one JSON list, not through thousands of parameters.
    """
    ranges = ranges_of(uids)
    if not ranges:
        return "0", ()
    if len(ranges) <= 16:
        values: list[int] = []
        for first, last in ranges:
            values += (first, last)
        return "(" + " or ".join(["uid between ? and ?"] * len(ranges)) + ")", tuple(values)
    return (
        "uid between ? and ? and uid in (select value from json_each(?))",
        (uids[0], uids[-1], "[" + ",".join(map(str, uids)) + "]"),
    )


def insert_tombstones(tx: Transaction, mailbox_id: int, modseq: int, uids: Sequence[int]) -> None:
    """What went, in the transaction in which it goes (R4)."""
    tx.db.executemany(
        "insert into tombstones values (?, ?, ?, ?, ?)",
        [(mailbox_id, modseq, first, last, tx.now) for first, last in ranges_of(uids)],
    )


def counts(rows: Iterable[int]) -> tuple[int, int]:
    """How many of these flags are unseen, and how many deleted."""
    unseen = deleted = 0
    for value, n in Counter(rows).items():
        if not value & SEEN:
            unseen += n
        if value & DELETED:
            deleted += n
    return unseen, deleted

"""
What sessions do to messages that are there: flags, copies, moves, expunges.

Each is one transaction on the account: the account's row first (it gives the MODSEQ), then the mailboxes by id (R2).
"""

# ruff: noqa: S608 - names of tables and columns are ours, values are bound

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from corvus_server.storage.errors import NoSuchMailbox, OverQuota
from corvus_server.storage.flags import DELETED
from corvus_server.storage.registry import Registry
from corvus_server.storage.sqlite.engine import Transaction
from corvus_server.storage.sqlite.rows import (
    bump,
    counts,
    decode_flags,
    encode_flags,
    encode_uids,
    insert_tombstones,
    mailbox_account,
)
from corvus_server.storage.values import Copied, Expunged, FlagOperation, FlagsStored

__all__ = ["expunge", "remove_rows", "store_flags", "take_messages", "transfer"]

_SERIAL: Final = 0xFFFFFFFF


def store_flags(
    tx: Transaction,
    registry: Registry,
    mailbox_id: int,
    uids: Sequence[int],
    operation: FlagOperation,
    flags: Iterable[str],
    unchanged_since: int | None,
) -> FlagsStored:
    """STORE.  What is so already keeps its MODSEQ (R10)."""
    db = tx.db
    account_id = mailbox_account(tx, mailbox_id)
    condition, values = encode_uids(uids)
    failed: tuple[int, ...] = ()
    guard = ""
    if unchanged_since is not None:
        failed = tuple(
            row[0]
            for row in db.execute(
                f"select uid from messages where mailbox_id = ? and {condition} and modseq > ? order by uid",
                (mailbox_id, *values, unchanged_since),
            )
        )
        guard = f" and modseq <= {int(unchanged_since)}"
    new_of = _new_flags(tx, registry, account_id, mailbox_id, condition, values, operation, flags)
    if not new_of:
        return FlagsStored(changed=(), failed=failed, modseq=_modseq(tx, mailbox_id))
    olds = ",".join(str(old) for old in new_of)
    rows = db.execute(
        f"select uid, flags from messages where mailbox_id = ? and {condition}{guard} and flags in ({olds}) "
        "order by uid",
        (mailbox_id, *values),
    ).fetchall()
    if not rows:
        return FlagsStored(changed=(), failed=failed, modseq=_modseq(tx, mailbox_id))
    modseq = bump(tx, account_id)
    changed, old_flags = zip(*rows, strict=True)
    new_flags = [new_of[old] for old in old_flags]
    cases = " ".join(f"when {old} then {new}" for old, new in new_of.items())
    db.execute(
        f"update messages set modseq = ?, flags = case flags {cases} end "
        f"where mailbox_id = ? and {condition}{guard} and flags in ({olds})",
        (modseq, mailbox_id, *values),
    )
    unseen, deleted = counts(new_flags)
    was_unseen, was_deleted = counts(old_flags)
    db.execute(
        "update mailboxes set modseq = ?, unseen = unseen + ?, deleted = deleted + ? where id = ?",
        (modseq, unseen - was_unseen, deleted - was_deleted, mailbox_id),
    )
    tx.effects.append(
        lambda: registry.apply(mailbox_id, lambda state: state.flagged(modseq, changed, new_flags))
    )
    return FlagsStored(changed=changed, failed=failed, modseq=modseq)


def _new_flags(
    tx: Transaction,
    registry: Registry,
    account_id: int,
    mailbox_id: int,
    condition: str,
    values: Sequence[object],
    operation: FlagOperation,
    flags: Iterable[str],
) -> dict[int, int]:
    """Old value -> new value, for those that change: a mailbox holds a handful of different ones."""
    given = encode_flags(tx, registry, account_id, flags)
    bits, keywords = decode_flags(tx, account_id, given)
    folded = {keyword.lower() for keyword in keywords}
    new_of = {}
    distinct = tx.db.execute(
        f"select distinct flags from messages where mailbox_id = ? and {condition}",
        (mailbox_id, *values),
    ).fetchall()
    for (old,) in distinct:
        if operation is FlagOperation.REPLACE:
            new = given
        else:
            old_bits, old_keywords = decode_flags(tx, account_id, old)
            if operation is FlagOperation.ADD:
                new_bits, new_keywords = old_bits | bits, (*old_keywords, *keywords)
            else:
                new_bits = old_bits & ~bits
                new_keywords = tuple(k for k in old_keywords if k.lower() not in folded)
            new = encode_flags(tx, registry, account_id, new_keywords) | new_bits
        if new != old:
            new_of[old] = new
    return new_of


def _modseq(tx: Transaction, mailbox_id: int) -> int:
    row = tx.db.execute("select modseq from mailboxes where id = ?", (mailbox_id,)).fetchone()
    modseq: int = row[0]
    return modseq


def transfer(
    tx: Transaction,
    registry: Registry,
    mailbox_id: int,
    uids: Sequence[int],
    target_id: int,
    modseq: int | None = None,
    *,
    move: bool,
) -> Copied:
    """COPY and MOVE: rows only, the contents are shared."""
    db = tx.db
    account_id = mailbox_account(tx, mailbox_id)
    row = db.execute(
        "select account_id, uid_validity, uid_next from mailboxes where id = ?", (target_id,)
    ).fetchone()
    if row is None or row[0] != account_id:
        raise NoSuchMailbox("there is no such mailbox")
    _, validity, uid_next = row
    condition, values = encode_uids(uids)
    rows = db.execute(
        f"select uid, flags, size, content_id from messages where mailbox_id = ? and {condition} order by uid",
        (mailbox_id, *values),
    ).fetchall()
    if not rows:
        return Copied(uid_validity=validity, sources=(), targets=(), modseq=_modseq(tx, target_id))
    sources, flags, sizes, contents = zip(*rows, strict=True)
    count, octets = len(rows), sum(sizes)
    if not move:
        _check_quota(tx, account_id, octets)
    if modseq is None:
        modseq = bump(tx, account_id, octets=0 if move else octets, messages=0 if move else count)
    at: int = modseq
    # "order by uid": the copies keep the order of their sources (RFC 9051 §6.4.7 SHOULD).
    db.execute(
        "insert into messages select ?, ? + row_number() over (order by uid), flags, ?, size, content_id, "
        f"internal_time, zone, ? from messages where mailbox_id = ? and {condition}",
        (target_id, uid_next - 1, at, int(tx.now), mailbox_id, *values),
    )
    targets = tuple(range(uid_next, uid_next + count))
    unseen, deleted = counts(flags)
    db.execute(
        "update mailboxes set uid_next = uid_next + ?, modseq = ?, messages = messages + ?, "
        "unseen = unseen + ?, deleted = deleted + ?, octets = octets + ? where id = ?",
        (count, at, count, unseen, deleted, octets, target_id),
    )
    serials = [content & _SERIAL for content in contents]

    def arrived() -> None:
        registry.apply(target_id, lambda state: state.appended(at, targets, flags, sizes, serials))

    if move and target_id == mailbox_id:
        # One commit, two steps, and a state takes each MODSEQ once: the copies come with the expunge.
        _forget_rows(tx, mailbox_id, at, sources, flags, octets)
        tx.effects.append(
            lambda: registry.apply(
                mailbox_id,
                lambda state: state.moved_within(at, sources, targets, flags, sizes, serials),
            )
        )
    else:
        tx.effects.append(arrived)
        if move:
            remove_rows(tx, registry, mailbox_id, at, sources, flags, octets)
    return Copied(uid_validity=validity, sources=sources, targets=targets, modseq=at)


def _check_quota(tx: Transaction, account_id: int, octets: int) -> None:
    full = tx.db.execute(
        "select 1 from accounts where id = ? and quota > 0 and used + ? > quota",
        (account_id, octets),
    ).fetchone()
    if full:
        raise OverQuota("the account is over its quota", (account_id,))


def expunge(
    tx: Transaction,
    registry: Registry,
    mailbox_id: int,
    uids: Sequence[int] | None,
    *,
    only_deleted: bool,
) -> Expunged:
    """EXPUNGE, with the content ids noted for the sweep."""
    account_id = mailbox_account(tx, mailbox_id)
    condition, values = ("1", ()) if uids is None else encode_uids(uids)
    if only_deleted or uids is None:
        condition = f"{condition} and flags & {DELETED}"
    rows = tx.db.execute(
        f"select uid, flags, size, content_id from messages where mailbox_id = ? and {condition} order by uid",
        (mailbox_id, *values),
    ).fetchall()
    if not rows:
        return Expunged(uids=(), modseq=_modseq(tx, mailbox_id))
    gone, flags, sizes, contents = zip(*rows, strict=True)
    octets = sum(sizes)
    modseq = bump(tx, account_id, octets=-octets, messages=-len(gone))
    tx.db.executemany(
        "insert or ignore into doomed values (?, ?)", [(content, tx.now) for content in contents]
    )
    remove_rows(tx, registry, mailbox_id, modseq, gone, flags, octets)
    return Expunged(uids=gone, modseq=modseq)


def remove_rows(
    tx: Transaction,
    registry: Registry,
    mailbox_id: int,
    modseq: int,
    uids: Sequence[int],
    flags: Sequence[int],
    octets: int,
) -> None:
    """Messages leave a mailbox: rows, counters, tombstones, states."""
    _forget_rows(tx, mailbox_id, modseq, uids, flags, octets)
    tx.effects.append(
        lambda: registry.apply(mailbox_id, lambda state: state.expunged(modseq, uids))
    )


def _forget_rows(
    tx: Transaction,
    mailbox_id: int,
    modseq: int,
    uids: Sequence[int],
    flags: Sequence[int],
    octets: int,
) -> None:
    condition, values = encode_uids(uids)
    tx.db.execute(
        f"delete from messages where mailbox_id = ? and {condition}", (mailbox_id, *values)
    )
    unseen, deleted = counts(flags)
    tx.db.execute(
        "update mailboxes set modseq = ?, messages = messages - ?, unseen = unseen - ?, "
        "deleted = deleted - ?, octets = octets - ? where id = ?",
        (modseq, len(uids), unseen, deleted, octets, mailbox_id),
    )
    insert_tombstones(tx, mailbox_id, modseq, uids)


def take_messages(tx: Transaction, mailbox_id: int) -> None:
    """All messages of a mailbox that is deleted; nobody asks for its tombstones."""
    tx.db.execute(
        "insert or ignore into doomed select content_id, ? from messages where mailbox_id = ?",
        (tx.now, mailbox_id),
    )
    tx.db.execute("delete from messages where mailbox_id = ?", (mailbox_id,))

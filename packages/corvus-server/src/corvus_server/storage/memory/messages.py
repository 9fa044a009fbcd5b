"""What lies in the mailboxes, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, final

from corvus_message import decode_words, parse
from corvus_server.storage.bodies import BodyReader
from corvus_server.storage.errors import NoSuchMailbox, NotFound, OverQuota
from corvus_server.storage.facts import facts_of, format_internal_date, search_texts
from corvus_server.storage.flags import DELETED, split_flags
from corvus_server.storage.memory.tables import Content, Row, Tables
from corvus_server.storage.state import MailboxState
from corvus_server.storage.values import (
    Appended,
    Changes,
    Copied,
    Expunged,
    FlagOperation,
    FlagsStored,
    NewMessage,
    Part,
    StoredBody,
    Summary,
)
from corvus_server.storage.words import search_key

__all__ = ["MemoryMessages"]

_COLUMNS: Final[dict[str, Callable[[Row], Any]]] = {
    "flags": lambda row: row.flags,
    "modseq": lambda row: row.modseq,
    "size": lambda row: row.size,
    "header_size": lambda row: row.content.facts.header_size,
    "internal_date": lambda row: format_internal_date(row.content.internal_time, row.content.zone),
    "internal_time": lambda row: float(row.content.internal_time),
    "saved_at": lambda row: float(row.saved_at),
    "envelope": lambda row: row.content.facts.envelope,
    "bodystructure": lambda row: row.content.facts.bodystructure,
    "body": lambda row: row.content.facts.body,
    "header_fields": lambda row: row.content.facts.header_fields,
    "preview": lambda row: row.content.facts.preview,
    "subject": lambda row: row.content.facts.subject,
    "sender": lambda row: row.content.facts.sender,
    "to": lambda row: row.content.facts.to,
    "cc": lambda row: row.content.facts.cc,
    "message_id": lambda row: row.content.facts.message_id,
    "sent_at": lambda row: row.content.facts.sent_at,
    "has_attachment": lambda row: int(row.content.facts.has_attachment),
    "email_id": lambda row: f"M{row.content.account_id << 32 | row.content.serial}",
    "thread_id": lambda row: row.content.thread_id,
    "verdict_id": lambda row: row.content.verdict_id,
}
_FIELDS: Final[dict[str, Callable[[Row], str]]] = {
    "subject": lambda row: row.content.facts.subject,
    "from": lambda row: row.content.facts.sender,
    "to": lambda row: row.content.facts.to,
    "cc": lambda row: row.content.facts.cc,
    "bcc": lambda row: row.content.facts.bcc,
}


def _day(seconds: float, zone: int) -> int:
    return (int(seconds) + zone * 60) // 86400


@final
class MemoryMessages:
    """Messages."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def open(self, mailbox_id: int) -> MailboxState:
        box = self._tables.box(mailbox_id)

        async def load() -> MailboxState:
            return self._tables.load(box)

        return await self._tables.registry.open(mailbox_id, load)

    def opened(self, mailbox_id: int) -> MailboxState | None:
        return self._tables.registry.opened(mailbox_id)

    def claim_recent(self, mailbox_id: int) -> int:
        box = self._tables.box(mailbox_id)
        first, box.recent_from = box.recent_from, box.uid_next
        return first

    # Reading.

    def _rows(self, mailbox_id: int, uids: Iterable[int]) -> list[tuple[int, Row]]:
        box = self._tables.boxes.get(mailbox_id)
        if box is None:
            return []
        return [(uid, box.rows[uid]) for uid in uids if uid in box.rows]

    def fetch(
        self, mailbox_id: int, uids: Sequence[int], columns: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        getters = [_COLUMNS[column] for column in columns]
        return [(uid, *(get(row) for get in getters)) for uid, row in self._rows(mailbox_id, uids)]

    def summaries(self, mailbox_id: int, uids: Sequence[int]) -> list[Summary]:
        found = []
        for uid, row in self._rows(mailbox_id, uids):
            facts = row.content.facts
            owner = self._tables.owner(row.content.account_id)
            found.append(
                Summary(
                    uid=uid,
                    flags=frozenset(self._tables.flag_names(owner, row.flags)),
                    size=row.size,
                    internal_date=float(row.content.internal_time),
                    sent_at=facts.sent_at,
                    subject=facts.subject,
                    sender=facts.sender,
                    to=facts.to,
                    preview=facts.preview,
                    has_attachment=facts.has_attachment,
                    message_id=facts.message_id,
                    email_id=_COLUMNS["email_id"](row),
                    thread_id=row.content.thread_id,
                    verdict_id=row.content.verdict_id,
                )
            )
        return found

    def parts(self, mailbox_id: int, uid: int) -> tuple[Part, ...]:
        rows = self._rows(mailbox_id, [uid])
        return rows[0][1].content.facts.parts if rows else ()

    def bodies(self, mailbox_id: int, uids: Sequence[int]) -> list[StoredBody]:
        found = []
        for uid, row in self._rows(mailbox_id, uids):
            content = row.content
            name = f"{content.account_id}.{content.serial}"
            found.append(
                StoredBody(uid=uid, size=row.size, prefix=content.prefix, folder="", name=name)
            )
        return found

    def read_body(self, body: StoredBody, offset: int = 0, length: int | None = None) -> bytes:
        with self.open_body(body) as reader:
            return reader.pread(offset, body.size - offset if length is None else length)

    def open_body(self, body: StoredBody) -> BodyReader:
        content = self._tables.contents.get(body.name)
        if content is None:
            raise NotFound("the body of the message is gone")
        return BodyReader(body.prefix, data=content.raw)

    def changes_since(self, mailbox_id: int, modseq: int) -> Changes:
        box = self._tables.box(mailbox_id)
        gone = sorted(uid for uid, at, _ in box.tombstones if at > modseq)
        ranges: list[tuple[int, int]] = []
        for uid in gone:
            if ranges and uid == ranges[-1][1] + 1:
                ranges[-1] = (ranges[-1][0], uid)
            else:
                ranges.append((uid, uid))
        return Changes(
            modseq=box.modseq,
            changed=tuple(
                (uid, row.flags, row.modseq) for uid, row in box.rows.items() if row.modseq > modseq
            ),
            vanished=tuple(ranges),
            complete=modseq >= box.horizon,
        )

    # Writing.

    async def append(
        self,
        mailbox_id: int,
        messages: Sequence[NewMessage],
        *,
        replaces: tuple[int, int] | None = None,
    ) -> Appended:
        tables = self._tables
        tables.writable()
        box = tables.box(mailbox_id)
        owner = tables.owner(box.account_id)
        old = None
        if replaces is not None:
            source = tables.boxes.get(replaces[0])
            if (
                source is None
                or source.account_id != box.account_id
                or replaces[1] not in source.rows
            ):
                raise NotFound("the message that is to be replaced is gone")
            old = (source, replaces[1])
        for message in messages:
            if message.body.consumed:
                raise ValueError("the body was handed in before")
        facts = [m.facts or facts_of(m.body.getvalue()) for m in messages]
        more = sum(f.size for f in facts) - (old[0].rows[old[1]].size if old else 0)
        account = tables.account(owner)
        if account.quota and more > 0 and account.used + more > account.quota:
            raise OverQuota("the account is over its quota", (box.account_id,))
        modseq = tables.bump(box.account_id)
        items = []
        for message, known in zip(messages, facts, strict=True):
            content = tables.add_content(
                owner,
                message.body.getvalue(),
                b"",
                known,
                message.internal_date,
                message.zone,
                None,
            )
            items.append((tables.encode_flags(owner, message.flags), content))
        if old is not None and old[0] is box:
            # One MODSEQ, one mailbox: states take both steps at once.
            state = tables.registry.opened(mailbox_id)
            before = state.modseq if state else 0
            uids = tables.insert(box, modseq, items)
            if state:
                state.modseq = before
            tables.remove(box, modseq, [old[1]])
        else:
            uids = tables.insert(box, modseq, items)
            if old is not None:
                tables.remove(old[0], modseq, [old[1]])
        for message in messages:
            message.body.done()
        tables.tell()
        return Appended(uid_validity=box.uid_validity, uids=tuple(uids), modseq=modseq)

    async def store_flags(
        self,
        mailbox_id: int,
        uids: Sequence[int],
        operation: FlagOperation,
        flags: Iterable[str],
        *,
        unchanged_since: int | None = None,
    ) -> FlagsStored:
        tables = self._tables
        tables.writable()
        box = tables.box(mailbox_id)
        owner = tables.owner(box.account_id)
        given = list(flags)
        bits, keywords = split_flags(given)
        folded = {k.lower() for k in keywords}
        failed, changed, values = [], [], []
        for uid, row in self._rows(mailbox_id, uids):
            if unchanged_since is not None and row.modseq > unchanged_since:
                failed.append(uid)
                continue
            if operation is FlagOperation.REPLACE:
                value = tables.encode_flags(owner, given)
            else:
                names = tables.registry.keywords(box.account_id).keywords(row.flags)
                if operation is FlagOperation.ADD:
                    value = tables.encode_flags(owner, (*names, *keywords)) | row.flags & 255 | bits
                else:
                    left = [name for name in names if name.lower() not in folded]
                    value = tables.encode_flags(owner, left) | row.flags & 255 & ~bits
            if value != row.flags:
                changed.append(uid)
                values.append(value)
        if not changed:
            return FlagsStored(changed=(), failed=tuple(failed), modseq=box.modseq)
        modseq = tables.bump(box.account_id)
        for uid, value in zip(changed, values, strict=True):
            box.rows[uid].flags = value
            box.rows[uid].modseq = modseq
        box.modseq = modseq
        tables.registry.apply(box.id, lambda state: state.flagged(modseq, changed, values))
        tables.tell()
        return FlagsStored(changed=tuple(changed), failed=tuple(failed), modseq=modseq)

    async def copy(self, mailbox_id: int, uids: Sequence[int], target_id: int) -> Copied:
        return self._transfer(mailbox_id, uids, target_id, move=False)

    async def move(self, mailbox_id: int, uids: Sequence[int], target_id: int) -> Copied:
        return self._transfer(mailbox_id, uids, target_id, move=True)

    def _transfer(
        self, mailbox_id: int, uids: Sequence[int], target_id: int, *, move: bool
    ) -> Copied:
        tables = self._tables
        tables.writable()
        box = tables.box(mailbox_id)
        target = tables.box(target_id)
        if target.account_id != box.account_id:
            raise NoSuchMailbox("there is no such mailbox")
        rows = self._rows(mailbox_id, uids)
        if not rows:
            return Copied(
                uid_validity=target.uid_validity, sources=(), targets=(), modseq=target.modseq
            )
        account = tables.account(tables.owner(box.account_id))
        octets = sum(row.size for _, row in rows)
        if not move and 0 < account.quota < account.used + octets:
            raise OverQuota("the account is over its quota", (account.id,))
        modseq = tables.bump(box.account_id)
        state = tables.registry.opened(target_id)
        before = state.modseq if state else 0
        made = tables.insert(target, modseq, [(row.flags, row.content) for _, row in rows])
        sources = [uid for uid, _ in rows]
        if move:
            if state and target is box:
                state.modseq = before
            tables.remove(box, modseq, sources)
        tables.tell()
        return Copied(
            uid_validity=target.uid_validity,
            sources=tuple(sources),
            targets=tuple(made),
            modseq=modseq,
        )

    async def expunge(
        self, mailbox_id: int, uids: Sequence[int] | None = None, *, only_deleted: bool = True
    ) -> Expunged:
        tables = self._tables
        tables.writable()
        box = tables.box(mailbox_id)
        among = list(box.rows) if uids is None else uids
        gone = [
            uid
            for uid, row in self._rows(mailbox_id, among)
            if row.flags & DELETED or not (only_deleted or uids is None)
        ]
        if not gone:
            return Expunged(uids=(), modseq=box.modseq)
        modseq = tables.bump(box.account_id)
        tables.remove(box, modseq, gone)
        tables.tell()
        return Expunged(uids=tuple(gone), modseq=modseq)

    # Searching.

    def _where(self, mailbox_id: int, test: Callable[[Row], bool]) -> list[int]:
        return [uid for uid, row in self._tables.box(mailbox_id).rows.items() if test(row)]

    async def search_text(self, mailbox_id: int, field: str, needle: str) -> list[int]:
        key = search_key(needle)
        if field in _FIELDS:
            get = _FIELDS[field]
            return self._where(mailbox_id, lambda row: key in search_key(get(row)))

        def has(row: Row) -> bool:
            header, body = search_texts(_whole(row.content))
            return key in body or (field == "text" and key in header)

        return self._where(mailbox_id, has)

    async def search_header(self, mailbox_id: int, name: str, needle: str) -> list[int]:
        key = search_key(needle)
        field = name.lower().encode("ascii", "replace")

        def has(row: Row) -> bool:
            values = parse(_whole(row.content)).fields(field)
            return any(key in search_key(decode_words(value)) for value in values)

        return self._where(mailbox_id, has)

    async def search_dates(
        self, mailbox_id: int, which: str, since: int | None, before: int | None
    ) -> list[int]:
        def fits(row: Row) -> bool:
            content = row.content
            if which == "internal":
                day = _day(content.internal_time, content.zone)
            elif which == "saved":
                day = _day(row.saved_at, 0)
            elif content.facts.sent_at is None:
                return False
            else:
                day = _day(content.facts.sent_at, content.facts.sent_zone)
            return (since is None or day >= since) and (before is None or day < before)

        return self._where(mailbox_id, fits)

    async def thread(self, account_id: int, thread_id: str) -> list[tuple[int, int]]:
        found = [
            ((row.content.internal_time, row.content.serial, box.id, uid), (box.id, uid))
            for box in self._tables.boxes_of(account_id).values()
            for uid, row in box.rows.items()
            if row.content.thread_id == thread_id
        ]
        return [place for _, place in sorted(found)]

    async def index(self, limit: int | None = None) -> int:
        return 0  # a scan is exact and there is no index to fill


def _whole(content: Content) -> bytes:
    return content.prefix + content.raw

"""The folders of an account in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from corvus_server.storage.errors import AlreadyExists, InvalidName, NoSuchMailbox
from corvus_server.storage.memory.tables import Box, Tables
from corvus_server.storage.names import SEPARATOR, mailbox_name, superiors
from corvus_server.storage.values import Mailbox

__all__ = ["MemoryMailboxes"]


@final
class MemoryMailboxes:
    """Folders."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def _value(self, box: Box) -> Mailbox:
        return box.value(box.name in self._tables.owner(box.account_id).subscriptions)

    def all(self, account_id: int) -> list[Mailbox]:
        boxes = sorted(
            self._tables.boxes_of(account_id).values(), key=lambda b: (b.name != "INBOX", b.name)
        )
        return [self._value(box) for box in boxes]

    def get(self, account_id: int, name: str) -> Mailbox | None:
        try:
            box = self._tables.boxes_of(account_id).get(mailbox_name(name))
        except InvalidName:
            return None
        return self._value(box) if box else None

    def by_id(self, mailbox_id: int) -> Mailbox | None:
        box = self._tables.boxes.get(mailbox_id)
        return self._value(box) if box else None

    def special(self, account_id: int, special_use: str) -> Mailbox | None:
        for box in self._tables.boxes_of(account_id).values():
            if special_use and box.special_use.lower() == special_use.lower():
                return self._value(box)
        return None

    def _find(self, account_id: int, key: str) -> Box:
        box = self._tables.boxes_of(account_id).get(key)
        if box is None:
            raise NoSuchMailbox(f"there is no mailbox {key}")
        return box

    async def create(self, account_id: int, name: str, *, special_use: str = "") -> Mailbox:
        self._tables.writable()
        key = mailbox_name(name)
        owner = self._tables.owner(account_id)
        if key in self._tables.boxes_of(account_id):
            raise AlreadyExists(f"there is a mailbox {key} already")
        modseq = self._tables.bump(account_id)
        self._make_superiors(account_id, key, modseq)
        box = self._tables.make_box(owner, key, special_use, modseq)
        self._tables.tell()
        return self._value(box)

    def _make_superiors(self, account_id: int, key: str, modseq: int) -> None:
        present = self._tables.boxes_of(account_id)
        for superior in superiors(key):
            if superior not in present:
                self._tables.make_box(self._tables.owner(account_id), superior, "", modseq)

    async def rename(self, account_id: int, name: str, new_name: str) -> Mailbox:
        tables = self._tables
        tables.writable()
        old, new = mailbox_name(name), mailbox_name(new_name)
        if (new + SEPARATOR).startswith(old + SEPARATOR) and old != "INBOX":
            raise InvalidName("a mailbox cannot become its own inferior")
        if new == "INBOX":
            raise AlreadyExists("there is a mailbox INBOX already")
        present = tables.boxes_of(account_id)
        box = self._find(account_id, old)
        moves = [(box, new)]
        if old != "INBOX":
            moves += [
                (present[other], new + other[len(old) :])
                for other in sorted(present)
                if other.startswith(old + SEPARATOR)
            ]
        for _, target in moves:
            mailbox_name(target)
            if target in present:
                raise AlreadyExists(f"there is a mailbox {target} already")
        modseq = tables.bump(account_id)
        self._make_superiors(account_id, new, modseq)
        owner = tables.owner(account_id)
        if old == "INBOX":
            target_box = tables.make_box(owner, new, "", modseq)
            uids = list(box.rows)
            tables.insert(
                target_box, modseq, [(row.flags, row.content) for row in box.rows.values()]
            )
            if uids:
                tables.remove(box, modseq, uids)
            tables.tell()
            return self._value(target_box)
        for moved, target in moves:
            owner.retired[moved.name] = max(owner.retired.get(moved.name, 0), moved.uid_validity)
            if owner.retired.get(target, 0) >= moved.uid_validity:
                moved.uid_validity = tables.next_uid_validity(owner)
                tables.registry.drop(moved.id)
            if moved.name in owner.subscriptions:
                owner.subscriptions.discard(moved.name)
                owner.subscriptions.add(target)
            moved.name = target
            moved.modseq = modseq
        tables.tell()
        return self._value(box)

    async def delete(self, account_id: int, name: str) -> None:
        self._tables.writable()
        key = mailbox_name(name)
        if key == "INBOX":
            raise InvalidName("INBOX cannot be deleted")
        box = self._find(account_id, key)
        self._tables.bump(account_id)
        owner = self._tables.owner(account_id)
        owner.retired[key] = max(owner.retired.get(key, 0), box.uid_validity)
        owner.annotations.pop(box.id, None)
        del self._tables.boxes[box.id]
        self._tables.registry.drop(box.id)
        self._tables.tell()

    async def set_special_use(self, account_id: int, name: str, special_use: str) -> Mailbox:
        self._tables.writable()
        box = self._find(account_id, mailbox_name(name))
        self._tables.bump(account_id)
        box.special_use = special_use
        self._tables.tell()
        return self._value(box)

    def subscriptions(self, account_id: int) -> list[str]:
        owner = self._tables.owners.get(account_id)
        return sorted(owner.subscriptions) if owner else []

    async def subscribe(self, account_id: int, name: str, subscribed: bool = True) -> None:
        self._tables.writable()
        key = mailbox_name(name)
        self._tables.bump(account_id)
        subscriptions = self._tables.owner(account_id).subscriptions
        if subscribed:
            subscriptions.add(key)
        else:
            subscriptions.discard(key)
        self._tables.tell()

    def annotations(self, account_id: int, mailbox_id: int | None = None) -> dict[str, bytes]:
        owner = self._tables.owners.get(account_id)
        entries = owner.annotations.get(mailbox_id or 0, {}) if owner else {}
        return {entry: entries[entry] for entry in sorted(entries)}

    async def annotate(
        self, account_id: int, mailbox_id: int | None, entries: Mapping[str, bytes | None]
    ) -> None:
        self._tables.writable()
        owner = self._tables.owner(account_id)
        if mailbox_id is not None:
            box = self._tables.boxes.get(mailbox_id)
            if box is None or box.account_id != account_id:
                raise NoSuchMailbox("there is no such mailbox")
        self._tables.bump(account_id)
        stored = owner.annotations.setdefault(mailbox_id or 0, {})
        for entry, value in entries.items():
            if value is None:
                stored.pop(entry.lower(), None)
            else:
                stored[entry.lower()] = bytes(value)
        self._tables.tell()

"""
Random histories of concurrent sessions against a model so simple that it can be seen to be right.

Each history is a list of rounds; the steps of a round run at once.  The model applies them in the order in which the
store committed them, which their MODSEQs tell, and in the end store, views and model must agree.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_server.storage.errors import StoreError
from corvus_server.storage.memory import MemoryStore
from corvus_server.storage.protocols import Store
from corvus_server.storage.sqlite import SQLiteStore
from corvus_server.storage.state import View
from corvus_server.storage.values import FlagOperation, Mailbox
from corvus_server.testing.store_suite import Clock, World, mail

FLAGS = ("\\Seen", "\\Deleted", "Blue", "Green")
NAMES = ("INBOX", "Archive", "Trash", "a", "a/b", "c")

_names = st.sampled_from(NAMES)
_uids = st.lists(st.integers(1, 12), min_size=1, max_size=6, unique=True).map(sorted)
_flags = st.lists(st.sampled_from(FLAGS), max_size=3, unique=True).map(frozenset)
_operations = st.sampled_from(list(FlagOperation))
_steps = st.one_of(
    st.tuples(st.just("append"), _names, _flags, st.integers(1, 3)),
    st.tuples(st.just("store"), _names, _uids, _operations, _flags),
    st.tuples(st.just("copy"), _names, _uids, _names),
    st.tuples(st.just("move"), _names, _uids, _names),
    st.tuples(st.just("expunge"), _names, st.one_of(st.none(), _uids)),
    st.tuples(st.just("rename"), _names, _names),
    st.tuples(st.just("delete"), _names),
    st.tuples(st.just("create"), _names),
    st.tuples(st.just("poll"), st.booleans()),
)
_histories = st.lists(st.lists(_steps, min_size=1, max_size=4), min_size=1, max_size=8)


@dataclass
class Model:
    """Mailboxes as dictionaries; flags as sets; nothing else."""

    boxes: dict[int, dict[int, tuple[bytes, frozenset[str]]]] = field(default_factory=dict)

    def apply(self, done: tuple[Any, ...]) -> None:
        kind, box = done[0], self.boxes.setdefault(done[1], {})
        if kind == "append":
            _, _, uids, raws, flags = done
            for uid, raw in zip(uids, raws, strict=True):
                assert uid not in box
                assert not box or uid > max(box)
                box[uid] = (raw, flags)
        elif kind == "store":
            _, _, changed, operation, flags = done
            for uid in changed:
                raw, old = box[uid]
                new = {
                    FlagOperation.REPLACE: flags,
                    FlagOperation.ADD: old | flags,
                    FlagOperation.REMOVE: old - flags,
                }[operation]
                assert new != old
                box[uid] = (raw, new)
        elif kind in ("copy", "move"):
            _, _, sources, target, targets = done
            for source, new_uid in zip(sources, targets, strict=True):
                self.boxes.setdefault(target, {})[new_uid] = box[source]
            if kind == "move":
                for source in sources:
                    del box[source]
        elif kind == "expunge":
            for uid in done[2]:
                del box[uid]


class Session:
    """An IMAP client that believes what it is told."""

    def __init__(self, view: View, uid_validity: int) -> None:
        self.view = view
        self.uid_validity = uid_validity
        self.uids = list(view.uids())
        self.gone = False

    def poll(self, expunges: bool) -> None:
        before = len(self.uids)
        poll = self.view.poll(expunges=expunges)
        self.gone = self.gone or poll.gone
        assert expunges or not poll.expunged
        for seq, uid in poll.expunged:
            assert self.uids.pop(seq - 1) == uid
        if poll.exists is not None:
            assert poll.exists > before - len(poll.expunged)
            self.uids += [self.view.uid(n) for n in range(len(self.uids) + 1, poll.exists + 1)]
        assert self.uids == list(self.view.uids())
        assert self.uids == sorted(set(self.uids))
        for seq, uid, flags, _ in poll.changed:
            assert self.uids[seq - 1] == uid
            row = self.view.state.index(uid)
            assert row is not None
            assert self.view.state.flags[row] == flags


async def take(
    world: World, step: tuple[Any, ...], number: int
) -> list[tuple[int, tuple[Any, ...]]]:
    """One step; what it did, each with the MODSEQ that orders it."""
    store, account = world.store, world.alice.id

    def box(name: str) -> Mailbox | None:
        return store.mailboxes.get(account, name)

    kind = step[0]
    try:
        if kind in ("append", "store", "copy", "move", "expunge"):
            found = box(step[1])
            if found is None:
                return []
            if kind == "append":
                raws = [mail(f"{number}-{n}") for n in range(step[3])]
                appended = await world.append(raws, found, flags=step[2])
                return [(appended.modseq, ("append", found.id, appended.uids, raws, step[2]))]
            if kind == "store":
                stored = await store.messages.store_flags(found.id, step[2], step[3], step[4])
                return [(stored.modseq, ("store", found.id, stored.changed, step[3], step[4]))]
            if kind == "expunge":
                gone = await store.messages.expunge(found.id, step[2], only_deleted=number % 2 == 0)
                return [(gone.modseq, ("expunge", found.id, gone.uids))]
            target = box(step[3])
            if target is None:
                return []
            change = store.messages.copy if kind == "copy" else store.messages.move
            copied = await change(found.id, step[2], target.id)
            return [(copied.modseq, (kind, found.id, copied.sources, target.id, copied.targets))]
        if kind == "create":
            await store.mailboxes.create(account, step[1])
        elif kind == "rename" and step[1] != "INBOX":
            await store.mailboxes.rename(account, step[1], step[2])
        elif kind == "delete":
            await store.mailboxes.delete(account, step[1])
    except StoreError:
        pass  # a name that is taken or gone: the model's mailbox simply stays as it is
    return []


async def play(store: Store, clock: Clock, history: list[list[tuple[Any, ...]]]) -> None:
    world = await World(store, clock, lambda clock: store).furnish()
    model = Model()
    sessions: dict[int, Session] = {}
    number = 0
    for round_ in history:
        for name in NAMES:
            box = store.mailboxes.get(world.alice.id, name)
            if box is not None and (box.id not in sessions or sessions[box.id].gone):
                view = (await store.messages.open(box.id)).view()
                sessions[box.id] = Session(view, box.uid_validity)
        steps = []
        for step in round_:
            number += 1
            steps.append(take(world, step, number))
        done = [item for result in await asyncio.gather(*steps) for item in result]
        # Steps that changed nothing carry an older MODSEQ; a change has one of its own (R1).
        for _, what in sorted((item for item in done if item[1][2]), key=lambda item: item[0]):
            model.apply(what)
        for step in round_:
            if step[0] == "poll":
                for session in sessions.values():
                    session.poll(step[1])
    for session in sessions.values():
        session.poll(True)
    for box in store.mailboxes.all(world.alice.id):
        state = await store.messages.open(box.id)
        rows = {
            body.uid: (
                store.messages.read_body(body),
                frozenset(state.flag_names(state.flags[row])),
            )
            for row, body in enumerate(store.messages.bodies(box.id, list(state.uids)))
        }
        assert rows == model.boxes.get(box.id, {})
        assert list(rows) == list(state.uids) == world.uids(box)
        if box.id in sessions:
            session = sessions[box.id]
            # Renamed to a name that had meant other messages: new UIDs, and who had it open is told (R3).
            assert session.gone == (session.uid_validity != box.uid_validity)
            assert session.gone or session.uids == list(rows)
        assert box.uid_next > max(rows, default=0)
    assert await store.check() == []


@pytest.mark.property
@given(history=_histories)
def test_memory_agrees_with_the_model(history: list[list[tuple[Any, ...]]]) -> None:
    async def main() -> None:
        clock = Clock()
        await play(MemoryStore(now=clock), clock, history)

    asyncio.run(main())


def _folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@pytest.mark.property
@given(history=_histories)
def test_sqlite_agrees_with_the_model(history: list[list[tuple[Any, ...]]]) -> None:
    async def main(folder: Path) -> None:
        clock = Clock()
        async with SQLiteStore(folder, now=clock, background=False) as store:
            await play(store, clock, history)

    with tempfile.TemporaryDirectory(dir=_folder()) as name:
        asyncio.run(main(Path(name)))

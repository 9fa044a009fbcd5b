"""A few messages of the selected mailbox with what is known of them, read at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, final

import corvus_message
from corvus_server.storage.values import StoredBody

if TYPE_CHECKING:
    from corvus_server.sessions.imap.session import IMAPSession


@final
class Batch:
    """
    Messages by number, ascending; those that were expunged meanwhile are left out.

    Made and used within one step of the event loop: nothing is awaited in between.
    """

    __slots__ = (
        "_columns", "_octets", "_parts", "_rows", "_session", "bodies", "lost", "seqs", "uids",
    )  # fmt: skip

    def __init__(
        self,
        session: IMAPSession,
        seqs: Sequence[int],
        names: Sequence[str] = (),
        *,
        bodies: bool = False,
    ) -> None:
        """
        Args:
            names: Stored columns that will be asked for.
            bodies: Whether octets will be asked for.
        """
        box = session.box
        view, state, store = box.view, box.state, session.store.messages
        self._session = session
        self._columns: dict[str, Sequence[Any]] = {}
        self._octets: dict[int, bytes] = {}
        self._parts: dict[int, corvus_message.Part] = {}
        self.bodies: list[StoredBody] = []
        uids: Sequence[int] = box.uids(seqs)
        asked = len(uids)
        rows: Sequence[int] | None = None
        if view.current:
            rows = (
                range(seqs.start - 1, seqs.stop - 1)
                if isinstance(seqs, range)
                else [seq - 1 for seq in seqs]
            )
        else:
            uids = [uid for uid in uids if state.index(uid) is not None]
        if names and uids:
            found = store.fetch(box.mailbox_id, uids, names)
            if len(found) < len(uids):
                uids = [row[0] for row in found]
            # The first column is the UID.
            columns: Sequence[Sequence[Any]] = list(zip(*found, strict=True))[1:]
            self._columns = dict(zip(names, columns, strict=False))
        if bodies and uids:
            self.bodies = store.bodies(box.mailbox_id, uids)
            if len(self.bodies) < len(uids):  # expunged between the two looks
                there = {body.uid for body in self.bodies}
                kept = [at for at, uid in enumerate(uids) if uid in there]
                uids = [uids[at] for at in kept]
                self._columns = {
                    name: [column[at] for at in kept] for name, column in self._columns.items()
                }
        self.lost = asked - len(uids)
        if self.lost or rows is None:
            known = [state.index(uid) for uid in uids]
            rows = [row for row in known if row is not None]
            seqs = [seq for seq in map(view.seq, uids) if seq is not None]
        self.uids: Sequence[int] = uids
        self.seqs = seqs
        self._rows = rows

    def __len__(self) -> int:
        return len(self.uids)

    def column(self, name: str) -> Sequence[int]:
        """A column of the mailbox in memory: ``flags``, ``modseqs``, ``sizes``."""
        values = getattr(self._session.box.state, name)
        rows = self._rows
        if isinstance(rows, range):
            found: Sequence[int] = values[rows.start : rows.stop]
            return found
        return [values[row] for row in rows]

    def stored(self, name: str) -> Sequence[Any]:
        """A column that was named when the batch was made."""
        return self._columns.get(name, ())

    def flag_texts(self) -> list[bytes]:
        return self._session.box.flag_texts(self.uids, self.column("flags"))

    # Octets.

    def _body(self, at: int) -> StoredBody:
        if self.bodies:
            return self.bodies[at]
        box = self._session.box
        return self._session.store.messages.bodies(box.mailbox_id, (self.uids[at],))[0]

    def octets(self, at: int) -> bytes:
        """The whole message."""
        found = self._octets.get(at)
        if found is None:
            found = self._octets[at] = self._session.store.messages.read_body(self._body(at))
        return found

    def read(self, at: int, offset: int, length: int) -> bytes:
        """Some of its octets."""
        found = self._octets.get(at)
        if found is not None:
            return found[offset : offset + length]
        return self._session.store.messages.read_body(self._body(at), offset, length)

    def header_size(self, at: int) -> int:
        """Octets of its header with the empty line; looked up where the column was not named."""
        sizes = self._columns.get("header_size")
        if sizes is None:
            box = self._session.box
            rows = self._session.store.messages.fetch(
                box.mailbox_id, (self.uids[at],), ("header_size",)
            )
            return int(rows[0][1]) if rows else 0
        return int(sizes[at])

    def header(self, at: int) -> bytes:
        """Its header with the empty line; the whole message where no empty line ends the header."""
        octets = self.read(at, 0, self.header_size(at))
        return octets if octets.endswith((b"\n\r\n", b"\n\n")) else self.octets(at)

    def part(self, at: int) -> corvus_message.Part:
        """The message, parsed."""
        found = self._parts.get(at)
        if found is None:
            found = self._parts[at] = corvus_message.parse(self.octets(at))
        return found

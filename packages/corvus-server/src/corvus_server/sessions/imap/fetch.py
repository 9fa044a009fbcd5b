"""FETCH: from stored columns where it can be, from the body where it must be.

Flags, sizes, envelopes, structures and the usual header fields were computed at delivery (R11), so a
list of ten thousand messages is a join of octets.  Answers go out in slices, so that no neighbour
waits for a big one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import corvus_imap as imap
import corvus_message
from corvus_imap import responses
from corvus_imap.render import FetchLines, numbers
from corvus_imap.types.fetch import (
    BinarySection,
    BinarySize,
    BodySection,
    FetchAttribute,
    Preview,
    Section,
    SectionText,
)
from corvus_imap.types.sequence import SequenceSet
from corvus_server.sessions.imap.errors import Refusal
from corvus_server.storage.facts import cut_fields, field_codes
from corvus_server.storage.flags import SEEN
from corvus_server.storage.values import FlagOperation

if TYPE_CHECKING:
    from corvus_server.sessions.imap.session import IMAPSession

A = FetchAttribute

#: Messages whose rows are read at a time, and octets of an answer between two looks at the client.
ROWS: Final = 300
SLICE: Final = 64 * 1024
#: Octets of a body that are read at a time; larger ones are streamed.
CHUNK: Final = 256 * 1024

#: Items that RFC 3501 spells in another way.
_ALIASES: Final = {
    A.RFC822: (BodySection(), b"RFC822"),
    A.RFC822_HEADER: (BodySection(Section((), SectionText.HEADER), True), b"RFC822.HEADER"),
    A.RFC822_TEXT: (BodySection(Section((), SectionText.TEXT)), b"RFC822.TEXT"),
}


async def fetch(session: IMAPSession, command: Any) -> None:
    box, conn = session.box, session.conn
    if command.uid:
        # `UID FETCH n:*` sees what came in since (stalwart 0.16.6).
        session.tell(expunges=False)
    uids = session.chosen(command.messages, uid=command.uid)
    state = box.state
    items = list(command.items)
    if command.uid and A.UID not in items:
        items.insert(0, A.UID)
    if command.changed_since is not None:
        since = command.changed_since
        if A.MODSEQ not in items:
            items.append(A.MODSEQ)
        rows = ((uid, state.index(uid)) for uid in uids)
        fresh = [uid for uid, row in rows if row is not None and state.modseqs[row] > since]
        if command.vanished:
            _vanished(session, command, since)
        uids = fresh
    elif conn.condstore and A.FLAGS in items and A.MODSEQ not in items:
        # RFC 7162 §3.2.4: what tells flags tells the mod-sequence as well.
        items.append(A.MODSEQ)
    if not box.read_only and any(_marks_seen(item) for item in items):
        await _mark_seen(session, uids, items)
    columns = [_column(session, item) for item in items]
    if all(column is not None for column in columns):
        lost = await _from_columns(session, uids, items, [c for c in columns if c is not None])
    else:
        lost = await _with_bodies(session, uids, items)
    session.tell(expunges=command.uid)
    # RFC 2180 §4.1.2: what another session expunged is left out, and said so.
    conn.ok("EXPUNGEISSUED" if lost else None)


def _vanished(session: IMAPSession, command: Any, since: int) -> None:
    """``UID FETCH ... (CHANGEDSINCE n VANISHED)`` (RFC 7162 §3.2.6)."""
    if not session.conn.qresync:
        raise Refusal(text="VANISHED needs QRESYNC to be enabled", bad=True)
    state = session.box.state
    changes = session.store.messages.changes_since(state.id, since)
    present = set(state.uids)
    spans = changes.vanished if changes.complete else ((1, max(1, state.uid_next - 1)),)
    wanted = command.messages
    ranges = wanted.ranges if isinstance(wanted, SequenceSet) else ((1, 0xFFFFFFFF),)
    gone = [
        uid
        for low, high in spans
        for uid in range(low, min(high, state.uid_next - 1) + 1)
        if uid not in present and any(a <= uid <= b for a, b in ranges)
    ]
    if gone:
        session.conn.send(responses.Vanished(SequenceSet.of(gone), earlier=True))


# \Seen.


def _marks_seen(item: Any) -> bool:
    if isinstance(item, BodySection | BinarySection):
        return not item.peek
    return item in (A.RFC822, A.RFC822_TEXT)


async def _mark_seen(session: IMAPSession, uids: Sequence[int], items: list[Any]) -> None:
    """Set \\Seen, "and if this causes the flags to change, they SHOULD be included"."""
    box = session.box
    state = box.state
    rows = [(uid, state.index(uid)) for uid in uids]
    unseen = [uid for uid, row in rows if row is not None and not state.flags[row] & SEEN]
    if not unseen:
        return
    done = await session.store.messages.store_flags(
        box.mailbox.id, unseen, FlagOperation.ADD, ["\\Seen"]
    )
    box.own.add(done.modseq)
    if A.FLAGS not in items:
        items.append(A.FLAGS)
    if session.conn.condstore and A.MODSEQ not in items:
        items.append(A.MODSEQ)


# From columns.

#: A column: which stored one it needs, and how values become octets.
Column = tuple[bytes, str | None, Callable[[list[Any]], list[bytes]]]


def _column(session: IMAPSession, item: Any) -> Column | None:
    """How *item* is answered from stored columns, or ``None`` if it needs the body."""
    found = _STORED.get(item) if isinstance(item, FetchAttribute) else None
    if found is not None:
        return bytes(item), found[0], found[1]
    if isinstance(item, Preview):
        return b"PREVIEW", "preview", _previews
    if isinstance(item, BodySection) and not item.section.part and item.partial is None:
        if item.section.text is SectionText.HEADER_FIELDS:
            codes = field_codes([name.encode("ascii") for name in item.section.fields])
            if codes is not None:
                return item.label, "header_fields", _fields(codes)
    return None


def _octets(values: list[Any]) -> list[bytes]:
    return values


def _ids(values: list[Any]) -> list[bytes]:
    return [f"({value})".encode("ascii") for value in values]


def _saved(values: list[Any]) -> list[bytes]:
    return [
        b"NIL" if value is None else imap.render_date_time(datetime.fromtimestamp(int(value), UTC))
        for value in values
    ]


def _previews(values: list[Any]) -> list[bytes]:
    found = []
    for value in values:
        octets = (value or "").encode("utf-8")
        if octets.isascii() and b'"' not in octets and b"\\" not in octets and b"\r" not in octets:
            found.append(b'"%b"' % octets.replace(b"\n", b" ").replace(b"\0", b""))
        else:
            found.append(b"{%d}\r\n%b" % (len(octets), octets))
    return found


def _fields(codes: frozenset[int]) -> Callable[[list[Any]], list[bytes]]:
    def cut(values: list[Any]) -> list[bytes]:
        found = []
        for packed in values:
            octets = cut_fields(packed, codes)
            found.append(b"{%d}\r\n%b" % (len(octets), octets))
        return found

    return cut


_STORED: Final[dict[FetchAttribute, tuple[str | None, Callable[[list[Any]], list[bytes]]]]] = {
    A.UID: (None, _octets),
    A.FLAGS: (None, _octets),
    A.MODSEQ: (None, _octets),
    A.RFC822_SIZE: (None, _octets),
    A.INTERNALDATE: ("internal_date", _octets),
    A.ENVELOPE: ("envelope", _octets),
    A.BODY: ("body", _octets),
    A.BODYSTRUCTURE: ("bodystructure", _octets),
    A.EMAILID: ("email_id", _ids),
    A.THREADID: ("thread_id", _ids),
    A.SAVEDATE: ("saved_at", _saved),
}


async def _from_columns(
    session: IMAPSession, uids: Sequence[int], items: list[Any], columns: list[Column]
) -> bool:
    """Answer without opening a body; whether some messages were gone."""
    conn, state, view = session.conn, session.box.state, session.box.view
    lines = FetchLines(*(label for label, _, _ in columns))
    names = list(dict.fromkeys(stored for _, stored, _ in columns if stored is not None))
    lost = False
    waiting = 0
    for start in range(0, len(uids), ROWS):
        some = uids[start : start + ROWS]
        values: dict[str, list[Any]] = {}
        if names:
            rows = session.store.messages.fetch(session.box.mailbox.id, some, names)
            lost = lost or len(rows) < len(some)
            some = [row[0] for row in rows]
            for at, name in enumerate(names, 1):
                values[name] = [row[at] for row in rows]
            if "header_fields" in values and None in values["header_fields"]:
                await _with_bodies(session, some, items)
                continue
        indices = [state.index(uid) for uid in some]
        if None in indices:
            kept = [at for at, index in enumerate(indices) if index is not None]
            lost = True
            some = [some[at] for at in kept]
            values = {name: [column[at] for at in kept] for name, column in values.items()}
            indices = [indices[at] for at in kept]
        if not some:
            continue
        places = [index for index in indices if index is not None]
        sequence = [view.seq(uid) or 0 for uid in some]
        rendered = []
        for item, (_, stored, make) in zip(items, columns, strict=True):
            if stored is not None:
                rendered.append(make(values[stored]))
            elif item is A.UID:
                rendered.append(numbers(some))
            elif item is A.RFC822_SIZE:
                rendered.append(numbers([state.sizes[at] for at in places]))
            elif item is A.MODSEQ:
                rendered.append([b"(%d)" % state.modseqs[at] for at in places])
            else:
                rendered.append(
                    [
                        b"(%b)" % session.flags_of(uid, state.flags[at], state)
                        for uid, at in zip(some, places, strict=True)
                    ]
                )
        octets = lines.render(numbers(sequence), *rendered)
        conn.send_raw(octets)
        waiting += len(octets)
        if waiting >= SLICE:
            waiting = 0
            await session.drain()
    return lost


# From bodies.


async def _with_bodies(session: IMAPSession, uids: Sequence[int], items: list[Any]) -> bool:
    """Answer message by message, opening what must be opened; whether some were gone."""
    conn, store = session.conn, session.store.messages
    box = session.box
    lost = False
    waiting = 0
    columns = {id(item): _column(session, item) for item in items}
    names = list(
        dict.fromkeys(c[1] for c in columns.values() if c is not None and c[1] is not None)
    )
    for start in range(0, len(uids), ROWS):
        some = uids[start : start + ROWS]
        bodies = {body.uid: body for body in store.bodies(box.mailbox.id, some)}
        rows: dict[int, tuple[Any, ...]] = {}
        if names:
            rows = {row[0]: row for row in store.fetch(box.mailbox.id, some, names)}
        for uid in some:
            seq, index = box.view.seq(uid), box.state.index(uid)
            body = bodies.get(uid)
            if seq is None or index is None or body is None or (names and uid not in rows):
                lost = True
                continue
            one = _Message(session, uid, index, body, rows.get(uid), names)
            first = b"* %d FETCH (" % seq
            for item in items:
                if _whole(item) and body.size > CHUNK:
                    await one.stream(first, item)
                else:
                    conn.send_raw(first + one.render(item, columns[id(item)]))
                first = b" "
            conn.send_raw(b")\r\n")
            waiting += body.size
            if waiting >= SLICE:
                waiting = 0
                await session.drain()
    return lost


def _whole(item: Any) -> bool:
    if item is A.RFC822:
        return True
    return isinstance(item, BodySection) and item.section == Section() and item.partial is None


class _Message:
    """One message on its way out; its octets are read once, and parsed only if a part is wanted."""

    __slots__ = ("_body", "_index", "_names", "_octets", "_part", "_row", "_session", "_uid")

    def __init__(
        self,
        session: IMAPSession,
        uid: int,
        index: int,
        body: Any,
        row: tuple[Any, ...] | None,
        names: list[str],
    ) -> None:
        self._session = session
        self._uid = uid
        self._index = index
        self._body = body
        self._row = row
        self._names = names
        self._octets: bytes | None = None
        self._part: corvus_message.Part | None = None

    @property
    def octets(self) -> bytes:
        if self._octets is None:
            self._octets = self._session.store.messages.read_body(self._body)
        return self._octets

    @property
    def part(self) -> corvus_message.Part:
        if self._part is None:
            self._part = corvus_message.parse(self.octets)
        return self._part

    def render(self, item: Any, column: Column | None) -> bytes:
        """The item's name and value, as they stand in the answer."""
        state = self._session.box.state
        if item is A.UID:
            return b"UID %d" % self._uid
        if item is A.FLAGS:
            text = self._session.flags_of(self._uid, state.flags[self._index], state)
            return b"FLAGS (%b)" % text
        if item is A.MODSEQ:
            return b"MODSEQ (%d)" % state.modseqs[self._index]
        if item is A.RFC822_SIZE:
            return b"RFC822.SIZE %d" % state.sizes[self._index]
        if column is not None and column[1] is not None:
            assert self._row is not None
            value = self._row[1 + self._names.index(column[1])]
            if value is not None or column[1] != "header_fields":
                return b"%b %b" % (column[0], column[2]([value])[0])
        if isinstance(item, BinarySize):
            size = _binary(lambda: imap.binary_size(self.part, item.part))
            return b"%b %b" % (bytes(item), b"0" if size is None else b"%d" % size)
        if isinstance(item, BinarySection):
            value = _binary(lambda: imap.binary(self.part, item.part, item.partial))
            return b"%b %b" % (item.label, value)
        section, label = _ALIASES.get(item, (item, b""))
        assert isinstance(section, BodySection)
        label = label or section.label
        if section.section == Section():
            octets = self.octets
            if section.partial is not None:
                at = section.partial.offset
                octets = octets[at : at + section.partial.length]
            return b"%b {%d}\r\n%b" % (label, len(octets), octets)
        return b"%b %b" % (label, imap.section(self.part, section.section, section.partial))

    async def stream(self, first: bytes, item: Any) -> None:
        """Send a large body chunk by chunk, as fast as the client reads."""
        session = self._session
        conn = session.conn
        label = b"RFC822" if item is A.RFC822 else item.label
        with session.store.messages.open_body(self._body) as reader:
            conn.send_raw(first + label + b" ")
            conn.send_literal(reader.size)
            while octets := reader.read(CHUNK):
                conn.chunk(octets)
                await session.drain()


def _binary(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except imap.UnknownEncoding as error:
        raise Refusal("UNKNOWN-CTE", str(error)) from None

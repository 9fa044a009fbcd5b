"""A message that is too large to be held: what lies together in it is read and sent piece by piece."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, final

import corvus_imap as imap
import corvus_message
from corvus_imap.section import section_octets
from corvus_imap.types.fetch import Partial, Section, SectionText
from corvus_server.sessions.imap.batch import Batch
from corvus_server.sessions.imap.errors import Refusal
from corvus_server.sessions.imap.plan import Decoded, Item, Parsed, Plan, Stretch
from corvus_server.storage.bodies import BodyReader
from corvus_server.storage.values import Part

if TYPE_CHECKING:
    from corvus_server.sessions.imap.session import IMAPSession

#: Octets from which a message is large, and how many are read and sent at a time.
LARGE: Final = 256 * 1024
PIECE: Final = 64 * 1024

#: Octets at hand, or where they lie in the body.
Source = bytes | range


async def send_large(session: IMAPSession, plan: Plan, seq: int) -> int:
    """
    Send the response for one message; 1 if it turned out to be gone, else 0.

    Raises:
        Refusal: Something of it cannot be told; nothing was sent of this message.
    """
    batch = Batch(session, (seq,), plan.names, bodies=True)
    if not len(batch):
        return 1
    conn, store = session.conn, session.store.messages
    large = _Large(session, batch)
    # What is in memory or stored is taken now, before anything is waited for.
    values: list[Source | None] = [
        None
        if item.weight(large.body.size) > LARGE
        else b"".join(next(iter(column)) for column in item.columns(batch))
        for item in plan.items
    ]
    with store.open_body(large.body) as reader:
        sources = [
            await large.source(item) if value is None else value
            for item, value in zip(plan.items, values, strict=True)
        ]
        session.announce_keywords()
        before = b"* %d FETCH (" % batch.seqs[0]
        for item, source in zip(plan.items, sources, strict=True):
            if isinstance(source, range):
                conn.send_raw(before + item.before)
                conn.send_literal(len(source))
                await _stream(session, reader, source)
            else:
                conn.send_raw(before + item.before + source)
            before = item.after + b" "
        conn.send_raw(before[:-1] + b")\r\n")
    return 0


async def _stream(session: IMAPSession, reader: BodyReader, where: range) -> None:
    for offset in range(where.start, where.stop, PIECE):
        session.conn.chunk(reader.pread(offset, min(PIECE, where.stop - offset)))
        await session.drain()
        await asyncio.sleep(0)


@final
class _Large:
    """Where the sections of one message lie."""

    __slots__ = ("_batch", "_parts", "_session", "body")

    def __init__(self, session: IMAPSession, batch: Batch) -> None:
        self._session = session
        self._batch = batch
        self.body = batch.bodies[0]
        found = session.store.messages.parts(session.box.mailbox_id, batch.uids[0])
        self._parts = {part.path: part for part in found}

    async def source(self, item: Item) -> Source:
        if isinstance(item, Stretch):
            start, length = item.bounds(self.body.size, self._batch.header_size(0))
            return range(start, start + length)
        if isinstance(item, Parsed):
            found = self._where(item.section)
            if found is not None:
                return _clip(found, item.partial)
            octets = await asyncio.to_thread(self._cut, item.section)
            if octets is None:
                return b"NIL"
            if item.partial is not None:
                end = item.partial.offset + item.partial.length
                octets = octets[item.partial.offset : end]
            return b"{%d}\r\n%b" % (len(octets), octets)
        assert isinstance(item, Decoded)
        try:
            return await asyncio.to_thread(self._decode, item)
        except imap.UnknownEncoding as error:
            raise Refusal("UNKNOWN-CTE", str(error)) from None

    def _where(self, section: Section) -> range | None:
        """Where a section lies, by the part offsets that were stored (R11)."""
        path = ".".join(map(str, section.part))
        if section.text is None:
            part: Part | None = self._parts.get(path)
            return None if part is None else range(part.body, part.end)
        if section.text is SectionText.MIME:
            part = self._parts.get(path)
            return None if part is None else range(part.header, part.body)
        part = self._parts.get(f"{path}.HEADER")
        if part is None or section.fields:
            return None
        if section.text is SectionText.HEADER:
            return range(part.header, part.body)
        return range(part.body, part.end)

    def _cut(self, section: Section) -> bytes | None:
        return section_octets(corvus_message.parse(self._octets()), section)

    def _decode(self, item: Decoded) -> bytes:
        return item.value(corvus_message.parse(self._octets()))

    def _octets(self) -> bytes:
        return self._session.store.messages.read_body(self.body)


def _clip(found: range, partial: Partial | None) -> range:
    if partial is None:
        return found
    start = min(found.start + partial.offset, found.stop)
    return range(start, min(start + partial.length, found.stop))

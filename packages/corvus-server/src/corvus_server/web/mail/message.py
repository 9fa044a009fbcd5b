"""One stored mail, read from the store for whoever owns it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import corvus_message
from corvus_message import Part
from corvus_server.inbound.exchanger import maybe_threaded
from corvus_server.storage.values import Verdict
from corvus_server.web import words
from corvus_server.web.mail.folders import Folder, folder_at
from corvus_server.web.page import NotHere, Visit

#: What may be shown in place, by the octets it begins with: never by what the mail calls it.
SHOWN: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
#: Attachments that are listed; all are in the mail that can be downloaded.
MOST_ATTACHMENTS: Final = 200
COLUMNS: Final = (
    "flags", "size", "internal_time", "subject", "sender", "to", "cc", "message_id", "sent_at",
    "thread_id", "verdict_id",
)  # fmt: skip


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A part to offer."""

    number: int
    """Its place among the parts of the message, as `Message.part` counts."""
    name: str
    kind: str
    """``image``, ``pdf``, ``mail`` or ``file``: which icon it gets."""
    size: int
    shown: str
    """The media type under which it may be shown in place, or the empty text."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A mail, parsed."""

    folder: Folder
    uid: int
    raw: bytes
    parsed: Part
    facts: Mapping[str, Any]
    flags: frozenset[str]
    verdict: Verdict | None

    @property
    def url(self) -> str:
        return f"{self.folder.url}/{self.uid}"

    @property
    def subject(self) -> str:
        return words.visible(self.facts["subject"]) or "(no subject)"

    def flag(self, name: str) -> bool:
        return name.lower() in self.flags

    def part(self, number: int) -> Part:
        """
        The part with that number, counted through the message from 0.

        Raises:
            NotHere: There is none.
        """
        for at, part in enumerate(self.parsed.walk()):
            if at == number:
                return part
        raise NotHere("This mail has no such part.")

    def attachments(self) -> list[Attachment]:
        """What to offer beside the body."""
        numbers = {id(part): at for at, part in enumerate(self.parsed.walk())}
        return [
            _attachment(part, numbers[id(part)])
            for part in self.parsed.attachments()[:MOST_ATTACHMENTS]
            if id(part) in numbers
        ]

    def by_content_id(self) -> dict[str, int]:
        """Numbers of the parts that the HTML may show, by Content-ID without brackets."""
        found: dict[str, int] = {}
        for at, part in enumerate(self.parsed.walk()):
            name = part.id
            if name is not None:
                found.setdefault(name.decode("utf-8", "replace").strip("<> "), at)
        return found


def shown_as(octets: bytes) -> str:
    """The media type under which octets may be shown, or the empty text."""
    if octets[:4] == b"RIFF" and octets[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in SHOWN if octets.startswith(magic)), "")


def name_of(part: Part, number: int) -> str:
    """A name for a part that nothing can mistake for a path."""
    default = f"part-{number}"
    if part.content_type.value in ("message/rfc822", "message/global"):
        default += ".eml"
    return corvus_message.safe_filename(part.filename, default=default)


def _attachment(part: Part, number: int) -> Attachment:
    beginning = b"".join(next(iter(part.chunks(64)), b"") for _ in (1,))[:64]
    shown = shown_as(beginning)
    kind = "image" if shown.startswith("image/") else "pdf" if shown else "file"
    if part.type == "message":
        kind = "mail"
    encoded = part.size
    octets = encoded * 3 // 4 if part.encoding == "base64" else encoded
    return Attachment(
        number=number, name=name_of(part, number), kind=kind, size=octets, shown=shown
    )


def octets_of(visit: Visit, folder: Folder, uid: int) -> bytes:
    """
    The whole mail.

    Raises:
        NotHere: It is gone.
    """
    bodies = visit.store.messages.bodies(folder.mailbox.id, [uid])
    if not bodies:
        raise NotHere("This mail is not here any more.")
    octets: bytes = visit.store.messages.read_body(bodies[0])
    return octets


def place(visit: Visit) -> tuple[Folder, int]:
    """The folder and UID of the address."""
    folder = folder_at(visit, visit.request.path_params["slug"])
    return folder, visit.request.path_params["uid"]


async def message_at(visit: Visit) -> Message:
    """
    The mail of the address, which lies in a folder of whoever has signed in.

    Raises:
        NotHere: There is none.
    """
    folder, uid = place(visit)
    return await load(visit, folder, uid)


async def load(visit: Visit, folder: Folder, uid: int) -> Message:
    """A mail in a folder of whoever has signed in."""
    if not 0 < uid < 1 << 32:
        raise NotHere("This mail is not here any more.")
    rows: Sequence[tuple[Any, ...]] = visit.store.messages.fetch(folder.mailbox.id, [uid], COLUMNS)
    if not rows:
        raise NotHere("This mail is not here any more.")
    facts = dict(zip(COLUMNS, rows[0][1:], strict=True))
    raw = octets_of(visit, folder, uid)
    parsed = await maybe_threaded(len(raw), corvus_message.parse, raw)
    verdict_id = facts["verdict_id"]
    summaries = visit.store.messages.summaries(folder.mailbox.id, [uid])
    flags = summaries[0].flags if summaries else frozenset()
    return Message(
        folder=folder,
        uid=uid,
        raw=raw,
        parsed=parsed,
        facts=facts,
        flags=frozenset(flag.lower() for flag in flags),
        verdict=None if verdict_id is None else visit.store.verdicts.get(verdict_id),
    )

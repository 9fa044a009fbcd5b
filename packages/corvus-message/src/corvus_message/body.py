"""What a reader wants to see of a message: the body, and the rest (RFC 8621 §4.1.4)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from corvus_message import charsets
from corvus_message.flowed import decode_flowed
from corvus_message.html import html_to_text

if TYPE_CHECKING:
    from corvus_message.part import Part

_MEDIA: Final = frozenset({"image", "audio", "video"})


@final
@dataclass(frozen=True, slots=True)
class BodyView:
    """The leaves of a message, sorted by what is done with them; in the order of the message."""

    text: tuple[Part, ...]
    """To be shown one after the other, plain text preferred where there is a choice."""

    html: tuple[Part, ...]
    """The same with HTML preferred."""

    attachments: tuple[Part, ...]
    """What is in neither, and media that one of the two leaves out."""


class _Frame:
    """One call of the RFC's ``parseStructure``, without the call."""

    __slots__ = ("alternative", "html", "html_length", "kind", "parts", "text", "text_length")

    def __init__(
        self,
        parts: Iterator[tuple[int, Part]],
        kind: str,
        alternative: bool,
        text: list[Part] | None,
        html: list[Part] | None,
    ) -> None:
        self.parts = parts
        self.kind = kind
        self.alternative = alternative
        self.text = text
        self.html = html
        self.text_length = -1 if text is None else len(text)
        self.html_length = -1 if html is None else len(html)


def body_view(root: Part) -> BodyView:
    """
    Choose what to show, by the algorithm of :rfc:`8621#section-4.1.4`, without recursion.

    A multipart that could not be divided is an attachment; so is a message inside the message.
    """
    text: list[Part] = []
    html_parts: list[Part] = []
    attachments: list[Part] = []
    stack = [_Frame(iter([(0, root)]), "mixed", False, text, html_parts)]
    while stack:
        frame = stack[-1]
        inner = _advance(frame, attachments)
        if inner is not None:
            stack.append(inner)
            continue
        _share(frame)
        stack.pop()
    return BodyView(tuple(text), tuple(html_parts), tuple(attachments))


def _advance(frame: _Frame, attachments: list[Part]) -> _Frame | None:
    """Sort the parts of a frame up to the next multipart, which is returned."""
    for number, part in frame.parts:
        kind = part.content_type
        if kind.type == "multipart" and part.children:
            return _Frame(
                iter(enumerate(part.children)),
                kind.subtype,
                frame.alternative or kind.subtype == "alternative",
                frame.text,
                frame.html,
            )
        if not _is_inline(part, number, frame.kind):
            attachments.append(part)
        elif frame.kind == "alternative":
            chosen = {"text/plain": frame.text, "text/html": frame.html}.get(kind.value)
            # Where an enclosing alternative has settled on the other form, nothing is chosen.
            (attachments if kind.type in _MEDIA or chosen is None else chosen).append(part)
        else:
            if frame.alternative:
                if kind.value == "text/plain":
                    frame.html = None
                elif kind.value == "text/html":
                    frame.text = None
            if frame.text is not None:
                frame.text.append(part)
            if frame.html is not None:
                frame.html.append(part)
            if (frame.text is None or frame.html is None) and kind.type in _MEDIA:
                attachments.append(part)
    return None


def _is_inline(part: Part, number: int, kind: str) -> bool:
    """Whether a leaf is part of the body rather than an attachment."""
    media = part.content_type.type in _MEDIA
    if not media and part.content_type.value not in ("text/plain", "text/html"):
        return False
    disposition = part.disposition
    if disposition is not None and disposition.value == "attachment":
        return False
    # "If multipart/related, only the first part can be inline"; a text that has a file name and is
    # not the first part is taken for an attachment (RFC 8621 §4.1.4).
    return number == 0 or (kind != "related" and (media or part.filename is None))


def _share(frame: _Frame) -> None:
    """An alternative with one form only gives it to both lists."""
    text, html_parts = frame.text, frame.html
    if frame.kind != "alternative" or text is None or html_parts is None:
        return
    new_text, new_html = text[frame.text_length :], html_parts[frame.html_length :]
    if not new_text and new_html:
        text += new_html
    if not new_html and new_text:
        html_parts += new_text


def readable(part: Part, *, limit: int | None = None) -> str:
    """One text part as plain text, lines ended by LF: HTML stripped, flowed lines joined."""
    kind = part.content_type
    if kind.value == "text/html":
        return html_to_text(part.content_text(), limit=limit)
    text = part.content_text().replace("\r\n", "\n")
    if (kind.get("format") or "").lower() == "flowed":
        return decode_flowed(text, delsp=(kind.get("delsp") or "").lower() == "yes")
    return text


def text_of(root: Part) -> str:
    """The body as plain text; see `Part.text`."""
    texts = [readable(part) for part in body_view(root).text if part.content_type.type == "text"]
    return "\n".join(text.removesuffix("\n") for text in texts[:-1]) + (
        ("\n" if len(texts) > 1 else "") + texts[-1] if texts else ""
    )


def html_of(root: Part) -> str | None:
    """The body as HTML; see `Part.html`."""
    parts = [part for part in body_view(root).html if part.content_type.type == "text"]
    if not any(part.content_type.subtype == "html" for part in parts):
        return None
    return "\n".join(
        part.content_text()
        if part.content_type.subtype == "html"
        else f"<pre>{html.escape(readable(part))}</pre>"
        for part in parts
    )


def related_by_id(root: Part) -> dict[str, Part]:
    """Parts by Content-ID without brackets, for ``cid:`` links (RFC 2392); the first one counts."""
    found: dict[str, Part] = {}
    for part in root.walk():
        value = part.id
        if value:
            key = value.strip(b"<> \t").decode("utf-8", "replace")
            found.setdefault(key, part)
    return found


# "The server SHOULD limit the length of the preview text to 200 preview characters" and "MUST NOT
# output preview text longer than 256" (RFC 8970 §3.3).
_PREVIEW: Final = 200
_LONGEST_PREVIEW: Final = 256
#: Octets of a body that are looked at: what stands further down is no preview.
_PREVIEW_OCTETS: Final = 256 * 1024
_SPACES: Final = re.compile(
    r"[\s\x00-\x20\x7f\u00ad\u034f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+"
)
#: Characters of a line above a quote; a longer one is no attribution, and is not read to find out.
_LONGEST_ATTRIBUTION: Final = 300
_ATTRIBUTION: Final = re.compile(r"[^\n]{0,200}(?:wrote|schrieb|écrit|escribió|ha scritto) ?:\s*")


def preview_of(root: Part, length: int = _PREVIEW) -> str:
    """The first words of the body; see `Part.preview`."""
    length = max(0, min(length, _LONGEST_PREVIEW))
    pieces: list[str] = []
    have = 0
    for part in body_view(root).text:
        if part.content_type.type == "text" and have < length:
            text = _first_words(_beginning(part), length - have)
            if text:
                pieces.append(text)
                have += len(text) + 1
    return " ".join(pieces)[:length].rstrip()


def _beginning(part: Part) -> str:
    octets = b""
    for chunk in part.chunks():
        octets += chunk
        if len(octets) >= _PREVIEW_OCTETS:
            break
    kind = part.content_type
    text = charsets.decode_charset(octets[:_PREVIEW_OCTETS], kind.charset)
    if kind.subtype == "html":
        return html_to_text(text, limit=4 * _LONGEST_PREVIEW)
    return text.replace("\r\n", "\n")


def _first_words(text: str, enough: int) -> str:
    """*text* without quoted lines, the line above them, and what follows the signature mark.

    The lines behind *enough* characters are not looked at: nobody will see them.
    """
    kept: list[str] = []
    size = 0
    for line in text.split("\n"):
        if size > enough:
            break
        if line.rstrip("\r") == "-- ":
            break
        if line.startswith(">"):
            above = kept[-1] if kept else ""
            if len(above) <= _LONGEST_ATTRIBUTION and _ATTRIBUTION.fullmatch(above):
                kept.pop()
        else:
            kept.append(line)
            size += len(_SPACES.sub("", line[: 2 * enough]))
    # Nothing but quotes: better than nothing at all.
    return _SPACES.sub(" ", "\n".join(kept)).strip() or _SPACES.sub(" ", text).strip()

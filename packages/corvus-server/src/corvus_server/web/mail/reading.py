"""Reading a mail: its page, its body in a frame, its parts, its source."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape
from starlette.responses import Response

from corvus_server.inbound.exchanger import maybe_threaded
from corvus_server.storage.values import FlagOperation
from corvus_server.web import words
from corvus_server.web.mail import html, verdicts
from corvus_server.web.mail.folders import folder_of
from corvus_server.web.mail.listing import find, frame
from corvus_server.web.mail.message import Message, message_at, name_of, octets_of, place, shown_as
from corvus_server.web.page import NotHere, Visit

#: Characters of a text that are shown; the rest is in the source.
MOST_TEXT: Final = 200_000
#: Octets of source and header that are shown; the whole can be downloaded.
MOST_SOURCE: Final = 256 * 1024
#: Mails of a conversation that are listed.
MOST_THREAD: Final = 30
#: Senders whose remote images one account may have let in.
MOST_SENDERS: Final = 1000

_LINK: Final = re.compile(r"https?://[^\s<>\"'`{}|\\^\[\]]{3,1500}", re.IGNORECASE)


async def show(visit: Visit) -> Response:
    """``/mail/{slug}/{uid}``: the mail, beside the list it is in; it is read from now on."""
    message = await message_at(visit)
    if not message.flag("\\seen"):
        await visit.store.messages.store_flags(
            message.folder.mailbox.id, [message.uid], FlagOperation.ADD, ["\\Seen"]
        )
    listing = await find(visit, message.folder)
    rendered = await maybe_threaded(message.parsed.size, _body, visit, message)
    at = next((i for i, row in enumerate(listing.rows) if _is(row, message)), None)
    verdict = message.verdict
    back = message.folder.url
    query = {key: visit.query(key) for key in ("q", "before") if visit.query(key)}
    if query:
        back += "?" + urlencode(query)
    return await visit.render(
        "mail/read.html",
        listing=listing,
        message=message,
        headers=_headers(message),
        attachments=message.attachments(),
        headline=None if verdict is None else verdicts.headline(verdict.tree, verdict.sentence),
        tone="none" if verdict is None else verdicts.TONES.get(str(verdict.tree.get("decision"))),
        badges=[] if verdict is None else verdicts.badges(verdict.tree),
        conversation=await _conversation(visit, message),
        back=back,
        newer=listing.rows[at - 1].url if at else "",
        older=listing.rows[at + 1].url if at is not None and at + 1 < len(listing.rows) else "",
        **rendered,
        **await frame(visit, message.folder),
    )


def _is(row: Any, message: Message) -> bool:
    return bool(row.uid == message.uid and row.folder.mailbox.id == message.folder.mailbox.id)


def _body(visit: Visit, message: Message) -> dict[str, Any]:
    """What to show: text in the page, or HTML in the frame."""
    source = message.parsed.html()
    if source is None:
        text = message.parsed.text()
        return {
            "text": linked(text[:MOST_TEXT]),
            "text_cut": len(text) > MOST_TEXT,
            "framed": False,
            "remote": False,
            "images": False,
        }
    return {
        "text": None,
        "text_cut": len(source) > html.MOST,
        "framed": True,
        "remote": html.has_remote_images(source),
        "images": images_allowed(visit, message),
    }


def linked(text: str) -> Markup:
    """Plain text with its addresses of the Web made links, and what is quoted set off."""
    out: list[Markup] = []
    quoted: list[Markup] = []
    for line in text.replace("\r\n", "\n").rstrip("\n").split("\n"):
        if line.startswith(">"):
            quoted.append(_line(line))
            continue
        if quoted:
            out.append(_quoted(quoted))
            quoted = []
        out.append(_line(line) + Markup("\n"))
    if quoted:
        out.append(_quoted(quoted))
    return Markup("").join(out)


def _quoted(lines: list[Markup]) -> Markup:
    inner = Markup("\n").join(lines)
    if len(lines) < 6:
        return Markup('<span class="quoted">{}\n</span>').format(inner)
    return Markup('<details class="quoted"><summary>{} quoted</summary>{}\n</details>').format(
        words.plural(len(lines), "line"), inner
    )


def _line(line: str) -> Markup:
    out = Markup("")
    at = 0
    for match in _LINK.finditer(line):
        url = match[0].rstrip(".,;:!?)*_")
        out += escape(line[at : match.start()]) + Markup(
            '<a href="{0}" target="_blank" rel="noopener noreferrer nofollow">{0}</a>'
        ).format(url)
        at = match.start() + len(url)
    return out + escape(line[at:])


def _headers(message: Message) -> dict[str, list[tuple[str, str]]]:
    """The people of a mail, by field: (name, address)."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name in ("from", "to", "cc", "reply-to"):
        entries = []
        for value in message.parsed.fields(name.encode()):
            for each in words.people(value.decode("utf-8", "surrogateescape")):
                entries.append((words.visible(each.name), words.visible(each.address)))
        if entries:
            found[name] = entries[:200]
    return found


async def _conversation(visit: Visit, message: Message) -> list[dict[str, Any]]:
    """The other mails of the conversation, oldest first."""
    places = await visit.store.messages.thread(visit.me.id, message.facts["thread_id"])
    found = []
    for box, uid in places[:MOST_THREAD]:
        if (box, uid) == (message.folder.mailbox.id, message.uid):
            found.append({"current": True, "folder": message.folder, "summary": None, "url": ""})
            continue
        mailbox = visit.store.mailboxes.by_id(box)
        if mailbox is None or mailbox.account_id != visit.me.id:
            continue
        folder = folder_of(mailbox)
        for summary in visit.store.messages.summaries(box, [uid]):
            found.append(
                {
                    "current": False,
                    "folder": folder,
                    "summary": summary,
                    "url": f"{folder.url}/{uid}",
                }
            )
    return found if len(found) > 1 else []


# The body in its frame.


def _images_key(visit: Visit) -> str:
    return f"account/{visit.me.id}/images"


def _sender(message: Message) -> str:
    return words.address(message.facts["sender"]).lower()[:320]


def images_allowed(visit: Visit, message: Message) -> bool:
    """Whether remote images of this sender are let in: this once, or for good."""
    if visit.query("images") == "1":
        return True
    sender = _sender(message)
    return bool(sender) and sender in visit.store.settings.get(_images_key(visit), [])


async def allow_images(visit: Visit) -> Response:
    """Let in remote images of the mail's sender from now on, or no longer."""
    message = await message_at(visit)
    held = [each for each in visit.store.settings.get(_images_key(visit), []) if each]
    sender = _sender(message)
    if sender and visit.text("allow") == "1" and sender not in held:
        await visit.store.settings.set(_images_key(visit), [*held, sender][-MOST_SENDERS:])
    elif visit.text("allow") == "0" and sender in held:
        await visit.store.settings.set(_images_key(visit), [e for e in held if e != sender])
    return visit.redirect(message.url)


async def body(visit: Visit) -> Response:
    """``/mail/{slug}/{uid}/body``: the cleaned HTML, under a policy of its own."""
    message = await message_at(visit)
    source = message.parsed.html()
    if source is None:
        raise NotHere("This mail has no HTML.")
    remote = images_allowed(visit, message)
    numbers = message.by_content_id()

    def inline(content_id: str) -> str | None:
        number = numbers.get(content_id)
        return None if number is None else f"{message.url}/part/{number}?show=1"

    # In a thread, however small: what is crossed on purpose takes long for its size.
    cleaned = await asyncio.to_thread(html.clean, source, inline=inline, remote_images=remote)
    return Response(
        html.document(cleaned),
        media_type="text/html; charset=utf-8",
        headers={
            "content-security-policy": html.policy(remote_images=remote),
            "x-frame-options": "SAMEORIGIN",
            "referrer-policy": "no-referrer",
        },
    )


# Parts, source, headers.


async def part(visit: Visit) -> Response:
    """``/mail/{slug}/{uid}/part/{number}``: for keeping, or in place if its octets are harmless."""
    message = await message_at(visit)
    number = visit.request.path_params["number"]
    found = message.part(number)
    octets = await maybe_threaded(found.size, found.decoded)
    name = name_of(found, number)
    kind = shown_as(octets) if visit.query("show") == "1" else ""
    if kind:
        policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
        return Response(
            octets,
            media_type=kind,
            headers={
                "content-disposition": disposition("inline", name),
                "content-security-policy": policy + ("" if "pdf" in kind else "; sandbox"),
                "x-frame-options": "SAMEORIGIN",
                "cache-control": "private, max-age=3600",
            },
        )
    return download(octets, name)


def download(octets: bytes, name: str) -> Response:
    """Octets to be kept, never shown."""
    return Response(
        octets,
        media_type="application/octet-stream",
        headers={
            "content-disposition": disposition("attachment", name),
            "content-security-policy": "default-src 'none'; sandbox",
        },
    )


def disposition(kind: str, name: str) -> str:
    """
    A Content-Disposition (RFC 6266) with a name for old browsers and one for the others.

    >>> disposition("attachment", 'pre"ise – 1.pdf')
    'attachment; filename="pre_ise _ 1.pdf"; filename*=UTF-8\\'\\'pre%22ise%20%E2%80%93%201.pdf'
    """
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def source(visit: Visit) -> Response:
    """``/mail/{slug}/{uid}/source``: the octets as they are, to look at."""
    message = await message_at(visit)
    shown = message.raw[:MOST_SOURCE]
    header = message.parsed.header_octets
    return await visit.render(
        "mail/source.html",
        message=message,
        text=shown.decode("utf-8", "replace").replace("\r\n", "\n"),
        header=header[:MOST_SOURCE].decode("utf-8", "replace").replace("\r\n", "\n"),
        cut=len(message.raw) > MOST_SOURCE,
        **await frame(visit, message.folder),
    )


async def eml(visit: Visit) -> Response:
    """``/mail/{slug}/{uid}/download``: the mail as a file."""
    folder, uid = place(visit)
    octets = octets_of(visit, folder, uid)
    message = await message_at(visit)
    import corvus_message

    stem = corvus_message.safe_filename(message.facts["subject"][:80] or None, default="mail")
    return download(octets, f"{stem}.eml")

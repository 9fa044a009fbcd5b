"""The list of a folder: a page of it, by cursor."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final
from urllib.parse import urlencode

from starlette.responses import Response

from corvus_server.storage.values import Summary
from corvus_server.web import words
from corvus_server.web.mail.folders import Folder, folder_at, folders
from corvus_server.web.page import Visit

#: Mails on one page of a list.
PAGE: Final = 50


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a list."""

    folder: Folder
    uid: int
    url: str
    who: str
    hue: int
    subject: str
    preview: str
    when: float
    unread: bool
    flagged: bool
    answered: bool
    forwarded: bool
    attachment: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A page of a list, with the way to the others."""

    folder: Folder
    rows: Sequence[Row]
    total: int
    query: str = ""
    older: str = ""
    """The address of the next page, or the empty text."""
    newest: str = ""
    """The address of the first page, if this is another."""
    notes: Sequence[str] = ()
    """What was not understood of the search."""


def row_of(folder: Folder, summary: Summary, suffix: str = "") -> Row:
    outgoing = folder.use in ("\\Sent", "\\Drafts")
    shown = summary.to if outgoing else summary.sender
    who = words.person(shown)
    flags = {flag.lower() for flag in summary.flags}
    return Row(
        folder=folder,
        uid=summary.uid,
        url=f"{folder.url}/{summary.uid}{suffix}",
        who=f"To {who}" if outgoing else who,
        hue=words.hue(words.address(shown) or who),
        subject=words.visible(summary.subject) or "(no subject)",
        preview=words.visible(summary.preview)[:200],
        when=summary.internal_date,
        unread="\\seen" not in flags,
        flagged="\\flagged" in flags,
        answered="\\answered" in flags,
        forwarded="$forwarded" in flags,
        attachment=summary.has_attachment,
    )


async def listing(visit: Visit, folder: Folder) -> Listing:
    """The page of a folder that the address asks for: ``before`` is the cursor."""
    state = await visit.store.messages.open(folder.mailbox.id)
    before = _number(visit.query("before"))
    uids = state.uids
    end = len(uids) if before is None else bisect_left(uids, before)
    start = max(0, end - PAGE)
    suffix = "" if before is None else "?" + urlencode({"before": before})
    summaries = visit.store.messages.summaries(folder.mailbox.id, uids[start:end])
    rows = [row_of(folder, summary, suffix) for summary in reversed(summaries)]
    older = f"{folder.url}?before={uids[start]}" if start else ""
    return Listing(
        folder=folder,
        rows=rows,
        total=len(uids),
        older=older,
        newest="" if before is None else folder.url,
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 11 else None


async def frame(visit: Visit, folder: Folder | None) -> dict[str, Any]:
    """What each page of the webmail shows around its content."""
    return {"folders": folders(visit), "folder": folder}


async def find(visit: Visit, folder: Folder) -> Listing:
    """The list that the address asks for: of the folder, or of a search in it."""
    from corvus_server.web.mail.search import search

    query = visit.query("q").strip()
    return await (search(visit, folder, query) if query else listing(visit, folder))


async def show(visit: Visit) -> Response:
    """``/mail/{slug}``."""
    folder = folder_at(visit, visit.request.path_params["slug"])
    return await visit.render(
        "mail/list.html",
        listing=await find(visit, folder),
        **await frame(visit, folder),
    )

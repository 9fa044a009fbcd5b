"""What is done with mails: archive, delete, junk, move, flag; and taking it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from starlette.responses import Response

from corvus_server.storage.values import FlagOperation
from corvus_server.web import words
from corvus_server.web.mail.folders import Folder, folder_at, special
from corvus_server.web.page import NotHere, Refused, Undo, Visit
from corvus_server.web.security import local_path

#: Mails that one request may act on.
MOST: Final = 500
#: Acts that only change flags: the operation and the flags.
FLAGS: Final[Mapping[str, tuple[FlagOperation, tuple[str, ...]]]] = {
    "read": (FlagOperation.ADD, ("\\Seen",)),
    "unread": (FlagOperation.REMOVE, ("\\Seen",)),
    "flag": (FlagOperation.ADD, ("\\Flagged",)),
    "unflag": (FlagOperation.REMOVE, ("\\Flagged",)),
}
#: Acts that move, with the special use they move to and what is said of it.
MOVES: Final[Mapping[str, tuple[str, str]]] = {
    "archive": ("\\Archive", "archived"),
    "junk": ("\\Junk", "put into Junk"),
    "delete": ("\\Trash", "moved to Trash"),
}
#: Keywords that other programs understand (RFC 5788's registry), by act.
LEARNT: Final[Mapping[str, tuple[str, str]]] = {
    "junk": ("$Junk", "$NotJunk"),
    "notjunk": ("$NotJunk", "$Junk"),
    "right-junk": ("$Junk", "$NotJunk"),
    "right-inbox": ("$NotJunk", "$Junk"),
}


def chosen(visit: Visit) -> list[tuple[Folder, list[int]]]:
    """
    The mails that a form names as ``slug:uid``, by folder; all folders are the visitor's own.

    Raises:
        NotHere: A folder is not there.
        Refused: There are too many, or none.
    """
    found: dict[str, tuple[Folder, set[int]]] = {}
    names = visit.texts("uid")
    if len(names) > MOST:
        raise Refused(f"at most {MOST} mails can be worked on at once; nothing was changed")
    for name in names:
        slug, _, uid = name.rpartition(":")
        if not (uid.isascii() and uid.isdigit() and len(uid) < 11):
            raise NotHere("There is no such mail.")
        if slug not in found:
            found[slug] = folder_at(visit, unquote(slug)), set()
        found[slug][1].add(int(uid))
    if not found:
        raise Refused("choose some mails first")
    return [(folder, sorted(uids)) for folder, uids in found.values()]


async def do(visit: Visit) -> Response:
    """``POST /mail/{slug}/do``: the act is in ``action``, the mails in ``uid``."""
    here = folder_at(visit, visit.request.path_params["slug"])
    action, target = visit.text("action"), local_path(visit.text("next"), here.url)
    groups = chosen(visit)
    if action in FLAGS:
        operation, flags = FLAGS[action]
        for folder, uids in groups:
            await visit.store.messages.store_flags(folder.mailbox.id, uids, operation, flags)
        return visit.redirect(target)
    if action in ("right-junk", "right-inbox"):
        await _learn(visit, groups, action)
        await visit.flash("Noted: it was right.")
        return visit.redirect(target)
    if action == "delete" and any(folder.use == "\\Trash" for folder, _ in groups):
        return await _for_good(visit, groups, target)
    if action == "notjunk":
        to, said = folder_at(visit, "inbox"), "moved to the inbox"
    elif action in MOVES:
        use, said = MOVES[action]
        to = special(visit, use)
    elif action.startswith("move:"):
        to = folder_at(visit, unquote(action.removeprefix("move:")))
        said = f"moved to {to.label}"
    else:
        raise NotHere("There is no such act.")
    if action in LEARNT:
        await _learn(visit, groups, action)
    await move(visit, groups, to, said)
    return visit.redirect(_still_there(groups, target, here))


async def _learn(visit: Visit, groups: Sequence[tuple[Folder, list[int]]], action: str) -> None:
    added, removed = LEARNT[action]
    for folder, uids in groups:
        box = folder.mailbox.id
        await visit.store.messages.store_flags(box, uids, FlagOperation.ADD, [added])
        await visit.store.messages.store_flags(box, uids, FlagOperation.REMOVE, [removed])


async def move(
    visit: Visit, groups: Sequence[tuple[Folder, list[int]]], to: Folder, said: str
) -> None:
    """Move mails, and remember how to take that back."""
    moved: list[list[Any]] = []
    count = 0
    for folder, uids in groups:
        if folder.mailbox.id == to.mailbox.id:
            continue
        copied = await visit.store.messages.move(folder.mailbox.id, uids, to.mailbox.id)
        count += len(copied.targets)
        moved.append([to.mailbox.id, list(copied.targets), folder.mailbox.id])
    if not count:
        await visit.flash("Nothing was moved: it is there already, or gone.")
        return
    await visit.remember(undo=moved)
    await visit.flash(f"{words.plural(count, 'mail')} {said}.", undo=Undo("/mail/undo"))


def _still_there(groups: Sequence[tuple[Folder, list[int]]], target: str, here: Folder) -> str:
    """*target*, unless it is the page of a mail that has just gone."""
    path = target.partition("?")[0]
    gone = {f"{folder.url}/{uid}" for folder, uids in groups for uid in uids}
    return here.url if any(path == url or path.startswith(f"{url}/") for url in gone) else target


async def _for_good(
    visit: Visit, groups: Sequence[tuple[Folder, list[int]]], target: str
) -> Response:
    """Mails in Trash are gone when they are deleted, so somebody must have said so."""
    count = sum(len(uids) for _, uids in groups)
    if visit.text("sure") != "yes":
        subjects = [
            words.visible(summary.subject) or "(no subject)"
            for folder, uids in groups
            for summary in visit.store.messages.summaries(folder.mailbox.id, uids[:3])
        ]
        return await visit.render(
            "mail/sure.html",
            names=visit.texts("uid"),
            count=count,
            subjects=subjects[:3],
            action=visit.request.url.path,
            target=target,
        )
    gone = 0
    for folder, uids in groups:
        done = await visit.store.messages.expunge(folder.mailbox.id, uids, only_deleted=False)
        gone += len(done.uids)
    await visit.flash(f"{words.plural(gone, 'mail')} deleted for good.")
    return visit.redirect(_still_there(groups, target, groups[0][0]))


async def undo(visit: Visit) -> Response:
    """Take the last move back; the session knows what it was."""
    moves = (visit.session.data if visit.session else {}).get("undo") or []
    count = 0
    for now_in, uids, was_in in moves:
        boxes = [visit.store.mailboxes.by_id(each) for each in (now_in, was_in)]
        if any(box is None or box.account_id != visit.me.id for box in boxes):
            continue
        copied = await visit.store.messages.move(now_in, uids, was_in)
        count += len(copied.targets)
    await visit.remember(undo=None)
    said = (
        f"{words.plural(count, 'mail')} put back." if count else "There was nothing to take back."
    )
    await visit.flash(said)
    return visit.redirect(local_path(visit.text("next"), "/mail/inbox"))

"""Writing a mail: the form, its draft, sending it."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from starlette.responses import Response

import corvus_message
from corvus_server.web import words
from corvus_server.web.mail import drafts, outbox
from corvus_server.web.mail.drafts import Draft, Unclear
from corvus_server.web.mail.folders import folder_at, folders, special
from corvus_server.web.mail.listing import frame
from corvus_server.web.mail.message import Message, load
from corvus_server.web.page import NotHere, Undo, Visit

#: People that are suggested, and mails that are looked through for them.
SUGGESTED: Final = 8
LOOKED_THROUGH: Final = 300


async def _named(visit: Visit, name: str) -> Message:
    """The mail that ``slug:uid`` names, among the visitor's own."""
    slug, _, uid = name.rpartition(":")
    if not (uid.isascii() and uid.isdigit() and len(uid) < 11):
        raise NotHere("There is no such mail.")
    return await load(visit, folder_at(visit, unquote(slug)), int(uid))


async def _draft_at(visit: Visit, uid: str) -> Draft:
    if not (uid.isascii() and uid.isdigit() and len(uid) < 11):
        raise NotHere("There is no such draft.")
    return drafts.of_message(await load(visit, special(visit, "\\Drafts"), int(uid)))


async def show(visit: Visit) -> Response:
    """``/compose``: empty, or an answer (``reply``, ``all``), or handing on, or a draft."""
    if name := visit.query("draft"):
        draft = await _draft_at(visit, name)
    elif name := visit.query("reply") or visit.query("all"):
        message = await _named(visit, name)
        draft = drafts.reply(visit, message, everybody=not visit.query("reply"))
    elif name := visit.query("forward"):
        draft = drafts.forward(visit, await _named(visit, name))
        if draft.attachments:  # they are carried by the draft from now on
            draft = await drafts.keep(visit, draft)
    else:
        draft = Draft(
            sender=visit.me.address,
            to=words.visible(visit.query("to")),
            cc=words.visible(visit.query("cc")),
            subject=words.visible(visit.query("subject")),
            text=visit.query("body") + drafts.signature(visit),
        )
    return await _form(visit, draft)


async def _form(visit: Visit, draft: Draft, problem: Unclear | None = None) -> Response:
    domain = draft.sender.rpartition("@")[2]
    return await visit.render(
        "mail/compose.html",
        200 if problem is None else 422,
        draft=draft,
        senders=drafts.senders(visit),
        problem=problem,
        signed=any(key.active for key in visit.store.keys.all(domain)) and domain,
        limit=visit.services.config.max_message_size,
        **await frame(visit, special(visit, "\\Drafts")),
    )


async def _read(visit: Visit) -> Draft:
    """The draft that the form holds, with the attachments of the kept one and the new files."""
    sender = visit.text("from", visit.me.address)
    if sender not in drafts.senders(visit):
        sender = visit.me.address
    kept: tuple[corvus_message.Attachment, ...] = ()
    uid = visit.text("draft", "0")
    number = 0
    if uid.isascii() and uid.isdigit() and 0 < int(uid) < 1 << 32:
        number = int(uid)
        try:
            held = (await _draft_at(visit, uid)).attachments
        except NotHere:
            held, number = (), 0
        wanted = set(visit.texts("keep"))
        kept = tuple(each for at, each in enumerate(held) if str(at) in wanted)
    files = []
    for upload in visit.files("file"):
        kind = (upload.content_type or "").partition(";")[0].strip()
        files.append(drafts.attachment(upload.filename or "", kind, await upload.read()))
    return Draft(
        sender=sender,
        to=visit.text("to"),
        cc=visit.text("cc"),
        bcc=visit.text("bcc"),
        subject=visit.text("subject"),
        text=visit.text("text").replace("\r\n", "\n"),
        in_reply_to=_ids(visit.text("in_reply_to")),
        references=_ids(visit.text("references")),
        answers=_answers(visit.text("answers")),
        attachments=(*kept, *files),
        uid=number,
    )


def _ids(text: str) -> tuple[str, ...]:
    found = corvus_message.message_ids(text.encode("utf-8", "replace"))[:40]
    return tuple(each for each in found if each.isprintable() and len(each) < 900)


def _answers(text: str) -> str:
    kind, _, rest = text.partition(":")
    plain = rest.isascii() and rest.isprintable() and len(rest) < 900
    return text if kind in ("reply", "forward") and plain else ""


async def post(visit: Visit) -> Response:
    """``POST /compose``: keep, send or throw away."""
    action = visit.text("action", "save")
    draft = await _read(visit)
    if action == "discard":
        if draft.uid:
            await drafts.discard(visit, draft.uid)
        await visit.flash("The draft is gone.")
        return visit.redirect("/mail/inbox")
    try:
        _fits(visit, draft)
        if action == "send":
            return await _send(visit, draft)
        draft = await drafts.keep(visit, draft)
    except Unclear as problem:
        if visit.wants_json:
            return visit.json({"error": str(problem), "field": problem.where}, 422)
        return await _form(visit, draft, problem)
    if visit.wants_json:
        return visit.json(_saved(visit, draft))
    await visit.flash("The draft is kept.")
    return visit.redirect(f"/compose?draft={draft.uid}")


def _saved(visit: Visit, draft: Draft) -> dict[str, Any]:
    return {
        "draft": draft.uid,
        "at": visit.services.now(),
        "attachments": [
            {"number": at, "name": each.filename, "size": words.size(len(each.content))}
            for at, each in enumerate(draft.attachments)
        ],
    }


def _fits(visit: Visit, draft: Draft) -> None:
    # Base64 makes four of three, and a line end for every 76.
    size = len(draft.text) + sum(len(each.content) * 78 // 57 for each in draft.attachments)
    limit = visit.services.config.max_message_size
    if size > limit:
        said = f"with its attachments this mail has {words.size(size)}; {words.size(limit)} are allowed"
        raise Unclear("file", said)


async def _send(visit: Visit, draft: Draft) -> Response:
    fields = drafts.recipients(draft)
    addresses = list(dict.fromkeys(each.address for name in fields for each in fields[name]))
    if not addresses:
        raise Unclear("to", "name somebody to send it to")
    left = visit.services.submitter.budget.left(visit.me.id)
    if left is not None and len(addresses) > left:
        raise Unclear("to", f"you may write to {words.plural(left, 'more recipient')} today")
    for address in addresses:
        found = visit.store.directory.resolve_recipient(address)
        if found.local_domain and not found.known:
            raise Unclear("to", f"there is no mailbox {address} here")
    raw = drafts.build(visit, draft, to_send=True)
    draft = await drafts.keep(visit, draft)
    box = special(visit, "\\Drafts").mailbox.id
    letter = outbox.Letter(
        account=visit.me,
        sender=draft.sender,
        recipients=addresses,
        raw=raw,
        draft=(box, draft.uid),
        answered=_answered(visit, draft.answers),
        session=visit.session.digest if visit.session else b"",
    )
    name = await visit.site.outbox.post(letter)
    if name:
        undo = Undo("/compose/undo", {"letter": name})
        seconds = words.plural(round(visit.services.undo_send), "second")
        await visit.flash(f"Your mail goes in {seconds}.", undo=undo)
    else:
        await visit.flash("Your mail is sent.")
    return visit.redirect("/mail/inbox")


def _answered(visit: Visit, answers: str) -> tuple[int, int, str] | None:
    """The mail that a draft answers, if it is the visitor's, and the flag it gets."""
    kind, _, rest = answers.partition(":")
    slug, _, uid = rest.rpartition(":")
    if not (uid.isascii() and uid.isdigit() and len(uid) < 11):
        return None
    try:
        folder = folder_at(visit, unquote(slug))
    except NotHere:
        return None
    return folder.mailbox.id, int(uid), "\\Answered" if kind == "reply" else "$Forwarded"


async def undo(visit: Visit) -> Response:
    """``POST /compose/undo``: call a mail back while it waits."""
    letter = visit.site.outbox.recall(visit.text("letter")[:64], visit.me.id)
    if letter is None or letter.draft is None:
        await visit.flash("It is too late: the mail has gone.", bad=True)
        return visit.redirect("/mail/inbox")
    await visit.flash("Called back; it was not sent.")
    return visit.redirect(f"/compose?draft={letter.draft[1]}")


async def people(visit: Visit) -> Response:
    """``/people?q=``: whom the visitor has written to or heard from, for completion."""
    wanted = visit.query("q").strip().lower()[:100]
    found: dict[str, str] = {}
    if wanted:
        for folder in folders(visit):
            if folder.use not in ("\\Sent", "") or (folder.use == "" and folder.slug != "inbox"):
                continue
            state = await visit.store.messages.open(folder.mailbox.id)
            newest = state.uids[-LOOKED_THROUGH:]
            for summary in reversed(visit.store.messages.summaries(folder.mailbox.id, newest)):
                for each in words.people(summary.to if folder.use else summary.sender):
                    if wanted in f"{each.name} {each.address}".lower():
                        found.setdefault(each.address.lower(), drafts.shown([each]))
            if len(found) >= SUGGESTED:
                break
    return visit.json(list(found.values())[:SUGGESTED])

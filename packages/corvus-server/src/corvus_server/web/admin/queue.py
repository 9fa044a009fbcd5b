"""The queue: what waits, what the other side said, each attempt with its dialogue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from corvus_server.storage.values import RecipientState
from corvus_server.web import words
from corvus_server.web.admin.common import attempt, number, show, sure
from corvus_server.web.live import changes, stream
from corvus_server.web.mail.why import STATES, fate, tries
from corvus_server.web.page import NotHere, Visit

PAGE = 50


async def queue(visit: Visit) -> Response:
    """``?state=``, ``?domain=`` and ``?all=1`` (finished ones too) are the filters."""
    named, domain = visit.query("state"), visit.query("domain").strip().lower()
    state = RecipientState(named) if named in set(RecipientState) else None
    finished = visit.query("all") == "1" or (state is not None and state.final)
    entries = [
        each
        # A mail to many may be delivered to some and still wait for others.
        for over in ((False, True) if finished else (False,))
        for each in visit.store.queue.entries(
            state=state,
            domain=domain or None,
            finished=over,
            before_id=number(visit.query("before")),
            limit=PAGE + 1,
        )
    ]
    entries.sort(key=lambda each: -each.id)
    now = visit.services.now()
    counts = visit.store.queue.counts()
    older = ""
    if len(entries) > PAGE:
        entries = entries[:PAGE]
        asked = {"state": named, "domain": domain, "all": visit.query("all")}
        kept = {key: value for key, value in asked.items() if value}
        older = "?" + urlencode({**kept, "before": entries[-1].id})
    return await show(
        visit,
        "queue.html",
        rows=[(entry, fate(entry, now)) for entry in entries],
        answer=answer(visit),
        counts=[(state, counts.get(state, 0)) for state in RecipientState],
        states=STATES,
        chosen=named,
        domain=domain,
        finished=finished,
        older=older,
    )


def answer(visit: Visit) -> str:
    """How the queue is, in a sentence."""
    counts = visit.store.queue.counts()
    waiting = counts.get(RecipientState.WAITING, 0) + counts.get(RecipientState.LEASED, 0)
    held = counts.get(RecipientState.HELD, 0)
    if not waiting and not held:
        return "Nothing is waiting."
    parts = []
    if waiting:
        due = visit.store.queue.next_due()
        text = f"{words.plural(waiting, 'recipient')} waiting"
        if due is not None:
            now = visit.services.now()
            text += "; the next try is " + ("now" if due <= now else f"in {words.span(due - now)}")
        parts.append(text)
    if held:
        parts.append(f"{held} held")
    return "; ".join(parts) + "."


def _entry(visit: Visit) -> Any:
    found = visit.store.queue.entry(visit.request.path_params["number"])
    if found is None:
        raise NotHere("There is no such entry in the queue any more.")
    return found


async def entry(visit: Visit) -> Response:
    found = _entry(visit)
    return await show(
        visit,
        "entry.html",
        entry=found,
        fate=fate(found, visit.services.now()),
        tries=tries(visit, found),
        states=STATES,
    )


async def act(visit: Visit) -> Response:
    """Retry, hold, release or drop an entry."""
    found = _entry(visit)
    verbs: dict[str, tuple[Callable[[int], Any], str]] = {
        "retry": (visit.services.operations.queue_retry, "is tried again now"),
        "hold": (visit.services.operations.queue_hold, "is held"),
        "release": (visit.services.operations.queue_release, "waits again"),
        "drop": (visit.services.operations.queue_drop, "is dropped; its sender is not told"),
    }
    verb, done = verbs.get(visit.text("action"), (None, ""))
    if verb is None:
        raise NotHere("There is no such act.")
    if visit.text("action") == "drop":
        to = ", ".join(recipient.address for recipient in found.recipients[:3])
        asked = await sure(
            visit,
            title=f"Drop the mail to {to}?",
            warning=f"Mail {found.id} from {found.mail_from or 'this server'} leaves the queue for"
            " good. Neither its sender nor its recipients are told.",
            name=str(found.id),
            button=f"Drop mail {found.id}",
            back=f"/admin/queue/{found.id}",
            typed=False,
        )
        if asked is not None:
            return asked
    back = f"/admin/queue/{found.id}" if visit.text("back") == "entry" else "/admin/queue"
    return await attempt(visit, verb(found.id), f"Mail {found.id} {done}.", back)


async def live(visit: Visit) -> Response:
    """Something in the queue has changed."""
    return stream(visit, lambda: changes(visit.store.queue.subscribe), admin=True)

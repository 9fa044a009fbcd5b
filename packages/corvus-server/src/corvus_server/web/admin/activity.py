"""What goes on: the overview, sessions, decisions, sign-ins, the greylist, settings."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from starlette.responses import Response

from corvus_server.config import SETTINGS, parse_duration, parse_size
from corvus_server.metrics import HOURS, MESSAGES
from corvus_server.web import words
from corvus_server.web.admin import queue
from corvus_server.web.admin.checks import answer_of, checker_of, stages
from corvus_server.web.admin.common import attempt, note, number, show, sure
from corvus_server.web.admin.figures import metrics_of
from corvus_server.web.live import event, stream
from corvus_server.web.mail import verdicts
from corvus_server.web.page import NotHere, Visit

#: Decisions that the day's sentence looks at: each is up to 16 KB of JSON.
LOOKED_AT: Final = 250


async def overview(visit: Visit) -> Response:
    store = visit.store
    hours = metrics_of(visit.request).series(MESSAGES)
    checker = checker_of(visit.request)
    if checker.stale:
        checker.start()  # the page does not wait for DNS; it renews itself
    charts = [
        _chart("Mail taken in", [hours.get("inbox", ())], "good"),
        _chart("Put into Junk", [hours.get("junk", ())], "warn"),
        _chart(
            "Refused or put off",
            [row for name, row in hours.items() if name not in ("inbox", "junk")],
            "bad",
        ),
    ]
    accounts = store.directory.accounts()
    problems = [e for e in visit.services.log.recent if e.level in ("warning", "error")][-8:]
    return await show(
        visit,
        "overview.html",
        charts=charts,
        health=answer_of(stages(visit, checker)) if checker.steps else None,
        queue=queue.answer(visit),
        domains=len(store.directory.domains()),
        mailboxes=len(accounts),
        messages=sum(account.messages for account in accounts),
        used=sum(account.used for account in accounts),
        seeded=[account.address for account in accounts if account.seeded],
        connected=len(list(visit.services.connections())),
        closed=visit.services.lockout.closed(),
        problems=list(reversed(problems)),
        addresses=visit.services.addresses(),
    )


def _chart(title: str, rows: Sequence[Sequence[int]], tone: str) -> dict[str, Any]:
    """Bars of an hour each, as numbers that the template draws."""
    bars = [sum(row[hour] for row in rows if row) for hour in range(HOURS)]
    most = max([1, *bars])
    return {
        "title": title,
        "total": sum(bars),
        "tone": tone,
        "bars": [(at, count, round(38 * count / most, 1)) for at, count in enumerate(bars)],
    }


# Who is connected.


async def sessions(visit: Visit) -> Response:
    now_mono = asyncio.get_running_loop().time()
    rows = []
    for name, service, shell in visit.services.connections():
        session = shell.session
        account = getattr(session, "account", None) or getattr(
            getattr(session, "client", None), "account", None
        )
        since = getattr(shell, "since", None)
        rows.append(
            {
                "name": name,
                "service": service.name,
                "peer": shell.peer.address,
                "who": getattr(account, "address", "") or "",
                "state": _state(session),
                "tls": shell.facts.version if shell.facts is not None else "",
                "in": shell.octets_in,
                "out": shell.octets_out,
                "seconds": max(0.0, now_mono - since) if isinstance(since, float) else None,
            }
        )
    services = sorted({row["service"] for row in rows})
    return await show(visit, "sessions.html", rows=rows, services=services)


async def close(visit: Visit) -> Response:
    """Say goodbye to a connection and close it."""
    wanted = visit.text("connection")[:60]
    shell = next((s for name, _, s in visit.services.connections() if name == wanted), None)
    if shell is None:
        raise NotHere("This connection has ended already.")
    asked = await sure(
        visit,
        title=f"Close {wanted}?",
        warning=f"{shell.peer.address} is told goodbye. It may come again at once.",
        name=wanted,
        button=f"Close {wanted}",
        back="/admin/sessions",
        typed=False,
    )
    if asked is not None:
        return asked
    with contextlib.suppress(Exception):  # a goodbye is a courtesy; closing is not
        if not shell.session.conn.closing and not shell.session.conn.tls_pending:
            shell.session.dismiss("closed by the administrator")
    shell.disconnect()
    note(visit, f"closed {wanted}")
    await visit.flash(f"{wanted} is closed.")
    return visit.redirect("/admin/sessions")


def _state(session: Any) -> str:
    state = getattr(getattr(session, "conn", None), "state", "")
    return str(getattr(state, "name", state)).replace("_", " ").lower()


async def tick(visit: Visit) -> Response:
    """A change every few seconds, for pages that show what nobody tells of."""

    async def ticks() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(5)
            yield b""
            yield event("change", {})

    return stream(visit, ticks, admin=True)


# Decisions about mail that came.


#: How an action looks: tone and word.
TONES: Final = {
    "accept": ("good", "delivered"),
    "junk": ("warn", "junk"),
    "greylist": ("warn", "come again"),
    "reject": ("bad", "refused"),
    "defer": ("warn", "put off"),
}


def _day(visit: Visit) -> str:
    """What became of the mail of the last day, as far as the newest tell."""
    since = visit.services.now() - 86_400
    found = [v for v in visit.store.verdicts.recent(LOOKED_AT) if (v.created or 0) >= since]
    if not found:
        return "No mail came from other servers in the last 24 hours."
    counts = {name: sum(v.action == name for v in found) for name in TONES}
    told = ", ".join(f"{n:,} {TONES[name][1]}" for name, n in counts.items() if n)
    many = "at least " if len(found) == LOOKED_AT else ""
    return f"In the last 24 hours {many}{words.plural(len(found), 'mail')} came: {told}."


async def decisions(visit: Visit) -> Response:
    action = visit.query("action")
    action = action if action in TONES else ""
    rows = visit.store.verdicts.recent(
        51, action=action or None, before_id=number(visit.query("before"))
    )
    older = f"?action={action}&before={rows[49].id}" if len(rows) > 50 else ""
    return await show(
        visit,
        "decisions.html",
        rows=[(row, verdicts.headline(row.tree, row.sentence)) for row in rows[:50]],
        tones=TONES,
        answer=_day(visit),
        action=action,
        older=older,
    )


async def decision(visit: Visit) -> Response:
    found = visit.store.verdicts.get(visit.request.path_params["number"])
    if found is None:
        raise NotHere("There is no such decision any more.")
    envelope, connection = found.tree.get("envelope"), found.tree.get("connection")
    return await show(
        visit,
        "decision.html",
        verdict=found,
        story=verdicts.story(found),
        subject=words.visible(str((envelope or {}).get("subject") or "")),
        connection=str((connection or {}).get("id") or ""),
    )


# Sign-ins and lockouts.


async def sign_ins(visit: Visit) -> Response:
    address = visit.query("address").strip()
    rows = visit.store.logins.recent(200, address=address or None)
    since = visit.services.now() - 86_400
    return await show(
        visit,
        "sign_ins.html",
        rows=rows,
        failed=sum(not row.ok and row.when >= since for row in rows),
        closed=visit.services.lockout.closed(),
        address=address,
    )


async def unlock(visit: Visit) -> Response:
    """Forget the failures of an address, so that its owner can sign in again."""
    address, network = visit.text("address").strip()[:320], visit.text("network").strip()[:100]
    if not network:
        raise NotHere("Name the network.")
    act = visit.services.operations.login_lift(address, network)
    who = address or "everybody"
    return await attempt(visit, act, f"{who} may try again from {network}.", "/admin/sign-ins")


# The greylist.


async def greylist(visit: Visit) -> Response:
    return await show(visit, "greylist.html", rows=visit.store.greylist.entries(200))


async def let_in(visit: Visit) -> Response:
    """Take a sender for one that has come again."""
    network, domain = visit.text("network")[:100], visit.text("domain")[:255]
    act = visit.services.operations.greylist_pass(network, domain)
    return await attempt(visit, act, f"{domain} may come in from {network}.", "/admin/greylist")


async def forget(visit: Visit) -> Response:
    network = visit.text("network").strip()[:100]
    if not network:
        raise NotHere("Name the network.")
    asked = await sure(
        visit,
        title=f"Forget {network}?",
        warning=f"All senders from {network} are new again: their next mail may be asked to come"
        " again.",
        name=network,
        button=f"Forget {network}",
        back="/admin/greylist",
        typed=False,
    )
    if asked is not None:
        return asked
    act = visit.services.operations.greylist_forget(network)
    return await attempt(visit, act, f"{network} is new again.", "/admin/greylist")


# Settings.


async def settings(visit: Visit) -> Response:
    config = visit.services.config
    rows = []
    for setting in SETTINGS:
        value = getattr(config, setting.name)
        shown = ("(hidden)" if value else "–") if setting.secret else _value(value)
        if setting.parse is parse_duration:
            shown = words.span(value)
        elif setting.parse is parse_size:
            shown = words.size(value) if value else "without limit"
        source = config.source.get(setting.name, "default")
        rows.append({"setting": setting, "value": shown, "source": source})
    return await show(
        visit,
        "settings.html",
        rows=rows,
        changed=sum(row["source"] != "default" for row in rows),
    )


def _value(value: Any) -> str:
    if value is None or value == "" or value == ():
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(words.span(v) if isinstance(v, float) else str(v) for v in value)
    return str(value)

"""The account page and what its forms do."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.responses import Response

from corvus_auth import passwords
from corvus_server.accounts.signin import Visitor
from corvus_server.web import sessions
from corvus_server.web.account.clients import autoconfig_file, endpoints, profile
from corvus_server.web.page import Access, NotHere, Refused, Visit, page

#: The shortest password that somebody may choose.
SHORTEST: Final = 8
#: App passwords of one account.
MOST_APP_PASSWORDS: Final = 50
#: What an app password can be limited to, with how people call it.
SCOPES: Final = {"imap": "read mail (IMAP)", "pop3": "fetch mail (POP3)", "submission": "send mail"}
MOST_SIGNATURE: Final = 2000


async def show(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, status: int = 200, **more: Any) -> Response:
    me, store = visit.me, visit.store
    context: dict[str, Any] = {
        "app_passwords": store.directory.app_passwords(me.id),
        "web_sessions": sorted(store.web_sessions.of(me.id), key=lambda s: -s.last_seen),
        "current": visit.session.digest if visit.session else b"",
        "endpoints": endpoints(visit.services),
        "scopes": SCOPES,
        "signature": store.settings.get(f"account/{me.id}/signature", ""),
        "save_sent": bool(store.settings.get(f"account/{me.id}/save-sent", False)),
        "fingerprint": visit.services.fingerprint(),
        "secret": None,
        "problems": {},
        **more,
    }
    return await visit.render("account/account.html", status, **context)


async def password(visit: Visit) -> Response:
    """Another password; all other sessions of the account end."""
    old, new = visit.text("old"), visit.text("new")
    problems: dict[str, str] = {}
    if len(new) < SHORTEST:
        problems["new"] = f"A password has at least {SHORTEST} characters."
    elif len(new.encode()) > passwords.MAX_PASSWORD:
        problems["new"] = "This is longer than any password need be."
    elif new != visit.text("again"):
        problems["again"] = "The two are not the same."
    else:
        # Counted by the lockout as every other guess: a borrowed session must not find it out.
        visitor = Visitor("web", f"web-{visit.services.token(3).hex()}", visit.peer, None)
        exchange = await visit.services.sign_in.password(visitor, visit.me.address, old)
        if exchange.account is None:
            problems["old"] = exchange.refusal + "."
    if problems:
        return await _page(visit, 422, problems=problems)
    hashed = await asyncio.to_thread(passwords.hash, new)
    await visit.store.directory.update_account(visit.me.id, password_hash=hashed, seeded=False)
    await visit.store.web_sessions.end_all(visit.me.id)
    response = visit.redirect("/account")
    await sessions.begin(visit.services, visit.request, response, visit.me.id)
    visit.services.log("info", "web", "password changed", user=visit.me.address, peer=visit.peer)
    return response


async def add_app_password(visit: Visit) -> Response:
    """A password for one program, shown once."""
    name = " ".join(visit.text("name").split())[:100]
    if not name:
        return await _page(visit, 422, problems={"name": "Say which program it is for."})
    if len(visit.store.directory.app_passwords(visit.me.id)) >= MOST_APP_PASSWORDS:
        raise Refused(
            f"an account has at most {MOST_APP_PASSWORDS} app passwords; revoke one first"
        )
    # Never for these pages: whoever finds a phone's password must not change the account's.
    scopes = [scope for scope in visit.texts("scope") if scope in SCOPES] or list(SCOPES)
    made = await asyncio.to_thread(passwords.new_app_password)
    stored = {
        "hash": made.hash,
        "SCRAM-SHA-256": made.scram_sha_256.to_text(),
        "SCRAM-SHA-1": made.scram_sha_1.to_text(),
    }
    await visit.store.directory.add_app_password(visit.me.id, name, stored, scopes=scopes)
    visit.services.log("info", "web", "app password made", user=visit.me.address, peer=visit.peer)
    return await _page(visit, secret=made.secret.reveal(), secret_name=name)


async def remove_app_password(visit: Visit) -> Response:
    wanted = visit.request.path_params["number"]
    held = visit.store.directory.app_passwords(visit.me.id)
    found = next((each for each in held if each.id == wanted), None)
    if found is None:
        raise NotHere("There is no such app password.")
    await visit.store.directory.remove_app_password(visit.me.id, wanted)
    await visit.flash(f"“{found.name}” cannot sign in any more.")
    return visit.redirect("/account#app-passwords")


async def end_session(visit: Visit) -> Response:
    """Sign another browser out, or all others."""
    wanted = visit.text("session")
    if wanted == "others":
        but = visit.session.digest if visit.session else None
        count = await visit.store.web_sessions.end_all(visit.me.id, but=but)
        await visit.flash(f"Signed out elsewhere ({count}).")
        return visit.redirect("/account#sessions")
    for held in visit.store.web_sessions.of(visit.me.id):
        if held.digest.hex() == wanted:
            await visit.store.web_sessions.end(held.digest)
            await visit.flash("That browser is signed out.")
            return visit.redirect("/account#sessions")
    raise NotHere("That session has ended already.")


async def preferences(visit: Visit) -> Response:
    """Signature, name, and whether mail sent by other programs is kept."""
    account = f"account/{visit.me.id}"
    text = visit.text("signature").replace("\r\n", "\n").strip("\n")[:MOST_SIGNATURE]
    await visit.store.settings.set(f"{account}/signature", text or None)
    await visit.store.settings.set(f"{account}/save-sent", visit.text("save_sent") == "1" or None)
    name = "".join(c for c in " ".join(visit.text("name").split()) if c.isprintable())[:100]
    await visit.store.directory.update_account(visit.me.id, name=name)
    await visit.flash("Kept.")
    return visit.redirect("/account")


ROUTES: Final = (
    page("/account", show, access=Access.USER),
    page("/account/password", password, access=Access.USER, methods=("POST",)),
    page("/account/app-passwords", add_app_password, access=Access.USER, methods=("POST",)),
    page(
        "/account/app-passwords/{number:int}/revoke",
        remove_app_password,
        access=Access.USER,
        methods=("POST",),
    ),
    page("/account/sessions/end", end_session, access=Access.USER, methods=("POST",)),
    page("/account/preferences", preferences, access=Access.USER, methods=("POST",)),
    page("/account/profile.mobileconfig", profile, access=Access.USER),
    page("/mail/config-v1.1.xml", autoconfig_file, access=Access.PUBLIC),
    page("/.well-known/autoconfig/mail/config-v1.1.xml", autoconfig_file, access=Access.PUBLIC),
)

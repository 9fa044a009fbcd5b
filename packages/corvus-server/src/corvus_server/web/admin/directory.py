"""Domains, mailboxes and aliases."""

from __future__ import annotations

from starlette.responses import Response

from corvus_server.config import parse_size
from corvus_server.web import words
from corvus_server.web.admin.common import attempt, note, show, sure
from corvus_server.web.page import NotHere, Refused, Visit

# Domains.


async def domains(visit: Visit) -> Response:
    rows = await visit.services.operations.domain_list()
    return await show(visit, "domains.html", rows=rows)


async def domain_add(visit: Visit) -> Response:
    name = visit.text("domain").strip().lower()
    act = visit.services.operations.domain_add(name)
    return await attempt(visit, act, f"{name} is ours now.", "/admin/domains")


def _domain(visit: Visit) -> str:
    name = visit.request.path_params["domain"]
    if visit.store.directory.domain(name) is None:
        raise NotHere(f"{name} is not a domain of this server.")
    return str(name)


async def domain_update(visit: Visit) -> Response:
    name = _domain(visit)
    catch_all = visit.text("catch_all").strip()
    act = visit.services.operations.domain_set(
        name,
        enabled=visit.text("enabled") == "1",
        catch_all=catch_all,
        strict_dmarc=visit.text("strict") == "1",
    )
    return await attempt(visit, act, f"{name} is changed.", "/admin/domains")


async def domain_remove(visit: Visit) -> Response:
    name = _domain(visit)
    asked = await sure(
        visit,
        title=f"Remove {name}?",
        warning=f"Mail for {name} will be refused. Its mailboxes and aliases must be gone first.",
        name=name,
        button="Remove the domain",
        back="/admin/domains",
    )
    if asked is not None:
        return asked
    act = visit.services.operations.domain_remove(name)
    return await attempt(visit, act, f"{name} is no longer ours.", "/admin/domains")


# Mailboxes.


async def mailboxes(visit: Visit) -> Response:
    domain = visit.query("domain") or None
    return await show(
        visit,
        "mailboxes.html",
        rows=visit.store.directory.accounts(domain),
        domain=domain,
        domains=[each.name for each in visit.store.directory.domains()],
        told=None,
    )


async def mailbox_add(visit: Visit) -> Response:
    address = f"{visit.text('local').strip()}@{visit.text('domain').strip()}"
    secret = visit.text("password") or None
    if secret is not None and len(secret) < 8:
        raise Refused("a password has at least 8 characters")
    made = await visit.services.operations.mailbox_add(
        address,
        secret,
        words.visible(visit.text("name"))[:100],
        visit.text("admin") == "1",
        _quota(visit),
    )
    note(visit, f"made {made['address']}")
    if "password" not in made:
        await visit.flash(f"{made['address']} is there.")
        return visit.redirect("/admin/mailboxes")
    return await _told(visit, made["address"], made["password"])


async def _told(visit: Visit, address: str, secret: str) -> Response:
    """The list, with a password that is shown this once."""
    return await show(
        visit,
        "mailboxes.html",
        rows=visit.store.directory.accounts(None),
        domain=None,
        domains=[each.name for each in visit.store.directory.domains()],
        told=(address, secret),
    )


def _quota(visit: Visit) -> int | None:
    text = visit.text("quota").strip()
    if not text:
        return None
    try:
        return parse_size(text)
    except ValueError as error:
        raise Refused(f"“{text[:40]}” {error}") from None


def _account(visit: Visit) -> tuple[int, str]:
    account = visit.store.directory.account_by_id(visit.request.path_params["number"])
    if account is None:
        raise NotHere("There is no such mailbox.")
    return account.id, account.address


async def mailbox(visit: Visit) -> Response:
    """One mailbox: what can be changed about it."""
    number, _ = _account(visit)
    account = visit.store.directory.account_by_id(number)
    return await show(
        visit,
        "mailbox.html",
        account=account,
        boxes=visit.store.mailboxes.all(number),
        app_passwords=visit.store.directory.app_passwords(number),
        told=None,
    )


async def mailbox_update(visit: Visit) -> Response:
    number, address = _account(visit)
    admin, enabled = visit.text("admin") == "1", visit.text("enabled") == "1"
    if number == visit.me.id and not (admin and enabled):
        raise Refused("you would lock yourself out; another administrator can do that")
    act = visit.services.operations.mailbox_set(
        address,
        name=words.visible(visit.text("name"))[:100],
        admin=admin,
        enabled=enabled,
        quota=_quota(visit) or 0,
    )
    return await attempt(visit, act, f"{address} is changed.", f"/admin/mailboxes/{number}")


async def mailbox_password(visit: Visit) -> Response:
    """A new password: the one given, or a random one that is shown once."""
    number, address = _account(visit)
    given = visit.text("password") or None
    if number == visit.me.id and given is None:
        # Setting it ends the session that would have shown a drawn one.
        raise Refused("type the password yourself: you are signed out when it is set")
    made = await visit.services.operations.passwd(address, given)
    note(visit, f"gave {address} a new password")
    if number == visit.me.id:
        return visit.redirect("/sign-in")
    if "password" in made:
        return await _told(visit, address, made["password"])
    await visit.flash(f"{address} has a new password.")
    return visit.redirect(f"/admin/mailboxes/{number}")


async def mailbox_remove(visit: Visit) -> Response:
    number, address = _account(visit)
    if number == visit.me.id:
        raise Refused("you cannot delete the mailbox that you are signed in with")
    account = visit.store.directory.account_by_id(number)
    mails = words.plural(account.messages, "mail")
    asked = await sure(
        visit,
        title=f"Delete {address} and {mails}?",
        warning="They cannot be brought back.",
        name=address,
        button=f"Delete {mails}",
        back=f"/admin/mailboxes/{number}",
    )
    if asked is not None:
        return asked
    act = visit.services.operations.mailbox_remove(address)
    return await attempt(visit, act, f"{address} and {mails} are gone.", "/admin/mailboxes")


# Aliases.


async def aliases(visit: Visit) -> Response:
    rows = await visit.services.operations.alias_list(visit.query("domain") or None)
    return await show(
        visit,
        "aliases.html",
        rows=rows,
        domains=[each.name for each in visit.store.directory.domains()],
    )


async def alias_add(visit: Visit) -> Response:
    address = visit.text("alias").strip()
    targets = [part.strip() for part in visit.text("targets").replace("\n", ",").split(",")]
    act = visit.services.operations.alias_add(address, [each for each in targets if each])
    return await attempt(visit, act, f"{address} leads there now.", "/admin/aliases")


async def alias_remove(visit: Visit) -> Response:
    address = visit.text("alias").strip()
    alias = visit.store.directory.alias(address)
    if alias is None:
        raise NotHere("There is no such alias.")
    asked = await sure(
        visit,
        title=f"Remove {alias.address}?",
        warning=f"Mail for it, which goes to {', '.join(alias.targets[:5])} now, will be refused.",
        name=alias.address,
        button=f"Remove {alias.address}",
        back="/admin/aliases",
        typed=False,
    )
    if asked is not None:
        return asked
    act = visit.services.operations.alias_remove(address)
    return await attempt(visit, act, f"{address} is gone.", "/admin/aliases")

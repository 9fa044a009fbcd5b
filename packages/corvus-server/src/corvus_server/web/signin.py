"""Signing in and out, and the switch between light and dark."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from corvus_server.accounts.signin import Visitor
from corvus_server.operations import SEED_PASSWORD
from corvus_server.web import sessions
from corvus_server.web.page import Access, Visit, page
from corvus_server.web.security import local_path
from corvus_server.web.services import Services


async def home(visit: Visit) -> Response:
    return visit.redirect("/mail/inbox" if visit.account is not None else "/sign-in")


async def show(visit: Visit) -> Response:
    if visit.account is not None:
        return visit.redirect(local_path(visit.query("next"), "/mail/inbox"))
    return await _form(visit, target=visit.query("next"))


async def _form(
    visit: Visit, *, target: str, address: str = "", problem: str = "", status: int = 200
) -> Response:
    host = visit.request.url.hostname or ""
    local = host in ("localhost", "127.0.0.1", "::1") or host.startswith("127.")
    return await visit.render(
        "sign_in.html",
        status,
        target=local_path(target, ""),
        address=address,
        problem=problem,
        samples=_samples(visit.services),
        sample_password=SEED_PASSWORD,
        plain=not sessions.secure(visit.request) and not local,
    )


async def sign_in(visit: Visit) -> Response:
    """Let somebody in; which of the two was wrong is not told, and an attempt costs the same."""
    services = visit.services
    user, secret = visit.text("address").strip()[:320], visit.text("password")
    if "@" not in user:
        user = _completed(services, user)
    visitor = Visitor("web", f"web-{services.token(3).hex()}", visit.peer, None)
    exchange = await services.sign_in.password(visitor, user, secret)
    target = local_path(visit.text("next"), "/mail/inbox")
    if exchange.account is None:
        status = 429 if exchange.temporary else 401
        return await _form(
            visit,
            target=visit.text("next"),
            address=visit.text("address")[:320],
            problem=exchange.refusal + ".",
            status=status,
        )
    response = visit.redirect(target)
    await sessions.begin(services, visit.request, response, exchange.account.id)
    services.log(
        "info",
        "web",
        "signed in",
        visitor.connection,
        user=exchange.account.address,
        peer=visit.peer,
    )
    return response


def _samples(services: Services) -> list[str]:
    """The accounts of `corvus seed` whose password is still the published one.

    A server that can be reached from outside does not start while there are any.
    """
    return [each.address for each in services.store.directory.accounts() if each.seeded][:5]


def _completed(services: Services, user: str) -> str:
    """A user name without a domain, where there is only one domain."""
    domains = services.store.directory.domains()
    return f"{user}@{domains[0].name}" if user and len(domains) == 1 else user


async def sign_out(visit: Visit) -> Response:
    response = visit.redirect("/sign-in")
    await sessions.end(visit.services, visit.request, response)
    return response


async def theme(visit: Visit) -> Response:
    chosen = visit.text("theme")
    response = visit.redirect(local_path(visit.text("next"), "/"))
    if chosen in ("light", "dark"):
        response.set_cookie("theme", chosen, max_age=31_536_000, path="/", samesite="lax")
    else:
        response.delete_cookie("theme")
    return response


ROUTES: Final = (
    page("/", home, access=Access.PUBLIC),
    page("/sign-in", show, access=Access.PUBLIC),
    page("/sign-in", sign_in, access=Access.PUBLIC, methods=("POST",)),
    page("/sign-out", sign_out, access=Access.USER, methods=("POST",)),
    page("/theme", theme, access=Access.PUBLIC, methods=("POST",)),
)

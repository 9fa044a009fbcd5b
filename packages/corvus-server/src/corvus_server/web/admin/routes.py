"""The addresses of the administrator's pages."""

from __future__ import annotations

from typing import Final

from starlette.routing import Route

from corvus_server.web.admin import activity, checks, directory, figures, keys, logs, queue
from corvus_server.web.page import Access, Handler, page


def _get(path: str, handler: Handler) -> Route:
    return page(path, handler, access=Access.ADMIN)


def _post(path: str, handler: Handler) -> Route:
    return page(path, handler, access=Access.ADMIN, methods=("POST",))


ROUTES: Final = (
    _get("/admin", activity.overview),
    _get("/admin/live", activity.tick),
    _get("/admin/health", checks.health),
    _post("/admin/health/check", checks.check),
    _post("/admin/health/skip", checks.skip),
    _get("/admin/health/live", checks.live),
    _get("/admin/health/zone", checks.zone),
    _get("/admin/domains", directory.domains),
    _post("/admin/domains", directory.domain_add),
    _post("/admin/domains/{domain}", directory.domain_update),
    _post("/admin/domains/{domain}/remove", directory.domain_remove),
    _get("/admin/mailboxes", directory.mailboxes),
    _post("/admin/mailboxes", directory.mailbox_add),
    _get("/admin/mailboxes/{number:int}", directory.mailbox),
    _post("/admin/mailboxes/{number:int}", directory.mailbox_update),
    _post("/admin/mailboxes/{number:int}/password", directory.mailbox_password),
    _post("/admin/mailboxes/{number:int}/remove", directory.mailbox_remove),
    _get("/admin/aliases", directory.aliases),
    _post("/admin/aliases", directory.alias_add),
    _post("/admin/aliases/remove", directory.alias_remove),
    _get("/admin/keys", keys.keys),
    _post("/admin/keys", keys.key_add),
    _post("/admin/keys/retire", keys.key_retire),
    _post("/admin/keys/activate", keys.key_activate),
    _post("/admin/keys/remove", keys.key_remove),
    _get("/admin/queue", queue.queue),
    _get("/admin/queue/live", queue.live),
    _get("/admin/queue/{number:int}", queue.entry),
    _post("/admin/queue/{number:int}", queue.act),
    _get("/admin/sessions", activity.sessions),
    _post("/admin/sessions/close", activity.close),
    _get("/admin/decisions", activity.decisions),
    _get("/admin/decisions/{number:int}", activity.decision),
    _get("/admin/sign-ins", activity.sign_ins),
    _post("/admin/sign-ins/unlock", activity.unlock),
    _get("/admin/greylist", activity.greylist),
    _post("/admin/greylist/pass", activity.let_in),
    _post("/admin/greylist/forget", activity.forget),
    _get("/admin/settings", activity.settings),
    _get("/admin/metrics", figures.figures),
    _post("/admin/metrics/token", figures.token),
    # Its own check: a scraper has a token and no session.
    page("/metrics", figures.scrape, access=Access.PUBLIC),
    _get("/logs", logs.log),
    _get("/logs/stream", logs.follow),
)

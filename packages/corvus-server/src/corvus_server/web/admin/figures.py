"""Metrics: the last day as charts for people, and totals for Prometheus."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from dataclasses import fields, is_dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from corvus_server import metrics
from corvus_server.web import words
from corvus_server.web.admin.charts import chart
from corvus_server.web.admin.common import show
from corvus_server.web.page import Visit
from corvus_server.web.services import Services

#: Where the store keeps the digest of the token that Prometheus shows.
TOKEN: Final = "metrics.token"  # noqa: S105 - the name of a setting, not its value


def metrics_of(request: Request) -> metrics.Metrics:
    """The one set of counts of the application."""
    state = request.app.state
    if not hasattr(state, "metrics"):
        count(state)
    found: metrics.Metrics = state.metrics
    return found


def count(state: Any) -> None:
    """Begin to count: called when the application is built, so that nothing is missed."""
    services: Services = state.site.services
    state.metrics = metrics.Metrics(services.log, services.now)


def connected(services: Services) -> dict[str, int]:
    """Open connections by protocol."""
    return dict(sorted(Counter(service.name for _, service, _ in services.connections()).items()))


def queued(services: Services) -> dict[str, int]:
    """Recipients in the queue by state; what is over is not in it."""
    counts = services.store.queue.counts()
    return {state.value: count for state, count in sorted(counts.items()) if not state.final}


def stored(services: Services) -> dict[str, int]:
    """What the store's writer did: commits, syncs, checkpoints; nothing where it does not count."""
    counters = getattr(services.store, "counters", None)
    if not is_dataclass(counters) or isinstance(counters, type):
        return {}
    return {
        each.name: int(getattr(counters, each.name))
        for each in fields(counters)
        if each.name != "largest_batch"
    }


async def figures(visit: Visit) -> Response:
    """``/admin/metrics``."""
    return await _figures(visit)


async def _figures(visit: Visit, token: str = "") -> Response:
    held = metrics_of(visit.request)
    services = visit.services
    charts = [
        chart("Mail from other servers", "mail", held.series(metrics.MESSAGES)),
        chart("Deliveries to other servers", "attempt", held.series(metrics.DELIVERIES)),
        chart("Mail from your users", "mail", held.series(metrics.SUBMISSIONS)),
        chart("Connections", "connection", held.series(metrics.CONNECTIONS)),
        chart("Sign-ins", "sign-in", held.series(metrics.SIGN_INS)),
        chart("Errors", "error", held.series(metrics.ERRORS)),
    ]
    open_now = connected(services)
    waiting = sum(queued(services).values())
    came = charts[0].total
    return await show(
        visit,
        "metrics.html",
        charts=charts,
        connected=open_now,
        queued=queued(services),
        stored=stored(services),
        answer=f"In the last 24 hours {words.plural(came, 'mail')} came in and"
        f" {words.plural(charts[1].total, 'delivery', 'deliveries')} went out or were tried;"
        f" {words.plural(sum(open_now.values()), 'connection')} open and {waiting:,} waiting now.",
        drawn=token,
        has_token=visit.store.settings.get(TOKEN) is not None,
        base=str(visit.request.base_url).rstrip("/"),
    )


async def token(visit: Visit) -> Response:
    """Draw the token that lets a scraper in, or take it away; it is shown once."""
    if visit.text("do") == "remove":
        await visit.store.settings.set(TOKEN, None)
        await visit.flash("The token is gone; only administrators can read /metrics now.")
        return visit.redirect("/admin/metrics")
    drawn = visit.services.token(20).hex()
    await visit.store.settings.set(TOKEN, _digest(drawn))
    return await _figures(visit, drawn)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


async def scrape(visit: Visit) -> Response:
    """``/metrics``: for an administrator, or with the token as ``Authorization: Bearer``."""
    if not _may(visit):
        return Response(
            "Sign in as an administrator, or send the token of the metrics page.\n",
            401,
            media_type="text/plain",
            headers={"www-authenticate": "Bearer"},
        )
    services = visit.services
    text = metrics.exposition(
        metrics_of(visit.request),
        queue=queued(services),
        connected=connected(services),
        store=stored(services),
    )
    return Response(text, headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"})


def _may(visit: Visit) -> bool:
    if visit.account is not None and visit.account.admin:
        return True
    kept = visit.store.settings.get(TOKEN)
    scheme, _, given = visit.request.headers.get("authorization", "").partition(" ")
    if not isinstance(kept, str) or scheme.lower() != "bearer" or len(given) > 200:
        return False
    return hmac.compare_digest(_digest(given.strip()), kept)

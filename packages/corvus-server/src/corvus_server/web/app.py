"""The web application: all routes in one table, behind the guard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from corvus_server.web import live, signin
from corvus_server.web.account import pages as account
from corvus_server.web.admin import routes as admin
from corvus_server.web.admin.figures import count
from corvus_server.web.assets import Assets
from corvus_server.web.mail import routes as mail
from corvus_server.web.mail.outbox import Outbox
from corvus_server.web.page import Site, not_found
from corvus_server.web.security import Guard
from corvus_server.web.services import Services, services_of
from corvus_server.web.templating import Templates

if TYPE_CHECKING:
    from corvus_server.app import Server

#: A request may be this much larger than the largest mail: fields, and the borders between them.
SLACK: Final = 1024 * 1024


def make_app(server: Server) -> Starlette:
    """The application of a running server."""
    app = build_app(services_of(server))
    app.state.site.templates.warm()
    return app


def build_app(services: Services) -> Starlette:
    """The application over *services*."""
    assets = Assets()
    routes: list[BaseRoute] = [
        Route("/static/{version}/{name}", assets.serve),
        *signin.ROUTES,
        *live.ROUTES,
        *account.ROUTES,
        *mail.ROUTES,
        *admin.ROUTES,
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={404: not_found, 405: not_found},
        middleware=[
            Middleware(
                Guard,
                hostname=services.config.hostname,
                domains=lambda: [domain.name for domain in services.store.directory.domains()],
                upload_limit=services.config.max_message_size + SLACK,
                uploads=lambda path: path == "/compose" or path.startswith("/compose/"),
            )
        ],
    )
    app.router.redirect_slashes = False  # it would make an address out of the Host field
    app.state.site = Site(services, Templates(assets), assets, Outbox(services))
    count(app.state)
    return app

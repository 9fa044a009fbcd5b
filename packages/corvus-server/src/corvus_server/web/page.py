"""A page: who may see it, who is looking, and what every handler has at hand.

Routes are made by `page`, which says in one word who may reach them; a test walks the table of
routes and holds each to its word.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, final
from urllib.parse import quote, urlencode

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from corvus_server.operations import OperationError
from corvus_server.storage.errors import NotFound, StoreError
from corvus_server.storage.values import Account, WebSession
from corvus_server.web import sessions
from corvus_server.web.assets import Assets
from corvus_server.web.mail.outbox import Outbox
from corvus_server.web.security import same_origin
from corvus_server.web.services import Services
from corvus_server.web.templating import Templates

#: Octets of one field of a form that is not a file: a long mail.
MAX_FIELD: Final = 4 * 1024 * 1024
MAX_FIELDS: Final = 2000
MAX_FILES: Final = 100


class Access(Enum):
    """Who may reach a page."""

    PUBLIC = "public"
    USER = "user"
    """Whoever has signed in; what it shows is theirs."""
    ADMIN = "admin"


class NotHere(Exception):
    """There is no such thing, or it is somebody else's, which must look the same."""


class Refused(Exception):
    """It cannot be done; the message is one sentence for whoever asked."""


@final
@dataclass(frozen=True, slots=True)
class Site:
    """What all visits share."""

    services: Services
    templates: Templates
    assets: Assets
    outbox: Outbox


@final
@dataclass(frozen=True, slots=True)
class Undo:
    """What a toast offers to take back: where to post, and which fields."""

    action: str
    fields: Mapping[str, str] = field(default_factory=dict)


@final
@dataclass(slots=True)
class Visit:
    """One request, with everything that is known of whoever made it."""

    request: Request
    site: Site
    session: WebSession | None
    account: Account | None
    form: FormData = field(default_factory=FormData)

    # Shorthands.

    @property
    def services(self) -> Services:
        return self.site.services

    @property
    def store(self) -> Any:
        return self.site.services.store

    @property
    def me(self) -> Account:
        """Who has signed in; only on pages for users."""
        assert self.account is not None
        return self.account

    @property
    def peer(self) -> str:
        """The address the request came from."""
        return self.request.client.host if self.request.client else ""

    @property
    def wants_json(self) -> bool:
        return "application/json" in self.request.headers.get("accept", "")

    def query(self, name: str, default: str = "") -> str:
        """A query parameter, at most 2,000 characters of it."""
        return self.request.query_params.get(name, default)[:2000]

    def text(self, name: str, default: str = "") -> str:
        """A text field of the form."""
        value = self.form.get(name)
        return value if isinstance(value, str) else default

    def texts(self, name: str) -> list[str]:
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def files(self, name: str) -> list[UploadFile]:
        """The files of a field; an empty file input is none."""
        found = [value for value in self.form.getlist(name) if isinstance(value, UploadFile)]
        return [value for value in found if value.filename]

    @property
    def csrf(self) -> str:
        token = sessions.token_of(self.request) if self.session is not None else ""
        return sessions.csrf_of(token or sessions.welcome(self.services, self.request))

    # Answers.

    async def render(self, template: str, status: int = 200, **context: Any) -> Response:
        """A page out of a template, with the toast that waits for this session."""
        flash = await self._take_flash()
        token = ""
        if self.session is None:
            token = sessions.welcome(self.services, self.request)
            context["csrf"] = sessions.csrf_of(token)
        else:
            context["csrf"] = self.csrf
        body = self.site.templates.render(
            template,
            {
                "me": self.account,
                "path": self.request.url.path,
                "here": here(self.request),
                "theme": theme_of(self.request),
                "flash": flash,
                "now": self.services.now(),
                "hostname": self.services.config.hostname,
                **context,
            },
        )
        response = Response(body, status, media_type="text/html; charset=utf-8")
        if token:
            sessions.greet(self.request, response, token)
        return response

    def redirect(self, path: str) -> Response:
        """See another page of ours (303: with GET)."""
        return RedirectResponse(path, 303)

    def json(self, value: Any, status: int = 200) -> Response:
        return JSONResponse(value, status)

    async def flash(self, text: str, *, undo: Undo | None = None, bad: bool = False) -> None:
        """Say *text* on the next page."""
        note: dict[str, Any] = {"text": text, "bad": bad}
        if undo is not None:
            note["undo"] = {"action": undo.action, "fields": dict(undo.fields)}
        await self.remember(flash=note)

    async def remember(self, **data: Any) -> None:
        """Keep something in the session; ``None`` forgets it."""
        if self.session is None:
            return
        merged = {**self.session.data, **data}
        merged = {key: value for key, value in merged.items() if value is not None}
        if merged == dict(self.session.data):
            return
        self.session = replace(self.session, data=merged)
        await self.store.web_sessions.touch(self.session.digest, data=merged)

    async def _take_flash(self) -> Any:
        if self.session is None:
            return None
        note = self.session.data.get("flash")
        if note is not None and self.request.headers.get("x-corvus-live") != "1":
            await self.remember(flash=None)
        return note


Handler = Callable[[Visit], Awaitable[Response]]


def page(
    path: str,
    handler: Handler,
    *,
    access: Access,
    methods: Sequence[str] = ("GET",),
) -> Route:
    """
    A route.

    A POST has passed the check of its form's token before *handler* sees it.
    """

    async def endpoint(request: Request) -> Response:
        site: Site = request.app.state.site
        session = sessions.find(site.services, request)
        account = None
        if session is not None:
            account = site.services.store.directory.account_by_id(session.account_id)
            if account is None or not account.enabled:
                await site.services.store.web_sessions.end(session.digest)
                session = account = None
        visit = Visit(request, site, session, account)
        try:
            return await _answer(visit, handler, access)
        except NotHere as error:
            return await _problem(
                visit, 404, str(error) or "There is no such page, or it is not yours."
            )
        except NotFound as error:
            return await _problem(visit, 404, sentence(error))
        except (StoreError, OperationError, Refused) as error:
            return await _problem(visit, 409, sentence(error))

    route = Route(path, endpoint, methods=list(methods))
    route.access = access  # type: ignore[attr-defined]  # read by the test of all routes
    return route


async def _answer(visit: Visit, handler: Handler, access: Access) -> Response:
    request = visit.request
    if access is not Access.PUBLIC and visit.account is None:
        if request.method in ("GET", "HEAD") and not visit.wants_json:
            return visit.redirect("/sign-in?" + urlencode({"next": here(request)}))
        return await _problem(visit, 401, "You are not signed in any more. Nothing was changed.")
    if access is Access.ADMIN and not visit.me.admin:
        return await _problem(visit, 403, "This page is for administrators.")
    if request.method == "POST":
        refusal = await _read_form(visit)
        if refusal is not None:
            return refusal
    try:
        if visit.session is not None:
            await sessions.keep(visit.services, visit.session)
        return await handler(visit)
    finally:
        await visit.form.close()


async def _read_form(visit: Visit) -> Response | None:
    """Read the form and check its token; the answer if it is not ours."""
    request = visit.request
    if not same_origin(request.headers):
        return await _problem(
            visit, 403, "This form was sent by another site. Nothing was changed."
        )
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return await _problem(visit, 415, "This page takes forms only. Nothing was changed.")
    try:
        visit.form = await request.form(
            max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD
        )
    except (HTTPException, MultiPartException) as error:
        words = str(getattr(error, "detail", "") or getattr(error, "message", ""))
        return await _problem(visit, 400, f"The form cannot be read: {words}")
    token = (
        sessions.token_of(request) if visit.session is not None else sessions.visitor_of(request)
    )
    given = visit.text("csrf")
    if not token or not _same(given, sessions.csrf_of(token)):
        words = "The form was made for another session. Please load the page again; nothing was changed."
        return await _problem(visit, 403, words)
    return None


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


async def _problem(visit: Visit, status: int, words: str) -> Response:
    if visit.wants_json:
        return visit.json({"error": words}, status)
    return await visit.render("problem.html", status, words=words, missing=status == 404)


async def not_found(request: Request, _error: Exception) -> Response:
    """The page for an address that no route has."""
    site: Site = request.app.state.site
    session = sessions.find(site.services, request)
    account = None
    if session is not None:
        account = site.services.store.directory.account_by_id(session.account_id)
    visit = Visit(request, site, session if account else None, account)
    status = getattr(_error, "status_code", 404)
    words = "There is no such page." if status == 404 else "This page does not take that."
    return await _problem(visit, status, words)


def sentence(error: Exception) -> str:
    """An error's own words, as a sentence."""
    words = str(error).strip() or "It could not be done"
    words = words[0].upper() + words[1:]
    return words if words.endswith((".", "!", "?")) else words + "."


def here(request: Request) -> str:
    """The path and query of a request, as a link to it."""
    path = quote(request.url.path, safe="/~!$&'()*+,;=:@-._")
    return f"{path}?{request.url.query}" if request.url.query else path


def theme_of(request: Request) -> str:
    """``light`` or ``dark`` where the switch was used, else the empty text."""
    theme = request.cookies.get("theme", "")
    return theme if theme in ("light", "dark") else ""

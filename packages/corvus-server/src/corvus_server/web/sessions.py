"""Web sessions: a random token in a cookie, its digest in the store, and the CSRF token made of it.

The store never sees the token, so whoever reads the database cannot become anybody.  A new token is
drawn at every sign-in, whatever the browser has sent: what was planted before (session fixation) is
worth nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from corvus_server.storage.values import WebSession
from corvus_server.web.services import Services

#: Seconds without a visit after which a session ends.
IDLE: Final = 14 * 86_400.0
#: Seconds after which it ends in any case.
LONGEST: Final = 90 * 86_400.0
#: A session is touched at most this often: a commit for each page is too dear.
TOUCH_EVERY: Final = 600.0

_NAME: Final = "corvus-session"
_VISITOR: Final = "corvus-visitor"


def _cookie(request: Request, name: str) -> str:
    # "__Host-": no other host and no plain connection can have set it (RFC 6265bis §4.1.3.2).
    return f"__Host-{name}" if secure(request) else name


def secure(request: Request) -> bool:
    """Whether the visitor's browser speaks TLS, as far as we can know."""
    return request.url.scheme == "https"


def digest_of(token: str) -> bytes:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def csrf_of(token: str) -> str:
    """The token of the forms of a session (or of a visitor who has not signed in)."""
    return hmac.digest(token.encode("utf-8", "replace"), b"corvus form", "sha256").hex()


def token_of(request: Request) -> str:
    """The session's token in the request, or the empty text."""
    return request.cookies.get(_cookie(request, _NAME), "")


def visitor_of(request: Request) -> str:
    """The token of somebody who has not signed in, for the form that does it, or the empty text."""
    return request.cookies.get(_cookie(request, _VISITOR), "")


def find(services: Services, request: Request) -> WebSession | None:
    """The session of a request, unless it has ended."""
    token = token_of(request)
    if not token or len(token) > 128:
        return None
    session = services.store.web_sessions.get(digest_of(token))
    if session is None or session.expires <= services.now():
        return None
    return session


async def begin(services: Services, request: Request, response: Response, account_id: int) -> None:
    """Sign *account_id* in: a new session, its cookie on *response*; the old session ends."""
    old = find(services, request)
    if old is not None:
        await services.store.web_sessions.end(old.digest)
    token = services.token(32).hex()
    now = services.now()
    await services.store.web_sessions.create(
        WebSession(
            digest=digest_of(token),
            account_id=account_id,
            created=now,
            expires=now + IDLE,
            last_seen=now,
            client=request.client.host if request.client else "",
            agent=request.headers.get("user-agent", "")[:200],
        )
    )
    _set(request, response, _NAME, token, int(LONGEST))
    response.delete_cookie(_cookie(request, _VISITOR), secure=secure(request), httponly=True)


async def keep(services: Services, session: WebSession) -> None:
    """Note that the session is in use."""
    now = services.now()
    if now - session.last_seen < TOUCH_EVERY:
        return
    expires = min(now + IDLE, session.created + LONGEST)
    await services.store.web_sessions.touch(session.digest, expires=expires)


async def end(services: Services, request: Request, response: Response) -> None:
    """Sign out: the session is gone from the store, and its cookie from the browser."""
    token = token_of(request)
    if token:
        await services.store.web_sessions.end(digest_of(token))
    response.delete_cookie(_cookie(request, _NAME), secure=secure(request), httponly=True)


def welcome(services: Services, request: Request) -> str:
    """The token of a visitor, drawn if there is none; `greet` puts it into a cookie."""
    held = visitor_of(request)
    return held if 32 <= len(held) <= 128 else services.token(24).hex()


def greet(request: Request, response: Response, token: str) -> None:
    """Give a visitor the token that the sign-in form was made with."""
    if visitor_of(request) != token:
        _set(request, response, _VISITOR, token, 86_400)


def _set(request: Request, response: Response, name: str, value: str, age: int) -> None:
    response.set_cookie(
        _cookie(request, name),
        value,
        max_age=age,
        path="/",
        secure=secure(request),
        httponly=True,
        samesite="lax",
    )

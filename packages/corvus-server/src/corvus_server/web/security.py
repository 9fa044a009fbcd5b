"""What every request passes and every answer carries: hosts, sizes, headers.

Plain ASGI, so that event streams pass through untouched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Final, final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Scripts and styles are files of ours; there is no inline one on any page.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; frame-src 'self'; manifest-src 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)

HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not no-referrer: browsers then send "Origin: null" with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "cache-control": "no-store",
}

#: Octets of a form without files.
FORM_LIMIT: Final = 256 * 1024

_HOST: Final = re.compile(
    r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}))(?::([0-9]{1,5}))?"
)


class TooLarge(Exception):
    """A request has more octets than its page takes."""


def host_of(header: str) -> str | None:
    """
    The host of a Host field, lower case, without port and brackets; ``None`` if it is no host.

    >>> host_of("Mail.Example.com:8025"), host_of("[::1]:80"), host_of("a/b")
    ('mail.example.com', '::1', None)
    """
    match = _HOST.fullmatch(header)
    if match is None or int(match[2] or 0) > 65_535:
        return None
    return match[1].strip("[]").rstrip(".").lower()


def known_host(host: str, hostname: str, domains: Iterable[str]) -> bool:
    """
    Whether *host* can be us.

    A page of somebody else's may make its own name lead to this machine (DNS rebinding); then the
    browser sends that name.  Addresses and names without a dot cannot be had that way.
    """
    if "." not in host or host == hostname:
        return True
    try:
        ip_address(host)
    except ValueError:
        return any(host == domain or host.endswith(f".{domain}") for domain in domains)
    return True


def same_origin(headers: Headers) -> bool:
    """Whether a form was sent by a page of ours, as far as the browser says."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True  # old browsers and programs; the token decides
    try:
        netloc = urlsplit(origin).netloc
    except ValueError:
        return False
    return netloc.lower() == headers.get("host", "").lower()


def local_path(target: str, default: str = "/") -> str:
    """
    *target* if it is a path of ours, else *default*: what a form may have us redirect to.

    >>> local_path("/mail/inbox?q=a"), local_path("//evil.example"), local_path("/\\\\evil.example")
    ('/mail/inbox?q=a', '/', '/')
    """
    if not target.startswith("/") or target.startswith(("//", "/\\")) or len(target) > 2000:
        return default
    # Browsers drop tabs and line ends out of an address, so "/\t/evil.example" would leave us.
    if "\\" in target or not target.isprintable():
        return default
    return target


@final
class Guard:
    """Refuses hosts that are not us and bodies without end; puts `HEADERS` on every answer."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hostname: str,
        domains: Callable[[], Iterable[str]],
        upload_limit: int,
        uploads: Callable[[str], bool],
    ) -> None:
        """
        Args:
            upload_limit: Octets of a request that carries files.
            uploads: Whether the page at a path takes files.
        """
        self._app = app
        self._hostname = hostname
        self._domains = domains
        self._upload_limit = upload_limit
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                fields = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    fields.setdefault(name, value)
                if scope.get("scheme") == "https":
                    fields.setdefault("strict-transport-security", "max-age=31536000")
            await send(message)

        hosts = headers.getlist("host")
        host = host_of(hosts[0]) if len(hosts) == 1 else None
        if host is None:
            await _plain(answer, 400, "The Host field of this request names no host.")
            return
        if not known_host(host, self._hostname, self._domains()):
            words = f"This server is not {host}. If it should be, set COR_HOSTNAME to that name."
            await _plain(answer, 421, words)
            return
        limit = self._upload_limit if self._uploads(scope["path"]) else FORM_LIMIT
        announced = headers.get("content-length", "0")
        if not announced.isdigit() or int(announced) > limit:
            await _plain(answer, 413, _too_large(limit))
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise TooLarge
            return message

        try:
            await self._app(scope, counted, answer)
        except TooLarge:
            if not started:
                await _plain(answer, 413, _too_large(limit))


def _too_large(limit: int) -> str:
    return f"This is more than the {limit // 1024:,} KB that this page takes; nothing was kept."


async def _plain(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""What the tests of the administrator's pages share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any, Final

from starlette.applications import Starlette
from starlette.routing import Route

from corvus_server.storage.values import Queued, QueuedRecipient, Verdict
from corvus_server.testing.world import mail
from corvus_server.web.admin.routes import ROUTES
from corvus_server.web.page import Access
from web.running import Browser, Site

#: A value for each parameter of a route: things that exist, where that can be.
VALUES: Final = {"domain": "corvus.local", "number:int": "1", "number": "1"}


def admin_routes() -> Iterator[tuple[str, str]]:
    """(method, path) of every route that only administrators may reach."""
    for route in ROUTES:
        if getattr(route, "access", None) is not Access.ADMIN:
            continue
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, filled(route)


def filled(route: Route) -> str:
    """The route's path with a value for each parameter."""
    path = route.path
    for name, value in VALUES.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, path
    return path


def streams(path: str) -> bool:
    """Whether the answer never ends by itself."""
    return path.endswith(("/live", "/stream"))


async def admin(site: Site) -> Browser:
    return await site.signed_in("root@corvus.local")


async def enqueue(site: Site, address: str = "carol@crow.example", **notes: Any) -> int:
    """A mail of alice's in the queue."""
    from corvus_server.storage.values import Intake

    with site.store.new_body() as body:
        body.write(mail())
        accepted = await site.store.accept(
            Intake(
                body=body,
                queued=[
                    Queued(
                        mail_from="alice@corvus.local",
                        recipients=[QueuedRecipient(address=address)],
                        account_id=site.alice.id,
                        notes=notes,
                    )
                ],
            )
        )
    return accepted.queue_ids[0]


async def decide(site: Site, action: str = "junk", **fields: Any) -> int:
    """A verdict as the pipeline stores one."""
    tree: dict[str, Any] = {
        "decision": {"accept": "inbox"}.get(action, action),
        "rule": "score",
        "score": 6.5,
        "threshold": 5.0,
        "signals": [{"name": "spf-fail", "weight": 3.5, "evidence": "203.0.113.7 may not send"}],
        "connection": {"id": "smtp-9", "ip": "203.0.113.7", "helo": "x.example"},
        "envelope": {"mail_from": "x@example.com", "subject": "Win now"},
        "checks": {"spf": {"status": "fail", "reason": "not allowed"}},
    }
    tree.update(fields.pop("tree", {}))
    fields.setdefault("sentence", "203.0.113.7 may not send for example.com")
    fields.setdefault("mail_from", "x@example.com")
    fields.setdefault("recipients", ("alice@corvus.local",))
    fields.setdefault("client", "203.0.113.7")
    return await site.store.verdicts.record(Verdict(action=action, tree=tree, **fields))


async def streamed(
    app: Starlette,
    browser: Browser,
    path: str,
    enough: Callable[[str], bool],
    *,
    then: Callable[[], None] = lambda: None,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> str:
    """What an event stream says until it is *enough*; *then* is called once it has begun."""
    path, _, query = path.partition("?")
    said = ""
    done = asyncio.Event()
    begun = False

    async def send(message: Any) -> None:
        nonlocal said, begun
        if message["type"] == "http.response.start":
            assert message["status"] == 200, message
            return
        said += message.get("body", b"").decode()
        if not begun:
            begun = True
            asyncio.get_running_loop().call_later(0.02, then)
        if enough(said):
            done.set()

    async def receive() -> Any:
        await asyncio.Event().wait()

    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "root_path": "", "server": ("corvus.local", 80), "client": ("203.0.113.9", 4000),
        "headers": [(b"host", b"corvus.local"),
                    (b"cookie", f"corvus-session={browser.session}".encode()), *headers],
    }  # fmt: skip
    task = asyncio.create_task(app(scope, receive, send))
    try:
        await asyncio.wait_for(done.wait(), 5)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return said


class Page(HTMLParser):
    """The elements of a page, as a browser builds them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))


def dangers(text: str) -> list[str]:
    """What a page must not have, whatever is stored: foreign elements, handlers, odd links."""
    found = []
    for tag, attributes in Page(text).elements:
        if tag == "script" and not attributes.get("src", "").startswith("/static/"):
            found.append("a script")
        if tag in ("img", "iframe", "object", "embed", "base", "style", "math", "template"):
            if not attributes.get("src", "").startswith("/static/"):
                found.append(f"a {tag}")
        for name, value in attributes.items():
            if name.startswith("on") or name == "style":
                found.append(f"{tag} {name}")
            if name in ("href", "src", "action", "formaction", "data-live-from"):
                if not value.startswith(("/", "#", "?")) or value.startswith(("//", "/\\")):
                    found.append(f"{tag} {name}={value[:60]}")
    return found

"""What the administrator's pages share: the rail, and acts whose refusal is said on the next page."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from starlette.responses import Response

from corvus_server.operations import OperationError
from corvus_server.storage.errors import StoreError
from corvus_server.web.page import Visit, sentence

#: The rail: address, icon, name; an empty address is a heading.
PLACES: Final = (
    ("/admin", "server", "Overview"),
    ("/admin/health", "health", "Health"),
    ("/admin/queue", "queue", "Queue"),
    ("/admin/decisions", "shield", "Decisions"),
    ("/admin/domains", "globe", "Domains"),
    ("/admin/mailboxes", "users", "Mailboxes"),
    ("/admin/aliases", "swap", "Aliases"),
    ("/admin/keys", "key", "DKIM keys"),
    ("/admin/metrics", "chart", "Metrics"),
    ("/admin/sessions", "user", "Sessions"),
    ("/logs", "log", "Live log"),
    ("/admin/sign-ins", "out", "Sign-ins"),
    ("/admin/greylist", "undo", "Greylist"),
    ("/admin/settings", "settings", "Settings"),
)


async def show(visit: Visit, template: str, status: int = 200, **context: Any) -> Response:
    """An administrator's page."""
    return await visit.render(f"admin/{template}", status, places=PLACES, **context)


async def attempt(visit: Visit, act: Awaitable[Any], done: str, back: str) -> Response:
    """Do it, say on the page *back* that it was *done* or why not."""
    try:
        await act
    except (OperationError, StoreError, ValueError) as error:
        await visit.flash(sentence(error), bad=True)
    else:
        note(visit, done)
        await visit.flash(done)
    return visit.redirect(back)


def note(visit: Visit, done: str) -> None:
    """Write down who did what."""
    visit.services.log("info", "web", "admin", by=visit.me.address, peer=visit.peer, did=done)


async def sure(
    visit: Visit,
    *,
    title: str,
    warning: str,
    name: str,
    button: str,
    back: str,
    typed: bool = True,
) -> Response | None:
    """
    The page that asks by naming the thing; ``None`` once the name has been typed.

    Deleting a mailbox cannot be taken back, so a slip of the finger must not do it.

    Args:
        typed: Whether the name must be typed; else a second button is enough.
    """
    given = visit.text("sure").strip()
    if given.lower() == (name.lower() if typed else "yes"):
        return None
    return await show(
        visit,
        "sure.html",
        title=title,
        warning=warning,
        name=name,
        button=button,
        back=back,
        typed=typed,
        wrong=bool(given),
        action=visit.request.url.path,
        fields={k: v for k, v in visit.form.items() if k not in ("csrf", "sure")},
    )


def number(text: str) -> int | None:
    """
    A number out of an address, if it is one.

    >>> number("12"), number("-1"), number("9" * 20)
    (12, None, None)
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None

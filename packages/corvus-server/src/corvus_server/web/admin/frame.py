"""What all administrator's pages share: the rail, acts that flash, the question before the harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from corvus_server.operations import OperationError
from corvus_server.web.page import Visit, sentence

#: The rail: path, icon, label; ``None`` is a heading.
PLACES: Final = (
    ("/admin", "health", "Health"),
    ("/admin/mails", "shield", "Decisions"),
    ("/admin/queue", "queue", "Queue"),
    ("/logs", "log", "Live log"),
    ("/admin/sessions", "swap", "Sessions"),
    ("/admin/metrics", "server", "Metrics"),
    (None, "", "Directory"),
    ("/admin/domains", "globe", "Domains"),
    ("/admin/mailboxes", "users", "Mailboxes"),
    ("/admin/aliases", "forward", "Aliases"),
    ("/admin/keys", "key", "DKIM keys"),
    (None, "", "Server"),
    ("/admin/greylist", "unread", "Greylist"),
    ("/admin/logins", "user", "Sign-ins"),
    ("/admin/settings", "settings", "Settings"),
)


def here(path: str) -> str:
    """The entry of the rail that a page belongs to."""
    found = "/admin"
    for place, _, _ in PLACES:
        if place is not None and (path == place or path.startswith(f"{place}/")):
            found = place if len(place) > len(found) or found == "/admin" else found
    return found


async def show(
    visit: Visit, template: str, status: int = 200, *, live: str = "", **context: Any
) -> Response:
    """
    An administrator's page.

    Args:
        live: What the page renews itself at (`stream.KINDS`), or the empty text.
    """
    return await visit.render(
        f"admin/{template}",
        status,
        places=PLACES,
        place=here(visit.request.url.path),
        live=live,
        **context,
    )


async def operate(visit: Visit, name: str, **arguments: Any) -> Any:
    """
    Carry out an operation in the visitor's name, and note in the log who did what.

    Raises:
        OperationError: It cannot be done.
    """
    found = await visit.services.operations.call(name, arguments)
    # Never the password, and nothing else of the arguments that could be one.
    told = {key: value for key, value in arguments.items() if key in _TOLD}
    visit.services.log("info", "web", name, by=visit.me.address, peer=visit.peer, **told)
    return found


_TOLD: Final = frozenset(
    ("address", "domain", "selector", "entry", "network", "targets", "enabled", "admin", "quota")
)


async def act(
    visit: Visit, back: str, said: Callable[[Any], str], name: str, **arguments: Any
) -> Response:
    """Carry out an operation, say so on the page *back*; a refusal is said there as well."""
    try:
        found = await operate(visit, name, **arguments)
    except OperationError as error:
        await visit.flash(sentence(error), bad=True)
    else:
        await visit.flash(said(found))
    return visit.redirect(back)


async def ask(
    visit: Visit,
    *,
    title: str,
    words: str,
    verb: str,
    action: str,
    back: str,
    fields: Mapping[str, str] | None = None,
    type_this: str = "",
    problem: str = "",
    command: str = "",
) -> Response:
    """
    The question before something that cannot be undone.

    Args:
        type_this: What must be typed first: the name of the thing.
        command: The same on the command line.
    """
    return await show(
        visit,
        "sure.html",
        400 if problem else 200,
        title=title, words=words, verb=verb, action=action, back=back, fields=fields or {},
        type_this=type_this, problem=problem, command=command,
    )  # fmt: skip


def part(text: str) -> str:
    """*text* as one segment of a path."""
    return quote(text, safe="@")


def shell(text: str) -> str:
    """
    *text* as one word of a shell's command line.

    >>> shell("bob@corvus.local"), shell("it's")
    ('bob@corvus.local', "'it'\\"'\\"'s'")
    """
    import shlex

    return shlex.quote(text)


def number(text: str, default: int = 0) -> int:
    """A number out of an address or a form; *default* if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else default

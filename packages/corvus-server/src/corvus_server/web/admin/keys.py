"""DKIM keys: made, published, rotated, retired."""

from __future__ import annotations

import re

from starlette.responses import Response

from corvus_server.web.admin.checks import LOOKS, checker_of
from corvus_server.web.admin.common import attempt, show, sure
from corvus_server.web.page import Refused, Visit


async def keys(visit: Visit) -> Response:
    checker = checker_of(visit.request)
    if not checker.steps:
        await checker.settle()
    held = visit.store.keys.all()
    names = [each.name for each in visit.store.directory.domains()]
    return await show(
        visit,
        "keys.html",
        dns={step.key: (*LOOKS[step.state], step.finding) for step in checker.steps},
        groups=[(name, [key for key in held if key.domain == name]) for name in names],
        following={
            name: following([k.selector for k in held if k.domain == name]) for name in names
        },
    )


def following(selectors: list[str]) -> str:
    """
    The selector of the next key.

    >>> following(["cv1", "cv3", "mail"]), following([])
    ('cv4', 'cv1')
    """
    numbers = [
        int(match[1]) for each in selectors if (match := re.fullmatch(r"cv([0-9]{1,6})", each))
    ]
    return f"cv{max(numbers, default=0) + 1}"


async def key_add(visit: Visit) -> Response:
    """A further key beside the others: sign with both until the new record is everywhere."""
    domain = visit.text("domain")
    held = [key.selector for key in visit.store.keys.all(domain)]
    selector = visit.text("selector").strip().lower() or following(held)
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", selector):
        raise Refused("a selector is made of letters, digits and hyphens")
    algorithm = "ed25519" if visit.text("algorithm") == "ed25519" else "rsa"
    act = visit.services.operations.dkim_gen(domain, selector, algorithm)
    checker_of(visit.request).steps = []
    done = f"{selector} signs for {domain} now; publish its record."
    return await attempt(visit, act, done, "/admin/keys")


async def key_retire(visit: Visit) -> Response:
    """A key that signs no more; its record may go a week later."""
    domain, selector = visit.text("domain"), visit.text("selector")
    active = [key for key in visit.store.keys.all(domain) if key.active]
    if [key.selector for key in active] == [selector]:
        raise Refused(f"{selector} is the only key of {domain}; make another one first")
    asked = await sure(
        visit,
        title=f"Retire {selector} of {domain}?",
        warning="Mail is signed with the other keys from then on. Leave the record of this one in"
        " DNS for a week: mail on its way still needs it.",
        name=selector,
        button=f"Retire {selector}",
        back="/admin/keys",
        typed=False,
    )
    if asked is not None:
        return asked
    act = visit.services.operations.dkim_retire(domain, selector)
    done = f"{selector} signs no more. Leave its record for a week: mail is still on its way."
    return await attempt(visit, act, done, "/admin/keys")


async def key_activate(visit: Visit) -> Response:
    """Sign with a retired key again."""
    domain, selector = visit.text("domain"), visit.text("selector")
    act = visit.services.operations.dkim_activate(domain, selector)
    return await attempt(visit, act, f"{selector} of {domain} signs again.", "/admin/keys")


async def key_remove(visit: Visit) -> Response:
    """Forget a retired key for good."""
    domain, selector = visit.text("domain"), visit.text("selector")
    asked = await sure(
        visit,
        title=f"Forget {selector} of {domain}?",
        warning="Its private part goes for good; nothing can be signed with it again.",
        name=selector,
        button=f"Forget {selector}",
        back="/admin/keys",
        typed=False,
    )
    if asked is not None:
        return asked
    act = visit.services.operations.dkim_remove(domain, selector)
    return await attempt(visit, act, f"{selector} of {domain} is forgotten.", "/admin/keys")

"""The addresses of the webmail."""

from __future__ import annotations

from typing import Final

from corvus_server.web.mail import actions, compose, listing, reading, why
from corvus_server.web.page import Access, page

_MAIL: Final = "/mail/{slug}/{uid:int}"

ROUTES: Final = (
    page("/compose", compose.show, access=Access.USER),
    page("/compose", compose.post, access=Access.USER, methods=("POST",)),
    page("/compose/undo", compose.undo, access=Access.USER, methods=("POST",)),
    page("/people", compose.people, access=Access.USER),
    page("/mail/undo", actions.undo, access=Access.USER, methods=("POST",)),
    page("/mail/{slug}/do", actions.do, access=Access.USER, methods=("POST",)),
    page("/mail/{slug}", listing.show, access=Access.USER),
    page(_MAIL, reading.show, access=Access.USER),
    page(f"{_MAIL}/why", why.show, access=Access.USER),
    page(f"{_MAIL}/body", reading.body, access=Access.USER),
    page(f"{_MAIL}/images", reading.allow_images, access=Access.USER, methods=("POST",)),
    page(f"{_MAIL}/part/{{number:int}}", reading.part, access=Access.USER),
    page(f"{_MAIL}/source", reading.source, access=Access.USER),
    page(f"{_MAIL}/download", reading.eml, access=Access.USER),
)

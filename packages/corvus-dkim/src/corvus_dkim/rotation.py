"""Rotation: which selectors sign, which only wait for their last mail to arrive, what to do next.

"when rotating to a new key pair, signing should immediately commence with the new private key, and
the old public key should be retained for a reasonable validation interval before being removed from
the key server" (RFC 6376 §5.2).  A key therefore lives through four states, and only the keeper's
dates decide which one it is in:

::

    PUBLISHED  its record is in DNS, caches may not have seen it: nobody signs with it yet
    ACTIVE     it signs
    RETIRED    it signs no more; its record stays for mail that is still on its way
    REVOKED    the record is taken away, or its p= made empty
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, final

from corvus_dkim.errors import RecordError
from corvus_dkim.key import PrivateKey
from corvus_dkim.lookup import Evaluation, Lookup, run
from corvus_dkim.record import KeyRecord, record_name

_DAY: Final = 24 * 3600


class SelectorState(StrEnum):
    """What a selector is good for now; see the module."""

    PUBLISHED = "published"
    ACTIVE = "active"
    RETIRED = "retired"
    REVOKED = "revoked"


class DNSState(StrEnum):
    """What DNS says about a selector."""

    MATCHES = "matches"
    """The record holds the public half of our key."""
    MISSING = "missing"
    """There is no key record."""
    DIFFERENT = "different"
    """There is a record, and it holds another key, or cannot be used."""
    REVOKED = "revoked"
    """The record says that the key is revoked."""
    UNKNOWN = "unknown"
    """DNS did not answer."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long a key stays in each state, in seconds."""

    propagation: int = 2 * _DAY
    """From publishing to the first signature: longer than any TTL, the negative one included."""
    lifetime: int = 180 * _DAY
    """For which a key signs."""
    retention: int = 14 * _DAY
    """From the last signature to revocation: ``x=`` (7 days by default) and a queue's five days."""


@final
@dataclass(frozen=True, slots=True)
class Selector:
    """One selector and its dates, seconds since 1970."""

    name: str
    published: float
    retired: float | None = None
    """When it was taken out of service by hand; else the schedule retires it."""


def state(selector: Selector, now: float, schedule: Schedule = Schedule()) -> SelectorState:
    """
    The state of *selector* at *now*.

    >>> day = 24 * 3600
    >>> [str(state(Selector("s1", 0), n * day)) for n in (1, 2, 181, 182, 195, 196)]
    ['published', 'active', 'active', 'retired', 'retired', 'revoked']
    """
    begins = selector.published + schedule.propagation
    ends = begins + schedule.lifetime
    if selector.retired is not None:
        ends = min(ends, selector.retired)
    if now >= ends + schedule.retention:
        return SelectorState.REVOKED
    if now >= ends:
        return SelectorState.RETIRED
    return SelectorState.ACTIVE if now >= begins else SelectorState.PUBLISHED


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now; each step is safe to repeat."""

    sign_with: str | None
    """The selector to sign with: the newest active one, or ``None``."""
    publish: bool
    """Whether a new key should be made and published now, so that it is ready in time."""
    keep: tuple[str, ...]
    """Selectors whose records stay in DNS."""
    revoke: tuple[str, ...]
    """Selectors whose records can go."""


def plan(selectors: Iterable[Selector], now: float, schedule: Schedule = Schedule()) -> Plan:
    """
    What rotation asks for at *now*.

    A new key is due when no active or published key will still sign once a key published now has
    propagated.

    >>> day = 24 * 3600
    >>> plan([Selector("s1", 0), Selector("s2", 180 * day)], 182 * day)
    Plan(sign_with='s2', publish=False, keep=('s1', 's2'), revoke=())
    """
    known = sorted(selectors, key=lambda selector: selector.published)
    states = {selector.name: state(selector, now, schedule) for selector in known}
    active = [s.name for s in known if states[s.name] is SelectorState.ACTIVE]
    ready = now + schedule.propagation
    covered = any(state(selector, ready, schedule) is SelectorState.ACTIVE for selector in known)
    return Plan(
        sign_with=active[-1] if active else None,
        publish=not covered,
        keep=tuple([n for n, s in states.items() if s is not SelectorState.REVOKED]),
        revoke=tuple([n for n, s in states.items() if s is SelectorState.REVOKED]),
    )


def compare(domain: str, keys: Sequence[tuple[str, PrivateKey]]) -> Evaluation[dict[str, DNSState]]:
    """
    Compare our keys with DNS, as a generator that yields all look-ups at once.

    Args:
        domain: The signing domain.
        keys: Selectors with their private keys.

    Returns:
        What DNS says, by selector.
    """
    if not keys:
        return {}
    asked = tuple([Lookup(record_name(domain, selector), "TXT") for selector, _ in keys])
    answers: Sequence[Any] = ((yield asked[0]),) if len(asked) == 1 else (yield asked)
    return {
        selector: _compared(key, answer)
        for (selector, key), answer in zip(keys, answers, strict=True)
    }


def check(
    domain: str, keys: Sequence[tuple[str, PrivateKey]], *, resolver: Any
) -> dict[str, DNSState]:
    """As `compare`, with a plain resolver."""
    return run(compare(domain, keys), resolver)


def _compared(key: PrivateKey, answer: Any) -> DNSState:
    if answer.status in ("timeout", "servfail"):
        return DNSState.UNKNOWN
    found = DNSState.MISSING
    for text in answer.records if answer.status == "ok" else ():
        try:
            record = KeyRecord.parse(text)
        except RecordError:
            found = DNSState.DIFFERENT
            continue
        if record.fingerprint() == key.fingerprint():
            return DNSState.MATCHES
        found = DNSState.REVOKED if record.revoked else DNSState.DIFFERENT
    return found

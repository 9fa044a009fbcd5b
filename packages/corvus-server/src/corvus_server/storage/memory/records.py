"""Logins, verdicts, the greylist, web sessions, settings and keys in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, final

from corvus_server.storage.errors import AlreadyExists, NotFound
from corvus_server.storage.memory.tables import Tables, json_copy
from corvus_server.storage.names import domain_name
from corvus_server.storage.seal import Sealer
from corvus_server.storage.values import (
    MAX_VERDICT,
    DKIMKey,
    GreylistEntry,
    LoginAttempt,
    Verdict,
    WebSession,
)

__all__ = [
    "MemoryGreylist",
    "MemoryKeys",
    "MemoryLogins",
    "MemorySettings",
    "MemoryVerdicts",
    "MemoryWebSessions",
]


@final
class MemoryLogins:
    """Attempts to sign in."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def record(self, attempt: LoginAttempt) -> None:
        self._tables.writable()
        self._tables.logins.append(replace(attempt, address=attempt.address.lower()[:320]))

    def failures(self, address: str, network: str, since: float) -> int:
        count = 0
        for attempt in self._tables.logins:
            if (attempt.address, attempt.network) == (
                address.lower(),
                network,
            ) and attempt.when > since:
                count = 0 if attempt.ok else count + 1
        return count

    def recent(self, limit: int = 100, address: str | None = None) -> list[LoginAttempt]:
        newest = reversed(self._tables.logins)
        return [a for a in newest if address is None or a.address == address.lower()][:limit]

    async def forget(self, address: str, network: str | None = None) -> None:
        self._tables.writable()
        self._tables.logins = [
            a
            for a in self._tables.logins
            if a.ok
            or a.address != address.lower()
            or (network is not None and a.network != network)
        ]


@final
class MemoryVerdicts:
    """Why mail went where it went."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def check(self, verdict: Verdict) -> None:
        """Raises ValueError: the tree is too large."""
        tree = json.dumps(dict(verdict.tree), ensure_ascii=False, separators=(",", ":"))
        if len(tree.encode("utf-8", "replace")) > MAX_VERDICT:
            raise ValueError(f"a verdict has at most {MAX_VERDICT} octets")

    def insert(self, verdict: Verdict) -> int:
        """Without a check: for the store itself."""
        number = self._tables.number("verdict")
        self._tables.verdicts[number] = replace(
            verdict,
            id=number,
            created=self._tables.now() if verdict.created is None else verdict.created,
            recipients=tuple(verdict.recipients[:100]),
            tree=json_copy(dict(verdict.tree)),
        )
        return number

    async def record(self, verdict: Verdict) -> int:
        self._tables.writable()
        self.check(verdict)
        return self.insert(verdict)

    def get(self, verdict_id: int) -> Verdict | None:
        return self._tables.verdicts.get(verdict_id)

    def recent(
        self, limit: int = 100, *, action: str | None = None, before_id: int | None = None
    ) -> list[Verdict]:
        newest = sorted(self._tables.verdicts.values(), key=lambda v: -v.id)
        return [
            v
            for v in newest
            if (action is None or v.action == action) and (before_id is None or v.id < before_id)
        ][:limit]


@final
class MemoryGreylist:
    """What is known of (client network, envelope domain)."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, network: str, domain: str) -> GreylistEntry | None:
        return self._tables.greylist.get((network, domain.lower()))

    async def seen(self, network: str, domain: str, *, passed: bool) -> GreylistEntry:
        self._tables.writable()
        now = self._tables.now()
        key = (network, domain.lower())
        entry = self._tables.greylist.get(key) or GreylistEntry(
            network=network, domain=key[1], first_seen=now, last_seen=now
        )
        entry = replace(
            entry,
            last_seen=now,
            deferred=entry.deferred + (not passed),
            passed=entry.passed + passed,
        )
        self._tables.greylist[key] = entry
        return entry

    def entries(self, limit: int = 100) -> list[GreylistEntry]:
        found = sorted(
            self._tables.greylist.values(), key=lambda e: (-e.last_seen, e.network, e.domain)
        )
        return found[:limit]

    async def forget(self, *, before: float | None = None, network: str | None = None) -> int:
        self._tables.writable()
        gone = [
            key
            for key, entry in self._tables.greylist.items()
            if (before is None or entry.last_seen < before)
            and (network is None or entry.network == network)
        ]
        for key in gone:
            del self._tables.greylist[key]
        return len(gone)


@final
class MemoryWebSessions:
    """Who is signed in on the web."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def create(self, session: WebSession) -> None:
        self._tables.writable()
        self._tables.owner(session.account_id)
        if session.digest in self._tables.sessions:
            raise AlreadyExists("there is such a session already")
        self._tables.sessions[session.digest] = replace(
            session,
            last_seen=session.last_seen or session.created,
            agent=session.agent[:500],
            data=json_copy(dict(session.data)),
        )

    def get(self, digest: bytes) -> WebSession | None:
        session = self._tables.sessions.get(digest)
        return session if session and session.expires > self._tables.now() else None

    async def touch(
        self, digest: bytes, *, expires: float | None = None, data: Mapping[str, Any] | None = None
    ) -> None:
        self._tables.writable()
        session = self._tables.sessions.get(digest)
        if session is None:
            raise NotFound("the session has ended")
        session = replace(session, last_seen=self._tables.now())
        if expires is not None:
            session = replace(session, expires=expires)
        if data is not None:
            session = replace(session, data=json_copy(dict(data)))
        self._tables.sessions[digest] = session

    async def end(self, digest: bytes) -> None:
        self._tables.writable()
        self._tables.sessions.pop(digest, None)

    async def end_all(self, account_id: int, *, but: bytes | None = None) -> int:
        self._tables.writable()
        gone = [
            d for d, s in self._tables.sessions.items() if s.account_id == account_id and d != but
        ]
        for digest in gone:
            del self._tables.sessions[digest]
        return len(gone)

    def of(self, account_id: int) -> list[WebSession]:
        now = self._tables.now()
        found = [
            s
            for s in self._tables.sessions.values()
            if s.account_id == account_id and s.expires > now
        ]
        return sorted(found, key=lambda s: -s.last_seen)


@final
class MemorySettings:
    """Small facts of the installation."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, key: str, default: Any = None) -> Any:
        text = self._tables.settings.get(key)
        return default if text is None else json.loads(text)

    def all(self, prefix: str = "") -> dict[str, Any]:
        return {
            key: json.loads(text)
            for key, text in sorted(self._tables.settings.items())
            if key.startswith(prefix)
        }

    async def set(self, key: str, value: Any) -> None:
        self._tables.writable()
        text = json.dumps(value)
        if value is None:
            self._tables.settings.pop(key, None)
        else:
            self._tables.settings[key] = text


@final
class MemoryKeys:
    """Signing keys, sealed like everywhere (R14)."""

    def __init__(self, tables: Tables, sealer: Sealer) -> None:
        self._tables = tables
        self._sealer = sealer
        self._keys: dict[tuple[str, str], tuple[DKIMKey, bytes]] = {}

    def _find(self, domain: str, selector: str) -> tuple[DKIMKey, bytes]:
        key = (domain_name(domain), selector.lower())
        if key not in self._keys:
            raise NotFound(f"{key[0]} has no key {key[1]}")
        return self._keys[key]

    async def add(self, key: DKIMKey, private_pem: bytes) -> DKIMKey:
        self._tables.writable()
        domain, selector = domain_name(key.domain), key.selector.lower()
        if (domain, selector) in self._keys:
            raise AlreadyExists(f"{domain} has a key {selector} already")
        stored = replace(
            key, domain=domain, selector=selector, created=key.created or self._tables.now()
        )
        sealed = self._sealer.seal(private_pem, domain=domain, selector=selector)
        self._keys[domain, selector] = (stored, sealed)
        return stored

    def get(self, domain: str, selector: str) -> DKIMKey | None:
        found = self._keys.get((domain_name(domain), selector.lower()))
        return found[0] if found else None

    def all(self, domain: str | None = None) -> list[DKIMKey]:
        home = domain_name(domain) if domain is not None else None
        keys = [key for key, _ in self._keys.values() if home is None or key.domain == home]
        return sorted(keys, key=lambda key: key.domain)

    def private_key(self, domain: str, selector: str) -> bytes:
        key, sealed = self._find(domain, selector)
        return self._sealer.open(sealed, domain=key.domain, selector=key.selector)

    async def set_active(self, domain: str, selector: str, active: bool) -> DKIMKey:
        self._tables.writable()
        key, sealed = self._find(domain, selector)
        changed = replace(key, active=active, retired=None if active else self._tables.now())
        self._keys[key.domain, key.selector] = (changed, sealed)
        return changed

    async def remove(self, domain: str, selector: str) -> None:
        self._tables.writable()
        key, _ = self._find(domain, selector)
        del self._keys[key.domain, key.selector]

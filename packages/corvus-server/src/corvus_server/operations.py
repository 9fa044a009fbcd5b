"""What an administrator can do, as functions: the command line, the control socket and the web call these.

Each method of `Operations` takes plain values and returns plain JSON, so that a command works the
same beside a running server (through its socket) and without one (on the store itself).  A mistake
is an `OperationError` with one sentence; nothing has changed then.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Literal, final

import corvus_dkim
from corvus_auth import passwords
from corvus_server.accounts.lockout import Lockout
from corvus_server.storage.errors import StoreError
from corvus_server.storage.protocols import Store
from corvus_server.storage.values import (
    Delivery,
    DKIMKey,
    Intake,
    QueueEntry,
    RecipientState,
    Verdict,
)
from corvus_server.welcome import welcome as welcome_mail

#: The first selector of every domain.
FIRST_SELECTOR: Final = "cv1"
#: What `corvus seed` makes, with a password that everybody knows.
SEED_DOMAIN: Final = "corvus.local"
SEED_PASSWORD: Final = "Corvus2026!"  # noqa: S105 - published on purpose; serve refuses the world while it stands
#: Characters of a password.
SHORTEST: Final = 8
SEED_ACCOUNTS: Final = (
    ("postmaster", "Postmaster", True),
    ("alice", "Alice", False),
    ("bob", "Bob", False),
)


class OperationError(Exception):
    """It cannot be done; the message is one sentence for whoever asked."""


@final
class Operations:
    """The administrator's verbs over a store."""

    def __init__(
        self, store: Store, *, now: Callable[[], float] = time.time, quota: int = 0
    ) -> None:
        self._store = store
        self._now = now
        self._quota = quota
        self.lockout: Lockout | None = None
        """The doors of the running server; a command without one has none to open."""

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Run the operation *name*; what a control socket does with a request."""
        method: Callable[..., Awaitable[Any]] | None = OPERATIONS.get(name)
        if method is None:
            raise OperationError(f"there is no operation {name!r}")
        try:
            return await method(self, **arguments)
        except StoreError as error:
            raise OperationError(str(error)) from error
        except TypeError as error:
            raise OperationError(f"{name}: {error}") from error

    # Domains.

    async def domain_list(self) -> list[dict[str, Any]]:
        directory = self._store.directory
        return [
            {
                "domain": domain.name,
                "enabled": domain.enabled,
                "catch_all": domain.catch_all,
                "strict_dmarc": domain.strict_dmarc,
                "mailboxes": len(directory.accounts(domain.name)),
                "aliases": len(directory.aliases(domain.name)),
            }
            for domain in directory.domains()
        ]

    async def domain_add(self, domain: str) -> dict[str, Any]:
        name = domain.strip().lower().rstrip(".")
        await self._store.directory.add_domain(name)
        key = await self.dkim_gen(name)
        return {"domain": name, "dkim": key}

    async def domain_remove(self, domain: str) -> dict[str, Any]:
        await self._store.directory.remove_domain(domain)
        return {"domain": domain}

    async def domain_set(
        self,
        domain: str,
        enabled: bool | None = None,
        catch_all: str | None = None,
        strict_dmarc: bool | None = None,
    ) -> dict[str, Any]:
        """Change what is given; an empty *catch_all* takes the catch-all away."""
        if catch_all and not self._store.directory.resolve_recipient(catch_all).accounts:
            raise OperationError(f"{catch_all} is not a mailbox of this server")
        found = await self._store.directory.update_domain(
            domain, enabled=enabled, catch_all=catch_all, strict_dmarc=strict_dmarc
        )
        return {
            "domain": found.name,
            "enabled": found.enabled,
            "catch_all": found.catch_all,
            "strict_dmarc": found.strict_dmarc,
        }

    # Mailboxes.

    async def mailbox_list(self, domain: str | None = None) -> list[dict[str, Any]]:
        return [
            {
                "address": account.address,
                "name": account.name,
                "admin": account.admin,
                "enabled": account.enabled,
                "messages": account.messages,
                "used": account.used,
                "quota": account.quota,
            }
            for account in self._store.directory.accounts(domain)
        ]

    async def mailbox_add(
        self,
        address: str,
        password: str | None = None,
        name: str = "",
        admin: bool = False,
        quota: int | None = None,
        seeded: bool = False,
    ) -> dict[str, Any]:
        """Make a mailbox; without a password a random one is made, and told once."""
        if password and len(password) < SHORTEST:
            raise OperationError(f"a password has at least {SHORTEST} characters")
        told = password or new_password()
        account = await self._store.directory.add_account(
            address,
            password_hash=await asyncio.to_thread(passwords.hash, told),
            name=name,
            admin=admin,
            quota=self._quota if quota is None else quota,
            seeded=seeded,
        )
        found: dict[str, Any] = {"address": account.address}
        if not password:
            found["password"] = told
        return found

    async def mailbox_set(
        self,
        address: str,
        name: str | None = None,
        admin: bool | None = None,
        enabled: bool | None = None,
        quota: int | None = None,
    ) -> dict[str, Any]:
        """Change what is given; who is switched off or loses a right is signed out of the web."""
        account = self._account(address)
        if (admin is False or enabled is False) and self._last_admin(account):
            raise OperationError(f"{account.address} is the last administrator")
        if quota is not None and quota < 0:
            raise OperationError("a quota is a number of octets, 0 for none")
        found = await self._store.directory.update_account(
            account.id, name=name, admin=admin, enabled=enabled, quota=quota
        )
        if enabled is False or admin is False:
            await self._store.web_sessions.end_all(account.id)
        return {
            "address": found.address,
            "name": found.name,
            "admin": found.admin,
            "enabled": found.enabled,
            "quota": found.quota,
        }

    def _last_admin(self, account: Any) -> bool:
        others = [
            each.id
            for each in self._store.directory.accounts()
            if each.admin and each.enabled and each.id != account.id
        ]
        return account.admin and not others

    async def mailbox_remove(self, address: str) -> dict[str, Any]:
        account = self._account(address)
        if self._last_admin(account):
            raise OperationError(f"{account.address} is the last administrator")
        await self._store.directory.remove_account(account.id)
        return {"address": account.address, "messages": account.messages}

    async def passwd(self, address: str, password: str | None = None) -> dict[str, Any]:
        """Set a password; without one a random one is made, and told once."""
        account = self._account(address)
        told = password or new_password()
        if password and len(password) < SHORTEST:
            raise OperationError(f"a password has at least {SHORTEST} characters")
        await self._store.directory.update_account(
            account.id, password_hash=await asyncio.to_thread(passwords.hash, told), seeded=False
        )
        await self._store.web_sessions.end_all(account.id)
        found: dict[str, Any] = {"address": account.address}
        if not password:
            found["password"] = told
        return found

    def _account(self, address: str) -> Any:
        account = self._store.directory.account(address.strip())
        if account is None:
            raise OperationError(f"there is no mailbox {address}")
        return account

    # Aliases.

    async def alias_list(self, domain: str | None = None) -> list[dict[str, Any]]:
        return [
            {"alias": alias.address, "targets": list(alias.targets), "enabled": alias.enabled}
            for alias in self._store.directory.aliases(domain)
        ]

    async def alias_add(self, address: str, targets: Sequence[str]) -> dict[str, Any]:
        alias = await self._store.directory.set_alias(address, list(targets))
        return {"alias": alias.address, "targets": list(alias.targets)}

    async def alias_remove(self, address: str) -> dict[str, Any]:
        await self._store.directory.remove_alias(address)
        return {"alias": address}

    # DKIM.

    async def dkim_list(self, domain: str | None = None) -> list[dict[str, Any]]:
        return [_key(key) for key in self._store.keys.all(domain)]

    async def dkim_gen(
        self, domain: str, selector: str | None = None, algorithm: str = "rsa"
    ) -> dict[str, Any]:
        """The domain's first key, made if it has none; with *selector*, a further one."""
        name = domain.strip().lower().rstrip(".")
        if self._store.directory.domain(name) is None:
            raise OperationError(f"{name} is not a domain of this server")
        keys = self._store.keys
        if selector is None and (held := [key for key in keys.all(name) if key.active]):
            return _key(held[0])
        if algorithm not in ("rsa", "ed25519"):
            raise OperationError("a key is rsa or ed25519")
        kind: Literal["rsa", "ed25519"] = "rsa" if algorithm == "rsa" else "ed25519"
        private = await asyncio.to_thread(corvus_dkim.generate_key, kind)
        key = DKIMKey(
            domain=name,
            selector=selector or FIRST_SELECTOR,
            algorithm=algorithm,
            record=corvus_dkim.key_record(private),
            created=self._now(),
        )
        return _key(await keys.add(key, private.to_pem().encode("ascii")))

    async def dkim_retire(self, domain: str, selector: str) -> dict[str, Any]:
        return _key(await self._store.keys.set_active(domain, selector, False))

    async def dkim_rotate(self, domain: str, algorithm: str = "rsa") -> dict[str, Any]:
        """A further key under the next selector; the older ones go on until they are retired."""
        name = domain.strip().lower().rstrip(".")
        taken = {key.selector for key in self._store.keys.all(name)}
        number = 1
        while f"cv{number}" in taken:
            number += 1
        return await self.dkim_gen(name, f"cv{number}", algorithm)

    async def dkim_activate(self, domain: str, selector: str) -> dict[str, Any]:
        """Sign with a retired key again."""
        return _key(await self._store.keys.set_active(domain, selector, True))

    async def dkim_remove(self, domain: str, selector: str) -> dict[str, Any]:
        """Forget a retired key for good."""
        key = self._store.keys.get(domain, selector)
        if key is not None and key.active:
            raise OperationError(f"{selector} of {domain} signs mail; retire it first")
        await self._store.keys.remove(domain, selector)
        return {"domain": domain, "selector": selector}

    # The queue.

    async def queue_list(
        self, state: str | None = None, domain: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        entries = self._store.queue.entries(
            state=None if state is None else RecipientState(state), domain=domain, limit=limit
        )
        return [_entry(entry) for entry in entries]

    async def queue_show(self, entry: int) -> dict[str, Any]:
        found = self._store.queue.entry(entry)
        if found is None:
            raise OperationError(f"there is no queue entry {entry}")
        return {
            **_entry(found),
            "attempts": [
                {
                    "number": attempt.number,
                    "started": attempt.started,
                    "seconds": round(attempt.finished - attempt.started, 3),
                    "outcome": attempt.outcome,
                    "host": attempt.host,
                    "address": attempt.address,
                    "code": attempt.code,
                    "enhanced": attempt.enhanced,
                    "text": attempt.text,
                    "tls": dict(attempt.tls),
                    "details": dict(attempt.details),
                    "dialogue": attempt.dialogue,
                }
                for attempt in self._store.queue.attempts(entry)
            ],
        }

    async def queue_hold(self, entry: int) -> dict[str, Any]:
        return {"entry": entry, "recipients": await self._store.queue.hold(entry)}

    async def queue_release(self, entry: int) -> dict[str, Any]:
        return {"entry": entry, "recipients": await self._store.queue.release(entry)}

    async def queue_retry(self, entry: int) -> dict[str, Any]:
        return {"entry": entry, "recipients": await self._store.queue.retry(entry)}

    async def queue_drop(self, entry: int) -> dict[str, Any]:
        return {"entry": entry, "recipients": await self._store.queue.drop(entry)}

    # Verdicts.

    async def verdict_list(
        self, action: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """The newest decisions about mail that came in."""
        found = self._store.verdicts.recent(limit, action=action, before_id=before)
        return [_verdict(verdict) for verdict in found]

    async def verdict_show(self, verdict: int) -> dict[str, Any]:
        """One decision with its whole tree."""
        found = self._store.verdicts.get(verdict)
        if found is None:
            raise OperationError(f"there is no verdict {verdict}")
        return {**_verdict(found), "tree": dict(found.tree)}

    # Who may come in.

    async def greylist_list(self, limit: int = 100) -> list[dict[str, Any]]:
        """Who was asked to come again, newest first."""
        return [
            {
                "network": entry.network,
                "domain": entry.domain,
                "first_seen": entry.first_seen,
                "last_seen": entry.last_seen,
                "deferred": entry.deferred,
                "passed": entry.passed,
            }
            for entry in self._store.greylist.entries(limit)
        ]

    async def greylist_pass(self, network: str, domain: str) -> dict[str, Any]:
        """Let the mail of *domain* from *network* in as one that has come again."""
        if self._store.greylist.get(network, domain) is None:
            raise OperationError(f"{domain} has not come from {network}")
        entry = await self._store.greylist.seen(network, domain, passed=True)
        return {"network": entry.network, "domain": entry.domain, "passed": entry.passed}

    async def greylist_forget(self, network: str) -> dict[str, Any]:
        """Forget everybody who came from *network*."""
        return {
            "network": network,
            "forgotten": await self._store.greylist.forget(network=network),
        }

    async def login_list(self, address: str | None = None, limit: int = 100) -> dict[str, Any]:
        """The newest attempts to sign in, and the doors that are closed now."""
        closed = self.lockout.closed() if self.lockout is not None else []
        return {
            "attempts": [
                {
                    "when": attempt.when,
                    "address": attempt.address,
                    "network": attempt.network,
                    "ok": attempt.ok,
                    "service": attempt.service,
                    "mechanism": attempt.mechanism,
                    "client": attempt.client,
                }
                for attempt in self._store.logins.recent(limit, address)
            ],
            "closed": [
                {"address": address, "network": network, "seconds": round(left)}
                for address, network, left in closed
            ],
        }

    async def login_lift(self, address: str, network: str) -> dict[str, Any]:
        """Open a door that failed attempts have closed; an empty *address* is the whole network's."""
        lifted = self.lockout is not None and self.lockout.lift(address, network)
        if address:
            await self._store.logins.forget(address, network)
        return {"address": address, "network": network, "lifted": lifted}

    # The store.

    async def check(self, fix: bool = False) -> list[dict[str, Any]]:
        """What is inconsistent in the store; empty when nothing is."""
        return [
            {
                "rule": finding.rule,
                "subject": finding.subject,
                "message": finding.message,
                "fixed": finding.fixed,
            }
            for finding in await self._store.check(fix=fix)
        ]

    async def seed(self, welcome: bool = True) -> dict[str, Any]:
        """The domain corvus.local with postmaster, alice and bob, and a mail for each; what is there stays."""
        directory = self._store.directory
        made = []
        if directory.domain(SEED_DOMAIN) is None:
            await self.domain_add(SEED_DOMAIN)
        for local, name, admin in SEED_ACCOUNTS:
            address = f"{local}@{SEED_DOMAIN}"
            if directory.account(address) is None:
                await self.mailbox_add(address, SEED_PASSWORD, name, admin, seeded=True)
                if welcome:
                    await self._welcome(name, address)
                made.append(address)
        return {"domain": SEED_DOMAIN, "made": made, "password": SEED_PASSWORD}

    async def _welcome(self, name: str, address: str) -> None:
        account = self._store.directory.account(address)
        if account is None:
            return
        body = self._store.new_body()
        body.write(welcome_mail(name, address, f"postmaster@{SEED_DOMAIN}", self._now()))
        await self._store.accept(Intake(body=body, deliveries=[Delivery(account_id=account.id)]))


OPERATIONS: Final[dict[str, Callable[..., Awaitable[Any]]]] = {
    name.replace("_", " "): method
    for name, method in vars(Operations).items()
    if not name.startswith("_") and name != "call"
}
"""By the words of the command line: ``queue list``, ``domain add``, ``passwd``."""


def new_password() -> str:
    """A password nobody has to invent: 80 bits, in letters that are not mistaken for each other."""
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


def _key(key: DKIMKey) -> dict[str, Any]:
    return {
        "domain": key.domain,
        "selector": key.selector,
        "algorithm": key.algorithm,
        "active": key.active,
        "created": key.created,
        "retired": key.retired,
        "name": f"{key.selector}._domainkey.{key.domain}",
        "record": key.record,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    envelope = verdict.tree.get("envelope") or {}
    return {
        "verdict": verdict.id,
        "created": verdict.created,
        "action": verdict.action,
        "sentence": verdict.sentence,
        "from": verdict.mail_from,
        "recipients": list(verdict.recipients),
        "client": verdict.client,
        "subject": str(envelope.get("subject", "")),
        "score": verdict.tree.get("score", 0),
    }


def _entry(entry: QueueEntry) -> dict[str, Any]:
    return {
        "entry": entry.id,
        "created": entry.created,
        "from": entry.mail_from,
        "size": entry.size,
        "subject": str(entry.notes.get("subject", "")),
        "recipients": [
            {
                "address": recipient.address,
                "state": recipient.state.value,
                "attempts": recipient.attempts,
                "next_attempt": recipient.next_attempt,
                "code": recipient.last_code,
                "text": recipient.last_text,
            }
            for recipient in entry.recipients
        ],
    }

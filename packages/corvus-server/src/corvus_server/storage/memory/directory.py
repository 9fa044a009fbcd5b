"""Domains, accounts, aliases, app passwords in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, final

from corvus_server.storage import names
from corvus_server.storage.errors import AlreadyExists, InvalidName, NotFound
from corvus_server.storage.memory.tables import Owner, Tables
from corvus_server.storage.values import (
    SPECIAL_USES,
    Account,
    Alias,
    AppPassword,
    Domain,
    Resolution,
)

__all__ = ["MemoryDirectory"]


@final
class MemoryDirectory:
    """Who has mail here."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    # Domains.

    def domain(self, name: str) -> Domain | None:
        try:
            return self._tables.domains.get(names.domain_name(name))
        except InvalidName:
            return None

    def domains(self) -> list[Domain]:
        return [self._tables.domains[name] for name in sorted(self._tables.domains)]

    def _domain(self, key: str) -> Domain:
        domain = self._tables.domains.get(key)
        if domain is None:
            raise NotFound(f"{key} is not a domain of ours")
        return domain

    async def add_domain(self, name: str) -> Domain:
        tables = self._tables
        tables.writable()
        key = names.domain_name(name)
        if key in tables.domains:
            raise AlreadyExists(f"{key} is here already")
        tables.domains[key] = Domain(id=tables.number("domain"), name=key, created=tables.now())
        return tables.domains[key]

    async def update_domain(
        self,
        name: str,
        *,
        enabled: bool | None = None,
        catch_all: str | None = None,
        strict_dmarc: bool | None = None,
    ) -> Domain:
        self._tables.writable()
        key = names.domain_name(name)
        domain = self._domain(key)
        if enabled is not None:
            domain = replace(domain, enabled=enabled)
        if catch_all is not None:
            domain = replace(domain, catch_all=names.address(catch_all) if catch_all else None)
        if strict_dmarc is not None:
            domain = replace(domain, strict_dmarc=strict_dmarc)
        self._tables.domains[key] = domain
        return domain

    async def remove_domain(self, name: str) -> None:
        self._tables.writable()
        key = names.domain_name(name)
        self._domain(key)
        if self.accounts(key):
            raise AlreadyExists(f"{key} still has accounts")
        if self.aliases(key):
            raise AlreadyExists(f"{key} still has aliases")
        del self._tables.domains[key]

    # Accounts.

    def account(self, address: str) -> Account | None:
        try:
            return self._account(names.address(address))
        except InvalidName:
            return None

    def _owner(self, key: str) -> Owner | None:
        return next((o for o in self._tables.owners.values() if o.account.address == key), None)

    def _account(self, key: str) -> Account | None:
        owner = self._owner(key)
        return self._tables.account(owner) if owner else None

    def account_by_id(self, account_id: int) -> Account | None:
        owner = self._tables.owners.get(account_id)
        return self._tables.account(owner) if owner else None

    def accounts(self, domain: str | None = None) -> list[Account]:
        home = names.domain_name(domain) if domain is not None else None
        found = [self._tables.account(owner) for owner in self._tables.owners.values()]
        return sorted(
            (a for a in found if home is None or a.domain == home),
            key=lambda a: (a.domain, a.address),
        )

    async def add_account(
        self,
        address: str,
        *,
        password_hash: str = "",
        name: str = "",
        admin: bool = False,
        quota: int = 0,
        seeded: bool = False,
    ) -> Account:
        tables = self._tables
        tables.writable()
        key = names.address(address)
        self._domain(key.rpartition("@")[2])
        if key in tables.aliases:
            raise AlreadyExists(f"{key} is an alias")
        if self._owner(key):
            raise AlreadyExists(f"{key} is here already")
        account = Account(
            id=tables.number("account"),
            address=key,
            name=name,
            password_hash=password_hash,
            seeded=seeded,
            admin=admin,
            quota=quota,
            created=tables.now(),
            folder=key,
        )
        owner = tables.owners[account.id] = Owner(account)
        for mailbox, use in SPECIAL_USES.items():
            tables.make_box(owner, mailbox, use, 1)
            owner.subscriptions.add(mailbox)
        tables.notices.notify(account.id, 1)
        return tables.account(owner)

    async def update_account(
        self,
        account_id: int,
        *,
        password_hash: str | None = None,
        name: str | None = None,
        admin: bool | None = None,
        enabled: bool | None = None,
        quota: int | None = None,
        seeded: bool | None = None,
    ) -> Account:
        self._tables.writable()
        owner = self._tables.owner(account_id)
        if password_hash is not None and seeded is None:
            seeded = False
        given: dict[str, Any] = {
            "password_hash": password_hash,
            "name": name,
            "admin": admin,
            "enabled": enabled,
            "quota": quota,
            "seeded": seeded,
        }
        changes = {key: value for key, value in given.items() if value is not None}
        owner.account = replace(owner.account, **changes)
        return self._tables.account(owner)

    async def remove_account(self, account_id: int) -> None:
        tables = self._tables
        tables.writable()
        owner = tables.owner(account_id)
        for box in tables.boxes_of(account_id).values():
            del tables.boxes[box.id]
            tables.registry.drop(box.id)
        tables.sessions = {d: s for d, s in tables.sessions.items() if s.account_id != account_id}
        del tables.owners[account_id]
        tables.registry.forget_account(account_id)
        tables.notices.notify(account_id, owner.modseq + 1)

    def over_quota(self, account_id: int, octets: int = 0) -> bool:
        account = self.account_by_id(account_id)
        return account is not None and 0 < account.quota < account.used + octets

    # Aliases.

    def alias(self, address: str) -> Alias | None:
        try:
            return self._tables.aliases.get(names.address(address))
        except InvalidName:
            return None

    def aliases(self, domain: str | None = None) -> list[Alias]:
        home = names.domain_name(domain) if domain is not None else None
        found = [
            (alias.address.rpartition("@")[2], address, alias)
            for address, alias in self._tables.aliases.items()
        ]
        found.sort(key=lambda item: item[:2])
        return [alias for place, _, alias in found if home is None or place == home]

    async def set_alias(
        self, address: str, targets: Sequence[str], *, enabled: bool = True
    ) -> Alias:
        tables = self._tables
        tables.writable()
        key = names.address(address)
        listed = tuple(dict.fromkeys(names.address(target) for target in targets))
        if not listed:
            raise InvalidName("an alias stands for at least one address")
        self._domain(key.rpartition("@")[2])
        if self._owner(key):
            raise AlreadyExists(f"{key} is an account")
        before = tables.aliases.get(key)
        created = before.created if before else tables.now()
        tables.aliases[key] = Alias(address=key, targets=listed, created=created, enabled=enabled)
        return tables.aliases[key]

    async def remove_alias(self, address: str) -> None:
        self._tables.writable()
        key = names.address(address)
        if self._tables.aliases.pop(key, None) is None:
            raise NotFound(f"{key} is not an alias")

    def resolve_recipient(self, address: str) -> Resolution:
        return names.resolve(
            address,
            domain=self._tables.domains.get,
            account=self._account,
            alias=self._tables.aliases.get,
        )

    # App passwords.

    def app_passwords(self, account_id: int) -> list[AppPassword]:
        owner = self._tables.owners.get(account_id)
        return list(owner.app_passwords.values()) if owner else []

    async def add_app_password(
        self,
        account_id: int,
        name: str,
        secrets: Mapping[str, str],
        *,
        scopes: Iterable[str] = (),
    ) -> AppPassword:
        self._tables.writable()
        owner = self._tables.owner(account_id)
        password = AppPassword(
            id=self._tables.number("app password"),
            account_id=account_id,
            name=name,
            secrets=dict(secrets),
            scopes=frozenset(scopes),
            created=self._tables.now(),
        )
        owner.app_passwords[password.id] = password
        return password

    async def remove_app_password(self, account_id: int, app_password_id: int) -> None:
        self._tables.writable()
        owner = self._tables.owners.get(account_id)
        if owner is None or owner.app_passwords.pop(app_password_id, None) is None:
            raise NotFound("there is no such app password")

    async def touch_app_password(self, app_password_id: int, client: str) -> None:
        self._tables.writable()
        for owner in self._tables.owners.values():
            password = owner.app_passwords.get(app_password_id)
            if password is not None:
                owner.app_passwords[app_password_id] = replace(
                    password, last_used=self._tables.now(), last_address=client
                )

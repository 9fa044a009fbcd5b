"""A site over a store in a temporary folder: alice, bob, an administrator, and browsers without one."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, final, overload

import httpx
from starlette.applications import Starlette

from corvus_auth import passwords
from corvus_auth.lookup import Answer
from corvus_server.accounts.limits import RecipientBudget
from corvus_server.accounts.lockout import Lockout
from corvus_server.accounts.passwords import PasswordChecker
from corvus_server.accounts.signin import SignIn
from corvus_server.config import load
from corvus_server.log import silent_log
from corvus_server.operations import Operations
from corvus_server.outbound.submission import Signers, Submitter
from corvus_server.storage.memory import MemoryStore
from corvus_server.storage.protocols import Store
from corvus_server.storage.sqlite import SQLiteStore
from corvus_server.storage.values import Account, Delivery, Intake, Mailbox, NewMessage, Verdict
from corvus_server.testing.world import Clock, mail
from corvus_server.web import sessions
from corvus_server.web.app import build_app
from corvus_server.web.services import Services

SECRET = "correct horse"


def verify(stored: str, secret: str) -> bool:
    """Passwords that cost nothing, and real ones."""
    if stored.startswith("plain:"):
        return stored == f"plain:{secret}"
    try:
        passwords.verify(stored, secret)
    except passwords.PasswordError:
        return False
    return True


@final
class Silence:
    """A resolver that knows what it was told."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], tuple[Any, ...]] = {}

    async def aresolve(self, name: str, rdtype: str) -> Answer:
        found = self.records.get((name, rdtype))
        return Answer("nxdomain") if found is None else Answer("ok", found)


@final
class Browser:
    """Somebody's browser: cookies, and forms with their token."""

    def __init__(
        self, app: Starlette, *, peer: str = "203.0.113.9", base: str = "http://corvus.local"
    ) -> None:
        transport = httpx.ASGITransport(app=app, client=(peer, 40_000))
        self.http = httpx.AsyncClient(transport=transport, base_url=base)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.http.get(path, **options)

    @property
    def session(self) -> str:
        return str(self.http.cookies.get("corvus-session") or "")

    @property
    def csrf(self) -> str:
        token = self.session or str(self.http.cookies.get("corvus-visitor") or "")
        return sessions.csrf_of(token)

    async def post(
        self,
        path: str,
        data: Mapping[str, Any] | None = None,
        *,
        files: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a form as a page of ours would."""
        return await self.http.post(
            path, data={"csrf": self.csrf, **(data or {})}, files=files, headers=headers
        )

    async def sign_in(self, address: str, secret: str = SECRET, **more: str) -> httpx.Response:
        await self.get("/sign-in")
        return await self.post("/sign-in", {"address": address, "password": secret, **more})


@final
class Site:
    """Everything a test touches."""

    def __init__(self, store: Store, clock: Clock, folder: Path, undo_send: float) -> None:
        self.store = store
        self.clock = clock
        self.resolver = Silence()
        self.log = silent_log(clock)
        environment = {"COR_DATA_DIR": str(folder), "COR_HOSTNAME": "mail.corvus.local",
                       "COR_MAX_MESSAGE_SIZE": "2M"}  # fmt: skip
        config = load(environment, None)
        self.lockout = Lockout(now=clock)
        self._checker = PasswordChecker(verify, "plain:nobody", now=clock)
        count = iter(range(1, 1_000_000))
        self.services = Services(
            config=config,
            store=store,
            operations=Operations(store, now=clock),
            sign_in=SignIn(
                store.directory, store.logins, self._checker, self.lockout,
                log=self.log, now=clock, nonce=lambda: "nonce", dummy_key=b"k" * 32,
            ),
            submitter=Submitter(
                store, hostname="mail.corvus.local", log=self.log, now=clock,
                identifier=lambda: f"{next(count):021x}", signers=Signers(store),
                budget=RecipientBudget(1000, now=clock),
            ),
            log=self.log,
            lockout=self.lockout,
            resolver=self.resolver,
            addresses=lambda: {"imap_tls_addr": "127.0.0.1:9930", "submission_tls_addr": "127.0.0.1:4650"},
            now=clock,
            undo_send=undo_send,
        )  # fmt: skip
        self.app = build_app(self.services)
        self.alice: Account
        self.bob: Account
        self.admin: Account
        self._browsers: list[Browser] = []

    async def furnish(self) -> None:
        directory = self.store.directory
        await directory.add_domain("corvus.local")
        hashed = f"plain:{SECRET}"
        self.alice = await directory.add_account(
            "alice@corvus.local", password_hash=hashed, name="Alice"
        )
        self.bob = await directory.add_account("bob@corvus.local", password_hash=hashed, name="Bob")
        self.admin = await directory.add_account(
            "root@corvus.local", password_hash=hashed, admin=True
        )

    def browser(self, **options: str) -> Browser:
        made = Browser(self.app, **options)
        self._browsers.append(made)
        return made

    async def signed_in(self, address: str = "alice@corvus.local") -> Browser:
        browser = self.browser()
        answer = await browser.sign_in(address)
        assert answer.status_code == 303, answer.text
        return browser

    def box(self, name: str = "INBOX", account: Account | None = None) -> Mailbox:
        found = self.store.mailboxes.get((account or self.alice).id, name)
        assert found is not None
        return found

    async def deliver(
        self,
        raw: bytes | None = None,
        *,
        account: Account | None = None,
        mailbox: str = "INBOX",
        tree: Mapping[str, Any] | None = None,
        flags: Iterable[str] = (),
    ) -> int:
        """A mail from outside; its UID."""
        verdict = None
        if tree is not None:
            verdict = Verdict(action="accept", tree=tree, sentence=str(tree.get("sentence", "")))
        with self.store.new_body() as body:
            body.write(mail() if raw is None else raw)
            done = await self.store.accept(
                Intake(
                    body=body,
                    deliveries=[
                        Delivery(
                            account_id=(account or self.alice).id,
                            mailbox=mailbox,
                            flags=frozenset(flags),
                        )
                    ],
                    verdict=verdict,
                )
            )
        (filed,) = done.filed
        assert filed is not None
        return filed.uid

    async def append(self, count: int, box: Mailbox | None = None) -> None:
        """Many small mails."""
        where = box or self.box()
        for start in range(0, count, 500):
            messages = []
            for number in range(start, min(start + 500, count)):
                body = self.store.new_body()
                body.write(mail(f"number {number}", message_id=f"{number}@x"))
                messages.append(NewMessage(body=body))
            await self.store.messages.append(where.id, messages)
            for message in messages:
                message.body.discard()

    def uids(self, name: str = "INBOX", account: Account | None = None) -> list[int]:
        box = self.box(name, account)
        return [row[0] for row in self.store.messages.fetch(box.id, range(1, 2000), ("flags",))]

    def raw(self, name: str, uid: int, account: Account | None = None) -> bytes:
        (body,) = self.store.messages.bodies(self.box(name, account).id, [uid])
        return self.store.messages.read_body(body)

    async def flags(
        self, uid: int, name: str = "INBOX", account: Account | None = None
    ) -> set[str]:
        (summary,) = self.store.messages.summaries(self.box(name, account).id, [uid])
        return set(summary.flags)

    async def close(self) -> None:
        for browser in self._browsers:
            await browser.http.aclose()
        self._checker.close()


Test = Callable[[Site], Awaitable[None]]
Run = Callable[[Path], None]


@overload
def site(test: Test) -> Run: ...
@overload
def site(*, undo_send: float = 0.0, on_disk: bool = False) -> Callable[[Test], Run]: ...
def site(test: Test | None = None, *, undo_send: float = 0.0, on_disk: bool = False) -> Any:
    """
    Make a coroutine with a `Site` a test; the store is checked at its end (R12).

    Args:
        on_disk: The pages know only the Protocols, whose two implementations pass one suite; so
            most tests take the one that is quick.
    """
    if test is None:
        return functools.partial(site, undo_send=undo_send, on_disk=on_disk)
    wanted = test

    def run(tmp_path: Path) -> None:
        async def main() -> None:
            clock = Clock()
            store: Store = MemoryStore(now=clock)
            if on_disk:
                store = SQLiteStore(tmp_path / "data", now=clock)
            try:
                made = Site(store, clock, tmp_path / "data", undo_send)
                await made.furnish()
                try:
                    await wanted(made)
                    assert await store.check() == []
                finally:
                    await made.close()
            finally:
                await store.close()

        asyncio.run(main())

    run.__name__ = wanted.__name__
    run.__doc__ = wanted.__doc__
    run.__module__ = wanted.__module__
    return run


def said(answer: httpx.Response) -> str:
    """The words of a page, without its tags."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", answer.text, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", " ", body)
    return " ".join(text.replace("&#39;", "'").replace("&amp;", "&").split())

"""Who is let in with what, over a store in memory."""

from __future__ import annotations

import asyncio

import pytest

from corvus_auth import passwords
from corvus_server.accounts.lockout import Lockout
from corvus_server.accounts.passwords import PasswordChecker
from corvus_server.accounts.signin import SignIn, Visitor
from corvus_server.log import silent_log
from corvus_server.storage.memory import MemoryStore


@pytest.mark.parametrize(
    ("scopes", "service", "opens"),
    [
        ((), "imap", True),
        (("imap",), "imap", True),
        (("imap",), "submission", False),
        ((), "web", False),
        (("web",), "web", False),
    ],
)
def test_an_app_password_opens_what_it_was_made_for_and_never_the_pages(
    scopes: tuple[str, ...], service: str, opens: bool
) -> None:
    made = passwords.new_app_password()

    async def main() -> bool:
        checker = PasswordChecker(lambda stored, secret: stored == secret, "-", now=lambda: 0.0)
        async with MemoryStore() as store:
            await store.directory.add_domain("corvus.test")
            account = await store.directory.add_account("ann@corvus.test", password_hash="other")
            await store.directory.add_app_password(
                account.id, "phone", {"hash": made.hash}, scopes=scopes
            )
            sign_in = SignIn(
                store.directory,
                store.logins,
                checker,
                Lockout(now=lambda: 0.0),
                log=silent_log(),
                now=lambda: 0.0,
                nonce=lambda: "nonce",
                dummy_key=b"k" * 32,
            )
            visitor = Visitor(service, "c-1", "203.0.113.7", None)
            ended = await sign_in.password(visitor, "ann@corvus.test", made.secret.reveal())
        checker.close()
        return ended.account is not None

    assert asyncio.run(main()) is opens

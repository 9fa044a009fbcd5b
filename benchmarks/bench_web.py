"""
The pages of a large mailbox: milliseconds at the server, kilobytes on the way.

``python benchmarks/bench_web.py [--messages 100000] [--folder DIR]``

Requests go through the whole application (guard, session, store, template) without a socket.  "first" is the first
request of a process that has just opened the store; the limits are those that the design names.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from corvus_server.accounts.limits import RecipientBudget
from corvus_server.accounts.lockout import Lockout
from corvus_server.accounts.passwords import PasswordChecker
from corvus_server.accounts.signin import SignIn
from corvus_server.config import load
from corvus_server.log import silent_log
from corvus_server.operations import Operations
from corvus_server.outbound.submission import Signers, Submitter
from corvus_server.storage.sqlite import SQLiteStore
from corvus_server.storage.values import NewMessage
from corvus_server.web.app import build_app
from corvus_server.web.services import Services
from corvus_server.web.sessions import csrf_of

#: Page, what it is, milliseconds allowed.
PAGES = (
    ("/mail/inbox", "first page of the folder", 100.0),
    ("/mail/inbox?before={middle}", "a page in the middle", 100.0),
    ("/mail/inbox/{last}", "a mail beside the list", 100.0),
    ("/mail/inbox?q=subject:{rare}", "search: one mail", 150.0),
    ("/mail/inbox?q=from:c5@", "search: one sender in a hundred", 150.0),
    ("/mail/inbox?q=is:unread", "search: unread", 150.0),
    ("/mail/inbox?q=many", "search: every mail", 150.0),
)


def message(number: int) -> bytes:
    return (
        f"From: Crow {number % 97} <c{number % 97}@crow.example>\r\nTo: bob@corvus.local\r\n"
        f"Subject: Message {number:06d} of many\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\n\r\n"
        f"Body of number {number}.\r\n"
    ).encode()


async def fill(store: SQLiteStore, count: int) -> None:
    await store.directory.add_domain("corvus.local")
    bob = await store.directory.add_account("bob@corvus.local", password_hash="plain")
    box = store.mailboxes.get(bob.id, "INBOX")
    assert box is not None
    for start in range(0, count, 2000):
        batch = []
        for number in range(start, min(start + 2000, count)):
            body = store.new_body()
            body.write(message(number))
            seen = frozenset({"\\Seen"}) if number % 5 else frozenset[str]()
            batch.append(NewMessage(body=body, flags=seen))
        await store.messages.append(box.id, batch)
        for each in batch:
            each.body.discard()
    await store.messages.index()


def services(store: SQLiteStore, folder: Path) -> Services:
    log = silent_log()
    lockout = Lockout(now=time.monotonic)
    checker = PasswordChecker(lambda stored, secret: stored == secret, "nobody", now=time.monotonic)
    config = load({"COR_DATA_DIR": str(folder), "COR_HOSTNAME": "mail.corvus.local"}, None)
    return Services(
        config=config,
        store=store,
        operations=Operations(store),
        sign_in=SignIn(
            store.directory, store.logins, checker, lockout,
            log=log, now=time.time, nonce=lambda: "nonce", dummy_key=os.urandom(32),
        ),
        submitter=Submitter(
            store, hostname=config.hostname, log=log, now=time.time, identifier=lambda: "id",
            signers=Signers(store), budget=RecipientBudget(0, now=time.monotonic),
        ),
        log=log,
        lockout=lockout,
    )  # fmt: skip


async def measure(folder: Path, count: int) -> None:
    store = SQLiteStore(folder)
    app = build_app(services(store, folder))
    app.state.site.templates.warm()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://corvus.local") as client:
        await client.get("/sign-in")
        form = {"address": "bob@corvus.local", "password": "plain"}
        token = csrf_of(str(client.cookies.get("corvus-visitor")))
        answer = await client.post("/sign-in", data={**form, "csrf": token})
        assert answer.status_code == 303, answer.text
        names = {"middle": count // 2, "last": count, "rare": f"{count // 3:06d}"}
        print(f"{'page':<36}{'first ms':>10}{'median ms':>11}{'allowed':>9}{'KB':>8}")
        for path, what, allowed in PAGES:
            taken = []
            for _ in range(7):
                began = time.perf_counter()
                answer = await client.get(path.format(**names))
                taken.append((time.perf_counter() - began) * 1000)
                assert answer.status_code == 200, answer.text
            size = len(answer.content) / 1000
            print(
                f"{what:<36}{taken[0]:>10.1f}{statistics.median(taken):>11.1f}{allowed:>9.0f}{size:>8.1f}"
            )
    await store.close()


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name) / "data"
        store = SQLiteStore(folder)
        await fill(store, options.messages)
        await store.close()
        print(f"{options.messages:,} messages in the folder")
        await measure(folder, options.messages)


if __name__ == "__main__":
    asyncio.run(main())

"""The clients people have: imaplib, imapclient, aioimaplib."""

from __future__ import annotations

import asyncio
import imaplib
from typing import Any

import pytest

from .running import ALICE, PASSWORD, Running, mail


def test_imaplib_does_a_day_of_mail(server: Running) -> None:
    first, second = mail("lunch"), mail("dinner", "At eight, with Ümlauts")
    with imaplib.IMAP4("127.0.0.1", server.port, timeout=10) as client:
        assert client.login(ALICE, PASSWORD)[0] == "OK"
        status, boxes = client.list()
        assert status == "OK"
        assert b'(\\HasNoChildren \\Sent) "/" Sent' in boxes
        assert client.append("INBOX", "(\\Seen work)", None, first)[0] == "OK"
        assert client.append("INBOX", "", None, second)[0] == "OK"
        assert client.select("INBOX") == ("OK", [b"2"])
        _, found = client.fetch("1:*", "(FLAGS RFC822.SIZE BODY.PEEK[])")
        bodies = [part[1] for part in found if isinstance(part, tuple)]
        assert bodies == [first, second]
        assert client.search(None, "SUBJECT", "dinner") == ("OK", [b"2"])
        assert client.search("UTF-8", "BODY", '"MLAUTS"') == ("OK", [b"2"])
        assert client.store("2", "+FLAGS", "(\\Flagged)")[1] == [b"2 (FLAGS (\\Flagged \\Recent))"]
        assert client.copy("1:2", "Archive")[0] == "OK"
        assert client.store("1", "+FLAGS.SILENT", "(\\Deleted)")[0] == "OK"
        assert client.expunge() == ("OK", [b"1"])
        assert client.status("Archive", "(MESSAGES UIDNEXT)")[1] == [
            b"Archive (MESSAGES 2 UIDNEXT 3)"
        ]
        assert client.close()[0] == "OK"


def test_imapclient_reads_its_mail(server: Running) -> None:
    imapclient: Any = pytest.importorskip("imapclient")
    server.put(mail("one"), mail("two"))
    with imapclient.IMAPClient("127.0.0.1", server.port, ssl=False, timeout=10) as client:
        client.login(ALICE, PASSWORD)
        assert client.has_capability("IDLE")
        client.select_folder("INBOX")
        assert client.search(["SUBJECT", "two"]) == [2]
        data = client.fetch(
            [1, 2], ["ENVELOPE", "FLAGS", "BODYSTRUCTURE", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]"]
        )
        assert [data[uid][b"ENVELOPE"].subject for uid in (1, 2)] == [b"one", b"two"]
        client.move([1], "Archive")
        assert client.search() == [2]
        client.idle()
        server.put(mail("three"))
        assert (2, b"EXISTS") in client.idle_check(timeout=5)
        client.idle_done()
        assert client.sort(["SUBJECT"]) == [3, 2]
        assert client.thread("REFERENCES") == ((2,), (3,))


def test_aioimaplib_waits_in_idle(server: Running) -> None:
    aioimaplib: Any = pytest.importorskip("aioimaplib")

    async def main() -> None:
        client = aioimaplib.IMAP4("127.0.0.1", server.port, timeout=10)
        await client.wait_hello_from_server()
        await client.login(ALICE, PASSWORD)
        await client.select("INBOX")
        idle = await client.idle_start(timeout=10)
        await asyncio.to_thread(server.put, mail("news"))
        assert b"1 EXISTS" in await client.wait_server_push(timeout=5)
        client.idle_done()
        await asyncio.wait_for(idle, 5)
        found = await client.fetch("1", "(BODY.PEEK[])")
        assert mail("news") in [bytes(line) for line in found.lines]
        await client.logout()
        client.protocol.transport.abort()
        for _ in range(3):  # until the transport has let go of its socket
            await asyncio.sleep(0)

    asyncio.run(main())

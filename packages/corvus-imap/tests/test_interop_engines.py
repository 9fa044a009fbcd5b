"""Other people's clients drive the example servers over loopback."""

from __future__ import annotations

import asyncio
import imaplib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(
        not (EXAMPLES / "imap_archive.py").exists(), reason="the examples are not in this tree"
    ),
]

MAIL = (
    b"From: Alice <alice@example.org>\r\nTo: bob@example.org\r\nSubject: =?utf-8?q?Caf=C3=A9?= news\r\n"
    b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-ID: <a@example.org>\r\n\r\nhello\r\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.eml").write_bytes(MAIL)
    (tmp_path / "b.eml").write_bytes(MAIL.replace(b"news", b"olds"))
    return tmp_path


def load(name: str) -> ModuleType:
    sys.path.insert(0, str(EXAMPLES))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(EXAMPLES))


@pytest.fixture
def threads_port(folder: Path) -> Iterator[int]:
    server = load("imap_threads").Server(folder, 0)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def test_imaplib_reads_the_archive_that_threads_serve(threads_port: int) -> None:
    client = imaplib.IMAP4("127.0.0.1", threads_port, timeout=10)
    try:
        assert client.login("anybody", 'with "quotes" \\ and spaces')[0] == "OK"
        assert client.select("INBOX", readonly=True) == ("OK", [b"2"])
        assert client.search(None, "SUBJECT", "news") == ("OK", [b"1"])
        client.literal = "café".encode()  # type: ignore[assignment]  # how imaplib takes one
        assert client.search("UTF-8", "SUBJECT") == ("OK", [b"1 2"])
        status, data = client.fetch("1:*", "(UID FLAGS ENVELOPE BODY.PEEK[TEXT] RFC822.SIZE)")
        assert status == "OK"
        assert b"RFC822.SIZE %d" % len(MAIL) in repr(data).encode()
        assert client.uid("FETCH", "2", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[0] == "OK"
        assert client.append("INBOX", "", imaplib.Time2Internaldate(0), MAIL)[0] == "NO"
        assert client.store("1", "+FLAGS", "\\Seen")[0] == "NO"
        assert client.list()[1] == [b'() "/" INBOX']
        with pytest.raises(imaplib.IMAP4.error, match="BAD"):
            client.search(None, "NONSENSE")
        assert client.noop()[0] == "OK"
        assert client.close()[0] == "OK"
    finally:
        client.logout()


def test_imapclient_reads_the_archive_that_threads_serve(threads_port: int) -> None:
    imapclient = pytest.importorskip("imapclient", reason="imapclient is an oracle")
    with imapclient.IMAPClient("127.0.0.1", threads_port, ssl=False, timeout=10) as client:
        client.login("anybody", "anything")
        assert client.select_folder("INBOX", readonly=True)[b"EXISTS"] == 2
        assert client.search(["SUBJECT", "olds"]) == [2]
        assert client.search(
            ["OR", ["TEXT", "hello"], ["NOT", "SEEN"], "SINCE", "01-Jan-1990"]
        ) == [1, 2]
        got = client.fetch([1, 2], ["ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "BODY[]"])
        assert got[1][b"BODY[]"] == MAIL
        assert got[1][b"ENVELOPE"].from_[0].mailbox == b"alice"
        assert got[2][b"BODYSTRUCTURE"][0].lower() == b"text"
        client.idle()
        assert client.idle_check(timeout=0.05) == []
        assert client.idle_done()[0] == b"IDLE completed"
        client.unselect_folder()


def test_aioimaplib_reads_the_archive_that_asyncio_serves(folder: Path) -> None:
    aioimaplib = pytest.importorskip("aioimaplib", reason="aioimaplib is an oracle")
    example = load("imap_asyncio")

    async def talk() -> list[Any]:
        server = await example.serve(folder, 0)
        port = server.sockets[0].getsockname()[1]
        client = aioimaplib.IMAP4("127.0.0.1", port, timeout=10)
        await client.wait_hello_from_server()
        answers = [
            await client.login("anybody", "anything"),
            await client.select("INBOX"),
            await client.search("SUBJECT news"),
            await client.fetch("1:2", "(UID BODY.PEEK[])"),
        ]
        idle = await client.idle_start(timeout=5)
        client.idle_done()
        await asyncio.wait_for(idle, 5)
        answers.append(await client.logout())
        server.close()
        await server.wait_closed()
        return answers

    login, select, search, fetch, logout = asyncio.run(talk())
    assert [a.result for a in (login, select, search, fetch, logout)] == ["OK"] * 5
    assert search.lines[0] == b"1"
    assert bytes(fetch.lines[1]) == MAIL


def test_each_example_server_stays_under_eighty_lines() -> None:
    for name in ("imap_archive", "imap_asyncio", "imap_threads"):
        assert (EXAMPLES / f"{name}.py").read_text().count("\n") <= 80

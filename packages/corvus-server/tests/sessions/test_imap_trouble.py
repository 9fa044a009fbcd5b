"""What is said when the store or the disk says no, and histories of several sessions at once."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from corvus_server.storage.errors import OverQuota, StoreUnavailable
from corvus_server.storage.sqlite import SQLiteStore

from .running import Running, Wire, mail


async def _unavailable(*args: Any, **more: Any) -> Any:
    raise StoreUnavailable("the store cannot write: No space left on device")


async def _over_quota(*args: Any, **more: Any) -> Any:
    raise OverQuota("no room")


@pytest.mark.parametrize(
    ("verb", "command"),
    [
        ("append", ""),
        ("store_flags", "STORE 1 +FLAGS (\\Seen)"),
        ("store_flags", "FETCH 1 BODY[]"),
        ("copy", "COPY 1 Archive"),
        ("move", "UID MOVE 1 Archive"),
        ("expunge", "EXPUNGE"),
        ("expunge", "CLOSE"),
        ("search_text", "SEARCH BODY x"),
    ],
)
def test_a_store_that_fails_is_said_and_the_session_goes_on(
    server: Running, monkeypatch: pytest.MonkeyPatch, verb: str, command: str
) -> None:
    server.put(mail(), flags=["\\Deleted"])
    wire = server.wire(select="INBOX")
    with monkeypatch.context() as broken:
        broken.setattr(server.store.messages, verb, _unavailable)
        answer = wire.tagged(command) if command else wire.append(mail())
    assert answer.startswith(b"NO [UNAVAILABLE] ")
    assert b"device" not in answer, "what went wrong inside is not the client's business"
    assert wire.ok("FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS (\\Deleted \\Recent))"]


def test_a_full_account_is_said_at_copy(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    server.put(mail())
    wire = server.wire(select="INBOX")
    monkeypatch.setattr(server.store.messages, "copy", _over_quota)
    assert wire.tagged("COPY 1 Archive").startswith(b"NO [OVERQUOTA] ")


@pytest.mark.parametrize("size", [10, 400_000])
def test_a_body_that_is_lost_costs_one_message_and_not_its_neighbours(
    tmp_path: Path, size: int
) -> None:
    def open_store() -> SQLiteStore:
        return SQLiteStore(tmp_path / "data", background=False, sync="syncfs")

    with Running(open_store, check=False) as server:
        server.put(mail("x", "y" * size))
        bodies = {path for path in (tmp_path / "data" / "mail").rglob("*") if path.is_file()}
        server.put(mail("the other"))
        wire = server.wire(select="INBOX")
        for body in bodies:
            body.unlink()
        lines = wire.cmd("FETCH 1:2 BODY.PEEK[]")
        assert lines[0] == b"* 2 FETCH (BODY[] {%d}\r\n%b)" % (
            len(mail("the other")),
            mail("the other"),
        )
        assert lines[1].startswith(b"NO [CORRUPTION] ")
        assert len(wire.ok("FETCH 1:2 ENVELOPE")) == 2
        assert [event.name for event in server.errors()] == ["body lost"]


class Client(Wire):
    """Keeps the numbers as RFC 9051 §7.5.1 tells to, and notices when they contradict."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.uids: list[int | None] = []

    def finish(self, tag: str) -> list[bytes]:
        lines = super().finish(tag)
        for line in lines[:-1]:
            self.hear(line)
        return lines

    def hear(self, line: bytes) -> None:
        if found := re.match(rb"\* (\d+) EXISTS", line):
            count = int(found[1])
            assert count >= len(self.uids), line
            self.uids += [None] * (count - len(self.uids))
        elif found := re.match(rb"\* (\d+) EXPUNGE", line):
            del self.uids[int(found[1]) - 1]
        elif found := re.match(rb"\* (\d+) FETCH \(.*?UID (\d+)", line):
            number, uid = int(found[1]), int(found[2])
            known = self.uids[number - 1]
            assert known in (None, uid), (line, known)
            self.uids[number - 1] = uid


@pytest.mark.parametrize("seed", range(3))
def test_any_history_of_three_sessions_is_told_consistently(server: Running, seed: int) -> None:
    dice = random.Random(seed)
    server.put(*[mail(str(n)) for n in range(8)])
    clients = []
    for _ in range(3):
        client = Client(server.port)
        client.ok("LOGIN alice@corvus.local pw")
        client.ok("SELECT INBOX")
        client.ok("FETCH 1:* UID")
        clients.append(client)
    for _ in range(60):
        client = dice.choice(clients)
        count = len(client.uids)
        number = dice.randint(1, count) if count else 0
        match dice.randrange(9):
            case 0:
                client.ok(b"APPEND INBOX {%d+}\r\n%b" % (len(mail()), mail()))
            case 1 if number:
                client.cmd(f"STORE {number} +FLAGS (\\Deleted)")
            case 2:
                client.ok("EXPUNGE")
            case 3 if number:
                client.cmd(f"FETCH {number}:* (UID FLAGS)")
            case 4 if number:
                client.cmd(f"MOVE {number} INBOX")
            case 5:
                client.ok("UID FETCH 1:* (FLAGS)")
            case 6 if number:
                client.cmd(f"COPY {number} INBOX")
            case 7:
                client.ok("SEARCH ALL")
            case _:
                client.ok("NOOP")
    states = set()
    for client in clients:
        client.ok("NOOP")
        client.ok("FETCH 1:* (UID FLAGS)" if client.uids else "NOOP")
        states.add(tuple(client.uids))
        client.close()
    box = server.box()
    [uids] = states
    assert len(uids) == box.messages
    assert None not in uids

"""The command ``corvus``: on the store when no server runs, through its socket when one does."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from corvus_server.app import Server, StartError
from corvus_server.cli import main
from corvus_server.config import load

OFF = {
    f"COR_{name}_ADDR": "off"
    for name in (
        "SMTP", "SUBMISSION", "SUBMISSION_TLS", "IMAP", "IMAP_TLS", "POP3", "POP3_TLS", "WEB",
    )
}  # fmt: skip


class Command:
    def __init__(self, folder: Path) -> None:
        self.env = {**OFF, "COR_DATA_DIR": str(folder)}

    def __call__(self, *words: str, code: int = 0, stdin: bytes | None = None) -> Result:
        result = CliRunner().invoke(main, words, env=self.env, input=stdin)
        assert result.exit_code == code, (result.output, result.exception)
        return result

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json").stdout)


@pytest.fixture
def corvus(tmp_path: Path) -> Command:
    return Command(tmp_path / "data")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Server]:
    """A server without listeners, in a thread of its own."""
    ready: Future[tuple[Server, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        config = load(
            {**OFF, "COR_DATA_DIR": str(tmp_path / "data"), "COR_ADMIN_EMAIL": "root@corvus.test",
             "COR_LOG_LEVEL": "error"}
        )  # fmt: skip
        server = Server(config)
        try:
            await server.start()
        except BaseException as error:
            ready.set_exception(error)
            raise
        stop = asyncio.Event()
        ready.set_result((server, asyncio.get_running_loop(), stop))
        await stop.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    server, loop, stop = ready.result(30)
    yield server
    loop.call_soon_threadsafe(stop.set)
    thread.join(30)


def test_seed_makes_what_the_readme_promises_and_changes_nothing_the_second_time(
    corvus: Command,
) -> None:
    first = corvus.json("seed")
    assert first["made"] == [
        "postmaster@corvus.local", "alice@corvus.local", "bob@corvus.local",
    ]  # fmt: skip
    assert first["password"] == "Corvus2026!"
    assert corvus.json("seed")["made"] == []
    rows = {row["address"]: row for row in corvus.json("mailbox", "list")}
    assert rows["postmaster@corvus.local"]["admin"] is True
    assert rows["alice@corvus.local"]["admin"] is False
    assert [row["messages"] for row in rows.values()] == [1, 1, 1]
    assert corvus.json("check") == []


def test_dkim_gen_prints_the_record_of_the_key_it_keeps(corvus: Command) -> None:
    corvus("seed")
    first = corvus("dkim-gen", "corvus.local").stdout
    assert first.startswith('cv1._domainkey.corvus.local. IN TXT "v=DKIM1; k=rsa; p=')
    assert corvus("dkim-gen", "corvus.local").stdout == first
    assert all(len(part) <= 255 for part in first.split('"')[1::2])
    second = corvus.json("dkim-gen", "corvus.local", "--selector", "cv2", "--algorithm", "ed25519")
    assert second["name"] == "cv2._domainkey.corvus.local"
    corvus("dkim-gen", "elsewhere.example", code=1)


def test_domains_mailboxes_and_aliases_come_and_go(corvus: Command) -> None:
    corvus("domain", "add", "corvus.test")
    made = corvus.json("mailbox", "add", "ann@corvus.test")
    assert len(made["password"]) >= 16
    corvus("mailbox", "add", "bob@corvus.test", "long enough")
    corvus("alias", "add", "team@corvus.test", "ann@corvus.test", "carol@crow.example")
    assert corvus.json("alias", "list")[0]["targets"] == ["ann@corvus.test", "carol@crow.example"]
    corvus("domain", "remove", "corvus.test", code=1)
    corvus("alias", "remove", "team@corvus.test")
    corvus("mailbox", "remove", "ann@corvus.test", "--yes")
    corvus("mailbox", "remove", "bob@corvus.test", "--yes")
    corvus("domain", "remove", "corvus.test")
    assert corvus.json("domain", "list") == []


@pytest.mark.parametrize(
    "words",
    [
        ("mailbox", "add", "nobody@elsewhere.example"),
        ("mailbox", "add", "no address"),
        ("mailbox", "remove", "ghost@corvus.local", "--yes"),
        ("passwd", "ghost@corvus.local", "new password"),
        ("passwd", "alice@corvus.local", "short"),
        ("queue", "show", "7"),
        ("dkim-gen", "elsewhere.example"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(
    corvus: Command, words: tuple[str, ...]
) -> None:
    corvus("seed")
    before = corvus.json("mailbox", "list")
    result = corvus(*words, code=1)
    assert result.stderr.startswith("corvus: ")
    assert result.stderr.count("\n") == 1
    assert corvus.json("mailbox", "list") == before


def test_a_wrong_setting_is_one_sentence(corvus: Command) -> None:
    corvus.env["COR_GREYLIST"] = "sometimes"
    result = corvus("mailbox", "list", code=1)
    assert "COR_GREYLIST" in result.stderr
    assert "Traceback" not in result.output


def test_commands_work_beside_a_running_server_and_are_seen_by_it(
    running: Server, corvus: Command
) -> None:
    corvus("mailbox", "add", "ann@corvus.test", "long enough")
    account = running.store.directory.account("ann@corvus.test")
    assert account is not None
    before = account.password_hash
    corvus("passwd", "ann@corvus.test", "another password")
    after = running.store.directory.account("ann@corvus.test")
    assert after is not None
    assert after.password_hash != before
    assert corvus.json("queue", "list") == []
    assert corvus.json("check") == []


def test_a_second_server_on_the_same_folder_is_refused_in_words(
    running: Server, tmp_path: Path
) -> None:
    async def second() -> None:
        await Server(load({**OFF, "COR_DATA_DIR": str(tmp_path / "data")})).start()

    with pytest.raises(StartError, match="in use by corvus serve"):
        asyncio.run(second())


def test_a_seeded_password_keeps_the_server_at_home(corvus: Command, tmp_path: Path) -> None:
    corvus("seed")
    public = {**OFF, "COR_DATA_DIR": str(tmp_path / "data"), "COR_SMTP_ADDR": "0.0.0.0:0"}

    async def start() -> None:
        await Server(load(public)).start()

    with pytest.raises(StartError, match="published password"):
        asyncio.run(start())


def test_the_first_start_makes_an_administrator_and_tells_the_password_once(
    tmp_path: Path,
) -> None:
    environment = {
        **OFF, "COR_DATA_DIR": str(tmp_path), "COR_ADMIN_EMAIL": "root@corvus.test",
        "COR_LOG_LEVEL": "error",
    }  # fmt: skip

    async def start() -> str | None:
        server = Server(load(environment))
        await server.start()
        try:
            assert [a.address for a in server.store.directory.accounts()] == ["root@corvus.test"]
            return server.first_password
        finally:
            await server.stop()

    assert asyncio.run(start())
    assert asyncio.run(start()) is None


def test_a_start_on_nothing_says_what_to_set(tmp_path: Path) -> None:
    async def start() -> None:
        await Server(load({**OFF, "COR_DATA_DIR": str(tmp_path)})).start()

    with pytest.raises(StartError, match="COR_ADMIN_EMAIL"):
        asyncio.run(start())


def test_authenticate_judges_a_message_from_standard_input(corvus: Command, tmp_path: Path) -> None:
    zone = tmp_path / "zone.json"
    zone.write_text(
        json.dumps(
            {
                "crow.example": {"TXT": ["v=spf1 ip4:203.0.113.25 -all"]},
                "_dmarc.crow.example": {"TXT": ["v=DMARC1; p=reject"]},
            }
        )
    )
    raw = b"From: carol@crow.example\nSubject: x\n\nHi\n"
    words = ("authenticate", "--zone", str(zone), "--from", "carol@crow.example", "--helo", "mx")
    good = corvus(*words, "--ip", "203.0.113.25", stdin=raw)
    assert "crow.example is vouched for by SPF" in good.stdout
    bad = corvus(*words, "--ip", "198.51.100.1", stdin=raw, code=1)
    assert "Nobody vouches" in bad.stdout


def test_version_names_every_library(corvus: Command) -> None:
    lines = corvus("version").stdout.splitlines()
    assert len(lines) == 7
    assert all(line.startswith("corvus-") for line in lines)


def test_nothing_heavy_is_imported_to_print_a_version() -> None:
    import subprocess
    import sys

    code = (
        "import sys; import corvus_server.cli; "
        "heavy = {'starlette', 'uvicorn', 'cryptography', 'sqlite3', 'jinja2', 'argon2'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"

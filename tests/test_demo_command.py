"""``corvus demo`` as a program: it gets ready, says what one needs, stops cleanly, keeps the mail."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

NAMES = ("SMTP", "SUBMISSION", "SUBMISSION_TLS", "IMAP", "IMAP_TLS", "POP3", "POP3_TLS", "WEB")


def environment(folder: Path, **more: str) -> dict[str, str]:
    ports = {f"COR_{name}_ADDR": "127.0.0.1:0" for name in NAMES}
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COR_")}
    return {**kept, **ports, "COR_DATA_DIR": str(folder), **more}


class Demo:
    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "corvus_server", "demo"],
            env=environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("Ready."):
                break
        self.text = "".join(self.lines)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_it_prints_everything_stops_at_ctrl_c_and_keeps_the_mail(folder: Path) -> None:
    first = Demo(folder)
    try:
        assert "Ready." in first.text
        for address in ("postmaster@corvus.local", "alice@corvus.local", "bob@corvus.local"):
            assert re.search(rf"{address} +Corvus2026!", first.text)
        for words in (
            "SMTP",
            "submission, STARTTLS",
            "IMAP, TLS",
            "POP3, TLS",
            "certificate SHA-256",
        ):
            assert words in first.text
        web = re.search(r"http://127\.0\.0\.1:[0-9]+/", first.text)
        assert web is not None
        with urllib.request.urlopen(web[0], timeout=10) as page:
            assert page.status == 200
            assert b"Corvus" in page.read()
        print_of = re.search(r"SHA-256 (\S+)", first.text)
        assert print_of is not None
    finally:
        assert first.stop() == 0
    second = Demo(folder)
    try:
        assert print_of[1] in second.text, "the certificate stays the same"
    finally:
        assert second.stop() == 0
    listed = subprocess.run(
        [sys.executable, "-m", "corvus_server", "mailbox", "list", "--json"],
        env=environment(folder), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert re.search(r'"alice@corvus.local".*?"messages": 1', listed.stdout, re.DOTALL)


def test_a_busy_port_is_one_clear_sentence(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-m", "corvus_server", "demo"],
            env=environment(folder, COR_IMAP_ADDR=address),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    [sentence] = [line for line in done.stderr.splitlines() if line.startswith("corvus:")]
    assert address in sentence
    assert "in use" in sentence

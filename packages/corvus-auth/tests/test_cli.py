"""The commands."""

from __future__ import annotations

import builtins
import importlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from corvus_auth.cli import main

ZONE = {
    "example.com": {"TXT": ["v=spf1 ip4:192.0.2.0/24 -all exp=why.example.com"]},
    "why.example.com": {"TXT": ["go away"]},
    "slow.example": {"TXT": "timeout"},
    "_dmarc.example.com": {"TXT": ["v=DMARC1; p=reject; x; rua=mailto:a@example.com"]},
    "bad.example": {"TXT": ["v=spf1 +all"]},
}


@pytest.fixture
def zone(tmp_path: Path) -> str:
    path = tmp_path / "zone.json"
    path.write_text(json.dumps(ZONE), "utf-8")
    return str(path)


def run(*arguments: str, stdin: bytes = b"") -> tuple[int, str]:
    out = io.StringIO()
    status = main(arguments, stdin=io.BytesIO(stdin), stdout=out)
    return status, out.getvalue()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["spf", "192.0.2.1", "a@example.com"], 0, "spf=pass"),
        (["spf", "192.0.3.1", "a@example.com"], 1, "example.com explains: go away"),
        (["spf", "192.0.3.1", "a@other.example"], 2, "spf=none"),
        (["spf", "192.0.3.1", "a@slow.example"], 75, "spf=temperror"),
        (["spf", "192.0.2.1", "<>", "example.com", "--trace"], 0, "192.0.2.1 matches ip4"),
        (["spf", "--explain", "example.com"], 0, "no mistakes found"),
        (["spf", "--explain", "bad.example"], 1, "lets everybody send"),
        (["spf", "--explain", "bad.example", "--json"], 1, '"ok": false'),
        (["dmarc", "example.com", "--dkim", "example.com"], 0, "dmarc=pass"),
        (
            ["dmarc", "a.example.com", "--spf", "example.com"],
            0,
            "organizational domain: example.com",
        ),
        (["dmarc", "example.com"], 1, "problem: not a tag"),
        (["dmarc", "example.net"], 2, "dmarc=none"),
        (["dmarc", "example.com", "--json"], 1, '"disposition": "reject"'),
    ],
)
def test_a_command_says_and_exits(arguments: list[str], status: int, said: str, zone: str) -> None:
    got, out = run(*arguments, "--zone", zone)
    assert got == status
    assert said in out


def test_json_is_json(zone: str) -> None:
    _, out = run("spf", "192.0.2.1", "a@example.com", "--json", "--zone", zone)
    assert json.loads(out)["trace"][0]["outcome"] == "record"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["spf"],
        ["spf", "192.0.2.1"],
        ["spf", "192.0.2", "a@b.example"],
        ["dmarc"],
        ["dmarc", "example.com", "--mode", "x"],
    ],
)
def test_wrong_usage_exits_64(
    arguments: list[str], zone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--zone", zone] if len(arguments) > 1 or arguments == ["spf"] else []
    assert run(*arguments, *more)[0] == 64
    assert "corvus-auth" in capsys.readouterr().err


def test_help_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help")[0] == 0
    assert "authres" in capsys.readouterr().out


def test_a_zone_that_cannot_be_read_exits_64(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("[]", "utf-8")
    for path in (bad, tmp_path / "missing.json"):
        assert run("spf", "192.0.2.1", "a@example.com", "--zone", str(path))[0] == 64
    said = capsys.readouterr().err
    assert "a zone is a JSON object" in said
    assert "bad.json" in said
    bad.write_text("[" * 100_000, "utf-8")
    assert run("spf", "192.0.2.1", "a@example.com", "--zone", str(bad))[0] == 64
    assert "nested too deeply" in capsys.readouterr().err


def test_without_dnspython_a_zone_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "corvus_auth.dns":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert run("spf", "192.0.2.1", "a@example.com")[0] == 64
    assert "corvus-auth[dns]" in capsys.readouterr().err


def test_a_name_server_can_be_named() -> None:
    pytest.importorskip("dns")
    # Port 53 of an address that answers nothing is never asked: the name is no name.
    assert run("spf", "192.0.2.1", "a@localhost", "--nameserver", "127.0.0.1")[0] == 2


MESSAGE = (
    b"Authentication-Results: mx.example.org; dmarc=pass header.from=x\r\n"
    b'Authentication-Results: other.example; spf=fail reason="a\x1bb" smtp.mailfrom=a@x.example\r\n'
    b"\r\nbody\r\n"
)


def test_authres_reads_messages_and_fields() -> None:
    status, out = run("authres", stdin=MESSAGE)
    assert status == 0
    assert "  spf=fail (a\\x1bb) smtp.mailfrom=a@x.example" in out
    assert "\x1b" not in out
    status, out = run("authres", "--json", stdin=b"mx.example.org 1; none")
    assert json.loads(out) == [{"authserv_id": "mx.example.org", "version": 1, "results": []}]
    assert run("authres", stdin=b"")[0] == 2
    status, out = run("authres", stdin=b"mx.example.org; broken")
    assert (status, "cannot be read" in out) == (1, True)


def test_authres_strips() -> None:
    _, out = run("authres", "--strip", "MX.example.org", stdin=MESSAGE)
    assert "dmarc=pass" not in out
    assert "other.example" in out


def test_authres_strips_octet_for_octet() -> None:
    class Out(io.StringIO):
        buffer = io.BytesIO()

    out = Out()
    main(["authres", "--strip", "mx.example.org"], stdin=io.BytesIO(b"A: \xff\r\n\r\n"), stdout=out)
    assert out.buffer.getvalue() == b"A: \xff\r\n\r\n"


def test_input_has_a_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("corvus_auth.cli.MAX_INPUT", 10)
    assert run("authres", stdin=b"x" * 11)[0] == 64
    assert "too large" in capsys.readouterr().err


def test_the_entry_point_is_the_command() -> None:
    assert importlib.import_module("corvus_auth.__main__").main is main


def test_it_runs_as_a_module(zone: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "corvus_auth", "spf", "192.0.2.1", "a@example.com", "--zone", zone],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout[:8]) == (0, "spf=pass")

"""The command, as a program sees it: files, standard streams, exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from corvus_dkim import cli, key_record


@pytest.fixture
def run(tmp_path: Path, capsysbinary: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command in an empty folder: ``run(*arguments, stdin=b"")``."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, stdin: bytes = b"") -> tuple[int, bytes, str]:
        class Standard:
            buffer = io.BytesIO(stdin)

        monkeypatch.setattr("sys.stdin", Standard)
        try:
            code = cli.main(arguments)
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        out, err = capsysbinary.readouterr()
        return code, out, err.decode()

    return call


@pytest.fixture
def folder(tmp_path: Path, world: Any) -> Path:
    """A folder with keys, a message and a zone."""
    for selector, key in world.keys.items():
        (tmp_path / f"{selector}.pem").write_text(key.to_pem())
    (tmp_path / "mail").write_bytes(world.message)
    (tmp_path / "zone.json").write_text(json.dumps(world.zone))
    return tmp_path


def test_sign_and_verify_through_files_and_streams(run: Any, folder: Path, world: Any) -> None:
    code, out, err = run(
        "sign", "-d", "example.com", "-s", "rsa", "-k", "rsa.pem", stdin=world.message
    )
    assert (code, err) == (0, "")
    assert out.endswith(world.message)
    code, shown, _ = run("verify", "--zone", "zone.json", stdin=out)
    assert code == 0
    assert shown == (b"pass: d=example.com s=rsa a=rsa-sha256 2048 bits: signature verified\n")
    code, out, _ = run(
        "sign", "--domain", "example.com", "-s", "rsa", "-k", "rsa.pem", "-s", "ed25519", "-k",
        "ed25519.pem", "--identity", "joe@example.com", "--headers", "From,Subject",
        "--canonicalization", "simple/simple", "--expire", "2h", "--timestamp", "1700000000",
        "mail", "-o", "signed",
    )  # fmt: skip
    assert (code, out) == (0, b"")
    signed = (folder / "signed").read_bytes()
    assert signed.count(b"x=1700007200;") == 2
    assert b"i=joe@example.com;" in signed
    code, out, _ = run("verify", "--zone", "zone.json", "--now", "1700000000", "--json", "signed")
    assert code == 0
    assert [r["status"] for r in json.loads(out)["signatures"]] == ["pass", "pass"]


def test_exit_codes_are_pass_fail_none_and_temporary(run: Any, folder: Path, world: Any) -> None:
    signed = world.signed()
    zone = ("--zone", "zone.json", "--now", str(world.now))
    assert run("verify", *zone, stdin=signed)[0] == 0
    assert run("verify", *zone, stdin=signed.replace(b"Hi.", b"Ha."))[0] == 1
    code, out, _ = run("verify", *zone, stdin=world.message)
    assert (code, out) == (2, b"none: no DKIM-Signature\n")
    (folder / "zone.json").write_text(json.dumps({world.name("ed25519"): {"TXT": "timeout"}}))
    assert run("verify", *zone, stdin=signed)[0] == 75
    assert run("verify", *zone, stdin=world.signed(selector="rsa"))[0] == 1


def test_policy_and_line_ends_are_options(run: Any, folder: Path, world: Any) -> None:
    zone = ("--zone", "zone.json")
    old = world.signed(selector="rsa")
    late = (*zone, "--now", str(world.now + 10**7))
    assert run("verify", *late, stdin=old)[0] == 1
    assert run("verify", *late, "--ignore-expiry", stdin=old)[0] == 0
    now = (*zone, "--now", str(world.now))
    assert run("verify", *now, "--minimum-rsa-bits", "4096", stdin=old)[0] == 1
    local = old.replace(b"\r\n", b"\n")
    assert run("verify", *now, stdin=local)[0] == 1
    assert run("verify", *now, "--normalise", "--accept-body-length", stdin=local)[0] == 0
    code, out, err = run(
        "sign", "-d", "example.com", "-s", "rsa", "-k", "rsa.pem",
        stdin=world.message.replace(b"\r\n", b"\n"),
    )  # fmt: skip
    assert (code, out) == (65, b"")
    assert "bare CR or LF" in err
    code, out, _ = run(
        "sign", "-d", "example.com", "-s", "rsa", "-k", "rsa.pem", "--normalise", "-x", "never",
        stdin=world.message.replace(b"\r\n", b"\n"),
    )  # fmt: skip
    assert out.endswith(world.message)
    assert run("verify", *zone, stdin=out)[0] == 0


def test_the_field_alone_and_as_json(run: Any, folder: Path) -> None:
    options = ("sign", "-d", "example.com", "-s", "rsa", "-k", "rsa.pem", "mail")
    _, out, _ = run(*options, "--field-only")
    assert out.startswith(b"DKIM-Signature: ")
    assert out.count(b"\r\n") == out.count(b"\r\n ") + 1
    _, out, _ = run(*options, "--json")
    assert json.loads(out)["fields"].startswith("DKIM-Signature: ")


def test_chains_are_verified_when_asked(run: Any, folder: Path, world: Any) -> None:
    zone = ("--zone", "zone.json", "--now", str(world.now))
    _, out, _ = run("verify", *zone, "--arc", stdin=world.signed())
    assert out.endswith(b"arc=none: no chain\n")
    _, out, _ = run("verify", *zone, "--arc", "--json", stdin=world.signed())
    assert json.loads(out)["arc"]["status"] == "none"


def test_keys_are_made_and_never_overwritten(run: Any, folder: Path) -> None:
    code, out, _ = run("keygen", "--ed25519", "-d", "a.example", "-s", "s1", "-o", "new.pem")
    assert code == 0
    assert out.startswith(b"s1._domainkey.a.example. TXT\nv=DKIM1; k=ed25519; p=")
    assert (folder / "new.pem").stat().st_mode & 0o777 == 0o600
    before = (folder / "new.pem").read_bytes()
    code, _, err = run("keygen", "--ed25519", "-o", "new.pem")
    assert code == 65
    assert "exists" in err
    assert (folder / "new.pem").read_bytes() == before
    assert run("keygen", "--ed25519", "--force", "-o", "new.pem", "--json")[0] == 0
    assert (folder / "new.pem").read_bytes() != before
    code, out, err = run("keygen", "--rsa", "1024")
    assert out.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert err.startswith("v=DKIM1; k=rsa; p=")
    assert run("keygen", "--json")[0] == 64
    assert run("keygen", "--rsa", "512")[0] == 65


def test_encrypted_keys_need_their_pass_phrase(run: Any, folder: Path) -> None:
    (folder / "phrase").write_text("öpen\n")
    run("keygen", "--ed25519", "--password-file", "phrase", "-o", "locked.pem")
    assert b"ENCRYPTED" in (folder / "locked.pem").read_bytes()
    code, _, err = run("record", "-k", "locked.pem")
    assert code == 65
    assert "encrypted" in err
    assert run("record", "-k", "locked.pem", "--password-file", "phrase")[0] == 0
    signing = ("sign", "-d", "a.example", "-s", "s", "-k", "locked.pem", "mail")
    assert run(*signing, "--password-file", "phrase")[0] == 0


def test_records_are_printed_in_every_form(run: Any, folder: Path, world: Any) -> None:
    record = key_record(world.keys["rsa"]).encode()
    assert run("record", "-k", "rsa.pem")[1] == record + b"\n"
    _, out, _ = run("record", "-k", "rsa.pem", "-d", "example.com", "-s", "s1", "--bind")
    assert out.startswith(b's1._domainkey.example.com. IN TXT ( "v=DKIM1; k=rsa; p=')
    _, out, _ = run(
        "record", "-k", "-", "--strict", "--testing", stdin=b"" + (folder / "rsa.pem").read_bytes()
    )
    assert out.startswith(b"v=DKIM1; k=rsa; t=y:s; p=")
    _, out, _ = run("record", "-k", "rsa.pem", "-d", "example.com", "-s", "s1", "--json")
    facts = json.loads(out)
    assert facts["record"].encode() == record
    assert facts["name"] == "s1._domainkey.example.com"
    assert facts["fingerprint"] == world.keys["rsa"].fingerprint()


def test_records_are_compared_with_dns(run: Any, folder: Path, world: Any) -> None:
    base = ("record", "-d", "example.com", "--zone", "zone.json", "--check")
    code, out, _ = run(*base, "-k", "rsa.pem", "-s", "rsa")
    assert (code, out) == (0, b"rsa._domainkey.example.com: matches\n")
    code, out, _ = run(*base, "-k", "rsa.pem", "-s", "ed25519", "--json")
    assert (code, json.loads(out)["dns"]) == (1, "different")
    assert run(*base, "-k", "rsa.pem", "-s", "gone")[0] == 2
    (folder / "zone.json").write_text(json.dumps({world.name("rsa"): {"TXT": "timeout"}}))
    assert run(*base, "-k", "rsa.pem", "-s", "rsa")[0] == 75
    assert run("record", "-k", "rsa.pem", "--check")[0] == 64


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 64, "COMMAND"),
        (("fly",), 64, "invalid choice"),
        (("sign",), 64, "--domain"),
        (("sign", "-d", "a.example", "-s", "a", "-s", "b", "-k", "rsa.pem"), 64, "as many"),
        (("sign", "-d", "a.example", "-s", "a", "-k", "rsa.pem", "-c", "relaxed"), 64, "such as"),
        (("sign", "-d", "a.example", "-s", "a", "-k", "rsa.pem", "-x", "soon"), 64, "7d"),
        (("sign", "-d", "a.example", "-s", "a", "-k", "gone.pem"), 66, "gone.pem"),
        (("sign", "-d", "a.example", "-s", "a", "-k", "mail"), 65, "key"),
        (("sign", "-d", "nodots", "-s", "a", "-k", "rsa.pem"), 65, "domain"),
        (("verify", "gone"), 66, "gone"),
        (("verify", "--zone", "mail", "mail"), 65, ""),
        (("verify", "--zone", "x", "--resolver", "y"), 64, "not allowed"),
        (("verify", "--minimum-rsa-bits", "512", "mail"), 65, "RFC 8301"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    run: Any, folder: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    found, out, err = run(*arguments)
    assert (found, out) == (code, b"")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["sign", "verify", "keygen", "record"])
def test_help_has_examples(run: Any, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"examples:\n  corvus-dkim {command} ".encode() in out


def test_dns_is_asked_where_no_zone_is_given(
    run: Any, folder: Path, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dns = pytest.importorskip("corvus_dkim.dns")
    asked: list[Any] = []

    def resolver(nameservers: list[str], *, port: int) -> Any:
        asked.append((list(nameservers), port))
        return Resolver()

    class Resolver:
        def resolve(self, name: str, rdtype: str) -> Any:
            return world.resolver.resolve(name, rdtype)

        def resolve_many(self, lookups: Any) -> list[Any]:
            return [self.resolve(q.name, q.rdtype) for q in lookups]

    monkeypatch.setattr(dns, "DNSResolver", resolver)
    signed = world.signed()
    now = ("--now", str(world.now))
    assert run("verify", *now, stdin=world.signer("rsa").sign(world.message) + signed)[0] == 0
    assert run("verify", *now, "--resolver", "192.0.2.53", stdin=signed)[0] == 0
    assert run("verify", *now, "--resolver", "::1#5353", stdin=signed)[0] == 0
    assert asked == [([], 53), (["192.0.2.53"], 53), (["::1"], 5353)]


def test_a_missing_dnspython_is_told(run: Any, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "corvus_dkim.dns", None)
    code, _, err = run("verify", stdin=world.signed())
    assert code == 69
    assert "corvus-dkim[dns]" in err
    assert run("verify", stdin=world.message)[0] == 2, "nothing has to be asked"


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as out:
        found = subprocess.run(
            [sys.executable, "-m", "corvus_dkim", "record", "-k", str(folder / "rsa.pem")],
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (found.returncode, found.stderr) == (1, b"")


def test_output_that_cannot_be_written_ends_quietly(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (folder / "out").open("wb") as file:

        class Gone(io.StringIO):
            def flush(self) -> None:
                raise BrokenPipeError

            def fileno(self) -> int:
                return file.fileno()

        gone = Gone()
        monkeypatch.setattr("sys.stdout", gone)
        code = cli.main(["record", "-k", str(folder / "rsa.pem")])
        monkeypatch.undo()
        Gone.flush = io.StringIO.flush  # type: ignore[method-assign]  # it is closed in peace
        assert code == 1


def test_the_module_is_the_command(folder: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "corvus_dkim", "record", "-k", str(folder / "ed25519.pem")],
        capture_output=True,
        check=True,
    )
    assert found.stdout.startswith(b"v=DKIM1; k=ed25519; p=")

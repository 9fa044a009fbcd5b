"""The programs in the examples folder run; they are not part of the package's own archive."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"


def run(name: str, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    path = EXAMPLES / name
    if not path.exists():
        pytest.skip(f"{name} is not here: the package is tested alone")
    return subprocess.run(
        [sys.executable, str(path), *arguments], input=stdin, capture_output=True, check=False
    )


def test_sign_and_verify() -> None:
    found = run("dkim_sign_and_verify.py")
    assert found.returncode == 0, found.stderr
    lines = found.stdout.decode().split("\n")
    assert "as sent: pass rsa-sha256 example.com: signature verified" in lines
    assert "as sent: pass ed25519-sha256 example.com: signature verified" in lines
    assert "changed: fail rsa-sha256 example.com: body hash did not verify" in lines


def test_stream_verify(world: Any, tmp_path: Path) -> None:
    zone = tmp_path / "zone.json"
    zone.write_text(json.dumps(world.zone))
    signed = world.signed(expires_in=10**9)
    found = run("dkim_stream_verify.py", str(zone), stdin=signed)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["status"] == "pass"
    assert run("dkim_stream_verify.py", str(zone), stdin=b"From: x\r\n\r\n").returncode == 1

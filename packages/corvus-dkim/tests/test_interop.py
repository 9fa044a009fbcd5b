"""What we sign, others verify, and the other way round: dkimpy, and OpenDKIM from Debian.

200 messages for each pair of canonicalization and algorithm; CORVUS_INTEROP_MESSAGES asks for more.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as pem

import corvus_dkim
from corvus_dkim import Signer, Status, ZoneResolver, arc

pytestmark = pytest.mark.interop

MESSAGES = int(os.environ.get("CORVUS_INTEROP_MESSAGES", "200"))
FORMS = [(h, b) for h in ("simple", "relaxed") for b in ("simple", "relaxed")]
ALGORITHMS = ["rsa", "ed25519"]
BATCH = 200

pairs = pytest.mark.parametrize("form", FORMS, ids="/".join)
algorithms = pytest.mark.parametrize("algorithm", ALGORITHMS)


@pytest.fixture(scope="module")
def keys(small_rsa_key: Any, ed25519_key: Any) -> dict[str, Any]:
    """1024 bits, for dkimpy computes RSA in Python."""
    return {"rsa": small_rsa_key, "ed25519": ed25519_key}


@pytest.fixture(scope="module")
def zone(keys: dict[str, Any]) -> ZoneResolver:
    return ZoneResolver(
        {
            f"{name}._domainkey.example.com": {"TXT": [corvus_dkim.key_record(key)]}
            for name, key in keys.items()
        }
    )


def pkcs1(key: Any) -> bytes:
    octets: bytes = key._key.private_bytes(
        pem.Encoding.PEM, pem.PrivateFormat.TraditionalOpenSSL, pem.NoEncryption()
    )
    return octets


def seed(key: Any) -> bytes:
    octets: bytes = key._key.private_bytes_raw()
    return corvus_dkim.key.to_base64(octets).encode()


# dkimpy.


@pytest.fixture(scope="module")
def dkim() -> Any:
    pytest.importorskip("nacl", reason="dkimpy needs PyNaCl for Ed25519")
    return pytest.importorskip("dkim")


@pytest.fixture(scope="module")
def dnsfunc(zone: ZoneResolver) -> Callable[..., bytes]:
    def ask(name: bytes, timeout: float = 5) -> bytes:
        record: bytes = zone.resolve(name.decode(), "TXT").records[0]
        return record

    return ask


@pairs
@algorithms
def test_dkimpy_verifies_what_we_sign(
    dkim: Any, dnsfunc: Any, generated: Any, keys: Any, algorithm: str, form: tuple[str, str]
) -> None:
    signer = Signer("example.com", algorithm, keys[algorithm], canonicalization=form)
    for message in generated(MESSAGES):
        signed = signer.sign(message) + message
        assert dkim.verify(signed, dnsfunc=dnsfunc), signed


@pairs
@algorithms
def test_we_verify_what_dkimpy_signs(
    dkim: Any, zone: Any, generated: Any, keys: Any, algorithm: str, form: tuple[str, str]
) -> None:
    key = keys[algorithm]
    for message in generated(MESSAGES, seed=2):
        field = dkim.sign(
            message,
            algorithm.encode(),
            b"example.com",
            pkcs1(key) if algorithm == "rsa" else seed(key),
            canonicalize=(form[0].encode(), form[1].encode()),
            signature_algorithm=key.algorithm.encode(),
        )
        (result,) = corvus_dkim.verify(field + message, resolver=zone)
        assert result.status is Status.PASS, (result.reason, field + message)


def test_we_refuse_dkimpys_sha1_and_body_lengths(
    dkim: Any, zone: Any, generated: Any, keys: Any
) -> None:
    for message in generated(5):
        field = dkim.sign(
            message, b"rsa", b"example.com", pkcs1(keys["rsa"]), signature_algorithm=b"rsa-sha1"
        )
        (result,) = corvus_dkim.verify(field + message, resolver=zone)
        assert result.status is Status.PERMERROR
        field = dkim.sign(message, b"rsa", b"example.com", pkcs1(keys["rsa"]), length=True)
        (result,) = corvus_dkim.verify(field + message + b"more\r\n", resolver=zone)
        assert result.status is Status.POLICY
        assert result.unsigned_octets >= 6


def test_chains_go_both_ways(dkim: Any, zone: Any, dnsfunc: Any, generated: Any, keys: Any) -> None:
    pytest.importorskip("authres", reason="dkimpy needs authres to seal")
    signer = Signer("example.com", "rsa", keys["rsa"])
    for message in generated(20):
        ours = arc.seal(message, signer, authserv_id="a.example", results="arc=none") + message
        assert dkim.arc_verify(ours, dnsfunc=dnsfunc)[0] == b"pass"
        arrived = b"Authentication-Results: b.example; arc=pass\r\n" + ours
        fields = dkim.arc_sign(arrived, b"rsa", b"example.com", pkcs1(keys["rsa"]), b"b.example")
        theirs = b"".join(fields) + arrived
        chain = arc.verify(theirs, resolver=zone)
        assert (chain.status, len(chain.sets)) == ("pass", 2), chain.reason
        again = arc.seal(theirs, signer, authserv_id="c.example", results="x", chain=chain)
        assert dkim.arc_verify(again + theirs, dnsfunc=dnsfunc)[0] == b"pass"


# OpenDKIM.


class OpenDKIM:
    """
    Debian's opendkim in its test mode: reads files, writes what it would do.

    As a milter it is told names and values of fields, and puts ": " between them whatever stood
    there, so c=simple wants messages with one blank behind each colon.
    """

    def __init__(self, program: str, folder: Path, keys: dict[str, Any]) -> None:
        self.program = program
        self.folder = folder
        (folder / "public").write_text(
            "".join(
                f"{name}._domainkey.example.com {corvus_dkim.key_record(key)}\n"
                for name, key in keys.items()
            )
        )
        (folder / "rsa.pem").write_bytes(pkcs1(keys["rsa"]))
        (folder / "ed25519.pem").write_text(keys["ed25519"].to_pem())

    def run(self, messages: list[bytes], lines: list[str]) -> list[str]:
        """What it writes about each batch."""
        config = self.folder / "opendkim.conf"
        always = ["Syslog no", "RequireSafeKeys no", f"TestPublicKeys {self.folder / 'public'}"]
        config.write_text("\n".join(always + lines) + "\n")
        written = []
        for start in range(0, len(messages), BATCH):
            names = []
            for number, message in enumerate(messages[start : start + BATCH]):
                path = self.folder / f"m{number}"
                path.write_bytes(message)
                names.append(str(path))
            found = subprocess.run(
                [self.program, "-t", ",".join(names), "-x", str(config)],
                capture_output=True,
                timeout=120,
                check=False,
            )
            written.append((found.stdout + found.stderr).decode("utf-8", "replace"))
        return written

    def verify(self, messages: list[bytes]) -> int:
        """How many pass."""
        return sum(
            len(re.findall(r"^opendkim: \S+: verification \(.*\) succeeded$", text, re.M))
            for text in self.run(messages, ["Mode v"])
        )

    def sign(self, messages: list[bytes], algorithm: str, form: str) -> list[bytes]:
        """The signature fields."""
        selector = algorithm.partition("-")[0]
        lines = [
            "Mode s", "Domain example.com", f"Selector {selector}", "InternalHosts 0.0.0.0/0",
            f"KeyFile {self.folder / selector}.pem", f"Canonicalization {form}",
            f"SignatureAlgorithm {algorithm}",
        ]  # fmt: skip
        if algorithm.startswith("ed25519") and form.startswith("simple"):
            # OpenDKIM 2.11 hashes its field with "b=" where a short value would stand and then
            # folds in front of it, so that not even it accepts such signatures, unless h= fills its
            # line to the end.
            lines += ["SignHeaders From,To,Subject,Date"]
            lines += ["OverSignHeaders From,Subject,X-" + 27 * "A"]
        return [
            corvus_dkim.normalise(field.encode())
            for text in self.run(messages, lines)
            for field in re.findall(r"^DKIM-Signature: .*\n(?:[ \t].*\n)*", text, re.M)
        ]


@pytest.fixture(scope="module")
def opendkim(tmp_path_factory: pytest.TempPathFactory, keys: Any) -> OpenDKIM:
    program = shutil.which("opendkim") or shutil.which("opendkim", path="/usr/sbin")
    if program is None:
        pytest.skip("opendkim is not installed (Debian's package of that name)")
    return OpenDKIM(program, tmp_path_factory.mktemp("opendkim"), keys)


@pairs
@algorithms
def test_opendkim_verifies_what_we_sign(
    opendkim: OpenDKIM, generated: Any, keys: Any, algorithm: str, form: tuple[str, str]
) -> None:
    signer = Signer("example.com", algorithm, keys[algorithm], canonicalization=form)
    messages = [
        signer.sign(message) + message for message in generated(MESSAGES, 3, one_blank=True)
    ]
    assert opendkim.verify(messages) == len(messages)
    changed = [message.replace(b"From: Joe", b"From: Bob") for message in messages[:20]]
    assert opendkim.verify(changed) == 0, "the check can fail"


@pairs
@algorithms
def test_we_verify_what_opendkim_signs(
    opendkim: OpenDKIM,
    zone: Any,
    generated: Any,
    algorithm: str,
    form: tuple[str, str],
) -> None:
    messages = generated(MESSAGES, 4, one_blank=True)
    fields = opendkim.sign(messages, f"{algorithm}-sha256", "/".join(form))
    assert len(fields) == len(messages)
    for field, message in zip(fields, messages, strict=True):
        (result,) = corvus_dkim.verify(field + message, resolver=zone)
        assert result.status is Status.PASS, (result.reason, field + message)
        assert result.canonicalization == "/".join(form)


def test_we_refuse_opendkims_sha1(opendkim: OpenDKIM, zone: Any, generated: Any) -> None:
    messages = generated(20, one_blank=True)
    fields = opendkim.sign(messages, "rsa-sha1", "relaxed/relaxed")
    assert len(fields) == len(messages)
    for field, message in zip(fields, messages, strict=True):
        (result,) = corvus_dkim.verify(field + message, resolver=zone)
        assert (result.status, result.algorithm) == (Status.PERMERROR, "rsa-sha1")

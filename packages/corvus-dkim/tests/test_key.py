"""Private keys in every form they come in."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from corvus_dkim import KeyFormatError, PrivateKey, generate_key
from corvus_dkim.record import KeyRecord, key_record

SEED = bytes(range(32))


def rsa_pem(key: PrivateKey, form: pem.PrivateFormat, password: bytes | None = None) -> bytes:
    protection = pem.BestAvailableEncryption(password) if password else pem.NoEncryption()
    inner: Any = key._key
    octets: bytes = inner.private_bytes(pem.Encoding.PEM, form, protection)
    return octets


@pytest.mark.parametrize("form", [pem.PrivateFormat.TraditionalOpenSSL, pem.PrivateFormat.PKCS8])
@pytest.mark.parametrize("password", [None, b"s3cret"])
def test_rsa_keys_load_from_pkcs1_and_pkcs8_encrypted_or_not(
    small_rsa_key: PrivateKey, form: pem.PrivateFormat, password: bytes | None
) -> None:
    text = rsa_pem(small_rsa_key, form, password)
    for variant in (text, text.decode(), text.replace(b"\n", b"\r\n"), b"\n  " + text):
        loaded = PrivateKey.load(variant, password)
        assert loaded.fingerprint() == small_rsa_key.fingerprint()
    indented = b"".join(b"    " + line + b"\n" for line in text.strip().split(b"\n"))
    assert PrivateKey.load(indented, password).kind == "rsa"


def test_ed25519_keys_load_from_every_form() -> None:
    raw = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
    key = PrivateKey(raw)
    text = base64.b64encode(SEED)
    der = raw.private_bytes(pem.Encoding.DER, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    for form in (raw, key, SEED, text, text.decode() + "\n", key.to_pem(), der):
        loaded = PrivateKey.load(form)
        assert loaded.fingerprint() == key.fingerprint()
        assert (loaded.kind, loaded.bits, loaded.algorithm) == ("ed25519", 256, "ed25519-sha256")


def test_a_key_written_down_can_be_loaded_again(
    small_rsa_key: PrivateKey, ed25519_key: PrivateKey
) -> None:
    for key in (small_rsa_key, ed25519_key):
        assert PrivateKey.load(key.to_pem()).fingerprint() == key.fingerprint()
        locked = key.to_pem("pässword")
        assert "ENCRYPTED" in locked
        assert PrivateKey.load(locked, "pässword").fingerprint() == key.fingerprint()
        with pytest.raises(KeyFormatError, match="the key is encrypted"):
            PrivateKey.load(locked)
        with pytest.raises(KeyFormatError, match="wrong pass phrase"):
            PrivateKey.load(locked, "other")


def test_a_password_for_an_open_key_is_an_error(ed25519_key: PrivateKey) -> None:
    with pytest.raises(KeyFormatError, match="not encrypted"):
        PrivateKey.load(ed25519_key.to_pem(), "pass")


@pytest.mark.parametrize(
    "junk",
    [
        b"", "", b"junk", "jünk", b"\x00" * 31, b"\x00" * 33, base64.b64encode(b"x" * 31), b"!!!",
        b"A", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"=" * 40,
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused_with_one_kind_of_error(junk: bytes | str) -> None:
    with pytest.raises(KeyFormatError):
        PrivateKey.load(junk)


def test_other_kinds_of_keys_are_refused() -> None:
    key: Any = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(KeyFormatError, match="RSA and Ed25519"):
        PrivateKey.load(key)
    text = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    with pytest.raises(KeyFormatError, match="RSA and Ed25519"):
        PrivateKey.load(text)


class _ShortKey:
    key_size = 1023


def test_short_rsa_keys_do_not_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """cryptography refuses to make such a key; OpenSSL does not."""
    monkeypatch.setattr(rsa, "RSAPrivateKey", _ShortKey)
    short: Any = _ShortKey()
    with pytest.raises(KeyFormatError, match="1023 bits"):
        PrivateKey(short)


def test_generated_keys_have_the_size_that_was_asked_for() -> None:
    assert generate_key("rsa", bits=1024).bits == 1024
    assert generate_key("ed25519").kind == "ed25519"
    kind: Any = "dsa"
    with pytest.raises(ValueError, match="rsa or ed25519"):
        generate_key(kind)
    for bits in (512, 1023, 16384):
        with pytest.raises(ValueError, match="1024 to 8192"):
            generate_key("rsa", bits)


def test_a_key_never_shows_its_secret(ed25519_key: PrivateKey) -> None:
    shown = repr(PrivateKey.load(SEED))
    assert shown.startswith("PrivateKey(ed25519 256, SHA256:")
    assert base64.b64encode(SEED).decode() not in shown
    assert SEED.hex() not in shown


def test_the_fingerprint_of_a_key_is_that_of_its_record(
    small_rsa_key: PrivateKey, ed25519_key: PrivateKey
) -> None:
    for key in (small_rsa_key, ed25519_key):
        record = KeyRecord.parse(key_record(key).encode())
        assert record.fingerprint() == key.fingerprint()
        assert len(key.fingerprint()) == 64

"""Key records: every tag, every way to be wrong."""

from __future__ import annotations

import base64

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization as pem

from corvus_dkim import KeyRecord, PrivateKey, RecordError, bind_record, key_record, record_name
from corvus_dkim.key import to_base64
from corvus_dkim.record import MAX_RECORD

ED25519 = b"p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def test_defaults_are_those_of_the_rfc() -> None:
    record = KeyRecord.parse(b"p=")
    assert record.kind == "rsa"
    assert record.hashes is None
    assert record.services == {"*"}
    assert record.flags == frozenset()
    assert record.revoked
    assert record.fingerprint() == ""
    assert not record.testing
    assert not record.strict


def test_all_tags_are_read() -> None:
    record = KeyRecord.parse(
        b"v=DKIM1; h=SHA256 : sha1; k=Ed25519; n=Hello=20there; s=email:*; t=y : s:zz; g=; "
        + ED25519
    )
    assert record.kind == "ed25519"
    assert record.hashes == frozenset({"sha256", "sha1"})
    assert record.services == {"email", "*"}
    assert record.flags == {"y", "s", "zz"}
    assert record.notes == "Hello=20there"
    assert record.testing
    assert record.strict
    assert (record.bits, record.revoked) == (256, False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "syntax"),
        (b"v=spf1 -all", "not a DKIM1 record"),
        (b"google-site-verification=abc", "syntax"),
        (b"v=DKIM1", "no p="),
        (b"v=DKIM1.0; p=", "not a DKIM1 record"),
        (b"v=dkim1; p=", "not a DKIM1 record"),
        (b"p=; v=DKIM1", "not the first"),
        (b"v=DKIM1; p=; p=", "twice"),
        (b"v=DKIM1; p=***", "not base64"),
        (b"v=DKIM1; p=AAAA", "not an RSA key"),
        (b"v=DKIM1; k=rsa; " + ED25519, "not an RSA key"),
        (b"v=DKIM1; k=ed25519; p=AAAA", "32 octets, not 3"),
        (b"v=DKIM1; p=\x00", "syntax"),
        (b"v=DKIM1; p=" + b"A" * MAX_RECORD, "octets"),
    ],
)
def test_malformed_records_are_refused_with_the_reason(text: bytes, words: str) -> None:
    with pytest.raises(RecordError, match=words):
        KeyRecord.parse(text)


def test_keys_of_another_kind_inside_spki_are_refused(ed25519_key: PrivateKey) -> None:
    octets = ed25519_key.public_key().public_bytes(
        pem.Encoding.DER, pem.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(RecordError, match="another kind"):
        KeyRecord.parse(b"p=" + base64.b64encode(octets))
    with pytest.raises(RecordError, match="44"):
        KeyRecord.parse(b"k=ed25519; p=" + base64.b64encode(octets))


def test_rsa_keys_are_taken_as_spki_and_as_pkcs1(small_rsa_key: PrivateKey) -> None:
    """RFC 6376 §3.6.1 says RSAPublicKey, and its own example is SubjectPublicKeyInfo."""
    public = small_rsa_key.public_key()
    for form in (pem.PublicFormat.PKCS1, pem.PublicFormat.SubjectPublicKeyInfo):
        octets = public.public_bytes(pem.Encoding.DER, form)
        record = KeyRecord.parse(b"p=" + base64.b64encode(octets))
        assert record.bits == 1024
        assert record.fingerprint() == small_rsa_key.fingerprint()


def test_unknown_kinds_have_no_key_and_verify_nothing() -> None:
    record = KeyRecord.parse(b"k=kyber; p=AAAA")
    assert (record.kind, record.public_key, record.revoked) == ("kyber", None, False)
    with pytest.raises(InvalidSignature):
        record.verify(b"", b"\0" * 32)


def test_a_key_record_says_what_was_asked_for(ed25519_key: PrivateKey) -> None:
    plain = key_record(ed25519_key)
    assert plain.startswith("v=DKIM1; k=ed25519; p=")
    full = key_record(ed25519_key, strict=True, testing=True, notes="März; 2026")
    assert full.startswith("v=DKIM1; k=ed25519; t=y:s; n=M=C3=A4rz=3B=202026; p=")
    record = KeyRecord.parse(full.encode())
    assert record.strict
    assert record.testing
    assert key_record(ed25519_key.public_key()) == plain
    assert key_record(ed25519_key.to_pem()) == plain


def test_a_bind_record_is_cut_into_strings_that_join_again(rsa_key: PrivateKey) -> None:
    text = key_record(rsa_key)
    line = bind_record("example.com", "s1", text)
    assert line.startswith('s1._domainkey.example.com. IN TXT ( "v=DKIM1; k=rsa; p=')
    strings = line.split('"')[1::2]
    assert "".join(strings) == text
    assert [len(s) for s in strings[:-1]] == [255] * (len(strings) - 1)
    assert bind_record("a.example", "s", 'n="\\').endswith('( "n=\\"\\\\" )')


def test_the_name_of_a_record() -> None:
    """RFC 6376 §3.6.2.1."""
    assert record_name("example.com", "foo.bar") == "foo.bar._domainkey.example.com"


def test_base64_is_one_line() -> None:
    assert "\n" not in to_base64(b"x" * 500)

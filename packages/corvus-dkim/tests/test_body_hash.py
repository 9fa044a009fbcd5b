"""One pass over the body for many hashes."""

from __future__ import annotations

from hashlib import sha256

from corvus_dkim.body_hash import BodyHashes


def test_all_forms_and_lengths_come_from_one_pass() -> None:
    bodies = BodyHashes()
    for length in (None, 0, 3, 5, 100, 3):
        bodies.want("simple", length)
    bodies.want("relaxed")
    bodies.want("relaxed", 1)
    for chunk in (b"ab", b"c \r", b"\nd\r\n", b"\r\n"):
        bodies.update(chunk)
    bodies.finish()
    simple, relaxed = b"abc \r\nd\r\n", b"abc\r\nd\r\n"
    assert bodies.digest("simple") == sha256(simple).digest()
    assert bodies.digest("simple", 0) == sha256(b"").digest()
    assert bodies.digest("simple", 3) == sha256(b"abc").digest()
    assert bodies.digest("simple", 5) == sha256(b"abc \r").digest()
    assert bodies.digest("simple", 100) == sha256(simple).digest()
    assert bodies.digest("relaxed") == sha256(relaxed).digest()
    assert bodies.length("simple") == len(simple)
    assert bodies.length("relaxed") == len(relaxed)


def test_the_empty_body_has_the_hashes_of_the_rfc() -> None:
    """RFC 6376 §3.4.3 and §3.4.4 print them in base64."""
    bodies = BodyHashes()
    bodies.want("simple")
    bodies.want("relaxed")
    bodies.finish()
    from base64 import b64encode

    assert b64encode(bodies.digest("simple")) == b"frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="
    assert b64encode(bodies.digest("relaxed")) == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

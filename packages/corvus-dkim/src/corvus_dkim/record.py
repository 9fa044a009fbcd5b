"""Key records (RFC 6376 §3.6): what DNS says about a selector, parsed, checked and written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias, cast, final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from corvus_dkim import taglist
from corvus_dkim.errors import RecordError, TagListError
from corvus_dkim.key import (
    ED25519_OCTETS,
    PKCS1,
    SHA256_DIGEST,
    KeyType,
    PrivateKey,
    PublicKey,
    fingerprint,
    public_octets,
    to_base64,
)

#: A TXT record is at most 65,535 octets; a key of 8192 bits needs 1,500.
MAX_RECORD: Final = 16 * 1024

#: "The signing algorithm SHOULD use a public exponent of 65537" (RFC 6376 §3.3.2).  With 1 anybody
#: could sign, and one as long as the key makes every verification a hundred times slower.
MAX_EXPONENT_BITS: Final = 64

#: What a signer hands over to have its record written.
AnyKey: TypeAlias = "PrivateKey | PublicKey | str | bytes"


@final
@dataclass(frozen=True, slots=True)
class KeyRecord:
    """
    One key record, all tags of RFC 6376 §3.6.1; the deprecated ``g=`` is ignored (§C.2).

    >>> record = KeyRecord.parse(b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    >>> record.kind, record.bits, record.revoked, record.strict
    ('ed25519', 256, False, False)
    """

    kind: str
    """The ``k=`` tag in lower case, ``rsa`` by default; anything but ``ed25519`` is unknown here."""
    public_key: PublicKey | None
    """The key; ``None`` if it is revoked, or of an unknown kind."""
    bits: int
    """The size of the key; 0 without one."""
    revoked: bool
    """``p=`` is empty: "An empty value means that this public key has been revoked"."""
    hashes: frozenset[str] | None
    """The ``h=`` tag in lower case; ``None`` allows all hashes."""
    services: frozenset[str]
    """The ``s=`` tag."""
    flags: frozenset[str]
    """The ``t=`` tag."""
    notes: str
    """The ``n=`` tag as it stands: "No interpretation is made by any program"."""

    @property
    def testing(self) -> bool:
        """``t=y``: "This domain is testing DKIM"."""
        return "y" in self.flags

    @property
    def strict(self) -> bool:
        """``t=s``: the domain of ``i=`` "MUST NOT be a subdomain of" ``d=``."""
        return "s" in self.flags

    def fingerprint(self) -> str:
        """The SHA-256 of the key in hexadecimal, as that of a `PrivateKey`; empty without a key."""
        return "" if self.public_key is None else fingerprint(self.public_key)

    def verify(self, signature: bytes, digest: bytes) -> None:
        """
        Check *signature* against a SHA-256 of 32 octets.

        Raises:
            cryptography.exceptions.InvalidSignature: It does not match.
        """
        # What parse() has seen to; an isinstance() costs as much as a small hash here.
        if self.public_key is None:
            raise InvalidSignature("no key")
        if self.kind == "rsa":
            cast("rsa.RSAPublicKey", self.public_key).verify(
                signature, digest, PKCS1, SHA256_DIGEST
            )
        else:
            cast("ed25519.Ed25519PublicKey", self.public_key).verify(signature, digest)

    @classmethod
    def parse(cls, text: bytes) -> KeyRecord:
        """
        Parse a TXT record whose strings have been joined.

        Raises:
            RecordError: "Verifier[s] MUST ignore any public-key records that are malformed"
                (RFC 6376 §6.1.2); the text says what is wrong with it.
        """
        return _parse(text)


@lru_cache(maxsize=512)
def _parse(text: bytes) -> KeyRecord:
    """As `KeyRecord.parse`.  Loading a key costs as much as using it, and few keys sign most mail."""
    if len(text) > MAX_RECORD:
        raise RecordError(f"a key record of {len(text)} octets")
    try:
        tags = taglist.parse(text)
    except TagListError as error:
        raise RecordError(f"key syntax error: {error}") from None
    version = tags.get(b"v")
    if version is not None:
        # "This tag MUST be the first tag in the record.  Records beginning with a "v=" tag with any
        # other value MUST be discarded."
        if version != b"DKIM1":
            raise RecordError("not a DKIM1 record")
        if next(iter(tags)) != b"v":
            raise RecordError("key syntax error: v= is not the first tag")
    if b"p" not in tags:
        raise RecordError("key syntax error: no p= tag")
    kind = _word(tags.get(b"k", b"rsa"))
    services = _words(tags.get(b"s", b"*"))
    try:
        octets = taglist.base64_value(tags[b"p"])
    except TagListError:
        raise RecordError("key syntax error: p= is not base64") from None
    public_key, bits = _public_key(kind, octets) if octets else (None, 0)
    return KeyRecord(
        kind=kind,
        public_key=public_key,
        bits=bits,
        revoked=not octets,
        hashes=_words(tags[b"h"]) if b"h" in tags else None,
        services=services,
        flags=_words(tags[b"t"]) if b"t" in tags else frozenset(),
        notes=tags.get(b"n", b"").decode("utf-8", "replace"),
    )


def _word(value: bytes) -> str:
    return value.lower().decode("utf-8", "replace")


def _words(value: bytes) -> frozenset[str]:
    return frozenset([_word(item) for item in taglist.names_value(value)])


def _public_key(kind: str, octets: bytes) -> tuple[PublicKey | None, int]:
    if kind == "ed25519":
        if len(octets) != ED25519_OCTETS:
            raise RecordError(f"an Ed25519 key has 32 octets, not {len(octets)}")
        return ed25519.Ed25519PublicKey.from_public_bytes(octets), 8 * ED25519_OCTETS
    if kind != "rsa":
        return None, 0
    try:
        # Both SubjectPublicKeyInfo and the RSAPublicKey of RFC 6376 §3.6.1.
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        raise RecordError("p= is not an RSA key") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise RecordError("k=rsa, and p= is a key of another kind")
    exponent = key.public_numbers().e
    if exponent < 3 or not exponent & 1 or exponent.bit_length() > MAX_EXPONENT_BITS:
        raise RecordError("p= is an RSA key with a public exponent that nobody should use")
    return key, key.key_size


def record_name(domain: str, selector: str) -> str:
    """The name in DNS (RFC 6376 §3.6.2.1), without the final dot."""
    return f"{selector}._domainkey.{domain}"


def key_record(key: AnyKey, *, strict: bool = False, testing: bool = False, notes: str = "") -> str:
    """
    The text to publish for *key*.

    Args:
        key: A private or public key in any form `PrivateKey.load` takes.
        strict: Add ``t=s``: no ``i=`` in subdomains.  "Use of this flag is RECOMMENDED unless
            subdomaining is required."
        testing: Add ``t=y``; remember to take it away.
        notes: For the ``n=`` tag, for people.

    Returns:
        Such as ``v=DKIM1; k=rsa; p=MIIB...``, one line; `bind_record` splits it for a zone file.
    """
    if isinstance(key, str | bytes):
        key = PrivateKey.load(key)
    public_key = key.public_key() if isinstance(key, PrivateKey) else key
    kind: KeyType = "rsa" if isinstance(public_key, rsa.RSAPublicKey) else "ed25519"
    flags = ":".join([flag for flag, wanted in (("y", testing), ("s", strict)) if wanted])
    tags = ["v=DKIM1", f"k={kind}"]
    if flags:
        tags.append(f"t={flags}")
    if notes:
        quoted = taglist.quote_printable(notes.encode("utf-8")).decode("ascii")
        tags.append(f"n={quoted}")
    tags.append(f"p={to_base64(public_octets(public_key))}")
    return "; ".join(tags)


def bind_record(domain: str, selector: str, record: str) -> str:
    """
    *record* as a line of a zone file, in strings of at most 255 octets (RFC 1035 §3.3.14).

    >>> print(bind_record("example.com", "s1", "v=DKIM1; k=ed25519; p=AAAA"))
    s1._domainkey.example.com. IN TXT ( "v=DKIM1; k=ed25519; p=AAAA" )
    """
    escaped = record.replace("\\", "\\\\").replace('"', '\\"')
    strings = [f'"{escaped[at : at + 255]}"' for at in range(0, len(escaped), 255)]
    return f"{record_name(domain, selector)}. IN TXT ( {' '.join(strings)} )"

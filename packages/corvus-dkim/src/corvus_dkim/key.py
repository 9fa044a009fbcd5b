"""Private keys: make, load, sign, write down; and the fingerprints that tell keys apart.

Two kinds exist: RSA (RFC 6376 §3.3, with the sizes of RFC 8301) and Ed25519 (RFC 8463).  The
arithmetic is that of `cryptography`; nothing here computes with a key.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, b2a_base64
from hashlib import sha256
from typing import Final, Literal, TypeAlias, cast, final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from corvus_dkim.errors import KeyFormatError
from corvus_dkim.policy import LEAST_RSA_BITS

KeyType: TypeAlias = Literal["rsa", "ed25519"]

#: "PKCS#1 version 1.5" over a hash that is there already (RFC 6376 §3.3.2).
PKCS1: Final = padding.PKCS1v15()
SHA256_DIGEST: Final = Prehashed(hashes.SHA256())

#: Ed25519 keys have one size (RFC 8463 §3).
ED25519_OCTETS: Final = 32

_CryptographyKey: TypeAlias = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey: TypeAlias = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@final
class PrivateKey:
    """
    A key that signs.

    Make one with `generate_key` or `PrivateKey.load`.  Its representation shows the fingerprint,
    never the secret.
    """

    __slots__ = ("_key", "bits", "kind")

    kind: KeyType
    """What ``k=`` says of it in the key record."""
    bits: int
    """Its size; 256 for Ed25519."""

    def __init__(self, key: _CryptographyKey) -> None:
        """
        Take a key of `cryptography`.

        Raises:
            KeyFormatError: It is neither RSA nor Ed25519, or RSA of less than 1024 bits.
        """
        if isinstance(key, rsa.RSAPrivateKey):
            self.kind, self.bits = "rsa", key.key_size
            if self.bits < LEAST_RSA_BITS:
                # "Signers MUST use RSA keys of at least 1024 bits for all keys" (RFC 8301 §3.2).
                raise KeyFormatError(f"an RSA key of {self.bits} bits; 1024 is the least")
        elif isinstance(key, ed25519.Ed25519PrivateKey):
            self.kind, self.bits = "ed25519", 8 * ED25519_OCTETS
        else:
            raise KeyFormatError(f"DKIM knows RSA and Ed25519 keys, not {type(key).__name__}")
        self._key = key

    def __repr__(self) -> str:
        return f"PrivateKey({self.kind} {self.bits}, SHA256:{self.fingerprint()[:16]})"

    @classmethod
    def load(
        cls, key: str | bytes | _CryptographyKey | PrivateKey, password: str | bytes | None = None
    ) -> PrivateKey:
        """
        Load a key, whatever form it comes in.

        Args:
            key: PEM (PKCS#1 or PKCS#8, line ends as they may be, encrypted or not), DER, the
                octets or the base64 of an Ed25519 seed as RFC 8463 prints it, or a key of
                `cryptography`.
            password: The pass phrase of an encrypted PEM.

        Raises:
            KeyFormatError: It is none of these, or the pass phrase is missing or wrong.
        """
        if isinstance(key, PrivateKey):
            return key
        if not isinstance(key, str | bytes):
            return cls(key)
        if isinstance(key, str):
            try:
                key = key.encode("ascii")
            except UnicodeEncodeError:
                raise KeyFormatError("a private key is ASCII text") from None
        phrase = password.encode("utf-8") if isinstance(password, str) else password
        if len(key) == ED25519_OCTETS:
            return cls(ed25519.Ed25519PrivateKey.from_private_bytes(key))
        if b"-----BEGIN" not in key:
            if (seed := _seed(key)) is not None:
                return cls(ed25519.Ed25519PrivateKey.from_private_bytes(seed))
            return cls(_loaded(key, phrase, der=True))
        return cls(_loaded(_tidy(key), phrase, der=False))

    @property
    def algorithm(self) -> str:
        """What ``a=`` says of its signatures."""
        return f"{self.kind}-sha256"

    def sign(self, digest: bytes) -> bytes:
        """Sign a SHA-256 of 32 octets."""
        if self.kind == "rsa":
            return cast("rsa.RSAPrivateKey", self._key).sign(digest, PKCS1, SHA256_DIGEST)
        # "It signs the hash with the PureEdDSA variant Ed25519" (RFC 8463 §3).
        return cast("ed25519.Ed25519PrivateKey", self._key).sign(digest)

    def public_key(self) -> PublicKey:
        """The public half, as a key of `cryptography`."""
        return self._key.public_key()

    def to_pem(self, password: str | bytes | None = None) -> str:
        """The key as PKCS#8 text, encrypted if there is a pass phrase.  Keep it where only you read."""
        phrase = password.encode("utf-8") if isinstance(password, str) else password
        protection = pem.BestAvailableEncryption(phrase) if phrase else pem.NoEncryption()
        return self._key.private_bytes(
            pem.Encoding.PEM, pem.PrivateFormat.PKCS8, protection
        ).decode("ascii")

    def fingerprint(self) -> str:
        """See `fingerprint`."""
        return fingerprint(self.public_key())


def generate_key(kind: KeyType = "rsa", bits: int = 2048) -> PrivateKey:
    """
    Make a new key from the system's random source.

    Args:
        kind: ``"rsa"``, which everybody verifies, or ``"ed25519"`` (RFC 8463), which is short and
            fast, and which many receivers still ignore: sign with both.
        bits: The size of an RSA key, 1024 to 8192; "Signers SHOULD use RSA keys of at least 2048
            bits" (RFC 8301 §3.2).  Ed25519 has one size.

    Raises:
        ValueError: There is no such kind, or the size is out of bounds.
    """
    if kind == "ed25519":
        return PrivateKey(ed25519.Ed25519PrivateKey.generate())
    if kind != "rsa":
        raise ValueError(f"a key is rsa or ed25519, not {kind!r}")
    if not LEAST_RSA_BITS <= bits <= 8192:
        raise ValueError(f"an RSA key has 1024 to 8192 bits, not {bits}")
    return PrivateKey(rsa.generate_private_key(public_exponent=65537, key_size=bits))


def public_octets(key: PublicKey) -> bytes:
    """
    What ``p=`` holds before base64: SubjectPublicKeyInfo for RSA, 32 octets for Ed25519.

    RFC 6376 §3.6.1 says RSAPublicKey and its example shows SubjectPublicKeyInfo, which is what the
    world publishes.
    """
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key.public_bytes_raw()
    return key.public_bytes(pem.Encoding.DER, pem.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: PublicKey) -> str:
    """
    The SHA-256 of the SubjectPublicKeyInfo in hexadecimal, as OpenSSL would compute it.

    It tells whether a private key and a record in DNS belong together.
    """
    return sha256(
        key.public_bytes(pem.Encoding.DER, pem.PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()


def _loaded(octets: bytes, password: bytes | None, *, der: bool) -> _CryptographyKey:
    load = pem.load_der_private_key if der else pem.load_pem_private_key
    try:
        return load(octets, password)  # type: ignore[return-value]  # PrivateKey checks the kind
    except TypeError:
        # cryptography's words for a pass phrase that is missing, or that nothing needs.
        problem = "the key is encrypted" if password is None else "the key is not encrypted"
        raise KeyFormatError(problem) from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFormatError("not a private key, or the wrong pass phrase") from None


_BASE64: Final = re.compile(rb"[A-Za-z0-9+/=\s]+")


def _seed(text: bytes) -> bytes | None:
    """The 32 octets of an Ed25519 seed in base64 (RFC 8463 §A.1), or ``None``."""
    if len(text) > 100 or not _BASE64.fullmatch(text):
        return None
    try:
        seed = a2b_base64(text)
    except Error:
        return None
    return seed if len(seed) == ED25519_OCTETS else None


def _tidy(text: bytes) -> bytes:
    """PEM with LF line ends and without indentation: keys arrive out of YAML and Windows editors."""
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return b"\n".join([line.strip(b" \t") for line in lines])


def to_base64(octets: bytes) -> str:
    """Base64 in one line."""
    return b2a_base64(octets, newline=False).decode("ascii")

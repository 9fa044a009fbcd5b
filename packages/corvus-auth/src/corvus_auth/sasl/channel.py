"""Channel binding data for the -PLUS mechanisms of SCRAM.

``tls-exporter`` (RFC 9266) comes from the TLS library: 32 octets exported under the label
``EXPORTER-Channel-Binding`` with an empty context.  ``tls-server-end-point`` (RFC 5929 §4) is a hash
of the server's certificate, and is made here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

#: Signature algorithm (the octets of its OID) -> hash.  "If the certificate's signatureAlgorithm
#: uses a single hash function, and that hash function is either MD5 or SHA-1, then use SHA-256."
_HASHES: Final[Mapping[str, str]] = {
    "2a864886f70d010104": "sha256",  # md5WithRSAEncryption
    "2a864886f70d010105": "sha256",  # sha1WithRSAEncryption
    "2a864886f70d01010b": "sha256",  # sha256WithRSAEncryption
    "2a864886f70d01010c": "sha384",
    "2a864886f70d01010d": "sha512",
    "2a8648ce3d0401": "sha256",  # ecdsa-with-SHA1
    "2a8648ce3d040302": "sha256",  # ecdsa-with-SHA256
    "2a8648ce3d040303": "sha384",
    "2a8648ce3d040304": "sha512",
}


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start and end of the contents of the DER element at *at*."""
    if at + 2 > len(der):
        raise ValueError("the certificate is cut short")
    tag, length = der[at], der[at + 1]
    at += 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or at + size > len(der):
            raise ValueError("the certificate is not DER")
        length = int.from_bytes(der[at : at + size], "big")
        at += size
    if at + length > len(der):
        raise ValueError("the certificate is cut short")
    return tag, at, at + length


def tls_server_end_point(certificate: bytes) -> bytes | None:
    """
    The channel binding data for the server's *certificate* (DER).

    Returns:
        The hash, or ``None`` where the RFC leaves it undefined: a signature algorithm without a
        single hash function (Ed25519, RSA-PSS).

    Raises:
        ValueError: *certificate* is no DER certificate.
    """
    #   Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }
    tag, inside, _ = _element(certificate, 0)
    tbs, _, behind = _element(certificate, inside)
    algorithm, start, _ = _element(certificate, behind)
    oid, begin, end = _element(certificate, start)
    if (tag, tbs, algorithm, oid) != (0x30, 0x30, 0x30, 0x06):
        raise ValueError("not a certificate")
    name = _HASHES.get(certificate[begin:end].hex())
    return None if name is None else hashlib.new(name, certificate).digest()

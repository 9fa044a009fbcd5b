"""Corvus for the DKIM benchmark: ``make(alg, key, dns) -> (sign, verify)``."""

from collections.abc import Callable, Mapping

import corvus_dkim
from corvus_dkim.lookup import ZoneResolver

HEADERS = ("from", "to", "subject", "date", "message-id", "mime-version", "content-type")


def make(
    alg: str, key: bytes, dns: Mapping[str, bytes]
) -> tuple[Callable[[bytes], bytes], Callable[[bytes], bool]]:
    """
    Args:
        alg: ``rsa`` or ``ed25519``, also the selector.
        key: PEM, or the seed of an Ed25519 key.
        dns: TXT records by name.
    """
    signer = corvus_dkim.Signer("example.com", alg, key, headers=HEADERS)
    resolver = ZoneResolver({name: {"TXT": [record]} for name, record in dns.items()})

    def sign(raw: bytes) -> bytes:
        return signer.sign(raw) + raw

    def verify(raw: bytes) -> bool:
        return all(result.passed for result in corvus_dkim.verify(raw, resolver=resolver))

    return sign, verify

"""DKIM: Corvus beside dkimpy and beside the limit, which is one hash and one bare key operation.

    python benchmarks/bench_dkim.py [--sizes 2K,50K,5M] [--rounds 5] [--seconds 0.25] [--json FILE]

All are run in turns, so that a busy machine hits each alike; the median counts.  Behind the tables
stand the attack of a body of blanks, and the memory that a streamed message costs.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

import corvus_dkim

sys.path.insert(0, str(Path(__file__).parent / "adapters"))
import dkim_adapter

SIZES = {"2K": 2_000, "50K": 50_000, "500K": 500_000, "5M": 5_000_000}

LINE = b"We lost the game of the season, and nobody knows why; are you hungry yet, or not?\r\n"

HEADER = (
    b"From: Joe <joe@example.com>\r\nTo: Suzie <suzie@example.net>\r\nSubject: Is dinner ready?\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@example.com>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
)

Pair = tuple[Callable[[bytes], Any], Callable[[Any], Any]]


def message(size: int) -> bytes:
    return HEADER + LINE * max(1, (size - len(HEADER)) // len(LINE))


def limit(key: Any) -> Pair:
    """What no implementation can undercut: hash the octets, use the loaded key once."""
    private, public = key._key, key.public_key()
    pad, prehashed = padding.PKCS1v15(), Prehashed(hashes.SHA256())
    extra = (pad, prehashed) if key.kind == "rsa" else ()

    def sign(raw: bytes) -> tuple[bytes, bytes]:
        sha256(raw).digest()
        return private.sign(sha256(raw[:600]).digest(), *extra), raw

    def verify(signed: tuple[bytes, bytes]) -> bool:
        signature, raw = signed
        sha256(raw).digest()
        public.verify(signature, sha256(raw[:600]).digest(), *extra)
        return True

    return sign, verify


def dkimpy(key: Any, dns: dict[str, bytes]) -> Pair:
    import dkim

    encoding, none = pem.Encoding.PEM, pem.NoEncryption()
    if key.kind == "rsa":
        private = key._key.private_bytes(encoding, pem.PrivateFormat.TraditionalOpenSSL, none)
    else:
        private = base64.b64encode(key._key.private_bytes_raw())
    names = [name.encode() for name in dkim_adapter.HEADERS]

    def sign(raw: bytes) -> bytes:
        field: bytes = dkim.sign(
            raw,
            key.kind.encode(),
            b"example.com",
            private,
            canonicalize=(b"relaxed", b"relaxed"),
            signature_algorithm=key.algorithm.encode(),
            include_headers=names,
        )
        return field + raw

    def ask(name: bytes, timeout: float = 5) -> bytes:
        return dns[name.decode().rstrip(".")]

    return sign, lambda raw: dkim.verify(raw, dnsfunc=ask)


def rate(work: Callable[[Any], Any], argument: Any, seconds: float) -> float:
    count = 1
    while True:
        began = time.perf_counter()
        for _ in range(count):
            work(argument)
        spent = time.perf_counter() - began
        if spent >= seconds:
            return count / spent
        count = max(count + 1, int(count * min(10, seconds * 1.1 / max(spent, 1e-6))))


def compare(size: str, kind: Any, rounds: int, seconds: float) -> dict[str, Any]:
    key = corvus_dkim.generate_key(kind)
    record = corvus_dkim.key_record(key).encode()
    dns = {f"{kind}._domainkey.example.com": record}
    raw = message(SIZES[size])
    implementations: dict[str, Pair] = {
        "corvus": dkim_adapter.make(kind, key.to_pem().encode(), dns),
        "limit": limit(key),
    }
    try:
        implementations["dkimpy"] = dkimpy(key, dns)
    except ImportError:
        print("dkimpy is not installed; nothing to compare with")
    signed = {name: sign(raw) for name, (sign, _) in implementations.items()}
    for name, (_, verify) in implementations.items():
        assert verify(signed[name]), name
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in implementations}
    for _ in range(rounds):
        for name, (sign, verify) in implementations.items():
            found[name].append((rate(sign, raw, seconds), rate(verify, signed[name], seconds)))
    medians = {
        name: [statistics.median(column) for column in zip(*rates, strict=True)]
        for name, rates in found.items()
    }
    print(f"\n{kind} {size}: messages a second (x dkimpy, x limit)")
    for name, (sign_rate, verify_rate) in medians.items():
        cells = []
        for column, value in ((0, sign_rate), (1, verify_rate)):
            ratio = value / medians["limit"][column]
            peer = medians.get("dkimpy")
            times = f"{value / peer[column]:6.1f}x" if peer else ""
            cells.append(f"{value:10.1f} {times} {ratio:6.3f}")
        print(f"  {name:8} sign {cells[0]}   verify {cells[1]}")
    return {
        "size": size,
        "kind": kind,
        **{n: {"sign": s, "verify": v} for n, (s, v) in medians.items()},
    }


def blanks(size: int) -> float:
    """Seconds to verify a signed body of *size* blanks."""
    key = corvus_dkim.generate_key("ed25519")
    _, verify = dkim_adapter.make("ed25519", key.to_pem().encode(), {})
    raw = HEADER + b" " * size + b"\r\n"
    signed = corvus_dkim.Signer("example.com", "ed25519", key).sign(raw) + raw
    return 1 / rate(verify, signed, 0.1)


def streamed(megabytes: int) -> int:
    """The most memory that signing and verifying a streamed message takes, in octets."""
    key = corvus_dkim.generate_key("ed25519")
    chunk = LINE * 800
    chunks = megabytes * 1_000_000 // len(chunk)
    stream, verifier = corvus_dkim.Signer("example.com", "s", key).stream(), corvus_dkim.Verifier()
    tracemalloc.start()
    stream.update(HEADER)
    for _ in range(chunks):
        stream.update(chunk)
    verifier.update(stream.finish() + HEADER)
    for _ in range(chunks):
        verifier.update(chunk)
    zone = {"s._domainkey.example.com": {"TXT": [corvus_dkim.key_record(key)]}}
    assert verifier.verify(resolver=corvus_dkim.ZoneResolver(zone))[0].passed
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default="2K,50K,5M")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.25)
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = [
        compare(size, kind, options.rounds, options.seconds)
        for size in options.sizes.split(",")
        for kind in ("rsa", "ed25519")
    ]
    times = {size: blanks(size) for size in (100_000, 200_000, 1_000_000)}
    print(
        "\nverify a body of blanks:",
        ", ".join(f"{n // 1000} KB {t * 1e3:.2f} ms" for n, t in times.items()),
    )
    peak = streamed(20)
    print(f"sign and verify 20 MB as a stream: {peak / 1e3:.0f} KB at most")
    if options.json:
        Path(options.json).write_text(json.dumps({"rates": rows, "blanks": times, "peak": peak}))


if __name__ == "__main__":
    main()

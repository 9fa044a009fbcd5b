"""Verify a message of any size from standard input or a file, in constant memory.

    python dkim_stream_verify.py zone.json < message

zone.json: {"s1._domainkey.example.com": {"TXT": ["v=DKIM1; p=..."]}}
"""

import sys
from pathlib import Path
from typing import BinaryIO

import corvus_dkim


def check(message: BinaryIO, zone: bytes) -> int:
    verifier = corvus_dkim.Verifier()
    while chunk := message.read(64 * 1024):
        verifier.update(chunk)  # the body is hashed here, and forgotten
    results = verifier.verify(resolver=corvus_dkim.ZoneResolver.from_json(zone))
    for result in results:
        print(result.to_json())
    return 0 if any(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(check(sys.stdin.buffer, Path(sys.argv[1]).read_bytes()))

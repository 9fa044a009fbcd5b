"""A login server for nc: reads base64 PLAIN responses, one a line, hashes in a thread.

printf '\0alice\0Corvus2026!' | base64 | python auth_login.py
"""

import asyncio
import base64
import binascii
import sys
from collections.abc import Iterable, Iterator

from corvus_auth import passwords, sasl

USERS = {"alice": passwords.hash("Corvus2026!")}


def verify(step: sasl.Verify) -> bool:
    """Unknown users cost what known ones cost."""
    stored = USERS.get(step.authcid, passwords.dummy_hash())
    try:
        passwords.verify(stored, step.password)
    except passwords.Mismatch:
        return False
    return step.authcid in USERS


async def login(line: str) -> sasl.Step:
    machine = sasl.server("PLAIN")
    try:
        step = machine.step(base64.b64decode(line, validate=True))
    except binascii.Error:
        step = sasl.Failure(sasl.Reason.MALFORMED)
    if isinstance(step, sasl.Verify):
        good = await asyncio.to_thread(verify, step)  # the loop goes on meanwhile
        step = machine.accept() if good else machine.reject()
    return step


def replies(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        step = asyncio.run(login(line.strip()))
        yield f"235 hello {step.identity}" if isinstance(step, sasl.Success) else "535 no"


if __name__ == "__main__":
    for reply in replies(sys.stdin):
        print(reply)

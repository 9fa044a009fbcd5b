"""Who vouches for a message?  auth_verdict.py IP MAIL_FROM HELO < message

SPF and DMARC over dnspython (pip install "corvus-auth[dns]"); corvus_dkim.evaluate(message) would
be one more argument.
"""

import sys
from typing import Any

from corvus_auth import Verdict, authenticate, dmarc, spf
from corvus_auth.lookup import run


def from_fields(message: bytes) -> list[bytes]:
    """The values of all From fields in the header."""
    fields: list[bytes] = []
    for line in message.replace(b"\r\n", b"\n").partition(b"\n\n")[0].split(b"\n"):
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] += line
        else:
            fields.append(line)
    pairs = [field.partition(b":") for field in fields]
    return [value for name, _, value in pairs if name.strip().lower() == b"from"]


def judge(message: bytes, ip: str, mail_from: str, helo: str, resolver: Any) -> Verdict:
    """All look-ups that can be in parallel are."""
    author = dmarc.author(from_fields(message))
    checked = spf.evaluate(ip, mail_from, helo)
    return run(authenticate(author, spf=checked), resolver)


if __name__ == "__main__":
    from corvus_auth.dns import DNSResolver

    ip, mail_from, helo = sys.argv[1:]
    verdict = judge(sys.stdin.buffer.read(), ip, mail_from, helo, DNSResolver())
    print(verdict)
    print(verdict.field("localhost").decode(), end="")

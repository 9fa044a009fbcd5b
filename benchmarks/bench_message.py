"""
What reading a message costs, beside the standard library's `email` in the same run: bench_message.py

ENVELOPE and structure of a corpus with a mean near 4 KB, a message of 1 MB with attachments, the
memory that a message of 25 MB takes beside its octets, and addresses by the hundred thousand.
"""

from __future__ import annotations

import base64
import email
import email.policy
import email.utils
import gc
import platform
import random
import sys
import time
import tracemalloc
from collections.abc import Callable
from email.message import Message
from pathlib import Path

import corvus_message

sys.path.insert(0, str(Path(__file__).parent / "adapters"))
import message_adapter

ENVELOPE = ("date", "subject", "in-reply-to", "message-id")
ADDRESSES = ("from", "sender", "reply-to", "to", "cc", "bcc")
WORDS = ["the", "quarterly", "report", "and", "new", "schedule", "for", "review", "of", "this"]


def encoded(octets: bytes) -> bytes:
    return corvus_message.encode_base64(octets)


def text(rng: random.Random, size: int) -> bytes:
    words: list[str] = []
    while size > 0:
        words.append(rng.choice(WORDS))
        size -= len(words[-1]) + 1
    lines = [" ".join(words[i : i + 11]) for i in range(0, len(words), 11)]
    return "\r\n".join(lines).encode() + b"\r\n"


def header(rng: random.Random, number: int) -> bytes:
    lines = [b"Return-Path: <bounce-%d@example.org>" % number]
    for hop in range(rng.randrange(3, 7)):
        lines.append(
            b"Received: from a%d.example (a%d.example [192.0.2.%d])\r\n\tby mx.example.net (Postfix)"
            b" with ESMTPS id %010X\r\n\tfor <alice@example.net>; Fri, 02 Jan 2026 03:04:%02d +0000"
            % (hop, hop, rng.randrange(255), rng.randrange(1 << 40), hop)
        )
    signature = base64.b64encode(rng.randbytes(256))
    lines.append(
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1;\r\n"
        b"\th=Date:From:To:Subject:Message-ID:MIME-Version:Content-Type;\r\n\tb="
        + b"\r\n\t ".join(signature[i : i + 72] for i in range(0, len(signature), 72))
    )
    name = rng.choice([b'"Tom Oneil" <', b"=?utf-8?B?SsO8cmdlbiBHcm/Dnw==?= <", b"<"])
    lines += [
        b"Date: Fri, 02 Jan 2026 03:04:05 +0000",
        b"From: " + name + b"u%d@example.com>" % number,
        b"To: "
        + b", ".join(b"Name %d <n%d@example.net>" % (i, i) for i in range(rng.randrange(1, 4))),
        b"Cc: a@example.org, b@example.org",
        b"Subject: Re: " + rng.choice([b"the report", b"=?utf-8?q?caf=C3=A9?= today"]),
        b"Message-ID: <%d@example.com>" % number,
        b"In-Reply-To: <%d@example.org>" % (number - 1),
        b"References: " + b"\r\n ".join(b"<%d@example.org>" % i for i in range(number - 6, number)),
        b"MIME-Version: 1.0",
    ]
    return b"\r\n".join(lines) + b"\r\n"


def multipart(kind: bytes, boundary: bytes, *parts: bytes) -> bytes:
    head = b"Content-Type: multipart/" + kind + b'; boundary="' + boundary + b'"\r\n\r\n'
    return (
        head
        + b"".join(b"--" + boundary + b"\r\n" + p + b"\r\n" for p in parts)
        + (b"--" + boundary + b"--\r\n")
    )


def message(rng: random.Random, number: int, attachment: int = 1500) -> bytes:
    plain = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text(rng, 900)
    page = b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>" + text(rng, 1200)
    alternative = multipart(b"alternative", b"=_alt%d" % number, plain, page)
    file = (
        b"Content-Type: application/pdf; name=report.pdf\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename=report.pdf\r\n\r\n"
        + encoded(rng.randbytes(attachment))
    )
    body = rng.choices(
        [plain, alternative, multipart(b"mixed", b"=_mix%d" % number, alternative, file)],
        [35, 40, 25],
    )[0]
    return header(rng, number) + body


def structure(m: Message) -> object:
    if m.is_multipart():
        return [structure(p) for p in m.get_payload() if isinstance(p, Message)]
    body = str(m.get_payload())
    return (m.get_content_type(), m.get_params(), m.get("content-id"), len(body), body.count("\n"))


def by_compat32(raw: bytes) -> object:
    m = email.message_from_bytes(raw)  # noqa: TID251  # the peer
    lists = [email.utils.getaddresses([str(v) for v in m.get_all(n, ())]) for n in ADDRESSES]
    return [m.get(n) for n in ENVELOPE], lists, structure(m)


def by_default(raw: bytes) -> object:
    m = email.message_from_bytes(raw, policy=email.policy.default)  # noqa: TID251  # the peer
    lists = [[(a.display_name, a.username) for a in m[n].addresses] for n in ADDRESSES if m[n]]
    return [m[n] for n in ENVELOPE], lists, structure(m)


def best(work: Callable[[], object], rounds: int = 5) -> float:
    """Seconds, the best of *rounds*."""
    fastest = float("inf")
    for _ in range(rounds):
        gc.collect()
        start = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


def row(what: str, ours: float, theirs: float, unit: str = "us", scale: float = 1e6) -> None:
    print(f"{what:44} {ours * scale:10.1f} {theirs * scale:12.1f} {unit:3} {theirs / ours:8.1f}x")


def main() -> None:
    rng = random.Random(5322)
    corpus = [message(rng, n) for n in range(500)]
    mean = sum(map(len, corpus)) // len(corpus)
    print(f"Python {platform.python_version()}, {len(corpus)} messages, mean {mean} octets")
    print(f"{'':44} {'corvus':>10} {'email':>12}")

    ours = best(lambda: [message_adapter.parse(raw) for raw in corpus]) / len(corpus)
    row("ENVELOPE + structure, compat32", ours, best(lambda: list(map(by_compat32, corpus))) / 500)
    sample = corpus[:100]
    row(
        "ENVELOPE + structure, policy.default",
        ours,
        best(lambda: list(map(by_default, sample)), 2) / 100,
    )

    large = header(rng, 1) + multipart(
        b"mixed", b"=_large",
        *(b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded(rng.randbytes(250_000)) for _ in range(3)),
    )  # fmt: skip
    theirs = best(lambda: email.message_from_bytes(large))  # noqa: TID251  # the peer
    row(
        f"parse {len(large) / 1e6:.1f} MB with attachments",
        best(lambda: corvus_message.parse(large)),
        theirs,
    )

    people = ", ".join(f"User {n} <u{n}@example.com>" for n in range(20_000))
    row(
        "20,000 addresses", best(lambda: corvus_message.addresses(people), 3),
        best(lambda: email.utils.getaddresses([people]), 1), "ms", 1e3,
    )  # fmt: skip

    huge = header(rng, 2) + multipart(
        b"mixed", b"=_huge",
        *(b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded(bytes(1_400_000)) for _ in range(13)),
    )  # fmt: skip
    peaks: list[int] = []
    for read in (corvus_message.parse, email.message_from_bytes):  # noqa: TID251  # the peer
        tracemalloc.start()
        kept = read(huge)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        del kept
    print(
        f"memory over {len(huge) / 1e6:.0f} MB of octets: {peaks[0] / 1024:.0f} KiB,"
        f" email {peaks[1] / 2**20:.0f} MiB"
    )


if __name__ == "__main__":
    main()

"""What a server says of stored messages: structures, FETCH lines, numbers, searches, threads.

Run: ``python benchmarks/bench_imap_mailbox.py``.  Peers, where they do the same: pymap (its FETCH
attributes) and the standard library's email (the headers of an ENVELOPE, a walk over a structure).
"""

from __future__ import annotations

import base64
import email
import email.policy
import email.utils
import random
import time
from collections.abc import Callable
from typing import Any

from corvus_imap import (
    FetchAttribute,
    MailboxView,
    Matcher,
    MessageFacts,
    SequenceSet,
    Snapshot,
    bodystructure,
    envelope,
)
from corvus_imap.extensions.sort import SortField, SortKey
from corvus_imap.render import FetchLines, numbers
from corvus_imap.sort import SortFacts, sort
from corvus_imap.thread import ThreadFacts, references
from corvus_imap.types.search import TextField, TextKey
from corvus_message import parse

try:
    from pymap.message import BaseLoadedMessage
    from pymap.mime import MessageContent
    from pymap.parsing.specials import FetchRequirement
except ImportError:
    MessageContent = None

HEADER = (
    b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n"
    b"Subject: IMAP4rev1 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n"
    b"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
    b"Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
    + b"".join([b"Received: from a.example by b.example; %d\r\n" % n for n in range(6)])
)
SMALL = (
    HEADER
    + b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    + b"A line of text, as mail has.\r\n" * 120
)
ATTACHMENT = base64.encodebytes(bytes(range(256)) * 1400).replace(b"\n", b"\r\n")
LARGE = (
    HEADER
    + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n"
    + b"Hello.\r\n" * 500
    + b"".join(
        [
            b"\r\n--x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + ATTACHMENT
        ]
        * 2
    )
    + b"\r\n--x--\r\n"
)


def best(run: Callable[[], object], repeat: int) -> float:
    """Seconds a call, the best of seven rounds of *repeat*."""
    rounds = []
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(repeat):
            run()
        rounds.append((time.perf_counter() - start) / repeat)
    return min(rounds)


def with_email(message: bytes) -> None:
    parsed = email.message_from_bytes(message)  # noqa: TID251 - it is the peer
    for name in ("date", "subject", "in-reply-to", "message-id"):
        str(parsed[name])
    for name in ("from", "to", "cc", "bcc"):
        email.utils.getaddresses(parsed.get_all(name, []))
    for part in parsed.walk():
        (part.get_content_type(), part.get_params(), part.get("content-transfer-encoding"))


def with_pymap(message: bytes) -> bytes:
    """What pymap does for ENVELOPE and BODYSTRUCTURE once it has the octets."""
    content = MessageContent.parse(message)
    loaded: Any = BaseLoadedMessage(None, FetchRequirement.CONTENT, content)  # type: ignore[arg-type,abstract]
    return bytes(loaded.get_envelope_structure()) + bytes(loaded.get_body_structure())


def row(name: str, value: str, peer: str = "") -> None:
    print(f"{name:<58} {value:>18}  {peer}")


def main() -> None:
    count, slice_ = 20_000, 200
    values = [bytes(bytearray(envelope(SMALL))) for _ in range(count)]
    lines = FetchLines(
        FetchAttribute.FLAGS,
        FetchAttribute.UID,
        FetchAttribute.RFC822_SIZE,
        FetchAttribute.INTERNALDATE,
        FetchAttribute.ENVELOPE,
    )
    uids, sizes = numbers(range(1, count + 1)), numbers(range(4000, 4000 + count))
    flags, dates = [b"(\\Seen)"] * count, [b'"17-Jul-1996 02:44:25 -0700"'] * count

    def render() -> None:
        for at in range(0, count, slice_):
            to = at + slice_
            lines.render(
                numbers(range(at + 1, to + 1)),
                flags[at:to],
                uids[at:to],
                sizes[at:to],
                dates[at:to],
                values[at:to],
            )

    taken = best(render, 1)
    row(
        "FLAGS UID RFC822.SIZE INTERNALDATE ENVELOPE",
        f"{count / taken:,.0f} msg/s",
        "target 1,000,000",
    )

    for name, message, repeat in (("4 KB", SMALL, 300), ("1 MB", LARGE, 10)):

        def ours(message: bytes = message) -> None:
            part = parse(message)
            envelope(part)
            bodystructure(part)

        one, other = (
            best(ours, repeat),
            best(lambda message=message: with_email(message), max(repeat // 10, 1)),
        )
        peers = f"email {other * 1e6:,.0f} us"
        if MessageContent is not None:
            third = best(lambda message=message: with_pymap(message), max(repeat // 10, 1))
            peers += f", pymap {third * 1e6:,.0f} us"
        row(f"parse + ENVELOPE + BODYSTRUCTURE, {name}", f"{one * 1e6:,.0f} us", peers)
    row(
        "BODYSTRUCTURE from the octets, 1 MB",
        f"{best(lambda: bodystructure(LARGE), 10) * 1e3:.2f} ms",
        "target 2",
    )

    view = MailboxView(Snapshot(range(1, 100_001)))
    everything = SequenceSet.parse(b"1:*")
    row(
        "resolve UID 1:* of 100,000",
        f"{best(lambda: view.resolve(everything, uid=True), 100) * 1e6:.1f} us",
    )
    row(
        "  and walk over (number, UID)",
        f"{best(lambda: sum(1 for _ in view.resolve(everything)), 3) * 1e3:.1f} ms",
    )

    facts = MessageFacts(uid=1, number=1, flags=(), internal_date=None, size=1)  # type: ignore[arg-type]  # not asked
    matcher = Matcher(TextKey(TextField.TEXT, "nowhere in it"))
    taken = best(lambda: matcher(facts, SMALL), 300)
    row("SEARCH TEXT (a miss), 4 KB", f"{taken * 1e6:.0f} us/msg", "Dovecot 2.3 over 10,000: 52")

    draw = random.Random(1)
    count = 10_000
    box = [
        ThreadFacts(
            n,
            draw.random(),
            f"s{draw.randrange(3000)}",
            False,
            f"m{n}",
            (f"m{draw.randrange(1, n + 1)}",),
        )
        for n in range(1, count + 1)
    ]
    row("THREAD REFERENCES of 10,000", f"{best(lambda: references(box), 1) * 1e3:.0f} ms")
    sorted_by = [SortKey(SortField.SUBJECT), SortKey(SortField.DATE, reverse=True)]
    keys = [
        SortFacts(n, draw.random(), n, f"subject {draw.randrange(count)}") for n in range(count)
    ]
    row(
        "SORT (SUBJECT REVERSE DATE) of 10,000",
        f"{best(lambda: sort(sorted_by, keys), 3) * 1e3:.1f} ms",
    )


if __name__ == "__main__":
    main()

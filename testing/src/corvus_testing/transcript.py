"""Transcripts: ``C:`` and ``S:`` lines, as the RFCs print them, run against an engine.

>>> print(Transcript.parse('''
... S: 220 mx.example ready
... C: NOOP
... S: 250 2.0.0 OK
... ''').turns)
(('S', b'220 mx.example ready\\r\\n'), ('C', b'NOOP\\r\\n'), ('S', b'250 2.0.0 OK\\r\\n'))

A line may hold ``\\xNN``, ``\\t``, ``\\r``, ``\\n`` and ``\\\\``.  A line that ends in a single
``\\`` is sent without CRLF.  ``S: ...`` skips any number of lines of the server.  ``#`` starts a
comment line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from corvus_testing.engine import is_need_data, is_paused

_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[trn0\\])")
_PLAIN = {b"t": b"\t", b"r": b"\r", b"n": b"\n", b"0": b"\0", b"\\": b"\\"}


def _octets(text: str) -> bytes:
    raw = text.encode("utf-8")
    end = b"\r\n"
    if raw.endswith(b"\\") and not raw.endswith(b"\\\\"):
        raw, end = raw[:-1], b""
    return (
        _ESCAPE.sub(lambda m: bytes([int(m[1][1:], 16)]) if m[1][:1] == b"x" else _PLAIN[m[1]], raw)
        + end
    )


@dataclass(frozen=True)
class Transcript:
    """A dialogue: turns of ``("C", octets)`` and ``("S", octets)``, in order."""

    turns: tuple[tuple[str, bytes], ...]

    @classmethod
    def parse(cls, text: str) -> Transcript:
        turns: list[tuple[str, bytes]] = []
        for line in text.split("\n"):
            line = line.strip(" ")
            if not line or line.startswith("#"):
                continue
            who, colon, rest = line.partition(":")
            if who not in ("C", "S") or not colon:
                raise ValueError(f"neither a C: nor an S: line: {line!r}")
            turns.append((who, _octets(rest[1:] if rest.startswith(" ") else rest)))
        return cls(tuple(turns))


def run_transcript(
    conn: Any,
    text: str,
    answer: Callable[[Any, Any], None],
    *,
    side: str = "S",
    errors: type[Exception] = Exception,
    tls: Callable[[Any], None] | None = None,
) -> list[Any]:
    """Play *text* against *conn*, its ``S`` (default) or ``C``; return the events.

    The lines of the other side are fed to the engine; those of its own side must be what it writes,
    octet for octet.
    """
    events: list[Any] = []
    written = bytearray()

    def pump() -> None:
        try:
            while True:
                event = conn.next_event()
                if is_need_data(event):
                    break
                if is_paused(event):
                    if conn.tls_pending and tls is not None:
                        written.extend(conn.data_to_send())
                        tls(conn)
                        continue
                    break
                events.append(event)
                if type(event).__name__ == "ConnectionEnded":
                    break
                answer(conn, event)
        except errors as error:
            events.append(error)
        written.extend(conn.data_to_send())

    pump()
    for who, octets in Transcript.parse(text).turns:
        if who != side:
            conn.receive_data(octets)
            pump()
        elif octets == b"...\r\n":
            written.clear()
        else:
            assert bytes(written[: len(octets)]) == octets, (
                f"expected {octets!r}, the engine wrote {bytes(written[:400])!r}"
            )
            del written[: len(octets)]
    assert not written, f"more was written than the transcript says: {bytes(written[:400])!r}"
    return events

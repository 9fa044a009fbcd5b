"""The four standing properties of an engine, to be fed by hypothesis.

1. Any chunking of the same octets gives the same events and the same replies.
2. Whatever the octets, nothing but the package's ``ProtocolError`` leaves the engine.
3. What is held stays under the limits.
4. A client and a server that talk to each other come to an end.

They prove robustness, not meaning: each engine needs examples beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from corvus_testing.engine import Engine, is_need_data, is_paused, is_wait

#: Does what an event obliges to: accept, reject, reply, or nothing.
Answer = Callable[[Any, Any], None]


@dataclass
class Run:
    """What came of feeding an engine: the events in order, the octets it wrote, how it ended."""

    events: list[Any] = field(default_factory=list)
    written: bytes = b""
    error: Exception | None = None
    most_buffered: int = 0


def _pull(conn: Any, answer: Answer, run: Run, errors: type[Exception], most: int) -> None:
    """Pull events until the engine waits; at most *most*, so that a loop is a failure."""
    for _ in range(most):
        event = conn.next_event()
        if is_need_data(event):
            return
        if is_paused(event):
            if not conn.tls_pending:
                raise AssertionError(f"PAUSED, yet nothing was left unanswered: {run.events[-3:]}")
            return
        if type(event).__name__ == "ConnectionEnded":
            if not (run.events and type(run.events[-1]).__name__ == "ConnectionEnded"):
                run.events.append(event)
            return
        run.events.append(event)
        answer(conn, event)
    raise AssertionError(f"more than {most} events from one read: the engine does not advance")


def drive(
    conn: Any,
    chunks: Iterable[bytes],
    answer: Answer,
    *,
    errors: type[Exception],
    tls: Callable[[Any], None] | None = None,
    eof: bool = False,
    most_events: int = 100_000,
) -> Run:
    """Feed *chunks* to *conn*, answering each event; stop at the first error of the peer.

    Args:
        answer: Called with the engine and each event.
        errors: The package's ``ProtocolError``; anything else passes through and fails the test.
        tls: Called while TLS is pending; ``None`` ends the run there.
        eof: Whether the peer closes its side after the last chunk.
    """
    run = Run()
    written = bytearray()
    try:
        _pull(conn, answer, run, errors, most_events)
        for chunk in chunks:
            if conn.tls_pending:
                if tls is None:
                    break
                tls(conn)
                _pull(conn, answer, run, errors, most_events)
            if conn.closing:
                break
            if not chunk:
                continue
            conn.receive_data(chunk)
            _pull(conn, answer, run, errors, most_events)
            run.most_buffered = max(run.most_buffered, conn.buffered)
            written += conn.data_to_send()
        if eof and not conn.closing and not conn.tls_pending:
            conn.receive_eof()
            _pull(conn, answer, run, errors, most_events)
    except errors as error:
        run.error = error
    written += conn.data_to_send()
    run.written = bytes(written)
    return run


def cut(wire: bytes, places: Sequence[int]) -> list[bytes]:
    """*wire* cut at *places* (any integers; they are taken modulo its length)."""
    if not wire:
        return []
    edges = sorted({0, len(wire), *(p % len(wire) for p in places)})
    return [wire[a:b] for a, b in pairwise(edges)]


def assert_any_chunking_is_the_same(
    make: Callable[[], Any],
    wire: bytes,
    places: Sequence[int],
    answer: Answer,
    *,
    errors: type[Exception],
    normalise: Callable[[list[Any]], list[Any]] = lambda events: events,
    tls: Callable[[Any], None] | None = None,
) -> None:
    """Property 1.  *normalise* joins adjacent body chunks, the only thing a cut may move.

    Where TLS is pending the rest of a chunk would be an attack, so wires with STARTTLS in the
    middle belong into tests of their own.
    """
    whole = drive(make(), [wire], answer, errors=errors, tls=tls)
    parts = drive(make(), cut(wire, places), answer, errors=errors, tls=tls)
    assert normalise(whole.events) == normalise(parts.events)
    assert whole.written == parts.written
    assert type(whole.error) is type(parts.error)


def assert_only_protocol_errors(
    make: Callable[[], Any],
    chunks: Iterable[bytes],
    answer: Answer,
    *,
    errors: type[Exception],
    most_buffered: int | None = None,
    tls: Callable[[Any], None] | None = None,
) -> Run:
    """Properties 2 and 3: nothing else escapes, and memory stays under *most_buffered*."""
    run = drive(make(), chunks, answer, errors=errors, tls=tls, eof=True)
    if most_buffered is not None:
        assert run.most_buffered <= most_buffered, (run.most_buffered, most_buffered)
    return run


def converse(
    client: Engine,
    server: Engine,
    client_answer: Answer,
    server_answer: Answer,
    *,
    tls: Callable[[Any, Any], None] | None = None,
    most_turns: int = 10_000,
) -> None:
    """Property 4: let two engines talk over a perfect wire until both have nothing to say.

    *tls* is called with client and server when both wait for the handshake.
    """
    for _ in range(most_turns):
        moved = False
        for conn, answer in ((server, server_answer), (client, client_answer)):
            while not is_wait(event := conn.next_event()):
                if type(event).__name__ == "ConnectionEnded":
                    break
                moved = True
                answer(conn, event)
        if client.tls_pending and server.tls_pending and tls is not None:
            # What the server said before the handshake has been delivered: both wait.
            tls(client, server)
            moved = True
        for sender, receiver in ((server, client), (client, server)):
            data = sender.data_to_send()
            if data and not receiver.closing:
                receiver.receive_data(data)
                moved = True
        if not moved:
            return
    raise AssertionError(f"still talking after {most_turns} turns")

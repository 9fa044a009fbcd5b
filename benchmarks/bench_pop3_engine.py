"""
What the POP3 engine costs, beside a copy and a scan of the same octets: bench_pop3_engine.py

The scan is ``bytes.find`` of the end of a multi-line response, the copy ``bytes(bytearray)``: the
least that anybody can do who must not let a message end its own response.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

from corvus_pop3 import (
    NEED_DATA,
    ClientConnection,
    MessageReceived,
    Policy,
    ServerConnection,
    TLSInfo,
    wire_size,
)

LINE = b"The quick brown fox jumps over the lazy dog, and then it does so once more.\r\n"


def best(work: Callable[[], object], rounds: int = 7, calls: int = 1) -> float:
    """Seconds for one call, the best of *rounds*."""
    fastest = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        fastest = min(fastest, (time.perf_counter() - start) / calls)
    return fastest


def logged_in(messages: int, size: int) -> ServerConnection:
    conn = ServerConnection(Policy(require_tls=False))
    conn.receive_data(b"USER a\r\nPASS b\r\n")
    conn.next_event()
    conn.open(sizes=[size] * messages, uids=[f"uid-{n:020}" for n in range(messages)])
    conn.data_to_send()
    return conn


def retrieve(conn: ServerConnection, message: bytes, verb: bytes = b"RETR 1\r\n") -> None:
    conn.receive_data(verb)
    conn.next_event()
    for at in range(0, len(message), 65536):
        if not conn.chunk(message[at : at + 65536]):
            break
        conn.data_to_send()
    conn.end()
    conn.data_to_send()
    assert conn.next_event() is NEED_DATA


def fetch(wire: bytes) -> None:
    conn = ClientConnection(tls=TLSInfo())
    conn.receive_data(b"+OK\r\n")
    conn.next_event()
    conn.login("a", "b")
    conn.receive_data(b"+OK\r\n+OK\r\n")
    conn.next_event()
    conn.retrieve(1)
    conn.receive_data(b"+OK\r\n")
    for at in range(0, len(wire), 65536):
        conn.receive_data(wire[at : at + 65536])
        while (event := conn.next_event()) is not NEED_DATA:
            done = isinstance(event, MessageReceived)
    assert done


def copy_and_scan(octets: bytes) -> None:
    assert bytes(bytearray(octets)).find(b"\r\n.\r\n") < 0


def listing(conn: ServerConnection, verb: bytes) -> None:
    conn.receive_data(verb)
    while conn.next_event() is not NEED_DATA:
        conn.data_to_send()


def main() -> None:
    small = (LINE * 60)[:4096]
    large = (LINE * 140_000)[:10_000_000]
    print(f"Python {platform.python_version()}, best of 7")
    drop = logged_in(10_000, 4096)
    print(f"\n{'4 KB message':<34}{'microseconds':>14}{'limit':>8}")
    seconds = best(lambda: retrieve(drop, small), calls=2000)
    print(f"{'RETR':<34}{seconds * 1e6:>14.1f}{'20':>8}")
    seconds = best(lambda: retrieve(drop, small, b"TOP 1 5\r\n"), calls=2000)
    print(f"{'TOP 1 5':<34}{seconds * 1e6:>14.1f}")
    floor = best(lambda: copy_and_scan(large))
    print(f"\n{'10 MB message':<34}{'milliseconds':>14}{'x floor':>8}{'limit':>8}")
    print(f"{'copy and scan, the floor':<34}{floor * 1e3:>14.2f}{1.0:>8.2f}")
    dotted = large.replace(b"\r\nThe", b"\r\n.The")
    unix = large.replace(b"\r\n", b"\n")
    wire = large + b"\r\n.\r\n"
    rows: list[tuple[str, Callable[[], object], str]] = [
        ("RETR", lambda: retrieve(drop, large), "3"),
        ("RETR, every line starts with a dot", lambda: retrieve(drop, dotted), ""),
        ("RETR, stored with LF alone", lambda: retrieve(drop, unix), ""),
        ("TOP of all lines", lambda: retrieve(drop, large, b"TOP 1 999999999\r\n"), ""),
        ("wire_size", lambda: wire_size([large]), ""),
        ("RETR, received by a client", lambda: fetch(wire), ""),
    ]
    for name, work, limit in rows:
        seconds = best(work)
        print(f"{name:<34}{seconds * 1e3:>14.2f}{seconds / floor:>8.2f}{limit:>8}")
    print(f"\n{'10,000 messages':<34}{'milliseconds':>14}")
    for verb in (b"STAT\r\n", b"LIST\r\n", b"UIDL\r\n"):
        seconds = best(lambda verb=verb: listing(drop, verb))  # type: ignore[misc]
        print(f"{verb.decode().strip():<34}{seconds * 1e3:>14.2f}")


if __name__ == "__main__":
    main()

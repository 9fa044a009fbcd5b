"""Parsing commands: corvus-imap beside pymap and the imap-codec wheel, in one run.

    python benchmarks/bench_imap_commands.py

Each line is parsed many times; the best of five rounds counts.  "first time" gives the parser a FETCH
list that it has not seen before in each call, since corvus-imap remembers lists of FETCH items.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from corvus_imap import ALL_CAPABILITIES, Limits, Policy, ServerConnection
from corvus_imap.codec.grammar import Grammar
from corvus_imap.codec.parse_command import parse_command

LINES = {
    "FETCH list": b"a1 FETCH 1:* (FLAGS UID RFC822.SIZE INTERNALDATE ENVELOPE)",
    "FETCH header fields": b"a1 UID FETCH 1:500 (UID FLAGS BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])",
    "FETCH body": b"a1 UID FETCH 4711 BODY.PEEK[1.2]<0.65536>",
    "STORE": b"a1 UID STORE 1:500,600,700:* +FLAGS.SILENT (\\Seen $Forwarded)",
    "SEARCH flags": b"a1 SEARCH UNSEEN SINCE 1-Feb-1994",
    "SEARCH tree": b'a1 UID SEARCH OR (FROM "alice" SUBJECT news) NOT (1:500 SEEN LARGER 5000)',
    "NOOP": b"a1 NOOP",
}


def best(work: Callable[[], object], times: int = 3000) -> float:
    rounds = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(times):
            work()
        rounds.append((time.perf_counter() - started) / times)
    return min(rounds) * 1e6


def main() -> None:
    capabilities = frozenset(ALL_CAPABILITIES)
    grammar = Grammar(capabilities, Limits())
    forgetful = Grammar(capabilities, Limits())
    forgetful.remember_items = lambda text, items: None  # type: ignore[method-assign]  # the point
    try:
        from pymap.parsing import Params
        from pymap.parsing.commands import Commands
    except ImportError:
        Commands = None
    try:
        import imap_codec
    except ImportError:
        imap_codec = None
    print(
        f"{'us per command':22}{'corvus':>9}{'1st time':>9}{'pymap':>9}{'codec':>9}{'x pymap':>9}{'x, 1st':>8}"
    )
    for name, line in LINES.items():
        wire = line + b"\r\n"
        ours = best(lambda line=line: parse_command(line, grammar))
        first = best(lambda line=line: parse_command(line, forgetful))
        peer = codec = 0.0
        if Commands is not None:
            commands, params, view = Commands(), Params(), memoryview(wire)
            got = commands.parse(view, params)[0]
            assert type(got).__name__ != "InvalidCommand", (name, got)
            peer = best(lambda c=commands, v=view, p=params: c.parse(v, p), 500)
        if imap_codec is not None:
            codec = best(lambda w=wire: imap_codec.CommandCodec.decode(w)[1].as_dict(), 1000)
        print(
            f"{name:22}{ours:9.1f}{first:9.1f}{peer:9.1f}{codec:9.1f}{peer / ours:9.1f}{peer / first:8.1f}"
        )
    conn = ServerConnection(policy=Policy(ALL_CAPABILITIES), preauth=True)
    conn.next_event()
    batch = b"a1 NOOP\r\n" * 1000

    def engine() -> None:
        conn.receive_data(batch)
        for _ in range(1000):
            conn.next_event()
            conn.ok()
        conn.data_to_send()

    print(f"\nengine, NOOP with its answer: {best(engine, 10) / 1000:.1f} us")


if __name__ == "__main__":
    main()

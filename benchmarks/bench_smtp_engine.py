"""The SMTP engine alone, and the asyncio sink beside aiosmtpd: python benchmarks/bench_smtp_engine.py

Prints microseconds of CPU for each transaction of the engine, with every read of its own and
pipelined, and for bodies of 100 KB and 10 MB; then, with the client in a process of its own,
messages a second and CPU milliseconds a message of the two servers, taking turns in one run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from corvus_smtp import NEED_DATA, ServerConnection

SINK = Path(__file__).parents[1] / "examples" / "smtp_asyncio_sink.py"
AIOSMTPD = """
import asyncio, socket, sys
from aiosmtpd.smtp import SMTP
class Discard:
    async def handle_DATA(self, server, session, envelope):
        return "250 OK"
async def main():
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    s.bind(("127.0.0.1", 0))
    make = lambda: SMTP(Discard(), hostname="bench", data_size_limit=64 << 20)
    server = await asyncio.get_running_loop().create_server(make, sock=s, backlog=1024)
    print("listening on", s.getsockname()[1], flush=True)
    await server.serve_forever()
if sys.argv[1:]:
    import uvloop
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
asyncio.run(main())
"""
LINE = b"x" * 74 + b"\r\n"
ENVELOPE = (
    b"MAIL FROM:<sender@example.com>\r\n",
    b"RCPT TO:<alice@corvus.example>\r\n",
    b"DATA\r\n",
)


def pull(conn: ServerConnection) -> bytes:
    while (event := conn.next_event()) is not NEED_DATA:
        if event.owes:  # type: ignore[union-attr]  # nothing pauses here
            conn.accept()
    return conn.data_to_send()


def engine(size: int, pipelined: bool, count: int) -> float:
    """Microseconds of CPU for a transaction."""
    conn = ServerConnection("mx.example")
    pull(conn)
    conn.receive_data(b"EHLO bench\r\n")
    pull(conn)
    body = LINE * (size // len(LINE)) + b".\r\n"
    blocks = [body[n : n + 65536] for n in range(0, len(body), 65536)]
    reads = [b"".join(ENVELOPE) + blocks[0], *blocks[1:]] if pipelined else [*ENVELOPE, *blocks]
    start = time.process_time()
    for _ in range(count):
        for octets in reads:
            conn.receive_data(octets)
            pull(conn)
    return (time.process_time() - start) / count * 1e6


def client(port: int, messages: int, keep: bool) -> None:
    """A plain blocking client; runs in its own process."""
    body = LINE * 13 + b".\r\n"

    def say(sock: socket.socket, octets: bytes) -> None:
        sock.sendall(octets)
        answer = sock.recv(4096)
        while answer[-2:] != b"\r\n" or answer.splitlines()[-1][3:4] == b"-":
            answer += sock.recv(4096)

    done = 0
    while done < messages:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            say(sock, b"")
            say(sock, b"EHLO bench\r\n")
            for _ in range(messages if keep else 1):
                for octets in (*ENVELOPE, body):
                    say(sock, octets)
                done += 1
            say(sock, b"QUIT\r\n")


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def served(
    command: list[str], keep: bool, messages: int, sessions: int = 10
) -> tuple[float, float]:
    """Messages a second, and CPU milliseconds a message."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[-1])
        clients = [
            multiprocessing.Process(target=client, args=(port, messages // sessions, keep))
            for _ in range(sessions)
        ]
        used, start = cpu(process.pid), time.perf_counter()
        for one in clients:
            one.start()
        for one in clients:
            one.join()
        elapsed, used = time.perf_counter() - start, cpu(process.pid) - used
        process.terminate()
    return messages / elapsed, used / messages * 1e3


def main() -> None:
    print("engine alone                      us CPU/transaction")
    for size, count in ((1000, 20_000), (100_000, 1000), (10_000_000, 10)):
        for pipelined in (False, True):
            best = min(engine(size, pipelined, count) for _ in range(3))
            how = "pipelined" if pipelined else "read by read"
            print(f"  {size:>10} octets, {how:<12} {best:12.1f}")
    servers = {"corvus": [sys.executable, str(SINK), "0", "--plain"]}
    with contextlib.suppress(ImportError):
        import aiosmtpd

        servers[f"aiosmtpd {aiosmtpd.__version__}"] = [sys.executable, "-c", AIOSMTPD]
    if importlib.util.find_spec("uvloop"):
        for name, command in list(servers.items()):
            on_uvloop = command[:-1] if command[-1] == "--plain" else [*command, "--uvloop"]
            servers[f"{name}, uvloop"] = on_uvloop
    print("\n1 KB, 10 sessions                      msg/s   ms CPU/msg")
    for keep in (False, True):
        for name, command in servers.items():
            rate, used = served(command, keep, 10_000 if keep else 3000)
            how = "many per connection" if keep else "one per connection"
            print(f"  {name:<22} {how:<20} {rate:8.0f} {used:8.3f}")


if __name__ == "__main__":
    main()

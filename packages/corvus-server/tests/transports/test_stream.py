"""The shell under a real engine and real sockets, on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import corvus_smtp as smtp
from corvus_server import tls
from corvus_server.config import ListenAddress
from corvus_server.sessions.smtp import ENGINE
from corvus_server.transports.limits import ConnectionGate
from corvus_server.transports.listeners import Listener, ListenError, Listeners, Service, bind
from corvus_server.transports.stream import Shell

LOOPS = ["asyncio", "uvloop"]


def run(loop: str, main: Callable[[], Awaitable[None]]) -> None:
    if loop == "uvloop":
        uvloop = pytest.importorskip("uvloop")
        uvloop.run(main())
    else:
        asyncio.run(main())  # type: ignore[arg-type]  # a coroutine function makes coroutines


class Sink:
    """A session that takes everything and remembers what it was told."""

    def __init__(self, shell: Shell, admitted: bool, *, slow: float = 0.0) -> None:
        self.shell = shell
        self.conn = smtp.ServerConnection(
            "mx.test",
            policy=smtp.Policy().offering("STARTTLS"),
            limits=smtp.Limits(timeouts=smtp.Timeouts(server=shell_timeout)),
        )
        self.events: list[Any] = []
        self.errors: list[Exception] = []
        self.secure: list[Any] = []
        self.gone = False
        self.slow = slow
        self.admitted = admitted

    def handle(self, event: Any, /) -> Awaitable[None] | None:
        self.events.append(event)
        if isinstance(event, smtp.StartTLSRequested):
            self.shell.pause_reading()
        if isinstance(event, smtp.VerifyRequested):
            raise ValueError("secret/path")
        if isinstance(event, smtp.MessageReceived):
            return self._slowly()
        if getattr(event, "owes", False):
            self.conn.accept()
        return None

    async def _slowly(self) -> None:
        await asyncio.sleep(self.slow)
        self.conn.accept()

    def secured(self, facts: tls.SessionFacts, /) -> None:
        self.secure.append(facts)

    def failed(self, error: Exception, /) -> None:
        self.errors.append(error)
        self.conn.close(smtp.Reply(421, "4.3.0", "A local error"))

    def dismiss(self, reason: str, /) -> None:
        if not self.conn.closing:
            self.conn.close(smtp.Reply(421, "4.4.2", reason))

    def closed(self) -> None:
        self.gone = True


shell_timeout = 300.0


class Served:
    """A listener with sinks behind it."""

    def __init__(self, folder: Path, *, implicit: bool = False, gate: int = 0) -> None:
        self.certificate = tls.Certificate(
            *tls.ensure_certificate(folder, "mx.test", now=0x6A000000)
        )
        self.sessions: list[Sink] = []
        self.listeners = Listeners(
            gate=ConnectionGate(per_network=gate),
            tls=self.certificate.context,
            certificate=lambda: self.certificate.der,
        )
        self.implicit = implicit
        self.listener: Listener

    def _make(self, shell: Shell, admitted: bool) -> Sink:
        self.sessions.append(Sink(shell, admitted))
        return self.sessions[-1]

    async def __aenter__(self) -> Served:
        address = ListenAddress("127.0.0.1", 0)
        service = Service("smtp", ENGINE, self._make, self.implicit)
        self.listener = await self.listeners.open(service, bind(address))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.listeners.close(grace=0.5)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = client_context() if self.implicit else None
        return await asyncio.open_connection("127.0.0.1", self.listener.port, ssl=context)


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.asynccontextmanager
async def dialogue(served: Served) -> Any:
    reader, writer = await served.connect()
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


async def until(reader: asyncio.StreamReader, start: bytes) -> bytes:
    while line := await asyncio.wait_for(reader.readline(), 5):
        if line.startswith(start):
            return line
    raise AssertionError(f"the connection ended before {start!r}")


@pytest.mark.parametrize("loop", LOOPS)
def test_pipelined_commands_are_answered_in_one_write(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with Served(tmp_path) as served, dialogue(served) as (reader, writer):
            await until(reader, b"220")
            writer.write(b"EHLO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
            await until(reader, b"354")
            writer.write(b"Subject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n")
            await until(reader, b"250 2.0.0")
            await until(reader, b"221")
            assert await reader.read() == b""
        session = served.sessions[0]
        body = b"".join(e.data for e in session.events if isinstance(e, smtp.MessageChunk))
        assert body == b"Subject: x\r\n\r\n.dot\r\n"
        assert session.gone
        assert not served.listeners.connections

    run(loop, main)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("cut", ["together", "apart"])
def test_octets_behind_starttls_are_never_obeyed(loop: str, cut: str, tmp_path: Path) -> None:
    """CVE-2011-0411, on the whole path: neither the engine nor the transport keeps plaintext."""

    async def main() -> None:
        async with Served(tmp_path) as served, dialogue(served) as (reader, writer):
            await until(reader, b"220")
            writer.write(b"EHLO c.test\r\n")
            await until(reader, b"250 ")
            if cut == "together":
                writer.write(b"STARTTLS\r\nMAIL FROM:<evil@b.test>\r\n")
            else:
                writer.write(b"STARTTLS\r\n")
                writer.write(b"MAIL FROM:<evil@b.test>\r\n")
            rest = await asyncio.wait_for(reader.read(), 40)
            assert b"250" not in rest
            offered = [e for e in served.sessions[0].events if isinstance(e, smtp.MailOffered)]
            assert offered == []

    run(loop, main)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_session_goes_on_inside_tls(loop: str, tmp_path: Path) -> None:
    """Many at once: the first decrypted EHLO often arrives before start_tls() has returned."""

    async def one(served: Served) -> bytes:
        reader, writer = await served.connect()
        await until(reader, b"220")
        writer.write(b"EHLO c.test\r\n")
        await until(reader, b"250 ")
        writer.write(b"STARTTLS\r\n")
        await until(reader, b"220")
        await writer.start_tls(client_context(), server_hostname="mx.test")
        writer.write(b"EHLO inside.test\r\n")
        answer = await until(reader, b"250 ")
        writer.write(b"QUIT\r\n")
        await until(reader, b"221")
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()
        return answer

    async def main() -> None:
        async with Served(tmp_path) as served:
            answers = await asyncio.gather(*(one(served) for _ in range(20)))
            assert all(answers)
            for session in served.sessions:
                assert session.secure[0].version.startswith("TLSv1.")
                assert "tls-server-end-point" in session.secure[0].channel_bindings
                hellos = [e.name for e in session.events if isinstance(e, smtp.HelloReceived)]
                assert hellos == ["c.test", "inside.test"]

    run(loop, main)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_handshake_that_is_none_ends_the_connection(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with Served(tmp_path) as served, dialogue(served) as (reader, writer):
            await until(reader, b"220")
            writer.write(b"EHLO c.test\r\n")
            await until(reader, b"250 ")
            writer.write(b"STARTTLS\r\n")
            await until(reader, b"220")
            writer.write(b"this is no ClientHello\r\n" * 10)
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), 5)
            for _ in range(100):
                if served.sessions[0].gone:
                    break
                await asyncio.sleep(0.01)
            assert served.sessions[0].gone

    run(loop, main)


@pytest.mark.parametrize("loop", LOOPS)
def test_implicit_tls_shows_its_facts_from_the_start(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with Served(tmp_path, implicit=True) as served, dialogue(served) as (reader, writer):
            await until(reader, b"220")
            facts = served.sessions[0].shell.facts
            assert facts is not None
            assert facts.version in ("TLSv1.2", "TLSv1.3")
            writer.write(b"QUIT\r\n")
            await until(reader, b"221")

    run(loop, main)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_handlers_exception_is_not_shown_to_the_peer(loop: str, tmp_path: Path) -> None:
    """Checklist row 26: aiosmtpd sends the text of the exception."""

    async def main() -> None:
        async with Served(tmp_path) as served, dialogue(served) as (reader, writer):
            await until(reader, b"220")
            writer.write(b"EHLO c.test\r\nVRFY someone\r\n")
            await until(reader, b"250 ")
            rest = await asyncio.wait_for(reader.read(), 5)
            assert rest.startswith(b"421 4.3.0")
            assert b"secret" not in rest
            assert isinstance(served.sessions[0].errors[0], ValueError)

    run(loop, main)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_says_nothing_is_dismissed(loop: str, tmp_path: Path) -> None:
    globals()["shell_timeout"] = 0.15
    try:

        async def main() -> None:
            async with Served(tmp_path) as served, dialogue(served) as (reader, _):
                await until(reader, b"220")
                line = await until(reader, b"421")
                assert b"timeout" in line
                assert await asyncio.wait_for(reader.read(), 5) == b""

        run(loop, main)
    finally:
        globals()["shell_timeout"] = 300.0


@pytest.mark.parametrize("loop", LOOPS)
def test_one_octet_at_a_time_in_a_body_is_no_progress(loop: str, tmp_path: Path) -> None:
    """Checklist row 27: a body that trickles in is a stalled one."""
    globals()["shell_timeout"] = 0.3
    try:

        async def main() -> None:
            async with Served(tmp_path) as served, dialogue(served) as (reader, writer):
                await until(reader, b"220")
                writer.write(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n")
                await until(reader, b"354")
                started = asyncio.get_running_loop().time()
                with contextlib.suppress(ConnectionError):
                    for _ in range(100):
                        writer.write(b"x")
                        await writer.drain()
                        await asyncio.sleep(0.02)
                        if served.sessions[0].gone:
                            break
                assert served.sessions[0].gone
                assert asyncio.get_running_loop().time() - started < 1.5

        run(loop, main)
    finally:
        globals()["shell_timeout"] = 300.0


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_never_reads_stops_being_read(loop: str, tmp_path: Path) -> None:
    """Its answers may not fill our memory (checklist row 27)."""

    async def main() -> None:
        async with Served(tmp_path) as served:
            peer = socket.create_connection(("127.0.0.1", served.listener.port))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.setblocking(False)
            sent = 0
            for _ in range(400):
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    sent += peer.send(b"NOOP\r\n" * 4000)
                await asyncio.sleep(0.001)
            session = served.sessions[0]
            held = session.shell.transport.get_write_buffer_size()
            assert held < 4 << 20
            assert session.conn.buffered < 1 << 20
            peer.close()

    run(loop, main)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_network_over_its_limit_is_told_so(loop: str) -> None:
    gate = ConnectionGate(per_network=2)
    assert gate.enter("203.0.113.1")
    assert gate.enter("203.0.113.2")
    assert not gate.enter("203.0.113.3")
    gate.leave("203.0.113.3")
    gate.leave("203.0.113.1")
    assert gate.enter("203.0.113.9")
    assert all(gate.enter("127.0.0.1") for _ in range(1000))


def test_a_busy_port_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"127.0.0.1:{port} is in use by another program"):
            bind(ListenAddress("127.0.0.1", port))


def test_listening_sockets_say_that_they_are_tcp() -> None:
    """asyncio sets TCP_NODELAY only on those: a factor of sixteen for who pipelines."""
    for each in bind(ListenAddress("127.0.0.1", 0)):
        assert each.proto == socket.IPPROTO_TCP
        each.close()

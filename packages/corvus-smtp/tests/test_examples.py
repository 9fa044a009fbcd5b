"""Every example is short, and runs."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"

pytestmark = pytest.mark.skipif(
    not EXAMPLES.is_dir(), reason="the examples stand in the repository, not in the package"
)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def running(name: str, *arguments: str) -> Iterator[int]:
    """The example as its own process; yields the port it listens on."""
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            assert line.startswith("listening on "), line + process.stdout.read()
            yield int(line.split()[-1])
        finally:
            process.terminate()


def send(port: int, octets: bytes = b"Subject: x\r\n\r\n.dot\r\n") -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.ehlo("client.example")
        assert client.sendmail("a@b.example", ["c@d.example"], octets) == {}


def test_every_example_is_short() -> None:
    found = sorted(EXAMPLES.glob("smtp_*.py"))
    assert len(found) >= 7
    for path in found:
        assert len(path.read_text(encoding="utf-8").splitlines()) < 60, path.name


@pytest.mark.parametrize("arguments", [("0",), ("0", "--plain")])
def test_asyncio_sink(arguments: tuple[str, ...]) -> None:
    with running("smtp_asyncio_sink", *arguments) as port:
        send(port)
        send(port, b"x" * 70 + b"\r\n")


def test_the_asyncio_sink_reads_no_client_that_reads_no_replies() -> None:
    class Transport:
        reading = True

        def write(self, octets: bytes) -> None:
            """Nobody looks at it."""

        def pause_reading(self) -> None:
            self.reading = False

        def resume_reading(self) -> None:
            self.reading = True

    transport = Transport()
    sink = load("smtp_asyncio_sink").Sink()
    sink.connection_made(transport)
    sink.pause_writing()
    assert not transport.reading
    sink.resume_writing()
    assert transport.reading


def test_a_client_that_vanishes_is_no_exception_in_a_thread() -> None:
    module = load("smtp_threading_sink")
    ours, theirs = socket.socketpair()
    theirs.close()
    module.serve(ours, None)


def test_threading_sink() -> None:
    with running("smtp_threading_sink", "0") as port:
        send(port)


def test_trio_sink() -> None:
    pytest.importorskip("trio")
    with running("smtp_trio_sink", "0") as port:
        send(port)


def test_proxy() -> None:
    with (
        running("smtp_threading_sink", "0") as inner,
        running("smtp_proxy", "0", "127.0.0.1", str(inner)) as outer,
    ):
        send(outer)


def test_relay() -> None:
    relay = load("smtp_relay")
    with running("smtp_asyncio_sink", "0") as port:
        address = ("127.0.0.1", port)
        outcome = relay.relay(address, "a@b", ["c@d", "e@f"], [b"Subject: x\n\n", b".\n"])
        assert {who: reply.code for who, reply in outcome.items()} == {"c@d": 250, "e@f": 250}


def test_relay_tells_a_refusal() -> None:
    relay = load("smtp_relay")

    class Refuse:
        async def handle_RCPT(self, server: Any, session: Any, envelope: Any, *args: Any) -> str:
            return "550 5.1.1 no such user"

    async def main() -> Any:
        server = await load("smtp_aiosmtpd_handlers").serve(Refuse(), "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        outcome = await asyncio.to_thread(relay.relay, address, "a@b", ["c@d"], [b"x\r\n"])
        server.close()
        await server.wait_closed()
        return outcome

    (reply,) = asyncio.run(main()).values()
    assert (reply.code, str(reply.enhanced)) == (550, "5.1.1")


def test_handlers_written_for_aiosmtpd() -> None:
    class Handler:
        def __init__(self) -> None:
            self.seen: list[SimpleNamespace] = []

        async def handle_RCPT(
            self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
        ) -> str:
            if address == "odd@d.example":
                return "whatever"
            if address == "c@d.example":
                envelope.rcpt_tos.append(address)
                return "250 OK"
            return "550 5.1.1 no such user"

        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            self.seen.append(envelope)
            if b"boom" in envelope.content:
                raise ValueError("secret")
            return "250 OK"

    def client(port: int) -> None:
        send(port)
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as smtp:
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                smtp.sendmail("a@b", ["nobody@d"], b"x")
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                smtp.sendmail("a@b", ["odd@d.example"], b"x")
            assert refused.value.recipients["odd@d.example"][0] == 451
            with pytest.raises(smtplib.SMTPDataError) as caught:
                smtp.sendmail("a@b", ["c@d.example"], b"boom\r\n")
            assert caught.value.smtp_code == 451
            assert "secret" not in str(caught.value)

    async def main(handler: Handler) -> None:
        server = await load("smtp_aiosmtpd_handlers").serve(handler, "127.0.0.1", 0)
        await asyncio.to_thread(client, server.sockets[0].getsockname()[1])
        server.close()
        await server.wait_closed()

    handler = Handler()
    asyncio.run(main(handler))
    assert handler.seen[0].mail_from == "a@b.example"
    assert handler.seen[0].rcpt_tos == ["c@d.example"]
    assert handler.seen[0].content == b"Subject: x\r\n\r\n.dot\r\n"


def test_pytest_fixture() -> None:
    module = load("smtp_pytest_fixture")
    generator = inspect.unwrap(module.mailbox)()
    box = next(generator)
    send(box.port)
    assert next(generator, None) is None
    (message,) = box.messages
    assert message.sender == "a@b.example"
    assert message.recipients == ["c@d.example"]
    assert message.content == b"Subject: x\r\n\r\n.dot\r\n"

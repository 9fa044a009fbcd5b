"""Real peers on loopback: Postfix, Exim, smtp-source, smtp-sink, swaks, msmtp, smtplib, aiosmtplib.

Programs come from Debian's packages; where one is missing its test is skipped with the reason.
Exim and Postfix exclude each other there, so Exim may be unpacked anywhere: CORVUS_EXIM names it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import smtplib
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from corvus_smtp import (
    ClientConnection,
    CommandSkipped,
    ConnectionEnded,
    DataReady,
    DataRequested,
    HelloReceived,
    MailOffered,
    MessageChunk,
    MessageReceived,
    Policy,
    RecipientOffered,
    RemoteProtocolError,
    Reply,
    ReplyReceived,
    ServerConnection,
    TLSInfo,
    Verb,
    Wait,
)

pytestmark = pytest.mark.interop

MESSAGE = b"Subject: dots\r\n\r\n.\r\n..two\r\n.three\r\nlast\r\n"


def program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


class Catcher(socketserver.ThreadingTCPServer):
    """The server engine with blocking sockets; keeps what it took."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, context: ssl.SSLContext | None = None, *, keep: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.context = context
        self.keep = keep
        self.port = self.server_address[1]
        self.events: list[Any] = []
        self.messages: list[bytes] = []
        self.sizes: list[int] = []

    def wait(self, count: int, seconds: float = 20.0) -> None:
        """Until *count* messages came: a peer delivers when it likes."""
        end = time.monotonic() + seconds
        while len(self.sizes) < count:
            assert time.monotonic() < end, f"{len(self.sizes)} of {count} messages"
            threading.Event().wait(0.05)


class Session(socketserver.BaseRequestHandler):
    server: Catcher

    def handle(self) -> None:
        sock, body = self.request, bytearray()
        policy = Policy().offering("STARTTLS") if self.server.context else Policy()
        conn = ServerConnection("mx.example", policy=policy)
        while True:
            try:
                event = conn.next_event()
            except RemoteProtocolError as error:
                self.server.events.append(error)
                continue
            if isinstance(event, Wait):
                sock.settimeout(30)
                sock.sendall(conn.data_to_send())
                if conn.tls_pending and self.server.context is not None:
                    sock = self.server.context.wrap_socket(sock, server_side=True)
                    conn.start_tls(TLSInfo(version=sock.version()))
                    continue
                data = sock.recv(1 << 18)
                conn.receive_data(data) if data else conn.receive_eof()
                continue
            if isinstance(event, ConnectionEnded):
                sock.sendall(conn.data_to_send())
                sock.close()
                return
            if isinstance(event, MessageChunk):
                if self.server.keep:
                    body += event.data
                continue
            self.server.events.append(event)
            if isinstance(event, MessageReceived):
                self.server.messages.append(bytes(body))
                self.server.sizes.append(event.size)
                body.clear()
            if event.owes:
                conn.accept()


@contextmanager
def catching(context: ssl.SSLContext | None = None, *, keep: bool = True) -> Iterator[Catcher]:
    with Catcher(context, keep=keep) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def tls() -> ssl.SSLContext:
    trustme = pytest.importorskip("trustme")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that servers which give root up can still enter."""
    path = Path(tempfile.mkdtemp(prefix="corvus-smtp-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        assert isinstance(port, int)
        return port


def until_open(port: int, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < end, f"nothing listens on {port}"
            threading.Event().wait(0.1)


def deliver(
    port: int,
    message: Iterable[bytes],
    *,
    recipients: tuple[str, ...] = ("c@d.example",),
    chunking: bool | None = None,
) -> tuple[Verb, list[Reply]]:
    """Send *message* with the client engine; give DATA or BDAT, and the replies to it."""
    conn = ClientConnection("client.example")
    hello, data, replies, verb = conn.ehlo(), None, [], Verb.DATA
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        while not isinstance(event := conn.next_event(), ConnectionEnded):
            if isinstance(event, Wait):
                sock.sendall(conn.data_to_send())
                received = sock.recv(65536)
                conn.receive_data(received) if received else conn.receive_eof()
            elif isinstance(event, DataReady):
                for chunk in message:
                    conn.chunk(chunk)
                    sock.sendall(conn.data_to_send())
                conn.end()
            elif isinstance(event, ReplyReceived) and event.command is hello:
                if event.reply.permanent:
                    hello = conn.helo()
                    continue
                conn.mail("a@b.example")
                for recipient in recipients:
                    conn.rcpt(recipient)
                data = conn.data(chunking=chunking)
                verb = data.verb
            elif isinstance(event, ReplyReceived | CommandSkipped) and event.command is data:
                if isinstance(event, ReplyReceived):
                    replies.append(event.reply)
                conn.quit()
    return verb, replies


def test_smtplib_with_starttls_and_dots(tls: ssl.SSLContext) -> None:
    with catching(tls) as server, smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
        client.starttls(context=ssl._create_unverified_context())
        assert client.sendmail("a@b.example", ["c@d.example", "e@f.example"], MESSAGE) == {}
        assert client.sendmail("", ["c@d.example"], b"") == {}
        assert client.verify("bob")[0] == 252
    assert server.messages[0] == MESSAGE
    assert sum(isinstance(e, HelloReceived) for e in server.events) == 2
    assert [e.reverse_path for e in server.events if isinstance(e, MailOffered)][1] is None


def test_smtplib_with_fifty_megabytes() -> None:
    line = b"x" * 76 + b"\r\n"
    with (
        catching(keep=False) as server,
        smtplib.SMTP("127.0.0.1", server.port, timeout=60) as client,
    ):
        client.sendmail("a@b.example", ["c@d.example"], line * 641_000)
    assert server.sizes == [641_000 * len(line)]


def test_aiosmtplib_with_starttls(tls: ssl.SSLContext) -> None:
    aiosmtplib = pytest.importorskip("aiosmtplib")

    async def main(port: int) -> None:
        client = aiosmtplib.SMTP(
            hostname="127.0.0.1", port=port, start_tls=True, validate_certs=False, timeout=10
        )
        async with client:
            await client.sendmail("a@b.example", ["c@d.example"], MESSAGE)

    with catching(tls) as server:
        asyncio.run(main(server.port))
    assert server.messages == [MESSAGE]


def test_swaks_with_starttls_and_pipelining(tls: ssl.SSLContext, folder: Path) -> None:
    swaks = program("swaks")
    (folder / "message").write_bytes(MESSAGE.replace(b"\r\n", b"\n"))
    with catching(tls) as server:
        for options in (["--tls"], ["--pipeline"], ["--tls", "--pipeline"]):
            command = [swaks, "--server", f"127.0.0.1:{server.port}", "--helo", "client.example"]
            command += ["--from", "a@b.example", "--to", "c@d.example,e@f.example", *options]
            command += ["--data", f"@{folder / 'message'}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, done.stdout + done.stderr
    assert len(server.messages) == 3
    assert all(b"\r\n.\r\n..two\r\n" in message for message in server.messages)


def test_msmtp_with_and_without_tls(tls: ssl.SSLContext) -> None:
    msmtp = program("msmtp")
    with catching(tls) as server:
        for options in (["--tls=off"], ["--tls=on", "--tls-certcheck=off"]):
            command = [msmtp, "--file=/dev/null", "--host=127.0.0.1", f"--port={server.port}"]
            command += ["--from=a@b.example", "--auth=off", *options, "c@d.example"]
            text = MESSAGE.replace(b"\r\n", b"\n")
            done = subprocess.run(command, input=text, capture_output=True, timeout=30)
            assert done.returncode == 0, done.stderr
    assert len(server.messages) == 2
    assert all(
        message.endswith(b"\r\n.\r\n..two\r\n.three\r\nlast\r\n") for message in server.messages
    )


def test_smtp_source_in_parallel_and_with_fifty_megabytes() -> None:
    source = program("smtp-source")
    with catching(keep=False) as server:
        to = f"127.0.0.1:{server.port}"
        for options in (["-s", "5", "-m", "50"], ["-d", "-s", "5", "-m", "50"], ["-l", "50000000"]):
            done = subprocess.run([source, *options, to], capture_output=True, timeout=60)
            assert done.returncode == 0, done.stderr
    assert len(server.sizes) == 101
    assert max(server.sizes) > 49_000_000


def test_smtp_sink_takes_what_the_client_sends() -> None:
    sink = program("smtp-sink")
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    for options in (
        [],
        ["-p"],
        ["-e"],
    ):  # with pipelining, without, and as one that knows HELO alone
        with subprocess.Popen([sink, *user, *options, f"127.0.0.1:{port}", "10"]) as process:
            try:
                until_open(port)
                block = b"x" * 76 + b"\r\n"
                verb, replies = deliver(port, [MESSAGE, *[block * 1000] * 30])
                assert verb is Verb.DATA
                assert [reply.code for reply in replies] == [250]
            finally:
                process.terminate()


POSTFIX_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_peername_lookup = no
message_size_limit = 60000000
mailbox_size_limit = 0
smtputf8_enable = no
smtp_dns_support_level = disabled
relayhost = [127.0.0.1]:{relay}
maillog_file = {folder}/log
maillog_file_prefixes = /tmp, /var
import_environment = MAIL_CONFIG
"""
POSTFIX_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
pickup unix n - n 60 1 pickup
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@contextmanager
def postfix(folder: Path, relay: int) -> Iterator[int]:
    """A Postfix of our own that passes everything on to *relay*."""
    command = program("postfix")
    if os.geteuid() != 0:
        pytest.skip("Postfix is started by root")
    port = free_port()
    etc = folder / "etc"
    for name in ("etc", "spool", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    (etc / "main.cf").write_text(POSTFIX_MAIN.format(folder=folder, relay=relay))
    (etc / "master.cf").write_text(POSTFIX_MASTER.format(port=port))
    for name in ("dynamicmaps.cf", "postfix-files"):
        if Path("/etc/postfix", name).exists():
            shutil.copy(Path("/etc/postfix", name), etc / name)
        (etc / f"{name}.d").mkdir()
    run = [command, "-c", str(etc)]
    started = subprocess.run([*run, "start"], capture_output=True, text=True, timeout=30)
    try:
        assert started.returncode == 0, started.stderr
        until_open(port)
        yield port
    finally:
        subprocess.run([*run, "stop"], capture_output=True, timeout=30)


@pytest.mark.parametrize("chunking", [False, True])
def test_postfix_takes_from_the_client_and_delivers_to_the_server(
    folder: Path, chunking: bool
) -> None:
    with catching() as server, postfix(folder, server.port) as port:
        block = b"y" * 76 + b"\r\n"
        body = [MESSAGE, *[block * 1000] * 10]
        verb, replies = deliver(
            port, body, chunking=chunking, recipients=("c@d.example", "e@d.example")
        )
        assert verb is (Verb.BDAT if chunking else Verb.DATA)
        assert [reply.code for reply in replies] == [250]
        server.wait(1)
    # Postfix adds a Message-Id behind the header fields that were there.
    assert server.messages[0].partition(b"\r\n\r\n")[2] == b"".join(body).partition(b"\r\n\r\n")[2]
    recipients = [str(e.forward_path) for e in server.events if isinstance(e, RecipientOffered)]
    assert sorted(recipients) == ["c@d.example", "e@d.example"]


EXIM = """
primary_hostname = exim.example
exim_path = {exim}
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
spool_directory = {folder}/spool
log_file_path = {folder}/log-%slog
pid_file_path = {folder}/pid
tls_advertise_hosts =
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max_per_host = 10
acl_smtp_rcpt = accept_all
begin acl
accept_all:
  accept
begin routers
onwards:
  driver = manualroute
  route_list = * 127.0.0.1
  transport = onwards
  self = send
begin transports
onwards:
  driver = smtp
  port = {relay}
  allow_localhost
  hosts_try_chunking = *
begin retry
* * F,1h,1m
"""


@contextmanager
def exim(folder: Path, relay: int) -> Iterator[int]:
    """An Exim of our own that passes everything on to *relay*."""
    command = os.environ.get("CORVUS_EXIM") or program("exim4")
    if os.geteuid() != 0:
        pytest.skip("Exim is started by root")
    probe = subprocess.run([command, "-C", "/dev/null", "-bV"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"Exim does not start: {probe.stderr.strip()}")
    port = free_port()
    config = folder / "exim.conf"
    config.write_text(EXIM.format(folder=folder, exim=command, port=port, relay=relay))
    (folder / "spool").mkdir()
    for path in (folder, folder / "spool"):
        shutil.chown(path, "Debian-exim")
    with subprocess.Popen([command, "-C", str(config), "-bdf"]) as process:
        try:
            until_open(port)
            yield port
        finally:
            process.terminate()


@pytest.mark.parametrize("chunking", [False, True])
def test_exim_takes_from_the_client_and_delivers_to_the_server(
    folder: Path, chunking: bool
) -> None:
    with catching() as server, exim(folder, server.port) as port:
        body = [MESSAGE, *[b"z" * 76 + b"\r\n"] * 100]
        verb, replies = deliver(port, body, chunking=chunking)
        assert verb is (Verb.BDAT if chunking else Verb.DATA)
        assert [reply.code for reply in replies] == [250]
        server.wait(1)
    assert server.messages[0].endswith(b"".join(body))
    assert DataRequested(chunking=True) in server.events, "Exim sends BDAT where it is offered"

"""
The example server, and the clients that people fetch their mail with.

Each one fetches and leaves, fetches and deletes, and finds the maildrop empty afterwards; where the
client can, over STLS and over TLS from the start.
"""

from __future__ import annotations

import os
import poplib
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "pop3_maildir_server.py"

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not here"),
]

#: As they are stored, and as they must arrive: lone LFs, dots in front, no line end at the end.
STORED = {
    "1.plain": b"From: a@example.org\r\nSubject: one\r\n\r\nHello.\r\n",
    "2.dots": b"From: a@example.org\nSubject: two\n\n.\n..\n.x\nafter the dots\n.\n",
    "3.torn": b"From: a@example.org\nSubject: three\n\nno line end",
    "4.long": b"From: a@example.org\nSubject: four\n\n" + b"." * 2000 + b"\n" + b"y\n" * 70_000,
}


def lines_of(message: bytes) -> list[bytes]:
    """Content without what a client may change: line ends, and headers it adds in front."""
    text = message.replace(b"\r\n", b"\n")
    body = text[text.index(b"Subject:") :]
    return body.rstrip(b"\n").split(b"\n")


WANTED = sorted(lines_of(message) for message in STORED.values())


@dataclass
class Server:
    port: int
    tls_port: int
    maildir: Path
    ca: Path
    certificate: Path

    def fill(self) -> None:
        for name, message in STORED.items():
            (self.maildir / "new" / name).write_bytes(message)

    def left(self) -> int:
        return len(list(self.maildir.glob("new/*")))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    trustme = pytest.importorskip("trustme", reason="makes the certificate")
    folder = tmp_path_factory.mktemp("pop3")
    for name in ("new", "cur", "tmp"):
        (folder / "Maildir" / name).mkdir(parents=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("localhost", common_name="localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    server = Server(
        port=free_port(),
        tls_port=free_port(),
        maildir=folder / "Maildir",
        ca=folder / "ca.pem",
        certificate=folder / "server.pem",
    )
    arguments = [server.maildir, "alice", "two words", server.certificate]
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE), *map(str, arguments), str(server.port), str(server.tls_port)]
    )
    try:
        for port in (server.port, server.tls_port):
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=5).close()
                    break
                except ConnectionRefusedError:
                    assert process.poll() is None, "the example ended"
                    time.sleep(0.05)  # another process starts: there is nothing to wait on
        yield server
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def server(running: Server) -> Server:
    for old in running.maildir.glob("new/*"):
        old.unlink()
    running.fill()
    return running


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(*arguments: object, home: Path, ok: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        [str(argument) for argument in arguments],
        env={**os.environ, "HOME": str(home), "FETCHMAILHOME": str(home)},
        cwd=home,
        capture_output=True,
        timeout=60,
        check=False,
    )
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode in ok, output
    return done.stdout.decode("utf-8", "replace")


def secret_file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


both = pytest.mark.parametrize("way", ["stls", "tls"])


@both
def test_poplib_fetches_leaves_deletes_and_finds_nothing_again(
    server: Server, way: str, request: pytest.FixtureRequest
) -> None:
    context = ssl.create_default_context(cafile=str(server.ca))

    def connect() -> poplib.POP3:
        if way == "tls":
            pop: poplib.POP3 = poplib.POP3_SSL("localhost", server.tls_port, context=context)
        else:
            pop = poplib.POP3("localhost", server.port)
            assert "STLS" in pop.capa()
            assert "USER" not in pop.capa()
            pop.stls(context=context)
        pop.user("alice")
        pop.pass_("two words")
        opened.append(pop)
        return pop

    opened: list[poplib.POP3] = []

    def close_all() -> None:
        for pop in opened:
            pop.close()

    request.addfinalizer(close_all)
    pop = connect()
    count, octets = pop.stat()
    uids = pop.uidl()[1]
    got = [b"\r\n".join(pop.retr(n)[1]) for n in range(1, count + 1)]
    assert sorted(map(lines_of, got)) == WANTED
    assert octets == sum(map(len, got)) + 2 * count
    assert pop.top(2, 3)[1] == [b"From: a@example.org", b"Subject: two", b"", b".", b"..", b".x"]
    pop.dele(1)
    pop.close()  # without QUIT
    pop = connect()
    assert pop.stat()[0] == 4
    assert pop.uidl()[1] == uids
    for n in range(1, 5):
        pop.dele(n)
    pop.quit()
    assert server.left() == 0
    pop = connect()
    assert pop.stat() == (0, 0)
    pop.quit()


@both
def test_curl_lists_fetches_and_deletes(server: Server, way: str, tmp_path: Path) -> None:
    url = (
        f"pop3s://localhost:{server.tls_port}/"
        if way == "tls"
        else f"pop3://localhost:{server.port}/"
    )
    curl = [program("curl"), "-sS", "--ssl-reqd", "--cacert", server.ca, "-u", "alice:two words"]
    assert len(run(*curl, url, home=tmp_path).split()) == 8
    for number in range(1, 5):
        run(*curl, f"{url}{number}", "-o", tmp_path / f"{number}.eml", home=tmp_path)
    got = [path.read_bytes() for path in tmp_path.glob("*.eml")]
    assert sorted(map(lines_of, got)) == WANTED
    run(*curl, "-X", "DELE", "--list-only", f"{url}1", home=tmp_path)
    assert server.left() == 3


@both
def test_mpop_keeps_then_deletes(server: Server, way: str, tmp_path: Path) -> None:
    mpop = program("mpop")
    for name in ("new", "cur", "tmp"):
        (tmp_path / "in" / name).mkdir(parents=True)
    config = secret_file(
        tmp_path / "mpoprc",
        f"account x\nhost localhost\nport {server.tls_port if way == 'tls' else server.port}\n"
        f"tls on\ntls_starttls {'off' if way == 'tls' else 'on'}\ntls_trust_file {server.ca}\n"
        'user alice\npassword "two words"\n'
        f"delivery maildir {tmp_path / 'in'}\nuidls_file {tmp_path / 'uidls'}\n",
    )
    run(mpop, "-C", config, "-k", "x", home=tmp_path)
    got = [path.read_bytes() for path in (tmp_path / "in" / "new").iterdir()]
    assert sorted(map(lines_of, got)) == WANTED
    assert server.left() == 4
    run(mpop, "-C", config, "--keep=off", "x", home=tmp_path)
    assert server.left() == 0, "what was seen before is deleted, and not fetched again"
    assert len(list((tmp_path / "in" / "new").iterdir())) == 4
    server.fill()
    run(mpop, "-C", config, "--uidls-file", tmp_path / "other", "--keep=off", "x", home=tmp_path)
    assert len(list((tmp_path / "in" / "new").iterdir())) == 8


@both
def test_fetchmail_keeps_then_deletes(server: Server, way: str, tmp_path: Path) -> None:
    fetchmail = program("fetchmail")
    inbox = tmp_path / "inbox"
    port = server.tls_port if way == "tls" else server.port
    config = secret_file(
        tmp_path / "fetchmailrc",
        f"poll localhost service {port} protocol pop3 uidl auth password "
        'user "alice" password "two words" '
        + ("ssl " if way == "tls" else "sslproto tls1.2+ ")
        + f'sslcertck sslcertfile "{server.ca}" mda "cat >> {inbox}"\n',
    )
    run(fetchmail, "-f", config, "--keep", home=tmp_path)
    got = inbox.read_bytes().count(b"Subject: ")
    assert got == 4
    for lines in WANTED:
        assert b"\n".join(lines) in inbox.read_bytes()
    assert server.left() == 4
    run(fetchmail, "-f", config, "--nokeep", "--flush", home=tmp_path, ok=(0, 1))
    run(fetchmail, "-f", config, "--nokeep", "--fetchall", home=tmp_path, ok=(0, 1))
    assert server.left() == 0


def test_getmail_keeps_then_deletes_over_tls(server: Server, tmp_path: Path) -> None:
    getmail = program("getmail")
    for name in ("new", "cur", "tmp"):
        (tmp_path / "in" / name).mkdir(parents=True)
    secret_file(
        tmp_path / "getmailrc",
        "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = localhost\n"
        f"port = {server.tls_port}\nusername = alice\npassword = two words\nca_certs = {server.ca}\n"
        "[destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n"
        f"arguments = ('-c', 'cat > {tmp_path}/in/new/$$')\n"
        "[options]\nread_all = false\ndelete = false\nverbose = 0\n",
    )
    arguments = (getmail, "--getmaildir", tmp_path, "--rcfile", "getmailrc")
    run(*arguments, home=tmp_path)
    got = [path.read_bytes() for path in (tmp_path / "in" / "new").iterdir()]
    assert sorted(map(lines_of, got)) == WANTED
    assert server.left() == 4
    run(*arguments, "--delete", home=tmp_path)
    assert server.left() == 0
    assert len(list((tmp_path / "in" / "new").iterdir())) == 4

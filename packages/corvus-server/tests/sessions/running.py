"""An IMAP server in a thread of its own, and a client that shows every octet."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import Any

import corvus_imap as imap
from corvus_server.accounts.lockout import Lockout
from corvus_server.accounts.passwords import PasswordChecker
from corvus_server.accounts.signin import MECHANISMS, SignIn
from corvus_server.config import ListenAddress
from corvus_server.log import EventLog
from corvus_server.sessions.imap import ENGINE, make
from corvus_server.storage.protocols import Store
from corvus_server.storage.values import Mailbox, NewMessage
from corvus_server.transports.limits import ConnectionGate
from corvus_server.transports.listeners import Listeners, Service, bind

ALICE, BOB, PASSWORD = "alice@corvus.local", "bob@corvus.local", "pw"
#: LOGIN in the clear, which the real policy refuses: the octets of a test stay readable.
OPEN = imap.Policy(
    capabilities=imap.ALL_CAPABILITIES, mechanisms=MECHANISMS, starttls=True, require_tls=False
)


def mail(subject: str = "lunch", text: str = "At noon?", *, more: str = "") -> bytes:
    """A small message."""
    return (
        f"From: Carol <carol@crow.example>\r\nTo: {ALICE}\r\nSubject: {subject}\r\n"
        f"Date: Fri, 15 Jan 2027 08:00:00 +0100\r\n{more}\r\n{text}\r\n"
    ).encode()


class Running:
    """A store with alice and bob behind IMAP sessions, while the test goes on."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        *,
        policy: imap.Policy = OPEN,
        max_append: int = 1 << 20,
        tls: Any = None,
        check: bool = True,
    ) -> None:
        """
        Args:
            check: Whether the store must be found consistent at the end (R12).
        """
        self._open_store = open_store
        self._policy = policy
        self._max_append = max_append
        self._tls = tls
        self._check = check
        self.store: Store
        self.port = 0
        self.listeners: Listeners
        self.log = EventLog(level="error")
        self._loop: asyncio.AbstractEventLoop
        self._ready: Future[None] = Future()
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._main, name="imap-server")
        self._wires: list[Wire] = []

    def _main(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        checker = PasswordChecker(lambda stored, secret: stored == secret, "", now=time.monotonic)
        try:
            self.store = self._open_store()
            await self.store.directory.add_domain("corvus.local")
            for address in (ALICE, BOB):
                await self.store.directory.add_account(address, password_hash=PASSWORD)
            sign_in = SignIn(
                self.store.directory,
                self.store.logins,
                checker,
                Lockout(now=time.monotonic),
                log=self.log,
                now=time.time,
                nonce=lambda: "nonce",
                dummy_key=b"k" * 32,
            )
            self.listeners = Listeners(gate=ConnectionGate(per_network=0), tls=self._tls)
            listener = await self.listeners.open(
                Service(
                    "imap",
                    ENGINE,
                    lambda shell, admitted: make(
                        shell, self.store, sign_in, log=self.log, admitted=admitted,
                        hostname="mail.corvus.local", max_append=self._max_append,
                        policy=self._policy,
                    ),
                ),
                bind(ListenAddress("127.0.0.1", 0)),
            )  # fmt: skip
            self.port = listener.port
        except BaseException as error:
            self._ready.set_exception(error)
            raise
        self._ready.set_result(None)
        await self._stop.wait()
        await self.listeners.close(grace=2)
        for each in listener.sockets:
            each.close()
        findings = await self.store.check() if self._check else []
        await self.store.close()
        checker.close()
        assert findings == [], findings

    def __enter__(self) -> Running:
        self._thread.start()
        self._ready.result(30)
        return self

    def __exit__(self, *exc: object) -> None:
        for wire in self._wires:
            wire.close()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the server did not stop"

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine where the server runs, and return what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def box(self, name: str = "INBOX", address: str = ALICE) -> Mailbox:
        account = self.store.directory.account(address)
        assert account is not None
        found = self.store.mailboxes.get(account.id, name)
        assert found is not None, name
        return found

    def put(
        self, *messages: bytes, box: str = "INBOX", flags: Iterable[str] = (), **more: Any
    ) -> tuple[int, ...]:
        """Messages straight into the store; their UIDs."""

        async def append() -> tuple[int, ...]:
            new = []
            for raw in messages:
                body = self.store.new_body()
                body.write(raw)
                new.append(NewMessage(body=body, flags=frozenset(flags), **more))
            return (await self.store.messages.append(self.box(box).id, new)).uids

        found: tuple[int, ...] = self.call(append())
        return found

    def wire(
        self, *, login: bool = True, select: str = "", address: str = ALICE, window: int = 0
    ) -> Wire:
        """A new connection; closed at the end of the test."""
        wire = Wire(self.port, window=window)
        self._wires.append(wire)
        if login:
            wire.ok(f"LOGIN {address} {PASSWORD}")
        if select:
            wire.ok(f"SELECT {select}")
        return wire

    def errors(self) -> list[Any]:
        """What the server logged as its own fault."""
        return [event for event in self.log.recent if event.level == "error"]


_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


class Wire:
    """One connection, octet by octet."""

    def __init__(self, port: int, *, window: int = 0) -> None:
        """
        Args:
            window: Octets that the system holds for us unread; 0 is its own choice.
        """
        self.socket = socket.socket()
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")
        self.greeting = self.reader.readline()
        self._number = 0

    def close(self) -> None:
        self.reader.close()
        self.socket.close()

    def send(self, text: str | bytes) -> None:
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def response(self) -> bytes:
        """One response with its literals, without the last CRLF; empty at the end."""
        whole = b""
        while True:
            line = self.reader.readline()
            whole += line
            found = _LITERAL.search(line)
            if found is None:
                return whole.removesuffix(b"\r\n")
            whole += self.reader.read(int(found[1]))

    def start(self, command: str | bytes) -> str:
        """Send a command and do not wait; its tag."""
        self._number += 1
        tag = f"t{self._number}"
        text = command.encode() if isinstance(command, str) else command
        self.send(f"{tag} ".encode() + text + b"\r\n")
        return tag

    def finish(self, tag: str) -> list[bytes]:
        """Untagged responses, then what stands behind the tag."""
        found: list[bytes] = []
        while True:
            response = self.response()
            assert response, f"the connection ended instead of {tag}: {found}"
            if response.startswith(tag.encode() + b" "):
                return [*found, response[len(tag) + 1 :]]
            found.append(response)

    def cmd(self, command: str | bytes) -> list[bytes]:
        """Send a command; untagged responses, then what stands behind the tag."""
        return self.finish(self.start(command))

    def ok(self, command: str | bytes) -> list[bytes]:
        """The same for what must succeed; the untagged responses alone."""
        *untagged, tagged = self.cmd(command)
        assert tagged.startswith(b"OK"), (command, untagged, tagged)
        return untagged

    def tagged(self, command: str | bytes) -> bytes:
        """The tagged answer alone."""
        return self.cmd(command)[-1]

    def idle(self) -> str:
        tag = self.start("IDLE")
        while not (line := self.response()).startswith(b"+"):
            assert line.startswith(b"* "), line
        return tag

    def done(self, tag: str) -> list[bytes]:
        self.send("DONE\r\n")
        return self.finish(tag)

    def append(self, raw: bytes, box: str = "INBOX", options: str = "") -> bytes:
        """APPEND with a literal that does not wait; the tagged answer."""
        return self.tagged(f"APPEND {box} {options}{{{len(raw)}+}}\r\n".encode() + raw)

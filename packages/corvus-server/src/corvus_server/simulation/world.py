"""Any number of whole servers in one process: `Simulation`, and the `Host` that each lives on."""

from __future__ import annotations

import asyncio
import contextlib
import random
import weakref
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, Final, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import corvus_dkim
from corvus_server.app import Server, World
from corvus_server.config import load
from corvus_server.log import LogEvent, silent_log
from corvus_server.simulation.clock import EPOCH, Clock, VirtualLoop
from corvus_server.simulation.dns import SimulatedDNS
from corvus_server.simulation.guard import Guard, Process
from corvus_server.simulation.links import Weather
from corvus_server.simulation.network import SimulatedNetwork
from corvus_server.simulation.peers import Script, ScriptedServer
from corvus_server.storage import values
from corvus_server.storage.memory import MemoryStore
from corvus_server.storage.sqlite import SQLiteStore

#: Which process a task belongs to, so that a crash can take all its tasks and no other.
_OWNER: ContextVar[Process | None] = ContextVar("owner", default=None)
_QUIET: Final = dict.fromkeys(
    ("smtp_addr", "submission_addr", "submission_tls_addr", "imap_addr", "imap_tls_addr",
     "pop3_addr", "pop3_tls_addr", "web_addr"), "off",
)  # fmt: skip


@final
class Host:
    """A machine with a mail server on it, its disk, its address, and its zone in the DNS."""

    def __init__(
        self,
        simulation: Simulation,
        domain: str,
        address: str,
        store: str,
        settings: dict[str, str],
    ) -> None:
        self.simulation = simulation
        self.domain = domain
        self.name = f"mx.{domain}"
        self.address = address
        self.server: Server
        self.running = False
        self.starts = 0
        """How often it was started."""
        self._kind = store
        self._raw: Any = None
        self._disk: Any = None
        folder = simulation.folder / domain
        folder.mkdir(parents=True, exist_ok=True)
        self.config = load(
            {},
            None,
            **{
                **_QUIET,
                "hostname": self.name,
                "data_dir": str(folder),
                "outbound_bind": address,
                "rate_limits": "off",
                "log_level": "error",
                **settings,
            },
        )
        self._dice = random.Random(f"{simulation.seed} {domain}")  # noqa: S311 - to be repeated
        self._process = Process()

    @property
    def store(self) -> Any:
        """The disk, as somebody reads it who is not the server."""
        return self._disk

    async def furnish(self, accounts: Sequence[str]) -> None:
        """Make the domain, its accounts and its DKIM key, and publish its zone."""
        self._open()
        disk, domain = self._disk, self.domain
        await disk.directory.add_domain(domain)
        for name in accounts:
            await disk.directory.add_account(f"{name}@{domain}")
        private = corvus_dkim.PrivateKey(
            Ed25519PrivateKey.from_private_bytes(self._dice.randbytes(32))
        )
        await disk.keys.add(
            values.DKIMKey(
                domain=domain,
                selector="cv1",
                algorithm="ed25519",
                record=corvus_dkim.key_record(private),
            ),
            private.to_pem().encode("ascii"),
        )
        dns = self.simulation.dns
        dns.set(domain, "MX", (10, self.name))
        dns.set(domain, "TXT", b"v=spf1 mx -all")
        dns.set(f"_dmarc.{domain}", "TXT", b"v=DMARC1; p=reject")
        dns.set(self.name, "A", self.address)
        dns.set(".".join(reversed(self.address.split("."))) + ".in-addr.arpa", "PTR", self.name)
        (key,) = disk.keys.all(domain)
        dns.set(f"cv1._domainkey.{domain}", "TXT", key.record.encode("ascii"))

    def _open(self) -> None:
        if self._disk is not None:
            return
        if self._kind == "memory":
            self._raw = MemoryStore(now=self.simulation.now, random=self._dice.randbytes)
        else:
            self._raw = SQLiteStore(
                self.config.data_dir, now=self.simulation.now, random=self._dice.randbytes
            )
        # Whoever reads the disk beside the server is waited for as the server is.
        reader = Process()
        self.simulation.processes.append(reader)
        self._disk = Guard(self._raw, reader)

    async def start(self) -> None:
        """Switch it on; the disk is as it was left."""
        self._open()
        process = self._process = Process()
        self.simulation.processes.append(process)
        self.starts += 1
        world = World(
            now=self.simulation.now,
            monotonic=self.simulation.now.monotonic,
            network=self.simulation.network,
            resolver=self.simulation.dns,
            token=self._dice.randbytes,
            open_store=lambda *args, **more: Guard(self._raw, process, keep_open=True),
        )
        log = silent_log(self.simulation.now)
        log.subscribe(lambda event: self._note(process, event))
        self.server = Server(self.config, world, log=log)
        await self.simulation.task(process, self._start())
        self.running = True

    async def _start(self) -> None:
        await self.server.start()
        server = self.server
        self.simulation.network.listen(self.address, 25, lambda: server.shell("smtp_addr"))

    def _note(self, process: Process, event: LogEvent) -> None:
        if process.alive:
            self.simulation.note(self.domain, event)

    async def stop(self, *, grace: float = 5.0) -> None:
        """Shut it down as an administrator does."""
        if self.running:
            self.running = False
            self.simulation.network.unlisten(self.address)
            await self.server.stop(grace=grace)
            self._process.alive = False

    async def crash(self) -> None:
        """
        Pull the plug: no farewell, no cleaning up; what was committed is on the disk.

        With `MemoryStore` alone: a disk of SQLite would need a process of its own to be killed.
        """
        if not self.running:
            return
        self.running = False
        process, simulation = self._process, self.simulation
        process.alive = False
        simulation.note_text(f"{self.domain} crash")
        simulation.network.unlisten(self.address)
        simulation.network.cut(self.address)
        await simulation.kill(process)
        # What a kernel would take back by itself: the control socket.
        if self.server._control is not None:
            await self.server._control.close()

    async def submit(self, sender: str, recipients: Sequence[str], raw: bytes) -> bool:
        """
        Hand in a mail of one of its users; whether it was accepted (and so is durable).

        A machine that is off, or dies meanwhile, accepts nothing.
        """
        if not self.running:
            return False
        account = self._disk.directory.account(sender)
        wanted = [values.QueuedRecipient(address=address) for address in recipients]
        work = self.server.submitter.submit(account, sender, wanted, raw)
        try:
            await self.simulation.task(self._process, work)
        except asyncio.CancelledError:
            if self.running:
                raise
            return False
        return True

    async def discard(self) -> None:
        """Stop it, and let go of the disk."""
        await self.stop(grace=0)
        if self._disk is not None:
            await self._disk.close()


@final
class Simulation:
    """
    A small Internet: hosts, scripted servers, DNS and weather, all from one seed.

    Use it under `corvus_server.simulation.run`, as an asynchronous context::

        async def main():
            async with Simulation(folder, seed=7) as world:
                corvus = await world.add("corvus.example", ["alice"])
                crow = await world.add("crow.example", ["carol"])
                await corvus.submit("alice@corvus.example", ["carol@crow.example"], raw)
                await asyncio.sleep(60)

    Args:
        folder: For certificates, sockets and SQLite stores; one folder for each host.
        seed: The same seed, the same calls: the same `log`.
        store: ``memory`` or ``sqlite``.
    """

    def __init__(
        self, folder: Path, *, seed: int = 1, store: str = "memory", epoch: float = EPOCH
    ) -> None:
        self.folder = folder
        self.seed = seed
        self.dice = random.Random(seed)  # noqa: S311 - to be repeated
        self.now = Clock(epoch)
        self.dns = SimulatedDNS()
        self.weather: Callable[[str, str, int], Weather] = lambda source, address, port: Weather()
        self.network = SimulatedNetwork(
            lambda source, address, port: self.weather(source, address, port)
        )
        self.hosts: dict[str, Host] = {}
        self.peers: dict[str, ScriptedServer] = {}
        self.processes: list[Process] = []
        self.log: list[str] = []
        """Every event of every host, in order."""
        self.defects: list[BaseException] = []
        """What a server logged as a defect of its own: there should be none."""
        self._store = store
        self._tasks: weakref.WeakKeyDictionary[asyncio.Task[Any], Process | None]
        self._tasks = weakref.WeakKeyDictionary()

    async def __aenter__(self) -> Simulation:
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualLoop):
            loop.outside = lambda: any(process.calls for process in self.processes)
        loop.set_task_factory(self._make_task)  # type: ignore[arg-type]  # typeshed's is narrower
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for host in self.hosts.values():
            await host.discard()
        await self.network.close()
        asyncio.get_running_loop().set_task_factory(None)

    async def add(
        self, domain: str, accounts: Sequence[str] = ("postmaster",), **settings: str
    ) -> Host:
        """A server for *domain*, furnished and running; *settings* as `corvus_server.config.load` takes."""
        address = f"198.51.100.{len(self.hosts) + len(self.peers) + 1}"
        host = self.hosts[domain] = Host(self, domain, address, self._store, settings)
        await host.furnish(accounts)
        await host.start()
        return host

    def add_peer(self, domain: str, script: Script | None = None) -> ScriptedServer:
        """A domain whose server does what *script* says."""
        address = f"198.51.100.{len(self.hosts) + len(self.peers) + 1}"
        peer = self.peers[domain] = ScriptedServer(script)
        self.dns.set(domain, "MX", (10, f"mx.{domain}"))
        self.dns.set(f"mx.{domain}", "A", address)
        self.network.listen(address, 25, peer)
        return peer

    def note(self, domain: str, event: LogEvent) -> None:
        """Write an event of a host into the log."""
        facts = " ".join(
            f"{key}={_shown(value)}" for key, value in event.fields.items() if key != "exc_info"
        )
        self.note_text(
            f"{domain} {event.level} {event.protocol} {event.name} {event.connection} {facts}"
        )
        if event.fields.get("exc_info") is not None:
            self.defects.append(event.fields["exc_info"])

    def note_text(self, text: str) -> None:
        """Write a line into the log, with the virtual time before it."""
        self.log.append(f"{self.now.monotonic():.3f} {text}")

    # Tasks, and whose they are.

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **more: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=loop, **more)
        context = more.get("context")
        self._tasks[task] = _OWNER.get() if context is None else context.get(_OWNER)
        return task

    async def task(self, process: Process, work: Coroutine[Any, Any, Any]) -> Any:
        """Do *work* as a task of *process*."""
        token = _OWNER.set(process)
        try:
            task = asyncio.ensure_future(work)
        finally:
            _OWNER.reset(token)
        return await task

    async def kill(self, process: Process) -> None:
        """Cancel every task of *process*, and those that they leave, until none is left."""
        for _ in range(100):
            mine = [
                task
                for task, owner in list(self._tasks.items())
                if owner is process and not task.done()
            ]
            if not mine:
                return
            for task in mine:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*mine, return_exceptions=True)


def _shown(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)

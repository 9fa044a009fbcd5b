"""Starting the demo: folder, seed, both servers, the welcome, and what to print."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, final

from corvus_server.app import Server, StartError, World
from corvus_server.config import Config, ListenAddress
from corvus_server.demo.crow import MISBEHAVIOUR, welcome, wrapper
from corvus_server.demo.world import CROW, OURS, DemoDNS, Published
from corvus_server.network import MappedNetwork
from corvus_server.operations import SEED_ACCOUNTS, SEED_DOMAIN, SEED_PASSWORD
from corvus_server.serve import banner, run_loop, stop_signals
from corvus_server.storage import values

#: The demo's patience: a lesson in minutes, not in days.
RETRIES: Final = (3.0, 10.0, 30.0, 60.0, 300.0)


def run(config: Config, *, fresh: bool = False) -> int:
    """Run the demo until Ctrl-C; the exit status."""
    return run_loop(lambda: _run(config, fresh))


async def _run(config: Config, fresh: bool) -> int:
    if fresh:
        shutil.rmtree(config.data_dir, ignore_errors=True)
    with stop_signals() as stopped:
        demo = Demo(config)
        await demo.start()
        for line in demo.banner():
            print(line, flush=True)  # noqa: T201 - the command's own output
        await stopped.wait()
        await demo.stop()
    return 0


@final
class Demo:
    """Two servers and the little Internet between them."""

    def __init__(self, config: Config, world: World | None = None) -> None:
        base = world or World()
        self.dns = DemoDNS()
        self.network = MappedNetwork({}, {OURS[2]: OURS[3], CROW[2]: CROW[3]})
        shared = replace(base, network=self.network, resolver=self.dns)
        self.ours = Server(
            replace(
                config,
                hostname=OURS[1],
                outbound_bind=(OURS[2],),
                outbound_port=25,
                retry_schedule=_retries(config),
            ),
            shared,
        )  # fmt: skip
        self.crow = Server(
            replace(
                config,
                hostname=CROW[1],
                data_dir=config.data_dir / "crow.example",
                smtp_addr=ListenAddress("127.0.0.1", 0),
                submission_addr=None,
                submission_tls_addr=None,
                imap_addr=None,
                imap_tls_addr=None,
                pop3_addr=None,
                pop3_tls_addr=None,
                web_addr=None,
                tls_cert=None,
                tls_key=None,
                admin_email=f"carol@{CROW[0]}",
                admin_password=SEED_PASSWORD,
                outbound_bind=(CROW[2],),
                outbound_port=25,
                greylist="off",
                log_level="error",
            ),
            shared,
        )
        self.crow.wrap_role = wrapper(self.crow)

    async def start(self) -> None:
        """Start both, seed ours on its first start, and have Carol write.

        Raises:
            StartError: A port is in use, or the folder; one sentence says which.
        """
        _check_folder(self.ours.config.data_dir)
        first = await _seed(self.ours)
        await self.ours.start()
        try:
            await self.crow.start()
        except BaseException:
            await self.ours.stop(grace=0)
            raise
        for server, party in ((self.ours, OURS), (self.crow, CROW)):
            host, _, port = server.addresses()["smtp_addr"].rpartition(":")
            self.network.routes[party[2], 25] = (host, int(port))
            self.dns.publish(Published(party[0], partial(server.store.keys.all, party[0])))
        if first:
            await self.crow.submitter.submit(
                None,
                f"carol@{CROW[0]}",
                [values.QueuedRecipient(address=f"alice@{SEED_DOMAIN}")],
                welcome(self.crow.world.now()),
            )
            await self._arrival()

    async def _arrival(self) -> None:
        """Wait for the welcome, so that the first page shows a delivered mail."""
        store = self.ours.store
        alice = store.directory.account(f"alice@{SEED_DOMAIN}")
        assert alice is not None
        arrived = asyncio.Event()
        stop = store.subscribe(alice.id, lambda account, modseq: arrived.set())
        try:
            inbox = store.mailboxes.get(alice.id, "INBOX")
            if inbox is not None and inbox.messages == 0:
                await asyncio.wait_for(arrived.wait(), 20)
        except TimeoutError:
            self.ours.log("warning", "server", "the welcome is late; see the queue of crow.example")
        finally:
            stop()

    async def stop(self) -> None:
        await self.ours.stop()
        await self.crow.stop()

    def banner(self) -> list[str]:
        lines = banner(self.ours)[:-2]
        lines += ["", "  Sign in with:"]
        for local, _, admin in SEED_ACCOUNTS:
            role = "  (admin)" if admin else ""
            lines.append(f"    {f'{local}@{SEED_DOMAIN}':<24} {SEED_PASSWORD}{role}")
        lines += ["", f"  Write to carol@{CROW[0]}, who answers, or to an address that misbehaves:"]
        for local, words in MISBEHAVIOUR.items():
            lines.append(f"    {f'{local}@{CROW[0]}':<24} {words}")
        return [*lines, "", "Ready.  Ctrl-C stops it; the mail is kept for the next start.", ""]


def _retries(config: Config) -> tuple[float, ...]:
    """What somebody has chosen, or a patience that can be watched."""
    chosen = config.source.get("retry_schedule", "default") != "default"
    return config.retry_schedule if chosen else RETRIES


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"COR_DATA_DIR: {folder} cannot be made: {error.strerror}.") from error


async def _seed(server: Server) -> bool:
    """Seed the store of the demo before its server opens it; whether it was empty."""
    from corvus_server.app import open_for_command
    from corvus_server.operations import Operations
    from corvus_server.storage.errors import StoreError

    try:
        store = open_for_command(server.config, "demo")
    except StoreError as error:
        raise StartError(str(error)) from error
    try:
        made = await Operations(store).seed(welcome=False)  # Carol's comes over the wire
        return bool(made["made"])
    finally:
        await store.close()

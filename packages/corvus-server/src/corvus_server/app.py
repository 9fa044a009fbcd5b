"""The composition root: the only module that knows everybody.

Clock, DNS, network and randomness come in as a `World`; the real one is made by `World.real`, the
demo and the simulation make their own.  Nothing below this module reads a clock, opens a socket to
the world or rolls a die by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, final

import corvus_pop3 as pop3
import corvus_smtp as smtp
from corvus_auth import passwords
from corvus_server import tls
from corvus_server.accounts.limits import RecipientBudget
from corvus_server.accounts.lockout import Lockout
from corvus_server.accounts.passwords import PasswordChecker
from corvus_server.accounts.signin import MECHANISMS, SignIn, Visitor
from corvus_server.config import Config
from corvus_server.control import ControlServer
from corvus_server.inbound.authenticate import Authenticator
from corvus_server.inbound.exchanger import MailExchanger
from corvus_server.inbound.exchanger import Settings as ExchangerSettings
from corvus_server.inbound.forward import srs_original
from corvus_server.inbound.policy import Policy
from corvus_server.log import EventLog
from corvus_server.network import Network, SystemNetwork
from corvus_server.operations import Operations
from corvus_server.outbound.delivery import Relay
from corvus_server.outbound.runner import QueueRunner, RunnerSettings
from corvus_server.outbound.schedule import Schedule
from corvus_server.outbound.submission import Signers, Submission, Submitter
from corvus_server.sessions import imap as imap_session
from corvus_server.sessions import pop3 as pop3_session
from corvus_server.sessions import smtp as smtp_session
from corvus_server.storage.protocols import Store
from corvus_server.storage.sqlite import SQLiteStore
from corvus_server.transports.limits import ConnectionGate
from corvus_server.transports.listeners import ListenError, Listeners, Service, bind
from corvus_server.transports.stream import Shell

#: Seconds between two looks at what nobody waits for: certificate, sweep, index.
HOUSEKEEPING: Final = 60.0
#: Seconds between two sweeps of the store.
SWEEP_EVERY: Final = 3600.0


class StartError(Exception):
    """The server cannot start; the message is one sentence."""


@final
@dataclass(frozen=True, kw_only=True)
class World:
    """What the server is given instead of reaching for it."""

    now: Callable[[], float] = time.time
    """The wall clock, seconds since the epoch."""
    monotonic: Callable[[], float] = time.monotonic
    network: Network = field(default_factory=SystemNetwork)
    resolver: Any = None
    """``aresolve`` and ``aresolve_many`` (corvus_auth.lookup); ``None``: the machine's own."""
    token: Callable[[int], bytes] = os.urandom
    """Random octets."""
    open_store: Callable[..., Store] = SQLiteStore


def _resolver(config: Config) -> Any:
    from corvus_auth.dns import AsyncDNSResolver
    from corvus_server.probes import name_servers

    return AsyncDNSResolver(name_servers(config.dns_servers))


@final
class Server:
    """One mail server: everything between its configuration and its sockets."""

    def __init__(
        self, config: Config, world: World | None = None, *, log: EventLog | None = None
    ) -> None:
        self.config = config
        self.world = world or World()
        self.log = log or EventLog(
            now=self.world.now, level=config.log_level, style=config.log_format
        )
        self.store: Store
        self.operations: Operations
        self.certificate: tls.Certificate
        self.listeners: Listeners
        self.submitter: Submitter
        self.sign_in: SignIn
        self.lockout: Lockout
        self.queue: QueueRunner
        self.resolver: Any = None
        self.first_password: str | None = None
        """The administrator's random password, if this start has made one; told once."""
        self.wrap_role: Callable[[Any], Any] = lambda role: role
        """Put around the mail exchanger's role; the demo's other domain misbehaves through it."""
        self._sockets: dict[str, list[Any]] = {}
        self._checker: PasswordChecker
        self._control: ControlServer | None = None
        self._web: Any = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._pop3_locks: set[int] = set()
        self._running = False

    # Starting.

    async def start(self) -> None:
        """
        Open the store, take the ports, serve.

        Raises:
            StartError: One sentence says what is wrong and which key or command mends it.
        """
        config = self.config
        try:
            self._bind()
            self._open_store()
            self.certificate = self._load_certificate()
            await self._first_start()
            self._refuse_published_passwords()
            self._compose()
            for name, sockets in self._sockets.items():
                if name == "web_addr":
                    await self._start_web(sockets)
                else:
                    await self.listeners.open(self._service(name), sockets)
            self._control = ControlServer(config.data_dir, self.operations.call)
            await self._control.start()
            await self.queue.start()
        except BaseException:
            await self.stop(grace=0)
            raise
        self._running = True
        self._tasks.append(asyncio.create_task(self._housekeeping()))
        self.log("info", "server", "ready", hostname=config.hostname)

    def _bind(self) -> None:
        for name, address in self.config.listen_addresses.items():
            try:
                self._sockets[name] = bind(address)
            except ListenError as error:
                raise StartError(f"COR_{name.upper()}: {error}") from error

    def _open_store(self) -> None:
        from corvus_server.storage.errors import StoreError

        try:
            self.store = self.world.open_store(
                self.config.data_dir,
                key_file=self.config.key_file,
                now=self.world.now,
                command="serve",
            )
        except StoreError as error:
            raise StartError(str(error)) from error

    def _load_certificate(self) -> tls.Certificate:
        config = self.config
        try:
            if config.tls_cert is not None and config.tls_key is not None:
                return tls.Certificate(config.tls_cert, config.tls_key)
            return tls.Certificate(
                *tls.ensure_certificate(config.data_dir, config.hostname, now=self.world.now())
            )
        except tls.CertificateError as error:
            raise StartError(str(error)) from error

    async def _first_start(self) -> None:
        """On an empty store, make the first domain and its administrator; never later."""
        self.operations = Operations(self.store, now=self.world.now, quota=self.config.quota)
        if self.store.directory.domains():
            return
        address = self.config.admin_email or f"postmaster@{self.config.hostname}"
        domain = address.rpartition("@")[2].lower()
        if "." not in domain:
            raise StartError(
                "The store is empty and COR_ADMIN_EMAIL is not set: set it to the first"
                " administrator's address, or run `corvus seed` for a domain to play with."
            )
        await self.operations.domain_add(domain)
        made = await self.operations.mailbox_add(
            address, self.config.admin_password or None, "Administrator", True
        )
        self.first_password = made.get("password")

    def _refuse_published_passwords(self) -> None:
        public = [str(a) for a in self.config.listen_addresses.values() if not a.loopback]
        seeded = [account.address for account in self.store.directory.accounts() if account.seeded]
        if public and seeded:
            raise StartError(
                f"{seeded[0]} still has the published password of `corvus seed`, and {public[0]} can"
                f" be reached from outside: run `corvus passwd {seeded[0]}` first."
            )

    def _compose(self) -> None:
        config, world, store = self.config, self.world, self.store
        secret = self._srs_key = self._secret()
        self.resolver = world.resolver if world.resolver is not None else _resolver(config)
        self._checker = PasswordChecker(_verify, _dummy_hash(), now=world.monotonic)
        self.lockout = Lockout(now=world.monotonic, enabled=config.rate_limits)
        self.operations.lockout = self.lockout
        self.sign_in = SignIn(
            store.directory,
            store.logins,
            self._checker,
            self.lockout,
            log=self.log,
            now=world.now,
            nonce=lambda: world.token(18).hex(),
            dummy_key=secret,
        )
        self.submitter = Submitter(
            store,
            hostname=config.hostname,
            log=self.log,
            now=world.now,
            identifier=self._identifier,
            signers=Signers(store),
            budget=RecipientBudget(
                config.daily_recipients, now=world.monotonic, enabled=config.rate_limits
            ),
        )
        exchanger = MailExchanger(
            store,
            Authenticator(
                self.resolver, monotonic=world.monotonic, dnsbl=config.dnsbl, dnswl=config.dnswl
            ),
            ExchangerSettings(
                hostname=config.hostname,
                policy=Policy(junk_threshold=config.junk_threshold, greylist=config.greylist),
                greylist_delay=config.greylist_delay,
                authenticate=config.authenticate,
            ),
            log=self.log,
            now=world.now,
            identifier=self._identifier,
            secret=secret,
        )
        submission = Submission(
            store, self.submitter, hostname=config.hostname, log=self.log, now=world.now
        )
        self._roles = {"smtp": self.wrap_role(exchanger), "submission": submission}
        self._smtp_limits = smtp.Limits(message_size=max(1, config.max_message_size))
        self._smtp_policies = {
            "smtp": smtp.Policy(greeting="ESMTP Corvus").offering("STARTTLS"),
            "submission": smtp.Policy(
                greeting="ESMTP Corvus",
                auth_mechanisms=MECHANISMS,
                require_auth=True,
                bare_newlines=smtp.BareNewlines.NORMALISE,
            ).offering("STARTTLS"),
        }
        self.listeners = Listeners(
            gate=ConnectionGate(per_network=config.connection_limit if config.rate_limits else 0),
            tls=self.certificate.context,
            certificate=lambda: self.certificate.der,
            identify=world.network.identify,
        )
        self.queue = QueueRunner(
            store,
            world.network,
            self.resolver,
            RunnerSettings(
                hostname=config.hostname,
                port=config.outbound_port,
                schedule=Schedule(
                    pauses=config.retry_schedule,
                    give_up=config.retry_give_up,
                    delay_notice=config.delay_notice,
                ),
                sources=config.outbound_bind,
                allow_loopback=config.allow_loopback_mx,
                relay=_relay(config.smarthost),
            ),
            log=self.log,
            now=world.now,
            monotonic=world.monotonic,
            identifier=self._identifier,
            return_address=self._return_address,
            dice=random.Random(int.from_bytes(world.token(8), "big")),  # noqa: S311 - jitter only
        )

    def _secret(self) -> bytes:
        """A key of our own for forwarding addresses and cookies, made once, kept in the settings."""
        path = self.config.data_dir / "secret.key"
        if not path.exists():
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.write(handle, self.world.token(32))
                os.fsync(handle)
            finally:
                os.close(handle)
        return path.read_bytes()

    def _identifier(self) -> str:
        """The id of a mail: sortable by time, unguessable, short enough for a reply."""
        return f"{int(self.world.now() * 1000):011x}{self.world.token(5).hex()}"

    def _return_address(self, address: str) -> str | None:
        return srs_original(address.rpartition("@")[0], self._srs_key, now=self.world.now())

    # What each listener serves.

    def shell(self, name: str) -> Shell:
        """
        The protocol for one connection to the listener *name*, such as ``smtp_addr``, without its
        socket: a simulated network gives it a transport.
        """
        return self.listeners.shell(self._service(name))

    def _service(self, name: str) -> Service:
        kind = name.removesuffix("_addr").removesuffix("_tls")
        implicit = name.endswith("_tls_addr")
        makers = {
            "smtp": (smtp_session.ENGINE, self._smtp),
            "submission": (smtp_session.ENGINE, self._submission),
            "imap": (imap_session.ENGINE, self._imap),
            "pop3": (pop3_session.ENGINE, self._pop3),
        }
        engine, make = makers[kind]
        return Service(kind, engine, make, implicit)

    def _smtp(self, shell: Shell, admitted: bool) -> Any:
        return self._smtp_session(shell, admitted, "smtp", None)

    def _submission(self, shell: Shell, admitted: bool) -> Any:
        return self._smtp_session(shell, admitted, "submission", _SMTPSignIn(self.sign_in))

    def _smtp_session(self, shell: Shell, admitted: bool, role: str, sign_in: Any) -> Any:
        facts = shell.facts
        conn = smtp.ServerConnection(
            self.config.hostname,
            limits=self._smtp_limits,
            policy=self._smtp_policies[role],
            tls=None if facts is None else smtp_session.ENGINE.tls_info(facts),
        )
        return smtp_session.SMTPSession(
            shell,
            conn,
            self._roles[role],
            log=self.log,
            now=self.world.now,
            admitted=admitted,
            sign_in=sign_in,
        )

    def _imap(self, shell: Shell, admitted: bool) -> Any:
        return imap_session.make(
            shell, self.store, self.sign_in, log=self.log, admitted=admitted,
            hostname=self.config.hostname, max_append=self.config.max_message_size,
        )  # fmt: skip

    def _pop3(self, shell: Shell, admitted: bool) -> Any:
        facts = shell.facts
        conn = pop3.ServerConnection(
            _POP3_POLICY,
            tls=None if facts is None else pop3_session.ENGINE.tls_info(facts),
        )
        return pop3_session.POP3Session(
            shell,
            conn,
            self.store,
            self.sign_in,
            log=self.log,
            locks=self._pop3_locks,
            admitted=admitted,
        )

    async def _start_web(self, sockets: list[Any]) -> None:
        from corvus_server.web.server import WebServer

        self._web = WebServer(self, sockets)
        await self._web.start()

    # Running and stopping.

    def addresses(self) -> dict[str, str]:
        """Where each listener really listens, by the name of its setting."""
        found = {}
        for name, sockets in self._sockets.items():
            host, port = sockets[0].getsockname()[:2]
            found[name] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return found

    async def _housekeeping(self) -> None:
        """What nobody waits for: the index, the sweep, a certificate that was renewed."""
        last_sweep = self.world.monotonic()
        while True:
            await asyncio.sleep(HOUSEKEEPING)
            try:
                if self.certificate.refresh():
                    self.log("info", "server", "certificate renewed")
                await self.store.messages.index()
                if self.world.monotonic() - last_sweep > SWEEP_EVERY:
                    last_sweep = self.world.monotonic()
                    await self.store.sweep()
            except Exception as error:  # the next round may succeed; it is logged
                self.log("error", "server", "housekeeping failed", error=str(error))

    async def stop(self, *, grace: float = 5.0) -> None:
        """Stop listening, finish what is at work, say goodbye, close the store; idempotent."""
        self._running = False
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()
        if self._web is not None:
            await self._web.stop()
            self._web = None
        if hasattr(self, "listeners"):
            await self.listeners.close(grace=grace)
        for sockets in self._sockets.values():
            for each in sockets:
                each.close()
        if hasattr(self, "queue"):
            await self.queue.close()
        if self._control is not None:
            await self._control.close()
            self._control = None
        if hasattr(self, "_checker"):
            self._checker.close()
        if hasattr(self, "store"):
            await self.store.close()
        self.log("info", "server", "stopped")


_POP3_POLICY: Final = pop3.Policy(stls=True, mechanisms=MECHANISMS)


class _SMTPSignIn:
    """`SignIn` as SMTP sessions call it."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in

    async def begin(self, client: Any, mechanism: str, initial: bytes | None) -> Any:
        visitor = Visitor("submission", client.connection, client.address, client.tls)
        return await self._sign_in.begin(visitor, mechanism, initial)


def _relay(text: str) -> Relay | None:
    try:
        return Relay.parse(text)
    except ValueError as error:
        raise StartError(f"COR_SMARTHOST: {error}.") from error


@functools.cache
def _dummy_hash() -> str:
    """What unknown users are checked against, so that they take as long as known ones."""
    return passwords.hash("nobody has this password")


def _verify(stored: str, secret: str) -> bool:
    try:
        passwords.verify(stored, secret)
    except passwords.PasswordError:
        return False
    return True


def open_for_command(config: Config, command: str) -> Store:
    """The store for a command that found no running server.

    Raises:
        StoreError: It is in use or cannot be opened; the text says why.
    """
    return SQLiteStore(config.data_dir, key_file=config.key_file, command=command)

"""What the checklist can only learn by trying: outbound port 25, the certificate, the clock, the resolver.

These reach out of the process (a connection, a file, the kernel); what they find is a
`corvus_server.checklist.Step` like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import datetime
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, final

import dns.asyncresolver
import dns.exception
import dns.resolver
from cryptography import x509

from corvus_auth.dns import AsyncDNSResolver
from corvus_auth.lookup import Answer, arun
from corvus_server.checklist import DIFFERENT, GOOD, MISSING, UNKNOWN, Step
from corvus_server.config import Config
from corvus_server.network import Network
from corvus_server.outbound.routing import Route, route

#: Seconds to wait for another server's greeting.
GREETING: Final = 6.0
#: Domains that are tried, at most.
TRIED: Final = 3
#: Domains with many mail servers, for a server that nobody has written to yet.
WELL_KNOWN: Final = ("gmail.com", "outlook.com")
#: Days before its end at which a certificate is a worry.
WORRY: Final = 14


def name_servers(servers: tuple[str, ...]) -> tuple[str, ...]:
    """
    COR_DNS_SERVERS as `corvus_auth.dns` writes ports.

    >>> name_servers(("127.0.0.1#5353", "::1#5353", "192.0.2.1"))
    ('127.0.0.1:5353', '[::1]:5353', '192.0.2.1')
    """
    found = []
    for each in servers:
        address, _, port = each.partition("#")
        host = f"[{address}]" if ":" in address and port else address
        found.append(f"{host}:{port}" if port else address)
    return tuple(found)


@final
class FreshResolver:
    """Asks anew each time, and knows SRV: a record that was just published shows at once."""

    def __init__(self, servers: tuple[str, ...]) -> None:
        self._plain = AsyncDNSResolver(name_servers(servers), cache=0)
        self._service = dns.asyncresolver.Resolver(configure=not servers)
        if servers:
            pairs = [each.partition("#") for each in servers]
            self._service.nameservers = [address for address, _, _ in pairs]
            self._service.nameserver_ports = {a: int(port) for a, _, port in pairs if port}
        self._service.lifetime = 5.0

    async def aresolve(self, name: str, rdtype: str) -> Answer:
        if rdtype != "SRV":
            return await self._plain.aresolve(name, rdtype)
        try:
            found = await self._service.resolve(name, "SRV", raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return Answer("nxdomain")
        except dns.exception.Timeout:
            return Answer("timeout")
        except (dns.exception.DNSException, OSError, ValueError):
            return Answer("servfail")
        if found.rrset is None:
            return Answer("nodata")
        return Answer(
            "ok",
            tuple((r.priority, r.weight, r.port, r.target.to_text(True)) for r in found.rrset),
        )


def fresh(resolver: Any, config: Config) -> Any:
    """*resolver*, or one without a memory where it is the machine's own."""
    if resolver is None or isinstance(resolver, AsyncDNSResolver):
        return FreshResolver(config.dns_servers)
    return resolver


# Outbound port 25.


@final
class _Listening(asyncio.Protocol):
    """Waits for the first octets of a greeting."""

    def __init__(self) -> None:
        self.heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if not self.heard.done():
            self.heard.set_result(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.heard.done():
            self.heard.set_result(b"")


async def outbound(config: Config, network: Network, resolver: Any, domains: Iterable[str]) -> Step:
    """
    Whether mail can leave: connect to the mail servers of *domains*, then of `WELL_KNOWN` ones.

    Nothing is said there beyond QUIT.
    """
    step = _step(
        "port25", "Outbound port 25",
        "Mail to other servers leaves by port 25, which many providers close until they are asked.",
    )  # fmt: skip
    if config.smarthost:
        host = config.smarthost.rpartition("@")[2]
        return _found(step, GOOD, f"All mail goes through the relay {host}.")
    silent: list[str] = []
    for domain in list(dict.fromkeys([*domains, *WELL_KNOWN]))[:TRIED]:
        found: Route = await arun(
            route(
                domain,
                own_names=(config.hostname,),
                own_addresses=config.outbound_bind,
                allow_loopback=config.allow_loopback_mx,
            ),
            resolver,
        )
        for hop in found.hops[:1]:
            for address in hop.addresses[:2]:
                greeting = await _greeting(network, address, config)
                if greeting.startswith(b"220"):
                    return _found(step, GOOD, f"{hop.host} [{address}] answers.")
                silent.append(f"{hop.host} [{address}]")
    if not silent:
        words = "No other mail server could be found in DNS to try it with."
        return _found(step, UNKNOWN, words)
    words = (
        f"{silent[0]} does not answer on port {config.outbound_port}. Ask your provider to open"
        " outbound port 25, or set COR_SMARTHOST to a relay."
    )
    return _found(step, MISSING, words)


async def _greeting(network: Network, address: str, config: Config) -> bytes:
    source = next((s for s in config.outbound_bind if (":" in s) == (":" in address)), None)
    try:
        async with asyncio.timeout(GREETING):
            transport, listening = await network.connect(
                _Listening, address, config.outbound_port, source=source
            )
            try:
                heard: bytes = await listening.heard
                transport.write(b"QUIT\r\n")
                return heard
            finally:
                transport.close()
    except (OSError, TimeoutError):
        return b""


# The certificate and the clock.


def certificate(config: Config, now: float) -> Step:
    """The certificate that mail programs and other servers are shown."""
    step = _step(
        "tls", "TLS certificate",
        "Encrypts mail on its way, and shows people's programs that they speak with this server.",
    )  # fmt: skip
    path = config.tls_cert or Path(config.data_dir) / "certificate.pem"
    try:
        held = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        return _found(step, UNKNOWN, f"{path.name} cannot be read: {error}.")
    until = held.not_valid_after_utc
    left = (until - datetime.datetime.fromtimestamp(now, datetime.UTC)).days
    if left < 0:
        return _found(step, DIFFERENT, f"It ended on {until:%Y-%m-%d}: renew it.")
    if config.tls_cert is None:
        words = (
            "A self-made one: other servers take it, people's programs will ask whether to trust"
            " it. Set COR_TLS_CERT and COR_TLS_KEY to one from a certificate authority."
        )
        loopback = all(each.loopback for each in config.listen_addresses.values())
        return _found(step, GOOD if loopback else DIFFERENT, words)
    if config.hostname not in _names(held):
        words = f"It names {', '.join(_names(held)[:3]) or 'nobody'}, not {config.hostname}."
        return _found(step, DIFFERENT, words)
    if left < WORRY:
        return _found(step, DIFFERENT, f"It ends on {until:%Y-%m-%d}: renew it.")
    return _found(step, GOOD, f"Names {config.hostname}, good until {until:%Y-%m-%d}.")


def _names(held: x509.Certificate) -> list[str]:
    try:
        extension = held.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [name.lower() for name in extension.value.get_values_for_type(x509.DNSName)]


def clock(now: float) -> Step:
    """Whether the clock can be believed, and whether the kernel knows of somebody who sets it."""
    step = _step("clock", "Clock", "Signatures carry times; a wrong clock has them refused.")
    moment = time.gmtime(now)
    says = time.strftime("%Y-%m-%d %H:%M UTC", moment)
    if moment.tm_year < 2024:
        return _found(step, DIFFERENT, f"It says {says}, which cannot be.")
    kept = _kept_in_step()
    if kept is False:
        # In a container or a young machine this may only mean that the host does it unseen.
        words = f"It says {says}; the kernel knows of nobody who keeps it right, such as chrony."
        return _found(replace(step, optional=True), UNKNOWN, words)
    return _found(step, GOOD, f"It says {says}" + (" and is kept right." if kept else "."))


def _kept_in_step() -> bool | None:
    """What adjtimex(2) says: TIME_ERROR (5) is a clock that nobody has set; None where it is silent."""
    with contextlib.suppress(OSError, AttributeError):
        buffer = ctypes.create_string_buffer(512)  # struct timex; modes = 0 only reads
        state = ctypes.CDLL(None).adjtimex(buffer)
        if state >= 0:
            return bool(state != 5)
    return None


def _step(key: str, topic: str, purpose: str) -> Step:
    return Step(key=key, topic=topic, purpose=purpose, state=UNKNOWN, finding="")


def _found(step: Step, state: str, finding: str) -> Step:
    return replace(step, state=state, finding=finding)

"""The dnspython resolvers, against a name server of our own on loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import corvus_dkim
from corvus_dkim import Lookup

pytest.importorskip("dns")

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from corvus_dkim.dns import MAX_TTL, AsyncDNSResolver, DNSResolver

NAME = "s1._domainkey.example.com"


class Server:
    """Answers over UDP until it is closed; remembers what was asked."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.asked: list[str] = []
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        while True:
            data, peer = self.socket.recvfrom(4096)
            if data == b"stop":
                return
            query = dns.message.from_wire(data)
            name = query.question[0].name.to_text()
            self.asked.append(name)
            reply = dns.message.make_response(query)
            if name.startswith("silent."):
                continue
            if name.startswith("broken."):
                reply.set_rcode(dns.rcode.SERVFAIL)
            elif name.startswith("gone."):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            elif name.startswith("s1."):
                if query.flags & dns.flags.AD:
                    reply.flags |= dns.flags.AD
                text = '"v=DKIM1; " "p="'
                reply.answer.append(dns.rrset.from_text(name, 100_000, "IN", "TXT", text))
            elif name.startswith("alias."):
                reply.answer.append(dns.rrset.from_text(name, 5, "IN", "CNAME", "x.example."))
            self.socket.sendto(reply.to_wire(), peer)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(b"stop", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_answers_are_read_and_kept(server: Server) -> None:
    clock = Clock()
    resolver = DNSResolver(["127.0.0.1"], port=server.port, lifetime=1, clock=clock)
    answer = resolver.resolve(NAME, "TXT")
    assert answer.status == "ok"
    assert answer.records == (b"v=DKIM1; p=",)
    assert answer.secure
    assert resolver.resolve(NAME.upper(), "TXT") is answer
    assert len(server.asked) == 1
    clock.now = MAX_TTL + 1
    assert resolver.resolve(NAME, "TXT").status == "ok"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("gone.example", "nxdomain"),
        ("empty.example", "nodata"),
        ("broken.example", "servfail"),
        ("a..b.example", "servfail"),
        ("x" * 64 + ".example", "servfail"),
    ],
)
def test_trouble_is_a_status(server: Server, name: str, status: str) -> None:
    plain = DNSResolver(["127.0.0.1"], port=server.port, lifetime=1)
    assert plain.resolve(name, "TXT").status == status

    async def ask() -> Any:
        resolver = AsyncDNSResolver(["127.0.0.1"], port=server.port, lifetime=1)
        return await resolver.resolve(name, "TXT")

    assert asyncio.run(ask()).status == status


def test_silence_is_a_timeout(server: Server) -> None:
    resolver = DNSResolver(["127.0.0.1"], port=server.port, lifetime=0.1)
    assert resolver.resolve("silent.example", "TXT").status == "timeout"


def test_several_questions_are_asked_at_once_and_each_once(server: Server) -> None:
    lookups = [Lookup(NAME, "TXT"), Lookup("gone.example", "TXT"), Lookup(NAME, "TXT")]
    plain = DNSResolver(["127.0.0.1"], port=server.port, lifetime=1)
    assert [a.status for a in plain.resolve_many(lookups)] == ["ok", "nxdomain", "ok"]
    assert plain.resolve_many([]) == []

    async def ask() -> Any:
        resolver = AsyncDNSResolver(["127.0.0.1"], port=server.port, lifetime=1)
        first = await resolver.aresolve_many(lookups)
        assert await resolver.resolve(NAME, "TXT") is first[0]
        return first

    assert [a.status for a in asyncio.run(ask())] == ["ok", "nxdomain", "ok"]
    assert len(server.asked) == 4


def test_other_types_are_text(server: Server) -> None:
    resolver = DNSResolver(["127.0.0.1"], port=server.port, lifetime=1)
    assert resolver.resolve("alias.example", "CNAME").records == ("x.example",)


def test_the_cache_is_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corvus_dkim.dns.CACHE", 2)
    resolver = DNSResolver(["127.0.0.1"], port=server.port, lifetime=1)
    for name in ("gone.a.example", "gone.b.example", "gone.c.example"):
        resolver.resolve(name, "TXT")
    assert len(resolver._kept) == 2


def test_a_message_is_verified_over_dns(server: Server, world: Any) -> None:
    signer = corvus_dkim.Signer("example.com", "s1", world.keys["rsa"])
    message = signer.sign(world.message) + world.message
    plain = DNSResolver(["127.0.0.1"], port=server.port, lifetime=1)
    (result,) = corvus_dkim.verify(message, resolver=plain)
    assert (result.status, result.reason, result.secure) == ("permerror", "key revoked", True)

    async def ask() -> Any:
        resolver = AsyncDNSResolver(["127.0.0.1"], port=server.port, lifetime=1)
        return await corvus_dkim.averify(message, resolver=resolver)

    assert asyncio.run(ask())[0].reason == "key revoked"


def test_the_systems_configuration_is_the_default() -> None:
    try:
        resolver = DNSResolver()
    except Exception as error:
        pytest.skip(f"this machine has no resolver configuration: {error}")
    assert resolver._resolver.search == []

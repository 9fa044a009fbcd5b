"""The resolvers over dnspython, against a name server of our own on loopback."""

from __future__ import annotations

import asyncio
import importlib
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("dns", reason="dnspython is not installed (extra [dns])")

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

import corvus_auth.dns
from corvus_auth import dmarc, spf
from corvus_auth.dns import AsyncDNSResolver, DNSResolver
from corvus_auth.lookup import Answer, Lookup

RECORDS = {
    ("example.com.", "TXT"): ['300 IN TXT "v=spf1 mx " "-all"'],
    ("example.com.", "MX"): ["300 IN MX 10 mx.example.com."],
    ("example.com.", "NS"): ["300 IN NS ns.example.com."],
    ("mx.example.com.", "A"): ["300 IN A 192.0.2.1"],
    ("mx.example.com.", "AAAA"): ["300 IN AAAA 2001:db8::1"],
    ("1.2.0.192.in-addr.arpa.", "PTR"): ["300 IN PTR mx.example.com."],
    ("alias.example.com.", "CNAME"): ["300 IN CNAME mx.example.com."],
    ("_25._tcp.mx.example.com.", "TLSA"): ["300 IN TLSA 3 1 1 " + "ab" * 32],
    ("_dmarc.example.com.", "TXT"): ['0 IN TXT "v=DMARC1; p=reject"'],
    ("odd\\\\name.example.com.", "A"): ["300 IN A 192.0.2.2"],
}


class NameServer:
    """Answers from `RECORDS` over UDP; names under ``slow`` get no answer, ``broken`` a SERVFAIL."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked: list[tuple[str, str]] = []
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        while True:
            data, peer = self.socket.recvfrom(4096)
            if data == b"stop":
                return
            reply = self.answer(dns.message.from_wire(data))
            if reply is not None:
                self.socket.sendto(reply.to_wire(), peer)

    def answer(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        name, rdtype = question.name.to_text().lower(), question.rdtype.name
        self.asked.append((name, rdtype))
        if name.startswith("slow."):
            return None
        reply = dns.message.make_response(query)
        if name.startswith("broken."):
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply
        lines = RECORDS.get((name, rdtype)) or RECORDS.get((name, "CNAME"))
        if lines is None:
            if not any(known == name for known, _ in RECORDS):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            reply.authority.append(dns.rrset.from_text("example.com.", 30, "IN", "NS", "ns."))
            if not name.startswith("bare."):
                reply.authority.append(
                    dns.rrset.from_text("example.com.", 30, "IN", "SOA", "ns. root. 1 2 3 4 20")
                )
            return reply
        for line in lines:
            ttl, _, kind, data = line.split(" ", 3)
            reply.answer.append(dns.rrset.from_text(name, int(ttl), "IN", kind, data))
            if kind == "CNAME":
                reply.answer.append(
                    dns.rrset.from_text("mx.example.com.", 300, "IN", "A", "192.0.2.1")
                )
        if name == "mx.example.com.":
            reply.flags |= dns.flags.AD
        return reply

    def stop(self) -> None:
        self.socket.sendto(b"stop", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    made = NameServer()
    yield made
    made.stop()


CASES = [
    ("example.com", "TXT", Answer("ok", (b"v=spf1 mx -all",), False, 300)),
    ("EXAMPLE.com.", "MX", Answer("ok", ((10, "mx.example.com"),), False, 300)),
    ("mx.example.com", "A", Answer("ok", ("192.0.2.1",), True, 300)),
    ("mx.example.com", "AAAA", Answer("ok", ("2001:db8::1",), True, 300)),
    ("alias.example.com", "A", Answer("ok", ("192.0.2.1",), False, 300)),
    ("alias.example.com", "CNAME", Answer("ok", ("mx.example.com",), False, 300)),
    ("1.2.0.192.in-addr.arpa", "PTR", Answer("ok", ("mx.example.com",), False, 300)),
    ("_25._tcp.mx.example.com", "TLSA", Answer("ok", ((3, 1, 1, b"\xab" * 32),), False, 300)),
    ("mx.example.com", "TXT", Answer("nodata", (), False, 20)),
    ("none.example.com", "A", Answer("nxdomain", (), False, 20)),
    ("broken.example.com", "A", Answer("servfail")),
    ("slow.example.com", "A", Answer("timeout")),
    ("example.com", "NS", Answer("servfail")),
    ("bare.example.com", "A", Answer("nxdomain", (), False, 60)),
    ("odd\\name.example.com", "A", Answer("ok", ("192.0.2.2",), False, 300)),
    ("a" * 64 + ".example.com", "A", Answer("servfail")),
    ("a..b", "A", Answer("servfail")),
    ("\u00e4.example", "A", Answer("servfail")),
]


def plain(server: NameServer, **more: float) -> DNSResolver:
    return DNSResolver(["127.0.0.1"], port=server.port, lifetime=0.3, **more)  # type: ignore[arg-type]  # cache only


@pytest.mark.parametrize(("name", "rdtype", "expected"), CASES)
def test_answers(server: NameServer, name: str, rdtype: str, expected: Answer) -> None:
    assert plain(server).resolve(name, rdtype) == expected

    async def ask() -> Answer:
        resolver = AsyncDNSResolver(["127.0.0.1"], port=server.port, lifetime=0.3)
        return await resolver.resolve(name, rdtype)

    assert asyncio.run(ask()) == expected


def test_a_name_server_may_have_a_port_of_its_own(server: NameServer) -> None:
    resolver = AsyncDNSResolver([f"127.0.0.1:{server.port}"], lifetime=0.3)
    answer = asyncio.run(resolver.aresolve("mx.example.com", "A"))
    assert answer.records == ("192.0.2.1",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5300", ("192.0.2.1", 5300)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5300", ("2001:db8::1", 5300)),
    ],
)
def test_name_servers_are_written_in_the_usual_ways(text: str, expected: tuple[str, int]) -> None:
    assert corvus_auth.dns._server(text, 53) == expected


def test_answers_are_kept_for_their_time(server: NameServer) -> None:
    now = [0.0]
    resolver = DNSResolver(
        ["127.0.0.1"], port=server.port, lifetime=0.3, cache=2, clock=lambda: now[0]
    )
    server.asked.clear()
    for _ in range(3):
        resolver.resolve("mx.example.com", "A")
    assert len(server.asked) == 1
    now[0] = 301
    resolver.resolve("MX.example.com", "A")
    assert len(server.asked) == 2
    for rdtype in ("AAAA", "TXT"):
        resolver.resolve("mx.example.com", rdtype)
    resolver.resolve("mx.example.com", "A")  # the oldest went
    assert len(server.asked) == 5


def test_several_questions_are_asked_at_once_and_each_once(server: NameServer) -> None:
    lookups = [
        Lookup("mx.example.com", "A"),
        Lookup("example.com", "MX"),
        Lookup("mx.example.com", "A"),
    ]
    server.asked.clear()
    resolver = plain(server)
    expected = [("192.0.2.1",), ((10, "mx.example.com"),), ("192.0.2.1",)]
    assert [a.records for a in resolver.resolve_many(lookups)] == expected
    assert [a.records for a in resolver.resolve_many(lookups)] == expected
    assert len(server.asked) == 2

    async def ask() -> list[Answer]:
        resolver = AsyncDNSResolver(["127.0.0.1"], port=server.port, lifetime=0.3)
        await resolver.aresolve_many(lookups)
        return await resolver.aresolve_many(lookups)

    assert [a.records for a in asyncio.run(ask())] == expected
    assert len(server.asked) == 4


def test_spf_and_dmarc_run_over_them(server: NameServer) -> None:
    resolver = plain(server)
    result = spf.check("192.0.2.1", "a@example.com", "x", resolver=resolver)
    assert (result.status, result.mechanism) == ("pass", "mx")

    async def ask() -> dmarc.DMARCResult:
        resolver = AsyncDNSResolver(["127.0.0.1"], port=server.port, lifetime=0.3)
        checked = await spf.acheck("192.0.2.1", "a@example.com", "x", resolver=resolver)
        return await dmarc.acheck("example.com", spf=checked, dkim=(), resolver=resolver)

    assert asyncio.run(ask()).status == "pass"


def test_without_dnspython_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dns.asyncresolver", None)
    monkeypatch.delitem(sys.modules, "corvus_auth.dns")
    with pytest.raises(ImportError, match=r"corvus-auth\[dns\]"):
        importlib.import_module("corvus_auth.dns")

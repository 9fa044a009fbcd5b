"""Others' implementations as oracles: scramp, pyspf, authres."""

from __future__ import annotations

from typing import Any

import pytest

from corvus_auth import authres, sasl, spf
from corvus_auth.lookup import ZoneResolver
from corvus_auth.sasl.scram import ScramServer

pytestmark = pytest.mark.interop

DUMMY = b"0123456789abcdef"
BINDING = ("tls-server-end-point", b"\x07" * 32)


@pytest.mark.parametrize(
    "name", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"]
)
@pytest.mark.parametrize("password", ["pencil", "p\u00e4ss w\u00f6rd"])
def test_our_server_and_the_client_of_scramp(name: str, password: str) -> None:
    scramp = pytest.importorskip("scramp")
    plus = name.endswith("-PLUS")
    client = scramp.ScramClient(
        [name], "al,ice=", password, channel_binding=BINDING if plus else None
    )
    server = sasl.server(
        name, nonce="server", dummy_key=DUMMY, channel_bindings=dict([BINDING]) if plus else None
    )
    assert isinstance(server, ScramServer)
    need = server.step(client.get_client_first().encode())
    assert need == sasl.NeedKeys(name.removesuffix("-PLUS"), "al,ice=", "")
    keys = sasl.derive_keys(password, b"salt" * 4, mechanism=name.removesuffix("-PLUS"))
    first = server.keys(keys)
    assert isinstance(first, sasl.Challenge)
    client.set_server_first(first.data.decode())
    last = server.step(client.get_client_final().encode())
    assert isinstance(last, sasl.Challenge)
    client.set_server_final(last.data.decode())
    assert server.step(b"") == sasl.Success("al,ice=", "al,ice=")


@pytest.mark.parametrize(
    "name", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"]
)
def test_our_client_and_the_server_of_scramp(name: str) -> None:
    scramp = pytest.importorskip("scramp")
    plus = name.endswith("-PLUS")
    mechanism = scramp.ScramMechanism(mechanism=name)
    auth = mechanism.make_auth_info("pencil", iteration_count=4096)
    server = mechanism.make_server(lambda user: auth, channel_binding=BINDING if plus else None)
    client = sasl.client(
        name, username="alice", password="pencil", nonce="client-nonce-of-ours",
        channel_binding=BINDING if plus else None,
    )  # fmt: skip
    server.set_client_first((client.start() or b"").decode())
    response = client.step(server.get_server_first().encode())
    server.set_client_final(response.decode())
    client.step(server.get_server_final().encode())
    client.finish()


def test_stored_keys_are_those_of_scramp() -> None:
    scramp = pytest.importorskip("scramp")
    mechanism = scramp.ScramMechanism(mechanism="SCRAM-SHA-256")
    salt, stored, server, iterations = mechanism.make_auth_info(
        "pencil", iteration_count=5000, salt=b"s" * 16
    )
    keys = sasl.derive_keys("pencil", b"s" * 16, iterations=5000)
    assert (keys.salt, keys.stored_key, keys.server_key, keys.iterations) == (
        salt, stored, server, iterations,
    )  # fmt: skip


ZONE: dict[str, dict[str, Any]] = {
    "a.test": {
        "TXT": [b"v=spf1 include:b.test a mx/30 exists:%{ir}.list.test ~all"],
        "A": ["192.0.2.9"],
        "MX": [(5, "m.test")],
    },
    "b.test": {"TXT": [b"v=spf1 ip4:198.51.100.0/25 ip6:2001:db8::/48 redirect=c.test"]},
    "c.test": {"TXT": [b"v=spf1 ptr:d.test ?all"]},
    "m.test": {"A": ["203.0.113.4"], "AAAA": ["2001:db8:1::4"]},
    "7.2.0.192.list.test": {"A": ["127.0.0.2"]},
    "8.2.0.192.in-addr.arpa": {"PTR": ["host.d.test"]},
    "host.d.test": {"A": ["192.0.2.8"]},
    "bad.test": {"TXT": [b"v=spf1 ip4:1.2.3 -all"]},
    "two.test": {"TXT": [b"v=spf1 -all", b"v=spf1 +all"]},
    "loop.test": {"TXT": [b"v=spf1 include:loop.test"]},
}


@pytest.mark.parametrize(
    "ip",
    ["192.0.2.7", "192.0.2.8", "192.0.2.9", "198.51.100.1", "198.51.100.200", "203.0.113.5",
     "2001:db8::5", "2001:db8:1::4", "2001:db8:2::1"],
)  # fmt: skip
@pytest.mark.parametrize(
    "domain", ["a.test", "b.test", "c.test", "bad.test", "two.test", "loop.test", "none.test"]
)
def test_pyspf_comes_to_the_same_result(
    ip: str, domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyspf = pytest.importorskip("spf")
    zone = ZoneResolver(ZONE)

    def lookup(name: str, rdtype: str, *_: Any, **__: Any) -> list[Any]:
        import ipaddress

        records = zone.resolve(name, rdtype).records
        if rdtype == "AAAA":
            records = tuple(ipaddress.ip_address(r).packed for r in records)
        return [((name, rdtype), (r,) if rdtype == "TXT" else r) for r in records]

    monkeypatch.setattr(pyspf, "DNSLookup", lookup)
    theirs = pyspf.check2(i=ip, s=f"x@{domain}", h="helo.test")[0]
    ours = spf.check(ip, f"x@{domain}", "helo.test", resolver=zone)
    assert ours.status == theirs, "\n".join(map(str, ours.trace))


def test_authres_reads_what_we_write() -> None:
    oracle = pytest.importorskip("authres")
    results = [
        authres.Result(
            "spf", "pass", "a reason; x=y", (authres.Property("smtp", "mailfrom", "a@x.test"),)
        ),
        authres.Result("dkim", "fail", "", (authres.Property("header", "d", "x.test"),), "bad (x)"),
        authres.Result("dmarc", "pass", "", (authres.Property("header", "from", "x.test"),)),
    ]
    field = authres.field("mx.example.org", results).decode().removesuffix("\r\n")
    read = oracle.AuthenticationResultsHeader.parse(field)
    assert read.authserv_id == "mx.example.org"
    assert [(r.method, r.result) for r in read.results] == [
        ("spf", "pass"),
        ("dkim", "fail"),
        ("dmarc", "pass"),
    ]
    assert read.results[0].reason == "a reason; x=y"
    assert read.results[0].smtp_mailfrom == "a@x.test"

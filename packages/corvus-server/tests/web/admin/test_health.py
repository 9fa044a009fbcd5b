"""First run and Health: what is missing is named, and turns green by itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from corvus_auth.lookup import Answer
from corvus_server import checklist, probes, tls
from corvus_server.checklist import DIFFERENT, GOOD, MISSING, UNKNOWN
from corvus_server.config import load
from corvus_server.web.app import build_app
from web.admin.asking import admin, streamed
from web.running import Browser, Site, said, site

HOST = "mail.corvus.local"
CONFIG = load({"COR_HOSTNAME": HOST, "COR_OUTBOUND_BIND": "192.0.2.25"})
KEY = {"domain": "a.example", "selector": "cv1", "active": True, "name": "cv1._domainkey.a.example",
       "record": "v=DKIM1; k=rsa; p=" + "A" * 400}  # fmt: skip


class Greeter:
    """A network in which some addresses greet."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[tuple[str, int]] = []

    async def connect(
        self, factory: Any, address: str, port: int, *, source: str | None = None
    ) -> tuple[Any, Any]:
        self.asked.append((address, port))
        if address not in self.addresses:
            raise OSError("no route")
        protocol = factory()
        protocol.data_received(b"220 mx.example ESMTP\r\n")

        class Transport:
            def write(self, data: bytes) -> None:
                assert data == b"QUIT\r\n"

            def close(self) -> None: ...

        return Transport(), protocol

    def identify(self, address: str) -> str:
        return address


def publish(site: Site) -> None:
    """What the checklist asks for, in the simulated DNS."""
    records = site.resolver.records
    records[HOST, "A"] = ("192.0.2.25",)
    records["25.2.0.192.in-addr.arpa", "PTR"] = (HOST,)
    records["corvus.local", "MX"] = ((10, HOST),)
    records["corvus.local", "TXT"] = (b"v=spf1 mx -all",)
    records["_dmarc.corvus.local", "TXT"] = (b"v=DMARC1; p=quarantine",)
    for key in site.store.keys.all("corvus.local"):
        name = f"{key.selector}._domainkey.corvus.local"
        records[name, "TXT"] = (key.record.encode(),)
    records["gmail.com", "MX"] = ((5, "mx.gmail.example"),)
    records["mx.gmail.example", "A"] = ("198.51.100.1",)


async def with_network(site: Site, network: Any) -> Browser:
    """A browser of the administrator at a site with *network*."""
    folder = site.services.config.data_dir
    folder.mkdir(exist_ok=True)
    tls.ensure_certificate(folder, HOST, now=site.clock())
    site.app = build_app(replace(site.services, network=network))
    return await admin(site)


@site
async def test_the_first_run_turns_green_once_dns_knows(site: Site) -> None:
    await site.services.operations.dkim_gen("corvus.local")
    root = await with_network(site, Greeter("198.51.100.1"))
    text = said(await root.get("/admin/health"))
    assert "next: A of mail.corvus.local" in text
    assert "not yet" in text
    publish(site)
    site.clock.forward(61)
    answer = await root.get("/admin/health")
    assert "Mail can come and go" in said(answer)
    assert "for comfort" in answer.text  # SRV and autoconfig may stay away


@site
async def test_a_watcher_is_told_when_something_changed_and_not_before(site: Site) -> None:
    root = await with_network(site, Greeter())
    await root.get("/admin/health")
    checker = site.app.state.checker
    assert await checker.start() is False  # nothing new
    publish(site)
    site.clock.forward(11)
    heard = await streamed(site.app, root, "/admin/health/live", lambda t: "event: change" in t)
    assert heard.count("event: change") == 1


@site
async def test_what_is_skipped_is_not_counted_and_can_be_taken_back(site: Site) -> None:
    root = await with_network(site, Greeter("198.51.100.1"))
    publish(site)
    site.resolver.records["25.2.0.192.in-addr.arpa", "PTR"] = ("other.example",)
    text = said(await root.get("/admin/health"))
    assert "You have other.example" in text
    key = "ptr:192.0.2.25"
    answer = await root.post("/admin/health/skip", {"key": key, "skip": "yes"})
    assert answer.headers["location"] == "/admin/health#card-ptr-192-0-2-25"
    assert "Mail can come and go" in said(await root.get("/admin/health"))
    await root.post("/admin/health/skip", {"key": key, "skip": "no"})
    assert "next: PTR of 192.0.2.25" in said(await root.get("/admin/health"))


@site
async def test_check_now_asks_again_and_tries_port_25(site: Site) -> None:
    network = Greeter("198.51.100.1")
    root = await with_network(site, network)
    await root.get("/admin/health")
    assert network.asked == []  # DNS knew nobody to greet
    publish(site)
    answer = await root.post("/admin/health/check", {"key": "port25"})
    assert answer.status_code == 303
    assert network.asked == [("198.51.100.1", 25)]
    assert "mx.gmail.example [198.51.100.1] answers" in said(await root.get("/admin/health"))


@site
async def test_the_zone_is_a_file_that_a_name_server_reads(site: Site) -> None:
    import dns.zone

    key = await site.services.operations.dkim_gen("corvus.local")
    root = await admin(site)
    answer = await root.get("/admin/health/zone")
    assert 'filename="mail.corvus.local.zone"' in answer.headers["content-disposition"]
    text = "$ORIGIN corvus.local.\n@ 3600 IN SOA a. b. 1 1 1 1 1\n@ 3600 IN NS a.\n" + answer.text
    zone = dns.zone.from_text(text, origin="corvus.local", relativize=False)
    found = zone.find_rdataset("cv1._domainkey.corvus.local.", "TXT")
    assert b"".join(found[0].strings).decode() == key["record"]
    assert (await root.get("/admin/health/zone?domain=elsewhere.example")).status_code == 404


# Pure parts.


def judged(topic: str, answer: Answer) -> tuple[str, str]:
    records = [
        *checklist.host_records(CONFIG),
        *checklist.domain_records(CONFIG, "a.example", [KEY]),
    ]
    record = next(each for each in records if each.topic.startswith(topic))
    step = checklist.judge(record, answer)
    return step.state, step.finding


@pytest.mark.parametrize(
    ("topic", "records", "state", "words"),
    [
        ("A of", ("192.0.2.25",), GOOD, "Leads to 192.0.2.25"),
        ("A of", ("198.51.100.9",), DIFFERENT, "sends from 192.0.2.25"),
        ("A of", (), MISSING, "no address"),
        ("MX", ((20, "mail.corvus.local."), (5, "other.example")), GOOD, "Names"),
        ("MX", ((10, "mx.elsewhere.example"),), DIFFERENT, "not here"),
        ("MX", (), MISSING, "names no mail server"),
        ("SPF", (b"v=spf1 mx -all",), GOOD, "Published."),
        ("SPF", (b"v=spf1 +mx include:x.example ~all",), GOOD, "your own words"),
        ("SPF", (b"v=spf1 include:x.example -all",), DIFFERENT, "You have"),
        ("SPF", (b"v=spf1 mx -all", b"v=spf1 a -all"), DIFFERENT, "keep one"),
        ("SPF", (b"google-site-verification=1",), MISSING, "Not published"),
        ("DKIM", (KEY["record"].replace("; ", ";").encode(),), GOOD, "Published."),  # type: ignore[attr-defined]  # a str
        ("DKIM", (b"v=DKIM1; p=BBBB",), DIFFERENT, "another key"),
        ("DKIM", (), MISSING, "cannot be checked"),
        ("DMARC", (b"v=DMARC1; p=none",), GOOD, "policy of your own"),
        ("DMARC", (b"v=DMARC1; p=none", b"v=DMARC1; p=reject"), DIFFERENT, "keep one"),
        ("SRV _imaps", ((0, 1, 993, "mail.corvus.local."),), GOOD, "port 993"),
        ("SRV _imaps", ((0, 1, 143, "mail.corvus.local."),), DIFFERENT, "143"),
        ("SRV _imaps", (), MISSING, "mail programs"),
        ("Autoconfig", ("192.0.2.25",), GOOD, "Leads to"),
        ("Autoconfig", (), MISSING, "type the settings"),
    ],
)
def test_a_record_is_judged_by_what_dns_says(
    topic: str, records: tuple[Any, ...], state: str, words: str
) -> None:
    found = judged(topic, Answer("ok", records) if records else Answer("nodata"))
    assert found[0] == state
    assert words in found[1]


@pytest.mark.parametrize("status", ["timeout", "servfail"])
def test_silence_of_dns_is_no_fault_of_the_record(status: Any) -> None:
    assert judged("MX", Answer(status))[0] == UNKNOWN
    assert checklist.judge_pointer(HOST, "192.0.2.25", Answer(status)).state == UNKNOWN


def test_a_zone_line_without_a_known_value_is_a_comment() -> None:
    config = load({"COR_HOSTNAME": HOST})
    (record,) = checklist.host_records(config)
    assert record.zone.startswith("; mail.corvus.local. 3600 IN A (")
    assert checklist.own_addresses(load({"COR_SMTP_ADDR": "[2001:db8::1]:25"})) == ("2001:db8::1",)


def test_outbound_mail_is_tried_and_a_relay_is_believed() -> None:
    async def main() -> None:
        relay = load({"COR_SMARTHOST": "user:secret@relay.example:587"})
        step = await probes.outbound(relay, Greeter(), None, ())
        assert step.state == GOOD
        assert "secret" not in step.finding
        assert "relay.example:587" in step.finding

        class Known:
            async def aresolve(self, name: str, rdtype: str) -> Answer:
                if rdtype == "MX":
                    return Answer("ok", ((1, "mx.x.example"),))
                return Answer("ok", ("198.51.100.7",)) if rdtype == "A" else Answer("nodata")

        step = await probes.outbound(CONFIG, Greeter(), Known(), ["x.example"])
        assert step.state == MISSING
        assert "does not answer on port 25" in step.finding

    asyncio.run(main())


def test_a_certificate_is_judged_by_its_name_and_its_end(tmp_path: Any) -> None:
    now = 1_800_000_000.0
    chain, key = tls.ensure_certificate(tmp_path, HOST, now=now)
    own = load({"COR_DATA_DIR": str(tmp_path), "COR_HOSTNAME": HOST})
    assert probes.certificate(own, now).state == GOOD  # only this machine can reach it
    world = load({"COR_DATA_DIR": str(tmp_path), "COR_HOSTNAME": HOST, "COR_IMAP_TLS_ADDR": ":993"})
    assert probes.certificate(world, now).state == DIFFERENT
    files = {"COR_TLS_CERT": str(chain), "COR_TLS_KEY": str(key)}
    assert probes.certificate(load({**files, "COR_HOSTNAME": HOST}), now).state == GOOD
    other = probes.certificate(load({**files, "COR_HOSTNAME": "b.example"}), now)
    assert "not b.example" in other.finding
    late = probes.certificate(load({**files, "COR_HOSTNAME": HOST}), now + 820 * 86_400)
    assert late.state == DIFFERENT
    over = probes.certificate(load({**files, "COR_HOSTNAME": HOST}), now + 900 * 86_400)
    assert "ended" in over.finding
    empty = load({"COR_DATA_DIR": str(tmp_path / "none"), "COR_HOSTNAME": HOST})
    assert probes.certificate(empty, now).state == UNKNOWN


def test_a_clock_of_the_last_century_cannot_be() -> None:
    assert probes.clock(0.0).state == DIFFERENT
    assert probes.clock(1_800_000_000.0).state in (GOOD, UNKNOWN)


def test_a_record_that_was_just_published_is_seen_at_once() -> None:
    """The server's own resolver keeps what it was told; the checklist must not."""
    import dns.flags
    import dns.message
    import dns.rdatatype
    import dns.rrset

    published: dict[tuple[str, str], str] = {}

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            query = dns.message.from_wire(data)
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.RA
            question = query.question[0]
            rdtype = dns.rdatatype.to_text(question.rdtype)
            held = published.get((question.name.to_text(True), rdtype))
            if held is not None:
                answer.answer.append(dns.rrset.from_text(question.name, 3600, "IN", rdtype, held))
            self.transport.sendto(answer.to_wire(), addr)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        config = load({"COR_HOSTNAME": HOST, "COR_DNS_SERVERS": f"127.0.0.1#{port}"})
        resolver = probes.fresh(None, config)
        try:
            for name, rdtype, text, records in (
                ("_imaps._tcp.a.example", "SRV", f"0 1 993 {HOST}.", ((0, 1, 993, HOST),)),
                ("a.example", "MX", f"10 {HOST}.", ((10, HOST),)),
            ):
                assert (await resolver.aresolve(name, rdtype)).status == "nodata"
                published[name, rdtype] = text
                assert (await resolver.aresolve(name, rdtype)).records == records
        finally:
            transport.close()

    asyncio.run(main())


def test_the_resolver_of_a_test_or_a_demo_is_asked_itself() -> None:
    mine = object()
    assert probes.fresh(mine, CONFIG) is mine


def test_a_name_server_with_a_port_stops_no_start() -> None:
    from corvus_server.app import _resolver

    assert _resolver(load({"COR_DNS_SERVERS": "127.0.0.1#5353,::1#5353"})) is not None

"""The examples printed in RFC 9989: §4.10, §4.10.2 and Appendix B."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from corvus_auth import dmarc
from corvus_auth.dmarc.walk import fetch, walk, walk_names
from corvus_auth.lookup import Answer, ZoneResolver, run

RECORD = b"v=DMARC1; p=reject"


def zone(*names: str) -> dict[str, dict[str, Any]]:
    return {f"_dmarc.{name}": {"TXT": [RECORD]} for name in names}


def passed(domain: str) -> SimpleNamespace:
    return SimpleNamespace(status="pass", domain=domain)


def organizational(domain: str, records: dict[str, dict[str, Any]]) -> str:
    tree = run(fetch(walk_names(domain)), ZoneResolver(records))
    return walk(domain, tree).organizational_domain


class Recorder:
    def __init__(self, records: dict[str, dict[str, Any]]) -> None:
        self.zone = ZoneResolver(records)
        self.asked: list[str] = []

    def resolve(self, name: str, rdtype: str) -> Answer:
        self.asked.append(name)
        return self.zone.resolve(name, rdtype)


def test_section_4_10_the_eight_queries() -> None:
    recorder = Recorder({})
    run(dmarc.discover("a.b.c.d.e.f.g.h.i.j.mail.example.com"), recorder)
    assert recorder.asked == [
        "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "_dmarc.g.h.i.j.mail.example.com",
        "_dmarc.h.i.j.mail.example.com",
        "_dmarc.i.j.mail.example.com",
        "_dmarc.j.mail.example.com",
        "_dmarc.mail.example.com",
        "_dmarc.example.com",
        "_dmarc.com",
    ]


def test_section_4_10_2_the_three_examples() -> None:
    domain = "a.mail.example.com"
    assert organizational(domain, zone("mail.example.com", "example.com")) == "example.com"
    cut = zone("example.com") | {"_dmarc.mail.example.com": {"TXT": [RECORD + b"; psd=n"]}}
    assert organizational(domain, cut) == "mail.example.com"
    suffix = {"_dmarc.com": {"TXT": [RECORD + b"; psd=y"]}}
    assert organizational(domain, suffix) == "example.com"
    below = {"_dmarc.example.com": {"TXT": [RECORD + b"; psd=y"]}}
    assert organizational("mail.example.com", below) == "mail.example.com"


@pytest.mark.parametrize(
    ("spf", "author", "tags", "aligned"),
    [
        ("example.com", "example.com", b"; aspf=s", True),
        ("child.example.com", "example.com", b"", True),
        ("example.net", "child.example.com", b"", False),
    ],
)
def test_appendix_b_1_1_spf(spf: str, author: str, tags: bytes, aligned: bool) -> None:
    records = {"_dmarc.example.com": {"TXT": [RECORD + tags]}}
    found = dmarc.check(author, spf=passed(spf), dkim=[], resolver=ZoneResolver(records))
    assert (found.status == "pass") is aligned


@pytest.mark.parametrize(
    ("signer", "author", "tags", "aligned"),
    [
        ("example.com", "example.com", b"; adkim=s", True),
        ("example.com", "child.example.com", b"", True),
        ("example.net", "child.example.com", b"", False),
    ],
)
def test_appendix_b_1_2_dkim(signer: str, author: str, tags: bytes, aligned: bool) -> None:
    records = {"_dmarc.example.com": {"TXT": [RECORD + tags]}}
    found = dmarc.check(author, spf=None, dkim=[passed(signer)], resolver=ZoneResolver(records))
    assert (found.status == "pass") is aligned


def test_appendix_b_2_the_records_of_a_domain_owner() -> None:
    monitoring = dmarc.parse_record(b"v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com")
    assert [uri.address for uri in monitoring.rua] == ["dmarc-feedback@example.com"]
    failures = dmarc.parse_record(
        b"v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com; "
        b"ruf=mailto:auth-reports@example.com"
    )
    assert [uri.address for uri in failures.ruf] == ["auth-reports@example.com"]
    testing = dmarc.parse_record(
        b"v=DMARC1; p=quarantine; rua=mailto:dmarc-feedback@example.com,"
        b"mailto:tld-test@thirdparty.example.net; t=y"
    )
    assert (testing.testing, len(testing.rua), testing.problems) == (True, 2, ())


def test_appendix_b_2_3_and_b_2_4_external_destinations() -> None:
    records: dict[str, dict[str, Any]] = {
        "_dmarc.example.com": {
            "TXT": [b"v=DMARC1; p=none; rua=mailto:auth-reports@thirdparty.example.net"]
        },
    }
    name = "example.com._report._dmarc.thirdparty.example.net"
    found = run(dmarc.discover("example.com"), ZoneResolver(records))
    assert run(dmarc.destinations(found), ZoneResolver(records)) == ()
    records[name] = {"TXT": [b"v=DMARC1;"]}
    (uri,) = run(dmarc.destinations(found), ZoneResolver(records))
    assert uri.address == "auth-reports@thirdparty.example.net"
    records[name] = {"TXT": [b"v=DMARC1; rua=mailto:example-com@thirdparty.example.net;"]}
    (uri,) = run(dmarc.destinations(found), ZoneResolver(records))
    assert uri.address == "example-com@thirdparty.example.net"
    records[name] = {"TXT": [b"v=DMARC1; rua=mailto:victim@elsewhere.example"]}
    assert run(dmarc.destinations(found), ZoneResolver(records)) == ()


def test_appendix_b_4_1_simple() -> None:
    records = zone("example.com", "signing.example.com")
    assert organizational("example.com", records) == "example.com"
    assert organizational("signing.example.com", records) == "example.com"
    found = dmarc.check(
        "example.com",
        spf=passed("example.com"),
        dkim=[passed("signing.example.com")],
        resolver=ZoneResolver(records),
    )
    assert found.policy_domain == "example.com"
    assert [str(i) for i in found.aligned_by] == ["spf example.com", "dkim signing.example.com"]


def test_appendix_b_4_2_deep() -> None:
    author = "a.b.c.d.e.f.g.h.i.j.k.example.com"
    records = zone("example.com", "signing.example.com")
    recorder = Recorder(records)
    found = dmarc.check(
        author,
        spf=passed("example.com"),
        dkim=[passed("signing.example.com")],
        resolver=recorder,
    )
    assert recorder.asked[:3] == [
        f"_dmarc.{author}",
        "_dmarc.g.h.i.j.k.example.com",
        "_dmarc.h.i.j.k.example.com",
    ]
    assert (found.organizational_domain, found.policy_domain) == ("example.com", "example.com")
    assert [str(i) for i in found.aligned_by] == ["spf example.com", "dkim signing.example.com"]


def test_appendix_b_4_3_public_suffix() -> None:
    records = zone("giant.bank.example")
    records["_dmarc.bank.example"] = {"TXT": [RECORD + b"; psd=y"]}
    assert organizational("giant.bank.example", records) == "giant.bank.example"
    assert organizational("mail.giant.bank.example", records) == "giant.bank.example"
    assert organizational("mail.mega.bank.example", records) == "mega.bank.example"
    found = dmarc.check(
        "giant.bank.example",
        spf=passed("mail.giant.bank.example"),
        dkim=[passed("mail.mega.bank.example")],
        resolver=ZoneResolver(records),
    )
    assert found.policy_domain == "giant.bank.example"
    assert [str(i) for i in found.aligned_by] == ["spf mail.giant.bank.example"]

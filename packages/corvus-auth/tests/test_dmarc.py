"""DMARC: records, the tree walk, alignment, authors."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from corvus_auth import dmarc
from corvus_auth.dmarc import Author, Identifier, Policy, Status, author, parse_record, psl
from corvus_auth.dmarc.walk import fetch, walk_names
from corvus_auth.lookup import Lookup, ZoneResolver, run

Zone = dict[str, dict[str, Any]]


def result(domain: str, status: str = "pass") -> SimpleNamespace:
    return SimpleNamespace(status=status, domain=domain)


def txt(**records: str) -> Zone:
    """``a__b="..."`` is the record at ``_dmarc.a.b``."""
    return {
        f"_dmarc.{name.replace('__', '.')}": {"TXT": [text.encode()]}
        for name, text in records.items()
    }


def check(
    from_domain: str | Author,
    zone: Zone,
    *,
    spf: Any = None,
    dkim: Any = (),
    mode: dmarc.Mode = "rfc9989",
) -> dmarc.DMARCResult:
    return dmarc.check(from_domain, spf=spf, dkim=dkim, resolver=ZoneResolver(zone), mode=mode)


class Counting:
    def __init__(self, zone: Zone) -> None:
        self.zone = ZoneResolver(zone)
        self.asked: list[str] = []
        self.rounds = 0

    def resolve(self, name: str, rdtype: str) -> Any:
        self.rounds += 1
        self.asked.append(name)
        return self.zone.resolve(name, rdtype)

    def resolve_many(self, lookups: Any) -> list[Any]:
        self.rounds += 1
        self.asked.extend(q.name for q in lookups)
        return [self.zone.resolve(q.name, q.rdtype) for q in lookups]


# Records.


def test_defaults_stand_where_nothing_is_said() -> None:
    record = parse_record(b"v=DMARC1; p=quarantine")
    assert (record.p, record.sp, record.np) == (Policy.QUARANTINE, None, None)
    assert (record.strict_dkim, record.strict_spf, record.psd, record.testing) == (
        False, False, "u", False,
    )  # fmt: skip
    assert (record.fo, record.pct, record.interval) == (("0",), 100, 86400)
    assert record.applies
    assert record.problems == ()


def test_everything_that_can_be_said_is_read() -> None:
    record = parse_record(
        b"v = DMARC1 ;P=Reject; sp=none;np=quarantine; adkim=s; aspf=s; psd=n; t=y; fo=1:d:s; "
        b"rua=mailto:a%2Bb@example.com!10m, https://x.example/r ; ruf=mailto:c@example.com?subject=x;"
        b"pct=50; ri=3600; unknown=1;"
    )
    assert (record.p, record.sp, record.np) == ("reject", "none", "quarantine")
    assert (record.strict_dkim, record.strict_spf, record.psd, record.testing) == (
        True, True, "n", True,
    )  # fmt: skip
    assert [u.address for u in record.rua] == ["a+b@example.com", None]
    assert [u.domain for u in record.rua] == ["example.com", ""]
    assert record.ruf[0].address == "c@example.com"
    assert (record.fo, record.pct, record.interval) == (("1", "d", "s"), 50, 3600)
    assert record.problems == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("p=none; adkim=x", "adkim"),
        ("p=none; psd=maybe", "psd"),
        ("p=none; t=", "t:"),
        ("p=none; fo=0:1", "fo"),
        ("p=none; fo=x", "fo"),
        ("p=none; pct=101", "pct"),
        ("p=none; pct=-1", "pct"),
        ("p=none; ri=\u0664", "ri"),
        ("p=none; rua=nonsense", "rua"),
        ("p=none; rua=mailto:a b@x.example", "rua"),
        ("p=none; rua=mailto:a@x.example%0d%0aX: y", "rua"),
        ("p=none; rua=mailto:nobody", "rua"),
        ("p=none; p=reject", "p appears twice"),
        ("p=none; nonsense", "not a tag"),
        ("p=none; 1=2", "not a tag"),
        ("sp=none", "p is missing"),
        ("p=sometimes", "p: neither"),
        ("p=none" + ";a=b" * 100, "too many tags"),
    ],
)
def test_what_is_wrong_is_discarded_and_named(text: str, problem: str) -> None:
    record = parse_record(b"v=DMARC1;" + text.encode())
    assert any(problem in said for said in record.problems)
    assert all(said.isascii() and said.isprintable() for said in record.problems)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"v=DMARC1", True),
        (b"v=DMARC1; p=none", True),
        (b"V\t=\tDMARC1\t;", True),
        (b"v=dmarc1; p=none", False),
        (b"v=DMARC10; p=none", False),
        (b"p=none; v=DMARC1", False),
        (b" v=DMARC1", False),
        (b"", False),
    ],
)
def test_the_version_selects_records(raw: bytes, expected: bool) -> None:
    assert dmarc.is_dmarc(raw) is expected


# Discovery.


def test_the_policy_of_the_author_domain_comes_first() -> None:
    zone = txt(example__com="v=DMARC1; p=none; sp=reject", a__example__com="v=DMARC1; p=quarantine")
    found = check("a.example.com", zone)
    assert (found.policy_domain, found.disposition) == ("a.example.com", "quarantine")
    assert found.organizational_domain == "example.com"


def test_subdomains_that_exist_get_sp_and_others_np() -> None:
    zone = txt(example__com="v=DMARC1; p=none; sp=quarantine; np=reject")
    zone["news.example.com"] = {"MX": [(1, "mx.example.com")]}
    assert check("news.example.com", zone).disposition == "quarantine"
    assert check("ghost.example.com", zone).disposition == "reject"
    assert check("example.com", zone).disposition == "none"
    only_p = txt(example__com="v=DMARC1; p=reject; np=none")
    assert check("ghost.example.com", only_p).disposition == "none"


def test_existence_is_asked_only_where_it_matters() -> None:
    resolver = Counting(txt(example__com="v=DMARC1; p=reject; np=reject"))
    run(dmarc.discover("a.example.com"), resolver)
    assert "a.example.com" not in resolver.asked
    assert resolver.rounds == 1
    resolver = Counting(txt(example__com="v=DMARC1; p=reject; np=none"))
    run(dmarc.discover("a.example.com"), resolver)
    assert resolver.asked[-1] == "a.example.com"


def test_existence_that_cannot_be_told_is_a_temperror() -> None:
    zone = txt(example__com="v=DMARC1; p=reject; np=none")
    zone["a.example.com"] = {"A": "timeout"}
    assert check("a.example.com", zone).status is Status.TEMPERROR


def test_test_mode_takes_one_level_off() -> None:
    for policy, applied in (("reject", "quarantine"), ("quarantine", "none"), ("none", "none")):
        found = check("example.com", txt(example__com=f"v=DMARC1; p={policy}; t=y"))
        assert (found.status, found.policy, found.disposition) == ("fail", policy, applied)
        assert ("in test mode" in found.reason) is (policy != applied)


def test_a_record_without_a_policy_counts_when_somebody_wants_reports() -> None:
    with_rua = check("example.com", txt(example__com="v=DMARC1; rua=mailto:a@example.com"))
    assert (with_rua.status, with_rua.policy) == ("fail", "none")
    assert check("example.com", txt(example__com="v=DMARC1")).status is Status.NONE
    bad_sp = txt(example__com="v=DMARC1; p=reject; sp=x; rua=mailto:a@example.com")
    assert check("example.com", bad_sp).disposition == "none"


def test_a_public_suffix_speaks_for_those_who_say_nothing() -> None:
    zone = txt(bank="v=DMARC1; p=none; sp=quarantine; np=reject; psd=y")
    zone["small.bank"] = {"A": ["192.0.2.1"]}
    found = check("mail.small.bank", zone)
    assert (found.organizational_domain, found.policy_domain) == ("small.bank", "bank")
    assert found.disposition == "reject"
    assert check("small.bank", zone).disposition == "quarantine"
    # The suffix itself is its own organization, and its customers are not aligned with it.
    own = check("bank", zone, dkim=[result("small.bank")])
    assert (own.status, own.organizational_domain) == ("fail", "bank")


def test_psd_n_cuts_an_organization_off() -> None:
    zone = txt(
        example__com="v=DMARC1; p=reject", part__example__com="v=DMARC1; p=quarantine; psd=n"
    )
    assert check("part.example.com", zone, dkim=[result("example.com")]).status is Status.FAIL
    assert check("example.com", zone, dkim=[result("part.example.com")]).status is Status.FAIL
    assert check("x.part.example.com", zone, dkim=[result("y.part.example.com")]).status == "pass"


def test_two_records_are_none() -> None:
    zone = txt()
    zone["_dmarc.example.com"] = {"TXT": [b"v=DMARC1; p=reject", b"v=DMARC1; p=none"]}
    found = check("example.com", zone)
    assert found.status is Status.NONE
    assert "more than one record" in found.reason


def test_records_for_other_purposes_are_passed_over() -> None:
    zone = txt()
    zone["_dmarc.example.com"] = {"TXT": [b"hello", b"v=DMARC1; p=reject", b"v=spf1 -all"]}
    assert check("example.com", zone).disposition == "reject"


@pytest.mark.parametrize("status", ["timeout", "servfail"])
def test_dns_trouble_is_a_temperror(status: str) -> None:
    zone: Zone = {"_dmarc.example.com": {"TXT": status}}
    found = check("a.example.com", zone, dkim=[result("a.example.com")])
    assert (found.status, found.disposition) == ("temperror", "none")
    assert check("example.com", zone).status is Status.TEMPERROR


def test_trouble_above_the_author_domain_hurts_only_what_depends_on_it() -> None:
    zone = txt(a__example__com="v=DMARC1; p=reject")
    zone["_dmarc.com"] = {"TXT": "timeout"}
    assert check("a.example.com", zone, dkim=[result("a.example.com")]).status == "pass"
    assert check("a.example.com", zone, dkim=[result("b.example.com")]).status == "temperror"
    assert check("a.example.com", zone, dkim=[result("b.example.net")]).status == "fail"
    strict = txt(a__example__com="v=DMARC1; p=reject; adkim=s")
    strict["_dmarc.com"] = {"TXT": "timeout"}
    assert check("a.example.com", strict, dkim=[result("b.example.com")]).status == "fail"


def test_trouble_below_the_organizational_domain_is_a_temperror_too() -> None:
    zone = txt(example__com="v=DMARC1; p=reject")
    zone["_dmarc.sign.example.com"] = {"TXT": "timeout"}
    assert check("example.com", zone, dkim=[result("sign.example.com")]).status == "temperror"


def test_a_temperror_of_spf_or_dkim_counts_when_it_could_have_passed() -> None:
    zone = txt(example__com="v=DMARC1; p=reject")
    assert check("example.com", zone, spf=result("example.com", "temperror")).status == "temperror"
    assert check("example.com", zone, spf=result("example.net", "temperror")).status == "fail"
    assert (
        check(
            "example.com",
            zone,
            spf=result("example.com", "temperror"),
            dkim=[result("example.com")],
        ).status
        == "pass"
    )


def test_a_walk_is_eight_queries_however_long_the_name() -> None:
    name = ".".join(["x"] * 100 + ["example", "com"])
    resolver = Counting(txt(example__com="v=DMARC1; p=reject"))
    found = run(dmarc.discover(name), resolver)
    assert len(resolver.asked) == 8
    assert resolver.rounds == 1
    assert found.organizational_domain == "example.com"


def test_names_that_cannot_exist_are_not_asked() -> None:
    name = ".".join(["a" * 61] * 4)  # 247 octets: no room for "_dmarc."
    resolver = Counting({})
    run(dmarc.discover(name), resolver)
    assert all(len(asked) <= 253 for asked in resolver.asked)
    assert walk_names("com") == ("com",)
    assert run(fetch([name]), ZoneResolver({}))[name].record is None


# Alignment.


@pytest.mark.parametrize(
    ("tags", "spf", "dkim", "status"),
    [
        ("", "example.com", None, "pass"),
        ("", "bounce.example.com", None, "pass"),
        ("", "example.net", None, "fail"),
        ("", None, "example.com", "pass"),
        ("", None, "mail.example.com", "pass"),
        ("", None, "badexample.com", "fail"),
        ("aspf=s", "bounce.example.com", None, "fail"),
        ("aspf=s", "example.com", None, "pass"),
        ("adkim=s", None, "mail.example.com", "fail"),
        ("adkim=s", "bounce.example.com", "mail.example.com", "pass"),
        ("adkim=s", None, "EXAMPLE.com.", "pass"),
    ],
)
def test_alignment(tags: str, spf: str | None, dkim: str | None, status: str) -> None:
    zone = txt(example__com=f"v=DMARC1; p=reject; {tags}")
    found = check(
        "example.com",
        zone,
        spf=result(spf) if spf else None,
        dkim=[result(dkim)] if dkim else [],
    )
    assert found.status == status
    assert bool(found.aligned_by) is (status == "pass")


def test_no_results_at_all_may_be_none() -> None:
    zone = txt(example__com="v=DMARC1; p=reject")
    assert check("example.com", zone, spf=None, dkim=None).status is Status.FAIL


def test_only_a_pass_counts() -> None:
    zone = txt(example__com="v=DMARC1; p=reject")
    for status in ("fail", "softfail", "neutral", "none", "permerror", "policy"):
        found = check("example.com", zone, dkim=[result("example.com", status)])
        assert found.status is Status.FAIL


def test_all_signatures_are_considered() -> None:
    zone = txt(example__com="v=DMARC1; p=reject")
    signatures = [result("x.test"), result("..bad"), result(""), result("mail.example.com")]
    found = check("example.com", zone, spf=result("example.com"), dkim=signatures * 30)
    assert found.aligned_by == (
        Identifier("spf", "example.com"),
        Identifier("dkim", "mail.example.com"),
    )
    many = [result(f"d{i}.test") for i in range(200)]
    assert check("example.com", zone, dkim=many).status is Status.FAIL


def test_signatures_beyond_the_walks_cost_no_look_ups() -> None:
    resolver = Counting(txt(example__com="v=DMARC1; p=reject", com="v=DMARC1; p=none"))
    signatures = [result(f"a.b.c.d{i}.com") for i in range(50)]
    dmarc.check("example.com", spf=None, dkim=signatures, resolver=resolver)
    assert len(resolver.asked) < 60
    assert resolver.rounds == 2


def test_unicode_names_align_as_a_labels() -> None:
    zone: Zone = {"_dmarc.xn--strae-oqa.example": {"TXT": [b"v=DMARC1; p=reject"]}}
    found = check("Straße.example", zone, dkim=[result("xn--strae-oqa.example")])
    assert (found.status, found.author_domain) == ("pass", "xn--strae-oqa.example")
    assert check("strasse.example", zone).status is Status.NONE


@pytest.mark.parametrize("domain", ["", "a..b", "user@example.com", "x" * 64 + ".com", "a b.com"])
def test_what_is_no_domain_is_a_permerror(domain: str) -> None:
    found = check(domain, {})
    assert (found.status, found.disposition) == ("permerror", "reject")


def test_evaluate_is_pure_and_assumes_nothing_below() -> None:
    found = run(dmarc.discover("example.com"), ZoneResolver(txt(example__com="v=DMARC1; p=reject")))
    judged = dmarc.evaluate(found, spf=result("bounce.example.com"))
    assert judged.status is Status.PASS
    json.dumps(judged.to_dict())
    assert str(judged).startswith("dmarc=pass (spf bounce.example.com aligned")


def test_rounds_of_look_ups() -> None:
    zone = txt(example__com="v=DMARC1; p=reject")
    resolver = Counting(zone)
    dmarc.check("a.b.example.com", spf=None, dkim=[result("example.com")], resolver=resolver)
    assert resolver.rounds == 1
    resolver = Counting(zone)
    dmarc.check("a.b.example.com", spf=None, dkim=[result("c.example.com")], resolver=resolver)
    assert resolver.rounds == 2
    # Nothing more is asked once somebody is aligned.
    resolver = Counting(zone)
    signatures = [result("c.example.com"), result("example.com")]
    dmarc.check("example.com", spf=None, dkim=signatures, resolver=resolver)
    assert resolver.rounds == 1


def test_acheck_says_what_check_says() -> None:
    zone = ZoneResolver(txt(example__com="v=DMARC1; p=reject"))
    coroutine = dmarc.acheck("example.com", spf=None, dkim=(), resolver=zone)
    with pytest.raises(StopIteration) as end:
        coroutine.send(None)
    assert end.value.value == dmarc.check("example.com", spf=None, dkim=(), resolver=zone)


# RFC 7489, for comparison.


class Suffixes:
    """Two suffixes are enough of a list."""

    def privatesuffix(self, domain: str) -> str | None:
        labels = domain.split(".")
        size = 3 if domain.endswith(".co.uk") else 2
        return ".".join(labels[-size:]) if len(labels) >= size else None


def by_suffix(domain: str, zone: Zone, **results: Any) -> dmarc.DMARCResult:
    sample = results.pop("sample", 0)
    found = run(dmarc.discover(domain, mode="rfc7489", suffixes=Suffixes()), ZoneResolver(zone))
    return dmarc.evaluate(found, sample=sample, **results)


def test_rfc_7489_takes_the_organization_from_the_list() -> None:
    zone = txt(
        example__co__uk="v=DMARC1; p=reject; sp=quarantine; np=none; psd=n",
        co__uk="v=DMARC1; p=none",
    )
    found = by_suffix("a.b.example.co.uk", zone)
    assert (found.organizational_domain, found.disposition) == ("example.co.uk", "quarantine")
    assert by_suffix("a.example.co.uk", zone, dkim=[result("b.example.co.uk")]).status == "pass"
    assert by_suffix("a.example.co.uk", zone, dkim=[result("other.co.uk")]).status == "fail"
    assert by_suffix("other.co.uk", zone).status == "none"


def test_rfc_7489_samples_by_pct() -> None:
    zone = txt(example__com="v=DMARC1; p=reject; pct=30; t=y")
    assert by_suffix("example.com", zone, sample=29).disposition == "reject"
    assert by_suffix("example.com", zone, sample=30).disposition == "quarantine"


def test_rfc_7489_stops_at_two_records_and_at_trouble() -> None:
    zone: Zone = {
        "_dmarc.a.example.com": {"TXT": [b"v=DMARC1; p=none", b"v=DMARC1; p=reject"]},
        "_dmarc.b.example.com": {"TXT": "servfail"},
        "_dmarc.example.com": {"TXT": [b"v=DMARC1; p=reject"]},
    }
    assert by_suffix("a.example.com", zone).status is Status.NONE
    assert by_suffix("b.example.com", zone).status is Status.TEMPERROR


def test_rfc_7489_uses_the_real_list_where_it_is_installed() -> None:
    pytest.importorskip("publicsuffixlist")
    zone = txt(example__co__uk="v=DMARC1; p=reject")
    found = check("a.example.co.uk", zone, dkim=[result("b.example.co.uk")], mode="rfc7489")
    assert (found.status, found.organizational_domain) == ("pass", "example.co.uk")


def test_without_the_extra_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    psl.suffix_list.cache_clear()
    monkeypatch.setitem(sys.modules, "publicsuffixlist", None)
    with pytest.raises(ImportError, match=r"corvus-auth\[psl\]"):
        check("example.com", {}, mode="rfc7489")
    psl.suffix_list.cache_clear()


def test_without_a_record_there_is_no_policy() -> None:
    assert run(dmarc.discover("example.com"), ZoneResolver({})).policy is None


# Authors.


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        ("alice@example.com", "example.com"),
        ("<alice@example.com>", "example.com"),
        ('"Alice, of B" <alice@my-bank.com>', "my-bank.com"),
        ('"a@evil.com"@good.com', "good.com"),
        ('"a\\"@evil.com"@good.com', "good.com"),
        ("Alice (a comment, with <x@evil.com> (nested)) <alice@example.com>", "example.com"),
        ("a@example.com, b@Example.COM.", "example.com"),
        ("alice . b @ example . com", "example.com"),
        ("=?utf-8?q?a=40evil=2Ecom?= <a@good.com>", "good.com"),
        ("Alice\r\n <alice@example.com>", "example.com"),
        ("alice@b\u00fccher.example", "xn--bcher-kva.example"),
        (",, a@example.com ,", "example.com"),
        ("alice@example.com <alice@Example.com>", "example.com"),
        ("[Team] Alice <alice@example.com>", "example.com"),
    ],
)
def test_one_domain_is_found(value: str, domain: str) -> None:
    assert author([value]) == Author(domain)
    assert author([value.encode()]) == Author(domain)


@pytest.mark.parametrize(
    ("fields", "disposition"),
    [
        ([], "reject"),
        (["a@example.com", "a@example.com"], "reject"),
        ([""], "reject"),
        (["Alice"], "reject"),
        (["a@x.com@y.com"], "reject"),
        (["a@example.com b@example.com"], "reject"),
        (["a@evil.com <b@good.com>"], "reject"),
        (["<a@evil.com> <b@good.com>"], "reject"),
        (["a@good.com x@evil.com <b@good.com>"], "reject"),
        (["@ <b@good.com>"], "reject"),
        (["<a@good.com> b"], "reject"),
        (["<a@good. com"], "reject"),
        (["a@[192.0.2.1]"], "reject"),
        (["a b@example.com"], "reject"),
        (["a@exa mple.com"], "reject"),
        (["(a@example.com"], "reject"),
        (['"a@example.com'], "reject"),
        (["[a@example.com"], "reject"),
        (["a)@example.com"], "reject"),
        (["a\x00@example.com"], "reject"),
        (["(" * 50 + ")" * 50 + "a@example.com"], "reject"),
        (["@example.com"], "reject"),
        (["a@"], "reject"),
        (["a@" + "x" * 20000 + ".com"], "reject"),
        (["a@..com"], "reject"),
        (["<@relay.example:a@example.com>"], "quarantine"),
        (["a@x.example, b@y.example"], "quarantine"),
        (["Team: a@example.com;"], "quarantine"),
        (["undisclosed:;"], "quarantine"),
        (["a@example.com;"], "reject"),
        (["a@example.com; b@evil.example"], "reject"),
        (["Alice <a@example.com>;"], "reject"),
        (["a@good.com, <b@[x]>"], "reject"),
        (["a.<b>@x.com"], "reject"),
        (["<a[b]@x.com>"], "reject"),
        (["a;@x.com"], "reject"),
    ],
)
def test_anything_else_is_the_documented_policy_and_no_guess(
    fields: list[str], disposition: str
) -> None:
    found = author(fields)
    assert found.domain is None
    assert found.problem
    assert found.disposition == disposition
    judged = check(found, {})
    assert (judged.status, judged.disposition) == ("permerror", disposition)


def test_the_author_is_passed_on() -> None:
    zone = txt(example__com="v=DMARC1; p=reject")
    assert check(author(["a@example.com"]), zone).disposition == "reject"
    assert next(dmarc.discover(Author("com"))) == Lookup("_dmarc.com", "TXT")

"""SPF beyond the published suite: identities, the trace, budgets, explanations, the linter."""

from __future__ import annotations

import json
from ipaddress import IPv6Address, ip_address
from typing import Any

import pytest

from corvus_auth import spf
from corvus_auth.lookup import ZoneResolver, arun, run
from corvus_auth.spf import Limits, Status
from corvus_auth.spf.macros import MacroError, compile_domain, compile_macros, target_name
from corvus_auth.spf.record import forget_records, is_spf, parse_record

Zone = dict[str, dict[str, Any]]

ZONE: Zone = {
    "example.com": {
        "TXT": [
            b"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 include:other.example -all exp=why.%{d}"
        ],
    },
    "why.example.com": {"TXT": [b"%{i} may not send for %{o}, says %{r} at %{t}"]},
    "other.example": {
        "TXT": [b"v=spf1 a:host.other.example/28 mx ?all"],
        "MX": [(10, "mx.other.example")],
    },
    "host.other.example": {"A": ["198.51.100.7"], "AAAA": ["2001:db8:1::7"]},
    "mx.other.example": {"A": ["203.0.113.9"]},
}


def check(
    ip: str, mail_from: str | None = "a@example.com", helo: str = "mx.example.com"
) -> spf.SPFResult:
    return spf.check(
        ip, mail_from, helo, resolver=ZoneResolver(ZONE), receiver="mx.example.org", now=1000
    )


@pytest.mark.parametrize(
    ("ip", "status", "mechanism"),
    [
        ("192.0.2.1", "pass", "ip4:192.0.2.0/24"),
        ("::ffff:192.0.2.1", "pass", "ip4:192.0.2.0/24"),
        ("2001:db8::1", "pass", "ip6:2001:db8::/32"),
        ("198.51.100.1", "pass", "include:other.example"),
        ("203.0.113.9", "pass", "include:other.example"),
        ("203.0.113.10", "fail", "-all"),
    ],
)
def test_clients_are_matched(ip: str, status: str, mechanism: str) -> None:
    result = check(ip)
    assert (result.status, result.mechanism) == (status, mechanism)
    assert result.reason
    assert result.domain == "example.com"


def test_an_address_object_and_a_scope_are_taken() -> None:
    resolver = ZoneResolver(ZONE)
    for ip in (ip_address("192.0.2.1"), IPv6Address("::ffff:192.0.2.1")):
        assert spf.check(ip, "a@example.com", "x", resolver=resolver).status is Status.PASS
    scoped = spf.check("fe80::1%eth0", "a@example.com", "x", resolver=resolver)
    assert str(scoped.ip) == "fe80::1"


def test_what_is_no_address_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError):
        check("192.0.2")


def test_a_fail_brings_the_domains_explanation() -> None:
    result = check("203.0.113.10")
    assert result.explanation == (
        "203.0.113.10 may not send for example.com, says mx.example.org at 1000"
    )


@pytest.mark.parametrize("mail_from", ["", "<>", None, "  "])
def test_the_helo_name_is_checked_when_mail_from_is_null(mail_from: str | None) -> None:
    result = check("198.51.100.7", mail_from, "other.example")
    assert (result.status, result.identity, result.domain) == ("pass", "helo", "other.example")
    assert result.sender == "postmaster@other.example"


@pytest.mark.parametrize("mail_from", ["@example.com", "example.com", "<@example.com>"])
def test_postmaster_stands_in_for_a_missing_local_part(mail_from: str) -> None:
    assert check("192.0.2.1", mail_from).sender == "postmaster@example.com"


@pytest.mark.parametrize(
    "mail_from",
    ["a@localhost", "a@[192.0.2.1]", "a@", "a@b..example", "a@" + "x" * 70 + ".example"],
)
def test_what_is_no_domain_is_none(mail_from: str) -> None:
    result = check("192.0.2.1", mail_from)
    assert result.status is Status.NONE
    assert result.lookups == 0


def test_a_quoted_local_part_with_an_at_sign_is_not_the_domain() -> None:
    assert check("192.0.2.1", '"a@evil.example"@example.com').domain == "example.com"


def test_internationalised_domains_are_asked_as_a_labels() -> None:
    zone = ZoneResolver(
        {"xn--bcher-kva.example": {"TXT": [b"v=spf1 exists:%{o}.list.test exists:%{l}.%{d} -all"]}}
    )
    result = spf.check("192.0.2.1", "ä@bücher.example", "x", resolver=zone)
    assert (result.status, result.domain) == ("fail", "xn--bcher-kva.example")
    # RFC 8616 §4: a local-part that is not ASCII makes no name, so the term does not match.
    assert [step.why for step in result.trace if "%{l}" in step.term] == ["no such name can exist"]


def test_the_trace_lists_each_term_its_answers_and_why() -> None:
    result = check("203.0.113.9")
    steps = [(s.depth, s.term, s.outcome) for s in result.trace]
    assert steps == [
        (0, "", "record"),
        (0, "ip4:192.0.2.0/24", "no match"),
        (0, "ip6:2001:db8::/32", "no match"),
        (0, "include:other.example", "include"),
        (1, "", "record"),
        (1, "a:host.other.example/28", "no match"),
        (1, "mx", "match"),
        (0, "include:other.example", "match"),
    ]
    asked = [(q.name, q.rdtype, q.records) for s in result.trace for q in s.lookups]
    assert ("mx.other.example", "A", ("203.0.113.9",)) in asked
    assert ("other.example", "MX", ("10 mx.other.example",)) in asked
    assert "mx" in str(result.trace[6])
    assert json.loads(json.dumps(result.to_dict()))["trace"][6]["outcome"] == "match"


def test_a_trace_is_printable_whatever_dns_says() -> None:
    hostile = b"v=spf1 -all\r\n\x1b[31m\x00" + b"\xff" * 2000
    result = spf.check(
        "192.0.2.1",
        "a@example.com",
        "h\r\nx",
        resolver=ZoneResolver({"example.com": {"TXT": [hostile, *[b"x\n" * 50] * 40]}}),
    )
    shown = json.dumps(result.to_dict()) + "".join(map(str, result.trace)) + str(result)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(result.trace[0].lookups[0].records) == 21


def test_the_query_budget_stops_what_the_terms_allow() -> None:
    zone: Zone = {
        "example.com": {"TXT": [b"v=spf1 " + b" ".join(b"mx:m%d.example" % i for i in range(10))]}
    }
    for i in range(10):
        hosts = [f"h{j}.m{i}.example" for j in range(10)]
        zone[f"m{i}.example"] = {"MX": [(10, host) for host in hosts]}
        zone.update({host: {"A": ["198.51.100.1"]} for host in hosts})
    result = spf.check("192.0.2.1", "a@example.com", "x", resolver=ZoneResolver(zone))
    assert result.status is Status.PERMERROR
    assert "look-ups" in result.reason
    assert result.lookups <= Limits().lookups


def test_the_deadline_makes_a_temperror() -> None:
    ticks = iter(range(0, 1000, 9))
    evaluation = spf.evaluate("203.0.113.9", "a@example.com", "x", clock=lambda: float(next(ticks)))
    result = run(evaluation, ZoneResolver(ZONE))
    assert (result.status, result.reason) == ("temperror", "the evaluation took too long")


def test_limits_are_the_callers() -> None:
    limits = Limits(terms=0)
    result = spf.check(
        "203.0.113.9", "a@example.com", "x", resolver=ZoneResolver(ZONE), limits=limits
    )
    assert result.status is Status.PERMERROR
    short = spf.check(
        "192.0.2.1", "a@example.com", "x", resolver=ZoneResolver(ZONE), limits=Limits(record=10)
    )
    assert short.status is Status.PERMERROR
    cut = spf.check(
        "203.0.113.10",
        "a@example.com",
        "x",
        resolver=ZoneResolver(ZONE),
        limits=Limits(explanation=5),
    )
    assert cut.explanation == "203.0"


def test_a_macro_may_ask_for_the_name_of_the_client() -> None:
    zone: Zone = {
        "example.com": {"TXT": [b"v=spf1 exists:%{p}.%{d} redirect=%{p1}._spf.%{d}"]},
        "com._spf.example.com": {"TXT": [b"v=spf1 -all exp=%{p}.why.%{d2}"]},
        "host.example.com.why.example.com": {"TXT": [b"I know %{p}"]},
        "1.2.0.192.in-addr.arpa": {"PTR": ["liar.test", "host.example.com.", "host.example.com"]},
        "host.example.com": {"A": ["192.0.2.1"]},
        "liar.test": {"A": ["192.0.2.2"]},
    }
    result = spf.check("192.0.2.1", "a@example.com", "x", resolver=ZoneResolver(zone))
    assert (result.status, result.explanation) == ("fail", "I know host.example.com")
    unknown = spf.check("192.0.2.9", "a@example.com", "x", resolver=ZoneResolver(zone))
    assert (unknown.status, unknown.mechanism) == ("permerror", "redirect=%{p1}._spf.%{d}")


@pytest.mark.parametrize(
    "explanation",
    [
        [b"one", b"two"],
        [b"%{broken"],
        ["ä".encode()],
        [b"line\r\nend"],
        [b"%{l}"],
        [b"x" * 20000],
        "timeout",
    ],
)
def test_an_explanation_that_cannot_be_used_is_left_out(explanation: Any) -> None:
    zone = ZoneResolver(
        {"example.com": {"TXT": [b"v=spf1 -all exp=e.example"]}, "e.example": {"TXT": explanation}}
    )
    result = spf.check("192.0.2.1", "a\r\nb@example.com", "x", resolver=zone)
    assert (result.status, result.explanation) == ("fail", "")


@pytest.mark.parametrize("exp", [b"exp=%{l}..example.com", b"exp=%{p}.nowhere.example"])
def test_an_explanation_nowhere_is_left_out(exp: bytes) -> None:
    zone = ZoneResolver({"example.com": {"TXT": [b"v=spf1 -all " + exp]}})
    result = spf.check("192.0.2.1", "a@example.com", "x", resolver=zone)
    assert (result.status, result.explanation) == ("fail", "")


async def _acheck() -> spf.SPFResult:
    return await spf.acheck("192.0.2.1", "a@example.com", "x", resolver=ZoneResolver(ZONE))


def test_acheck_says_what_check_says() -> None:
    coroutine = _acheck()
    with pytest.raises(StopIteration) as end:
        coroutine.send(None)
    assert end.value.value == check("192.0.2.1", helo="x")
    again = arun(spf.evaluate("192.0.2.1", "a@example.com", "x"), ZoneResolver(ZONE))
    with pytest.raises(StopIteration):
        again.send(None)


@pytest.mark.parametrize(
    ("record", "status", "said"),
    [
        (b"v=spf1 include:%{l}.example -all", "permerror", "no such name can exist"),
        (b"v=spf1 redirect=%{l}.example", "permerror", "no such name can exist"),
        (b"v=spf1 redirect=none.example", "permerror", "no such domain"),
        (b"v=spf1 a:junk.test -all", "fail", "-all matches"),
        (b"v=spf1 exists:%{p}.x.test -all", "fail", "-all matches"),
        (b"v=spf1" + b" a:junk.test" * 11, "permerror", "more than 10 terms"),
        (b"v=spf1 a:1.test a:2.test a:3.test", "permerror", "void look-ups"),
    ],
)
def test_what_cannot_be_followed_is_said(record: bytes, status: str, said: str) -> None:
    zone = ZoneResolver(
        {
            "example.com": {"TXT": [record], "A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
            "junk.test": {"A": ["junk"], "AAAA": ["junk"]},
            "1.2.0.192.in-addr.arpa": {"PTR": ["example.com"]},
        }
    )
    for ip in ("192.0.2.1", "2001:db8::1"):
        result = spf.check(ip, "a..b@example.com", "x", resolver=zone)
        assert (result.status, said in result.reason) == (status, True)
        assert status == "fail" or result.trace[-1].outcome == "permerror"


# Records.


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"v=spf1", True),
        (b"V=SPF1 -all", True),
        (b"v=spf10", False),
        (b" v=spf1", False),
        (b"", False),
    ],
)
def test_the_version_section_selects_records(raw: bytes, expected: bool) -> None:
    assert is_spf(raw) is expected


@pytest.mark.parametrize(
    "terms",
    [
        "ip4:192.0.2.256",
        "ip4:192.0.2.01",
        "ip4:192.0.2",
        "ip4:192.0.2.1/33",
        "ip4:192.0.2.1/08",
        "ip4",
        "ip4/24",
        "ip6:::1::",
        "ip6:fe80::1%eth0",
        "ip6:2001:db8::/129",
        "a/33",
        "a//129",
        "a:example.com/24/64",
        "a/",
        "a:",
        "include",
        "include:",
        "include:localhost",
        "exists",
        "all:x",
        "all/8",
        "ptr/24",
        "foo:bar.example",
        "-foo=bar",
        "+redirect=a.example",
        "redirect=a.example redirect=b.example",
        "redirect",
        "exp=a.example exp=b.example",
        "a:%{x}.example",
        "a:%{d0}.example",
        "a:%{d",
        "a:%.example",
        "exists:%{c}.example",
        "a:a.123",
        "a:a.-b",
        "\ta",
        "=x",
        "a:ex\x7fample.com",
        "x=%",
    ],
)
def test_a_syntax_error_anywhere_is_a_permerror(terms: str) -> None:
    record = parse_record(b"v=spf1 ip4:192.0.2.1 " + terms.encode("latin-1") + b" -all")
    assert record.error
    assert record.errors
    zone = ZoneResolver(
        {"example.com": {"TXT": [b"v=spf1 ip4:192.0.2.1 " + terms.encode() + b" -all"]}}
    )
    assert spf.check("192.0.2.1", "a@example.com", "x", resolver=zone).status is Status.PERMERROR


@pytest.mark.parametrize(
    "terms",
    [
        "A:Example.COM/24//64",
        "mx//0",
        "a:%{d}",
        "a:foo%%.example.",
        "exists:%{ir}.%{v}.%{l1r+-/_=}.example",
        "ptr",
        "unknown=%{s}/x",
        "moo.cow-far_out=man:dog/cat",
        "ip6:2001:db8::",
        "a:foo:bar/baz.example.com",
        "a:a.b-c",
        "exists:%_x.%-.%%",
    ],
)
def test_what_the_grammar_allows_is_allowed(terms: str) -> None:
    assert parse_record(b"v=spf1 " + terms.encode()).error == ""


def test_what_stands_behind_all_is_ignored_but_its_syntax_counts() -> None:
    record = parse_record(b"v=spf1 -all a:x.example redirect=y.example")
    assert record.unreachable == ("a:x.example", "redirect=y.example")
    assert record.redirect is None
    assert parse_record(b"v=spf1 -all a:").error


def test_a_record_full_of_errors_is_reported_in_part() -> None:
    assert len(parse_record(b"v=spf1 " + b"foo " * 100).errors) == 20


def test_caches_can_be_emptied() -> None:
    forget_records()
    assert parse_record(b"v=spf1 -all") is parse_record(b"v=spf1 -all")
    long = b"v=spf1 " + b"a " * 1000
    assert parse_record(long) == parse_record(long)


# Macros: the table of RFC 7208 §7.4.

VALUES = {
    "s": "strong-bad@email.example.com",
    "l": "strong-bad",
    "o": "email.example.com",
    "d": "email.example.com",
    "i": "192.0.2.3",
    "v": "in-addr",
    "h": "mx.example.com",
}
SIX = {**VALUES, "i": ".".join("20010db8" + "0" * 20 + "cb01"), "v": "ip6"}


@pytest.mark.parametrize(
    ("macro", "expected"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{d9999999999999}", "email.example.com"),
        ("%{d0002}", "example.com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("a%%b%_c%-d.example", "a%b c%20d.example"),
    ],
)
def test_macros_expand_as_the_rfc_shows(macro: str, expected: str) -> None:
    assert compile_macros(macro).expand(VALUES) == expected


def test_an_ipv6_address_expands_to_nibbles() -> None:
    expected = (
        "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
    )
    assert compile_macros("%{ir}.%{v}._spf.%{d2}").expand(SIX) == expected


def test_spaces_are_text_in_explanations_only() -> None:
    assert compile_macros("not %{d}", explain=True).expand(VALUES) == "not email.example.com"
    with pytest.raises(MacroError):
        compile_domain("not %{d}")


def test_long_names_lose_labels_on_the_left() -> None:
    name = ".".join(["a" * 50] * 6)
    assert target_name(name) == ".".join(["a" * 50] * 4)
    assert target_name("x" * 300) is None
    assert target_name("a..b") is None
    assert target_name("a" * 64 + ".b") is None


# The linter.


def lint(zone: Zone, domain: str = "example.com") -> spf.lint.Report:
    return run(spf.explain(domain), ZoneResolver(zone))


def test_the_linter_finds_nothing_wrong_with_a_good_record() -> None:
    report = lint(ZONE)
    assert report.ok
    assert report.terms == 3
    assert [depth for depth, _, _ in report.records] == [0, 1]
    assert "no mistakes found" in str(report)
    json.dumps(report.to_dict())


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([b"v=spf1 +all"], "lets everybody send"),
        ([b"v=spf1 ?all"], "protects nothing"),
        ([b"v=spf1 a"], "ends neither in all nor in redirect"),
        ([b"v=spf1 -all a"], "is never used"),
        ([b"v=spf1 -all", b"v=spf1 ~all"], "2 SPF records"),
        ([b"v=spf1 foo -all"], "an unknown mechanism"),
        ([b"v=spf10 -all"], "not read as SPF"),
        ([b"v=spf1 include:example.com -all"], "a loop"),
        ([b"v=spf1 include:slow.test -all"], "DNS does not answer"),
        ([b"v=spf1 a:slow.test -all"], "DNS does not answer"),
        ([b"v=spf1 redirect=none.test"], "there is no SPF record"),
        ([b"v=spf1 ptr -all"], "do not use"),
        ([b"v=spf1 exists:%{p}.x.test -all"], "uses %{p}"),
        ([b"v=spf1 exists:%{l}.x.test exists:y.test -all"], "a void look-up"),
        ([b"v=spf1 ip4:10.0.0.0/7 -all"], "very large network"),
        ([b"v=spf1 x=y -all"], "means nothing to SPF"),
        ([b"v=spf1 ip4:192.0.2.1 ip4:192.0.2.1 -all"], "appears twice"),
        ([b"v=spf1 " + b"a " * 11 + b"-all"], "the eleventh term"),
        ([b"v=spf1 mx:many.test -all"], "11 hosts"),
        ([b"v=spf1 include:" + b"x" * 64 + b".test -all"], "no name that can exist"),
        ([b"v=spf1 " + b"ip4:192.0.2.1 " * 40 + b"-all"], "octets"),
        ([b"other"], "there is no SPF record"),
        ("timeout", "DNS does not answer: timeout"),
    ],
)
def test_the_linter_names_mistakes(records: Any, said: str) -> None:
    zone: Zone = {
        "example.com": {"TXT": records, "A": ["192.0.2.1"]},
        "slow.test": {"TXT": "timeout", "A": "timeout", "AAAA": "timeout"},
        "many.test": {"MX": [(1, f"h{i}.test") for i in range(11)]},
    }
    report = lint(zone)
    assert said in str(report)


def test_the_linter_stops_somewhere() -> None:
    zone: Zone = {
        f"d{i}.test": {"TXT": [f"v=spf1 include:d{i + 1}.test include:e{i}.test -all".encode()]}
        for i in range(100)
    }
    report = lint(zone, "d0.test")
    assert not report.ok
    assert len(report.records) <= 21
    many: Zone = {f"{a}.test": {"TXT": [b"v=spf1 -all"]} for a in range(60)}
    assert not lint(many, "not a domain").ok


@pytest.mark.parametrize(("rdtype", "ip"), [("A", "192.0.2.{}"), ("AAAA", "2001:db8::{}")])
@pytest.mark.parametrize("term", ["a:h.example.com", "mx:h.example.com"])
def test_without_a_prefix_length_every_bit_counts(rdtype: str, ip: str, term: str) -> None:
    zone: dict[str, Any] = {
        "example.com": {"TXT": [f"v=spf1 {term} -all"]},
        "h.example.com": {rdtype: [ip.format(2)], "MX": [(10, "h.example.com")]},
    }
    for last, status in ((2, "pass"), (3, "fail")):
        resolver = ZoneResolver(zone)
        found = spf.check(ip.format(last), "a@example.com", "x.example", resolver=resolver)
        assert found.status == status


@pytest.mark.parametrize(
    ("term", "inside", "outside"),
    [
        ("ip4:192.0.0.0/20", "192.0.15.255", "192.0.16.0"),
        ("ip4:192.0.2.0/30", "192.0.2.3", "192.0.2.4"),
        ("ip6:2001:db8::/100", "2001:db8::fff:ffff", "2001:db8::1000:0"),
    ],
)
def test_prefix_lengths_may_end_in_zero(term: str, inside: str, outside: str) -> None:
    resolver = ZoneResolver({"example.com": {"TXT": [f"v=spf1 {term} -all"]}})
    for ip, status in ((inside, "pass"), (outside, "fail")):
        assert spf.check(ip, "a@example.com", "x.example", resolver=resolver).status == status


def test_the_name_of_a_client_is_the_domain_itself_before_its_subdomains() -> None:
    zone: dict[str, Any] = {
        "example.com": {"TXT": ["v=spf1 exists:%{p}.x.example -all"], "A": ["192.0.2.1"]},
        "sub.example.com": {"A": ["192.0.2.1"]},
        "other.example": {"A": ["192.0.2.1"]},
        "1.2.0.192.in-addr.arpa": {"PTR": ["other.example", "sub.example.com", "example.com"]},
    }
    for name in ("example.com", "sub.example.com", "other.example"):
        there = zone | {f"{name}.x.example": {"A": ["127.0.0.2"]}}
        found = spf.check("192.0.2.1", "a@example.com", "x.example", resolver=ZoneResolver(there))
        assert found.status == ("pass" if name == "example.com" else "fail")

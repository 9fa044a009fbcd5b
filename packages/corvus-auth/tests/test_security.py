"""The rows of the security checklist that concern this package: 8, 14, 19, 20, 21, 22, 25, 26, 31."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from corvus_auth import authres, dmarc, passwords, sasl, spf
from corvus_auth.dmarc import author, parse_record
from corvus_auth.dmarc.report_reader import ReportError, read_report
from corvus_auth.lookup import Answer, ZoneResolver, run
from corvus_auth.printable import printable
from corvus_auth.spf.macros import compile_macros
from corvus_auth.spf.record import parse_record as parse_spf
from corvus_testing import FailingResolver, Resolver

Zone = dict[str, dict[str, Any]]


# Row 8: command injection out.


@pytest.mark.parametrize("text", ["a\r\nb", "a\nb", "a\0b"])
def test_row_8_clients_put_no_line_end_on_the_wire(text: str) -> None:
    for name in ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "OAUTHBEARER"):
        with pytest.raises(ValueError):
            sasl.client(name, username=text, password="x", token="t", nonce="n")
    for name in ("PLAIN", "LOGIN", "CRAM-MD5"):
        with pytest.raises(ValueError):
            sasl.client(name, username="alice", password=text)


# Row 14: linear time.


def seconds(call: Callable[[], object]) -> float:
    best = 1e9
    for _ in range(3):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


GROWING: dict[str, tuple[Callable[[int], Any], Callable[[Any], Any]]] = {
    "SPF terms": (lambda n: b"v=spf1" + b" a" * n, parse_spf),
    "SPF spaces": (lambda n: b"v=spf1" + b" " * n, parse_spf),
    "SPF slashes": (lambda n: b"v=spf1 a:" + b"/" * n, parse_spf),
    "SPF digits": (lambda n: b"v=spf1 a:/" + b"1" * n, parse_spf),
    "SPF labels": (lambda n: b"v=spf1 a:" + b"a." * n + b"b", parse_spf),
    "SPF macros": (lambda n: b"v=spf1 exists:" + b"%{i}" * n, parse_spf),
    "SPF delimiters": (lambda n: "%{l" + "-" * n, lambda t: _swallow(lambda: compile_macros(t))),
    "DMARC tags": (lambda n: b"v=DMARC1;" + b"a=b;" * n, parse_record.__wrapped__),
    "DMARC spaces": (lambda n: b"v=DMARC1;" + b" " * n, parse_record.__wrapped__),
    "DMARC version": (lambda n: b"v" + b" " * n, dmarc.is_dmarc),
    "From commas": (lambda n: "a@b.c," * n, lambda t: author([t])),
    "From parentheses": (lambda n: "(a)" * n, lambda t: author([t])),
    "A-R results": (
        lambda n: "x; a=b" + " c.d=e" * n,
        lambda t: _swallow(lambda: authres.parse(t)),
    ),
    "A-R quotes": (
        lambda n: "x; a=b c.d=" + '""' * n,
        lambda t: _swallow(lambda: authres.parse(t)),
    ),
    "A-R comments": (lambda n: "x " + "()" * n, lambda t: _swallow(lambda: authres.parse(t))),
    "A-R header": (lambda n: b"A: b\r\n" * n, lambda m: authres.remove(m, "x")),
    "SASL name": (lambda n: b"n,,n=" + b"=2C" * n + b",r=x", lambda m: _scram().step(m)),
}


def _scram() -> sasl.ServerMechanism:
    return sasl.server("SCRAM-SHA-256", nonce="n", dummy_key=b"x" * 16)


def _swallow(call: Callable[[], object]) -> None:
    with suppress(ValueError):
        call()


@pytest.mark.parametrize("name", GROWING)
def test_row_14_parsers_are_linear(name: str) -> None:
    make, parse = GROWING[name]
    small, large = make(2_000), make(16_000)
    # Eight times the input may take eight times as long, a generous factor, and a floor of 100 ms.
    assert seconds(lambda: parse(large)) <= max(0.1, 24 * seconds(lambda: parse(small)))


# Row 19: SPF.


def amplifying() -> Zone:
    zone: Zone = {
        "evil.test": {"TXT": [b"v=spf1 " + b" ".join(b"mx:m%d.test" % i for i in range(10))]}
    }
    for i in range(10):
        zone[f"m{i}.test"] = {"MX": [(j, f"h{j}.m{i}.test") for j in range(10)]}
        zone |= {f"h{j}.m{i}.test": {"A": ["198.51.100.1"]} for j in range(10)}
    return zone


ROW_19: dict[str, tuple[Zone, str, str]] = {
    "ten mx of ten hosts": (amplifying(), "a@evil.test", "permerror"),
    "a loop of includes": (
        {"evil.test": {"TXT": [b"v=spf1 include:evil.test -all"]}},
        "a@evil.test",
        "permerror",
    ),
    "a loop of redirects": (
        {
            "evil.test": {"TXT": [b"v=spf1 redirect=b.evil.test"]},
            "b.evil.test": {"TXT": [b"v=spf1 redirect=evil.test"]},
        },
        "a@evil.test",
        "permerror",
    ),
    "redirect and include": (
        {
            "evil.test": {"TXT": [b"v=spf1 include:b.evil.test redirect=b.evil.test"]},
            "b.evil.test": {"TXT": [b"v=spf1 include:evil.test include:evil.test"]},
        },
        "a@evil.test",
        "permerror",
    ),
    "void look-ups": (
        {"evil.test": {"TXT": [b"v=spf1 a:x.test a:y.test a:z.test +all"]}},
        "a@evil.test",
        "permerror",
    ),
    "64 KB": ({"evil.test": {"TXT": [b"v=spf1 " + b"a " * 32_000]}}, "a@evil.test", "permerror"),
    "two records": (
        {"evil.test": {"TXT": [b"v=spf1 +all", b"v=spf1 -all"]}},
        "a@evil.test",
        "permerror",
    ),
    "v=spf10": ({"evil.test": {"TXT": [b"v=spf10 +all"]}}, "a@evil.test", "none"),
    "a:%%": ({"evil.test": {"TXT": [b"v=spf1 a:%% +all"]}}, "a@evil.test", "pass"),
    "%{d255r-}": ({"evil.test": {"TXT": [b"v=spf1 a:%{d255r-} -all"]}}, "a@evil.test", "fail"),
    "%{l} with an @": (
        {"evil.test": {"TXT": [b"v=spf1 exists:%{l}.evil.test -all"]}},
        '"a@b\\"c d\r\n"@evil.test',
        "fail",
    ),
    "%{l} longer than a label": (
        {"evil.test": {"TXT": [b"v=spf1 exists:%{l}.evil.test -all"]}},
        "x" * 64 + "@evil.test",
        "fail",
    ),
    "%{l} longer than a name": (
        {"evil.test": {"TXT": [b"v=spf1 exists:%{l}%{l}%{l}.evil.test -all"]}},
        ".".join(["x" * 60] * 20) + "@evil.test",
        "fail",
    ),
    "a label of 300": (
        {"evil.test": {"TXT": [b"v=spf1 a -all"]}},
        "a@" + "x" * 300 + ".test",
        "none",
    ),
    "ptr with a hundred names": (
        {
            "evil.test": {"TXT": [b"v=spf1 ptr ptr ptr ptr ptr -all"]},
            "1.2.0.192.in-addr.arpa": {"PTR": [f"h{i}.test" for i in range(100)]},
        },
        "a@evil.test",
        "fail",
    ),
    "%{p} without a name": (
        {
            "evil.test": {"TXT": [b"v=spf1 exists:%{p}.evil.test -all"]},
            "unknown.evil.test": {"A": ["127.0.0.2"]},
        },
        "a@evil.test",
        "pass",
    ),
    "records that are no text": (
        {"evil.test": {"TXT": [b"\xff\x00" * 1000, b"v=spf1 \xff -all"]}},
        "a@evil.test",
        "permerror",
    ),
    "a record under a wrong name": (
        {"_spf.evil.test": {"TXT": [b"v=spf1 +all"]}},
        "a@evil.test",
        "none",
    ),
}


@pytest.mark.parametrize("name", ROW_19)
def test_row_19_spf_ends_within_its_budget(name: str) -> None:
    zone, sender, expected = ROW_19[name]
    resolver = Resolver(Answer, zone)
    result = spf.check("192.0.2.1", sender, "helo.test", resolver=resolver)
    assert result.status == expected, "\n".join(map(str, result.trace))
    assert result.reason
    assert len(resolver.asked) <= spf.Limits().lookups
    assert all(len(name) <= 253 for name, _ in resolver.asked)


@pytest.mark.parametrize("status", ["timeout", "servfail"])
@pytest.mark.parametrize("name", ROW_19)
def test_row_19_each_look_up_failed_in_turn_is_a_verdict(name: str, status: str) -> None:
    zone, sender, _ = ROW_19[name]
    for fail_at in range(13):
        resolver = FailingResolver(Answer, zone, fail_at=fail_at, status=status)
        result = spf.check("192.0.2.1", sender, "helo.test", resolver=resolver)
        assert result.status in set(spf.Status)
        assert result.reason.isprintable()
        if len(resolver.asked) <= fail_at:
            break


# Row 20: DMARC.


@pytest.mark.parametrize(
    ("domain", "signer"),
    [
        ("my-bank.com", "my-bank.com"),
        ("MY-Bank.com.", "mail.my-bank.com"),
        ("b\u00fccher.example", "XN--BCHER-KVA.example"),
    ],
)
def test_row_20_names_are_compared_as_names(domain: str, signer: str) -> None:
    zone = {
        "_dmarc.my-bank.com": {"TXT": [b"v=DMARC1; p=reject"]},
        "_dmarc.xn--bcher-kva.example": {"TXT": [b"v=DMARC1; p=reject"]},
        "_dmarc.my.com": {"TXT": [b"v=DMARC1; p=none"]},
    }
    checked = spf.SPFResult(spf.Status.PASS, "", signer)
    result = dmarc.check(domain, spf=checked, dkim=(), resolver=ZoneResolver(zone))
    assert result.status == "pass"


def test_row_20_the_walk_of_200_labels_is_eight_queries() -> None:
    resolver = Resolver(Answer, {})
    dmarc.check(".".join("x" * 120), spf=None, dkim=(), resolver=resolver)
    assert len(resolver.asked) <= 8


def test_row_20_the_null_sender_is_judged_by_its_helo_name() -> None:
    zone = ZoneResolver(
        {
            "mx.example.com": {"TXT": [b"v=spf1 ip4:192.0.2.1 -all"]},
            "_dmarc.example.com": {"TXT": [b"v=DMARC1; p=reject"]},
        }
    )
    checked = spf.check("192.0.2.1", "<>", "mx.example.com", resolver=zone)
    result = dmarc.check("example.com", spf=checked, dkim=(), resolver=zone)
    assert (result.status, str(result.aligned_by[0])) == ("pass", "spf mx.example.com")


# Row 21: Authentication-Results.


def test_row_21_a_forged_field_is_removed_and_remote_text_adds_none() -> None:
    zone = ZoneResolver({"evil.test": {"TXT": [b"v=spf1 foo\r\n;dmarc=pass -all"]}})
    sender = '"; dmarc=pass header.from=bank.example; x="@evil.test'
    result = spf.check("192.0.2.1", sender, "h", resolver=zone)
    field = authres.field("mx.example.org", [authres.from_spf(result)])
    read = authres.parse(field.partition(b":")[2].removesuffix(b"\r\n"))
    assert [r.method for r in read.results] == ["spf"]
    forged = b"AUTHENTICATION-RESULTS: (x) Mx.Example.Org (y); dmarc=pass\r\n\r\n"
    assert authres.remove(forged, "mx.example.org") == b"\r\n"


@pytest.mark.parametrize("macro", ["%{H}", "%{L}", "%{S}", "%{h}", "%{l}"])
def test_row_19_octets_that_were_no_utf_8_are_a_verdict(macro: str) -> None:
    zone = {
        "example.com": {"TXT": [f"v=spf1 exists:{macro}.example.com -all exp=e.example.com"]},
        "e.example.com": {"TXT": [f"{macro} is odd"]},
    }
    for octets in ("\udcff", "\ud800"):
        result = spf.check(
            "192.0.2.1", f"{octets}@example.com", f"{octets}.x", resolver=ZoneResolver(zone)
        )
        assert result.status == "fail"
        result.to_dict()


@pytest.mark.parametrize("macro", [b"%{l}", b"%{L}", b"%{l1r-}", b"%{sr.-+,/_=}"])
def test_row_19_a_record_of_macros_times_a_long_sender_stays_small(macro: bytes) -> None:
    def work(size: int) -> Callable[[], object]:
        sender = "a.b-" * (size // 4) + "@example.com"
        term = b"exists:" + macro * (1500 // len(macro)) + b".example.com "
        zone = ZoneResolver({"example.com": {"TXT": [b"v=spf1 " + term * 10 + b"-all"]}})
        return lambda: spf.check("192.0.2.1", sender, "h.example.com", resolver=zone)

    assert seconds(work(256_000)) <= 2.5 * seconds(work(4000)) + 0.1


def test_row_19_the_linter_asks_no_more_than_it_has_to() -> None:
    resolver = Resolver(
        Answer, {"example.com": {"TXT": [b"v=spf1 " + b"a:a.bb " * 2000 + b"-all"]}}
    )
    report = run(spf.explain("example.com"), resolver)
    assert report.terms == 2000
    assert len(resolver.asked) <= 41


# Row 22: what is no line end.


@pytest.mark.parametrize(
    "char", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\r", "\0"]
)
def test_row_22_other_line_ends_are_none(char: str) -> None:
    message = f"Subject: a{char}Authentication-Results: mx.example.org; spf=pass\r\n\r\n".encode()
    assert authres.remove(message, "mx.example.org") == message
    assert char not in printable(f"a{char}b")
    assert author([f"a@exam{char}ple.com"]).domain is None


# Row 25: authentication.


def test_row_25_a_megabyte_costs_nothing() -> None:
    for name in ("PLAIN", "LOGIN", "EXTERNAL", "ANONYMOUS", "OAUTHBEARER", "XOAUTH2"):
        step = sasl.server(name).step(b"\0" * (1 << 20))
        assert isinstance(step, sasl.Failure)


def test_row_25_an_unknown_user_costs_what_a_known_one_costs() -> None:
    pytest.importorskip("argon2")
    dummy = passwords.dummy_hash()
    known = passwords.hash("something else")

    def attempt(stored: str) -> float:
        def call() -> None:
            with pytest.raises(passwords.Mismatch):
                passwords.verify(stored, "guess")

        return seconds(call)

    assert attempt(dummy) > 0.2 * attempt(known)


def test_row_25_user_names_that_look_alike_are_one() -> None:
    for name in ("\u00e4lice", "a\u0308lice"):
        step = sasl.server("PLAIN").step(b"\0" + name.encode() + b"\0x")
        assert isinstance(step, sasl.Verify)
        assert step.authcid == "\u00e4lice"


def test_row_25_combining_marks_are_not_sorted_by_the_thousand() -> None:
    name = "a" + "\u0301" * 30
    assert sasl.server("PLAIN").step(b"\0" + name.encode() + b"\0x") != sasl.Failure(
        sasl.Reason.MALFORMED
    )
    step = sasl.server("PLAIN").step(b"\0" + (name + "\u0301").encode() + b"\0x")
    assert step == sasl.Failure(sasl.Reason.MALFORMED)


def test_row_25_a_password_of_megabytes_is_not_even_prepared() -> None:
    stored = passwords.hash_app_password(sasl.Secret("x" * 26))

    def attempt(size: int) -> Callable[[], object]:
        def call() -> None:
            with pytest.raises(passwords.Mismatch):
                passwords.verify(stored, "\u00e9" * size)

        return call

    assert seconds(attempt(1_000_000)) <= seconds(attempt(1000)) + 0.05


# Row 26: nothing leaks.


def test_row_26_credentials_are_in_no_repr_and_no_text() -> None:
    secret = "Corvus2026!"
    steps = [
        sasl.server("PLAIN").step(b"\0alice\0" + secret.encode()),
        sasl.server("PLAIN").step(b"\0alice\0\xff" + secret.encode()),
        sasl.server("XOAUTH2").step(b"user=a\x01auth=Bearer " + secret[:-1].encode() + b"\x01\x01"),
    ]
    client = sasl.client("SCRAM-SHA-256", username="a", password=secret, nonce="n")
    keys = sasl.derive_keys(secret, b"x" * 16)
    shown = "".join([repr(value) for value in (*steps, client, keys, sasl.Secret(secret))])
    assert "Corvus" not in shown


# Row 31: decompression and entities.

HEAD = b'<?xml version="1.0"?>'


@pytest.mark.parametrize(
    "document",
    [
        HEAD + b'<!DOCTYPE f [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><feedback>&b;</feedback>',
        HEAD + b'<!DOCTYPE f [<!ENTITY x SYSTEM "file:///etc/passwd">]><feedback>&x;</feedback>',
        HEAD + b'<!DOCTYPE f SYSTEM "http://evil.test/x.dtd"><feedback/>',
        HEAD + b"<feedback>&undeclared;</feedback>",
        HEAD + b"<a>" * 100_000,
    ],
)
def test_row_31_no_entity_is_expanded(document: bytes) -> None:
    with pytest.raises(ReportError):
        read_report(document)


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_row_31_a_changed_archive_is_a_report_error(method: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("r\u00e9port.xml", b"<feedback/>" * 20)
    octets = packed.getvalue()
    for at in range(4, len(octets)):
        for value in (0, 0x80, 0xFF):
            changed = octets[:at] + bytes([value]) + octets[at + 1 :]
            with pytest.raises(ReportError):
                read_report(changed)


def test_row_31_only_the_kinds_of_archive_that_cost_no_memory_are_read() -> None:
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", method) as archive:
            archive.writestr("report.xml", b"<feedback/>")
        with pytest.raises(ReportError, match="unknown kind"):
            read_report(packed.getvalue())


@pytest.mark.parametrize("encoding", ["utf-7", "shift_jis", "utf-32", "idna", "rot13", "x-none"])
def test_row_31_an_encoding_that_cannot_be_read_is_a_report_error(encoding: str) -> None:
    document = f'<?xml version="1.0" encoding="{encoding}"?><feedback>\u00e9</feedback>'
    with pytest.raises(ReportError):
        read_report(document.encode())


def test_a_discovery_never_raises_for_what_dns_says() -> None:
    for record in (b"", b"\xff" * 70_000, b"v=DMARC1;" + b";" * 20_000, b"v=DMARC1; p=" + b"\xff"):
        zone = ZoneResolver({"_dmarc.example.com": {"TXT": [record]}})
        assert run(dmarc.discover("example.com"), zone).reason

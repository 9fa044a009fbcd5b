"""Aggregate reports: written, read, and refused."""

from __future__ import annotations

import gzip
import io
import zipfile
from types import SimpleNamespace
from typing import Any

import pytest

from corvus_auth import dmarc
from corvus_auth.dmarc import (
    DKIMEntry,
    Override,
    PublishedPolicy,
    Report,
    ReportError,
    Row,
    SPFEntry,
    compress_report,
    format_report,
    read_report,
)
from corvus_auth.dmarc.report_reader import unpack
from corvus_auth.lookup import ZoneResolver, run


def passed(domain: str, **more: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"status": "pass", "domain": domain, **more})


def judged(
    record: bytes, spf: Any = None, dkim: Any = (), author: str = "example.com"
) -> dmarc.DMARCResult:
    zone = ZoneResolver({"_dmarc.example.com": {"TXT": [record]}})
    return dmarc.check(author, spf=spf, dkim=dkim, resolver=zone)


def report(*rows: Row) -> Report:
    return Report(
        org_name="Example & Sons <reports>",
        email="dmarc@mail.receiver.example",
        report_id="1721054318-example.com@example.org",
        begin=1013662812,
        end=1013749130,
        policy=PublishedPolicy(domain="example.com", p="reject", adkim="r"),
        rows=rows
        or (
            Row(
                source_ip="192.0.2.1",
                header_from="example.com",
                disposition="none",
                dkim="fail",
                spf="pass",
            ),
        ),
        extra_contact_info="https://example.org/?a=1&b=2",
        error="two records",
        generator="Corvus 0.1",
    )


FULL = Row(
    source_ip="2001:db8::1",
    header_from="a.example.com",
    disposition="quarantine",
    dkim="fail",
    spf="fail",
    count=3,
    envelope_from="bounce.example.net",
    envelope_to="example.org",
    reasons=(Override("mailing_list", "a <list>"), Override("other")),
    dkim_results=(DKIMEntry("example.net", "s1", "pass"), DKIMEntry("x.test", "s2", "fail", "why")),
    spf_result=SPFEntry("bounce.example.net", "softfail", "~all"),
)


def test_a_report_reads_back_as_it_was_written() -> None:
    written = report(
        FULL,
        Row(
            source_ip="192.0.2.1",
            header_from="b.example",
            disposition="pass",
            dkim="pass",
            spf="fail",
        ),
    )
    xml = format_report(written)
    assert read_report(xml) == written
    assert read_report(compress_report(xml)) == written
    assert compress_report(xml) == compress_report(xml)


def test_a_report_is_in_its_namespace_and_in_order() -> None:
    xml = format_report(report()).decode()
    order = ["<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">", "<version>1.0</version>",
             "<report_metadata>", "<policy_published>", "<record>", "<row>", "<policy_evaluated>",
             "<identifiers>", "<auth_results>"]  # fmt: skip
    places = [xml.index(tag) for tag in order]
    assert places == sorted(places)


def test_names_of_files_and_subjects() -> None:
    made = report()
    assert made.filename("mail.receiver.example") == (
        "mail.receiver.example!example.com!1013662812!1013749130.xml.gz"
    )
    assert made.filename("Mail.Receiver.example", compressed=False).endswith("30.xml")
    assert made.subject("mail.receiver.example") == (
        "Report Domain: example.com Submitter: mail.receiver.example "
        "Report-ID: <1721054318-example.com@example.org>"
    )


def test_a_subject_has_no_line_end() -> None:
    made = Report(
        org_name="", email="", report_id="x\r\nBcc: y", begin=0, end=1,
        policy=PublishedPolicy(domain="example.com"), rows=(),
    )  # fmt: skip
    assert made.subject("mx.example").endswith("Report-ID: <x__Bcc__y>")
    with pytest.raises(ValueError, match="at least one row"):
        format_report(made)


def test_remote_text_stays_text() -> None:
    row = Row(
        source_ip="192.0.2.1", header_from="x", disposition="none", dkim="fail", spf="fail",
        dkim_results=(DKIMEntry("</domain><evil/>", "\x00\ud800\x1b", "pass", "a" * 5000),),
    )  # fmt: skip
    read = read_report(format_report(report(row)))
    assert read.rows[0].dkim_results[0].domain == "</domain><evil/>"
    assert read.rows[0].dkim_results[0].selector == "???"
    assert len(read.rows[0].dkim_results[0].human_result) == 1000


def test_rows_come_out_of_verdicts() -> None:
    result = judged(
        b"v=DMARC1; p=reject; rua=mailto:a@example.com",
        spf=passed("bounce.example.com", identity="mailfrom"),
        dkim=[passed("x.test", selector="s"), passed("example.com", selector="t")],
    )
    row = Row.of(
        result,
        source_ip="192.0.2.1",
        spf=passed("bounce.example.com", identity="mailfrom", reason="ok"),
        dkim=[
            SimpleNamespace(status="fail", domain="z.test", selector="z", reason="bad"),
            passed("x.test", selector="s"),
            passed("example.com", selector="t"),
        ],
        envelope_to="example.org",
    )
    assert (row.disposition, row.dkim, row.spf) == ("pass", "pass", "pass")
    assert row.envelope_from == "bounce.example.com"
    assert [e.domain for e in row.dkim_results] == ["example.com", "x.test", "z.test"]
    assert row.spf_result == SPFEntry("bounce.example.com", "pass", "ok")
    policy = PublishedPolicy.of(result)
    assert (policy.p, policy.sp, policy.np, policy.discovery_method) == (
        "reject", "reject", "reject", "treewalk",
    )  # fmt: skip


def test_overrides_are_told() -> None:
    testing = judged(b"v=DMARC1; p=reject; t=y")
    assert Row.of(testing, source_ip="192.0.2.1").reasons == (Override("policy_test_mode"),)
    failed = judged(b"v=DMARC1; p=reject")
    assert Row.of(failed, source_ip="192.0.2.1").disposition == "reject"
    kept = Row.of(failed, source_ip="192.0.2.1", disposition="none")
    assert (kept.disposition, kept.reasons) == ("none", (Override("local_policy"),))
    listed = Row.of(
        failed, source_ip="192.0.2.1", disposition="none", reasons=[Override("mailing_list")]
    )
    assert listed.reasons == (Override("mailing_list"),)
    null = Row.of(failed, source_ip="192.0.2.1", spf=passed("mx.example.net", identity="helo"))
    assert null.envelope_from == ""


def test_no_policy_is_nothing_to_report() -> None:
    nothing = dmarc.check("example.com", spf=None, dkim=(), resolver=ZoneResolver({}))
    with pytest.raises(ValueError, match="nothing to report"):
        PublishedPolicy.of(nothing)
    assert run(dmarc.destinations(nothing), ZoneResolver({})) == ()


def test_equal_rows_are_counted_together() -> None:
    other = Row(
        source_ip="192.0.2.9", header_from="b.example", disposition="pass", dkim="pass", spf="fail"
    )
    merged = report(FULL, other, FULL).merged()
    assert [(r.source_ip, r.count) for r in merged.rows] == [("2001:db8::1", 6), ("192.0.2.9", 1)]


def test_destinations_of_ones_own_need_no_permission() -> None:
    record = (
        b"v=DMARC1; p=none; rua=mailto:a@mail.example.com,https://x.test/,mailto:b@x.test,"
        b"mailto:c@" + b"x." * 120 + b"test,mailto:d@..test,mailto:b@x.test"
    )
    zone = ZoneResolver(
        {
            "_dmarc.example.com": {"TXT": [record]},
            "example.com._report._dmarc.x.test": {"TXT": "timeout"},
        }
    )
    found = run(dmarc.discover("example.com"), zone)
    assert [u.address for u in run(dmarc.destinations(found), zone)] == ["a@mail.example.com"]


OLD = b"""<?xml version="1.0" encoding="iso-8859-1"?>
<feedback><report_metadata><org_name>J\xfcrgen</org_name><email>a@b.example</email>
<report_id>1</report_id><date_range><begin>1</begin><end> 2 </end></date_range></report_metadata>
<policy_published><domain>example.com</domain><p>none</p><pct>100</pct></policy_published>
<record><row><source_ip>192.0.2.1</source_ip><count>2</count><policy_evaluated>
<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>
<identifiers><header_from>example.com</header_from></identifiers>
<auth_results><spf><domain>x.test</domain><result>none</result></spf></auth_results></record></feedback>"""


def zipped(*files: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return buffer.getvalue()


def test_reports_of_rfc_7489_are_read_in_every_packing() -> None:
    for data in (OLD, gzip.compress(OLD), zipped(("r.xml", OLD))):
        read = read_report(data)
        assert (read.org_name, read.begin, read.end, read.rows[0].count) == ("Jürgen", 1, 2, 2)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<feedback/>",
        b"<other/>",
        OLD[:-20],
        OLD.replace(b"<count>2</count>", b"<count>-2</count>"),
        OLD.replace(b"<count>2</count>", b"<count>9999999999999999</count>"),
        OLD[: OLD.index(b"<record>")] + b"</feedback>",
        OLD.replace(b"iso-8859-1", b"klingon-1"),
        gzip.compress(OLD)[:-10],
        b"\x1f\x8b" + b"junk" * 10,
        b"PK\x03\x04" + b"junk" * 10,
        zipped(("a.xml", OLD), ("b.xml", OLD)),
        zipped(),
        OLD.replace(b"<p>none</p>", b"<a>" * 40 + b"</a>" * 40),
        OLD.replace(b"<p>none</p>", b"<p>" + b"x" * 5000 + b"</p>"),
    ],
)
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(ReportError):
        read_report(data)


def test_the_archive_is_believed_for_no_size() -> None:
    bomb = gzip.compress(b"\0" * 2_000_000)
    with pytest.raises(ReportError, match="too large once"):
        unpack(bomb, most=1_000_000)
    with pytest.raises(ReportError, match="too large once"):
        unpack(zipped(("x", b"\0" * 2_000_000)), most=1_000_000)
    with pytest.raises(ReportError, match="too large"):
        unpack(b"<" * 101, most=100)
    with pytest.raises(ReportError, match="too large"):
        unpack(b"x" * (11 << 20))


def test_white_space_may_be_long() -> None:
    spread = OLD.replace(b"<record>", b" " * 100_000 + b"<record>")
    assert read_report(spread).rows


@pytest.mark.parametrize(
    "doctype",
    [
        b"<!DOCTYPE feedback>",
        b'<!DOCTYPE feedback SYSTEM "http://evil.test/x.dtd">',
        b'<!DOCTYPE feedback [<!ENTITY a "aaaa">]>',
        b'<!DOCTYPE feedback [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_a_report_with_a_document_type_is_refused_for_that(doctype: bytes) -> None:
    assert read_report(OLD).rows  # nothing else is wrong with it
    with pytest.raises(ReportError, match="document type"):
        read_report(OLD.replace(b"?>", b"?>" + doctype, 1))

"""Reports, built and read."""

from __future__ import annotations

from datetime import UTC, datetime
from email.parser import BytesParser

import pytest

from corvus_message import (
    Action,
    Part,
    RecipientStatus,
    dsn,
    mdn,
    parse,
    read_dsn,
)
from corvus_message.report import decode_xtext, typed_address, untyped_address

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ORIGINAL = b"From: alice@example.org\r\nSubject: hi\r\n\r\nsecret body\r\n"
FAILED = RecipientStatus(
    final_recipient="bob@example.com", action=Action.FAILED, status="5.1.1",
    original_recipient="rfc822;robert@example.com", remote_mta="mx.example.com",
    diagnostic="550 5.1.1 <bob@example.com>: no such user", last_attempt=WHEN,
    will_retry_until=WHEN,
)  # fmt: skip
DELAYED = RecipientStatus(
    final_recipient="eve@example.com", action=Action.DELAYED, status="4.4.1", will_retry_until=WHEN
)


def report(**more: object) -> Part:
    arguments: dict[str, object] = {
        "from_": "MAILER-DAEMON@mx.example.net", "to": "alice@example.org",
        "reporting_mta": "mx.example.net", "recipients": [FAILED, DELAYED], "original": ORIGINAL,
    }  # fmt: skip
    arguments.update(more)
    return parse(dsn(**arguments))  # type: ignore[arg-type]  # a dictionary of all sorts


def test_a_report_has_three_parts_and_can_be_read() -> None:
    m = report(envelope_id="QQ314159", arrival_date=WHEN, date=WHEN)
    assert m.content_type.value == "multipart/report"
    assert m.content_type.get("report-type") == "delivery-status"
    assert [p.content_type.value for p in m.parts] == [
        "text/plain", "message/delivery-status", "text/rfc822-headers",
    ]  # fmt: skip
    assert m.parts[1].content() == (
        b"Original-Envelope-Id: QQ314159\r\n"
        b"Reporting-MTA: dns; mx.example.net\r\n"
        b"Arrival-Date: Fri, 02 Jan 2026 03:04:05 +0000\r\n"
        b"\r\n"
        b"Original-Recipient: rfc822;robert@example.com\r\n"
        b"Final-Recipient: rfc822;bob@example.com\r\n"
        b"Action: failed\r\n"
        b"Status: 5.1.1\r\n"
        b"Remote-MTA: dns; mx.example.com\r\n"
        b"Diagnostic-Code: smtp; 550 5.1.1 <bob@example.com>: no such user\r\n"
        b"Last-Attempt-Date: Fri, 02 Jan 2026 03:04:05 +0000\r\n"
        b"\r\n"
        b"Final-Recipient: rfc822;eve@example.com\r\n"
        b"Action: delayed\r\n"
        b"Status: 4.4.1\r\n"
        b"Will-Retry-Until: Fri, 02 Jan 2026 03:04:05 +0000\r\n"
    )
    read = read_dsn(m)
    assert read is not None
    assert read.headers["reporting-mta"] == "dns; mx.example.net"
    first, second = read.recipients
    assert (first.final_recipient, first.original_recipient) == (
        "bob@example.com", "robert@example.com",
    )  # fmt: skip
    assert (first.action, first.status) == (Action.FAILED, "5.1.1")
    assert (second.action, second.original_recipient) == (Action.DELAYED, None)
    assert read.returned is not None
    assert m.headers["auto-submitted"] == "auto-replied"
    assert m.subject == "Undelivered mail returned to sender"
    text = m.text()
    assert "<bob@example.com>: 550 5.1.1" in text
    assert "<eve@example.com>: 4.4.1" in text


def test_the_standard_library_reads_the_same_groups() -> None:
    theirs = BytesParser().parsebytes(report().octets)
    groups = [p for p in theirs.walk() if p["final-recipient"]]
    assert [g["final-recipient"] for g in groups] == [
        "rfc822;bob@example.com", "rfc822;eve@example.com",
    ]  # fmt: skip


def test_the_body_goes_back_only_when_asked_for() -> None:
    assert b"secret body" not in report().octets
    m = report(return_full=True)
    assert m.parts[2].content_type.value == "message/rfc822"
    assert m.parts[2].content() == ORIGINAL
    read = read_dsn(m)
    assert read is not None
    assert read.returned is not None
    assert read.returned.subject == "hi"
    assert len(report(original=None).parts) == 2
    assert report(original=b"Subject: x").parts[2].content() == b"Subject: x\r\n"


def test_an_international_report_speaks_utf8() -> None:
    status = RecipientStatus(
        final_recipient="ü@ö.example", action=Action.FAILED, status="5.6.7",
        original_recipient="utf-8;\\x{FC}@ö.example", diagnostic="553 5.6.7 ü",
    )  # fmt: skip
    original = "Subject: ä\r\n\r\nx\r\n".encode()
    m = report(recipients=[status], original=original)
    assert [p.content_type.value for p in m.parts[1:]] == [
        "message/global-delivery-status", "message/global-headers",
    ]  # fmt: skip
    content = m.parts[1].content().decode()
    assert "Final-Recipient: utf-8;ü@ö.example\r\n" in content
    assert "Original-Recipient: utf-8;ü@ö.example\r\n" in content
    assert (
        report(recipients=[status], original=original, return_full=True).parts[2].content_type.value
        == "message/global"
    )
    read = read_dsn(m)
    assert read is not None
    assert read.recipients[0].final_recipient == "ü@ö.example"


def test_a_reader_without_utf8_gets_ascii() -> None:
    status = RecipientStatus(
        final_recipient="ü@x.example", action=Action.FAILED, status="5.6.7",
        original_recipient="utf-8;ü@x.example", diagnostic="553 ü",
    )  # fmt: skip
    m = report(recipients=[status], utf8=False)
    assert m.parts[1].content_type.value == "message/delivery-status"
    content = m.parts[1].content()
    assert content.isascii()
    assert content.count(b"utf-8;\\x{FC}@x.example") == 2
    read = read_dsn(m)
    assert read is not None
    assert read.recipients[0].final_recipient == "ü@x.example"


def test_long_diagnostics_are_folded() -> None:
    status = RecipientStatus(
        final_recipient="a@b",
        action=Action.FAILED,
        status="5.0.0",
        diagnostic="word " * 100 + "x" * 3000,
    )
    assert all(len(line) <= 998 for line in report(recipients=[status]).octets.split(b"\r\n"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "5"}, {"status": "3.1.1"}, {"final_recipient": "a@b\r\nAction: delivered"},
        {"final_recipient": ""}, {"diagnostic": "a\nb"}, {"remote_mta": "a\0"},
        {"original_recipient": "rfc822;a\r\n"},
    ],
)  # fmt: skip
def test_a_status_cannot_be_wrong(wrong: dict[str, str]) -> None:
    good = {"final_recipient": "a@b", "action": Action.FAILED, "status": "5.0.0"}
    with pytest.raises(ValueError, match=r"not a status|CR, LF|needs its recipient"):
        RecipientStatus(**{**good, **wrong})  # type: ignore[arg-type]  # wrong on purpose


def test_a_report_needs_somebody_to_report_about() -> None:
    with pytest.raises(ValueError, match="at least one recipient"):
        report(recipients=[])
    with pytest.raises(ValueError, match="CR, LF"):
        report(reporting_mta="x\r\ny")
    with pytest.raises(ValueError, match="no report"):
        report(to="")


def test_sloppy_reports_are_read_too() -> None:
    read = read_dsn(
        parse(
            b"Content-Type: message/delivery-status\n\n"
            b"Final-Recipient: bob@x\nAction: Failed (really)\nStatus: 5.0.0 (x)\n"
        )
    )
    assert read is not None
    assert [r.final_recipient for r in read.recipients] == ["bob@x"]
    assert (read.recipients[0].action, read.recipients[0].status) == (Action.FAILED, "5.0.0")
    read = read_dsn(parse(b"Content-Type: message/delivery-status\n\n\n\n"))
    assert read is not None
    assert read.recipients == ()
    read = read_dsn(
        parse(b"Content-Type: message/delivery-status\n\nA: b\n\n \nAction: eaten\n\nStatus: x\n")
    )
    assert read is not None
    assert [(r.action, r.status, r.final_recipient) for r in read.recipients] == [
        (None, "", ""), (None, "", ""),
    ]  # fmt: skip
    assert read_dsn(parse(b"A: b\n\nhi")) is None


def test_what_comes_back_is_found_behind_other_parts() -> None:
    raw = (
        b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status"
        b"\n\nA: b\n\nFinal-Recipient: rfc822;a@b\n\n--b\n\nwords\n"
        b"--b\nContent-Type: message/rfc822\n\nSubject: x\n\n\n--b--\n"
    )
    read = read_dsn(parse(raw))
    assert read is not None
    assert read.returned is not None
    assert read.returned.subject == "x"


def test_addresses_have_types() -> None:
    assert untyped_address("bob@x") == "bob@x"
    assert untyped_address("utf-8; \\x{D800}\\x{110000}\\x{1F426}") == "\\x{D800}\\x{110000}🐦"
    assert typed_address("ü+ =\\@x") == "utf-8;\\x{FC}\\x{2B}\\x{20}\\x{3D}\\x{5C}@x"
    assert untyped_address(typed_address("ü+ =\\@x")) == "ü+ =\\@x"
    assert decode_xtext("a+2bc") == "a+2bc"


def test_a_disposition_notification_is_built() -> None:
    m = parse(
        mdn(
            from_="bob@example.com", to="alice@example.org", final_recipient="bob@example.com",
            original=ORIGINAL, original_message_id="<1@example.org>", automatic=True,
            disposition="processed", reporting_ua="mail.example.com; Corvus", date=WHEN,
        )
    )  # fmt: skip
    assert m.content_type.get("report-type") == "disposition-notification"
    assert m.parts[1].content() == (
        b"Reporting-UA: mail.example.com; Corvus\r\n"
        b"Final-Recipient: rfc822;bob@example.com\r\n"
        b"Original-Message-ID: <1@example.org>\r\n"
        b"Disposition: automatic-action/MDN-sent-automatically; processed\r\n"
    )
    assert m.headers["in-reply-to"] == "<1@example.org>"
    m = parse(mdn(from_="b@x", to="a@x", final_recipient="ü@x"))
    assert m.parts[1].content_type.value == "message/global-disposition-notification"
    with pytest.raises(ValueError, match="not a disposition"):
        mdn(from_="b@x", to="a@x", final_recipient="b@x", disposition="eaten")
    with pytest.raises(ValueError, match="CR, LF"):
        mdn(from_="b@x", to="a@x", final_recipient="b@x", reporting_ua="a\r\nb")

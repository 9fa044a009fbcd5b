"""Rows 12, 13, 14, 22, 23, 31 and 32 of the security checklist, and what else has hurt others."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from email import policy
from email.parser import BytesParser

import pytest

import corvus_message
from corvus_message import (
    Action,
    Address,
    Attachment,
    Defect,
    RecipientStatus,
    address_list,
    addresses,
    build,
    decode_base64,
    decode_charset,
    decode_quoted_printable,
    decode_words,
    display_address,
    display_domain,
    dsn,
    format_field,
    html_to_text,
    message_ids,
    parse,
    parse_content_type,
    parse_date,
    parse_disposition,
    read_dsn,
    received,
    references,
    reply_headers,
    safe_filename,
    split_subject,
)


def seconds(work: Callable[[], object]) -> float:
    """Of this process alone, the collector of garbage kept out."""
    gc.disable()
    try:
        start = time.process_time()
        work()
        return time.process_time() - start
    finally:
        gc.enable()


def assert_linear(read: Callable[[bytes], object], make: Callable[[int], bytes], size: int) -> None:
    """
    Eight times the input may cost 16 times the time, of which 5 ms are nothing.

    Quadratic work costs 64 times as much, whenever it is tried; a busy machine does not disturb
    the better one of several tries.
    """
    small, large = make(size), make(8 * size)
    once = many = float("inf")
    for _ in range(5):
        once = min(once, seconds(lambda: read(small)))
        many = min(many, seconds(lambda: read(large)))
        if many <= 16 * max(once, 0.005):
            return
    raise AssertionError(f"{once:.4f} s for {len(small)} octets, {many:.4f} s for {len(large)}")


# --- row 12: nesting ---------------------------------------------------------------------


def test_row_12_ten_thousand_nested_multiparts_cost_no_stack() -> None:
    raw = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(10_000)
    )
    everything = list(parse(raw).walk())
    assert len(everything) == 101
    assert everything[-1].defects == (Defect.TOO_DEEP,)
    assert everything[-1].end == len(raw)


def test_row_12_ten_thousand_nested_messages_cost_no_stack() -> None:
    raw = b"Content-Type: message/rfc822\n\n" * 10_000
    everything = list(parse(raw).walk())
    assert len(everything) == 101
    assert everything[-1].defects == (Defect.TOO_DEEP,)


def test_row_12_reading_a_deep_tree_costs_no_stack() -> None:
    raw = b"".join(
        b"Content-Type: multipart/alternative; boundary=b%d\n\n--b%d\n" % (i, i)
        for i in range(3_000)
    )
    m = parse(raw + b"\ntext", limits=corvus_message.Limits(depth=5_000, header_octets=1000))
    assert len(list(m.walk())) == 3_001
    assert m.text() == "text"
    assert m.preview() == "text"


def test_row_12_nested_comments_and_groups_are_counted_not_entered() -> None:
    assert addresses(b"(" * 100_000) == []
    assert addresses(b"(" * 50_000 + b")" * 50_000 + b"a@b")[0].address == "a@b"
    assert len(address_list(b"a:b:c:" * 20_000)) == 60_000
    assert parse_date("(" * 100_000) is None
    assert parse_content_type(b"(" * 100_000) is None
    assert split_subject("[fwd:" * 20_000 + "]" * 20_000) == ("", True)


# --- row 13: size ------------------------------------------------------------------------


def test_row_13_two_hundred_thousand_parts_are_capped() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 200_000
    m = parse(raw)
    assert len(m.parts) == 9_999
    assert m.defects == (Defect.TOO_MANY_PARTS,)
    assert m.size == len(raw) - m.body_start


def test_row_13_a_header_of_ten_megabytes_is_stepped_over() -> None:
    for header in (b"Subject: " + b"x y\n " * 2_000_000 + b"\n", b"Received: x\n" * 850_000):
        m = parse(header + b"\nbody")
        assert m.content() == b"body"
        assert m.defects[0] in (Defect.HEADER_TOO_LARGE, Defect.TOO_MANY_FIELDS)
        assert len(m.headers) <= 1_000


def test_row_13_a_million_semicolons_are_no_parameters() -> None:
    kind = parse_content_type(b"text/plain" + b";" * 1_000_000)
    assert kind is not None
    assert kind.raw_params == ()
    assert parse(b"Content-Type: text/plain" + b";" * 1_000_000 + b"\n\nx").content() == b"x"
    kind = parse_content_type(b"text/plain" + b";a=b" * 100_000)
    assert kind is not None
    assert kind.params == (("a", "b"),)


def test_row_13_sections_far_out_cost_nothing() -> None:
    value = b"attachment; name*999999999=x; name*0=a; name*00=b; name*9999=z"
    assert parse_disposition(value).get("name") == "a"


def test_row_13_a_hundred_thousand_recipients_are_read() -> None:
    value = b", ".join(b"User %d <u%d@example.com>" % (i, i) for i in range(100_000))
    assert len(addresses(value)) == 100_000
    awkward = b", ".join(b"u%d@example.com (x)" % i for i in range(20_000))
    assert len(addresses(awkward)) == 20_000
    # In a message they exceed the limit of a header: opaque, told, and nothing raised.
    m = parse(b"From: a@b\nTo: " + value + b"\nSubject: x\n\nbody")
    assert m.defects == (Defect.HEADER_TOO_LARGE,)
    assert (m.content(), m.field(b"from"), m.field(b"to")) == (b"body", b"a@b", None)


def test_row_13_memory_stays_bounded() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\na:b\nc:\n\n\n" * 300_000
    tracemalloc.start()
    try:
        parse(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 1024 * 1024


def test_a_message_of_25_megabytes_costs_two_over_its_octets() -> None:
    line = b"QUJD" * 19 + b"\r\n"
    attachment = b"Content-Transfer-Encoding: base64\r\n\r\n" + line * 40_000
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + (b"--b\r\n" + attachment) * 8
        + b"--b--\r\n"
    )
    assert len(raw) > 24_000_000
    tracemalloc.start()
    try:
        m = parse(raw)
        _, parsed = tracemalloc.get_traced_memory()
        size = sum(len(chunk) for chunk in m.parts[0].chunks())
        _, streamed = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == 57 * 40_000
    assert parsed < 2 * 1024 * 1024
    assert streamed < 2 * 1024 * 1024


# --- row 14: linear time, whatever the input --------------------------------------------

READERS: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
    "parse": (
        parse,
        [
            b" ", b"\n", b"\r", b"-", b":", b"\n--", b"a:b\n", b"\r\n\r\n", b"--b\n",
            b"Content-Type: multipart/mixed; boundary=b\n\n--b\n",
        ],
    ),
    "addresses": (
        address_list,
        [
            b" ", b"\t", b"\n ", b'"', b"\\", b"(", b")", b"<", b">", b"@", b",", b"a ", b"a@ ",
            b"a@b ", b"a . ", b"[", b"a:", b"<a@b>", b'"a"', b"(a)", b'a@b, "', b"=?",
        ],
    ),
    "words": (
        decode_words,
        [b"=?", b"=?a?q?", b"=?utf-8?q?a?=", b"=?utf-8?q?a?= ", b"?", b"=", b" ", b"=?a?q?x=?"],
    ),
    "content type": (
        lambda octets: parse_content_type(b"a/b" + octets),
        [b";", b" ", b";a", b';a="', b';a="\\', b"(", b'"', b";a*0=b", b";a=b", b"\\"],
    ),
    "date": (parse_date, [b" ", b"1", b"a", b"1 ", b"(", b"1 Jan ", b","]),
    "identifiers": (message_ids, [b"<", b">", b'<"', b'"', b"\\", b"<a", b'<"a"', b" "]),
    "subject": (
        lambda octets: split_subject(octets),
        [b" ", b"re:", b"[a]", b"[", b"[fwd:", b"(fwd)", b"re [a", b"[a]re", b"\t"],
    ),
    "html": (
        lambda octets: html_to_text(octets.decode()),
        [
            b"<", b"<a", b"<a ", b'<a "', b'<a ">"', b"<a '>'", b"<!--", b"<!", b"&", b"&#", b"<p>",
            b"<script>", b"</script", b" ", b"\n", b"<pre>", b"<li>", b"\n \n", b"&amp", b"<?",
        ],
    ),
    "base64": (decode_base64, [b"=", b"A", b"A=", b"!", b"\n"]),
    "quoted-printable": (
        decode_quoted_printable, [b" ", b"\t", b"=", b"=\n", b" =", b" x", b"= ", b"=\r"],
    ),
    "uuencode": (corvus_message.decode_uuencode, [b"begin 644 x\n", b" ", b"#0V%T\n", b"\n", b"`"]),
    "flowed": (lambda octets: corvus_message.decode_flowed(octets.decode()), [b" \n", b">", b" "]),
    "base64 in chunks": (lambda o: b"".join(encoded(b"base64", o).chunks(64)), [b"=", b"A", b"!"]),
    "quoted-printable in chunks": (
        lambda o: b"".join(encoded(b"quoted-printable", o).chunks(64)), [b" ", b"=", b"=\n", b"x"],
    ),
    "preview": (lambda o: parse(b"\n" + o).preview(), [b" ", b">", b"\n", b"a wrote:\n>\n", b"\t"]),
    "file name": (lambda o: safe_filename(o.decode()), [b" ", b".", b"/", b"a"]),
}  # fmt: skip


def encoded(name: bytes, octets: bytes) -> corvus_message.Part:
    return parse(b"Content-Transfer-Encoding: " + name + b"\n\n" + octets)


@pytest.mark.parametrize("name", READERS)
def test_row_14_every_reader_is_linear(name: str) -> None:
    read, floods = READERS[name]
    for flood in floods:
        for lead, tail in ((b"", b""), (b"x", b"\xc3\xa4")):
            assert_linear(
                read,
                lambda n, flood=flood, lead=lead, tail=tail: lead + flood * n + tail,  # type: ignore[misc]  # bound at once
                4_000 // len(flood),
            )


def test_row_14_unterminated_multiparts_side_by_side_are_linear() -> None:
    def make(count: int) -> bytes:
        return b"Content-Type: multipart/mixed; boundary=o\n\n" + b"".join(
            b"--o\nContent-Type: multipart/mixed; boundary=i%d\n\n--i%d\n\nx\n" % (i, i)
            for i in range(count)
        )

    assert_linear(parse, make, 400)


# --- row 22: what is no line end ---------------------------------------------------------


@pytest.mark.parametrize(
    "octet", [b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x85", b"\xe2\x80\xa8", b"\r", b"\0"]
)
def test_row_22_only_a_line_feed_ends_a_line(octet: bytes) -> None:
    raw = b"Subject: a" + octet + b"X: y\r\nTo: b\r\n\r\n"
    m = parse(raw)
    assert [f.name for f in m.headers] == [b"Subject", b"To"]
    assert m.field(b"subject") == b"a" + octet + b"X: y"
    assert m.octets == raw
    # Nor does it delimit parts ...
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\n\nx"
        + octet
        + b"--b\n\nhidden\n--b\n\nseen\n--b--"
    )
    assert [p.content() for p in parse(raw).parts] == [b"seen"]
    # ... nor end a line of quoted-printable or an address.
    assert decode_quoted_printable(b"a=" + octet + b"b")[:2] == b"a="
    assert len(addresses(b"a" + octet + b"@b")) == 1


# --- row 23: generated headers -----------------------------------------------------------


@pytest.mark.parametrize(
    "evil", ["x\r\nBcc: y@z", "x\nBcc: y@z", "x\rBcc: y@z", "x\0y", "x\r\n\r\ny"]
)
def test_row_23_nothing_typed_becomes_a_field(evil: str) -> None:
    good = {"from_": "a@b.example"}
    for wrong in (
        {"subject": evil},
        {"headers": [("X-A", evil)]},
        {"headers": [(evil, "x")]},
        {"to": [Address(evil.encode(), b"", b"a", b"b")]},
        {"to": [Address(b"", b"", evil.encode(), b"b")]},
        {"to": [Address(b"", b"", b"a", evil.encode())]},
        {"message_id": evil},
        {"references": [evil]},
        {"in_reply_to": evil},
        {"boundary": evil, "text": "a", "html": "b"},
    ):
        with pytest.raises(ValueError, match=r"CR, LF|not an?|field name"):
            build(**{**good, **wrong})  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ValueError, match=r"CR, LF"):
        Attachment(content=b"", filename=evil)


@pytest.mark.parametrize(
    "text",
    [
        "=?utf-8?q?=0ABcc=3A_y?=", "a =?utf-8?q?=0D=0A?= b", "=?utf-8?b?Cg==?=", "\u2028x: y",
        "\x85x: y", "\x0bx: y", "\x0cx: y", " lead", "trail ", "tab\there", "\x1b[31m",
    ],
)  # fmt: skip
def test_row_23_what_is_written_reads_back_and_stays_one_field(text: str) -> None:
    raw = build(
        from_=[Address(corvus_message.encode_words(text).encode(), b"", b"a", b"b.example")],
        subject=text,
        attachments=[Attachment(content=b"", filename=text)],
        boundary="b",
    )
    m = parse(raw)
    assert m.subject == text
    assert addresses(m.field(b"from") or b"")[0].name == text
    assert m.parts[1].filename == text
    allowed = {b"from", b"subject", b"message-id", b"mime-version", b"content-type"}
    assert {f.name.lower() for f in m.headers} <= allowed
    # What a second, line-ending-happy parser sees.
    theirs = BytesParser(policy=policy.SMTP).parsebytes(raw)
    assert {name.lower().encode() for name in theirs} <= allowed
    assert format_field("Subject", text).isascii()


# --- row 31: charsets and encodings ------------------------------------------------------


def test_row_31_charsets_never_fail_and_never_run_code() -> None:
    assert decode_charset(b"+ADw-script+AD4-", "utf-7") == "<script>"
    assert decode_charset(b"+", "utf-7") in ("", "\ufffd")
    assert decode_charset(b"\x1b$B\x30", "iso-2022-jp").startswith("\ufffd")
    for name in (
        "zlib",
        "bz2",
        "base64",
        "hex",
        "unicode_escape",
        "idna",
        "x-nothing",
        "\0",
        "../x",
    ):
        assert decode_charset(b"\\u0041", name) == "\\u0041"
    for codec in corvus_message.charsets._CODECS:
        for octets in (b"\xff\xfe\x00", b"\x1b\x1b$", b"~{", b"\x0e\x0e", bytes(range(256))):
            assert isinstance(decode_charset(octets, codec), str)


def test_row_31_decoding_never_grows() -> None:
    flood = b"=\r\n" * 100_000
    assert decode_quoted_printable(flood) == b""
    assert len(decode_base64(b"!=?" * 100_000 + b"AAAA")) <= 3
    assert len(decode_words(b"=?utf-8?b?" + b"A" * 100_000 + b"?=")) <= 75_000


def test_row_31_junk_in_base64_is_skipped() -> None:
    assert decode_base64(b"\0aGV\xffs bG8\r\n=") == b"hello"


# --- row 32: what looks like something else ----------------------------------------------


def test_row_32_both_forms_of_a_domain_are_kept_and_hidden_letters_do_not_reach_files() -> None:
    (u,) = addresses("a@b\u00fccher.example")
    (a,) = addresses("a@xn--bcher-kva.example")
    assert (u.domain, a.domain) == ("bücher.example", "xn--bcher-kva.example")
    assert display_domain("p\u0430ypal.example") == "xn--pypal-4ve.example"
    (m,) = addresses('"admin@bank.example\u202e" <x@evil.example>')
    assert m.domain == "evil.example"
    assert display_address(m) == "x@evil.example"
    assert "\u202e" not in safe_filename("invoice\u202efdp.exe")
    assert "\u202e" not in parse("\nabc\u202edef".encode()).preview()


# --- others ------------------------------------------------------------------------------


def test_an_encoded_word_cannot_add_an_address() -> None:
    (a,) = addresses(b"=?utf-8?q?x=40bank=2Eexample=3E=2C_y?= <evil@x.example>")
    assert a.address == "evil@x.example"
    (a,) = addresses(b'"=?utf-8?q?x?= <ceo@bank.example>" <evil@x.example>')
    assert a.address == "evil@x.example"


def test_a_second_from_is_seen() -> None:
    m = parse(b"From: a@x.example\nFROM : b@x.example\n\n")
    assert m.fields(b"from") == [b"a@x.example", b"b@x.example"]


def test_nobody_can_keep_others_from_answering() -> None:
    # Legal, and no identifiers any more once their quotes are gone.
    for identifier in (b'"a<b"@x', b'"a\\"b"@x', b'a@"b>c"', b"a\x7f@x", b"x" * 2000 + b"@x"):
        m = parse(b"From: a@x.example\nMessage-ID: <%b>\nReferences: <1@x> <%b>\n\n" % (
            identifier, identifier,
        ))  # fmt: skip
        r = reply_headers(m)
        answer = parse(
            build(from_="b@x.example", to=r.to, in_reply_to=r.in_reply_to, references=r.references)
        )
        assert tuple(references(answer)) == r.references == ("1@x",)


def test_no_answer_of_a_server_keeps_a_report_from_being_written() -> None:
    for utf8 in (False, True):
        for reply in ("550 5.1.1\t no \t such", "550 " + "\u00e9" * 5000, "\t", "550 \ud800"):
            status = RecipientStatus(
                final_recipient="b@x.example", status="5.1.1", action=Action.FAILED,
                diagnostic=reply,
            )  # fmt: skip
            report = dsn(
                from_="d@x.example", to="a@x.example", reporting_mta="x", recipients=[status],
                utf8=utf8,
            )  # fmt: skip
            found = read_dsn(parse(report))
            assert found is not None
            assert len(found.recipients) == 1
            assert max(map(len, report.split(b"\r\n"))) <= 998


def test_no_greeting_keeps_a_message_from_being_received() -> None:
    for name in ("\U0001f600" * 255, "\ud800", "x" * 5000, ""):
        octets = received(helo=name, by="x", reverse_name=name, ip="::1", date=datetime.now(UTC))
        assert max(map(len, octets.split(b"\r\n"))) <= 998
        assert len(parse(octets + b"\r\n").headers) == 1


def test_white_space_that_is_not_a_space_cannot_move_an_address() -> None:
    for local in ("a\u00a0b", "a\u3000b", "a\u2003b"):
        (found,) = addresses(f"<{local}@x.example>")
        raw = build(from_="c@x.example", to=[found], text="x")
        assert addresses(parse(raw).field(b"to") or b"") == [found]
    for control in "\x85\x9f\u2028\u2029":
        for address in (f"a{control}b@x.example", f"a@x{control}.example"):
            with pytest.raises(ValueError, match="not an address"):
                build(from_="c@x.example", to=[address], text="x")


def test_every_address_that_was_read_can_be_shown() -> None:
    value = b"nobody, <a\x00@b>, x <@>, \xff, a:b@c\xe2\x80\xa8d;, =?utf-8?q?a=0A=0Db?= <c@d>"
    for found in addresses(value):
        assert str(found).isprintable()


def test_a_preview_is_linear_in_the_line_above_the_quotes() -> None:
    def make(size: int) -> bytes:
        return b"\nwrote:" + b" " * size + b"x\n" + b">\n" * (size // 4)

    assert_linear(lambda raw: parse(raw).preview(), make, 10_000)

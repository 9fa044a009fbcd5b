"""Reading a part."""

from __future__ import annotations

from corvus_message import Part, parse

RAW = b"""\
Received: one
Received: two
Subject: =?utf-8?q?caf=C3=A9?=
Content-Type: text/plain; charset="iso-8859-1"; name*=utf-8''n%C3%A4me.txt
Content-Transfer-Encoding: Quoted-Printable (really)
Content-ID: <1@x>
Content-Description: =?utf-8?q?=C3=A4?=
Content-Language: de (German), en
Content-Location: http://x.example/
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==
Content-Disposition: ATTACHMENT; filename=a.txt; size=3

caf=E9
two
""".replace(b"\n", b"\r\n")


def test_what_bodystructure_needs() -> None:
    m = parse(RAW)
    assert (m.type, m.subtype) == ("text", "plain")
    assert m.raw_params == ((b"charset", b"iso-8859-1"), (b"name*", b"utf-8''n%C3%A4me.txt"))
    assert m.params == (("charset", "iso-8859-1"), ("name", "näme.txt"))
    assert m.id == b"<1@x>"
    assert m.description == b"=?utf-8?q?=C3=A4?="
    assert m.encoding == "quoted-printable"
    assert (m.size, m.lines) == (13, 2)
    assert m.md5 == b"Q2hlY2sgSW50ZWdyaXR5IQ=="
    assert m.language == (b"de", b"en")
    assert m.location == b"http://x.example/"
    disposition = m.disposition
    assert disposition is not None
    assert (disposition.value, disposition.params) == (
        "attachment",
        (("filename", "a.txt"), ("size", "3")),
    )


def test_what_is_missing_is_none() -> None:
    m = parse(b"Content-Language:\nContent-Transfer-Encoding: ;\nContent-Disposition:\n\n")
    assert (m.id, m.description, m.md5, m.location, m.disposition) == (None,) * 5
    assert (m.language, m.encoding, m.subject, m.filename) == ((), "7bit", "", None)
    assert parse(b"").encoding == "7bit"


def test_fields_by_name() -> None:
    m = parse(RAW)
    assert m.field(b"received") == b"one"
    assert m.fields(b"received") == [b"one", b"two"]
    assert m.field_octets(b"received") == b"Received: one\r\n"
    assert m.field(b"x-none") is None
    assert m.fields(b"x-none") == []
    assert m.field_octets(b"x-none") is None


def test_octets_content_and_text() -> None:
    m = parse(RAW)
    assert m.octets == RAW
    assert m.header_octets + m.body_octets == RAW
    assert m.content() == b"caf=E9\r\ntwo\r\n"
    assert m.decoded() == b"caf\xe9\r\ntwo\r\n"
    assert list(m.chunks(4)) == [b"caf\xe9\r\n", b"two\r\n"]
    assert m.content_text() == "café\r\ntwo\r\n"
    assert m.subject == "café"


def test_the_disposition_names_the_file_before_the_type_does() -> None:
    assert parse(RAW).filename == "a.txt"
    assert parse(b"Content-Type: a/b; name=old.txt\n\n").filename == "old.txt"


def test_walk_is_in_the_order_of_the_message() -> None:
    m = parse(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/x; boundary=c\n\n"
        b"--c\n\n1\n--c\n\n2\n--c--\n--b\n\n3\n--b--"
    )
    starts = [p.start for p in m.walk()]
    assert starts == sorted(starts)
    assert [p.content() for p in m.walk() if not p.parts] == [b"1", b"2", b"3"]


def test_a_part_shows_itself() -> None:
    assert repr(parse(b"A: b\n\nhi")) == "<Part text/plain 0:6:8 children=0>"
    m = parse(b"A: b\n\n")
    assert repr(m.headers) == "Headers([Field(b'A', b'b')])"


def test_chunks_of_a_container_are_its_octets() -> None:
    m = parse(
        b"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n"
        b"--b\n\nx\n--b--"
    )
    assert b"".join(m.chunks(3)) == m.content()


def test_nobody_else_makes_parts() -> None:
    assert isinstance(parse(b""), Part)

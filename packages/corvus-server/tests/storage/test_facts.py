"""What is computed at delivery."""

from __future__ import annotations

import doctest
import importlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_imap import bodystructure, envelope, section
from corvus_server.storage.bodies import Body, BodyReader
from corvus_server.storage.facts import cut_fields, facts_of, field_codes, search_texts
from corvus_server.storage.words import search_key
from corvus_server.testing.store_suite import mail

MODULES = ("facts", "flags", "names", "words", "sqlite.rows")


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_the_docstrings_run(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"corvus_server.storage.{module}"))
    assert result.failed == 0


_headers = st.sampled_from(
    [b"Subject: x\r\n", b"To: a@b, c@d\r\n", b"FROM: \xff\r\n", b"Cc:\r\n folded\r\n", b"no field\r\n",
     b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Type: message/rfc822\r\n", b"\r\n", b"\0:\r\n",
     b"--b\r\n", b"--b--\r\n", b"=?utf-8?q?=FF?=\r\n", b"Date: Mon, 1 Jan 0001 00:00:00 +2300\r\n",
     b"Message-ID: <a@b>\r\n", b"bare\n", b"x" * 200, b"Subject: =?utf-16?b?2AA=?=\r\n"]
)  # fmt: skip


@pytest.mark.property
@given(raw=st.one_of(st.lists(_headers, max_size=12).map(b"".join), st.binary(max_size=200)))
def test_any_octets_have_facts_that_a_database_takes(raw: bytes) -> None:
    facts = facts_of(raw)
    assert facts.size == len(raw)
    assert 0 <= facts.header_size <= len(raw)
    assert facts.envelope == envelope(raw)
    assert facts.bodystructure == bodystructure(raw)
    texts = [
        facts.subject,
        facts.sender,
        facts.to,
        facts.cc,
        facts.bcc,
        facts.preview,
        facts.message_id,
    ]
    for text in (*texts, *facts.references, *search_texts(raw)):
        text.encode()  # no half of a surrogate pair
        assert "\0" not in text
    for part in facts.parts:
        assert 0 <= part.header <= part.body <= part.end <= len(raw)


@pytest.mark.property
@given(raw=st.lists(_headers, max_size=8).map(b"".join))
def test_facts_behind_a_prefix_are_those_of_the_whole(raw: bytes) -> None:
    prefix = b"Return-Path: <a@b>\r\nDelivered-To: c@d\r\n"
    facts = facts_of(raw)
    if facts.begins_with_field:
        assert facts.behind(prefix) == facts_of(raw, prefix=prefix)
    else:
        with pytest.raises(ValueError, match="prefix"):
            facts.behind(prefix)


@pytest.mark.property
@given(
    raw=st.lists(_headers, max_size=10).map(b"".join),
    names=st.sets(
        st.sampled_from([b"subject", b"To", b"DATE", b"cc", b"content-type"]), min_size=1
    ),
)
def test_kept_fields_are_what_the_body_would_tell(raw: bytes, names: set[bytes]) -> None:
    packed = facts_of(raw).header_fields
    codes = field_codes(names)
    assert codes is not None
    if packed is not None:
        wanted = section(raw, b"HEADER.FIELDS (%b)" % b" ".join(sorted(names)))
        cut = cut_fields(packed, codes)
        assert b"{%d}\r\n%b" % (len(cut), cut) == wanted


def test_parts_are_numbered_as_imap_does() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nfirst\r\n--o\r\n"
        b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n"
        b"Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\nplain\r\n--i\r\n"
        b"Content-Type: text/html\r\n\r\n<p>\r\n--i--\r\n\r\n--o\r\n"
        b"Content-Type: message/rfc822\r\n\r\nSubject: s\r\n\r\ntext\r\n--o--\r\n"
    )
    found = {part.path: raw[part.body : part.end] for part in facts_of(raw).parts}
    assert list(found) == ["", "1", "2", "2.HEADER", "2.1", "2.2", "3", "3.HEADER", "3.1"]
    assert found["1"] == b"first"
    assert found["2.1"] == b"plain"
    assert found["2.2"] == b"<p>"
    assert found["3.1"] == b"text"


def test_attachments_are_seen_in_a_list() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nhi\r\n--o\r\nContent-Type: application/pdf\r\n"
        b'Content-Disposition: attachment; filename="a.pdf"\r\n\r\nx\r\n--o--\r\n'
    )
    facts = facts_of(raw)
    assert facts.has_attachment
    assert facts.parts[2].filename == "a.pdf"
    assert not facts_of(mail()).has_attachment


def test_a_field_without_end_is_cut_where_it_is_stored_and_whole_in_the_body() -> None:
    many = ", ".join(f"user{n}@example.com" for n in range(5000))
    facts = facts_of(mail(to=many))
    assert len(facts.to) <= 8192
    assert facts.header_fields is None


def test_search_reads_what_a_person_reads() -> None:
    html = mail(text="<p>B<b>ol</b>d</p>").replace(b"text/plain", b"text/html")
    header, body = search_texts(html)
    assert "BOLD" in body
    assert search_key("carol@crow") in header
    assert search_key("carol@crow") not in body


def test_facts_take_linear_time() -> None:
    def took(n: int) -> float:
        raw = mail(text="word and <b>more</b> (\r\n" * n, more="X-A: b (c)\r\n" * 50)
        best = 9.0
        for _ in range(3):
            began = time.perf_counter()
            facts_of(raw)
            search_texts(raw)
            best = min(best, time.perf_counter() - began)
        return best

    assert took(20_000) <= 2.5 * 2 * took(10_000) + 0.05


# Bodies.


def test_a_body_in_memory_and_its_reader() -> None:
    body = Body()
    for chunk in (b"ab", bytearray(b"cd"), memoryview(b"ef")):
        body.write(chunk)
    assert (body.size, body.getvalue(), body.spilled) == (6, b"abcdef", False)
    reader = BodyReader(b"12", data=body.getvalue())
    assert reader.size == 8
    assert [reader.pread(o, 3) for o in range(9)] == [
        b"12a", b"2ab", b"abc", b"bcd", b"cde", b"def", b"ef", b"f", b"",
    ]  # fmt: skip
    assert reader.fd is None
    body.discard()
    assert body.consumed


@pytest.mark.property
@given(
    prefix=st.binary(max_size=20),
    data=st.binary(max_size=50),
    offset=st.integers(0, 80),
    length=st.integers(0, 80),
)
def test_a_reader_is_a_slice(prefix: bytes, data: bytes, offset: int, length: int) -> None:
    with BodyReader(prefix, data=data) as reader:
        assert reader.pread(offset, length) == (prefix + data)[offset : offset + length]
        assert reader.read() == prefix + data
        assert reader.read() == b""

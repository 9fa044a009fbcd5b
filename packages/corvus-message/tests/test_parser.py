"""From octets to the tree."""

from __future__ import annotations

import pytest

from corvus_message import Defect, Limits, Part, parse


def shape(part: Part) -> object:
    """A tree as nested lists of types."""
    value = part.content_type.value
    return [value, *(shape(child) for child in part.children)] if part.children else value


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


MIXED = """\
From: a@b
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer

first
--outer
Content-Type: multipart/alternative; boundary=outer.inner

--outer.inner
Content-Type: text/plain

plain

--outer.inner
Content-Type: text/html

<p>
--outer.inner--
inner epilogue
--outer
Content-Type: message/rfc822

Subject: inside
Content-Type: multipart/mixed; boundary=deep

--deep

deepest
--deep--

--outer--
epilogue
"""


@pytest.mark.parametrize("raw", [MIXED.encode(), crlf(MIXED)], ids=["LF", "CRLF"])
def test_a_nested_message_is_divided_where_the_grammar_says(raw: bytes) -> None:
    m = parse(raw)
    assert shape(m) == [
        "multipart/mixed",
        "text/plain",
        ["multipart/alternative", "text/plain", "text/html"],
        ["message/rfc822", ["multipart/mixed", "text/plain"]],
    ]
    first, alternative, message = m.parts
    assert first.content() == b"first"
    assert [p.content().replace(b"\r\n", b"\n") for p in alternative.parts] == [b"plain\n", b"<p>"]
    assert message.message is not None
    assert message.message.subject == "inside"
    assert message.message.start == message.body_start
    assert message.message.parts[0].content() == b"deepest"
    assert all(p.defects == () for p in m.walk())


def test_mixed_line_ends_are_kept_as_they_are() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\n--b\n\r\none\r\n--b\r\n\ntwo\n--b--"
    m = parse(raw)
    assert [p.content() for p in m.parts] == [b"one", b"two"]
    assert [p.octets for p in m.parts] == [b"\r\none", b"\ntwo"]


def test_an_empty_message_is_empty_text() -> None:
    m = parse(b"")
    assert (m.type, m.subtype, m.size, m.defects, m.children) == ("text", "plain", 0, (), [])


def test_a_message_without_a_body_ends_with_its_header() -> None:
    m = parse(b"Subject: x\r\n")
    assert (m.body_start, m.end, m.subject) == (12, 12, "x")
    assert parse(b"Subject: x").subject == "x"


def test_a_line_that_is_no_field_begins_the_body() -> None:
    m = parse(b"Subject: x\r\nHello there\r\nA: b\r\n\r\n")
    assert m.defects == (Defect.MISSING_SEPARATOR,)
    assert m.content() == b"Hello there\r\nA: b\r\n\r\n"
    assert [f.name for f in m.headers] == [b"Subject"]


def test_the_from_line_of_an_mbox_is_stepped_over() -> None:
    m = parse(b"From a@b Thu Jan  1 00:00:00 2026\nSubject: x\n\nhi")
    assert m.defects == (Defect.MBOX_LINE,)
    assert (m.start, m.subject, m.content()) == (0, "x", b"hi")
    # A field of that name is one, and a line that never ends is none.
    assert parse(b"From : a@b\n\n").headers["from"] == "a@b"
    assert parse(b"From nowhere").defects == (Defect.MISSING_SEPARATOR,)


def test_the_first_content_type_counts() -> None:
    m = parse(b"Content-Type: text/html\nContent-Type: image/png\n\n")
    assert m.content_type.value == "text/html"
    assert m.defects == (Defect.DUPLICATE_CONTENT_TYPE,)


def test_an_unreadable_content_type_is_plain_text() -> None:
    m = parse(b"Content-Type: text\n\nhi")
    assert m.content_type.value == "text/plain"
    assert m.defects == (Defect.INVALID_CONTENT_TYPE,)


def test_parts_of_a_digest_are_messages() -> None:
    m = parse(b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: one\n\nx\n--b--\n")
    assert shape(m) == ["multipart/digest", ["message/rfc822", "text/plain"]]
    assert m.parts[0].children[0].subject == "one"


def test_a_boundary_is_compared_whole() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=abc\n\n--abcdef\n\nno\n--abc \t\n\nyes\n--abc--x\n--abc--"
    (part,) = parse(raw).parts
    assert part.content() == b"yes\n--abc--x"


def test_the_first_delimiter_may_follow_the_header_at_once() -> None:
    (part,) = parse(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--").parts
    assert part.content() == b"x"


def test_a_part_may_have_neither_header_nor_body() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n\r\n--b\r\nA: b\r\n--b--"
    parts = parse(raw).parts
    assert [p.octets for p in parts] == [b"", b"", b"A: b"]
    assert parts[2].headers["a"] == "b"
    assert [p.size for p in parts] == [0, 0, 0]


def test_an_outer_delimiter_ends_everything_inside() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=o\n\n--o\n"
        b"Content-Type: multipart/mixed; boundary=i\n\n--i\n\nin\n--o\n\nout\n--i--\n--o--\n"
    )
    m = parse(raw)
    assert shape(m) == ["multipart/mixed", ["multipart/mixed", "text/plain"], "text/plain"]
    assert m.parts[0].defects == (Defect.MISSING_CLOSE,)
    assert m.parts[0].parts[0].content() == b"in"
    assert m.parts[1].content() == b"out\n--i--"


@pytest.mark.parametrize(
    ("value", "defect"),
    [
        ("multipart/mixed", Defect.MISSING_BOUNDARY),
        ('multipart/mixed; boundary=""', Defect.MISSING_BOUNDARY),
        ("multipart/mixed; boundary=" + "x" * 201, Defect.MISSING_BOUNDARY),
        ("multipart/mixed; boundary=y", Defect.MISSING_DELIMITER),
        ("multipart/mixed; boundary=z", Defect.MISSING_DELIMITER),
    ],
)
def test_a_multipart_that_cannot_be_divided_is_a_leaf(value: str, defect: Defect) -> None:
    m = parse(f"Content-Type: {value}\n\n--x\n\nhi\n--x--\n\n--z--\n".encode())
    assert m.children == []
    assert m.defects == (defect,)
    assert m.is_multipart


def test_the_boundary_of_an_enclosing_multipart_is_not_used_again() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n"
    )
    m = parse(raw)
    assert [p.defects for p in m.parts] == [(Defect.REPEATED_BOUNDARY,), ()]
    assert m.parts[1].content() == b"x"


def test_a_boundary_in_the_form_of_rfc_2231_is_one() -> None:
    (part,) = parse(
        b"Content-Type: multipart/mixed; boundary*=us-ascii''b\n\n--b\n\nx\n--b--"
    ).parts
    assert part.content() == b"x"


def test_an_encoded_message_stays_closed_and_an_encoded_multipart_does_not() -> None:
    m = parse(
        b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA=="
    )
    assert (m.children, m.message, m.defects) == ([], None, (Defect.ENCODED_CONTAINER,))
    assert m.decoded() == b"Subject: x"
    m = parse(
        b"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n"
        b"--b\n\nx\n--b--"
    )
    assert m.defects == (Defect.ENCODED_CONTAINER,)
    assert m.decoded() == m.content()
    assert [p.content() for p in m.parts] == [b"x"]
    m = parse(
        b"Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit (x)\n\nSubject: x\n\n"
    )
    assert m.message is not None


def test_a_global_message_is_opened_too() -> None:
    m = parse(b"Content-Type: message/global\n\nSubject: \xc3\xa4\n\n")
    assert m.message is not None
    assert m.message.subject == "ä"


def test_other_messages_are_leaves() -> None:
    m = parse(b"Content-Type: message/external-body; access-type=x\n\nContent-Type: a/b\n\n")
    assert m.children == []
    assert m.message is None


# --- limits: at the limit, and one above ------------------------------------------------


def nest(levels: int) -> bytes:
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(levels)
    )


def deepest(part: Part) -> Part:
    return list(part.walk())[-1]


def test_depth_at_the_limit_and_one_above() -> None:
    limits = Limits(depth=3)
    # The last header opens a multipart that has one part.
    assert Defect.TOO_DEEP not in [
        d for p in parse(nest(3), limits=limits).walk() for d in p.defects
    ]
    m = parse(nest(4), limits=limits)
    assert deepest(m).defects == (Defect.TOO_DEEP,)
    assert deepest(m).is_multipart
    assert deepest(m).content().endswith(b"--b3\n")


def test_nested_messages_count_as_depth() -> None:
    raw = b"Content-Type: message/rfc822\n\n" * 4 + b"A: b\n\n"
    assert deepest(parse(raw, limits=Limits(depth=4))).headers["a"] == "b"
    last = deepest(parse(raw, limits=Limits(depth=3)))
    assert last.defects == (Defect.TOO_DEEP,)
    assert last.content() == b"A: b\n\n"


def test_parts_at_the_limit_and_one_above() -> None:
    def many(count: int) -> bytes:
        return b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * count + b"--b--\n"

    m = parse(many(3), limits=Limits(parts=4))
    assert (len(m.parts), m.defects) == (3, ())
    m = parse(many(4), limits=Limits(parts=4))
    assert (len(m.parts), m.defects) == (3, (Defect.TOO_MANY_PARTS,))
    assert m.parts[-1].content() == b"x"
    # The rest is still there.
    assert m.content().endswith(b"--b\n\nx\n--b--\n")


def test_the_last_part_without_a_closing_delimiter_counts_too() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\n\ny"
    assert len(parse(raw, limits=Limits(parts=3)).parts) == 2
    m = parse(raw, limits=Limits(parts=2))
    assert len(m.parts) == 1
    assert Defect.TOO_MANY_PARTS in m.defects


def test_a_message_inside_counts_as_a_part() -> None:
    raw = b"Content-Type: message/rfc822\n\nA: b\n\n"
    assert len(parse(raw, limits=Limits(parts=2)).children) == 1
    m = parse(raw, limits=Limits(parts=1))
    assert (m.children, m.defects) == ([], (Defect.TOO_MANY_PARTS,))


def test_fields_at_the_limit_and_one_above() -> None:
    raw = b"A: 1\nB: 2\nC: 3\n\nbody"
    m = parse(raw, limits=Limits(header_fields=3))
    assert (len(m.headers), m.defects, m.content()) == (3, (), b"body")
    m = parse(raw, limits=Limits(header_fields=2))
    assert (len(m.headers), m.defects) == (2, (Defect.TOO_MANY_FIELDS,))
    assert m.content() == b"body"
    assert m.header_octets == b"A: 1\nB: 2\nC: 3\n\n"


def test_all_fields_together_at_the_limit_and_one_above() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nA: 1\n\nx\n--b\nA: 2\n\ny\n--b--\n"
    assert all(p.defects == () for p in parse(raw, limits=Limits(total_fields=3)).walk())
    m = parse(raw, limits=Limits(total_fields=2))
    assert [p.defects for p in m.walk()] == [(), (), (Defect.TOO_MANY_FIELDS,)]
    assert m.parts[1].content() == b"y"


def test_octets_of_a_header_at_the_limit_and_one_above() -> None:
    raw = b"A: 1\nB: 2\n\nbody\n\nmore"
    for limit in (11, 10):
        m = parse(raw, limits=Limits(header_octets=limit))
        assert (len(m.headers), m.defects, m.content()) == (2, (), b"body\n\nmore"), limit
    for limit in (9, 8, 6):
        m = parse(raw, limits=Limits(header_octets=limit))
        assert (len(m.headers), m.defects) == (1, (Defect.HEADER_TOO_LARGE,)), limit
        assert m.content() == b"body\n\nmore"
    m = parse(raw, limits=Limits(header_octets=1))
    assert (len(m.headers), m.defects) == (0, (Defect.HEADER_TOO_LARGE,))


def test_a_field_that_goes_on_behind_the_limit_is_not_read_by_half() -> None:
    raw = b"A: 1\nB: 2\n 3\n\nbody"
    m = parse(raw, limits=Limits(header_octets=10))
    assert [f.name for f in m.headers] == [b"A"]
    assert m.defects == (Defect.HEADER_TOO_LARGE,)
    assert m.content() == b"body"


def test_a_header_too_large_ends_at_a_delimiter_at_the_latest() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nA: 1\nB: 2\nC: 3\n--b\n\nsecond\n--b--\n"
    m = parse(raw, limits=Limits(header_fields=1))
    assert [p.size for p in m.parts] == [0, 6]
    assert parse(b"A: 1\nB: 2", limits=Limits(header_fields=1)).size == 0


def test_boundaries_at_the_limit_and_one_above() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=abc\n\n--abc\n\nx\n--abc--"
    assert len(parse(raw, limits=Limits(boundary=3)).parts) == 1
    assert parse(raw, limits=Limits(boundary=2)).defects == (Defect.MISSING_BOUNDARY,)


def test_limits_are_positive() -> None:
    with pytest.raises(ValueError, match="depth"):
        Limits(depth=0)


# --- what is handed in -----------------------------------------------------------------


def test_a_view_of_whole_bytes_is_not_copied() -> None:
    raw = b"Subject: x\r\n\r\nhi"
    assert parse(memoryview(raw)).buffer is raw
    assert parse(raw).buffer is raw
    assert parse(memoryview(raw)[::-1]).buffer == raw[::-1]
    assert parse(memoryview(b">" + raw)[1:]).buffer == raw


def test_what_can_change_is_copied() -> None:
    raw = bytearray(b"Subject: x\r\n\r\nhi")
    m = parse(raw)
    raw[9:10] = b"y"
    assert m.subject == "x"

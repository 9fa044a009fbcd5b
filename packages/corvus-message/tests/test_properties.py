"""What holds for any octets and any text, shown by generated ones."""

from __future__ import annotations

import re
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import corvus_message
from corvus_message import (
    Address,
    Attachment,
    Limits,
    Part,
    addresses,
    build,
    decode_base64,
    decode_flowed,
    decode_quoted_printable,
    decode_words,
    encode_base64,
    encode_flowed,
    encode_quoted_printable,
    encode_words,
    format_address,
    format_field,
    format_params,
    html_to_text,
    parse,
    parse_content_type,
    parse_date,
    safe_filename,
    transfer_decoder,
)
from corvus_message.words import LONGEST_WORD
from corvus_testing.strategies import hostile_octets

pytestmark = pytest.mark.property

#: Octets that are nearly messages: fields, delimiters and bodies in any order.
message_octets = st.lists(
    st.sampled_from(
        [
            b"Content-Type: multipart/mixed; boundary=b\r\n",
            b'Content-Type: multipart/digest; boundary="c d"\n',
            b"Content-Type: multipart/alternative; boundary=bb\r\n",
            b"Content-Type: message/rfc822\r\n",
            b"Content-Type: text/html; charset=x\n",
            b"Content-Type: nonsense\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
            b"Content-Transfer-Encoding: quoted-printable\n",
            b"Content-Disposition: attachment; filename*0*=utf-8''%e2; filename*1=x\r\n",
            b"Content-ID: <1@x>\r\n",
            b"Subject: =?utf-8?q?=C3=A4?= x\r\n\ty\r\n",
            b"From: a@b, (c <d@e>\r\n",
            b"From x@y Thu Jan  1 00:00:00 2026\n",
            b"--b\r\n",
            b"\r\n--b\r\n",
            b"\n--b--\n",
            b"--bb\r\n",
            b"\r\n--bb--\r\n",
            b"--c d\n",
            b"\r\n",
            b"\n",
            b"text =20\r\n",
            b"<p>aGVsbG8=",
        ]
    )
    | hostile_octets,
    max_size=40,
).map(b"".join)

#: Text with what mail gets wrong: line ends, controls, astral letters, specials.
texts = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from(list("\r\n\0\t \x0b\x85\u2028\"\\()<>@,;:=?_'*%[]\u202e\U0001f426")),
    ),
    max_size=80,
)
lines = texts.map(lambda text: re.sub(r"[\r\n\0]", "", text))
small_limits = st.builds(
    Limits,
    depth=st.integers(1, 4),
    parts=st.integers(1, 6),
    header_octets=st.integers(1, 200),
    header_fields=st.integers(1, 5),
    total_fields=st.integers(1, 10),
    boundary=st.integers(1, 3),
)


def use_everything(part: Part) -> None:
    """Call whatever a reader may call."""
    for each in part.walk():
        assert each.type == each.type.lower()
        assert len(each.params) <= len(each.raw_params)
        assert (each.disposition is None) or each.disposition.params is not None
        assert all(each.language)
        assert all(v is None or v == v.strip() for v in (each.id, each.md5, each.location))
        assert each.description is None or each.field_octets(b"content-description") is not None
        assert b"".join(each.chunks(7)) == each.decoded()
        assert each.lines == each.content().count(b"\n")
        assert each.headers.items() is not None
        safe_filename(each.filename)
        for name in ("from", "to", "reply-to"):
            addresses(each.headers.get(name) or "")
    part.text()
    part.html()
    part.related()
    assert len(part.preview()) <= 200
    corvus_message.references(part)
    corvus_message.message_id(part)
    corvus_message.reply_headers(part, everybody=True)
    corvus_message.read_dsn(part)
    corvus_message.forward_subject(part)


@given(message_octets)
def test_parse_never_raises_nor_does_anything_that_reads_the_tree(raw: bytes) -> None:
    use_everything(parse(raw))


def assert_exact(part: Part, raw: bytes) -> None:
    assert part.buffer is raw
    for each in part.walk():
        assert 0 <= each.start <= each.body_start <= each.end <= len(raw)
        edges = [each.body_start]
        for child in each.children:
            edges += [child.start, child.end]
        edges.append(each.end)
        assert edges == sorted(edges), "children lie in the body, in order, apart"
        assert each.header_octets + each.body_octets == each.octets == raw[each.start : each.end]
        pieces = b"".join(raw[a:b] for a, b in pairwise(edges))
        assert pieces == each.content(), "children and what is between them give the body"
        position = each.start
        for field in each.headers.fields:
            assert position <= field.start < field.value_start <= field.end <= each.body_start
            assert raw[field.start : field.end] == field.octets
            position = field.end


@given(message_octets)
def test_slices_of_the_tree_reassemble_to_the_input(raw: bytes) -> None:
    part = parse(raw)
    assert (part.start, part.end) == (0, len(raw))
    assert_exact(part, raw)


@given(message_octets, small_limits)
def test_limits_bound_the_tree_and_lose_nothing(raw: bytes, limits: Limits) -> None:
    part = parse(raw, limits=limits)
    assert_exact(part, raw)
    everything = list(part.walk())
    assert len(everything) <= limits.parts
    assert all(len(each.headers) <= limits.header_fields for each in everything)
    assert sum(len(each.headers) for each in everything) <= limits.total_fields
    deepest, level = 0, [part]
    while level:
        deepest += 1
        level = [child for each in level for child in each.children]
    assert deepest <= limits.depth + 1
    use_everything(part)


@given(message_octets)
def test_views_and_bytearrays_give_the_same_tree(raw: bytes) -> None:
    whole = [(p.start, p.body_start, p.end) for p in parse(raw).walk()]
    for other in (memoryview(raw), bytearray(raw), memoryview(b"x" + raw)[1:]):
        assert [(p.start, p.body_start, p.end) for p in parse(other).walk()] == whole


@given(hostile_octets)
def test_readers_of_values_never_raise(octets: bytes) -> None:
    decode_words(octets)
    parse_date(octets)
    parse_content_type(octets)
    corvus_message.parse_disposition(octets).get("filename")
    corvus_message.message_ids(octets)
    corvus_message.base_subject(octets)
    for entry in corvus_message.address_list(octets):
        assert entry.name is not None
    for address in addresses(octets):
        assert address.address is not None
    html_to_text(octets.decode("latin-1"))
    decode_flowed(octets.decode("latin-1"))
    corvus_message.decode_uuencode(octets)


@given(st.text(max_size=60) | texts)
def test_readers_of_text_never_raise_and_what_they_give_can_be_encoded(text: str) -> None:
    """Half surrogates included, which Python's `str` may hold."""
    parse_date(text)
    given = [decode_words(text), corvus_message.base_subject(text), safe_filename(text)]
    given += corvus_message.message_ids(text)
    for address in addresses(text):
        given += [address.name, address.local, address.domain]
        given.append(corvus_message.display_address(address))
    given += [corvus_message.display_domain(text), corvus_message.display_text(text)]
    for each in given:
        each.encode()
    html_to_text(text)
    decode_flowed(text)
    encode_flowed(text)


@given(st.binary(max_size=300))
def test_base64_decodes_to_what_was_encoded(octets: bytes) -> None:
    assert decode_base64(encode_base64(octets)) == octets


@given(st.binary(max_size=300))
def test_quoted_printable_decodes_to_what_was_encoded_line_ends_made_crlf(octets: bytes) -> None:
    encoded = encode_quoted_printable(octets)
    assert all(len(line) <= 76 for line in encoded.split(b"\r\n"))
    wanted = re.sub(rb"\r?\n", b"\r\n", octets)
    assert decode_quoted_printable(encoded) == wanted


@given(
    st.sampled_from(["base64", "quoted-printable", "x-uuencode", "7bit"]),
    hostile_octets | st.binary(max_size=200),
    st.lists(st.integers(1, 20), min_size=1, max_size=5),
)
def test_streaming_decodes_like_the_whole(name: str, octets: bytes, sizes: list[int]) -> None:
    decoder = transfer_decoder(name)
    out = b""
    position = turn = 0
    while position < len(octets):
        size = sizes[turn % len(sizes)]
        out += decoder.update(octets[position : position + size])
        position += size
        turn += 1
    assert out + decoder.finish() == corvus_message.decode_transfer(octets, name)


@given(texts)
def test_words_decode_to_what_was_encoded(text: str) -> None:
    encoded = encode_words(text)
    assert decode_words(encoded) == text
    assert encoded.isascii()
    assert encoded.isprintable()
    if encoded != text:
        assert all(len(word) <= LONGEST_WORD for word in encoded.split(" "))


@given(st.text(max_size=60))
def test_words_encode_even_what_utf8_cannot_carry(text: str) -> None:
    assert "\n" not in encode_words(text)


@given(texts)
def test_parameters_decode_to_what_was_formatted(text: str) -> None:
    shown = format_params([("a", "first"), ("name", text)])
    assert all(len(piece) <= 78 and piece.isprintable() and piece.isascii() for piece in shown)
    value = "x/y; " + "; ".join(shown)
    kind = parse_content_type(value.encode())
    assert kind is not None
    assert kind.get("name") == text
    assert kind.get("a") == "first"


@given(lines)
def test_a_field_is_one_field_and_says_what_it_was_told(text: str) -> None:
    octets = format_field("Subject", text)
    part = parse(octets + b"\r\n")
    assert len(part.headers) == 1
    assert part.subject == text
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))


@given(lines, st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1))
def test_an_address_reads_as_it_was_written(name: str, local: str) -> None:
    shown = format_address(name, local, "example.com")
    (found,) = addresses(shown)
    assert (found.name, found.local, found.domain) == (name, local, "example.com")


@given(texts)
def test_flowed_text_reads_as_it_was_written(text: str) -> None:
    # Trailing spaces go (RFC 3676 §4.2) and quoted lines are spelt one way.
    plain = re.sub(r"[\r>]", "", text)
    wanted = "\n".join(line if line == "-- " else line.rstrip(" ") for line in plain.split("\n"))
    assert decode_flowed(encode_flowed(plain)) == wanted


@given(texts)
def test_a_safe_filename_is_safe_and_stays_as_it_is(name: str) -> None:
    safe = safe_filename(name)
    assert safe
    assert len(safe.encode()) <= 255
    assert not re.search(r"[\x00-\x1f\x7f/\\\u202e]", safe)
    assert safe not in (".", "..")
    assert not safe.startswith(".")
    assert safe_filename(safe) == safe


attachments = st.builds(
    Attachment,
    content=st.binary(max_size=60),
    filename=lines.filter(bool) | st.none(),
    type=st.sampled_from(["application/pdf", "text/plain", "image/png"]),
    id=st.sampled_from(["1@x", None]),
    disposition=st.sampled_from(["attachment", "inline"]),
)


@given(
    lines,
    lines,
    texts | st.none(),
    texts | st.none(),
    st.lists(attachments, max_size=3),
    st.none() | st.just("given"),
)
def test_built_messages_say_what_was_asked(
    subject: str,
    name: str,
    text: str | None,
    html: str | None,
    files: list[Attachment],
    boundary: str | None,
) -> None:
    raw = build(
        from_=[Address(encode_words(name).encode(), b"", b"a", b"example.com")],
        to=["b@example.com", "c@example.com"],
        subject=subject,
        text=text,
        html=html,
        attachments=files,
        message_id="1@example.com",
        boundary=boundary,
    )
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    part = parse(raw)
    assert part.defects == ()
    assert part.subject == subject
    assert [(a.name, a.address) for a in addresses(part.field(b"from") or b"")] == [
        (name, "a@example.com")
    ]
    assert [a.address for a in addresses(part.field(b"to") or b"")] == [
        "b@example.com",
        "c@example.com",
    ]
    names = [field.name.lower() for field in part.headers]
    assert len(names) == len(set(names))

    def norm(value: str | None) -> str:
        return re.sub(r"\r\n|\r|\n", "\n", value or "")

    leaves = [p for p in part.walk() if not p.children]
    bodies = [p for p in leaves if p.headers.get("content-disposition") is None]
    by_type = {p.content_type.value: norm(p.content_text()) for p in bodies}
    if text is not None or html is None:
        assert by_type["text/plain"] == norm(text)
    if html is not None:
        assert by_type["text/html"] == norm(html)
    others = [p for p in leaves if p not in bodies]
    assert sorted((p.decoded(), p.filename or "") for p in others) == sorted(
        (a.content, a.filename or "") for a in files
    )

    # The same by the standard library, where it can: it refuses some letters in words.
    theirs = BytesParser(policy=policy.SMTP).parsebytes(raw)
    assert isinstance(theirs, EmailMessage)
    assert [p.get_content_type() for p in theirs.walk()] == [
        p.content_type.value for p in part.walk()
    ]
    decoded = [p.get_payload(decode=True) for p in theirs.walk() if not p.is_multipart()]
    assert decoded == [p.decoded() for p in leaves]

"""Messages as they are built."""

from __future__ import annotations

from datetime import UTC, datetime
from email import policy
from email.parser import BytesParser

import pytest

from corvus_message import (
    Attachment,
    Part,
    addresses,
    build,
    new_boundary,
    new_message_id,
    parse,
)
from corvus_message.builder import Entity, multipart


def shape(part: Part) -> object:
    value = part.content_type.value
    return [value, *(shape(child) for child in part.children)] if part.children else value


IMAGE = Attachment(content=b"PNG", type="image/png", id="i@x", disposition="inline")
FILE = Attachment(
    content=b"%PDF\n" * 50, type="application/pdf", filename="Größe.pdf", description="Ä"
)


@pytest.mark.parametrize(
    ("text", "html", "files", "wanted"),
    [
        (None, None, [], "text/plain"),
        ("a", None, [], "text/plain"),
        (None, "<p>", [], "text/html"),
        ("a", "<p>", [], ["multipart/alternative", "text/plain", "text/html"]),
        ("a", None, [FILE], ["multipart/mixed", "text/plain", "application/pdf"]),
        (None, "<p>", [IMAGE], ["multipart/related", "text/html", "image/png"]),
        ("a", None, [IMAGE], ["multipart/mixed", "text/plain", "image/png"]),
        (
            "a",
            "<p>",
            [IMAGE, FILE],
            [
                "multipart/mixed",
                [
                    "multipart/alternative",
                    "text/plain",
                    ["multipart/related", "text/html", "image/png"],
                ],
                "application/pdf",
            ],
        ),
    ],
)
def test_parts_are_nested_as_far_as_needed(
    text: str | None, html: str | None, files: list[Attachment], wanted: object
) -> None:
    raw = build(from_="a@b.example", text=text, html=html, attachments=files, boundary="given")
    m = parse(raw)
    assert shape(m) == wanted
    assert all(p.defects == () for p in m.walk())
    assert raw == build(
        from_="a@b.example", text=text, html=html, attachments=files, boundary="given",
        message_id=m.headers["message-id"],
    )  # fmt: skip


def test_every_field_is_written_once_and_where_asked() -> None:
    raw = build(
        from_=["Zoë <z@example.com>", "b@example.com"],
        to="c@example.com, Group: d@example.com;",
        cc=["e@example.com"],
        bcc="f@example.com",
        reply_to="g@example.com",
        subject="Über café",
        date=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        message_id="<1@example.com>",
        in_reply_to="0@example.com",
        references=["-1@example.com", "<0@example.com>"],
        headers=[("X-Mailer", "Corvus"), ("X-Mailer", "twice")],
    )
    m = parse(raw)
    assert [(f.name.decode(), f.text) for f in m.headers][:12] == [
        ("Date", "Fri, 02 Jan 2026 03:04:05 +0000"),
        ("From", "Zoë <z@example.com>, b@example.com"),
        ("Sender", "Zoë <z@example.com>"),
        ("Reply-To", "g@example.com"),
        ("To", "c@example.com, d@example.com"),
        ("Cc", "e@example.com"),
        ("Bcc", "f@example.com"),
        ("Subject", "Über café"),
        ("Message-ID", "<1@example.com>"),
        ("In-Reply-To", "<0@example.com>"),
        ("References", "<-1@example.com> <0@example.com>"),
        ("X-Mailer", "Corvus"),
    ]
    theirs = BytesParser(policy=policy.default).parsebytes(raw)
    assert theirs["subject"] == "Über café"
    assert theirs["from"] == "Zoë <z@example.com>, b@example.com"
    assert not theirs.defects


def test_a_given_sender_stays() -> None:
    m = parse(build(from_="a@x.example, b@x.example", sender="b@x.example"))
    assert m.headers["sender"] == "b@x.example"
    assert "sender" not in parse(build(from_="a@x.example")).headers


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("short\n", "7bit"),
        ("", "7bit"),
        ("x" * 78, "7bit"),
        ("x" * 79, "quoted-printable"),
        ("café\n", "quoted-printable"),
        ("日本語\n", "base64"),
        ("nul \0", "quoted-printable"),
    ],
)
def test_text_is_encoded_as_it_needs(text: str, encoding: str) -> None:
    m = parse(build(from_="a@b.example", text=text))
    assert m.encoding == encoding
    assert m.text() == text
    assert m.decoded() == text.replace("\n", "\r\n").encode()


def test_all_line_ends_become_crlf() -> None:
    assert parse(build(from_="a@b.example", text="a\rb\nc\r\nd")).content() == b"a\r\nb\r\nc\r\nd"


def test_an_attached_message_is_not_encoded() -> None:
    inner = b"Subject: x\n\n\xc3\xa4"
    m = parse(
        build(from_="a@b.example", attachments=[Attachment(content=inner, type="message/rfc822")])
    )
    part = m.parts[1]
    assert part.encoding == "8bit"
    assert part.content() == b"Subject: x\r\n\r\n\xc3\xa4\r\n"
    assert part.message is not None
    m = parse(
        build(
            from_="a@b.example",
            attachments=[Attachment(content=b"A: b\n\n", type="message/rfc822")],
        )
    )
    assert m.parts[1].encoding == "7bit"


def test_an_attachment_says_what_it_is() -> None:
    m = parse(build(from_="a@b.example", attachments=[FILE, IMAGE]))
    _, first, second = m.parts
    assert (first.filename, first.decoded()) == ("Größe.pdf", FILE.content)
    assert first.headers["content-description"] == "Ä"
    assert first.content_type.get("name") == "Größe.pdf"
    assert (second.id, second.filename) == (b"<i@x>", None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "text"),
        ("type", "text/plain; x=y"),
        ("type", "text/plain\r\n"),
        ("type", "multipart/mixed"),
        ("disposition", "inline; x"),
        ("filename", "a\r\nb"),
        ("description", "a\nb"),
        ("id", "a b"),
        ("params", (("a b", "c"),)),
    ],
)
def test_an_attachment_cannot_be_wrong(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"not a|CR, LF|is built"):
        Attachment(content=b"", **{name: value})  # type: ignore[arg-type]  # wrong on purpose


def test_what_cannot_stand_is_refused() -> None:
    with pytest.raises(ValueError, match="author"):
        build(from_=())
    with pytest.raises(ValueError, match="not an address"):
        build(from_="a")
    with pytest.raises(ValueError, match="argument of its own"):
        build(from_="a@b.example", headers=[("subject", "x")])
    with pytest.raises(ValueError, match="contains the boundary"):
        build(from_="a@b.example", text="--b", html="x", boundary="b")
    for boundary in ("", "a b", 'a"', "x" * 61, "a\r\n"):
        with pytest.raises(ValueError, match="not a boundary"):
            build(from_="a@b.example", text="a", html="x", boundary=boundary)


def test_random_names_differ() -> None:
    assert new_boundary() != new_boundary()
    assert new_message_id("example.com") != new_message_id("example.com")
    with pytest.raises(ValueError, match="identifier"):
        new_message_id("a b")


def test_entities_can_be_put_together_by_hand() -> None:
    entity = multipart("x", [Entity(b"A: b\r\n", b"hi")], boundary="b", params=[("p", "q")])
    assert entity.octets == (
        b"Content-Type: multipart/x; p=q; boundary=b\r\n\r\n--b\r\nA: b\r\n\r\nhi\r\n--b--\r\n"
    )


def test_utf8_addresses_make_a_utf8_header() -> None:
    raw = build(from_="ü@ö.example", to="b@example.com", message_id="1@x")
    assert "From: ü@ö.example\r\n".encode() in raw
    assert addresses(parse(raw).headers["from"])[0].address == "ü@ö.example"

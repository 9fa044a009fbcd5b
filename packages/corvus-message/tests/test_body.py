"""What a reader wants to see."""

from __future__ import annotations

from corvus_message import Attachment, Part, build, parse


def tree(kind: str, *parts: bytes, boundary: str) -> bytes:
    """A multipart as it stands in another one."""
    b = boundary.encode()
    head = f"Content-Type: multipart/{kind}; boundary={boundary}\n\n".encode()
    return head + b"".join(b"--" + b + b"\n" + p + b"\n" for p in parts) + b"--" + b + b"--\n"


def leaf(kind: str, text: str, extra: str = "") -> bytes:
    return f"Content-Type: {kind}\n{extra}\n{text}".encode()


def names(parts: tuple[Part, ...] | list[Part]) -> str:
    return "".join(p.content().decode().strip() for p in parts)


#: The example of RFC 8621 §4.1.4.
INLINE = "Content-Disposition: inline\n"
ATTACHED = "Content-Disposition: attachment\n"
RFC_8621 = tree(
    "mixed",
    leaf("text/plain", "A", INLINE),
    tree(
        "mixed",
        tree(
            "alternative",
            tree(
                "mixed",
                leaf("text/plain", "B", INLINE),
                leaf("image/jpeg", "C", INLINE),
                leaf("text/plain", "D", INLINE),
                boundary="b4",
            ),
            tree("related", leaf("text/html", "E"), leaf("image/jpeg", "F"), boundary="b5"),
            boundary="b3",
        ),
        leaf("image/jpeg", "G", ATTACHED),
        leaf("application/x-excel", "H"),
        leaf("message/rfc822", "\nJ"),
        boundary="b2",
    ),
    leaf("text/plain", "K", INLINE),
    boundary="b1",
)


def test_the_example_of_rfc_8621_is_sorted_as_printed() -> None:
    view = parse(RFC_8621).view()
    assert names(view.text) == "ABCDK"
    assert names(view.html) == "AEK"
    assert names(view.attachments) == "CFGHJ"


def test_a_single_part_is_its_own_body() -> None:
    m = parse(b"Content-Type: text/plain\n\nhi\n")
    assert m.text() == "hi\n"
    assert m.html() is None
    assert m.attachments() == []


def test_what_cannot_be_shown_is_an_attachment() -> None:
    for kind in ("application/pdf", "message/rfc822", "multipart/mixed"):
        m = parse(leaf(kind, "x"))
        assert m.attachments() == [m]
        assert m.text() == ""


def test_html_only_is_text_too() -> None:
    m = parse(tree("alternative", leaf("text/html", "<p>a<p>b"), boundary="b"))
    assert m.text() == "a\n\nb"
    assert m.html() == "<p>a<p>b"


def test_text_only_in_an_alternative_is_in_both_lists() -> None:
    m = parse(tree("alternative", leaf("text/plain", "a"), boundary="b"))
    assert names(m.view().html) == names(m.view().text) == "a"
    assert m.html() is None


def test_plain_text_between_html_is_escaped() -> None:
    m = parse(tree("mixed", leaf("text/html", "<p>"), leaf("text/plain", "a<b"), boundary="b"))
    assert m.html() == "<p>\n<pre>a&lt;b</pre>"


def test_texts_one_after_the_other_are_joined() -> None:
    m = parse(tree("mixed", leaf("text/plain", "a\n"), leaf("text/plain", "b\n"), boundary="b"))
    assert m.text() == "a\nb\n"


def test_a_second_text_with_a_name_is_an_attachment() -> None:
    m = parse(
        tree("mixed", leaf("text/plain", "a"), leaf("text/plain; name=x.txt", "b"), boundary="b")
    )
    assert (names(m.view().text), names(m.attachments())) == ("a", "b")


def test_media_in_an_alternative_are_attachments() -> None:
    m = parse(
        tree(
            "alternative",
            leaf("text/plain", "a"),
            leaf("image/png", "i"),
            leaf("text/calendar", "c"),
            leaf("text/html", "h"),
            boundary="b",
        )
    )
    assert (names(m.view().text), names(m.view().html), names(m.attachments())) == ("a", "h", "ic")


def test_an_alternative_inside_a_choice_already_made_loses_nothing() -> None:
    inner = tree("alternative", leaf("text/plain", "P"), leaf("text/html", "H"), boundary="b3")
    m = parse(
        tree(
            "alternative",
            tree("mixed", leaf("text/plain", "a"), inner, boundary="b2"),
            leaf("text/html", "h"),
            boundary="b1",
        )
    )
    assert (names(m.view().text), names(m.view().html)) == ("aP", "h")
    assert names(m.attachments()) == "H"


def test_flowed_text_is_read_as_paragraphs() -> None:
    m = parse(b"Content-Type: text/plain; format=Flowed; delsp=yes\r\n\r\nlong \r\nline\r\n")
    assert m.text() == "longline\n"


def test_images_are_found_by_content_id() -> None:
    m = parse(
        build(
            from_="a@b.example",
            html="<img src='cid:i1@x'>",
            attachments=[
                Attachment(content=b"PNG", type="image/png", id="i1@x", disposition="inline")
            ],
        )
    )
    assert m.related()["i1@x"].decoded() == b"PNG"
    assert [p.type for p in m.attachments()] == ["image"]


def test_a_preview_is_the_first_words() -> None:
    assert parse(b"\nHello\n\n  world\t!\n-- \nme\n").preview() == "Hello world !"
    assert parse(b"\n" + b"word " * 100).preview() == ("word " * 40).strip()
    assert len(parse(b"\n" + b"x" * 900).preview(1000)) == 256
    assert parse(b"\nabc").preview(2) == "ab"
    assert parse(b"\nabc").preview(0) == ""
    assert parse(b"").preview() == ""
    assert parse(b"Content-Type: image/png\n\nx").preview() == ""


def test_a_preview_leaves_quotes_out_unless_there_is_nothing_else() -> None:
    assert parse(b"\nOn Monday, Bob wrote:\n> old\n> older\nnew\n").preview() == "new"
    assert parse(b"\n> old\n").preview() == "> old"
    assert parse(b"\nlook:\n> old\nnew\n").preview() == "look: new"


def test_a_preview_of_html_has_no_markup() -> None:
    raw = b"Content-Type: text/html; charset=utf-8\n\n<style>x</style><p>caf\xc3\xa9 &amp; bar</p>"
    assert parse(raw).preview() == "café & bar"


def test_a_preview_goes_on_with_the_next_text() -> None:
    m = parse(
        tree("mixed", leaf("text/plain", "a"), leaf("image/png", "i"), leaf("text/plain", "b"),
             boundary="b")
    )  # fmt: skip
    assert m.preview() == "a b"
    m = parse(tree("mixed", leaf("text/plain", "\n"), leaf("text/html", "<p>b"), boundary="b"))
    assert m.preview() == "b"


def test_a_preview_looks_at_the_beginning_only() -> None:
    m = parse(b"\n" + b" " * 300_000 + b"late")
    assert m.preview() == ""

"""The messages printed in RFC 2045, 2046 and 2049."""

from __future__ import annotations

from corvus_message import Part, decode_quoted_printable, parse, parse_content_type


def message(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def shape(part: Part) -> object:
    value = part.content_type.value
    return [value, *(shape(child) for child in part.children)] if part.children else value


def test_rfc_2045_5_1_a_comment_in_a_content_type() -> None:
    kind = parse_content_type(b"text/plain; charset=us-ascii (Plain text)")
    assert kind is not None
    assert kind == parse_content_type(b'text/plain; charset="us-ascii"')
    assert kind.charset == "us-ascii"


def test_rfc_2045_6_7_soft_line_breaks() -> None:
    assert (
        decode_quoted_printable(
            b"Now's the time =\r\nfor all folk to come=\r\n to the aid of their country."
        )
        == b"Now's the time for all folk to come to the aid of their country."
    )


SIMPLE = """\
From: Nathaniel Borenstein <nsb@bellcore.com>
To: Ned Freed <ned@innosoft.com>
Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)
Subject: Sample message
MIME-Version: 1.0
Content-type: multipart/mixed; boundary="simple boundary"

This is the preamble.  It is to be ignored, though it
is a handy place for composition agents to include an
explanatory note to non-MIME conformant readers.

--simple boundary

This is implicitly typed plain US-ASCII text.
It does NOT end with a linebreak.
--simple boundary
Content-type: text/plain; charset=us-ascii

This is explicitly typed plain US-ASCII text.
It DOES end with a linebreak.

--simple boundary--

This is the epilogue.  It is also to be ignored.
"""


def test_rfc_2046_5_1_1_a_simple_multipart() -> None:
    m = parse(message(SIMPLE))
    first, second = m.parts
    assert first.content() == (
        b"This is implicitly typed plain US-ASCII text.\r\nIt does NOT end with a linebreak."
    )
    assert second.content() == (
        b"This is explicitly typed plain US-ASCII text.\r\nIt DOES end with a linebreak.\r\n"
    )
    assert second.content_type.charset == "us-ascii"
    assert all(p.defects == () for p in m.walk())


DIGEST = """\
From: Moderator-Address
Subject: Internet Digest, volume 42
Content-Type: multipart/mixed;
              boundary="---- main boundary ----"

------ main boundary ----

  ...Introductory text or table of contents...

------ main boundary ----
Content-Type: multipart/digest;
              boundary="---- next message ----"

------ next message ----

From: someone-else
Subject: my opinion

  ...body goes here ...

------ next message ----

From: someone-else-again
Subject: my different opinion

  ... another body goes here ...

------ next message ------

------ main boundary ------
"""


def test_rfc_2046_5_1_5_a_digest() -> None:
    m = parse(message(DIGEST))
    assert shape(m) == [
        "multipart/mixed",
        "text/plain",
        [
            "multipart/digest",
            ["message/rfc822", "text/plain"],
            ["message/rfc822", "text/plain"],
        ],
    ]
    nested = [p.message for p in m.parts[1].parts]
    assert [p.subject for p in nested if p] == ["my opinion", "my different opinion"]


COMPLEX = """\
MIME-Version: 1.0
From: Nathaniel Borenstein <nsb@nsb.fv.com>
To: Ned Freed <ned@innosoft.com>
Date: Fri, 07 Oct 1994 16:15:05 -0700 (PDT)
Subject: A multipart example
Content-Type: multipart/mixed;
              boundary=unique-boundary-1

This is the preamble area of a multipart message.

--unique-boundary-1

  ... Some text appears here ...

--unique-boundary-1
Content-type: text/plain; charset=US-ASCII

This could have been part of the previous part, but
illustrates explicit versus implicit typing of body
parts.

--unique-boundary-1
Content-Type: multipart/parallel; boundary=unique-boundary-2

--unique-boundary-2
Content-Type: audio/basic
Content-Transfer-Encoding: base64

aGVsbG8=

--unique-boundary-2
Content-Type: image/jpeg
Content-Transfer-Encoding: base64

aGVsbG8=

--unique-boundary-2--

--unique-boundary-1
Content-type: text/enriched

This is <bold><italic>enriched.</italic></bold>

--unique-boundary-1
Content-Type: message/rfc822

From: (mailbox in US-ASCII)
To: (address in US-ASCII)
Subject: (subject in US-ASCII)
Content-Type: Text/plain; charset=ISO-8859-1
Content-Transfer-Encoding: Quoted-printable

  ... Additional text in ISO-8859-1 goes here =E4 ...

--unique-boundary-1--
"""


def test_rfc_2049_appendix_a_a_complex_multipart() -> None:
    m = parse(message(COMPLEX))
    assert shape(m) == [
        "multipart/mixed",
        "text/plain",
        "text/plain",
        ["multipart/parallel", "audio/basic", "image/jpeg"],
        "text/enriched",
        ["message/rfc822", "text/plain"],
    ]
    assert [p.decoded() for p in m.parts[2].parts] == [b"hello", b"hello"]
    inner = m.parts[4].message
    assert inner is not None
    assert inner.text() == "  ... Additional text in ISO-8859-1 goes here ä ...\n"
    assert all(p.defects == () for p in m.walk())

"""FETCH: every item, byte for byte, from columns and from bodies, small and large."""

from __future__ import annotations

import base64
import re

import pytest

import corvus_imap as imap
import corvus_message
from corvus_imap.types.fetch import Section

from .running import Running, mail

MULTIPART = (
    b"From: Ann <ann@b.example>\r\nTo: bob@corvus.local\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Fri, 15 Jan 2027 08:00:00 +0100\r\nX-Odd: one\r\nX-Odd: two\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=B\r\n\r\npreamble\r\n--B\r\n\r\nplain\r\n--B\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n"
    b"--B\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninside\r\n--B--\r\n"
)
SECTIONS = [
    "", "HEADER", "TEXT", "1", "1.MIME", "2", "2.MIME", "3", "3.HEADER", "3.TEXT", "3.1", "4",
    "HEADER.FIELDS (Subject To)", "HEADER.FIELDS (X-Odd)", "HEADER.FIELDS.NOT (From X-Odd)",
    "3.HEADER.FIELDS (Subject)", "HEADER.FIELDS (Nothing)",
]  # fmt: skip


def big(octets: int = 300_000) -> bytes:
    """A message with a large attachment, and a text behind it."""
    attachment = base64.encodebytes(bytes(range(256)) * (octets // 256)).replace(b"\n", b"\r\n")
    return (
        b"From: a@b.example\r\nSubject: big\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\nsee below\r\n--B\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + attachment
        + b"\r\n--B\r\n\r\nthe end\r\n--B--\r\n"
    )


@pytest.mark.parametrize("raw", [MULTIPART, big()], ids=["small", "large"])
def test_every_section_is_what_the_library_says(server: Running, raw: bytes) -> None:
    server.put(raw)
    wire = server.wire(select="INBOX")
    part = corvus_message.parse(raw)
    for name in SECTIONS:
        section = name.encode()
        octets = imap.section_octets(part, Section.parse(section))
        wanted = b"NIL" if octets is None else b"{%d}\r\n%b" % (len(octets), octets)
        [line] = wire.ok(f"FETCH 1 BODY.PEEK[{name}]")
        assert line == b"* 1 FETCH (BODY[%b] %b)" % (section, wanted), name
        for offset, length in ((0, 5), (3, 10), (100_000, 4), (1 << 40, 1)):
            value = imap.section(part, section, imap.Partial(offset, length))
            [line] = wire.ok(f"FETCH 1 (UID BODY.PEEK[{name}]<{offset}.{length}>)")
            assert line == b"* 1 FETCH (UID 1 BODY[%b]<%d> %b)" % (section, offset, value), name


def test_stored_items_are_what_the_library_says(server: Running) -> None:
    [uid] = server.put(MULTIPART, flags=["\\Seen", "work"], internal_date=1_799_990_000.0, zone=60)
    wire = server.wire(select="INBOX")
    [line] = wire.ok(f"UID FETCH {uid} FULL")
    assert line == (
        b'* 1 FETCH (UID 1 FLAGS (\\Seen work \\Recent) INTERNALDATE "15-Jan-2027 06:13:20 +0100"'
        b" RFC822.SIZE %d ENVELOPE %b BODY %b)"
        % (
            len(MULTIPART),
            imap.envelope(MULTIPART),
            imap.bodystructure(MULTIPART, extended=False),
        )
    )
    [line] = wire.ok("FETCH 1 (BODYSTRUCTURE EMAILID THREADID MODSEQ PREVIEW SAVEDATE)")
    assert b"BODYSTRUCTURE " + imap.bodystructure(MULTIPART) in line
    assert re.search(rb'EMAILID \(M\d+\) THREADID \(T\d+\) MODSEQ \(\d+\) PREVIEW "plain" ', line)
    assert re.search(rb' SAVEDATE "\d\d-\w{3}-\d{4} ', line)


def test_binary_decodes(server: Running) -> None:
    server.put(MULTIPART, big())
    wire = server.wire(select="INBOX")
    assert wire.ok("FETCH 1 (BINARY.PEEK[2] BINARY.SIZE[2])") == [
        b"* 1 FETCH (BINARY[2] ~{4}\r\n\0\1\2\3 BINARY.SIZE[2] 4)"
    ]
    size = 300_000 // 256 * 256
    assert wire.ok("FETCH 2 (BINARY.SIZE[2] BINARY.PEEK[2]<254.4>)") == [
        b"* 2 FETCH (BINARY.SIZE[2] %d BINARY[2]<254> ~{4}\r\n\xfe\xff\0\1)" % size
    ]
    [whole] = wire.ok("FETCH 2 BINARY.PEEK[2]")
    assert whole.endswith(bytes(range(256)) + b")")
    assert len(whole) > size


@pytest.mark.parametrize("filler", [0, 400_000])
def test_an_unknown_encoding_is_said(server: Running, filler: int) -> None:
    server.put(
        b"Content-Transfer-Encoding: x-rot13\r\n\r\nuryyb\r\n" + b"x" * 76 + b"\r\n" * filler
    )
    wire = server.wire(select="INBOX")
    assert wire.tagged("FETCH 1 BINARY.PEEK[1]").startswith(b"NO [UNKNOWN-CTE] ")
    assert wire.tagged("NOOP").startswith(b"OK ")


def test_fetching_a_body_sets_seen_once(server: Running) -> None:
    server.put(mail())
    wire = server.wire(select="INBOX")
    assert wire.ok("FETCH 1 RFC822.HEADER")[0].startswith(b"* 1 FETCH (RFC822.HEADER {")
    assert wire.ok("FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS (\\Recent))"]
    [line] = wire.ok("FETCH 1 BODY[TEXT]")
    assert line.endswith(b" FLAGS (\\Seen \\Recent))")
    [line] = wire.ok("FETCH 1 RFC822")
    assert line == b"* 1 FETCH (RFC822 {%d}\r\n%b)" % (len(mail()), mail())
    assert server.box().unseen == 0


def test_examine_sets_nothing(server: Running) -> None:
    server.put(mail())
    wire = server.wire()
    wire.ok("EXAMINE INBOX")
    wire.ok("FETCH 1 BODY[]")
    assert server.box().unseen == 1
    assert wire.tagged("STORE 1 +FLAGS (\\Seen)").startswith(b"NO [READ-ONLY] ")
    assert wire.tagged("EXPUNGE").startswith(b"NO [READ-ONLY] ")
    assert wire.tagged("MOVE 1 Trash").startswith(b"NO [READ-ONLY] ")
    assert wire.tagged("COPY 1 Trash").startswith(b"OK [COPYUID ")


def test_numbers_that_are_not_there(server: Running) -> None:
    wire = server.wire(select="INBOX")
    assert wire.tagged("FETCH 1 FLAGS").startswith(b"BAD ")
    assert wire.tagged("FETCH * FLAGS").startswith(b"BAD ")
    assert wire.ok("UID FETCH 1:* FLAGS") == []
    server.put(mail(), mail())
    assert wire.ok("UID FETCH 7:* FLAGS") == [
        b"* 2 EXISTS", b"* 2 RECENT", b"* 2 FETCH (UID 2 FLAGS (\\Recent))",
    ]  # fmt: skip
    assert wire.tagged("FETCH 2:3 FLAGS").startswith(b"BAD ")
    assert wire.ok("UID FETCH 9 FLAGS") == []


def test_a_long_list_comes_whole_and_in_order(server: Running) -> None:
    server.put(*[mail(f"number {n}") for n in range(1, 901)])
    wire = server.wire(select="INBOX")
    lines = wire.ok("FETCH 1:* (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert [line.split(b" FETCH (UID ")[0] for line in lines] == [
        b"* %d" % n for n in range(1, 901)
    ]
    assert lines[899] == (
        b"* 900 FETCH (UID 900 RFC822.SIZE %d BODY[HEADER.FIELDS (SUBJECT)] {23}\r\n"
        b"Subject: number 900\r\n\r\n)" % len(mail("number 900"))
    )
    bodies = wire.ok("FETCH 1:* BODY.PEEK[]")
    assert all(f"Subject: number {n}\r\n".encode() in line for n, line in enumerate(bodies, 1))
    picked = wire.ok("UID FETCH 1,3,5:7,900,2000 FLAGS")
    assert [line.split()[4] for line in picked] == [b"1", b"3", b"5", b"6", b"7", b"900"]


def test_others_are_answered_while_a_large_answer_goes_out(server: Running) -> None:
    server.put(*[big(300_000) for _ in range(8)])
    slow, other = server.wire(select="INBOX"), server.wire()
    tag = slow.start("FETCH 1:* BODY.PEEK[]")
    for _ in range(5):
        assert other.tagged("NOOP") == b"OK NOOP completed"
    assert [line[:9] for line in slow.finish(tag)[:-1]] == [b"* %d FETCH" % n for n in range(1, 9)]


def test_a_client_that_leaves_in_the_middle_is_no_error(server: Running) -> None:
    server.put(*[big() for _ in range(4)])
    wire = server.wire(select="INBOX")
    wire.start("FETCH 1:* BODY.PEEK[]")
    wire.response()
    wire.close()
    assert server.wire().tagged("NOOP").startswith(b"OK ")


def test_messages_that_another_has_expunged_are_left_out_and_named(server: Running) -> None:
    server.put(mail("a"), mail("b"), mail("c"))
    wire, other = server.wire(select="INBOX"), server.wire(select="INBOX")
    other.ok("STORE 2 +FLAGS (\\Deleted)")
    other.ok("EXPUNGE")
    lines = wire.cmd("FETCH 1:3 RFC822.SIZE")
    assert [line[:9] for line in lines[:2]] == [b"* 1 FETCH", b"* 3 FETCH"]
    assert lines[-1].startswith(b"NO [EXPUNGEISSUED] ")
    lines = wire.cmd("FETCH 1:3 (ENVELOPE BODY.PEEK[])")
    assert [line[:9] for line in lines[:2]] == [b"* 1 FETCH", b"* 3 FETCH"]
    assert wire.ok("SEARCH ALL") == [b"* SEARCH 1 3"]
    assert wire.ok("UID FETCH 2 FLAGS") == [b"* 2 EXPUNGE"]
    assert wire.ok("FETCH 1:2 UID") == [b"* 1 FETCH (UID 1)", b"* 2 FETCH (UID 3)"]


def test_fields_that_were_too_much_to_keep_are_read(server: Running) -> None:
    many = "".join(f"References: <{n}@{'x' * 60}.example>\r\n" for n in range(700))
    raw = mail("long", "y" * 300_000, more=many)
    bare = b"Subject: bare\nTo: a@b.example\n\nhi\n"
    server.put(raw, bare)
    wire = server.wire(select="INBOX")
    assert wire.ok("FETCH 1:2 BODY.PEEK[HEADER.FIELDS (SUBJECT)]") == [
        b"* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {17}\r\nSubject: long\r\n\r\n)",
        b"* 2 FETCH (BODY[HEADER.FIELDS (SUBJECT)] %b)"
        % imap.section(bare, b"HEADER.FIELDS (SUBJECT)"),
    ]
    assert wire.ok("SORT (TO) UTF-8 ALL") == [b"* SORT 2 1"]
    assert wire.ok("THREAD REFERENCES UTF-8 ALL") == [b"* THREAD (2)(1)"], "by the date sent"

"""SEARCH, SORT and THREAD."""

from __future__ import annotations

import pytest

from .running import Running, Wire, mail


def wires(server: Running) -> Wire:
    server.put(
        mail("Invoice one", "blue whale"),
        internal_date=1_799_990_000.0,
        flags=["\\Seen", "Work"],
    )
    server.put(mail("hello", "red kite" * 300), internal_date=1_700_000_000.0)
    server.put(
        mail("INVOICE two", "the red whale", more="X-Thing: blue\r\nCc: dan@b.example\r\n"),
        internal_date=1_799_990_000.0,
        flags=["\\Flagged"],
    )
    return server.wire(select="INBOX")


FOUND = [
    ("ALL", b" 1 2 3"),
    ("SEEN", b" 1"),
    ("UNSEEN", b" 2 3"),
    ("KEYWORD work", b" 1"),
    ("UNKEYWORD work", b" 2 3"),
    ("KEYWORD never", b""),
    ("FLAGGED UNSEEN", b" 3"),
    ("OR SEEN FLAGGED", b" 1 3"),
    ("NOT (OR SEEN FLAGGED)", b" 2"),
    ("NEW", b" 2 3"),
    ("SUBJECT invoice", b" 1 3"),
    ("HEADER Subject TWO", b" 3"),
    ("HEADER X-Thing blue", b" 3"),
    ('HEADER X-Thing ""', b" 3"),
    ("CC dan", b" 3"),
    ('CC ""', b" 1 2 3"),
    ("FROM carol", b" 1 2 3"),
    ("BODY whale", b" 1 3"),
    ("BODY blue", b" 1"),
    ("TEXT blue", b" 1 3"),
    ("BODY nowhere", b""),
    ("LARGER 1000", b" 2"),
    ("SMALLER 1000", b" 1 3"),
    ("SINCE 1-Jan-2027", b" 1 3"),
    ("BEFORE 1-Jan-2027", b" 2"),
    ("ON 14-Nov-2023", b" 2"),
    ("SENTON 15-Jan-2027", b" 1 2 3"),
    ("SENTBEFORE 15-Jan-2027", b""),
    ("2:*", b" 2 3"),
    ("UID 3:9", b" 3"),
    ("NOT 2", b" 1 3"),
    ("OLDER 86400", b" 2"),
    ("SAVEDATESUPPORTED", b" 1 2 3"),
    ("SUBJECT invoice NOT BODY blue", b" 3"),
]


def test_search_finds(server: Running) -> None:
    wire = wires(server)
    for key, found in FOUND:
        assert wire.ok(f"SEARCH {key}") == [b"* SEARCH" + found], key


def test_search_by_object_ids(server: Running) -> None:
    wire = wires(server)
    [line] = wire.ok("FETCH 2 (EMAILID THREADID)")
    words = line.decode().replace("(", "").replace(")", "").split()
    assert wire.ok(f"SEARCH EMAILID {words[4]}") == [b"* SEARCH 2"]
    assert wire.ok(f"UID SEARCH THREADID {words[6]}") == [b"* SEARCH 2"]


def test_extended_search_and_saved_results(server: Running) -> None:
    wire = wires(server)
    assert wire.ok("UID SEARCH RETURN (MIN MAX COUNT ALL) UNSEEN")[0].endswith(
        b") UID MIN 2 MAX 3 COUNT 2 ALL 2:3"
    )
    assert wire.ok("SEARCH RETURN () SEEN")[0].endswith(b") ALL 1")
    assert wire.ok("SEARCH RETURN (COUNT MIN) KEYWORD never")[0].endswith(b") COUNT 0")
    assert wire.ok("SEARCH RETURN (SAVE) UNSEEN") == []
    assert wire.ok("FETCH $ UID") == [b"* 2 FETCH (UID 2)", b"* 3 FETCH (UID 3)"]
    assert wire.ok("SEARCH $ FLAGGED") == [b"* SEARCH 3"]
    assert wire.ok("SEARCH RETURN (SAVE MIN) ALL")[0].endswith(b") MIN 1")
    assert wire.ok("UID FETCH $ UID") == [b"* 1 FETCH (UID 1)"]
    wire.ok("SEARCH RETURN (SAVE MIN MAX) ALL")
    assert [line[:3] for line in wire.ok("FETCH $ UID")] == [b"* 1", b"* 3"]
    wire.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
    wire.ok("EXPUNGE")
    assert [line[:3] for line in wire.ok("FETCH $ UID")] == [b"* 1"]
    wire.ok("SELECT INBOX")
    assert wire.ok("FETCH $ UID") == [], "it is empty again after SELECT"


def test_a_search_by_numbers_that_are_not_there(server: Running) -> None:
    assert wires(server).tagged("SEARCH 4").startswith(b"BAD ")


ORDERS = [
    ("SUBJECT", b" 2 1 3"),
    ("REVERSE SUBJECT", b" 3 1 2"),
    ("ARRIVAL", b" 2 1 3"),
    ("REVERSE SIZE", b" 2 3 1"),
    ("CC", b" 1 2 3"),
    ("REVERSE CC", b" 3 1 2"),
    ("FROM REVERSE ARRIVAL", b" 1 3 2"),
    ("DATE", b" 1 2 3"),
]


def test_sort_orders(server: Running) -> None:
    wire = wires(server)
    for criteria, order in ORDERS:
        assert wire.ok(f"SORT ({criteria}) UTF-8 ALL") == [b"* SORT" + order], criteria
        assert wire.ok(f"UID SORT ({criteria}) UTF-8 UNSEEN") == [
            b"* SORT" + b"".join(b" " + n for n in order.split() if n != b"1")
        ], criteria


def test_thread_builds_conversations(server: Running) -> None:
    def one(number: int, more: str, subject: str) -> bytes:
        return mail(subject, more=f"Message-ID: <{number}@b.example>\r\n{more}")

    server.put(
        one(1, "", "plans"),
        one(2, "References: <1@b.example>\r\n", "Re: plans"),
        one(3, "", "other"),
        one(4, "In-Reply-To: <2@b.example>\r\n", "Re: plans"),
        one(5, "References: <1@b.example>\r\n" + "X: y\r\n" * 10, "Re: plans"),
    )
    wire = server.wire(select="INBOX")
    assert wire.ok("THREAD REFERENCES UTF-8 ALL") == [b"* THREAD (1 (2 4)(5))(3)"]
    assert wire.ok("UID THREAD ORDEREDSUBJECT UTF-8 ALL") == [b"* THREAD (1 (2)(4)(5))(3)"]


def test_a_search_of_a_thousand_keys_stops_nobody(server: Running) -> None:
    server.put(*[mail(str(n)) for n in range(500)])
    slow, other = server.wire(select="INBOX"), server.wire()
    tag = slow.start("SEARCH " + " ".join(["NOT KEYWORD a", "UNSEEN", "LARGER 5"] * 400))
    assert other.tagged("NOOP").startswith(b"OK ")
    assert slow.finish(tag)[0].endswith(b" 499 500")


def test_what_others_expunge_during_a_search_does_not_shift_it(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put(mail("a"), mail("b"), flags=["\\Deleted"])
    server.put(mail("c"), flags=["\\Flagged"])
    server.put(mail("d"))
    wire = server.wire(select="INBOX")
    messages = server.store.messages
    text = messages.search_text

    async def expunging(mailbox_id: int, field: str, needle: str) -> list[int]:
        await messages.expunge(mailbox_id)
        return await text(mailbox_id, field, needle)

    monkeypatch.setattr(messages, "search_text", expunging)
    assert wire.ok("SEARCH OR SUBJECT c FLAGGED") == [b"* SEARCH 3"]
    assert wire.ok("NOOP") == [b"* 2 EXPUNGE", b"* 1 EXPUNGE"]

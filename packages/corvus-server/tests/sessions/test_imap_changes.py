"""STORE, APPEND, COPY, MOVE, EXPUNGE, and sessions that see each other's changes (R8, R9)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .running import Running, mail


def test_store_tells_what_stands_afterwards(server: Running) -> None:
    server.put(mail(), mail())
    wire = server.wire(select="INBOX")
    assert wire.ok("STORE 1:2 +FLAGS (\\Seen $Forwarded)") == [
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded)",
        b"* 1 FETCH (FLAGS (\\Seen $Forwarded \\Recent))",
        b"* 2 FETCH (FLAGS (\\Seen $Forwarded \\Recent))",
    ]
    assert wire.ok("STORE 1 -FLAGS.SILENT (\\Seen)") == []
    assert wire.ok("UID STORE 1:5 FLAGS (\\Answered)") == [
        b"* 1 FETCH (UID 1 FLAGS (\\Answered \\Recent))",
        b"* 2 FETCH (UID 2 FLAGS (\\Answered \\Recent))",
    ]
    assert wire.ok("STORE 1:* FLAGS ()") == [
        b"* 1 FETCH (FLAGS (\\Recent))",
        b"* 2 FETCH (FLAGS (\\Recent))",
    ]


def test_a_conditional_store_leaves_alone_what_changed(server: Running) -> None:
    server.put(mail(), mail())
    wire, other = server.wire(select="INBOX"), server.wire(select="INBOX")
    modseq = server.box().modseq
    other.ok("STORE 2 +FLAGS (\\Flagged)")
    lines = wire.cmd(f"STORE 1:2 (UNCHANGEDSINCE {modseq}) +FLAGS (\\Seen)")
    after = server.box().modseq
    assert lines == [
        b"* 1 FETCH (FLAGS (\\Seen \\Recent) MODSEQ (%d))" % after,
        b"* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ (%d))" % (after - 1),
        b"OK [MODIFIED 2] some had changed meanwhile",
    ]
    lines = wire.cmd(f"UID STORE 1:2 (UNCHANGEDSINCE {modseq}) +FLAGS.SILENT (\\Seen)")
    assert lines == [b"OK [MODIFIED 1:2] some had changed meanwhile"]


def test_a_store_that_changes_nothing_hides_nothing_of_others(server: Running) -> None:
    server.put(mail(), flags=["\\Seen"])
    wire, other = server.wire(select="INBOX"), server.wire(select="INBOX")
    other.ok("STORE 1 +FLAGS (\\Flagged)")
    # Nothing is changed by this; the MODSEQ it hears of is that of the other's change.
    assert wire.ok("STORE 1 +FLAGS.SILENT (\\Seen)") == [
        b"* 1 FETCH (UID 1 FLAGS (\\Seen \\Flagged \\Recent))"
    ]


def test_two_sessions_stay_consistent(server: Running) -> None:
    server.put(*[mail(str(n)) for n in range(1, 6)])
    one, two = server.wire(select="INBOX"), server.wire(select="INBOX")
    one.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)")
    assert one.ok("EXPUNGE") == [b"* 4 EXPUNGE", b"* 2 EXPUNGE"]
    server.put(mail("6"))
    # While numbers are in use nothing is renumbered (RFC 9051 §7.5.1), but what came in is told.
    told = two.cmd("FETCH 5 UID")
    assert told[0] == b"* 5 FETCH (UID 5)"
    assert b"* 6 EXISTS" in told
    assert not [line for line in told if b"EXPUNGE" in line and line.startswith(b"* ")]
    assert two.ok("NOOP") == [b"* 4 EXPUNGE", b"* 2 EXPUNGE"]
    assert two.ok("FETCH 1:* UID") == [
        b"* 1 FETCH (UID 1)", b"* 2 FETCH (UID 3)", b"* 3 FETCH (UID 5)", b"* 4 FETCH (UID 6)",
    ]  # fmt: skip
    assert one.ok("NOOP") == [b"* 4 EXISTS", b"* 4 RECENT"]
    assert one.ok("FETCH 1:* UID") == two.ok("FETCH 1:* UID")


def test_append_gives_uids_and_keeps_what_was_given(server: Running) -> None:
    wire = server.wire(select="INBOX")
    validity = server.box().uid_validity
    options = '(\\Seen $Work) "17-Jul-1996 02:44:25 -0700" '
    assert wire.append(mail("a"), options=options) == (
        b"OK [APPENDUID %d 1] APPEND completed" % validity
    )
    assert wire.ok("FETCH 1 (FLAGS INTERNALDATE)") == [
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Work)",
        b'* 1 FETCH (FLAGS (\\Seen $Work \\Recent) INTERNALDATE "17-Jul-1996 02:44:25 -0700")',
    ]
    assert wire.append(mail("b"), "nowhere").startswith(b"NO [TRYCREATE] ")
    assert wire.append(b"x" * (1 << 20) + b"y").startswith(b"NO [TOOBIG] ")
    assert wire.tagged("NOOP").startswith(b"OK ")


def test_append_with_a_literal_that_waits(server: Running) -> None:
    wire = server.wire()
    tag = wire.start(f"APPEND INBOX {{{len(mail())}}}")
    assert wire.response().startswith(b"+ ")
    wire.send(mail() + b"\r\n")
    assert wire.finish(tag)[-1].startswith(b"OK [APPENDUID ")
    tag = wire.start("APPEND nowhere {10}")
    assert wire.finish(tag)[-1].startswith(b"NO [TRYCREATE] ")


def test_several_messages_become_visible_together_or_not_at_all(server: Running) -> None:
    wire = server.wire(select="INBOX")
    one, two = mail("one"), mail("two" * 50_000)
    text = b"APPEND INBOX (\\Seen) {%d+}\r\n%b {%d+}\r\n%b" % (len(one), one, len(two), two)
    *untagged, tagged = wire.cmd(text)
    assert untagged[0] == b"* 2 EXISTS"
    assert tagged.startswith(b"OK [APPENDUID ")
    assert b" 1:2] " in tagged
    # The second is refused, so the first is not kept either.
    text = b"APPEND INBOX {%d+}\r\n%b {0+}\r\n" % (len(one), one)
    assert wire.tagged(text).startswith(b"NO ")
    assert wire.ok("NOOP") == []
    assert server.box().messages == 2
    # Nor is what was cut off.
    other = server.wire()
    other.send(b"x APPEND INBOX {%d+}\r\n%b {100+}\r\nhalf" % (len(one), one))
    other.close()
    assert wire.ok("NOOP") == []


def test_copy_and_move_say_where_everything_went(server: Running) -> None:
    server.put(mail("a"), mail("b"), mail("c"))
    wire = server.wire(select="INBOX")
    archive, trash = server.box("Archive").uid_validity, server.box("Trash").uid_validity
    assert wire.cmd("COPY 2:3 Archive") == [b"OK [COPYUID %d 2:3 1:2] COPY completed" % archive]
    assert wire.cmd("UID COPY 9 Archive") == [b"OK COPY completed"]
    assert wire.cmd("MOVE 1,3 Trash") == [
        b"* OK [COPYUID %d 1,3 1:2] moved" % trash,
        b"* 3 EXPUNGE",
        b"* 1 EXPUNGE",
        b"OK MOVE completed",
    ]
    assert wire.ok("FETCH 1:* UID") == [b"* 1 FETCH (UID 2)"]
    assert wire.cmd("UID COPY 2 INBOX")[0] == b"* 2 EXISTS"


def test_uid_expunge_spares_the_others(server: Running) -> None:
    server.put(*[mail() for _ in range(3)], flags=["\\Deleted"])
    wire = server.wire(select="INBOX")
    assert wire.ok("UID EXPUNGE 2:2") == [b"* 2 EXPUNGE"]
    assert wire.ok("CLOSE") == []
    assert server.box().messages == 0
    server.put(mail(), flags=["\\Deleted"])
    wire.ok("SELECT INBOX")
    wire.ok("UNSELECT")
    assert server.box().messages == 1
    wire.ok("EXAMINE INBOX")
    wire.ok("CLOSE")
    assert server.box().messages == 1


def test_condstore_tells_mod_sequences_from_the_first_use(server: Running) -> None:
    server.put(mail(), mail())
    wire, other = server.wire(), server.wire(select="INBOX")
    wire.ok("SELECT INBOX (CONDSTORE)")
    other.ok("STORE 2 +FLAGS (\\Seen)")
    modseq = server.box().modseq
    assert wire.ok("NOOP") == [b"* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (%d))" % modseq]
    assert wire.ok(f"FETCH 1:2 (FLAGS) (CHANGEDSINCE {modseq - 1})")[0].startswith(b"* 2 FETCH ")
    assert wire.ok(f"FETCH 1:2 (FLAGS) (CHANGEDSINCE {modseq})") == []
    assert wire.ok(f"SEARCH MODSEQ {modseq}") == [b"* SEARCH 2 (MODSEQ %d)" % modseq]


def test_qresync_tells_what_was_missed(server: Running) -> None:
    server.put(*[mail(str(n)) for n in range(1, 7)])
    known = server.box()
    other = server.wire(select="INBOX")
    other.ok("STORE 1,2,5 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    other.ok("UID STORE 4 +FLAGS.SILENT (\\Flagged)")
    modseq = server.box().modseq
    wire = server.wire()
    assert wire.tagged(f"SELECT INBOX (QRESYNC ({known.uid_validity} {known.modseq}))").startswith(
        b"BAD "
    )
    wire.ok("ENABLE QRESYNC")
    untagged = wire.ok(f"SELECT INBOX (QRESYNC ({known.uid_validity} {known.modseq} 1:4))")
    assert b"* VANISHED (EARLIER) 1:2" in untagged
    assert b"* 2 FETCH (UID 4 FLAGS (\\Flagged) MODSEQ (%d))" % modseq in untagged
    untagged = wire.ok(f"SELECT INBOX (QRESYNC ({known.uid_validity} {known.modseq}))")
    assert b"* VANISHED (EARLIER) 1:2,5" in untagged
    assert wire.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {known.modseq} VANISHED)") == [
        b"* VANISHED (EARLIER) 1:2,5",
        b"* 2 FETCH (UID 4 FLAGS (\\Flagged) MODSEQ (%d))" % modseq,
    ]
    other.ok("UID STORE 3 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    assert wire.ok("NOOP") == [b"* VANISHED 3"]
    wire.ok("UID STORE 4 +FLAGS.SILENT (\\Deleted)")
    lines = wire.cmd("EXPUNGE")
    assert lines == [
        b"* VANISHED 4",
        b"OK [HIGHESTMODSEQ %d] EXPUNGE completed" % server.box().modseq,
    ]
    untagged = wire.ok(f"SELECT INBOX (QRESYNC ({known.uid_validity + 1} {known.modseq}))")
    assert not [line for line in untagged if b"VANISHED" in line]


def test_one_append_behind_the_other_is_answered_in_order(server: Running) -> None:
    wire = server.wire(select="INBOX")
    text = b"".join(
        b"a%d APPEND %b {%d+}\r\n%b\r\n"
        % (n, b"nowhere" if n == 7 else b"INBOX", len(mail(str(n))), mail(str(n)))
        for n in range(20)
    )
    wire.send(text + b"b SEARCH SUBJECT 19\r\n")
    lines: list[bytes] = []
    while not (lines and lines[-1].startswith(b"b ")):
        lines.append(wire.response())
    tags = [line.split()[0] for line in lines if not line.startswith(b"*")]
    assert tags == [b"a%d" % n for n in range(20)] + [b"b"]
    [refused] = [line for line in lines if line.startswith(b"a7 ")]
    assert refused.startswith(b"a7 NO [TRYCREATE] ")
    assert lines[-2] == b"* SEARCH 19", "what comes behind them sees them all"
    assert [line for line in lines if b"EXISTS" in line][-1] == b"* 19 EXISTS"
    assert wire.ok("NOOP") == []


def test_qresync_beyond_the_horizon_compares_everything(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put(*[mail(str(n)) for n in range(1, 10)])
    box = server.box()
    other = server.wire(select="INBOX")
    other.ok("STORE 2,3,8 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    since = server.store.messages.changes_since
    # As after the tombstones were swept: what went is forgotten (R4).
    monkeypatch.setattr(
        server.store.messages,
        "changes_since",
        lambda mailbox, modseq: replace(since(mailbox, modseq), vanished=(), complete=False),
    )
    wire = server.wire()
    wire.ok("ENABLE QRESYNC")
    head = f"SELECT INBOX (QRESYNC ({box.uid_validity} {box.modseq}"
    assert b"* VANISHED (EARLIER) 2:3,8" in wire.ok(f"{head}))")
    assert b"* VANISHED (EARLIER) 2" in wire.ok(f"{head} 1:2))")
    # Client and server agree that the fourth has UID 6, so nothing below it is news (§3.2.5.2).
    assert b"* VANISHED (EARLIER) 8" in wire.ok(f"{head} 1:9 (1,4,6 1,6,7)))")
    assert wire.ok(f"UID FETCH 1:5 (FLAGS) (CHANGEDSINCE {box.modseq} VANISHED)") == [
        b"* VANISHED (EARLIER) 2:3"
    ]

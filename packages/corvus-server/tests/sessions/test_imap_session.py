"""Sign-in, small commands, IDLE, and the end of a session."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from corvus_server import tls
from corvus_server.sessions.imap.session import POLICY, UNREAD
from corvus_server.storage.protocols import Store

from .running import ALICE, PASSWORD, Running, Wire, mail


def test_the_greeting_names_the_host_and_what_is_offered(server: Running) -> None:
    greeting = server.wire(login=False).greeting
    assert greeting.startswith(b"* OK [CAPABILITY IMAP4rev1 IMAP4rev2 ")
    assert b" AUTH=PLAIN" in greeting
    assert greeting.endswith(b"] mail.corvus.local Corvus\r\n")


def test_a_wrong_password_is_refused_with_its_code(server: Running) -> None:
    wire = server.wire(login=False)
    assert wire.tagged(f"LOGIN {ALICE} wrong").startswith(b"NO [AUTHENTICATIONFAILED] ")
    assert wire.tagged("SELECT INBOX").startswith(b"BAD ")
    assert wire.tagged(f"LOGIN {ALICE} {PASSWORD}").startswith(b"OK [CAPABILITY ")


def test_authenticate_plain_with_and_without_an_initial_response(server: Running) -> None:
    secret = base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode()).decode()
    wire = server.wire(login=False)
    assert wire.tagged(f"AUTHENTICATE PLAIN {secret}").startswith(b"OK [CAPABILITY ")
    wire = server.wire(login=False)
    tag = wire.start("AUTHENTICATE PLAIN")
    assert wire.response() == b"+ "
    wire.send(f"{secret}\r\n")
    assert wire.finish(tag)[-1].startswith(b"OK ")
    wire = server.wire(login=False)
    tag = wire.start("AUTHENTICATE LOGIN")
    assert wire.response().startswith(b"+ ")
    wire.send("*\r\n")
    assert wire.finish(tag)[-1].startswith(b"BAD ")
    assert wire.tagged("NOOP").startswith(b"OK ")


def test_small_commands_answer(server: Running) -> None:
    wire = server.wire()
    assert wire.ok('ID ("name" "test")')[0].startswith(b'* ID ("name" "Corvus" "version" "')
    assert wire.ok("NAMESPACE") == [b'* NAMESPACE (("" "/")) NIL NIL']
    assert wire.ok("ENABLE CONDSTORE QRESYNC") == [b"* ENABLED CONDSTORE QRESYNC"]
    assert wire.ok("CAPABILITY")[0].startswith(b"* CAPABILITY IMAP4rev1 ")
    assert wire.ok("NOOP") == []
    assert wire.ok("LOGOUT") == [b"* BYE logging out"]
    assert wire.response() == b""


def test_idle_tells_at_once_what_happens(server: Running) -> None:
    wire = server.wire(select="INBOX")
    other = server.wire(select="INBOX")
    tag = wire.idle()
    other.append(mail())
    assert wire.response() == b"* 1 EXISTS"
    assert wire.response() == b"* 1 RECENT"
    other.ok("NOOP")
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert wire.response() == b"* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))"
    other.ok("EXPUNGE")
    assert wire.response() == b"* 1 EXPUNGE"
    assert wire.done(tag) == [b"OK IDLE completed"]


def test_idle_without_a_mailbox_waits_in_silence(server: Running) -> None:
    wire = server.wire()
    tag = wire.idle()
    server.put(mail())
    assert wire.done(tag) == [b"OK IDLE completed"]


def test_a_client_that_idles_and_does_not_read_hears_the_rest_as_one_piece_of_news(
    server: Running,
) -> None:
    server.put(*[mail(str(n)) for n in range(400)])
    wire, other = server.wire(select="INBOX", window=4096), server.wire(select="INBOX")
    tag = wire.idle()
    waiting = 0
    # Each of these is 18 KB of news; the system holds some megabytes of them unread.
    for _ in range(400):
        other.ok("STORE 1:* +FLAGS.SILENT (\\Flagged)")
        other.ok("STORE 1:* -FLAGS.SILENT (\\Flagged)")
        shells = [shell for _, shell in server.listeners.connections.values()]
        waiting = max(shell.transport.get_write_buffer_size() for shell in shells)
        if waiting > UNREAD:
            break
    assert waiting > UNREAD, "the system takes everything: nothing was shown"
    for _ in range(5):
        other.ok("STORE 1:* +FLAGS.SILENT (\\Flagged)")
        other.ok("STORE 1:* -FLAGS.SILENT (\\Flagged)")
    shells = [shell for _, shell in server.listeners.connections.values()]
    assert max(shell.transport.get_write_buffer_size() for shell in shells) < UNREAD + 20_000
    other.ok("STORE 1 +FLAGS.SILENT (\\Answered)")
    while wire.response() != b"* 1 FETCH (UID 1 FLAGS (\\Answered \\Recent))":
        pass
    assert wire.done(tag)[-1] == b"OK IDLE completed"


def test_a_mailbox_that_is_deleted_ends_the_sessions_of_others(server: Running) -> None:
    wire = server.wire()
    wire.ok("CREATE work")
    wire.ok("SELECT work")
    idler, other = server.wire(select="work"), server.wire(select="work")
    idler.idle()
    untagged = wire.ok("DELETE work")
    assert untagged == [b"* OK [CLOSED] the selected mailbox is no more"]
    assert wire.tagged("FETCH 1 FLAGS").startswith(b"NO [NONEXISTENT] ")
    assert wire.tagged("CLOSE").startswith(b"OK")
    assert wire.tagged("SELECT INBOX").startswith(b"OK")
    assert idler.response() == b"* BYE the selected mailbox was deleted"
    assert idler.response() == b""
    other.start("NOOP")
    assert other.response() == b"* BYE the selected mailbox was deleted"
    assert other.response() == b""


def test_starttls_comes_before_the_password(
    open_store: Callable[[], Store], tmp_path: Path
) -> None:
    certificate = tls.Certificate(
        *tls.ensure_certificate(tmp_path, "mail.corvus.local", now=1_700_000_000)
    )
    with Running(open_store, policy=POLICY, tls=certificate.context) as server:
        wire = server.wire(login=False)
        assert b" STARTTLS LOGINDISABLED" in wire.greeting
        assert wire.tagged(f"LOGIN {ALICE} {PASSWORD}").startswith(b"NO [PRIVACYREQUIRED] ")
        assert wire.tagged("STARTTLS").startswith(b"OK ")
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        wire.reader.close()
        wire.socket = context.wrap_socket(wire.socket)
        wire.reader = wire.socket.makefile("rb")
        assert b"LOGINDISABLED" not in wire.ok("CAPABILITY")[0]
        assert wire.tagged(f"LOGIN {ALICE} {PASSWORD}").startswith(b"OK ")


def test_compress_deflates_both_ways(server: Running) -> None:
    import zlib

    server.put(mail())
    wire = server.wire(select="INBOX")
    assert wire.tagged("COMPRESS DEFLATE").startswith(b"OK ")
    out, back = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)
    wire.send(out.compress(b"z NOOP\r\nz FETCH 1 RFC822.SIZE\r\n") + out.flush(zlib.Z_SYNC_FLUSH))
    text = b""
    while b"z OK FETCH" not in text:
        text += back.decompress(wire.socket.recv(4096))
    assert b"* 1 FETCH (RFC822.SIZE %d)\r\n" % len(mail()) in text


@pytest.mark.parametrize("command", ["SELECT nowhere", "EXAMINE nowhere"])
def test_a_select_that_fails_leaves_no_mailbox_selected(server: Running, command: str) -> None:
    wire = server.wire(select="INBOX")
    untagged, tagged = wire.cmd(command)
    assert untagged.startswith(b"* OK [CLOSED] ")
    assert tagged.startswith(b"NO [NONEXISTENT] ")
    assert wire.tagged("FETCH 1 FLAGS").startswith(b"BAD ")


def test_select_says_all_that_the_rfcs_want(server: Running) -> None:
    server.put(mail("a"), flags=["\\Seen", "work"])
    server.put(mail("b"))
    box = server.box()
    wire = server.wire()
    untagged = wire.cmd("SELECT INBOX")
    flags = b"\\Answered \\Flagged \\Deleted \\Seen \\Draft work"
    assert untagged == [
        b"* FLAGS (" + flags + b")",
        b"* 2 EXISTS",
        b"* 2 RECENT",
        b"* OK [UNSEEN 2] the first that was not seen",
        b"* OK [PERMANENTFLAGS (" + flags + b" \\*)] what can be set",
        b"* OK [UIDVALIDITY %d] UIDs are valid" % box.uid_validity,
        b"* OK [UIDNEXT 3] the next UID",
        b"* OK [HIGHESTMODSEQ %d] the highest so far" % box.modseq,
        b"* OK [MAILBOXID (%b)] its name may change, this does not" % box.object_id.encode(),
        b"OK [READ-WRITE] SELECT completed",
    ]
    assert wire.cmd("EXAMINE INBOX")[-1] == b"OK [READ-ONLY] EXAMINE completed"
    assert b"* 0 RECENT" in wire.cmd("SELECT INBOX"), "they were recent once"


def test_a_client_of_rev2_is_spoken_to_in_rev2(server: Running) -> None:
    server.put(mail())
    wire = server.wire()
    wire.ok("ENABLE IMAP4rev2")
    untagged = wire.cmd("SELECT INBOX")
    assert b'* LIST (\\HasNoChildren) "/" INBOX' in untagged
    assert not [line for line in untagged if b"RECENT" in line or b"UNSEEN" in line]
    assert wire.ok("FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS ())"]
    assert wire.ok("UID SEARCH ALL") == [b'* ESEARCH (TAG "t5") UID ALL 1']


def test_a_login_that_comes_in_pieces_is_whole(server: Running) -> None:
    wire = Wire(server.port)
    for octet in f"a LOGIN {ALICE} {{2}}\r\n".encode():
        wire.send(bytes([octet]))
    assert wire.response().startswith(b"+ ")
    wire.send(f"{PASSWORD}\r\n")
    assert wire.response().startswith(b"a OK ")
    wire.close()

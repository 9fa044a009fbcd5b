"""LIST and LSUB, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE, quota."""

from __future__ import annotations

import pytest

from .running import ALICE, Running, mail

STANDARD = [
    b'* LIST (\\HasNoChildren) "/" INBOX',
    b'* LIST (\\HasNoChildren \\Archive) "/" Archive',
    b'* LIST (\\HasNoChildren \\Drafts) "/" Drafts',
    b'* LIST (\\HasNoChildren \\Junk) "/" Junk',
    b'* LIST (\\HasNoChildren \\Sent) "/" Sent',
    b'* LIST (\\HasNoChildren \\Trash) "/" Trash',
]


def test_list_tells_every_mailbox_with_its_use(server: Running) -> None:
    wire = server.wire()
    assert wire.ok('LIST "" "*"') == STANDARD
    assert wire.ok('LIST "" ""') == [b'* LIST (\\Noselect) "/" ""']
    assert wire.ok('LIST (SPECIAL-USE) "" "*"') == STANDARD[1:]
    assert wire.ok('LIST "" (inbox "S%")') == [STANDARD[0], STANDARD[4]]


def test_list_tells_children_and_patterns_stop_at_levels(server: Running) -> None:
    wire = server.wire()
    wire.ok("CREATE a/b/c")
    assert b'* LIST (\\HasChildren) "/" a' in wire.ok('LIST "" %')
    assert wire.ok('LIST "" a/%') == [b'* LIST (\\HasChildren) "/" a/b']
    assert wire.ok('LIST a/b/ "*"') == [b'* LIST (\\HasNoChildren) "/" a/b/c']


def test_list_extended_follows_the_examples_of_rfc_5258(server: Running) -> None:
    wire = server.wire()
    for name in ("INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"):
        wire.ok(f"UNSUBSCRIBE {name}")
    for name in ("Fruit/Apple", "Fruit/Banana", "Tofu"):
        wire.ok(f"CREATE {name}")
    for name in ("Fruit", "Fruit/Apple", "Tofu"):
        wire.ok(f"UNSUBSCRIBE {name}")
    wire.ok("SUBSCRIBE Fruit/Banana")
    wire.ok("SUBSCRIBE Fruit/Peach")
    assert wire.ok('LIST (SUBSCRIBED) "" "*"') == [
        b'* LIST (\\HasNoChildren \\Subscribed) "/" Fruit/Banana',
        b'* LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" Fruit/Peach',
    ]
    # Example 8: the parent is told for what is below it, and not where the child is told itself.
    assert wire.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"') == [
        b'* LIST (\\HasChildren) "/" Fruit ("CHILDINFO" ("SUBSCRIBED"))'
    ]
    assert wire.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "*"') == [
        b'* LIST (\\HasNoChildren \\Subscribed) "/" Fruit/Banana',
        b'* LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" Fruit/Peach',
    ]
    wire.ok("SUBSCRIBE Fruit")
    assert wire.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"') == [
        b'* LIST (\\HasChildren \\Subscribed) "/" Fruit ("CHILDINFO" ("SUBSCRIBED"))'
    ]
    assert wire.ok('LIST "" "Fr%" RETURN (SUBSCRIBED)') == [
        b'* LIST (\\HasChildren \\Subscribed) "/" Fruit'
    ]
    assert wire.tagged('LIST (RECURSIVEMATCH) "" "*"').startswith(b"BAD ")


def test_lsub_tells_parents_that_are_not_subscribed_for_a_percent(server: Running) -> None:
    wire = server.wire()
    wire.ok("CREATE foo/bar")
    wire.ok("UNSUBSCRIBE foo")
    wire.ok("SUBSCRIBE foo/bar")
    assert wire.ok('LSUB "" foo/*') == [b'* LSUB () "/" foo/bar']
    assert b'* LSUB (\\Noselect) "/" foo' in wire.ok('LSUB "" "%"')


def test_status_tells_every_item(server: Running) -> None:
    server.put(mail("a"), flags=["\\Seen", "\\Deleted"])
    server.put(mail("b"))
    box = server.box()
    wire = server.wire()
    size = len(mail("a"))
    items = (
        "MESSAGES UNSEEN UIDNEXT UIDVALIDITY HIGHESTMODSEQ SIZE DELETED DELETED-STORAGE MAILBOXID"
        " APPENDLIMIT RECENT"
    )
    assert wire.ok(f"STATUS INBOX ({items})") == [
        f"* STATUS INBOX (MESSAGES 2 UNSEEN 1 UIDNEXT 3 UIDVALIDITY {box.uid_validity}"
        f" HIGHESTMODSEQ {box.modseq} SIZE {2 * size} DELETED 1 DELETED-STORAGE {size}"
        f" MAILBOXID ({box.object_id}) APPENDLIMIT 1048576 RECENT 0)".encode()
    ]
    listed = wire.ok('LIST "" INBOX RETURN (STATUS (MESSAGES DELETED-STORAGE))')
    assert listed == [
        STANDARD[0],
        f"* STATUS INBOX (MESSAGES 2 DELETED-STORAGE {size})".encode(),
    ]
    assert wire.tagged("STATUS nowhere (MESSAGES)").startswith(b"NO [NONEXISTENT] ")


def test_create_rename_delete(server: Running) -> None:
    wire = server.wire()
    made = wire.tagged("CREATE work/")
    assert made.startswith(b"OK [MAILBOXID (F")
    assert wire.tagged("CREATE work").startswith(b"NO [ALREADYEXISTS] ")
    assert wire.tagged("CREATE INBOX").startswith(b"NO [ALREADYEXISTS] ")
    assert wire.tagged("CREATE a//b").startswith(b"NO [CANNOT] ")
    validity = server.box("work").uid_validity
    wire.ok("RENAME work play")
    assert server.box("play").uid_validity == validity
    assert wire.tagged("RENAME work other").startswith(b"NO [NONEXISTENT] ")
    assert wire.tagged("RENAME play Sent").startswith(b"NO [ALREADYEXISTS] ")
    assert wire.tagged("DELETE INBOX").startswith(b"NO [CANNOT] ")
    assert wire.tagged("DELETE nowhere").startswith(b"NO [NONEXISTENT] ")
    wire.ok("DELETE play")
    assert wire.ok('LIST "" play') == []


def test_create_with_a_special_use(server: Running) -> None:
    wire = server.wire()
    assert wire.tagged("CREATE x (USE (\\Sent))").startswith(b"NO [USEATTR] ")
    assert wire.tagged("CREATE x (USE (\\All))").startswith(b"NO [USEATTR] ")
    wire.ok("DELETE Archive")
    wire.ok("CREATE Keep (USE (\\Archive))")
    assert wire.ok('LIST "" Keep') == [b'* LIST (\\HasNoChildren \\Archive) "/" Keep']


def test_names_in_other_scripts_come_back_as_they_were(server: Running) -> None:
    wire = server.wire()
    wire.ok("CREATE Entw&APw-rfe")
    assert wire.ok('LIST "" Ent*') == [b'* LIST (\\HasNoChildren) "/" Entw&APw-rfe']
    wire.ok("ENABLE UTF8=ACCEPT")
    assert wire.ok('LIST "" Ent*') == ['* LIST (\\HasNoChildren) "/" "Entwürfe"'.encode()]
    assert server.box("Entwürfe").messages == 0


def test_renaming_the_inbox_leaves_an_empty_one_and_tells_it(server: Running) -> None:
    server.put(mail())
    wire = server.wire(select="INBOX")
    assert wire.ok("RENAME INBOX old") == [b"* 1 EXPUNGE"]
    assert b"* 1 EXISTS" in wire.ok("SELECT old")


def test_quota_is_that_of_the_account(server: Running) -> None:
    wire = server.wire()
    assert wire.ok("GETQUOTAROOT INBOX") == [b'* QUOTAROOT INBOX ""', b'* QUOTA "" ()']
    account = server.store.directory.account(ALICE)
    assert account is not None
    server.call(server.store.directory.update_account(account.id, quota=10 * 1024))
    server.put(mail("x" * 1500))
    assert wire.ok('GETQUOTA ""') == [b'* QUOTA "" (STORAGE 2 10)']
    assert wire.tagged("GETQUOTA other").startswith(b"NO [NONEXISTENT] ")
    assert wire.tagged("GETQUOTAROOT nowhere").startswith(b"NO [NONEXISTENT] ")
    big = mail("x", "y" * 9000)
    assert wire.append(big).startswith(b"NO [OVERQUOTA] ")
    assert wire.tagged("NOOP").startswith(b"OK ")


@pytest.mark.parametrize("command", ["COPY 1 nowhere", "MOVE 1 nowhere"])
def test_a_target_that_is_not_there_may_be_created(server: Running, command: str) -> None:
    server.put(mail())
    wire = server.wire(select="INBOX")
    assert wire.tagged(command).startswith(b"NO [TRYCREATE] ")

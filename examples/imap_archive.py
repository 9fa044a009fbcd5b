"""A read-only archive of .eml files: what it answers; imap_asyncio.py and imap_threads.py carry it."""

from datetime import UTC, datetime
from pathlib import Path

import corvus_imap as imap
from corvus_imap import FetchAttribute, MessageFacts, codes, commands, responses
from corvus_imap.render import render_date_time

POLICY = imap.Policy(("IMAP4rev1", "IDLE", "UNSELECT"), mechanisms=(), require_tls=False)


class Archive:
    """The files of a folder; the position by name is the UID."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob("*.eml"))
        self.view = imap.MailboxView(imap.Snapshot(range(1, len(self.files) + 1)))

    def talk(self, conn: imap.ServerConnection) -> bool:
        """Answer everything that has come; false when the connection is over."""
        try:
            while (event := conn.next_event()) is not imap.NEED_DATA:
                if event == imap.ConnectionEnded():
                    return False
                self.answer(conn, event)
        except imap.ProtocolError:
            return False  # its goodbye is in data_to_send
        return True

    def answer(self, conn: imap.ServerConnection, event: object) -> None:
        match event:
            case imap.CommandReceived(command=commands.Select()):
                conn.send(responses.Flags(()), responses.Exists(len(self.files)))
                conn.send(responses.Condition(responses.Kind.OK, "", codes.uid_validity(1)))
                conn.ok("READ-ONLY")
            case imap.CommandReceived(command=commands.List()):
                conn.send(responses.List("INBOX"))
                conn.ok()
            case imap.CommandReceived(command=commands.Search(key)):
                matcher = imap.Matcher(key, now=datetime.now(UTC), view=self.view)
                found = [uid for uid in self.view.uids if matcher(self.facts(uid), self.raw(uid))]
                conn.send(responses.Search(tuple(found)))
                conn.ok()
            case imap.CommandReceived(command=commands.Fetch(messages, items, uid=by_uid)):
                wanted = dict.fromkeys([FetchAttribute.UID, *items] if by_uid else items)
                for number, uid in self.view.resolve(messages, uid=by_uid):
                    told = [self.told(uid, item) for item in wanted]
                    conn.send_raw(b"* %d FETCH (%b)\r\n" % (number, b" ".join(told)))
                conn.ok()
            case imap.AppendOffered() | imap.CommandReceived(command=commands.Store()):
                conn.no("NOPERM", "this is an archive")
            case imap.CommandReceived() | imap.IdleDone():
                conn.accept()

    def raw(self, uid: int) -> bytes:
        return self.files[uid - 1].read_bytes()

    def facts(self, uid: int) -> MessageFacts:
        stat = self.files[uid - 1].stat()
        date = datetime.fromtimestamp(stat.st_mtime, UTC)
        return MessageFacts(uid=uid, number=uid, flags=(), internal_date=date, size=stat.st_size)

    def told(self, uid: int, item: imap.FetchItem) -> bytes:
        match item:
            case imap.BodySection(section, partial=partial):
                return item.label + b" " + imap.section(self.raw(uid), section, partial)
            case FetchAttribute.ENVELOPE:
                return b"ENVELOPE " + imap.envelope(self.raw(uid))
            case FetchAttribute.BODY | FetchAttribute.BODYSTRUCTURE:
                extended = item is FetchAttribute.BODYSTRUCTURE
                return bytes(item) + b" " + imap.bodystructure(self.raw(uid), extended=extended)
            case FetchAttribute.INTERNALDATE:
                return b"INTERNALDATE " + render_date_time(self.facts(uid).internal_date)
            case FetchAttribute.RFC822_SIZE:
                return b"RFC822.SIZE %d" % self.facts(uid).size
            case FetchAttribute.UID | FetchAttribute.FLAGS:
                return b"UID %d" % uid if item is FetchAttribute.UID else b"FLAGS ()"
            case _:  # RFC822, RFC822.HEADER, RFC822.TEXT: names of RFC 3501 for sections
                return bytes(item) + b" " + imap.section(self.raw(uid), bytes(item)[7:])

"""Commands onto the wire, for a client: the inverse of ``parse_command.py``.

A command is pieces: between two of them the client waits for ``+``, because the first one ends in a
synchronizing literal's head.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final

from corvus_imap import commands as c
from corvus_imap.codec.parse_search import CHARSETS
from corvus_imap.codec.render import render_date_time
from corvus_imap.extensions.compress import Compress
from corvus_imap.extensions.id import Id
from corvus_imap.extensions.quota import GetQuota, GetQuotaRoot, SetQuota
from corvus_imap.extensions.sort import Sort, Thread
from corvus_imap.types import search as s
from corvus_imap.types.atoms import ASTRING, ATOM, is_atom, quoted
from corvus_imap.types.base64 import encode_base64
from corvus_imap.types.flags import ANSWERED, DELETED, DRAFT, FLAGGED, RECENT, SEEN, flag_list
from corvus_imap.types.listing import ListReturn
from corvus_imap.types.mailbox import check_name, encode_utf7
from corvus_imap.types.status import StatusItem

_MONTHS: Final = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]


class Writer:
    """Collects a command; knows how this server takes literals."""

    __slots__ = ("_charset", "_nonsync", "_now", "_utf8", "pieces")

    def __init__(self, *, utf8: bool = False, nonsync: int = 0) -> None:
        self.pieces: list[bytes] = []
        self._now = bytearray()
        self._utf8 = utf8
        self._nonsync = nonsync
        self._charset = "utf-8"

    def put(self, octets: bytes) -> None:
        self._now += octets

    def literal(self, octets: bytes) -> None:
        """A literal; a new piece behind its head if the server must agree first."""
        if len(octets) <= self._nonsync:
            self._now += b"{%d+}\r\n%b" % (len(octets), octets)
            return
        self._now += b"{%d}\r\n" % len(octets)
        self.pieces.append(bytes(self._now))
        self._now = bytearray(octets)

    def string(self, octets: bytes) -> None:
        if b"\0" in octets:
            raise ValueError("NUL stands in no string")
        if len(octets) > 1000 or b"\r" in octets or b"\n" in octets:
            self.literal(octets)
        elif octets.isascii():
            self.put(quoted(octets))
        else:
            self._eight_bit(octets)

    def _eight_bit(self, octets: bytes) -> None:
        if self._utf8:
            try:
                octets.decode("utf-8")
            except UnicodeDecodeError:
                pass
            else:
                escaped = octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
                self.put(b'"' + escaped + b'"')
                return
        self.literal(octets)

    def astring(self, octets: bytes) -> None:
        if ASTRING.fullmatch(octets) and octets.upper() != b"NIL":
            self.put(octets)
        else:
            self.string(octets)

    def text(self, text: str) -> None:
        self.astring(text.encode("utf-8"))

    def atom(self, text: str) -> None:
        octets = text.encode("ascii")
        if not ATOM.fullmatch(octets):
            raise ValueError(f"not an atom: {text!r}")
        self.put(octets)

    def mailbox(self, name: str) -> None:
        check_name(name)
        self.astring(name.encode("utf-8") if self._utf8 else encode_utf7(name))

    def so_far(self) -> list[bytes]:
        return [*self.pieces, bytes(self._now)]

    def finish(self) -> list[bytes]:
        self.put(b"\r\n")
        return self.so_far()

    # Search keys.

    def charset(self, name: str | None) -> None:
        codec = CHARSETS.get((name or "UTF-8").upper())
        if codec is None:
            raise ValueError(f"the charset is not known here: {name!r}")
        self._charset = codec

    def search_text(self, text: str) -> None:
        self.astring(text.encode(self._charset))

    def key(self, key: s.SearchKey) -> None:
        match key:
            case s.All():
                self.put(b"ALL")
            case s.HasFlag(flag):
                self.put(_HAS.get(flag) or b"KEYWORD " + bytes(flag))
            case s.LacksFlag(flag):
                self.put(_LACKS.get(flag) or b"UNKEYWORD " + bytes(flag))
            case s.TextKey(field, text):
                self.put(field.value.encode("ascii") + b" ")
                self.search_text(text)
            case s.HeaderKey(name, text):
                self.put(b"HEADER ")
                self.text(name)
                self.put(b" ")
                self.search_text(text)
            case s.DateKey(field, relation, day):
                self.put(f"{field.value}{relation.value} ".encode("ascii") + _date(day))
            case s.Older(seconds):
                self.put(b"OLDER %d" % seconds)
            case s.Younger(seconds):
                self.put(b"YOUNGER %d" % seconds)
            case s.Larger(octets):
                self.put(b"LARGER %d" % octets)
            case s.Smaller(octets):
                self.put(b"SMALLER %d" % octets)
            case s.Sequence(messages):
                self.put(bytes(messages))
            case s.Uid(messages):
                self.put(b"UID " + bytes(messages))
            case s.ModSeq(value, flag, scope):
                entry = b""
                if flag is not None:
                    entry = quoted(b"/flags/" + bytes(flag)) + b" %b " % scope.encode("ascii")
                self.put(b"MODSEQ %b%d" % (entry, value))
            case s.EmailId(value):
                self.put(b"EMAILID ")
                self.atom(value)
            case s.ThreadId(value):
                self.put(b"THREADID ")
                self.atom(value)
            case s.SaveDateSupported():
                self.put(b"SAVEDATESUPPORTED")
            case s.Not(inner):
                self.put(b"NOT ")
                self.key(inner)
            case s.Or(one, other):
                self.put(b"OR ")
                self.key(one)
                self.put(b" ")
                self.key(other)
            case s.And(keys):
                self.put(b"(")
                for index, inner in enumerate(keys):
                    self.put(b" " if index else b"")
                    self.key(inner)
                self.put(b")")


_HAS: Final = {
    ANSWERED: b"ANSWERED",
    DELETED: b"DELETED",
    DRAFT: b"DRAFT",
    FLAGGED: b"FLAGGED",
    RECENT: b"RECENT",
    SEEN: b"SEEN",
}
_LACKS: Final = {flag: b"OLD" if flag is RECENT else b"UN" + word for flag, word in _HAS.items()}


def _date(day: date) -> bytes:
    return b"%d-%b-%04d" % (day.day, _MONTHS[day.month - 1].encode("ascii"), day.year)


def _returns(w: Writer, returns: frozenset[s.SearchReturn] | None) -> None:
    if returns is not None:
        words = [option.value for option in s.SearchReturn if option in returns]
        w.put(b" RETURN (" + " ".join(words).encode("ascii") + b")")


def _authenticate(w: Writer, x: c.Authenticate) -> None:
    w.put(b" ")
    w.atom(x.mechanism)
    if x.initial is not None:
        w.put(b" " + (encode_base64(x.initial.reveal()) or b"="))


def _login(w: Writer, x: c.Login) -> None:
    w.put(b" ")
    w.text(x.user)
    w.put(b" ")
    w.astring(x.password.reveal())


def _enable(w: Writer, x: c.Enable) -> None:
    for name in x.capabilities:
        w.put(b" ")
        w.atom(name)


def _select(w: Writer, x: c.Select) -> None:
    w.put(b" ")
    w.mailbox(x.mailbox)
    params = [b"CONDSTORE"] if x.condstore else []
    if x.qresync is not None:
        words = [b"%d %d" % (x.qresync.uid_validity, x.qresync.modseq)]
        if x.qresync.known_uids is not None:
            words.append(bytes(x.qresync.known_uids))
        if x.qresync.known_numbers is not None:
            words.append(b"(%b %b)" % tuple([bytes(known) for known in x.qresync.known_numbers]))
        params.append(b"QRESYNC (%b)" % b" ".join(words))
    if params:
        w.put(b" (" + b" ".join(params) + b")")


def _create(w: Writer, x: c.Create) -> None:
    w.put(b" ")
    w.mailbox(x.mailbox)
    if x.use:
        w.put(b" (USE " + flag_list(x.use) + b")")


def _one_mailbox(w: Writer, x: c.Delete | c.Subscribe | c.Unsubscribe | GetQuotaRoot) -> None:
    w.put(b" ")
    w.mailbox(x.mailbox)


def _rename(w: Writer, x: c.Rename) -> None:
    w.put(b" ")
    w.mailbox(x.mailbox)
    w.put(b" ")
    w.mailbox(x.new)


def _items(items: tuple[StatusItem, ...]) -> bytes:
    return b"(" + " ".join([item.value for item in items]).encode("ascii") + b")"


def _list(w: Writer, x: c.List) -> None:
    if x.select:
        w.put(
            b" (" + " ".join(sorted([option.value for option in x.select])).encode("ascii") + b")"
        )
    elif x.extended and len(x.patterns) == 1 and not x.returns and not x.status:
        w.put(b" ()")
    w.put(b" ")
    w.mailbox(x.reference)
    w.put(b" (" if len(x.patterns) > 1 else b" ")
    for index, pattern in enumerate(x.patterns):
        w.put(b" " if index else b"")
        # A pattern stands in quotes: "*" and "%" are no atom-chars.
        w.mailbox(pattern)
    w.put(b")" if len(x.patterns) > 1 else b"")
    returns = [option.value.encode("ascii") for option in ListReturn if option in x.returns]
    if x.status:
        returns.append(b"STATUS " + _items(x.status))
    if returns:
        w.put(b" RETURN (" + b" ".join(returns) + b")")


def _lsub(w: Writer, x: c.Lsub) -> None:
    w.put(b" ")
    w.mailbox(x.reference)
    w.put(b" ")
    w.mailbox(x.pattern)


def _status(w: Writer, x: c.Status) -> None:
    w.put(b" ")
    w.mailbox(x.mailbox)
    w.put(b" " + _items(x.items))


def _expunge(w: Writer, x: c.Expunge) -> None:
    if x.uids is not None:
        w.put(b" " + bytes(x.uids))


def _search(w: Writer, x: c.Search) -> None:
    _returns(w, x.returns)
    w.charset(x.charset)
    if x.charset is not None:
        w.put(b" CHARSET ")
        w.text(x.charset)
    w.put(b" ")
    w.key(x.key)


def _fetch(w: Writer, x: c.Fetch) -> None:
    items = b" ".join([bytes(item) for item in x.items])
    w.put(b" %b (%b)" % (bytes(x.messages), items))
    if x.changed_since is not None:
        vanished = b" VANISHED" if x.vanished else b""
        w.put(b" (CHANGEDSINCE %d%b)" % (x.changed_since, vanished))


def _store(w: Writer, x: c.Store) -> None:
    w.put(b" " + bytes(x.messages))
    if x.unchanged_since is not None:
        w.put(b" (UNCHANGEDSINCE %d)" % x.unchanged_since)
    silent = b".SILENT" if x.silent else b""
    w.put(b" %bFLAGS%b " % (x.action.value.encode("ascii"), silent) + flag_list(x.flags))


def _copy(w: Writer, x: c.Copy | c.Move) -> None:
    w.put(b" " + bytes(x.messages) + b" ")
    w.mailbox(x.mailbox)


def _id(w: Writer, x: Id) -> None:
    if not x.pairs:
        w.put(b" NIL")
        return
    for index, (name, value) in enumerate(x.pairs):
        w.put(b" " if index else b" (")
        w.string(name.encode("utf-8"))
        w.put(b" ")
        if value is None:
            w.put(b"NIL")
        else:
            w.string(value.encode("utf-8"))
    w.put(b")")


def _sort(w: Writer, x: Sort) -> None:
    _returns(w, x.returns)
    criteria = [f"REVERSE {k.field.value}" if k.reverse else k.field.value for k in x.criteria]
    w.put(b" (" + " ".join(criteria).encode("ascii") + b") ")
    w.charset(x.charset)
    w.text(x.charset)
    w.put(b" ")
    w.key(x.key)


def _thread(w: Writer, x: Thread) -> None:
    w.put(b" " + x.algorithm.value.encode("ascii") + b" ")
    w.charset(x.charset)
    w.text(x.charset)
    w.put(b" ")
    w.key(x.key)


def _get_quota(w: Writer, x: GetQuota) -> None:
    w.put(b" ")
    w.text(x.root)


def _set_quota(w: Writer, x: SetQuota) -> None:
    w.put(b" ")
    w.text(x.root)
    w.put(b" (")
    for index, (name, limit) in enumerate(x.limits):
        w.put(b" " if index else b"")
        w.atom(name)
        w.put(b" %d" % limit)
    w.put(b")")


def _compress(w: Writer, x: Compress) -> None:
    w.put(b" ")
    w.atom(x.algorithm)


def _nothing(w: Writer, x: object) -> None:
    pass


_ARGUMENTS: Final[dict[type, Callable[[Writer, Any], None]]] = {
    c.Capability: _nothing,
    c.Noop: _nothing,
    c.Logout: _nothing,
    c.StartTLS: _nothing,
    c.Authenticate: _authenticate,
    c.Login: _login,
    c.Enable: _enable,
    c.Select: _select,
    c.Create: _create,
    c.Delete: _one_mailbox,
    c.Rename: _rename,
    c.Subscribe: _one_mailbox,
    c.Unsubscribe: _one_mailbox,
    c.List: _list,
    c.Lsub: _lsub,
    c.Namespace: _nothing,
    c.Status: _status,
    c.Idle: _nothing,
    c.Check: _nothing,
    c.Close: _nothing,
    c.Unselect: _nothing,
    c.Expunge: _expunge,
    c.Search: _search,
    c.Fetch: _fetch,
    c.Store: _store,
    c.Copy: _copy,
    c.Move: _copy,
    Id: _id,
    Sort: _sort,
    Thread: _thread,
    GetQuota: _get_quota,
    GetQuotaRoot: _one_mailbox,
    SetQuota: _set_quota,
    Compress: _compress,
}


def _verb(command: c.Command) -> bytes:
    if isinstance(command, c.Select):
        return b"EXAMINE" if command.read_only else b"SELECT"
    name = type(command).__name__.upper().encode("ascii")
    by_uid = getattr(command, "uid", False) or getattr(command, "uids", None) is not None
    return b"UID " + name if by_uid else name


def serialize_command(
    tag: str, command: c.Command, *, utf8: bool = False, nonsync: int = 0
) -> list[bytes]:
    """
    *command* as the pieces that are sent, each after the server's ``+`` for the one before.

    >>> serialize_command("a1", c.Login("alice", c.Secret(b"a\\nb")))
    [b'a1 LOGIN alice {3}\\r\\n', b'a\\nb\\r\\n']

    Args:
        utf8: UTF8=ACCEPT or IMAP4rev2 has been enabled.
        nonsync: How long a literal may be that is sent without waiting (LITERAL+, LITERAL-).

    Raises:
        ValueError: A value that no command can hold.
    """
    octets = tag.encode("ascii")
    if not is_atom(octets) or b"+" in octets:
        raise ValueError(f"not a tag: {tag!r}")
    writer = Writer(utf8=utf8, nonsync=nonsync)
    writer.put(octets + b" " + _verb(command))
    _ARGUMENTS[type(command)](writer, command)
    return writer.finish()


def serialize_append_head(
    tag: str,
    mailbox: str,
    flags: tuple[str, ...],
    moment: datetime | None,
    *,
    utf8: bool,
    nonsync: int,
) -> list[bytes]:
    """APPEND as pieces, up to where the head of the message's literal comes."""
    writer = Writer(utf8=utf8, nonsync=nonsync)
    writer.put(tag.encode("ascii") + b" APPEND ")
    writer.mailbox(mailbox)
    if flags:
        writer.put(b" " + flag_list(flags))
    if moment is not None:
        writer.put(b" " + render_date_time(moment))
    writer.put(b" ")
    return writer.so_far()

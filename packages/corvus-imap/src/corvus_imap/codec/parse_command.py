"""Commands: one function per verb, in the order of RFC 9051 §6, each with its production above it.

APPEND is not here but in ``append.py``: its message is never part of what is parsed.
"""

from __future__ import annotations

import re
from typing import Any, Final

from corvus_imap import commands as c
from corvus_imap.codec._lexer import Cursor
from corvus_imap.codec.grammar import Grammar
from corvus_imap.codec.parse_fetch import parse_fetch_items
from corvus_imap.codec.parse_search import parse_search
from corvus_imap.errors import ParseError
from corvus_imap.extensions._extension import FieldParser, VerbParser
from corvus_imap.types.atoms import TAG, Secret
from corvus_imap.types.base64 import decode_base64
from corvus_imap.types.listing import ListReturn, ListSelect
from corvus_imap.types.status import StatusItem

_VERB: Final = re.compile(rb" ([A-Za-z0-9\-]+)")


def _nothing(command: c.Command) -> VerbParser:
    return lambda cursor, uid: command


def _params(cursor: Cursor, table: dict[bytes, FieldParser], what: str) -> dict[str, Any]:
    """``SP "(" param *(SP param) ")"``, if it comes next (RFC 4466 §2.1)."""
    fields: dict[str, Any] = {}
    if not cursor.skip(b" ("):
        return fields
    while True:
        parse = table.get(cursor.word(what))
        if parse is None:
            raise ParseError(f"no such {what}")
        for name, value in parse(cursor).items():
            # "Only a single "UNCHANGEDSINCE" may be specified" (RFC 7162 §7), and so for all.
            if name in fields:
                raise ParseError(f"the same {what} twice")
            fields[name] = value
        if not cursor.list_rest():
            return fields


# Not authenticated (RFC 9051 §6.2)


def _authenticate(cursor: Cursor, uid: bool) -> c.Authenticate:
    #   authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp] *(CRLF base64)
    #   initial-resp = (base64 / "=")
    cursor.sp()
    mechanism = cursor.atom("a SASL mechanism").decode("ascii").upper()
    if not cursor.skip(b" "):
        return c.Authenticate(mechanism)
    text = cursor.data[cursor.pos :]
    cursor.pos = len(cursor.data)
    # "=" is the initial response that is there and empty (RFC 4959 §3).
    if text == b"=":
        return c.Authenticate(mechanism, Secret(b""))
    try:
        initial = decode_base64(text)
    except ValueError:
        raise ParseError("the initial response is not base64") from None
    if not initial:
        raise ParseError("an initial response is not empty")
    return c.Authenticate(mechanism, Secret(initial))


def _login(cursor: Cursor, uid: bool) -> c.Login:
    #   login = "LOGIN" SP userid SP password
    cursor.sp()
    user = cursor.text("a user name")
    cursor.sp()
    return c.Login(user, Secret(cursor.astring("a password")))


# Authenticated (§6.3)


def _enable(cursor: Cursor, uid: bool) -> c.Enable:
    #   enable = "ENABLE" 1*(SP capability)
    names: list[str] = []
    while not names or not cursor.at_end:
        cursor.sp()
        names.append(cursor.atom("a capability").decode("ascii"))
    return c.Enable(tuple(names))


def _select(cursor: Cursor, uid: bool) -> c.Select:
    #   select = "SELECT" SP mailbox [select-params]                     ; RFC 4466 §6
    cursor.sp()
    mailbox = cursor.mailbox()
    return c.Select(mailbox, **_params(cursor, cursor.grammar.select_params, "SELECT parameter"))


def _examine(cursor: Cursor, uid: bool) -> c.Select:
    cursor.sp()
    mailbox = cursor.mailbox()
    fields = _params(cursor, cursor.grammar.select_params, "SELECT parameter")
    return c.Select(mailbox, read_only=True, **fields)


def _create(cursor: Cursor, uid: bool) -> c.Create:
    #   create = "CREATE" SP mailbox [create-params]
    cursor.sp()
    mailbox = cursor.mailbox()
    return c.Create(mailbox, **_params(cursor, cursor.grammar.create_params, "CREATE parameter"))


def _rename(cursor: Cursor, uid: bool) -> c.Rename:
    cursor.sp()
    mailbox = cursor.mailbox()
    cursor.sp()
    return c.Rename(mailbox, cursor.mailbox())


def _one_mailbox(kind: type[c.Delete] | type[c.Subscribe] | type[c.Unsubscribe]) -> VerbParser:
    def parse(cursor: Cursor, uid: bool) -> c.Command:
        cursor.sp()
        return kind(cursor.mailbox())

    return parse


def _status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    #   "(" status-att *(SP status-att) ")"
    cursor.need(b"(", "STATUS items")
    items: list[StatusItem] = []
    while True:
        word = cursor.word("a STATUS item")
        item = _STATUS_ITEMS.get(word) or cursor.grammar.status_items.get(word)
        if item is None:
            raise ParseError("no such STATUS item")
        if item not in items:
            items.append(item)
        if not cursor.list_rest():
            return tuple(items)


def _append(cursor: Cursor, uid: bool) -> c.Command:
    # A whole APPEND never comes here: its messages stream.
    raise ParseError("APPEND needs a mailbox and a literal")


def _list_select(cursor: Cursor) -> frozenset[ListSelect]:
    #   list-select-opts = "(" [...] ")"
    selects: set[ListSelect] = set()
    if cursor.skip(b")"):
        return frozenset()
    while True:
        option = cursor.grammar.list_selects.get(cursor.word("a LIST selection option"))
        if option is None:
            raise ParseError("no such LIST selection option")
        selects.add(option)
        if not cursor.list_rest():
            break
    # "The RECURSIVEMATCH option MUST NOT occur as the only selection option (or only with REMOTE)",
    # and "The server MUST return BAD" (RFC 5258 §3.1).
    if ListSelect.RECURSIVEMATCH in selects and not selects & {
        ListSelect.SUBSCRIBED,
        ListSelect.SPECIAL_USE,
    }:
        raise ParseError("RECURSIVEMATCH needs another selection option")
    return frozenset(selects)


def _list_returns(cursor: Cursor) -> tuple[frozenset[ListReturn], tuple[StatusItem, ...]]:
    #   list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"
    returns: set[ListReturn] = set()
    status: tuple[StatusItem, ...] = ()
    if cursor.skip(b")"):
        return frozenset(), status
    while True:
        word = cursor.word("a LIST return option")
        if word == b"STATUS" and cursor.grammar.offers("LIST-STATUS"):
            #   status-option = "STATUS" SP "(" status-att *(SP status-att) ")"
            cursor.sp()
            status = _status_items(cursor)
        elif word in cursor.grammar.list_returns:
            returns.add(cursor.grammar.list_returns[word])
        else:
            raise ParseError("no such LIST return option")
        if not cursor.list_rest():
            return frozenset(returns), status


def _list(cursor: Cursor, uid: bool) -> c.List:
    #   list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
    #   mbox-or-pat = list-mailbox / patterns ; patterns = "(" list-mailbox *(SP list-mailbox) ")"
    cursor.sp()
    extensible = cursor.grammar.offers("LIST-EXTENDED")
    select: frozenset[ListSelect] = frozenset()
    extended = extensible and cursor.skip(b"(")
    if extended:
        select = _list_select(cursor)
        cursor.sp()
    reference = cursor.mailbox()
    cursor.sp()
    if extensible and cursor.skip(b"("):
        extended = True
        patterns = [cursor.pattern()]
        while cursor.list_rest():
            patterns.append(cursor.pattern())
            if len(patterns) > cursor.grammar.limits.patterns:
                raise ParseError("too many patterns", code=b"LIMIT")
    else:
        patterns = [cursor.pattern()]
    returns: frozenset[ListReturn] = frozenset()
    status: tuple[StatusItem, ...] = ()
    if extensible and cursor.data[cursor.pos : cursor.pos + 9].upper() == b" RETURN (":
        cursor.pos += 9
        extended = True
        returns, status = _list_returns(cursor)
    return c.List(reference, tuple(patterns), select, returns, status, extended)


def _lsub(cursor: Cursor, uid: bool) -> c.Lsub:
    #   lsub = "LSUB" SP mailbox SP list-mailbox                         ; RFC 3501 §9
    cursor.sp()
    reference = cursor.mailbox()
    cursor.sp()
    return c.Lsub(reference, cursor.pattern())


def _status(cursor: Cursor, uid: bool) -> c.Status:
    #   status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
    cursor.sp()
    mailbox = cursor.mailbox()
    cursor.sp()
    return c.Status(mailbox, _status_items(cursor))


# Selected (§6.4)


def _expunge(cursor: Cursor, uid: bool) -> c.Expunge:
    #   uid-expunge = "EXPUNGE" SP sequence-set
    if not uid:
        return c.Expunge()
    cursor.sp()
    return c.Expunge(cursor.messages())


def _search(cursor: Cursor, uid: bool) -> c.Search:
    #   search = "SEARCH" [search-return-opts] SP search-program
    cursor.sp()
    key, returns, charset = parse_search(cursor)
    return c.Search(key, returns, uid, charset)


def _fetch(cursor: Cursor, uid: bool) -> c.Fetch:
    #   fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att /
    #           "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers]      ; RFC 4466 §6
    cursor.sp()
    messages = cursor.messages()
    cursor.sp()
    rest = cursor.data[cursor.pos :]
    items = cursor.grammar.remembered_items(rest)
    if items is not None:
        cursor.pos += len(rest)
        return c.Fetch(messages, items, uid)
    items = parse_fetch_items(cursor)
    if cursor.at_end:
        cursor.grammar.remember_items(rest, items)
        return c.Fetch(messages, items, uid)
    fields = _params(cursor, cursor.grammar.fetch_modifiers, "FETCH modifier")
    # "If the VANISHED UID FETCH modifier is used without the CHANGEDSINCE UID FETCH modifier, the
    # server MUST respond with a tagged BAD response" (RFC 7162 §3.2.6).
    if "vanished" in fields and not (uid and "changed_since" in fields):
        raise ParseError("VANISHED needs UID FETCH and CHANGEDSINCE")
    return c.Fetch(messages, items, uid, **fields)


_STORE_ITEM: Final = re.compile(rb"([+-]?)FLAGS(\.SILENT)? ", re.IGNORECASE)
_ACTIONS: Final = {action.value.encode("ascii"): action for action in c.StoreAction}


def _store(cursor: Cursor, uid: bool) -> c.Store:
    #   store = "STORE" SP sequence-set [store-modifiers] SP store-att-flags
    #   store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
    cursor.sp()
    messages = cursor.messages()
    fields = _params(cursor, cursor.grammar.store_modifiers, "STORE modifier")
    cursor.sp()
    found = _STORE_ITEM.match(cursor.data, cursor.pos)
    if not found:
        raise ParseError("FLAGS expected")
    cursor.pos = found.end()
    if cursor.at(b"("):
        flags = cursor.flag_list()
    else:
        given = [cursor.flag()]
        while cursor.skip(b" "):
            given.append(cursor.flag())
        flags = cursor.checked_flags(given)
    return c.Store(messages, _ACTIONS[found[1]], flags, found[2] is not None, uid, **fields)


def _copy(kind: type[c.Copy] | type[c.Move]) -> VerbParser:
    def parse(cursor: Cursor, uid: bool) -> c.Command:
        #   copy = "COPY" SP sequence-set SP mailbox ; move likewise (RFC 6851 §5)
        cursor.sp()
        messages = cursor.messages()
        cursor.sp()
        return kind(messages, cursor.mailbox(), uid)

    return parse


_STATUS_ITEMS: Final = {
    item.value.encode("ascii"): item
    for item in (
        StatusItem.APPENDLIMIT,
        StatusItem.DELETED,
        StatusItem.MESSAGES,
        StatusItem.RECENT,
        StatusItem.SIZE,
        StatusItem.UIDNEXT,
        StatusItem.UIDVALIDITY,
        StatusItem.UNSEEN,
    )
}

_VERBS: Final[dict[bytes, VerbParser]] = {
    b"APPEND": _append,
    b"AUTHENTICATE": _authenticate,
    b"CAPABILITY": _nothing(c.Capability()),
    b"CHECK": _nothing(c.Check()),
    b"CLOSE": _nothing(c.Close()),
    b"COPY": _copy(c.Copy),
    b"CREATE": _create,
    b"DELETE": _one_mailbox(c.Delete),
    b"ENABLE": _enable,
    b"EXAMINE": _examine,
    b"EXPUNGE": _expunge,
    b"FETCH": _fetch,
    b"IDLE": _nothing(c.Idle()),
    b"LIST": _list,
    b"LOGIN": _login,
    b"LOGOUT": _nothing(c.Logout()),
    b"LSUB": _lsub,
    b"MOVE": _copy(c.Move),
    b"NAMESPACE": _nothing(c.Namespace()),
    b"NOOP": _nothing(c.Noop()),
    b"RENAME": _rename,
    b"SEARCH": _search,
    b"SELECT": _select,
    b"STARTTLS": _nothing(c.StartTLS()),
    b"STATUS": _status,
    b"STORE": _store,
    b"SUBSCRIBE": _one_mailbox(c.Subscribe),
    b"UNSELECT": _nothing(c.Unselect()),
    b"UNSUBSCRIBE": _one_mailbox(c.Unsubscribe),
}
#: Verbs of the base grammar that are there only with a capability.
_BEHIND: Final = {
    b"ENABLE": "ENABLE",
    b"IDLE": "IDLE",
    b"MOVE": "MOVE",
    b"NAMESPACE": "NAMESPACE",
    b"UNSELECT": "UNSELECT",
}
_UID_VERBS: Final[dict[bytes, VerbParser]] = {
    b"COPY": _VERBS[b"COPY"],
    b"EXPUNGE": _expunge,
    b"FETCH": _fetch,
    b"MOVE": _VERBS[b"MOVE"],
    b"SEARCH": _search,
    b"STORE": _store,
}
_UID_BEHIND: Final = {b"EXPUNGE": "UIDPLUS", b"MOVE": "MOVE"}


def read_tag(message: bytes, *, whole: bool = True) -> bytes | None:
    """
    The tag at the beginning of *message*, or ``None`` where there is none that ends.

    Args:
        whole: Nothing follows *message*, so that a tag may end with it.
    """
    found = TAG.match(message)
    if not found:
        return None
    behind = message[found.end() : found.end() + 1]
    return found[0] if behind == b" " or (whole and not behind) else None


def parse_command(
    message: bytes, grammar: Grammar, *, utf8: bool = False
) -> tuple[bytes, c.Command]:
    """
    The tag and the command that *message* is.

    Args:
        message: One whole command: literals in place, the last CRLF gone.
        utf8: UTF8=ACCEPT or IMAP4rev2 has been enabled.

    Raises:
        ParseError: With the tag if it could be read, and a code if the answer is NO and not BAD.
    """
    tag = read_tag(message)
    if tag is None or len(tag) > grammar.limits.tag:
        raise ParseError("a tag expected")
    try:
        return tag, _command(message, len(tag), grammar, utf8)
    except ParseError as error:
        error.tag = tag
        raise


def _command(message: bytes, pos: int, grammar: Grammar, utf8: bool) -> c.Command:
    #   command = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF
    found = _VERB.match(message, pos)
    if not found:
        raise ParseError("a command expected")
    verb = found[1].upper()
    pos = found.end()
    uid = verb == b"UID"
    if uid:
        #   uid = "UID" SP (copy / move / fetch / search / store / uid-expunge)
        found = _VERB.match(message, pos)
        if not found:
            raise ParseError("a command expected behind UID")
        verb = found[1].upper()
        pos = found.end()
        parse = _UID_VERBS.get(verb) or grammar.uid_verbs.get(verb)
        behind = _UID_BEHIND.get(verb)
    else:
        parse = _VERBS.get(verb) or grammar.verbs.get(verb)
        behind = _BEHIND.get(verb)
    if parse is None or (behind is not None and not grammar.offers(behind)):
        raise ParseError("unknown command")
    cursor = Cursor(message, grammar, pos=pos, utf8=utf8)
    command: c.Command = parse(cursor, uid)
    cursor.end()
    return command

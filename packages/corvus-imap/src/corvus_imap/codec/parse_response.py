"""Responses, for a client: the inverse of ``render.py`` (RFC 9051 §7, §9 response-data).

A client meets servers of thirty years.  What is not understood is a `Unknown`, never an error:
"The client MUST be prepared to accept any response at all times" (RFC 9051 §7).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from corvus_imap import responses as r
from corvus_imap.codec._lexer import Cursor
from corvus_imap.codec.parse_structure import parse_body, parse_envelope
from corvus_imap.errors import ParseError
from corvus_imap.types.atoms import TAG
from corvus_imap.types.codes import Code
from corvus_imap.types.fetch import MAX_NUMBER64
from corvus_imap.types.flags import Flag
from corvus_imap.types.status import StatusItem

_KINDS: Final = {kind.value.encode("ascii"): kind for kind in r.Kind}
_FLAG: Final = re.compile(rb"\\?\*|\\?[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
_ATTRIBUTE: Final = re.compile(rb"\\?[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
#   a FETCH item, up to its value
_ITEM: Final = re.compile(rb"[A-Za-z0-9.\-]+(?:\[[^\]\r\n\x00]*\](?:<[0-9]+>)?)?")
_WORD: Final = re.compile(rb"[^\x00-\x20\x7f-\xff()\[\]]+")
_CODE: Final = re.compile(rb"\[([^\]\r\n\x00]*)\] ?")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _condition(cursor: Cursor, kind: r.Kind, tag: str | None) -> r.Condition:
    #   resp-text = ["[" resp-text-code "]" SP] [text]
    cursor.skip(b" ")
    code = None
    found = _CODE.match(cursor.data, cursor.pos)
    if found:
        try:
            code = Code.parse(found[1])
        except ValueError:
            pass
        else:
            cursor.pos = found.end()
    text = _text(cursor.data[cursor.pos :])
    cursor.pos = len(cursor.data)
    return r.Condition(kind, text, code, tag)


def _names(cursor: Cursor) -> tuple[str, ...]:
    names: list[str] = []
    while cursor.skip(b" "):
        # Some servers put a space at the end of the list.
        if not cursor.at_end:
            names.append(_text(cursor._take(_WORD, "a capability")))
    return tuple(names)


def _flag_list(cursor: Cursor) -> tuple[Flag, ...]:
    cursor.need(b"(", "a list of flags")
    flags: list[Flag] = []
    if cursor.skip(b")"):
        return ()
    while True:
        flags.append(Flag(cursor._take(_FLAG, "a flag")))
        if not cursor.list_rest():
            return tuple(flags)


def _numbers(cursor: Cursor) -> tuple[tuple[int, ...], int | None]:
    #   "SEARCH" [1*(SP nz-number) [SP "(" "MODSEQ" SP mod-sequence-value ")"]]
    numbers: list[int] = []
    modseq = None
    while cursor.skip(b" "):
        if cursor.skip(b"("):
            cursor.word()
            cursor.sp()
            modseq = cursor.modseq()
            cursor.need(b")", "a closing parenthesis")
        elif not cursor.at_end:
            numbers.append(cursor.number())
    return tuple(numbers), modseq


def _search(cursor: Cursor) -> r.Response:
    return r.Search(*_numbers(cursor))


def _sort(cursor: Cursor) -> r.Response:
    return r.Sort(*_numbers(cursor))


def _esearch(cursor: Cursor) -> r.Response:
    tag = None
    uid = False
    told: dict[str, int] = {}
    found = None
    while cursor.skip(b" "):
        if cursor.skip(b"("):
            cursor.word()
            cursor.sp()
            tag = _text(cursor.astring())
            cursor.need(b")", "a closing parenthesis")
            continue
        word = cursor.word()
        if word == b"UID":
            uid = True
        elif word == b"ALL":
            cursor.sp()
            found = cursor.known_messages()
        elif word in (b"MIN", b"MAX", b"COUNT", b"MODSEQ"):
            cursor.sp()
            told[word.decode("ascii").lower()] = cursor.modseq()
        else:
            raise ParseError("an unknown ESEARCH item")
    return r.ESearch(tag, uid, all=found, **told)


def _thread(cursor: Cursor) -> r.Response:
    #   thread-data = "THREAD" [SP 1*thread-list]                         ; RFC 5256 §5
    cursor.skip(b" ")
    threads: list[r.ThreadNode] = []
    while cursor.at(b"("):
        threads.append(_thread_list(cursor))
        cursor.skip(b" ")
    return r.Thread(tuple(threads))


def _thread_list(cursor: Cursor) -> r.ThreadNode:
    # A chain "1 2 3" is three levels: built from its end, so that length is no depth.
    cursor.need(b"(", "a thread")
    cursor.nest()
    chain: list[int] = []
    children: list[r.ThreadNode] = []
    while not cursor.skip(b")"):
        if cursor.at(b"("):
            children.append(_thread_list(cursor))
            cursor.skip(b" ")
        else:
            if children:
                raise ParseError("a number behind a nested thread")
            chain.append(cursor.number(least=1))
            cursor.skip(b" ")
    cursor.unnest()
    if not chain:
        return r.ThreadNode(None, tuple(children))
    node = r.ThreadNode(chain.pop(), tuple(children))
    while chain:
        node = r.ThreadNode(chain.pop(), (node,))
    return node


def _mailbox_list(cursor: Cursor) -> tuple[tuple[str, ...], str | None, str]:
    #   mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox
    cursor.sp()
    cursor.need(b"(", "attributes")
    attributes: list[str] = []
    if not cursor.skip(b")"):
        while True:
            attributes.append(_text(cursor._take(_ATTRIBUTE, "an attribute")))
            if not cursor.list_rest():
                break
    cursor.sp()
    delimiter = cursor.nstring()
    cursor.spaces()
    return tuple(attributes), None if delimiter is None else _text(delimiter), cursor.mailbox()


def _skip_value(cursor: Cursor) -> None:
    """A tagged-ext-val that means nothing to us (RFC 4466 §3): a word, or balanced parentheses."""
    depth = 0
    while True:
        if cursor.skip(b"("):
            depth += 1
            continue
        if not cursor.at(b")"):
            cursor.astring()
        while depth and cursor.skip(b")"):
            depth -= 1
        if not depth:
            return
        cursor.skip(b" ")


def _list(cursor: Cursor) -> r.Response:
    attributes, delimiter, mailbox = _mailbox_list(cursor)
    child_info: list[str] = []
    old_name = None
    if cursor.skip(b" ("):
        while True:
            label = cursor.astring().upper()
            cursor.sp()
            if label not in (b"CHILDINFO", b"OLDNAME"):
                _skip_value(cursor)
            elif not cursor.skip(b"("):
                raise ParseError("a list expected")
            elif label == b"CHILDINFO":
                child_info.append(_text(cursor.astring()))
                while cursor.list_rest():
                    child_info.append(_text(cursor.astring()))
            else:
                old_name = cursor.mailbox()
                cursor.need(b")", "a closing parenthesis")
            if not cursor.list_rest():
                break
    return r.List(mailbox, delimiter, attributes, tuple(child_info), old_name)


def _lsub(cursor: Cursor) -> r.Response:
    attributes, delimiter, mailbox = _mailbox_list(cursor)
    return r.Lsub(mailbox, delimiter, attributes)


def _status(cursor: Cursor) -> r.Response:
    cursor.sp()
    mailbox = cursor.mailbox()
    cursor.sp()
    cursor.need(b"(", "STATUS items")
    items: list[tuple[StatusItem, int | str | None]] = []
    if cursor.skip(b")"):
        return r.Status(mailbox, ())
    while True:
        try:
            item = StatusItem(_text(cursor.word()))
        except ValueError:
            raise ParseError("an unknown STATUS item") from None
        cursor.sp()
        value: int | str | None
        if cursor.skip(b"("):
            value = _text(cursor.astring())
            cursor.need(b")", "a closing parenthesis")
        elif cursor.data[cursor.pos : cursor.pos + 3].upper() == b"NIL":
            cursor.pos += 3
            value = None
        else:
            value = cursor.number(MAX_NUMBER64)
        items.append((item, value))
        if not cursor.list_rest():
            # Exchange sends a space in front of CRLF.
            cursor.skip(b" ")
            return r.Status(mailbox, tuple(items))


def _namespaces(cursor: Cursor) -> tuple[tuple[str, str | None], ...]:
    cursor.spaces()
    if not cursor.skip(b"("):
        if cursor.nstring() is not None:
            raise ParseError("a list or NIL expected")
        return ()
    names: list[tuple[str, str | None]] = []
    while cursor.skip(b"("):
        prefix = cursor.mailbox()
        cursor.sp()
        delimiter = cursor.nstring()
        # Namespace-Response-Extension = SP string SP "(" string *(SP string) ")"
        while cursor.skip(b" "):
            cursor.string()
            cursor.sp()
            cursor.need(b"(", "a list")
            cursor.string()
            while cursor.list_rest():
                cursor.string()
        cursor.need(b")", "a closing parenthesis")
        names.append((prefix, None if delimiter is None else _text(delimiter)))
        cursor.skip(b" ")
    cursor.need(b")", "a closing parenthesis")
    return tuple(names)


def _namespace(cursor: Cursor) -> r.Response:
    return r.Namespace(_namespaces(cursor), _namespaces(cursor), _namespaces(cursor))


def _vanished(cursor: Cursor) -> r.Response:
    cursor.sp()
    earlier = cursor.data[cursor.pos : cursor.pos + 10].upper() == b"(EARLIER) "
    if earlier:
        cursor.pos += 10
    return r.Vanished(cursor.known_messages(), earlier)


def _id(cursor: Cursor) -> r.Response:
    cursor.sp()
    if not cursor.skip(b"("):
        cursor.nstring()
        return r.Id()
    pairs: list[tuple[str, str | None]] = []
    if cursor.skip(b")"):
        return r.Id()
    while True:
        name = _text(cursor.string())
        cursor.sp()
        value = cursor.nstring()
        pairs.append((name, None if value is None else _text(value)))
        if not cursor.list_rest():
            return r.Id(tuple(pairs))


def _quota(cursor: Cursor) -> r.Response:
    cursor.sp()
    root = cursor.text()
    cursor.sp()
    cursor.need(b"(", "resources")
    resources: list[tuple[str, int, int]] = []
    if cursor.skip(b")"):
        return r.Quota(root)
    while True:
        name = _text(cursor.atom())
        cursor.sp()
        usage = cursor.number(MAX_NUMBER64)
        cursor.sp()
        resources.append((name, usage, cursor.number(MAX_NUMBER64)))
        if not cursor.list_rest():
            return r.Quota(root, tuple(resources))


def _quota_root(cursor: Cursor) -> r.Response:
    cursor.sp()
    mailbox = cursor.mailbox()
    roots: list[str] = []
    while cursor.skip(b" "):
        roots.append(cursor.text())
    return r.QuotaRoot(mailbox, tuple(roots))


def _flags(cursor: Cursor) -> r.Response:
    cursor.sp()
    return r.Flags(_flag_list(cursor))


_UNTAGGED: Final[dict[bytes, Callable[[Cursor], r.Response]]] = {
    b"CAPABILITY": lambda cursor: r.Capability(_names(cursor)),
    b"ENABLED": lambda cursor: r.Enabled(_names(cursor)),
    b"ESEARCH": _esearch,
    b"FLAGS": _flags,
    b"ID": _id,
    b"LIST": _list,
    b"LSUB": _lsub,
    b"NAMESPACE": _namespace,
    b"QUOTA": _quota,
    b"QUOTAROOT": _quota_root,
    b"SEARCH": _search,
    b"SORT": _sort,
    b"STATUS": _status,
    b"THREAD": _thread,
    b"VANISHED": _vanished,
}


def _in_parentheses(cursor: Cursor) -> str | None:
    #   fetch-threadid-resp = "THREADID" SP ( "(" objectid ")" / nil )
    if not cursor.skip(b"("):
        if cursor.nstring() is not None:
            raise ParseError("an object id or NIL expected")
        return None
    value = _text(cursor.atom())
    cursor.need(b")", "a closing parenthesis")
    return value


def _fetch_value(cursor: Cursor, item: str) -> r.FetchValue:
    match item:
        case "UID" | "RFC822.SIZE":
            return cursor.number(MAX_NUMBER64)
        case "FLAGS":
            return _flag_list(cursor)
        case "INTERNALDATE":
            return cursor.date_time()
        case "SAVEDATE":
            return cursor.date_time() if cursor.at(b'"') else cursor.nstring()
        case "ENVELOPE":
            return parse_envelope(cursor)
        case "BODY" | "BODYSTRUCTURE":
            return parse_body(cursor)
        case "MODSEQ":
            cursor.need(b"(", "a mod-sequence")
            value = cursor.modseq()
            cursor.need(b")", "a closing parenthesis")
            return value
        case "EMAILID" | "THREADID":
            return _in_parentheses(cursor)
        case "PREVIEW":
            octets = cursor.nstring()
            return None if octets is None else _text(octets)
    if item.startswith("BINARY.SIZE["):
        return cursor.number(MAX_NUMBER64)
    if item.startswith(("BODY[", "BINARY[", "RFC822")):
        if cursor.at(b"~{") or cursor.at(b"{"):
            return cursor.literal(octets_too=True)
        return cursor.nstring()
    raise ParseError("an unknown FETCH item")


def _fetch(cursor: Cursor, number: int) -> r.Response:
    #   msg-att = "(" (msg-att-dynamic / msg-att-static) *(SP ...) ")"
    cursor.sp()
    cursor.need(b"(", "FETCH items")
    items: list[tuple[str, r.FetchValue]] = []
    if cursor.skip(b")"):
        return r.Fetch(number, ())
    while True:
        label = _text(cursor._take(_ITEM, "a FETCH item"))
        name, bracket, rest = label.partition("[")
        label = name.upper() + bracket + rest
        cursor.sp()
        items.append((label, _fetch_value(cursor, label)))
        if not cursor.list_rest():
            return r.Fetch(number, tuple(items))


def _numbered(cursor: Cursor) -> r.Response:
    number = cursor.number()
    cursor.sp()
    word = cursor.word()
    if word == b"EXISTS":
        return r.Exists(number)
    if word == b"RECENT":
        return r.Recent(number)
    if word == b"EXPUNGE":
        return r.Expunge(number)
    if word == b"FETCH":
        return _fetch(cursor, number)
    raise ParseError("an unknown message response")


def _untagged(cursor: Cursor) -> r.Response:
    if cursor.data[cursor.pos : cursor.pos + 1].isdigit():
        return _numbered(cursor)
    word = cursor.word()
    kind = _KINDS.get(word)
    if kind is not None:
        return _condition(cursor, kind, None)
    parse = _UNTAGGED.get(word)
    if parse is None:
        raise ParseError("an unknown response")
    return parse(cursor)


def parse_response(message: bytes, cursor: Cursor) -> r.Response | r.Unknown:
    """
    The response that *message* is.

    Args:
        message: One whole response: literals in place, the last CRLF gone.
        cursor: A cursor over it, which knows the limits and whether UTF-8 was enabled.

    Returns:
        What it says; `responses.Unknown` where it is not understood.

    Raises:
        ParseError: A tagged line that is no status response, or no response at all: the server
            and we are out of step.
    """
    if cursor.skip(b"+"):
        cursor.skip(b" ")
        return r.Continuation(message[cursor.pos :])
    if not cursor.skip(b"* "):
        #   response-tagged = tag SP resp-cond-state CRLF
        found = TAG.match(message)
        if not found:
            raise ParseError("neither a tag, nor *, nor +")
        cursor.pos = found.end()
        cursor.sp()
        kind = _KINDS.get(cursor.word("a status"))
        if kind not in (r.Kind.OK, r.Kind.NO, r.Kind.BAD):
            raise ParseError("a tagged response is OK, NO or BAD")
        return _condition(cursor, kind, found[0].decode("ascii"))
    try:
        response = _untagged(cursor)
        cursor.end()
    except (ParseError, ValueError):
        return r.Unknown(message)
    return response

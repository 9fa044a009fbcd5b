"""Responses onto the wire: one function per response, each with its production above it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from corvus_imap import responses as r
from corvus_imap.codec.render_structure import render_body, render_envelope
from corvus_imap.types.atoms import ATOM, TAG, astring, nstring, quoted, string
from corvus_imap.types.flags import flag_list
from corvus_imap.types.mailbox import encode_mailbox
from corvus_imap.types.structure import BodyStructure, Envelope

_NOT_TEXT: Final = re.compile(rb"[\x00\r\n]")
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
#   mbx-list-flags: "\" atom
_ATTRIBUTE: Final = re.compile(r"\\[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|}~]+")
#   what a FETCH item may be called: an atom, or one with a section and an origin octet
_ITEM: Final = re.compile(r"[A-Z0-9.]+(?:\[[^\x00\r\n\]]*\](?:<[0-9]+>)?)?", re.IGNORECASE)


def render_date_time(moment: datetime) -> bytes:
    """
    *moment* as INTERNALDATE tells it.

    >>> from datetime import timezone
    >>> render_date_time(datetime(1996, 7, 7, 2, 44, 25, tzinfo=timezone(timedelta(hours=-7))))
    b'" 7-Jul-1996 02:44:25 -0700"'

    Raises:
        ValueError: It has no time zone.
    """
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("an IMAP date has a time zone")
    sign = "-" if offset < timedelta(0) else "+"
    minutes = abs(offset) // timedelta(minutes=1)
    return (
        f'"{moment.day:2d}-{_MONTHS[moment.month - 1]}-{moment.year:04d} '
        f'{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d} {sign}{minutes // 60:02d}{minutes % 60:02d}"'
    ).encode("ascii")


def _text(text: str, utf8: bool) -> bytes:
    # "text = 1*(TEXT-CHAR / UTF8-2 / UTF8-3 / UTF8-4) ; Non-ASCII text can only be returned after
    # ENABLE IMAP4rev2 command" (RFC 9051 §9).
    octets = text.encode("utf-8") if utf8 else text.encode("ascii", "replace")
    if _NOT_TEXT.search(octets):
        raise ValueError("the text of a response is one line")
    return octets


def _atom(name: str) -> bytes:
    octets = name.encode("ascii")
    if not ATOM.fullmatch(octets):
        raise ValueError(f"not an atom: {name!r}")
    return octets


def _condition(response: r.Condition, utf8: bool) -> bytes:
    #   response-tagged = tag SP resp-cond-state CRLF
    #   resp-text = ["[" resp-text-code "]" SP] [text]
    tag = b"*" if response.tag is None else response.tag.encode("ascii")
    if response.tag is not None and not TAG.fullmatch(tag):
        raise ValueError(f"not a tag: {response.tag!r}")
    text = _text(response.text, utf8)
    if response.code is not None:
        text = b"[%b] %b" % (bytes(response.code), text)
    elif text.startswith(b"["):
        # A text may not be taken for a code.
        text = b"." + text
    # "text" is not empty in RFC 3501, and clients split at the second space.
    return b"%b %b %b\r\n" % (tag, response.kind.value.encode("ascii"), text or b".")


def _continuation(response: r.Continuation, utf8: bool) -> bytes:
    #   continue-req = "+" SP (resp-text / base64) CRLF
    if _NOT_TEXT.search(response.text):
        raise ValueError("a continuation is one line")
    return b"+ %b\r\n" % response.text


def _capability(response: r.Capability, utf8: bool) -> bytes:
    return b"* CAPABILITY %b\r\n" % b" ".join([_atom(name) for name in response.names])


def _enabled(response: r.Enabled, utf8: bool) -> bytes:
    #   enable-data = "ENABLED" *(SP capability)
    return b"* ENABLED%b\r\n" % b"".join([b" " + _atom(name) for name in response.names])


def _flags(response: r.Flags, utf8: bool) -> bytes:
    return b"* FLAGS %b\r\n" % flag_list(response.flags)


def _exists(response: r.Exists, utf8: bool) -> bytes:
    return b"* %d EXISTS\r\n" % response.count


def _recent(response: r.Recent, utf8: bool) -> bytes:
    return b"* %d RECENT\r\n" % response.count


def _expunge(response: r.Expunge, utf8: bool) -> bytes:
    return b"* %d EXPUNGE\r\n" % response.number


def _vanished(response: r.Vanished, utf8: bool) -> bytes:
    #   expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids
    earlier = b" (EARLIER)" if response.earlier else b""
    return b"* VANISHED%b %b\r\n" % (earlier, bytes(response.uids))


def _numbers(name: bytes, response: r.Search | r.Sort) -> bytes:
    #   mailbox-data =/ "SEARCH" [1*(SP nz-number) SP search-sort-mod-seq]
    #   search-sort-mod-seq = "(" "MODSEQ" SP mod-sequence-value ")"
    numbers = b"".join([b" %d" % number for number in response.numbers])
    modseq = b""
    if response.modseq is not None and response.numbers:
        modseq = b" (MODSEQ %d)" % response.modseq
    return b"* %b%b%b\r\n" % (name, numbers, modseq)


def _esearch(response: r.ESearch, utf8: bool) -> bytes:
    #   esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)
    #   search-correlator = SP "(" "TAG" SP tag-string ")"
    words = [b"* ESEARCH"]
    if response.tag is not None:
        words.append(b"(TAG %b)" % quoted(response.tag.encode("ascii")))
    if response.uid:
        words.append(b"UID")
    for name, number in (("MIN", response.min), ("MAX", response.max), ("COUNT", response.count)):
        if number is not None:
            words.append(b"%b %d" % (name.encode("ascii"), number))
    if response.all is not None:
        words.append(b"ALL " + bytes(response.all))
    if response.modseq is not None:
        words.append(b"MODSEQ %d" % response.modseq)
    return b" ".join(words) + b"\r\n"


def _thread(response: r.Thread, utf8: bool) -> bytes:
    #   thread-data    = "THREAD" [SP 1*thread-list]                     ; RFC 5256 §5
    #   thread-list    = "(" (thread-members / thread-nested) ")"
    #   thread-members = nz-number *(SP nz-number) [SP thread-nested]
    #   thread-nested  = 2*thread-list
    out: list[bytes] = []
    # A thread can be as deep as it is long: no recursion.
    stack: list[r.ThreadNode | bytes] = []
    for thread in reversed(response.threads):
        stack += (b")", thread, b"(")
    while stack:
        top = stack.pop()
        if isinstance(top, bytes):
            out.append(top)
            continue
        if top.number is not None:
            out.append(b"%d" % top.number)
        if len(top.children) == 1:
            if top.number is not None:
                out.append(b" ")
            stack.append(top.children[0])
        elif top.children:
            if top.number is not None:
                out.append(b" ")
            for child in reversed(top.children):
                stack += (b")", child, b"(")
    return b"* THREAD%b%b\r\n" % (b" " if out else b"", b"".join(out))


def _delimiter(delimiter: str | None) -> bytes:
    #   mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox
    if delimiter is None:
        return b"NIL"
    if len(delimiter) != 1:
        raise ValueError("a hierarchy delimiter is one character")
    return quoted(delimiter.encode("ascii"))


def _attributes(attributes: tuple[str, ...]) -> bytes:
    for attribute in attributes:
        if not _ATTRIBUTE.fullmatch(attribute):
            raise ValueError(f"not a mailbox attribute: {attribute!r}")
    return b"(" + " ".join(attributes).encode("ascii") + b")"


def _list(response: r.List, utf8: bool) -> bytes:
    line = b"* LIST %b %b %b" % (
        _attributes(response.attributes),
        _delimiter(response.delimiter),
        encode_mailbox(response.mailbox, utf8=utf8),
    )
    #   mbox-list-extended = "(" [mbox-list-extended-item *(SP mbox-list-extended-item)] ")"
    extended: list[bytes] = []
    if response.child_info:
        options = b" ".join([quoted(option.encode("ascii")) for option in response.child_info])
        extended.append(b'"CHILDINFO" (%b)' % options)
    if response.old_name is not None:
        extended.append(b'"OLDNAME" (%b)' % encode_mailbox(response.old_name, utf8=utf8))
    return line + (b" (%b)\r\n" % b" ".join(extended) if extended else b"\r\n")


def _lsub(response: r.Lsub, utf8: bool) -> bytes:
    return b"* LSUB %b %b %b\r\n" % (
        _attributes(response.attributes),
        _delimiter(response.delimiter),
        encode_mailbox(response.mailbox, utf8=utf8),
    )


def _status(response: r.Status, utf8: bool) -> bytes:
    #   "STATUS" SP mailbox SP "(" [status-att-list] ")"
    items: list[bytes] = []
    for item, value in response.items:
        if value is None:
            told = b"NIL"
        elif isinstance(value, int):
            told = b"%d" % value
        else:
            #   status-att-val =/ "MAILBOXID" SP "(" objectid ")"        ; RFC 8474 §7
            told = b"(" + _atom(value) + b")"
        items.append(item.value.encode("ascii") + b" " + told)
    return b"* STATUS %b (%b)\r\n" % (
        encode_mailbox(response.mailbox, utf8=utf8),
        b" ".join(items),
    )


def _namespace(response: r.Namespace, utf8: bool) -> bytes:
    #   Namespace = nil / "(" 1*Namespace-Descr ")"
    #   Namespace-Descr = "(" string SP (DQUOTE QUOTED-CHAR DQUOTE / nil) ")"
    def told(names: tuple[tuple[str, str | None], ...]) -> bytes:
        if not names:
            return b"NIL"
        return (
            b"("
            + b"".join([b"(%b %b)" % (prefix(name), _delimiter(d)) for name, d in names])
            + b")"
        )

    def prefix(name: str) -> bytes:
        octets = encode_mailbox(name, utf8=utf8)
        return octets if octets[:1] in b'"{' else b'"' + octets + b'"'

    return b"* NAMESPACE %b %b %b\r\n" % (
        told(response.personal),
        told(response.other),
        told(response.shared),
    )


def _fetch_value(item: str, value: r.FetchValue, utf8: bool) -> bytes:
    match value:
        case r.Raw(octets):
            return octets
        case int():
            #   fetch-mod-resp = "MODSEQ" SP "(" permsg-modsequence ")"
            return b"(%d)" % value if item == "MODSEQ" else b"%d" % value
        case datetime():
            return render_date_time(value)
        case tuple():
            return flag_list(value)
        case Envelope():
            return render_envelope(value, utf8)
        case BodyStructure():
            return render_body(value, utf8)
        case str():
            #   fetch-emailid-resp = "EMAILID" SP "(" objectid ")"
            if item in ("EMAILID", "THREADID"):
                return b"(" + _atom(value) + b")"
            # PREVIEW "is always UTF-8" and so never an atom (RFC 8970 §3.2).
            return string(value.encode("utf-8"), utf8=utf8)
        case bytes():
            if b"\0" in value:
                #   msg-att-static =/ "BINARY" section-binary SP (nstring / literal8)
                if not item.startswith("BINARY["):
                    raise ValueError("NUL stands only in BINARY")
                return b"~{%d}\r\n%b" % (len(value), value)
            return string(value)
        case None:
            return b"NIL"


def _fetch(response: r.Fetch, utf8: bool) -> bytes:
    #   message-data = nz-number SP ("EXPUNGE" / ("FETCH" SP msg-att))
    out: list[bytes] = []
    for item, value in response.items:
        if not _ITEM.fullmatch(item):
            raise ValueError(f"not a FETCH item: {item!r}")
        out.append(item.encode("ascii") + b" " + _fetch_value(item, value, utf8))
    return b"* %d FETCH (%b)\r\n" % (response.number, b" ".join(out))


def _id(response: r.Id, utf8: bool) -> bytes:
    #   id-response = "ID" SP id-params-list
    if not response.pairs:
        return b"* ID NIL\r\n"
    words: list[bytes] = []
    for name, value in response.pairs:
        words.append(string(name.encode("utf-8"), utf8=utf8))
        words.append(nstring(None if value is None else value.encode("utf-8"), utf8=utf8))
    return b"* ID (%b)\r\n" % b" ".join(words)


def _quota(response: r.Quota, utf8: bool) -> bytes:
    #   quota-response = "QUOTA" SP quota-root-name SP quota-list
    resources = b" ".join(
        [b"%b %d %d" % (_atom(name), usage, limit) for name, usage, limit in response.resources]
    )
    return b"* QUOTA %b (%b)\r\n" % (astring(response.root.encode("utf-8"), utf8=utf8), resources)


def _quota_root(response: r.QuotaRoot, utf8: bool) -> bytes:
    #   quotaroot-response = "QUOTAROOT" SP mailbox *(SP quota-root-name)
    roots = b"".join([b" " + astring(root.encode("utf-8"), utf8=utf8) for root in response.roots])
    return b"* QUOTAROOT %b%b\r\n" % (encode_mailbox(response.mailbox, utf8=utf8), roots)


_RENDER: Final[dict[type, Callable[[Any, bool], bytes]]] = {
    r.Condition: _condition,
    r.Continuation: _continuation,
    r.Capability: _capability,
    r.Enabled: _enabled,
    r.Flags: _flags,
    r.Exists: _exists,
    r.Recent: _recent,
    r.Expunge: _expunge,
    r.Vanished: _vanished,
    r.Search: lambda response, utf8: _numbers(b"SEARCH", response),
    r.ESearch: _esearch,
    r.Sort: lambda response, utf8: _numbers(b"SORT", response),
    r.Thread: _thread,
    r.List: _list,
    r.Lsub: _lsub,
    r.Status: _status,
    r.Namespace: _namespace,
    r.Fetch: _fetch,
    r.Id: _id,
    r.Quota: _quota,
    r.QuotaRoot: _quota_root,
}


def render(response: r.Response, *, utf8: bool = False) -> bytes:
    """
    *response* as it stands on the wire, CRLF included.

    >>> render(r.Exists(23))
    b'* 23 EXISTS\\r\\n'

    Args:
        utf8: The client has enabled UTF8=ACCEPT or IMAP4rev2; else names are modified UTF-7 and
            raw UTF-8 is only in literals.

    Raises:
        ValueError: A value that no line can hold.
    """
    return _RENDER[type(response)](response, utf8)

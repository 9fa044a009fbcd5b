"""Search: words and operators over the full-text index."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar, final
from urllib.parse import urlencode

from corvus_server.storage.flags import ANSWERED, FLAGGED, SEEN
from corvus_server.storage.state import MailboxState
from corvus_server.web.mail.folders import Folder, folders
from corvus_server.web.mail.listing import PAGE, Listing, Row, row_of
from corvus_server.web.page import Visit

#: Operators whose value is searched for in a field, by name.
FIELDS: Final = {
    "from": "from", "to": "to", "cc": "cc", "subject": "subject", "body": "body", "text": "text",
}  # fmt: skip
#: Flags by the words of ``is:``: (bit, whether it must be set).
STATES: Final = {
    "unread": (SEEN, False), "unseen": (SEEN, False), "read": (SEEN, True), "seen": (SEEN, True),
    "flagged": (FLAGGED, True), "starred": (FLAGGED, True), "answered": (ANSWERED, True),
    "unanswered": (ANSWERED, False),
}  # fmt: skip
#: Terms of one search; more are passed over, and the page says so.
MOST_TERMS: Final = 12
#: Mails that can be paged back through in a search of all folders.
DEEPEST: Final = 2000
#: Folders that ``in:all`` leaves out: what is there was thrown away.
NOT_ALL: Final = ("\\Junk", "\\Trash")

_T = TypeVar("_T")
_TERM: Final = re.compile(r'(-?)(?:([A-Za-z]{2,10}):)?("[^"]*"?|[^\s"]\S*)')
_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{1,2})(?:-([0-9]{1,2}))?")


@final
@dataclass(frozen=True, slots=True)
class Term:
    """Something that must (or must not) be in a field."""

    field: str
    value: str
    negated: bool = False


@final
@dataclass(slots=True)
class Query:
    """A search as it was understood."""

    terms: list[Term] = field(default_factory=list)
    states: list[tuple[int, bool]] = field(default_factory=list)
    attachment: bool | None = None
    since: int | None = None
    """Days since 1970."""
    before: int | None = None
    everywhere: bool = False
    notes: list[str] = field(default_factory=list)


def parse(text: str) -> Query:
    """
    Read a search.

    >>> q = parse('from:carol "two words" -draft is:unread has:attachment before:2026-05')
    >>> [(t.field, t.value, t.negated) for t in q.terms]
    [('from', 'carol', False), ('text', 'two words', False), ('text', 'draft', True)]
    >>> q.states, q.attachment, q.before
    ([(1, False)], True, 20574)
    """
    query = Query()
    for count, match in enumerate(_TERM.finditer(text[:2000])):
        if count >= MOST_TERMS:
            query.notes.append(f"only the first {MOST_TERMS} words were looked for")
            break
        negated, operator, value = match[1] == "-", (match[2] or "").lower(), match[3].strip('"')
        if not value:
            continue
        if operator in FIELDS:
            query.terms.append(Term(FIELDS[operator], value, negated))
        elif not _special(query, operator, value.lower(), negated):
            words = f"{match[2]}:{value}" if operator else value
            query.terms.append(Term("text", words, negated))
    return query


def _special(query: Query, operator: str, value: str, negated: bool) -> bool:
    """Whether *operator* is one of those that are not looked for in a text."""
    if operator == "is":
        if value not in STATES:
            query.notes.append(f"is:{value} is none of {', '.join(STATES)}")
            return True
        bit, wanted = STATES[value]
        query.states.append((bit, wanted != negated))
    elif operator == "has":
        if value.startswith("attach"):
            query.attachment = not negated
        else:
            query.notes.append(f"has:{value} is not known; has:attachment is")
    elif operator in ("before", "after", "since", "until"):
        day = _day(value)
        if day is None:
            query.notes.append(f"{operator}:{value} is no date such as 2026-05-31")
        elif operator in ("before", "until"):
            query.before = day if query.before is None else min(query.before, day)
        else:
            query.since = day if query.since is None else max(query.since, day)
    elif operator == "in":
        query.everywhere = value in ("all", "anywhere", "everywhere")
    else:
        return False
    return True


def _day(text: str) -> int | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        moment = datetime.date(int(match[1]), int(match[2]), int(match[3] or 1))
    except ValueError:
        return None
    return moment.toordinal() - datetime.date(1970, 1, 1).toordinal()


async def search(visit: Visit, folder: Folder, text: str) -> Listing:
    """What matches in *folder* (or in all, with ``in:all``), newest first."""
    query = parse(text)
    where = [folder]
    if query.everywhere:
        where = [f for f in folders(visit) if f.use not in NOT_ALL]
    before = visit.query("before")
    skip = int(before) if before.isascii() and before.isdigit() and len(before) < 7 else 0
    hits = [(each, await _in_folder(visit, each, query)) for each in where]
    total = sum(len(uids) for _, uids in hits)
    # (folder, uid), oldest first, the page that is asked for at the end.
    if len(hits) == 1:
        within = [(hits[0][0], uid) for uid in _newest(hits[0][1], skip)]
    else:
        skip = min(skip, DEEPEST)
        dated = [
            (when, each, uid)
            for each, uids in hits
            for uid, when in visit.store.messages.fetch(
                each.mailbox.id, uids[-(skip + PAGE) :], ("internal_time",)
            )
        ]
        dated.sort(key=lambda hit: (hit[0], hit[2]))
        within = [(each, uid) for _, each, uid in _newest(dated, skip)]
    link = urlencode({"q": text, **({"before": skip} if skip else {})})
    rows_by: dict[tuple[int, int], Row] = {}
    for each in where:
        mine = sorted(uid for found_in, uid in within if found_in is each)
        for summary in visit.store.messages.summaries(each.mailbox.id, mine):
            rows_by[each.mailbox.id, summary.uid] = row_of(each, summary, f"?{link}")
    keys = [(each.mailbox.id, uid) for each, uid in reversed(within)]
    more = total > skip + PAGE
    return Listing(
        folder=folder,
        rows=[rows_by[key] for key in keys if key in rows_by],
        total=total,
        query=text,
        older=f"{folder.url}?{urlencode({'q': text, 'before': skip + PAGE})}" if more else "",
        newest=f"{folder.url}?{urlencode({'q': text})}" if skip else "",
        notes=query.notes,
    )


def _newest(found: Sequence[_T], skip: int) -> Sequence[_T]:
    """The page of *found* (oldest first) that ends *skip* before its end."""
    stop = max(0, len(found) - skip)
    return found[max(0, stop - PAGE) : stop]


async def _in_folder(visit: Visit, folder: Folder, query: Query) -> Sequence[int]:
    """UIDs of a folder that match, ascending."""
    messages = visit.store.messages
    box = folder.mailbox.id
    state = await messages.open(box)
    left: set[int] | None = None
    found: Sequence[int] = state.uids
    for term in query.terms:
        hits = await messages.search_text(box, term.field, term.value)
        if left is None and not term.negated:
            found, left = hits, set(hits) if len(query.terms) > 1 else None
            if not hits:
                return []
            continue
        left = set(found) if left is None else left
        left = left - set(hits) if term.negated else left & set(hits)
        if not left:
            return []
    if left is not None:
        found = sorted(left)
    if query.since is not None or query.before is not None:
        days = set(await messages.search_dates(box, "internal", query.since, query.before))
        found = [uid for uid in found if uid in days]
    for bit, wanted in query.states:
        found = _flagged(state, found, bit, wanted)
    if query.attachment is not None:
        found = [
            uid
            for at in range(0, len(found), 500)
            for uid, has in messages.fetch(box, found[at : at + 500], ("has_attachment",))
            if bool(has) is query.attachment
        ]
    return found


def _flagged(state: MailboxState, uids: Sequence[int], bit: int, wanted: bool) -> list[int]:
    """Those of *uids* (ascending) whose flag is as wanted."""
    mask = bit if wanted else 0
    if uids is state.uids:
        return [u for u, flags in zip(state.uids, state.flags, strict=True) if flags & bit == mask]
    found = []
    for uid in uids:
        row = state.index(uid)
        if row is not None and state.flags[row] & bit == mask:
            found.append(uid)
    return found

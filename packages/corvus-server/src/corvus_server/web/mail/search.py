"""Search: words and operators over the full-text index."""

from __future__ import annotations

import datetime
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, final
from urllib.parse import urlencode

from corvus_server.storage.flags import ANSWERED, FLAGGED, SEEN
from corvus_server.web.mail.folders import Folder, folders
from corvus_server.web.mail.listing import PAGE, Listing, row_of
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
#: Folders that ``in:all`` leaves out: what is there was thrown away.
NOT_ALL: Final = ("\\Junk", "\\Trash")

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
    found: list[tuple[float, Folder, int]] = []
    total = 0
    for each in where:
        uids = await _in_folder(visit, each, query)
        total += len(uids)
        if len(where) == 1:
            found = [(0.0, each, uid) for uid in uids]
        else:
            rows = visit.store.messages.fetch(
                each.mailbox.id, uids[-PAGE * 4 :], ("internal_time",)
            )
            found += [(when, each, uid) for uid, when in rows]
    found.sort(key=lambda hit: (hit[0], hit[2]))
    before = visit.query("before")
    skip = int(before) if before.isascii() and before.isdigit() and len(before) < 7 else 0
    stop = max(0, len(found) - skip)
    shown = found[max(0, stop - PAGE) : stop]
    link = urlencode({"q": text, **({"before": skip} if skip else {})})
    rows_by: dict[tuple[int, int], object] = {}
    for each in where:
        mine = sorted(uid for _, f, uid in shown if f is each)
        for summary in visit.store.messages.summaries(each.mailbox.id, mine):
            rows_by[each.mailbox.id, summary.uid] = row_of(each, summary, f"?{link}")
    keys = [(f.mailbox.id, uid) for _, f, uid in reversed(shown)]
    more = stop > PAGE
    return Listing(
        folder=folder,
        rows=[rows_by[key] for key in keys if key in rows_by],  # type: ignore[misc]  # rows, by key
        total=total,
        query=text,
        older=f"{folder.url}?{urlencode({'q': text, 'before': skip + PAGE})}" if more else "",
        newest=f"{folder.url}?{urlencode({'q': text})}" if skip else "",
        notes=query.notes,
    )


async def _in_folder(visit: Visit, folder: Folder, query: Query) -> Sequence[int]:
    """UIDs of a folder that match, ascending."""
    messages = visit.store.messages
    box = folder.mailbox.id
    state = await messages.open(box)
    kept: Iterable[int] = state.uids
    left: set[int] | None = None
    for term in query.terms:
        hits = set(await messages.search_text(box, term.field, term.value))
        if term.negated:
            left = (set(kept) if left is None else left) - hits
        else:
            left = hits if left is None else left & hits
        if not left:
            return []
    if query.since is not None or query.before is not None:
        hits = set(await messages.search_dates(box, "internal", query.since, query.before))
        left = hits if left is None else left & hits
    uids = list(kept) if left is None else sorted(left)
    for bit, wanted in query.states:
        uids = [u for u in uids if _has(state, u, bit) is wanted]
    if query.attachment is not None:
        uids = [
            uid
            for at in range(0, len(uids), 500)
            for uid, has in messages.fetch(box, uids[at : at + 500], ("has_attachment",))
            if bool(has) is query.attachment
        ]
    return uids


def _has(state: object, uid: int, bit: int) -> bool | None:
    uids, flags = state.uids, state.flags  # type: ignore[attr-defined]  # MailboxState
    row = bisect_left(uids, uid)
    if row == len(uids) or uids[row] != uid:
        return None
    return bool(flags[row] & bit)

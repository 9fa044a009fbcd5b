"""The page that says why: the whole life of one mail, inward or outward."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from starlette.responses import Response

import corvus_message
from corvus_server.storage.values import Attempt, QueueEntry, RecipientState
from corvus_server.web import words
from corvus_server.web.mail import verdicts
from corvus_server.web.mail.listing import frame
from corvus_server.web.mail.message import Message, message_at
from corvus_server.web.page import Visit

#: Entries of an account among which the one of a mail is looked for, newest first.
LOOKED_AT: Final = 500
#: States of a recipient as people say it, with how it looks.
STATES: Final = {
    RecipientState.WAITING: ("warn", "waiting"),
    RecipientState.LEASED: ("none", "being delivered"),
    RecipientState.HELD: ("warn", "held"),
    RecipientState.DELIVERED: ("good", "delivered"),
    RecipientState.FAILED: ("bad", "failed"),
    RecipientState.DROPPED: ("bad", "dropped"),
}
OUTCOMES: Final = {"delivered": "good", "deferred": "warn", "failed": "bad"}

_IDENTIFIER: Final = re.compile(r"([0-9a-f]{21})(?:@|\Z)")
_TRACE: Final = re.compile(rb"\bid\s+([0-9a-f]{21})\b")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """What a notice about a mail of ours says of one recipient."""

    address: str
    action: str
    state: str
    words: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One attempt as the page shows it."""

    attempt: Attempt
    state: str
    lines: Sequence[tuple[str, str]]
    facts: Sequence[tuple[str, str]]


def identifiers(message: corvus_message.Part) -> list[str]:
    """Ids under which a mail may stand in our queue."""
    found = []
    identifier = corvus_message.message_id(message)
    if identifier and (match := _IDENTIFIER.match(identifier)):
        found.append(match[1])
    for field in message.fields(b"received")[:5]:
        if trace := _TRACE.search(field):
            found.append(trace[1].decode("ascii"))
    return found


def entries_of(visit: Visit, message: Message) -> list[QueueEntry]:
    """The queue entries of a mail that its owner sent, or that a notice is about."""
    wanted = set(identifiers(message.parsed))
    report = corvus_message.read_dsn(message.parsed)
    if report is not None and report.returned is not None:
        wanted |= set(identifiers(report.returned))
    if not wanted:
        return []
    entries = visit.store.queue.entries
    held = [
        *entries(account_id=visit.me.id, limit=LOOKED_AT),
        *entries(account_id=visit.me.id, finished=True, limit=LOOKED_AT),
    ]
    return [entry for entry in held if entry.notes.get("id") in wanted]


def bounces(message: corvus_message.Part) -> list[Bounce]:
    """What a delivery status notification says, recipient by recipient."""
    report = corvus_message.read_dsn(message)
    if report is None:
        return []
    found = []
    for each in report.recipients[:100]:
        action = each.action.value if each.action is not None else "unknown"
        said = each.headers.get("diagnostic-code") or each.status
        found.append(
            Bounce(
                address=words.visible(each.original_recipient or each.final_recipient),
                action=action,
                state={"failed": "bad", "delayed": "warn"}.get(action, "good"),
                words=words.visible(str(said).removeprefix("smtp;"))[:600],
            )
        )
    return found


def tries(visit: Visit, entry: QueueEntry) -> list[Try]:
    """The attempts of an entry, newest first, with their dialogues in lines."""
    found = []
    for attempt in reversed(visit.store.queue.attempts(entry.id)):
        facts = [
            *(
                (f"TLS {key}", words.visible(str(value))[:300])
                for key, value in attempt.tls.items()
            ),
            *flat(attempt.details),
        ]
        found.append(
            Try(
                attempt=attempt,
                state=OUTCOMES.get(attempt.outcome, "warn"),
                lines=[_line(line) for line in attempt.dialogue.split("\n") if line.strip()],
                facts=facts[:60],
            )
        )
    return found


def _line(line: str) -> tuple[str, str]:
    kind = {"C": "c", "S": "s"}.get(line[:1], "n") if line[1:2] == ":" else "n"
    return kind, line.rstrip("\r")[:1000]


def flat(tree: Any, name: str = "", depth: int = 0) -> list[tuple[str, str]]:
    """
    A tree of facts as lines.

    >>> flat({"route": {"mx": [[10, "a.example"]], "why": "MX"}})
    [('route mx', '10 a.example'), ('route why', 'MX')]
    """
    if isinstance(tree, dict) and depth < 4:
        found = []
        for key, value in tree.items():
            label = f"{name} {key}".strip().replace("_", " ")
            found += flat(value, label, depth + 1)
        return found
    if isinstance(tree, list | tuple):
        if tree and all(isinstance(each, dict) for each in tree) and depth < 3:
            found = []
            for number, each in enumerate(tree[:20], 1):
                found += flat(each, f"{name} {number}", depth + 1)
            return found
        tree = ", ".join(
            " ".join(str(part) for part in each) if isinstance(each, list | tuple) else str(each)
            for each in tree[:20]
        )
    if tree in (None, "", {}):
        return []
    return [(name, words.visible(str(tree))[:600])]


def fate(entry: QueueEntry, now: float) -> tuple[str, str]:
    """
    What has become of an entry: a sentence and its tone.

    The remote's own words stand in the list, not two clicks away.
    """
    recipients = entry.recipients
    states = {recipient.state for recipient in recipients}
    if states == {RecipientState.DELIVERED}:
        return f"Delivered to {words.plural(len(recipients), 'recipient')}.", "good"
    waiting = [r for r in recipients if r.state is RecipientState.WAITING]
    failed = [r for r in recipients if r.state is RecipientState.FAILED]
    if failed:
        said = failed[0].last_text or "it could not be reached"
        code = f"{failed[0].last_code} " if failed[0].last_code else ""
        return f"Not delivered to {failed[0].address}: {code}{said}.", "bad"
    if waiting:
        first = min(waiting, key=lambda each: each.next_attempt)
        when = "now" if first.next_attempt <= now else f"in {words.span(first.next_attempt - now)}"
        if not first.last_text:
            return f"Waiting; it is tried {when}.", "none"
        code = f"{first.last_code} " if first.last_code else ""
        return f"{first.address} said: {code}{first.last_text}. The next try is {when}.", "warn"
    if RecipientState.HELD in states:
        return "Held by an administrator.", "warn"
    if RecipientState.LEASED in states:
        return "Being delivered just now.", "none"
    return "Taken out of the queue by an administrator.", "bad"


async def show(visit: Visit) -> Response:
    """``/mail/{slug}/{uid}/why``."""
    message = await message_at(visit)
    now = visit.services.now()
    entries = [
        (entry, fate(entry, now), tries(visit, entry)) for entry in entries_of(visit, message)
    ]
    story = None if message.verdict is None else verdicts.story(message.verdict)
    reported = bounces(message.parsed)
    return await visit.render(
        "mail/why.html",
        message=message,
        story=story,
        entries=entries,
        states=STATES,
        bounces=reported,
        headline=_headline(message, story, entries, reported),
        **await frame(visit, message.folder),
    )


def _headline(message: Message, story: Any, entries: Sequence[Any], reported: Sequence[Any]) -> Any:
    if reported:
        worst = min(reported, key=lambda each: ("bad", "warn", "good").index(each.state))
        said = {"bad": "could not be reached", "warn": "has not been reached yet"}
        return f"{worst.address} {said.get(worst.state, 'was reached')}: {worst.words}", worst.state
    if story is not None:
        return story.headline, story.tone
    if entries:
        return entries[0][1]
    if message.folder.use in ("\\Sent", "\\Drafts"):
        if message.folder.use == "\\Drafts":
            return "This is a draft; it has not been sent.", "none"
        return (
            "It was handed to recipients on this server, or another program filed it here.",
            "good",
        )
    return (
        "It did not come from outside: somebody on this server sent it, or a program filed it here.",
        "none",
    )

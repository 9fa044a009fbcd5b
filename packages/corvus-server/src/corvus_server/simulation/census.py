"""Where every mail is, after all that happened: in a mailbox, in a queue, or told of in a notice.

A mail to one recipient is in exactly one of these places.  It may be in more only where R7 allows it,
a delivery repeated because its 250 was lost, and then the record of an attempt says so.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final, final

import corvus_message
from corvus_server.simulation.world import Host, Simulation

_ABOUT: Final = re.compile(r"with the subject “mail (\d+)”")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A mail that a server has accepted from its user; ``Subject: mail N`` is how it is known again."""

    number: int
    sender: str
    recipients: tuple[str, ...]

    @property
    def subject(self) -> str:
        return f"mail {self.number}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where one mail is for one recipient."""

    number: int
    recipient: str
    delivered: int = 0
    queued: int = 0
    failed: int = 0
    """Notices in the sender's mailbox that say that it failed."""
    unsure: bool = False
    """An attempt is recorded (or was cut off by a crash) whose answer nobody knows: R7 allows a repeat."""

    @property
    def places(self) -> int:
        return self.delivered + self.queued + self.failed

    @property
    def accounted(self) -> bool:
        """In one place; or in more, with the reason on record."""
        return self.places == 1 or (self.places > 1 and self.unsure)


def message(sent: Sent, date: str = "Fri, 15 Jan 2027 08:00:00 +0000") -> bytes:
    """The octets of a mail that the census knows again."""
    return (
        f"From: {sent.sender}\r\nTo: {', '.join(sent.recipients)}\r\n"
        f"Subject: {sent.subject}\r\nDate: {date}\r\n\r\nThis is mail {sent.number}.\r\n"
    ).encode()


def census(world: Simulation, sent: list[Sent]) -> list[Whereabouts]:
    """Look everywhere; one answer for each mail and recipient."""
    delivered: Counter[tuple[str, str]] = Counter()
    failed: Counter[tuple[int, str, str]] = Counter()
    queued: Counter[tuple[str, str]] = Counter()
    unsure: set[tuple[str, str]] = set()
    for host in world.hosts.values():
        _mailboxes(host, delivered, failed)
        _queue(host, queued, unsure)
    for peer in world.peers.values():
        for taken in peer.taken:
            subject = corvus_message.parse(taken.body).subject
            delivered.update((subject, recipient) for recipient in taken.recipients)
    return [
        Whereabouts(
            number=mail.number,
            recipient=recipient,
            delivered=delivered[mail.subject, recipient],
            queued=queued[mail.subject, recipient],
            failed=failed[mail.number, mail.sender, recipient],
            unsure=(mail.subject, recipient) in unsure,
        )
        for mail in sent
        for recipient in mail.recipients
    ]


def _mailboxes(
    host: Host, delivered: Counter[tuple[str, str]], failed: Counter[tuple[int, str, str]]
) -> None:
    messages = host.store.messages
    for account in host.store.directory.accounts():
        for box in host.store.mailboxes.all(account.id):
            for body in messages.bodies(box.id, range(1, box.uid_next)):
                mail = corvus_message.parse(messages.read_body(body))
                report = corvus_message.read_dsn(mail)
                if report is None:
                    delivered[mail.subject, account.address] += 1
                    continue
                about = _ABOUT.search(mail.text() or "")
                for each in report.recipients if about else ():
                    assert about is not None
                    if each.headers["action"] == "failed":
                        recipient = each.headers["final-recipient"].partition(";")[2].strip()
                        failed[int(about[1]), account.address, recipient] += 1


def _queue(host: Host, queued: Counter[tuple[str, str]], unsure: set[tuple[str, str]]) -> None:
    queue = host.store.queue
    for finished in (False, True):
        for entry in queue.entries(finished=finished, limit=1_000_000):
            subject = str(entry.notes.get("subject", ""))
            attempts = queue.attempts(entry.id)
            for recipient in entry.recipients:
                if not recipient.state.final:
                    queued[subject, recipient.address] += 1
                mine = [each for each in attempts if recipient.id in each.recipients]
                doubtful = any("unsure" in e.details or "repeat" in e.details for e in mine)
                at_work = 1 if recipient.state.value == "leased" else 0
                interrupted = any(each.outcome == "interrupted" for each in mine)
                cut_off = recipient.attempts > len(mine) + at_work
                if doubtful or interrupted or cut_off or at_work:
                    unsure.add((subject, recipient.address))

"""Signals: what about a mail speaks for or against it, in words that its reader understands.

A signal is a name, a weight and the evidence.  Positive weights speak against the mail.  The score
is their sum, and a mail goes to Junk from ``COR_JUNK_THRESHOLD`` up.  The weights are ours, chosen so
that no single weak signal suffices; each row says what it has been seen to mean.

A learned filter will be one more function in `CHECKS`, with its evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final


@final
@dataclass(frozen=True, slots=True)
class Signal:
    """One reason, with its weight and the evidence in words."""

    name: str
    weight: float
    evidence: str

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "weight": self.weight, "evidence": self.evidence}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MailFacts:
    """What the signals look at; every field is known before the first is asked."""

    ip: str
    helo: str
    tls: bool
    ptr: tuple[str, ...] | None = None
    """Names of the address that also resolve back to it; ``()`` none, ``None`` not looked up."""
    mail_from: str = ""
    recipients: int = 1
    spf: str = "none"
    spf_domain: str = ""
    dkim: tuple[tuple[str, str], ...] = ()
    """``(status, domain)`` of each signature."""
    dmarc: str = "none"
    dmarc_policy: str = "none"
    from_domain: str = ""
    from_problem: str = ""
    """Why the From field names no single author, or the empty text."""
    subject: str = ""
    date_offset: float | None = None
    """Seconds by which the Date field lies in the future (negative: past); ``None`` without one."""
    has_message_id: bool = True
    reply_to_domain: str = ""
    text: str = ""
    """The text as a reader sees it, its beginning."""
    html_only: bool = False
    attachments: tuple[str, ...] = ()
    known_sender: bool = False
    """The recipient has written to this address, or kept mail from it."""
    blocklists: Mapping[str, str] = field(default_factory=dict)
    allowlists: Mapping[str, str] = field(default_factory=dict)
    defects: tuple[str, ...] = ()


def _spf(m: MailFacts) -> Signal | None:
    weights = {"fail": 2.5, "softfail": 1.2, "permerror": 0.8, "none": 0.4, "neutral": 0.3}
    words = {
        "fail": f"{m.spf_domain} says that {m.ip} may not send for it",
        "softfail": f"{m.spf_domain} doubts that {m.ip} may send for it",
        "permerror": f"the SPF record of {m.spf_domain} is broken",
        "none": f"{m.spf_domain or 'the sender'} does not say who may send for it",
        "neutral": f"{m.spf_domain} says nothing about {m.ip}",
    }
    if m.spf not in weights:
        return None
    return Signal(f"spf-{m.spf}", weights[m.spf], words[m.spf])


def _dkim(m: MailFacts) -> Signal | None:
    if any(status == "pass" for status, _ in m.dkim):
        return None
    if not m.dkim:
        return Signal("dkim-none", 0.5, "nobody has signed it")
    status, domain = m.dkim[0]
    if status == "temperror":
        return None
    return Signal("dkim-broken", 1.0, f"the signature of {domain or 'its sender'} does not match")


def _dmarc(m: MailFacts) -> Signal | None:
    if m.dmarc == "pass":
        return Signal("dmarc-pass", -1.5, f"{m.from_domain} vouches for it")
    if m.dmarc == "fail":
        return Signal("dmarc-fail", 2.0, f"nobody that {m.from_domain} trusts vouches for it")
    return None


def _author(m: MailFacts) -> Signal | None:
    if m.from_problem:
        return Signal("from-unclear", 2.5, m.from_problem)
    return None


def _reverse_name(m: MailFacts) -> Signal | None:
    if m.ptr == ():
        return Signal("no-reverse-name", 1.2, f"{m.ip} has no name that leads back to it")
    return None


def _greeting(m: MailFacts) -> Signal | None:
    helo = m.helo
    if helo.startswith("["):
        return Signal("helo-literal", 1.0, f"it greeted with the bare address {helo}")
    if "." not in helo or helo.endswith((".local", ".lan", ".localdomain", ".internal")):
        return Signal("helo-unqualified", 0.8, f"it greeted as {helo}, which is no public name")
    return None


def _date(m: MailFacts) -> Signal | None:
    if m.date_offset is None:
        return Signal("no-date", 0.8, "it has no readable date")
    if m.date_offset > 86_400:
        return Signal("date-ahead", 1.0, "its date lies more than a day in the future")
    if m.date_offset < -30 * 86_400:
        return Signal("date-old", 0.6, "its date lies more than a month back")
    return None


def _message_id(m: MailFacts) -> Signal | None:
    return None if m.has_message_id else Signal("no-message-id", 0.6, "it has no Message-ID")


def _subject(m: MailFacts) -> Signal | None:
    letters = [c for c in m.subject if c.isalpha()]
    if len(letters) >= 10 and sum(c.isupper() for c in letters) > 0.8 * len(letters):
        return Signal("subject-shouts", 0.9, "its subject is all capitals")
    if m.subject.count("!") >= 3 or m.subject.count("$") >= 3:
        return Signal("subject-cries", 0.7, "its subject is full of exclamation or dollar signs")
    return None


#: Phrases that years of junk have worn out; two different ones make a signal.
_PHRASES: Final = (
    "act now", "buy now", "100% free", "risk-free", "risk free", "no obligation", "winner",
    "you have won", "lottery", "million usd", "million dollars", "million euro", "next of kin",
    "wire transfer", "work from home", "viagra", "cialis", "crypto investment", "double your",
    "click here", "unsubscribe here now", "dear friend", "dear beneficiary",
    "verify your account", "account suspended", "account will be closed",
    "confirm your password", "gift card",
)  # fmt: skip


def _phrases(m: MailFacts) -> Signal | None:
    # One lower(), then searches in C: a regular expression with thirty branches costs a millisecond.
    text = f"{m.subject}\n{m.text}".lower()
    found = [phrase for phrase in _PHRASES if phrase in text]
    if len(found) < 2:
        return None
    shown = ", ".join(f"“{phrase}”" for phrase in found[:4])
    return Signal("phrases", min(3.0, 0.8 * len(found)), f"it says {shown}")


_LINK: Final = re.compile(r"https?://([^\s/<>\"']{1,253})", re.IGNORECASE)


def _links(m: MailFacts) -> Signal | None:
    text = m.text
    hosts = _LINK.findall(text) if "://" in text else []
    bare = [host for host in hosts if re.fullmatch(r"[0-9.]{7,15}(?::[0-9]{1,5})?", host)]
    if bare:
        return Signal("link-to-address", 1.5, f"it links to the bare address {bare[0]}")
    return None


def _reply_elsewhere(m: MailFacts) -> Signal | None:
    other = m.reply_to_domain
    free = ("gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "proton.me", "mail.ru")
    if other in free and m.from_domain not in free:
        return Signal("reply-elsewhere", 1.0, f"answers would go to {other}")
    return None


#: What a mail client would run; harmless files do not have these endings.
_PROGRAMS: Final = (
    ".exe", ".scr", ".com", ".bat", ".cmd", ".js", ".jse", ".vbs", ".wsf", ".lnk", ".pif", ".hta",
    ".msi", ".ps1", ".jar", ".iso", ".img", ".html.zip",
)  # fmt: skip


def _programs(m: MailFacts) -> Signal | None:
    for name in m.attachments:
        if name.lower().endswith(_PROGRAMS):
            return Signal("program-attached", 4.0, f"the attachment {name[:60]!r} is a program")
    return None


def _html_only(m: MailFacts) -> Signal | None:
    return Signal("html-only", 0.4, "it has no plain text") if m.html_only else None


def _blocked(m: MailFacts) -> Signal | None:
    if not m.blocklists:
        return None
    names = ", ".join(m.blocklists)
    return Signal("blocklisted", 3.0 * len(m.blocklists), f"{m.ip} is listed by {names}")


def _allowed(m: MailFacts) -> Signal | None:
    if not m.allowlists:
        return None
    return Signal("allowlisted", -2.0, f"{m.ip} is recommended by {', '.join(m.allowlists)}")


def _known(m: MailFacts) -> Signal | None:
    # Only a sender who is vouched for can be known: anybody can write a name.
    if m.known_sender and (m.dmarc == "pass" or m.spf == "pass"):
        return Signal("known-sender", -3.0, "you have exchanged mail with this sender before")
    return None


def _malformed(m: MailFacts) -> Signal | None:
    if not m.defects:
        return None
    return Signal("malformed", 0.7, f"it is malformed: {m.defects[0]}")


CHECKS: Final[tuple[Callable[[MailFacts], Signal | None], ...]] = (
    _spf, _dkim, _dmarc, _author, _reverse_name, _greeting, _date, _message_id, _subject,
    _phrases, _links, _reply_elsewhere, _programs, _html_only, _blocked, _allowed, _known,
    _malformed,
)  # fmt: skip


def signals_of(facts: MailFacts) -> tuple[Signal, ...]:
    """Every signal that *facts* show, in the order of the table.

    Headers by which a sender judges its own mail (``X-Spam-Score: -10``) are not among the facts.
    """
    return tuple(signal for check in CHECKS if (signal := check(facts)) is not None)


def score_of(signals: tuple[Signal, ...]) -> float:
    """The sum of the weights, rounded to hundredths."""
    return round(sum(signal.weight for signal in signals), 2)

"""Notices about the fate of a mail: failed, late, handed on (RFC 3461, 3464, 6533).

A readable sentence on top, the machine's part behind it, and what was sent as far as the sender
asked for it.  Never to ``<>``: a notice about a notice would have no end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, final

import corvus_message
from corvus_message import Action, RecipientStatus
from corvus_server.inbound.received import delivered_to_field, return_path_field
from corvus_server.storage import values
from corvus_server.storage.protocols import Store

#: Octets of a message that are returned in full.
RETURN_FULL: Final = 256 * 1024

_SUBJECT: Final = {
    Action.FAILED: "Your mail could not be delivered",
    Action.DELAYED: "Your mail is late",
    Action.RELAYED: "Your mail was handed on",
    Action.DELIVERED: "Your mail was delivered",
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What is to be told about one recipient."""

    recipient: values.QueueRecipient
    action: Action
    code: int
    enhanced: str
    text: str
    host: str = ""
    retry_until: float | None = None


def wants(recipient: values.QueueRecipient, what: str) -> bool:
    """
    Whether the sender wants to be told *what* (``FAILURE``, ``DELAY``, ``SUCCESS``).

    Without a NOTIFY parameter that is failure and, as servers may choose, delay
    (:rfc:`3461#section-4.1`).
    """
    if not recipient.notify:
        return what in ("FAILURE", "DELAY")
    return what in recipient.notify.split(",")


def notice(
    entry: values.QueueEntry,
    fates: Sequence[Fate],
    *,
    hostname: str,
    original: bytes,
    now: float,
    message_id: str,
    to: str | None = None,
) -> bytes:
    """
    Build the notice about *fates*, to be sent with a null reverse-path.

    Args:
        original: The message, or its beginning: at least its header.
        message_id: Without brackets; also the source of the boundary.
        to: Who is told; the envelope sender, unless that is an address of ours for somebody else.

    Raises:
        ValueError: The mail had no sender to tell.
    """
    if not entry.mail_from:
        raise ValueError("a notice about a notice is not sent (RFC 5321 §4.5.5)")
    action = min((fate.action for fate in fates), key=list(Action).index)
    # "If a REQUIRETLS message is bounced, the server MUST behave as if RET=HDRS was present"
    # (RFC 8689 §5).
    full = (
        not entry.require_tls
        and action is Action.FAILED
        and entry.return_content != "HDRS"
        and len(original) <= RETURN_FULL
    )
    return corvus_message.dsn(
        from_=f"Mail Delivery System <MAILER-DAEMON@{hostname}>",
        to=to or entry.mail_from,
        reporting_mta=hostname,
        recipients=[_status(fate) for fate in fates],
        original=original,
        return_full=full,
        envelope_id=entry.envelope_id or None,
        arrival_date=datetime.fromtimestamp(entry.created, UTC),
        text=_text(entry, fates, action, hostname),
        subject=_SUBJECT.get(action, "About your mail"),
        date=datetime.fromtimestamp(now, UTC),
        message_id=message_id,
        boundary="=_" + "".join(c for c in message_id.partition("@")[0] if c.isalnum())[:60],
        headers=[("X-Corvus-Queue-Entry", str(entry.id))],
    )


def addressed(
    store: Store, entry: values.QueueEntry, sender: str, octets: bytes
) -> values.Intake | None:
    """
    The notice *octets* on its way to *sender*: into mailboxes here, into the queue for elsewhere.

    Returns:
        ``None`` where the sender is one of ours who is nowhere: there is no one to tell.
    """
    found = store.directory.resolve_recipient(sender)
    deliveries = [
        values.Delivery(
            account_id=account.id,
            prefix=return_path_field("") + delivered_to_field(account.address),
        )
        for account in found.accounts
    ]
    outside = list(found.external) if found.local_domain else [sender]
    queued = []
    if outside:
        queued.append(
            values.Queued(
                mail_from="",
                # The null sender says that no notice is wanted about a notice (RFC 3461 §6.2);
                # NEVER says it to every server behind, too.
                recipients=[
                    values.QueuedRecipient(address=address, notify="NEVER") for address in outside
                ],
                # "...MUST also specify the REQUIRETLS SMTP option" (RFC 8689 §5).
                require_tls=entry.require_tls,
                eight_bit=not octets.isascii(),
                smtputf8=not (sender.isascii() and octets.partition(b"\r\n\r\n")[0].isascii()),
                notes={"subject": "notice", "about": entry.id},
            )
        )
    if not deliveries and not queued:
        return None
    body = store.new_body()
    body.write(octets)
    return values.Intake(body=body, deliveries=deliveries, queued=queued)


def _status(fate: Fate) -> RecipientStatus:
    default = {Action.FAILED: "5.0.0", Action.DELAYED: "4.0.0"}.get(fate.action, "2.0.0")
    enhanced = fate.enhanced or default
    if enhanced[0] != default[0]:
        # A mail given up after temporary troubles has failed for good: "5.4.7 delivery time expired".
        enhanced = "5.4.7" if fate.action is Action.FAILED else default
    reply = " ".join(part for part in (str(fate.code or ""), fate.enhanced, fate.text) if part)
    return RecipientStatus(
        final_recipient=_line(fate.recipient.address),
        action=fate.action,
        status=enhanced,
        original_recipient=_line(fate.recipient.original) or None,
        remote_mta=fate.host or None,
        diagnostic=(_line(reply) if fate.code else "") or None,
        will_retry_until=None
        if fate.retry_until is None
        else datetime.fromtimestamp(fate.retry_until, UTC),
    )


def _text(entry: values.QueueEntry, fates: Sequence[Fate], action: Action, hostname: str) -> str:
    subject = _line(str(entry.notes.get("subject", "") or ""))[:200]
    about = f" with the subject “{subject}”" if subject else ""
    lines: list[str] = []
    for fate in fates:
        who, said = _line(fate.recipient.address), _line(fate.text)
        reply = " ".join(part for part in (str(fate.code or ""), fate.enhanced, said) if part)
        if fate.action is Action.FAILED:
            lines += [f"Your mail to {who}{about} could not be delivered."]
            verb = f"{fate.host} said" if fate.host else "The reason"
            lines += ["", f"{verb}: {reply}", ""]
            lines += [_advice(fate), ""]
        elif fate.action is Action.DELAYED:
            lines += [
                f"Your mail to {who}{about} has not been delivered yet.",
                "",
                f"The last try ended with: {reply}",
                "",
                "We go on trying; you need not do anything, and need not send it again.",
                "",
            ]
        elif fate.action is Action.DELIVERED:
            lines += [f"Your mail to {who}{about} is in the mailbox.", ""]
        else:
            host = fate.host or "the next server"
            sentence = f"Your mail to {who}{about} was handed to {host}"
            lines += [f"{sentence}, which sends no reports of its own.", ""]
    lines += ["-- ", f"The mail server {hostname}"]
    return "\n".join(lines) + "\n"


def _advice(fate: Fate) -> str:
    subject = fate.enhanced[1:4]
    if subject == ".1." and fate.code // 100 == 5:
        return "Please check the address; it may be misspelled, or no longer in use."
    if fate.code // 100 == 4 or fate.enhanced.startswith("4"):
        return "We tried again and again and have given up now; please try another way."
    if subject == ".2.":
        return "The mailbox exists but does not take mail at the moment."
    if subject == ".7.":
        return "The other server refuses it on grounds of policy; its words above say more."
    return "Nothing was lost: your mail is attached below."


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:500].strip()

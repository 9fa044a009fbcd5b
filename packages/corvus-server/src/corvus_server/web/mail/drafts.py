"""A draft: what stands in the form, as a message in Drafts, and back."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, final

import corvus_message
from corvus_message import Address
from corvus_server.outbound.submission import may_send_as
from corvus_server.storage.errors import NotFound
from corvus_server.storage.values import NewMessage
from corvus_server.web import words
from corvus_server.web.mail.folders import special
from corvus_server.web.mail.message import Message, name_of
from corvus_server.web.page import Visit

#: Which mail a draft answers or forwards, for as long as it is a draft.
ANSWERS: Final = "X-Corvus-Answers"
#: Recipients of one mail.
MOST_RECIPIENTS: Final = 200


class Unclear(Exception):
    """The form cannot become a mail; the message says what to change."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(message)
        self.where = where
        """The field it is about."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A mail that is being written."""

    sender: str
    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    text: str = ""
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    answers: str = ""
    """``kind:slug:uid`` of what it answers (``reply``) or hands on (``forward``)."""
    attachments: tuple[corvus_message.Attachment, ...] = ()
    uid: int = 0
    """Where it lies in Drafts; 0 if it does not yet."""


def senders(visit: Visit) -> list[str]:
    """The addresses under which somebody may write: their own, and aliases that lead to them alone."""
    me = visit.me
    aliases = visit.store.directory.aliases()
    found = [me.address]
    for alias in aliases:
        if me.address in alias.targets and may_send_as(visit.store.directory, me, alias.address):
            found.append(alias.address)
    return found


def signature(visit: Visit) -> str:
    """What stands below a new mail, or the empty text."""
    text = visit.store.settings.get(f"account/{visit.me.id}/signature", "")
    return f"\n\n-- \n{text}" if text else ""


# From a message.


def shown(addresses: Sequence[Address]) -> str:
    """Addresses as a person types them."""
    return ", ".join(_shown(each) for each in addresses)


def _shown(entry: Address) -> str:
    name = words.visible(entry.name)
    if not name:
        return entry.address
    if any(char in '",;:<>@()[]\\.' for char in name):
        name = '"' + name.replace("\\", "").replace('"', "'") + '"'
    return f"{name} <{entry.address}>"


def _field(message: corvus_message.Part, name: bytes) -> str:
    value = message.field(name)
    return shown(corvus_message.addresses(value)) if value else ""


def of_message(message: Message) -> Draft:
    """The draft that a message in Drafts is."""
    parsed = message.parsed
    author = words.address((parsed.field(b"from") or b"").decode("utf-8", "replace"))
    answers = (parsed.field(ANSWERS.lower().encode()) or b"").decode("ascii", "replace").strip()
    return Draft(
        sender=author,
        to=_field(parsed, b"to"),
        cc=_field(parsed, b"cc"),
        bcc=_field(parsed, b"bcc"),
        subject=parsed.subject,
        text=parsed.text(),
        in_reply_to=tuple(corvus_message.message_ids(parsed.field(b"in-reply-to") or b"")),
        references=tuple(corvus_message.message_ids(parsed.field(b"references") or b"")),
        answers=answers,
        attachments=attachments_of(message),
        uid=message.uid,
    )


def attachments_of(message: Message) -> tuple[corvus_message.Attachment, ...]:
    """What a message carries, to be carried on."""
    found = []
    for number, part in enumerate(message.parsed.attachments()):
        kind = part.content_type.value
        if kind in ("message/rfc822", "message/global"):
            found.append(
                corvus_message.Attachment(
                    content=part.content(), filename=name_of(part, number), type=kind
                )
            )
            continue
        found.append(attachment(name_of(part, number), kind, part.decoded()))
    return tuple(found)


def attachment(name: str, kind: str, content: bytes) -> corvus_message.Attachment:
    """A file to send; a type that is none becomes octets."""
    name = corvus_message.safe_filename(name)
    if kind.startswith(("multipart/", "message/")):
        kind = "application/octet-stream"
    try:
        return corvus_message.Attachment(content=content, filename=name, type=kind)
    except ValueError:
        return corvus_message.Attachment(content=content, filename=name)


def reply(visit: Visit, message: Message, *, everybody: bool) -> Draft:
    """An answer, quoting what it answers."""
    own = senders(visit)
    headers = corvus_message.reply_headers(message.parsed, own=own, everybody=everybody)
    author = words.person(message.facts["sender"])
    when = message.facts["sent_at"] or message.facts["internal_time"]
    said = corvus_message.quote(
        message.parsed.text().rstrip("\n"), attribution=f"On {words.exact(when)}, {author} wrote:"
    )
    return Draft(
        sender=_addressed(visit, message, own),
        to=shown(headers.to),
        cc=shown(headers.cc),
        subject=headers.subject,
        text=f"\n\n{said}{signature(visit)}",
        in_reply_to=headers.in_reply_to,
        references=headers.references,
        answers=f"reply:{message.folder.slug}:{message.uid}",
    )


def _addressed(visit: Visit, message: Message, own: Sequence[str]) -> str:
    """The address of ours that a mail was sent to, so that the answer comes from there."""
    named = f"{message.facts['to']}, {message.facts['cc']}"
    there = {each.address.lower() for each in words.people(named)}
    return next((address for address in own if address.lower() in there), visit.me.address)


def forward(visit: Visit, message: Message) -> Draft:
    """A mail handed on: its text below, its attachments with it."""
    lines = ["", "", "---------- Forwarded mail ----------"]
    for label, name in (("From", "sender"), ("To", "to"), ("Cc", "cc")):
        if message.facts[name]:
            lines.append(f"{label}: {words.visible(message.facts[name])}")
    when = message.facts["sent_at"] or message.facts["internal_time"]
    lines += [f"Date: {words.exact(when)}", f"Subject: {message.subject}", ""]
    return Draft(
        sender=visit.me.address,
        subject=corvus_message.forward_subject(message.parsed),
        text="\n".join(lines) + "\n" + message.parsed.text() + signature(visit),
        answers=f"forward:{message.folder.slug}:{message.uid}",
        attachments=attachments_of(message),
    )


# To a message.


def recipients(draft: Draft) -> dict[str, list[Address]]:
    """
    The addresses of each field.

    Raises:
        Unclear: Something typed is no address.
    """
    found: dict[str, list[Address]] = {}
    count = 0
    for name in ("to", "cc", "bcc"):
        text = " ".join(getattr(draft, name).replace(";", ",").split())
        entries = list(corvus_message.addresses(text.encode("utf-8", "replace"))) if text else []
        for entry in entries:
            try:
                corvus_message.format_address(entry.name, entry.local, entry.domain)
            except ValueError:
                typed = words.visible(entry.local or entry.name)[:80]
                raise Unclear(
                    name, f"“{typed}” is not an address such as carol@example.com"
                ) from None
        if text and not entries:
            raise Unclear(name, f"“{words.visible(text)[:80]}” is not an address")
        count += len(entries)
        found[name] = entries
    if count > MOST_RECIPIENTS:
        raise Unclear("to", f"one mail goes to at most {MOST_RECIPIENTS} recipients, not {count}")
    return found


def build(visit: Visit, draft: Draft, *, to_send: bool) -> bytes:
    """
    The message of a draft.

    A draft that is kept may be unfinished: what is no address yet is left out of it; it stays in
    the form, where it can be mended.

    Raises:
        Unclear: It cannot be built.
    """
    if to_send:
        fields = recipients(draft)
    else:
        fields = {}
        for name in ("to", "cc", "bcc"):
            only = replace(Draft(sender=draft.sender), **{name: getattr(draft, name)})
            try:
                fields[name] = recipients(only)[name]
            except Unclear:
                fields[name] = []
    now = datetime.datetime.fromtimestamp(visit.services.now(), datetime.UTC)
    headers = [(ANSWERS, draft.answers)] if draft.answers and not to_send else []
    name = visit.me.name
    author = f"{_quoted(name)} <{draft.sender}>" if name else draft.sender
    try:
        return corvus_message.build(
            from_=author,
            to=fields["to"],
            cc=fields["cc"],
            bcc=fields["bcc"],
            subject=words.visible(draft.subject),
            text=draft.text.replace("\0", ""),
            attachments=draft.attachments,
            date=now,
            in_reply_to=draft.in_reply_to,
            references=draft.references,
            headers=headers,
        )
    except ValueError as error:
        raise Unclear("subject", f"this cannot be made a mail: {error}") from error


def _quoted(name: str) -> str:
    plain = words.visible(name).replace("\\", "").replace('"', "'")
    return f'"{plain}"'


async def keep(visit: Visit, draft: Draft) -> Draft:
    """Put the draft into Drafts, in place of what it was before; where it lies now."""
    drafts = special(visit, "\\Drafts").mailbox
    raw = build(visit, draft, to_send=False)
    body = visit.store.new_body()
    try:
        body.write(raw)
        message = NewMessage(body=body, flags=frozenset({"\\Draft", "\\Seen"}))
        try:
            replaces = (drafts.id, draft.uid) if draft.uid else None
            done = await visit.store.messages.append(drafts.id, [message], replaces=replaces)
        except NotFound:  # another window has replaced or sent it
            done = await visit.store.messages.append(drafts.id, [message])
    finally:
        body.discard()
    return replace(draft, uid=done.uids[0])


async def discard(visit: Visit, uid: int) -> None:
    """Take a draft away."""
    drafts = special(visit, "\\Drafts").mailbox
    await visit.store.messages.expunge(drafts.id, [uid], only_deleted=False)

"""Submission: the role of the ports where our own users hand in mail (RFC 6409).

Nobody sends as somebody else; the message is completed (Date, Message-ID), Bcc is taken out, it is
signed with the active keys of its domain; local recipients get it at once, the others by the queue.
`Submitter` is used by the SMTP sessions and by the webmail alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

import corvus_dkim
import corvus_message
import corvus_smtp as smtp
from corvus_auth.domains import DomainError, to_ascii
from corvus_message import Action
from corvus_server.accounts.limits import RecipientBudget
from corvus_server.inbound.exchanger import maybe_threaded
from corvus_server.inbound.received import (
    date_time,
    delivered_to_field,
    protocol_name,
    received_field,
    return_path_field,
)
from corvus_server.log import EventLog
from corvus_server.outbound.bounce import RETURN_FULL, Fate, notice, wants
from corvus_server.sessions.smtp import OVER_QUOTA, Client, Recipient, Transaction
from corvus_server.storage import values
from corvus_server.storage.errors import StoreError
from corvus_server.storage.facts import facts_of
from corvus_server.storage.protocols import Directory, Store

#: Fields that a submitted message does not keep: Bcc is blind, Return-Path is added at delivery
#: (RFC 5321 §4.4), the others are ours to say: a user's own Authentication-Results would be believed
#: by our other users, whose mail does not pass the inbound side.
DROPPED: Final = frozenset({b"bcc", b"return-path", b"x-corvus-verdict", b"authentication-results"})

NOT_HERE: Final = smtp.Reply(550, "5.1.1", "There is no such mailbox here")
DAY_IS_OVER: Final = smtp.Reply(
    450, "4.7.1", "You have written to as many recipients as a day allows; please go on tomorrow"
)


def may_send_as(directory: Directory, account: values.Account, address: str) -> bool:
    """Whether *address* belongs to *account*: its own, with +detail, or an alias that leads to it alone."""
    if address.lower() == account.address:
        return True
    # Whoever has the catch-all of a domain may answer as any address that nobody else has there.
    found = directory.resolve_recipient(address)
    return len(found.accounts) == 1 and not found.external and found.accounts[0].id == account.id


class NotYours(Exception):
    """The author is not an address of whoever sends; the message is one sentence."""


class TooMany(NotYours):
    """The account has written to as many recipients as a day allows."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What became of a submitted mail."""

    identifier: str
    message_id: str
    accepted: values.Accepted
    queued: tuple[str, ...]
    delivered: tuple[str, ...]


@final
class Signers:
    """The active signing keys of our domains, unsealed once and again when they change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: dict[str, dict[tuple[str, str], corvus_dkim.Signer]] = {}

    def of(self, domain: str) -> list[corvus_dkim.Signer]:
        """One signer for each active key of *domain*; empty where there is none."""
        held = self._held.get(domain, {})
        found: dict[tuple[str, str], corvus_dkim.Signer] = {}
        for key in self._store.keys.all(domain):
            if not key.active:
                continue
            # By its public half, too: a selector that was removed and made anew is another key, and
            # signatures with the old one would fail everywhere.
            name = (key.selector, key.record)
            found[name] = held.get(name) or corvus_dkim.Signer(
                domain, key.selector, self._store.keys.private_key(domain, key.selector)
            )
        # What is retired is forgotten, the private key with it.
        self._held[domain] = found
        if not found:
            del self._held[domain]
        return list(found.values())


@final
class Submitter:
    """Completes, signs, delivers and queues what our users send."""

    def __init__(
        self,
        store: Store,
        *,
        hostname: str,
        log: EventLog,
        now: Callable[[], float],
        identifier: Callable[[], str],
        signers: Signers,
        budget: RecipientBudget,
    ) -> None:
        self._store = store
        self._hostname = hostname
        self._log = log
        self._now = now
        self._identifier = identifier
        self._signers = signers
        self.budget = budget

    async def submit(
        self,
        account: values.Account | None,
        mail_from: str,
        recipients: Sequence[values.QueuedRecipient],
        raw: bytes,
        *,
        received: Callable[[str], bytes] | None = None,
        connection: str = "",
        parameters: Any = None,
        save_sent: bool = False,
    ) -> Submitted:
        """
        Take a message for *recipients*; when this returns, it is durable.

        Args:
            account: Who sends; ``None`` is the server itself, which may write as anybody.
            mail_from: The envelope sender, empty for a notice.
            recipients: Each address once, whether here or outside.
            raw: The message with CRLF line ends.
            received: Makes the Received field from the identifier.
            parameters: What MAIL said (`corvus_smtp.MailParameters`), if it came by SMTP.
            save_sent: Whether a copy goes to the Sent folder of *account*.

        Raises:
            NotYours: The From field, or *mail_from*, names somebody else.
            TooMany: So many recipients are more than the account may have today.
            StoreError: It could not be stored; nothing was sent.
        """
        identifier = self._identifier()
        message = await maybe_threaded(len(raw), corvus_message.parse, raw)
        if account is not None:
            self._check_author(account, mail_from, message)
            left = self.budget.left(account.id)
            if left is not None and len(recipients) > left:
                raise TooMany("you have written to as many recipients as a day allows")
        completed, message_id = self._complete(message, raw, identifier)
        signed = await maybe_threaded(len(completed), self._sign, message, completed)
        trace = received(identifier) if received is not None else b""
        body = self._store.new_body()
        try:
            body.write(signed)
            facts = await maybe_threaded(len(signed), facts_of, signed)
            local, outside, unknown = self._divide(recipients)
            if unknown and not local and not outside:
                raise NotYours(f"there is no mailbox {unknown[0].address} here")
            deliveries = [
                values.Delivery(
                    account_id=each.id,
                    prefix=return_path_field(mail_from)
                    + delivered_to_field(recipient.address)
                    + trace,
                )
                for each, recipient in local
            ]
            if save_sent and account is not None:
                deliveries.append(
                    values.Delivery(
                        account_id=account.id,
                        mailbox="\\Sent",
                        prefix=trace,
                        flags=frozenset({"\\Seen"}),
                    )
                )
            queued = []
            if outside:
                queued.append(
                    values.Queued(
                        mail_from=mail_from,
                        recipients=outside,
                        prefix=trace,
                        account_id=None if account is None else account.id,
                        eight_bit=not signed.isascii(),
                        smtputf8=bool(getattr(parameters, "smtputf8", False)),
                        require_tls=bool(getattr(parameters, "requiretls", False)),
                        envelope_id=getattr(parameters, "envid", None) or "",
                        return_content=_value(getattr(parameters, "ret", None)),
                        notes={"subject": message.subject[:200], "id": identifier},
                    )
                )
            accepted = await self._store.accept(
                values.Intake(body=body, facts=facts, deliveries=deliveries, queued=queued)
            )
        finally:
            body.discard()
        if account is not None:
            self.budget.spend(account.id, len(recipients))
        refused = set(accepted.refused)
        fates = [
            fate
            for index, (_, recipient) in enumerate(local)
            if (fate := _fate(recipient, full=index in refused)) is not None
        ]
        fates += [
            _unknown(recipient) for recipient in unknown if wants(_told(recipient), "FAILURE")
        ]
        if fates:
            await self._tell(mail_from, fates, signed, message.subject, parameters)
        self._log(
            "info", "submission", "message", connection,
            id=identifier, sender=mail_from, recipients=[r.address for r in recipients][:10],
            size=len(signed), queued=len(outside), delivered=len(local),
        )  # fmt: skip
        return Submitted(
            identifier=identifier,
            message_id=message_id,
            accepted=accepted,
            queued=tuple(r.address for r in outside),
            delivered=tuple(
                recipient.address
                for index, (_, recipient) in enumerate(local)
                if index not in refused
            ),
        )

    async def _tell(
        self, sender: str, fates: Sequence[Fate], signed: bytes, subject: str, parameters: Any
    ) -> None:
        """
        Tell the sender what became of the local recipients, as the queue tells of the others.

        A 250 has been earned by the others; a mailbox that was full in the moment of delivery must
        not swallow its copy in silence.
        """
        found = self._store.directory.resolve_recipient(sender) if sender else None
        if found is None or not found.accounts:
            self._log(
                "warning", "submission", "no one to tell", sender=sender,
                recipients=[fate.recipient.address for fate in fates][:10],
            )  # fmt: skip
            return
        now = self._now()
        entry = values.QueueEntry(
            id=0,
            created=now,
            mail_from=sender,
            size=len(signed),
            envelope_id=getattr(parameters, "envid", None) or "",
            return_content=_value(getattr(parameters, "ret", None)),
            notes={"subject": subject[:200]},
        )
        octets = notice(
            entry,
            fates,
            hostname=self._hostname,
            original=signed[: RETURN_FULL + 1],
            now=now,
            message_id=f"{self._identifier()}@{self._hostname}",
        )
        body = self._store.new_body()
        try:
            body.write(octets)
            deliveries = [
                values.Delivery(
                    account_id=account.id,
                    prefix=return_path_field("") + delivered_to_field(account.address),
                )
                for account in found.accounts
            ]
            await self._store.accept(values.Intake(body=body, deliveries=deliveries))
        except StoreError as error:
            self._log(
                "warning", "submission", "no room for a notice", sender=sender, error=str(error)
            )
        finally:
            body.discard()

    # What is done to the message.

    def _check_author(
        self, account: values.Account, mail_from: str, message: corvus_message.Part
    ) -> None:
        directory = self._store.directory
        if mail_from and not may_send_as(directory, account, mail_from):
            raise NotYours(f"you may send as {account.address}, not as {mail_from}")
        if len(message.fields(b"from")) != 1:
            # Programs disagree about which of two they show.
            raise NotYours("a mail needs one From field, which names its author")
        for field in (b"from", b"sender"):
            for value in message.fields(field):
                authors = corvus_message.addresses(value)
                if not authors:
                    # Nobody is named as we read it; others may read it otherwise.
                    raise NotYours("the author of a mail is an address")
                for author in authors:
                    if not may_send_as(directory, account, author.address):
                        raise NotYours(
                            f"you may send as {account.address}, not as {author.address}"
                        )

    def _complete(
        self, message: corvus_message.Part, raw: bytes, identifier: str
    ) -> tuple[bytes, str]:
        """The message with what it must have and without what it must not have."""
        kept = [
            field.octets for field in message.headers.fields if field.name.lower() not in DROPPED
        ]
        added = []
        if message.field(b"from") is None:
            raise NotYours("a mail needs a From field that names its author")
        if message.field(b"date") is None:
            # RFC 6409 §8.2, §8.3: a submission server MAY add these, and mail without them is junk.
            added.append(f"Date: {date_time(self._now())}\r\n".encode("ascii"))
        held = message.field(b"message-id")
        message_id = "" if held is None else held.decode("utf-8", "replace").strip()
        if not message_id:
            message_id = f"<{identifier}@{self._hostname}>"
            added.append(f"Message-ID: {message_id}\r\n".encode("ascii"))
        header = b"".join([*added, *kept])
        if not header.endswith(b"\r\n"):
            # A message of a header alone, cut off within its last line.
            header += b"\r\n"
        body = raw[message.body_start :]
        if body and not body.endswith(b"\r\n"):
            body += b"\r\n"
        return header + b"\r\n" + body, message_id

    def _sign(self, message: corvus_message.Part, completed: bytes) -> bytes:
        domains = {
            author.domain.lower()
            for author in corvus_message.addresses(message.field(b"from") or b"")
        }
        if len(domains) != 1 or len(message.fields(b"from")) != 1:
            return completed  # nobody's signature could be aligned
        try:
            signers = self._signers.of(to_ascii(domains.pop()))
        except DomainError:
            return completed
        if not signers:
            return completed
        try:
            return corvus_dkim.sign_with(signers, completed, now=self._now()) + completed
        except corvus_dkim.SigningError:
            # What cannot be signed (a header that breaks in the middle) may be sent all the same.
            return completed

    def _divide(
        self, recipients: Sequence[values.QueuedRecipient]
    ) -> tuple[
        list[tuple[values.Account, values.QueuedRecipient]],
        list[values.QueuedRecipient],
        list[values.QueuedRecipient],
    ]:
        """Who is here (each account once), who is outside, and who is nowhere."""
        unknown: list[values.QueuedRecipient] = []
        local: dict[int, tuple[values.Account, values.QueuedRecipient]] = {}
        outside: dict[str, values.QueuedRecipient] = {}
        for recipient in recipients:
            found = self._store.directory.resolve_recipient(recipient.address)
            if not found.local_domain:
                outside.setdefault(recipient.address, recipient)
                continue
            if not found.accounts and not found.external:
                unknown.append(recipient)
            for account in found.accounts:
                local.setdefault(account.id, (account, recipient))
            several = len(found.accounts) + len(found.external) > 1
            for address in found.external:
                # An alias hands on what the sender wants to know, and about whom; where it has
                # several targets all but SUCCESS (RFC 3461 §5.2.7.2, §5.2.7.3).
                outside.setdefault(
                    address,
                    replace(
                        recipient,
                        address=address,
                        notify=_no_success(recipient.notify) if several else recipient.notify,
                        original=recipient.original or f"rfc822;{recipient.address}",
                    ),
                )
        return list(local.values()), list(outside.values()), unknown


def _no_success(notify: str) -> str:
    if not notify:
        return ""
    words = [word for word in notify.split(",") if word != "SUCCESS"]
    return ",".join(words) or "NEVER"


def _told(recipient: values.QueuedRecipient) -> values.QueueRecipient:
    """A recipient as notices know it."""
    return values.QueueRecipient(
        id=0,
        entry_id=0,
        address=recipient.address,
        domain=recipient.address.rpartition("@")[2].lower(),
        notify=recipient.notify,
        original=recipient.original,
    )


def _unknown(recipient: values.QueuedRecipient) -> Fate:
    """A mailbox that was taken away since RCPT, or that no RCPT was asked about (the webmail)."""
    return Fate(
        recipient=_told(recipient), action=Action.FAILED, code=NOT_HERE.code,
        enhanced=str(NOT_HERE.enhanced), text=NOT_HERE.text,
    )  # fmt: skip


def _fate(recipient: values.QueuedRecipient, *, full: bool) -> Fate | None:
    """What the sender is to be told about a recipient here, if anything."""
    told = _told(recipient)
    if full:
        if not wants(told, "FAILURE"):
            return None
        return Fate(
            recipient=told, action=Action.FAILED, code=552, enhanced="5.2.2",
            text="The mailbox is full",
        )  # fmt: skip
    if not wants(told, "SUCCESS"):
        return None
    return Fate(
        recipient=told, action=Action.DELIVERED, code=250, enhanced="2.1.5", text="Delivered"
    )


@final
class Submission:
    """The role of a submission listener."""

    protocol = "submission"

    def __init__(
        self,
        store: Store,
        submitter: Submitter,
        *,
        hostname: str,
        log: EventLog,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._submitter = submitter
        self._hostname = hostname
        self._log = log
        self._now = now

    def opened(self, client: Client) -> smtp.Reply | None:
        return None

    def sender(self, client: Client, address: str, parameters: Any) -> smtp.Reply | None:
        account = client.account
        if account is None:
            return smtp.Reply(530, "5.7.0", "Please sign in first")
        if address and not may_send_as(self._store.directory, account, address):
            return smtp.Reply(
                553, "5.7.1", f"You may send as {account.address}, not as {_plain(address)}"
            )
        return None

    def recipient(
        self, client: Client, transaction: Transaction, address: str, parameters: Any
    ) -> smtp.Reply | Recipient:
        left = self._submitter.budget.left(client.account.id)
        if left is not None and len(transaction.recipients) >= left:
            return DAY_IS_OVER
        found = self._store.directory.resolve_recipient(address)
        if found.local_domain and not found.known:
            return NOT_HERE
        here = found.accounts
        if (
            here
            and not found.external
            and all(self._store.directory.over_quota(account.id) for account in here)
        ):
            return OVER_QUOTA
        return Recipient(address, parameters, found)

    def start(self, client: Client, transaction: Transaction) -> None:
        transaction.body = self._store.new_body()

    async def finish(self, client: Client, transaction: Transaction) -> smtp.Reply:
        assert transaction.body is not None
        utf8 = bool(getattr(transaction.parameters, "smtputf8", False))

        def received(identifier: str) -> bytes:
            # The address of a user's home is nobody's business: the field names the account's host.
            return received_field(
                helo=client.helo,
                address=client.address,
                hostname=self._hostname,
                protocol=protocol_name(
                    esmtp=client.esmtp, tls=client.tls is not None, authenticated=True, utf8=utf8
                ),
                tls=client.tls,
                identifier=identifier,
                moment=self._now(),
            )

        wants_copy = self._store.settings.get(f"account/{client.account.id}/save-sent", False)
        try:
            done = await self._submitter.submit(
                client.account,
                transaction.mail_from,
                [_queued(recipient) for recipient in transaction.recipients],
                transaction.body.getvalue(),
                received=received,
                connection=client.connection,
                parameters=transaction.parameters,
                save_sent=bool(wants_copy),
            )
        except TooMany:
            return DAY_IS_OVER
        except NotYours as error:
            return smtp.Reply(550, "5.7.1", f"Refused: {_plain(str(error))}")
        return smtp.Reply(250, "2.0.0", f"{done.identifier} accepted")


def _queued(recipient: Recipient) -> values.QueuedRecipient:
    notify = getattr(recipient.parameters, "notify", None)
    original = getattr(recipient.parameters, "orcpt", None)
    return values.QueuedRecipient(
        address=recipient.address,
        notify="" if notify is None else ",".join(sorted(_value(each) for each in notify)),
        original="" if original is None else f"{original.addr_type};{original.address}",
    )


def _value(thing: Any) -> str:
    return "" if thing is None else str(getattr(thing, "value", thing))


def _plain(text: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", text)[:300]

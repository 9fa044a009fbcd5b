"""The mail exchanger: the role of the port that other servers deliver to (25 in the world).

Local domains only, unknown recipients refused while the client still listens, every message
authenticated, judged and filed with its verdict.  What a verdict is made of is `policy` and
`spam.signals`; here is the order of things.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final, final

import corvus_dkim
import corvus_message
import corvus_smtp as smtp
from corvus_auth import authres
from corvus_server.inbound.authenticate import Authentication, Authenticator
from corvus_server.inbound.forward import srs_address, srs_original
from corvus_server.inbound.policy import SUSPICIOUS, Policy, Ruling, decide
from corvus_server.inbound.received import (
    MAX_HOPS,
    delivered_to_field,
    protocol_name,
    received_field,
    return_path_field,
)
from corvus_server.inbound.verdict import Decision, Verdict
from corvus_server.log import EventLog
from corvus_server.sessions.smtp import Client, Recipient, Transaction
from corvus_server.spam.signals import MailFacts, Signal, score_of, signals_of
from corvus_server.storage import values
from corvus_server.storage.facts import facts_of
from corvus_server.storage.protocols import Store
from corvus_server.transports.limits import network_of

#: Octets of a message that are examined on the event loop; more goes to a thread.
INLINE: Final = 256 * 1024
#: Characters of the text that the signals look at: what sells itself does so at once.
TEXT: Final = 8_000
#: Seconds behind a first greylisting in which a second try counts as the same mail come again.
GREYLIST_MEMORY: Final = 36 * 3600.0

RELAY: Final = smtp.Reply(550, "5.7.1", "We do not relay; sign in to send mail")
NOT_HERE: Final = smtp.Reply(550, "5.1.1", "There is no such mailbox here")
SWITCHED_OFF: Final = smtp.Reply(550, "5.2.1", "This mailbox is switched off")
FULL: Final = smtp.Reply(452, "4.2.2", "The mailbox is full")
LOOP: Final = smtp.Reply(554, "5.4.6", "This mail has been through too many servers")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator has chosen about mail from outside."""

    hostname: str
    policy: Policy = Policy()
    greylist_delay: float = 300.0
    authenticate: bool = True
    """Whether SPF, DKIM and DMARC are asked at all (benchmarks measure without)."""


@final
class MailExchanger:
    """Takes mail for local domains, and says why it went where it went."""

    protocol = "smtp"

    def __init__(
        self,
        store: Store,
        authenticator: Authenticator,
        settings: Settings,
        *,
        log: EventLog,
        now: Callable[[], float],
        identifier: Callable[[], str],
        secret: bytes,
    ) -> None:
        """
        Args:
            identifier: Makes the id of a message, as the 250 and the Received field show it.
            secret: The key of the forwarding addresses (SRS).
        """
        self._store = store
        self._authenticator = authenticator
        self._settings = settings
        self._log = log
        self._now = now
        self._identifier = identifier
        self._secret = secret

    # The role: one answer a command.

    def opened(self, client: Client) -> smtp.Reply | None:
        return None

    def sender(self, client: Client, address: str, parameters: Any) -> smtp.Reply | None:
        return None

    def recipient(
        self, client: Client, transaction: Transaction, address: str, parameters: Any
    ) -> smtp.Reply | Recipient:
        found = self._store.directory.resolve_recipient(address)
        if not found.local_domain:
            return RELAY
        if not transaction.mail_from and address[:5].upper() == "SRS0=":
            # A bounce of what we forwarded goes back to who had sent it.
            original = srs_original(address.rpartition("@")[0], self._secret, now=self._now())
            if original is not None:
                found = values.Resolution(address=address, external=(original,), local_domain=True)
        if not found.known:
            return SWITCHED_OFF if found.disabled else NOT_HERE
        full = [a for a in found.accounts if self._store.directory.over_quota(a.id)]
        if full and len(full) == len(found.accounts) and not found.external:
            return FULL
        return Recipient(address, parameters, found)

    def start(self, client: Client, transaction: Transaction) -> None:
        transaction.body = self._store.new_body()
        if self._settings.authenticate:
            verifier = corvus_dkim.Verifier()
            transaction.notes["verifier"] = verifier
            transaction.sinks = (verifier.update,)

    async def finish(self, client: Client, transaction: Transaction) -> smtp.Reply:
        body = transaction.body
        assert body is not None
        began = self._now()
        identifier = self._identifier()
        raw = body.getvalue()
        message = await maybe_threaded(len(raw), corvus_message.parse, raw)
        if len(message.fields(b"received")) > MAX_HOPS:
            self._log(
                "warning", "smtp", "mail loop", client.connection, sender=transaction.mail_from
            )
            return LOOP
        checks = await self._authenticate(client, transaction, message)
        facts = self._facts(client, transaction, message, checks)
        signals = signals_of(facts)
        if score_of(
            signals
        ) >= self._settings.policy.junk_threshold * SUSPICIOUS and await self._known(
            transaction, message
        ):
            # Asked only where it can change something: it costs a search.
            facts = replace(facts, known_sender=True)
            signals = signals_of(facts)
        domains = self._domains(transaction)
        ruling = self._decide(client, transaction, checks, signals, domains)
        verdict = self._verdict(
            client, transaction, facts, signals, checks, ruling, began, identifier
        )
        reply = await self._carry_out(
            client, transaction, message, raw, checks, verdict, identifier
        )
        self._log(
            "info", "smtp", "message", client.connection,
            id=identifier, sender=transaction.mail_from,
            recipients=[r.address for r in transaction.recipients][:10],
            size=body.size, decision=verdict.decision.value, reason=verdict.sentence,
            reply=str(reply),
        )  # fmt: skip
        return reply

    # Looking.

    async def _authenticate(
        self, client: Client, transaction: Transaction, message: corvus_message.Part
    ) -> Authentication:
        if not self._settings.authenticate:
            return Authentication.none()
        verifier = transaction.notes.get("verifier")
        return await self._authenticator.check(
            ip=client.address,
            helo=client.helo,
            mail_from=transaction.mail_from,
            message=message,
            signatures=verifier.evaluate(now=self._now()) if verifier is not None else None,
        )

    def _facts(
        self,
        client: Client,
        transaction: Transaction,
        message: corvus_message.Part,
        checks: Authentication,
    ) -> MailFacts:
        moment = message.field(b"date")
        date = corvus_message.parse_date(moment) if moment else None
        reply_to = corvus_message.addresses(message.field(b"reply-to") or b"")
        leaves = [part for part in message.walk() if not part.children]
        types = {f"{part.type}/{part.subtype}" for part in leaves}
        return MailFacts(
            ip=client.address,
            helo=client.helo,
            tls=client.tls is not None,
            ptr=checks.ptr,
            mail_from=transaction.mail_from,
            recipients=len(transaction.recipients),
            spf=checks.status(checks.spf),
            spf_domain=checks.spf_domain,
            dkim=tuple((checks.status(r), getattr(r, "domain", "") or "") for r in checks.dkim),
            dmarc=checks.status(checks.dmarc),
            from_domain=checks.from_domain,
            from_problem=checks.from_problem,
            subject=message.subject,
            date_offset=None if date is None else date.timestamp() - self._now(),
            has_message_id=message.field(b"message-id") is not None,
            reply_to_domain=reply_to[0].domain.lower() if reply_to else "",
            text=_text_of(message, leaves),
            html_only="text/html" in types and "text/plain" not in types,
            attachments=tuple(part.filename for part in leaves if part.filename)[:100],
            blocklists=checks.blocklists,
            allowlists=checks.allowlists,
            defects=tuple(str(getattr(d, "value", d)) for d in message.defects),
        )

    async def _known(self, transaction: Transaction, message: corvus_message.Part) -> bool:
        """Whether one of the recipients has written to this author before."""
        authors = corvus_message.addresses(message.field(b"from") or b"")
        if len(authors) != 1:
            return False
        for recipient in transaction.recipients[:10]:
            for account in recipient.found.accounts[:10]:
                sent = self._store.mailboxes.special(account.id, "\\Sent")
                if sent is not None and await self._store.messages.search_text(
                    sent.id, "to", authors[0].address
                ):
                    return True
        return False

    # Deciding.

    def _domains(self, transaction: Transaction) -> list[values.Domain]:
        names = {r.address.rpartition("@")[2].lower() for r in transaction.recipients}
        found = (self._store.directory.domain(name) for name in sorted(names))
        return [domain for domain in found if domain is not None]

    def _decide(
        self,
        client: Client,
        transaction: Transaction,
        checks: Authentication,
        signals: tuple[Signal, ...],
        domains: Sequence[values.Domain],
    ) -> Ruling:
        policy = self._settings.policy
        if any(domain.strict_dmarc for domain in domains):
            policy = Policy(
                junk_threshold=policy.junk_threshold, strict_dmarc=True, greylist=policy.greylist
            )
        entry = self._store.greylist.get(*self._pair(client, transaction))
        now = self._now()
        returned = entry is not None and (
            entry.passed > 0
            or self._settings.greylist_delay <= now - entry.first_seen <= GREYLIST_MEMORY
        )
        return decide(
            policy=policy,
            from_domain=checks.from_domain or "the author's domain",
            spf=checks.spf,
            dkim=checks.dkim,
            dmarc=checks.dmarc,
            signals=signals,
            may_greylist=_public(client.address)
            and not any(signal.name == "known-sender" for signal in signals),
            returned=returned,
        )

    def _pair(self, client: Client, transaction: Transaction) -> tuple[str, str]:
        domain = transaction.mail_from.rpartition("@")[2].lower() or client.helo.lower()
        return network_of(client.address), domain[:255]

    def _verdict(
        self,
        client: Client,
        transaction: Transaction,
        facts: MailFacts,
        signals: tuple[Signal, ...],
        checks: Authentication,
        ruling: Ruling,
        began: float,
        identifier: str,
    ) -> Verdict:
        tls = client.tls
        return Verdict(
            decision=ruling.decision,
            rule=ruling.rule,
            sentence=ruling.sentence,
            score=score_of(signals),
            threshold=self._settings.policy.junk_threshold,
            signals=signals,
            connection={
                "id": client.connection,
                "ip": client.address,
                "helo": client.helo,
                "ptr": None if facts.ptr is None else list(facts.ptr),
                "tls": None if tls is None else {"version": tls.version, "cipher": tls.cipher},
            },
            envelope={
                "mail_from": transaction.mail_from,
                "recipients": [r.address for r in transaction.recipients][:100],
                "from_domain": checks.from_domain,
                "subject": facts.subject[:200],
                "id": identifier,
            },
            checks=checks.to_json(),
            steps=[
                {"what": "received", "at": transaction.began},
                {"what": "complete", "at": began},
                {"what": "checked", "at": self._now(), "seconds": round(checks.seconds, 4)},
            ],
        )

    # Carrying out.

    async def _carry_out(
        self,
        client: Client,
        transaction: Transaction,
        message: corvus_message.Part,
        raw: bytes,
        checks: Authentication,
        verdict: Verdict,
        identifier: str,
    ) -> smtp.Reply:
        decision = verdict.decision
        stored = values.Verdict(
            action={"inbox": "accept"}.get(decision.value, decision.value),
            tree=verdict.to_json(),
            sentence=verdict.sentence,
            mail_from=transaction.mail_from,
            recipients=tuple(r.address for r in transaction.recipients),
            client=client.address,
        )
        if decision is Decision.REJECT:
            await self._store.verdicts.record(stored)
            return smtp.Reply(550, "5.7.1", f"Refused: {_ascii(verdict.sentence)}")
        if decision is Decision.DEFER:
            await self._store.verdicts.record(stored)
            return smtp.Reply(451, "4.7.0", f"Later: {_ascii(verdict.sentence)}")
        if decision is Decision.GREYLIST:
            await self._store.greylist.seen(*self._pair(client, transaction), passed=False)
            await self._store.verdicts.record(stored)
            return smtp.Reply(451, "4.7.1", "You are new here; please come again")
        body = transaction.body
        assert body is not None
        cleaned = self._without_forgeries(message, raw)
        if cleaned is not None:
            # RFC 8601 §5: "MUST delete ... any instance of this header field that claims" to be ours.
            body.discard()
            transaction.body = body = self._store.new_body()
            body.write(cleaned)
            message = corvus_message.parse(cleaned)
        facts = await maybe_threaded(body.size, facts_of, body.getvalue())
        accepted = await self._store.accept(
            values.Intake(
                body=body,
                facts=facts,
                deliveries=self._deliveries(client, transaction, checks, verdict, identifier),
                queued=self._forwards(client, transaction, checks, verdict, identifier),
                verdict=stored,
            )
        )
        if self._settings.policy.greylist != "off" and checks.status(checks.dmarc) != "pass":
            entry = self._store.greylist.get(*self._pair(client, transaction))
            if entry is not None and not entry.passed:
                await self._store.greylist.seen(*self._pair(client, transaction), passed=True)
        if (
            accepted.filed
            and len(accepted.refused) == len(accepted.filed)
            and not accepted.queue_ids
        ):
            return FULL
        return smtp.Reply(250, "2.0.0", f"{identifier} accepted")

    def _without_forgeries(self, message: corvus_message.Part, raw: bytes) -> bytes | None:
        """The message without results that claim our name, or ``None`` where there are none."""
        if not message.fields(b"authentication-results"):
            return None
        cleaned = authres.remove(raw, self._settings.hostname)
        return None if cleaned == raw else cleaned

    def _trace(
        self,
        client: Client,
        transaction: Transaction,
        checks: Authentication,
        verdict: Verdict,
        identifier: str,
    ) -> bytes:
        single = len(transaction.recipients) == 1
        results = checks.header(self._settings.hostname)
        score = f"score={verdict.score:g} threshold={verdict.threshold:g}"
        reason = _ascii(verdict.sentence).replace("\\", "").replace('"', "'")[:400]
        return (
            results
            + f"X-Corvus-Verdict: {verdict.decision.value}; rule={verdict.rule}; {score};\r\n".encode()
            + f'\treason="{reason}"\r\n'.encode()
            + received_field(
                helo=client.helo,
                address=client.address,
                name=checks.ptr[0] if checks.ptr else "",
                hostname=self._settings.hostname,
                protocol=protocol_name(
                    esmtp=client.esmtp,
                    tls=client.tls is not None,
                    authenticated=False,
                    utf8=bool(getattr(transaction.parameters, "smtputf8", False)),
                ),
                tls=client.tls,
                identifier=identifier,
                recipient=transaction.recipients[0].address if single else "",
                moment=self._now(),
            )
        )

    def _deliveries(
        self,
        client: Client,
        transaction: Transaction,
        checks: Authentication,
        verdict: Verdict,
        identifier: str,
    ) -> list[values.Delivery]:
        trace = self._trace(client, transaction, checks, verdict, identifier)
        mailbox = "\\Junk" if verdict.decision is Decision.JUNK else "INBOX"
        found: dict[int, values.Delivery] = {}
        for recipient in transaction.recipients:
            for account in recipient.found.accounts:
                if account.id not in found:  # two aliases of one person make one mail
                    found[account.id] = values.Delivery(
                        account_id=account.id,
                        mailbox=mailbox,
                        prefix=return_path_field(transaction.mail_from)
                        + delivered_to_field(recipient.address)
                        + trace,
                    )
        return list(found.values())

    def _forwards(
        self,
        client: Client,
        transaction: Transaction,
        checks: Authentication,
        verdict: Verdict,
        identifier: str,
    ) -> list[values.Queued]:
        """Copies for targets outside; Junk is not forwarded, it would be ours then."""
        if verdict.decision is Decision.JUNK:
            return []
        trace = self._trace(client, transaction, checks, verdict, identifier)
        found: list[values.Queued] = []
        for recipient in transaction.recipients:
            if not recipient.found.external:
                continue
            domain = recipient.address.rpartition("@")[2]
            found.append(
                values.Queued(
                    mail_from=srs_address(
                        transaction.mail_from, domain, self._secret, now=self._now()
                    ),
                    recipients=[
                        values.QueuedRecipient(address=address)
                        for address in dict.fromkeys(recipient.found.external)
                    ],
                    prefix=delivered_to_field(recipient.address) + trace,
                    smtputf8=bool(getattr(transaction.parameters, "smtputf8", False)),
                    notes={"forwarded": recipient.address, "id": identifier},
                )
            )
        return found


async def maybe_threaded(size: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Run *function* here if it touches little, in a thread if it touches much."""
    if size <= INLINE:
        return function(*arguments)
    return await asyncio.to_thread(function, *arguments)


#: Neighbours, who are never asked to come again (RFC 1918, 4193, 4291, 6598).
_NEIGHBOURS: Final = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8",
        "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip


@lru_cache(maxsize=10_000)
def _public(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return not any(
        parsed in network for network in _NEIGHBOURS if network.version == parsed.version
    )


def _text_of(message: corvus_message.Part, leaves: Sequence[corvus_message.Part]) -> str:
    """The beginning of the first text part."""
    for part in leaves:
        if part.type == "text" and part.size <= INLINE:
            return part.content_text()[:TEXT]
    return ""


def _ascii(text: str) -> str:
    """Text for a reply or a header: printable ASCII on one line."""
    flat = "".join(c if c.isprintable() else " " for c in text)
    return flat.replace("“", "'").replace("”", "'").encode("ascii", "replace").decode("ascii")[:400]

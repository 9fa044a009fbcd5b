"""The queue runner: takes what is due, has it delivered, and settles each recipient's fate.

A lease is taken, committed, and only then the network is touched (R7); the outcome counts only while
the lease is still ours.  What goes wrong in our own code holds the entry, with the reason, where an
administrator sees it: a mail is never dropped for a mistake of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, final

import corvus_smtp as smtp
from corvus_auth.lookup import arun
from corvus_message import Action
from corvus_server.log import EventLog
from corvus_server.network import Network
from corvus_server.outbound.bounce import RETURN_FULL, Fate, notice, wants
from corvus_server.outbound.delivery import Courier, Relay, Report, nowhere, shortened
from corvus_server.outbound.routing import Hop, Route, route
from corvus_server.outbound.schedule import Schedule
from corvus_server.storage import values
from corvus_server.storage.errors import LeaseLost, StoreError
from corvus_server.storage.protocols import Store
from corvus_server.storage.values import RecipientState

#: Seconds for which recipients are ours; renewed while we work on them.
LEASE: Final = 120.0
#: Leases taken at a time, and destinations served at a time.
BATCH: Final = 50
DESTINATIONS: Final = 20
#: Seconds after which the runner looks by itself, whatever it was told.
LOOK: Final = 60.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSettings:
    """What the operator has chosen about outgoing mail."""

    hostname: str
    port: int = 25
    schedule: Schedule = Schedule()
    sources: tuple[str, ...] = ()
    """Our own addresses to send from, at most one of each family."""
    allow_loopback: bool = False
    relay: Relay | None = None
    limits: smtp.Limits = smtp.Limits()


@final
class QueueRunner:
    """Empties the queue, destination by destination."""

    def __init__(
        self,
        store: Store,
        network: Network,
        resolver: Any,
        settings: RunnerSettings,
        *,
        log: EventLog,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        identifier: Callable[[], str],
        return_address: Callable[[str], str | None] = lambda address: None,
        dice: random.Random | None = None,
    ) -> None:
        """
        Args:
            resolver: Asynchronous; see `corvus_auth.lookup`.
            return_address: Undoes a forwarding address of ours; ``None`` if it is none.
            dice: Randomness for jitter and for hosts of equal preference.
        """
        self._store = store
        self._network = network
        self._resolver = resolver
        self._settings = settings
        self._log = log
        self._now = now
        self._monotonic = monotonic
        self._identifier = identifier
        self._return_address = return_address
        self._dice = dice or random.Random()  # noqa: S311 - jitter is no secret
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._main: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Begin; returns at once."""
        self._unsubscribe = self._store.queue.subscribe(self._wake.set)
        self._main = asyncio.create_task(self._run())

    async def close(self, *, grace: float = 5.0) -> None:
        """Take nothing new, let attempts at work finish for *grace* seconds, give back the rest."""
        self._unsubscribe()
        if self._main is not None:
            self._main.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._main
            self._main = None
        tasks = list(self._busy.values())
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

    # The loop.

    async def _run(self) -> None:
        queue = self._store.queue
        while True:
            self._wake.clear()
            try:
                taken = 0
                if len(self._busy) < DESTINATIONS:
                    leases = await queue.lease_due(
                        self._now(), BATCH, LEASE, skip_domains=tuple(self._busy)
                    )
                    taken = len(leases)
                    self._dispatch(leases)
                due = queue.next_due()
            except StoreError as error:
                self._log("error", "delivery", "queue unavailable", error=str(error))
                taken, due = 0, None
            wait = LOOK if due is None else max(0.0, min(LOOK, due - self._now()))
            if not taken and wait == 0.0:
                wait = 1.0  # what is due waits for a destination that is at work
            if taken and wait == 0.0:
                await asyncio.sleep(0)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)

    def _dispatch(self, leases: Sequence[values.Lease]) -> None:
        by_domain: dict[str, list[values.Lease]] = {}
        for lease in leases:
            by_domain.setdefault(lease.domain, []).append(lease)
        for domain, own in by_domain.items():
            task = asyncio.create_task(self._destination(domain, own))
            self._busy[domain] = task
            task.add_done_callback(partial(self._finished, domain))

    def _finished(self, domain: str, task: asyncio.Task[None]) -> None:
        self._busy.pop(domain, None)
        self._wake.set()

    async def _destination(self, domain: str, leases: list[values.Lease]) -> None:
        """Deliver *leases*, all to *domain*, over one connection as long as it lasts."""
        waiting = list(leases)
        renewal = asyncio.create_task(self._renew(waiting))
        courier: Courier | None = None
        try:
            found = await self._route(domain)
            if found.hops:
                courier = self._courier(found)
            while waiting:
                lease = waiting[0]
                await self._attempt(lease, found, courier)
                waiting.pop(0)
        except asyncio.CancelledError:
            for lease in waiting:
                with contextlib.suppress(StoreError):
                    await self._store.queue.finish_attempt(lease.token, (), None)
            raise
        finally:
            renewal.cancel()
            if courier is not None:
                await courier.close()

    async def _renew(self, waiting: list[values.Lease]) -> None:
        while True:
            await asyncio.sleep(LEASE / 3)
            for lease in list(waiting):
                with contextlib.suppress(StoreError):
                    await self._store.queue.renew(lease.token, self._now() + LEASE)

    async def _route(self, domain: str) -> Route:
        settings = self._settings
        if settings.relay is not None:
            return await arun(_relay_route(settings.relay), self._resolver)
        return await arun(
            route(
                domain,
                own_names=(settings.hostname,),
                own_addresses=settings.sources,
                allow_loopback=settings.allow_loopback,
                shuffle=self._dice.shuffle,
            ),
            self._resolver,
        )

    def _courier(self, found: Route) -> Courier:
        settings = self._settings
        return Courier(
            self._network,
            found,
            hostname=settings.hostname,
            port=settings.port if settings.relay is None else settings.relay.port,
            sources=settings.sources,
            relay=settings.relay,
            monotonic=self._monotonic,
            limits=settings.limits,
        )

    # One attempt.

    async def _attempt(self, lease: values.Lease, found: Route, courier: Courier | None) -> None:
        started = self._now()
        entry = lease.entry
        try:
            if courier is None:
                reply = nowhere(found)
                report = Report(
                    replies={recipient.id: reply for recipient in lease.recipients},
                    details={"route": found.to_dict()},
                )
            else:
                report = await courier.deliver(
                    entry, lease.recipients, lambda: self._store.queue.open_body(entry)
                )
            await self._settle(lease, report, started)
        except LeaseLost:
            self._log("warning", "delivery", "lease lost", f"q{entry.id}", domain=lease.domain)
        except StoreError as error:
            # Nothing was recorded: the lease runs out and the attempt is made again (R7).
            self._log("error", "delivery", "not recorded", f"q{entry.id}", error=str(error))
        except Exception as error:  # a mistake of ours must not lose a mail: it is held
            self._log("error", "delivery", "failed", f"q{entry.id}", exc_info=error)
            with contextlib.suppress(StoreError):
                await self._hold(lease, started, error)

    async def _hold(self, lease: values.Lease, started: float, error: Exception) -> None:
        text = f"held: a defect of this server, {type(error).__name__}"
        await self._store.queue.finish_attempt(
            lease.token,
            [
                values.RecipientOutcome(
                    recipient_id=recipient.id, state=RecipientState.HELD, code=451, text=text
                )
                for recipient in lease.recipients
            ],
            values.Attempt(
                started=started,
                finished=self._now(),
                outcome="failed",
                recipients=tuple(r.id for r in lease.recipients),
                text=text,
                details={"error": repr(error)[:500]},
            ),
        )

    async def _settle(self, lease: values.Lease, report: Report, started: float) -> None:
        now = self._now()
        entry, schedule = lease.entry, self._settings.schedule
        outcomes: list[values.RecipientOutcome] = []
        fates: list[Fate] = []
        for recipient in lease.recipients:
            reply = report.replies[recipient.id]
            enhanced = str(reply.enhanced) if reply.enhanced is not None else ""
            common: dict[str, Any] = {
                "recipient_id": recipient.id,
                "code": reply.code,
                "enhanced": enhanced,
                "text": reply.text[:500],
            }

            def fate(
                action: Action,
                recipient: values.QueueRecipient = recipient,
                reply: smtp.Reply = reply,
                enhanced: str = enhanced,
                until: float | None = None,
            ) -> Fate:
                return Fate(
                    recipient=recipient, action=action, code=reply.code, enhanced=enhanced,
                    text=reply.text, host=report.host, retry_until=until,
                )  # fmt: skip

            if reply.positive:
                outcomes.append(values.RecipientOutcome(state=RecipientState.DELIVERED, **common))
                if wants(recipient, "SUCCESS") and not report.told_dsn:
                    fates.append(fate(Action.RELAYED))
                continue
            expires = entry.expires if entry.expires is not None else None
            again = None
            if not reply.permanent and (expires is None or now < expires):
                again = schedule.next_attempt(
                    max(1, recipient.attempts),
                    created=entry.created,
                    now=now,
                    dice=self._dice.random(),
                )
            if again is None:
                outcomes.append(values.RecipientOutcome(state=RecipientState.FAILED, **common))
                if wants(recipient, "FAILURE"):
                    fates.append(fate(Action.FAILED))
                continue
            late = schedule.late(created=entry.created, now=now, told=recipient.delay_told)
            outcomes.append(
                values.RecipientOutcome(
                    state=RecipientState.WAITING, next_attempt=again, delay_told=late, **common
                )
            )
            if late and wants(recipient, "DELAY"):
                fates.append(fate(Action.DELAYED, until=entry.created + schedule.give_up))
        attempt = self._record(lease, report, outcomes, started, now)
        intake = self._notice(entry, fates, now) if fates else None
        try:
            await self._store.queue.finish_attempt(lease.token, outcomes, attempt, then=intake)
        finally:
            if intake is not None:
                intake.body.discard()
        for recipient, outcome in zip(lease.recipients, outcomes, strict=True):
            self._log(
                "info", "delivery", outcome.state.value, f"q{entry.id}",
                recipient=recipient.address, host=report.host, address=report.address,
                reply=f"{outcome.code} {outcome.enhanced} {outcome.text}".strip(),
                tls=report.tls.get("version", ""), next=outcome.next_attempt,
            )  # fmt: skip

    def _record(
        self,
        lease: values.Lease,
        report: Report,
        outcomes: Sequence[values.RecipientOutcome],
        started: float,
        now: float,
    ) -> values.Attempt:
        states = {outcome.state for outcome in outcomes}
        worst = max(outcomes, key=lambda outcome: outcome.code)
        if states == {RecipientState.DELIVERED}:
            name = "delivered"
        elif RecipientState.WAITING in states:
            name = "deferred"
        else:
            name = "failed"
        return values.Attempt(
            started=started,
            finished=now,
            outcome=name,
            recipients=tuple(recipient.id for recipient in lease.recipients),
            host=report.host,
            address=report.address,
            code=worst.code,
            enhanced=worst.enhanced,
            text=worst.text,
            tls=report.tls,
            details=shortened(report.details),
            dialogue=report.dialogue,
        )

    def _notice(
        self, entry: values.QueueEntry, fates: Sequence[Fate], now: float
    ) -> values.Intake | None:
        """The notice for the sender, on its way into a mailbox or the queue in the same commit."""
        if not entry.mail_from:
            self._log("warning", "delivery", "no one to tell", f"q{entry.id}")
            return None
        settings = self._settings
        octets = notice(
            entry,
            fates,
            hostname=settings.hostname,
            original=self._store.queue.read_body(entry, 0, RETURN_FULL + 1),
            now=now,
            message_id=f"{self._identifier()}@{settings.hostname}",
        )
        sender = self._return_address(entry.mail_from) or entry.mail_from
        found = self._store.directory.resolve_recipient(sender)
        deliveries: list[values.Delivery] = []
        queued: list[values.Queued] = []
        if found.accounts:
            deliveries = [
                values.Delivery(account_id=account.id, prefix=b"Return-Path: <>\r\n")
                for account in found.accounts
            ]
        elif not found.local_domain:
            queued = [
                values.Queued(
                    mail_from="",
                    recipients=[values.QueuedRecipient(address=sender, notify="NEVER")],
                    notes={"subject": "notice", "about": entry.id},
                )
            ]
        if not deliveries and not queued:
            self._log("warning", "delivery", "no one to tell", f"q{entry.id}", sender=sender)
            return None
        body = self._store.new_body()
        body.write(octets)
        return values.Intake(body=body, deliveries=deliveries, queued=queued)


def _relay_route(relay: Relay) -> Generator[Any, Any, Route]:
    """All mail goes to one host, whatever the MX records say."""
    from ipaddress import ip_address

    from corvus_auth.lookup import Lookup

    try:
        addresses: tuple[str, ...] = (str(ip_address(relay.host)),)
    except ValueError:
        answers = yield (Lookup(relay.host, "AAAA"), Lookup(relay.host, "A"))
        addresses = tuple(str(record) for answer in answers for record in answer.records)
    if not addresses:
        return Route(
            domain=relay.host,
            code=451,
            enhanced="4.4.3",
            reason="the relay has no address just now",
        )
    return Route(
        domain=relay.host,
        hops=(Hop(host=relay.host, preference=0, addresses=addresses),),
        reason="all mail goes to the relay",
    )

"""The queue runner: takes what is due, has it delivered, and settles each recipient's fate.

A lease is taken, committed, and only then the network is touched (R7); the outcome counts only while
the lease is still ours.  What goes wrong in our own code holds the entry, with the reason, where an
administrator sees it: a mail is never dropped for a mistake of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, final

import corvus_smtp as smtp
from corvus_auth.lookup import arun
from corvus_message import Action
from corvus_server.log import EventLog
from corvus_server.network import Network
from corvus_server.outbound.bounce import RETURN_FULL, Fate, addressed, notice, wants
from corvus_server.outbound.delivery import Courier, Report, nowhere, shortened
from corvus_server.outbound.relay import Relay
from corvus_server.outbound.routing import Route, route
from corvus_server.outbound.schedule import Schedule
from corvus_server.storage import values
from corvus_server.storage.errors import LeaseLost, StoreClosed, StoreError, StoreUnavailable
from corvus_server.storage.protocols import Store
from corvus_server.storage.values import RecipientState

#: Seconds for which recipients are ours; renewed while we work on them.
LEASE: Final = 120.0
#: Leases taken at a time, and destinations served at a time.
BATCH: Final = 50
DESTINATIONS: Final = 20
#: Seconds after which the runner looks by itself, whatever it was told.
LOOK: Final = 60.0
#: Seconds between two tries to record an outcome; each is twice the one before, up to the last.
RECORD_AGAIN: Final = (1.0, 30.0)


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
    trusted: ssl.SSLContext | None = None
    """Whose certificates are valid, for REQUIRETLS and relays; by default the system's authorities
    (``SSL_CERT_FILE`` names others)."""


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
        self._closing = False
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
        self._closing = True
        self._wake.set()
        if self._main is not None:
            # Not cancelled: a lease that was just taken would be nobody's until it ran out.
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
        while not self._closing:
            self._wake.clear()
            wait = LOOK
            try:
                wait = await self._look()
            except StoreError as error:
                self._log("error", "delivery", "queue unavailable", error=str(error))
            except Exception as error:  # without this loop no mail leaves: it goes on
                self._log("error", "delivery", "defect", error=str(error), exc_info=error)
            if wait > 0 and not self._closing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._wake.wait()

    async def _look(self) -> float:
        """Take what is due and say how long there will be nothing to do."""
        queue = self._store.queue
        taken = 0
        if len(self._busy) < DESTINATIONS:
            leases = await queue.lease_due(
                self._now(), BATCH, LEASE, skip_domains=tuple(self._busy)
            )
            taken = len(leases)
            self._dispatch(leases)
        if taken:
            await asyncio.sleep(0)
            return 0.0
        due = queue.next_due()
        if due is None:
            return LOOK
        # What is due already waits for a destination that is at work, whose end wakes us.
        return max(1.0, min(LOOK, due - self._now()))

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
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log("error", "delivery", "defect", domain=domain, error=str(error))

    async def _destination(self, domain: str, leases: list[values.Lease]) -> None:
        """Deliver *leases*, all to *domain*, over one connection as long as it lasts."""
        waiting = list(leases)
        renewal = asyncio.create_task(self._renew(waiting))
        courier: Courier | None = None
        found: Route | None = None
        started = 0.0
        try:
            while waiting:
                lease, started = waiting[0], 0.0
                if self._still_ours(lease):
                    started = self._now()
                    try:
                        if found is None:
                            found = await self._route(domain)
                            courier = self._courier(found) if found.hops else None
                        await self._attempt(lease, found, courier, started)
                    except LeaseLost:
                        self._lost(lease)
                    except StoreError as error:
                        # Nothing was recorded: the lease runs out and the attempt is made again
                        # (R7).
                        self._log(
                            "error", "delivery", "not recorded", f"q{lease.entry.id}",
                            error=str(error),
                        )  # fmt: skip
                    except Exception as error:  # a mistake of ours must not lose a mail: held
                        self._log(
                            "error", "delivery", "defect", f"q{lease.entry.id}", exc_info=error
                        )
                        with contextlib.suppress(StoreError):
                            await self._hold(lease, started, error)
                else:
                    self._lost(lease)
                waiting.pop(0)
            if courier is not None:
                await courier.close()
        except asyncio.CancelledError:
            # We are being stopped: no farewell, and what is not done goes back.
            if courier is not None:
                courier.abort()
            for lease in waiting:
                begun = started if lease is waiting[0] else 0.0
                with contextlib.suppress(StoreError):
                    await self._give_back(lease, begun)
            raise
        finally:
            renewal.cancel()
            if courier is not None:
                courier.abort()

    def _still_ours(self, lease: values.Lease) -> bool:
        """Whether nobody has dropped the mail while it waited for its turn; one short read."""
        mine = {recipient.id for recipient in lease.recipients}
        return bool(mine & self._leased(lease))

    def _leased(self, lease: values.Lease) -> set[int]:
        return {
            recipient.id
            for recipient in self._store.queue.recipients(lease.entry.id)
            if recipient.state is RecipientState.LEASED
        }

    def _still_leased(
        self, lease: values.Lease, outcomes: Sequence[values.RecipientOutcome]
    ) -> list[values.RecipientOutcome]:
        leased = self._leased(lease)
        return [outcome for outcome in outcomes if outcome.recipient_id in leased]

    def _lost(self, lease: values.Lease) -> None:
        self._log("warning", "delivery", "lease lost", f"q{lease.entry.id}", domain=lease.domain)

    async def _give_back(self, lease: values.Lease, begun: float) -> None:
        """
        End a lease without an outcome, and say so.

        Each lease has its attempt in the record, so that one without tells of a crash (R7).
        """
        now = self._now()
        await self._store.queue.finish_attempt(
            lease.token,
            (),
            values.Attempt(
                started=begun or now,
                finished=now,
                outcome="interrupted" if begun else "not begun",
                recipients=tuple(recipient.id for recipient in lease.recipients),
                text="the server was stopped",
            ),
        )

    async def _renew(self, waiting: list[values.Lease]) -> None:
        while True:
            await asyncio.sleep(LEASE / 3)
            for lease in list(waiting):
                with contextlib.suppress(StoreError):
                    await self._store.queue.renew(lease.token, self._now() + LEASE)

    async def _route(self, domain: str) -> Route:
        settings = self._settings
        if settings.relay is not None:
            return await arun(settings.relay.route(), self._resolver)
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
            trusted=settings.trusted,
            monotonic=self._monotonic,
            limits=settings.limits,
        )

    # One attempt.

    async def _attempt(
        self, lease: values.Lease, found: Route, courier: Courier | None, started: float
    ) -> None:
        entry = lease.entry
        since, repeats = self._history(lease, started)
        if repeats:
            self._log(
                "warning", "delivery", "repeat", f"q{entry.id}", domain=lease.domain,
                recipients=[r.address for r in lease.recipients if r.id in repeats][:10],
            )  # fmt: skip
        if courier is None:
            reply = nowhere(found)
            report = Report(
                replies={recipient.id: reply for recipient in lease.recipients},
                stage="route",
                details={"route": found.to_dict(), "stage": "route"},
            )
        else:
            report = await courier.deliver(
                entry, lease.recipients, lambda: self._store.queue.open_body(entry)
            )
        if repeats:
            report.details["repeat"] = (
                "an attempt before this one was cut off by a crash; if it had been accepted,"
                " this is the same mail again"
            )
        await self._settle(lease, report, started, since)

    def _history(self, lease: values.Lease, started: float) -> tuple[float, set[int]]:
        """
        When the entry was first tried, and which recipients have a lease that was never concluded.

        Such a lease was cut off by a crash; what the other server said then nobody knows (R7).
        """
        entry = lease.entry
        if all(recipient.attempts <= 1 for recipient in lease.recipients):
            return max(entry.created, started), set()
        attempts = self._store.queue.attempts(entry.id)
        repeats = {
            recipient.id
            for recipient in lease.recipients
            if recipient.attempts - 1 > sum(recipient.id in each.recipients for each in attempts)
        }
        return max(
            entry.created, min([each.started for each in attempts], default=started)
        ), repeats

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

    async def _settle(
        self, lease: values.Lease, report: Report, started: float, since: float
    ) -> None:
        now = self._now()
        entry = lease.entry
        outcomes: list[values.RecipientOutcome] = []
        fates: list[Fate] = []
        for recipient in lease.recipients:
            outcome, fate = self._conclude(entry, recipient, report, since, now)
            outcomes.append(outcome)
            fates += [fate] if fate is not None else []
        intake: values.Intake | None = None
        if fates:
            try:
                intake = self._notice(entry, fates, now)
            except Exception as error:
                # Who was served is served, whatever becomes of the notice; a failure that cannot
                # be told waits for an administrator instead of ending in silence.
                self._log("error", "delivery", "no notice", f"q{entry.id}", exc_info=error)
                outcomes = [_held_instead(outcome) for outcome in outcomes]
        attempt = self._record(lease, report, outcomes, started, now)
        await self._finish(lease, outcomes, attempt, intake)
        for recipient, outcome in zip(lease.recipients, outcomes, strict=True):
            self._log(
                "info", "delivery", outcome.state.value, f"q{entry.id}",
                recipient=recipient.address, host=report.host, address=report.address,
                reply=f"{outcome.code} {outcome.enhanced} {outcome.text}".strip(),
                tls=report.tls.get("version", ""), next=outcome.next_attempt,
            )  # fmt: skip

    def _conclude(
        self,
        entry: values.QueueEntry,
        recipient: values.QueueRecipient,
        report: Report,
        since: float,
        now: float,
    ) -> tuple[values.RecipientOutcome, Fate | None]:
        """What the last word of the other side means for one recipient."""
        schedule = self._settings.schedule
        reply = report.replies[recipient.id]
        enhanced = str(reply.enhanced) if reply.enhanced is not None else ""

        def outcome(
            state: RecipientState, again: float | None = None, late: bool = False
        ) -> values.RecipientOutcome:
            return values.RecipientOutcome(
                recipient_id=recipient.id, state=state, next_attempt=again, code=reply.code,
                enhanced=enhanced, text=reply.text[:500], delay_told=late,
            )  # fmt: skip

        def fate(what: str, action: Action, until: float | None = None) -> Fate | None:
            if not wants(recipient, what):
                return None
            return Fate(
                recipient=recipient, action=action, code=reply.code, enhanced=enhanced,
                text=reply.text, host=report.host, retry_until=until,
            )  # fmt: skip

        if reply.positive:
            told = report.told_dsn
            return (
                outcome(RecipientState.DELIVERED),
                None if told else fate("SUCCESS", Action.RELAYED),
            )
        again = None
        if not reply.permanent:
            again = schedule.next_attempt(
                recipient.attempts,
                since=since,
                now=now,
                dice=self._dice.random(),
                expires=entry.expires,
            )
        if again is None:
            return outcome(RecipientState.FAILED), fate("FAILURE", Action.FAILED)
        late = schedule.late(since=since, now=now, told=recipient.delay_told)
        until = schedule.deadline(since=since, expires=entry.expires)
        return (
            outcome(RecipientState.WAITING, again, late),
            fate("DELAY", Action.DELAYED, until) if late else None,
        )

    async def _finish(
        self,
        lease: values.Lease,
        outcomes: Sequence[values.RecipientOutcome],
        attempt: values.Attempt,
        intake: values.Intake | None,
    ) -> None:
        """
        Record what happened, however long it takes.

        A disk that is full must not make us send the same mail every two minutes: we know how it
        ended, and keep the lease until we can say so.
        """
        pause, longest = RECORD_AGAIN
        try:
            while True:
                try:
                    await self._store.queue.finish_attempt(
                        lease.token, outcomes, attempt, then=intake
                    )
                    return
                except LeaseLost:
                    # Somebody dropped recipients of ours meanwhile.  What is known of the others
                    # is still true, and must not be forgotten with them.
                    kept = self._still_leased(lease, outcomes)
                    if not 0 < len(kept) < len(outcomes):
                        raise
                    outcomes = kept
                except StoreClosed:
                    raise
                except StoreUnavailable as error:
                    self._log(
                        "error", "delivery", "not recorded yet", f"q{lease.entry.id}",
                        error=str(error),
                    )  # fmt: skip
                    if self._closing:
                        raise
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, longest)
                except StoreError as error:
                    if intake is None:
                        raise
                    # The sender's mailbox is full, or gone: the notice finds no room, and that
                    # must not undo what was delivered.
                    self._log(
                        "warning", "delivery", "no room for a notice", f"q{lease.entry.id}",
                        sender=lease.entry.mail_from, error=str(error),
                    )  # fmt: skip
                    intake.body.discard()
                    intake = None
        finally:
            if intake is not None:
                intake.body.discard()

    def _record(
        self,
        lease: values.Lease,
        report: Report,
        outcomes: Sequence[values.RecipientOutcome],
        started: float,
        now: float,
    ) -> values.Attempt:
        states = {outcome.state for outcome in outcomes}
        # 250 < 451 < 550: what failed for good says more than what will be tried again.
        worst = max(outcomes, key=lambda outcome: outcome.code)
        if states == {RecipientState.DELIVERED}:
            name = "delivered"
        elif RecipientState.WAITING in states:
            name = "deferred"
        elif RecipientState.HELD in states:
            name = "held"
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
        # A forwarded mail has an address of ours for its sender: whoever is behind it is told.
        sender = self._return_address(entry.mail_from) or entry.mail_from
        octets = notice(
            entry,
            fates,
            hostname=settings.hostname,
            original=self._store.queue.read_body(entry, 0, RETURN_FULL + 1),
            now=now,
            message_id=f"{self._identifier()}@{settings.hostname}",
            to=sender,
        )
        intake = addressed(self._store, entry, sender, octets)
        if intake is None:
            self._log("warning", "delivery", "no one to tell", f"q{entry.id}", sender=sender)
        return intake


def _held_instead(outcome: values.RecipientOutcome) -> values.RecipientOutcome:
    if outcome.state is not RecipientState.FAILED:
        return outcome
    text = f"held: no notice could be written; the other server said {outcome.text}"
    return replace(outcome, state=RecipientState.HELD, text=text[:500])

"""The queue: the conformance suite's fourth part (R7)."""

from __future__ import annotations

import asyncio

import pytest

from corvus_server.storage.errors import InvalidName, LeaseLost, NotFound
from corvus_server.storage.values import (
    MAX_DIALOGUE,
    Attempt,
    Delivery,
    Intake,
    Queued,
    QueuedRecipient,
    RecipientOutcome,
    RecipientState,
)
from corvus_server.testing.world import World, mail, stored

__all__ = ["QueueSuite"]

S = RecipientState


def outcome(recipient_id: int, state: RecipientState, **fields: object) -> RecipientOutcome:
    return RecipientOutcome(recipient_id=recipient_id, state=state, **fields)  # type: ignore[arg-type]  # as given


class QueueSuite:
    """Mail on its way out."""

    @stored
    async def test_an_entry_is_what_was_put_in(self, world: World) -> None:
        queued = Queued(
            mail_from="alice@corvus.local",
            recipients=[
                QueuedRecipient(address="Carol@Crow.example", notify="NEVER"),
                QueuedRecipient(address="dave@x.example", original="rfc822;d@y.example"),
            ],
            prefix=b"DKIM-Signature: v=1\r\n",
            account_id=world.alice.id,
            eight_bit=True,
            envelope_id="e1",
            return_content="HDRS",
            expires=world.clock.at + 100,
            notes={"subject": "lunch"},
        )
        accepted = await world.accept(mail(), queued=[queued])
        entry = world.store.queue.entry(accepted.queue_ids[0])
        assert entry is not None
        assert world.store.queue.read_body(entry) == b"DKIM-Signature: v=1\r\n" + mail()
        assert entry.size == len(mail()) + 21
        assert (entry.eight_bit, entry.smtputf8, entry.envelope_id) == (True, False, "e1")
        assert (entry.expires, entry.notes) == (world.clock.at + 100, {"subject": "lunch"})
        carol, dave = entry.recipients
        assert (carol.address, carol.domain, carol.notify) == (
            "Carol@Crow.example",
            "crow.example",
            "NEVER",
        )
        assert (dave.original, dave.state, dave.attempts) == ("rfc822;d@y.example", S.WAITING, 0)
        with world.store.queue.open_body(entry) as reader:
            assert reader.read() == b"DKIM-Signature: v=1\r\n" + mail()

    @stored
    async def test_local_and_foreign_recipients_are_one_commit(self, world: World) -> None:
        accepted = await world.accept(
            mail(),
            Delivery(account_id=world.bob.id),
            queued=[Queued(mail_from="", recipients=[QueuedRecipient(address="c@crow.example")])],
        )
        assert len(accepted.filed) == len(accepted.queue_ids) == 1
        # Over quota inside does not keep mail from going out.
        await world.store.directory.update_account(world.bob.id, quota=1)
        accepted = await world.accept(
            mail(),
            Delivery(account_id=world.bob.id),
            queued=[Queued(mail_from="", recipients=[QueuedRecipient(address="c@crow.example")])],
        )
        assert accepted.refused == (0,)
        assert len(accepted.queue_ids) == 1

    @stored
    async def test_entries_without_recipients_are_refused(self, world: World) -> None:
        with pytest.raises(ValueError, match="recipient"):
            await world.accept(mail(), queued=[Queued(mail_from="", recipients=[])])
        with pytest.raises(InvalidName):
            await world.enqueue("nobody")
        assert world.store.queue.entries() == []

    @stored
    async def test_r7_due_recipients_are_leased_by_domain(self, world: World) -> None:
        entry_id = await world.enqueue("a@x.example", "b@y.example", "c@x.example")
        leases = await world.store.queue.lease_due(world.clock.at, 10, 60)
        assert sorted((lease.domain, len(lease.recipients)) for lease in leases) == [
            ("x.example", 2),
            ("y.example", 1),
        ]
        assert len({lease.token for lease in leases}) == 2
        assert leases[0].until == world.clock.at + 60
        assert all(r.attempts == 1 for lease in leases for r in lease.recipients)
        assert await world.store.queue.lease_due(world.clock.at, 10, 60) == []
        assert world.store.queue.counts() == {S.LEASED: 3}
        assert world.store.queue.next_due() == world.clock.at + 60
        entry = world.store.queue.entry(entry_id)
        assert entry is not None
        assert {r.state for r in entry.recipients} == {S.LEASED}

    @stored
    async def test_r7_an_expired_lease_is_due_again_and_the_old_token_is_lost(
        self, world: World
    ) -> None:
        await world.enqueue("a@x.example")
        queue = world.store.queue
        (first,) = await queue.lease_due(world.clock.at, 10, 60)
        world.clock.forward(60)
        (second,) = await queue.lease_due(world.clock.at, 10, 60)
        assert second.recipients[0].attempts == 2
        with pytest.raises(LeaseLost):
            await queue.finish_attempt(
                first.token, [outcome(first.recipients[0].id, S.DELIVERED)], None
            )
        with pytest.raises(LeaseLost):
            await queue.renew(first.token, world.clock.at + 999)
        await queue.finish_attempt(
            second.token, [outcome(second.recipients[0].id, S.DELIVERED)], None
        )
        assert queue.counts() == {S.DELIVERED: 1}

    @stored
    async def test_r7_a_renewed_lease_is_kept(self, world: World) -> None:
        await world.enqueue("a@x.example")
        (lease,) = await world.store.queue.lease_due(world.clock.at, 10, 60)
        await world.store.queue.renew(lease.token, world.clock.at + 600)
        world.clock.forward(300)
        assert await world.store.queue.lease_due(world.clock.at, 10, 60) == []

    @stored
    async def test_r7_two_runners_never_have_the_same(self, world: World) -> None:
        for n in range(10):
            await world.enqueue(f"u{n}@x.example")
        found = await asyncio.gather(
            *(world.store.queue.lease_due(world.clock.at, 4, 60) for _ in range(4))
        )
        ids = [r.id for leases in found for lease in leases for r in lease.recipients]
        assert len(ids) == len(set(ids)) == 10

    @stored
    async def test_what_is_not_due_waits(self, world: World) -> None:
        await world.enqueue("a@x.example", not_before=world.clock.at + 100)
        queue = world.store.queue
        assert queue.next_due() == world.clock.at + 100
        assert await queue.lease_due(world.clock.at + 99, 10, 60) == []
        assert len(await queue.lease_due(world.clock.at + 100, 10, 60)) == 1

    @stored
    async def test_priority_comes_first_and_domains_are_skipped(self, world: World) -> None:
        await world.enqueue("a@x.example")
        world.clock.forward(1)
        await world.enqueue("b@y.example", priority=5)
        await world.enqueue("c@z.example")
        (first,) = await world.store.queue.lease_due(world.clock.at, 1, 60)
        assert first.domain == "y.example"
        rest = await world.store.queue.lease_due(world.clock.at, 10, 60, skip_domains=["x.example"])
        assert [lease.domain for lease in rest] == ["z.example"]

    @stored
    async def test_each_recipient_has_a_fate_of_its_own(self, world: World) -> None:
        entry_id = await world.enqueue("a@x.example", "b@x.example", "c@x.example", "d@x.example")
        queue = world.store.queue
        (lease,) = await queue.lease_due(world.clock.at, 10, 60)
        a, b, c, d = (r.id for r in lease.recipients)
        later = world.clock.at + 900
        attempt = Attempt(
            started=world.clock.at,
            finished=world.clock.at + 2,
            outcome="deferred",
            recipients=(a, b, c, d),
            host="mx.x.example",
            address="192.0.2.25",
            code=451,
            enhanced="4.3.0",
            text="try later",
            tls={"version": "TLSv1.3"},
            details={"mx": [[10, "mx.x.example"]], "why": "451"},
            dialogue="S: 220 hi\nC: EHLO me\n",
        )
        await queue.finish_attempt(
            lease.token,
            [
                outcome(a, S.DELIVERED, code=250, text="queued as 1"),
                outcome(b, S.WAITING, next_attempt=later, code=451, enhanced="4.3.0", text="later", delay_told=True),
                outcome(c, S.FAILED, code=550, enhanced="5.1.1", text="no such user"),
            ],
            attempt,
        )  # fmt: skip
        entry = queue.entry(entry_id)
        assert entry is not None
        assert entry.finished is None
        ra, rb, rc, rd = entry.recipients
        assert (ra.state, ra.last_code, ra.finished) == (S.DELIVERED, 250, world.clock.at)
        assert (rb.state, rb.next_attempt, rb.last_enhanced, rb.delay_told) == (
            S.WAITING,
            later,
            "4.3.0",
            True,
        )
        assert (rc.state, rc.last_text) == (S.FAILED, "no such user")
        # Without an outcome: as it was, and due.
        assert (rd.state, rd.next_attempt, rd.lease_until) == (S.WAITING, world.clock.at, None)
        (kept,) = queue.attempts(entry_id)
        assert (kept.number, kept.entry_id, kept.host, kept.tls) == (
            1,
            entry_id,
            "mx.x.example",
            {"version": "TLSv1.3"},
        )
        assert kept.details == {"mx": [[10, "mx.x.example"]], "why": "451"}
        assert kept.dialogue == "S: 220 hi\nC: EHLO me\n"
        assert kept.recipients == (a, b, c, d)

    @stored
    async def test_a_finished_entry_lets_go_of_its_body(self, world: World) -> None:
        entry_id = await world.enqueue("a@x.example")
        queue = world.store.queue
        (lease,) = await queue.lease_due(world.clock.at, 10, 60)
        await queue.finish_attempt(lease.token, [outcome(lease.recipients[0].id, S.FAILED)], None)
        entry = queue.entry(entry_id)
        assert entry is not None
        assert entry.finished == world.clock.at
        with pytest.raises(NotFound):
            queue.read_body(entry)
        assert queue.entries() == []
        assert [e.id for e in queue.entries(finished=True)] == [entry_id]
        assert queue.next_due() is None
        world.clock.forward(31 * 86400)
        assert (await world.store.sweep()).queue_entries == 1
        assert queue.entry(entry_id) is None

    @stored
    async def test_a_bounce_is_in_the_commit_of_its_failure(self, world: World) -> None:
        await world.enqueue("a@x.example")
        queue = world.store.queue
        (lease,) = await queue.lease_due(world.clock.at, 10, 60)
        failed = [outcome(lease.recipients[0].id, S.FAILED, code=550)]

        def bounce(account_id: int) -> Intake:
            body = world.store.new_body()
            body.write(mail("Undelivered", sender="MAILER-DAEMON@corvus.local"))
            return Intake(body=body, deliveries=[Delivery(account_id=account_id)])

        wrong = bounce(999)
        with pytest.raises(NotFound):
            await queue.finish_attempt(lease.token, failed, None, then=wrong)
        wrong.body.discard()
        assert queue.counts() == {S.LEASED: 1}
        accepted = await queue.finish_attempt(
            lease.token, failed, None, then=bounce(world.alice.id)
        )
        assert accepted is not None
        assert accepted.filed[0] is not None
        assert b"Undelivered" in world.raw(world.box(), 1)
        late = bounce(world.alice.id)
        with pytest.raises(LeaseLost):
            await queue.finish_attempt(lease.token, failed, None, then=late)
        late.body.discard()
        assert world.uids(world.box()) == [1]

    @stored
    async def test_outcomes_of_others_and_leases_without_end_are_refused(
        self, world: World
    ) -> None:
        await world.enqueue("a@x.example")
        await world.enqueue("b@y.example")
        queue = world.store.queue
        one, two = await queue.lease_due(world.clock.at, 10, 60)
        with pytest.raises(LeaseLost):
            await queue.finish_attempt(
                one.token, [outcome(two.recipients[0].id, S.DELIVERED)], None
            )
        with pytest.raises(ValueError, match="lease"):
            await queue.finish_attempt(one.token, [outcome(one.recipients[0].id, S.LEASED)], None)
        with pytest.raises(LeaseLost):
            await queue.finish_attempt("made up", [], None)
        assert queue.counts() == {S.LEASED: 2}

    @stored
    async def test_hold_release_retry_and_drop(self, world: World) -> None:
        entry_id = await world.enqueue(
            "a@x.example", "b@y.example", not_before=world.clock.at + 500
        )
        queue = world.store.queue
        first, second = (r.id for r in queue.recipients(entry_id))
        assert await queue.hold(entry_id, [first]) == 1
        assert queue.counts() == {S.WAITING: 1, S.HELD: 1}
        assert await queue.retry(entry_id, [second]) == 1
        (lease,) = await queue.lease_due(world.clock.at, 10, 60)
        assert [r.id for r in lease.recipients] == [second]
        assert await queue.release(entry_id) == 1
        assert queue.next_due() == world.clock.at + 60
        assert await queue.drop(entry_id) == 2
        with pytest.raises(LeaseLost):
            await queue.finish_attempt(lease.token, [outcome(second, S.DELIVERED)], None)
        entry = queue.entry(entry_id)
        assert entry is not None
        assert entry.finished is not None
        assert queue.counts() == {S.DROPPED: 2}
        for change in (queue.hold, queue.release, queue.retry, queue.drop):
            assert await change(entry_id) == 0
            with pytest.raises(NotFound):
                await change(999)

    @stored
    async def test_held_mail_waits_for_a_person(self, world: World) -> None:
        entry_id = await world.enqueue("a@x.example", held=True)
        assert await world.store.queue.lease_due(world.clock.at + 1e6, 10, 60) == []
        assert world.store.queue.next_due() is None
        await world.store.queue.retry(entry_id)
        assert len(await world.store.queue.lease_due(world.clock.at, 10, 60)) == 1

    @stored
    async def test_entries_are_filtered_and_paged(self, world: World) -> None:
        ids = [await world.enqueue(f"u@d{n % 2}.example") for n in range(6)]
        other = await world.enqueue("u@d1.example", account_id=world.alice.id, held=True)
        queue = world.store.queue
        assert [e.id for e in queue.entries(limit=2)] == [other, ids[5]]
        assert [e.id for e in queue.entries(limit=2, before_id=ids[5])] == [ids[4], ids[3]]
        assert [e.id for e in queue.entries(domain="D1.example", state=S.WAITING)] == [
            ids[5],
            ids[3],
            ids[1],
        ]
        assert [e.id for e in queue.entries(account_id=world.alice.id)] == [other]
        assert queue.entry(999) is None

    @stored
    async def test_a_long_dialogue_is_cut_in_the_middle(self, world: World) -> None:
        entry_id = await world.enqueue("a@x.example")
        queue = world.store.queue
        (lease,) = await queue.lease_due(world.clock.at, 10, 60)
        await queue.finish_attempt(
            lease.token,
            [outcome(lease.recipients[0].id, S.WAITING, next_attempt=world.clock.at + 60)],
            Attempt(
                started=0,
                finished=1,
                outcome="deferred",
                dialogue="S: first\n" + "é" * MAX_DIALOGUE + "C: last\n",
                details={"answers": "x" * 20_000},
            ),
        )
        (kept,) = queue.attempts(entry_id)
        assert len(kept.dialogue.encode()) <= MAX_DIALOGUE
        assert kept.dialogue.startswith("S: first\n")
        assert kept.dialogue.endswith("C: last\n")
        assert "left out" in kept.dialogue
        assert "left out" in kept.details

    @stored
    async def test_the_runner_is_woken(self, world: World) -> None:
        woken: list[int] = []
        end = world.store.queue.subscribe(lambda: woken.append(1))
        entry_id = await world.enqueue("a@x.example", not_before=world.clock.at + 100)
        assert woken
        woken.clear()
        await world.deliver()
        assert not woken
        await world.store.queue.retry(entry_id)
        assert woken
        end()
        await world.enqueue("b@x.example")
        assert len(woken) == 1

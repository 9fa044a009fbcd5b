"""The queue runner under virtual time: retries, notices, leases, crashes, our own defects."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import corvus_message
from corvus_server.outbound.schedule import Schedule
from corvus_server.simulation import Do, Weather
from corvus_server.storage import values
from corvus_server.storage.errors import OverQuota, StoreClosed, StoreUnavailable
from corvus_server.testing.post import FIRST, SECOND, Post, posted, report_of
from corvus_server.testing.world import mail

DAY = 86_400.0
CAROL = "carol@crow.example"


async def until_quiet(post: Post, entry: int, limit: float = 20 * DAY) -> None:
    """Let time pass until every recipient of *entry* has its end."""
    end = post.now() + limit
    while post.now() < end:
        found = post.store.queue.entry(entry)
        if found is None or found.finished is not None:
            return
        await asyncio.sleep(300)
    raise AssertionError(post.states(entry))


def test_each_recipient_has_a_fate_of_its_own() -> None:
    @posted()
    async def main(post: Post) -> None:
        peer = post.peer(
            answers={
                "rcpt:gone": "550 5.1.1 no such user",
                "rcpt:busy": ["451 4.2.1 later", "250 2.1.5 fine"],
            }
        )
        entry = await post.enqueue(CAROL, "gone@crow.example", "busy@crow.example")
        await post.start()
        await asyncio.sleep(5)
        assert post.states(entry) == {
            CAROL: "delivered", "gone@crow.example": "failed", "busy@crow.example": "waiting",
        }  # fmt: skip
        await until_quiet(post, entry)
        assert [sorted(taken.recipients) for taken in peer.taken] == [
            [CAROL],
            ["busy@crow.example"],
        ]
        (notice,) = post.notices()
        (status,) = report_of(notice).recipients
        assert status.headers["final-recipient"] == "rfc822;gone@crow.example"
        assert status.headers["status"] == "5.1.1"
        assert status.headers["diagnostic-code"] == "smtp; 550 5.1.1 no such user"

    main()


def test_a_bounce_can_be_read_by_a_person() -> None:
    @posted()
    async def main(post: Post) -> None:
        post.peer(answers={"rcpt": "550 5.1.1 no such user"})
        entry = await post.enqueue(notes={"subject": "lunch\r\nBcc: x@y"})
        await post.start()
        await until_quiet(post, entry)
        (raw,) = post.notices()
        message = corvus_message.parse(raw)
        text = message.text() or ""
        assert text.startswith(f"Your mail to {CAROL} with the subject “lunch  Bcc: x@y” could not")
        assert "mx1.crow.example said: 550 5.1.1 no such user" in text
        assert "Please check the address" in text
        assert message.field(b"auto-submitted") == b"auto-replied"
        assert message.field(b"message-id") == b"<id1@mail.corvus.local>"
        assert message.field(b"bcc") is None
        assert raw.startswith(b"Return-Path: <>\r\n")
        assert b"At noon?" in raw

    main()


def test_a_mail_that_is_never_taken_is_late_once_and_fails_once() -> None:
    @posted()
    async def main(post: Post) -> None:
        peer = post.peer(answers={"rcpt": "451 4.3.0 not now"})
        entry = await post.enqueue()
        began = post.now()
        await post.start()
        await until_quiet(post, entry)
        assert post.states(entry) == {CAROL: "failed"}
        late, failed = [report_of(raw).recipients[0].headers for raw in post.notices()]
        assert (late["action"], late["status"]) == ("delayed", "4.3.0")
        assert "will-retry-until" in late
        assert (failed["action"], failed["status"]) == ("failed", "5.4.7")
        attempts = post.attempts(entry)
        times = [attempt.started - began for attempt in attempts]
        assert times[0] < 1 < 250 < times[1]
        assert times == sorted(times)
        assert 5 * DAY - 1 < times[-1] < 5 * DAY + 5
        assert 30 < len(attempts) < 60
        assert peer.taken == []

    main()


def test_a_mail_with_an_end_of_its_own_is_not_tried_beyond_it() -> None:
    @posted()
    async def main(post: Post) -> None:
        post.peer(answers={"rcpt": "451 4.3.0 not now"})
        entry = await post.enqueue(expires=post.now() + 3600)
        await post.start()
        await until_quiet(post, entry)
        last = post.attempts(entry)[-1]
        assert last.outcome == "failed"
        assert 3595 < last.started - post.attempts(entry)[0].started < 3605

    main()


def test_a_mail_that_was_held_for_a_week_has_its_five_days_still() -> None:
    @posted()
    async def main(post: Post) -> None:
        post.peer(answers={"rcpt": ["451 4.3.0 not now", "250 ok"]})
        entry = await post.enqueue(held=True)
        await post.start()
        await asyncio.sleep(7 * DAY)
        await post.store.queue.release(entry)
        await until_quiet(post, entry)
        assert post.states(entry) == {CAROL: "delivered"}
        assert post.notices() == []

    main()


@pytest.mark.parametrize(
    ("notify", "outcomes"),
    [
        ("", ["delayed", "failed"]),
        ("NEVER", []),
        ("FAILURE", ["failed"]),
        ("DELAY", ["delayed"]),
        ("DELAY,SUCCESS", ["delayed"]),
    ],
)
def test_notify_decides_what_the_sender_is_told(notify: str, outcomes: list[str]) -> None:
    @posted(schedule=Schedule(give_up=2 * DAY))
    async def main(post: Post) -> None:
        post.peer(answers={"rcpt": "451 4.3.0 not now"})
        entry = await post.enqueue(
            values.QueuedRecipient(address=CAROL, notify=notify, original="rfc822;c@old.example"),
            envelope_id="env+1",
        )
        await post.start()
        await until_quiet(post, entry)
        reports = [report_of(raw) for raw in post.notices()]
        assert [each.recipients[0].headers["action"] for each in reports] == outcomes
        for each in reports:
            assert each.recipients[0].headers["original-recipient"] == "rfc822;c@old.example"
            assert each.headers["original-envelope-id"] == "env+1"

    main()


@pytest.mark.parametrize("dsn", [True, False])
def test_success_is_told_by_us_only_where_the_next_server_will_not(dsn: bool) -> None:
    @posted()
    async def main(post: Post) -> None:
        peer = post.peer(extensions=("PIPELINING", "DSN") if dsn else ("PIPELINING",))
        entry = await post.enqueue(
            values.QueuedRecipient(
                address=CAROL, notify="FAILURE,SUCCESS", original="rfc822;c+40old.example"
            ),
            envelope_id="e=1",
            return_content="HDRS",
        )
        await post.start()
        await until_quiet(post, entry)
        sent = [line for line in peer.lines if line.startswith(("MAIL", "RCPT"))]
        if dsn:
            assert "RET=HDRS" in sent[0]
            assert "ENVID=e+3D1" in sent[0]
            assert "NOTIFY=" in sent[1]
            assert "ORCPT=rfc822;" in sent[1]
            assert post.notices() == []
        else:
            assert not any(word in line for line in sent for word in ("RET", "ENVID", "NOTIFY"))
            (notice,) = post.notices()
            assert report_of(notice).recipients[0].headers["action"] == "relayed"
            assert b"At noon?" not in notice

    main()


@pytest.mark.parametrize(("ret", "whole"), [("FULL", True), ("HDRS", False), ("", True)])
def test_ret_decides_how_much_comes_back(ret: str, whole: bool) -> None:
    @posted()
    async def main(post: Post) -> None:
        post.peer(answers={"rcpt": "550 5.1.1 no"})
        entry = await post.enqueue(return_content=ret)
        await post.start()
        await until_quiet(post, entry)
        assert (b"At noon?" in post.notices()[0]) is whole

    main()


def test_nobody_is_told_about_a_notice() -> None:
    @posted()
    async def main(post: Post) -> None:
        post.peer(answers={"rcpt": "550 5.1.1 no"})
        entry = await post.enqueue(mail_from="")
        await post.start()
        await until_quiet(post, entry)
        assert post.states(entry) == {CAROL: "failed"}
        assert post.notices() == []
        assert post.store.queue.entries() == []
        assert "no one to tell" in post.events()

    main()


def test_a_bounce_for_a_sender_outside_is_queued_with_a_null_sender() -> None:
    @posted()
    async def main(post: Post) -> None:
        """A forwarded mail: its envelope sender is ours, whoever is behind it is told."""
        forwarded = "SRS0=xxxx=AA=owl.example=dave@corvus.local"
        post.return_address = lambda address: "dave@owl.example" if address == forwarded else None
        post.dns.set("owl.example", "MX", (5, "mx2.crow.example"))
        post.peer(answers={"rcpt": "550 5.1.1 no"})
        owl = post.peer(SECOND)
        entry = await post.enqueue(mail_from=forwarded)
        await post.start()
        await until_quiet(post, entry)
        await asyncio.sleep(10)
        (taken,) = owl.taken
        assert (taken.mail, taken.recipients) == ("", ["dave@owl.example"])
        message = corvus_message.parse(taken.body)
        assert message.field(b"to") == b"dave@owl.example"
        assert any("NOTIFY=NEVER" in line for line in owl.lines)
        assert post.notices() == []

    main()


def test_a_bounce_for_an_alias_goes_where_the_alias_goes() -> None:
    @posted()
    async def main(post: Post) -> None:
        post.dns.set("owl.example", "MX", (5, "mx2.crow.example"))
        post.peer(answers={"rcpt": "550 5.1.1 no"})
        owl = post.peer(SECOND)
        await post.store.directory.set_alias(
            "team@corvus.local", ["alice@corvus.local", "dave@owl.example"]
        )
        await post.enqueue(mail_from="team@corvus.local")
        await post.start()
        await asyncio.sleep(10)
        assert len(post.notices()) == 1
        assert [taken.recipients for taken in owl.taken] == [["dave@owl.example"]]

    main()


def test_a_full_mailbox_for_the_notice_does_not_undo_what_was_delivered() -> None:
    @posted()
    async def main(post: Post) -> None:
        peer = post.peer(answers={"rcpt:gone": "550 5.1.1 no such user"})
        real = post.store.queue.finish_attempt

        async def full(token: str, outcomes: Any, attempt: Any, *, then: Any = None) -> Any:
            if then is not None:
                raise OverQuota("the mailbox is full")
            return await real(token, outcomes, attempt)

        post.store.queue.finish_attempt = full
        entry = await post.enqueue(CAROL, "gone@crow.example")
        await post.start()
        await asyncio.sleep(3600)
        assert post.states(entry) == {CAROL: "delivered", "gone@crow.example": "failed"}
        assert len(peer.taken) == 1
        assert "no room for a notice" in post.events()

    main()


def test_a_full_disk_does_not_make_us_send_a_mail_again() -> None:
    @posted()
    async def main(post: Post) -> None:
        peer = post.peer()
        real = post.store.queue.finish_attempt
        failures = iter(range(20))

        async def full(*args: Any, **more: Any) -> Any:
            if next(failures, None) is not None:
                raise StoreUnavailable("no space left on device")
            return await real(*args, **more)

        post.store.queue.finish_attempt = full
        entry = await post.enqueue()
        await post.start()
        await asyncio.sleep(7200)
        assert post.states(entry) == {CAROL: "delivered"}
        assert len(peer.taken) == 1
        assert post.events().count("not recorded yet") == 20

    main()


def test_a_body_that_cannot_be_read_is_held_and_never_sent_half() -> None:
    class Broken:
        def __init__(self, reader: Any) -> None:
            self._reads: Iterator[bytes] = iter([b"Subject: x\r\n\r\n", b"half\r\n"])
            self._reader = reader

        def read(self, size: int) -> bytes:
            found = next(self._reads, None)
            if found is None:
                raise OSError("input/output error")
            return found

        def close(self) -> None:
            self._reader.close()

    for missing in (True, False):

        @posted()
        async def main(post: Post, missing: bool = missing) -> None:
            peer = post.peer()
            real = post.store.queue.open_body

            def open_body(entry: Any) -> Any:
                if missing:
                    raise FileNotFoundError("no such file")
                return Broken(real(entry))

            post.store.queue.open_body = open_body
            entry = await post.enqueue()
            await post.start()
            await asyncio.sleep(60)
            assert post.states(entry) == {CAROL: "held"}
            (attempt,) = post.attempts(entry)
            assert "LocalTrouble" in attempt.text
            assert peer.taken == []

        main()


def test_a_notice_that_cannot_be_written_holds_the_failure_and_keeps_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from corvus_server.outbound import runner

    def broken(*args: Any, **more: Any) -> bytes:
        raise KeyError("a defect")

    monkeypatch.setattr(runner, "notice", broken)

    @posted()
    async def main(post: Post) -> None:
        post.peer(answers={"rcpt:gone": "550 5.1.1 no such user"})
        entry = await post.enqueue(CAROL, "gone@crow.example")
        await post.start()
        await asyncio.sleep(60)
        assert post.states(entry) == {CAROL: "delivered", "gone@crow.example": "held"}

    main()


@pytest.mark.parametrize("broken", ["resolver", "network"])
def test_a_defect_of_ours_holds_the_mail_with_the_reason(broken: str) -> None:
    @posted()
    async def main(post: Post) -> None:
        async def fails(*args: Any, **more: Any) -> Any:
            raise KeyError("a defect")

        if broken == "resolver":
            post.dns.aresolve = fails  # type: ignore[method-assign]  # the defect
        else:
            post.network.connect = fails  # type: ignore[method-assign]
        first, second = await post.enqueue(), await post.enqueue("x@crow.example")
        await post.start()
        await asyncio.sleep(60)
        for entry in (first, second):
            assert set(post.states(entry).values()) == {"held"}
            assert "KeyError" in post.attempts(entry)[0].text
        assert "defect" in post.events()

    main()


# Crashes and leases (R7).


def test_a_crash_between_the_250_and_our_commit_repeats_that_one_delivery_and_says_so() -> None:
    @posted()
    async def main(post: Post) -> None:
        peer = post.peer()
        real = post.store.queue.finish_attempt

        dead = asyncio.Event()

        async def dies(*args: Any, **more: Any) -> Any:
            if dead.is_set():
                raise StoreClosed("the process is gone")
            await asyncio.get_running_loop().create_future()

        post.store.queue.finish_attempt = dies
        other = await post.enqueue("dave@crow.example", not_before=post.now() + 10)
        entry = await post.enqueue()
        await post.start()
        await asyncio.sleep(5)
        assert len(peer.taken) == 1
        # The process dies: nothing is concluded, and the next one finds what the disk has.
        dead.set()
        main_task, busy = post.runner._main, list(post.runner._busy.values())
        for task in [main_task, *busy]:
            assert task is not None
            task.cancel()
        await asyncio.gather(main_task, *busy, return_exceptions=True)  # type: ignore[arg-type]
        post.runner._main = None
        post.runner._busy.clear()
        post.store.queue.finish_attempt = real
        await post.start()
        await until_quiet(post, entry)
        await until_quiet(post, other)
        got = [taken.recipients for taken in peer.taken]
        assert got.count([CAROL]) == 2, "R7: that one is repeated"
        assert got.count(["dave@crow.example"]) == 1, "and no other"
        (attempt,) = post.attempts(entry)
        assert "cut off by a crash" in attempt.details["repeat"]
        assert "repeat" not in post.attempts(other)[0].details
        assert post.events().count("repeat") == 1

    main()


def test_a_clean_stop_gives_back_what_it_had_and_is_no_crash() -> None:
    @posted()
    async def main(post: Post) -> None:
        peer = post.peer(answers={"rcpt": [Do.SILENCE, "250 ok"]})
        first = await post.enqueue()
        second = await post.enqueue("dave@crow.example")
        await post.start()
        await asyncio.sleep(5)
        stopping = post.now()
        await post.runner.close(grace=2)
        assert post.now() - stopping < 5
        assert post.states(first) == {CAROL: "waiting"}
        assert post.attempts(first)[0].outcome == "interrupted"
        assert post.attempts(second)[0].outcome == "not begun"
        await post.start()
        await until_quiet(post, first)
        await until_quiet(post, second)
        assert len(peer.taken) == 2
        assert "repeat" not in post.events()

    main()


def test_a_stop_during_a_good_delivery_lets_it_end() -> None:
    @posted()
    async def main(post: Post) -> None:
        post.weather[FIRST] = Weather(delay=0.2)
        peer = post.peer()
        entry = await post.enqueue()
        await post.start()
        await asyncio.sleep(1)
        await post.runner.close(grace=30)
        assert post.states(entry) == {CAROL: "delivered"}
        assert len(peer.taken) == 1

    main()


def test_a_lease_is_renewed_while_the_other_server_thinks() -> None:
    @posted()
    async def main(post: Post) -> None:
        peer = post.peer(answers={"body": Do.SILENCE, "take": "yes"})
        entry = await post.enqueue()
        await post.start()
        for _ in range(60):
            await asyncio.sleep(9)
            due = post.store.queue.recipients(entry)[0].lease_until
            if post.attempts(entry):
                break
            assert due is not None
            assert due > post.now()
        assert len(peer.taken) == 1, "ten minutes of silence are one attempt"

    main()


def test_what_is_dropped_while_it_waits_for_its_turn_is_not_sent() -> None:
    @posted()
    async def main(post: Post) -> None:
        post.weather[FIRST] = Weather(delay=1.0)
        peer = post.peer()
        entries = [await post.enqueue(f"u{n}@crow.example") for n in range(4)]
        await post.start()
        await asyncio.sleep(2)
        assert await post.store.queue.drop(entries[2]) == 1
        await asyncio.sleep(120)
        assert [taken.recipients[0][:2] for taken in peer.taken] == ["u0", "u1", "u3"]
        assert post.states(entries[2]) == {"u2@crow.example": "dropped"}
        assert "lease lost" in post.events()

    main()


def test_one_recipient_dropped_in_flight_does_not_repeat_the_others() -> None:
    @posted()
    async def main(post: Post) -> None:
        post.weather[FIRST] = Weather(delay=1.0)
        peer = post.peer()
        entry = await post.enqueue("a@crow.example", "b@crow.example")
        await post.start()
        await asyncio.sleep(6)
        (victim,) = [r.id for r in post.store.queue.recipients(entry) if r.address[0] == "b"]
        assert await post.store.queue.drop(entry, [victim]) == 1
        await asyncio.sleep(3600)
        assert post.states(entry) == {"a@crow.example": "delivered", "b@crow.example": "dropped"}
        assert len(peer.taken) == 1

    main()


# One connection for many mails.


def test_mails_to_one_destination_share_a_connection_and_not_a_dialogue() -> None:
    @posted()
    async def main(post: Post) -> None:
        peer = post.peer()
        entries = [await post.enqueue(f"u{n}@crow.example") for n in range(5)]
        await post.start()
        await asyncio.sleep(30)
        assert peer.connections == 1
        assert len(peer.taken) == 5
        assert [line for line in peer.lines if line == "QUIT"] == ["QUIT"]
        last = post.attempts(entries[4])[0]
        assert last.details["reused"] is True
        assert "u4@crow.example" in last.dialogue
        assert not any(f"u{n}@" in last.dialogue for n in range(4))

    main()


@pytest.mark.parametrize("trouble", [Do.DROP, Do.CLOSE, "421 4.4.2 enough for today"])
def test_a_connection_that_was_used_enough_is_replaced_at_once(trouble: Any) -> None:
    @posted()
    async def main(post: Post) -> None:
        post.dns.set("crow.example", "MX", (10, "mx1.crow.example"))
        peer = post.peer(answers={"mail": ["250 ok", trouble, "250 ok"]})
        entries = [await post.enqueue(f"u{n}@crow.example") for n in range(3)]
        await post.start()
        await asyncio.sleep(30)
        for entry in entries:
            assert set(post.states(entry).values()) == {"delivered"}, post.attempts(entry)[0].text
        assert len(peer.taken) == 3
        assert peer.connections == 2

    main()


def test_a_mail_refused_by_all_leaves_a_connection_that_serves_the_next() -> None:
    """DATA may be answered with 354 though nobody is to get it: the next mail must not go there."""

    @posted()
    async def main(post: Post) -> None:
        peer = post.peer(answers={"rcpt:gone": "550 5.1.1 no"})
        gone = await post.enqueue("gone@crow.example", raw=mail("secret"))
        fine = await post.enqueue("fine@crow.example", raw=mail("open"))
        await post.start()
        await asyncio.sleep(30)
        assert post.states(gone) == {"gone@crow.example": "failed"}
        assert post.states(fine) == {"fine@crow.example": "delivered"}
        assert peer.connections == 1
        (taken,) = peer.taken
        assert b"open" in taken.body
        assert b"secret" not in taken.body

    main()


def test_ten_thousand_recipients_go_in_hundreds() -> None:
    @posted()
    async def main(post: Post) -> None:
        peer = post.peer()
        entry = await post.enqueue(*(f"u{n}@crow.example" for n in range(1000)))
        await post.start()
        await until_quiet(post, entry)
        assert [len(taken.recipients) for taken in peer.taken] == [100] * 10
        assert set(post.states(entry).values()) == {"delivered"}
        assert len(post.attempts(entry)) == 1

    main()


@pytest.mark.parametrize("reply", ["452 4.5.3 too many", "552 too many recipients"])
def test_recipients_that_are_too_many_come_with_the_next_transaction(reply: str) -> None:
    @posted()
    async def main(post: Post) -> None:
        answers = ["250 ok", "250 ok", reply, reply, "250 ok"]
        peer = post.peer(answers={"rcpt": answers})
        entry = await post.enqueue(*(f"u{n}@crow.example" for n in range(4)))
        await post.start()
        await asyncio.sleep(30)
        assert set(post.states(entry).values()) == {"delivered"}
        assert [len(taken.recipients) for taken in peer.taken] == [2, 2]
        assert len({recipient for taken in peer.taken for recipient in taken.recipients}) == 4

    main()


def test_one_slow_destination_does_not_keep_the_others_waiting() -> None:
    @posted()
    async def main(post: Post) -> None:
        post.dns.set("owl.example", "MX", (5, "mx2.crow.example"))
        post.peer(answers={"connect": Do.SILENCE})
        owl = post.peer(SECOND)
        slow = await post.enqueue()
        quick = await post.enqueue("dave@owl.example")
        await post.start()
        await asyncio.sleep(5)
        assert post.states(quick) == {"dave@owl.example": "delivered"}
        assert post.states(slow) == {CAROL: "leased"}
        assert len(owl.taken) == 1

    main()


@pytest.mark.parametrize(
    ("fields", "lacking", "status"),
    [
        ({"smtputf8": True}, ("8BITMIME",), "5.6.7"),
        ({"eight_bit": True}, ("SMTPUTF8",), "5.6.3"),
        ({"size_of": 5000}, ("SIZE 1000",), "5.3.4"),
    ],
)
def test_a_mail_that_the_next_server_cannot_take_goes_back_with_the_reason(
    fields: dict[str, Any], lacking: tuple[str, ...], status: str
) -> None:
    @posted()
    async def main(post: Post) -> None:
        post.dns.set("crow.example", "MX", (10, "mx1.crow.example"))
        more = dict(fields)
        size = more.pop("size_of", 0)
        peer = post.peer(extensions=lacking)
        entry = await post.enqueue(raw=mail() + b"x" * size + b"\r\n", **more)
        await post.start()
        await asyncio.sleep(10)
        assert post.states(entry) == {CAROL: "failed"}
        assert post.attempts(entry)[0].enhanced == status
        assert peer.taken == []
        assert len(post.notices()) == 1

    main()


def test_dots_and_bare_newlines_arrive_as_they_should() -> None:
    """Row 5: dot-stuffing behind a bare CR; and across the pieces in which a body is read."""

    @posted()
    async def main(post: Post) -> None:
        peer = post.peer()
        raw = b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n" + b"y" * 262_120 + b"\r\n.\r\nend\r\n"
        entry = await post.enqueue(raw=raw)
        hostile = await post.enqueue("x@crow.example", raw=b"Subject: x\r\n\r\na\r.\r\nb\n.\n\r\n")
        await post.start()
        await until_quiet(post, entry)
        await until_quiet(post, hostile)
        assert peer.taken[0].body == raw
        assert b"\r.\r\n" not in peer.taken[1].body.replace(b"\r\n", b"|")
        assert len(peer.taken) == 2

    main()


def test_dns_trouble_is_temporary_and_no_domain_is_permanent() -> None:
    @posted()
    async def main(post: Post) -> None:
        post.peer()
        post.dns.fail("crow.example", status="timeout")
        waiting = await post.enqueue()
        gone = await post.enqueue("x@nowhere.example")
        await post.start()
        await asyncio.sleep(30)
        assert post.states(waiting) == {CAROL: "waiting"}
        assert post.attempts(waiting)[0].details["stage"] == "route"
        assert post.states(gone) == {"x@nowhere.example": "failed"}
        post.dns.heal()
        await until_quiet(post, waiting)
        assert post.states(waiting) == {CAROL: "delivered"}

    main()


def test_an_address_that_is_none_fails_alone() -> None:
    @posted()
    async def main(post: Post) -> None:
        peer = post.peer()
        bad = ["two words@crow.example", "a>b\r\nRCPT TO:<x@crow.example", "@crow.example"]
        long = values.QueuedRecipient(
            address="long@crow.example", original="rfc822;" + "x" * 20_000
        )
        entry = await post.enqueue(CAROL, *bad, long)
        await post.start()
        await asyncio.sleep(30)
        states = post.states(entry)
        assert states[CAROL] == "delivered"
        assert states["two words@crow.example"] == "failed"
        assert states["long@crow.example"] == "failed"
        assert "held" not in states.values()
        assert [taken.recipients for taken in peer.taken] == [[CAROL]]
        assert not any("x@crow" in line for line in peer.lines)

    main()


def test_a_mail_from_beyond_ascii_goes_with_smtputf8_to_the_a_labels() -> None:
    @posted()
    async def main(post: Post) -> None:
        post.dns.set("xn--krhe-moa.example", "MX", (5, "mx2.crow.example"))
        peer = post.peer(SECOND)
        entry = await post.enqueue("grün@krähe.example", smtputf8=True)
        await post.start()
        await asyncio.sleep(30)
        assert set(post.states(entry).values()) == {"delivered"}, post.attempts(entry)[0].text
        assert any("SMTPUTF8" in line for line in peer.lines)

    main()

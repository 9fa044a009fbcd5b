"""What our users hand in: completed, signed, checked for its author, and never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import corvus_dkim
import corvus_message
from corvus_auth.lookup import ZoneResolver
from corvus_server.accounts.limits import RecipientBudget
from corvus_server.log import EventLog, silent_log
from corvus_server.outbound.submission import NotYours, Signers, Submitter, TooMany, may_send_as
from corvus_server.storage import values
from corvus_server.storage.memory import MemoryStore
from corvus_server.testing.post import report_of
from corvus_server.testing.world import Clock

DAVE = "dave@owl.example"


class Office:
    def __init__(self, daily: int = 0) -> None:
        self.clock = Clock()
        self.store: Any = MemoryStore(now=self.clock)
        self.log: EventLog = silent_log(self.clock)
        self.signers = Signers(self.store)
        self._ids = 0
        self.submitter = Submitter(
            self.store,
            hostname="mail.corvus.local",
            log=self.log,
            now=self.clock,
            identifier=self._identifier,
            signers=self.signers,
            budget=RecipientBudget(daily, now=self.clock),
        )

    def _identifier(self) -> str:
        self._ids += 1
        return f"id{self._ids}"

    async def furnish(self) -> None:
        for domain in ("corvus.local", "second.example"):
            await self.store.directory.add_domain(domain)
        add = self.store.directory.add_account
        self.alice = await add("alice@corvus.local")
        self.bob = await add("bob@corvus.local")
        await self.store.directory.set_alias("sales@second.example", ["alice@corvus.local"])

    async def key(self, domain: str, selector: str) -> str:
        private = corvus_dkim.generate_key("ed25519")
        record = corvus_dkim.key_record(private)
        key = values.DKIMKey(domain=domain, selector=selector, algorithm="ed25519", record=record)
        await self.store.keys.add(key, private.to_pem().encode())
        return record

    async def submit(
        self, raw: bytes, *recipients: str | values.QueuedRecipient, **more: Any
    ) -> Any:
        wanted = [
            values.QueuedRecipient(address=each) if isinstance(each, str) else each
            for each in recipients or (DAVE,)
        ]
        account = more.pop("account", self.alice)
        sender = more.pop("sender", "alice@corvus.local")
        return await self.submitter.submit(account, sender, wanted, raw, **more)

    def inbox(self, account: values.Account, name: str = "INBOX") -> list[bytes]:
        box = self.store.mailboxes.get(account.id, name)
        bodies = self.store.messages.bodies(box.id, range(1, 100))
        return [self.store.messages.read_body(body) for body in bodies]

    def queued(self) -> list[bytes]:
        return [self.store.queue.read_body(entry) for entry in reversed(self.store.queue.entries())]


def office(**settings: Any) -> Callable[[Callable[[Office], Coroutine[Any, Any, None]]], Any]:
    def decorate(test: Callable[[Office], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        def runs() -> None:
            async def main() -> None:
                place = Office(**settings)
                await place.furnish()
                await test(place)
                assert await place.store.check() == []

            asyncio.run(main())

        runs.__name__, runs.__doc__ = test.__name__, test.__doc__
        return runs

    return decorate


MAIL = b"From: alice@corvus.local\r\nSubject: lunch\r\n\r\nAt noon?\r\n"


@office()
async def test_a_mail_is_completed_and_bcc_is_blind(place: Office) -> None:
    raw = (
        b"From: alice@corvus.local\r\nBcc: secret@owl.example\r\nSubject: x\r\n"
        b"Authentication-Results: mail.corvus.local; dkim=pass header.d=bank.example\r\n"
        b"X-Corvus-Verdict: fine\r\n\r\nhello"
    )
    done = await place.submit(raw, DAVE, "bob@corvus.local")
    for octets in (*place.queued(), *place.inbox(place.bob)):
        mail = corvus_message.parse(octets)
        assert mail.field(b"date") is not None
        assert mail.field(b"message-id") == done.message_id.encode()
        for name in (b"bcc", b"authentication-results", b"x-corvus-verdict"):
            assert mail.field(name) is None
        assert octets.endswith(b"\r\n\r\nhello\r\n")
    assert (done.queued, done.delivered) == ((DAVE,), ("bob@corvus.local",))


@pytest.mark.parametrize(
    "raw",
    [
        b"From: alice@corvus.local\r\nSubject: only a header",
        b"From: alice@corvus.local\r\nSubject: only a header\r\n",
        b"From: alice@corvus.local\r\nSubject: only a header\r\n\r\n",
    ],
)
def test_a_message_of_a_header_alone_stays_one(raw: bytes) -> None:
    @office()
    async def main(place: Office) -> None:
        await place.submit(raw)
        (octets,) = place.queued()
        mail = corvus_message.parse(octets)
        assert mail.subject == "only a header"
        assert octets.endswith(b"Subject: only a header\r\n\r\n")

    main()


@pytest.mark.parametrize(
    "header",
    [
        b"From: bob@corvus.local",
        b"From: ceo@bank.example",
        b"From: alice@corvus.local\r\nFrom: ceo@bank.example",
        b"From: alice@corvus.local\r\nFrom: alice@corvus.local",
        b"From: alice@corvus.local, ceo@bank.example",
        b"From: alice@corvus.local\r\nSender: bob@corvus.local",
        b"From: The CEO of the Bank",
        b"From:",
        b"Subject: nobody",
        b'From: "alice@corvus.local" <ceo@bank.example>',
    ],
)
def test_nobody_writes_as_somebody_else(header: bytes) -> None:
    @office()
    async def main(place: Office) -> None:
        with pytest.raises(NotYours):
            await place.submit(header + b"\r\n\r\nx\r\n")
        assert place.queued() == []

    main()


@office()
async def test_the_envelope_sender_is_checked_too(place: Office) -> None:
    with pytest.raises(NotYours):
        await place.submit(MAIL, sender="bob@corvus.local")
    assert place.queued() == []
    await place.submit(MAIL, sender="")


@office()
async def test_an_alias_in_another_domain_may_be_the_author_and_is_signed_there(
    place: Office,
) -> None:
    await place.key("corvus.local", "cv1")
    record = await place.key("second.example", "s2")
    assert may_send_as(place.store.directory, place.alice, "Sales+spring@Second.example")
    assert not may_send_as(place.store.directory, place.bob, "sales@second.example")
    await place.submit(MAIL.replace(b"alice@corvus.local", b"sales@second.example"))
    (octets,) = place.queued()
    zone = ZoneResolver({"s2._domainkey.second.example": {"TXT": [record.encode()]}})
    (result,) = corvus_dkim.verify(octets, resolver=zone, now=place.clock())
    assert (str(result.status), result.domain) == (str(corvus_dkim.Status.PASS), "second.example")


@office()
async def test_a_key_that_is_rotated_or_made_anew_signs_from_the_next_mail_on(
    place: Office,
) -> None:
    keys = place.store.keys
    first = await place.key("corvus.local", "cv1")

    def signs(octets: bytes, records: dict[str, str]) -> list[tuple[str, str]]:
        zone = ZoneResolver(
            {f"{s}._domainkey.corvus.local": {"TXT": [r.encode()]} for s, r in records.items()}
        )
        found = corvus_dkim.verify(octets, resolver=zone, now=place.clock())
        return [(each.selector, each.status.value) for each in found]

    await place.submit(MAIL)
    assert signs(place.queued()[0], {"cv1": first}) == [("cv1", "pass")]
    second = await place.key("corvus.local", "cv2")
    await place.submit(MAIL)
    assert signs(place.queued()[1], {"cv1": first, "cv2": second}) == [
        ("cv1", "pass"),
        ("cv2", "pass"),
    ]
    await keys.set_active("corvus.local", "cv1", False)
    await place.submit(MAIL)
    assert signs(place.queued()[2], {"cv2": second}) == [("cv2", "pass")]
    # The same selector with another key: a cached one would sign what nobody can verify.
    await keys.remove("corvus.local", "cv2")
    third = await place.key("corvus.local", "cv2")
    assert third != second
    await place.submit(MAIL)
    assert signs(place.queued()[3], {"cv2": third}) == [("cv2", "pass")]
    await keys.remove("corvus.local", "cv2")
    await place.submit(MAIL)
    assert signs(place.queued()[4], {}) == []
    assert place.signers._held == {}, "no private key is kept that signs nothing"


@office()
async def test_a_mailbox_that_is_full_does_not_swallow_its_copy(place: Office) -> None:
    await place.store.directory.update_account(place.bob.id, quota=10)
    done = await place.submit(MAIL, "bob@corvus.local", DAVE, "alice@corvus.local")
    assert done.delivered == ("alice@corvus.local",)
    notices = [report for raw in place.inbox(place.alice) if (report := _report(raw))]
    (status,) = notices[0].recipients
    assert status.headers["final-recipient"] == "rfc822;bob@corvus.local"
    assert (status.headers["action"], status.headers["status"]) == ("failed", "5.2.2")
    assert place.inbox(place.bob) == []


def _report(raw: bytes) -> corvus_message.DeliveryReport | None:
    return corvus_message.read_dsn(corvus_message.parse(raw))


@office()
async def test_a_recipient_who_is_nowhere_is_told_of(place: Office) -> None:
    await place.submit(MAIL, "gone@corvus.local", "bob@corvus.local")
    (notice,) = place.inbox(place.alice)
    assert report_of(notice).recipients[0].headers["status"] == "5.1.1"
    with pytest.raises(NotYours, match=r"no mailbox gone@corvus\.local"):
        await place.submit(MAIL, "gone@corvus.local")


@pytest.mark.parametrize(("notify", "told"), [("SUCCESS", 1), ("FAILURE", 0), ("", 0)])
def test_success_is_told_of_local_recipients_who_were_asked_about(notify: str, told: int) -> None:
    @office()
    async def main(place: Office) -> None:
        await place.submit(MAIL, values.QueuedRecipient(address="bob@corvus.local", notify=notify))
        notices = place.inbox(place.alice)
        assert len(notices) == told
        for raw in notices:
            assert report_of(raw).recipients[0].headers["action"] == "delivered"

    main()


@office()
async def test_an_alias_to_outside_hands_on_what_the_sender_wants_to_know(place: Office) -> None:
    await place.store.directory.set_alias("team@corvus.local", ["bob@corvus.local", DAVE])
    await place.submit(MAIL, values.QueuedRecipient(address="team@corvus.local", notify="NEVER"))
    (entry,) = place.store.queue.entries()
    (recipient,) = entry.recipients
    assert (recipient.address, recipient.notify) == (DAVE, "NEVER")
    assert recipient.original == "rfc822;team@corvus.local"
    assert len(place.inbox(place.bob)) == 1


@office(daily=3)
async def test_a_day_has_so_many_recipients_however_the_mail_comes(place: Office) -> None:
    await place.submit(MAIL, DAVE, "eve@owl.example")
    with pytest.raises(TooMany):
        await place.submit(MAIL, DAVE, "eve@owl.example")
    await place.submit(MAIL, DAVE)
    place.clock.forward(86_401)
    await place.submit(MAIL, DAVE)
    assert len(place.queued()) == 3


@office()
async def test_eight_bit_and_the_wishes_of_the_envelope_reach_the_queue(place: Office) -> None:
    import corvus_smtp as smtp

    parameters = smtp.MailParameters(ret=smtp.Ret.HDRS, envid="e1", requiretls=True, smtputf8=True)
    await place.submit(MAIL + "Grüße\r\n".encode(), parameters=parameters)
    (entry,) = place.store.queue.entries()
    assert (entry.eight_bit, entry.smtputf8, entry.require_tls) == (True, True, True)
    assert (entry.return_content, entry.envelope_id) == ("HDRS", "e1")


@office()
async def test_a_copy_in_sent_is_read_already(place: Office) -> None:
    await place.submit(MAIL, save_sent=True)
    (copy,) = place.inbox(place.alice, "Sent")
    assert b"At noon?" in copy

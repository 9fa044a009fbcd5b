"""The mail exchanger over a real store and a DNS of dictionaries: who is let in, where, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import corvus_dkim
import corvus_message
import corvus_smtp as smtp
from corvus_auth.lookup import ZoneResolver
from corvus_server.inbound.authenticate import Authenticator
from corvus_server.inbound.exchanger import MailExchanger, Settings
from corvus_server.inbound.policy import Policy
from corvus_server.log import silent_log
from corvus_server.operations import Operations
from corvus_server.sessions.smtp import OVER_QUOTA, Client, Recipient, Transaction
from corvus_server.storage.errors import OverQuota
from corvus_server.storage.sqlite import SQLiteStore

CROW_IP, EVIL_IP = "203.0.113.25", "198.51.100.66"
KEY = corvus_dkim.generate_key("ed25519")
ZONE: dict[str, Any] = {
    "crow.example": {"TXT": [b"v=spf1 ip4:203.0.113.25 -all"]},
    "_dmarc.crow.example": {"TXT": [b"v=DMARC1; p=reject"]},
    "s1._domainkey.crow.example": {"TXT": [corvus_dkim.key_record(KEY)]},
    "soft.example": {"TXT": [b"v=spf1 ~all"]},
    "_dmarc.quarantine.example": {"TXT": [b"v=DMARC1; p=quarantine"]},
    "slow.example": {"TXT": "timeout"},
    "_dmarc.slow.example": {"TXT": "timeout"},
    "25.113.0.203.in-addr.arpa": {"PTR": ["mx.crow.example"]},
    "mx.crow.example": {"A": [CROW_IP]},
    "66.100.51.198.bl.example": {"A": ["127.0.0.2"]},
}


class World:
    """An exchanger with everything real but DNS and the clock."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.time = 1_800_000_000.0
        self.store = SQLiteStore(folder, now=lambda: self.time, background=False)
        self.exchanger = MailExchanger(
            self.store,
            Authenticator(
                ZoneResolver(ZONE), monotonic=lambda: 0.0, dnsbl=settings.pop("dnsbl", ())
            ),
            Settings(hostname="mail.corvus.test", **settings),
            log=silent_log(),
            now=lambda: self.time,
            identifier=lambda: "id1",
            secret=b"srs",
        )

    async def prepare(self) -> None:
        operations = Operations(self.store, now=lambda: self.time)
        await self.store.directory.add_domain("corvus.test")
        for name in ("alice", "bob"):
            await self.store.directory.add_account(f"{name}@corvus.test", password_hash="x")
        await operations.alias_add("team@corvus.test", ["alice@corvus.test", "bob@corvus.test"])
        await operations.alias_add("away@corvus.test", ["carol@crow.example"])

    async def bring(
        self,
        raw: bytes,
        *recipients: str,
        mail_from: str = "carol@crow.example",
        ip: str = CROW_IP,
        helo: str = "mx.crow.example",
    ) -> smtp.Reply:
        client = Client("c1", ip, 4711, helo, True)
        transaction = Transaction(mail_from, smtp.MailParameters(), began=self.time)
        for address in recipients or ("alice@corvus.test",):
            found = self.exchanger.recipient(client, transaction, address, smtp.RcptParameters())
            if not isinstance(found, Recipient):
                return found
            transaction.recipients.append(found)
        self.exchanger.start(client, transaction)
        assert transaction.body is not None
        for at in range(0, len(raw), 1000):
            transaction.body.write(raw[at : at + 1000])
            for sink in transaction.sinks:
                sink(raw[at : at + 1000])
        try:
            reply: smtp.Reply = await self.exchanger.finish(client, transaction)
        except OverQuota:
            return OVER_QUOTA  # as the session answers it
        return reply

    def mails(self, address: str, mailbox: str = "INBOX") -> list[bytes]:
        account = self.store.directory.account(address)
        assert account is not None
        found = self.store.mailboxes.get(account.id, mailbox)
        assert found is not None
        bodies = self.store.messages.bodies(found.id, range(1, found.uid_next))
        return [self.store.messages.read_body(body) for body in bodies]

    def verdict(self) -> dict[str, Any]:
        return dict(self.store.verdicts.recent(1)[0].tree)


def mail(sender: str = "carol@crow.example", subject: str = "Lunch", extra: bytes = b"") -> bytes:
    return (
        extra
        + f"From: {sender}\r\nTo: alice@corvus.test\r\nSubject: {subject}\r\n".encode()
        + b"Date: Fri, 15 Jan 2027 08:00:00 +0000\r\nMessage-ID: <1@crow.example>\r\n\r\nHi.\r\n"
    )


def signed(raw: bytes) -> bytes:
    signer = corvus_dkim.Signer("crow.example", "s1", KEY, timestamp=1_800_000_000)
    return signer.sign(raw) + raw


def play(folder: Path, scene: Callable[[World], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        world = World(folder, **settings)
        try:
            await world.prepare()
            await scene(world)
            assert await world.store.check() == []
        finally:
            await world.store.close()

    asyncio.run(main())


def test_who_is_vouched_for_goes_to_the_inbox_with_the_trace_in_front(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        reply = await world.bring(signed(mail()))
        assert (reply.code, str(reply.enhanced)) == (250, "2.0.0")
        [raw] = world.mails("alice@corvus.test")
        message = corvus_message.parse(raw)
        names = [field.name.lower() for field in message.headers.fields][:6]
        assert names == [
            b"return-path", b"delivered-to", b"authentication-results", b"x-corvus-verdict",
            b"received", b"dkim-signature",
        ]  # fmt: skip
        results = message.field(b"authentication-results") or b""
        for expected in (b"spf=pass", b"dkim=pass", b"dmarc=pass", b"iprev=pass"):
            assert expected in results
        tree = world.verdict()
        assert (tree["decision"], tree["rule"]) == ("inbox", "vouched")
        assert tree["checks"]["dkim"][0]["domain"] == "crow.example"

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("address", "code", "enhanced"),
    [
        ("nobody@corvus.test", 550, "5.1.1"),
        ("someone@elsewhere.example", 550, "5.7.1"),
        ("user%elsewhere.example@corvus.test", 550, "5.1.1"),
        ('"a@elsewhere.example"@corvus.test', 550, "5.1.1"),
        ("elsewhere.example!user@corvus.test", 550, "5.1.1"),
    ],
)
def test_it_is_no_relay_whatever_the_address_looks_like(
    tmp_path: Path, address: str, code: int, enhanced: str
) -> None:
    async def scene(world: World) -> None:
        reply = await world.bring(mail(), address)
        assert (reply.code, str(reply.enhanced)) == (code, enhanced)
        assert world.store.queue.entries() == []

    play(tmp_path, scene)


def test_plus_addresses_and_aliases_lead_home_once_each(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        raw = signed(mail())
        reply = await world.bring(
            raw, "alice+news@corvus.test", "team@corvus.test", "alice@corvus.test"
        )
        assert reply.code == 250
        assert len(world.mails("alice@corvus.test")) == 1
        assert len(world.mails("bob@corvus.test")) == 1

    play(tmp_path, scene)


def test_a_forgery_is_refused_as_its_domain_asks_and_kept_nowhere(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        reply = await world.bring(mail(), ip=EVIL_IP, helo="evil.example")
        assert (reply.code, str(reply.enhanced)) == (550, "5.7.1")
        assert world.mails("alice@corvus.test") == world.mails("alice@corvus.test", "Junk") == []
        assert world.verdict()["rule"] == "dmarc-reject"
        assert "crow.example" in world.verdict()["sentence"]

    play(tmp_path, scene)


def test_a_changed_mail_of_a_list_goes_to_junk_and_says_so(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        changed = signed(mail()).replace(b"Hi.", b"Hi.\r\n-- a footer")
        reply = await world.bring(
            changed, mail_from="list@soft.example", ip=EVIL_IP, helo="list.example"
        )
        assert reply.code == 550, "nobody vouches for it"
        world.exchanger._settings = Settings(hostname="mail.corvus.test")
        ZONE_LIST = {**ZONE, "soft.example": {"TXT": [b"v=spf1 ip4:198.51.100.66 -all"]}}
        world.exchanger._authenticator = Authenticator(
            ZoneResolver(ZONE_LIST), monotonic=lambda: 0.0
        )
        reply = await world.bring(
            changed, mail_from="list@soft.example", ip=EVIL_IP, helo="list.example"
        )
        assert reply.code == 250
        assert len(world.mails("alice@corvus.test", "Junk")) == 1
        assert world.verdict()["rule"] == "dmarc-forwarded"
        assert "mailing list" in world.verdict()["sentence"]

    play(tmp_path, scene)


def test_suspicious_mail_is_asked_to_come_again_and_let_in_when_it_does(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        arguments = {"mail_from": "x@soft.example", "ip": EVIL_IP, "helo": "localhost"}
        raw = mail("x@soft.example")
        reply = await world.bring(raw, **arguments)
        assert (reply.code, str(reply.enhanced)) == (451, "4.7.1")
        world.time += 60
        assert (await world.bring(raw, **arguments)).code == 451, "too soon"
        world.time += 600
        assert (await world.bring(raw, **arguments)).code == 250
        world.time += 10
        assert (await world.bring(raw, **arguments)).code == 250, "it is known now"
        found = world.mails("alice@corvus.test") + world.mails("alice@corvus.test", "Junk")
        assert len(found) == 2, "a greylisted mail never appears twice"

    play(tmp_path, scene)


def test_loopback_is_never_greylisted(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        reply = await world.bring(
            mail("x@soft.example"), mail_from="x@soft.example", ip="127.0.0.1", helo="localhost"
        )
        assert reply.code == 250

    play(tmp_path, scene, policy=Policy(greylist="all"))


def test_dns_trouble_defers_what_only_dns_could_judge(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        reply = await world.bring(
            mail("a@slow.example"), mail_from="a@slow.example", ip=EVIL_IP, helo="mx.slow.example"
        )
        assert (reply.code, str(reply.enhanced)) == (451, "4.7.0")
        assert world.verdict()["rule"] == "dns-trouble"

    play(tmp_path, scene)


def test_a_listed_sender_scores_itself_into_junk(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        world.time += 0
        reply = await world.bring(
            mail("x@soft.example", "YOU ARE A WINNER!!!"),
            mail_from="x@soft.example",
            ip=EVIL_IP,
            helo="[198.51.100.66]",
        )
        assert reply.code == 250
        assert len(world.mails("alice@corvus.test", "Junk")) == 1
        tree = world.verdict()
        assert tree["rule"] == "score"
        assert {"blocklisted", "helo-literal"} <= {signal["name"] for signal in tree["signals"]}

    play(tmp_path, scene, policy=Policy(greylist="off"), dnsbl=("bl.example",))


def test_somebody_you_write_to_is_known(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        from corvus_server.storage.values import Delivery, Intake

        alice = world.store.directory.account("alice@corvus.test")
        assert alice is not None
        body = world.store.new_body()
        body.write(
            b"From: alice@corvus.test\r\nTo: friend@bar.example\r\nSubject: hi\r\n\r\nHi\r\n"
        )
        await world.store.accept(
            Intake(body=body, deliveries=[Delivery(account_id=alice.id, mailbox="\\Sent")])
        )
        zone = {**ZONE, "bar.example": {"TXT": [b"v=spf1 ip4:198.51.100.66 -all"]}}
        world.exchanger._authenticator = Authenticator(ZoneResolver(zone), monotonic=lambda: 0.0)
        reply = await world.bring(
            mail("friend@bar.example", "READ THIS RIGHT NOW"),
            mail_from="friend@bar.example",
            ip=EVIL_IP,
            helo="localhost",
        )
        assert reply.code == 250
        assert "known-sender" in {s["name"] for s in world.verdict()["signals"]}

    play(tmp_path, scene)


def test_forwarding_outside_uses_an_address_of_ours_and_its_bounce_finds_back(
    tmp_path: Path,
) -> None:
    async def scene(world: World) -> None:
        assert (await world.bring(signed(mail()), "away@corvus.test")).code == 250
        [entry] = world.store.queue.entries()
        assert entry.mail_from.startswith("SRS0=")
        assert entry.mail_from.endswith("@corvus.test")
        assert [r.address for r in entry.recipients] == ["carol@crow.example"]
        notice = signed(mail("MAILER-DAEMON@crow.example"))
        bounce = await world.bring(notice, entry.mail_from, mail_from="")
        assert bounce.code == 250
        back = world.store.queue.entries()[0]
        assert [r.address for r in back.recipients] == ["carol@crow.example"]
        forged = "SRS0=AAAAAAAA=AA=victim.example=x@corvus.test"
        assert (await world.bring(notice, forged, mail_from="")).code == 550
        # Only a notice may use the way back: else it would be an open relay.
        assert (await world.bring(signed(mail()), entry.mail_from)).code == 550

    play(tmp_path, scene)


def test_a_loop_ends(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        hops = b"Received: from a by b; Fri, 15 Jan 2027 08:00:00 +0000\r\n" * 101
        reply = await world.bring(mail(extra=hops))
        assert (reply.code, str(reply.enhanced)) == (554, "5.4.6")

    play(tmp_path, scene)


@pytest.mark.parametrize(
    "field",
    [
        b"From: carol@crow.example\r\n",
        b"From: carol@crow.example, mallory@evil.example\r\n",
    ],
)
def test_a_mail_with_an_unclear_author_is_never_taken_at_its_word(
    tmp_path: Path, field: bytes
) -> None:
    async def scene(world: World) -> None:
        reply = await world.bring(mail(extra=field), ip=EVIL_IP, helo="evil.example")
        assert reply.code in (550, 451) or not world.mails("alice@corvus.test")

    play(tmp_path, scene)


def test_a_full_mailbox_is_temporary_and_others_get_theirs(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        alice = world.store.directory.account("alice@corvus.test")
        assert alice is not None
        await world.store.directory.update_account(alice.id, quota=10)
        reply = await world.bring(signed(mail()))
        assert (reply.code, str(reply.enhanced)) == (452, "4.2.2")
        assert (await world.bring(signed(mail()), "bob@corvus.test")).code == 250

    play(tmp_path, scene)


def test_what_is_not_checked_is_taken_without_a_word(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        reply = await world.bring(mail(), ip=EVIL_IP)
        assert reply.code in (250, 451)
        if reply.code == 250:
            [raw] = world.mails("alice@corvus.test")
            assert b"Authentication-Results" not in raw

    play(tmp_path, scene, authenticate=False, policy=Policy(greylist="off"))

"""What the pages do: the directory, keys, the queue, decisions, who comes, the log, metrics."""

from __future__ import annotations

import asyncio
import re
from typing import Any, final

from corvus_server.log import LogEvent, silent_log
from corvus_server.metrics import Metrics, exposition
from corvus_server.storage.values import LoginAttempt, RecipientState
from web.admin.asking import admin, decide, enqueue, streamed
from web.running import Site, said, site


@site
async def test_a_domain_is_added_with_a_key_and_removed_by_its_name(site: Site) -> None:
    root = await admin(site)
    await root.post("/admin/domains", {"domain": "Second.Example"})
    assert [key.selector for key in site.store.keys.all("second.example")] == ["cv1"]
    fields = {"enabled": "1", "strict": "1", "catch_all": "alice@corvus.local"}
    await root.post("/admin/domains/second.example", fields)
    found = site.store.directory.domain("second.example")
    assert found is not None
    assert (found.strict_dmarc, found.catch_all) == (True, "alice@corvus.local")
    asked = await root.post("/admin/domains/second.example/remove")
    assert "Remove second.example?" in said(asked)
    wrong = await root.post("/admin/domains/second.example/remove", {"sure": "corvus.local"})
    assert "nothing was changed" in said(wrong)
    assert site.store.directory.domain("second.example") is not None
    await root.post("/admin/domains/second.example/remove", {"sure": "second.example"})
    assert site.store.directory.domain("second.example") is None


@site
async def test_a_mailbox_is_made_with_a_password_that_is_shown_once(site: Site) -> None:
    root = await admin(site)
    fields = {"local": "dora", "domain": "corvus.local", "name": "Dora", "quota": "5M"}
    answer = await root.post("/admin/mailboxes", fields)
    drawn = re.search(r"[a-z0-9]{4}(?:-[a-z0-9]{4}){3}", answer.text)
    assert drawn is not None
    dora = site.store.directory.account("dora@corvus.local")
    assert dora is not None
    assert dora.quota == 5 * 1024 * 1024
    assert drawn[0] not in (await root.get("/admin/mailboxes")).text
    signed = await site.browser().sign_in("dora@corvus.local", drawn[0])
    assert signed.status_code == 303
    path = f"/admin/mailboxes/{dora.id}"
    await root.post(path, {"name": "Dora D.", "quota": "", "enabled": "1", "admin": "1"})
    dora = site.store.directory.account("dora@corvus.local")
    assert dora is not None
    assert (dora.name, dora.quota, dora.admin) == ("Dora D.", 0, True)
    asked = await root.post(f"{path}/remove")
    assert "Delete dora@corvus.local and 0 mails?" in said(asked)
    await root.post(f"{path}/remove", {"sure": "dora@corvus.local"})
    assert site.store.directory.account("dora@corvus.local") is None


@site
async def test_switching_a_mailbox_off_ends_its_sessions(site: Site) -> None:
    root, alice = await admin(site), await site.signed_in()
    await root.post(f"/admin/mailboxes/{site.alice.id}", {"name": "Alice"})
    assert (await alice.get("/mail/inbox")).status_code == 303


@site
async def test_an_alias_is_made_changed_and_removed(site: Site) -> None:
    root = await admin(site)
    fields = {"alias": "info@corvus.local", "targets": "alice@corvus.local, bob@corvus.local"}
    await root.post("/admin/aliases", fields)
    (alias,) = site.store.directory.aliases()
    assert alias.targets == ("alice@corvus.local", "bob@corvus.local")
    asked = await root.post("/admin/aliases/remove", {"alias": "info@corvus.local"})
    assert "Remove info@corvus.local?" in said(asked)
    await root.post("/admin/aliases/remove", {"alias": "info@corvus.local", "sure": "yes"})
    assert site.store.directory.aliases() == []


@site
async def test_a_key_is_rotated_retired_and_forgotten(site: Site) -> None:
    root = await admin(site)
    await site.services.operations.dkim_gen("corvus.local")
    only = await root.post("/admin/keys/retire", {"domain": "corvus.local", "selector": "cv1"})
    assert only.status_code == 409
    await root.post("/admin/keys", {"domain": "corvus.local", "algorithm": "ed25519"})
    held = site.store.keys.all("corvus.local")
    assert [(k.selector, k.algorithm) for k in held] == [("cv1", "rsa"), ("cv2", "ed25519")]
    fields = {"domain": "corvus.local", "selector": "cv1"}
    assert "Retire cv1" in said(await root.post("/admin/keys/retire", fields))
    await root.post("/admin/keys/retire", {**fields, "sure": "yes"})
    assert [k.selector for k in site.store.keys.all("corvus.local") if k.active] == ["cv2"]
    await root.post("/admin/keys/activate", fields)
    assert all(k.active for k in site.store.keys.all("corvus.local"))
    await root.post("/admin/keys/remove", {**fields, "sure": "yes"})
    assert len(site.store.keys.all("corvus.local")) == 2  # it signs: it cannot be forgotten
    await root.post("/admin/keys/retire", {**fields, "sure": "yes"})
    await root.post("/admin/keys/remove", {**fields, "sure": "yes"})
    assert [k.selector for k in site.store.keys.all("corvus.local")] == ["cv2"]


@site
async def test_a_mail_in_the_queue_is_held_released_retried_and_dropped(site: Site) -> None:
    root = await admin(site)
    entry = await enqueue(site, subject="Grüße")

    def state() -> RecipientState:
        return site.store.queue.recipients(entry)[0].state

    path = f"/admin/queue/{entry}"
    assert "Grüße" in (await root.get(path)).text
    await root.post(path, {"action": "hold"})
    assert state() is RecipientState.HELD
    assert "Held" in said(await root.get("/admin/queue?state=held"))
    await root.post(path, {"action": "release"})
    await root.post(path, {"action": "retry"})
    assert state() is RecipientState.WAITING
    asked = await root.post(path, {"action": "drop"})
    assert "Drop the mail to carol@crow.example?" in said(asked)
    assert state() is RecipientState.WAITING
    await root.post(path, {"action": "drop", "sure": "yes"})
    assert state() is RecipientState.DROPPED
    assert "carol@crow.example" in (await root.get("/admin/queue?state=dropped")).text
    assert "carol@crow.example" not in (await root.get("/admin/queue")).text


@site
async def test_the_queue_is_filtered_and_paged(site: Site) -> None:
    root = await admin(site)
    for number in range(52):
        await enqueue(site, f"u{number}@crow.example")
    await enqueue(site, "x@other.example")
    text = (await root.get("/admin/queue?domain=other.example")).text
    assert "x@other.example" in text
    assert "crow.example" not in text
    first = (await root.get("/admin/queue")).text
    older = re.search(r'href="(\?[^"]*before=[0-9]+)"', first)
    assert older is not None
    rest = (await root.get("/admin/queue" + older[1])).text
    assert "u0@crow.example" in rest
    assert "u51@crow.example" not in rest


@site
async def test_every_decision_has_a_page_that_says_why(site: Site) -> None:
    root = await admin(site)
    for action in ("accept", "junk", "greylist", "reject", "defer"):
        number = await decide(site, action)
        text = said(await root.get(f"/admin/decisions/{number}"))
        assert "203.0.113.7 may not send for example.com" in text
        assert "What happened" in text
        assert "+3.5" in text
    text = said(await root.get("/admin/decisions"))
    assert "5 mails came: 1 delivered, 1 junk, 1 come again, 1 refused, 1 put off." in text
    only = (await root.get("/admin/decisions?action=reject")).text
    assert only.count('href="/admin/decisions/') == 1
    assert (await root.get("/admin/decisions/999")).status_code == 404


@site
async def test_a_closed_door_is_opened(site: Site) -> None:
    site.services.operations.lockout = site.lockout
    root = await admin(site)
    await site.store.logins.record(
        LoginAttempt(
            when=site.clock(), address="bob@corvus.local", network="203.0.113.0/24", ok=False
        )
    )
    for _ in range(10):
        site.lockout.failed("bob@corvus.local", "203.0.113.9")
    assert "1 door is closed" in said(await root.get("/admin/sign-ins"))
    fields = {"address": "bob@corvus.local", "network": "203.0.113.0/24"}
    await root.post("/admin/sign-ins/unlock", fields)
    assert site.lockout.closed() == []
    for _ in range(100):
        site.lockout.failed("x@y.example", "203.0.113.9")
    assert ("", "203.0.113.0/24") in [door[:2] for door in site.lockout.closed()]
    await root.post("/admin/sign-ins/unlock", {"address": "", "network": "203.0.113.0/24"})
    assert ("", "203.0.113.0/24") not in [door[:2] for door in site.lockout.closed()]


@site
async def test_a_greylisted_sender_is_let_in_or_forgotten(site: Site) -> None:
    root = await admin(site)
    await site.store.greylist.seen("203.0.113.0/24", "crow.example", passed=False)
    fields = {"network": "203.0.113.0/24", "domain": "crow.example"}
    await root.post("/admin/greylist/pass", fields)
    entry = site.store.greylist.get("203.0.113.0/24", "crow.example")
    assert entry is not None
    assert entry.passed == 1
    asked = await root.post("/admin/greylist/forget", fields)
    assert "Forget 203.0.113.0/24?" in said(asked)
    await root.post("/admin/greylist/forget", {**fields, "sure": "yes"})
    assert site.store.greylist.entries() == []


@site
async def test_settings_show_where_they_come_from_and_no_secret(site: Site) -> None:
    root = await admin(site)
    text = (await root.get("/admin/settings")).text
    assert "mail.corvus.local" in text
    assert "environment" in text
    assert "COR_SMARTHOST" in text
    assert "5 minutes, 15 minutes" in text


@final
class Visitor:
    """A shell as the sessions page reads one."""

    def __init__(self, account: Any) -> None:
        import asyncio

        self.since = asyncio.get_running_loop().time() - 90
        self.octets_in, self.octets_out = 1500, 20
        self.facts = None
        self.peer = type("Peer", (), {"address": "203.0.113.77", "port": 4})()
        conn = type("Conn", (), {"state": "READY", "closing": False, "tls_pending": False})()
        self.dismissed: list[str] = []
        self.closed = False
        members = {"account": account, "conn": conn, "dismiss": self.dismissed.append}
        self.session = type("Session", (), {})()
        for name, value in members.items():
            setattr(self.session, name, value)

    def disconnect(self) -> None:
        self.closed = True


@site
async def test_who_is_connected_is_shown_and_can_be_sent_away(site: Site) -> None:
    from dataclasses import replace

    from corvus_server.web.app import build_app

    shell = Visitor(site.alice)
    service = type("Service", (), {"name": "imap"})()
    connected = [("imap-7", service, shell)]
    site.app = build_app(replace(site.services, connections=lambda: connected))
    root = await admin(site)
    text = said(await root.get("/admin/sessions"))
    for words in ("1 connection is open", "alice@corvus.local", "203.0.113.77", "1 minute", "1.5 KB",
                  "in the clear"):  # fmt: skip
        assert words in text
    asked = await root.post("/admin/sessions/close", {"connection": "imap-7"})
    assert "Close imap-7?" in said(asked)
    assert not shell.closed
    await root.post("/admin/sessions/close", {"connection": "imap-7", "sure": "yes"})
    assert shell.closed
    assert shell.dismissed == ["closed by the administrator"]


# The live log.


@site
async def test_the_log_is_filtered_by_its_address(site: Site) -> None:
    root = await admin(site)
    site.log("info", "smtp", "message", "smtp-1", sender="carol@crow.example")
    site.log("debug", "imap", "connected", "imap-2")
    site.log("error", "delivery", "failed", "q3", exc_info=ValueError("broken"))
    everything = (await root.get("/logs")).text
    assert 'href="/logs?connection=smtp-1"' in everything
    for query, kept, gone in (
        ("protocol=imap", "imap-2", "crow.example"),
        ("level=error", "broken", "crow.example"),
        ("connection=smtp-1", "crow.example", "imap-2"),
        ("q=CROW", "crow.example", "imap-2"),
    ):
        box = (await root.get(f"/logs?{query}")).text.partition("data-log ")[2]
        assert kept in box, query
        assert gone not in box, query


@site
async def test_the_live_log_goes_on_where_the_page_ends(site: Site) -> None:
    root = await admin(site)
    site.log("info", "smtp", "first", "smtp-1")
    seen = site.log.recent[-1].number
    site.log("info", "smtp", "between", "smtp-1")

    def both() -> None:
        site.log("info", "imap", "other")
        site.log("info", "smtp", "later")

    heard = await streamed(
        site.app, root, f"/logs/stream?after={seen}&protocol=smtp",
        lambda text: "later" in text,
        then=both,
    )  # fmt: skip
    assert '"between"' in heard
    assert '"first"' not in heard
    assert '"other"' not in heard
    last = str(site.log.recent[-1].number)
    resumed = await streamed(
        site.app, root, f"/logs/stream?after={seen}", lambda text: "newest" in text,
        then=lambda: site.log("info", "smtp", "newest"),
        headers=((b"last-event-id", last.encode()),),
    )  # fmt: skip
    assert '"later"' not in resumed


# Metrics.


@site(on_disk=True)
async def test_metrics_are_for_administrators_and_for_a_token(site: Site) -> None:
    stranger, alice, root = site.browser(), await site.signed_in(), await admin(site)
    for browser in (stranger, alice):
        assert (await browser.get("/metrics")).status_code == 401
    site.log("info", "smtp", "message", "smtp-1", decision="junk")
    site.log("info", "delivery", "delivered", "q1")
    text = (await root.get("/metrics")).text
    assert 'corvus_messages_in_total{decision="junk"} 1.0' in text
    assert 'corvus_deliveries_total{outcome="delivered"} 1.0' in text
    assert re.search(r"^corvus_store_commits_total [1-9]", text, re.M)
    assert "python_info" not in text  # a registry of its own
    page = await root.post("/admin/metrics/token", {"do": "make"})
    drawn = re.search(r'data-copy="([0-9a-f]{40})"', page.text)
    assert drawn is not None
    assert drawn[1] not in str(site.store.settings.all())
    scraped = await stranger.get("/metrics", headers={"authorization": f"Bearer {drawn[1]}"})
    assert scraped.status_code == 200
    wrong = await stranger.get("/metrics", headers={"authorization": "Bearer " + "0" * 40})
    assert wrong.status_code == 401
    await root.post("/admin/metrics/token", {"do": "remove"})
    again = await stranger.get("/metrics", headers={"authorization": f"Bearer {drawn[1]}"})
    assert again.status_code == 401


@site
async def test_the_charts_show_the_day(site: Site) -> None:
    root = await admin(site)
    for _ in range(3):
        site.log("info", "smtp", "message", "smtp-1", decision="inbox")
    text = said(await root.get("/admin/metrics"))
    assert "3 mails came in" in text
    site.clock.forward(25 * 3600)
    assert "0 mails came in" in said(await root.get("/admin/metrics"))


def test_labels_that_peers_make_up_come_to_an_end() -> None:
    log = silent_log()
    metrics = Metrics(log, lambda: 0.0)
    for number in range(200):
        metrics.observe(LogEvent(number, 0.0, "debug", f"p{number}", "connected", "", {}))
    assert len(metrics.totals) <= 41
    text = exposition(metrics, queue={}, connected={}, store={}).decode()
    assert 'corvus_connections_total{protocol="other"} 160.0' in text
    metrics.stop()
    log("info", "imap", "connected")
    assert sum(metrics.totals.values()) == 200


@site
async def test_the_overview_says_how_things_are(site: Site) -> None:
    root = await admin(site)
    await root.get("/admin")
    await site.app.state.checker.start()
    for decision in ("inbox", "inbox", "reject"):
        site.log("info", "smtp", "message", "smtp-1", decision=decision)
    site.log("error", "delivery", "broken", "q1", error="no space")
    answer = await root.get("/admin")
    text = said(answer)
    assert "next: A of mail.corvus.local" in text
    assert "Mail taken in, last 24 hours 2" in text
    assert "Refused or put off, last 24 hours 1" in text
    assert "error=no space" in text


@site
async def test_a_check_that_breaks_is_told_in_the_log(site: Site) -> None:
    class Broken:
        async def aresolve(self, name: str, rdtype: str) -> None:
            raise RuntimeError("a defect")

    root = await admin(site)
    await root.get("/admin/health")
    site.app.state.checker.resolver = Broken()
    assert await site.app.state.checker.start() is False
    assert any(event.name == "check failed" for event in site.log.recent)


@site
async def test_a_password_is_set_or_drawn_and_ends_the_sessions(site: Site) -> None:
    root, alice = await admin(site), await site.signed_in()
    path = f"/admin/mailboxes/{site.alice.id}/password"
    assert (await root.post(path, {"password": "short"})).status_code == 409
    await root.post(path, {"password": "four words of it"})
    assert (await alice.get("/mail/inbox")).status_code == 303
    assert (
        await site.browser().sign_in("alice@corvus.local", "four words of it")
    ).status_code == 303
    drawn = re.search(r"[a-z0-9]{4}(?:-[a-z0-9]{4}){3}", (await root.post(path)).text)
    assert drawn is not None
    assert (await site.browser().sign_in("alice@corvus.local", drawn[0])).status_code == 303


@site
async def test_an_administrator_does_not_lock_themselves_out(site: Site) -> None:
    root = await admin(site)
    mine = f"/admin/mailboxes/{site.admin.id}"
    for path, fields in (
        (mine, {"name": "Root"}),
        (f"{mine}/password", {}),
        (f"{mine}/remove", {}),
    ):
        assert (await root.post(path, fields)).status_code == 409, path
    assert (await root.get("/admin")).status_code == 200
    done = await root.post(f"{mine}/password", {"password": "four words of it"})
    assert done.headers["location"] == "/sign-in"


@site
async def test_pages_that_nobody_notifies_look_again_by_themselves(site: Site) -> None:
    root = await admin(site)
    entry = await enqueue(site)
    heard = await streamed(
        site.app, root, "/admin/queue/live", lambda text: "change" in text,
        then=lambda: tasks.append(asyncio.ensure_future(site.store.queue.retry(entry))),
    )  # fmt: skip
    assert "event: change" in heard


tasks: list[asyncio.Future[int]] = []

"""Stored values that want to be markup: on every page of the administrator they stay text."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_server.log import LogEvent
from corvus_server.storage.values import (
    Attempt,
    LoginAttempt,
    RecipientOutcome,
    RecipientState,
)
from corvus_server.web.admin import logs
from web.admin.asking import admin, admin_routes, dangers, decide, enqueue, streamed, streams
from web.payloads import PAYLOADS as CORPUS
from web.payloads import dangers as corpus_dangers
from web.running import Site, site

PAYLOADS: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)' x='",
    "</textarea><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7*7 }}{% for x in () %}",
    "</title><iframe src=//evil.example>",
    "<!--<base href=//evil.example>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u202egnp.exe<math><mtext></math>",
)
EVIL: Final = " ".join(PAYLOADS)


async def poison(site: Site) -> None:
    """Put the payloads wherever a stranger's or a user's words end up."""
    store, clock = site.store, site.clock
    await store.directory.update_account(site.alice.id, name=EVIL)
    await store.mailboxes.create(site.alice.id, "".join(c for c in EVIL if c != "/")[:200])
    await store.directory.add_app_password(site.alice.id, EVIL, {"hash": "x"})
    await decide(
        site, "junk", sentence=EVIL, mail_from=EVIL, recipients=(EVIL,), client=EVIL,
        tree={
            "rule": EVIL, "decision": EVIL,
            "signals": [{"name": EVIL, "weight": 6.0, "evidence": EVIL}],
            "connection": {"id": EVIL, "ip": EVIL, "helo": EVIL},
            "envelope": {"mail_from": EVIL, "subject": EVIL, "from_domain": EVIL},
            "checks": {"spf": {"status": EVIL, "reason": EVIL, "trace": [
                {"lookups": [{"name": EVIL, "type": EVIL, "status": "ok", "records": [EVIL]}]}]},
                "dkim": [{"status": EVIL, "domain": EVIL, "reason": EVIL}]},
        },
    )  # fmt: skip
    await enqueue(site, subject=EVIL, id=EVIL, more=EVIL)
    (lease,) = await store.queue.lease_due(clock(), 1, 60.0)
    await store.queue.finish_attempt(
        lease.token,
        [
            RecipientOutcome(
                recipient_id=lease.recipients[0].id, state=RecipientState.WAITING,
                next_attempt=clock() + 60, code=451, text=EVIL,
            )
        ],
        Attempt(
            started=clock(), finished=clock(), outcome=EVIL, host=EVIL, address=EVIL, text=EVIL,
            tls={"version": EVIL}, details={"route": {"answers": [{"name": EVIL}]}, EVIL: EVIL},
            dialogue=f"S: 220 {EVIL}\nC: {EVIL}",
        ),
    )  # fmt: skip
    await store.greylist.seen(EVIL[:60], EVIL[:200], passed=False)
    await store.logins.record(
        LoginAttempt(when=clock(), address=EVIL[:250], network=EVIL[:60], ok=False, client=EVIL)
    )
    for _ in range(10):
        site.lockout.failed(EVIL[:250], "203.0.113.9")
    site.log("error", EVIL, EVIL, EVIL[:50], sender=EVIL, **{EVIL: EVIL})


@site
async def test_what_strangers_write_stays_text_on_every_page(site: Site) -> None:
    """Checklist row 28: stored XSS."""
    await poison(site)
    root = await admin(site)
    seen = 0
    for method, path in admin_routes():
        if method == "GET" and not streams(path):
            answer = await root.get(path)
            assert answer.status_code == 200, path
            assert dangers(answer.text) == [], path
            assert ">49<" not in answer.text
            seen += "alert(1)" in answer.text
    assert seen >= 8  # the words were really shown there
    for path in ("/admin/mailboxes/2", "/admin/mailboxes/3"):
        assert dangers((await root.get(path)).text) == []


@site
async def test_what_comes_by_the_address_stays_text(site: Site) -> None:
    """Reflected: filters, cursors, and things that are not there."""
    root = await admin(site)
    for payload in PAYLOADS:
        for path in (
            "/logs", "/admin/queue", "/admin/decisions", "/admin/mailboxes", "/admin/sign-ins",
            "/admin/aliases", "/admin/health/zone",
        ):  # fmt: skip
            names = ("q", "connection", "protocol", "level", "state", "domain", "before", "action",
                     "address")  # fmt: skip
            answer = await root.get(path, params=dict.fromkeys(names, payload))
            assert answer.status_code in (200, 404, 409), path
            assert dangers(answer.text) == [], (path, payload)
        answer = await root.post("/admin/domains", {"domain": payload})
        assert answer.status_code in (303, 409)
        shown = await root.get("/admin/domains")
        assert dangers(shown.text) == []


@site
async def test_the_whole_corpus_stays_text_where_strangers_write(site: Site) -> None:
    """Checklist row 28, with every payload of the corpus by itself."""
    root = await admin(site)
    for number, payload in enumerate(CORPUS):
        await decide(
            site, sentence=payload, mail_from=payload, recipients=(payload,), client=payload,
            tree={"envelope": {"subject": payload}},
        )  # fmt: skip
        site.log("info", "smtp", "message", f"smtp-{number}", sender=payload, subject=payload)
    assert len(CORPUS) >= 100
    for path in ("/logs", "/admin/decisions", *(f"/admin/decisions/{n + 1}" for n in range(100))):
        answer = await root.get(path)
        assert answer.status_code == 200, path
        assert corpus_dangers(answer.text) == [], path


@site
async def test_a_refused_form_changes_nothing(site: Site) -> None:
    root = await admin(site)
    for path, fields in (
        ("/admin/mailboxes", {"local": "x\r\nRCPT", "domain": "corvus.local"}),
        ("/admin/mailboxes", {"local": "x", "domain": "elsewhere.example"}),
        ("/admin/mailboxes", {"local": "x", "domain": "corvus.local", "password": "short"}),
        ("/admin/mailboxes", {"local": "x", "domain": "corvus.local", "quota": "much"}),
        ("/admin/aliases", {"alias": "x@corvus.local", "targets": ""}),
        ("/admin/aliases", {"alias": "x@corvus.local", "targets": "a\r\nb"}),
        ("/admin/keys", {"domain": "corvus.local", "selector": "../x"}),
        ("/admin/keys", {"domain": "elsewhere.example"}),
        ("/admin/queue/99", {"action": "drop", "sure": "yes"}),
        ("/admin/sign-ins/unlock", {}),
        ("/admin/greylist/forget", {}),
        ("/admin/sessions/close", {"connection": "smtp-1"}),
        ("/admin/health/skip", {"key": "nothing", "skip": "yes"}),
    ):
        answer = await root.post(path, fields)
        assert answer.status_code in (303, 404, 409), (path, answer.status_code)
    assert len(site.store.directory.accounts()) == 3
    assert site.store.directory.aliases() == []
    assert site.store.keys.all() == []


@site
async def test_a_line_of_the_live_log_is_data_and_one_message(site: Site) -> None:
    root = await admin(site)
    said = await streamed(
        site.app, root, "/logs/stream?after=0", lambda text: "evil" in text,
        then=lambda: site.log("info", "smtp", "a\nevent: x\ndata: <b>evil", "smtp-1", q="</li>"),
    )  # fmt: skip
    assert "\nevent: x" not in said


@pytest.mark.property
@given(text=st.text(max_size=60), level=st.sampled_from(["debug", "info", "warning", "error"]))
def test_any_text_of_an_event_is_one_line_without_controls(text: str, level: str) -> None:
    event = LogEvent(1, 0.0, level, "smtp", text, text, {text: text, "list": [text], "n": None})
    line = logs.line(event)
    assert "\n" not in str(line["facts"])
    assert "\u202e" not in str(line["facts"])

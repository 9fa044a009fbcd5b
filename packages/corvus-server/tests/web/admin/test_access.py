"""Who may reach the administrator's pages: administrators, and nobody else."""

from __future__ import annotations

import httpx
import pytest

from corvus_server.storage.values import Verdict
from corvus_server.web.admin.routes import ROUTES
from corvus_server.web.page import Access
from web.admin.asking import admin, admin_routes, enqueue, streams
from web.running import Site, site


def test_every_route_says_who_may_reach_it() -> None:
    public = [route.path for route in ROUTES if route.access is not Access.ADMIN]  # type: ignore[attr-defined]  # set by page()
    assert public == ["/metrics"]  # which checks by itself: see test_metrics
    assert len(list(admin_routes())) > 40


@site
async def test_a_user_reaches_no_page_of_the_administrator(site: Site) -> None:
    """Checklist: admin pages for admins only; IDOR on every route."""
    await enqueue(site)
    alice = await site.signed_in()
    for method, path in admin_routes():
        answer = await (alice.get(path) if method == "GET" else alice.post(path, {"sure": "yes"}))
        assert answer.status_code == 403, (method, path)
        assert "This page is for administrators" in answer.text
    assert site.store.queue.entry(1) is not None


@site
async def test_a_stranger_is_sent_to_sign_in(site: Site) -> None:
    stranger = site.browser()
    await stranger.get("/sign-in")
    for method, path in admin_routes():
        answer = await (stranger.get(path) if method == "GET" else stranger.post(path))
        if method == "GET":
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/sign-in?next=")
        else:
            assert answer.status_code == 401, path


@site
async def test_no_form_is_taken_without_the_token_of_its_session(site: Site) -> None:
    """Checklist: CSRF on every form."""
    root = await admin(site)
    alice = await site.signed_in()
    await enqueue(site)
    for method, path in admin_routes():
        if method != "POST":
            continue
        for token in ("", "0" * 64, alice.csrf):
            answer = await root.http.post(path, data={"csrf": token, "sure": "yes"})
            assert answer.status_code == 403, path
        elsewhere = {"origin": "https://evil.example"}
        answer = await root.post(path, {"sure": "yes"}, headers=elsewhere)
        assert answer.status_code == 403, path
        answer = await root.http.get(path, params={"csrf": root.csrf})
        assert answer.status_code in (200, 404, 405), path  # a link changes nothing
    assert [d.name for d in site.store.directory.domains()] == ["corvus.local"]
    assert len(site.store.directory.accounts()) == 3
    assert site.store.queue.entry(1) is not None


@site
async def test_an_administrator_sees_every_page(site: Site) -> None:
    await enqueue(site)
    await site.store.verdicts.record(
        Verdict(action="accept", tree={"decision": "inbox", "rule": "vouched"})
    )
    root = await admin(site)
    for method, path in admin_routes():
        if method == "GET" and not streams(path):
            answer = await root.get(path)
            assert answer.status_code == 200, path
            assert_shell(path, answer)


def assert_shell(path: str, answer: httpx.Response) -> None:
    """Each page is titled, weighs little, and shows the command line that does the same."""
    if not answer.headers["content-type"].startswith("text/html"):
        return
    assert "<title>" in answer.text
    assert "<h1" in answer.text
    assert len(answer.content) < 150_000, path
    if path not in ("/admin/sessions",):
        assert "The same on the command line" in answer.text, path


@site
async def test_a_right_that_was_taken_away_is_gone_at_once(site: Site) -> None:
    root = await admin(site)
    await site.store.directory.update_account(site.alice.id, admin=True)
    await site.services.operations.mailbox_set("root@corvus.local", admin=False)
    answer = await root.get("/admin")
    assert answer.status_code == 303  # signed out, and no administrator either


@site
async def test_the_last_administrator_stays(site: Site) -> None:
    from corvus_server.operations import OperationError

    operations = site.services.operations
    with pytest.raises(OperationError, match="last administrator"):
        await operations.mailbox_set("root@corvus.local", admin=False)
    with pytest.raises(OperationError, match="last administrator"):
        await operations.mailbox_set("root@corvus.local", enabled=False)
    with pytest.raises(OperationError, match="last administrator"):
        await operations.mailbox_remove("root@corvus.local")

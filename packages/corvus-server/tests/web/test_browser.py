"""The webmail in a real browser: what scripts do, what no payload may do, and how it looks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from corvus_server.testing.world import mail

from .payloads import PAYLOADS
from .running import SECRET, Site, site
from .test_mail import TREE
from .test_security import hostile

CHROMIUM = shutil.which("chromium")
playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed"),
]

#: Pictures of each page are kept here, to be looked at; the folder is not in the repository.
ARTEFACTS = Path(os.environ.get("COR_ARTEFACTS", "artefacts/web"))
SIZES = {"desk": (1280, 860), "phone": (390, 844)}


class Quiet(uvicorn.Server):
    """uvicorn that leaves the signals to pytest."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.asynccontextmanager
async def served(s: Site) -> AsyncIterator[str]:
    """The site on a port of loopback."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    config = uvicorn.Config(s.app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = Quiet(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        sock.close()


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Any]:
    async with playwright.async_playwright() as driver:
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


async def enter(context: Any, base: str, address: str = "alice@corvus.local") -> Any:
    """A page of somebody who has signed in; whatever goes wrong in it is noted in ``page.trouble``."""
    page = await context.new_page()
    page.trouble = []
    page.on("pageerror", lambda error: page.trouble.append(f"error: {error}"))
    page.on("dialog", lambda dialog: page.trouble.append(f"dialog: {dialog.message}"))
    page.on(
        "request",
        lambda r: (
            None if r.url.startswith((base, "data:", "about:")) else page.trouble.append(r.url)
        ),
    )
    await page.goto(f"{base}/sign-in")
    await page.fill("[name=address]", address)
    await page.fill("[name=password]", SECRET)
    await page.click("button.primary")
    await page.wait_for_url("**/mail/inbox")
    return page


async def picture(page: Any, name: str) -> None:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=str(ARTEFACTS / f"{name}.png"))


async def fits(page: Any) -> bool:
    """Whether the page does not scroll sideways."""
    wide = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return bool(wide[0] <= wide[1])


async def journey(s: Site, name: str) -> None:
    width, height = SIZES[name]
    uid = await s.deliver(mail("Welcome to the nest", text="Caw."), tree=TREE)
    for number in range(3):
        await s.deliver(mail(f"Earlier {number}"), tree={**TREE, "decision": "junk"})
    async with served(s) as base, chromium() as browser:
        context = await browser.new_context(viewport={"width": width, "height": height})
        page = await enter(context, base)
        # Reading.
        await page.click("text=Welcome to the nest")
        await page.wait_for_url(f"**/mail/inbox/{uid}")
        assert await page.is_visible("text=Delivered to the inbox: crow.example vouches for it.")
        assert await fits(page)
        await picture(page, f"read-{name}")
        await page.click("text=Why?")
        assert await page.is_visible("text=What happened")
        assert await fits(page)
        await picture(page, f"why-{name}")
        # Writing to bob, whose list renews itself.
        there = await enter(await browser.new_context(), base, "bob@corvus.local")
        await page.goto(f"{base}/compose")
        await page.fill("[name=to]", "bob@corvus.local")
        await page.fill("[name=subject]", "Twigs")
        await page.fill("[name=text]", "For the nest")
        await page.set_input_files(
            "[name=file]", {"name": "twigs.txt", "mimeType": "text/plain", "buffer": b"twigs"}
        )
        await page.wait_for_selector("text=twigs.txt")
        await page.wait_for_selector("text=/saved \\d/")
        assert await fits(page)
        await picture(page, f"compose-{name}")
        await page.click('[value="send"]:visible')
        await page.wait_for_selector("text=Your mail is sent.")
        await there.wait_for_selector("text=Twigs", timeout=10_000)
        await there.click("text=Twigs")
        await there.wait_for_selector("text=twigs.txt")
        # Search, junk and back.
        await page.fill("[data-search]", "subject:earlier")
        await page.press("[data-search]", "Enter")
        await page.wait_for_selector("text=3 mails")
        await page.goto(f"{base}/mail/inbox/{uid}")
        await page.click('[value="junk"]:visible')
        await page.wait_for_selector("text=1 mail put into Junk.")
        assert s.uids("Junk") != []
        await page.click("text=Undo")
        await page.wait_for_selector("text=1 mail put back.")
        assert s.uids("Junk") == []
        await page.goto(f"{base}/mail/inbox")
        assert await fits(page)
        await picture(page, f"inbox-{name}")
        # An app password.
        await page.goto(f"{base}/account")
        await page.fill('form[action="/account/app-passwords"] [name=name]', "Phone")
        await page.click("text=Make one")
        await page.wait_for_selector("text=The password for “Phone”")
        assert await fits(page)
        await picture(page, f"account-{name}")
        weight = await page.evaluate(
            "performance.getEntriesByType('resource').reduce((n, e) => n + e.transferSize, 0)"
        )
        assert weight < 150_000
        assert page.trouble == []
        assert there.trouble == []


@site
async def test_a_day_with_the_webmail_at_a_desk(s: Site) -> None:
    await journey(s, "desk")


@site
async def test_a_day_with_the_webmail_on_a_phone(s: Site) -> None:
    await journey(s, "phone")


@site
async def test_the_keyboard_is_enough(s: Site) -> None:
    for number in range(3):
        await s.deliver(mail(f"Number {number}"))
    async with served(s) as base, chromium() as browser:
        page = await enter(await browser.new_context(viewport={"width": 1280, "height": 860}), base)
        ready = "[data-keys=ready]"  # the scripts of a page come behind its text
        await page.wait_for_selector(ready)
        for key in ("j", "j", "Enter"):
            await page.keyboard.press(key)
        await page.wait_for_selector("article >> text=Number 1")
        await page.wait_for_selector(ready)
        await page.keyboard.press("e")
        await page.wait_for_selector("text=1 mail archived.")
        await page.wait_for_selector(ready)
        await page.keyboard.press("z")
        await page.wait_for_selector("text=1 mail put back.")
        await page.goto(f"{base}/mail/inbox")
        await page.wait_for_selector(ready)
        for key in ("j", "x", "j", "x"):
            await page.keyboard.press(key)
        await page.wait_for_selector("text=2 chosen")
        await page.keyboard.press("#")
        await page.wait_for_selector("text=2 mails moved to Trash.")
        await page.wait_for_selector(ready)
        await page.keyboard.press("?")
        assert await page.is_visible("dialog >> text=Keyboard")
        await page.keyboard.press("Escape")
        await page.keyboard.press("/")
        assert await page.evaluate("document.activeElement.name") == "q"
        assert page.trouble == []


@site
async def test_everything_works_without_scripts(s: Site) -> None:
    uid = await s.deliver(mail("Plain"), tree=TREE)
    async with served(s) as base, chromium() as browser:
        page = await enter(await browser.new_context(java_script_enabled=False), base)
        await page.click("text=Plain")
        await page.wait_for_url(f"**/mail/inbox/{uid}")
        await page.click('article [value="archive"]:visible')
        await page.wait_for_selector("text=1 mail archived.")
        await page.click("text=Undo")
        await page.wait_for_selector("text=1 mail put back.")
        await page.goto(f"{base}/compose")
        await page.fill("[name=to]", "bob@corvus.local")
        await page.fill("[name=subject]", "By hand")
        await page.click('[value="save"]')
        await page.wait_for_selector("text=The draft is kept.")
        await page.click('[value="send"]:visible')
        await page.wait_for_selector("text=Your mail is sent.")
        assert len(s.uids("INBOX", s.bob)) == 1


@site
async def test_no_payload_runs_in_a_browser(s: Site) -> None:
    """Every payload in every field, opened: no dialog, no request elsewhere, no script of theirs."""
    for payload in PAYLOADS:
        await s.deliver(hostile(payload), tree={**TREE, "sentence": payload})
    async with served(s) as base, chromium() as browser:
        page = await enter(await browser.new_context(), base)
        await page.evaluate("window.canary = 'alive'")
        await page.goto(f"{base}/mail/inbox")
        await page.goto(f"{base}/mail/inbox?before=60")
        for uid in s.uids():
            await page.goto(f"{base}/mail/inbox/{uid}/body")
            assert page.url.endswith(f"/{uid}/body")
        for uid in s.uids()[::4]:
            await page.goto(f"{base}/mail/inbox/{uid}")
            frame = page.frame_locator("[data-frame]")
            assert "before" in await frame.locator("body").inner_text()
            assert page.url.endswith(f"/mail/inbox/{uid}")
        assert page.trouble == []

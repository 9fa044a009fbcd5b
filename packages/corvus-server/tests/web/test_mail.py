"""The webmail: a folder, a mail, what is done with it, and writing one."""

from __future__ import annotations

import re

import corvus_message
from corvus_server.storage.values import FlagOperation
from corvus_server.testing.world import mail

from .running import SECRET, Site, said, site

TREE = {
    "decision": "inbox", "rule": "vouched", "sentence": "crow.example vouches for it",
    "score": -1.5, "threshold": 5.0,
    "signals": [{"name": "dmarc-pass", "weight": -1.5, "evidence": "crow.example vouches for it"}],
    "connection": {"ip": "203.0.113.25", "helo": "mx.crow.example", "tls": {"version": "TLSv1.3"}},
    "envelope": {"mail_from": "carol@crow.example", "from_domain": "crow.example"},
    "checks": {
        "spf": {"status": "pass", "reason": "mx matches", "domain": "crow.example", "trace": [
            {"lookups": [{"name": "crow.example", "type": "TXT", "status": "ok",
                          "records": ["v=spf1 mx -all"]}]}]},
        "dkim": [{"status": "pass", "reason": "signature verified", "domain": "crow.example"}],
        "dmarc": {"status": "pass", "reason": "aligned"},
    },
    "steps": [{"what": "received", "at": 1_800_000_000.0}],
}  # fmt: skip


# Signing in.


@site
async def test_whoever_has_the_password_gets_to_where_they_wanted_to_go(s: Site) -> None:
    browser = s.browser()
    answer = await browser.get("/mail/inbox?q=lunch")
    assert answer.headers["location"] == "/sign-in?next=%2Fmail%2Finbox%3Fq%3Dlunch"
    answer = await browser.sign_in("alice@corvus.local", next="/mail/inbox?q=lunch")
    assert (answer.status_code, answer.headers["location"]) == (303, "/mail/inbox?q=lunch")
    assert (await browser.get("/mail/inbox")).status_code == 200


@site
async def test_a_wrong_password_and_an_unknown_address_look_the_same(s: Site) -> None:
    first = await s.browser().sign_in("alice@corvus.local", "wrong")
    second = await s.browser().sign_in("nobody@corvus.local", "wrong")
    assert first.status_code == second.status_code == 401
    assert "The address or the password is wrong." in said(first)
    assert said(first) == said(second)


@site
async def test_where_there_is_one_domain_the_name_is_enough(s: Site) -> None:
    assert (await s.browser().sign_in("alice")).status_code == 303


@site
async def test_signing_out_ends_the_session_in_the_store(s: Site) -> None:
    browser = await s.signed_in()
    token = browser.session
    assert (await browser.post("/sign-out")).status_code == 303
    assert s.store.web_sessions.of(s.alice.id) == []
    browser.http.cookies.set("corvus-session", token, domain="corvus.local")
    assert (await browser.get("/mail/inbox")).status_code == 303


@site
async def test_a_session_ends_by_itself(s: Site) -> None:
    browser = await s.signed_in()
    s.clock.forward(15 * 86_400)
    assert (await browser.get("/mail/inbox")).status_code == 303


@site
async def test_a_session_in_use_goes_on_but_not_for_ever(s: Site) -> None:
    browser = await s.signed_in()
    for _ in range(8):
        s.clock.forward(10 * 86_400)
        assert (await browser.get("/mail/inbox")).status_code == 200
    s.clock.forward(11 * 86_400)
    assert (await browser.get("/mail/inbox")).status_code == 303


@site
async def test_an_account_that_is_switched_off_is_signed_out(s: Site) -> None:
    browser = await s.signed_in()
    await s.store.directory.update_account(s.alice.id, enabled=False)
    assert (await browser.get("/mail/inbox")).status_code == 303
    assert s.store.web_sessions.of(s.alice.id) == []


@site
async def test_the_switch_between_light_and_dark_wins(s: Site) -> None:
    browser = await s.signed_in()
    assert "data-theme" not in (await browser.get("/mail/inbox")).text
    answer = await browser.post("/theme", {"theme": "dark", "next": "/mail/inbox"})
    assert answer.headers["location"] == "/mail/inbox"
    assert 'data-theme="dark"' in (await browser.get("/mail/inbox")).text
    await browser.post("/theme", {"theme": "", "next": "/"})
    assert "data-theme" not in (await browser.get("/mail/inbox")).text


# The list.


@site
async def test_a_folder_is_shown_newest_first_by_pages(s: Site) -> None:
    await s.append(120)
    browser = await s.signed_in()
    page = await browser.get("/mail/inbox")
    found = re.findall(r"number (\d+)</a>", page.text)
    assert found == [str(n) for n in range(119, 69, -1)]
    older = re.search(r'href="(/mail/inbox\?before=\d+)"', page.text)
    assert older is not None
    page = await browser.get(older[1])
    assert re.findall(r"number (\d+)</a>", page.text) == [str(n) for n in range(69, 19, -1)]
    assert "120 mails" in said(page)


@site
async def test_an_empty_folder_says_what_would_be_there(s: Site) -> None:
    browser = await s.signed_in()
    assert "Mail that is sent to you appears here by itself." in said(
        await browser.get("/mail/inbox")
    )
    assert "with the reason why" in said(await browser.get("/mail/Junk"))


@site
async def test_folders_of_any_name_have_an_address(s: Site) -> None:
    name = "Projekte/Vögel~2026/\u0627\u0644\u0639\u0631\u0628\u064a\u0629"
    await s.store.mailboxes.create(s.alice.id, name)
    browser = await s.signed_in()
    page = await browser.get("/mail/inbox")
    links = re.findall(r'href="(/mail/Projekte[^"]*)"', page.text)
    assert len(links) == 3
    for link in links:
        assert (await browser.get(link)).status_code == 200


@site
async def test_the_rail_counts_what_is_unread(s: Site) -> None:
    await s.deliver()
    await s.deliver(flags=["\\Seen"])
    page = await (await s.signed_in()).get("/mail/inbox")
    assert "Inbox 1 unread" in said(page)


# Reading.


@site
async def test_a_mail_is_shown_with_its_verdict_on_top_and_is_read_from_then_on(s: Site) -> None:
    uid = await s.deliver(
        mail("Crows", text="Caw <b>caw</b> https://crow.example/x?a=1&b=2."), tree=TREE
    )
    browser = await s.signed_in()
    page = await browser.get(f"/mail/inbox/{uid}")
    words = said(page)
    assert "Delivered to the inbox: crow.example vouches for it." in words
    assert "SPF pass" in words
    assert "DKIM pass" in words
    assert "DMARC pass" in words
    assert "Caw &lt;b&gt;caw&lt;/b&gt;" in page.text
    assert (
        'href="https://crow.example/x?a=1&amp;b=2" target="_blank" rel="noopener noreferrer nofollow"'
        in page.text
    )
    assert "\\Seen" in await s.flags(uid)


@site
async def test_the_page_that_says_why_tells_everything(s: Site) -> None:
    uid = await s.deliver(tree=TREE)
    words = said(await (await s.signed_in()).get(f"/mail/inbox/{uid}/why"))
    for told in ("203.0.113.25", "mx.crow.example", "TLSv1.3", "v=spf1 mx -all", "signature verified",
                 "rule vouched", "more points would have put it into Junk", "dmarc-pass"):  # fmt: skip
        assert told in words, told


@site
async def test_a_mail_that_nobody_judged_says_where_it_comes_from(s: Site) -> None:
    uid = await s.deliver()
    words = said(await (await s.signed_in()).get(f"/mail/inbox/{uid}/why"))
    assert "It did not come from outside" in words


@site
async def test_html_is_shown_in_a_frame_without_remote_images_until_they_are_asked_for(
    s: Site,
) -> None:
    html = '<p>Hi</p><img src="https://tracker.example/x.gif"><img src="cid:pic@x">'
    picture = corvus_message.Attachment(
        content=b"\x89PNG\r\n\x1a\n0", type="image/png", id="pic@x", disposition="inline"
    )
    raw = corvus_message.build(
        from_="Carol <carol@crow.example>", to="alice@corvus.local", subject="x", html=html,
        attachments=[picture],
    )  # fmt: skip
    uid = await s.deliver(raw)
    browser = await s.signed_in()
    page = await browser.get(f"/mail/inbox/{uid}")
    assert f'src="/mail/inbox/{uid}/body" title=' in page.text
    assert "Images from elsewhere are not shown" in said(page)
    body = await browser.get(f"/mail/inbox/{uid}/body")
    assert "tracker.example" not in body.text
    assert "Hi" in body.text
    part = re.search(r'src="(/mail/inbox/\d+/part/\d+\?show=1)"', body.text)
    assert part is not None
    picture_answer = await browser.get(part[1])
    assert picture_answer.headers["content-type"] == "image/png"
    body = await browser.get(f"/mail/inbox/{uid}/body?images=1")
    assert 'src="https://tracker.example/x.gif"' in body.text
    await browser.post(f"/mail/inbox/{uid}/images", {"allow": "1"})
    assert "tracker.example" in (await browser.get(f"/mail/inbox/{uid}/body")).text
    await browser.post(f"/mail/inbox/{uid}/images", {"allow": "0"})
    assert "tracker.example" not in (await browser.get(f"/mail/inbox/{uid}/body")).text


@site
async def test_attachments_can_be_kept_and_the_mail_as_well(s: Site) -> None:
    raw = corvus_message.build(
        from_="carol@crow.example", to="alice@corvus.local", subject="Größe", text="x",
        attachments=[corvus_message.Attachment(content=b"%PDF-1.4 x", filename="Größe 1.pdf", type="text/html")],
    )  # fmt: skip
    uid = await s.deliver(raw)
    browser = await s.signed_in()
    page = await browser.get(f"/mail/inbox/{uid}")
    link = re.search(r'href="(/mail/inbox/\d+/part/\d+)"', page.text)
    assert link is not None
    kept = await browser.get(link[1])
    assert kept.content == b"%PDF-1.4 x"
    assert kept.headers["content-type"] == "application/octet-stream"
    assert "filename*=UTF-8''Gr%C3%B6%C3%9Fe%201.pdf" in kept.headers["content-disposition"]
    shown = await browser.get(link[1] + "?show=1")
    assert shown.headers["content-type"] == "application/pdf"
    whole = await browser.get(f"/mail/inbox/{uid}/download")
    assert whole.content == s.raw("INBOX", uid)
    assert "Subject:" in said(await browser.get(f"/mail/inbox/{uid}/source"))


@site
async def test_a_conversation_is_told_beside_each_of_its_mails(s: Site) -> None:
    await s.deliver(mail("Lunch", message_id="1@x", text="At noon?"))
    uid = await s.deliver(mail("Re: Lunch", message_id="2@x", references=["1@x"]))
    words = said(await (await s.signed_in()).get(f"/mail/inbox/{uid}"))
    assert "2 mails in this conversation" in words
    assert "At noon?" in words


# Doing things with mails.


@site(on_disk=True)
async def test_an_act_moves_mails_and_undo_brings_them_back(s: Site) -> None:
    uids = [await s.deliver(mail(f"m{n}")) for n in range(3)]
    browser = await s.signed_in()
    for action, folder in (("archive", "Archive"), ("delete", "Trash"), ("junk", "Junk")):
        names = [f"inbox:{uid}" for uid in s.uids()[:2]]
        answer = await browser.post("/mail/inbox/do", {"action": action, "uid": names})
        assert answer.headers["location"] == "/mail/inbox"
        assert len(s.uids(folder)) == 2
        assert len(s.uids()) == 1
        assert "2 mails" in said(await browser.get("/mail/inbox"))
        await browser.post("/mail/undo")
        assert s.uids(folder) == []
        assert len(s.uids()) == 3
    assert len(uids) == 3


@site
async def test_junk_and_not_junk_leave_the_keywords_that_filters_learn_from(s: Site) -> None:
    uid = await s.deliver()
    browser = await s.signed_in()
    await browser.post("/mail/inbox/do", {"action": "junk", "uid": f"inbox:{uid}"})
    (uid,) = s.uids("Junk")
    assert "$Junk" in await s.flags(uid, "Junk")
    await browser.post("/mail/Junk/do", {"action": "notjunk", "uid": f"Junk:{uid}"})
    (uid,) = s.uids()
    flags = await s.flags(uid)
    assert "$NotJunk" in flags
    assert "$Junk" not in flags


@site
async def test_flags_are_set_and_taken_away(s: Site) -> None:
    uid = await s.deliver()
    browser = await s.signed_in()
    for action, flag, there in (("read", "\\Seen", True), ("unread", "\\Seen", False),
                                ("flag", "\\Flagged", True), ("unflag", "\\Flagged", False)):  # fmt: skip
        await browser.post("/mail/inbox/do", {"action": action, "uid": f"inbox:{uid}"})
        assert (flag in await s.flags(uid)) is there


@site
async def test_mails_move_to_any_folder_by_its_address(s: Site) -> None:
    await s.store.mailboxes.create(s.alice.id, "a/b")
    uid = await s.deliver()
    browser = await s.signed_in()
    await browser.post("/mail/inbox/do", {"action": "move:a~1b", "uid": f"inbox:{uid}"})
    assert len(s.uids("a/b")) == 1


@site
async def test_what_is_in_trash_goes_for_good_only_when_somebody_says_so(s: Site) -> None:
    uid = await s.deliver(mailbox="\\Trash")
    browser = await s.signed_in()
    form = {"action": "delete", "uid": f"Trash:{uid}"}
    asked = await browser.post("/mail/Trash/do", form)
    assert "Delete 1 mail for good?" in said(asked)
    assert s.uids("Trash") == [uid]
    await browser.post("/mail/Trash/do", {**form, "sure": "yes"})
    assert s.uids("Trash") == []


@site
async def test_the_page_of_a_mail_that_was_moved_away_is_not_gone_back_to(s: Site) -> None:
    uid = await s.deliver()
    browser = await s.signed_in()
    form = {"action": "archive", "uid": f"inbox:{uid}", "next": f"/mail/inbox/{uid}?q=a"}
    assert (await browser.post("/mail/inbox/do", form)).headers["location"] == "/mail/inbox"


@site
async def test_without_a_choice_nothing_happens_and_the_page_says_so(s: Site) -> None:
    browser = await s.signed_in()
    answer = await browser.post("/mail/inbox/do", {"action": "archive"})
    assert answer.status_code == 409
    assert "Choose some mails first." in said(answer)


# Search.


@site(on_disk=True)
async def test_search_understands_words_and_operators(s: Site) -> None:
    await s.deliver(mail("Lunch on Friday", sender="Carol <carol@crow.example>", text="soup"))
    await s.deliver(
        mail("Dinner", sender="Dora <dora@crow.example>", text="soup and bread"), flags=["\\Seen"]
    )
    raw = corvus_message.build(
        from_="erin@crow.example", to="alice@corvus.local", subject="A file", text="see there",
        attachments=[corvus_message.Attachment(content=b"x", filename="f.bin")],
    )  # fmt: skip
    await s.deliver(raw)
    await s.deliver(mail("Elsewhere soup"), mailbox="\\Archive")
    browser = await s.signed_in()

    async def found(query: str) -> set[str]:
        page = await browser.get("/mail/inbox", params={"q": query})
        return set(
            re.findall(
                r'class="subject"[^>]*>(?:<span class="hidden">Unread: </span>)?([^<]*)<', page.text
            )
        )

    assert await found("soup") == {"Lunch on Friday", "Dinner"}
    assert await found("from:dora soup") == {"Dinner"}
    assert await found("soup -bread") == {"Lunch on Friday"}
    assert await found("is:unread") == {"Lunch on Friday", "A file"}
    assert await found("has:attachment") == {"A file"}
    assert await found('subject:"on friday"') == {"Lunch on Friday"}
    assert await found("soup in:all") == {"Lunch on Friday", "Dinner", "Elsewhere soup"}
    assert await found("after:2020-01-01 before:2020-02-01") == set()
    assert await found("nothing-has-this") == set()


@site
async def test_search_says_what_it_did_not_understand(s: Site) -> None:
    page = await (await s.signed_in()).get(
        "/mail/inbox", params={"q": "is:blue before:soon has:wings x"}
    )
    words = said(page)
    assert "is:blue is none of" in words
    assert "before:soon is no date" in words
    assert "has:wings is not known" in words


@site
async def test_a_search_has_pages_as_well(s: Site) -> None:
    await s.append(70)
    browser = await s.signed_in()
    page = await browser.get("/mail/inbox", params={"q": "subject:number"})
    assert len(re.findall(r'class="mail[ "]', page.text)) == 50
    older = re.search(r'href="(/mail/inbox\?q=[^"]*before=50)"', page.text)
    assert older is not None
    page = await browser.get(older[1].replace("&amp;", "&"))
    assert len(re.findall(r'class="mail[ "]', page.text)) == 20


# Writing.


@site(on_disk=True)
async def test_a_mail_with_an_attachment_reaches_somebody_here(s: Site) -> None:
    browser = await s.signed_in()
    form = {
        "to": "Bob <bob@corvus.local>",
        "subject": "Grüße 🐦",
        "text": "Hello\r\nBob",
        "action": "send",
    }
    files = [("file", ("../../nest.txt", b"twigs", "text/plain"))]
    answer = await browser.post("/compose", form, files=files)
    assert answer.status_code == 303, said(answer)
    (uid,) = s.uids("INBOX", s.bob)
    got = corvus_message.parse(s.raw("INBOX", uid, s.bob))
    assert (got.subject, got.text().rstrip()) == ("Grüße 🐦", "Hello\nBob")
    (file,) = got.attachments()
    assert (file.filename, file.decoded()) == ("nest.txt", b"twigs")
    assert len(s.uids("Sent")) == 1
    assert s.uids("Drafts") == []
    assert "\\Seen" in await s.flags(s.uids("Sent")[0], "Sent")


@site
async def test_blind_copies_are_blind(s: Site) -> None:
    browser = await s.signed_in()
    form = {"to": "alice@corvus.local", "bcc": "bob@corvus.local", "text": "x", "action": "send"}
    await browser.post("/compose", form)
    (uid,) = s.uids("INBOX", s.bob)
    header = corvus_message.parse(s.raw("INBOX", s.uids()[0])).header_octets
    assert b"bob" not in header
    assert uid


@site
async def test_mail_for_elsewhere_waits_in_the_queue_and_its_page_finds_it(s: Site) -> None:
    browser = await s.signed_in()
    await browser.post("/compose", {"to": "carol@crow.example", "subject": "x", "action": "send"})
    (entry,) = s.store.queue.entries()
    assert [r.address for r in entry.recipients] == ["carol@crow.example"]
    (uid,) = s.uids("Sent")
    words = said(await browser.get(f"/mail/Sent/{uid}/why"))
    assert "On its way out" in words
    assert "carol@crow.example" in words
    assert "Waiting; it is tried now." in words


@site
async def test_a_draft_is_one_message_however_often_it_is_kept(s: Site) -> None:
    browser = await s.signed_in()
    json = {"accept": "application/json"}
    form = {"to": "bob@corvus.local", "subject": "one", "action": "save"}
    files = [("file", ("a.txt", b"aaa", "text/plain")), ("file", ("b.txt", b"bbb", "text/plain"))]
    first = (await browser.post("/compose", form, files=files, headers=json)).json()
    assert [each["name"] for each in first["attachments"]] == ["a.txt", "b.txt"]
    form = {**form, "subject": "two", "draft": str(first["draft"]), "keep": "1"}
    second = (await browser.post("/compose", form, headers=json)).json()
    assert s.uids("Drafts") == [second["draft"]]
    assert [each["name"] for each in second["attachments"]] == ["b.txt"]
    assert {"\\Draft", "\\Seen"} <= await s.flags(second["draft"], "Drafts")
    page = await browser.get(f"/compose?draft={second['draft']}")
    assert 'value="two"' in page.text
    assert 'value="bob@corvus.local"' in page.text
    form = {**form, "draft": str(second["draft"]), "keep": "0", "action": "send"}
    await browser.post("/compose", form)
    got = corvus_message.parse(s.raw("INBOX", s.uids("INBOX", s.bob)[0], s.bob))
    assert [each.decoded() for each in got.attachments()] == [b"bbb"]
    assert s.uids("Drafts") == []


@site
async def test_an_answer_quotes_and_goes_to_whoever_wrote(s: Site) -> None:
    uid = await s.deliver(
        mail("Lunch", message_id="1@x", text="At noon?", to="alice@corvus.local, dora@x.example")
    )
    browser = await s.signed_in()
    page = await browser.get(f"/compose?reply=inbox:{uid}")
    assert 'value="Carol &lt;carol@crow.example&gt;"' in page.text
    assert 'value="Re: Lunch"' in page.text
    assert "&gt; At noon?" in page.text
    assert 'name="cc" value=""' in page.text
    assert "dora@x.example" in (await browser.get(f"/compose?all=inbox:{uid}")).text
    fields = {
        name: re.search(rf'name="{name}" value="([^"]*)"', page.text)
        for name in ("answers", "in_reply_to", "references")
    }
    form = {
        name: found[1].replace("&lt;", "<").replace("&gt;", ">")
        for name, found in fields.items()
        if found
    }
    await browser.post(
        "/compose",
        {**form, "to": "bob@corvus.local", "subject": "Re: Lunch", "text": "Yes", "action": "send"},
    )
    got = corvus_message.parse(s.raw("INBOX", s.uids("INBOX", s.bob)[0], s.bob))
    assert got.field(b"in-reply-to") == b"<1@x>"
    assert got.field(b"references") == b"<1@x>"
    assert got.field(b"x-corvus-answers") is None
    assert "\\Answered" in await s.flags(uid)


@site
async def test_a_mail_is_handed_on_with_what_it_carries(s: Site) -> None:
    raw = corvus_message.build(
        from_="carol@crow.example", to="alice@corvus.local", subject="Plan", text="see",
        attachments=[corvus_message.Attachment(content=b"plan", filename="plan.txt")],
    )  # fmt: skip
    uid = await s.deliver(raw)
    browser = await s.signed_in()
    page = await browser.get(f"/compose?forward=inbox:{uid}")
    assert 'value="Fwd: Plan"' in page.text
    assert "plan.txt" in page.text
    (draft,) = s.uids("Drafts")
    form = {"to": "bob@corvus.local", "draft": str(draft), "keep": "0", "action": "send",
            "answers": f"forward:inbox:{uid}", "subject": "Fwd: Plan"}  # fmt: skip
    await browser.post("/compose", form)
    got = corvus_message.parse(s.raw("INBOX", s.uids("INBOX", s.bob)[0], s.bob))
    assert [each.decoded() for each in got.attachments()] == [b"plan"]
    assert "$Forwarded" in await s.flags(uid)


@site
async def test_what_cannot_be_sent_says_why_and_loses_nothing(s: Site) -> None:
    browser = await s.signed_in()
    for to, words in (
        ("", "name somebody to send it to"),
        ("bob", "“bob” is not an address"),
        ("nobody@corvus.local", "there is no mailbox nobody@corvus.local here"),
    ):
        answer = await browser.post(
            "/compose", {"to": to, "text": "my long words", "action": "send"}
        )
        assert answer.status_code == 422
        assert words in said(answer)
        assert "my long words" in answer.text
    assert s.uids("INBOX", s.bob) == []
    assert s.store.queue.entries() == []


@site(undo_send=60.0)
async def test_a_mail_can_be_called_back_while_it_waits(s: Site) -> None:
    browser = await s.signed_in()
    await browser.post("/compose", {"to": "bob@corvus.local", "subject": "oops", "action": "send"})
    page = await browser.get("/mail/inbox")
    assert "Your mail goes in 60 seconds." in said(page)
    letter = re.search(r'name="letter" value="([0-9a-f]+)"', page.text)
    assert letter is not None
    assert s.uids("INBOX", s.bob) == []
    stranger = await s.signed_in("bob@corvus.local")
    await stranger.post("/compose/undo", {"letter": letter[1]})
    answer = await browser.post("/compose/undo", {"letter": letter[1]})
    assert answer.headers["location"] == f"/compose?draft={s.uids('Drafts')[0]}"
    again = await browser.post("/compose/undo", {"letter": letter[1]})
    assert again.headers["location"] == "/mail/inbox"
    assert "too late" in said(await browser.get("/mail/inbox"))
    assert s.uids("INBOX", s.bob) == []


@site(undo_send=60.0)
async def test_a_server_that_stops_sends_first_what_was_waiting(s: Site) -> None:
    browser = await s.signed_in()
    await browser.post("/compose", {"to": "bob@corvus.local", "subject": "hi", "action": "send"})
    assert s.uids("INBOX", s.bob) == []
    await s.app.state.site.outbox.flush()
    assert len(s.uids("INBOX", s.bob)) == 1
    assert s.uids("Drafts") == []


@site(undo_send=0.01)
async def test_a_mail_goes_by_itself_when_its_seconds_are_over(s: Site) -> None:
    import asyncio

    arrived = asyncio.Event()
    stop = s.store.subscribe(s.bob.id, lambda *_: arrived.set())
    browser = await s.signed_in()
    await browser.post("/compose", {"to": "bob@corvus.local", "subject": "hi", "action": "send"})
    await asyncio.wait_for(arrived.wait(), 10)
    stop()
    assert len(s.uids("INBOX", s.bob)) == 1


@site
async def test_one_may_write_as_an_alias_that_leads_to_oneself_alone(s: Site) -> None:
    await s.store.directory.set_alias("office@corvus.local", ["alice@corvus.local"])
    await s.store.directory.set_alias(
        "all@corvus.local", ["alice@corvus.local", "bob@corvus.local"]
    )
    browser = await s.signed_in()
    page = await browser.get("/compose")
    assert "office@corvus.local" in page.text
    assert "all@corvus.local" not in page.text
    form = {"to": "bob@corvus.local", "from": "office@corvus.local", "action": "send"}
    await browser.post("/compose", form)
    await browser.post("/compose", {**form, "from": "all@corvus.local"})
    senders = [
        corvus_message.parse(s.raw("INBOX", uid, s.bob)).field(b"from")
        for uid in s.uids("INBOX", s.bob)
    ]
    assert [b"office@" in (f or b"") for f in senders] == [True, False]
    assert b"alice@corvus.local" in (senders[1] or b"")


@site
async def test_people_are_suggested_from_ones_own_mail(s: Site) -> None:
    await s.deliver(mail(sender="Carol Crow <carol@crow.example>"))
    await s.deliver(mail(sender="Carola <carola@secret.example>"), account=s.bob)
    browser = await s.signed_in()
    found = (await browser.get("/people?q=caro")).json()
    assert found == ["Carol Crow <carol@crow.example>"]
    assert (await browser.get("/people?q=")).json() == []


@site
async def test_a_notice_of_failure_is_explained(s: Site) -> None:
    raw = corvus_message.dsn(
        from_="Mail Delivery System <MAILER-DAEMON@mail.corvus.local>", to="alice@corvus.local",
        reporting_mta="mail.corvus.local", subject="Your mail could not be delivered",
        recipients=[corvus_message.RecipientStatus(
            final_recipient="550@crow.example", action=corvus_message.Action.FAILED, status="5.1.1",
            diagnostic="550 5.1.1 Nobody nests here")],
        message_id="n@corvus.local",
    )  # fmt: skip
    uid = await s.deliver(raw)
    words = said(await (await s.signed_in()).get(f"/mail/inbox/{uid}/why"))
    assert "550@crow.example could not be reached" in words
    assert "Nobody nests here" in words


# The account.


@site
async def test_a_new_password_ends_the_other_sessions(s: Site) -> None:
    here, there = await s.signed_in(), await s.signed_in()
    form = {"old": SECRET, "new": "battery staple", "again": "battery staple"}
    wrong = await here.post("/account/password", {**form, "old": "wrong"})
    assert wrong.status_code == 422
    before = here.session
    assert (await here.post("/account/password", form)).status_code == 303
    assert here.session != before
    assert (await here.get("/account")).status_code == 200
    assert (await there.get("/account")).status_code == 303
    assert (await s.browser().sign_in("alice@corvus.local", "battery staple")).status_code == 303
    assert (await s.browser().sign_in("alice@corvus.local", SECRET)).status_code == 401


@site
async def test_an_app_password_opens_mail_programs_and_never_these_pages(s: Site) -> None:
    from corvus_server.accounts.signin import Visitor

    browser = await s.signed_in()
    page = await browser.post("/account/app-passwords", {"name": "Phone"})
    secret = re.search(r"<code>([a-z2-7]{5}(?:-[a-z2-7]{1,5})+)</code>", page.text)
    assert secret is not None
    visitor = Visitor("imap", "imap-1", "203.0.113.9", None)
    assert (
        await s.services.sign_in.password(visitor, "alice@corvus.local", secret[1])
    ).account is not None
    assert (await s.browser().sign_in("alice@corvus.local", secret[1])).status_code == 401
    (held,) = s.store.directory.app_passwords(s.alice.id)
    assert "SCRAM-SHA-256" in held.secrets
    assert secret[1] not in str(dict(held.secrets))
    assert secret[1] not in (await browser.get("/account")).text
    await browser.post(f"/account/app-passwords/{held.id}/revoke")
    assert s.store.directory.app_passwords(s.alice.id) == []


@site
async def test_other_browsers_can_be_signed_out(s: Site) -> None:
    here, there = await s.signed_in(), await s.signed_in()
    assert "Sign out everywhere else" in said(await here.get("/account"))
    await here.post("/account/sessions/end", {"session": "others"})
    assert (await there.get("/account")).status_code == 303
    assert (await here.get("/account")).status_code == 200


@site
async def test_name_signature_and_copies_are_kept(s: Site) -> None:
    browser = await s.signed_in()
    form = {"name": "Alice \x00Crow", "signature": "Alice\r\nNest 7", "save_sent": "1"}
    await browser.post("/account/preferences", form)
    assert "-- \nAlice\nNest 7" in (await browser.get("/compose")).text
    assert s.store.settings.get(f"account/{s.alice.id}/save-sent") is True
    page = await browser.get("/account")
    assert "Nest 7" in page.text
    assert 'name="save_sent" value="1" checked' in page.text


@site
async def test_mail_programs_set_themselves_up(s: Site) -> None:
    answer = await s.browser().get(
        "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=x@corvus.local"
    )
    assert (
        "<hostname>mail.corvus.local</hostname><port>9930</port><socketType>SSL</socketType>"
        in answer.text
    )
    assert answer.headers["content-type"].startswith("application/xml")
    profile = await (await s.signed_in()).get("/account/profile.mobileconfig")
    assert b"IncomingMailServerPortNumber" in profile.content


@site
async def test_a_page_that_renews_itself_does_not_eat_what_was_to_be_said(s: Site) -> None:
    uid = await s.deliver()
    browser = await s.signed_in()
    await browser.post("/mail/inbox/do", {"action": "archive", "uid": f"inbox:{uid}"})
    await browser.get("/mail/inbox", headers={"x-corvus-live": "1"})
    assert "1 mail archived." in said(await browser.get("/mail/inbox"))
    assert "1 mail archived." not in said(await browser.get("/mail/inbox"))


@site
async def test_a_change_of_the_store_is_told_to_pages_that_are_open(s: Site) -> None:
    from corvus_server.web.live import changes

    stream = changes(lambda call: s.store.subscribe(s.alice.id, call))
    import asyncio

    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    uid = await s.deliver()
    assert b"event: change" in await asyncio.wait_for(waiting, 5)
    waiting = asyncio.ensure_future(anext(stream))
    await s.store.messages.store_flags(s.box().id, [uid], FlagOperation.ADD, ["\\Seen"])
    assert b"event: change" in await asyncio.wait_for(waiting, 5)
    await stream.aclose()

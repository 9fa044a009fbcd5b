"""Answering and forwarding."""

from __future__ import annotations

from corvus_message import as_attachment, build, forward_subject, parse, quote, reply_headers


def raw(*lines: str) -> bytes:
    return "\n".join([*lines, "", ""]).encode()


FULL = raw(
    "From: Ann <ann@x.example>",
    "To: bob@x.example, Cat <cat@x.example>",
    "Cc: dan@x.example, ANN@x.example, broken",
    "Subject: Re: hello",
    "Message-ID: <3@x>",
    "References: <1@x> <2@x>",
)


def spell(found: tuple[object, ...]) -> list[str]:
    return [str(entry) for entry in found]


def test_an_answer_goes_to_the_author() -> None:
    r = reply_headers(parse(FULL), own=["bob@x.example"])
    assert spell(r.to) == ["Ann <ann@x.example>"]
    assert r.cc == ()
    assert r.subject == "Re: hello"
    assert r.in_reply_to == ("3@x",)
    assert r.references == ("1@x", "2@x", "3@x")


def test_an_answer_to_everybody_leaves_out_whoever_answers() -> None:
    r = reply_headers(parse(FULL), own=["BOB@x.example"], everybody=True)
    assert spell(r.cc) == ["Cat <cat@x.example>", "dan@x.example"]


def test_reply_to_counts_before_from() -> None:
    r = reply_headers(parse(raw("From: a@x.example", "Reply-To: b@x.example")))
    assert spell(r.to) == ["b@x.example"]
    assert (r.subject, r.in_reply_to, r.references) == ("Re: ", (), ())


def test_an_answer_to_oneself_goes_to_the_recipients_of_then() -> None:
    r = reply_headers(parse(FULL), own=["ann@x.example"], everybody=True)
    assert spell(r.to) == ["bob@x.example", "Cat <cat@x.example>"]
    assert spell(r.cc) == ["dan@x.example"]
    r = reply_headers(parse(raw("From: a@x.example")), own=["a@x.example"])
    assert spell(r.to) == ["a@x.example"]


def test_in_reply_to_stands_in_for_references_where_it_is_one() -> None:
    m = parse(raw("In-Reply-To: <1@x>", "Message-ID: <2@x>"))
    assert reply_headers(m).references == ("1@x", "2@x")
    m = parse(raw("In-Reply-To: <1@x> <0@x>", "Message-ID: <2@x>"))
    assert reply_headers(m).references == ("2@x",)


def test_long_threads_keep_the_first_and_the_newest() -> None:
    chain = " ".join(f"<{i}@x>" for i in range(100))
    r = reply_headers(parse(raw(f"References: {chain}", "Message-ID: <100@x>")))
    assert len(r.references) == 40
    assert (r.references[0], r.references[1], r.references[-1]) == ("0@x", "62@x", "100@x")


def test_what_an_answer_says_can_always_be_built() -> None:
    evil = raw(
        "From: =?utf-8?q?a=0D=0ABcc=3A_x?= <a@x.example>",
        "Subject: =?utf-8?q?a=0D=0ABcc=3A_x=00?=",
        "Message-ID: <a\x01b@x>",
        "References: <" + "y" * 2000 + "@x> <ok@x>",
    )
    r = reply_headers(parse(evil))
    assert r.subject == "Re: a Bcc: x"
    assert r.references == ("ok@x",)
    assert r.in_reply_to == ()
    built = build(
        from_="b@x.example", to=r.to, subject=r.subject, references=r.references,
        in_reply_to=r.in_reply_to,
    )  # fmt: skip
    assert "bcc" not in parse(built).headers


def test_text_is_quoted() -> None:
    assert quote("a\n\n> b") == "> a\n> \n>> b\n"


def test_a_message_is_forwarded_whole() -> None:
    inner = parse(FULL + b"body")
    assert forward_subject(inner) == "Fwd: Re: hello"
    assert forward_subject(parse(b"Subject: fwd: x\n\n")) == "fwd: x"
    a = as_attachment(inner)
    assert (a.type, a.filename, a.content) == ("message/rfc822", "hello.eml", FULL + b"body")
    assert as_attachment(parse("Subject: ä\n\n".encode())).type == "message/global"
    assert as_attachment(parse(b"Subject: \xe4\n\n")).type == "message/rfc822"
    assert as_attachment(parse(b"")).filename == "message.eml"

"""Signing: what is written, what is covered, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from corvus_dkim import KeyFormatError, Signer, SigningError, sign_with, taglist
from corvus_dkim.sign import EXPIRES_IN, LINE, fold, fold_base64


def tags(field: bytes) -> dict[bytes, bytes]:
    return taglist.parse(field.partition(b":")[2][:-2])


def names(field: bytes) -> list[str]:
    return [n.decode() for n in taglist.names_value(tags(field)[b"h"])]


def test_a_signature_field_is_folded_and_complete(world: Any) -> None:
    for selector in ("rsa", "ed25519"):
        field = world.signer(selector).sign(world.message)
        assert field.startswith(b"DKIM-Signature: v=1; ")
        assert field.endswith(b"\r\n")
        for line in field[:-2].split(b"\r\n"):
            assert len(line) <= LINE
        found = tags(field)
        assert found[b"d"] == b"example.com"
        assert found[b"s"] == selector.encode()
        assert found[b"a"] == selector.encode() + b"-sha256"
        assert found[b"c"] == b"relaxed/relaxed"
        assert found[b"t"] == b"1700000000"
        assert found[b"x"] == b"%d" % (1700000000 + EXPIRES_IN)
        assert b"l" not in found
        assert b"i" not in found


def test_fields_are_signed_once_more_than_they_are_there(world: Any) -> None:
    listed = names(world.signer().sign(world.message))
    for name in ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"):
        assert listed.count(name) == 2
    for name in ("Cc", "Reply-To", "Content-Transfer-Encoding"):
        assert listed.count(name) == 1  # it is absent, and has to stay so
    assert "Received" not in listed
    assert "List-Id" not in listed
    listed = names(world.signer().sign(b"List-Id: x\r\nSender: y\r\n" + world.message))
    assert listed.count("List-Id") == listed.count("Sender") == 1


def test_chosen_headers_are_oversigned_unless_told_otherwise(world: Any) -> None:
    chosen = world.signer(headers=["From", "Subject", "X-A", "subject"]).sign(world.message)
    assert sorted(names(chosen)) == ["From"] * 2 + ["Subject"] * 2 + ["X-A"] + ["subject"] * 2
    exact = world.signer(headers=["Subject", "From", "X-A"], oversign=False).sign(world.message)
    assert names(exact) == ["Subject", "From", "X-A"]


def test_one_header_name_alone_can_be_signed(world: Any) -> None:
    field = world.signer(headers=["From"], oversign=False).sign(world.message)
    assert names(field) == ["From"]
    assert world.result(field + world.message).passed


def test_the_times_are_the_callers_or_the_clocks(world: Any) -> None:
    signer = Signer(world.domain, "ed25519", world.keys["ed25519"], expires_in=None)
    found = tags(signer.sign(world.message, now=5.9))
    assert found[b"t"] == b"5"
    assert b"x" not in found
    assert int(tags(signer.sign(world.message))[b"t"]) > world.now
    assert tags(world.signer(expires_in=60).sign(world.message, now=7))[b"x"] == b"1700000060"


def test_an_identity_within_the_domain_is_written_quoted(world: Any) -> None:
    field = world.signer(identity="j ö;@Mail.example.com").sign(world.message)
    assert tags(field)[b"i"] == b"j=20=C3=B6=3B@Mail.example.com"
    assert world.result(field + world.message).identity == "j ö;@Mail.example.com"
    assert tags(world.signer(identity="@example.com").sign(world.message))[b"i"] == b"@example.com"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"identity": "x@notexample.com"}, "not within"),
        ({"identity": "x@com"}, "domain name"),
        ({"identity": "x"}, "address"),
        ({"identity": "x\r\ny@example.com"}, "control"),
        ({"identity": "x" * 900 + "@example.com"}, "line"),
        ({"headers": ["From", "X" * 79]}, "field"),
        ({"identity": "x@exämple.com"}, "ASCII"),
        ({"headers": ["Subject"]}, "From"),
        ({"headers": "From"}, "sequence"),
        ({"headers": ["From", "a b"]}, "field"),
        ({"headers": ["From", ""]}, "field"),
        ({"headers": ["From", "X:Y"]}, "field"),
        ({"headers": ["From", "X\r\nY"]}, "field"),
        ({"expires_in": 0}, "positive"),
        ({"timestamp": 10**12}, "12 digits"),
        ({"timestamp": -1}, "12 digits"),
        ({"canonicalization": ("relaxed", "nowsp")}, "simple or relaxed"),
        ({"domain": "com"}, "domain name"),
        ({"domain": "exa mple.com"}, "domain name"),
        ({"domain": "a.example\r\nX: y"}, "domain name"),
        ({"domain": "müller.example"}, "ASCII"),
        ({"selector": ""}, "selector"),
        ({"selector": "a;b"}, "selector"),
        ({"selector": "a." * 120 + "a"}, "too long"),
    ],
)
def test_arguments_that_make_no_signature_are_refused(
    world: Any, options: dict[str, Any], words: str
) -> None:
    arguments = {"domain": "example.com", "selector": "s1", **options}
    domain, selector = arguments.pop("domain"), arguments.pop("selector")
    with pytest.raises(ValueError, match=words):
        Signer(domain, selector, world.keys["ed25519"], **arguments)


def test_a_signer_loads_keys_in_any_form_and_shows_no_secret(world: Any) -> None:
    key = world.keys["ed25519"]
    locked = Signer("a.example", "s", key.to_pem("pw"), password="pw")
    assert locked.key.fingerprint() == key.fingerprint()
    assert (locked.domain, locked.selector) == ("a.example", "s")
    assert repr(locked).startswith("Signer('a.example', 's', PrivateKey(ed25519 256, SHA256:")
    with pytest.raises(KeyFormatError):
        Signer("a.example", "s", b"junk")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"Subject: x\r\n\r\nHi\r\n", "0 From fields"),
        (b"", "0 From fields"),
        (b"\r\nFrom: a@example.com\r\n", "0 From fields"),
        (b"From: a@example.com\r\nFROM : b@example.com\r\n\r\n", "2 From fields"),
        (b"From: a@example.com\n\nHi\n", "bare"),
        (b"From: a@example.com\r\n\r\nHi\n", "bare"),
        (b"From: a@example.com\r\n\r\nHi\r", "bare"),
        (b"From: a@example.com\r\nX: a\rb\r\n\r\nHi\r\n", "bare"),
    ],
)
def test_what_must_not_be_signed_is_refused(world: Any, message: bytes, words: str) -> None:
    with pytest.raises(SigningError, match=words):
        world.signer().sign(message)
    stream = world.signer().stream()
    for octet in message:
        stream.update(bytes([octet]))
    with pytest.raises(SigningError, match=words):
        stream.finish()


def test_bare_line_ends_are_normalised_when_asked(world: Any) -> None:
    from corvus_dkim import normalise

    local = b"From: joe@example.com\nSubject: x\n\nHi\rthere\n"
    field = world.signer(normalise=True).sign(local)
    assert field == world.signer().sign(normalise(local))
    assert world.result(field + normalise(local)).passed


def test_a_stream_gives_the_same_field_as_the_whole(world: Any) -> None:
    for selector in ("rsa", "ed25519"):
        for form in (("simple", "simple"), ("relaxed", "relaxed")):
            signer = world.signer(selector, canonicalization=form)
            stream = signer.stream()
            for octet in world.message:
                stream.update(bytes([octet]))
            assert stream.finish() == signer.sign(world.message)


def test_a_stream_serves_one_message(world: Any) -> None:
    stream = world.signer().stream()
    stream.update(world.message)
    stream.finish()
    with pytest.raises(ValueError, match="one message"):
        stream.update(b"more")
    with pytest.raises(ValueError, match="one message"):
        stream.finish()


def test_several_keys_sign_in_one_pass_and_independently(world: Any) -> None:
    signers = [world.signer("rsa", canonicalization=("simple", "simple")), world.signer("ed25519")]
    fields = sign_with(signers, world.message)
    assert fields == b"".join(s.sign(world.message) for s in signers)
    results = world.results(fields + world.message)
    assert [r.algorithm for r in results] == ["rsa-sha256", "ed25519-sha256"]
    assert all(r.passed for r in results)
    alone = fields[fields.index(b"DKIM-Signature", 5) :]
    assert world.result(alone + world.message).passed


def test_signers_who_disagree_about_line_ends_do_not_sign_together(world: Any) -> None:
    with pytest.raises(ValueError, match="agree"):
        sign_with([world.signer(), world.signer(normalise=True)], world.message)
    with pytest.raises(ValueError, match="nobody"):
        sign_with([], world.message)


def test_a_header_without_end_is_refused_while_it_arrives(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corvus_dkim.sign.MAX_HEADER", 1000)
    stream = world.signer().stream()
    for _ in range(83):
        stream.update(b"X: aaaaaaa\r\n")
    with pytest.raises(SigningError, match="1000 octets"):
        stream.update(b"X: aaaaaaa\r\n")


@pytest.mark.parametrize(
    "message",
    [
        b"From: joe@example.com",
        b"From: joe@example.com\r\n",
        b"From: joe@example.com\r\n\r\n",
        b"From: joe@example.com\r\n\r\nno line end",
        b"From: joe@example.com\r\nno colon\r\nSubject: x\r\n\r\nHi\r\n",
        b"From:\r\n joe@example.com\r\n\r\nHi\r\n",
        b"from :joe@example.com\r\n\r\n\r\n\r\n",
        "From: jürgen@example.com\r\nSubject: ü\r\n\r\nü\r\n".encode(),
        b"From: joe@example.com\r\n\r\n\x00\xff\r\n",
    ],
)
@pytest.mark.parametrize("form", ["simple", "relaxed"])
def test_odd_messages_verify_as_they_were_signed(world: Any, message: bytes, form: str) -> None:
    signed = world.signed(message, canonicalization=(form, form))
    assert world.result(signed).reason == "signature verified"


def test_earlier_signatures_can_be_signed(world: Any) -> None:
    once = world.signed()
    twice = world.signed(once, headers=["From", "DKIM-Signature"], oversign=False)
    assert [r.status for r in world.results(twice)] == ["pass", "pass"]
    broken = twice.replace(b"d=example.com; q", b"d=example.org; q")
    start = broken.index(b"DKIM-Signature", 5)
    changed = twice[:start] + twice[start:].replace(b"t=1700000000", b"t=1700000001", 1)
    assert [r.status for r in world.results(changed)] == ["fail", "fail"]


def test_folding_keeps_words_whole() -> None:
    assert fold(["a" * 70, "bbb", "cccc"], 1) == " " + "a" * 70 + " bbb\r\n cccc"
    assert (
        fold_base64("A" * 100, b"x" * 70) == b"A" * 8 + b"\r\n " + b"A" * 77 + b"\r\n " + b"A" * 15
    )
    assert fold_base64("AA", b"x" * 100) == b"\r\n AA"

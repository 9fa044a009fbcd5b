"""Every stage of a session, and everything that can go wrong there."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from corvus_server import tls
from corvus_server.outbound.delivery import Relay
from corvus_server.simulation import Do, Weather, run
from corvus_server.testing.post import FIRST, SECOND, Post, posted

EXTENSIONS = {
    "pipelining": ("PIPELINING", "8BITMIME", "SIZE 10000000", "SMTPUTF8", "DSN"),
    "plain": ("8BITMIME",),
    "chunking": ("PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8"),
}


@pytest.fixture(scope="session")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ssl.SSLContext]:
    """A server's context, and a client's that trusts it and nobody else."""
    folder: Path = tmp_path_factory.mktemp("tls")
    chain, key = tls.ensure_certificate(folder, "mx1.crow.example", now=time.time())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, key)
    trusting = ssl.create_default_context(cafile=str(chain))
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return {"server": server, "trusting": trusting}


def one_attempt(extensions: str = "pipelining", **script: Any) -> dict[str, Any]:
    """Offer one mail to one scripted host and tell what came of it."""
    found: dict[str, Any] = {}

    @posted()
    async def main(post: Post) -> None:
        post.dns.set("crow.example", "MX", (10, "mx1.crow.example"))
        post.dns.remove("mx2.crow.example")
        peer = post.peer(extensions=EXTENSIONS[extensions], **script)
        entry = await post.enqueue()
        await post.start()
        while not post.attempts(entry):
            await _passes(5)
        (attempt,) = post.attempts(entry)[:1]
        (recipient,) = post.store.queue.recipients(entry)
        found.update(
            attempt=attempt, state=recipient.state.value, next=recipient.next_attempt,
            taken=len(peer.taken), notices=post.notices(), dialogue=attempt.dialogue,
            finished=attempt.finished, stage=attempt.details.get("stage"), events=post.events(),
        )  # fmt: skip

    main()
    assert "defect" not in found["events"], "nothing here is a defect of ours"
    assert found["taken"] <= 1
    return found


async def _passes(seconds: float) -> None:
    import asyncio

    await asyncio.sleep(seconds)


STAGES = ["connect", "ehlo", "mail", "rcpt", "data", "body"]
#: BDAT asks for no leave.
CASES = [(s, e) for s in STAGES for e in EXTENSIONS if (s, e) != ("data", "chunking")]
REFUSALS: dict[str, str] = {
    "connect": "greeting", "ehlo": "ehlo", "mail": "mail", "rcpt": "rcpt", "data": "data",
    "body": "end",
}  # fmt: skip


@pytest.mark.parametrize(("stage", "extensions"), CASES)
def test_a_4xx_at_any_stage_is_tried_again(stage: str, extensions: str) -> None:
    found = one_attempt(extensions, answers={stage: "451 4.3.0 not now"})
    assert found["state"] == "waiting"
    assert found["attempt"].outcome == "deferred"
    assert (found["attempt"].code, found["attempt"].enhanced) == (451, "4.3.0")
    assert found["stage"] == REFUSALS[stage]
    assert found["taken"] == 0
    assert not found["notices"]
    assert found["finished"] + 200 < found["next"] < found["finished"] + 400


@pytest.mark.parametrize(("stage", "extensions"), CASES)
def test_a_5xx_at_any_stage_goes_back_to_the_sender(stage: str, extensions: str) -> None:
    answers: dict[str, Any] = {stage: "554 5.7.1 never"}
    if stage == "ehlo":
        answers["helo"] = "554 5.7.1 never"
    found = one_attempt(extensions, answers=answers)
    assert found["state"] == "failed"
    assert found["attempt"].outcome == "failed"
    assert found["taken"] == 0
    (notice,) = found["notices"]
    assert b"mx1.crow.example said: 554 5.7.1 never" in notice


@pytest.mark.parametrize("what", [Do.DROP, Do.CLOSE, Do.SILENCE, Do.GARBAGE, Do.TRICKLE])
@pytest.mark.parametrize(("stage", "extensions"), CASES)
def test_trouble_of_the_line_at_any_stage_is_temporary(
    stage: str, what: Do, extensions: str
) -> None:
    found = one_attempt(extensions, answers={stage: what})
    assert found["state"] == "waiting"
    assert found["attempt"].code == 451
    text = {Do.DROP: "lost", Do.CLOSE: "lost", Do.GARBAGE: "speaks no SMTP"}.get(what, "in time")
    assert text in found["attempt"].text
    assert found["stage"] == REFUSALS[stage]
    assert not found["notices"]
    if stage == "body":
        assert "it may have arrived" in found["attempt"].text
        assert found["attempt"].details["unsure"] is True
    else:
        assert "unsure" not in found["attempt"].details
    # "Initial 220 Message: 5 minutes [...] DATA Termination: 10 minutes" (RFC 5321 §4.5.3.2).
    waited = found["finished"] - found["attempt"].started
    slow = what in (Do.SILENCE, Do.TRICKLE)
    assert waited < 5 or (slow and 100 < waited < 700)


@pytest.mark.parametrize("what", [Do.DROP, Do.CLOSE, Do.SILENCE, Do.GARBAGE, "554 5.7.1 no"])
@pytest.mark.parametrize("stage", ["starttls", "handshake", "ehlo2"])
def test_a_failed_handshake_is_retried_in_clear_and_recorded(
    stage: str, what: Any, contexts: dict[str, ssl.SSLContext]
) -> None:
    # The second time the script has no such trouble, but the client must not ask again.
    found = one_attempt(answers={stage: what, "helo": what}, context=contexts["server"])
    assert found["state"] == "delivered", found["attempt"]
    assert found["taken"] == 1
    assert found["attempt"].tls == {}
    assert found["attempt"].details["tls_failed"]
    first, second = found["attempt"].details["tried"]
    assert (first["secure"], second["secure"]) == (True, False)


def test_octets_behind_the_220_of_starttls_are_an_attack(
    contexts: dict[str, ssl.SSLContext],
) -> None:
    found = one_attempt(
        answers={"starttls": b"220 go\r\n250 2.0.0 injected\r\n"}, context=contexts["server"]
    )
    assert found["state"] == "waiting"
    assert "speaks no SMTP" in found["attempt"].text


def test_tls_is_used_where_it_is_offered_and_the_record_says_so(
    contexts: dict[str, ssl.SSLContext],
) -> None:
    found = one_attempt(context=contexts["server"])
    assert found["state"] == "delivered"
    assert found["attempt"].tls["version"] == "TLSv1.3"
    assert found["attempt"].tls["verified"] is False
    assert "mx1.crow.example" in str(found["attempt"].tls["certificate"])
    assert "(TLS: TLSv1.3" in found["dialogue"]


def test_ehlo_refused_is_followed_by_helo() -> None:
    found = one_attempt(answers={"ehlo": "502 5.5.1 what is EHLO"})
    assert found["state"] == "delivered"
    assert "C: HELO mail.corvus.local" in found["dialogue"]


def test_a_dialogue_has_both_sides_and_not_the_message() -> None:
    found = one_attempt()
    assert "C: MAIL FROM:<alice@corvus.local> SIZE=" in found["dialogue"]
    assert "S: 250 2.0.0 kept" in found["dialogue"]
    assert "At noon" not in found["dialogue"]


def test_a_peer_that_never_reads_is_given_up() -> None:
    @posted()
    async def main(post: Post) -> None:
        post.dns.set("crow.example", "MX", (10, "mx1.crow.example"))
        post.peer(answers={"data": [b"354 go\r\n"]}, extensions=("8BITMIME",))
        post.peer().script.answers = {}
        peer = post.peer(answers={"mail": Do.NEVER_READ}, extensions=("8BITMIME",))
        entry = await post.enqueue(raw=b"Subject: big\r\n\r\n" + b"x" * 78 * 20_000 + b"\r\n")
        await post.start()
        await _passes(3600)
        assert post.states(entry) == {"carol@crow.example": "waiting"}
        assert peer.taken == []

    main()


def test_the_next_host_is_tried_when_the_first_breaks_before_the_message() -> None:
    @posted()
    async def main(post: Post) -> None:
        for n, trouble in enumerate([Do.DROP, "421 4.3.2 closing", Do.GARBAGE]):
            for stage in ("connect", "ehlo", "mail", "rcpt", "data"):
                post.peer(answers={stage: trouble})
                second = post.peer(SECOND)
                entry = await post.enqueue()
                if not hasattr(post, "runner"):
                    await post.start()
                await _passes(30)
                assert post.states(entry) == {"carol@crow.example": "delivered"}, (stage, trouble)
                assert len(second.taken) == 1
                (attempt,) = post.attempts(entry)
                assert (attempt.host, attempt.address) == ("mx2.crow.example", SECOND), n

    main()


def test_a_host_that_refuses_for_good_does_not_speak_for_one_that_is_away() -> None:
    @posted()
    async def main(post: Post) -> None:
        post.weather[FIRST] = Weather(unreachable=True)
        post.peer(SECOND, answers={"connect": "554 5.7.1 go away"})
        entry = await post.enqueue()
        await post.start()
        await _passes(60)
        assert post.states(entry) == {"carol@crow.example": "waiting"}
        tried = post.attempts(entry)[0].details["tried"]
        assert [each["address"] for each in tried] == [FIRST, SECOND]
        assert "no answer to the connection" in tried[0]["result"]

    main()


def test_after_the_dot_no_other_host_gets_the_mail() -> None:
    @posted()
    async def main(post: Post) -> None:
        first = post.peer(answers={"body": Do.DROP, "take": "yes"})
        second = post.peer(SECOND)
        entry = await post.enqueue()
        await post.start()
        await _passes(60)
        assert post.states(entry) == {"carol@crow.example": "waiting"}
        assert (len(first.taken), len(second.taken)) == (1, 0)

    main()


def test_ipv4_follows_where_ipv6_does_not_answer() -> None:
    @posted(sources=("192.0.2.25", "2001:db8::25"))
    async def main(post: Post) -> None:
        post.dns.set("mx1.crow.example", "AAAA", "2001:db8::1")
        post.weather["2001:db8::1"] = Weather(unreachable=True)
        post.peer()
        entry = await post.enqueue()
        await post.start()
        await _passes(60)
        assert post.states(entry) == {"carol@crow.example": "delivered"}
        (attempt,) = post.attempts(entry)
        assert [each["address"] for each in attempt.details["tried"]] == ["2001:db8::1", FIRST]
        assert post.network.lines[-1].client.get_extra_info("sockname")[0] == "192.0.2.25"

    main()


# REQUIRETLS, relays and credentials.


@pytest.mark.parametrize("trusted", [False, True])
def test_requiretls_asks_for_a_certificate_that_is_valid(
    trusted: bool, contexts: dict[str, ssl.SSLContext]
) -> None:
    """RFC 8689 §2: it "MUST be verified successfully by a trust chain"."""

    @posted(trusted=contexts["trusting"] if trusted else ssl.create_default_context())
    async def main(post: Post) -> None:
        post.dns.set("crow.example", "MX", (10, "mx1.crow.example"))
        post.dns.signed.add("crow.example")
        extensions = (*EXTENSIONS["pipelining"], "REQUIRETLS")
        peer = post.peer(context=contexts["server"], extensions=extensions)
        # One that needs no TLS goes first: its connection must not serve the second.
        easy = await post.enqueue()
        strict = await post.enqueue(require_tls=True)
        await post.start()
        await _passes(60)
        assert post.states(easy) == {"carol@crow.example": "delivered"}
        state = "delivered" if trusted else "failed"
        assert post.states(strict) == {"carol@crow.example": state}
        assert post.attempts(easy)[0].tls["verified"] is False
        if trusted:
            assert post.attempts(strict)[0].tls["verified"] is True
            assert any("REQUIRETLS" in line for line in peer.lines)
        else:
            assert post.attempts(strict)[0].enhanced == "5.7.10"
            (notice,) = post.notices()
            assert b"At noon?" not in notice
        assert all(taken.secure for taken in peer.taken)

    main()


def test_requiretls_never_goes_out_in_clear_nor_where_it_is_not_promised(
    contexts: dict[str, ssl.SSLContext],
) -> None:
    @posted(trusted=contexts["trusting"])
    async def main(post: Post) -> None:
        post.dns.set("crow.example", "MX", (10, "mx1.crow.example"))
        unproven = await post.enqueue(require_tls=True)
        await post.start()
        await _passes(60)
        assert post.attempts(unproven)[0].enhanced == "5.7.10"
        assert "DNSSEC" in post.attempts(unproven)[0].text
        post.dns.signed.add("crow.example")
        clear = post.peer()
        entry = await post.enqueue(require_tls=True)
        await _passes(60)
        assert post.attempts(entry)[0].enhanced == "5.7.10"
        unwilling = post.peer(context=contexts["server"])
        entry = await post.enqueue(require_tls=True)
        await _passes(60)
        assert post.attempts(entry)[0].enhanced == "5.7.30"
        assert [*clear.taken, *unwilling.taken] == []
        # A notice about such a mail goes out all the same (RFC 8689 §5).
        notice = await post.enqueue(require_tls=True, mail_from="")
        await _passes(60)
        assert post.states(notice) == {"carol@crow.example": "delivered"}

    main()


def test_what_one_host_lacks_the_next_may_have() -> None:
    @posted()
    async def main(post: Post) -> None:
        post.peer(extensions=("PIPELINING",))
        second = post.peer(SECOND, extensions=("PIPELINING", "8BITMIME"))
        entry = await post.enqueue(eight_bit=True)
        await post.start()
        await _passes(60)
        assert post.states(entry) == {"carol@crow.example": "delivered"}
        assert len(second.taken) == 1

    main()


# Relays.


class Smarthost:
    """A relay that wants to know who we are."""

    def __init__(self, contexts: dict[str, ssl.SSLContext], **changes: Any) -> None:
        self.contexts = contexts
        relay = Relay(host="mx1.crow.example", port=587, user="alice", password="hunter2!")
        self.settings = {"relay": relay, "trusted": contexts["trusting"], **changes}


def test_a_relay_takes_mail_for_all_domains_after_sign_in(
    contexts: dict[str, ssl.SSLContext],
) -> None:
    for mechanisms, command in (("PLAIN LOGIN", "AUTH PLAIN ***"), ("LOGIN", "AUTH LOGIN")):

        @posted(**Smarthost(contexts).settings)
        async def main(post: Post, mechanisms: str = mechanisms, command: str = command) -> None:
            answers: dict[str, Any] = {}
            if mechanisms == "LOGIN":
                answers = {"auth": "334 VXNlcm5hbWU6", "auth2": "235 2.7.0 hello"}
            peer = post.peer(
                port=587, context=contexts["server"], answers=answers,
                extensions=(*EXTENSIONS["pipelining"], f"AUTH {mechanisms}"),
            )  # fmt: skip
            entry = await post.enqueue("a@one.example", "b@two.example")
            await post.start()
            await _passes(60)
            assert set(post.states(entry).values()) == {"delivered"}
            dialogue = post.attempts(entry)[0].dialogue
            assert f"C: {command}" in dialogue
            for secret in ("hunter2", "aHVudGVyMi", "AGFsaWNlAGh1bnRlcjIh"):
                assert secret not in dialogue
            assert any(line.startswith("AUTH") for line in peer.lines)

        main()


@pytest.mark.parametrize(
    ("answers", "extensions", "tls_offered"),
    [
        ({"auth": "535 5.7.8 no: hunter2! is wrong"}, "AUTH PLAIN", True),
        ({"auth": "334 ", "auth2": "501 5.7.0 cancelled"}, "AUTH PLAIN", True),
        ({"auth": Do.DROP}, "AUTH PLAIN", True),
        ({"auth": Do.SILENCE}, "AUTH PLAIN", True),
        ({}, "AUTH CRAM-MD5", True),
        ({}, "DSN", True),
        ({}, "AUTH PLAIN", False),
        ({"handshake": Do.DROP}, "AUTH PLAIN", True),
    ],
)
def test_a_relay_that_will_not_have_us_keeps_the_mail_waiting(
    answers: dict[str, Any],
    extensions: str,
    tls_offered: bool,
    contexts: dict[str, ssl.SSLContext],
) -> None:
    @posted(**Smarthost(contexts).settings)
    async def main(post: Post) -> None:
        peer = post.peer(
            port=587, context=contexts["server"] if tls_offered else None, answers=answers,
            extensions=("PIPELINING", extensions),
        )  # fmt: skip
        entry = await post.enqueue()
        await post.start()
        while not post.attempts(entry):
            await _passes(10)
        assert post.states(entry) == {"carol@crow.example": "waiting"}
        assert peer.taken == []
        for attempt in post.attempts(entry):
            assert "hunter2" not in attempt.dialogue
        # Credentials went out under TLS or not at all.
        if not tls_offered or "handshake" in answers:
            assert not any("AUTH" in line for line in peer.lines)

    main()


def test_a_relay_without_credentials_is_reached_as_any_other_host(
    contexts: dict[str, ssl.SSLContext],
) -> None:
    @posted(relay=Relay(host=FIRST, port=2525))
    async def main(post: Post) -> None:
        peer = post.peer(port=2525, context=contexts["server"], answers={"handshake": Do.DROP})
        entry = await post.enqueue("x@anywhere.example")
        await post.start()
        await _passes(60)
        assert post.states(entry) == {"x@anywhere.example": "delivered"}
        assert len(peer.taken) == 1

    main()


def test_virtual_time_passes_by_itself() -> None:
    async def main() -> float:
        import asyncio

        await asyncio.sleep(86_400 * 30)
        return asyncio.get_running_loop().time()

    assert run(main()) == 86_400 * 30

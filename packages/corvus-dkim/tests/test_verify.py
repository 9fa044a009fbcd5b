"""Verifying: one result for each signature, each with its reason."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

import corvus_dkim
from corvus_dkim import Answer, Lookup, Policy, Status, Verifier, ZoneResolver
from corvus_dkim.policy import LEAST_RSA_BITS
from corvus_testing import FailingResolver, SlowResolver


@pytest.mark.parametrize("selector", ["rsa", "ed25519"])
@pytest.mark.parametrize("header", ["simple", "relaxed"])
@pytest.mark.parametrize("body", ["simple", "relaxed"])
def test_what_was_signed_verifies(world: Any, selector: str, header: str, body: str) -> None:
    result = world.result(world.signed(selector=selector, canonicalization=(header, body)))
    assert result.status is Status.PASS
    assert result.passed
    assert result.reason == "signature verified"
    assert result.domain == "example.com"
    assert result.selector == selector
    assert result.identity == "@example.com"
    assert result.algorithm == f"{selector}-sha256"
    assert result.key_bits == (2048 if selector == "rsa" else 256)
    assert result.unsigned_octets == 0
    assert result.canonicalization == f"{header}/{body}"
    assert result.signed_fields[0] == "from"
    assert result.timestamp == world.now
    assert not result.secure


def test_a_message_without_signatures_has_no_results(world: Any) -> None:
    assert world.results(world.message) == []
    assert world.results(b"") == []


def test_every_signature_is_judged_alone_and_in_order(world: Any) -> None:
    good, other = world.signed(), world.signer("rsa").sign(world.message)
    broken = other.replace(b"s=rsa", b"s=gone")
    junk = b"DKIM-Signature: junk\r\n"
    results = world.results(junk + broken + other + good)
    assert [r.status for r in results] == ["permerror", "permerror", "pass", "pass"]
    assert [r.selector for r in results] == ["", "gone", "rsa", "ed25519"]


def test_all_keys_are_asked_for_at_once_and_each_once(world: Any) -> None:
    fields = world.signer("rsa").sign(world.message) * 2 + world.signer().sign(world.message)
    evaluation = corvus_dkim.evaluate(fields + world.message, now=world.now)
    question = next(evaluation)
    assert question == (Lookup(world.name("rsa"), "TXT"), Lookup(world.name("ed25519"), "TXT"))
    with pytest.raises(StopIteration) as stop:
        evaluation.send((Answer("timeout"), Answer("servfail")))
    assert [r.status for r in stop.value.value] == ["temperror"] * 3


def test_one_key_is_one_lookup(world: Any) -> None:
    evaluation = corvus_dkim.evaluate(world.signed(), now=world.now)
    assert next(evaluation) == Lookup(world.name("ed25519"), "TXT")


def test_no_signature_asks_nothing(world: Any) -> None:
    with pytest.raises(StopIteration) as stop:
        next(corvus_dkim.evaluate(world.message, now=world.now))
    assert stop.value.value == []


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (Answer("timeout"), "temperror", "timed out"),
        (Answer("servfail"), "temperror", "failed"),
        (Answer("nxdomain"), "permerror", "no key for signature"),
        (Answer("nodata"), "permerror", "no key for signature"),
        (Answer("ok"), "permerror", "no key for signature"),
    ],
)
def test_trouble_in_dns_is_a_verdict(world: Any, answer: Answer, status: str, words: str) -> None:
    evaluation = corvus_dkim.evaluate(world.signed(), now=world.now)
    next(evaluation)
    with pytest.raises(StopIteration) as stop:
        evaluation.send(answer)
    (result,) = stop.value.value
    assert result.status == status
    assert words in result.reason
    assert "ed25519._domainkey.example.com" in result.reason


def test_each_lookup_may_fail_alone(world: Any) -> None:
    message = world.signer("rsa").sign(world.message) + world.signed()
    for number in range(2):
        resolver = FailingResolver(Answer, {}, fail_at=number)
        resolver._zone = {n: {"TXT": [r.encode() for r in t["TXT"]]} for n, t in world.zone.items()}
        results = corvus_dkim.verify(message, resolver=resolver, now=world.now)
        expected = ["pass", "pass"]
        expected[number] = "temperror"
        assert [r.status for r in results] == expected


def test_lookups_in_parallel_cost_one_delay(world: Any) -> None:
    message = world.signer("rsa").sign(world.message) + world.signed()
    zone = {n: {"TXT": [r.encode() for r in t["TXT"]]} for n, t in world.zone.items()}
    resolver = SlowResolver(Answer, zone, delay=0.02)
    results = asyncio.run(corvus_dkim.averify(message, resolver=resolver, now=world.now))
    assert [r.status for r in results] == ["pass", "pass"]
    assert resolver.elapsed == 0.02


def test_an_answer_secured_by_dnssec_is_passed_on(world: Any) -> None:
    for record in (corvus_dkim.key_record(world.keys["ed25519"]).encode(), b"v=DKIM1; p="):
        evaluation = corvus_dkim.evaluate(world.signed(), now=world.now)
        next(evaluation)
        with pytest.raises(StopIteration) as stop:
            evaluation.send(Answer("ok", (record,), secure=True))
        assert stop.value.value[0].secure


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"Hi.", b"Ha.", "body hash did not verify"),
        (b"Subject: Is", b"Subject: is", "signature did not verify"),
        (b"joe@example.com", b"bob@example.com", "signature did not verify"),
        (b"t=1700000000", b"t=1699999999", "signature did not verify"),
    ],
)
def test_a_change_is_told_where_it_is(world: Any, old: bytes, new: bytes, reason: str) -> None:
    for selector in ("rsa", "ed25519"):
        result = world.result(world.signed(selector=selector).replace(old, new, 1))
        assert (result.status, result.reason) == (Status.FAIL, reason)


def test_relaxed_survives_what_simple_does_not(world: Any) -> None:
    def on_the_way(message: bytes) -> bytes:
        return message.replace(b"Subject: Is", b"SUBJECT:  Is").replace(b"Joe.\r\n", b"Joe. \r\n")

    relaxed = on_the_way(world.signed())
    assert world.result(relaxed).passed
    assert not world.result(on_the_way(world.signed(canonicalization=("simple", "simple")))).passed


def test_expiry_and_future_have_slack_and_can_be_ignored(world: Any) -> None:
    signed = world.signed(expires_in=100)
    end = world.now + 100
    assert world.result(signed, now=end + 300).passed
    late = world.result(signed, now=end + 301)
    assert (late.status, late.reason) == (Status.POLICY, "signature expired")
    assert world.result(signed, now=end + 301, policy=Policy(check_expiry=False)).passed
    early = world.result(signed, now=world.now - 3601)
    assert (early.status, early.reason) == (Status.POLICY, "the signature is from the future")
    assert world.result(signed, now=world.now - 3600).passed
    assert world.result(signed, now=0, policy=Policy(future_slack=None)).passed


def test_the_policy_speaks_only_about_good_signatures(world: Any) -> None:
    broken = world.signed(expires_in=100).replace(b"Hi.", b"Ha.")
    assert world.result(broken, now=world.now + 10**6).status is Status.FAIL


def test_a_policy_may_want_longer_keys(world: Any, small_rsa_key: Any) -> None:
    world.keys["small"] = small_rsa_key
    world.publish("small", corvus_dkim.key_record(small_rsa_key))
    signed = world.signed(selector="small")
    assert world.result(signed).passed
    result = world.result(signed, policy=Policy(minimum_rsa_bits=2048))
    assert (result.status, result.reason) == (Status.POLICY, "an RSA key of 1024 bits is too short")
    both = world.result(signed, policy=Policy(minimum_rsa_bits=2048), now=world.now + 10**7)
    assert both.reason == "an RSA key of 1024 bits is too short; signature expired"


@pytest.mark.parametrize(
    "wrong",
    [
        {"minimum_rsa_bits": LEAST_RSA_BITS - 1},
        {"minimum_rsa_bits": 4096, "maximum_rsa_bits": 2048},
        {"max_signatures": 0},
        {"max_key_records": 0},
        {"max_header_octets": 0},
    ],
)
def test_a_policy_cannot_be_senseless(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"RFC 8301|below|at least 1"):
        Policy(**wrong)  # type: ignore[arg-type]  # the values are all int


def test_several_records_are_tried_until_one_fits(world: Any) -> None:
    good = corvus_dkim.key_record(world.keys["ed25519"])
    other = corvus_dkim.key_record(corvus_dkim.generate_key("ed25519"))
    signed = world.signed()
    world.publish("ed25519", "v=spf1 -all", other, good)
    assert world.result(signed).passed
    world.publish("ed25519", "v=spf1 -all", "junk", other, other, good)
    result = world.result(signed)
    assert (result.status, result.reason) == (Status.FAIL, "signature did not verify")
    world.publish("ed25519", "v=spf1 -all", "v=DKIM1; p=")
    assert world.result(signed).reason == "key revoked"
    world.publish("ed25519", "v=spf1 -all", "junk")
    assert world.result(signed).reason == "not a DKIM1 record"


def test_a_verifier_may_be_fed_octet_by_octet(world: Any) -> None:
    signed = world.signer("rsa", canonicalization=("simple", "simple")).sign(world.message)
    signed += world.signed()
    verifier = Verifier()
    for octet in signed:
        verifier.update(bytes([octet]))
    results = verifier.verify(resolver=world.resolver, now=world.now)
    assert results == world.results(signed)
    assert [r.status for r in results] == ["pass", "pass"]


def test_a_verifier_serves_one_message(world: Any) -> None:
    verifier = Verifier()
    verifier.update(world.signed())
    first = verifier.verify(resolver=world.resolver, now=world.now)
    assert verifier.verify(resolver=world.resolver, now=world.now) == first
    with pytest.raises(ValueError, match="one message"):
        verifier.update(b"more")


def test_the_clock_is_read_when_no_time_is_given(world: Any) -> None:
    signed = corvus_dkim.Signer("example.com", "ed25519", world.keys["ed25519"]).sign(world.message)
    message = signed + world.message
    assert corvus_dkim.verify(message, resolver=world.resolver)[0].passed
    assert asyncio.run(corvus_dkim.averify(message, resolver=world.resolver))[0].passed
    verifier = Verifier()
    verifier.update(message)
    assert asyncio.run(verifier.averify(resolver=world.resolver))[0].passed
    assert verifier.verify(resolver=world.resolver)[0].passed


def test_lf_alone_is_taken_for_crlf_only_when_asked(world: Any) -> None:
    local = world.signed().replace(b"\r\n", b"\n")
    result = world.result(local)
    assert result.status is Status.FAIL
    assert "bare LF" in result.reason
    assert world.result(local, policy=Policy(normalise_line_ends=True)).passed
    verifier = Verifier(policy=Policy(normalise_line_ends=True))
    for octet in local[:-1] + b"\r":
        verifier.update(bytes([octet]))
    assert verifier.verify(resolver=world.resolver, now=world.now)[0].passed


def test_a_header_that_never_ends_is_cut_and_told(world: Any) -> None:
    policy = Policy(max_header_octets=2000)
    long = world.signed().replace(b"\r\n\r\n", b"\r\nX: " + b"a" * 2000 + b"\r\n\r\n", 1)
    for size in (len(long), 100, 1):
        verifier = Verifier(policy=policy)
        for at in range(0, len(long), size):
            verifier.update(long[at : at + size])
        (result,) = verifier.verify(resolver=world.resolver, now=world.now)
        assert result.status is Status.PERMERROR
        assert "longer than 2000 octets" in result.reason


def test_a_header_that_is_a_little_too_long_is_cut_as_well(world: Any) -> None:
    """Found at the end of the very message, with no octet behind it."""
    signed = (
        world.signer().sign(b"From: joe@example.com\r\n\r\n") + b"From: joe@example.com\r\n\r\n"
    )
    size = len(signed) - 2
    assert world.result(signed, policy=Policy(max_header_octets=size)).passed
    for less in range(1, 6):
        result = world.result(signed, policy=Policy(max_header_octets=size - less))
        assert "longer than" in result.reason


def test_results_become_json(world: Any) -> None:
    import json

    result = world.result(world.signed(selector="rsa", expires_in=100))
    shown = json.loads(result.to_json())
    assert shown == result.to_dict()
    assert shown["status"] == "pass"
    assert shown["key_bits"] == 2048
    assert shown["expires"] == world.now + 100
    assert len(shown["b"]) == 12


def test_alignment_is_strict_relaxed_or_absent(world: Any) -> None:
    result = world.result(world.signed())
    assert result.aligned_with("Example.com.")
    assert not result.aligned_with("mail.example.com")
    assert result.aligned_with("mail.example.com", organizational_domain="example.com")
    assert not result.aligned_with("notexample.com", organizational_domain="example.com")
    failed = world.result(world.signed().replace(b"Hi", b"Ha"))
    assert not failed.aligned_with("example.com")


def test_the_submodules_of_the_interface_come_with_the_package() -> None:
    assert ZoneResolver is corvus_dkim.lookup.ZoneResolver
    code = "import corvus_dkim; corvus_dkim.arc.verify, corvus_dkim.lookup.Lookup"
    subprocess.run([sys.executable, "-c", code], check=True)

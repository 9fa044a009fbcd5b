"""ARC: chains that pass, chains that break, and what a seal covers."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from corvus_dkim import Answer, Policy, Signer, SigningError, arc
from corvus_dkim.arc import ChainResult, ChainStatus


@pytest.fixture
def ring(world: Any) -> Any:
    """A chain of any length: each hop verifies, perhaps changes, and seals."""

    def grow(hops: int, message: bytes | None = None, change: Any = None, **options: Any) -> bytes:
        grown: bytes = world.message if message is None else message
        for hop in range(hops):
            chain = arc.verify(grown, resolver=world.resolver, now=world.now)
            if change is not None and hop:
                grown = change(grown)
            results = ["spf=pass smtp.mailfrom=joe@example.com", f"arc={chain.status}"]
            signer = world.signer("rsa" if hop % 2 else "ed25519", **options)
            grown = (
                arc.seal(grown, signer, authserv_id=f"mx{hop + 1}.example", results=results) + grown
            )
        return grown

    return grow


def check(world: Any, message: bytes, **options: Any) -> ChainResult:
    return arc.verify(message, resolver=world.resolver, now=world.now, **options)


@pytest.mark.parametrize("hops", [1, 2, 3])
@pytest.mark.parametrize("form", [("relaxed", "relaxed"), ("simple", "simple")])
def test_a_chain_that_grows_hop_by_hop_passes(
    world: Any, ring: Any, hops: int, form: tuple[str, str]
) -> None:
    chain = check(world, ring(hops, canonicalization=form))
    assert chain.status is ChainStatus.PASS
    assert chain.reason == f"a chain of {hops}, sealed by example.com"
    assert chain.oldest_pass == 0
    assert [s.instance for s in chain.sets] == list(range(1, hops + 1))
    assert chain.sets[0].authentication_results == (
        "mx1.example; spf=pass smtp.mailfrom=joe@example.com; arc=none"
    )
    shown = json.loads(chain.to_json())
    assert shown["status"] == "pass"
    assert shown["sets"][0]["message_signature"]["status"] == "pass"


def test_no_chain_is_none(world: Any) -> None:
    assert check(world, world.message) == ChainResult(ChainStatus.NONE, "no chain")
    assert check(world, b"").status is ChainStatus.NONE


def test_the_fields_are_folded_and_in_the_right_order(ring: Any, world: Any) -> None:
    added = ring(1)[: -len(world.message)]
    assert re.findall(rb"^(ARC-[A-Za-z-]+): i=1;", added, re.M) == [
        b"ARC-Seal",
        b"ARC-Message-Signature",
        b"ARC-Authentication-Results",
    ]
    assert max(len(line) for line in added.split(b"\r\n")) <= 78
    assert b" cv=none;" in added
    assert b"x=" not in added


def test_a_change_on_the_way_breaks_older_signatures_and_not_the_chain(
    world: Any, ring: Any
) -> None:
    """RFC 8617 §5.2, step 5."""

    def add_prefix(message: bytes) -> bytes:
        return message.replace(b"Subject: Is", b"Subject: [list] Is") + b"footer\r\n"

    chain = check(world, ring(3, change=add_prefix))
    assert chain.status is ChainStatus.PASS
    assert chain.oldest_pass == 3
    assert [s.message_signature.passed for s in chain.sets] == [False, False, True]


def test_a_change_behind_the_last_seal_fails(world: Any, ring: Any) -> None:
    message = ring(2)
    for changed in (message + b"x\r\n", message.replace(b"Subject: Is", b"Subject: is")):
        chain = check(world, changed)
        assert chain.status is ChainStatus.FAIL
        assert chain.reason.startswith("ARC-Message-Signature 2: ")
        assert len(chain.sets) == 2


def test_a_change_in_an_older_set_breaks_the_seals(world: Any, ring: Any) -> None:
    message = ring(3)
    at = message.index(b"ARC-Authentication-Results: i=1;")
    changed = message[:at] + message[at:].replace(b"spf=pass", b"spf=fail", 1)
    chain = check(world, changed)
    assert chain.status is ChainStatus.FAIL
    assert chain.reason == "ARC-Seal 3: signature did not verify"


def edited(name: bytes, instance: int, old: bytes, new: bytes) -> Any:
    def change(message: bytes) -> bytes:
        at = message.index(b"%s: i=%d;" % (name, instance))
        assert old in message[at:]
        return message[:at] + message[at:].replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("name", "instance", "old", "new", "words"),
    [
        (b"ARC-Seal", 2, b"i=2;", b"i=3;", "not complete"),
        (b"ARC-Seal", 2, b"i=2;", b"i=1;", "occurs twice"),
        (b"ARC-Seal", 2, b"i=2;", b"i=51;", "from 1 to 50"),
        (b"ARC-Seal", 2, b"i=2;", b"i=0;", "from 1 to 50"),
        (b"ARC-Seal", 2, b"i=2;", b"i=x;", "from 1 to 50"),
        (b"ARC-Seal", 2, b"i=2;", b"", "from 1 to 50"),
        (b"ARC-Seal", 2, b"i=2;", b"i=2; i=2;", "syntax error"),
        (b"ARC-Seal", 2, b"cv=pass", b"cv=fail", "marked as failed by set 2"),
        (b"ARC-Seal", 2, b"cv=pass", b"cv=none", "cv= is not"),
        (b"ARC-Seal", 1, b"cv=none", b"cv=pass", "cv= is not"),
        (b"ARC-Seal", 1, b"cv=none", b"cv=fail", "cv= is not"),
        (b"ARC-Seal", 2, b" cv=pass;", b"", "no cv= tag"),
        (b"ARC-Seal", 2, b" d=example.com;", b"", "no d= tag"),
        (b"ARC-Seal", 2, b" cv=pass;", b" cv=pass; h=from;", "an h= tag"),
        (b"ARC-Seal", 2, b"a=rsa-sha256", b"a=rsa-sha1", "RFC 8301"),
        (b"ARC-Seal", 2, b"t=1", b"t=x", "t= is not a number"),
        (b"ARC-Seal", 2, b"d=example.com", b"d=com", "d= is not a domain"),
        (b"ARC-Seal", 2, b"s=rsa", b"s=gone", "ARC-Seal 2: no key for signature"),
        (b"ARC-Seal", 2, b"s=rsa", b"s=ed25519", "inappropriate key algorithm"),
        (b"ARC-Seal", 1, b"t=1", b"t=2", "ARC-Seal 2: signature did not verify"),
        (b"ARC-Message-Signature", 2, b"h=From", b"h=ARC-Seal : From", "lists an ARC field"),
        (b"ARC-Message-Signature", 2, b" bh=", b" bx=", "required tag bh="),
        (b"ARC-Message-Signature", 1, b"a=ed25519", b"a=ed448", "unknown algorithm"),
        (b"ARC-Authentication-Results", 1, b"i=1;", b"", "from 1 to 50"),
        (b"ARC-Authentication-Results", 2, b"i=2;", b"i=1;", "occurs twice"),
    ],
)
def test_broken_chains_fail_for_a_reason(
    world: Any, ring: Any, name: bytes, instance: int, old: bytes, new: bytes, words: str
) -> None:
    chain = check(world, edited(name, instance, old, new)(ring(2)))
    assert chain.status is ChainStatus.FAIL
    assert words in chain.reason
    assert chain.reason.isascii()


def test_a_long_chain_asks_for_few_message_signatures(world: Any, ring: Any) -> None:
    message = ring(4)
    chain = check(world, message, policy=Policy(max_signatures=2))
    assert (chain.status, chain.oldest_pass) == ("pass", 3)
    assert [str(s.message_signature.status) for s in chain.sets] == ["policy"] * 2 + ["pass"] * 2


def test_a_long_header_fails(world: Any, ring: Any) -> None:
    chain = check(world, ring(1), policy=Policy(max_header_octets=100))
    assert (chain.status, chain.reason) == ("fail", "the header is longer than 100 octets")


def test_a_missing_field_breaks_the_structure(world: Any, ring: Any) -> None:
    message = ring(1)
    for name in (b"ARC-Seal:", b"ARC-Message-Signature:", b"ARC-Authentication-Results:"):
        chain = check(world, message.replace(name, b"X" + name))
        assert (chain.status, chain.reason) == ("fail", "the sets are not complete from 1 on")


def test_fifty_sets_are_the_limit(world: Any) -> None:
    fields = b"".join(b"ARC-Seal: i=%d; cv=pass\r\n" % n for n in range(1, 52))
    assert check(world, fields + world.message).reason == "more than 50 sets"
    broken = b"".join(b"ARC-Seal: i=%d; cv=pass\r\n" % n for n in range(1, 51))
    with pytest.raises(SigningError, match="50 sets"):
        arc.seal(broken + world.message, world.signer(), authserv_id="mx", results="none")


@pytest.mark.parametrize("status", ["timeout", "servfail", "nxdomain"])
def test_trouble_in_dns_is_permanent_here(world: Any, ring: Any, status: str) -> None:
    """RFC 8617 §5.2.1."""
    message = ring(1)
    world.zone[world.name("ed25519")] = {"TXT": status}
    assert check(world, message).status is ChainStatus.FAIL


def test_all_keys_are_asked_for_at_once(world: Any, ring: Any) -> None:
    evaluation = arc.evaluate(ring(3), now=world.now)
    asked = next(evaluation)
    assert [q.name for q in asked] == [world.name("ed25519"), world.name("rsa")]
    with pytest.raises(StopIteration) as stop:
        evaluation.send((Answer("timeout"), Answer("timeout")))
    assert stop.value.value.status is ChainStatus.FAIL


def test_a_coroutine_verifies_too(world: Any, ring: Any) -> None:
    message = ring(1)
    chain = asyncio.run(arc.averify(message, resolver=world.resolver, now=world.now))
    assert chain.status is ChainStatus.PASS
    assert asyncio.run(arc.averify(message, resolver=world.resolver)).status == "pass"
    assert arc.verify(message, resolver=world.resolver).status == "pass"


def test_seals_obey_the_policy_for_keys(world: Any, ring: Any) -> None:
    message = ring(2)
    long = Policy(minimum_rsa_bits=4096, maximum_rsa_bits=8192)
    assert "2048 bits is too short" in check(world, message, policy=long).reason
    at = message.index(b"ARC-Seal: i=1")
    only_seal = message[:at] + message[at:]
    world.publish("rsa", "junk", "v=DKIM1; k=rsa; p=")
    assert "key revoked" in check(world, only_seal, policy=Policy()).reason


def test_a_seal_tries_all_records_of_its_key(world: Any, ring: Any) -> None:
    import corvus_dkim

    message = ring(1)
    good = corvus_dkim.key_record(world.keys["ed25519"])
    other = corvus_dkim.key_record(corvus_dkim.generate_key("ed25519"))
    world.publish("ed25519", "junk", "v=DKIM1; k=rsa; p=", other, good)
    assert check(world, message).status is ChainStatus.PASS
    (sealed,) = arc._collect(corvus_dkim.header.Header(message.partition(b"\r\n\r\n")[0]))
    for records, words in (
        ((b"junk",), "syntax"),
        ((other.encode(),), "did not verify"),
        ((b"v=DKIM1; p=", b"junk"), "key revoked"),
        (
            (corvus_dkim.key_record(world.keys["rsa"]).encode(),),
            "inappropriate key algorithm",
        ),
    ):
        found = arc._seal_failure(sealed.sealed, b"\0" * 32, Answer("ok", records), Policy())
        assert words in found
    short = Policy(minimum_rsa_bits=4096)
    rsa = arc._Seal(sealed.sealed.tags, "a.example", "s", "rsa-sha256", b"none", b"x")
    record = corvus_dkim.key_record(world.keys["rsa"]).encode()
    assert "too short" in arc._seal_failure(rsa, b"\0" * 32, Answer("ok", (record,)), short)


def test_a_chain_that_fails_is_marked_and_then_ends(world: Any, ring: Any) -> None:
    """RFC 8617 §5.1.2: our seal covers our own set alone, and nobody seals behind it."""
    broken = ring(2) + b"changed\r\n"
    chain = check(world, broken)
    signer = world.signer()
    added = arc.seal(broken, signer, authserv_id="mx3.example", results="dkim=none", chain=chain)
    assert b"ARC-Seal: i=3; a=ed25519-sha256; cv=fail;" in added
    assert check(world, added + broken).reason == "marked as failed by set 3"
    assert arc.seal(added + broken, signer, authserv_id="mx4", results="none") == b""


def test_a_malformed_chain_is_marked_without_being_asked(world: Any, ring: Any) -> None:
    broken = ring(2).replace(b"ARC-Seal: i=1;", b"ARC-Seal: i=7;")
    broken = b"ARC-Seal: junk\r\nARC-Seal: i=99; cv=pass\r\n" + broken
    added = arc.seal(broken, world.signer(), authserv_id="mx", results="arc=pass")
    assert added.startswith(b"ARC-Seal: i=8;")
    assert b" cv=fail;" in added


def test_sealing_a_chain_needs_to_know_what_it_was_worth(world: Any, ring: Any) -> None:
    message = ring(1)
    with pytest.raises(SigningError, match="chain="):
        arc.seal(message, world.signer(), authserv_id="mx", results="spf=pass")
    with pytest.raises(SigningError, match="had none"):
        arc.seal(message, world.signer(), authserv_id="mx", results="arc=none")
    with pytest.raises(SigningError, match="chain="):
        arc.seal(message, world.signer(), authserv_id="mx", results="x-arc=pass")


def test_what_must_not_be_sealed_is_refused(world: Any) -> None:
    for message, words in (
        (b"Subject: x\r\n\r\n", "0 From"),
        (b"From: a\r\nFrom: b\r\n\r\n", "2 From"),
        (b"From: a\r\n\r\nx\n", "bare"),
    ):
        with pytest.raises(SigningError, match=words):
            arc.seal(message, world.signer(), authserv_id="mx", results="none")
    local = b"From: a\n\nx\n"
    fields = arc.seal(local, world.signer(normalise=True), authserv_id="mx", results="none")
    assert check(world, fields + local.replace(b"\n", b"\r\n")).status == "pass"
    lenient = Policy(normalise_line_ends=True)
    assert check(world, fields.replace(b"\r\n", b"\n") + local, policy=lenient).status == "pass"


@pytest.mark.parametrize(
    ("authserv_id", "results"),
    [
        ("", "none"),
        ("a b", "none"),
        ("mx;x", "none"),
        ("mx\r\nX: y", "none"),
        ("mx", "spf=pass\r\nX: y"),
        ("mx", "spf=pass\nX: y"),
        ("mx", ["spf=pass", "\0"]),
        ("mx", "\x7f"),
    ],
)
def test_nothing_breaks_out_of_the_results(world: Any, authserv_id: str, results: Any) -> None:
    with pytest.raises(ValueError, match=r"authserv-id|control"):
        arc.seal(world.message, world.signer(), authserv_id=authserv_id, results=results)


def test_empty_results_are_none_and_utf8_is_kept(world: Any) -> None:
    signer = world.signer()
    fields = arc.seal(world.message, signer, authserv_id="mx", results=[])
    assert b"ARC-Authentication-Results: i=1; mx; none\r\n" in fields
    fields = arc.seal(world.message, signer, authserv_id="mx", results="dkim=pass (für dich)")
    found = check(world, fields + world.message)
    assert found.status == "pass"
    assert found.sets[0].authentication_results == "mx; dkim=pass (für dich)"


def test_earlier_dkim_signatures_are_covered_and_results_are_not(world: Any) -> None:
    signed = b"Authentication-Results: mx; none\r\n" + world.signed()
    headers = ["From", "Authentication-Results", "ARC-Seal", "DKIM-Signature"]
    for options in ({}, {"headers": headers, "oversign": False}):
        signer: Signer = world.signer("ed25519", **options)
        fields = arc.seal(signed, signer, authserv_id="mx", results="none")
        listed = re.sub(rb"\s", b"", fields.partition(b"h=")[2].partition(b";")[0]).lower()
        assert listed.split(b":").count(b"dkim-signature") == 1
        assert b"authentication-results" not in listed
        assert b"arc-" not in listed
        chain = check(world, fields + signed)
        assert chain.status == "pass"
        without = (fields + signed).replace(b"DKIM-Signature: v=1", b"DKIM-Signature: v=2")
        assert check(world, without).status == "fail"


def test_headers_that_are_wrong_for_dkim_are_wrong_here(world: Any, ring: Any) -> None:
    message = ring(1)
    assert "2 From fields" in check(world, b"From: x\r\n" + message).reason
    assert "bare LF" in check(world, message.replace(b"\r\n", b"\n")).reason


def test_a_header_alone_can_be_sealed(world: Any) -> None:
    fields = arc.seal(b"From: a", world.signer(), authserv_id="mx", results="none")
    assert check(world, fields + b"From: a").status == "pass"

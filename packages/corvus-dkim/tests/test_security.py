"""Attacks: rows 14 to 18 of the project's security checklist, and what other libraries let through.

Each test is named after the input.  The defects of others were seen in dkimpy 1.1.8.
"""

from __future__ import annotations

import base64
import time
import tracemalloc
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import padding

import corvus_dkim
from corvus_dkim import Policy, SigningError, Status, Verifier, ZoneResolver, taglist
from corvus_dkim.canonical import BODY
from corvus_dkim.errors import DKIMError
from corvus_dkim.header import Header
from corvus_dkim.record import KeyRecord


def seconds(work: Callable[[bytes], object], data: bytes) -> float:
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        work(data)
        best = min(best, time.process_time() - began)
    return best


def tolerant(parser: Callable[[bytes], object]) -> Callable[[bytes], object]:
    def work(data: bytes) -> object:
        try:
            return parser(data)
        except DKIMError:
            return None

    return work


def body_of(form: str) -> Callable[[bytes], object]:
    def work(data: bytes) -> None:
        body = BODY[form](lambda _: None)
        body.update(data)
        body.finish()

    return work


def whole_message(data: bytes) -> object:
    return corvus_dkim.verify(data, resolver=ZoneResolver({}), now=0)


REPEATED = [
    b" ", b"\t", b" \t", b"\r\n", b" \r\n", b"\r", b"\n", b"\r\r\n", b"a  ", b";", b"=", b"a=b;",
    b"=20", b":", b"from:", b"A", b"A: b\r\n", b"\r\n ", b".", b"DKIM-Signature: v=1\r\n",
]  # fmt: skip

PARSERS = {
    "relaxed body": body_of("relaxed"),
    "simple body": body_of("simple"),
    "tag list": tolerant(taglist.parse),
    "key record": tolerant(lambda data: KeyRecord.parse(data[: 16 * 1024])),
    "quoted-printable": tolerant(taglist.quoted_printable_value),
    "base64": tolerant(taglist.base64_value),
    "signature": tolerant(corvus_dkim.signature.parse),
    "header": Header,
    "message": whole_message,
    "normalise": corvus_dkim.normalise,
}


@pytest.mark.parametrize("name", list(PARSERS))
def test_row_14_every_parser_is_linear_in_whatever_is_repeated(name: str) -> None:
    """dkimpy spends 8 s on 100 KB of blanks.  The floor keeps the clock's noise out."""
    work = PARSERS[name]
    for piece in REPEATED:
        small = piece * (50_000 // len(piece))
        large = piece * (200_000 // len(piece))
        budget = max(10 * seconds(work, small), 0.1)
        assert seconds(work, large) <= budget, (name, piece)


def test_row_14_blanks_in_a_signed_body_cost_nothing(world: Any) -> None:
    message = world.message + b" " * 1_000_000 + b"\r\n" + b"\t" * 1_000_000
    signed = world.signed(message)
    began = time.process_time()
    assert world.result(signed).passed
    assert time.process_time() - began < 1


def test_row_15_text_appended_behind_l_is_refused_and_counted(world: Any) -> None:
    """dkimpy says True, silently."""
    body = world.message.partition(b"\r\n\r\n")[2]
    header = world.message[: -len(body)]
    message = header + body.rstrip(b"\r\n") + b"\r\n"
    simple = {"canonicalization": ("simple", "simple")}
    length = len(message) - len(header)

    def with_length(field: bytes) -> bytes:
        return field.replace(b" q=dns/txt;", b" l=%d; q=dns/txt;" % length)

    signed = world.resigned(with_length, message, **simple)
    whole = world.result(signed)
    assert (whole.status, whole.unsigned_octets) == (Status.POLICY, 0)
    assert whole.reason == "l= lets anybody append to the body"
    phishing = b"--x\r\nContent-Type: text/html\r\n\r\n<h1>Pay here</h1>\r\n"
    appended = world.result(signed + phishing)
    assert appended.status is Status.POLICY
    assert appended.unsigned_octets == len(phishing)
    assert appended.reason == f"l= leaves {len(phishing)} octets of the body unsigned"
    assert not appended.aligned_with("example.com")
    lenient = Policy(accept_body_length=True)
    accepted = world.result(signed + phishing, policy=lenient)
    assert accepted.status is Status.PASS
    assert accepted.unsigned_octets == len(phishing)
    assert not accepted.aligned_with("example.com"), "unsigned octets never align"
    assert world.result(signed, policy=lenient).aligned_with("example.com")


@pytest.mark.parametrize("length", [b"10000", b"9" * 76])
def test_row_15_l_beyond_the_body_fails(world: Any, length: bytes) -> None:
    signed = world.resigned(lambda f: f.replace(b" q=dns/txt;", b" l=" + length + b"; q=dns/txt;"))
    result = world.result(signed)
    assert result.status is Status.FAIL
    assert result.reason.startswith("l= covers")
    assert len(result.reason) < 80


def test_row_15_l_zero_signs_no_body_at_all(world: Any) -> None:
    empty = base64.b64encode(sha256(b"").digest())

    def change(field: bytes) -> bytes:
        head, _, rest = field.partition(b"bh=")
        return head.replace(b" q=dns/txt;", b" l=0; q=dns/txt;") + b"bh=" + empty + rest[44:]

    signed = world.resigned(change)
    for message in (signed, signed + b"anything\r\n"):
        assert world.result(message).status is Status.POLICY
        assert world.result(message).unsigned_octets > 0


def test_row_15_l_is_never_written(world: Any) -> None:
    assert b" l=" not in world.signed()


@pytest.mark.parametrize(
    "field",
    [
        b"From: evil@example.net", b"Subject: You have won", b"To: others@example.net",
        b"Cc: others@example.net", b"Reply-To: evil@example.net", b"Date: now",
        b"Message-ID: <2@example.net>", b"Content-Type: text/html", b"MIME-Version: 1.0",
        b"Content-Transfer-Encoding: base64", b"subject : x", b"SUBJECT:\r\n x",
    ],
)  # fmt: skip
def test_row_16_no_second_field_can_be_added_above_or_below(world: Any, field: bytes) -> None:
    """dkimpy over-signs From alone."""
    signed = world.signed()
    header, _, body = signed.partition(b"\r\n\r\n")
    assert not world.result(field + b"\r\n" + signed).passed
    assert not world.result(header + b"\r\n" + field + b"\r\n\r\n" + body).passed


def test_row_16_a_second_from_fails_even_where_the_signer_forgot_it(world: Any) -> None:
    once = world.signed(headers=["From", "Subject"], oversign=False)
    assert world.result(once).passed
    for attack in (b"From: evil@example.net\r\n", b"from :\r\n evil@example.net\r\n"):
        result = world.result(attack + once)
        assert result.status is Status.PERMERROR
        assert "2 From fields" in result.reason


def test_row_16_a_message_with_two_from_fields_is_not_signed(world: Any) -> None:
    with pytest.raises(SigningError, match="2 From fields"):
        world.signer().sign(b"From : evil@example.net\r\n" + world.message)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\x0b", b"\x0c", b"\x85", b"\xe2\x80\xa8", b"\0"])
def test_row_16_a_field_cannot_hide_behind_something_like_a_line_end(
    world: Any, end: bytes
) -> None:
    """A bare LF is a line end for many readers, so nothing with one is accepted."""
    signed = world.signed()
    attack = b"X-A: a" + end + b"From: evil@example.net\r\n" + signed
    result = world.result(attack)
    assert result.passed is (end != b"\n")
    field = world.signer().sign
    if end in b"\r\n":
        with pytest.raises(SigningError, match="bare"):
            field(b"X-A: a" + end + b"b\r\n" + world.message)


def test_row_17_rsa_sha1_is_a_permerror(world: Any, rsa_key: Any) -> None:
    """dkimpy says True."""
    signed = world.signed(selector="rsa").replace(b"a=rsa-sha256", b"a=rsa-sha1")
    result = world.result(signed)
    assert result.status is Status.PERMERROR
    assert "RFC 8301" in result.reason
    inner = rsa_key._key
    assert inner.sign(b"x", padding.PKCS1v15(), hashes.SHA1()), "it could be made, and is refused"


def public_record(modulus: int, exponent: int = 65537) -> bytes:
    """A key record for an RSA key that is a number of the right size and nothing else."""

    def der(tag: int, content: bytes) -> bytes:
        size = len(content)
        if size < 128:
            return bytes([tag, size]) + content
        digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
        return bytes([tag, 0x80 | len(digits)]) + digits + content

    def number(n: int) -> bytes:
        return der(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))

    octets = der(0x30, number(modulus) + number(exponent))
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(octets)


@pytest.mark.parametrize(
    ("bits", "words"),
    [(512, "512 bits must not"), (1023, "1023 bits must not"), (16384, "16384 bits is too long")],
)
def test_row_17_rsa_keys_of_the_wrong_size_are_permerrors(
    world: Any, bits: int, words: str
) -> None:
    signed = world.signed(selector="rsa")
    world.publish("rsa", public_record((1 << (bits - 1)) | 12345))
    result = world.result(signed)
    assert result.status is Status.PERMERROR
    assert words in result.reason
    assert result.key_bits == bits


def test_row_17_an_rsa_exponent_that_is_none_is_a_permerror(world: Any) -> None:
    signed = world.signed(selector="rsa")
    for exponent in (0, 1, 2, 4, 65536, (1 << 64) + 1, (1 << 2040) + 1):
        world.publish("rsa", public_record((1 << 2047) | 1, exponent))
        assert world.result(signed).status is Status.PERMERROR


@pytest.mark.parametrize(
    ("tags", "status", "words"),
    [
        ("h=sha1;", "permerror", "inappropriate hash algorithm"),
        ("h=sha512 : sha1;", "permerror", "inappropriate hash algorithm"),
        ("h=;", "permerror", "inappropriate hash algorithm"),
        ("h=sha1:sha256;", "pass", ""),
        ("s=other;", "permerror", "not for email"),
        ("s=;", "permerror", "not for email"),
        ("s=other:email;", "pass", ""),
        ("s=*;", "pass", ""),
        ("t=s;", "pass", ""),
        ("t=y;", "pass", ""),
        ("g=nobody;", "pass", ""),
        ("x=y; zz=;", "pass", ""),
    ],
)
def test_row_17_the_tags_of_the_key_count(world: Any, tags: str, status: str, words: str) -> None:
    """dkimpy ignores h= and t=s."""
    signed = world.signed()
    record = corvus_dkim.key_record(world.keys["ed25519"])
    world.publish("ed25519", record.replace("k=", f"{tags} k=", 1))
    result = world.result(signed)
    assert result.status == status
    assert words in result.reason
    assert result.testing is ("y" in tags and "t=" in tags)


def test_row_17_a_strict_key_signs_for_no_subdomain(world: Any) -> None:
    """t=s, which dkimpy ignores."""
    below = world.signed(identity="joe@mail.example.com")
    same = world.signed(identity="joe@Example.com")
    assert world.result(below).passed
    world.publish("ed25519", corvus_dkim.key_record(world.keys["ed25519"], strict=True))
    assert world.result(same).passed
    result = world.result(below)
    assert result.status is Status.FAIL
    assert "t=s" in result.reason


def test_row_17_a_failure_under_a_testing_key_is_neutral(world: Any) -> None:
    signed = world.signed()
    world.publish("ed25519", corvus_dkim.key_record(world.keys["ed25519"], testing=True))
    good = world.result(signed)
    assert (good.status, good.testing) == (Status.PASS, True)
    bad = world.result(signed.replace(b"Hi.", b"Ha."))
    assert (bad.status, bad.testing) == (Status.NEUTRAL, True)
    assert bad.reason == "body hash did not verify; the key is being tested (t=y)"


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("v=DKIM1; k=ed25519; p=", "key revoked"),
        ("v=DKIM1; p=", "key revoked"),
        ("v=DKIM1; k=rsa; p=AAAA", "not an RSA key"),
        ("v=DKIM2; p=", "not a DKIM1 record"),
        ("k=ed25519; v=DKIM1; p=", "not the first"),
        ("v=DKIM1; k=dilithium; p=AAAA", "inappropriate key algorithm"),
        ("v=DKIM1; k=ed25519; p=" + base64.b64encode(b"x" * 31).decode(), "32 octets, not 31"),
        ("v=DKIM1; k=ed25519; p=" + base64.b64encode(b"x" * 33).decode(), "32 octets, not 33"),
        ("v=DKIM1; k=ed25519; p=AAAA; p=AAAA", "twice"),
    ],
)
def test_row_17_keys_that_cannot_be_used_are_permerrors(
    world: Any, record: str, words: str
) -> None:
    signed = world.signed()
    world.publish("ed25519", record)
    result = world.result(signed)
    assert result.status is Status.PERMERROR
    assert words in result.reason


def test_row_17_the_kind_of_key_has_to_fit_the_algorithm(world: Any) -> None:
    signed = world.signed(selector="rsa")
    world.publish("rsa", corvus_dkim.key_record(world.keys["ed25519"]))
    assert "inappropriate key algorithm" in world.result(signed).reason
    signed = world.signed()
    world.publish("ed25519", corvus_dkim.key_record(world.keys["rsa"]))
    assert "inappropriate key algorithm" in world.result(signed).reason


def test_row_17_two_records_and_records_in_three_strings(world: Any) -> None:
    record = corvus_dkim.key_record(world.keys["rsa"])
    parts = [record[:100], record[100:300], record[300:]]
    signed = world.signed(selector="rsa")
    world.zone[world.name("rsa")] = {"TXT": [corvus_dkim.key_record(world.keys["ed25519"]), parts]}
    assert world.result(signed).passed


@pytest.mark.parametrize("form", [pem.PublicFormat.PKCS1, pem.PublicFormat.SubjectPublicKeyInfo])
def test_row_17_both_forms_of_rsa_keys_verify(world: Any, form: pem.PublicFormat) -> None:
    octets = world.keys["rsa"].public_key().public_bytes(pem.Encoding.DER, form)
    world.publish("rsa", b"p=" + base64.b64encode(octets))
    assert world.result(world.signed(selector="rsa")).passed


@pytest.mark.parametrize("selector", ["rsa", "ed25519"])
@pytest.mark.parametrize("size", [1, 31, 63, 64, 65, 255, 256, 257, 2000, 20_000])
def test_row_17_signatures_of_any_length_fail_and_never_raise(
    world: Any, selector: str, size: int
) -> None:
    field = world.signer(selector).sign(world.message)
    head = field[: field.rindex(b" b=") + 3]
    for octet in (b"\x00", b"\xff"):
        forged = head + base64.b64encode(octet * size) + b"\r\n" + world.message
        assert world.result(forged).status is Status.FAIL


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b" q=dns/txt;", b" q=dns/txt; q=dns/txt;", "q occurs twice"),
        (b" d=example.com;", b"", "required tag d="),
        (b" b=", b" b=@", "b= is not base64"),
        (b" v=1;", b" v=1;;", "without ="),
        (b" s=", b" s =\r\n ", "did not verify"),
        (b" d=example.com", b" d=exa\r\n mple.com", "d= is not a domain"),
        (b" a=ed25519-sha256", b" a=ed25519 -sha256", "unknown algorithm"),
        (b" bh=", b" bh= \t", "did not verify"),
        (b" x=", b" x=1; xx=", "x= is not later"),
        (b" v=1", b" v= 1", "did not verify"),
        (b" v=1", b" \x00v=1", "character"),
    ],
)
def test_row_17_malformed_signature_fields_are_verdicts(
    world: Any, old: bytes, new: bytes, words: str
) -> None:
    signed = world.signed(canonicalization=("simple", "simple"))
    assert old in signed
    result = world.result(signed.replace(old, new, 1))
    assert result.status is not Status.PASS
    assert words in result.reason


def test_row_17_whitespace_where_the_grammar_allows_it_is_no_harm(world: Any) -> None:
    """Relaxed canonicalization keeps one blank, so the field is signed with it in place."""

    def change(field: bytes) -> bytes:
        return (
            field.replace(b" v=1;", b" \t v \r\n\t=\r\n 1 ;")
            .replace(b" d=", b"\r\n d\t=  ")
            .replace(b" bh=", b" bh = \r\n ")
        )

    assert world.result(world.resigned(change)).passed


def test_row_17_many_signatures_cost_ten_lookups(world: Any) -> None:
    fields = [
        world.signer().sign(world.message).replace(b"s=ed25519", b"s=s%d" % number)
        for number in range(1000)
    ]
    junk = b"DKIM-Signature: v=1; a=b\r\n" * 500
    message = junk + b"".join(fields[:5]) + world.signed() + b""
    message = message[: -len(world.message)] + b"".join(fields[5:]) + world.message
    evaluation = corvus_dkim.evaluate(message, now=world.now)
    asked = next(evaluation)
    assert len(asked) == 10
    with pytest.raises(StopIteration) as stop:
        evaluation.send(tuple(world.resolver.resolve(q.name, q.rdtype) for q in asked))
    results = stop.value.value
    assert len(results) == 1501
    assert results[505].passed, "malformed fields in front push nobody out"
    beyond = results[-1]
    assert beyond.status is Status.POLICY
    assert beyond.reason == "not evaluated: more than 10 signatures"
    assert beyond.domain == "example.com"


def test_row_17_a_header_line_without_a_colon_spoils_nothing(world: Any) -> None:
    """dkimpy raises for the whole message."""
    signed = world.signed()
    cut = signed.index(b"To: ")
    for junk in (b"no colon here\r\n", b">From mailbox\r\n more\r\n", b"\x00\xff\r\n"):
        assert world.result(signed[:cut] + junk + signed[cut:]).passed
    assert world.result(b"From mailbox Tue Nov 14\r\n" + signed).passed
    assert world.result(b" leading fold\r\n" + signed).passed


def test_row_17_times_that_cannot_be_are_refused(world: Any) -> None:
    for wrong in (b" x=9; z=From:", b" x=1700000000; z=From:"):
        result = world.result(world.signed().replace(b" x=", wrong, 1))
        assert (result.status, result.reason) == (Status.PERMERROR, "x= is not later than t=")
    future = world.signed(timestamp=world.now + 10**6)
    assert world.result(future).status is Status.POLICY


def test_row_17_an_identity_outside_the_domain_is_a_permerror(world: Any) -> None:
    """And cannot be signed: dkimpy takes x@notexample.com for example.com."""
    signed = world.signed(identity="joe@example.com")
    for wrong in (b"joe@notexample.com", b"joe@com", b"joe@example.com.evil.example"):
        result = world.result(signed.replace(b"i=joe@example.com", b"i=" + wrong))
        assert result.status is Status.PERMERROR
    with pytest.raises(ValueError, match="not within"):
        world.signer(identity="x@notexample.com")


def test_row_18_signatures_expire_within_a_week_and_bind_their_recipients(world: Any) -> None:
    signed = world.signed()
    assert world.result(signed, now=world.now + 7 * 86400).passed
    assert not world.result(signed, now=world.now + 7 * 86400 + 301).passed
    for field in (b"To: victim@example.net\r\n", b"Cc: victim@example.net\r\n"):
        assert not world.result(field + signed).passed


def test_row_18_a_replayed_signature_can_be_counted(world: Any) -> None:
    signed = world.signed()
    one, two = world.result(signed), world.result(b"Received: x\r\n" + signed)
    key = (one.domain, one.selector, one.signature)
    assert key == (two.domain, two.selector, two.signature)
    assert len(one.signature) == 64


def test_dns_trouble_is_not_a_bad_signature(world: Any) -> None:
    """dkimpy says False to all of them."""
    signed = world.signed()
    seen = []
    for answer in ("timeout", "servfail", "nxdomain", "nodata"):
        world.zone[world.name("ed25519")] = {"TXT": answer}
        seen.append(str(world.result(signed).status))
    assert seen == ["temperror", "temperror", "permerror", "permerror"]


def test_the_whole_message_with_lf_is_not_what_was_signed(world: Any) -> None:
    """dkimpy normalises, and says True."""
    local = world.signed().replace(b"\r\n", b"\n")
    assert world.result(local).status is Status.FAIL
    assert world.result(local, policy=Policy(normalise_line_ends=True)).passed
    header, _, body = world.signed().partition(b"\r\n\r\n")
    half = header + b"\r\n\r\n" + body.replace(b"\r\n", b"\n")
    assert world.result(half).reason == "body hash did not verify"


def test_reasons_are_safe_to_put_into_a_header_field(world: Any) -> None:
    """mail-auth 0.9.1 let text out of signatures into Authentication-Results."""
    evil = b'x"\xff; dkim=pass (\\'
    for tag in b"v a b bh c d h i l q s t x z".split():
        signed = world.signed()
        field = signed.replace(b" " + tag + b"=", b" " + tag + b"=" + evil, 1)
        for result in world.results(field):
            assert result.reason.isascii()
            assert result.reason.isprintable()
            assert '"' not in result.reason
            for value in (result.domain, result.selector, result.algorithm):
                assert value.isascii()
                assert not set(value) & set(' "();\\\r\n')


def test_memory_stays_flat_while_a_large_message_streams(world: Any) -> None:
    chunk = b"A line of text, seventy-two characters wide, as mail programs send it..\r\n" * 700
    header = world.message.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    stream = world.signer().stream()
    verifier = Verifier()
    tracemalloc.start()
    try:
        stream.update(header)
        for _ in range(100):
            stream.update(chunk)
        field = stream.finish()
        verifier.update(field + header)
        for _ in range(100):
            verifier.update(chunk)
        (result,) = verifier.verify(resolver=world.resolver, now=world.now)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.passed
    assert peak < 1024 * 1024, f"{peak} octets for a message of {100 * len(chunk)}"


def test_a_body_of_line_ends_only_is_not_kept(world: Any) -> None:
    verifier = Verifier()
    verifier.update(world.signed())
    tracemalloc.start()
    try:
        for _ in range(100):
            verifier.update(b"\r\n" * 10_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert verifier.verify(resolver=world.resolver, now=world.now)[0].passed
    assert peak < 256 * 1024

"""Properties over generated input: robustness; what things mean stands in the other tests."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import corvus_dkim
from corvus_dkim import (
    KeyRecord,
    Policy,
    Signer,
    SigningError,
    Verifier,
    ZoneResolver,
    arc,
    taglist,
)
from corvus_dkim.canonical import BODY, relaxed_header
from corvus_dkim.errors import DKIMError, RecordError, TagListError
from corvus_dkim.header import Header
from corvus_dkim.result import Status
from corvus_testing.properties import cut
from corvus_testing.strategies import cuts, hostile_octets

pytestmark = pytest.mark.property

KEY = corvus_dkim.PrivateKey.load(bytes(range(32)))
ZONE = ZoneResolver({"s._domainkey.example.com": {"TXT": [corvus_dkim.key_record(KEY)]}})
NOW = 1_700_000_000

forms = st.sampled_from(["simple", "relaxed"])

bodies = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b" ", b"\t", b"  ", b"a", b".", b"\xff", b" \r\n"])
    | st.binary(max_size=5),
    max_size=30,
).map(b"".join)

field_names = st.sampled_from([b"From", b"Subject", b"X-A", b"DKIM-Signature", b"to", b"x"])
field_values = st.lists(
    st.sampled_from([b" ", b"\t", b"\r\n ", b"a", b":", b";", b"=", b"\xc3\xa4", b"v=1", b"\x0b"]),
    max_size=8,
).map(b"".join)
headers = st.lists(
    st.builds(lambda n, v: n + b":" + v.rstrip(b"\r\n ") + b"\r\n", field_names, field_values),
    max_size=6,
).map(b"".join)

tags = st.sampled_from(b"v a b bh c d h i l q s t x z k p n cv".split())
tag_values = (
    st.sampled_from(
        [
            b"1", b"rsa-sha256", b"ed25519-sha256", b"example.com", b"s", b"from", b"from:to",
            b"relaxed/relaxed", b"@example.com", b"DKIM1", b"ed25519", b"none", b"pass", b"",
            b"99999999999999", b"dns/txt", b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        ]
    )
    | hostile_octets
)  # fmt: skip
tag_lists = st.lists(st.tuples(tags, tag_values), max_size=12).map(
    lambda pairs: b"; ".join(name + b"=" + value for name, value in pairs)
)


def canonical(form: str, chunks: list[bytes]) -> bytes:
    out: list[bytes] = []
    body = BODY[form](out.append)
    for chunk in chunks:
        body.update(chunk)
    body.finish()
    return b"".join(out)


@given(bodies, cuts, forms)
def test_the_canonical_body_does_not_depend_on_the_chunks(
    body: bytes, places: list[int], form: str
) -> None:
    """mailauth issue 115: a hash that depended on them."""
    assert canonical(form, cut(body, places)) == canonical(form, [body])


@given(bodies)
def test_canonical_bodies_are_what_the_rfc_says(body: bytes) -> None:
    """RFC 6376 §3.4.3 and §3.4.4, written down a second time, line by line."""
    lines = body.split(b"\r\n")
    while lines and not lines[-1]:
        lines.pop()
    assert canonical("simple", [body]) == b"\r\n".join([*lines, b""] if lines else [b"", b""])
    reduced = []
    for line in body.split(b"\r\n"):
        words = [w for w in line.replace(b"\t", b" ").split(b" ") if w]
        reduced.append((b" " if line[:1] in (b" ", b"\t") and words else b"") + b" ".join(words))
    while reduced and not reduced[-1]:
        reduced.pop()
    assert canonical("relaxed", [body]) == b"".join(line + b"\r\n" for line in reduced)


@given(bodies, forms)
def test_a_canonical_body_is_canonical(body: bytes, form: str) -> None:
    once = canonical(form, [body])
    assert canonical(form, [once]) == once


@given(headers)
def test_fields_canonicalized_together_are_those_canonicalized_alone(octets: bytes) -> None:
    header = Header(octets)
    for positions in (range(len(header.fields)), *([n] for n in range(len(header.fields)))):
        if any(header.fields[n][:1] in (b" ", b"\t") for n in positions):
            continue  # it has no name, and nobody can sign it
        alone = [relaxed_header(*header.fields[n].partition(b":")[::2]) for n in positions]
        assert header.canonical(positions, "relaxed") == b"".join(alone)


@given(headers, bodies, st.tuples(forms, forms), cuts)
def test_what_can_be_signed_verifies_in_any_chunks(
    header: bytes, body: bytes, form: tuple[str, str], places: list[int]
) -> None:
    message = header + b"\r\n" + body
    signer = Signer("example.com", "s", KEY, timestamp=NOW, canonicalization=form)
    stream = signer.stream()
    try:
        whole = signer.sign(message)
    except SigningError:
        whole = b""
    for chunk in cut(message, places):
        stream.update(chunk)
    try:
        assert stream.finish() == whole
    except SigningError:
        assert not whole
    if not whole:
        return
    verifier = Verifier()
    for chunk in cut(whole + message, places):
        verifier.update(chunk)
    results = verifier.verify(resolver=ZONE, now=NOW)
    assert results[0].status is Status.PASS, results[0].reason
    assert results == corvus_dkim.verify(whole + message, resolver=ZONE, now=NOW)


SIGNED = b"From: joe@example.com\r\nSubject: a\r\n b\r\nTo: x\r\n\r\nHi.\r\nJoe\r\n"
FIELD = Signer("example.com", "s", KEY, timestamp=NOW).sign(SIGNED)
SIMPLE = Signer("example.com", "s", KEY, timestamp=NOW, canonicalization=("simple", "simple")).sign(
    SIGNED
)


@given(st.data())
def test_any_change_of_a_signed_octet_fails(data: st.DataObject) -> None:
    message = SIMPLE + SIGNED
    place = data.draw(st.integers(0, len(message) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda c: c != message[place]))
    changed = message[:place] + bytes([octet]) + message[place + 1 :]
    results = corvus_dkim.verify(changed, resolver=ZONE, now=NOW)
    start = SIMPLE.rindex(b" b=") + 3
    if start <= place < len(SIMPLE) and all(r.passed for r in results):
        # Whitespace in the value of b= is no part of it, and base64 has one spelling.
        old, new = SIMPLE[start:], changed[start : len(SIMPLE)]
        assert base64.b64decode(old) == base64.b64decode(new)
        return
    assert not any(r.passed for r in results), (place, octet)


@given(st.data())
def test_any_octet_added_or_taken_fails_or_is_whitespace(data: st.DataObject) -> None:
    message = FIELD + SIGNED
    place = data.draw(st.integers(len(FIELD), len(message) - 1))
    if data.draw(st.booleans()):
        changed = message[:place] + message[place + 1 :]
        moved = message[place : place + 1]
    else:
        moved = bytes([data.draw(st.integers(0, 255))])
        changed = message[:place] + moved + message[place:]
    if any(r.passed for r in corvus_dkim.verify(changed, resolver=ZONE, now=NOW)):
        assert moved in (b" ", b"\t", b"\r", b"\n") or place == len(FIELD)


@given(hostile_octets, hostile_octets, cuts)
def test_nothing_a_sender_writes_makes_verifying_raise(
    header: bytes, body: bytes, places: list[int]
) -> None:
    message = header + b"\r\nDKIM-Signature:" + body + b"\r\nFrom: x\r\n\r\n" + body
    whole = corvus_dkim.verify(message, resolver=ZONE, now=NOW)
    verifier = Verifier()
    for chunk in cut(message, places):
        verifier.update(chunk)
    assert verifier.verify(resolver=ZONE, now=NOW) == whole
    arc.verify(message, resolver=ZONE, now=NOW)
    lenient = Policy(normalise_line_ends=True, max_header_octets=40)
    corvus_dkim.verify(message, resolver=ZONE, now=NOW, policy=lenient)


@given(tag_lists, hostile_octets)
def test_signature_fields_of_any_tags_are_verdicts(text: bytes, body: bytes) -> None:
    for name in (b"DKIM-Signature", b"ARC-Seal", b"ARC-Message-Signature"):
        message = name + b": " + text + b"\r\nFrom: x\r\n\r\n" + body
        for result in corvus_dkim.verify(message, resolver=ZONE, now=NOW):
            assert result.status is not Status.PASS
            assert result.reason.isascii()
            assert result.reason.isprintable()
            assert result.to_json()
        assert arc.verify(message, resolver=ZONE, now=NOW).status != "pass"


@given(tag_lists | hostile_octets)
def test_key_records_are_read_or_refused(text: bytes) -> None:
    try:
        record = KeyRecord.parse(text)
    except RecordError:
        return
    assert (record.public_key is None) or record.bits


@given(hostile_octets)
def test_values_are_read_or_refused(text: bytes) -> None:
    for parser in (taglist.parse, taglist.base64_value, taglist.quoted_printable_value):
        try:
            parser(text)
        except TagListError:
            continue


@given(st.dictionaries(tags, tag_values))
def test_a_tag_list_that_is_written_can_be_read(pairs: dict[bytes, bytes]) -> None:
    text = b"; ".join(name + b"=" + value for name, value in pairs.items())
    try:
        found = taglist.parse(text)
    except TagListError:
        return
    assert set(pairs) <= set(found)


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_argument_breaks_out_of_the_field(identity: str, name: str) -> None:
    options: dict[str, Any] = {"identity": identity + "@example.com", "headers": ["From", name]}
    try:
        field = Signer("example.com", "s", KEY, timestamp=NOW, **options).sign(SIGNED)
    except (DKIMError, ValueError):
        return
    assert field.count(b"\r\n") == field.count(b"\r\n ") + 1
    (result,) = corvus_dkim.verify(field + SIGNED, resolver=ZONE, now=NOW)
    assert result.passed
    assert result.identity == identity + "@example.com"
    assert max(len(line) for line in field.split(b"\r\n")) < 998


@given(bodies, st.integers(0, 60), forms)
def test_the_hash_of_a_prefix_is_that_of_the_canonical_prefix(
    body: bytes, length: int, form: str
) -> None:
    from hashlib import sha256

    hashes = corvus_dkim.body_hash.BodyHashes()
    hashes.want(form, length)
    hashes.update(body)
    hashes.finish()
    assert hashes.digest(form, length) == sha256(canonical(form, [body])[:length]).digest()

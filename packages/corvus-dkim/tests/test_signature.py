"""The DKIM-Signature field: what is malformed, what is unknown, what is read."""

from __future__ import annotations

import pytest

from corvus_dkim.errors import SignatureError
from corvus_dkim.result import Status
from corvus_dkim.signature import copied_fields, parse, unusable

BH = b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
TAGS = {
    b"v": b"1",
    b"a": b"rsa-sha256",
    b"b": b"AAAA",
    b"bh": BH,
    b"d": b"example.com",
    b"h": b"from",
    b"s": b"s1",
}


def field(**changes: bytes | None) -> bytes:
    tags: dict[bytes, bytes | None] = dict(TAGS)
    tags.update({name.encode(): value for name, value in changes.items()})
    return b"; ".join(n + b"=" + v for n, v in tags.items() if v is not None)


def test_a_plain_field_has_the_defaults_of_the_rfc() -> None:
    signature = parse(field())
    assert (signature.header_form, signature.body_form) == ("simple", "simple")
    assert signature.identity == "@example.com"
    assert signature.length is None
    assert signature.timestamp is None
    assert signature.expires is None
    assert signature.record_name == "s1._domainkey.example.com"
    assert signature.key_type == "rsa"


def test_a_full_field_is_read() -> None:
    signature = parse(
        field(
            a=b"Ed25519-SHA256",
            c=b"relaxed",
            d=b"Example.COM",
            h=b"From : to\r\n\t:Subject",
            i=b"J=C3=A4mes=20@Mail.example.com",
            l=b"12",
            q=b"dns/txt : x",
            t=b"1",
            x=b"2",
            z=b"From:a=7Cb|To:c",
        )
    )
    assert signature.algorithm == "ed25519-sha256"
    assert (signature.header_form, signature.body_form) == ("relaxed", "simple")
    assert signature.domain == "example.com"
    assert signature.names == [b"from", b"to", b"subject"]
    assert signature.identity == "Jämes @Mail.example.com"
    assert signature.identity_domain == "mail.example.com"
    assert (signature.length, signature.timestamp, signature.expires) == (12, 1, 2)


@pytest.mark.parametrize("name", list(TAGS))
def test_each_required_tag_is_missed(name: bytes) -> None:
    with pytest.raises(SignatureError, match=f"required tag {name.decode()}=") as caught:
        parse(field(**{name.decode(): None}))
    assert caught.value.status is Status.PERMERROR


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"v": b"2"}, "permerror", "incompatible version"),
        ({"v": b"1.0"}, "permerror", "incompatible version"),
        ({"v": b""}, "permerror", "incompatible version"),
        ({"a": b"rsa-sha1"}, "permerror", "RFC 8301"),
        ({"a": b"RSA-SHA1"}, "permerror", "RFC 8301"),
        ({"a": b"rsa-sha512"}, "neutral", "unknown algorithm"),
        ({"a": b"\xff"}, "neutral", "unknown algorithm"),
        ({"b": b""}, "permerror", "b= is empty"),
        ({"b": b"@@@"}, "permerror", "b= is not base64"),
        ({"bh": b"@@@"}, "permerror", "bh= is not base64"),
        ({"bh": b"AAAA"}, "permerror", "not a SHA-256"),
        ({"bh": b""}, "permerror", "not a SHA-256"),
        ({"c": b"nowsp"}, "neutral", "unknown canonicalization"),
        ({"c": b"relaxed/"}, "neutral", "canonicalization"),
        ({"c": b"simple/simple/simple"}, "neutral", "unknown canonicalization"),
        ({"d": b"com"}, "permerror", "d= is not a domain"),
        ({"d": b""}, "permerror", "d= is not a domain"),
        ({"d": b"ex ample.com"}, "permerror", "d= is not a domain"),
        ({"d": "müller.example".encode()}, "permerror", "d= is not a domain"),
        ({"d": b"example.com."}, "permerror", "d= is not a domain"),
        ({"s": b"a..b"}, "permerror", "s= is not a selector"),
        ({"s": b""}, "permerror", "s= is not a selector"),
        ({"s": b"a." * 110 + b"a", "d": b"d." * 60 + b"example"}, "permerror", "too long"),
        ({"h": b""}, "permerror", "h= is not a list"),
        ({"h": b"from:"}, "permerror", "h= is not a list"),
        ({"h": b"from::to"}, "permerror", "h= is not a list"),
        ({"h": b"from to"}, "permerror", "h= is not a list"),
        ({"h": b"to:subject"}, "permerror", "From field not signed"),
        ({"h": b"fromm:xfrom"}, "permerror", "From field not signed"),
        ({"i": b"joe@other.example"}, "permerror", "not within d="),
        ({"i": b"@notexample.com"}, "permerror", "not within d="),
        ({"i": b"joe"}, "permerror", "not an address"),
        ({"i": b"joe=0D=0AX:y@example.com"}, "permerror", "not an address"),
        ({"i": b"joe@"}, "permerror", "not an address"),
        ({"i": b"j=zz@example.com"}, "permerror", "i= has"),
        ({"l": b"-1"}, "permerror", "l= is not a number"),
        ({"l": b""}, "permerror", "l= is not a number"),
        ({"l": b"9" * 77}, "permerror", "l= is not a number"),
        ({"t": b"1" * 13}, "permerror", "t= is not a number"),
        ({"x": b"soon"}, "permerror", "x= is not a number"),
        ({"t": b"5", "x": b"5"}, "permerror", "not later"),
        ({"t": b"5", "x": b"4"}, "permerror", "not later"),
        ({"q": b"http/https"}, "neutral", "query method"),
        ({"q": b""}, "neutral", "query method"),
        ({"z": b"no colon"}, "permerror", "z= has"),
        ({"z": b"From:\xff"}, "permerror", "z= has"),
    ],
)
def test_each_tag_is_checked(changes: dict[str, bytes], status: str, words: str) -> None:
    with pytest.raises(SignatureError, match=words) as caught:
        parse(field(**changes))
    assert caught.value.status == status


def test_unknown_tags_are_ignored() -> None:
    assert parse(field(zz=b"anything")).domain == "example.com"


def test_an_arc_message_signature_has_no_version_and_no_identity() -> None:
    signature = parse(field(v=None, i=b"3"), arc=True)
    assert signature.identity == "@example.com"
    assert parse(field(v=b"7", i=b"3"), arc=True).domain == "example.com"


def test_copied_fields_need_colons() -> None:
    assert copied_fields(b"A:b") == [("A", b"b")]


def test_what_can_be_read_of_an_unusable_field_is_reported() -> None:
    error = SignatureError(Status.PERMERROR, "why")
    result = unusable(field(v=b"2"), error)
    assert (result.domain, result.selector, result.algorithm) == ("example.com", "s1", "rsa-sha256")
    assert unusable(b"junk", error).domain == ""
    poor = unusable(field(d=b"x y", s=b"\xff", a=b'"'), error)
    assert (poor.domain, poor.selector, poor.algorithm) == ("", "", "")

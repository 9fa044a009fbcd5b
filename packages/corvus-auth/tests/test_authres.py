"""Authentication-Results: what servers write is read, what we write cannot be misread."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from corvus_auth import authres, dmarc, spf
from corvus_auth.authres import AuthenticationResults, Property, Result
from corvus_auth.lookup import ZoneResolver


def unfolded(text: str) -> str:
    return text.replace("\r\n", "")


@pytest.mark.parametrize(
    ("value", "results"),
    [
        (  # Gmail
            (
                "mx.google.com;\r\n       dkim=pass header.i=@x.example header.s=s1 header.b=AbC+/x=;\r\n"
                "       spf=pass (google.com: domain of a@x.example designates 192.0.2.1 as permitted "
                "sender) smtp.mailfrom=a@x.example;\r\n       dmarc=pass (p=NONE sp=NONE dis=NONE) "
                "header.from=x.example"
            ),
            [
                ("dkim", "pass", "header.b", "AbC+/x="),
                ("spf", "pass", "smtp.mailfrom", "a@x.example"),
                ("dmarc", "pass", "header.from", "x.example"),
            ],
        ),
        (  # Exchange Online, with properties that have no type
            (
                "mx.example; spf=pass (sender IP is 192.0.2.1)\r\n smtp.mailfrom=x.example; dkim=none "
                "(message not signed)\r\n header.d=none;dmarc=pass action=none\r\n "
                "header.from=x.example;compauth=pass reason=100"
            ),
            [
                ("spf", "pass", "smtp.mailfrom", "x.example"),
                ("dkim", "none", "header.d", "none"),
                ("dmarc", "pass", ".action", "none"),
                ("compauth", "pass", "", ""),
            ],
        ),
        (  # a final semicolon, no space before a comment
            "atlas.example; dkim=pass header.i=@x.example; dmarc=pass(p=REJECT) header.from=x.example;",
            [
                ("dkim", "pass", "header.i", "@x.example"),
                ("dmarc", "pass", "header.from", "x.example"),
            ],
        ),
        (
            "mx.example; iprev=pass policy.iprev=2001:db8::1 (host)",
            [("iprev", "pass", "policy.iprev", "2001:db8::1")],
        ),
        (
            'mx.example; spf=pass smtp.mailfrom="a b"@x.example',
            [("spf", "pass", "smtp.mailfrom", '"a b"@x.example')],
        ),
        ("mx.example; spf=none smtp.mailfrom=<>", [("spf", "none", "smtp.mailfrom", "<>")]),
        (
            "mx.example; spf=none smtp.mailfrom=; x=y",
            [("spf", "none", "smtp.mailfrom", ""), ("x", "y", "", "")],
        ),
        ('"mx example"; auth=pass smtp.auth="a;b"', [("auth", "pass", "smtp.auth", "a;b")]),
        (
            "mx.example; arc=pass (i=1) header.oldest-pass=0 smtp.remote-ip=192.0.2.1",
            [("arc", "pass", "header.oldest-pass", "0")],
        ),
        ("mx.example; x=pass header.from.domain=y", [("x", "pass", "header.from.domain", "y")]),
        ("mx.example;none", []),
        ("mx.example", []),
        ("mx.example;;", []),
    ],
)
def test_what_servers_write_is_read(value: str, results: list[tuple[str, str, str, str]]) -> None:
    field = authres.parse(value)
    assert [(r.method, r.result) for r in field.results] == [(m, r) for m, r, _, _ in results]
    for found, (_, _, name, expected) in zip(field.results, results, strict=True):
        if name:
            ptype, _, prop = name.partition(".")
            assert found.get(ptype, prop) == expected
    again = authres.parse(authres.format(field))
    assert [(r.method, r.result, r.properties) for r in again.results] == [
        (r.method, r.result, r.properties) for r in field.results
    ]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "   ",
        ";",
        "spf=pass smtp.mailfrom=x.example; dkim=none",
        "mx.example x; none",
        "mx.example 1234567890; none",
        "mx.example; spf",
        "mx.example; spf pass",
        "mx.example; =pass",
        "mx.example; spf=",
        "mx.example; spf=pass smtp",
        "mx.example; spf=pass smtp.=x",
        'mx.example; spf=pass smtp.a=b "c"',
        "mx.example; spf/x=pass",
        "mx.example; spf=(never closed",
        'mx.example; spf=pass reason="never closed',
        "mx.example; spf=pass " + "(" * 40 + ")" * 40,
        "mx.example" + "; a=b" * 300,
        "mx.example; a=b" + " c.d=e" * 300,
        "mx.example; " + "x" * 70_000,
        "mx.example; sp\u00f6f=pass",
        "mx.exam\x00ple; spf=pass",
    ],
)
def test_what_cannot_be_read_is_a_value_error(value: str) -> None:
    with pytest.raises(ValueError):
        authres.parse(value)
    with pytest.raises(ValueError):
        authres.parse(value.encode("utf-8"))


def test_long_fields_are_folded() -> None:
    result = Result(
        "dkim",
        "pass",
        "a good signature of some length",
        (Property("header", "d", "example.com"), Property("header", "s", "selector-of-length")),
    )
    text = authres.format("mx.example.org", [result, result])
    assert all(len(line) <= 78 for line in ("Authentication-Results: " + text).split("\r\n"))
    assert all(line.startswith("\t") for line in text.split("\r\n")[1:])
    assert authres.parse(text).results == (result, result)


def test_none_is_written_and_read() -> None:
    assert authres.format("mx.example.org") == "mx.example.org; none"
    assert authres.format("mx.example.org", version=1) == "mx.example.org 1; none"
    assert authres.field("mx.example.org") == b"Authentication-Results: mx.example.org; none\r\n"


HOSTILE = [
    'x"; dkim=pass header.d=bank.example; y="',
    "x\r\nAuthentication-Results: mx.example.org; dkim=pass",
    "x; dmarc=pass",
    "x) dmarc=pass (",
    "x\\",
    'x\\"',
    "(((",
    ")))",
    "\x00\x1b\x7f",
    "\u2028\u0085\u000b",
    "a" * 3000,
    "\U0001f600" * 600,
    '"' * 900,
    '"a"b"@x.example',
    '"; dkim=pass "@x.example',
    "a@x.example; dkim=pass",
    "",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_remote_text_adds_a_result(text: str) -> None:
    result = Result("spf", "fail", text, (Property("smtp", "mailfrom", text),), text)
    written = authres.field("mx.example.org", [result, Result("dkim", "none")])
    assert written.isascii()
    assert written.count(b"\r\n") == written.count(b"\n") == written.count(b"\r")
    lines = written.split(b"\r\n")
    assert lines[-1] == b""
    assert all(line.startswith(b"\t") for line in lines[1:-1])
    assert all(len(line) <= 998 for line in lines)
    field = authres.parse(written.partition(b":")[2].removesuffix(b"\r\n"))
    assert [(r.method, r.result) for r in field.results] == [("spf", "fail"), ("dkim", "none")]
    assert [p.name for p in field.results[0].properties] == ["mailfrom"]


def test_values_survive() -> None:
    for value in (
        "a@x.example",
        "@x.example",
        '"a b"@x.example',
        "x.example",
        "a b",
        "192.0.2.1",
        "2001:db8::1",
        "o'neil+x=y@x.example",
    ):
        result = Result("spf", "pass", "", (Property("smtp", "mailfrom", value),))
        read = authres.parse(authres.format("mx.example.org", [result]))
        assert read.results[0].properties[0].value == value


@pytest.mark.parametrize("text", ["", "a b", "a\r\n", "a;b", "a=b", "-a", "a\x00"])
def test_keywords_cannot_be_wrong(text: str) -> None:
    with pytest.raises(ValueError):
        Result(text, "pass")
    with pytest.raises(ValueError):
        Result("spf", text)
    with pytest.raises(ValueError):
        Property("smtp", text, "x")
    if text:
        with pytest.raises(ValueError):
            Property(text, "mailfrom", "x")


@pytest.mark.parametrize("name", ["", "mx\r\nX: y", "\x00"])
def test_an_authserv_id_cannot_be_wrong(name: str) -> None:
    with pytest.raises(ValueError):
        AuthenticationResults(name)


@pytest.mark.parametrize(
    ("value", "ours"),
    [
        ("mx.example.org; dmarc=pass", True),
        ("MX.Example.ORG. ; dmarc=pass", True),
        ("(hello) mx.example.org (x) 1; dmarc=pass", True),
        ('"mx.example.org"; dmarc=pass', True),
        ("\r\n\tmx.example.org; dmarc=pass", True),
        ("(mx.example.org) other.example; dmarc=pass", False),
        ("other.example; dmarc=pass (mx.example.org)", False),
        ("xmx.example.org; dmarc=pass", False),
        ("", True),
        ("(unclosed", True),
        ("; dmarc=pass", True),
        ("two words.example; x=y", False),
    ],
)
def test_fields_that_claim_our_id(value: str, ours: bool) -> None:
    assert authres.claims(value, "mx.example.org") is ours
    assert authres.claims(value.encode(), ["nobody.example", "mx.example.org"]) is ours


def test_lies_are_removed_and_nothing_else() -> None:
    message = (
        b"Received: x\r\n"
        b"authentication-results: mx.example.org;\r\n dmarc=pass\r\n\theader.from=bank.example\r\n"
        b"Authentication-Results : (c) MX.EXAMPLE.ORG; spf=pass\r\n"
        b"Authentication-Results: other.example; spf=pass\r\n"
        b"X-Authentication-Results: mx.example.org; spf=pass\r\n"
        b"Subject: x\r\n"
        b"\r\n"
        b"Authentication-Results: mx.example.org; body\r\n"
    )
    expected = (
        b"Received: x\r\n"
        b"Authentication-Results: other.example; spf=pass\r\n"
        b"X-Authentication-Results: mx.example.org; spf=pass\r\n"
        b"Subject: x\r\n"
        b"\r\n"
        b"Authentication-Results: mx.example.org; body\r\n"
    )
    assert authres.remove(message, "mx.example.org") == expected
    assert authres.remove(expected, "mx.example.org") is expected
    bare = message.replace(b"\r\n", b"\n")
    assert authres.remove(bare, ["mx.example.org"]) == expected.replace(b"\r\n", b"\n")
    assert authres.remove(b"Authentication-Results: mx.example.org", "mx.example.org") == b""


def test_values_finds_the_fields_of_a_message_or_takes_one() -> None:
    message = b"A: b\nAuthentication-Results: x.example; none\n\nAuthentication-Results: y; none\n"
    assert authres.values(message) == [b" x.example; none\n"]
    assert authres.values(b"x.example; none\n") == [b"x.example; none"]
    assert authres.values(b"\n") == []


def test_results_of_our_own() -> None:
    zone = ZoneResolver(
        {
            "example.com": {"TXT": [b"v=spf1 ip4:192.0.2.0/24 -all"]},
            "_dmarc.example.com": {"TXT": [b"v=DMARC1; p=reject"]},
        }
    )
    checked = spf.check("192.0.2.1", "a@example.com", "mx.example.com", resolver=zone)
    helo = spf.check("192.0.2.1", "", "example.com", resolver=zone)
    judged = dmarc.check("example.com", spf=checked, dkim=(), resolver=zone)
    signature = SimpleNamespace(
        status="fail", domain="example.com", selector="s1", identity="@example.com",
        algorithm="rsa-sha256", reason="body hash differs",
    )  # fmt: skip
    assert str(authres.from_spf(checked).properties[0]) == "smtp.mailfrom=a@example.com"
    assert str(authres.from_spf(helo).properties[0]) == "smtp.helo=example.com"
    assert [str(p) for p in authres.from_dmarc(judged).properties] == [
        "header.from=example.com",
        "policy.dmarc=none",
    ]
    text = unfolded(authres.format("mx.example.org", [authres.from_dkim(signature)]))
    assert "header.a=rsa-sha256" in text
    assert 'reason="body hash differs"' in text
    nothing = authres.from_dmarc(dmarc.check("", spf=None, dkim=(), resolver=zone))
    assert nothing.properties == ()
    assert authres.from_spf(spf.check("192.0.2.1", "", "", resolver=zone)).properties == ()


def test_what_is_not_there_is_none() -> None:
    assert Result("spf", "pass").get("smtp", "mailfrom") is None


def test_a_quoted_local_part_that_is_none_is_quoted_whole() -> None:
    for value in ('"a\\"@x.example', '"a"b"@x.example'):
        result = Result("spf", "pass", "", (Property("smtp", "mailfrom", value),))
        read = authres.parse(authres.format("mx.example.org", [result]))
        assert [p.name for p in read.results[0].properties] == ["mailfrom"]


def test_ids_that_are_no_names_are_compared_as_text() -> None:
    assert authres.claims('"Mail Host"; none', "mail host")
    assert not authres.claims('"Mail Host"; none', "mail")
    with pytest.raises(ValueError, match="semicolon"):
        authres.parse("mx.example 1 x; none")


def test_an_id_with_an_equals_sign_is_quoted_and_read_back() -> None:
    assert authres.parse(authres.format("a=b")).authserv_id == "a=b"


@pytest.mark.parametrize(
    ("ptype", "name"), [("", "reason"), ("", "Reason"), ("a.b", "c"), ("", "a.b")]
)
def test_a_property_that_would_be_read_as_something_else_cannot_be_made(
    ptype: str, name: str
) -> None:
    with pytest.raises(ValueError):
        authres.Property(ptype, name, "x")


@pytest.mark.parametrize(("method", "result"), [("x.y", "pass"), ("spf", "pa.ss")])
def test_a_dot_that_would_end_a_keyword_cannot_be_in_it(method: str, result: str) -> None:
    with pytest.raises(ValueError):
        authres.Result(method, result)

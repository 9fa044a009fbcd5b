"""The examples printed in RFC 8601 Appendix B (and RFC 7208 §9): read, written, read again."""

from __future__ import annotations

import pytest

from corvus_auth import authres, spf
from corvus_auth.authres import AuthenticationResults, Property, Result
from corvus_auth.lookup import ZoneResolver

EXAMPLES = {
    "B.2": ("example.org 1; none", AuthenticationResults("example.org", (), 1)),
    "B.3": (
        "example.com;\r\n          spf=pass smtp.mailfrom=example.net",
        AuthenticationResults(
            "example.com",
            (Result("spf", "pass", "", (Property("smtp", "mailfrom", "example.net"),)),),
        ),
    ),
    "B.4 first": (
        (
            "example.com;\r\n          auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n"
            "          spf=pass smtp.mailfrom=example.net"
        ),
        AuthenticationResults(
            "example.com",
            (
                Result(
                    "auth",
                    "pass",
                    "",
                    (Property("smtp", "auth", "sender@example.net"),),
                    "cram-md5",
                ),
                Result("spf", "pass", "", (Property("smtp", "mailfrom", "example.net"),)),
            ),
        ),
    ),
    "B.4 second": (
        "example.com;\r\n          sender-id=pass header.from=example.net",
        AuthenticationResults(
            "example.com",
            (Result("sender-id", "pass", "", (Property("header", "from", "example.net"),)),),
        ),
    ),
    "B.5": (
        (
            "example.com;\r\n          sender-id=fail header.from=example.com;\r\n"
            "          dkim=pass (good signature) header.d=example.com"
        ),
        AuthenticationResults(
            "example.com",
            (
                Result("sender-id", "fail", "", (Property("header", "from", "example.com"),)),
                Result(
                    "dkim", "pass", "", (Property("header", "d", "example.com"),), "good signature"
                ),
            ),
        ),
    ),
    "B.6": (
        (
            'example.com;\r\n      dkim=pass reason="good signature"\r\n'
            "        header.i=@mail-router.example.net;\r\n"
            '      dkim=fail reason="bad signature"\r\n        header.i=@newyork.example.com'
        ),
        AuthenticationResults(
            "example.com",
            (
                Result(
                    "dkim",
                    "pass",
                    "good signature",
                    (Property("header", "i", "@mail-router.example.net"),),
                ),
                Result(
                    "dkim",
                    "fail",
                    "bad signature",
                    (Property("header", "i", "@newyork.example.com"),),
                ),
            ),
        ),
    ),
    "B.7": (
        (
            "foo.example.net (foobar) 1 (baz);\r\n"
            "    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n"
            "      policy (A dot can go here) . (like that) expired\r\n"
            "      (this surprised me) = (as I wasn't expecting it) 1362471462"
        ),
        AuthenticationResults(
            "foo.example.net",
            (Result("dkim", "fail", "", (Property("policy", "expired", "1362471462"),), "", 1),),
            1,
        ),
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_round_trip(name: str) -> None:
    text, expected = EXAMPLES[name]
    assert authres.parse(text) == expected
    assert authres.parse(authres.format(expected)) == expected


RECEIVED = [
    (
        "pass (mybox.example.org: domain of\r\n myname@example.com designates 192.0.2.1 as permitted "
        "sender)\r\n    receiver=mybox.example.org; client-ip=192.0.2.1;\r\n"
        '    envelope-from="myname@example.com"; helo=foo.example.com;'
    ),
    (
        "fail (mybox.example.org: domain of\r\n                  myname@example.com does not designate"
        "\r\n                  192.0.2.1 as permitted sender)\r\n                  identity=mailfrom; "
        'client-ip=192.0.2.1;\r\n                  envelope-from="myname@example.com";'
    ),
    (
        "pass (mybox.example.org: domain of\r\n myname@example.com designates 192.0.2.1 as permitted "
        "sender)\r\n    receiver=mybox.example.org; client-ip=192.0.2.1;\r\n    mechanism=ip4:192.0.2.1; "
        'envelope-from="myname@example.com";\r\n    helo=foo.example.com;'
    ),
]


@pytest.mark.parametrize("value", RECEIVED)
def test_the_received_spf_examples_of_rfc_7208_are_read(value: str) -> None:
    field = spf.parse_received_spf(value)
    assert field.status in ("pass", "fail")
    assert field.pairs["client-ip"] == "192.0.2.1"
    assert field.pairs["envelope-from"] == "myname@example.com"


@pytest.mark.parametrize(
    ("ip", "sender", "helo"),
    [
        ("192.0.2.1", "alice@example.com", "mx.example.com"),
        ("2001:db8::1", '"a\\"; x=y"@example.com', "h\r\nX: y"),
        ("192.0.2.1", "", "example.com"),
        ("192.0.2.1", "a@slow.example", "h"),
        ("192.0.2.1", "a@" + "b" * 60 + ".example", "h" * 900),
    ],
)
def test_received_spf_is_written_and_reads_back(ip: str, sender: str, helo: str) -> None:
    zone = ZoneResolver(
        {
            "example.com": {"TXT": [b"v=spf1 ip4:192.0.2.0/24 -all"]},
            "slow.example": {"TXT": "timeout"},
        }
    )
    result = spf.check(ip, sender, helo, resolver=zone)
    value = spf.format_received_spf(result, "mx.example.org")
    assert value.isascii()
    assert "\n" not in value.replace("\r\n\t", "")
    field = spf.parse_received_spf(value.encode())
    assert field.status == result.status
    assert field.pairs["client-ip"] == ip
    assert field.pairs["identity"] == result.identity
    assert ("problem" in field.pairs) is (result.status in ("temperror", "permerror"))
    assert set(field.pairs) <= {
        "receiver", "identity", "client-ip", "envelope-from", "helo", "mechanism", "problem",
    }  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        "",
        "maybe",
        "pass (",
        "pass x",
        "pass =x",
        'pass x="',
        "pass " + "a=b; " * 5000,
        "pass " + ";".join(f"k{i}=v" for i in range(60)),
    ],
)
def test_received_spf_that_cannot_be_read(value: str) -> None:
    with pytest.raises(ValueError):
        spf.parse_received_spf(value)


def test_received_spf_with_an_empty_value() -> None:
    assert spf.parse_received_spf("none helo=; x=y").pairs == {"helo": "", "x": "y"}

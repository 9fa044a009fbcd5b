"""What RFC 6376 prints: canonicalization examples, and the signed message of Appendix A."""

from __future__ import annotations

import pytest

import corvus_dkim
from corvus_dkim import ZoneResolver, signature
from corvus_dkim.canonical import BODY
from corvus_dkim.header import Header, find_body
from corvus_dkim.result import Status

# RFC 6376 §3.4.5, with the blanks and tabs written out.
EXAMPLE = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n"


@pytest.mark.parametrize(
    ("header_form", "body_form", "header", "body"),
    [
        ("relaxed", "relaxed", b"a:X\r\nb:Y Z\r\n", b" C\r\nD E\r\n"),
        ("simple", "simple", b"A: X\r\nB : Y\t\r\n\tZ  \r\n", b" C \r\nD \t E\r\n"),
        ("relaxed", "simple", b"a:X\r\nb:Y Z\r\n", b" C \r\nD \t E\r\n"),
    ],
)
def test_the_three_canonicalization_examples(
    header_form: str, body_form: str, header: bytes, body: bytes
) -> None:
    ends = find_body(EXAMPLE)
    assert ends is not None
    fields = Header(EXAMPLE[: ends[0]])
    assert fields.canonical(fields.select([b"a", b"b"]), header_form) == header
    out: list[bytes] = []
    canonical = BODY[body_form](out.append)
    canonical.update(EXAMPLE[ends[1] :])
    canonical.finish()
    assert b"".join(out) == body


# Appendix A.2 as it was signed.  The page differs in two places, where its typesetting shows: the
# continuation lines are indented by six blanks, and the sentences of the body are one blank apart.
# c=simple/simple knows the difference, and other verifiers' tests have the same text.
APPENDIX_A = (
    b"DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
    b"      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
    b"      h=Received : From : To : Subject : Date : Message-ID;\r\n"
    b"      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    b"      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"
    b"      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"
    b"      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"
    b"      4bmp/YzhwvcubU4=;\r\n"
    b"Received: from client1.football.example.com  [192.0.2.1]\r\n"
    b"      by submitserver.example.com with SUBMISSION;\r\n"
    b"      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n"
    b"From: Joe SixPack <joe@football.example.com>\r\n"
    b"To: Suzie Q <suzie@shopping.example.net>\r\n"
    b"Subject: Is dinner ready?\r\n"
    b"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    b"\r\n"
    b"Hi.\r\n"
    b"\r\n"
    b"We lost the game. Are you hungry yet?\r\n"
    b"\r\n"
    b"Joe.\r\n"
)

#: Appendix C, as published in DNS.
BRISBANE = [
    "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQ",
    "KBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt",
    "IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v",
    "/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi",
    "tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB",
]


def test_appendix_a_verifies() -> None:
    resolver = ZoneResolver({"brisbane._domainkey.example.com": {"TXT": [BRISBANE]}})
    (result,) = corvus_dkim.verify(APPENDIX_A, resolver=resolver)
    assert result.status is Status.PASS
    assert result.domain == "example.com"
    assert result.identity == "joe@football.example.com"
    assert result.key_bits == 1024


def test_the_example_of_copied_header_fields() -> None:
    """RFC 6376 §3.5, the example under z=."""
    value = (
        b" v=1; a=rsa-sha256; d=example.net; s=brisbane;\r\n"
        b"   c=simple; q=dns/txt; i=@eng.example.net;\r\n"
        b"   t=1117574938; x=1118006938;\r\n"
        b"   h=from:to:subject:date;\r\n"
        b"   z=From:foo@eng.example.net|To:joe@example.com|\r\n"
        b"    Subject:demo=20run|Date:July=205,=202005=203:44:08=20PM=20-0700;\r\n"
        b"   bh=MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=;\r\n"
        b"   b=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR"
    )
    parsed = signature.parse(value)
    assert parsed.body_hash == b"12345678901234567890123456789012"
    assert parsed.identity == "@eng.example.net"
    assert signature.copied_fields(parsed.tags[b"z"]) == [
        ("From", b"foo@eng.example.net"),
        ("To", b"joe@example.com"),
        ("Subject", b"demo run"),
        ("Date", b"July 5, 2005 3:44:08 PM -0700"),
    ]

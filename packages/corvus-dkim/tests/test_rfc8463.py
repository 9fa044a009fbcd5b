"""The message of RFC 8463, Appendix A: it verifies, and signing it again gives the same octets."""

from __future__ import annotations

from typing import Any

import corvus_dkim
from corvus_dkim import Signer, ZoneResolver

SECRET = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="

ZONE: dict[str, dict[str, list[Any]]] = {
    "brisbane._domainkey.football.example.com": {
        "TXT": ["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="]
    },
    "test._domainkey.football.example.com": {
        "TXT": [
            [
                "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR",
                "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC",
                "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3",
                "Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
            ]
        ]
    },
}

SIGNATURES = (
    b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
    b" d=football.example.com; i=@football.example.com;\r\n"
    b" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
    b" subject : date : message-id : from : subject : date;\r\n"
    b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    b" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
    b" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
    b" d=football.example.com; i=@football.example.com;\r\n"
    b" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
    b" date : message-id : from : subject : date;\r\n"
    b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    b" b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
    b" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
    b" dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
)

MESSAGE = (
    b"From: Joe SixPack <joe@football.example.com>\r\n"
    b"To: Suzie Q <suzie@shopping.example.net>\r\n"
    b"Subject: Is dinner ready?\r\n"
    b"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    b"\r\n"
    b"Hi.\r\n"
    b"\r\n"
    b"We lost the game.  Are you hungry yet?\r\n"
    b"\r\n"
    b"Joe.\r\n"
)


def test_both_signatures_verify_as_printed() -> None:
    results = corvus_dkim.verify(SIGNATURES + MESSAGE, resolver=ZoneResolver(ZONE))
    assert [(r.algorithm, r.status) for r in results] == [
        ("ed25519-sha256", "pass"),
        ("rsa-sha256", "pass"),
    ]
    assert [r.key_bits for r in results] == [256, 1024]


def test_the_ed25519_example_signs_again_to_the_same_octets() -> None:
    signer = Signer(
        "football.example.com",
        "brisbane",
        SECRET,
        identity="@football.example.com",
        headers=["from", "to", "subject", "date", "message-id", "from", "subject", "date"],
        oversign=False,
        timestamp=1528637909,
        expires_in=None,
    )
    ours = signer.sign(MESSAGE)
    printed = SIGNATURES[: SIGNATURES.index(b"DKIM-Signature", 5)]

    def words(field: bytes) -> bytes:
        """The field as relaxed canonicalization sees it, without the folds in b=."""
        head, _, tail = b" ".join(field.split()).rpartition(b" b=")
        return head + b" b=" + tail.replace(b" ", b"")

    assert words(ours) == words(printed)
    assert corvus_dkim.verify(ours + MESSAGE, resolver=ZoneResolver(ZONE))[0].passed


def test_the_key_record_is_the_one_printed() -> None:
    (printed,) = ZONE["brisbane._domainkey.football.example.com"]["TXT"]
    assert corvus_dkim.key_record(SECRET) == printed

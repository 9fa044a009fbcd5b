"""pyspf's two functions."""

from __future__ import annotations

from typing import Any

import pytest

from corvus_auth import compat
from corvus_auth.lookup import ZoneResolver

ZONE: dict[str, dict[str, Any]] = {
    "example.com": {"TXT": [b"v=spf1 ip4:192.0.2.0/24 ?ip4:192.0.3.0/24 ~ip4:192.0.4.0/24 -all"]},
    "exp.example": {"TXT": [b"v=spf1 -all exp=why.example"]},
    "why.example": {"TXT": [b"because of %{i}"]},
    "slow.example": {"TXT": "timeout"},
    "broken.example": {"TXT": [b"v=spf1 foo"]},
}


@pytest.mark.parametrize(
    ("ip", "sender", "expected"),
    [
        ("192.0.2.1", "a@example.com", ("pass", 250, "sender SPF authorized")),
        ("192.0.3.1", "a@example.com", ("neutral", 250, "access neither permitted nor denied")),
        (
            "192.0.4.1",
            "a@example.com",
            ("softfail", 250, "domain owner discourages use of this host"),
        ),
        ("192.0.5.1", "a@example.com", ("fail", 550, "SPF fail - not authorized")),
        ("192.0.5.1", "a@exp.example", ("fail", 550, "because of 192.0.5.1")),
        ("192.0.5.1", "a@none.example", ("none", 250, "")),
        (
            "192.0.5.1",
            "a@slow.example",
            (
                "temperror",
                451,
                "temporary DNS error in processing: DNS: timeout for slow.example TXT",
            ),
        ),
        (
            "192.0.5.1",
            "a@broken.example",
            (
                "permerror",
                550,
                "permanent error in processing: broken.example: 'foo': an unknown mechanism",
            ),
        ),
    ],
)
def test_check_and_check2(ip: str, sender: str, expected: tuple[str, int, str]) -> None:
    resolver = ZoneResolver(ZONE)
    assert compat.check(ip, sender, "h", resolver=resolver) == expected
    assert compat.check2(ip, sender, "h", querytime=0, resolver=resolver) == (
        expected[0],
        expected[2],
    )


def test_pyspf_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pyspf = pytest.importorskip("spf")

    def lookup(name: str, rdtype: str, *_: Any, **__: Any) -> list[Any]:
        answer = ZoneResolver(ZONE).resolve(name, rdtype)
        if answer.status == "timeout":
            raise pyspf.TempError("DNS timeout")
        return [((name, rdtype), (r,) if rdtype == "TXT" else r) for r in answer.records]

    monkeypatch.setattr(pyspf, "DNSLookup", lookup)
    for ip in ("192.0.2.1", "192.0.3.1", "192.0.4.1", "192.0.5.1"):
        for sender in ("a@example.com", "a@exp.example", "a@none.example"):
            theirs = pyspf.check2(i=ip, s=sender, h="h")
            assert compat.check2(i=ip, s=sender, h="h", resolver=ZoneResolver(ZONE)) == theirs


def test_the_default_resolver_is_dnspythons(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dns")
    import corvus_auth.dns

    made: list[ZoneResolver] = []

    def make() -> ZoneResolver:
        made.append(ZoneResolver(ZONE))
        return made[-1]

    monkeypatch.setattr(compat, "_resolver", None)
    monkeypatch.setattr(corvus_auth.dns, "DNSResolver", make)
    for _ in range(2):
        assert compat.check2("192.0.2.1", "a@example.com", "h")[0] == "pass"
    assert len(made) == 1

"""The whole verdict: side by side, in one sentence, as JSON and as a field."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from corvus_auth import authenticate, authres, spf
from corvus_auth.dmarc import Author, author
from corvus_auth.lookup import Answer, Evaluation, Lookup, ZoneResolver, arun, run
from corvus_testing import SlowResolver

ZONE: dict[str, dict[str, Any]] = {
    "bounce.example.com": {"TXT": [b"v=spf1 include:spf.host.example a:mail.example.com -all"]},
    "spf.host.example": {"TXT": [b"v=spf1 ip4:198.51.100.0/24 -all"]},
    "mail.example.com": {"A": ["192.0.2.1"]},
    "sel._domainkey.example.com": {"TXT": [b"v=DKIM1; p=..."]},
    "_dmarc.example.com": {"TXT": [b"v=DMARC1; p=reject"]},
    "open.example": {"TXT": [b"v=spf1 -all"]},
}


def signature(status: str = "pass", domain: str = "example.com") -> SimpleNamespace:
    return SimpleNamespace(
        status=status,
        domain=domain,
        selector="sel",
        identity="",
        algorithm="rsa-sha256",
        reason="r",
    )


def signatures(*found: SimpleNamespace) -> Evaluation[list[SimpleNamespace]]:
    """What corvus_dkim's evaluation looks like: key look-ups, then results."""
    answers: tuple[Answer, ...] = yield tuple(
        Lookup(f"{f.selector}._domainkey.{f.domain}", "TXT") for f in found
    )
    for result, answer in zip(found, answers, strict=True):
        if answer.status == "timeout":
            result.status = "temperror"
    return list(found)


def judge(from_domain: str | Author, zone: dict[str, dict[str, Any]] = ZONE, **given: Any) -> Any:
    return run(authenticate(from_domain, **given), ZoneResolver(zone))


def checked(
    ip: str = "192.0.2.1", sender: str = "x@bounce.example.com"
) -> Evaluation[spf.SPFResult]:
    return spf.evaluate(ip, sender, "mail.example.com")


def test_the_chain_of_a_typical_message_takes_four_rounds() -> None:
    # One include, one a, one signature, the organizational domain two labels up: with 20 ms per
    # round the whole verdict stays under 100 ms.
    zone = dict(ZONE.items())
    zone["bounce.a.b.example.com"] = zone.pop("bounce.example.com")
    resolver = SlowResolver(Answer, zone, delay=0.020)
    coroutine = arun(
        authenticate(
            "a.b.example.com",
            spf=checked(sender="x@bounce.a.b.example.com"),
            dkim=signatures(signature()),
        ),
        resolver,
    )
    with pytest.raises(StopIteration) as end:
        coroutine.send(None)
    verdict = end.value.value
    assert verdict.dmarc.status == "pass"
    assert resolver.elapsed <= 0.080
    assert len(resolver.asked) <= 14


def test_what_is_there_already_is_taken_as_it_is() -> None:
    result = spf.check("192.0.2.1", "x@bounce.example.com", "h", resolver=ZoneResolver(ZONE))
    verdict = judge("example.com", spf=result, dkim=[signature("fail")])
    assert verdict.spf is result
    assert [str(i) for i in verdict.dmarc.aligned_by] == ["spf bounce.example.com"]


@pytest.mark.parametrize(
    ("from_domain", "given", "sentence"),
    [
        (
            "example.com",
            {"spf": checked(), "dkim": signatures(signature())},
            "example.com is vouched for by SPF (bounce.example.com) and DKIM (example.com).",
        ),
        (
            "example.com",
            {"spf": checked("203.0.113.1")},
            (
                "Nobody vouches for example.com: SPF says fail, and there is no signature; "
                "its policy asks for rejection."
            ),
        ),
        (
            "example.com",
            {"dkim": [signature("fail"), signature("pass", "list.test")]},
            (
                "Nobody vouches for example.com: DKIM passed for list.test; "
                "its policy asks for rejection."
            ),
        ),
        (
            "open.example",
            {"dkim": [signature("fail")]},
            (
                "open.example publishes no policy (no DMARC record for open.example): "
                "SPF was not checked, and no signature passed."
            ),
        ),
        (
            "slow.example",
            {},
            (
                "It cannot be told now who vouches for slow.example: DNS: timeout for "
                "_dmarc.slow.example."
            ),
        ),
        (
            author([]),
            {},
            "DMARC cannot be applied: the message has no From field.",
        ),
    ],
)
def test_the_verdict_is_a_sentence_json_and_a_field(
    from_domain: str | Author, given: dict[str, Any], sentence: str
) -> None:
    verdict = judge(from_domain, {**ZONE, "_dmarc.slow.example": {"TXT": "timeout"}}, **given)
    assert str(verdict) == verdict.sentence == sentence
    shown = json.dumps(verdict.to_dict())
    assert shown.isascii()
    assert json.loads(shown)["sentence"] == sentence
    field = verdict.field("mx.example.org")
    read = authres.parse(field.partition(b":")[2].removesuffix(b"\r\n"))
    assert read.results[-1].method == "dmarc"
    assert read.results[-1].result == verdict.dmarc.status
    assert "dkim" in [r.method for r in read.results]


def test_results_with_their_own_json_keep_it() -> None:
    class Result:
        status = "pass"
        domain = "example.com"

        def to_dict(self) -> dict[str, str]:
            return {"mine": "yes"}

    verdict = judge("example.com", dkim=[Result()])
    assert verdict.to_dict()["dkim"] == [{"mine": "yes"}]
    bare = SimpleNamespace(status="pass", domain="example.com", selector=None)
    assert judge("example.com", dkim=[bare]).to_dict()["dkim"] == [
        {"status": "pass", "domain": "example.com"}
    ]


def test_each_look_up_failed_in_turn_gives_a_verdict() -> None:
    from corvus_testing import FailingResolver

    for status in ("timeout", "servfail", "nxdomain", "nodata"):
        for fail_at in range(12):
            resolver = FailingResolver(Answer, ZONE, fail_at=fail_at, status=status)
            verdict = run(
                authenticate("example.com", spf=checked(), dkim=signatures(signature())), resolver
            )
            assert verdict.dmarc.reason
            assert verdict.sentence
            assert len(resolver.asked) <= 14

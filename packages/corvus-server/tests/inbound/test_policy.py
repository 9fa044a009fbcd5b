"""The decision, rule by rule; a verdict as data; signals in words."""

from __future__ import annotations

import doctest
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import corvus_server.inbound.forward
import corvus_server.inbound.received
import corvus_server.inbound.verdict
import corvus_server.transports.limits
from corvus_server.inbound.forward import srs_address, srs_original
from corvus_server.inbound.policy import Policy, Ruling, decide
from corvus_server.inbound.received import received_field
from corvus_server.inbound.verdict import MAX_OCTETS, Decision, Verdict, flips
from corvus_server.spam.signals import CHECKS, MailFacts, Signal, score_of, signals_of


def result(status: str, domain: str = "", disposition: str = "none", reason: str = "") -> Any:
    return SimpleNamespace(status=status, domain=domain, disposition=disposition, reason=reason)


BAD = (Signal("test", 9.0, "it is a test"),)
RAISED = (Signal("test", 3.0, "it is a test"),)


def judge(**changes: Any) -> Ruling:
    arguments: dict[str, Any] = {
        "policy": Policy(),
        "from_domain": "crow.example",
        "spf": result("none"),
        "dkim": (),
        "dmarc": result("none"),
        "signals": (),
        "may_greylist": True,
        "returned": False,
    }
    return decide(**{**arguments, **changes})


@pytest.mark.parametrize(
    ("changes", "decision", "rule"),
    [
        ({}, Decision.INBOX, "score"),
        ({"dmarc": result("pass")}, Decision.INBOX, "vouched"),
        ({"dmarc": result("fail", disposition="reject")}, Decision.REJECT, "dmarc-reject"),
        (
            {
                "dmarc": result("fail", disposition="reject"),
                "dkim": (result("pass", "list.example"),),
            },
            Decision.JUNK,
            "dmarc-forwarded",
        ),
        (
            {"dmarc": result("fail", disposition="reject"), "spf": result("pass", "other.example")},
            Decision.JUNK,
            "dmarc-forwarded",
        ),
        (
            {
                "policy": Policy(strict_dmarc=True),
                "dmarc": result("fail", disposition="reject"),
                "dkim": (result("pass", "list.example"),),
            },
            Decision.REJECT,
            "dmarc-reject",
        ),
        (
            {"dmarc": result("fail", disposition="reject"), "dkim": (result("temperror"),)},
            Decision.DEFER,
            "dns-trouble",
        ),
        ({"dmarc": result("temperror")}, Decision.DEFER, "dns-trouble"),
        ({"dmarc": result("fail", disposition="quarantine")}, Decision.JUNK, "dmarc-quarantine"),
        ({"dmarc": result("permerror", disposition="reject")}, Decision.REJECT, "author-unclear"),
        ({"dmarc": result("permerror", disposition="quarantine")}, Decision.JUNK, "author-unclear"),
        ({"dmarc": result("fail")}, Decision.INBOX, "score"),
        ({"signals": RAISED}, Decision.GREYLIST, "greylist"),
        ({"signals": RAISED, "returned": True}, Decision.INBOX, "score"),
        ({"signals": RAISED, "may_greylist": False}, Decision.INBOX, "score"),
        ({"signals": RAISED, "policy": Policy(greylist="off")}, Decision.INBOX, "score"),
        ({"signals": RAISED, "dmarc": result("pass")}, Decision.INBOX, "vouched"),
        ({"policy": Policy(greylist="all")}, Decision.GREYLIST, "greylist"),
        ({"signals": BAD, "returned": True}, Decision.JUNK, "score"),
        ({"signals": BAD, "dmarc": result("pass")}, Decision.JUNK, "score"),
    ],
)
def test_each_rule_decides_as_it_says(
    changes: dict[str, Any], decision: Decision, rule: str
) -> None:
    ruling = judge(**changes)
    assert (ruling.decision, ruling.rule) == (decision, rule)
    assert ruling.sentence


statuses = st.sampled_from(
    ["pass", "fail", "none", "softfail", "neutral", "policy", "temperror", "permerror"]
)
signals = st.lists(
    st.builds(Signal, st.just("s"), st.floats(-5, 9, allow_nan=False), st.just("evidence")),
    max_size=4,
).map(tuple)


@pytest.mark.property
@given(
    statuses, statuses, statuses,
    st.sampled_from(["none", "quarantine", "reject"]), signals, st.booleans(), st.booleans(),
)  # fmt: skip
def test_every_combination_has_a_decision_with_a_reason(
    spf: str, dkim: str, dmarc: str, wanted: str, found: Any, may: bool, back: bool
) -> None:
    ruling = judge(
        spf=result(spf, "a.example"),
        dkim=(result(dkim, "b.example"),),
        dmarc=result(dmarc, disposition=wanted),
        signals=found,
        may_greylist=may,
        returned=back,
    )
    assert isinstance(ruling.decision, Decision)
    if dmarc == "pass" and score_of(found) < 5:
        assert ruling.decision is Decision.INBOX, (
            "who is vouched for and does nothing wrong is let in"
        )
    if back or not may:
        assert ruling.decision is not Decision.GREYLIST


def test_a_verdict_is_at_most_sixteen_kilobytes_and_still_json() -> None:
    huge = {"spf": {"trace": ["x" * 5000] * 50}, "dkim": [{"reason": "y" * 9000}] * 30}
    verdict = Verdict(
        decision=Decision.JUNK,
        rule="score",
        sentence="because",
        signals=tuple(Signal(f"s{n}", 1.0, "z" * 500) for n in range(100)),
        checks=huge,
    )
    tree = verdict.to_json()
    assert len(json.dumps(tree, ensure_ascii=False).encode()) <= MAX_OCTETS
    assert tree["cut"] is True
    assert tree["decision"] == "junk"


def test_flips_name_what_would_have_changed_the_decision() -> None:
    tree = {
        "decision": "junk", "rule": "score", "score": 6.0, "threshold": 5.0,
        "signals": [
            {"name": "spf-fail", "weight": 2.5, "evidence": ""},
            {"name": "no-date", "weight": 0.8, "evidence": ""},
        ],
    }  # fmt: skip
    assert len(flips(tree)) == 1
    assert "spf-fail" in flips(tree)[0]
    assert "DMARC" in flips({"decision": "reject", "rule": "dmarc-reject"})[1]
    assert (
        "more points"
        in flips({"decision": "inbox", "rule": "score", "score": 1.0, "threshold": 5.0})[0]
    )


def facts(**changes: Any) -> MailFacts:
    clean: dict[str, Any] = {
        "ip": "203.0.113.7", "helo": "mx.crow.example", "tls": True, "ptr": ("mx.crow.example",),
        "mail_from": "carol@crow.example", "spf": "pass", "spf_domain": "crow.example",
        "dkim": (("pass", "crow.example"),), "dmarc": "pass", "from_domain": "crow.example",
        "subject": "Lunch", "date_offset": -60.0,
    }  # fmt: skip
    return MailFacts(**{**clean, **changes})


def test_a_decent_mail_has_no_signal_against_it() -> None:
    assert all(signal.weight <= 0 for signal in signals_of(facts()))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("spf-fail", {"spf": "fail"}),
        ("dkim-none", {"dkim": ()}),
        ("dkim-broken", {"dkim": (("fail", "crow.example"),)}),
        ("dmarc-fail", {"dmarc": "fail"}),
        ("from-unclear", {"from_problem": "two From fields"}),
        ("no-reverse-name", {"ptr": ()}),
        ("helo-literal", {"helo": "[203.0.113.7]"}),
        ("helo-unqualified", {"helo": "localhost"}),
        ("no-date", {"date_offset": None}),
        ("date-ahead", {"date_offset": 1e6}),
        ("date-old", {"date_offset": -1e7}),
        ("no-message-id", {"has_message_id": False}),
        ("subject-shouts", {"subject": "BUY THIS RIGHT NOW"}),
        ("subject-cries", {"subject": "hello!!!"}),
        ("phrases", {"text": "You have won! Act now."}),
        ("link-to-address", {"text": "see http://203.0.113.9/x"}),
        ("reply-elsewhere", {"reply_to_domain": "gmail.com"}),
        ("program-attached", {"attachments": ("invoice.pdf.EXE",)}),
        ("html-only", {"html_only": True}),
        ("blocklisted", {"blocklists": {"bl.example": "127.0.0.2"}}),
        ("allowlisted", {"allowlists": {"wl.example": "127.0.0.2"}}),
        ("known-sender", {"known_sender": True}),
        ("malformed", {"defects": ("a boundary is missing",)}),
    ],
)
def test_each_signal_is_seen_and_explained(name: str, changes: dict[str, Any]) -> None:
    found = {signal.name: signal for signal in signals_of(facts(**changes))}
    assert name in found
    assert found[name].evidence


def test_nobody_is_a_known_sender_by_name_alone() -> None:
    found = signals_of(facts(known_sender=True, spf="fail", dmarc="fail"))
    assert "known-sender" not in {signal.name for signal in found}


def test_every_check_is_in_the_table_once() -> None:
    assert len(set(CHECKS)) == len(CHECKS)


def test_an_srs_address_leads_back_only_with_our_hash_and_in_time() -> None:
    address = srs_address("carol@crow.example", "corvus.local", b"key", now=0.0)
    local = address.rpartition("@")[0]
    assert srs_original(local, b"key", now=0.0) == "carol@crow.example"
    assert srs_original(local.lower(), b"key", now=0.0) == "carol@crow.example"
    assert srs_original(local, b"other", now=0.0) is None
    assert srs_original(local.replace("carol", "mallory"), b"key", now=0.0) is None
    assert srs_original(local, b"key", now=86400.0 * 30) is None
    assert srs_address("", "corvus.local", b"key", now=0.0) == ""


@pytest.mark.property
@given(st.text(max_size=60))
def test_no_local_part_breaks_the_way_back(text: str) -> None:
    assert srs_original(text, b"key", now=0.0) is None


@pytest.mark.property
@given(st.text(max_size=80), st.text(max_size=40))
def test_no_helo_can_add_a_field_or_end_the_comment(helo: str, name: str) -> None:
    field = received_field(
        helo=helo, address="203.0.113.7", name=name, hostname="mx.test", protocol="ESMTP",
        identifier="id1", recipient="a@b.test", moment=0.0,
    )  # fmt: skip
    lines = field[:-2].split(b"\r\n")
    assert lines[0].startswith(b"Received: from ")
    assert all(line.startswith(b"\t") for line in lines[1:])
    assert b"\n" not in field.replace(b"\r\n", b"")
    assert b"\r" not in field.replace(b"\r\n", b"")


def test_doctests() -> None:
    for module in (
        corvus_server.inbound.forward,
        corvus_server.inbound.received,
        corvus_server.inbound.verdict,
        corvus_server.transports.limits,
    ):
        assert doctest.testmod(module).failed == 0

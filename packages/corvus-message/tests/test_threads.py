"""Identifiers and base subjects."""

from __future__ import annotations

import pytest

from corvus_message import (
    base_subject,
    message_id,
    message_ids,
    parse,
    references,
    split_subject,
)


@pytest.mark.parametrize(
    ("subject", "base", "answered"),
    [
        ("hello", "hello", False),
        ("", "", False),
        ("Re: hello", "hello", True),
        ("RE : Re:hello", "hello", True),
        ("Fw: FWD: re: hello", "hello", True),
        ("Re[2]: hello", "hello", True),
        ("re [a b] : hello", "hello", True),
        ("[list] hello", "hello", False),
        ("[list] Re: [other] hello", "hello", True),
        ("[a] [b]", "[b]", False),
        ("[a]", "[a]", False),
        ("Re: [a]", "[a]", True),
        ("hello (fwd)", "hello", True),
        ("hello (fwd) (FWD) ", "hello", True),
        ("[fwd: hello]", "hello", True),
        ("[Fwd: Re: [x] hello (fwd)] (fwd)", "hello", True),
        ("[fwd: [fwd: hello]]", "hello", True),
        ("[fwd:]", "", True),
        ("Re:", "", True),
        ("(fwd)", "", True),
        ("Rex: hello", "Rex: hello", False),
        ("a\r\n  b\tc", "a b c", False),
        ("=?utf-8?q?Re=3A_?= =?utf-8?q?caf=C3=A9?=", "café", True),
        ("[unclosed hello", "[unclosed hello", False),
        ("Re: [PATCH 1/2] [net] fix", "fix", True),
        ("[a][b]Re[c][d]: x", "Re[c][d]: x", False),
    ],
)
def test_a_base_subject_is_extracted(subject: str, base: str, answered: bool) -> None:
    assert split_subject(subject) == (base, answered)
    assert base_subject(subject.encode()) == base


def test_identifiers_are_read_in_order() -> None:
    assert message_ids(b"<a@b>\r\n\t<c@d> (x) e@f <g h@i>") == ["a@b", "c@d", "gh@i"]
    assert message_ids(b'<"a>b"@c> <"a\\"b"@c> <"x y"@c>') == ["a>b@c", 'a"b@c', "xy@c"]
    assert message_ids("<> < >") == []
    assert message_ids(b"<\xc3\xa4@b>") == ["ä@b"]
    assert len(message_ids(b"<a@b>" * 2000)) == 1000


def test_references_come_first_and_in_reply_to_helps_out() -> None:
    m = parse(b"References: <a@x>\n <b@x> <a@x>\nIn-Reply-To: <c@x>\nMessage-ID: <d@x>\n\n")
    assert references(m) == ["a@x", "b@x"]
    assert message_id(m) == "d@x"
    m = parse(b"References: none\nIn-Reply-To: your mail <c@x> of <d@x>\n\n")
    assert references(m) == ["c@x"]
    assert references(parse(b"")) == []
    assert message_id(parse(b"")) is None
    assert message_id(parse(b"Message-ID: x\n\n")) is None

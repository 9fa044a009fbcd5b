"""Values that cannot be wrong: replies, addresses, parameters, policies, capabilities."""

from __future__ import annotations

import copy
import itertools
import pickle
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from corvus_smtp import (
    CODES,
    ENHANCED_CODES,
    EXTENSIONS,
    Capabilities,
    EnhancedStatus,
    Limits,
    Mailbox,
    MailParameters,
    Notify,
    OriginalRecipient,
    Policy,
    RcptParameters,
    Reply,
)
from corvus_smtp._newlines import has_bare_newline
from corvus_smtp.xtext import decode_xtext, encode_utf8_xtext


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        ([b"250 ok"], Reply(250, None, "ok")),
        ([b"250"], Reply(250)),
        ([b"250-"], Reply(250)),
        ([b"250-a", b"250 b"], Reply(250, None, ("a", "b"))),
        ([b"250-2.1.0 a", b"250 2.1.0 b"], Reply(250, "2.1.0", ("a", "b"))),
        ([b"250-a", b"250 2.1.0"], Reply(250, "2.1.0", ("a", ""))),
        ([b"550 2.1.0 odd"], Reply(550, None, "2.1.0 odd")),
        ([b"550 5.1.1"], Reply(550, "5.1.1", "")),
        ([b"550 5.1.1x"], Reply(550, None, "5.1.1x")),
        ([b"550 nich\xe4t"], Reply(550, None, "nich\\xe4t")),
        ([b"550 \xc3\xa4 \x00\x1b"], Reply(550, None, "ä \ufffd\ufffd")),
        ([b"250-a", b"550 b"], Reply(550, None, ("a", "b"))),
    ],
)
def test_replies_of_any_shape(lines: list[bytes], reply: Reply) -> None:
    assert Reply.parse(lines) == reply


def test_a_reply_tells_its_class() -> None:
    assert Reply(250).positive
    assert Reply(354).intermediate
    assert Reply(421).temporary
    assert Reply(550).permanent
    assert str(Reply(550, "5.1.1", ("no", "one"))) == "550 5.1.1 no one"
    assert str(Reply(550)) == "550"


@pytest.mark.parametrize("code", [0, 199, 600])
def test_a_reply_has_a_code(code: int) -> None:
    with pytest.raises(ValueError, match="no reply code"):
        Reply(code)


def test_classes_go_together() -> None:
    with pytest.raises(ValueError, match="does not go with"):
        Reply(550, "4.1.1")
    for text in ("5.1", "3.1.1", "5.01.1", "5.1.1000", "5.1.1 "):
        with pytest.raises(ValueError, match="not an enhanced"):
            EnhancedStatus.parse(text)
    for numbers in ((3, 0, 0), (5, 1000, 0), (5, 0, -1)):
        with pytest.raises(ValueError):
            EnhancedStatus(*numbers)


def test_long_texts_are_spread_over_lines_of_512_octets() -> None:
    for text in ("word " * 300, "x" * 1500, "ä" * 700):
        for utf8 in (False, True):
            wire = Reply(550, "5.7.1", text).wire(utf8=utf8)
            lines = wire.split(b"\r\n")[:-1]
            assert all(len(line) + 2 <= 512 for line in lines)
            assert all(line[3:4] == b"-" for line in lines[:-1])
            joined = b"".join(line[10:] for line in lines)
            assert joined == text.encode("utf-8" if utf8 else "ascii", "backslashreplace")
            if utf8:
                for line in lines:
                    line.decode("utf-8")


def test_every_code_of_ours_is_in_the_registry() -> None:
    from corvus_smtp import _says

    replies = [r for table in (_says.ACCEPT, _says.REJECT) for r in table.values()]
    replies += [value for value in vars(_says).values() if isinstance(value, Reply)]
    assert len(replies) > 20
    for reply in replies:
        assert reply.code in CODES
        if reply.enhanced is not None:
            assert f"{reply.enhanced.subject}.{reply.enhanced.detail}" in ENHANCED_CODES


@pytest.mark.parametrize(
    ("text", "local_part", "domain"),
    [
        ("a@b", "a", "b"),
        ("a.b+c@d-e.f", "a.b+c", "d-e.f"),
        ('"a b"@c', "a b", "c"),
        ('"a\\"b\\\\"@c', 'a"b\\', "c"),
        ('""@c', "", "c"),
        ('"a@b"@c', "a@b", "c"),
        ("a@[192.0.2.1]", "a", "[192.0.2.1]"),
        ("a@[IPv6:::1]", "a", "[IPv6:::1]"),
        ("jörg@ö.example", "jörg", "ö.example"),
    ],
)
def test_mailboxes_round_trip(text: str, local_part: str, domain: str) -> None:
    mailbox = Mailbox.parse(text)
    assert (mailbox.local_part, mailbox.domain) == (local_part, domain)
    assert str(mailbox) == text
    assert Mailbox.parse(bytes(mailbox)) == mailbox
    assert mailbox.needs_smtputf8 == (not text.isascii())
    assert eval(repr(mailbox)) == mailbox


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "@b",
        "a@",
        "a@b@c",
        "a b@c",
        "a@b c",
        ".a@b",
        "a.@b",
        "a..b@c",
        "a@-b",
        "a@b-",
        "a@b..c",
        "a@.b",
        "a@b.",
        "<a@b>",
        '"a@b',
        '"a"b@c',
        "a@[1.2.3]",
        "a@[1.2.3.4",
        "a@[IPv6:x]",
        "a@b_c",
        "a\r\n@b",
        "a@b\r\nc",
        "\ud800@b",
        "a@\ud800",
        "a\u2028@b",
        "a@x\x85y",
        "a@" + "b" * 64,
        "a@[999.1.1.1]",
        "a@[IPv6:1:2]",
    ],
)
def test_what_is_no_mailbox(text: str) -> None:
    with pytest.raises(ValueError):
        Mailbox.parse(text)


@pytest.mark.parametrize(
    ("local_part", "domain"),
    [
        ("a\r\nb", "c"),
        ("a", "b\r\nc"),
        ("a", ""),
        ("a\x00", "b"),
        ("a", "b>"),
        ("\ud800", "b"),
        ("a", "\ud800"),
        ("a", "b." * 130 + "c"),
        ("a", "[x]"),
        ("a", "[1.2.3.4"),
    ],
)
def test_no_constructor_makes_a_wrong_one(local_part: str, domain: str) -> None:
    with pytest.raises(ValueError):
        Mailbox(local_part, domain)


def test_mailboxes_compare_by_local_part_and_domain_but_for_case() -> None:
    assert Mailbox("a", "B.example") == Mailbox("a", "b.EXAMPLE")
    assert hash(Mailbox("a", "B.example")) == hash(Mailbox("a", "b.EXAMPLE"))
    assert Mailbox("a", "b") != Mailbox("A", "b")
    assert Mailbox("a", "b") != "a@b"
    assert str(Mailbox("POSTMASTER", "")) == "POSTMASTER"


def test_mailboxes_do_not_change() -> None:
    mailbox: Any = Mailbox("a", "b")
    with pytest.raises(AttributeError):
        mailbox.domain = "c"
    with pytest.raises(AttributeError):
        del mailbox.domain
    assert copy.copy(mailbox) == mailbox
    assert pickle.loads(pickle.dumps(mailbox)) == mailbox


def test_address_literals_are_addresses() -> None:
    assert Mailbox("a", "[192.0.2.1]").address_literal == IPv4Address("192.0.2.1")
    assert Mailbox("a", "[IPv6:2001:db8::1]").address_literal == IPv6Address("2001:db8::1")
    assert Mailbox("a", "b").address_literal is None
    assert Mailbox("a", "ö").address_literal is None


@pytest.mark.parametrize(
    "fields",
    [
        {"size": -1},
        {"size": 10**20},
        {"envid": "ä"},
        {"envid": "a\r\nb"},
        {"envid": ""},
        {"envid": "x" * 101},
        {"auth": "nobody"},
        {"auth": "a@b>\r\n"},
        {"other": {"x y": None}},
        {"other": {"X": "a\r\nb"}},
        {"other": {"X": "a b"}},
    ],
)
def test_parameters_that_cannot_be(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        MailParameters(**fields)


def test_recipient_parameters_that_cannot_be() -> None:
    for notify in (frozenset[Notify](), frozenset({Notify.NEVER, Notify.DELAY})):
        with pytest.raises(ValueError, match="NOTIFY"):
            RcptParameters(notify=notify)
    for pair in (("", "a"), ("a b", "c"), ("rfc822", ""), ("rfc822", "a\r\nb")):
        with pytest.raises(ValueError):
            OriginalRecipient(*pair)
    with pytest.raises(ValueError):
        RcptParameters(other={"X": "\n"})
    assert hash(MailParameters()) == hash(MailParameters())


def test_xtext() -> None:
    for bad in (b"a b", b"+2", b"+2b", b"a=b", b"\xff"):
        with pytest.raises(ValueError, match="not xtext"):
            decode_xtext(bad)
    assert encode_utf8_xtext("a+b=c\\d") == b"a\\x{2B}b\\x{3D}c\\x{5C}d"


def test_policies_that_cannot_be() -> None:
    wrongs: tuple[dict[str, Any], ...] = (
        {"extensions": frozenset({"FOO"})},
        {"extensions": frozenset({"BINARYMIME"})},
        {"extensions": frozenset({"AUTH"})},
        {"auth_mechanisms": ("a b",)},
        {"auth_mechanisms": ("plain",)},
        {"greeting": "a\r\nb"},
    )
    for wrong in wrongs:
        with pytest.raises(ValueError):
            Policy(**wrong)
    assert "SMTPUTF8" not in Policy().without("8BITMIME").extensions


def test_limits_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="512"):
        Limits(command_line=100)
    with pytest.raises(ValueError, match="recipients"):
        Limits(recipients=0)


def test_every_extension_has_its_rfc() -> None:
    assert list(EXTENSIONS) == sorted(EXTENSIONS)
    assert all(row.rfc.startswith("RFC ") and row.adds for row in EXTENSIONS.values())


def test_capabilities() -> None:
    found = Capabilities(
        Reply(
            250, None, ("mx", "size", "AUTH=LOGIN", "AUTH PLAIN", "LIMITS MAILMAX=5 RCPTMAX=x", "?")
        )
    )
    assert found.size is None
    assert found.mechanisms == {"LOGIN", "PLAIN"}
    assert (found.transactions, found.recipients) == (5, None)
    assert set(found) == {"SIZE", "AUTH", "LIMITS"}
    assert "?" not in found
    other: Any = 1
    assert other not in found
    assert found["auth"] == "LOGIN PLAIN"
    assert len(Capabilities()) == 0
    assert Capabilities(Reply(250, None, ("mx", "SIZE 0"))).size is None
    assert repr(Capabilities()) == "Capabilities({})"


def test_a_reply_of_no_lines_has_an_empty_one() -> None:
    assert Reply(250, None, ()).wire() == b"250 \r\n"


def test_a_long_text_is_never_cut_inside_a_character() -> None:
    wire = Reply(550, None, "x" + "\u20ac" * 400).wire(utf8=True)
    for line in wire.split(b"\r\n"):
        line.decode("utf-8")


def test_other_parameters_are_those_that_were_checked() -> None:
    other: dict[str, str | None] = {"X-A": "1"}
    values = MailParameters(other=other), RcptParameters(other=other)
    other["X-A"] = "1\r\nRCPT TO:<x@y.example>"
    assert [dict(value.other) for value in values] == [{"X-A": "1"}] * 2


@pytest.mark.parametrize(
    ("addr_type", "address"), [("rfc822", "jörg@x.example"), ("utf-8", "\ud800"), ("X400", "ä")]
)
def test_an_original_recipient_can_be_written(addr_type: str, address: str) -> None:
    with pytest.raises(ValueError, match="original recipient"):
        OriginalRecipient(addr_type, address)
    assert OriginalRecipient("UTF-8", "jörg@x.example").address == "jörg@x.example"


def test_a_bare_newline_is_found_in_every_word_of_a_few_octets() -> None:
    for length in range(7):
        for letters in itertools.product(b"\r\na\xff", repeat=length):
            octets = bytes(letters)
            rest = octets.replace(b"\r\n", b"-")
            assert has_bare_newline(octets) == (b"\r" in rest or b"\n" in rest), octets

"""Addresses of header fields."""

from __future__ import annotations

import pytest

from corvus_message import (
    Address,
    Group,
    address_list,
    addresses,
    format_address,
    parse_address,
)
from corvus_message.address import format_addresses


def pairs(value: bytes | str) -> list[tuple[str, str]]:
    return [(a.name, a.address) for a in addresses(value)]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("a@b.c", [("", "a@b.c")]),
        ("<a@b.c>", [("", "a@b.c")]),
        ("A B <a@b.c>", [("A B", "a@b.c")]),
        ('"A, B" <a@b.c>, d@e', [("A, B", "a@b.c"), ("", "d@e")]),
        ('"A \\"B\\" \\\\" <a@b.c>', [('A "B" \\', "a@b.c")]),
        ('"A" B <a@b.c>', [("A B", "a@b.c")]),
        ("a@b.c (Al (the) Bee)", [("Al (the) Bee", "a@b.c")]),
        ("(x) A (y) <a(z)@(z)b.c> (w)", [("A", "a@b.c")]),
        ('"a b"@c', [("", '"a b"@c')]),
        ('"a@b"@c', [("", '"a@b"@c')]),
        ('"ab"@c', [("", "ab@c")]),
        ("a . b @ c . d", [("", "a.b@c.d")]),
        ("a@[192.0.2.1]", [("", "a@[192.0.2.1]")]),
        ("a@[IPv6:2001:db8::1]", [("", "a@[IPv6:2001:db8::1]")]),
        ("", []),
        (" , ,, ", []),
        ("a@b,", [("", "a@b")]),
        ("Bob", [("", "Bob")]),
        ("Bob a@b", [("Bob", "a@b")]),
        ("=?utf-8?q?=C3=A4?= <a@b>", [("ä", "a@b")]),
        ("J. Q. Public <a@b>", [("J. Q. Public", "a@b")]),
        ("ü@ö.example", [("", "ü@ö.example")]),
        ("A <a@b", [("A", "a@b")]),
        ('"A <a@b>', [("", '"A <a@b>"')]),
        ("A\r\n B\r\n <a@b>", [("A B", "a@b")]),
        ('"A\r\n B" <a@b>', [("A B", "a@b")]),
        ("<>", [("", '""')]),
        ("a@", [("", "a")]),
        ("@b", [("", '""@b')]),
        ("a..b@c", [("", '"a..b"@c')]),
        ("A:;", []),
        ("<John Smith@x>", [("", '"John Smith"@x')]),
        ("< a . b @ c . d >", [("", "a.b@c.d")]),
        ("<a(z)@b>", [("", "a@b")]),
        ('" "@c', [("", '" "@c')]),
        ('"@"@c', [("", '"@"@c')]),
        ('"."@c', [("", '"."@c')]),
        ("<a@b>: c@d;", [("", "a@b"), ("", "c@d")]),
        ("a@b: c@d;", [("", "a@b"), ("", "c@d")]),
        ("<a@b>@c", [("", "a@b"), ("", '""@c')]),
        ("a@b@c", [("", '"a@b"@c')]),
        ("a @b @c", [("", '"a@b"@c')]),
        ("foo@bar.example <foo@bar.example>", [("foo@bar.example", "foo@bar.example")]),
        ("[x] y <a@b>", [("[x] y", "a@b")]),
        ("a@b; c@d", [("", "a@b"), ("", "c@d")]),
        ("> a@b", [("", "a@b")]),
        ("(only a comment)", []),
        ("(never closed a@b", []),
    ],
)
def test_an_address_field_is_read(value: str, wanted: list[tuple[str, str]]) -> None:
    assert pairs(value) == wanted
    assert pairs(value.encode()) == wanted


def test_groups_are_kept_together() -> None:
    found = address_list("A Group:Ed <e@x>, j@y;, z@z, Undisclosed recipients:;")
    assert [type(entry).__name__ for entry in found] == ["Group", "Address", "Group"]
    first, _, last = found
    assert isinstance(first, Group)
    assert isinstance(last, Group)
    assert (first.name, [a.address for a in first.members]) == ("A Group", ["e@x", "j@y"])
    assert (last.name, last.members) == ("Undisclosed recipients", ())


def test_a_group_that_never_ends_ends_with_the_field() -> None:
    (group,) = address_list("g: a@b, c@d")
    assert isinstance(group, Group)
    assert len(group.members) == 2


def test_source_routes_are_kept_apart() -> None:
    (a,) = addresses("Joe <@one.example,@two.example:joe@three.example>")
    assert (a.route, a.address) == (b"@one.example,@two.example", "joe@three.example")


def test_octets_stay_as_they_were() -> None:
    (a,) = addresses(b"=?x?q?y?= <\xe4@b>")
    assert (a.phrase, a.local_octets, a.domain_octets) == (b"=?x?q?y?=", b"\xe4", b"b")
    assert a.local == "ä"


@pytest.mark.parametrize(
    "value",
    ["<a@b> <c@d>", "<a@b> c@d", "a@b c@d", "<a@b>;<c@d>", "A <a@b> B <c@d>", "a@b <c@d>, x@y"],
)
def test_two_addresses_are_never_read_as_one(value: str) -> None:
    """CVE-2023-27043: what could be read in two ways gives more addresses, not fewer."""
    found = pairs(value)
    assert len(found) == 2
    assert found[-1][1] in ("c@d", "x@y")


def test_the_last_at_sign_separates() -> None:
    (a,) = addresses("alice@example.org)bob@evil.example")
    assert a.domain == "evil.example"


def test_an_address_can_be_written() -> None:
    assert format_address("", "a", "b.c") == "a@b.c"
    assert format_address("A B", "a", "b.c") == "A B <a@b.c>"
    assert format_address('A "B"', "a b", "[192.0.2.1]") == '"A \\"B\\"" <"a b"@[192.0.2.1]>'
    assert str(Address(b"=?utf-8?q?caf=C3=A9?=", b"", b"x", b"y")) == "=?utf-8?q?caf=C3=A9?= <x@y>"
    assert format_addresses(["A <a@b>", parse_address("c@d")]) == ["A <a@b>", "c@d"]


@pytest.mark.parametrize(
    ("local", "domain"),
    [("", "b"), ("a\r\n", "b"), ("a", ""), ("a", "b c"), ("a", "b>"), ("a\0", "b"), ("a", "b\n")],
)
def test_what_no_field_may_carry_is_refused(local: str, domain: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        format_address("x", local, domain)


@pytest.mark.parametrize("text", ["", "a@b, c@d", "g:;", "a", "a@b c"])
def test_parse_address_wants_exactly_one(text: str) -> None:
    with pytest.raises(ValueError, match="not"):
        parse_address(text)

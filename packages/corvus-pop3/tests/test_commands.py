"""The grammar of commands, both ways."""

import pytest

from corvus_pop3 import LocalProtocolError, Verb
from corvus_pop3.commands import ARGUMENTS, BadCommand, format_command, from_base64, parse_command

V = Verb

DIGEST = b"c4c9334bac560ecc979e58001b3e22fb"

GOOD = [
    (b"QUIT", V.QUIT, ()),
    (b"LIST", V.LIST, ()),
    (b"LIST 2", V.LIST, (b"2",)),
    (b"RETR 0001", V.RETR, (b"0001",)),
    (b"TOP 1 0", V.TOP, (b"1", b"0")),
    (b"UIDL 9999999999999999999", V.UIDL, (b"9999999999999999999",)),
    (b"USER two words", V.USER, (b"two words",)),
    (b"PASS  in front and behind ", V.PASS, (b" in front and behind ",)),
    (b"PASS \xff\xfe", V.PASS, (b"\xff\xfe",)),
    (b"APOP m rose " + DIGEST, V.APOP, (b"m rose", DIGEST)),
    (b"AUTH PLAIN", V.AUTH, (b"PLAIN",)),
    (b"AUTH PLAIN =", V.AUTH, (b"PLAIN", b"=")),
    (b"AUTH SCRAM-SHA-256-PLUS YQ==", V.AUTH, (b"SCRAM-SHA-256-PLUS", b"YQ==")),
    (b"LANG", V.LANG, ()),
    (b"LANG *", V.LANG, (b"*",)),
    (b"LANG pt-BR", V.LANG, (b"pt-BR",)),
]

BAD = [
    b"",
    b" ",
    b" QUIT",
    b"\tQUIT",
    b"QUIT\t",
    b"QUIT x",
    b"QUIT\0",
    b"XTND",
    b"+OK",
    b"\xff\xfe\xfd",
    b"STAT 1",
    b"LIST 1 2",
    b"LIST -1",
    b"LIST +1",
    b"LIST 1.0",
    b"LIST 0x1",
    b"LIST 1_0",
    b"LIST \xd9\xa1",  # an Arabic-Indic digit
    b"LIST 99999999999999999999",
    b"LIST  1",
    b"RETR",
    b"RETR ",
    b"RETR x",
    b"TOP 1",
    b"TOP 1 -1",
    b"TOP 1  2",
    b"TOP 1 2 3",
    b"DELE 1\n2",
    b"USER",
    b"USER ",
    b"USER a\0b",
    b"PASS a\rb",
    b"PASS a\nDELE 1",
    b"APOP mrose",
    b"APOP mrose " + DIGEST.upper(),
    b"APOP mrose " + DIGEST + b"0",
    b"APOP " + DIGEST,
    b"AUTH",
    b"AUTH =",
    b"AUTH PLAIN a b",
    b"AUTH PLAIN *",
    b"AUTH " + b"X" * 21,
    b"UTF8 x",
    b"LANG a b",
    b"LANG " + b"x" * 65,
]


@pytest.mark.parametrize(("line", "verb", "arguments"), GOOD)
def test_a_command_is_parsed_and_formatted_again(
    line: bytes, verb: Verb, arguments: tuple[bytes, ...]
) -> None:
    assert parse_command(line) == (verb, arguments)
    assert format_command(verb, *arguments) == line + b"\r\n"


@pytest.mark.parametrize("line", BAD)
def test_anything_else_is_no_command(line: bytes) -> None:
    with pytest.raises(BadCommand):
        parse_command(line)


def test_keywords_are_known_in_any_case() -> None:
    assert parse_command(b"rEtR 1") == (V.RETR, (b"1",))


def test_a_space_at_the_end_harms_nobody_but_a_password() -> None:
    assert parse_command(b"STAT ") == (V.STAT, ())
    assert parse_command(b"TOP 1 2  ") == (V.TOP, (b"1", b"2"))
    assert parse_command(b"PASS x ") == (V.PASS, (b"x ",))


def test_every_verb_has_a_grammar() -> None:
    assert set(ARGUMENTS) == set(Verb)


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        (V.PASS, (b"secret\r\nDELE 1",)),
        (V.USER, (b"a\nb",)),
        (V.USER, (b"a\0",)),
        (V.USER, (b"",)),
        (V.RETR, (b"-1",)),
        (V.TOP, (b"1 2",)),
        (V.LANG, (b"en ",)),
        (V.STAT, (b"1",)),
    ],
)
def test_a_client_cannot_be_made_to_say_something_else(
    verb: Verb, arguments: tuple[bytes, ...]
) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        format_command(verb, *arguments)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("octets", "decoded"), [(b"", b""), (b"AGEAYg==", b"\0a\0b"), (b"YWJj", b"abc")]
)
def test_base64_is_decoded(octets: bytes, decoded: bytes) -> None:
    assert from_base64(octets) == decoded


@pytest.mark.parametrize(
    "octets",
    [
        b"=",
        b"a",
        b"ab",
        b"YQ=",
        b"YQ===",
        b"YR==",
        b"YQ==YQ==",
        b"Y Q==",
        b"YQ==\n",
        b"\xff",
        b"_-_-",
    ],
)
def test_what_is_not_canonical_base64_is_refused(octets: bytes) -> None:
    with pytest.raises(BadCommand):
        from_base64(octets)

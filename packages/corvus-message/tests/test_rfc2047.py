"""The examples of RFC 2047 §8 and RFC 2231."""

from __future__ import annotations

import pytest

from corvus_message import addresses, decode_words, parse_content_type


@pytest.mark.parametrize(
    ("value", "name", "address"),
    [
        ("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore", "moore@cs.utk.edu"),
        (
            "=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>",
            "Keld Jørn Simonsen",
            "keld@dkuug.dk",
        ),
        (
            "=?ISO-8859-1?Q?Andr=E9?= Pirard <PIRARD@vm1.ulg.ac.be>",
            "André Pirard",
            "PIRARD@vm1.ulg.ac.be",
        ),
        (
            "Nathaniel Borenstein <nsb@thumper.bellcore.com>\r\n (=?iso-8859-8?b?7eXs?=)",
            "Nathaniel Borenstein",
            "nsb@thumper.bellcore.com",
        ),
        (
            "nsb@thumper.bellcore.com (=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=)",
            "םולש ןב ילטפנ",
            "nsb@thumper.bellcore.com",
        ),
    ],
)
def test_section_8_addresses(value: str, name: str, address: str) -> None:
    (found,) = addresses(value)
    assert (found.name, found.address) == (name, address)


@pytest.mark.parametrize(
    ("encoded", "displayed"),
    [
        ("=?ISO-8859-1?Q?a?=", "a"),
        ("=?ISO-8859-1?Q?a?= b", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a_b?=", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        (
            # The two words of the example; a fold stands between them.
            "\r\n ".join(
                [
                    "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=",
                    "=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
                ]
            ),
            "If you can read this you understand the example.",
        ),
    ],
)
def test_section_8_text(encoded: str, displayed: str) -> None:
    assert decode_words(encoded) == displayed


def test_rfc_2231_3_a_parameter_in_pieces() -> None:
    kind = parse_content_type(
        b"message/external-body; access-type=URL;\r\n"
        b' URL*0="ftp://";\r\n'
        b' URL*1="cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"'
    )
    assert kind is not None
    assert kind.get("url") == "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"
    assert kind.get("access-type") == "URL"


def test_rfc_2231_4_a_parameter_with_a_charset() -> None:
    kind = parse_content_type(
        b"application/x-stuff;\r\n title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A"
    )
    assert kind is not None
    assert kind.get("title") == "This is ***fun***"


def test_rfc_2231_4_1_both() -> None:
    kind = parse_content_type(
        b"application/x-stuff;\r\n"
        b" title*0*=us-ascii'en'This%20is%20even%20more%20;\r\n"
        b" title*1*=%2A%2A%2Afun%2A%2A%2A%20;\r\n"
        b' title*2="isn\'t it!"'
    )
    assert kind is not None
    assert kind.get("title") == "This is even more ***fun*** isn't it!"


def test_rfc_2231_5_a_word_with_a_language() -> None:
    assert decode_words("=?US-ASCII*EN?Q?Keith_Moore?=") == "Keith Moore"

"""The messages printed in RFC 5322 appendix A."""

from __future__ import annotations

from corvus_message import (
    Group,
    address_list,
    addresses,
    message_id,
    message_ids,
    parse,
    parse_date,
    references,
    reply_headers,
)


def message(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def shown(value: bytes | None) -> list[tuple[str, str]]:
    return [(a.name, a.address) for a in addresses(value or b"")]


def test_a_1_1_simple_addressing() -> None:
    m = parse(
        message(
            "From: John Doe <jdoe@machine.example>\n"
            "Sender: Michael Jones <mjones@machine.example>\n"
            "To: Mary Smith <mary@example.net>\n"
            "Subject: Saying Hello\n"
            "Date: Fri, 21 Nov 1997 09:55:06 -0600\n"
            "Message-ID: <1234@local.machine.example>\n"
            "\n"
            "This is a message just to say hello.\n"
            'So, "Hello".\n'
        )
    )
    assert shown(m.field(b"from")) == [("John Doe", "jdoe@machine.example")]
    assert shown(m.field(b"sender")) == [("Michael Jones", "mjones@machine.example")]
    assert shown(m.field(b"to")) == [("Mary Smith", "mary@example.net")]
    assert m.subject == "Saying Hello"
    assert message_id(m) == "1234@local.machine.example"
    assert m.text() == 'This is a message just to say hello.\nSo, "Hello".\n'


def test_a_1_2_types_of_mailboxes() -> None:
    assert shown(b'"Joe Q. Public" <john.q.public@example.com>') == [
        ("Joe Q. Public", "john.q.public@example.com")
    ]
    assert shown(b"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>") == [
        ("Mary Smith", "mary@x.test"),
        ("", "jdoe@example.org"),
        ("Who?", "one@y.test"),
    ]
    assert shown(b'<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>') == [
        ("", "boss@nil.test"),
        ('Giant; "Big" Box', "sysservices@example.net"),
    ]


def test_a_1_3_groups() -> None:
    (group,) = address_list(b"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;")
    assert isinstance(group, Group)
    assert group.name == "A Group"
    assert [(a.name, a.address) for a in group.members] == [
        ("Ed Jones", "c@a.test"),
        ("", "joe@where.test"),
        ("John", "jdoe@one.test"),
    ]
    (empty,) = address_list(b"Undisclosed recipients:;")
    assert empty == Group(b"Undisclosed recipients", ())


def test_a_2_replies() -> None:
    m = parse(
        message(
            "From: Mary Smith <mary@example.net>\n"
            "To: John Doe <jdoe@machine.example>\n"
            'Reply-To: "Mary Smith: Personal Account" <smith@home.example>\n'
            "Subject: Re: Saying Hello\n"
            "Date: Fri, 21 Nov 1997 10:01:10 -0600\n"
            "Message-ID: <3456@example.net>\n"
            "In-Reply-To: <1234@local.machine.example>\n"
            "References: <1234@local.machine.example>\n"
            "\n"
            "This is a reply to your hello.\n"
        )
    )
    assert references(m) == ["1234@local.machine.example"]
    answer = reply_headers(m)
    assert [str(a) for a in answer.to] == ['"Mary Smith: Personal Account" <smith@home.example>']
    assert answer.subject == "Re: Saying Hello"
    assert answer.in_reply_to == ("3456@example.net",)
    assert answer.references == ("1234@local.machine.example", "3456@example.net")


def test_a_4_trace_fields() -> None:
    m = parse(
        message(
            "Received: from x.y.test\n"
            "   by example.net\n"
            "   via TCP\n"
            "   with ESMTP\n"
            "   id ABC12345\n"
            "   for <mary@example.net>;  21 Nov 1997 10:05:43 -0600\n"
            "Received: from node.example by x.y.test; 21 Nov 1997 10:01:22 -0600\n"
            "\n"
        )
    )
    first, second = m.fields(b"received")
    assert first.startswith(b"from x.y.test   by example.net   via TCP")
    moment = parse_date(first.rpartition(b";")[2])
    assert moment is not None
    assert moment.isoformat() == "1997-11-21T10:05:43-06:00"
    assert second == b"from node.example by x.y.test; 21 Nov 1997 10:01:22 -0600"


ODDITIES = """\
From: Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>
To:A Group(Some people)
     :Chris Jones <c@(Chris's host.)public.example>,
         joe@example.org,
  John <jdoe@one.test> (my dear friend); (the end of the group)
Cc:(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;
Date: Thu,
      13
        Feb
          1969
      23:32
               -0330 (Newfoundland Time)
Message-ID:              <testabcd.1234@silly.test>

Testing.
"""


def test_a_5_white_space_comments_and_other_oddities() -> None:
    m = parse(message(ODDITIES))
    assert shown(m.field(b"from")) == [("Pete", "pete@silly.test")]
    (group,) = address_list(m.field(b"to") or b"")
    assert isinstance(group, Group)
    assert (group.name, [(a.name, a.address) for a in group.members]) == (
        "A Group",
        [
            ("Chris Jones", "c@public.example"),
            ("", "joe@example.org"),
            ("John", "jdoe@one.test"),
        ],
    )
    assert address_list(m.field(b"cc") or b"") == [Group(b"Hidden recipients", ())]
    moment = parse_date(m.field(b"date") or b"")
    assert moment is not None
    assert moment.isoformat() == "1969-02-13T23:32:00-03:30"
    assert message_id(m) == "testabcd.1234@silly.test"
    assert m.content() == b"Testing.\r\n"


def test_a_6_1_obsolete_addressing() -> None:
    assert shown(b"Joe Q. Public <john.q.public@example.com>") == [
        ("Joe Q. Public", "john.q.public@example.com")
    ]
    mary, jdoe = addresses(b"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example")
    assert (mary.name, mary.route, mary.address) == (
        "Mary Smith",
        b"@node.test",
        "mary@example.net",
    )
    assert jdoe.address == "jdoe@test.example"


OBSOLETE = """\
From  : John Doe <jdoe@machine(comment).  example>
To    : Mary Smith
__
          <mary@example.net>
Subject     : Saying Hello
Date  : Fri, 21 Nov 1997 09(comment):   55  :  06 -0600
Message-ID  : <1234   @   local(blah)  .machine .example>

This is a message just to say hello.
""".replace("__", "  ")


def test_a_6_3_obsolete_white_space_and_comments() -> None:
    m = parse(message(OBSOLETE))
    assert shown(m.field(b"from")) == [("John Doe", "jdoe@machine.example")]
    assert shown(m.field(b"to")) == [("Mary Smith", "mary@example.net")]
    assert m.subject == "Saying Hello"
    moment = parse_date(m.field(b"date") or b"")
    assert moment is not None
    assert moment.isoformat() == "1997-11-21T09:55:06-06:00"
    assert message_id(m) == "1234@local.machine.example"
    assert message_ids(m.field(b"message-id") or b"") == ["1234@local.machine.example"]
    assert m.text() == "This is a message just to say hello.\n"

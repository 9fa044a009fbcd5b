"""The four standing properties, and every state against every verb and class of reply."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_smtp import (
    NEED_DATA,
    BodyType,
    ClientConnection,
    DataReady,
    EnhancedStatus,
    Limits,
    Mailbox,
    MailParameters,
    MessageChunk,
    MessageReceived,
    Notify,
    OriginalRecipient,
    Policy,
    Protocol,
    ProtocolError,
    Quirks,
    RcptParameters,
    Reply,
    ReplyReceived,
    Ret,
    ServerConnection,
    State,
    TLSInfo,
    Verb,
)
from corvus_smtp._state import ACCEPTED, OUT_OF_SEQUENCE
from corvus_smtp.xtext import decode_utf8_xtext, decode_xtext, encode_utf8_xtext, encode_xtext
from corvus_testing import (
    assert_any_chunking_is_the_same,
    assert_only_protocol_errors,
    converse,
    drive,
)
from corvus_testing.strategies import cuts, hostile_octets

pytestmark = pytest.mark.property

POLICY = Policy(auth_mechanisms=("PLAIN",), auth_in_clear=True).offering("EXPN", "BINARYMIME")
LIMITS = Limits(message_size=200, recipients=3, errors=50, transactions=5, auth_failures=3)

LINES = [
    b"EHLO x\r\n",
    b"HELO x\r\n",
    b"LHLO x\r\n",
    b"MAIL FROM:<a@b>\r\n",
    b"MAIL FROM:<> BODY=BINARYMIME\r\n",
    b"MAIL FROM:<\xc3\xa4@b> SMTPUTF8\r\n",
    b"RCPT TO:<c@d>\r\n",
    b"RCPT TO:<Postmaster> NOTIFY=NEVER\r\n",
    b"DATA\r\n",
    b"BDAT 3\r\nabc",
    b"BDAT 4 LAST\r\n\r\n.\r",
    b"BDAT 300\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH PLAIN AGEAYg==\r\n",
    b"AGEAYg==\r\n",
    b"*\r\n",
    b"RSET\r\n",
    b"VRFY x\r\n",
    b"EXPN x\r\n",
    b"HELP\r\n",
    b"NOOP\r\n",
    b"QUIT\r\n",
    b".\r\n",
    b"..\r\n",
    b"text\r\n",
    b"\r\n.\r\n",
]
dialogue = st.lists(st.sampled_from(LINES) | hostile_octets, max_size=25).map(b"".join)
likely = st.lists(st.sampled_from(LINES), max_size=25).map(
    lambda lines: b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n" + b"".join(lines)
)


def server(**options: Any) -> ServerConnection:
    return ServerConnection("mx.example", policy=POLICY, limits=LIMITS, **options)


def answer(conn: Any, event: Any) -> None:
    if not event.owes:
        return
    if type(event).__name__ == "AuthStarted" and event.initial is None:
        conn.challenge(b"?")
    else:
        conn.accept()


def contrary(conn: Any, event: Any) -> None:
    if event.owes:
        conn.accept() if type(event).__name__ in (
            "ConnectionOpened",
            "HelloReceived",
        ) else conn.reject()


def joined(events: list[Any]) -> list[Any]:
    found: list[Any] = []
    for event in events:
        if isinstance(event, MessageChunk) and found and isinstance(found[-1], MessageChunk):
            found[-1] = MessageChunk(found[-1].data + event.data)
        else:
            found.append(event)
    return found


def without_lost_chunks(events: list[Any]) -> list[Any]:
    """How much of a message was passed on before it was found too large or bare depends on the cut."""
    kept: list[Any] = []
    for event in joined(events):
        if type(event).__name__ == "MessageAborted" and kept and isinstance(kept[-1], MessageChunk):
            kept.pop()
        kept.append(event)
    if kept and isinstance(kept[-1], MessageChunk):
        kept.pop()
    return kept


@given(dialogue | likely, cuts)
def test_any_chunking_gives_the_same_events_and_octets(wire: bytes, places: list[int]) -> None:
    assert_any_chunking_is_the_same(
        server, wire, places, answer, errors=ProtocolError, normalise=without_lost_chunks
    )


@given(dialogue | likely, cuts)
def test_any_chunking_of_lmtp(wire: bytes, places: list[int]) -> None:
    assert_any_chunking_is_the_same(
        lambda: server(protocol=Protocol.LMTP),
        wire.replace(b"EHLO", b"LHLO"),
        places,
        answer,
        errors=ProtocolError,
        normalise=without_lost_chunks,
    )


@given(st.lists(dialogue | likely, max_size=4), st.booleans())
def test_nothing_but_protocol_errors_leaves_the_server(wire: list[bytes], agree: bool) -> None:
    run = assert_only_protocol_errors(
        lambda: server(quirks=Quirks(space_after_colon=True)),
        wire,
        answer if agree else contrary,
        errors=ProtocolError,
        most_buffered=LIMITS.auth_line,
    )
    for line in run.written.split(b"\r\n")[:-1]:
        assert line[:3].isdigit()
        assert line[3:4] in (b" ", b"-")
        assert b"\r" not in line
        assert b"\n" not in line


REPLIES = [
    b"220 x\r\n",
    b"250 ok\r\n",
    b"250-x\r\n",
    b"250 PIPELINING\r\n",
    b"354 go\r\n",
    b"334 \r\n",
]
REPLIES += [
    b"421 bye\r\n",
    b"451 later\r\n",
    b"550 5.1.1 no\r\n",
    b"250-CHUNKING\r\n",
    b"221 bye\r\n",
]


def client(protocol: Protocol = Protocol.SMTP) -> ClientConnection:
    conn = ClientConnection("client.example", protocol=protocol, auth_in_clear=True)
    conn.ehlo()
    return conn


def talk(conn: Any, event: Any) -> None:
    """A client that always has a message to send."""
    if isinstance(event, DataReady):
        conn.chunk(b".a\r\n")
        conn.end(b"b")
    elif type(event).__name__ == "ChallengeReceived":
        conn.respond(b"x")
    elif isinstance(event, ReplyReceived) and event.command is not None and not conn.closing:
        if event.verb in (Verb.EHLO, Verb.LHLO) and event.reply.positive:
            if "AUTH" in conn.capabilities:
                conn.auth("PLAIN")
            conn.mail("a@b")
            conn.rcpt("c@d")
            conn.rcpt("e@f")
            conn.data()
            conn.mail("g@h")
            conn.rcpt("i@j")
            conn.data()
            conn.quit()


@given(st.lists(st.sampled_from(REPLIES) | hostile_octets, max_size=30).map(b"".join), cuts)
def test_any_chunking_of_replies_is_the_same(wire: bytes, places: list[int]) -> None:
    def seen(events: list[Any]) -> list[Any]:
        return [(type(e), getattr(e, "reply", None)) for e in events]

    # Tokens are compared by identity, so their replies stand for them.
    assert_any_chunking_is_the_same(
        client,
        b"220 x\r\n250 PIPELINING\r\n" + wire,
        places,
        talk,
        errors=ProtocolError,
        normalise=seen,
    )


@given(
    st.lists(
        st.lists(st.sampled_from(REPLIES) | hostile_octets, max_size=20).map(b"".join), max_size=5
    )
)
def test_nothing_but_protocol_errors_leaves_the_client(wire: list[bytes]) -> None:
    assert_only_protocol_errors(
        client, wire, talk, errors=ProtocolError, most_buffered=Limits().reply_line
    )


@given(
    st.frozensets(st.sampled_from(["PIPELINING", "CHUNKING", "SIZE", "DSN", "LIMITS"])),
    st.lists(st.booleans(), max_size=8),
    st.sampled_from(Protocol),
)
def test_client_and_server_come_to_an_end(
    off: frozenset[str], choices: list[bool], protocol: Protocol
) -> None:
    decisions = iter(choices)

    def decide(conn: Any, event: Any) -> None:
        if event.owes:
            name = type(event).__name__
            if name in ("ConnectionOpened", "HelloReceived") or next(decisions, True):
                answer(conn, event)
            else:
                conn.reject()

    ours = client(protocol)
    theirs = ServerConnection(
        "mx.example", policy=POLICY.without("BINARYMIME", *off), protocol=protocol
    )
    converse(ours, theirs, talk, decide)
    assert ours.closing
    assert theirs.closing


@given(
    st.binary(max_size=400).map(lambda b: b.replace(b"\r", b"").replace(b"\n", b"\r\n")),
    cuts,
    st.booleans(),
)
def test_messages_arrive_as_they_were_sent(body: bytes, places: list[int], chunking: bool) -> None:
    ours, received = client(), bytearray()
    theirs = ServerConnection(
        "mx.example", policy=Policy() if chunking else Policy().without("CHUNKING")
    )

    def send(conn: Any, event: Any) -> None:
        if isinstance(event, DataReady):
            edges = sorted({0, len(body), *(p % (len(body) + 1) for p in places)})
            for start, stop in pairwise(edges):
                conn.chunk(body[start:stop])
            conn.end()
        elif isinstance(event, ReplyReceived) and event.verb is Verb.EHLO:
            conn.mail("a@b")
            conn.rcpt("c@d")
            conn.data()
            conn.quit()

    def take(conn: Any, event: Any) -> None:
        if isinstance(event, MessageChunk):
            received.extend(event.data)
        answer(conn, event)

    converse(ours, theirs, send, take)
    missing = b"" if chunking or body.endswith(b"\r\n") or not body else b"\r\n"
    assert bytes(received) == body + missing


#: How to bring a server to each state in which it listens.
PATHS = {
    State.CONNECTED: b"",
    State.READY: b"EHLO x\r\n",
    State.MAIL: b"EHLO x\r\nMAIL FROM:<a@b>\r\n",
    State.RCPT: b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
    State.BDAT: b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 1\r\nx",
    State.FAILED: b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 1\r\n\nBDAT 1\r\n\n",
}
ARGUMENT = {
    Verb.EHLO: b" x",
    Verb.HELO: b" x",
    Verb.LHLO: b" x",
    Verb.MAIL: b" FROM:<a@b>",
    Verb.RCPT: b" TO:<c@d>",
    Verb.BDAT: b" 0",
    Verb.AUTH: b" PLAIN =",
    Verb.VRFY: b" x",
    Verb.EXPN: b" x",
}


@given(
    st.sampled_from(sorted(PATHS, key=str)),
    st.sampled_from(Verb),
    st.sampled_from([250, 450, 550, 421]),
)
def test_every_state_verb_and_class_of_reply(state: State, verb: Verb, code: int) -> None:
    """The table decides which verbs are heard, and the answer whether the state changes."""
    conn = ServerConnection("mx.example", policy=POLICY.offering("STARTTLS"))
    drive(conn, [PATHS[state]], answer, errors=ProtocolError)
    assert conn.state is state
    conn.receive_data(verb.value.encode() + ARGUMENT.get(verb, b"") + b"\r\n")
    event = conn.next_event()
    rejected = type(event).__name__ == "CommandRejected"
    foreign = verb is Verb.LHLO
    unknown = state is State.CONNECTED and verb in (Verb.STARTTLS, Verb.AUTH)
    if verb not in ACCEPTED[state] or foreign or unknown:
        assert rejected
        assert conn.state is state
        return
    assert not rejected
    if conn.owed is None:
        assert conn.state is not State.GREETING
        return
    before = conn.state
    if code == 250:
        conn.accept()
        conn.next_event()
        expected = ACCEPTED[state][verb]
        if verb is Verb.AUTH:
            expected = State.READY  # at once: there was an initial response
        if verb is Verb.BDAT:
            expected = State.BDAT  # at once: it had no octets
        assert conn.state is expected
    else:
        conn.reject(code, None, "no")
        conn.next_event()
        if code == 421:
            assert conn.state is State.CLOSED
        elif verb is Verb.BDAT:
            assert conn.state is State.FAILED
        else:
            assert conn.state is before


def test_the_table_is_total() -> None:
    assert set(ACCEPTED) == set(State)
    assert {state for state, _ in OUT_OF_SEQUENCE} <= set(State)
    for (state, verb), text in OUT_OF_SEQUENCE.items():
        assert verb not in ACCEPTED[state], text


# Values: what is written can be read.

atoms = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_categories=["Cc", "Cs"]),
    max_size=12,
)
domains = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?(\.[a-z0-9]{1,4}){0,3}\Z")


@given(atoms, domains)
def test_every_mailbox_can_be_read_back(local_part: str, domain: str) -> None:
    mailbox = Mailbox(local_part, domain)
    assert Mailbox.parse(bytes(mailbox)) == mailbox
    assert Mailbox.parse(str(mailbox)) == mailbox


@given(st.binary(max_size=50))
def test_xtext_can_be_read_back(octets: bytes) -> None:
    assert decode_xtext(encode_xtext(octets)) == octets


@given(atoms)
def test_utf8_xtext_can_be_read_back(text: str) -> None:
    assert decode_utf8_xtext(encode_utf8_xtext(text)) == text


@given(
    st.sampled_from([220, 250, 354, 421, 550]),
    st.booleans(),
    st.lists(
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30),
        min_size=1,
        max_size=4,
    ),
)
def test_replies_can_be_read_back(code: int, enhanced: bool, texts: list[str]) -> None:
    status = EnhancedStatus(code // 100, 1, 2) if enhanced and code != 354 else None
    texts = [text.strip(" ") for text in texts]
    reply = Reply(code, status, texts)
    wire = reply.wire()
    lines = wire.split(b"\r\n")[:-1]
    parsed = Reply.parse(lines)
    if status is not None or not any(text[:1].isdigit() for text in texts):
        assert parsed == reply


@given(
    st.none() | st.integers(0, 10**6),
    st.none() | st.sampled_from([BodyType.SEVEN_BIT, BodyType.EIGHT_BIT_MIME]),
    st.none() | st.sampled_from(Ret),
    st.none()
    | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30),
    st.none()
    | st.frozensets(st.sampled_from([Notify.SUCCESS, Notify.FAILURE, Notify.DELAY]), min_size=1),
    st.none()
    | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30),
)
def test_parameters_cross_the_wire(
    size: int | None,
    body: BodyType | None,
    ret: Ret | None,
    envid: str | None,
    notify: frozenset[Notify] | None,
    orcpt: str | None,
) -> None:
    mail = MailParameters(size=size, body=body, ret=ret, envid=envid)
    rcpt = RcptParameters(
        notify=notify, orcpt=None if orcpt is None else OriginalRecipient("rfc822", orcpt)
    )
    ours, theirs, seen = client(), server(), []

    def send(conn: Any, event: Any) -> None:
        if isinstance(event, ReplyReceived) and event.verb is Verb.EHLO:
            conn.mail("a@b", MailParameters(size=None if size is None else size % 200))
            conn.reset()
            if size is None or size <= 200:
                conn.mail("a@b", mail)
                conn.rcpt("c@d", rcpt)

    def take(conn: Any, event: Any) -> None:
        seen.append(event)
        answer(conn, event)

    converse(ours, theirs, send, take)
    assert ours.next_event() is NEED_DATA
    if size is None or size <= 200:
        assert seen[-2].parameters == mail
        assert seen[-1].parameters == rcpt


def test_tls_ends_both_sides_in_connected() -> None:
    ours, theirs = client(), ServerConnection("mx.example", policy=Policy().offering("STARTTLS"))

    def send(conn: Any, event: Any) -> None:
        if isinstance(event, ReplyReceived) and event.verb is Verb.EHLO:
            if conn.tls is None:
                conn.starttls()
            else:
                conn.quit()

    def shake(one: Any, other: Any) -> None:
        one.start_tls(TLSInfo())
        other.start_tls(TLSInfo())
        one.ehlo()

    converse(ours, theirs, send, answer, tls=shake)
    assert ours.closing
    assert theirs.closing
    assert theirs.tls is not None


def test_a_message_received_means_all_of_it() -> None:
    wire = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n12\r\n.\r\n"
    events = drive(server(), [wire], answer, errors=ProtocolError).events
    assert events[-1] == MessageReceived(4, 1)

"""Every example line printed in the RFCs is read, and comes back from what is written.

The lines are data (``vectors/rfcNNNN.txt``, provenance in ``vectors/SOURCES.md``).  Each line that is not
read is named below with its reason.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from corvus_imap import (
    ALL_CAPABILITIES,
    NEED_DATA,
    AppendOffered,
    AppendReceived,
    Limits,
    LiteralChunk,
    Policy,
    ServerConnection,
    responses,
)
from corvus_imap.codec._lexer import Cursor
from corvus_imap.codec.grammar import Grammar
from corvus_imap.codec.parse_command import parse_command
from corvus_imap.codec.parse_response import parse_response
from corvus_imap.codec.render import render
from corvus_imap.codec.serialize_command import serialize_command
from corvus_imap.errors import ParseError

VECTORS = sorted((Path(__file__).parent / "vectors").glob("rfc*.txt"))
CAPABILITIES = (*ALL_CAPABILITIES, "QUOTASET", "ESORT")
GRAMMAR = Grammar(frozenset(CAPABILITIES), Limits(), "/")
LENIENT = Grammar(frozenset(), Limits(), None, lenient=True)

#: Not a whole line of the protocol, wherever it stands.
NO_LINE = {
    r"\.\.\.": "an ellipsis of the RFC's author",
    r"XPIG-LATIN": "an example of a command that nobody has",
    r"(GET|SET)METADATA |\* METADATA ": "RFC 5464 comes later",
    r"\(note that there is a space": "a remark of the author inside the line",
    r"^\(more expunges\)": "a remark of the author",
}
#: Lines of a client inside an exchange: no command, and read by the engine elsewhere.
INSIDE = re.compile(r"DONE|\*|[A-Za-z0-9+/ ]{16,}=*|", re.ASCII)
#: Where the RFC itself is wrong.
MISTAKES = {
    "a1 * SEARCH 4 8 15 16 23 42": "a tag in front of untagged data",
    'A02 LIST (SUBSCRIBED RECURSIVEMATCH)"" % RETURN (STATUS (MESSAGES))': "a space is missing",
    "FRED FOOBAR {7}\\r\\nfat man": "the second half of a LOGIN whose first literal stands before",
    "B04 SELECT INBOX (QRESYNC (67890007 90060115194045000 1:29997 (5000,75": "a space in a set",
}


def lines(path: Path, who: str) -> list[tuple[str, bytes]]:
    found = []
    for line in path.read_text("utf-8").split("\n"):
        if not line.startswith(who + ":"):
            continue
        text = line[3:]
        if any(re.search(pattern, text) for pattern in NO_LINE):
            continue
        if any(text.startswith(mistake) for mistake in MISTAKES):
            continue
        if who == "C" and INSIDE.fullmatch(text):
            continue
        raw = text.replace("\\r\\n", "\r\n").replace("\\\\", "\\").encode("utf-8")
        found.append((text, raw))
    return found


def is_append(raw: bytes) -> bool:
    return raw.split(b" ")[1:2] == [b"APPEND"]


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_every_command_printed_in_the_rfc_is_read_and_written(path: Path) -> None:
    refused = []
    for text, raw in lines(path, "C"):
        if is_append(raw):
            continue
        try:
            tag, command = parse_command(raw, GRAMMAR, utf8=True)
        except ParseError as error:
            refused.append((text, error.reason))
            continue
        wire = b"".join(serialize_command(tag.decode("ascii"), command, utf8=True))
        assert parse_command(wire[:-2], GRAMMAR, utf8=True) == (tag, command), text
    assert refused == []


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_every_response_printed_in_the_rfc_is_read_and_written(path: Path) -> None:
    unknown = []
    for text, raw in lines(path, "S"):
        try:
            response = parse_response(raw, Cursor(raw, LENIENT, utf8=True))
        except ParseError as error:
            unknown.append((text, error.reason))
            continue
        if isinstance(response, responses.Unknown):
            unknown.append((text, "unknown"))
            continue
        wire = render(response, utf8=True)[:-2]
        back = parse_response(wire, Cursor(wire, LENIENT, utf8=True))
        if isinstance(response, responses.Condition) and not response.text:
            continue  # a text is never left out when we write, since clients split at it
        assert back == response, text
    assert unknown == []


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_every_append_printed_in_the_rfc_is_offered_streamed_and_received(path: Path) -> None:
    for text, raw in lines(path, "C"):
        if not is_append(raw) or b"}\r\n" not in raw:
            continue
        conn = ServerConnection(policy=Policy(CAPABILITIES), preauth=True)
        conn.receive_data(raw + b"\r\n")
        kinds = []
        while (event := conn.next_event()) is not NEED_DATA:
            kinds.append(type(event))
            if isinstance(event, AppendOffered | AppendReceived):
                conn.accept()
        assert kinds[:2] == [AppendOffered, LiteralChunk], text
        assert kinds[-1] is AppendReceived, text


def test_there_are_enough_examples_to_mean_something() -> None:
    total = sum(len(lines(path, who)) for path in VECTORS for who in "CS")
    assert total > 1600
    for number in (3501, 9051, 7162, 6154, 5258, 4731, 5256):
        assert any(path.stem == f"rfc{number}" for path in VECTORS)


def test_every_mistake_named_here_is_still_in_the_files() -> None:
    text = "\n".join(path.read_text("utf-8") for path in VECTORS)
    for mistake in MISTAKES:
        assert mistake in text

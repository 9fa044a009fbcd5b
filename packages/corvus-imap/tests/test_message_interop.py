"""What Dovecot says of the same messages: ENVELOPE, BODYSTRUCTURE, sections, SEARCH, SORT, THREAD.

Dovecot's imap process runs over a pipe, logged in by itself, on a configuration and a Maildir of
its own: no port, no daemon, nothing to stop.  Every difference is named in `DIFFERENCES`, and a
name that no message needs any more fails the test.
"""

from __future__ import annotations

import datetime
import imaplib
import os
import random
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from corvus_imap import (
    Flag,
    MailboxView,
    Matcher,
    MessageFacts,
    SequenceSet,
    Snapshot,
    bodystructure,
    envelope,
    responses,
    section,
)
from corvus_imap.codec.render import render
from corvus_imap.extensions.sort import SortField, SortKey
from corvus_imap.section import binary, binary_size
from corvus_imap.sort import SortFacts, sort
from corvus_imap.thread import ThreadFacts, orderedsubject, references
from corvus_imap.types.search import (
    All,
    And,
    DateField,
    DateKey,
    HasFlag,
    HeaderKey,
    LacksFlag,
    Larger,
    Not,
    Or,
    Relation,
    SearchKey,
    Sequence,
    Smaller,
    TextField,
    TextKey,
    Uid,
)
from corvus_message import parse
from corvus_message.part import Part

pytestmark = pytest.mark.interop

DOVECOT: Final = Path("/usr/lib/dovecot/imap")

CONFIGURATION: Final = """\
base_dir = {folder}/run
state_dir = {folder}/lib
log_path = {folder}/log
protocols = imap
ssl = no
mail_location = maildir:{folder}/mail
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
stats_writer_socket_path =
"""


class Dovecot:
    """A logged-in session with an empty INBOX selected."""

    def __init__(self, folder: Path) -> None:
        # Dovecot refuses to handle mail as root.
        uid, gid = (65534, 65534) if os.getuid() == 0 else (os.getuid(), os.getgid())
        folder.chmod(0o755)
        for name in ("run", "lib", "mail"):
            (folder / name).mkdir()
        if os.getuid() == 0:
            os.chown(folder / "mail", uid, gid)
        configuration = folder / "dovecot.conf"
        configuration.write_text(CONFIGURATION.format(folder=folder, uid=uid, gid=gid))
        self.imap = imaplib.IMAP4_stream(
            f"exec env -i USER=corvus HOME={folder}/mail CONFIG_FILE={configuration}"
            f" {DOVECOT} -c {configuration} 2>{folder}/errors"
        )
        self.imap.select()
        self.count = 0

    def append(self, message: bytes, flags: str = "", date: str | None = None) -> str:
        """Store *message*; its message number."""
        typ, answer = self.imap.append("INBOX", flags, date, message)
        assert typ == "OK", answer
        self.imap.noop()
        self.count += 1
        return str(self.count)

    def fetch(self, number: str, items: str) -> list[Any]:
        """The values of one FETCH response, as a flat list of names and values."""
        typ, answer = self.imap.fetch(number, items)
        assert typ == "OK", answer
        octets = b""
        for piece in answer:
            octets += piece[0] + b"\r\n" + piece[1] if isinstance(piece, tuple) else piece or b""
        found = tree(octets[octets.index(b" ") :])[0]
        assert isinstance(found, list)
        return found


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    if not DOVECOT.exists():
        pytest.skip("needs Debian's dovecot-imapd")
    folder = Path(tempfile.mkdtemp(prefix="corvus-dovecot-"))
    session = Dovecot(folder)
    yield session
    session.imap.logout()
    shutil.rmtree(folder, ignore_errors=True)


_TOKEN: Final = re.compile(
    rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|~?\{(\d+)\}\r\n|([^\s()\[]+(?:\[[^\]]*\][^\s()]*)?))',
    re.S,
)


def tree(octets: bytes) -> list[Any]:
    """Parentheses as lists, NIL as None, strings as bytes, numbers as int."""
    stack: list[list[Any]] = [[]]
    position = 0
    while position < len(octets):
        match = _TOKEN.match(octets, position)
        if match is None:
            assert not octets[position:].strip(), octets[position : position + 80]
            break
        position = match.end()
        if match[1]:
            stack.append([])
        elif match[2]:
            inner = stack.pop()
            stack[-1].append(inner)
        elif match[3] is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", match[3], flags=re.S))
        elif match[4] is not None:
            stack[-1].append(octets[position : position + int(match[4])])
            position += int(match[4])
        elif match[5].upper() == b"NIL":
            stack[-1].append(None)
        else:
            stack[-1].append(int(match[5]) if match[5].isdigit() else match[5])
    assert len(stack) == 1, "parentheses do not match"
    return stack[0]


def crlf(octets: bytes) -> bytes:
    """As a store keeps it; Dovecot converts on the way out."""
    return re.sub(rb"(?<!\r)\n", b"\r\n", octets)


#: Why we do not say what Dovecot 2.3.19 says, by a name for the reason.
DIFFERENCES: Final[dict[str, str]] = {
    "junk": "A line that is no field ends our header and begins the body, so that nobody can hide text"
    " in a header that is not shown; Dovecot keeps looking for fields up to the empty line.",
    "undivided": "A multipart in which no part could be found: Dovecot shows one empty text/plain, we show"
    " the content as one, so that a client can read it.",
    "repeated": "A multipart whose boundary is that of the multipart around it: Dovecot believes the inner"
    " one, we the outer (RFC 2046 §5.1.2: the enclosing delimiter ends all inside).",
    "case": "Types, subtypes and encodings are lower case with us; they have none (RFC 2045 §5.1).",
    "type": "A Content-Type without a subtype: text/plain with us, as RFC 2045 §5.2 suggests; Dovecot"
    ' says "" for what is missing.',
    "tab": "Unfolding removes the line end alone (RFC 5322 §2.2.3); Dovecot makes a tab a space.",
    "rfc2231": "Parameters stand in the order of the message, and of a mixed continuation we encode the"
    " plain sections too, so that decoding the whole gives the text.",
    "charset*": "A charset in RFC 2231 form is a charset; Dovecot adds a second one.",
    "first": "Of a field that may stand once the first one counts, as everywhere in Corvus; for Dovecot"
    " the last one, and addresses add up.",
    "nul": "NUL may stand in no string: we leave it out, Dovecot says U+FFFD.",
    "empty": 'Dovecot says " " for a field of one space and ("" NIL) for an empty Content-Disposition.',
    "address": "Where the grammar of addresses ends, corvus-message keeps every address it can find.",
    "encoded": "A message/rfc822 in base64, which RFC 2046 §5.2.1 forbids: we cannot number what is"
    " inside, so it is application/octet-stream; Dovecot shows an empty message.",
    "text-lf": "Decoded text has CRLF with us, as RFC 9051 §7.5.2 demands; Dovecot leaves LF.",
}

#: The messages of CPython's own tests that show a difference.
EXPECTED: Final[dict[str, frozenset[str]]] = {
    "msg_10.txt": frozenset({"case", "text-lf"}),
    "msg_14.txt": frozenset({"type"}),
    "msg_15.txt": frozenset({"repeated"}),
    "msg_16.txt": frozenset({"case"}),
    "msg_17.txt": frozenset({"undivided"}),
    "msg_19.txt": frozenset({"junk"}),
    "msg_25.txt": frozenset({"undivided"}),
    "msg_27.txt": frozenset({"tab"}),
    "msg_29.txt": frozenset({"rfc2231"}),
    "msg_31.txt": frozenset({"undivided"}),
    "msg_32.txt": frozenset({"charset*"}),
    "msg_33.txt": frozenset({"undivided", "rfc2231"}),
    "msg_35.txt": frozenset({"junk"}),
    "msg_36.txt": frozenset({"case"}),
    "msg_38.txt": frozenset({"junk"}),
    "msg_39.txt": frozenset({"repeated"}),
    "msg_41.txt": frozenset({"undivided"}),
    "msg_42.txt": frozenset({"undivided"}),
    "msg_47.txt": frozenset({"junk"}),
}

#: Ours: (message, expected differences of ENVELOPE and BODYSTRUCTURE).
OWN: Final[list[tuple[bytes, frozenset[str]]]] = [
    (b"From: a@b\r\nSubject: =?utf-8?q?=C3=A4?=\r\n\r\nhi\r\n", frozenset()),
    (b"Subject: \xc3\xa4 raw\r\nFrom: \xc3\xb6 <a@b>\r\n\r\n", frozenset()),
    (b"From: a@b\r\nFrom: c@d\r\nSubject: 1\r\nSubject: 2\r\n\r\n", frozenset({"first"})),
    (b"To: a@b\r\nTo: c@d\r\nCc: x@y\r\nCc: z@y\r\n\r\n", frozenset()),
    (
        b"From: \r\nSubject:\r\nTo: nobody\r\nCc: list:;\r\nBcc: <>\r\nReply-To: ()\r\n\r\nx",
        frozenset(),
    ),
    (b"In-Reply-To:  \r\n\r\n", frozenset({"empty"})),
    (b'Cc: <@x,@y:a@b>\r\nBcc: "q\\"t" <"a b"@c>\r\nSender: a@b (Comment)\r\n\r\n', frozenset()),
    (b"To: a b c\r\nFrom: x@[1.2.3.4]\r\nCc: Group: Ed <e@x>, j@y;, last@z\r\n\r\n", frozenset()),
    (b"To: a@b c@d\r\n\r\n", frozenset({"address"})),
    (b"Cc: a@b, , c@d\r\n\r\n", frozenset({"address"})),
    (b"Bcc: Friends <f@g\r\n\r\n", frozenset({"address"})),
    (b'Bcc: "a\tb" <a . b @ c . d>\r\n\r\n', frozenset({"address"})),
    (b"Subject: a\0b\r\n\r\n", frozenset({"nul"})),
    (b"Subject: " + b"x" * 2000 + b"\r\n\r\n", frozenset()),
    (b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n", frozenset()),
    (b"Content-Type: message/rfc822\r\n\r\n", frozenset()),
    (
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3Vi\r\n",
        frozenset({"encoded"}),
    ),
    (
        (
            b"Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\nSubject: d1\r\n\r\nfirst\r\n"
            b"--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x--\r\n"
        ),
        frozenset(),
    ),
    (
        (
            b'Content-Type: text/html; charset="a\\"b"; x=\r\nContent-Disposition: inline\r\n'
            b"Content-Language: de, en\r\nContent-Location: http://x/y\r\nContent-MD5: abc\r\n"
            b"Content-ID:\r\nContent-Description: =?utf-8?q?x?=\r\n\r\nhi"
        ),
        frozenset(),
    ),
    (b"Content-Type: text/x\r\nContent-Disposition:\r\n\r\nhi", frozenset({"empty"})),
    (b"Content-Type: text\r\n\r\nhi", frozenset({"type"})),
    (b"Content-Type: multipart/mixed\r\n\r\nhi", frozenset({"undivided"})),
    (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x--\r\n", frozenset({"undivided"})),
    (b"Content-Type: message/global\r\n\r\nSubject: x\r\n\r\nhi", frozenset()),
    (b"\r\nbody only\r\n", frozenset()),
    (b"no header at all\r\n", frozenset({"junk"})),
]


def differences(ours: Any, theirs: Any) -> Iterator[tuple[Any, Any]]:
    """The leaves in which two trees differ, or the branches where their shapes do."""
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for one, other in zip(ours, theirs, strict=True):
            yield from differences(one, other)
    elif ours != theirs:
        yield ours, theirs


def told(dovecot: Dovecot, message: bytes) -> list[tuple[Any, Any]]:
    """In what we and Dovecot differ about ENVELOPE, BODYSTRUCTURE and BODY."""
    number = dovecot.append(message)
    answer = dovecot.fetch(number, "(ENVELOPE BODYSTRUCTURE BODY)")
    theirs = dict(zip(answer[::2], answer[1::2], strict=True))
    part = parse(message)
    ours = {
        b"ENVELOPE": tree(envelope(part))[0],
        b"BODYSTRUCTURE": tree(bodystructure(part))[0],
        b"BODY": tree(bodystructure(part, extended=False))[0],
    }
    return [d for name in ours for d in differences(ours[name], theirs[name])]


def is_case(difference: tuple[Any, Any]) -> bool:
    one, other = difference
    return isinstance(one, bytes) and isinstance(other, bytes) and one.lower() == other.lower()


def cpython_messages() -> list[Path]:
    data = pytest.importorskip("test.test_email", reason="this Python came without its tests")
    found = sorted((Path(data.__file__).parent / "data").glob("msg_*.txt"))
    if not found:
        pytest.skip("this Python came without the data of its tests")
    return found


def test_envelope_and_bodystructure_of_cpythons_messages_are_dovecots(dovecot: Dovecot) -> None:
    compared = 0
    for path in cpython_messages():
        found = told(dovecot, crlf(path.read_bytes()))
        expected = EXPECTED.get(path.name, frozenset()) - {"text-lf"}
        unexplained = [d for d in found if not is_case(d)]
        assert bool(unexplained) == bool(expected - {"case"}), (path.name, unexplained[:4])
        assert (len(found) > len(unexplained)) == ("case" in expected), (path.name, found[:4])
        compared += 1
    assert compared >= 40


@pytest.mark.parametrize(("message", "expected"), OWN, ids=range(len(OWN)))
def test_envelope_and_bodystructure_of_our_messages_are_dovecots(
    dovecot: Dovecot, message: bytes, expected: frozenset[str]
) -> None:
    found = told(dovecot, message)
    assert bool(found) == bool(expected), found


def test_every_difference_has_a_reason_and_every_reason_a_message() -> None:
    used = frozenset[str]().union(*EXPECTED.values(), *[why for _, why in OWN])
    assert used == DIFFERENCES.keys()


def numbers_of(part: Part, prefix: str = "", is_message: bool = True) -> Iterator[str]:
    """Every part number of a message, by the words of RFC 9051 §6.4.5.1 and not by our code."""
    if part.is_multipart:
        for number, child in enumerate(part.children, 1):
            yield f"{prefix}{number}"
            yield from numbers_of(child, f"{prefix}{number}.", is_message=False)
    elif is_message:
        yield f"{prefix}1"
        if part.message is not None:
            yield from numbers_of(part.message, f"{prefix}1.")
    elif part.message is not None:
        yield from numbers_of(part.message, prefix)


def composites(root: Part) -> set[str]:
    """The numbers below which there are others."""
    return {at.rpartition(".")[0] for at in numbers_of(root)}


def test_sections_of_cpythons_messages_are_dovecots(dovecot: Dovecot) -> None:
    compared = 0
    for path in cpython_messages():
        if EXPECTED.get(path.name, frozenset()) & {"junk", "repeated", "undivided"}:
            continue  # the trees differ, and so do their numbers
        message = crlf(path.read_bytes())
        number = dovecot.append(message)
        specs = ["", "HEADER", "TEXT", "HEADER.FIELDS (FROM To x-none)"]
        specs += ["HEADER.FIELDS.NOT (from TO)", "9", "1.HEADER"]
        for at in list(numbers_of(parse(message)))[:12]:
            specs += [
                at,
                f"{at}.MIME",
                f"{at}.HEADER",
                f"{at}.TEXT",
                f"{at}.HEADER.FIELDS (Subject)",
            ]
        names = [f"BODY.PEEK[{spec}]" for spec in dict.fromkeys(specs)]
        answer = dovecot.fetch(number, f"({' '.join(names)})")
        for spec, theirs in zip(dict.fromkeys(specs), answer[1::2], strict=True):
            ours = section(message, spec.encode())
            # Dovecot says "" for a section that is not there, and NIL for one that cannot be.
            told = b"" if ours == b"NIL" else ours.partition(b"\r\n")[2]
            assert told == (theirs or b""), (path.name, spec)
            compared += 1
    assert compared > 500


def test_binary_parts_of_cpythons_messages_are_dovecots(dovecot: Dovecot) -> None:
    compared = 0
    for path in cpython_messages():
        if EXPECTED.get(path.name, frozenset()) & {"junk", "repeated", "undivided"}:
            continue
        message = crlf(path.read_bytes())
        root = parse(message)
        leaves = [p for p in root.walk() if not p.children]
        # On broken base64 Dovecot ends the session.
        if any(b"Some removed" in p.content() or p.size == 5 for p in leaves):
            continue
        number = dovecot.append(message)
        for at in list(numbers_of(root))[:12]:
            numbered = tuple(map(int, at.split(".")))
            if (section(message, f"{at}.HEADER".encode()) != b"NIL") or at in composites(root):
                # "this data item can only be requested for leaf body parts" (RFC 9051 §6.4.5):
                # Dovecot also undoes the encodings of what is inside and writes headers that say
                # so.
                continue
            answer = dovecot.fetch(number, f"(BINARY.PEEK[{at}] BINARY.SIZE[{at}])")
            ours = binary(message, numbered).partition(b"\r\n")[2]
            assert ours.replace(b"\r\n", b"\n") == answer[1].replace(b"\r\n", b"\n"), (
                path.name,
                at,
            )
            assert binary_size(message, numbered) == len(ours)
            assert ours == answer[1] or "text-lf" in EXPECTED[path.name]
            compared += 1
    assert compared > 60


# SEARCH, SORT and THREAD over one mailbox.

SUBJECTS: Final = [
    "lunch",
    "Re: lunch",
    "Fwd: Lunch (fwd)",
    "[corvus] plans",
    "Re: [corvus] Plans",
    "[fwd: Re: plans]",
    "=?utf-8?q?Caf=C3=A9?=",
    "Re: =?utf-8?q?CAF=C3=89?=",
    "",
    "Re:",
    "[bracket]",
    "Zoo",
    "apple",
    "_under",
]


def mailbox(seed: int, size: int) -> list[tuple[bytes, str, str]]:
    """Messages with subjects, dates, references and flags drawn from a few: octets, flags, date."""
    draw = random.Random(seed)
    made: list[tuple[bytes, str, str]] = []
    chains: list[list[str]] = []
    for n in range(size):
        # What a reply quotes: the end of its parent's chain.  Where chains contradict each other
        # Dovecot and the letter of RFC 5256 part ways; there the literal reading in `test_thread`
        # is the oracle.
        parent = draw.randrange(n) if n and draw.random() < 0.6 else None
        chain = (
            [] if parent is None else [*chains[parent], f"<m{parent}@x>"][-draw.randrange(1, 5) :]
        )
        chains.append(chain)
        references = " ".join(chain)
        lines = [
            f"From: {draw.choice(['Ann <ann@x>', 'bob@y', '=?utf-8?q?Z=C3=B6e?= <zoe@z>'])}",
            f"To: {draw.choice(['carl@x', 'Dora <dora@y>', 'group:;', 'Eve <eve@z>, ann@x'])}",
            f"Subject: {draw.choice(SUBJECTS)}",
            f"Date: {draw.randrange(1, 28)} Mar 2001 {draw.randrange(24):02}:30:00 +0{draw.randrange(10)}00",
        ]
        if draw.random() < 0.9:
            lines.append(f"Message-ID: <m{n}@x>")
        if references:
            lines.append(
                f"{draw.choice(['References', 'References', 'In-Reply-To'])}: {references}"
            )
        if draw.random() < 0.2:
            lines.append(f"Cc: {draw.choice(['fay@x', 'gus@y'])}")
        kind = draw.randrange(3)
        text = draw.choice(["needle", "Straße", "hay stack", "NEEDLES and pins"])
        if kind == 0:
            lines += ["", text]
        elif kind == 1:
            encoded = "".join(f"={octet:02X}" for octet in text.encode())
            lines += [
                "Content-Type: text/plain; charset=utf-8",
                "Content-Transfer-Encoding: quoted-printable",
            ]
            lines += ["", encoded]
        else:
            lines += ["Content-Type: multipart/mixed; boundary=b", "", "--b"]
            lines += ["Content-Type: text/plain; charset=utf-8; name=part.txt", "", text, "--b"]
            lines += ["Content-Type: message/rfc822", "", "Subject: inner", "", "inside", "--b--"]
        flags = " ".join(f for f in ("\\Seen", "\\Flagged", "work") if draw.random() < 0.4)
        day = datetime.datetime(2001, 3, draw.randrange(1, 28), 12, n % 60, tzinfo=datetime.UTC)
        made.append(("\r\n".join([*lines, ""]).encode(), flags, imaplib.Time2Internaldate(day)))
    return made


class Facts:
    """What a store would keep of one message."""

    def __init__(self, number: int, octets: bytes, flags: str, date: str) -> None:
        self.part = parse(octets)
        arrived = datetime.datetime.strptime(date.strip('"').strip(), "%d-%b-%Y %H:%M:%S %z")
        self.sort = SortFacts.of(self.part, arrived.timestamp())
        self.thread = ThreadFacts.of(self.part, number, arrived.timestamp())
        self.facts = MessageFacts(
            uid=number,
            number=number,
            flags=frozenset(Flag(flag).folded for flag in flags.split()),
            internal_date=arrived,
            size=len(octets),
        )


DAY: Final = datetime.date(2001, 3, 14)

SEARCHES: Final[list[tuple[str, SearchKey]]] = [
    ("ALL", All()),
    ("SEEN", HasFlag(Flag("\\Seen"))),
    ("UNKEYWORD WORK", LacksFlag(Flag("work"))),
    ("FROM ann", TextKey(TextField.FROM, "ann")),
    ("FROM z\u00d6e", TextKey(TextField.FROM, "zÖe")),
    ("TO eve", TextKey(TextField.TO, "eve")),
    ("SUBJECT caf\u00c9", TextKey(TextField.SUBJECT, "cafÉ")),
    ("SUBJECT lunch", TextKey(TextField.SUBJECT, "lunch")),
    ("BODY needle", TextKey(TextField.BODY, "needle")),
    ("BODY inside", TextKey(TextField.BODY, "inside")),
    ("BODY part.txt", TextKey(TextField.BODY, "part.txt")),
    ("TEXT ann", TextKey(TextField.TEXT, "ann")),
    ("TEXT quoted-printable", TextKey(TextField.TEXT, "quoted-printable")),
    ("HEADER references @x", HeaderKey("references", "@x")),
    ('HEADER CC ""', HeaderKey("CC", "")),
    ("SINCE 14-Mar-2001", DateKey(DateField.INTERNAL, Relation.SINCE, DAY)),
    ("ON 14-Mar-2001", DateKey(DateField.INTERNAL, Relation.ON, DAY)),
    ("SENTBEFORE 14-Mar-2001", DateKey(DateField.SENT, Relation.BEFORE, DAY)),
    ("SENTON 14-Mar-2001", DateKey(DateField.SENT, Relation.ON, DAY)),
    ("LARGER 200", Larger(200)),
    ("SMALLER 200", Smaller(200)),
    ("3:7,40:*", Sequence(SequenceSet.parse(b"3:7,40:*"))),
    ("UID 1:5,100:*", Uid(SequenceSet.parse(b"1:5,100:*"))),
    ("NOT FROM ann", Not(TextKey(TextField.FROM, "ann"))),
    ("OR SEEN TO eve", Or(HasFlag(Flag("\\Seen")), TextKey(TextField.TO, "eve"))),
    ("(SEEN BODY needle)", And((TextKey(TextField.BODY, "needle"), HasFlag(Flag("\\Seen"))))),
]


@pytest.mark.parametrize("seed", range(4))
def test_search_sort_and_thread_find_what_dovecot_finds(dovecot: Dovecot, seed: int) -> None:
    made = mailbox(seed, 45)
    box = [Facts(number, *message) for number, message in enumerate(made, 1)]
    for octets, flags, date in made:
        dovecot.append(octets, f"({flags})" if flags else "", date)
    view = MailboxView(Snapshot(range(1, 46)))

    for words, key in SEARCHES:
        # How imaplib is told of a literal at the end of a command.
        vars(dovecot.imap)["literal"] = None if words.isascii() else words.split()[-1].encode()
        criteria = words if words.isascii() else words.split()[0]
        typ, found = dovecot.imap.search("UTF-8", criteria)
        assert typ == "OK", found
        matcher = Matcher(key, view=view)
        ours = [f.facts.number for f in box if matcher(f.facts, f.part)]
        assert ours == [int(n) for n in found[0].split()], words

    for field in SortField:
        for reverse in (False, True):
            criterion = f"{'REVERSE ' * reverse}{field.value}"
            theirs = dovecot.imap.sort(f"({criterion})", "UTF-8", "ALL")[1][0].split()
            ours = sort([SortKey(field, reverse)], [f.sort for f in box])
            assert [i + 1 for i in ours] == [int(n) for n in theirs], criterion

    facts = [f.thread for f in box]
    for name, algorithm in (("ORDEREDSUBJECT", orderedsubject), ("REFERENCES", references)):
        their_threads = dovecot.imap.thread(name, "UTF-8", "ALL")[1][0]
        ours_told = render(responses.Thread(algorithm(facts)))
        assert ours_told == b"* THREAD %b\r\n" % their_threads, name

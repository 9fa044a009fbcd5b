"""The messages that CPython tests its own `email` with, where its test suite is installed."""

from __future__ import annotations

import sysconfig
from email.parser import BytesParser
from pathlib import Path

import pytest

from corvus_message import Part, parse

DATA = Path(sysconfig.get_paths()["stdlib"]) / "test" / "test_email" / "data"
MESSAGES = sorted(DATA.glob("msg_*.txt"))

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not MESSAGES, reason="this Python comes without test.test_email"),
]

#: What `email` divides and we do not, or the other way round, and why.
DIFFERENT = {
    "msg_16": "the groups of a message/delivery-status are no parts: read_dsn gives them",
    "msg_43": "the groups of a message/delivery-status are no parts: read_dsn gives them",
    "msg_36": "a message/external-body has no message inside (RFC 2046 §5.2.3)",
    "msg_37": "two delimiters in a row have an empty part between them",
}


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_it_is_divided_as_email_divides_it(path: Path) -> None:
    raw = path.read_bytes()
    m = parse(raw)
    theirs = BytesParser().parsebytes(raw)
    assert m.octets == raw
    ours = [p.content_type.value for p in m.walk()]
    if path.stem in DIFFERENT:
        assert ours != [p.get_content_type() for p in theirs.walk()]
        return
    assert ours == [p.get_content_type() for p in theirs.walk()]
    for part, other in zip(m.walk(), theirs.walk(), strict=True):
        assert [f.name.decode() for f in part.headers] == other.keys()
        assert part.filename == other.get_filename()
        if not other.is_multipart() and part.type != "multipart":
            assert same(part, other.get_payload(decode=True)), part


def same(part: Part, theirs: object) -> bool:
    assert isinstance(theirs, bytes)
    # "any trailing white space on a line must be deleted" (RFC 2045 §6.7 (3)); `email` keeps it.
    lines = [line.rstrip(b" \t") for line in theirs.split(b"\n")]
    return (
        part.decoded() == theirs
        or [line.rstrip(b" \t") for line in part.decoded().split(b"\n")] == lines
    )


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_it_can_be_read(path: Path) -> None:
    m = parse(path.read_bytes())
    assert isinstance(m.text(), str)
    assert len(m.preview()) <= 200
    for part in m.attachments():
        assert part.decoded() == b"".join(part.chunks(100))


def test_the_interesting_ones_mean_what_they_say() -> None:
    by_name = {path.stem: parse(path.read_bytes()) for path in MESSAGES}
    m = by_name["msg_07"]
    assert [p.filename for p in m.walk() if p.filename] == ["dingusfish.gif"]
    assert [f.text for f in by_name["msg_01"].headers.all("to")] == ["bbb@zzz.org"]
    assert by_name["msg_29"].content_type.get("title") == "This is even more ***fun*** isn't it!"

"""Reading aggregate reports: RFC 9990, and RFC 7489's that are still sent.

A report is mail from a stranger.  Its size is bounded before and after decompression, its depth
and its elements are counted, and a document type ends the reading: no entity is ever expanded.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import Any, Final, final
from xml.parsers import expat

from corvus_auth.dmarc.report import (
    DKIMEntry,
    Override,
    PublishedPolicy,
    Report,
    Row,
    SPFEntry,
)

#: Octets of what is received, octets of the XML, elements of it, levels, characters of one text.
MAX_PACKED: Final = 10 << 20
MAX_XML: Final = 20 << 20
#: About 12,000 rows; the tree of so many elements takes some 80 MB.
MAX_ELEMENTS: Final = 300_000
MAX_DEPTH: Final = 16
MAX_TEXT: Final = 4096


class ReportError(ValueError):
    """What was received is no aggregate report that can be read."""


@final
@dataclass(slots=True)
class _Node:
    name: str
    text: list[str] = field(default_factory=list)
    children: list[_Node] = field(default_factory=list)

    def first(self, name: str) -> _Node | None:
        for child in self.children:
            if child.name == name:
                return child
        return None

    def get(self, name: str, default: str = "") -> str:
        child = self.first(name)
        return default if child is None else "".join(child.text).strip()

    def need(self, name: str) -> _Node:
        child = self.first(name)
        if child is None:
            raise ReportError(f"<{self.name}> has no <{name}>")
        return child

    def all(self, name: str) -> list[_Node]:
        return [child for child in self.children if child.name == name]


def unpack(data: bytes, *, most: int = MAX_XML) -> bytes:
    """
    The XML in *data*, which is gzip, a zip archive of one file, or the XML itself.

    Raises:
        ReportError: It is none of them, is damaged, or is larger than *most* octets inside.
    """
    if len(data) > MAX_PACKED:
        raise ReportError("the report is too large")
    if data[:2] == b"\x1f\x8b":
        return _gunzip(data, most)
    if data[:4] == b"PK\x03\x04":
        return _unzip(data, most)
    if len(data) > most:
        raise ReportError("the report is too large")
    return data


def _gunzip(data: bytes, most: int) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        xml = inflater.decompress(data, most + 1)
    except zlib.error as error:
        raise ReportError("the gzip data is damaged") from error
    if len(xml) > most:
        raise ReportError("the report is too large once it is unpacked")
    if not inflater.eof:
        raise ReportError("the gzip data is cut short")
    return xml


#: What zipfile raises for octets that were changed: offsets that lie (ValueError), names that are
#: no UTF-8 (a ValueError too) or empty (IndexError), encryption (RuntimeError), and so on.
_DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    OverflowError,
    RuntimeError,
    struct.error,
)


def _unzip(data: bytes, most: int) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [info for info in archive.infolist() if not info.is_dir()]
            if len(names) != 1:
                raise ReportError("the archive does not hold one file")
            if names[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # LZMA lets the sender choose how much memory reading takes; nobody needs it here.
                raise ReportError("the archive is of an unknown kind")
            # The size in the directory is the sender's word: what comes out is counted.
            with archive.open(names[0]) as file:
                xml = file.read(most + 1)
    except ReportError:
        raise
    except _DAMAGED as error:
        raise ReportError("the archive is damaged or of an unknown kind") from error
    if len(xml) > most:
        raise ReportError("the report is too large once it is unpacked")
    return xml


def _tree(xml: bytes) -> _Node:
    root = _Node("")
    stack = [root]
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > MAX_ELEMENTS or len(stack) > MAX_DEPTH:
            raise ReportError("there are too many elements, or they are nested too deeply")
        # Namespaces are dropped: reports of RFC 7489 have none.
        node = _Node(name.rpartition(" ")[2])
        stack[-1].children.append(node)
        stack.append(node)

    def end(name: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        node = stack[-1]
        if sum(map(len, node.text)) + len(data) > MAX_TEXT or len(node.text) > 200:
            if not data.isspace():
                raise ReportError("a text is too long")
            return
        node.text.append(data)

    def refuse(*_: Any) -> None:
        raise ReportError("a document type has no place in a report")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    # Entities can only come out of a document type: billion laughs ends here, and so do external
    # entities.
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise ReportError(f"the XML is broken in line {error.lineno}") from error
    except ReportError:
        raise
    except (LookupError, ValueError) as error:
        # Also encodings of several octets a character that expat cannot be taught.
        raise ReportError("the XML is in an unknown encoding") from error
    return root


def _number(node: _Node, name: str) -> int:
    text = node.get(name)
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ReportError(f"<{name}> is no number")
    return int(text)


def read_report(data: bytes) -> Report:
    """
    Read a report: gzip, zip or plain XML.

    Elements that are unknown are passed over; texts are as the sender wrote them, so escape them
    before they are shown.

    Raises:
        ReportError: It cannot be read.
    """
    root = _tree(unpack(data))
    feedback = root.need("feedback")
    metadata = feedback.need("report_metadata")
    dates = metadata.need("date_range")
    policy = feedback.need("policy_published")
    rows = tuple([_read_row(node) for node in feedback.all("record")])
    if not rows:
        raise ReportError("<feedback> has no <record>")
    return Report(
        org_name=metadata.get("org_name"),
        email=metadata.get("email"),
        report_id=metadata.get("report_id"),
        begin=_number(dates, "begin"),
        end=_number(dates, "end"),
        policy=PublishedPolicy(
            domain=policy.get("domain"),
            p=policy.get("p", "none"),
            sp=policy.get("sp"),
            np=policy.get("np"),
            adkim=policy.get("adkim"),
            aspf=policy.get("aspf"),
            discovery_method=policy.get("discovery_method"),
            fo=policy.get("fo"),
            testing=policy.get("testing"),
        ),
        rows=rows,
        extra_contact_info=metadata.get("extra_contact_info"),
        error=metadata.get("error"),
        generator=metadata.get("generator"),
    )


def _read_row(node: _Node) -> Row:
    row = node.need("row")
    evaluated = row.need("policy_evaluated")
    identifiers = node.need("identifiers")
    results = node.need("auth_results")
    spf = results.first("spf")
    return Row(
        source_ip=row.get("source_ip"),
        header_from=identifiers.get("header_from"),
        disposition=evaluated.get("disposition", "none"),
        dkim=evaluated.get("dkim", "fail"),
        spf=evaluated.get("spf", "fail"),
        count=_number(row, "count"),
        envelope_from=identifiers.get("envelope_from"),
        envelope_to=identifiers.get("envelope_to"),
        reasons=tuple([Override(r.get("type"), r.get("comment")) for r in evaluated.all("reason")]),
        dkim_results=tuple(
            [
                DKIMEntry(
                    d.get("domain"), d.get("selector"), d.get("result"), d.get("human_result")
                )
                for d in results.all("dkim")
            ]
        ),
        spf_result=None
        if spf is None
        else SPFEntry(spf.get("domain"), spf.get("result"), spf.get("human_result")),
    )

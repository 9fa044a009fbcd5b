"""ENVELOPE and BODYSTRUCTURE onto the wire (RFC 9051 §9 envelope, body)."""

from __future__ import annotations

from corvus_imap.types.atoms import nstring, string
from corvus_imap.types.structure import (
    Address,
    BodyExtension,
    BodyStructure,
    Envelope,
    Parameters,
)


def _addresses(addresses: tuple[Address, ...], utf8: bool) -> bytes:
    #   env-from = "(" 1*address ")" / nil
    #   address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
    if not addresses:
        return b"NIL"
    out = [
        b"(%b %b %b %b)"
        % (
            nstring(address.name, utf8=utf8),
            nstring(address.route, utf8=utf8),
            nstring(address.mailbox, utf8=utf8),
            nstring(address.host, utf8=utf8),
        )
        for address in addresses
    ]
    return b"(" + b"".join(out) + b")"


def render_envelope(envelope: Envelope, utf8: bool = False) -> bytes:
    """*envelope* as it stands in a FETCH response."""
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(envelope.date, utf8=utf8),
        nstring(envelope.subject, utf8=utf8),
        _addresses(envelope.from_, utf8),
        _addresses(envelope.sender, utf8),
        _addresses(envelope.reply_to, utf8),
        _addresses(envelope.to, utf8),
        _addresses(envelope.cc, utf8),
        _addresses(envelope.bcc, utf8),
        nstring(envelope.in_reply_to, utf8=utf8),
        nstring(envelope.message_id, utf8=utf8),
    )


def _parameters(parameters: Parameters, utf8: bool) -> bytes:
    if not parameters:
        return b"NIL"
    words = [string(word, utf8=utf8) for pair in parameters for word in pair]
    return b"(" + b" ".join(words) + b")"


def _extension(value: BodyExtension, utf8: bool) -> bytes:
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, tuple):
        return b"(" + b" ".join([_extension(item, utf8) for item in value]) + b")"
    return nstring(value, utf8=utf8)


def _tail(body: BodyStructure, first: bytes, utf8: bool) -> bytes:
    #   body-ext-1part = body-fld-md5 [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc ...]]]
    disposition = b"NIL"
    if body.disposition is not None:
        disposition = b"(%b %b)" % (
            string(body.disposition.kind, utf8=utf8),
            _parameters(body.disposition.parameters, utf8),
        )
    language = b"NIL"
    if len(body.language) == 1:
        language = string(body.language[0], utf8=utf8)
    elif body.language:
        language = b"(" + b" ".join([string(tag, utf8=utf8) for tag in body.language]) + b")"
    words = [first, disposition, language, nstring(body.location, utf8=utf8)]
    words += [_extension(value, utf8) for value in body.extensions]
    return b" " + b" ".join(words)


def render_body(body: BodyStructure, utf8: bool = False) -> bytes:
    """*body* as it stands in a FETCH response; without extension data if ``extended`` is false."""
    if body.is_multipart:
        #   body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
        parts = b"".join([render_body(part, utf8) for part in body.parts])
        tail = _tail(body, _parameters(body.parameters, utf8), utf8) if body.extended else b""
        return b"(%b %b%b)" % (parts, string(body.subtype, utf8=utf8), tail)
    #   body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP
    #                 body-fld-octets
    words = [
        string(body.media_type, utf8=utf8),
        string(body.subtype, utf8=utf8),
        _parameters(body.parameters, utf8),
        nstring(body.content_id, utf8=utf8),
        nstring(body.description, utf8=utf8),
        string(body.encoding, utf8=utf8),
        b"%d" % body.octets,
    ]
    if body.envelope is not None:
        words.append(render_envelope(body.envelope, utf8))
        words.append(render_body(body.parts[0], utf8))
    if body.lines is not None:
        words.append(b"%d" % body.lines)
    tail = _tail(body, nstring(body.md5, utf8=utf8), utf8) if body.extended else b""
    return b"(" + b" ".join(words) + tail + b")"

"""ENVELOPE and BODYSTRUCTURE as values (RFC 9051 §7.5.2), as a client reads them.

A server stores both as octets (``corvus_imap.envelope``, ``corvus_imap.bodystructure``) and builds none.
Octets stay octets: decoding encoded words is the work of whoever shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Address:
    """One address, or the mark of a group: its beginning has no *host*, its end has nothing."""

    name: bytes | None = None
    route: bytes | None = None
    mailbox: bytes | None = None
    host: bytes | None = None


@final
@dataclass(frozen=True, slots=True)
class Envelope:
    """The fields of a header that a list of messages shows; ``None`` is NIL."""

    date: bytes | None = None
    subject: bytes | None = None
    from_: tuple[Address, ...] = ()
    sender: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    in_reply_to: bytes | None = None
    message_id: bytes | None = None


#: ``body-fld-param``: names and values in order; empty is NIL.
Parameters = tuple[tuple[bytes, bytes], ...]

#: ``body-extension``: what the future may add.
BodyExtension = bytes | int | None | tuple["BodyExtension", ...]


@final
@dataclass(frozen=True, slots=True)
class Disposition:
    """``body-fld-dsp``."""

    kind: bytes
    parameters: Parameters = ()


@final
@dataclass(frozen=True, slots=True)
class BodyStructure:
    """
    One part and all that is in it.

    A multipart has *parts* and no fields; ``message/rfc822`` has *envelope*, one of *parts* and *lines*;
    ``text/*`` has *lines*.
    """

    media_type: bytes
    subtype: bytes
    parameters: Parameters = ()
    parts: tuple[BodyStructure, ...] = ()
    # Of a part that is no multipart:
    content_id: bytes | None = None
    description: bytes | None = None
    encoding: bytes = b"7BIT"
    octets: int = 0
    lines: int | None = None
    envelope: Envelope | None = None
    md5: bytes | None = None
    # Extension data, which BODY leaves out; `extended` tells an absent one from NIL.
    disposition: Disposition | None = None
    language: tuple[bytes, ...] = ()
    location: bytes | None = None
    extensions: tuple[BodyExtension, ...] = ()
    extended: bool = True

    @property
    def is_multipart(self) -> bool:
        return self.media_type.upper() == b"MULTIPART"

"""What goes wrong on *our* side: a key that is none, a message that must not be signed.

What a peer sends never raises; it ends in a `SignatureResult` with a reason.

::

    DKIMError
    ├── KeyFormatError      the octets are no private key this package can sign with
    ├── SigningError        the message must not be signed as it stands
    ├── TagListError        a tag=value list breaks the grammar of RFC 6376 §3.2
    ├── SignatureError      a signature field that no verifier may evaluate; has a status
    └── RecordError         a key record that no verifier may use (RFC 6376 §3.6.1)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corvus_dkim.result import Status


class DKIMError(ValueError):
    """The root of everything this package raises."""


class KeyFormatError(DKIMError):
    """The octets are no private key this package can sign with, or the pass phrase is wrong."""


class SigningError(DKIMError):
    """The message must not be signed as it stands; the text says why."""


class TagListError(DKIMError):
    """A tag=value list breaks the grammar of RFC 6376 §3.2."""


class RecordError(DKIMError):
    """A key record that no verifier may use (RFC 6376 §3.6.1)."""


class SignatureError(DKIMError):
    """A signature field that cannot be evaluated; ``status`` is the verdict it earns."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

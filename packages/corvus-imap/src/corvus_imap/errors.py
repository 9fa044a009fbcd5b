"""What an engine raises: `LocalProtocolError` is you, `RemoteProtocolError` is the peer.

A mistake that the session survives is no exception but an event.  Anything else that leaves an
engine is a bug of this package.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """What an engine raises; one of the two below."""


class LocalProtocolError(ProtocolError):
    """You called what the protocol does not allow now; nothing was changed, nothing was queued."""


class RemoteProtocolError(ProtocolError):
    """
    The peer did what no session survives.

    The goodbye (``* BYE ...``) is queued and ``closing`` is true: write `data_to_send()`, then
    close the transport.
    """

    def __init__(self, reason: str, reply: bytes = b"") -> None:
        super().__init__(reason)
        self.reply = reply
        """The wire form of the goodbye; ``b""`` where there is none (a client just leaves)."""


class ParseError(ValueError):
    """
    Octets are not what the grammar wants; the codec raises it, the engines turn it into BAD.

    ``tag`` is that of the command if it was readable, so that the answer can carry it.
    """

    def __init__(self, reason: str, *, tag: bytes | None = None, code: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        """One sentence for the client, with no octet of the peer in it."""
        self.tag = tag
        self.code = code
        """A response code for the answer, such as ``BADCHARSET``; then the answer is NO."""

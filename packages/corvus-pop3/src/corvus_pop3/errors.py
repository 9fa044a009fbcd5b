"""
What may leave an engine, and nothing else ever does.

``ProtocolError``
├── ``LocalProtocolError``: *you* called what the protocol does not allow now; nothing has changed
└── ``RemoteProtocolError``: *the peer* is beyond repair; write ``data_to_send()``, then close
"""


class ProtocolError(Exception):
    """One of the two sides broke the protocol."""


class LocalProtocolError(ProtocolError):
    """Your mistake: the call is not allowed now, or its value can never be. Nothing has changed."""


class RemoteProtocolError(ProtocolError):
    """
    The peer's mistake, beyond repair: ``closing`` is true from now on.

    A mistake that the session survives is an event instead (`CommandRejected`).
    """

    def __init__(self, reason: str, *, reply: bytes = b"") -> None:
        super().__init__(reason)
        self.reply = reply
        """What was queued for the peer, with CRLF; ``b""`` when nothing was (always so in a client)."""

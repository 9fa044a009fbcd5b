"""What an engine raises, and nothing else (docs/explanation/engine-contract.md).

::

    ProtocolError
    ├── LocalProtocolError      you called what the protocol does not allow now; nothing changed
    │   ├── NotOffered          the message needs an extension that the server does not offer
    │   └── BareNewline         the message holds a CR or LF on its own and would be refused or smuggle
    └── RemoteProtocolError     the peer went beyond repair; write data_to_send(), then close

A mistake of the peer that the session survives is no error but an event
(`CommandRejected`, `MessageAborted`).  Anything else that leaves an engine is a bug of ours.
"""

from __future__ import annotations

from typing import final

from corvus_smtp.replies import Reply

__all__ = [
    "BareNewline",
    "LocalProtocolError",
    "NotOffered",
    "ProtocolError",
    "RemoteProtocolError",
]


class ProtocolError(Exception):
    """The protocol was left, by us or by the peer."""


class LocalProtocolError(ProtocolError):
    """You asked for what the protocol does not allow now; the connection is as it was."""


@final
class NotOffered(LocalProtocolError):
    """
    The message cannot be sent without an extension that the server does not offer.

    ``keyword`` names the extension; ``reply`` is what a bounce may say about it, such as
    ``550 5.6.7`` for a missing SMTPUTF8 (:rfc:`6531#section-3.5`).
    """

    def __init__(self, keyword: str, reply: Reply) -> None:
        super().__init__(f"the server does not offer {keyword}: {reply}")
        self.keyword = keyword
        self.reply = reply


@final
class BareNewline(LocalProtocolError):
    """The octets hold a CR or LF on its own, which may not be sent (:rfc:`5321#section-2.3.8`)."""


@final
class RemoteProtocolError(ProtocolError):
    """
    The peer broke the protocol beyond repair.

    ``reply`` is what was queued for it (a server), or ``None`` (a client has nothing to say).
    The text never quotes what the peer sent: it may have been a password.
    """

    def __init__(self, message: str, reply: Reply | None = None) -> None:
        super().__init__(message)
        self.reply = reply

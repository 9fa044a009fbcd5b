"""The mail that a seeded account finds in its INBOX: what there is to try."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import corvus_message

_TEXT: Final = """\
Hello {name},

this mailbox was made by `corvus seed`, to play with.  Its password is known
to everybody, so the server stays on this machine while it stands.

  - Read this mail by IMAP, by POP3 and in the browser: it is the same one.
  - Write to the others here: postmaster, alice and bob.
  - Sign in as postmaster for the administrator's pages and the live log.

This mail came over no wire.  Of one that did, the page says who vouches for
it, and why it lies where it lies.
"""


def welcome(name: str, address: str, sender: str, moment: float) -> bytes:
    """The message, with CRLF; *moment* is in seconds since the epoch."""
    built: bytes = corvus_message.build(
        from_=f"Corvus <{sender}>",
        to=f"{name} <{address}>",
        subject="Welcome to Corvus",
        date=datetime.fromtimestamp(moment, UTC),
        text=_TEXT.format(name=name).replace("\n", "\r\n"),
    )
    return built

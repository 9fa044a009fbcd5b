"""What a command is refused with: a response code and a sentence (RFC 5530)."""

from __future__ import annotations

from typing import Final, final

from corvus_imap import Code, UnknownEncoding
from corvus_server.storage.errors import (
    AlreadyExists,
    InvalidName,
    NoSuchMailbox,
    NotFound,
    OverQuota,
    StoreError,
)


@final
class Refusal(Exception):
    """The command is answered with NO, or with BAD where it makes no sense."""

    def __init__(
        self, code: Code | str | None = None, text: str = "", *, bad: bool = False
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.bad = bad


#: What may end a command in the middle: NO, and the connection goes on.
REFUSALS: Final = (Refusal, StoreError, UnknownEncoding, OSError)


def refusal_of(error: Exception) -> Refusal:
    """What a client is told of an error; never what went wrong inside."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, UnknownEncoding):
        # "If the server does not know how to decode the section's Content-Transfer-Encoding, it MUST
        # fail the request" (RFC 9051 §7.5.2).
        return Refusal("UNKNOWN-CTE", str(error))
    if isinstance(error, OverQuota):
        return Refusal("OVERQUOTA", "there is no room for it")
    if isinstance(error, NoSuchMailbox):
        return Refusal("NONEXISTENT", "there is no such mailbox")
    if isinstance(error, NotFound):
        return Refusal("NONEXISTENT", "it is not there")
    if isinstance(error, AlreadyExists):
        return Refusal("ALREADYEXISTS", "it is there already")
    if isinstance(error, InvalidName):
        return Refusal("CANNOT", "a mailbox cannot be called so")
    return Refusal("UNAVAILABLE", "the store is not available just now; please try again")

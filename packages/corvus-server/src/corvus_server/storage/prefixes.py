"""
Header fields that stand in front of a body for one recipient, and what they may not be.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["KEPT_FIELDS", "check_prefix"]

KEPT_FIELDS: Final[tuple[bytes, ...]] = (
    b"from", b"to", b"cc", b"bcc", b"subject", b"date", b"message-id", b"in-reply-to", b"references",
    b"reply-to", b"sender", b"content-type", b"content-transfer-encoding", b"content-disposition",
    b"mime-version", b"list-id", b"list-post", b"list-unsubscribe", b"importance", b"x-priority",
    b"priority", b"disposition-notification-to", b"x-mailer", b"user-agent", b"auto-submitted",
    b"precedence",
)  # fmt: skip
"""What clients ask HEADER.FIELDS for, so that a folder is listed without opening a body."""

_OF_FACTS: Final = re.compile(
    rb"^(?:content-[!-9;-~]+|" + b"|".join(KEPT_FIELDS) + rb")[ \t]*:", re.IGNORECASE | re.MULTILINE
)


def check_prefix(prefix: bytes, *, with_facts: bool = False) -> None:
    """
    Refuse what would end the header, or say what the body says.

    Args:
        prefix: Nothing, or whole header fields.
        with_facts: Facts of the body are kept, so no field may say what they say.

    Raises:
        ValueError: it is not whole header fields with CRLF line ends, so what follows would become something else.
    """
    if not prefix:
        return
    if (
        not prefix.endswith(b"\r\n")
        or prefix[:1] in b" \t\r\n"
        or b"\r\n\r\n" in prefix
        or prefix.count(b"\n") != prefix.count(b"\r\n")
        or prefix.count(b"\r") != prefix.count(b"\r\n")
        or b"\0" in prefix
    ):
        raise ValueError("a prefix is whole header fields with CRLF line ends")
    if with_facts and _OF_FACTS.search(prefix):
        raise ValueError("a prefix cannot say what the body says")

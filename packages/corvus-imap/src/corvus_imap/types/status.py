"""What STATUS can tell of a mailbox (RFC 9051 §6.3.11, and the extensions that add an item)."""

from __future__ import annotations

import enum


class StatusItem(enum.Enum):
    """A status data item; the value is its spelling."""

    APPENDLIMIT = "APPENDLIMIT"  # RFC 7889 §3.1
    DELETED = "DELETED"  # RFC 9051, RFC 9208 §4.1.4
    DELETED_STORAGE = "DELETED-STORAGE"  # RFC 9208 §4.1.4
    HIGHESTMODSEQ = "HIGHESTMODSEQ"  # RFC 7162 §3.1.7
    MAILBOXID = "MAILBOXID"  # RFC 8474 §4.3
    MESSAGES = "MESSAGES"
    RECENT = "RECENT"  # RFC 3501 only
    SIZE = "SIZE"  # RFC 8438
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"

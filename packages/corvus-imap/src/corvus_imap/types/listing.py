"""Options of LIST (RFC 5258 §3, RFC 5819, RFC 6154)."""

from __future__ import annotations

import enum


class ListSelect(enum.Enum):
    """Which mailboxes LIST selects; the value is the spelling."""

    RECURSIVEMATCH = "RECURSIVEMATCH"  # parents of matching mailboxes too; never alone
    REMOTE = "REMOTE"
    SPECIAL_USE = "SPECIAL-USE"  # RFC 6154 §2
    SUBSCRIBED = "SUBSCRIBED"


class ListReturn(enum.Enum):
    """What LIST tells of each besides its name."""

    CHILDREN = "CHILDREN"
    SPECIAL_USE = "SPECIAL-USE"  # RFC 6154 §2
    SUBSCRIBED = "SUBSCRIBED"

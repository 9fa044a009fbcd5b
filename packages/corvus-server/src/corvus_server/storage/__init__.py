"""
The store: durable, ordered, checkable (DESIGN section 6, rules R1 to R15).

`protocols` says what consumers ask, `values` what they are told, `errors` what is refused.  `sqlite` (with body files
in Maildir-style folders) is the embedded default, `memory` the one for tests; `corvus_server.testing.store_suite` runs
against both.
"""

from corvus_server.storage.bodies import Body, BodyReader
from corvus_server.storage.errors import (
    AlreadyExists,
    DataFolderBusy,
    InvalidName,
    LeaseLost,
    NoSuchMailbox,
    NotFound,
    OverQuota,
    StoreClosed,
    StoreError,
    StoreUnavailable,
)
from corvus_server.storage.protocols import (
    Directory,
    Greylist,
    Keys,
    Logins,
    Mailboxes,
    Messages,
    Queue,
    Settings,
    Store,
    Verdicts,
    WebSessions,
)
from corvus_server.storage.state import MailboxState, Poll, View

__all__ = [
    "AlreadyExists",
    "Body",
    "BodyReader",
    "DataFolderBusy",
    "Directory",
    "Greylist",
    "InvalidName",
    "Keys",
    "LeaseLost",
    "Logins",
    "MailboxState",
    "Mailboxes",
    "Messages",
    "NoSuchMailbox",
    "NotFound",
    "OverQuota",
    "Poll",
    "Queue",
    "Settings",
    "Store",
    "StoreClosed",
    "StoreError",
    "StoreUnavailable",
    "Verdicts",
    "View",
    "WebSessions",
]

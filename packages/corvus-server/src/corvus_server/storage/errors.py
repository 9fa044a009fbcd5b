"""
What a store refuses, in sentences that a consumer can pass on.

Every error carries a plain sentence.  Consumers translate the class: `OverQuota` is SMTP's 452 4.2.2 and IMAP's
``NO [OVERQUOTA]``, `StoreUnavailable` is 452 4.3.1 and ``NO [UNAVAILABLE]``, `NoSuchMailbox` is ``NO [TRYCREATE]`` or
``NO [NONEXISTENT]``.  Whatever raised one of them changed nothing.
"""

__all__ = [
    "AlreadyExists",
    "DataFolderBusy",
    "InvalidName",
    "LeaseLost",
    "NoSuchMailbox",
    "NotFound",
    "OverQuota",
    "StoreClosed",
    "StoreError",
    "StoreUnavailable",
]


class StoreError(Exception):
    """The store refused, and nothing was changed."""


class StoreUnavailable(StoreError):
    """
    The disk is full, read-only or broken: nothing was kept, the same request may succeed later.

    SMTP answers 452 4.3.1, IMAP ``NO [UNAVAILABLE]``, POP3 ``-ERR [SYS/TEMP]``.
    """


class StoreClosed(StoreUnavailable):
    """The store was closed while the request waited."""


class OverQuota(StoreError):
    """
    The account has no room for this.  SMTP answers 452 4.2.2, IMAP ``NO [OVERQUOTA]`` (RFC 9208 §4.3).

    Attributes:
        account_ids: Whose quota it was.
    """

    def __init__(self, sentence: str, account_ids: tuple[int, ...] = ()) -> None:
        super().__init__(sentence)
        self.account_ids = account_ids


class NotFound(StoreError):
    """There is no such account, domain, alias, message, queue entry or key."""


class NoSuchMailbox(NotFound):
    """There is no such mailbox: ``NO [TRYCREATE]`` for APPEND, COPY and MOVE, else ``NO [NONEXISTENT]``."""


class AlreadyExists(StoreError):
    """The name is taken: ``NO [ALREADYEXISTS]`` (RFC 5530)."""


class InvalidName(StoreError, ValueError):
    """The name cannot be one of a mailbox, an address or a domain: ``NO [CANNOT]``."""


class LeaseLost(StoreError):
    """The lease ran out and somebody else holds the recipients now (R7): drop what you know about them."""


class DataFolderBusy(StoreError):
    """
    Another process owns the data folder (DESIGN: one process owns the store).

    Attributes:
        holder: The process id of the owner, or 0 where it is not known.
        command: What the owner called itself, such as ``serve``.
    """

    def __init__(self, sentence: str, *, holder: int = 0, command: str = "") -> None:
        super().__init__(sentence)
        self.holder = holder
        self.command = command

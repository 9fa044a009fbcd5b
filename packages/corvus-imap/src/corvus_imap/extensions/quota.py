"""QUOTA: what is used and what is allowed (RFC 9208, was RFC 2087)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.extensions._extension import Extension
from corvus_imap.types.fetch import MAX_NUMBER64
from corvus_imap.types.status import StatusItem


@final
@dataclass(frozen=True, slots=True)
class GetQuota:
    """GETQUOTA: answer with ``responses.Quota``."""

    root: str


@final
@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    """GETQUOTAROOT: answer with ``responses.QuotaRoot`` and a ``responses.Quota`` for each root."""

    mailbox: str


@final
@dataclass(frozen=True, slots=True)
class SetQuota:
    """SETQUOTA (QUOTASET); answer as to GETQUOTA, or refuse with NOPERM."""

    root: str
    limits: tuple[tuple[str, int], ...]
    """Resource names in capitals and their limits; resources that are not named lose theirs."""


def _get_quota(cursor: Cursor, uid: bool) -> GetQuota:
    cursor.sp()
    return GetQuota(cursor.text("a quota root"))


def _get_quota_root(cursor: Cursor, uid: bool) -> GetQuotaRoot:
    cursor.sp()
    return GetQuotaRoot(cursor.mailbox())


def _set_quota(cursor: Cursor, uid: bool) -> SetQuota:
    #   setquota-list = "(" [setquota-resource *(SP setquota-resource)] ")"
    #   setquota-resource = resource-name SP resource-limit
    cursor.sp()
    root = cursor.text("a quota root")
    cursor.sp()
    cursor.need(b"(", "an opening parenthesis")
    limits: list[tuple[str, int]] = []
    if cursor.skip(b")"):
        return SetQuota(root, ())
    while True:
        name = cursor.atom("a resource").decode("ascii").upper()
        cursor.sp()
        limits.append((name, cursor.number(MAX_NUMBER64)))
        if not cursor.list_rest():
            return SetQuota(root, tuple(limits))


EXTENSION: Final = Extension(
    capability="QUOTA",
    rfc="9208",
    verbs={b"GETQUOTA": _get_quota, b"GETQUOTAROOT": _get_quota_root},
    status_items={
        b"DELETED": StatusItem.DELETED,
        b"DELETED-STORAGE": StatusItem.DELETED_STORAGE,
    },
)

#: SETQUOTA stands behind a capability of its own (RFC 9208 §3.2).
QUOTASET: Final = Extension(capability="QUOTASET", rfc="9208", verbs={b"SETQUOTA": _set_quota})

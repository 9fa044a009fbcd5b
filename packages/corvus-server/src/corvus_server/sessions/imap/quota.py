"""QUOTA: one root, the account (RFC 9208)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corvus_imap import responses
from corvus_imap.extensions.quota import GetQuota, GetQuotaRoot, SetQuota
from corvus_server.sessions.imap.errors import Refusal
from corvus_server.sessions.imap.mailboxes import existing

if TYPE_CHECKING:
    from corvus_server.sessions.imap.session import IMAPSession


def _quota(session: IMAPSession) -> responses.Quota:
    account = session.store.directory.account_by_id(session.owner.id)
    if account is None or not account.quota:
        return responses.Quota("", ())
    # "The physical space estimate, in units of 1024 octets" (RFC 9208 §5.1).
    return responses.Quota("", (("STORAGE", -(-account.used // 1024), account.quota // 1024),))


def get_quota(session: IMAPSession, command: GetQuota) -> None:
    """GETQUOTA."""
    if command.root:
        raise Refusal("NONEXISTENT", "there is no such quota root")
    session.conn.send(_quota(session))
    session.finish()


def get_quota_root(session: IMAPSession, command: GetQuotaRoot) -> None:
    """GETQUOTAROOT."""
    existing(session, command.mailbox)
    session.conn.send(responses.QuotaRoot(command.mailbox, ("",)), _quota(session))
    session.finish()


def set_quota(session: IMAPSession, command: SetQuota) -> None:
    """SETQUOTA."""
    raise Refusal("NOPERM", "the administrator sets quotas")

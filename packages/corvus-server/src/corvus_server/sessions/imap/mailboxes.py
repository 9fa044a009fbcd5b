"""The folders: LIST and its relatives, STATUS, CREATE, DELETE, RENAME, quota."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from corvus_imap import responses
from corvus_imap.types.listing import ListReturn, ListSelect
from corvus_imap.types.mailbox import ListPattern
from corvus_imap.types.status import StatusItem
from corvus_server.sessions.imap.errors import Refusal
from corvus_server.storage.values import Mailbox

if TYPE_CHECKING:
    from corvus_server.sessions.imap.session import IMAPSession

DELIMITER: Final = "/"


def attributes(
    session: IMAPSession, mailbox: Mailbox, names: set[str] | None = None
) -> tuple[str, ...]:
    """What LIST tells of a mailbox: children and special use."""
    if names is None:
        names = {each.name for each in session.store.mailboxes.all(session.owner.id)}
    below = mailbox.name + DELIMITER
    children = any(name.startswith(below) for name in names)
    found = ["\\HasChildren" if children else "\\HasNoChildren"]
    if mailbox.special_use:
        found.append(mailbox.special_use)
    return tuple(found)


def list_(session: IMAPSession, command: Any) -> None:
    conn = session.conn
    if not command.extended and command.patterns == ("",):
        # "An empty mailbox name argument is a special request to return the hierarchy delimiter".
        conn.send(responses.List("", DELIMITER, ("\\Noselect",)))
        conn.ok()
        return
    select, returns = command.select, command.returns
    patterns = [ListPattern(command.reference + p, DELIMITER) for p in command.patterns]
    owner = session.owner.id
    held = {mailbox.name: mailbox for mailbox in session.store.mailboxes.all(owner)}
    subscribed = set(session.store.mailboxes.subscriptions(owner))
    by_subscription = ListSelect.SUBSCRIBED in select
    names = set(held)
    candidates = subscribed | names if by_subscription else names
    tell_subscribed = by_subscription or ListReturn.SUBSCRIBED in returns
    recursive = ListSelect.RECURSIVEMATCH in select
    parents = _parents(subscribed) if recursive and by_subscription else {}
    for name in sorted(candidates | set(parents), key=_inbox_first):
        if not any(pattern.matches(name) for pattern in patterns):
            continue
        mailbox = held.get(name)
        if ListSelect.SPECIAL_USE in select and not (mailbox and mailbox.special_use):
            continue
        found: list[str] = []
        child_info: tuple[str, ...] = ()
        if by_subscription and name not in subscribed:
            if name not in parents:
                continue
            child_info = ("SUBSCRIBED",)
        if mailbox is None:
            # RFC 5258 §3.1: a subscribed name whose mailbox is gone is told as what it is.
            found.append("\\NonExistent")
        else:
            found += attributes(session, mailbox, names)
        if tell_subscribed and name in subscribed:
            found.append("\\Subscribed")
        conn.send(responses.List(name, DELIMITER, tuple(found), child_info))
        if command.status and mailbox is not None:
            conn.send(_status(session, mailbox, command.status))
    conn.ok()


def _inbox_first(name: str) -> tuple[bool, str]:
    return name != "INBOX", name


def _parents(names: set[str]) -> dict[str, None]:
    """Every level above *names*."""
    found: dict[str, None] = {}
    for name in names:
        levels = name.split(DELIMITER)
        for depth in range(1, len(levels)):
            found[DELIMITER.join(levels[:depth])] = None
    return found


def lsub(session: IMAPSession, command: Any) -> None:
    """RFC 3501 §6.3.9, with its rule for ``%`` and subscribed children."""
    pattern = ListPattern(command.reference + command.pattern, DELIMITER)
    subscribed = set(session.store.mailboxes.subscriptions(session.owner.id))
    told = {name: () for name in subscribed if pattern.matches(name)}
    shown: dict[str, tuple[str, ...]] = dict(told)
    if "%" in command.pattern:
        for parent in _parents(subscribed):
            if parent not in shown and pattern.matches(parent):
                shown[parent] = ("\\Noselect",)
    for name in sorted(shown, key=_inbox_first):
        session.conn.send(responses.Lsub(name, DELIMITER, shown[name]))
    session.conn.ok()


def status(session: IMAPSession, command: Any) -> None:
    mailbox = _existing(session, command.mailbox)
    session.conn.send(_status(session, mailbox, command.items))
    session.tell(expunges=True)
    session.conn.ok()


def _status(session: IMAPSession, mailbox: Mailbox, items: Any) -> responses.Status:
    found: dict[StatusItem, int | str | None] = {}
    for item in items:
        found[item] = _value(session, mailbox, item)
    return responses.Status.of(mailbox.name, found)


def _value(session: IMAPSession, mailbox: Mailbox, item: StatusItem) -> int | str | None:
    match item:
        case StatusItem.MESSAGES:
            return mailbox.messages
        case StatusItem.UNSEEN:
            return mailbox.unseen
        case StatusItem.UIDNEXT:
            return mailbox.uid_next
        case StatusItem.UIDVALIDITY:
            return mailbox.uid_validity
        case StatusItem.HIGHESTMODSEQ:
            return max(1, mailbox.modseq)
        case StatusItem.SIZE:
            return mailbox.octets
        case StatusItem.DELETED:
            return mailbox.deleted
        case StatusItem.MAILBOXID:
            return mailbox.object_id
        case StatusItem.APPENDLIMIT:
            return session.conn.limits.message
        case StatusItem.RECENT:
            return 0
        case StatusItem.DELETED_STORAGE:
            return _deleted_octets(session, mailbox)


def _deleted_octets(session: IMAPSession, mailbox: Mailbox) -> int:
    state = session.store.messages.opened(mailbox.id)
    if state is None:
        return 0
    from corvus_server.storage.flags import DELETED

    return sum(s for s, f in zip(state.sizes, state.flags, strict=True) if f & DELETED)


def _existing(session: IMAPSession, name: str) -> Mailbox:
    mailbox = session.store.mailboxes.get(session.owner.id, name)
    if mailbox is None:
        raise Refusal("NONEXISTENT", "there is no such mailbox")
    return mailbox


async def create(session: IMAPSession, command: Any) -> None:
    name = command.mailbox.rstrip(DELIMITER)
    uses = [use for use in command.use if use]
    if len(uses) > 1 or any(use not in _USES for use in uses):
        raise Refusal("USEATTR", "a mailbox has one of the uses that LIST tells")
    if uses and session.store.mailboxes.special(session.owner.id, uses[0]) is not None:
        raise Refusal("USEATTR", "another mailbox has this use")
    made = await session.store.mailboxes.create(
        session.owner.id, name, special_use=uses[0] if uses else ""
    )
    from corvus_imap.types import codes

    session.conn.ok(codes.mailbox_id(made.object_id))


_USES: Final = ("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash")


async def delete(session: IMAPSession, command: Any) -> None:
    if command.mailbox == "INBOX":
        raise Refusal("CANNOT", "INBOX stays")
    mailbox = _existing(session, command.mailbox)
    if session.selected is not None and session.selected.mailbox.id == mailbox.id:
        session.deselect()
        session.conn.send(
            responses.Condition(
                responses.Kind.OK, "the selected mailbox is deleted", responses.Code("CLOSED")
            )
        )
    await session.store.mailboxes.delete(session.owner.id, command.mailbox)
    session.conn.ok()


async def rename(session: IMAPSession, command: Any) -> None:
    _existing(session, command.mailbox)
    await session.store.mailboxes.rename(
        session.owner.id, command.mailbox, command.new.rstrip(DELIMITER)
    )
    session.conn.ok()


async def subscribe(session: IMAPSession, command: Any) -> None:
    await session.store.mailboxes.subscribe(session.owner.id, command.mailbox)
    session.conn.ok()


async def unsubscribe(session: IMAPSession, command: Any) -> None:
    await session.store.mailboxes.subscribe(session.owner.id, command.mailbox, False)
    session.conn.ok()


# Quota (RFC 9208): one root, the account.


def _quota(session: IMAPSession) -> responses.Quota:
    account = session.store.directory.account_by_id(session.owner.id)
    if account is None or not account.quota:
        return responses.Quota("", ())
    # STORAGE is counted in units of 1024 octets (§5.1).
    return responses.Quota("", (("STORAGE", -(-account.used // 1024), account.quota // 1024),))


def get_quota(session: IMAPSession, command: Any) -> None:
    if command.root:
        raise Refusal("NONEXISTENT", "there is no such quota root")
    session.conn.send(_quota(session))
    session.conn.ok()


def get_quota_root(session: IMAPSession, command: Any) -> None:
    _existing(session, command.mailbox)
    session.conn.send(responses.QuotaRoot(command.mailbox, ("",)))
    session.conn.send(_quota(session))
    session.conn.ok()


def set_quota(session: IMAPSession, command: Any) -> None:
    raise Refusal("NOPERM", "the administrator sets quotas")

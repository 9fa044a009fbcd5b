"""The folders: LIST and LSUB, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from corvus_imap import commands as c
from corvus_imap import responses
from corvus_imap.types import codes
from corvus_imap.types.listing import ListReturn, ListSelect
from corvus_imap.types.mailbox import ListPattern
from corvus_imap.types.status import StatusItem
from corvus_server.sessions.imap.errors import Refusal
from corvus_server.storage.flags import DELETED
from corvus_server.storage.values import SPECIAL_USES, Mailbox

if TYPE_CHECKING:
    from corvus_server.sessions.imap.session import IMAPSession

DELIMITER: Final = "/"
_USES: Final = frozenset(use for use in SPECIAL_USES.values() if use)


def existing(session: IMAPSession, name: str) -> Mailbox:
    """
    The mailbox of that name.

    Raises:
        Refusal: There is none.
    """
    mailbox = session.store.mailboxes.get(session.owner.id, name)
    if mailbox is None:
        raise Refusal("NONEXISTENT", "there is no such mailbox")
    return mailbox


# LIST.


def _superiors(names: Iterable[str]) -> set[str]:
    """Every level above *names*."""
    found: set[str] = set()
    for name in names:
        while DELIMITER in name:
            name = name.rpartition(DELIMITER)[0]
            if name in found:
                break
            found.add(name)
    return found


def _by_name(name: str) -> tuple[bool, str]:
    return name != "INBOX", name


def _attributes(mailbox: Mailbox | None, name: str, parents: set[str]) -> list[str]:
    # RFC 5258 §3.1: a subscribed name whose mailbox is gone is told as what it is.
    found = ["\\NonExistent"] if mailbox is None else []
    found.append("\\HasChildren" if name in parents else "\\HasNoChildren")
    if mailbox is not None and mailbox.special_use:
        found.append(mailbox.special_use)
    return found


def listed(session: IMAPSession, mailbox: Mailbox) -> responses.List:
    """The LIST response of one mailbox."""
    parents = _superiors(each.name for each in session.store.mailboxes.all(session.owner.id))
    return responses.List(
        mailbox.name, DELIMITER, tuple(_attributes(mailbox, mailbox.name, parents))
    )


def list_(session: IMAPSession, command: c.List) -> Awaitable[None] | None:
    """LIST, extended or not (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154)."""
    if not command.extended and command.patterns == ("",):
        # "An empty ("" string) mailbox name argument is a special request to return the hierarchy
        # delimiter" (§6.3.9).
        session.conn.send(responses.List("", DELIMITER, ("\\Noselect",)))
        session.finish()
        return None
    if StatusItem.DELETED_STORAGE in command.status:
        return _list_with_states(session, command)
    _list(session, command, {})
    return None


async def _list_with_states(session: IMAPSession, command: c.List) -> None:
    octets = {}
    for mailbox in session.store.mailboxes.all(session.owner.id):
        octets[mailbox.id] = await _deleted_octets(session, mailbox)
    _list(session, command, octets)


def _list(session: IMAPSession, command: c.List, octets: Mapping[int, int]) -> None:
    select = command.select
    patterns = [ListPattern(command.reference + p, DELIMITER) for p in command.patterns]
    held = {mailbox.name: mailbox for mailbox in session.store.mailboxes.all(session.owner.id)}
    subscribed = set(session.store.mailboxes.subscriptions(session.owner.id))
    parents = _superiors(held)
    chosen = subscribed if ListSelect.SUBSCRIBED in select else set(held)
    if ListSelect.SPECIAL_USE in select:
        chosen = {name for name in chosen if name in held and held[name].special_use}
    told = {name for name in chosen if any(pattern.matches(name) for pattern in patterns)}
    above: set[str] = set()
    if ListSelect.RECURSIVEMATCH in select:
        above = _superiors(chosen)
        # "Servers SHOULD ONLY return a non-matching mailbox name along with CHILDINFO if at least
        # one matching child is not also being returned" (RFC 5258 §3.5).
        for name in _superiors(chosen - told) - chosen:
            if any(pattern.matches(name) for pattern in patterns):
                told.add(name)
    criteria = tuple(
        option.value
        for option in (ListSelect.SUBSCRIBED, ListSelect.SPECIAL_USE)
        if option in select
    )
    tell_subscribed = ListSelect.SUBSCRIBED in select or ListReturn.SUBSCRIBED in command.returns
    conn = session.conn
    for name in sorted(told, key=_by_name):
        mailbox = held.get(name)
        attributes = _attributes(mailbox, name, parents)
        if tell_subscribed and name in subscribed:
            attributes.append("\\Subscribed")
        conn.send(
            responses.List(name, DELIMITER, tuple(attributes), criteria if name in above else ())
        )
        if command.status and mailbox is not None:
            conn.send(_status(session, mailbox, command.status, octets))
    session.finish()


def lsub(session: IMAPSession, command: c.Lsub) -> None:
    """
    LSUB (RFC 3501 §6.3.9).

    "A special situation occurs when using LSUB with the % wildcard ... If foo/bar is subscribed but
    foo is not, a "%" wildcard to LSUB must return foo, not foo/bar, with the \\Noselect attribute".
    """
    pattern = ListPattern(command.reference + command.pattern, DELIMITER)
    subscribed = set(session.store.mailboxes.subscriptions(session.owner.id))
    shown = {name for name in subscribed if pattern.matches(name)}
    if "%" in command.pattern:
        shown |= {name for name in _superiors(subscribed) if pattern.matches(name)}
    for name in sorted(shown, key=_by_name):
        attributes = () if name in subscribed else ("\\Noselect",)
        session.conn.send(responses.Lsub(name, DELIMITER, attributes))
    session.finish()


# STATUS.


def status(session: IMAPSession, command: c.Status) -> Awaitable[None] | None:
    """STATUS (RFC 9051 §6.3.11)."""
    mailbox = existing(session, command.mailbox)
    if StatusItem.DELETED_STORAGE in command.items:
        return _status_with_state(session, mailbox, command)
    session.conn.send(_status(session, mailbox, command.items, {}))
    session.finish()
    return None


async def _status_with_state(session: IMAPSession, mailbox: Mailbox, command: c.Status) -> None:
    octets = {mailbox.id: await _deleted_octets(session, mailbox)}
    session.conn.send(_status(session, mailbox, command.items, octets))
    session.finish()


async def _deleted_octets(session: IMAPSession, mailbox: Mailbox) -> int:
    if not mailbox.deleted:
        return 0
    state = await session.store.messages.open(mailbox.id)
    return sum(s for s, f in zip(state.sizes, state.flags, strict=True) if f & DELETED)


def _status(
    session: IMAPSession, mailbox: Mailbox, items: Iterable[StatusItem], octets: Mapping[int, int]
) -> responses.Status:
    values: dict[StatusItem, int | str | None] = {
        StatusItem.MESSAGES: mailbox.messages,
        StatusItem.UNSEEN: mailbox.unseen,
        StatusItem.UIDNEXT: mailbox.uid_next,
        StatusItem.UIDVALIDITY: mailbox.uid_validity,
        # "mod-sequence-value = 1*DIGIT ; Positive" (RFC 7162 §7).
        StatusItem.HIGHESTMODSEQ: max(1, mailbox.modseq),
        StatusItem.SIZE: mailbox.octets,
        StatusItem.DELETED: mailbox.deleted,
        StatusItem.DELETED_STORAGE: octets.get(mailbox.id, 0),
        StatusItem.MAILBOXID: mailbox.object_id,
        StatusItem.APPENDLIMIT: session.conn.limits.message,
        # Whoever selects it takes them all, so that there are none for who does not.
        StatusItem.RECENT: 0,
    }
    return responses.Status.of(mailbox.name, {item: values[item] for item in items})


# Changing them.


async def create(session: IMAPSession, command: c.Create) -> None:
    """CREATE, with a special use (RFC 6154 §3)."""
    store = session.store.mailboxes
    uses = tuple(dict.fromkeys(command.use))
    if len(uses) > 1 or not _USES.issuperset(uses):
        raise Refusal("USEATTR", "a mailbox has one of the uses that LIST tells")
    if uses and store.special(session.owner.id, uses[0]) is not None:
        raise Refusal("USEATTR", "another mailbox has this use")
    # "If the mailbox name is suffixed with the server's hierarchy separator character, this is a
    # declaration that the client intends to create mailbox names under this name" (§6.3.4).
    made = await store.create(
        session.owner.id,
        command.mailbox.removesuffix(DELIMITER),
        special_use=uses[0] if uses else "",
    )
    session.finish(codes.mailbox_id(made.object_id))


async def delete(session: IMAPSession, command: c.Delete) -> None:
    """DELETE; what this client has selected it deletes under its own feet."""
    if command.mailbox == "INBOX":
        raise Refusal("CANNOT", "INBOX stays")
    mailbox = existing(session, command.mailbox)
    await session.store.mailboxes.delete(session.owner.id, command.mailbox)
    if session.selected is not None and session.selected.mailbox_id == mailbox.id:
        session.selected = None
        session.conn.send(
            responses.Condition(
                responses.Kind.OK, "the selected mailbox is no more", codes.Code("CLOSED")
            )
        )
    session.finish()


async def rename(session: IMAPSession, command: c.Rename) -> None:
    """RENAME, of the mailbox and what is below it."""
    existing(session, command.mailbox)
    await session.store.mailboxes.rename(
        session.owner.id, command.mailbox, command.new.removesuffix(DELIMITER)
    )
    session.finish()


async def subscribe(session: IMAPSession, command: c.Subscribe) -> None:
    """SUBSCRIBE; the mailbox need not exist."""
    await session.store.mailboxes.subscribe(session.owner.id, command.mailbox)
    session.finish()


async def unsubscribe(session: IMAPSession, command: c.Unsubscribe) -> None:
    """UNSUBSCRIBE."""
    await session.store.mailboxes.subscribe(session.owner.id, command.mailbox, False)
    session.finish()

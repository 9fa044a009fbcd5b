"""Folders as the rail shows them, and their names in addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final
from urllib.parse import quote

from corvus_server.storage.values import Mailbox
from corvus_server.web.page import NotHere, Visit

#: Special uses in the order of the rail, with icon and name; what has none comes behind.
SPECIAL: Final = {
    "": ("inbox", "Inbox"),
    "\\Drafts": ("drafts", "Drafts"),
    "\\Sent": ("sent", "Sent"),
    "\\Archive": ("archive", "Archive"),
    "\\Junk": ("junk", "Junk"),
    "\\Trash": ("trash", "Trash"),
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One line of the rail."""

    mailbox: Mailbox
    slug: str
    icon: str
    label: str
    depth: int

    @property
    def url(self) -> str:
        return f"/mail/{self.slug}"

    @property
    def count(self) -> int:
        """What the rail shows beside it: unread, but drafts all."""
        return self.mailbox.messages if self.use == "\\Drafts" else self.mailbox.unseen

    @property
    def use(self) -> str:
        return self.mailbox.special_use


def slug_of(name: str) -> str:
    """
    A mailbox name as one segment of a path (``~`` escapes as in RFC 6901).

    >>> slug_of("INBOX"), slug_of("a/b~c"), slug_of("Entwürfe")
    ('inbox', 'a~1b~0c', 'Entw%C3%BCrfe')
    """
    if name == "INBOX":
        return "inbox"
    return quote(name.replace("~", "~0").replace("/", "~1"), safe="")


def name_of(slug: str) -> str:
    """
    The mailbox name of a path segment, already percent-decoded.

    >>> name_of("inbox"), name_of("a~1b~0c")
    ('INBOX', 'a/b~c')
    """
    if slug.lower() == "inbox":
        return "INBOX"
    return slug.replace("~1", "/").replace("~0", "~")


def folder_of(mailbox: Mailbox) -> Folder:
    inbox = mailbox.name == "INBOX"
    use = mailbox.special_use
    icon, label = SPECIAL[use] if inbox or (use in SPECIAL and use) else ("folder", "")
    last = mailbox.name.rpartition("/")[2]
    return Folder(
        mailbox=mailbox,
        slug=slug_of(mailbox.name),
        icon=icon,
        label=label if inbox else last,
        depth=min(mailbox.name.count("/"), 4),
    )


def folders(visit: Visit) -> list[Folder]:
    """All folders of whoever has signed in, in the order of the rail."""
    found = [folder_of(mailbox) for mailbox in visit.store.mailboxes.all(visit.me.id)]
    order = list(SPECIAL)

    def rank(folder: Folder) -> tuple[int, str]:
        if folder.mailbox.name == "INBOX":
            return 0, ""
        if folder.use in SPECIAL and folder.use:
            return order.index(folder.use), folder.mailbox.name
        return len(order), folder.mailbox.name.lower()

    return sorted(found, key=rank)


def folder_at(visit: Visit, slug: str) -> Folder:
    """
    The folder of the address.

    Names are looked up among the mailboxes of the account alone, so that no address leads to
    somebody else's.

    Raises:
        NotHere: There is none.
    """
    mailbox = visit.store.mailboxes.get(visit.me.id, name_of(slug))
    if mailbox is None:
        raise NotHere("There is no such folder.")
    return folder_of(mailbox)


def special(visit: Visit, use: str) -> Folder:
    """
    The folder for a special use, or one of that name.

    Raises:
        NotHere: The account has none.
    """
    mailbox = visit.store.mailboxes.special(visit.me.id, use)
    if mailbox is None:
        mailbox = visit.store.mailboxes.get(visit.me.id, use.removeprefix("\\"))
    if mailbox is None:
        raise NotHere(f"There is no {use.removeprefix(chr(92))} folder.")
    return folder_of(mailbox)

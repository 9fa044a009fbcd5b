"""States of a session and the transitions between them (RFC 9051 §3, §6).

Everything that decides *when* a command is allowed lives here; what a command means lives in
``server.py`` and ``client.py``.  Extensions add rows to the table and never conditions elsewhere.

::

    CONNECTED --greeting--> NOT_AUTHENTICATED --LOGIN, AUTHENTICATE--> AUTHENTICATED
    AUTHENTICATED --SELECT, EXAMINE--> SELECTED --CLOSE, UNSELECT--> AUTHENTICATED
    any --LOGOUT, BYE--> LOGOUT
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from corvus_imap import commands as c
from corvus_imap.extensions.compress import Compress
from corvus_imap.extensions.id import Id
from corvus_imap.extensions.quota import GetQuota, GetQuotaRoot, SetQuota
from corvus_imap.extensions.sort import Sort, Thread


class State(enum.Enum):
    """The states of RFC 9051 §3, and the moment before the greeting."""

    CONNECTED = "connected"
    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


class Append:
    """APPEND, which is no command value since its messages stream, as a row of the table."""


S = State
_ANY: Final = (c.Capability, c.Noop, c.Logout, Id)
# ENABLE is for the time before SELECT, yet "server implementations don't have to check that no
# mailbox is selected" (RFC 9051 §6.3.1), and this one does not.
_AUTH: Final = (
    Append,
    c.Create,
    c.Delete,
    c.Enable,
    c.Idle,
    c.List,
    c.Lsub,
    c.Namespace,
    c.Rename,
    c.Select,
    c.Status,
    c.Subscribe,
    c.Unsubscribe,
    Compress,
    GetQuota,
    GetQuotaRoot,
    SetQuota,
)
_SELECT: Final = (
    c.Check,
    c.Close,
    c.Copy,
    c.Expunge,
    c.Fetch,
    c.Move,
    c.Search,
    c.Store,
    c.Unselect,
    Sort,
    Thread,
)

#: State -> commands the client may send now -> state once they are answered with OK.
#: A command that is absent earns BAD and leaves the state alone.
ACCEPTED: Final[Mapping[State, Mapping[type, State]]] = {
    S.CONNECTED: {},
    S.NOT_AUTHENTICATED: {
        **dict.fromkeys(_ANY, S.NOT_AUTHENTICATED),
        c.Logout: S.LOGOUT,
        c.StartTLS: S.NOT_AUTHENTICATED,
        c.Authenticate: S.AUTHENTICATED,
        c.Login: S.AUTHENTICATED,
    },
    S.AUTHENTICATED: {
        **dict.fromkeys(_ANY + _AUTH, S.AUTHENTICATED),
        c.Logout: S.LOGOUT,
        c.Select: S.SELECTED,
    },
    S.SELECTED: {
        **dict.fromkeys(_ANY + _AUTH + _SELECT, S.SELECTED),
        c.Logout: S.LOGOUT,
        c.Select: S.SELECTED,
        c.Close: S.AUTHENTICATED,
        c.Unselect: S.AUTHENTICATED,
    },
    S.LOGOUT: {},
}

#: Commands that leave their state as soon as they arrive, whatever is answered: "The SELECT command
#: automatically deselects any currently selected mailbox before attempting the new selection"
#: (RFC 9051 §6.3.2).
LEFT: Final[Mapping[tuple[State, type], State]] = {(S.SELECTED, c.Select): S.AUTHENTICATED}

#: Every kind of command there is, for tests that walk the table.
KINDS: Final = tuple(dict.fromkeys(kind for row in ACCEPTED.values() for kind in row))


def allowed(state: State, kind: type) -> bool:
    """Whether a command of this *kind* may be sent in *state*."""
    return kind in ACCEPTED[state]


def after(state: State, kind: type) -> State:
    """The state once a command that was allowed is answered with OK."""
    return ACCEPTED[state][kind]

"""The table of states is total, and the engine obeys it: every state against every command."""

from __future__ import annotations

import pytest

from corvus_imap import (
    ALL_CAPABILITIES,
    AppendOffered,
    CommandReceived,
    CommandRejected,
    Policy,
    ServerConnection,
    State,
    TLSInfo,
)
from corvus_imap._state import ACCEPTED, KINDS, LEFT, Append, after, allowed

#: A command of each kind, as it stands on the wire.
LINES = {
    "Append": b"APPEND INBOX {3}",
    "Authenticate": b"AUTHENTICATE PLAIN",
    "Capability": b"CAPABILITY",
    "Check": b"CHECK",
    "Close": b"CLOSE",
    "Compress": b"COMPRESS DEFLATE",
    "Copy": b"COPY 1 x",
    "Create": b"CREATE x",
    "Delete": b"DELETE x",
    "Enable": b"ENABLE CONDSTORE",
    "Expunge": b"EXPUNGE",
    "Fetch": b"FETCH 1 FLAGS",
    "GetQuota": b'GETQUOTA ""',
    "GetQuotaRoot": b"GETQUOTAROOT x",
    "Id": b"ID NIL",
    "Idle": b"IDLE",
    "List": b'LIST "" *',
    "Login": b"LOGIN a b",
    "Logout": b"LOGOUT",
    "Lsub": b'LSUB "" *',
    "Move": b"MOVE 1 x",
    "Namespace": b"NAMESPACE",
    "Noop": b"NOOP",
    "Rename": b"RENAME x y",
    "Search": b"SEARCH ALL",
    "Select": b"SELECT x",
    "SetQuota": b'SETQUOTA "" ()',
    "Sort": b"SORT (DATE) UTF-8 ALL",
    "StartTLS": b"STARTTLS",
    "Status": b"STATUS x (MESSAGES)",
    "Store": b"STORE 1 FLAGS ()",
    "Subscribe": b"SUBSCRIBE x",
    "Thread": b"THREAD REFERENCES UTF-8 ALL",
    "Unselect": b"UNSELECT",
    "Unsubscribe": b"UNSUBSCRIBE x",
}
POLICY = Policy((*ALL_CAPABILITIES, "QUOTASET"), starttls=True, require_tls=False)


def in_state(state: State) -> ServerConnection:
    conn = ServerConnection(policy=POLICY)
    conn.next_event()
    lines = {
        State.NOT_AUTHENTICATED: [],
        State.AUTHENTICATED: [b"LOGIN a b"],
        State.SELECTED: [b"LOGIN a b", b"SELECT x"],
    }[state]
    for line in lines:
        conn.receive_data(b"s " + line + b"\r\n")
        conn.next_event()
        conn.ok()
    assert conn.state is state
    conn.data_to_send()
    return conn


def test_every_state_has_a_row_and_every_kind_of_command_a_line_here() -> None:
    assert set(ACCEPTED) == set(State)
    assert {kind.__name__ for kind in KINDS} == set(LINES)


@pytest.mark.parametrize("state", [s for s in State if ACCEPTED[s]], ids=lambda s: s.name)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_command_in_every_state(state: State, kind: type) -> None:
    conn = in_state(state)
    conn.receive_data(b"t " + LINES[kind.__name__] + b"\r\n")
    event = conn.next_event()
    if not allowed(state, kind):
        assert isinstance(event, CommandRejected)
        assert conn.data_to_send().startswith(b"t BAD not in the ")
        assert conn.state is state
        return
    if kind is Append:
        assert isinstance(event, AppendOffered)
        return
    assert isinstance(event, CommandReceived)
    assert type(event.command) is kind
    left = LEFT.get((state, kind), state)
    assert conn.state is left
    if kind.__name__ == "Idle":
        conn.accept()
        return
    if kind.__name__ == "StartTLS":
        conn.accept()
        conn.start_tls(TLSInfo())
        assert conn.state is state
        return
    conn.ok()
    assert conn.state is after(left, kind)
    assert conn.data_to_send()


@pytest.mark.parametrize("state", [s for s in State if ACCEPTED[s]], ids=lambda s: s.name)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_changes_no_state_but_that_of_select(state: State, kind: type) -> None:
    conn = in_state(state)
    if not allowed(state, kind):
        return
    conn.receive_data(b"t " + LINES[kind.__name__] + b"\r\n")
    conn.next_event()
    conn.no()
    assert conn.data_to_send().endswith(b"t NO not done\r\n")
    assert conn.state is LEFT.get((state, kind), state)

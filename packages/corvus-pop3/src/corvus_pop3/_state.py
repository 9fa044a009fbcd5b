"""
Session states and the transitions between them (RFC 1939 §3-§6).

Everything that decides *when* a command is allowed lives here, for the server and for the client;
what a command *means* lives in ``server.py`` and ``client.py``.  Extensions add rows.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from corvus_pop3.commands import Verb


class State(enum.Enum):
    """Where a session is.  The RFC's three states, and the moments between them."""

    __hash__ = object.__hash__  # as in `Verb`

    GREETING = "a client waits for the greeting; a server never is here"
    AUTHORIZATION = "the client must say who it is"
    PASSWORD = "USER was given, and only PASS completes it"  # noqa: S105 - a state, no secret
    SASL = "AUTH was challenged: lines are base64, not commands"
    TLS = "STLS was agreed on, and the handshake is under way"
    TRANSACTION = "the maildrop is open"
    UPDATE = "QUIT was given in TRANSACTION: the deletions are being made"
    CLOSED = "over"


S, V = State, Verb

_AUTHORIZATION: Final[Mapping[Verb, State]] = {
    V.CAPA: S.AUTHORIZATION,
    V.LANG: S.AUTHORIZATION,
    # "Commands valid in states: AUTHORIZATION" (RFC 6856 §2).
    V.UTF8: S.AUTHORIZATION,
    # "Only permitted in AUTHORIZATION state" (RFC 2595 §4).
    V.STLS: S.TLS,
    V.USER: S.PASSWORD,
    V.APOP: S.TRANSACTION,
    V.AUTH: S.TRANSACTION,
    # "if the client issues the QUIT command from the AUTHORIZATION state, the POP3 session
    # terminates but does NOT enter the UPDATE state" (RFC 1939 §6).
    V.QUIT: S.CLOSED,
}

#: State -> commands that may be given now -> state once the server says +OK.
#: A command that is absent earns -ERR: "A server MUST respond to a command issued when the session
#: is in an incorrect state by responding with a negative status indicator" (RFC 1939 §3).
ACCEPTED: Final[Mapping[State, Mapping[Verb, State]]] = {
    S.GREETING: {},
    S.AUTHORIZATION: _AUTHORIZATION,
    # PASS "may only be given in the AUTHORIZATION state immediately after a successful USER
    # command" (RFC 1939 §7): whatever else is said forgets the name.
    S.PASSWORD: {**_AUTHORIZATION, V.PASS: S.TRANSACTION},
    S.SASL: {},
    S.TLS: {},
    S.TRANSACTION: {
        V.CAPA: S.TRANSACTION,
        V.LANG: S.TRANSACTION,
        V.NOOP: S.TRANSACTION,
        V.STAT: S.TRANSACTION,
        V.LIST: S.TRANSACTION,
        V.UIDL: S.TRANSACTION,
        V.RETR: S.TRANSACTION,
        V.TOP: S.TRANSACTION,
        V.DELE: S.TRANSACTION,
        V.RSET: S.TRANSACTION,
        V.QUIT: S.UPDATE,
    },
    # "the server then releases any exclusive-access lock on the maildrop and closes the TCP
    # connection" (RFC 1939 §6): nothing is obeyed behind QUIT.
    S.UPDATE: {},
    S.CLOSED: {},
}

#: State -> state once a command was refused.
REFUSED: Final[Mapping[State, State]] = {
    **{state: state for state in State},
    S.PASSWORD: S.AUTHORIZATION,
    # "If the server receives such a response [a single "*"], it MUST reject the AUTH command"
    # (RFC 5034 §4), and with any other refusal the exchange is over as well.
    S.SASL: S.AUTHORIZATION,
    # "Whether the removal was successful or not, the server then ... closes" (RFC 1939 §6).
    S.UPDATE: S.CLOSED,
}

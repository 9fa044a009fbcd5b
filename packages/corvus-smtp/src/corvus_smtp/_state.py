"""States of an SMTP session and the transitions between them (RFC 5321 §3, §4.1.4).

Everything that decides *when* a command is allowed lives here; what a command *means* lives in
``server.py`` and ``client.py``.  The table is total over the states.  Extensions add rows and
never conditions elsewhere.  The diagrams of the documentation are drawn from these tables.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

__all__ = ["ACCEPTED", "OUT_OF_SEQUENCE", "State", "Verb"]


class State(enum.Enum):
    """Where a session is; the same for both sides."""

    GREETING = "nothing has been said yet: the greeting is owed"
    CONNECTED = "greeted, no EHLO yet"
    REFUSED = "greeted with 554 or 521: only QUIT is listened to"
    READY = "EHLO accepted, no mail transaction"
    MAIL = "MAIL accepted, no recipient yet"
    RCPT = "at least one recipient accepted"
    DATA = "354 said, the message is on its way"
    CHUNK = "the octets of a BDAT are on their way"
    BDAT = "between two BDATs of one message"
    FAILED = "a BDAT failed: only the end of the transaction helps"
    AUTH = "a SASL exchange is on"
    TLS = "220 to STARTTLS was said, the handshake is pending"
    CLOSED = "over"

    # The tables below are looked up for every command; identity is what an enum's equality is.
    __hash__ = object.__hash__


class Verb(enum.Enum):
    """The commands, spelt as the RFCs do."""

    EHLO = "EHLO"
    HELO = "HELO"
    LHLO = "LHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BDAT = "BDAT"
    RSET = "RSET"
    VRFY = "VRFY"
    EXPN = "EXPN"
    HELP = "HELP"
    NOOP = "NOOP"
    QUIT = "QUIT"

    __hash__ = object.__hash__


S, V = State, Verb


def _anywhere(state: State) -> dict[Verb, State]:
    # "The NOOP, HELP, EXPN, VRFY, and RSET commands can be used at any time during a session"
    # and change nothing; "The QUIT command may be issued at any time" (RFC 5321 §4.1.4, §4.1.1.10).
    return {V.NOOP: state, V.HELP: state, V.EXPN: state, V.VRFY: state, V.QUIT: S.CLOSED}


#: EHLO again is legal: "the SMTP server MUST clear all buffers and reset the state exactly as
#: if a RSET command had been issued" (RFC 5321 §4.1.4).  Which of the three a listener knows is
#: told by its protocol: LMTP has LHLO alone (RFC 2033 §4.1).
_HELLO: Final = {V.EHLO: S.READY, V.HELO: S.READY, V.LHLO: S.READY}

#: State -> verbs the client may send now -> state once the server accepted the command.
#: A verb that is absent earns `OUT_OF_SEQUENCE` and leaves the state alone.
ACCEPTED: Final[Mapping[State, Mapping[Verb, State]]] = {
    S.GREETING: {},
    S.CONNECTED: {**_HELLO, V.RSET: S.CONNECTED, **_anywhere(S.CONNECTED)},
    # "A server taking this approach MUST still wait for the client to send a QUIT [...]
    # before closing the connection and SHOULD respond to any intervening commands with "503 bad
    # sequence of commands"" (RFC 5321 §3.1).
    S.REFUSED: {V.QUIT: S.CLOSED},
    S.READY: {
        **_HELLO,
        V.STARTTLS: S.TLS,
        # "The AUTH command is not permitted during a mail transaction" (RFC 4954 §4).
        V.AUTH: S.AUTH,
        V.MAIL: S.MAIL,
        V.RSET: S.READY,
        **_anywhere(S.READY),
    },
    # DATA and BDAT need a recipient: "If there was no MAIL, or no RCPT, command, or all such
    # commands were rejected, the server MAY return a "command out of sequence" (503) or "no valid
    # recipients" (554) reply" (RFC 5321 §3.3).
    S.MAIL: {**_HELLO, V.RCPT: S.RCPT, V.RSET: S.READY, **_anywhere(S.MAIL)},
    S.RCPT: {
        **_HELLO,
        V.RCPT: S.RCPT,
        V.DATA: S.DATA,
        V.BDAT: S.CHUNK,
        V.RSET: S.READY,
        **_anywhere(S.RCPT),
    },
    S.DATA: {},
    S.CHUNK: {},
    # "DATA and BDAT commands cannot be used in the same transaction" (RFC 3030 §2).  "The RSET
    # command, when issued after the first BDAT and before the BDAT LAST, clears all segments".
    S.BDAT: {**_HELLO, V.BDAT: S.CHUNK, V.RSET: S.READY, **_anywhere(S.BDAT)},
    # "The resulting state from a failed BDAT command is indeterminate.  A RSET command MUST be
    # issued" (RFC 3030 §2); the octets of further BDATs are taken and thrown away.
    S.FAILED: {**_HELLO, V.RSET: S.READY, **_anywhere(S.FAILED)},
    S.AUTH: {},
    S.TLS: {},
    S.CLOSED: {},
}

#: (state, verb) -> enhanced status and text of the 503, where "bad sequence" alone would not help.
OUT_OF_SEQUENCE: Final[Mapping[tuple[State, Verb], str]] = {
    (S.CONNECTED, V.MAIL): "Say EHLO first",
    (S.CONNECTED, V.RCPT): "Say EHLO first",
    (S.CONNECTED, V.AUTH): "Say EHLO first",
    (S.CONNECTED, V.STARTTLS): "Say EHLO first",
    (S.MAIL, V.MAIL): "Sender already given",
    (S.RCPT, V.MAIL): "Sender already given",
    (S.READY, V.RCPT): "MAIL first",
    (S.READY, V.DATA): "MAIL and RCPT first",
    (S.READY, V.BDAT): "MAIL and RCPT first",
    (S.MAIL, V.DATA): "No valid recipients",
    (S.MAIL, V.BDAT): "No valid recipients",
    (S.BDAT, V.DATA): "DATA and BDAT do not mix",
    (S.BDAT, V.RCPT): "The message has begun",
    (S.FAILED, V.BDAT): "RSET first: a chunk of this message has failed",
    (S.FAILED, V.DATA): "RSET first: a chunk of this message has failed",
}

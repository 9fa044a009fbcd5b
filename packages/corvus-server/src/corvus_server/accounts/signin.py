"""Sign-in: from a SASL exchange or a password to an account, the same for every protocol.

Unknown users look like known ones, in words and in time.  Failures are counted (`lockout`), written
down for the page that lists them, and never quoted.  SCRAM and CRAM-MD5 work with app passwords
only: their stored keys beside an argon2id hash of the same secret would undo it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from corvus_auth import passwords, sasl
from corvus_server.accounts.lockout import Lockout
from corvus_server.accounts.passwords import PasswordChecker
from corvus_server.log import EventLog
from corvus_server.storage.errors import StoreError
from corvus_server.storage.protocols import Directory, Logins
from corvus_server.storage.values import Account, AppPassword, LoginAttempt
from corvus_server.tls import SessionFacts
from corvus_server.transports.limits import network_of

#: What the listeners offer under TLS, best first.  PLAIN and LOGIN work with any password, SCRAM
#: with app passwords.
MECHANISMS: Final = ("PLAIN", "LOGIN", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1")

REFUSED: Final = "The address or the password is wrong"
LOCKED: Final = "Too many failed attempts; please wait a quarter of an hour"
UNAVAILABLE: Final = "Signing in does not work just now; please try again"


@final
@dataclass(frozen=True, slots=True)
class Visitor:
    """Who wants to sign in, and how."""

    service: str
    """``submission``, ``imap``, ``pop3`` or ``web``: what an app password may be limited to."""
    connection: str
    address: str
    tls: SessionFacts | None


@final
class Exchange:
    """One sign-in on its way: a challenge to send, or how it ended."""

    __slots__ = ("_machine", "_sign_in", "_visitor", "account", "challenge", "refusal", "temporary")

    def __init__(self, sign_in: SignIn, visitor: Visitor, machine: Any = None) -> None:
        self._sign_in = sign_in
        self._visitor = visitor
        self._machine = machine
        self.challenge: bytes | None = None
        """What to send next; ``None`` when it has ended."""
        self.account: Account | None = None
        """Who has signed in; ``None`` if it has failed."""
        self.refusal = REFUSED
        self.temporary = False

    async def respond(self, data: bytes | None) -> Exchange:
        """Go on with what the client has sent; returns itself."""
        return await self._sign_in.step(self, self._visitor, self._machine, data)

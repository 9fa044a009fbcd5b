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


@final
class SignIn:
    """Lets people in; one for the whole server."""

    def __init__(
        self,
        directory: Directory,
        logins: Logins,
        checker: PasswordChecker,
        lockout: Lockout,
        *,
        log: EventLog,
        now: Callable[[], float],
        nonce: Callable[[], str],
        dummy_key: bytes,
    ) -> None:
        """
        Args:
            nonce: Fresh randomness for SCRAM, printable ASCII without commas.
            dummy_key: Secret octets that stay the same; unknown users get their salt out of it.
        """
        self._directory = directory
        self._logins = logins
        self._checker = checker
        self._lockout = lockout
        self._log = log
        self._now = now
        self._nonce = nonce
        self._dummy_key = dummy_key

    async def password(self, visitor: Visitor, user: str, secret: str) -> Exchange:
        """Sign in with a user name and a password, as LOGIN, USER and PASS and the web do."""
        exchange = Exchange(self, visitor)
        account = await self._check(exchange, visitor, user, secret)
        await self._conclude(exchange, visitor, user, account, "password")
        return exchange

    async def begin(self, visitor: Visitor, mechanism: str, initial: bytes | None) -> Exchange:
        """Begin a SASL exchange; *initial* ``None`` is no initial response, ``b""`` an empty one."""
        bindings: Mapping[str, bytes] = {}
        if visitor.tls is not None:
            bindings = visitor.tls.channel_bindings
        machine = sasl.server(
            mechanism,
            nonce=self._nonce(),
            dummy_key=self._dummy_key,
            channel_bindings=bindings,
        )
        return await self.step(Exchange(self, visitor, machine), visitor, machine, initial)

    async def step(
        self, exchange: Exchange, visitor: Visitor, machine: Any, data: bytes | None
    ) -> Exchange:
        """Go on with a SASL exchange: until it asks the client something, or is over."""
        exchange.challenge = None
        account: Account | None = None
        step = machine.step(data)
        while True:
            if isinstance(step, sasl.Challenge):
                exchange.challenge = step.data
                return exchange
            if isinstance(step, sasl.Verify):
                account = await self._check(
                    exchange, visitor, step.authcid, step.password.reveal(), step.authzid
                )
                step = machine.reject() if account is None else machine.accept(step.authzid or None)
            elif isinstance(step, sasl.NeedKeys):
                account, stored = self._keys(exchange, visitor, step)
                step = machine.keys(stored)
            elif isinstance(step, sasl.Success):
                await self._conclude(exchange, visitor, step.authcid, account, machine.name)
                return exchange
            elif isinstance(step, sasl.Failure):
                await self._conclude(exchange, visitor, step.authcid, None, machine.name)
                return exchange
            else:
                step = machine.reject()

    # Credentials.

    async def _check(
        self, exchange: Exchange, visitor: Visitor, user: str, secret: str, acting_as: str = ""
    ) -> Account | None:
        """The account, if *secret* opens it for the service of *visitor*."""
        if self._lockout.closed_for(user, visitor.address) > 0:
            exchange.refusal, exchange.temporary = LOCKED, True
            return None
        account = self._directory.account(user)
        usable = account is not None and account.enabled
        if acting_as and acting_as.lower() != user.lower():
            usable = False  # nobody acts as somebody else
        if account is not None and usable and _looks_like_app_password(secret):
            for held in self._directory.app_passwords(account.id):
                if self._opens(held, visitor.service, secret):
                    await self._touch(held, visitor)
                    return account
        stored = account.password_hash if account is not None and usable else None
        good = await self._checker.check(user.lower(), stored or None, secret)
        return account if good else None

    def _opens(self, held: AppPassword, service: str, secret: str) -> bool:
        # Whoever finds a phone's password must not reach the page that changes the account's.
        if service == "web" or (held.scopes and service not in held.scopes):
            return False
        stored = held.secrets.get("hash", "")
        try:
            passwords.verify(stored, secret)
        except passwords.PasswordError:
            return False
        return True

    def _keys(
        self, exchange: Exchange, visitor: Visitor, step: sasl.NeedKeys
    ) -> tuple[Account | None, Any]:
        """SCRAM keys of the newest app password that has some; ``None`` looks like a wrong one."""
        if self._lockout.closed_for(step.authcid, visitor.address) > 0:
            exchange.refusal, exchange.temporary = LOCKED, True
            return None, None
        account = self._directory.account(step.authcid)
        if account is None or not account.enabled:
            return None, None
        if step.authzid and step.authzid.lower() != step.authcid.lower():
            return None, None
        for held in reversed(self._directory.app_passwords(account.id)):
            text = held.secrets.get(step.mechanism)
            if text and (not held.scopes or visitor.service in held.scopes):
                return account, sasl.StoredKeys.from_text(text)
        return account, None

    async def _touch(self, held: AppPassword, visitor: Visitor) -> None:
        # Once an hour is enough for "last used"; a commit for each poll of a phone is not.
        if held.last_used is not None and self._now() - held.last_used < 3600:
            return
        try:
            await self._directory.touch_app_password(held.id, visitor.address)
        except StoreError as error:
            self._log("warning", "auth", "not noted", visitor.connection, error=str(error))

    # The outcome.

    async def _conclude(
        self,
        exchange: Exchange,
        visitor: Visitor,
        user: str,
        account: Account | None,
        mechanism: str,
    ) -> None:
        exchange.account = account
        if account is not None:
            self._lockout.succeeded(user, visitor.address)
        elif not exchange.temporary:
            closed = self._lockout.failed(user, visitor.address)
            self._log(
                "warning" if closed else "info", "auth", "locked" if closed else "refused",
                visitor.connection, user=user[:254], peer=visitor.address,
                service=visitor.service, mechanism=mechanism,
            )  # fmt: skip
        if account is not None and visitor.service != "web":
            return  # a phone that polls every minute would fill the table
        attempt = LoginAttempt(
            when=self._now(),
            address=user[:254],
            network=network_of(visitor.address),
            ok=account is not None,
            service=visitor.service,
            mechanism=mechanism,
            client=visitor.address,
        )
        try:
            await self._logins.record(attempt)
        except StoreError as error:
            self._log("warning", "auth", "not noted", visitor.connection, error=str(error))


def _looks_like_app_password(secret: str) -> bool:
    """The form of `corvus_auth.passwords.new_app_password`: groups of five, 26 letters in all."""
    bare = secret.replace("-", "").replace(" ", "")
    return len(bare) == 26 and bare.isascii() and bare.isalnum()

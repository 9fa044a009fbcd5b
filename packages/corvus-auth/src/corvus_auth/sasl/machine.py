"""The two halves every mechanism is built on: `ServerMechanism` and `ClientMechanism`.

A server mechanism is a dialogue, a generator that yields steps and is sent responses and verdicts;
this module sees to it that nothing else is sent than what the last step asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

from corvus_auth.sasl.saslprep import PrepError, saslprep
from corvus_auth.sasl.steps import (
    Challenge,
    Failure,
    NeedKeys,
    NeedSecret,
    Reason,
    Step,
    Success,
    Verify,
    VerifyAnonymous,
    VerifyExternal,
    VerifyToken,
)

#: Octets of a response after base64; tokens of OAuth are the longest that are meant.
MAX_RESPONSE: Final = 16_384

Dialogue = Generator[Step, Any, Step]


class SASLError(Exception):
    """A client's exchange that must not go on: the server is not whom it should be, or broken."""


class SASLUsageError(Exception):
    """The machine was called out of turn; your mistake."""


@final
class Malformed(Exception):
    """Raised inside a dialogue: what the client sent does not follow the grammar."""

    def __init__(self, text: str, reason: Reason = Reason.MALFORMED) -> None:
        super().__init__(text)
        self.reason = reason


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """Sent into a dialogue by `ServerMechanism.accept` and `reject`."""

    accepted: bool
    identity: str | None = None


class ServerMechanism(ABC):
    """
    One authentication exchange on the server's side.

    Call `step` with the initial response (``None`` when the client sent none; ``b""`` is an empty
    one), do what the returned step asks for, and call what it names, until it is a `Success` or a
    `Failure`.  A cancelled exchange (``*``) needs no call: drop the machine.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._dialogue: Dialogue | None = None
        self._last: Step | None = None
        self._authcid = ""

    @abstractmethod
    def _talk(self, response: bytes | None) -> Dialogue:
        """The dialogue, beginning with the initial response."""

    @property
    def done(self) -> bool:
        """Whether the last step was the end."""
        return isinstance(self._last, Success | Failure)

    def step(self, response: bytes | None = None) -> Step:
        """
        Take the client's response: the initial one first, then one for each `Challenge`.

        Raises:
            SASLUsageError: No response is due.
        """
        if self._dialogue is None:
            if self._last is not None:
                raise SASLUsageError("the exchange is over")
            if response is not None and len(response) > MAX_RESPONSE:
                return self._end(Failure(Reason.MALFORMED, "the response is too long"))
            self._dialogue = self._talk(response)
            return self._send(None)
        if not isinstance(self._last, Challenge) or response is None:
            raise SASLUsageError("no response is due")
        if len(response) > MAX_RESPONSE:
            return self._end(Failure(Reason.MALFORMED, "the response is too long", self._authcid))
        return self._send(response)

    def accept(self, identity: str | None = None) -> Step:
        """
        Say that the credentials of the last step are good.

        Args:
            identity: Whom the session acts as; by default, and for ``""``, the user, and never
                somebody else whom the client asked for.

        Raises:
            SASLUsageError: No verdict is due, or there is no default: EXTERNAL without an
                authorization identity names nobody.  The verdict is still due then.
        """
        self._due(Verify, VerifyToken, VerifyExternal, VerifyAnonymous)
        if isinstance(self._last, VerifyExternal) and not (identity or self._last.authzid):
            raise SASLUsageError("accept() needs an identity: the client named none")
        return self._send(Verdict(True, identity or None))

    def reject(self) -> Step:
        """Say that the credentials of the last step are not good."""
        self._due(Verify, VerifyToken, VerifyExternal, VerifyAnonymous)
        return self._send(Verdict(False))

    def _due(self, *steps: type[Any]) -> None:
        if not isinstance(self._last, steps):
            raise SASLUsageError(f"not asked for: the last step was {type(self._last).__name__}")

    def _send(self, value: Any) -> Step:
        assert self._dialogue is not None, "only called once a dialogue has begun"
        try:
            self._last = self._dialogue.send(value)
        except StopIteration as end:
            return self._end(end.value)
        except Malformed as error:
            return self._end(Failure(error.reason, str(error), self._authcid))
        if isinstance(self._last, Verify | NeedKeys | NeedSecret):
            self._authcid = self._last.authcid
        return self._last

    def _end(self, step: Step) -> Step:
        self._dialogue = None
        self._last = step
        return step


def conclude(verdict: Verdict, authcid: str, authzid: str = "") -> Success | Failure:
    """The end of an exchange in which *authcid* proved itself, or did not."""
    if not verdict.accepted:
        return Failure(Reason.REJECTED, "the credentials were rejected", authcid)
    if verdict.identity is not None:
        return Success(verdict.identity, authcid or verdict.identity)
    if authzid and authzid != authcid:
        # Fail closed: nobody becomes somebody else because a caller did not look.
        return Failure(Reason.NOT_AUTHORIZED, "another identity was asked for", authcid)
    return Success(authcid, authcid)


def prepared(octets: bytes, what: str, *, required: bool = True) -> str:
    """A user name out of a response: UTF-8, SASLprep, without NUL."""
    try:
        text = saslprep(octets.decode("utf-8"))
    except (UnicodeDecodeError, PrepError) as error:
        raise Malformed(f"{what} cannot be prepared") from error
    if required and not text:
        raise Malformed(f"{what} is empty")
    return text


class ClientMechanism(ABC):
    """
    One authentication exchange on the client's side.

    Send `start`'s octets as the initial response (``None``: there is none, wait for a challenge),
    answer each challenge with `step`, and call `finish` when the server reports success: it raises
    where the server has not proved that it knows the user, as SCRAM's must.
    """

    name: ClassVar[str]

    @abstractmethod
    def start(self) -> bytes | None:
        """The initial response, or ``None`` for mechanisms in which the server speaks first."""

    def step(self, challenge: bytes) -> bytes:
        """The response to *challenge*.  Raises `SASLError` where the exchange must be cancelled."""
        raise SASLError("the server sent a challenge that the mechanism does not have")

    def finish(self, data: bytes | None = None) -> None:
        """Take the server's success, with the additional *data* where the protocol has it."""
        if data:
            raise SASLError("the server sent data that the mechanism does not have")

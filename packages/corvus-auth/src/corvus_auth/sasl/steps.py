"""What a SASL server machine says next.

A machine never blocks and never calls back.  Where it needs something that costs time (a password
hash, a look-up of keys, a token check) it says so, and is told the outcome when it is there, from
whatever thread did the work:

====================  =============================================================
step                  what the caller owes
====================  =============================================================
`Challenge`           send it, base64; then ``step(response)``
`Verify`              check the password; then ``accept()`` or ``reject()``
`VerifyToken`         check the token; then ``accept(identity)`` or ``reject()``
`VerifyExternal`      look at the channel; then ``accept(identity)`` or ``reject()``
`VerifyAnonymous`     decide whether guests may in; then ``accept(identity)`` or ``reject()``
`NeedKeys`            fetch the user's SCRAM keys; then ``keys(stored)`` or ``keys(None)``
`NeedSecret`          fetch the user's shared secret; then ``secret(value)`` or ``secret(None)``
`Success`, `Failure`  the end: tell the client by the protocol's own reply
====================  =============================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias, final

from corvus_auth.secret import Secret


@final
@dataclass(frozen=True, slots=True)
class Challenge:
    """Octets for the client, before base64.  ``b""`` is the empty challenge."""

    data: bytes


@final
@dataclass(frozen=True, slots=True)
class Verify:
    """Does the password belong to the user?  (PLAIN, LOGIN)"""

    authcid: str
    """Whose password it is, prepared by SASLprep."""
    authzid: str
    """Whom the client wants to act as; ``""`` is the same one.  Where it is another, the caller
    checks whether it may and says ``accept(authzid)``; a bare ``accept()`` then fails."""
    password: Secret
    """As sent; `corvus_auth.passwords.verify` prepares it."""


@final
@dataclass(frozen=True, slots=True)
class VerifyToken:
    """Is the token good, and whose is it?  (OAUTHBEARER, XOAUTH2)"""

    authzid: str
    """Whom the client wants to act as; ``""`` leaves it to the token."""
    token: Secret
    scheme: str = "bearer"
    """In lower case; `corvus_auth.sasl` knows no other."""
    host: str = ""
    """"values known to the application server by some other mechanism [...] MUST be validated to
    match" (RFC 7628 §3.2); ``""`` where the client did not say."""
    port: str = ""


@final
@dataclass(frozen=True, slots=True)
class VerifyExternal:
    """Whom does the channel itself authenticate?  (EXTERNAL, RFC 4422 Appendix A)"""

    authzid: str
    """Whom the client wants to act as; ``""`` leaves it to the certificate."""


@final
@dataclass(frozen=True, slots=True)
class VerifyAnonymous:
    """May somebody in who does not say who they are?  (ANONYMOUS, RFC 4505)"""

    trace: str
    """What the client says about itself; no proof of anything."""


@final
@dataclass(frozen=True, slots=True)
class NeedKeys:
    """The stored keys of a user are wanted.  (SCRAM)"""

    mechanism: str
    """Without ``-PLUS``, such as ``SCRAM-SHA-256``: keys are per hash."""
    authcid: str
    authzid: str
    """As in `Verify`; pass ``keys(stored, identity=authzid)`` where it is another and allowed."""


@final
@dataclass(frozen=True, slots=True)
class NeedSecret:
    """The shared secret of a user is wanted.  (CRAM-MD5)"""

    authcid: str


@final
@dataclass(frozen=True, slots=True)
class Success:
    """The client is who it says."""

    identity: str
    """Whom the session acts as."""
    authcid: str
    """Whose credentials were used."""


class Reason(StrEnum):
    """Why an exchange failed; for logs and counters.  The client learns only that it did."""

    MALFORMED = "malformed"
    """The response does not follow the mechanism's grammar."""
    REJECTED = "rejected"
    """Wrong credentials, or an unknown user: on purpose the same."""
    NOT_AUTHORIZED = "not authorized"
    """Right credentials, but not to act as somebody else."""
    CHANNEL_BINDING = "channel binding"
    """The client is bound to another channel than ours: a man in the middle, or a downgrade."""


@final
@dataclass(frozen=True, slots=True)
class Failure:
    """The exchange is over without success."""

    reason: Reason
    text: str = field(default="", compare=False)
    """One sentence for the log; it holds nothing the client sent."""
    authcid: str = ""
    """Who it was about, where that much was said; for lockouts."""


Step: TypeAlias = (
    Challenge
    | Verify
    | VerifyToken
    | VerifyExternal
    | VerifyAnonymous
    | NeedKeys
    | NeedSecret
    | Success
    | Failure
)

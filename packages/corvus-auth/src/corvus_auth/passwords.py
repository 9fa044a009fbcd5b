"""Passwords: how they are kept, checked and chosen (extra ``[passwords]`` for argon2-cffi).

People's passwords are kept as argon2id.  App passwords, which a program draws and nobody has to
remember, have 128 random bits and are kept as one fast hash, and only for them there are SCRAM
keys: beside the argon2id hash of the same secret they would undo it.

`verify` answers by returning, and raises otherwise, so that it cannot be forgotten.  It takes about
as long as `hash`: call it in a thread.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple, final

from corvus_auth.sasl.saslprep import PrepError, saslprep
from corvus_auth.sasl.scram import ITERATIONS, StoredKeys, derive_keys
from corvus_auth.secret import Secret

__all__ = [
    "DEFAULT",
    "AppPassword",
    "InvalidHash",
    "Mismatch",
    "Parameters",
    "PasswordError",
    "check_policy",
    "dummy_hash",
    "hash",
    "hash_app_password",
    "needs_rehash",
    "new_app_password",
    "verify",
]

#: Octets of a password after preparation.  Longer ones are a way to make us work, nothing else.
MAX_PASSWORD: Final = 1024
#: What a stored hash may ask of us, KiB of memory and passes; more is a broken or planted hash.
MAX_MEMORY: Final = 1 << 20
MAX_TIME: Final = 64


class PasswordError(Exception):
    """Base of what `verify` raises."""


class Mismatch(PasswordError):
    """The password is not the one that was hashed."""


class InvalidHash(PasswordError):
    """The stored hash is none, or asks for more than it may."""


# Not a dataclass: its __hash__ would look up "hash" in this module, and find ours.
class Parameters(NamedTuple):
    """The cost of argon2id."""

    time_cost: int
    memory_kib: int
    parallelism: int


#: OWASP's first choice for argon2id (t=2, 19 MiB, p=1).  Measured on a small machine it takes
#: 21 ms and 19 MiB; RFC 9106's low-memory choice (t=3, 64 MiB, p=4) takes 114 ms, 164 ms of CPU and
#: 64 MiB, so that fifty logins at once would want 3.2 GiB and six seconds.  Raise it where there is
#: more to spend: `needs_rehash` then tells which hashes are behind.
DEFAULT: Final = Parameters(time_cost=2, memory_kib=19_456, parallelism=1)

_ARGON: Final = re.compile(
    r"\$argon2id\$v=19\$m=([1-9][0-9]{0,8}),t=([1-9][0-9]{0,8}),p=([1-9][0-9]{0,3})"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,172}\Z"
)
_APP_PREFIX: Final = "$corvus-app$v=1$"


def _prepare(secret: str | bytes | Secret) -> bytes:
    """The octets that are hashed: SASLprep as a query, then UTF-8.  Raises `PrepError`."""
    if isinstance(secret, Secret):
        secret = secret.reveal()
    if len(secret) > 4 * MAX_PASSWORD:
        # Preparation may make it shorter, but not out of megabytes, and takes seconds for those.
        raise PrepError(f"a password has 1 to {MAX_PASSWORD} octets")
    if isinstance(secret, bytes):
        try:
            secret = secret.decode("utf-8")
        except UnicodeDecodeError as error:
            raise PrepError("not UTF-8") from error
    octets = saslprep(secret).encode("utf-8")
    if not octets or len(octets) > MAX_PASSWORD:
        raise PrepError(f"a password has 1 to {MAX_PASSWORD} octets")
    return octets


@lru_cache(maxsize=8)
def _hasher(parameters: Parameters) -> Any:
    try:
        from argon2 import PasswordHasher
    except ImportError as error:
        raise ImportError("argon2id needs the extra: corvus-auth[passwords]") from error
    return PasswordHasher(
        time_cost=parameters.time_cost,
        memory_cost=parameters.memory_kib,
        parallelism=parameters.parallelism,
    )


def hash(  # noqa: A001 - the name outside programs call
    secret: str | bytes | Secret, *, parameters: Parameters = DEFAULT
) -> str:
    """
    Hash a person's password: ``$argon2id$...``, with a random salt.  Takes tens of milliseconds.

    Raises:
        ValueError: SASLprep prohibits the password (a control character), it is empty, or longer
            than 1024 octets.
        ImportError: Without the extra.
    """
    return str(_hasher(parameters).hash(_prepare(secret)))


def verify(hash: str, secret: str | bytes | Secret) -> None:  # noqa: A002
    """
    Return if *secret* is the password that was hashed, argon2id or app password; raise if not.

    Takes as long as hashing did, whichever way it ends.  For users that do not exist verify
    against `dummy_hash`, so that their absence cannot be timed.

    Raises:
        Mismatch: It is not.
        InvalidHash: *hash* is none of ours, or would cost more than it may.
        ImportError: An argon2id hash without the extra.
    """
    try:
        octets = _prepare(secret)
    except PrepError:
        # What cannot have been hashed costs what a wrong password costs.
        octets = b"\0"
    if hash.startswith(_APP_PREFIX):
        _verify_app_password(hash, octets)
        return
    parameters = _parameters(hash)
    from_library = _hasher(parameters)
    from argon2.exceptions import Argon2Error

    try:
        from_library.verify(hash, octets)
    except Argon2Error as error:
        raise Mismatch("the password does not match") from error


def _parameters(stored: str) -> Parameters:
    match = _ARGON.match(stored)
    if match is None:
        raise InvalidHash("not an argon2id hash")
    memory, time, lanes = (int(group) for group in match.groups())
    if memory > MAX_MEMORY or time > MAX_TIME or lanes > 64:
        raise InvalidHash("the hash asks for more memory or time than it may")
    return Parameters(time, memory, lanes)


def needs_rehash(hash: str, *, parameters: Parameters = DEFAULT) -> bool:  # noqa: A002
    """
    Whether a stored hash was made with less than *parameters* ask for.

    Hash anew when the user has logged in, because only then the password is there.  App passwords
    never need it.

    Raises:
        InvalidHash: *hash* is none of ours.
    """
    if hash.startswith(_APP_PREFIX):
        return False
    made = _parameters(hash)
    return (
        made.time_cost < parameters.time_cost
        or made.memory_kib < parameters.memory_kib
        or made.parallelism < parameters.parallelism
    )


@lru_cache(maxsize=8)
def dummy_hash(parameters: Parameters = DEFAULT) -> str:
    """The hash of a random password that is not kept: what unknown users are verified against."""
    return hash(secrets.token_urlsafe(24), parameters=parameters)


# App passwords.


@final
@dataclass(frozen=True, slots=True, eq=False)
class AppPassword:
    """A password for one program.  Show `secret` once; store the rest."""

    secret: Secret
    """Six groups of letters and digits; 128 random bits."""
    hash: str
    """For `verify`."""
    scram_sha_256: StoredKeys
    scram_sha_1: StoredKeys


def new_app_password(*, iterations: int = ITERATIONS) -> AppPassword:
    """
    Draw an app password and make all that is stored of it.  Takes some milliseconds.

    >>> made = new_app_password()
    >>> verify(made.hash, made.secret)
    """
    text = base64.b32encode(secrets.token_bytes(16)).decode("ascii").rstrip("=").lower()
    secret = Secret("-".join([text[at : at + 5] for at in range(0, len(text), 5)]))
    return AppPassword(
        secret,
        hash_app_password(secret),
        derive_keys(secret, secrets.token_bytes(16), iterations=iterations),
        derive_keys(
            secret, secrets.token_bytes(16), iterations=iterations, mechanism="SCRAM-SHA-1"
        ),
    )


def hash_app_password(secret: Secret) -> str:
    """
    The fast hash of an app password: salted SHA-256, safe because 128 random bits cannot be guessed.

    Never for a password that a person chose.
    """
    salt = secrets.token_bytes(16)
    digest = hashlib.sha256(salt + _prepare(secret)).digest()
    return f"{_APP_PREFIX}{salt.hex()}${digest.hex()}"


def _verify_app_password(stored: str, octets: bytes) -> None:
    salt, _, digest = stored.removeprefix(_APP_PREFIX).partition("$")
    try:
        expected = bytes.fromhex(digest)
        made = hashlib.sha256(bytes.fromhex(salt) + octets).digest()
    except ValueError as error:
        raise InvalidHash("not the hash of an app password") from error
    if len(expected) != len(made):
        raise InvalidHash("not the hash of an app password")
    if not hmac.compare_digest(expected, made):
        raise Mismatch("the password does not match")


# The choice of a password.

#: "SHALL require passwords [...] to be a minimum of 15 characters" where they are the only factor
#: is NIST's newest word (SP 800-63B-4 §3.1.1); 8 is its floor.  We ask for 10 and look for the worst.
MIN_LENGTH: Final = 10

_WORST: Final = frozenset(
    [
        "password",
        "passwort",
        "letmein",
        "qwertyuiop",
        "qwerty",
        "qwertz",
        "iloveyou",
        "administrator",
        "welcome",
        "changeme",
        "postmaster",
        "secret",
        "mustermann",
        "default",
        "football",
        "baseball",
        "superman",
        "princess",
        "sunshine",
    ]
)
_ROWS: Final = ("abcdefghijklmnopqrstuvwxyz", "0123456789", "qwertyuiop", "qwertzuiop", "asdfghjkl")


def check_policy(
    secret: str | Secret, *, user: str = "", minimum: int = MIN_LENGTH
) -> tuple[str, ...]:
    """
    What is wrong with a password somebody wants: sentences for them, none when it is fine.

    No rules about capitals and digits: they make passwords harder to remember, not to guess.

    >>> check_policy("alice2026!", user="alice@example.com")
    ('It contains your own name or address.',)
    """
    text = secret.reveal() if isinstance(secret, Secret) else secret
    problems: list[str] = []
    try:
        octets = _prepare(text)
        text = octets.decode("utf-8")
    except PrepError:
        return ("It is empty, too long, or has characters that cannot be typed everywhere.",)
    if len(text) < minimum:
        problems.append(f"It is shorter than {minimum} characters.")
    lower = text.lower()
    words = {word for word in re.split(r"[^a-z0-9]+", user.lower()) if len(word) >= 4}
    if any(word in lower for word in words - {"mail", "corvus", "example", "local"}):
        problems.append("It contains your own name or address.")
    # "password2026!" and "P@ssw0rd" are "password".
    bare = {re.sub(r"[^a-z]", "", word) for word in (lower, lower.translate(_LEET))}
    if len(set(text)) < 5 or bare & _WORST or _is_row(lower):
        problems.append("It is one of the first that anybody would try.")
    return tuple(problems)


_LEET: Final = str.maketrans({"0": "o", "1": "l", "3": "e", "4": "a", "5": "s", "$": "s", "@": "a"})


def _is_row(text: str) -> bool:
    """Whether *text* is made of neighbours on a keyboard or in the alphabet."""
    pairs = sum(
        1
        for at in range(len(text) - 1)
        if any(text[at : at + 2] in row or text[at : at + 2][::-1] in row for row in _ROWS)
    )
    return len(text) > 1 and pairs >= 0.8 * (len(text) - 1)

"""SCRAM-SHA-1 and SCRAM-SHA-256, with and without -PLUS (RFC 5802, RFC 7677, RFC 9266).

Nothing here draws random numbers or hashes a password on the server's side: the nonce is an
argument, the stored keys are asked for with a `NeedKeys` step.  `derive_keys` makes them when a
password is set, and is what costs time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from corvus_auth.sasl.machine import (
    ClientMechanism,
    Dialogue,
    Malformed,
    SASLError,
    ServerMechanism,
    Verdict,
    conclude,
    prepared,
)
from corvus_auth.sasl.names import decode_saslname, encode_saslname
from corvus_auth.sasl.saslprep import PrepError, saslprep
from corvus_auth.sasl.steps import Challenge, NeedKeys, Reason, Step, Success
from corvus_auth.secret import Secret

#: Mechanism without -PLUS -> name of the hash.
HASHES: Final[Mapping[str, str]] = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}

#: "servers SHOULD announce a hash iteration-count of at least 4096" (RFC 5802 §5.1, RFC 7677 §3).
#: Enough where the password has 128 random bits, the only ones that have SCRAM keys here.
ITERATIONS: Final = 4096
#: What a client bears with: fewer would hand out a proof that is cheap to guess by, more would let
#: a server burn the client's time (CVE-2026-42256 of another library).  A million take about 0.4 s.
MIN_ITERATIONS: Final = 4096
MAX_ITERATIONS: Final = 1_000_000
#: Octets of a salt that a client accepts.
MAX_SALT: Final = 1024

#   printable = %x21-2B / %x2D-7E ;; Printable ASCII except ","
_NONCE: Final = re.compile(rb"[!-+\--~]{1,1024}\Z")
#   posit-number = %x31-39 *DIGIT
_NUMBER: Final = re.compile(rb"[1-9][0-9]{0,9}\Z")
_ATTRIBUTE: Final = re.compile(rb"[A-Za-z]=[^,\0]+\Z")
_CB_NAME: Final = re.compile(rb"[A-Za-z0-9.-]{1,64}\Z")


@final
@dataclass(frozen=True, slots=True)
class StoredKeys:
    """
    What a server keeps of a password for one hash (RFC 5802 §3).

    Stored keys beside an argon2id hash of the same password would undo it: SCRAM's derivation is
    quick, so whoever steals both guesses by this one.  Keep them for app passwords only.
    """

    mechanism: str
    """``SCRAM-SHA-1`` or ``SCRAM-SHA-256``."""
    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    def __post_init__(self) -> None:
        size = hashlib.new(HASHES[self.mechanism], usedforsecurity=False).digest_size
        if self.iterations < 1 or not self.salt:
            raise ValueError("keys need a salt and an iteration count")
        if len(self.stored_key) != size or len(self.server_key) != size:
            raise ValueError(f"the keys of {self.mechanism} have {size} octets")

    def __repr__(self) -> str:
        return f"StoredKeys({self.mechanism!r}, ...)"

    def to_text(self) -> str:
        """``SCRAM-SHA-256$4096:salt$stored:server``, base64, as RFC 5803 §2 has it."""
        salt, stored, server = (
            base64.b64encode(v).decode("ascii")
            for v in (self.salt, self.stored_key, self.server_key)
        )
        return f"{self.mechanism}${self.iterations}:{salt}${stored}:{server}"

    @classmethod
    def from_text(cls, text: str) -> StoredKeys:
        """Read what `to_text` wrote.  Raises `ValueError`."""
        try:
            mechanism, info, values = text.split("$")
            iterations, salt = info.split(":")
            stored, server = values.split(":")
            keys = [base64.b64decode(v, validate=True) for v in (salt, stored, server)]
            return cls(mechanism, keys[0], int(iterations), keys[1], keys[2])
        except (ValueError, KeyError) as error:
            raise ValueError("not SCRAM keys") from error


def _normalized(password: Secret) -> bytes:
    try:
        return saslprep(password.reveal()).encode("utf-8")
    except PrepError as error:
        raise ValueError(f"the password: {error}") from error


def _salted(normalized: bytes, salt: bytes, iterations: int, hash_name: str) -> bytes:
    #   SaltedPassword := Hi(Normalize(password), salt, i)
    return hashlib.pbkdf2_hmac(hash_name, normalized, salt, iterations)


def _keys(salted: bytes, hash_name: str) -> tuple[bytes, bytes, bytes]:
    """Client key, stored key and server key."""
    client_key = hmac.digest(salted, b"Client Key", hash_name)
    stored_key = hashlib.new(hash_name, client_key, usedforsecurity=True).digest()
    return client_key, stored_key, hmac.digest(salted, b"Server Key", hash_name)


def derive_keys(
    password: Secret | str,
    salt: bytes,
    *,
    iterations: int = ITERATIONS,
    mechanism: str = "SCRAM-SHA-256",
) -> StoredKeys:
    """
    Derive what a server keeps of a password.  Takes time proportional to *iterations*.

    Args:
        salt: At least 16 random octets, different for each password.

    Raises:
        ValueError: SASLprep prohibits the password.
    """
    secret = password if isinstance(password, Secret) else Secret(password)
    hash_name = HASHES[mechanism]
    salted = _salted(_normalized(secret), salt, iterations, hash_name)
    _, stored_key, server_key = _keys(salted, hash_name)
    return StoredKeys(mechanism, salt, iterations, stored_key, server_key)


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")


def _attribute(word: bytes, letter: bytes, what: str) -> bytes:
    if word[:2] != letter + b"=":
        # "m: [...] its presence in a client or a server message MUST cause authentication failure"
        raise Malformed(f"{what} is missing")
    return word[2:]


def _extensions(words: list[bytes]) -> None:
    for word in words:
        if not _ATTRIBUTE.match(word) or word[:1] == b"m":
            raise Malformed("an extension is malformed or mandatory")


def _unbase64(octets: bytes) -> bytes:
    try:
        return base64.b64decode(octets, validate=True)
    except binascii.Error as error:
        raise Malformed("not base64") from error


@final
class ScramServer(ServerMechanism):
    """
    The server's side.

    Args:
        name: The mechanism, with ``-PLUS`` or without.
        nonce: Fresh random printable ASCII without commas, 18 characters or more.
        dummy_key: A secret of this server that stays the same: it gives unknown users a salt
            that stays the same too, "unknown users look like known ones".
        channel_bindings: Type to data, such as ``{"tls-exporter": ...}``; for -PLUS at least one.
            Give them to the mechanism without -PLUS as well whenever -PLUS is offered.
        iterations: What unknown users are said to have.

    SMTP, IMAP and POP3 carry no data with success: the server's signature is a last challenge, to
    be answered with an empty response.
    """

    name: str  # type: ignore[misc]  # one class, four mechanisms

    def __init__(
        self,
        name: str,
        *,
        nonce: str,
        dummy_key: bytes,
        channel_bindings: Mapping[str, bytes],
        iterations: int = ITERATIONS,
    ) -> None:
        super().__init__()
        self.name = name
        self._plus = name.endswith("-PLUS")
        self._base = name.removesuffix("-PLUS")
        self._hash = HASHES[self._base]
        self._nonce = nonce.encode("ascii")
        if not _NONCE.match(self._nonce):
            raise ValueError("a nonce is printable ASCII without commas")
        if len(dummy_key) < 16:
            raise ValueError("the key for unknown users has 16 octets or more")
        if self._plus and not channel_bindings:
            raise ValueError(f"{name} needs a channel binding")
        self._bindings = {k.encode("ascii"): v for k, v in channel_bindings.items()}
        self._dummy_key = dummy_key
        self._iterations = iterations

    def keys(self, stored: StoredKeys | None, *, identity: str | None = None) -> Step:
        """
        Give the keys of the user that `NeedKeys` named; ``None``: unknown, or without keys.

        Args:
            identity: Whom the session acts as, where the client asked for somebody else and may.
        """
        self._due(NeedKeys)
        if stored is not None and stored.mechanism != self._base:
            raise ValueError(f"keys of {stored.mechanism} for {self._base}")
        return self._send((stored, identity or None))

    def _talk(self, response: bytes | None) -> Dialogue:
        if response is None:
            response = yield Challenge(b"")
        #   client-first-message = gs2-header client-first-message-bare
        #   gs2-header           = gs2-cbind-flag "," [ authzid ] ","
        words = response.split(b",")
        if len(words) < 4:
            raise Malformed("the first message is too short")
        binding = self._binding(words[0])
        authzid = ""
        if words[1]:
            name = _attribute(words[1], b"a", "the authorization identity")
            authzid = prepared(decode_saslname(name), "the authorization identity")
        gs2_header = b",".join(words[:2]) + b","
        bare = response[len(gs2_header) :]
        #   client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
        name = decode_saslname(_attribute(words[2], b"n", "the user name"))
        authcid = prepared(name, "the user name")
        client_nonce = _attribute(words[3], b"r", "the nonce")
        if not _NONCE.match(client_nonce):
            raise Malformed("the nonce is malformed")
        _extensions(words[4:])

        stored, identity = yield NeedKeys(self._base, authcid, authzid)
        known = stored is not None
        keys = stored if stored is not None else self._unknown(authcid)
        nonce = client_nonce + self._nonce
        server_first = b"r=%b,s=%b,i=%d" % (nonce, base64.b64encode(keys.salt), keys.iterations)
        response = yield Challenge(server_first)

        #   client-final-message = channel-binding "," nonce ["," extensions] "," proof
        without_proof, comma, proof_word = response.rpartition(b",")
        words = without_proof.split(b",")
        if not comma or len(words) < 2:
            raise Malformed("the final message is too short")
        _extensions(words[2:])
        # "The server MUST always validate the client's "c=" field."
        claimed = _unbase64(_attribute(words[0], b"c", "the channel binding"))
        if not hmac.compare_digest(claimed, gs2_header + binding):
            raise Malformed("the channel bindings do not match", Reason.CHANNEL_BINDING)
        if not hmac.compare_digest(_attribute(words[1], b"r", "the nonce"), nonce):
            raise Malformed("the nonce is not ours")
        proof = _unbase64(_attribute(proof_word, b"p", "the proof"))
        if len(proof) != len(keys.stored_key):
            raise Malformed("the proof has the wrong size")

        #   AuthMessage := client-first-message-bare + "," + server-first-message + "," +
        #                  client-final-message-without-proof
        message = b",".join((bare, server_first, without_proof))
        signature = hmac.digest(keys.stored_key, message, self._hash)
        client_key = _xor(proof, signature)
        matches = hmac.compare_digest(
            hashlib.new(self._hash, client_key, usedforsecurity=True).digest(), keys.stored_key
        )
        outcome = conclude(Verdict(matches and known, identity), authcid, authzid)
        if isinstance(outcome, Success):
            verifier = base64.b64encode(hmac.digest(keys.server_key, message, self._hash))
            # "returns additional data together with a server's indication of a successful
            # outcome": protocols without room for it send it as one more challenge, to be
            # answered with an empty response (RFC 4422 §5, RFC 4954 §4).
            if (yield Challenge(b"v=" + verifier)):
                raise Malformed("the last response is not empty")
        return outcome

    def _binding(self, flag: bytes) -> bytes:
        """The channel binding data that belongs to the ``gs2-cbind-flag``."""
        if flag[:2] == b"p=" and _CB_NAME.match(flag[2:]):
            # "If the channel binding flag was "p" and the server does not support the indicated
            # channel binding type, then the server MUST fail authentication."
            if not self._plus or flag[2:] not in self._bindings:
                raise Malformed("unsupported channel binding", Reason.CHANNEL_BINDING)
            return self._bindings[flag[2:]]
        if flag not in (b"n", b"y"):
            raise Malformed("the channel binding flag is malformed")
        if self._plus:
            raise Malformed("-PLUS without a channel binding", Reason.CHANNEL_BINDING)
        if flag == b"y" and self._bindings:
            # "if the server did in fact support channel binding, then this is an indication that
            # there has been a downgrade attack" (RFC 5802 §6)
            raise Malformed("the client was made to believe in no -PLUS", Reason.CHANNEL_BINDING)
        return b""

    def _unknown(self, user: str) -> StoredKeys:
        seed = hmac.digest(self._dummy_key, user.encode("utf-8"), "sha512")
        size = hashlib.new(self._hash, usedforsecurity=False).digest_size
        return StoredKeys(
            self._base, seed[:16], self._iterations, seed[16 : 16 + size], seed[-size:]
        )


@final
class ScramClient(ClientMechanism):
    """
    The client's side.

    Args:
        name: The mechanism, with ``-PLUS`` or without.
        nonce: Fresh random printable ASCII without commas, 18 characters or more.
        channel_binding: Type and data; for -PLUS it is used, else it makes the client say that it
            could have (flag ``y``), so that a downgrade is noticed.
        max_iterations: More are refused.
    """

    name: str  # type: ignore[misc]  # one class, four mechanisms

    def __init__(
        self,
        name: str,
        username: str,
        password: Secret,
        *,
        nonce: str,
        authzid: str = "",
        channel_binding: tuple[str, bytes] | None = None,
        min_iterations: int = MIN_ITERATIONS,
        max_iterations: int = MAX_ITERATIONS,
    ) -> None:
        self.name = name
        self._hash = HASHES[name.removesuffix("-PLUS")]
        self._nonce = nonce.encode("ascii")
        if not _NONCE.match(self._nonce):
            raise ValueError("a nonce is printable ASCII without commas")
        flag, self._binding = b"n", b""
        if name.endswith("-PLUS"):
            if channel_binding is None:
                raise ValueError(f"{name} needs a channel binding")
            flag = b"p=" + channel_binding[0].encode("ascii")
            self._binding = channel_binding[1]
        elif channel_binding is not None:
            flag = b"y"
        self._header = flag + b"," + (b"a=" + encode_saslname(authzid) if authzid else b"") + b","
        self._bare = b"n=%b,r=%b" % (encode_saslname(username), self._nonce)
        self._password = _normalized(password)
        self._min, self._max = min_iterations, max_iterations
        self._signature: bytes | None = None
        self._sent_first = False
        self._verified = False

    def start(self) -> bytes | None:
        self._sent_first = True
        return self._header + self._bare

    def step(self, challenge: bytes) -> bytes:
        if not self._sent_first or (not challenge and self._signature is None):
            # The empty challenge of a protocol without initial responses.
            if challenge:
                raise SASLError("the server speaks out of turn")
            self._sent_first = True
            return self._header + self._bare
        try:
            if self._signature is None:
                return self._final(challenge)
            self._verify(challenge)
        except Malformed as error:
            raise SASLError(str(error)) from error
        return b""

    def finish(self, data: bytes | None = None) -> None:
        if data is not None and not self._verified:
            try:
                self._verify(data)
            except Malformed as error:
                raise SASLError(str(error)) from error
        if not self._verified:
            # "the client MUST consider the authentication exchange to be unsuccessful"
            raise SASLError("the server did not prove that it knows the user")

    def _final(self, server_first: bytes) -> bytes:
        words = server_first.split(b",")
        if len(words) < 3:
            raise Malformed("the server's first message is too short")
        nonce = _attribute(words[0], b"r", "the nonce")
        # "The client MUST verify that the initial part of the nonce used in subsequent messages
        # is the same as the nonce it initially specified."
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise Malformed("the nonce does not continue ours")
        if not _NONCE.match(nonce):
            raise Malformed("the nonce is malformed")
        salt = _unbase64(_attribute(words[1], b"s", "the salt"))
        number = _attribute(words[2], b"i", "the iteration count")
        _extensions(words[3:])
        if not salt or len(salt) > MAX_SALT or not _NUMBER.match(number):
            raise Malformed("the salt or the iteration count is malformed")
        iterations = int(number)
        if not self._min <= iterations <= self._max:
            raise Malformed(f"an iteration count of {iterations} is refused")
        salted = _salted(self._password, salt, iterations, self._hash)
        client_key, stored_key, server_key = _keys(salted, self._hash)
        channel = base64.b64encode(self._header + self._binding)
        without_proof = b"c=%b,r=%b" % (channel, nonce)
        message = b",".join((self._bare, server_first, without_proof))
        self._signature = hmac.digest(server_key, message, self._hash)
        proof = _xor(client_key, hmac.digest(stored_key, message, self._hash))
        return without_proof + b",p=" + base64.b64encode(proof)

    def _verify(self, server_final: bytes) -> None:
        words = server_final.split(b",")
        if words[0][:2] == b"e=":
            raise Malformed("the server refuses the proof")
        signature = _unbase64(_attribute(words[0], b"v", "the server's signature"))
        if self._signature is None or not hmac.compare_digest(signature, self._signature):
            raise Malformed("the server's signature is wrong")
        self._verified = True

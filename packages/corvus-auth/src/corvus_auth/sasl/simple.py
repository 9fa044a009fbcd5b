"""PLAIN (RFC 4616), LOGIN, EXTERNAL (RFC 4422 Appendix A), ANONYMOUS (RFC 4505), CRAM-MD5 (RFC 2195).

PLAIN and LOGIN carry the password itself: only under TLS.  LOGIN is obsolete and CRAM-MD5
historic; both exist for clients that know nothing better.
"""

from __future__ import annotations

import hmac
import re
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
from corvus_auth.sasl.saslprep import PrepError, saslprep
from corvus_auth.sasl.steps import (
    Challenge,
    NeedSecret,
    Step,
    Verify,
    VerifyAnonymous,
    VerifyExternal,
)
from corvus_auth.secret import Secret


def _password(octets: bytes) -> Secret:
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("the password is not UTF-8") from error
    if not text or "\0" in text:
        raise Malformed("the password is empty or holds NUL")
    return Secret(text)


@final
class PlainServer(ServerMechanism):
    """``message = [authzid] UTF8NUL authcid UTF8NUL passwd`` (RFC 4616 §2)."""

    name = "PLAIN"

    def _talk(self, response: bytes | None) -> Dialogue:
        if response is None:
            response = yield Challenge(b"")
        parts = response.split(b"\0", 3)
        if len(parts) != 3:
            raise Malformed("a PLAIN message has two NULs")
        authzid = prepared(parts[0], "the authorization identity", required=False)
        authcid = prepared(parts[1], "the user name")
        verdict: Verdict = yield Verify(authcid, authzid, _password(parts[2]))
        return conclude(verdict, authcid, authzid)


@final
class LoginServer(ServerMechanism):
    """User name and password one after the other (draft-murchison-sasl-login-00)."""

    name = "LOGIN"

    def _talk(self, response: bytes | None) -> Dialogue:
        # An initial response is the user name, as clients of SMTP send it.  The draft asks
        # servers for these two prompts; clients look for them in any case, or not at all.
        if response is None:
            response = yield Challenge(b"Username:")
        authcid = prepared(response.removesuffix(b"\0"), "the user name")
        response = yield Challenge(b"Password:")
        verdict: Verdict = yield Verify(authcid, "", _password(response.removesuffix(b"\0")))
        return conclude(verdict, authcid)


@final
class ExternalServer(ServerMechanism):
    """The channel has authenticated the client already, by a certificate."""

    name = "EXTERNAL"

    def _talk(self, response: bytes | None) -> Dialogue:
        # "initial-response" that is empty asks for the identity of the channel; none at all is
        # asked for with an empty challenge: None and b"" differ.
        if response is None:
            response = yield Challenge(b"")
        authzid = prepared(response, "the authorization identity", required=False)
        verdict: Verdict = yield VerifyExternal(authzid)
        return conclude(verdict, "", authzid)


@final
class AnonymousServer(ServerMechanism):
    """Somebody, with a trace of at most 255 characters (RFC 4505 §2)."""

    name = "ANONYMOUS"

    def _talk(self, response: bytes | None) -> Dialogue:
        if response is None:
            response = yield Challenge(b"")
        trace = prepared(response, "the trace", required=False)
        if len(trace) > 255:
            raise Malformed("the trace is longer than 255 characters")
        verdict: Verdict = yield VerifyAnonymous(trace)
        return conclude(verdict, "anonymous")


@final
class CramMD5Server(ServerMechanism):
    """A challenge, and its keyed digest (RFC 2195); needs the secret itself, so app passwords."""

    name = "CRAM-MD5"

    def __init__(self, nonce: str, hostname: str) -> None:
        super().__init__()
        if not _NONCE.match(nonce) or not _NONCE.match(hostname):
            raise ValueError("a nonce and a host name are printable ASCII without <, > and @")
        self._challenge = f"<{nonce}@{hostname}>".encode("ascii")
        self._value: Secret | None = None

    def _talk(self, response: bytes | None) -> Dialogue:
        if response is not None:
            raise Malformed("CRAM-MD5 has no initial response")
        response = yield Challenge(self._challenge)
        # "a space, followed by a digest computed by applying the keyed MD5 algorithm"; a user
        # name may have spaces.
        user, space, digest = response.rpartition(b" ")
        if not space:
            raise Malformed("a CRAM-MD5 response is a user name and a digest")
        authcid = prepared(user, "the user name")
        value: Secret | None = yield NeedSecret(authcid)
        # An unknown user costs the same, and never matches.
        key = b"\0" if value is None else value.reveal().encode("utf-8")
        expected = hmac.digest(key, self._challenge, "md5").hex().encode("ascii")
        matches = hmac.compare_digest(expected, digest)
        return conclude(Verdict(matches and value is not None), authcid)

    def secret(self, value: Secret | None) -> Step:
        """Give the shared secret of the user that `NeedSecret` named; ``None``: there is none."""
        self._due(NeedSecret)
        return self._send(value)


_NONCE: Final = re.compile(r"[!-;=?A-~]{1,200}\Z")


# The other side.


def _prepare(text: str, what: str) -> bytes:
    try:
        text = saslprep(text)
    except PrepError as error:
        raise ValueError(f"{what}: {error}") from error
    return text.encode("utf-8")


@final
class PlainClient(ClientMechanism):
    """RFC 4616."""

    name = "PLAIN"

    def __init__(self, username: str, password: Secret, authzid: str) -> None:
        self._parts = (
            _prepare(authzid, "the authorization identity"),
            _prepare(username, "the user name"),
            _prepare(password.reveal(), "the password"),
        )

    def start(self) -> bytes | None:
        return b"\0".join(self._parts)

    def step(self, challenge: bytes) -> bytes:
        # The empty challenge of a protocol without initial responses.
        if challenge:
            raise SASLError("PLAIN has no challenge")
        return b"\0".join(self._parts)


@final
class LoginClient(ClientMechanism):
    """draft-murchison-sasl-login-00."""

    name = "LOGIN"

    def __init__(self, username: str, password: Secret) -> None:
        self._answers = [
            _prepare(password.reveal(), "the password"),
            _prepare(username, "the user name"),
        ]

    def start(self) -> bytes | None:
        return None

    def step(self, challenge: bytes) -> bytes:
        # "the client [...] MUST ignore the text of the challenge": order is what counts.
        if not self._answers:
            raise SASLError("LOGIN has two challenges")
        return self._answers.pop()


@final
class ExternalClient(ClientMechanism):
    """RFC 4422 Appendix A."""

    name = "EXTERNAL"

    def __init__(self, authzid: str) -> None:
        self._authzid = _prepare(authzid, "the authorization identity")

    def start(self) -> bytes | None:
        return self._authzid

    def step(self, challenge: bytes) -> bytes:
        if challenge:
            raise SASLError("EXTERNAL has no challenge")
        return self._authzid


@final
class AnonymousClient(ClientMechanism):
    """RFC 4505."""

    name = "ANONYMOUS"

    def __init__(self, trace: str) -> None:
        self._trace = _prepare(trace, "the trace")
        if len(trace) > 255:
            raise ValueError("the trace is longer than 255 characters")

    def start(self) -> bytes | None:
        return self._trace

    def step(self, challenge: bytes) -> bytes:
        if challenge:
            raise SASLError("ANONYMOUS has no challenge")
        return self._trace


@final
class CramMD5Client(ClientMechanism):
    """RFC 2195."""

    name = "CRAM-MD5"

    def __init__(self, username: str, password: Secret) -> None:
        self._username = _prepare(username, "the user name")
        self._password = _prepare(password.reveal(), "the password")

    def start(self) -> bytes | None:
        return None

    def step(self, challenge: bytes) -> bytes:
        digest = hmac.digest(self._password, challenge, "md5").hex()
        return self._username + b" " + digest.encode("ascii")

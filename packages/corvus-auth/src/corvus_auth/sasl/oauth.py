"""OAUTHBEARER (RFC 7628) and XOAUTH2, its predecessor."""

from __future__ import annotations

import json
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
from corvus_auth.sasl.names import decode_saslname, encode_saslname
from corvus_auth.sasl.steps import Challenge, VerifyToken
from corvus_auth.secret import Secret

#   kvsep = %x01 ; key = 1*(ALPHA) ; value = *(VCHAR / SP / HTAB / CR / LF ) ; RFC 7628 §3.1
SEPARATOR: Final = b"\x01"
MAX_PAIRS: Final = 20

#   b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=" ; RFC 6750 §2.1
_BEARER: Final = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)\Z")


def _bearer(value: bytes) -> Secret:
    match = _BEARER.match(value)
    if match is None:
        raise Malformed("no bearer token is given")
    return Secret(match[1].decode("ascii"))


def _pairs(octets: bytes) -> dict[str, bytes]:
    pairs: dict[str, bytes] = {}
    words = octets.split(SEPARATOR, MAX_PAIRS)
    # Each pair ends in a separator, and one more ends the message.
    if len(words) > MAX_PAIRS or words[-2:] != [b"", b""]:
        raise Malformed("the key/value pairs do not end as they should")
    for word in words[:-2]:
        key, equals, value = word.partition(b"=")
        if not equals or not (key.isascii() and key.isalpha()):
            raise Malformed("not a key/value pair")
        name = key.decode("ascii").lower()
        if name in pairs:
            raise Malformed("a key appears twice")
        pairs[name] = value
    return pairs


def _text(value: bytes) -> str:
    if not (value.isascii() and (text := value.decode("ascii")).isprintable()):
        raise Malformed("a value is not printable")
    return text


class _TokenServer(ServerMechanism):
    """What both have in common: the error is sent, and answered, before the exchange fails."""

    def __init__(self, scope: str, openid_configuration: str) -> None:
        super().__init__()
        error = {"status": "invalid_token"}
        if scope:
            error["scope"] = scope
        if openid_configuration:
            error["openid-configuration"] = openid_configuration
        self._error = json.dumps(error, separators=(",", ":")).encode("ascii")

    def _judge(self, authzid: str, token: Secret, host: str, port: str) -> Dialogue:
        verdict: Verdict = yield VerifyToken(authzid, token, "bearer", host, port)
        if not verdict.accepted:
            # "the error message is sent in a normal message.  The client MUST then send either an
            # additional client response consisting of a single %x01 (control A) character [...]
            # or a SASL abort message" (RFC 7628 §3.2.3).  What it sends makes no difference.
            yield Challenge(self._error)
        elif verdict.identity is None and not authzid:
            raise Malformed("the token names nobody")
        return conclude(verdict, authzid)


@final
class OAuthBearerServer(_TokenServer):
    """``client-resp = gs2-header kvsep *kvpair kvsep`` (RFC 7628 §3.1)."""

    name = "OAUTHBEARER"

    def _talk(self, response: bytes | None) -> Dialogue:
        if response is None:
            response = yield Challenge(b"")
        header, separator, rest = response.partition(SEPARATOR)
        flag, comma, authzid = header.partition(b",")
        # The gs2-header, without channel binding: "n,a=user@example.com,".
        if not separator or not comma or flag not in (b"n", b"y") or not authzid.endswith(b","):
            raise Malformed("the GS2 header is malformed")
        user = ""
        if authzid != b",":
            if not authzid.startswith(b"a="):
                raise Malformed("the GS2 header is malformed")
            user = prepared(decode_saslname(authzid[2:-1]), "the authorization identity")
        pairs = _pairs(rest)
        if "auth" not in pairs:
            raise Malformed("no authorization is given")
        host, port = _text(pairs.get("host", b"")), _text(pairs.get("port", b""))
        if not pairs["auth"]:
            # "how a client can query for the needed scope" (§4.3): the error, no verification.
            yield Challenge(self._error)
            return conclude(Verdict(False), user)
        return (yield from self._judge(user, _bearer(pairs["auth"]), host, port))


@final
class XOAuth2Server(_TokenServer):
    """``user=`` and ``auth=Bearer``, without a GS2 header."""

    name = "XOAUTH2"

    def _talk(self, response: bytes | None) -> Dialogue:
        if response is None:
            response = yield Challenge(b"")
        pairs = _pairs(response)
        if "user" not in pairs or "auth" not in pairs:
            raise Malformed("user or authorization is missing")
        user = prepared(pairs["user"], "the user name")
        return (yield from self._judge(user, _bearer(pairs["auth"]), "", ""))


def _token(token: Secret) -> bytes:
    if not _BEARER.match(b"Bearer " + token.reveal().encode("utf-8")):
        raise ValueError("not a bearer token")
    return b"auth=Bearer " + token.reveal().encode("ascii")


class _TokenClient(ClientMechanism):
    _message: bytes
    _dummy: bytes

    def start(self) -> bytes | None:
        return self._message

    def step(self, challenge: bytes) -> bytes:
        if not challenge:
            return self._message
        if self.error is not None:
            raise SASLError("the server sent a second error")
        self.error = challenge
        return self._dummy

    error: bytes | None = None
    """The server's JSON about why it refuses; the exchange then fails."""


@final
class OAuthBearerClient(_TokenClient):
    """RFC 7628."""

    name = "OAUTHBEARER"

    def __init__(self, username: str, token: Secret, host: str, port: int | None) -> None:
        user = b"a=" + encode_saslname(username) if username else b""
        parts = [b"n," + user + b","]
        if host:
            if not (host.isascii() and host.isprintable()):
                raise ValueError("not a host name")
            parts.append(b"host=" + host.encode("ascii"))
        if port is not None:
            parts.append(b"port=%d" % port)
        parts.append(_token(token))
        self._message = SEPARATOR.join(parts) + SEPARATOR + SEPARATOR
        self._dummy = SEPARATOR


@final
class XOAuth2Client(_TokenClient):
    """The form that some providers have instead."""

    name = "XOAUTH2"

    def __init__(self, username: str, token: Secret) -> None:
        if "\x01" in username:
            raise ValueError("a user name has a control character")
        user = b"user=" + username.encode("utf-8")
        self._message = SEPARATOR.join([user, _token(token)]) + SEPARATOR + SEPARATOR
        self._dummy = b""

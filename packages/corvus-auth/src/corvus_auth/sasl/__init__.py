"""SASL, RFC 4422: server and client machines without I/O, callbacks or randomness.

`server` and `client` make a machine for a mechanism.  On the server's side each call returns a
step that says what is owed next; see `corvus_auth.sasl.steps` for the table of them.

>>> machine = server("PLAIN")
>>> machine.step(b"\\0tim\\0tanstaaftanstaaf")
Verify(authcid='tim', authzid='', password=Secret(...))
>>> machine.accept()            # after corvus_auth.passwords.verify(), in whatever thread
Success(identity='tim', authcid='tim')
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from corvus_auth.sasl.channel import tls_server_end_point
from corvus_auth.sasl.machine import (
    MAX_RESPONSE,
    ClientMechanism,
    SASLError,
    SASLUsageError,
    ServerMechanism,
)
from corvus_auth.sasl.oauth import (
    OAuthBearerClient,
    OAuthBearerServer,
    XOAuth2Client,
    XOAuth2Server,
)
from corvus_auth.sasl.saslprep import PrepError, saslprep
from corvus_auth.sasl.scram import (
    HASHES,
    ITERATIONS,
    MAX_ITERATIONS,
    MIN_ITERATIONS,
    ScramClient,
    ScramServer,
    StoredKeys,
    derive_keys,
)
from corvus_auth.sasl.simple import (
    AnonymousClient,
    AnonymousServer,
    CramMD5Client,
    CramMD5Server,
    ExternalClient,
    ExternalServer,
    LoginClient,
    LoginServer,
    PlainClient,
    PlainServer,
)
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
from corvus_auth.secret import Secret

__all__ = [
    "HASHES",
    "ITERATIONS",
    "MAX_ITERATIONS",
    "MAX_RESPONSE",
    "MECHANISMS",
    "MIN_ITERATIONS",
    "Challenge",
    "ClientMechanism",
    "Failure",
    "NeedKeys",
    "NeedSecret",
    "PrepError",
    "Reason",
    "SASLError",
    "SASLUsageError",
    "Secret",
    "ServerMechanism",
    "Step",
    "StoredKeys",
    "Success",
    "Verify",
    "VerifyAnonymous",
    "VerifyExternal",
    "VerifyToken",
    "client",
    "derive_keys",
    "saslprep",
    "server",
    "tls_server_end_point",
]

#: Mechanism -> RFC, strongest first: the order in which a client should choose.
MECHANISMS: Final[Mapping[str, str]] = {
    "SCRAM-SHA-256-PLUS": "RFC 7677",
    "SCRAM-SHA-1-PLUS": "RFC 5802",
    "SCRAM-SHA-256": "RFC 7677",
    "SCRAM-SHA-1": "RFC 5802",
    "EXTERNAL": "RFC 4422",
    "OAUTHBEARER": "RFC 7628",
    "XOAUTH2": "",
    "PLAIN": "RFC 4616",
    "LOGIN": "",
    "CRAM-MD5": "RFC 2195",
    "ANONYMOUS": "RFC 4505",
}


def server(
    mechanism: str,
    *,
    nonce: str | None = None,
    hostname: str = "localhost",
    dummy_key: bytes | None = None,
    channel_bindings: Mapping[str, bytes] | None = None,
    iterations: int = ITERATIONS,
    scope: str = "",
    openid_configuration: str = "",
) -> ServerMechanism:
    """
    Make the server's side of *mechanism*, a name in any case.

    Args:
        nonce: For SCRAM and CRAM-MD5: fresh random printable ASCII without commas, such as
            ``secrets.token_urlsafe(18)``.
        hostname: For CRAM-MD5, in the challenge.
        dummy_key: For SCRAM: 16 or more octets of this server that stay the same, kept secret;
            unknown users get a salt out of it, and so look like known ones.
        channel_bindings: For SCRAM: type (``tls-exporter``, ``tls-server-end-point``) to data.  Give
            them to the mechanism without -PLUS too whenever -PLUS is offered: that is how a
            downgrade is noticed.
        iterations: For SCRAM: what unknown users are said to have.
        scope, openid_configuration: For OAUTHBEARER and XOAUTH2: what a refused client is told.

    Raises:
        ValueError: An unknown mechanism, or an argument it needs is missing.
    """
    name = mechanism.upper()
    if name.removesuffix("-PLUS") in HASHES:
        if nonce is None or dummy_key is None:
            raise ValueError(f"{name} needs a nonce and a dummy_key")
        return ScramServer(
            name,
            nonce=nonce,
            dummy_key=dummy_key,
            channel_bindings=channel_bindings or {},
            iterations=iterations,
        )
    match name:
        case "PLAIN":
            return PlainServer()
        case "LOGIN":
            return LoginServer()
        case "EXTERNAL":
            return ExternalServer()
        case "ANONYMOUS":
            return AnonymousServer()
        case "OAUTHBEARER":
            return OAuthBearerServer(scope, openid_configuration)
        case "XOAUTH2":
            return XOAuth2Server(scope, openid_configuration)
        case "CRAM-MD5":
            if nonce is None:
                raise ValueError("CRAM-MD5 needs a nonce")
            return CramMD5Server(nonce, hostname)
    raise ValueError(f"an unknown mechanism: {mechanism[:40]!r}")


def client(
    mechanism: str,
    *,
    username: str = "",
    password: str | Secret = "",
    authzid: str = "",
    token: str | Secret = "",
    host: str = "",
    port: int | None = None,
    nonce: str | None = None,
    channel_binding: tuple[str, bytes] | None = None,
    min_iterations: int = MIN_ITERATIONS,
    max_iterations: int = MAX_ITERATIONS,
) -> ClientMechanism:
    """
    Make the client's side of *mechanism*, a name in any case.

    Args:
        username, password: Whose credentials they are; ANONYMOUS sends *username* as its trace.
        authzid: Whom to act as, where it is another.
        token, host, port: For OAUTHBEARER and XOAUTH2.
        nonce: For SCRAM; as for `server`.
        channel_binding: For SCRAM: type and data.
        min_iterations, max_iterations: For SCRAM: what is accepted from the server.

    Raises:
        ValueError: An unknown mechanism, an argument it needs is missing, or SASLprep prohibits one.
    """
    name = mechanism.upper()
    secret = password if isinstance(password, Secret) else Secret(password)
    bearer = token if isinstance(token, Secret) else Secret(token)
    if name.removesuffix("-PLUS") in HASHES:
        if nonce is None:
            raise ValueError(f"{name} needs a nonce")
        return ScramClient(
            name,
            username,
            secret,
            nonce=nonce,
            authzid=authzid,
            channel_binding=channel_binding,
            min_iterations=min_iterations,
            max_iterations=max_iterations,
        )
    match name:
        case "PLAIN":
            return PlainClient(username, secret, authzid)
        case "LOGIN":
            return LoginClient(username, secret)
        case "EXTERNAL":
            return ExternalClient(authzid)
        case "ANONYMOUS":
            return AnonymousClient(username)
        case "OAUTHBEARER":
            return OAuthBearerClient(username, bearer, host, port)
        case "XOAUTH2":
            return XOAuth2Client(username, bearer)
        case "CRAM-MD5":
            return CramMD5Client(username, secret)
    raise ValueError(f"an unknown mechanism: {mechanism[:40]!r}")

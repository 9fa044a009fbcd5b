"""TLS: the certificate, the context of every listener, and what a handshake has shown.

A certificate of our own is made at the first start (ECDSA P-256, which costs a handshake a tenth of
RSA's work) and stays the same over restarts, so that a client that was told to trust it goes on.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: "TLS server certificates must have a validity period of 825 days or fewer" (Apple HT210176).
VALIDITY_DAYS: Final = 825
#: Ours is made anew when less than this is left of it.
RENEW_DAYS: Final = 30


class CertificateError(Exception):
    """The certificate or its key cannot be used; the message is one sentence."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What a finished handshake has shown; the engines' ``TLSInfo`` is made from it."""

    version: str
    cipher: str
    server_name: str | None
    peer_certificate: bytes | None
    channel_bindings: Mapping[str, bytes]


def facts_of(ssl_object: Any, *, certificate: bytes | None = None) -> SessionFacts:
    """
    The facts of a handshake.

    Args:
        ssl_object: ``transport.get_extra_info("ssl_object")``.
        certificate: Our certificate in DER, from which ``tls-server-end-point`` is computed.
    """
    cipher = ssl_object.cipher()
    bindings: dict[str, bytes] = {}
    if certificate is not None:
        bindings["tls-server-end-point"] = end_point_binding(certificate)
    return SessionFacts(
        version=ssl_object.version() or "",
        cipher=cipher[0] if cipher else "",
        server_name=getattr(ssl_object, "server_hostname", None),
        peer_certificate=ssl_object.getpeercert(binary_form=True),
        channel_bindings=bindings,
    )


def end_point_binding(certificate: bytes) -> bytes:
    """The ``tls-server-end-point`` of a certificate in DER (:rfc:`5929#section-4`).

    "the hash of the TLS server's certificate ... if the certificate's signatureAlgorithm uses a
    single hash function, and that hash function is either MD5 or SHA-1, then use SHA-256".
    """
    algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    name = algorithm.name if algorithm is not None else "sha256"
    return hashlib.new("sha256" if name in ("md5", "sha1") else name, certificate).digest()


@final
class Certificate:
    """The chain and key the listeners show, reloaded when their files change."""

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key
        self._stamp: tuple[int, int] | None = None
        self._der = b""
        self.context = _server_context()
        """The context of every listener; `refresh` renews what it holds."""
        self.refresh()

    @property
    def der(self) -> bytes:
        """The first certificate of the chain."""
        return self._der

    @property
    def fingerprint(self) -> str:
        """Its SHA-256, as people compare it: ``AB:CD:...``."""
        return ":".join(
            f"{octet:02X}" for octet in hashlib.sha256(self._der).digest()
        )  # fmt: skip

    @property
    def not_after(self) -> datetime.datetime:
        return x509.load_der_x509_certificate(self._der).not_valid_after_utc

    def refresh(self) -> bool:
        """
        Read the files again if they have changed; a broken pair leaves the old one in use.

        Returns:
            Whether something new was loaded.

        Raises:
            CertificateError: The files cannot be used.
        """
        try:
            stamp = self._chain.stat().st_mtime_ns, self._key.stat().st_mtime_ns
            if stamp == self._stamp:
                return False
            der = x509.load_pem_x509_certificate(self._chain.read_bytes()).public_bytes(
                serialization.Encoding.DER
            )
            # Proven in a context of its own first, so that a half-written pair breaks nothing.
            _server_context().load_cert_chain(self._chain, self._key)
            self.context.load_cert_chain(self._chain, self._key)
        except (OSError, ValueError) as error:
            raise CertificateError(
                f"The certificate {self._chain} and its key {self._key} cannot be used: {error}."
            ) from error
        self._stamp, self._der = stamp, der
        return True


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # RFC 8996 retires TLS 1.0 and 1.1; what still needs them is served in the clear by nobody.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    return context


def client_context() -> ssl.SSLContext:
    """
    A context for opportunistic TLS with other mail servers (:rfc:`7435`).

    No certificate is asked for a name: an encrypted line to somebody is better than a clear one to
    anybody, and what was shown is recorded with the attempt.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def describe_certificate(der: bytes) -> dict[str, str]:
    """What people ask of a certificate that was shown: for whom, by whom, until when, which."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        return {
            "subject": certificate.subject.rfc4514_string()[:200],
            "issuer": certificate.issuer.rfc4514_string()[:200],
            "until": certificate.not_valid_after_utc.isoformat(),
            "sha256": hashlib.sha256(der).hexdigest(),
        }
    except ValueError:
        return {"sha256": hashlib.sha256(der).hexdigest()}


def ensure_certificate(folder: Path, hostname: str, *, now: float) -> tuple[Path, Path]:
    """
    The files of the self-made certificate in *folder*, made if they are not there or nearly over.

    Returns:
        The paths of the certificate and of its key (mode 0600).
    """
    chain, key = folder / "certificate.pem", folder / "certificate.key"
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    if chain.exists() and key.exists():
        held = x509.load_pem_x509_certificate(chain.read_bytes())
        if held.not_valid_after_utc - moment > datetime.timedelta(days=RENEW_DAYS):
            return chain, key
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    names = dict.fromkeys(["localhost", hostname])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - datetime.timedelta(hours=1))
        .not_valid_after(moment + datetime.timedelta(days=VALIDITY_DAYS - 1))
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    *(x509.DNSName(each) for each in names),
                    x509.IPAddress(ip_address("127.0.0.1")),
                    x509.IPAddress(ip_address("::1")),
                ]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    _write(
        key,
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    _write(chain, certificate.public_bytes(serialization.Encoding.PEM))
    return chain, key


def _write(path: Path, octets: bytes) -> None:
    """Put a whole file in place, readable by us alone, or leave what was there."""
    new = path.with_suffix(path.suffix + ".new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, octets)
        os.fsync(handle)
    finally:
        os.close(handle)
    new.replace(path)

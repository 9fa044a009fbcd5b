"""The interface of dkimpy, so that a program moves by changing one import.

::

    import dkim                        # before
    from corvus_dkim import compat as dkim

Names, arguments and results are those of dkimpy 1.1: octets in, octets or a truth value out.  What
is judged is judged as everywhere in this package, which is stricter; the page "Move from dkimpy" in
the documentation lists where.  Every failure that dkimpy reports as ``False`` still is ``False``;
`DKIM.result` holds the reason.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from corvus_dkim import arc, errors, taglist
from corvus_dkim.errors import TagListError
from corvus_dkim.header import Header, find_body
from corvus_dkim.key import PrivateKey
from corvus_dkim.line_ends import normalise
from corvus_dkim.lookup import Answer, run
from corvus_dkim.policy import LEAST_RSA_BITS, Policy
from corvus_dkim.result import SignatureResult, Status
from corvus_dkim.sign import OVERSIGNED, SIGNED, Signer
from corvus_dkim.verify import Verifier

CV_Pass: Final = b"pass"
CV_Fail: Final = b"fail"
CV_None: Final = b"none"

#: ``dnsfunc(name, timeout=5)``: a TXT record, or nothing.
DNSFunction = Callable[..., "bytes | str | None"]


class DKIMException(Exception):
    """The root of this module's exceptions."""


class InternalError(DKIMException):
    """Never raised; here for programs that name it."""


class KeyFormatError(DKIMException):
    """The key cannot be used."""


class MessageFormatError(DKIMException):
    """The message must not be signed as it stands."""


class ParameterError(DKIMException):
    """An argument is not what it should be."""


class ValidationError(DKIMException):
    """The signature or its key cannot be used."""


class AuthresNotFoundError(DKIMException):
    """Never raised; nothing but `cryptography` is needed."""


class NaClNotFoundError(DKIMException):
    """Never raised; Ed25519 comes with `cryptography`."""


class UnknownKeyTypeError(DKIMException):
    """The key is neither RSA nor Ed25519."""


class DnsTimeoutError(DKIMException):
    """DNS did not answer in time."""


def get_txt(name: bytes | str, timeout: float = 5) -> bytes | None:
    """
    Ask the system's name servers for a TXT record (needs the extra ``[dns]``).

    Raises:
        DnsTimeoutError: They did not answer.
    """
    from corvus_dkim.dns import DNSResolver

    answer = DNSResolver(lifetime=timeout).resolve(_text(name).rstrip("."), "TXT")
    if answer.status in ("timeout", "servfail"):
        raise DnsTimeoutError(f"{_text(name)}: {answer.status}")
    record: bytes | None = answer.records[0] if answer.records else None
    return record


class _FunctionResolver:
    """A resolver that calls a ``dnsfunc``."""

    def __init__(self, function: DNSFunction, timeout: float) -> None:
        self._function = function
        self._timeout = timeout

    def resolve(self, name: str, rdtype: str) -> Answer:
        try:
            found = self._function(f"{name}.".encode("ascii"), timeout=self._timeout)
        except (DnsTimeoutError, TimeoutError):
            return Answer("timeout")
        if not found:
            return Answer("nxdomain")
        return Answer("ok", (_octets(found),))


class DomainSigner:
    """What `DKIM` and `ARC` share: the message, and which fields are signed."""

    #: Fields that are signed once more than they are there: dkimpy has From alone.
    FROZEN = tuple(name.lower().encode("ascii") for name in OVERSIGNED)
    SHOULD = tuple(name.lower().encode("ascii") for name in (*OVERSIGNED, *SIGNED))
    SHOULD_NOT = (
        b"return-path", b"received", b"comments", b"keywords", b"bcc", b"resent-bcc",
        b"dkim-signature",
    )  # fmt: skip
    RFC5322_SINGLETON = (
        b"date", b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"message-id",
        b"in-reply-to", b"references",
    )  # fmt: skip

    def __init__(
        self,
        message: bytes | None = None,
        logger: Any = None,
        signature_algorithm: bytes | str = b"rsa-sha256",
        minkey: int = 1024,
        linesep: bytes = b"\r\n",
        debug_content: bool = False,
        timeout: float = 5,
        tlsrpt: bool | str = False,
    ) -> None:
        if tlsrpt:
            raise ParameterError("signatures of TLS reports (RFC 8460) are not supported")
        self.signature_algorithm = _algorithm(signature_algorithm)
        self.logger = logger
        self.minkey = minkey
        self.linesep = linesep
        self.timeout = timeout
        self.should_sign = set(self.SHOULD)
        self.should_not_sign = set(self.SHOULD_NOT)
        self.frozen_sign = set(self.FROZEN)
        self.domain: bytes | None = None
        self.selector: bytes | None = None
        self.signature_fields: dict[bytes, bytes] = {}
        self.include_headers: tuple[bytes, ...] = ()
        self.set_message(message)

    def set_message(self, message: bytes | None) -> None:
        """Take a message; LF alone ends a line here too, as in dkimpy."""
        self._message = normalise(message or b"")
        ends = find_body(self._message)
        header = self._message if ends is None else self._message[: ends[0]]
        self._header = Header(header)
        self.headers = [tuple(field.partition(b":")[::2]) for field in self._header.fields]
        self.body = b"" if ends is None else self._message[ends[1] :]

    def add_frozen(self, s: Iterable[bytes]) -> None:
        """Sign these once more than they are there, unless they are not to be signed."""
        self.frozen_sign.update(x.lower() for x in s if x.lower() not in self.should_not_sign)

    def add_should_not(self, s: Iterable[bytes]) -> None:
        """Do not sign these."""
        self.should_not_sign.update(x.lower() for x in s if x.lower() not in self.frozen_sign)

    def default_sign_headers(self) -> list[bytes]:
        """The fields that are signed by default, each once more if it is frozen."""
        there = [name.rstrip(b" \t").lower() for name, _ in self.headers]
        return [n for n in there if n in self.should_sign] + sorted(self.frozen_sign)

    def all_sign_headers(self) -> list[bytes]:
        """All fields that may be signed, each once more if it is frozen."""
        there = [name.rstrip(b" \t").lower() for name, _ in self.headers]
        return [n for n in there if n and n not in self.should_not_sign] + sorted(self.frozen_sign)

    def _signer(
        self,
        selector: bytes | str,
        domain: bytes | str,
        privkey: Any,
        canonicalize: Sequence[bytes | str],
        include_headers: Iterable[bytes | str] | None,
        **options: Any,
    ) -> Signer:
        names = self.default_sign_headers() if include_headers is None else include_headers
        self.include_headers = tuple([_octets(name).lower() for name in names])
        for name in self.should_not_sign.intersection(self.include_headers):
            raise ParameterError(f"The {name.decode('ascii')} header field SHOULD NOT be signed")
        header, body = canonicalize
        try:
            key = PrivateKey.load(privkey)
            if key.algorithm.encode("ascii") != self.signature_algorithm:
                raise KeyFormatError(f"the key is for {key.algorithm}")
            return Signer(
                _text(domain),
                _text(selector),
                key,
                headers=[name.decode("ascii") for name in self.include_headers],
                oversign=False,
                canonicalization=(_text(header), _text(body)),
                expires_in=None,
                normalise=True,
                **options,
            )
        except errors.KeyFormatError as error:
            raise KeyFormatError(str(error)) from None
        except ValueError as error:
            raise ParameterError(str(error)) from None

    def _out(self, field: bytes) -> bytes:
        return field if self.linesep == b"\r\n" else field.replace(b"\r\n", self.linesep)

    def _policy(self) -> Policy:
        return Policy(minimum_rsa_bits=max(LEAST_RSA_BITS, self.minkey), future_slack=None)


class DKIM(DomainSigner):
    """Signs or verifies one message."""

    result: SignatureResult | None = None
    """What `verify` made of the signature, with the reason."""

    def sign(
        self,
        selector: bytes | str,
        domain: bytes | str,
        privkey: Any,
        signature_algorithm: bytes | str | None = None,
        identity: bytes | str | None = None,
        canonicalize: Sequence[bytes | str] = (b"relaxed", b"simple"),
        include_headers: Iterable[bytes | str] | None = None,
        length: bool = False,
    ) -> bytes:
        """Return the DKIM-Signature field; see `corvus_dkim.Signer`."""
        if signature_algorithm is not None:
            self.signature_algorithm = _algorithm(signature_algorithm)
        if length:
            raise ParameterError("l= lets anybody append to the message; it is not written")
        signer = self._signer(
            selector,
            domain,
            privkey,
            canonicalize,
            include_headers,
            identity=None if identity is None else _text(identity),
        )
        try:
            field = signer.sign(self._message)
        except errors.SigningError as error:
            raise MessageFormatError(str(error)) from None
        self.domain, self.selector = _octets(domain), _octets(selector)
        self.signature_fields = dict(taglist.parse(field.partition(b":")[2][:-2]))
        return self._out(field)

    def present(self) -> bool:
        """Whether there is a DKIM-Signature."""
        return self._header.count(b"dkim-signature") > 0

    def verify(self, idx: int = 0, dnsfunc: DNSFunction = get_txt) -> bool:
        """
        Verify signature number *idx*, the topmost is 0.

        Raises:
            DnsTimeoutError: DNS did not answer.
            ValidationError: The signature or its key cannot be used.
        """
        positions = self._header.index.get(b"dkim-signature", [])
        if not 0 <= idx < len(positions):
            return False
        try:
            self.signature_fields = dict(taglist.parse(self._header.value(positions[idx])))
        except TagListError:
            self.signature_fields = {}
        verifier = Verifier(policy=self._policy())
        verifier.update(self._message)
        evaluation = verifier.evaluate(now=time.time())
        result = run(evaluation, _FunctionResolver(dnsfunc, self.timeout))[idx]
        self.result = result
        self.domain = result.domain.encode("ascii")
        self.selector = result.selector.encode("ascii")
        self.include_headers = tuple([name.encode("ascii") for name in result.signed_fields])
        if result.status is Status.TEMPERROR:
            raise DnsTimeoutError(result.reason)
        if result.status is Status.PERMERROR:
            raise ValidationError(result.reason)
        return result.passed


class ARC(DomainSigner):
    """Seals one message, or verifies its chain."""

    def sign(
        self,
        selector: bytes | str,
        domain: bytes | str,
        privkey: Any,
        srv_id: bytes | str,
        include_headers: Iterable[bytes | str] | None = None,
        timestamp: int | str | None = None,
        standardize: bool = False,
    ) -> list[bytes]:
        """
        Return the three fields of the next set, ARC-Seal first.

        The results are taken from the message's own Authentication-Results of *srv_id*; without one
        there is nothing to seal and the list is empty.
        """
        results = self._results(_text(srv_id))
        if not results:
            return []
        signer = self._signer(
            selector,
            domain,
            privkey,
            (b"relaxed", b"relaxed"),
            include_headers,
            timestamp=None if timestamp is None else int(timestamp),
        )
        try:
            fields = arc.seal(self._message, signer, authserv_id=_text(srv_id), results=results)
        except ValueError as error:
            raise MessageFormatError(str(error)) from None
        return [self._out(field) for field in re.split(rb"(?<=\r\n)(?=ARC-)", fields) if field]

    def verify(self, dnsfunc: DNSFunction = get_txt) -> tuple[bytes, list[dict[str, Any]], str]:
        """Return the chain validation status, what is known of each set, and the reason."""
        evaluation = arc.evaluate(self._message, now=time.time(), policy=self._policy())
        chain = run(evaluation, _FunctionResolver(dnsfunc, self.timeout))
        passed = chain.status is arc.ChainStatus.PASS
        sets = []
        for found in reversed(chain.sets):
            signature = found.message_signature
            sets.append(
                {
                    "instance": found.instance,
                    "cv": b"none" if found.instance == 1 else b"pass",
                    "as-domain": found.domain.encode("ascii"),
                    "as-selector": found.selector.encode("ascii"),
                    "as-valid": passed,
                    "ams-domain": signature.domain.encode("ascii"),
                    "ams-selector": signature.selector.encode("ascii"),
                    "ams-valid": signature.passed,
                }
            )
        return str(chain.status).encode("ascii"), sets, "success" if passed else chain.reason

    def _results(self, srv_id: str) -> list[str]:
        found = []
        for position in self._header.index.get(b"authentication-results", ()):
            text = self._header.value(position).replace(b"\r\n", b"").decode("utf-8", "replace")
            name, _, payload = text.partition(";")
            if name.split()[:1] == [srv_id] and payload.strip():
                found.append(payload.strip())
        return found


def sign(
    message: bytes,
    selector: bytes | str,
    domain: bytes | str,
    privkey: Any,
    identity: bytes | str | None = None,
    canonicalize: Sequence[bytes | str] = (b"relaxed", b"simple"),
    signature_algorithm: bytes | str = b"rsa-sha256",
    include_headers: Iterable[bytes | str] | None = None,
    length: bool = False,
    logger: Any = None,
    linesep: bytes = b"\r\n",
    tlsrpt: bool | str = False,
) -> bytes:
    """Sign *message* and return the DKIM-Signature field."""
    signer = DKIM(
        message,
        logger=logger,
        signature_algorithm=signature_algorithm,
        linesep=linesep,
        tlsrpt=tlsrpt,
    )
    return signer.sign(
        selector,
        domain,
        privkey,
        identity=identity,
        canonicalize=canonicalize,
        include_headers=include_headers,
        length=length,
    )


def verify(
    message: bytes,
    logger: Any = None,
    dnsfunc: DNSFunction = get_txt,
    minkey: int = 1024,
    timeout: float = 5,
    tlsrpt: bool | str = False,
) -> bool:
    """Whether the topmost signature of *message* passes.  `corvus_dkim.verify` looks at all."""
    verifier = DKIM(message, logger=logger, minkey=minkey, timeout=timeout, tlsrpt=tlsrpt)
    try:
        return verifier.verify(dnsfunc=dnsfunc)
    except DKIMException as error:
        if logger is not None:
            logger.error(str(error))
        return False


def arc_sign(
    message: bytes,
    selector: bytes | str,
    domain: bytes | str,
    privkey: Any,
    srv_id: bytes | str,
    signature_algorithm: bytes | str = b"rsa-sha256",
    include_headers: Iterable[bytes | str] | None = None,
    timestamp: int | str | None = None,
    logger: Any = None,
    standardize: bool = False,
    linesep: bytes = b"\r\n",
) -> list[bytes]:
    """Seal *message* and return the three fields; see `ARC.sign`."""
    sealer = ARC(message, logger=logger, signature_algorithm=signature_algorithm, linesep=linesep)
    return sealer.sign(
        selector,
        domain,
        privkey,
        srv_id,
        include_headers=include_headers,
        timestamp=timestamp,
        standardize=standardize,
    )


def arc_verify(
    message: bytes,
    logger: Any = None,
    dnsfunc: DNSFunction = get_txt,
    minkey: int = 1024,
    timeout: float = 5,
) -> tuple[bytes, list[dict[str, Any]], str]:
    """Return the status of the chain of *message*, what is known of each set, and the reason."""
    return ARC(message, logger=logger, minkey=minkey, timeout=timeout).verify(dnsfunc=dnsfunc)


dkim_sign = sign
dkim_verify = verify


def _algorithm(name: bytes | str) -> bytes:
    octets = _octets(name)
    if octets not in (b"rsa-sha256", b"ed25519-sha256"):
        raise ParameterError(f"Unsupported signature algorithm: {_text(name)}")
    return octets


def _text(value: bytes | str) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else value


def _octets(value: bytes | str) -> bytes:
    return value.encode("ascii") if isinstance(value, str) else value

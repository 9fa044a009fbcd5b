"""Verifying (RFC 6376 §6): every signature of a message, one result each.

`Verifier` takes the message as it arrives and hashes the body in passing; its evaluation is a
generator that yields the look-ups of all keys at once.  `evaluate`, `verify` and `averify` are the
same for a message that is in memory.  Nothing a sender can write makes any of them raise.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, final

from cryptography.exceptions import InvalidSignature

from corvus_dkim import signature as field
from corvus_dkim.body_hash import BodyHashes
from corvus_dkim.errors import RecordError, SignatureError
from corvus_dkim.header import Header, find_body
from corvus_dkim.line_ends import Lines
from corvus_dkim.lookup import Evaluation, Lookup, arun, run
from corvus_dkim.policy import LEAST_RSA_BITS, Policy
from corvus_dkim.record import KeyRecord
from corvus_dkim.result import SignatureResult, Status
from corvus_dkim.signature import Signature

_DEFAULT: Final = Policy()

#: How far each failure went, so that of several key records the one that fits best is reported.
_RANK: Final = {
    Status.PASS: 0,
    Status.POLICY: 1,
    Status.FAIL: 2,
    Status.NEUTRAL: 3,
    Status.PERMERROR: 4,
    Status.TEMPERROR: 5,
}


@final
class Verifier:
    """
    Verifies a message that arrives in pieces, in constant memory.

    Call `update` with each chunk, as it came over the wire (after the dots of SMTP are unstuffed),
    then drive `evaluate`, or call `verify` or `averify`.  A `Verifier` serves one message.

    >>> verifier = Verifier()
    >>> verifier.update(b"From: joe@example.com\\r\\n\\r\\nHi.\\r\\n")
    >>> from corvus_dkim.lookup import ZoneResolver
    >>> verifier.verify(resolver=ZoneResolver({}))
    []
    """

    __slots__ = (
        "_bodies", "_buffer", "_finished", "_found", "_header", "_lines", "_policy", "_searched",
        "_too_long",
    )  # fmt: skip

    def __init__(self, *, policy: Policy = _DEFAULT) -> None:
        self._policy = policy
        self._buffer = bytearray()
        self._searched = 0
        self._header: Header | None = None
        self._too_long = False
        self._bodies = BodyHashes()
        self._found: list[tuple[int, Signature | SignatureResult]] = []
        self._finished = False
        self._lines = Lines(normalise=True) if policy.normalise_line_ends else None

    # Feeding.

    def update(self, chunk: bytes) -> None:
        """
        Take the next octets, cut anywhere.

        Raises:
            ValueError: The evaluation has begun already.
        """
        if self._finished:
            raise ValueError("the message is complete; a Verifier serves one message")
        self._take(chunk if self._lines is None else self._lines.update(chunk))

    def _take(self, chunk: bytes) -> None:
        if self._header is not None:
            self._bodies.update(chunk)
            return
        if self._searched == 0 and not self._buffer:
            # The whole message in one piece is the usual case: no copy is made of it.
            ends = find_body(chunk)
            if ends is not None and ends[0] <= self._policy.max_header_octets:
                self._begin(chunk[: ends[0]])
                self._bodies.update(chunk[ends[1] :])
                return
        buffer = self._buffer
        buffer += chunk
        ends = find_body(buffer, self._searched)
        self._searched = len(buffer)
        limit = self._policy.max_header_octets
        if ends is not None and ends[0] <= limit:
            header, body = bytes(buffer[: ends[0]]), bytes(buffer[ends[1] :])
            self._buffer = bytearray()
            self._begin(header)
            self._bodies.update(body)
        elif len(buffer) > limit + 4:
            header = bytes(buffer[:limit])
            self._buffer = bytearray()
            self._too_long = True
            self._begin(header)

    def _finish(self) -> None:
        """The message is complete."""
        if self._finished:
            return
        if self._lines is not None:
            self._take(self._lines.finish())
        self._finished = True
        if self._header is None:
            self._begin(bytes(self._buffer))  # a header, and nothing behind it
            self._buffer = bytearray()
        self._bodies.finish()

    # Reading the header.

    def _begin(self, octets: bytes) -> None:
        """The header is there: see which signatures it has, and which body hashes they need."""
        header = self._header = Header(octets)
        problem = self._header_problem(header)
        tried = 0
        for position in header.index.get(field.FIELD, ()):
            value = header.value(position)
            found: Signature | SignatureResult
            try:
                signature = found = field.parse(value)
            except SignatureError as error:
                found = field.unusable(value, error)
            else:
                tried += 1
                if problem is not None:
                    found = signature.result(*problem)
                elif tried > self._policy.max_signatures:
                    limit = self._policy.max_signatures
                    found = signature.result(
                        Status.POLICY, f"not evaluated: more than {limit} signatures"
                    )
                else:
                    self._bodies.want(signature.body_form, signature.length)
            self._found.append((position, found))

    def _header_problem(self, header: Header) -> tuple[Status, str] | None:
        """What is wrong with the header for every signature alike."""
        if self._too_long:
            limit = self._policy.max_header_octets
            return Status.PERMERROR, f"the header is longer than {limit} octets"
        if header.bare:
            # Software differs on where such a header has its fields, so nobody can say what was
            # signed.  Signers had to turn these into CRLF (RFC 6376 §5.3).
            return Status.FAIL, "the header has bare LF line ends; a signature covers CRLF"
        authors = header.count(b"from")
        if authors != 1:
            # The other From is what the reader may be shown (RFC 6376 §8.15).
            return (
                Status.PERMERROR,
                f"the message has {authors} From fields; RFC 5322 wants exactly one",
            )
        return None

    # Evaluating.

    def evaluate(self, *, now: float) -> Evaluation[list[SignatureResult]]:
        """
        Evaluate all signatures, as a generator.

        Yields a `Lookup`, or a tuple of them, and is sent an `Answer`, or a tuple in the same
        order.  Every key is asked for at once, each name once, never more than
        `Policy.max_signatures` of them.

        Args:
            now: Seconds since 1970, at best the time at which the message was received.

        Returns:
            One result for each DKIM-Signature field, from top to bottom; none if there is none.
        """
        self._finish()
        lookups: dict[str, Lookup] = {}
        for _, found in self._found:
            if isinstance(found, Signature) and found.record_name not in lookups:
                lookups[found.record_name] = Lookup(found.record_name, "TXT")
        asked = tuple(lookups.values())
        answers: dict[str, Any] = {}
        if len(asked) == 1:
            answers[asked[0].name] = yield asked[0]
        elif asked:
            answers = dict(zip(lookups, (yield asked), strict=True))
        return [
            self._judge(found, position, answers[found.record_name], now)
            if isinstance(found, Signature)
            else found
            for position, found in self._found
        ]

    def verify(self, *, resolver: Any, now: float | None = None) -> list[SignatureResult]:
        """Evaluate with a plain resolver; the clock is read if *now* is None."""
        return run(self.evaluate(now=time.time() if now is None else now), resolver)

    async def averify(self, *, resolver: Any, now: float | None = None) -> list[SignatureResult]:
        """Evaluate with an asynchronous resolver; the clock is read if *now* is None."""
        return await arun(self.evaluate(now=time.time() if now is None else now), resolver)

    def _judge(
        self, signature: Signature, position: int, answer: Any, now: float
    ) -> SignatureResult:
        """The verdict on one signature, given what DNS said about its key."""
        assert self._header is not None  # evaluate() has finished the header
        name = signature.record_name
        if answer.status in ("timeout", "servfail"):
            # "If the query for the public key fails to respond ... TEMPFAIL (key unavailable)".
            what = "timed out" if answer.status == "timeout" else "failed"
            return signature.result(
                Status.TEMPERROR, f"key unavailable: the look-up of {name} {what}"
            )
        if answer.status != "ok" or not answer.records:
            return signature.result(Status.PERMERROR, f"no key for signature: {name} has none")
        digest = signature.data_hash(self._header, position)
        judged: SignatureResult | None = None
        # "the Verifier can choose one of the key records or may cycle through the key records"
        # (RFC 6376 §6.1.2): a name may hold records that have nothing to do with DKIM.
        for text in answer.records[: self._policy.max_key_records]:
            result = self._with_record(signature, text, digest, now)
            if judged is None or _RANK[result.status] < _RANK[judged.status]:
                judged = result
            if judged.status is Status.PASS:
                break
        assert judged is not None  # there is at least one record
        return replace(judged, secure=True) if answer.secure else judged

    def _with_record(
        self, signature: Signature, text: bytes, digest: bytes, now: float
    ) -> SignatureResult:
        """The steps of RFC 6376 §6.1.2 from 5 on, and those of §6.1.3."""
        try:
            record = KeyRecord.parse(text)
        except RecordError as error:
            return signature.result(Status.PERMERROR, str(error))
        refused = check_record(record, signature.key_type, self._policy)
        bits = record.bits or None
        if refused is not None:
            return signature.result(
                Status.PERMERROR, refused, key_bits=bits, testing=record.testing
            )
        form, length = signature.body_form, signature.length
        size = self._bodies.length(form)
        unsigned = 0 if length is None else max(0, size - length)
        failed = ""
        if record.strict and signature.identity_domain != signature.domain:
            failed = "the key is strict (t=s), and the domain of i= is not d="
        elif length is not None and length > size:
            failed = f"l= covers {min(length, 10**12)} octets, and the body has {size}"
        elif self._bodies.digest(form, length) != signature.body_hash:
            failed = "body hash did not verify"
        else:
            try:
                record.verify(signature.signature, digest)
            except InvalidSignature:
                failed = "signature did not verify"
        if failed:
            status = Status.FAIL
            if record.testing:
                # "Verifiers MUST NOT treat messages from Signers in testing mode differently from
                # unsigned email, even should the signature fail to verify."
                status, failed = Status.NEUTRAL, f"{failed}; the key is being tested (t=y)"
        else:
            refusals = list(_refusals(signature, record, self._policy, now, unsigned))
            status = Status.POLICY if refusals else Status.PASS
            failed = "; ".join(refusals) or "signature verified"
        return signature.result(
            status, failed, key_bits=bits, unsigned_octets=unsigned, testing=record.testing
        )


def check_record(record: KeyRecord, key_type: str, policy: Policy) -> str | None:
    """
    Whether a key may be used for a signature (RFC 6376 §6.1.2, steps 6 to 8; RFC 8301 §3.2).

    Returns:
        Why not, or ``None``.
    """
    if record.hashes is not None and "sha256" not in record.hashes:
        return "inappropriate hash algorithm: h= of the key does not allow sha256"
    if not record.services & {"*", "email"}:
        return "the key is not for email (s=)"
    if record.kind != key_type:
        return "inappropriate key algorithm: k= of the key is not that of a="
    if record.revoked:
        return "key revoked"
    if record.kind == "rsa":
        if record.bits < LEAST_RSA_BITS:
            # "Verifiers MUST NOT consider signatures using RSA keys of less than 1024 bits as
            # valid signatures" (RFC 8301 §3.2).
            return f"an RSA key of {record.bits} bits must not be used (RFC 8301)"
        if record.bits > policy.maximum_rsa_bits:
            return f"an RSA key of {record.bits} bits is too long"
    return None


def _refusals(
    signature: Signature, record: KeyRecord, policy: Policy, now: float, unsigned: int
) -> Iterator[str]:
    """What the policy has against a signature that is good otherwise."""
    if signature.length is not None and not policy.accept_body_length:
        yield (
            f"l= leaves {unsigned} octets of the body unsigned"
            if unsigned
            else ("l= lets anybody append to the body")
        )
    if record.kind == "rsa" and record.bits < policy.minimum_rsa_bits:
        yield f"an RSA key of {record.bits} bits is too short"
    if (
        policy.check_expiry
        and signature.expires is not None
        and now > signature.expires + policy.expiry_slack
    ):
        yield "signature expired"
    if (
        policy.future_slack is not None
        and signature.timestamp is not None
        and signature.timestamp > now + policy.future_slack
    ):
        yield "the signature is from the future"


def evaluate(
    message: bytes, *, now: float, policy: Policy = _DEFAULT
) -> Evaluation[list[SignatureResult]]:
    """
    Evaluate all signatures of *message*, as a generator; see `Verifier.evaluate`.

    Args:
        message: As it came over the wire, with CRLF (or see `Policy.normalise_line_ends`).
        now: Seconds since 1970.
        policy: What is accepted.
    """
    verifier = Verifier(policy=policy)
    verifier.update(message)
    return (yield from verifier.evaluate(now=now))


def verify(
    message: bytes, *, resolver: Any, now: float | None = None, policy: Policy = _DEFAULT
) -> list[SignatureResult]:
    """
    Verify all signatures of *message*.

    Args:
        message: As it came over the wire, with CRLF (or see `Policy.normalise_line_ends`).
        resolver: An object with ``resolve(name, rdtype) -> Answer``, such as
            `corvus_dkim.lookup.ZoneResolver` or `corvus_dkim.dns.DNSResolver`.
        now: Seconds since 1970; the clock is read if it is None.
        policy: What is accepted.

    Returns:
        One result for each DKIM-Signature field, from top to bottom; none if there is none.
    """
    return run(evaluate(message, now=time.time() if now is None else now, policy=policy), resolver)


async def averify(
    message: bytes, *, resolver: Any, now: float | None = None, policy: Policy = _DEFAULT
) -> list[SignatureResult]:
    """As `verify`, with a resolver whose methods may be coroutines."""
    moment = time.time() if now is None else now
    return await arun(evaluate(message, now=moment, policy=policy), resolver)

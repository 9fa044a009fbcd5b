"""The verdict on one signature, given what DNS said about its key (RFC 6376 §6.1.2, §6.1.3).

A DKIM-Signature and an ARC-Message-Signature are judged alike.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography.exceptions import InvalidSignature

from corvus_dkim.body_hash import BodyHashes
from corvus_dkim.errors import RecordError
from corvus_dkim.header import Header
from corvus_dkim.policy import LEAST_RSA_BITS, Policy
from corvus_dkim.record import KeyRecord
from corvus_dkim.result import SignatureResult, Status
from corvus_dkim.signature import Signature

#: "*  matches all service types", "email  electronic mail".
_SERVICES: Final = ("*", "email")

#: How far each failure went, so that of several key records the one that fits best is reported.
_RANK: Final = {
    Status.PASS: 0,
    Status.POLICY: 1,
    Status.FAIL: 2,
    Status.NEUTRAL: 3,
    Status.PERMERROR: 4,
}


def header_problem(header: Header) -> tuple[Status, str] | None:
    """What is wrong with a header for every signature alike, or ``None``."""
    if header.bare:
        # Software differs on where such a header has its fields, so nobody can say what was
        # signed.  Signers had to turn these into CRLF (RFC 6376 §5.3).
        return Status.FAIL, "the header has bare LF line ends; a signature covers CRLF"
    authors = header.count(b"from")
    if authors != 1:
        # The other From is what the reader may be shown (RFC 6376 §8.15).
        reason = f"the message has {authors} From fields; RFC 5322 wants exactly one"
        return Status.PERMERROR, reason
    return None


def key_problem(name: str, answer: Any) -> tuple[Status, str] | None:
    """Why *answer* to the look-up of *name* holds no key record, or ``None`` (§6.1.2, 2 and 3)."""
    if answer.status in ("timeout", "servfail"):
        # "If the query for the public key fails to respond ... TEMPFAIL (key unavailable)".
        what = "timed out" if answer.status == "timeout" else "failed"
        return Status.TEMPERROR, f"key unavailable: the look-up of {name} {what}"
    if answer.status != "ok" or not answer.records:
        return Status.PERMERROR, f"no key for signature: {name} has none"
    return None


def judge(
    signature: Signature,
    position: int,
    answer: Any,
    *,
    header: Header,
    bodies: BodyHashes,
    policy: Policy,
    now: float,
) -> SignatureResult:
    """
    Judge one signature.

    Args:
        signature: The parsed field.
        position: Where in *header* it stands.
        answer: That of DNS to the look-up of its key.
        header: That of the message.
        bodies: The finished hashes of the body, among them those the signature asks for.
        policy: What is accepted.
        now: Seconds since 1970.
    """
    problem = key_problem(signature.record_name, answer)
    if problem is not None:
        return signature.result(*problem)
    digest = signature.data_hash(header, position)
    records: list[KeyRecord] = []
    malformed = ""
    for text in answer.records[: policy.max_key_records]:
        try:
            records.append(KeyRecord.parse(text))
        except RecordError as error:
            # "MUST ignore any public-key records that are malformed": a name may hold records
            # that have nothing to do with DKIM.
            malformed = malformed or str(error)
    if not records:
        return signature.result(Status.PERMERROR, malformed, secure=answer.secure)
    # "the Verifier can choose one of the key records or may cycle through the key records"
    # (RFC 6376 §6.1.2).
    judged: SignatureResult | None = None
    for record in records:
        found = _with_record(signature, record, digest, bodies, policy, now, answer.secure)
        if found.status is Status.PASS:
            return found
        if judged is None or _RANK[found.status] < _RANK[judged.status]:
            judged = found
    assert judged is not None  # there is at least one record
    return judged


def _with_record(
    signature: Signature,
    record: KeyRecord,
    digest: bytes,
    bodies: BodyHashes,
    policy: Policy,
    now: float,
    secure: bool,
) -> SignatureResult:
    """The steps of RFC 6376 §6.1.2 from 6 on, and those of §6.1.3."""
    unsigned = 0
    refused = check_record(record, signature.key_type, policy)
    if refused is not None:
        status, reason = Status.PERMERROR, refused
    else:
        size = 0
        if signature.length is not None:
            size = bodies.length(signature.body_form)
            unsigned = max(0, size - signature.length)
        reason = _failure(signature, record, digest, bodies, size)
        if reason:
            status = Status.FAIL
            if record.testing:
                # "Verifiers MUST NOT treat messages from Signers in testing mode differently from
                # unsigned email, even should the signature fail to verify."
                status, reason = Status.NEUTRAL, f"{reason}; the key is being tested (t=y)"
        elif refusals := _refusals(signature, record, policy, now, unsigned):
            status, reason = Status.POLICY, "; ".join(refusals)
        else:
            status, reason = Status.PASS, "signature verified"
    return signature.result(
        status,
        reason,
        key_bits=record.bits or None,
        unsigned_octets=unsigned,
        testing=record.testing,
        secure=secure,
    )


def _failure(
    signature: Signature, record: KeyRecord, digest: bytes, bodies: BodyHashes, size: int
) -> str:
    """Why the signature is not good, or nothing."""
    length = signature.length
    if record.strict and signature.identity_domain != signature.domain:
        return "the key is strict (t=s), and the domain of i= is not d="
    if length is not None and length > size:
        # "This value MUST NOT be larger than the actual number of octets in the canonicalized
        # message body."
        return f"l= covers {min(length, 10**12)} octets, and the body has {size}"
    if bodies.digest(signature.body_form, length) != signature.body_hash:
        return "body hash did not verify"
    try:
        record.verify(signature.signature, digest)
    except InvalidSignature:
        return "signature did not verify"
    return ""


def check_record(record: KeyRecord, key_type: str, policy: Policy) -> str | None:
    """
    Whether a key may be used for a signature (RFC 6376 §6.1.2, steps 6 to 8; RFC 8301 §3.2).

    Returns:
        Why not, or ``None``.
    """
    if record.hashes is not None and "sha256" not in record.hashes:
        return "inappropriate hash algorithm: h= of the key does not allow sha256"
    if record.services.isdisjoint(_SERVICES):
        return "the key is not for email (s=)"
    if record.revoked:
        return "key revoked"
    if record.kind != key_type:
        return "inappropriate key algorithm: k= of the key is not that of a="
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
) -> list[str]:
    """What the policy has against a signature that is good otherwise."""
    found = []
    if signature.length is not None and not policy.accept_body_length:
        found.append(
            f"l= leaves {unsigned} octets of the body unsigned"
            if unsigned
            else "l= lets anybody append to the body"
        )
    if record.kind == "rsa" and record.bits < policy.minimum_rsa_bits:
        found.append(f"an RSA key of {record.bits} bits is too short")
    expires, signed = signature.expires, signature.timestamp
    if policy.check_expiry and expires is not None and now > expires + policy.expiry_slack:
        found.append("signature expired")
    if (
        policy.future_slack is not None
        and signed is not None
        and signed > now + policy.future_slack
    ):
        found.append("the signature is from the future")
    return found

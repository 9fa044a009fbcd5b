"""ARC, the Authenticated Received Chain (RFC 8617): verify chains and add to them.

Status, honestly: RFC 8617 is Experimental, and the working group is moving it to Historic.  Large
receivers still seal and still read chains, so this is here; a chain that passes says who handled
the message and what they claim to have seen, and is worth as much as you trust *them*.  Nothing in
`corvus_dkim` outside this module knows about ARC.

Each handler adds a set of three fields with the same ``i=``: what it found out
(ARC-Authentication-Results), a signature over the message (ARC-Message-Signature), and a signature
over all sets so far (ARC-Seal).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, final

from cryptography.exceptions import InvalidSignature

from corvus_dkim import signature as field
from corvus_dkim import taglist
from corvus_dkim.body_hash import BodyHashes
from corvus_dkim.canonical import relaxed_header
from corvus_dkim.errors import RecordError, SignatureError, SigningError, TagListError
from corvus_dkim.header import Header, find_body
from corvus_dkim.judge import check_record, header_problem, judge, key_problem
from corvus_dkim.key import to_base64
from corvus_dkim.line_ends import has_bare, normalise
from corvus_dkim.lookup import Evaluation, Lookup, arun, run
from corvus_dkim.policy import Policy
from corvus_dkim.record import KeyRecord
from corvus_dkim.result import SignatureResult, Status
from corvus_dkim.sign import Signer, fold, fold_base64
from corvus_dkim.signature import Signature
from corvus_dkim.taglist import TagList

AAR: Final = b"arc-authentication-results"
AMS: Final = b"arc-message-signature"
SEAL: Final = b"arc-seal"

#: "Instance tag values can range from 1-50 (inclusive)" (RFC 8617 §4.2.1).
MAX_SETS: Final = 50

_DEFAULT: Final = Policy()

#   arc-info = instance [CFWS] ";" authres-payload
_AAR: Final = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,3})[ \t\r\n]*;")


@final
class ChainStatus(StrEnum):
    """The Chain Validation Status (RFC 8617 §4.4)."""

    NONE = "none"
    """There is no chain."""
    PASS = "pass"  # noqa: S105 - a result, not a secret
    """The newest message signature and every seal are good."""
    FAIL = "fail"
    """There is a chain, and it is broken; "treated the same as a message with no" chain."""


@final
@dataclass(frozen=True, slots=True)
class SetResult:
    """One set of a chain that could be read."""

    instance: int
    domain: str
    """Who sealed it: ``d=`` of the ARC-Seal."""
    selector: str
    authentication_results: str
    """What the sealer claims to have found: the AAR behind ``i=``, unfolded.  Text of a stranger."""
    message_signature: SignatureResult
    """The verdict on its ARC-Message-Signature; an older one may well fail without harm."""

    def to_dict(self) -> dict[str, Any]:
        """The set as values that JSON knows."""
        return {
            "instance": self.instance,
            "domain": self.domain,
            "selector": self.selector,
            "authentication_results": self.authentication_results,
            "message_signature": self.message_signature.to_dict(),
        }


@final
@dataclass(frozen=True, slots=True)
class ChainResult:
    """The verdict on a chain."""

    status: ChainStatus
    reason: str
    """One sentence in ASCII, fit for a header field."""
    oldest_pass: int | None = None
    """"The instance number of the oldest AMS that still validates, or 0 if all pass" (§6)."""
    sets: tuple[SetResult, ...] = ()
    """The sets in order of their instance; empty if the structure is broken."""

    def to_dict(self) -> dict[str, Any]:
        """The result as values that JSON knows."""
        return {
            "status": str(self.status),
            "reason": self.reason,
            "oldest_pass": self.oldest_pass,
            "sets": [found.to_dict() for found in self.sets],
        }

    def to_json(self) -> str:
        """The result as one line of JSON."""
        return json.dumps(self.to_dict())


@final
@dataclass(frozen=True, slots=True)
class _Seal:
    """An ARC-Seal whose tags have been checked (§4.1.3)."""

    tags: TagList
    domain: str
    selector: str
    algorithm: str
    cv: bytes
    signature: bytes

    @property
    def record_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"


@final
@dataclass(frozen=True, slots=True)
class _Set:
    """Where the three fields of a set stand in the header, and what they say."""

    aar: int
    ams: int
    seal: int
    message_signature: Signature
    sealed: _Seal


class _BrokenError(Exception):
    """The chain fails, for this reason."""


def evaluate(message: bytes, *, now: float, policy: Policy = _DEFAULT) -> Evaluation[ChainResult]:
    """
    Evaluate the chain of *message*, as a generator: the steps of RFC 8617 §5.2.

    "All errors, including DNS failures, become unrecoverable and are considered permanent" (§5.2.1).

    Args:
        message: As it came over the wire, with CRLF (or see `Policy.normalise_line_ends`).
        now: Seconds since 1970.
        policy: What is accepted of each signature.
    """
    header, body = _split(normalise(message) if policy.normalise_line_ends else message)
    size = len(message) - len(body)
    if not any(header.count(name) for name in (AAR, AMS, SEAL)):
        return ChainResult(ChainStatus.NONE, "no chain")
    try:
        problem = header_problem(header)
        if problem is not None:
            raise _BrokenError(problem[1])
        if size > policy.max_header_octets:
            raise _BrokenError(f"the header is longer than {policy.max_header_octets} octets")
        sets = _collect(header)
    except _BrokenError as error:
        return ChainResult(ChainStatus.FAIL, str(error))
    # Step 5 is optional, so only the newest message signatures cost look-ups.
    unseen = max(0, len(sets) - policy.max_signatures)
    bodies = BodyHashes()
    for found in sets[unseen:]:
        bodies.want(found.message_signature.body_form, found.message_signature.length)
    bodies.update(body)
    bodies.finish()
    names = dict.fromkeys(
        [
            *[found.message_signature.record_name for found in sets[unseen:]],
            *[found.sealed.record_name for found in sets],
        ]
    )
    asked = tuple([Lookup(name, "TXT") for name in names])
    replies: Sequence[Any] = ((yield asked[0]),) if len(asked) == 1 else (yield asked)
    answers = dict(zip(names, replies, strict=True))
    # Step 4, and the optional step 5: every message signature.
    judged = [
        found.message_signature.result(Status.POLICY, "not evaluated: too old")
        for found in sets[:unseen]
    ] + [
        judge(
            found.message_signature,
            found.ams,
            answers[found.message_signature.record_name],
            header=header,
            bodies=bodies,
            policy=policy,
            now=now,
        )
        for found in sets[unseen:]
    ]
    results = tuple(
        [
            SetResult(
                instance,
                found.sealed.domain,
                found.sealed.selector,
                _payload(header.value(found.aar)),
                verdict,
            )
            for instance, (found, verdict) in enumerate(zip(sets, judged, strict=True), start=1)
        ]
    )
    newest = judged[-1]
    if newest.status is not Status.PASS:
        reason = f"ARC-Message-Signature {len(sets)}: {newest.reason}"
        return ChainResult(ChainStatus.FAIL, reason, sets=results)
    oldest = len(sets)
    while oldest > 1 and judged[oldest - 2].status is Status.PASS:
        oldest -= 1
    # Step 6.
    for instance, digest in reversed(list(enumerate(_seal_hashes(header, sets), start=1))):
        seal = sets[instance - 1].sealed
        failed = _seal_failure(seal, digest, answers[seal.record_name], policy)
        if failed:
            return ChainResult(ChainStatus.FAIL, f"ARC-Seal {instance}: {failed}", sets=results)
    return ChainResult(
        ChainStatus.PASS,
        f"a chain of {len(sets)}, sealed by {results[-1].domain}",
        0 if oldest == 1 else oldest,
        results,
    )


def verify(
    message: bytes, *, resolver: Any, now: float | None = None, policy: Policy = _DEFAULT
) -> ChainResult:
    """Verify the chain of *message* with a plain resolver; the clock is read if *now* is None."""
    return run(evaluate(message, now=time.time() if now is None else now, policy=policy), resolver)


async def averify(
    message: bytes, *, resolver: Any, now: float | None = None, policy: Policy = _DEFAULT
) -> ChainResult:
    """As `verify`, with a resolver whose methods may be coroutines."""
    moment = time.time() if now is None else now
    return await arun(evaluate(message, now=moment, policy=policy), resolver)


def seal(
    message: bytes,
    signer: Signer,
    *,
    authserv_id: str,
    results: str | Sequence[str],
    chain: ChainResult | None = None,
    now: float | None = None,
) -> bytes:
    """
    Add a set to the chain of *message* (RFC 8617 §5.1), after all changes, DKIM signatures included.

    Args:
        message: With CRLF.
        signer: Whose domain, selector, key, canonicalization and header fields are used.  No
            ``x=`` is written: a chain outlives the message's stay with us.
        authserv_id: Our name in Authentication-Results (RFC 8601 §2.5).
        results: What we found on arrival, the payload of Authentication-Results behind our name:
            ``"spf=pass smtp.mailfrom=a@example; arc=none"``, or its parts.
        chain: What `verify` said of the message *on arrival*.  Without it an ``arc=`` in *results*
            says so; a message with a chain needs one of both.
        now: Seconds since 1970; the clock is read if it is None.

    Returns:
        Three fields to be put in front of the message; nothing if the chain was marked as failed
        by somebody before us, which ends it (§5.1, step 2).

    Raises:
        SigningError: The message must not be signed, or its chain cannot grow.
        ValueError: *authserv_id* or *results* would break out of their field.
    """
    if has_bare(message):
        if not signer._normalise:
            raise SigningError("the message has a bare CR or LF (RFC 6376 §5.3)")
        message = normalise(message)
    header, body = _split(message)
    authors = header.count(b"from")
    if authors != 1:
        raise SigningError(f"the message has {authors} From fields; it needs exactly one")
    payload = _checked_payload(authserv_id, results)
    sets, cv, instance = _state(header, payload, chain)
    if not instance:
        return b""
    bodies = BodyHashes()
    bodies.want(signer._body_form)
    bodies.update(body)
    bodies.finish()
    signed_at, _ = signer._times(now)
    aar = fold([f"i={instance};", *_words(payload)], len("ARC-Authentication-Results:"))
    aar_field = b"ARC-Authentication-Results:" + aar.encode("utf-8") + b"\r\n"
    key = signer.key
    names = _message_names(signer, header)
    *listed, last = names
    words = [
        f"i={instance};", f"a={key.algorithm};", f"c={signer._header_form}/{signer._body_form};",
        f"d={signer.domain};", f"s={signer.selector};", f"t={signed_at};",
        *[f"{name} :" for name in listed], f"{last};",
        f"bh={to_base64(bodies.digest(signer._body_form))};", "b=",
    ]  # fmt: skip
    words[6] = f"h={words[6]}"
    ams_field = signer._signed_field(b"ARC-Message-Signature", words, header, names)
    words = [
        f"i={instance};", f"a={key.algorithm};", f"cv={cv};", f"d={signer.domain};",
        f"s={signer.selector};", f"t={signed_at};", "b=",
    ]  # fmt: skip
    value = fold(words, len("ARC-Seal:")).encode("ascii")
    hashed = sha256()
    # "the header fields included in the signature scope of the AS header field b= value MUST only
    # include the ARC Set header fields created by the MTA that detected the malformed chain"
    # (§5.1.2).
    for found in [] if cv == "fail" else sets:
        hashed.update(header.canonical((found.aar, found.ams, found.seal), "relaxed"))
    for own in (aar_field, ams_field):
        name, _, rest = own.partition(b":")
        hashed.update(relaxed_header(name, rest))
    hashed.update(relaxed_header(b"ARC-Seal", value)[:-2])
    signature = to_base64(key.sign(hashed.digest()))
    seal_field = b"ARC-Seal:" + value + fold_base64(signature, b"ARC-Seal:" + value) + b"\r\n"
    return seal_field + ams_field + aar_field


# Reading a chain.


def _split(message: bytes) -> tuple[Header, bytes]:
    ends = find_body(message)
    if ends is None:
        return Header(message), b""
    return Header(message[: ends[0]]), message[ends[1] :]


def _collect(header: Header) -> list[_Set]:
    """Steps 1 to 3 of §5.2: the sets in order, or `_BrokenError`."""
    if max(header.count(name) for name in (AAR, AMS, SEAL)) > MAX_SETS:
        raise _BrokenError(f"more than {MAX_SETS} sets")
    aars = _by_instance(header, AAR, "ARC-Authentication-Results", _aar_instance)
    signatures = _by_instance(header, AMS, "ARC-Message-Signature", _tags_instance)
    seals = _by_instance(header, SEAL, "ARC-Seal", _tags_instance)
    last = max([*aars, *signatures, *seals])
    if last in seals and _tags(header.value(seals[last])).get(b"cv", b"").lower() == b"fail":
        raise _BrokenError(f"marked as failed by set {last}")
    wanted = set(range(1, last + 1))
    if not (aars.keys() == signatures.keys() == seals.keys() == wanted):
        # "The instance values of the ARC Sets MUST form a continuous sequence from 1..N with no
        # gaps or repetition."
        raise _BrokenError("the sets are not complete from 1 on")
    sets = []
    for instance in range(1, last + 1):
        position = signatures[instance]
        try:
            signature = field.parse(header.value(position), arc=True)
        except SignatureError as error:
            raise _BrokenError(f"ARC-Message-Signature {instance}: {error.reason}") from None
        if {AAR, AMS, SEAL} & set(signature.names):
            # "ARC-related header fields ... MUST NOT be included in the list" (§4.1.2).
            raise _BrokenError(f"ARC-Message-Signature {instance}: h= lists an ARC field")
        sealed = _parse_seal(header.value(seals[instance]), instance)
        sets.append(_Set(aars[instance], position, seals[instance], signature, sealed))
    return sets


def _by_instance(header: Header, name: bytes, shown: str, instance_of: Any) -> dict[int, int]:
    found: dict[int, int] = {}
    for position in header.index.get(name, ()):
        instance = instance_of(header.value(position))
        if not 1 <= instance <= MAX_SETS:
            raise _BrokenError(f"{shown}: i= is not a number from 1 to {MAX_SETS}")
        if instance in found:
            raise _BrokenError(f"{shown} {instance} occurs twice")
        found[instance] = position
    return found


def _aar_instance(value: bytes) -> int:
    match = _AAR.match(value)
    return int(match[1]) if match else 0


def _tags(value: bytes) -> TagList:
    try:
        return taglist.parse(value)
    except TagListError as error:
        raise _BrokenError(f"syntax error: {error}") from None


def _tags_instance(value: bytes) -> int:
    try:
        return taglist.number_value(_tags(value).get(b"i", b""), 3)
    except TagListError:
        return 0


def _parse_seal(value: bytes, instance: int) -> _Seal:
    tags = _tags(value)
    for name in (b"a", b"b", b"cv", b"d", b"s"):
        if name not in tags:
            raise _BrokenError(f"ARC-Seal {instance}: no {name.decode('ascii')}= tag")
    if b"h" in tags:
        # "Note especially that the DKIM "h" tag is NOT allowed and, if found, MUST result in a cv
        # status of "fail"."
        raise _BrokenError(f"ARC-Seal {instance}: an h= tag")
    cv = tags[b"cv"].lower()
    # "For ARC Sets with instance values > 1, the values MUST be "pass".  For the ARC Set with
    # instance value = 1, the value MUST be "none"."
    if cv != (b"none" if instance == 1 else b"pass"):
        raise _BrokenError(f"ARC-Seal {instance}: cv= is not what it has to be")
    try:
        field.number_tag(tags, b"t")
        return _Seal(
            tags,
            field.domain_tag(tags),
            field.selector_tag(tags),
            field.algorithm_tag(tags),
            cv,
            field.signature_tag(tags),
        )
    except SignatureError as error:
        raise _BrokenError(f"ARC-Seal {instance}: {error.reason}") from None


def _seal_hashes(header: Header, sets: Sequence[_Set]) -> list[bytes]:
    """What each seal signs (§5.1.1): all sets up to its own, in one pass."""
    hashed = sha256()
    digests = []
    for found in sets:
        hashed.update(header.canonical((found.aar, found.ams), "relaxed"))
        name, _, value = header.fields[found.seal].partition(b":")
        start, end = found.sealed.tags.signature_span
        own = hashed.copy()
        own.update(relaxed_header(name, value[:start] + value[end:])[:-2])
        digests.append(own.digest())
        hashed.update(header.canonical((found.seal,), "relaxed"))
    return digests


def _seal_failure(seal: _Seal, digest: bytes, answer: Any, policy: Policy) -> str:
    """Why a seal is not good, or nothing."""
    problem = key_problem(seal.record_name, answer)
    if problem is not None:
        return problem[1]
    reason = ""
    for text in answer.records[: policy.max_key_records]:
        try:
            record = KeyRecord.parse(text)
        except RecordError as error:
            reason = reason or str(error)
            continue
        refused = check_record(record, field.ALGORITHMS[seal.algorithm], policy)
        if refused is None and record.kind == "rsa" and record.bits < policy.minimum_rsa_bits:
            refused = f"an RSA key of {record.bits} bits is too short"
        if refused is not None:
            reason = refused
            continue
        try:
            record.verify(seal.signature, digest)
        except InvalidSignature:
            reason = "signature did not verify"
        else:
            return ""
    return reason


def _payload(value: bytes) -> str:
    """The AAR behind ``i=``, unfolded, for people."""
    text = value.partition(b";")[2].replace(b"\r\n", b"").strip(b" \t")
    return text.decode("utf-8", "replace")


# Writing one.

_AUTHSERV_ID: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")
_ARC_RESULT: Final = re.compile(r"(?:^|;)\s*arc\s*=\s*(none|pass|fail)(?![\w-])", re.ASCII)


def _checked_payload(authserv_id: str, results: str | Sequence[str]) -> str:
    if not _AUTHSERV_ID.fullmatch(authserv_id):
        raise ValueError(f"not an authserv-id: {authserv_id[:80]!r}")
    parts = [results] if isinstance(results, str) else list(results)
    text = "; ".join([authserv_id, *([part.strip(" \t;") for part in parts] or ["none"])])
    if any(c < " " or c == "\x7f" for c in text):
        raise ValueError("results hold a control character")
    return text


def _words(payload: str) -> list[str]:
    return [word for word in payload.split(" ") if word]


def _state(header: Header, payload: str, chain: ChainResult | None) -> tuple[list[_Set], str, int]:
    """The sets so far, our ``cv=``, and our ``i=``, which is 0 if the chain has ended."""
    if not any(header.count(name) for name in (AAR, AMS, SEAL)):
        return [], "none", 1
    try:
        sets = _collect(header)
    except _BrokenError as error:
        if "marked as failed" in str(error):
            return [], "fail", 0
        return [], "fail", _next_instance(_highest(header))
    said = _ARC_RESULT.search(payload.partition(";")[2])
    if chain is not None:
        status = str(chain.status)
    elif said is not None:
        status = said[1]
    else:
        raise SigningError("the message has a chain: say what verify() made of it (chain=)")
    if status == "none":
        raise SigningError("the message has a chain, and the results say that it had none")
    return sets, status, _next_instance(len(sets))


def _next_instance(last: int) -> int:
    if last >= MAX_SETS:
        raise SigningError(f"the chain has {MAX_SETS} sets already (RFC 8617 §4.2.1)")
    return last + 1


def _highest(header: Header) -> int:
    """The highest instance of a chain that is broken."""
    highest = 0
    for name, instance_of in ((AAR, _aar_instance), (AMS, _tags_instance), (SEAL, _tags_instance)):
        for position in header.index.get(name, ()):
            try:
                instance = instance_of(header.value(position))
            except _BrokenError:
                continue
            if instance <= MAX_SETS:
                highest = max(highest, instance)
    return highest


def _message_names(signer: Signer, header: Header) -> list[str]:
    """The ``h=`` tag of our ARC-Message-Signature."""
    # "Authentication-Results header fields MUST NOT be included in AMS signatures", nor ARC's own.
    excluded = {"authentication-results", "arc-authentication-results", "arc-message-signature"}
    excluded |= {"arc-seal", "dkim-signature"}
    names = [name for name in signer._names(header) if name.lower() not in excluded]
    # "the signature of the AMS header field SHOULD include any DKIM-Signature header fields already
    # present in the message" (§4.1.2).
    return names + ["DKIM-Signature"] * header.count(field.FIELD)

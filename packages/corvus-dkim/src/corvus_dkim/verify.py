"""Verifying (RFC 6376 §6): every signature of a message, one result each.

`Verifier` takes the message as it arrives and hashes the body in passing; its evaluation is a
generator that yields the look-ups of all keys at once.  `evaluate`, `verify` and `averify` are the
same for a message that is in memory.  Nothing a sender can write makes any of them raise.
"""

from __future__ import annotations

import time
from typing import Any, Final, final

from corvus_dkim import signature as field
from corvus_dkim.body_hash import BodyHashes
from corvus_dkim.errors import SignatureError
from corvus_dkim.header import Header, find_body
from corvus_dkim.judge import header_problem, judge
from corvus_dkim.line_ends import Lines, normalise
from corvus_dkim.lookup import Evaluation, Lookup, arun, run
from corvus_dkim.policy import Policy
from corvus_dkim.result import SignatureResult, Status
from corvus_dkim.signature import Signature

_DEFAULT: Final = Policy()


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
        elif ends is not None or len(buffer) > limit + 4:
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
        problem = header_problem(header)
        if self._too_long:
            limit = self._policy.max_header_octets
            problem = Status.PERMERROR, f"the header is longer than {limit} octets"
        tried = 0
        for position in header.index.get(field.FIELD, ()):
            value = header.value(position)
            if header.bare:
                value = normalise(value)  # only to tell whose signature it would have been
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
        header = self._header
        assert header is not None  # _finish() has seen to it
        return [
            judge(
                found,
                position,
                answers[found.record_name],
                header=header,
                bodies=self._bodies,
                policy=self._policy,
                now=now,
            )
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
    verifier = Verifier(policy=policy)
    verifier.update(message)
    return verifier.verify(resolver=resolver, now=now)


async def averify(
    message: bytes, *, resolver: Any, now: float | None = None, policy: Policy = _DEFAULT
) -> list[SignatureResult]:
    """As `verify`, with a resolver whose methods may be coroutines."""
    verifier = Verifier(policy=policy)
    verifier.update(message)
    return await verifier.averify(resolver=resolver, now=now)

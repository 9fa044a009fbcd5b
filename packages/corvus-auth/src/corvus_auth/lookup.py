"""Look-ups and their answers: how an evaluation asks for DNS without touching it.

SPF and DMARC are generators.  They yield a `Lookup`, or a tuple of them that may run in parallel,
and are sent an `Answer`, or a tuple of answers in the same order.  What carries them out is a
resolver: any object with ``resolve(name, rdtype) -> Answer``, plain or ``async``.  Optional methods
make it better: ``resolve_many(lookups)`` (plain) and ``aresolve`` / ``aresolve_many`` (coroutines).

``corvus_dkim.lookup`` defines the same two values, alike on purpose, so one resolver serves both.
Records by type: TXT ``bytes`` (its strings joined), A, AAAA, PTR, CNAME ``str``,
MX ``(preference, host)``, TLSA ``(usage, selector, matching_type, data)``.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast, final

T = TypeVar("T")

#: How an answer ended.  ``nodata`` and ``nxdomain`` are facts about the name; the last two are not.
AnswerStatus = Literal["ok", "nodata", "nxdomain", "timeout", "servfail"]

#: Aliases are followed by the resolver; this many, then the answer is ``servfail``.
MAX_ALIASES: Final = 8


@final
@dataclass(frozen=True, slots=True)
class Lookup:
    """A question to DNS: an absolute name without the final dot, and a type such as ``"TXT"``."""

    name: str
    rdtype: str


@final
@dataclass(frozen=True, slots=True)
class Answer:
    """What DNS said.  ``records`` is empty unless ``status`` is ``"ok"``."""

    status: AnswerStatus
    records: tuple[Any, ...] = ()
    """The records of the type asked for; see the module for their Python types."""
    secure: bool = False
    """Whether a validating resolver vouched for the answer by DNSSEC."""
    ttl: int = 0
    """Seconds for which the answer may be kept."""


#: What an evaluation yields, is sent and returns.
Question: TypeAlias = "Lookup | tuple[Lookup, ...]"
Evaluation: TypeAlias = Generator[Any, Any, T]

_TIMEOUT: Final = Answer("timeout")
_SERVFAIL: Final = Answer("servfail")


def run(evaluation: Evaluation[T], resolver: Any) -> T:
    """
    Drive *evaluation* to its end with a plain resolver and return what it returns.

    A resolver that raises `OSError` has answered ``servfail``, or ``timeout`` for `TimeoutError`:
    trouble in DNS is a verdict.  Other exceptions are bugs of the resolver and pass through.
    """
    resolve: Callable[[str, str], Answer] = resolver.resolve
    many: Callable[[Sequence[Lookup]], Sequence[Answer]] | None = getattr(
        resolver, "resolve_many", None
    )
    try:
        question = next(evaluation)
        while True:
            answer: Answer | tuple[Answer, ...]
            if isinstance(question, tuple):
                if many is not None:
                    answer = _all_of(many, question)
                else:
                    answer = tuple([_one(resolve, q) for q in question])
            else:
                try:
                    answer = resolve(question.name, question.rdtype)
                except TimeoutError:
                    answer = _TIMEOUT
                except OSError:
                    answer = _SERVFAIL
            question = evaluation.send(answer)
    except StopIteration as end:
        return cast("T", end.value)


def _one(resolve: Callable[[str, str], Answer], lookup: Lookup) -> Answer:
    try:
        return resolve(lookup.name, lookup.rdtype)
    except TimeoutError:
        return _TIMEOUT
    except OSError:
        return _SERVFAIL


def _all_of(
    many: Callable[[Sequence[Lookup]], Sequence[Answer]], questions: tuple[Lookup, ...]
) -> tuple[Answer, ...]:
    try:
        return tuple(many(questions))
    except TimeoutError:
        return (_TIMEOUT,) * len(questions)
    except OSError:
        return (_SERVFAIL,) * len(questions)


async def arun(evaluation: Evaluation[T], resolver: Any) -> T:
    """
    Drive *evaluation* to its end with an asynchronous resolver, under whatever event loop.

    ``aresolve`` is preferred to ``resolve``, which may be a coroutine function or plain.
    Look-ups that may run in parallel do so where the resolver has ``aresolve_many``; without it
    they are awaited one after the other, because this module knows no event loop.
    """
    resolve = getattr(resolver, "aresolve", None) or resolver.resolve
    many = getattr(resolver, "aresolve_many", None)
    try:
        question = next(evaluation)
        while True:
            answer: Answer | tuple[Answer, ...]
            if not isinstance(question, tuple):
                answer = await _aone(resolve, question)
            elif many is not None:
                try:
                    answer = tuple(await many(question))
                except TimeoutError:
                    answer = (_TIMEOUT,) * len(question)
                except OSError:
                    answer = (_SERVFAIL,) * len(question)
            else:
                answer = tuple([await _aone(resolve, q) for q in question])
            question = evaluation.send(answer)
    except StopIteration as end:
        return cast("T", end.value)


async def _aone(resolve: Callable[[str, str], Any], lookup: Lookup) -> Answer:
    try:
        found = resolve(lookup.name, lookup.rdtype)
        if isawaitable(found):
            found = await cast("Awaitable[Answer]", found)
        return cast("Answer", found)
    except TimeoutError:
        return _TIMEOUT
    except OSError:
        return _SERVFAIL


def gather(evaluations: Sequence[Evaluation[Any]]) -> Evaluation[list[Any]]:
    """
    Run several evaluations as one: what they ask at the same time is asked in one tuple.

    The result is the list of theirs, in order.  The evaluations may come from elsewhere (those of
    corvus-dkim do): all that counts is that they yield look-ups or tuples of them.

    >>> def ask(name):
    ...     answer = yield Lookup(name, "TXT")
    ...     return answer.status
    >>> both = gather([ask("a.example"), ask("b.example")])
    >>> next(both)
    (Lookup(name='a.example', rdtype='TXT'), Lookup(name='b.example', rdtype='TXT'))
    """
    results: list[Any] = [None] * len(evaluations)
    waiting: dict[int, Any] = {}
    for index, evaluation in enumerate(evaluations):
        _advance(evaluation, index, None, waiting, results)
    while waiting:
        flat: list[Any] = []
        for question in waiting.values():
            flat.extend(question if isinstance(question, tuple) else (question,))
        if len(flat) == 1:
            answers: Sequence[Any] = ((yield flat[0]),)
        else:
            answers = yield tuple(flat)
        at = 0
        for index, question in list(waiting.items()):
            del waiting[index]
            sent: Any
            if isinstance(question, tuple):
                sent = tuple(answers[at : at + len(question)])
                at += len(question)
            else:
                sent = answers[at]
                at += 1
            _advance(evaluations[index], index, sent, waiting, results)
    return results


def _advance(
    evaluation: Evaluation[Any],
    index: int,
    sent: Any,
    waiting: dict[int, Any],
    results: list[Any],
) -> None:
    try:
        waiting[index] = evaluation.send(sent)
    except StopIteration as end:
        results[index] = end.value


@final
class ZoneResolver:
    """
    Answers from a dictionary: for tests, for offline use, for ``--zone FILE``.

    The shape is ``{name: {rdtype: [records]}}``.  A name that is absent is ``nxdomain``, unless
    names exist below it (an empty non-terminal); an absent type is ``nodata``; a string in place
    of the list is a status, such as ``"timeout"``.  CNAME records are followed.  TXT records may
    be ``str`` (taken as UTF-8), ``bytes``, or a sequence of such strings, which are joined.

    >>> zone = ZoneResolver({"example.com": {"TXT": [b"v=spf1 -all"]}})
    >>> zone.resolve("Example.COM.", "TXT").records
    (b'v=spf1 -all',)
    >>> zone.resolve("example.com", "MX").status, zone.resolve("example.net", "A").status
    ('nodata', 'nxdomain')
    """

    def __init__(self, zone: Mapping[str, Mapping[str, Sequence[Any] | str]]) -> None:
        self._names: dict[str, dict[str, Answer]] = {}
        for name, types in zone.items():
            key = name.lower().rstrip(".")
            into = self._names.setdefault(key, {})
            for rdtype, records in types.items():
                into[rdtype.upper()] = _zone_answer(rdtype.upper(), records)
            while "." in key:
                key = key.partition(".")[2]
                self._names.setdefault(key, {})

    @classmethod
    def from_json(cls, text: str | bytes) -> ZoneResolver:
        """Read the JSON of ``--zone FILE``; see the class for its shape.  Raises `ValueError`."""
        try:
            zone = json.loads(text)
        except RecursionError:
            raise ValueError("the JSON of the zone is nested too deeply") from None
        if not isinstance(zone, dict) or not all(isinstance(t, dict) for t in zone.values()):
            raise ValueError("a zone is a JSON object of names, each an object of types")
        return cls(zone)

    def resolve(self, name: str, rdtype: str) -> Answer:
        """Answer for *name* (any case, with or without the final dot) and *rdtype*."""
        found = self._names.get(name)
        if found is None:
            found = self._names.get(name.lower().rstrip("."))
            if found is None:
                return _NXDOMAIN
        answer = found.get(rdtype)
        if answer is not None:
            return answer
        return self._follow(found, rdtype)

    def _follow(self, found: dict[str, Answer], rdtype: str) -> Answer:
        for _ in range(MAX_ALIASES):
            alias = found.get("CNAME")
            if alias is None or not alias.records:
                return _NODATA if alias is None else alias
            target = self._names.get(str(alias.records[0]).lower().rstrip("."))
            if target is None:
                return _NXDOMAIN
            if (answer := target.get(rdtype)) is not None:
                return answer
            found = target
        return _SERVFAIL


_NXDOMAIN: Final = Answer("nxdomain")
_NODATA: Final = Answer("nodata")


def _octets(text: Any) -> bytes:
    if isinstance(text, bytes):
        return text
    if isinstance(text, str):
        return text.encode("utf-8")
    if isinstance(text, list | tuple) and all(isinstance(part, str | bytes) for part in text):
        return b"".join([_octets(part) for part in text])
    raise ValueError(f"a TXT record is a string or a list of strings, not {str(text)[:40]}")


def _pair(record: Any) -> tuple[int, str]:
    match record:
        case (int(preference), str(host)):
            return preference, host
    raise ValueError(f"an MX record is a preference and a host, not {str(record)[:40]!r}")


def _zone_answer(rdtype: str, records: Sequence[Any] | str) -> Answer:
    if isinstance(records, str):
        if records not in ("nodata", "nxdomain", "timeout", "servfail"):
            raise ValueError(f"neither a list of records nor a status: {records[:40]!r}")
        return Answer(cast("AnswerStatus", records))
    if records in ([], ()):
        return _NODATA
    if not isinstance(records, list | tuple):
        raise ValueError(f"neither a list of records nor a status: {str(records)[:40]}")
    if rdtype in ("TXT", "SPF"):
        return Answer("ok", tuple([_octets(r) for r in records]), False, 300)
    if rdtype == "MX":
        return Answer("ok", tuple([_pair(r) for r in records]), False, 300)
    if rdtype == "TLSA":
        if not all(isinstance(r, list | tuple) and len(r) == 4 for r in records):
            raise ValueError("a TLSA record is usage, selector, matching type and data")
        return Answer("ok", tuple([tuple(r) for r in records]), False, 300)
    if not all(isinstance(record, str) for record in records):
        raise ValueError(f"{rdtype} records are strings")
    return Answer("ok", tuple(records), False, 300)

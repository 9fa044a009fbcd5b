"""Look-ups and their answers: how an evaluation asks for DNS without touching it.

Verifying is a generator.  It yields a `Lookup`, or a tuple of them that may run in parallel, and is
sent an `Answer`, or a tuple of answers in the same order.  What carries them out is a resolver: any
object with ``resolve(name, rdtype) -> Answer``, plain or ``async``.  Optional methods make it
better: ``resolve_many(lookups)`` (plain), ``aresolve`` and ``aresolve_many`` (coroutines).

``corvus_auth.lookup`` defines the same two values, alike on purpose, so one resolver serves both.
Records by type: TXT ``bytes`` (its strings joined), A, AAAA, PTR, CNAME ``str``,
MX ``(preference, host)``, TLSA ``(usage, selector, matching_type, data)``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast, final

T = TypeVar("T")

#: How an answer ended.  ``nodata`` and ``nxdomain`` are facts about the name; the last two are not.
AnswerStatus = Literal["ok", "nodata", "nxdomain", "timeout", "servfail"]

#: Aliases that `ZoneResolver` follows before it gives up with ``servfail``.
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


#: What an evaluation yields, is sent and returns.  Answers are known by their attributes, so those
#: of corvus-auth do as well; that is why the types are open.
Question: TypeAlias = "Lookup | tuple[Lookup, ...]"
Evaluation: TypeAlias = Generator[Any, Any, T]

_TIMEOUT: Final = Answer("timeout")
_SERVFAIL: Final = Answer("servfail")
_NXDOMAIN: Final = Answer("nxdomain")
_NODATA: Final = Answer("nodata")


def run(evaluation: Evaluation[T], resolver: Any) -> T:
    """
    Drive *evaluation* to its end with a plain resolver and return what it returns.

    A resolver that raises `TimeoutError` has answered ``timeout``, one that raises another
    `OSError` ``servfail``: trouble in DNS is a verdict.  Other exceptions are its bugs.
    """
    many = getattr(resolver, "resolve_many", None)
    try:
        question = next(evaluation)
        while True:
            if not isinstance(question, tuple):
                question = evaluation.send(_one(resolver.resolve, question))
            elif many is None:
                question = evaluation.send(tuple([_one(resolver.resolve, q) for q in question]))
            else:
                question = evaluation.send(_all_of(many, question))
    except StopIteration as end:
        return cast("T", end.value)


async def arun(evaluation: Evaluation[T], resolver: Any) -> T:
    """
    Drive *evaluation* with an asynchronous resolver, under whatever event loop; else as `run`.

    Look-ups that may run in parallel do so where the resolver has ``aresolve_many``; without it
    they are awaited one after the other, because this module knows no event loop.
    """
    resolve = getattr(resolver, "aresolve", None) or resolver.resolve
    many = getattr(resolver, "aresolve_many", None)
    try:
        question = next(evaluation)
        while True:
            answers: Any
            if not isinstance(question, tuple):
                answers = await _aone(resolve, question)
            elif many is None:
                answers = tuple([await _aone(resolve, q) for q in question])
            else:
                answers = await _aall_of(many, question)
            question = evaluation.send(answers)
    except StopIteration as end:
        return cast("T", end.value)


def _one(resolve: Callable[[str, str], Any], lookup: Lookup) -> Any:
    try:
        return resolve(lookup.name, lookup.rdtype)
    except OSError as error:
        return _trouble(error)


def _all_of(many: Callable[[Sequence[Lookup]], Sequence[Any]], asked: tuple[Lookup, ...]) -> Any:
    try:
        return tuple(many(asked))
    except OSError as error:
        return (_trouble(error),) * len(asked)


async def _aone(resolve: Callable[[str, str], Any], lookup: Lookup) -> Any:
    try:
        found = resolve(lookup.name, lookup.rdtype)
        return await found if isawaitable(found) else found
    except OSError as error:
        return _trouble(error)


async def _aall_of(many: Callable[[Sequence[Lookup]], Any], asked: tuple[Lookup, ...]) -> Any:
    try:
        return tuple(await many(asked))
    except OSError as error:
        return (_trouble(error),) * len(asked)


def _trouble(error: OSError) -> Answer:
    return _TIMEOUT if isinstance(error, TimeoutError) else _SERVFAIL


@final
class ZoneResolver:
    """
    Answers from a dictionary: for tests, for offline use, for ``--zone FILE``.

    The shape is ``{name: {rdtype: [records]}}``.  A name that is absent is ``nxdomain``, unless
    names exist below it (an empty non-terminal); an absent type is ``nodata``; a string in place
    of the list is a status, such as ``"timeout"``.  CNAME records are followed.  TXT records may
    be ``bytes``, ``str`` (taken as UTF-8), or a sequence of such strings, which are joined.

    >>> zone = ZoneResolver({"s._domainkey.example.com": {"TXT": [b"v=DKIM1; p="]}})
    >>> zone.resolve("S._domainkey.Example.COM.", "TXT").records
    (b'v=DKIM1; p=',)
    >>> zone.resolve("example.com", "TXT").status, zone.resolve("example.net", "TXT").status
    ('nodata', 'nxdomain')
    """

    def __init__(self, zone: Mapping[str, Mapping[str, Sequence[Any] | str]]) -> None:
        self._names: dict[str, dict[str, Answer]] = {}
        for name, types in zone.items():
            key = _key(name)
            held = self._names.setdefault(key, {})
            for rdtype, records in types.items():
                held[rdtype.upper()] = _zone_answer(rdtype.upper(), records)
            while "." in key:
                key = key.partition(".")[2]
                self._names.setdefault(key, {})

    @classmethod
    def from_json(cls, text: str | bytes) -> ZoneResolver:
        """
        Read the JSON of ``--zone FILE``; see the class for its shape.

        Raises:
            ValueError: It is no JSON, or not of that shape.
        """
        zone = json.loads(text)
        if not isinstance(zone, dict) or not all(
            isinstance(types, dict) for types in zone.values()
        ):
            raise ValueError("a zone is a JSON object of names, each an object of types")
        return cls(zone)

    def resolve(self, name: str, rdtype: str) -> Answer:
        """Answer for *name* (any case, with or without the final dot) and *rdtype*."""
        key = _key(name)
        for _ in range(MAX_ALIASES):
            held = self._names.get(key)
            if held is None:
                return _NXDOMAIN
            if rdtype in held:
                return held[rdtype]
            alias = held.get("CNAME")
            if alias is None:
                return _NODATA
            if alias.status != "ok":
                return alias
            key = _key(str(alias.records[0]))
        return _SERVFAIL


def _key(name: str) -> str:
    return name.lower().rstrip(".")


def _octets(text: Any) -> bytes:
    if isinstance(text, bytes):
        return text
    if isinstance(text, str):
        return text.encode("utf-8")
    return b"".join([_octets(part) for part in text])


def _zone_answer(rdtype: str, records: Sequence[Any] | str) -> Answer:
    if isinstance(records, str):
        if records not in ("nodata", "nxdomain", "timeout", "servfail"):
            raise ValueError(f"neither a list of records nor a status: {records[:40]!r}")
        return Answer(cast("AnswerStatus", records))
    if not records:
        return _NODATA
    if rdtype == "TXT":
        return Answer("ok", tuple([_octets(record) for record in records]), ttl=300)
    if rdtype in ("MX", "TLSA"):
        return Answer("ok", tuple([tuple(record) for record in records]), ttl=300)
    return Answer("ok", tuple(records), ttl=300)

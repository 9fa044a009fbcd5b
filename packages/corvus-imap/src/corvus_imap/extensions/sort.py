"""SORT and THREAD: the order and the conversations of what a search finds (RFC 5256).

How subjects are compared and threads are built is in ``corvus_imap.sort`` and ``corvus_imap.thread``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, final

from corvus_imap.codec._lexer import Cursor
from corvus_imap.codec.parse_search import parse_charset, parse_keys, parse_return_options
from corvus_imap.errors import ParseError
from corvus_imap.extensions._extension import Extension
from corvus_imap.types.search import SearchKey, SearchReturn


class SortField(enum.Enum):
    """By what messages are ordered; the value is the spelling (RFC 5256 §3)."""

    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    FROM = "FROM"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"


@final
@dataclass(frozen=True, slots=True)
class SortKey:
    """One criterion: ``REVERSE DATE``."""

    field: SortField
    reverse: bool = False


class ThreadAlgorithm(enum.Enum):
    """How threads are found; the value is the spelling (RFC 5256 §3)."""

    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"


@final
@dataclass(frozen=True, slots=True)
class Sort:
    """SORT and UID SORT; answer with ``responses.Sort``, or ESEARCH if *returns* is given (RFC 5267)."""

    criteria: tuple[SortKey, ...]
    key: SearchKey
    uid: bool = False
    charset: str = "US-ASCII"
    returns: frozenset[SearchReturn] | None = None


@final
@dataclass(frozen=True, slots=True)
class Thread:
    """THREAD and UID THREAD; answer with ``responses.Thread``."""

    algorithm: ThreadAlgorithm
    key: SearchKey
    uid: bool = False
    charset: str = "US-ASCII"


_FIELDS: Final = {field.value.encode("ascii"): field for field in SortField}
_ALGORITHMS: Final = {item.value.encode("ascii"): item for item in ThreadAlgorithm}


def _sort(cursor: Cursor, uid: bool) -> Sort:
    #   sort          = ["UID" SP] "SORT" SP sort-criteria SP search-criteria
    #   sort-criteria = "(" sort-criterion *(SP sort-criterion) ")"
    #   sort-criterion = ["REVERSE" SP] sort-key
    #   search-criteria = charset 1*(SP search-key)
    cursor.sp()
    returns = parse_return_options(cursor) if "ESORT" in cursor.grammar.capabilities else None
    cursor.need(b"(", "sort criteria")
    criteria: list[SortKey] = []
    while True:
        word = cursor.word("a sort criterion")
        reverse = word == b"REVERSE"
        if reverse:
            cursor.sp()
            word = cursor.word("a sort criterion")
        if word not in _FIELDS:
            raise ParseError("no such sort criterion")
        criteria.append(SortKey(_FIELDS[word], reverse))
        # Beyond one of each in both directions a criterion decides nothing any more.
        if len(criteria) > 2 * len(_FIELDS):
            raise ParseError("too many sort criteria")
        if not cursor.list_rest():
            break
    cursor.sp()
    charset = parse_charset(cursor)
    return Sort(tuple(criteria), parse_keys(cursor, charset), uid, charset, returns)


def _thread(cursor: Cursor, uid: bool) -> Thread:
    #   thread = ["UID" SP] "THREAD" SP thread-alg SP search-criteria
    cursor.sp()
    algorithm = _ALGORITHMS.get(cursor.word("a threading algorithm"))
    if algorithm is None or f"THREAD={algorithm.value}" not in cursor.grammar.capabilities:
        raise ParseError("no such threading algorithm")
    cursor.sp()
    charset = parse_charset(cursor)
    return Thread(algorithm, parse_keys(cursor, charset), uid, charset)


SORT: Final = Extension(
    capability="SORT", rfc="5256", verbs={b"SORT": _sort}, uid_verbs={b"SORT": _sort}
)
THREAD_ORDEREDSUBJECT: Final = Extension(
    capability="THREAD=ORDEREDSUBJECT",
    rfc="5256",
    verbs={b"THREAD": _thread},
    uid_verbs={b"THREAD": _thread},
)
THREAD_REFERENCES: Final = Extension(
    capability="THREAD=REFERENCES",
    rfc="5256",
    verbs={b"THREAD": _thread},
    uid_verbs={b"THREAD": _thread},
)

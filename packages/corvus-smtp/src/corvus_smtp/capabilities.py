"""What a server said it can do: the reply to EHLO, as a client reads it (RFC 5321 §4.1.1.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, final

from corvus_smtp.replies import Reply

__all__ = ["Capabilities"]

#   ehlo-line    = ehlo-keyword *( SP ehlo-param )
#   ehlo-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
_LINE: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*+)(?:[ =](.*))?", re.DOTALL)
_NUMBER: Final = re.compile(r"[0-9]{1,20}", re.ASCII)


@final
class Capabilities(Mapping[str, str]):
    """
    Keyword, in upper case, to its parameters as they stood; empty after HELO.

    >>> reply = Reply(250, None, ("mx", "SIZE 1000", "PIPELINING", "LIMITS RCPTMAX=20"))
    >>> found = Capabilities(reply)
    >>> "pipelining" in found, found.size, found.recipients, found.mechanisms
    (True, 1000, 20, frozenset())
    """

    __slots__ = ("_keywords",)

    def __init__(self, reply: Reply | None = None) -> None:
        keywords: dict[str, str] = {}
        for line in reply.lines[1:] if reply is not None else ():
            # A line that is none is not the business of a client that does not need it.
            match = _LINE.fullmatch(line.rstrip(" "))
            if match is None:
                continue
            keyword, parameters = match[1].upper(), match[2] or ""
            # "AUTH=LOGIN" of old servers stands beside "AUTH LOGIN PLAIN"; both count.
            if keyword in keywords:
                parameters = f"{keywords[keyword]} {parameters}".strip(" ")
            keywords[keyword] = parameters
        self._keywords: Mapping[str, str] = MappingProxyType(keywords)

    def __getitem__(self, keyword: str) -> str:
        return self._keywords[keyword.upper()]

    def __contains__(self, keyword: object) -> bool:
        return isinstance(keyword, str) and keyword.upper() in self._keywords

    def __iter__(self) -> Iterator[str]:
        return iter(self._keywords)

    def __len__(self) -> int:
        return len(self._keywords)

    def __repr__(self) -> str:
        return f"Capabilities({dict(self._keywords)!r})"

    @property
    def size(self) -> int | None:
        """Octets of the largest message; ``None`` if there is no limit, or none was named."""
        value = self._keywords.get("SIZE", "")
        # "A parameter value of 0 (zero) indicates that no fixed maximum message size is in force" (RFC 1870 §4).
        return int(value) or None if _NUMBER.fullmatch(value) else None

    @property
    def mechanisms(self) -> frozenset[str]:
        """SASL mechanisms, in upper case."""
        return frozenset(self._keywords.get("AUTH", "").upper().split())

    @property
    def recipients(self) -> int | None:
        """RCPTMAX: how many RCPTs one transaction may have (:rfc:`9422#section-4.2`)."""
        return self._limit("RCPTMAX")

    @property
    def transactions(self) -> int | None:
        """MAILMAX: how many transactions one session may have (:rfc:`9422#section-4.1`)."""
        return self._limit("MAILMAX")

    def _limit(self, name: str) -> int | None:
        for word in self._keywords.get("LIMITS", "").split(" "):
            key, _, value = word.partition("=")
            if key.upper() == name and _NUMBER.fullmatch(value):
                return int(value) or None
        return None

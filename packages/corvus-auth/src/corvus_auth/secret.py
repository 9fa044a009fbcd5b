"""A text that must not be seen: passwords and tokens."""

from __future__ import annotations

import hmac
from typing import final


@final
class Secret:
    """
    A password or token.  Its ``repr`` and ``str`` hide it, equality takes constant time.

    >>> Secret("Corvus2026!")
    Secret(...)
    >>> Secret("a") == Secret("a"), Secret("a").reveal()
    (True, 'a')
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._text.encode("utf-8", "surrogatepass"),
            other._text.encode("utf-8", "surrogatepass"),
        )

    __hash__ = None  # type: ignore[assignment]  # a hash would be a quick way to guess it

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")

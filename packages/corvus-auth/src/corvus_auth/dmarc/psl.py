"""The public suffix list, for the comparison with RFC 7489 only (extra ``[psl]``).

RFC 9989 needs none: its organizational domain comes from the tree walk.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def suffix_list() -> Any:
    """
    The list that the package publicsuffixlist carries, read once.

    Raises:
        ImportError: The package is not installed.
    """
    try:
        from publicsuffixlist import PublicSuffixList
    except ImportError as error:
        raise ImportError("mode rfc7489 needs the extra: corvus-auth[psl]") from error
    return PublicSuffixList()

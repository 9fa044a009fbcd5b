"""Domain names as they are compared and looked up: A-labels, lower case, no final dot.

"Internationalized domain names MUST be encoded as A-labels" (RFC 7208 §4.3, RFC 9989 §5.3.1).
The conversion is that of IDNA 2008 for letters, marks and digits (RFC 5891 §4): the standard
library's codec is IDNA 2003, which reads ``straße.example`` as ``strasse.example``, another
domain with perhaps another owner, so it is not used here.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

#: RFC 1035 §2.3.4, in the presentation form without the final dot.
MAX_NAME: Final = 253
MAX_LABEL: Final = 63

# The ideographic and full-width stops that people type for a dot (RFC 3490 §3.1, UTS 46 §4).
_DOTS: Final = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})
_ASCII_LABEL: Final = re.compile(r"[a-z0-9_-]{1,63}\Z")
_JOINERS: Final = frozenset("\u200c\u200d")


class DomainError(ValueError):
    """A string that is no domain name; the message says why and holds nothing of the string."""


def _a_label(label: str) -> str:
    if label.isascii():
        if not _ASCII_LABEL.match(label):
            raise DomainError("a label is empty, too long or has characters no host name has")
        return label
    # NFKC after lower(): full-width letters become plain ones, "ß" and final sigma stay.
    label = unicodedata.normalize("NFKC", label).lower()
    label = unicodedata.normalize("NFC", label)
    for char in label:
        if char.isascii():
            if not (char.isalnum() or char == "-"):
                raise DomainError("a label has characters that no host name has")
        elif unicodedata.category(char)[0] not in "LMN" and char not in _JOINERS:
            raise DomainError("a label has characters that IDNA does not allow")
    if not label.isascii():
        if len(label) > MAX_LABEL:
            raise DomainError("a label is longer than 63 octets")
        label = "xn--" + label.encode("punycode").decode("ascii")
    if not _ASCII_LABEL.match(label):
        raise DomainError("a label is empty or longer than 63 octets")
    return label


@lru_cache(maxsize=4096)
def to_ascii(domain: str) -> str:
    """
    *domain* in the form in which names are compared: A-labels, lower case, no final dot.

    >>> to_ascii("Straße.Example.")
    'xn--strae-oqa.example'

    Raises:
        DomainError: An empty name or label, a label over 63 octets, a name over 253, or
            characters no host name has.  (The underscore is allowed: DNS names have it.)
    """
    if len(domain) > 4 * MAX_NAME:
        raise DomainError("a name is longer than 253 octets")
    if not domain.isascii():
        domain = domain.translate(_DOTS)
    name = ".".join([_a_label(label) for label in domain.lower().removesuffix(".").split(".")])
    if len(name) > MAX_NAME:
        raise DomainError("a name is longer than 253 octets")
    return name


def is_within(name: str, ancestor: str) -> bool:
    """Whether *name* is *ancestor* or below it; both as `to_ascii` makes them."""
    return name == ancestor or name.endswith("." + ancestor)

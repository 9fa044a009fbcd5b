"""Base64 as SASL exchanges use it: strict (RFC 9051 §9 base64)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

#   base64          = *(4base64-char) [base64-terminal]
#   base64-terminal = (2base64-char "==") / (3base64-char "=")
_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def decode_base64(text: bytes) -> bytes:
    """
    The octets of *text*.

    Raises:
        ValueError: Another alphabet, white space, or padding that is missing or too much.
    """
    if len(text) % 4 or not _BASE64.fullmatch(text):
        raise ValueError("not base64")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:  # pragma: no cover - the grammar above is stricter
        raise ValueError("not base64") from None


def encode_base64(octets: bytes) -> bytes:
    """*octets* as base64 in one line."""
    return base64.b64encode(octets)

"""One pass over the body for all signatures, however many there are.

A body hash depends on the canonicalization and on ``l=`` alone (SHA-256 is the only hash left,
RFC 8301), so signatures that agree in both share it, and those that agree in the first share the
canonical octets.
"""

from __future__ import annotations

from hashlib import sha256
from typing import final

from corvus_dkim.canonical import BODY, SimpleBody


@final
class _Prefix:
    """The hash of the first *length* octets."""

    __slots__ = ("hash", "left")

    def __init__(self, length: int) -> None:
        self.hash = sha256()
        self.left = length

    def update(self, data: bytes) -> None:
        if self.left >= len(data):
            self.hash.update(data)
            self.left -= len(data)
        elif self.left:
            self.hash.update(data[: self.left])
            self.left = 0


@final
class _Form:
    """All hashes of one canonicalization."""

    __slots__ = ("body", "hash", "length", "prefixes")

    def __init__(self, form: str) -> None:
        self.hash = sha256()
        self.length = 0
        self.prefixes: dict[int, _Prefix] = {}
        self.body: SimpleBody = BODY[form](self.hash.update)

    def want(self, length: int) -> None:
        """Ask for a prefix too; only then the octets are counted."""
        if not self.prefixes:
            self.body.sink = self._write
        if length not in self.prefixes:
            self.prefixes[length] = _Prefix(length)

    def _write(self, data: bytes) -> None:
        self.hash.update(data)
        self.length += len(data)
        for prefix in self.prefixes.values():
            prefix.update(data)


@final
class BodyHashes:
    """
    The body hashes that a set of signatures asks for.

    Say what is wanted with `want`, feed the body with `update`, call `finish` once, and ask.
    """

    __slots__ = ("_forms",)

    def __init__(self) -> None:
        self._forms: dict[str, _Form] = {}

    def want(self, form: str, length: int | None = None) -> None:
        """Ask for the hash of the body in *form*, or of its first *length* canonical octets."""
        found = self._forms.get(form)
        if found is None:
            found = self._forms[form] = _Form(form)
        if length is not None:
            found.want(length)

    def update(self, chunk: bytes) -> None:
        """Take the next octets of the body, cut anywhere."""
        for form in self._forms.values():
            form.body.update(chunk)

    def finish(self) -> None:
        """Say that the body is complete."""
        for form in self._forms.values():
            form.body.finish()

    def digest(self, form: str, length: int | None = None) -> bytes:
        """The SHA-256 that was asked for, 32 octets."""
        found = self._forms[form]
        return (found.hash if length is None else found.prefixes[length].hash).digest()

    def length(self, form: str) -> int:
        """The octets of the canonical body, if the hash of a prefix was asked for."""
        return self._forms[form].length

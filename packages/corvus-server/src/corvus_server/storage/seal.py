"""
Sealing of private keys: AES-256-GCM under a key that does not lie in the database (R14).

A sealed key is ``version || nonce || ciphertext and tag``; the associated data are the domain and the selector, so a
row copied to another domain does not open.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from corvus_server.storage.errors import StoreError

__all__ = ["KEY_SIZE", "Sealer", "load_key_file"]

KEY_SIZE: Final = 32
_NONCE: Final = 12
_VERSION: Final = b"\x01"


def load_key_file(path: Path, random: Callable[[int], bytes]) -> bytes:
    """
    The key-encryption key in `path`; made at first use, mode 0600.

    Raises:
        StoreError: the file is not a key, or others can read it.
    """
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{random(8).hex()}")
        if not path.exists():
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, random(KEY_SIZE).hex().encode() + b"\n")
                os.fsync(fd)
            finally:
                os.close(fd)
            try:
                # link, not rename: of two that start at once the first one's key counts.
                os.link(temporary, path)
            finally:
                temporary.unlink()
            folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    mode = path.stat().st_mode
    if mode & 0o077:
        raise StoreError(f"{path} can be read by others: chmod 600 {path}")
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_SIZE:
        raise StoreError(f"{path} is not a key file of Corvus")
    return key


@final
class Sealer:
    """Seals and opens under one key."""

    def __init__(self, key: bytes, random: Callable[[int], bytes]) -> None:
        self._cipher = AESGCM(key)
        self._random = random

    @staticmethod
    def _associated(domain: str, selector: str) -> bytes:
        # A NUL cannot stand in either, so the pair is unambiguous.
        return b"corvus dkim\0" + domain.encode() + b"\0" + selector.encode()

    def seal(self, secret: bytes, *, domain: str, selector: str) -> bytes:
        nonce = self._random(_NONCE)
        return (
            _VERSION
            + nonce
            + self._cipher.encrypt(nonce, secret, self._associated(domain, selector))
        )

    def open(self, sealed: bytes, *, domain: str, selector: str) -> bytes:
        """
        Raises:
            StoreError: another key sealed it, or it was changed.
        """
        if sealed[:1] != _VERSION:
            raise StoreError("the key was sealed by a newer Corvus")
        nonce, rest = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        try:
            return self._cipher.decrypt(nonce, rest, self._associated(domain, selector))
        except InvalidTag:
            raise StoreError(
                f"the key {selector} of {domain} cannot be opened: is the key file the right one?"
            ) from None

    def __repr__(self) -> str:
        return "Sealer(...)"

"""Checking passwords without stopping the loop, and without paying twice.

argon2id costs tens of milliseconds and megabytes on purpose.  So it runs in a small pool of threads
(it releases the GIL), a bounded number at a time, and a success is remembered for a while: an IMAP
client opens five connections at once and a POP3 client comes back every minute.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, final

#: Seconds for which a success is remembered.
REMEMBER: Final = 600.0
#: Successes that are remembered.
REMEMBERED: Final = 10_000
#: Octets of a password that are looked at; longer ones are refused before they cost anything.
MAX_PASSWORD: Final = 1024


@final
class PasswordChecker:
    """
    Says whether a secret belongs to a stored hash.

    The cache holds no password: its key is a keyed BLAKE2b over address, stored hash and secret,
    under a key of this process.  The stored hash is read anew at every sign-in and is part of the
    key, so a changed password forgets the old one at once.  Failures are not remembered.
    """

    def __init__(
        self,
        verify: Callable[[str, str], bool],
        dummy: str,
        *,
        now: Callable[[], float],
        workers: int | None = None,
        key: bytes | None = None,
    ) -> None:
        """
        Args:
            verify: Whether a secret (second) belongs to a hash (first); slow, thread-safe.
            dummy: A hash of nothing, checked for users who do not exist, so that they take as long.
            now: A clock that never goes back, in seconds.
            workers: Threads; by default one a core, at most four.
            key: The key of the cache; random by default.
        """
        self._verify = verify
        self._dummy = dummy
        self._now = now
        self._pool = ThreadPoolExecutor(
            workers or min(4, os.cpu_count() or 1), thread_name_prefix="argon2"
        )
        self._key = key or os.urandom(32)
        self._known: OrderedDict[bytes, float] = OrderedDict()

    def remembered(self, address: str, stored: str, secret: str) -> bool:
        """Whether this very secret succeeded a short while ago; costs a microsecond."""
        mark = self._mark(address, stored, secret)
        until = self._known.get(mark)
        if until is None:
            return False
        if until < self._now():
            del self._known[mark]
            return False
        self._known.move_to_end(mark)
        return True

    async def check(self, address: str, stored: str | None, secret: str) -> bool:
        """
        Whether *secret* is the password behind *stored*; ``None`` is a user who does not exist.

        Takes as long for those who do not exist as for those who do.
        """
        if len(secret.encode("utf-8", "surrogatepass")) > MAX_PASSWORD:
            return False
        if stored is not None and self.remembered(address, stored, secret):
            return True
        loop = asyncio.get_running_loop()
        good = await loop.run_in_executor(self._pool, self._verify, stored or self._dummy, secret)
        if stored is None or not good:
            return False
        self._known[self._mark(address, stored, secret)] = self._now() + REMEMBER
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return True

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _mark(self, address: str, stored: str, secret: str) -> bytes:
        message = "\0".join((address, stored, secret)).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(message, key=self._key, digest_size=32).digest()

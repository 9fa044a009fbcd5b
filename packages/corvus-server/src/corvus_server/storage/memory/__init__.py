"""
A store in memory: for tests, and the plainest statement of what a store does.

It keeps every rule that does not speak of a disk.  There is no transaction: each write checks everything first, then
changes, without giving the event loop a turn in between.
"""

from corvus_server.storage.memory.store import MemoryStore

__all__ = ["MemoryStore"]

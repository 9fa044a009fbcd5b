"""The engine contract as a type: what every protocol package promises.

In words it stands in docs/explanation/engine-contract.md.

The packages share names, not code, so what they share is described here by shape.
"""

from __future__ import annotations

import enum
from typing import Any, Protocol


class Engine(Protocol):
    """One side of one connection; moves no octets itself."""

    def receive_data(self, data: bytes, /) -> None: ...
    def receive_eof(self) -> None: ...
    def next_event(self) -> Any: ...
    def data_to_send(self) -> bytes: ...
    @property
    def closing(self) -> bool: ...
    @property
    def tls_pending(self) -> bool: ...
    @property
    def buffered(self) -> int: ...
    @property
    def timeout(self) -> float | None: ...


def is_wait(event: object) -> bool:
    """Whether *event* is no event but a wait: `NEED_DATA` or `PAUSED` of any package."""
    return isinstance(event, enum.Enum) and event.name in ("NEED_DATA", "PAUSED")


def is_need_data(event: object) -> bool:
    return isinstance(event, enum.Enum) and event.name == "NEED_DATA"


def is_paused(event: object) -> bool:
    return isinstance(event, enum.Enum) and event.name == "PAUSED"

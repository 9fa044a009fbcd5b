"""What a TLS handshake established."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final


@final
@dataclass(frozen=True, slots=True)
class TLSInfo:
    """Facts about the channel, all optional: the engine only remembers them for you."""

    version: str | None = None
    """Such as ``TLSv1.3``."""
    cipher: str | None = None
    """The suite's name."""
    server_name: str | None = None
    """What the client asked for (SNI)."""
    peer_certificate: bytes | None = field(default=None, repr=False)
    """DER, for SASL EXTERNAL."""
    channel_binding: bytes | None = field(default=None, repr=False)
    """``tls-exporter`` or ``tls-unique`` data, for SCRAM's PLUS mechanisms."""

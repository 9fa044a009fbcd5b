"""What one server offers, and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from corvus_imap.extensions import REGISTRY
from corvus_imap.types.atoms import ATOM

#: Everything that this package understands and that asks nothing special of a store.
#: Both revisions are offered; a client chooses the second by ENABLE.
DEFAULT_CAPABILITIES: Final = (
    "IMAP4rev1",
    "IMAP4rev2",
    "LITERAL+",
    "SASL-IR",
    "ENABLE",
    "ID",
    "IDLE",
    "NAMESPACE",
    "CHILDREN",
    "UNSELECT",
    "UIDPLUS",
    "MOVE",
    "ESEARCH",
    "SEARCHRES",
    "WITHIN",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "STATUS=SIZE",
    "SPECIAL-USE",
    "BINARY",
    "MULTIAPPEND",
    "APPENDLIMIT",
    "UTF8=ACCEPT",
)

#: All that a store must have thought of as well: mod-sequences, object ids, quota, order.
ALL_CAPABILITIES: Final = (
    *DEFAULT_CAPABILITIES,
    "CREATE-SPECIAL-USE",
    "CONDSTORE",
    "QRESYNC",
    "SAVEDATE",
    "OBJECTID",
    "PREVIEW",
    "SORT",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "COMPRESS=DEFLATE",
)


@final
@dataclass(frozen=True, slots=True)
class Policy:
    """What a `ServerConnection` offers."""

    capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES
    """
    What is told after login, in this order, and understood.

    STARTTLS, LOGINDISABLED and AUTH= are told by the engine where they are true; APPENDLIMIT is told
    with the limit.  A name that is not in ``corvus_imap.extensions.REGISTRY`` is told and changes nothing.
    """
    mechanisms: tuple[str, ...] = ("PLAIN",)
    """SASL mechanisms of AUTHENTICATE, in capitals."""
    starttls: bool = False
    """The transport can begin TLS."""
    require_tls: bool = True
    """No LOGIN and no AUTHENTICATE in clear (RFC 9051 §6.2.3, RFC 8314 §4.1)."""
    delimiter: str | None = "/"
    """Between the levels of mailbox names; ``None`` where names are flat."""

    def __post_init__(self) -> None:
        for name in (*self.capabilities, *self.mechanisms):
            if not ATOM.fullmatch(name.encode("ascii")):
                raise ValueError(f"not a capability: {name!r}")
        if {"LITERAL+", "LITERAL-"} <= set(self.capabilities):
            # "servers MUST NOT advertise both of these capabilities" (RFC 7888 §5).
            raise ValueError("LITERAL+ and LITERAL- exclude each other")
        # QRESYNC is built on mod-sequences (RFC 7162 §3.2).
        if "QRESYNC" in self.capabilities and "CONDSTORE" not in self.capabilities:
            raise ValueError("QRESYNC needs CONDSTORE")
        if not {"IMAP4rev1", "IMAP4rev2"} & set(self.capabilities):
            raise ValueError("IMAP4rev1 or IMAP4rev2 must be offered")

    def told(
        self, *, logged_in: bool, tls: bool, compressed: bool, append_limit: int
    ) -> tuple[str, ...]:
        """The names that CAPABILITY tells now."""
        names: list[str] = []
        for name in self.capabilities:
            row = REGISTRY.get(name)
            if not logged_in and not (row is not None and row.before_login):
                continue
            if name == "COMPRESS=DEFLATE" and compressed:
                continue
            names.append(f"APPENDLIMIT={append_limit}" if name == "APPENDLIMIT" else name)
        if logged_in:
            return tuple(names)
        if self.starttls and not tls:
            names.append("STARTTLS")
        if self.require_tls and not tls:
            # It "will respond with a tagged NO response to any attempt to use the LOGIN command"
            # (RFC 9051 §7.2.2).
            names.append("LOGINDISABLED")
        else:
            names += [f"AUTH={mechanism}" for mechanism in self.mechanisms]
        return tuple(names)

"""Which commands make a client aware of mod-sequences (RFC 7162 §3.1, "CONDSTORE enabling command")."""

from __future__ import annotations

from corvus_imap import commands as c
from corvus_imap.extensions.sort import Sort, Thread
from corvus_imap.types.fetch import FetchAttribute
from corvus_imap.types.search import And, ModSeq, Not, Or, SearchKey
from corvus_imap.types.status import StatusItem


def wants_modseq(command: c.Command) -> bool:
    """Whether *command* asks for a mod-sequence, or names one."""
    match command:
        case c.Select():
            return command.condstore or command.qresync is not None
        case c.Status():
            return StatusItem.HIGHESTMODSEQ in command.items
        case c.Fetch():
            return command.changed_since is not None or FetchAttribute.MODSEQ in command.items
        case c.Store():
            return command.unchanged_since is not None
        case c.Search() | Sort() | Thread():
            return _has_modseq(command.key)
        case _:
            return False


def _has_modseq(key: SearchKey) -> bool:
    match key:
        case ModSeq():
            return True
        case Not():
            return _has_modseq(key.key)
        case Or():
            return _has_modseq(key.one) or _has_modseq(key.other)
        case And():
            return any(_has_modseq(part) for part in key.keys)
        case _:
            return False

"""The selected mailbox as one session knows it: numbers, flags as they are told, what ``$`` means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final, final

from corvus_imap.types.sequence import STAR, MessageSet, SavedResult
from corvus_server.sessions.imap.errors import Refusal
from corvus_server.storage.flags import Keywords
from corvus_server.storage.state import MailboxState, View

RECENT: Final = b"\\Recent"


@final
class FlagTexts(dict[int, bytes]):
    """Flags as they stand between the parentheses, by their number; made when first asked for."""

    __slots__ = ("_extra", "_keywords", "_names")

    def __init__(self, keywords: Keywords, names: set[str], extra: bytes = b"") -> None:
        """
        Args:
            names: Gathers the keywords that were shown.
            extra: A flag that stands behind the others.
        """
        super().__init__()
        self._keywords = keywords
        self._names = names
        self._extra = extra

    def __missing__(self, value: int) -> bytes:
        self._names.update(self._keywords.keywords(value))
        text = self._keywords.text(value)
        if self._extra:
            text = text + b" " + self._extra if text else self._extra
        self[value] = text
        return text


@final
class Selected:
    """What SELECT began and CLOSE ends."""

    __slots__ = (
        "_recent_texts", "_texts", "mailbox_id", "names", "own", "read_only", "recent", "saved",
        "told", "view",
    )  # fmt: skip

    def __init__(
        self, mailbox_id: int, view: View, *, read_only: bool, recent: int, told: tuple[str, ...]
    ) -> None:
        self.mailbox_id = mailbox_id
        self.view = view
        self.read_only = read_only
        self.recent = recent
        r"""The first UID that is \Recent here; 0 where the client does not know that flag."""
        self.own: set[int] = set()
        """MODSEQs of our own STOREs, which tell of themselves."""
        self.saved: Sequence[int] = ()
        """UIDs that ``$`` stands for (RFC 5182)."""
        self.told = told
        """The keywords that the last FLAGS response named."""
        self.names: set[str] = set()
        """Keywords that were shown since."""
        self._texts: FlagTexts | None = None
        self._recent_texts: FlagTexts | None = None

    @property
    def state(self) -> MailboxState:
        return self.view.state

    # Numbers.

    def resolve(self, messages: MessageSet, *, uid: bool) -> Sequence[int]:
        """
        The message numbers that a command means, ascending.

        "A non-existent unique identifier is ignored without any error message generated" (RFC 9051
        §6.4.9).

        Raises:
            Refusal: A message number beyond the last (BAD).
        """
        view = self.view
        if isinstance(messages, SavedResult):
            # "When a message listed in the search result variable is EXPUNGEd, it is automatically
            # removed from the list" (RFC 5182 §2.1).
            return [seq for seq in map(view.seq, self.saved) if seq is not None]
        count = len(view)
        if uid:
            last = view.uid(count) if count else 0
            spans = []
            for span in messages.resolve(last):
                uids = view.uid_range(span.start, span.stop - 1)
                if uids:
                    first = view.seq(uids[0]) or 0
                    spans.append(range(first, first + len(uids)))
        else:
            for low, high in messages.ranges:
                named = high if high != STAR else low if low != STAR else 1
                if named > count:
                    raise Refusal(text=f"there are {count} messages", bad=True)
            spans = list(messages.resolve(count))
        return spans[0] if len(spans) == 1 else list(chain.from_iterable(spans))

    def uids(self, seqs: Sequence[int]) -> Sequence[int]:
        """The UIDs of message numbers, ascending."""
        view = self.view
        if isinstance(seqs, range):
            return view.uids(seqs.start, seqs.stop - 1)
        return [view.uid(seq) for seq in seqs]

    # Flags.

    def flag_texts(self, uids: Sequence[int], flags: Iterable[int]) -> list[bytes]:
        r"""What stands in ``FLAGS (...)`` of messages, \Recent with it where it belongs."""
        if self._texts is None:
            self._texts = FlagTexts(self.state.keywords, self.names)
        texts = self._texts
        if not self.recent or not uids or uids[-1] < self.recent:
            return list(map(texts.__getitem__, flags))
        if self._recent_texts is None:
            self._recent_texts = FlagTexts(self.state.keywords, self.names, RECENT)
        fresh, recent = self._recent_texts, self.recent
        return [
            (fresh if uid >= recent else texts)[value]
            for uid, value in zip(uids, flags, strict=True)
        ]

    def is_recent(self, uid: int) -> bool:
        return bool(self.recent) and uid >= self.recent

    def recents(self) -> int:
        r"""How many messages are \Recent."""
        return len(self.view.uid_range(self.recent, STAR - 1)) if self.recent else 0

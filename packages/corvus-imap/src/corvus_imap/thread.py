"""THREAD: messages as conversations, by subject or by references (RFC 5256 §3).

Pure functions over facts computed at delivery.  Nothing recurses and nothing is quadratic: a thread
may be as deep as the mailbox is long, and whoever sends mail chooses the references.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import final

from corvus_imap.collation import casemap

__all__ = ["Thread", "ThreadFacts", "format_threads", "orderedsubject", "references"]


@final
@dataclass(frozen=True, slots=True)
class ThreadFacts:
    """What THREAD needs to know of one message."""

    number: int
    """What the answer calls it: its sequence number, or its UID in UID THREAD."""
    sent_date: float
    """Seconds since the epoch; INTERNALDATE where no Date field is usable (RFC 5256 §2.2)."""
    base_subject: str = ""
    """`corvus_imap.base_subject` of the decoded subject."""
    is_reply: bool = False
    """`corvus_imap.split_subject(...).is_reply`."""
    message_id: str | None = None
    """The msg-id without its brackets and needless quotes; ``None`` where there is no valid one."""
    references: Sequence[str] = ()
    """
    The msg-ids of References, oldest first, in the same form.

    Where that field is missing or holds no valid one: the first valid msg-id of In-Reply-To, if
    any.
    """


@final
@dataclass(slots=True, eq=False)
class Thread:
    """A message with the answers to it; without a *number* it is one the mailbox does not hold."""

    number: int | None
    children: list[Thread] = field(default_factory=list)


def format_threads(threads: Iterable[Thread]) -> bytes:
    """
    *threads* as they stand behind ``* THREAD`` and a space (:rfc:`5256#section-4`).

    >>> later = Thread(44, [Thread(7, [Thread(96)])])
    >>> format_threads([Thread(2), Thread(3, [Thread(6, [Thread(4, [Thread(23)]), later])])])
    b'(2)(3 6 (4 23)(44 7 96))'
    >>> format_threads([Thread(None, [Thread(3), Thread(5)])])
    b'((3)(5))'
    """
    out: list[str] = []
    for top in threads:
        # Thread members are "delimited by spaces, indicating successive parent and child.  This
        # continues until the thread splits into multiple sub-threads" (RFC 5256 §4).
        pending: list[Thread | None] = [top]  # None: a parenthesis to close
        while pending:
            node = pending.pop()
            if node is None:
                out.append(")")
                continue
            out.append("(")
            pending.append(None)
            space = ""
            while True:
                if node.number is not None:
                    out.append(f"{space}{node.number}")
                    space = " "
                if len(node.children) != 1:
                    break
                node = node.children[0]
            if node.children:
                out.append(space)
                pending.extend(reversed(node.children))
    return "".join(out).encode("ascii")


def orderedsubject(messages: Sequence[ThreadFacts]) -> list[Thread]:
    """
    ORDEREDSUBJECT, "poor man's threading": one thread per base subject (:rfc:`5256#section-3`).

    Args:
        messages: The searched messages, in the order of their sequence numbers.

    Returns:
        Threads in the order of their first message's sent date.
    """
    subjects: dict[str, list[ThreadFacts]] = {}
    # Stable, so that "the order in which the two messages appear in the mailbox is used as a
    # tie-breaker".
    for message in sorted(messages, key=_sent):
        subjects.setdefault(casemap(message.base_subject), []).append(message)
    # "The second message of a thread is the child of the first message, and subsequent messages of
    # the thread are siblings of the second message."  Dicts keep the order of their first members.
    return [
        Thread(first.number, [Thread(reply.number) for reply in replies])
        for first, *replies in subjects.values()
    ]


def _sent(message: ThreadFacts) -> float:
    return message.sent_date


@dataclass(slots=True, eq=False)
class _Node:
    """A message, or the dummy for a Message-ID that was only referred to."""

    order: int
    """Index of the message: breaks ties of the sent date.  Dummies take their first child's."""
    date: float = 0.0
    facts: ThreadFacts | None = None
    parent: _Node | None = None
    children: dict[int, _Node] = field(default_factory=dict)
    """By identity, in the order of linking: a set that remembers its order, with O(1) removal."""
    replies: list[_Node] = field(default_factory=list)
    """What is left of the children once dummies are pruned (step 3 on)."""
    component: _Node | None = None
    """Union-find over all links ever made: two nodes in different components are never related."""
    was_cut: bool = False
    """On the head of a component: a link in it was broken, so it may be several trees."""


#: Steps that loop checks may walk in components whose links were cut, per message and reference.
#: Only a mailbox made for it comes near; links beyond it are not made, so those messages start
#: threads of their own.
_STEPS_PER_REFERENCE = 64


class _Links:
    """Steps 1.A and 1.B of REFERENCES: parent and child links, never in a loop."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def head(self, node: _Node) -> _Node:
        """The representative of *node*'s component, with path halving."""
        while (up := node.component) is not None:
            node.component = up.component or up
            node = up
        return node

    def _would_loop(self, parent: _Node, child: _Node) -> bool:
        """Whether *child*, which has no parent, is *parent* or an ancestor of it."""
        if parent is child:
            return True
        ours = self.head(child)
        if self.head(parent) is not ours:
            return False
        if not ours.was_cut:
            # One tree, and a node without parent in it is its root.
            return True
        node: _Node | None = parent
        while node is not None and self._steps > 0:
            if node is child:
                return True
            self._steps -= 1
            node = node.parent
        return node is not None

    def link(self, parent: _Node, child: _Node) -> None:
        """Make *parent* the parent of *child*, unless "that link would introduce a loop"."""
        if self._would_loop(parent, child):
            return
        child.parent = parent
        parent.children[id(child)] = child
        into, what = self.head(parent), self.head(child)
        if into is not what:
            what.component = into
            into.was_cut |= what.was_cut

    def cut(self, child: _Node) -> None:
        """Break the link between *child* and its parent, if there is one."""
        if child.parent is not None:
            del child.parent.children[id(child)]
            child.parent = None
            self.head(child).was_cut = True


def references(messages: Sequence[ThreadFacts]) -> list[Thread]:
    """
    REFERENCES: the tree of who answered whom, then joined by subject (:rfc:`5256#section-3`).

    Args:
        messages: The searched messages, in the order of their sequence numbers.

    Returns:
        Threads in the order of their sent date; one without *number* gathers messages whose common
        parent is not among *messages*.
    """
    roots = _prune(_link(messages))
    _sort(roots)
    roots = _merge_subjects(roots)
    return _finish(roots)


def _link(messages: Sequence[ThreadFacts]) -> list[_Node]:
    """Steps 1 and 2: every node without a parent."""
    nodes = [_Node(i, m.sent_date, m) for i, m in enumerate(messages)]
    by_id: dict[str, _Node] = {}
    # "If two or more messages have the same Message ID, then only use that Message ID in the first
    # (lowest sequence number) message"; the others, and those without one, are reachable by no
    # reference.
    for node, message in zip(nodes, messages, strict=True):
        if message.message_id is not None:
            by_id.setdefault(message.message_id, node)
    links = _Links(_STEPS_PER_REFERENCE * sum([1 + len(m.references) for m in messages]))
    dummies: list[_Node] = []
    for node, message in zip(nodes, messages, strict=True):
        previous: _Node | None = None
        for message_id in message.references:
            current = by_id.get(message_id)
            if current is None:
                # "If no message can be found with a given Message ID, create a dummy message with
                # this ID."
                current = by_id[message_id] = _Node(-1)
                dummies.append(current)
            # (1.A) "If a message already has a parent, don't change the existing link."
            if previous is not None and current.parent is None:
                links.link(previous, current)
            previous = current
        # (1.B) "break the current parent/child link before creating the new correct one ... Note
        # that if this message has no references, it will now have no parent."
        if node.parent is not previous or previous is None:
            links.cut(node)
            if previous is not None:
                links.link(previous, node)
    return [node for node in nodes + dummies if node.parent is None]


def _prune(roots: list[_Node]) -> list[_Node]:
    """
    Step 3: no dummies below the first level, and there only those with two children or more.

    What stands below a chain of dummies is gathered in one walk over it, never moved level by
    level.
    """
    kept: list[_Node] = []
    todo = list(roots)
    while todo:
        node = todo.pop()
        stack = list(node.children.values())
        while stack:
            child = stack.pop()
            if child.facts is not None:
                node.replies.append(child)
                todo.append(child)
            else:
                stack.extend(child.children.values())
    for root in roots:
        if root.facts is not None or len(root.replies) > 1:
            kept.append(root)
        else:
            # "Do not promote the children if doing so would make them children of the root, unless
            # there is only one child."
            kept.extend(root.replies)
    return kept


def _key(node: _Node) -> tuple[float, int]:
    """The sent date, then the sequence number (RFC 5256 §2.2)."""
    return (node.date, node.order)


def _adopt_first(dummy: _Node) -> None:
    """ "For a dummy message, sort its children by sent date and then use the first child." """
    dummy.replies.sort(key=_key)
    dummy.date, dummy.order = _key(dummy.replies[0])


def _sort(roots: list[_Node]) -> None:
    """Step 4: the first level by sent date."""
    for root in roots:
        if root.facts is None:
            _adopt_first(root)
    roots.sort(key=_key)


def _subject(node: _Node) -> tuple[str, bool]:
    """The thread subject, collated, and whether the node itself is a reply (a dummy never is)."""
    facts = node.facts
    if facts is not None:
        return casemap(facts.base_subject), facts.is_reply
    first = node.replies[0].facts
    assert first is not None, "step 3 left no dummies below the first level"
    return casemap(first.base_subject), False


def _merge_subjects(roots: list[_Node]) -> list[_Node]:
    """Step 5: join threads of one base subject."""
    subjects = [(root, *_subject(root)) for root in roots]
    table: dict[str, tuple[_Node, bool]] = {}
    for root, subject, is_reply in subjects:
        if not subject:
            continue
        seen = table.get(subject)
        if seen is None or (
            seen[0].facts is not None and (root.facts is None or (seen[1] and not is_reply))
        ):
            table[subject] = (root, is_reply)
    top: dict[int, _Node] = {id(root): root for root in roots}
    for root, subject, is_reply in subjects:
        if not subject:
            continue
        there, there_is_reply = table[subject]
        if there is root:
            continue
        del top[id(root)]
        if there.facts is None:
            if root.facts is None:
                # "If both messages are dummies, append the current message's children to the
                # children of the message in the subject table ..., and then delete the current
                # message."
                there.replies.extend(root.replies)
            else:
                there.replies.append(root)
        elif is_reply and not there_is_reply:
            there.replies.append(root)
        else:
            # "Otherwise, create a new dummy message and make both the current message and the
            # message in the subject table children of the dummy."
            dummy = _Node(-1)
            dummy.replies = [there, root]
            del top[id(there)]
            top[id(dummy)] = dummy
            table[subject] = (dummy, False)
    return list(top.values())


def _finish(roots: list[_Node]) -> list[Thread]:
    """Step 6: sort every set of siblings by sent date, and build the answer."""
    _sort(roots)
    threads: list[Thread] = []
    todo: list[tuple[_Node, list[Thread]]] = [(root, threads) for root in reversed(roots)]
    while todo:
        node, siblings = todo.pop()
        thread = Thread(node.facts.number if node.facts is not None else None)
        siblings.append(thread)
        node.replies.sort(key=_key)
        todo.extend([(reply, thread.children) for reply in reversed(node.replies)])
    return threads

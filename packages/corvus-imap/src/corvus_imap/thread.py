"""THREAD: messages as conversations, by subject or by references (RFC 5256 §3).

Pure functions over facts computed at delivery.  Nothing recurses and nothing is quadratic: a thread
may be as deep as the mailbox is long, and whoever sends mail chooses the references.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

from corvus_imap.collation import casemap
from corvus_imap.envelope import Message, parsed
from corvus_imap.responses import ThreadNode
from corvus_message import message_id, parse_date, split_subject
from corvus_message import references as references_of

__all__ = ["ThreadFacts", "orderedsubject", "references"]


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
    """Second of `corvus_message.split_subject`."""
    message_id: str | None = None
    """The msg-id without its brackets and needless quotes; ``None`` where there is no valid one."""
    references: Sequence[str] = ()
    """
    The msg-ids of References, oldest first, in the same form.

    Where that field is missing or holds no valid one: the first valid msg-id of In-Reply-To, if
    any.
    """

    @classmethod
    def of(cls, message: Message, number: int, internal_date: float) -> ThreadFacts:
        """
        Read the facts of *message* that came in at *internal_date*; all but *number* can be stored.

        >>> ThreadFacts.of(b"Subject: Re: x\\nMessage-ID: <2@y>\\nReferences: <1@y>\\n\\n", 2, 99.0)
        ThreadFacts(number=2, sent_date=99.0, base_subject='x', is_reply=True, message_id='2@y', \
references=('1@y',))
        """
        part = parsed(message)
        sent = parse_date(part.field(b"date") or b"")
        text, is_reply = split_subject(part.field(b"subject") or b"")
        return cls(
            number,
            internal_date if sent is None else sent.timestamp(),
            text,
            is_reply,
            message_id(part),
            tuple(references_of(part)),
        )


def orderedsubject(messages: Sequence[ThreadFacts]) -> tuple[ThreadNode, ...]:
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
    return tuple(
        [
            ThreadNode(first.number, tuple([ThreadNode(reply.number) for reply in replies]))
            for first, *replies in subjects.values()
        ]
    )


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


def references(messages: Sequence[ThreadFacts]) -> tuple[ThreadNode, ...]:
    """
    REFERENCES: the tree of who answered whom, then joined by subject (:rfc:`5256#section-3`).

    Args:
        messages: The searched messages, in the order of their sequence numbers.

    Returns:
        Threads in the order of their sent date; one whose number is ``None`` gathers messages whose
        common parent is not among *messages*.
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
        for reference in message.references:
            current = by_id.get(reference)
            if current is None:
                # "If no message can be found with a given Message ID, create a dummy message with
                # this ID."
                current = by_id[reference] = _Node(-1)
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


def _finish(roots: list[_Node]) -> tuple[ThreadNode, ...]:
    """Step 6: sort every set of siblings by sent date, and build the answer from the leaves up."""
    _sort(roots)
    parents_first: list[_Node] = []
    todo = list(roots)
    while todo:
        node = todo.pop()
        parents_first.append(node)
        node.replies.sort(key=_key)
        todo.extend(node.replies)
    built: dict[int, ThreadNode] = {}
    for node in reversed(parents_first):
        number = None if node.facts is None else node.facts.number
        built[id(node)] = ThreadNode(number, tuple([built.pop(id(r)) for r in node.replies]))
    return tuple([built[id(root)] for root in roots])

"""THREAD: RFC 5256 §3 told again, literally and slowly, and the attacks that a literal reading
invites."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corvus_imap import responses
from corvus_imap.codec.render import render
from corvus_imap.collation import casemap
from corvus_imap.responses import ThreadNode
from corvus_imap.thread import ThreadFacts, orderedsubject, references


def told(threads: tuple[ThreadNode, ...]) -> str:
    return render(responses.Thread(threads)).decode()[len("* THREAD ") : -2].strip()


def message(
    number: int,
    date: float,
    message_id: str | None = None,
    refs: str = "",
    subject: str = "",
    is_reply: bool = False,
) -> ThreadFacts:
    return ThreadFacts(number, date, subject, is_reply, message_id, tuple(refs.split()))


# The six steps as they stand in the RFC, with recursion and walks wherever the words suggest them.


@dataclass(eq=False)
class Naive:
    facts: ThreadFacts | None = None
    order: int = -1
    parent: Naive | None = None
    children: list[Naive] = field(default_factory=list)

    def key(self) -> tuple[float, int]:
        if self.facts is None:
            return self.children[0].key()
        return (self.facts.sent_date, self.order)

    def descends_from(self, other: Naive) -> bool:
        node: Naive | None = self
        while node is not None:
            if node is other:
                return True
            node = node.parent
        return False

    def unlink(self) -> None:
        if self.parent is not None:
            self.parent.children.remove(self)
            self.parent = None

    def adopt(self, child: Naive) -> None:
        if not self.descends_from(child):
            child.parent = self
            self.children.append(child)

    def thread_subject(self) -> str:
        facts = self.facts or self.children[0].facts
        assert facts is not None
        return casemap(facts.base_subject)

    def is_reply(self) -> bool:
        return self.facts is not None and self.facts.is_reply

    def node(self) -> ThreadNode:
        number = None if self.facts is None else self.facts.number
        return ThreadNode(number, tuple([child.node() for child in self.children]))


def prune(node: Naive, is_root: bool) -> None:
    for child in list(node.children):
        prune(child, is_root=False)
        if child.facts is not None:
            continue
        if not child.children:
            node.children.remove(child)
        elif not is_root or len(child.children) == 1:
            node.children.remove(child)
            node.children += child.children


def sort_below(node: Naive) -> None:
    for child in node.children:
        sort_below(child)
    node.children.sort(key=Naive.key)


def naive_references(messages: list[ThreadFacts]) -> tuple[ThreadNode, ...]:
    nodes = [Naive(facts, order) for order, facts in enumerate(messages)]
    table: dict[str, Naive] = {}
    everyone = list(nodes)
    for node in nodes:
        assert node.facts is not None
        if node.facts.message_id is not None and node.facts.message_id not in table:
            table[node.facts.message_id] = node
    for node in nodes:
        assert node.facts is not None
        chain = []
        for reference in node.facts.references:
            if reference not in table:
                table[reference] = Naive()
                everyone.append(table[reference])
            chain.append(table[reference])
        for parent, child in itertools.pairwise(chain):
            if child.parent is None:
                parent.adopt(child)
        if not chain or node.parent is not chain[-1]:
            node.unlink()
            if chain:
                chain[-1].adopt(node)
    root = Naive(children=[node for node in everyone if node.parent is None])
    prune(root, is_root=True)
    for node in root.children:
        if node.facts is None:
            node.children.sort(key=Naive.key)
    root.children.sort(key=Naive.key)
    subjects: dict[str, Naive] = {}
    for node in root.children:
        subject = node.thread_subject()
        if not subject:
            continue
        there = subjects.get(subject)
        if there is None or (
            there.facts is not None
            and (node.facts is None or (there.is_reply() and not node.is_reply()))
        ):
            subjects[subject] = node
    for node in list(root.children):
        subject = node.thread_subject()
        if not subject or subjects[subject] is node:
            continue
        there = subjects[subject]
        root.children.remove(node)
        if there.facts is None and node.facts is None:
            there.children += node.children
        elif there.facts is None or (node.is_reply() and not there.is_reply()):
            there.children.append(node)
        else:
            root.children.remove(there)
            subjects[subject] = Naive(children=[there, node])
            root.children.append(subjects[subject])
    sort_below(root)
    return root.node().children


@st.composite
def conversations(draw: st.DrawFn) -> list[ThreadFacts]:
    names = st.sampled_from([f"m{n}" for n in range(9)])
    subjects = st.sampled_from(["", "lunch", "Lunch", "plans"])
    return [
        ThreadFacts(
            number,
            draw(st.integers(0, 5)),
            draw(subjects),
            draw(st.booleans()),
            draw(st.none() | names),
            tuple(draw(st.lists(names, max_size=4))),
        )
        for number in range(1, draw(st.integers(0, 12)) + 1)
    ]


@pytest.mark.property
@given(conversations())
def test_references_is_what_the_six_steps_say(messages: list[ThreadFacts]) -> None:
    assert told(references(messages)) == told(naive_references(messages))


@pytest.mark.property
@given(conversations())
def test_every_message_stands_in_one_thread(messages: list[ThreadFacts]) -> None:
    for algorithm in (orderedsubject, references):
        found: list[int] = []
        todo = list(algorithm(messages))
        while todo:
            node = todo.pop()
            assert node.number is not None or len(node.children) > 1
            found += [] if node.number is None else [node.number]
            todo += node.children
        assert sorted(found) == [facts.number for facts in messages]

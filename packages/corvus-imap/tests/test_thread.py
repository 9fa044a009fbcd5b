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
    return tuple([child.node() for child in root.children])


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
        for number in range(1, draw(st.integers(0, 9)) + 1)
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


# By example.


def test_message_ids_differ_by_more_than_their_quotes() -> None:
    """The two spellings of RFC 5256 §3: "MUST be interpreted as being the same Message ID"."""
    first = ThreadFacts.of(b'Message-ID: <"01KF8JCEOCBS0045PS"@xxx.yyy.com>\r\n\r\n', 1, 1.0)
    answer = ThreadFacts.of(
        b"In-Reply-To: <01KF8JCEOCBS0045PS@xxx.yyy.com> of Friday\r\n\r\n", 2, 2.0
    )
    assert told(references([first, answer])) == "(1 2)"


def test_facts_of_a_message_without_a_date_have_that_of_its_arrival() -> None:
    assert ThreadFacts.of(b"Subject: Fwd: x\r\n\r\n", 3, 7.0) == ThreadFacts(3, 7.0, "x", True)


def test_siblings_whose_parent_is_missing_stand_together() -> None:
    lost = [message(3, 1, "a", "gone"), message(5, 2, "b", "gone")]
    assert told(references(lost)) == "((3)(5))"
    # "unless there is only one child": a dummy with one is no thread of its own.
    assert told(references(lost[:1])) == "(3)"


def test_a_chain_of_missing_messages_leaves_no_trace() -> None:
    assert told(references([message(1, 1, "a", "x y z"), message(2, 2, "b", "a q r")])) == "(1 2)"


def test_truncated_references_are_corrected_by_the_message_itself() -> None:
    """RFC 5256 §3 (1.B): its own last reference is its parent, whatever others made of it."""
    box = [
        message(1, 1, "a"),
        message(2, 2, "b", "a"),
        message(3, 3, "d", "a c"),
        message(4, 4, "c", "b"),
    ]
    assert told(references(box)) == "(1 2 4 3)"


def test_a_duplicate_message_id_counts_for_the_first_message_alone() -> None:
    box = [message(1, 2, "a"), message(2, 1, "a"), message(3, 3, "b", "a")]
    assert told(references(box)) == "(2)(1 3)"


def test_no_reference_makes_a_loop() -> None:
    assert told(references([message(1, 1, "a", "b"), message(2, 2, "b", "a")])) == "(2 1)"
    assert told(references([message(1, 1, "a", "a")])) == "(1)"


def test_threads_of_one_subject_are_joined() -> None:
    """RFC 5256 §3 (5.C), its four cases."""
    one, two = message(1, 1, "a", "", "x"), message(2, 2, "b", "", "X")
    answer = message(3, 3, "c", "", "x", is_reply=True)
    assert told(references([one, answer])) == "(1 3)"
    assert told(references([one, two])) == "((1)(2))"
    assert told(references([one, two, answer])) == "((1)(2)(3))"
    lost = [message(n, n, f"l{n}", "gone", "x") for n in (4, 5)]
    assert told(references([one, *lost])) == "((1)(4)(5))"
    more = [message(n, n, f"l{n}", "away", "x") for n in (6, 7)]
    assert told(references([*lost, *more])) == "((4)(5)(6)(7))"
    assert told(references([message(1, 1, "a"), message(2, 2, "b")])) == "(1)(2)"


def test_ordered_by_subject_there_are_no_grandchildren() -> None:
    box = [
        message(1, 5, subject="b"),
        message(2, 1, subject="B"),
        message(3, 9, subject="b"),
        message(4, 3),
    ]
    assert told(orderedsubject(box)) == "(2 (1)(3))(4)"
    assert told(orderedsubject(box[:2])) == "(2 1)"
    assert told(orderedsubject([])) == ""

"""Contexts that grow between processes: only what is new travels, and whatever is lost on the way is harmless."""

from __future__ import annotations

import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.domain.contexts import MARKS, NOTHING, Beginning, Context, Contexts
from actors.domain.messages import BlobTextBlock, Message, Role

MESSAGES = tuple(f"message {number}".encode() for number in range(100))


def test_a_holder_of_the_beginning_is_sent_the_rest_only() -> None:
    receiver = Context.of(MESSAGES[:3])
    sender = Context.of(MESSAGES[:3]).grown(MESSAGES[:5])

    base, rest = sender.after(receiver.whole)
    received = receiver.with_rest(base, rest)

    assert rest == MESSAGES[3:5]
    assert received is not None
    assert (received.messages, received.whole) == (sender.messages, sender.whole)


def test_whoever_holds_something_else_is_sent_everything() -> None:
    sender = Context.of(MESSAGES[:5])

    for held in (NOTHING, Context.of(MESSAGES[1:4]).whole, Beginning(3, b"?" * 16)):
        assert sender.after(held) == (NOTHING, MESSAGES[:5])


def test_a_receiver_that_lost_the_beginning_says_so() -> None:
    sender = Context.of(MESSAGES[:3]).grown(MESSAGES[:5])
    base, rest = sender.after(Context.of(MESSAGES[:3]).whole)

    assert Context().with_rest(base, rest) is None
    assert Context.of(MESSAGES[5:9]).with_rest(base, rest) is None


def test_lengths_of_the_last_turns_are_known_and_no_more() -> None:
    sender = Context()
    for length in range(1, MARKS + 3):
        sender = sender.grown(MESSAGES[:length])

    assert sender.after(Context.of(MESSAGES[:3]).whole)[0].length == 3
    assert sender.after(Context.of(MESSAGES[:2]).whole)[0] == NOTHING


@given(st.lists(st.tuples(st.integers(0, 6), st.lists(st.binary(max_size=3), max_size=4)), max_size=8), st.randoms())
@settings(max_examples=100, deadline=None)
def test_the_receiver_ends_with_what_the_sender_has_whatever_is_lost(
    edits: list[tuple[int, list[bytes]]], chance: object
) -> None:
    sender, receiver, told, messages = Context(), Context(), NOTHING, ()
    for keep, new in edits:
        messages = (*messages[:keep], *new)
        sender = sender.grown(messages)
        if getattr(chance, "random")() < 0.3:  # noqa: B009 - hypothesis gives a Random without a type
            receiver = Context()
        got = receiver.with_rest(*sender.after(told))
        if got is None:
            got = receiver.with_rest(*sender.after(NOTHING))
        assert got is not None
        assert got.messages == messages
        receiver, told = got, sender.whole


def test_messages_that_refer_to_the_store_are_known_by_their_places() -> None:
    apart = Message(role=Role.user, content=(BlobTextBlock(digest="0" * 64, size=1),)).encode()

    assert Context.of((b"a", apart)).grown((b"a", apart, b"b", apart)).references == (1, 3)


def test_a_context_can_be_pickled() -> None:
    context = Context.of(MESSAGES[:3])
    copy = pickle.loads(pickle.dumps(context))

    assert (copy.messages, copy.whole, copy.size) == (context.messages, context.whole, context.size)


def test_the_cache_keeps_to_its_bytes_and_the_newest_contexts() -> None:
    contexts = Contexts(10)
    for name in ("a", "b", "c"):
        contexts.put(name, Context.of((b"12345",)))
        contexts.get("a")

    assert [contexts.get(name).messages for name in ("a", "b", "c")] == [(b"12345",), (), (b"12345",)]
    contexts.put("d", Context.of((b"12345678901",)))
    contexts.drop("a")
    assert (len(contexts), contexts.get("d").messages) == (1, ())

"""Contexts that a model host has decoded: the same messages as if it had decoded each call's anew."""

from __future__ import annotations

from actors.domain.calls import HostRef, ModelCall
from actors.domain.llm import LlmConfig
from actors.domain.messages import BlobTextBlock, Message, Role, decode_messages
from actors.llm.decoded import DecodedContexts

APART = Message(role=Role.user, content=(BlobTextBlock(digest="0" * 64, size=1),)).encode()
HELLO, ANSWER, MORE = Message.user("hello").encode(), Message.assistant("yes").encode(), Message.user("more").encode()


def call(*messages: bytes, journal_id: str = "j", tenant: str = "t") -> ModelCall:
    return ModelCall(
        call_id="c",
        tenant=tenant,
        journal_id=journal_id,
        session_id="s",
        turn_id="turn-1",
        epoch=1,
        host=HostRef(host_id="h", incarnation="1"),
        llm=LlmConfig.of("scripted/echo"),
        messages=messages,
    )


def test_a_context_that_grows_keeps_the_messages_it_had() -> None:
    contexts = DecodedContexts()
    first = contexts.of(call(HELLO, APART))
    second = contexts.of(call(HELLO, APART, ANSWER, MORE))

    assert second.messages == decode_messages([HELLO, APART, ANSWER, MORE])
    assert second.messages[0] is first.messages[0]
    assert first.references == second.references == frozenset({"0" * 64})


def test_a_context_that_was_emptied_or_changed_is_decoded_anew() -> None:
    contexts = DecodedContexts()
    contexts.of(call(HELLO, APART, ANSWER))

    changed = contexts.of(call(HELLO, MORE))
    assert (changed.messages, changed.references) == (decode_messages([HELLO, MORE]), frozenset())
    assert contexts.of(call()).messages == ()


def test_conversations_do_not_mix_and_room_is_bounded() -> None:
    contexts = DecodedContexts(max_bytes=2 * len(HELLO))
    mine = contexts.of(call(HELLO))
    assert contexts.of(call(HELLO, tenant="other")).messages[0] is not mine.messages[0]
    assert contexts.of(call(HELLO)).messages[0] is mine.messages[0]

    contexts.of(call(HELLO, journal_id="third"))
    contexts.of(call(HELLO, journal_id="fourth"))
    assert contexts.of(call(HELLO)).messages[0] is not mine.messages[0]
    assert contexts.of(call(HELLO, MORE, ANSWER)).messages == decode_messages([HELLO, MORE, ANSWER])

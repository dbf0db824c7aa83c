"""Ids, configuration, messages, blobs and commands: what is valid, what is the default, what comes back as it was."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from actors.domain import commands as c
from actors.domain import ids
from actors.domain import records as r
from actors.domain.blobs import BLOB_LIMIT, blobs_in, externalise, inflate
from actors.domain.command import digest_of_json
from actors.domain.llm import LlmConfig
from actors.domain.messages import (
    Base64Source,
    ImageBlock,
    Message,
    Role,
    TextBlock,
    TokenUsage,
    ToolResultBlock,
    ToolUseBlock,
    decode_messages,
)
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import ConfirmationPolicy, OnBusy
from actors.domain.session import ContextUsage, SessionConfig, SessionState
from actors.errors import InvalidRequest, InvalidSessionId

_ALLOWED = string.ascii_letters + string.digits + "-_."


@given(st.text(_ALLOWED, min_size=1, max_size=128))
def test_a_session_id_of_letters_digits_and_three_signs_is_valid_unless_its_dots_are_not(text: str) -> None:
    if text.startswith(".") or ".." in text:
        with pytest.raises(InvalidSessionId, match="Session ID"):
            ids.check_session_id(text)
    else:
        assert ids.check_session_id(text) == text


@pytest.mark.parametrize("text", ["", "a b", "a/b", "ä", ".a", "a..b", "x" * 129, "a\n", "a\x00", "..", "a\\b"])
def test_what_is_no_session_id_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidSessionId, match="Session ID"):
        ids.check_session_id(text)


def test_ulids_are_26_characters_unique_and_sort_by_time() -> None:
    made = [ids.new_ulid() for _ in range(100)]
    assert len(set(made)) == 100
    assert all(len(one) == 26 and set(one) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ") for one in made)
    assert all(one[:10] <= other[:10] for one, other in pairwise(made))


@pytest.mark.parametrize("tenant", ["", "Upper", "a b", "-a", "x" * 65, "a\n"])
def test_a_tenant_is_a_lower_case_name(tenant: str) -> None:
    assert ids.check_tenant("team-1") == "team-1"
    with pytest.raises(InvalidRequest):
        ids.check_tenant(tenant)


def test_derived_ids_depend_on_every_part() -> None:
    assert ids.derived_id("act_", "a", 1) == ids.derived_id("act_", "a", 1)
    assert len({ids.derived_id("", "ab", "c"), ids.derived_id("", "a", "bc"), ids.derived_id("", "a", "b", "c")}) == 3


def test_the_defaults_of_a_session_are_the_documented_ones() -> None:
    config = SessionConfig()
    assert (config.name, config.workspace, config.system_prompt, config.max_context_length) == ("", "", None, 0)
    assert (config.auto_compact, config.auto_compact_threshold, config.parent_id) == (False, 0.80, None)
    assert (config.max_rounds, config.max_parse_retries, config.circuit_breaker_threshold) == (50, 2, 3)
    assert (config.duplicate_call_threshold, config.max_continuations) == (3, 3)
    assert config.confirmation == ConfirmationPolicy(enabled=True, default_timeout_ms=30_000)
    assert config.permissions.check("bash", {}) == "ask"
    assert ContextUsage() == ContextUsage(used_tokens=0, max_tokens=200_000, percent=0.0, turns=0)
    assert not SessionState.paused.ended


def test_a_configuration_survives_json_and_fills_in_what_is_missing() -> None:
    config = SessionConfig(
        auto_compact_threshold=0.75,
        model=LlmConfig.of("claude/opus"),
        permission_policy=PermissionPolicy(deny=["bash(rm *)"]),
    )
    assert SessionConfig.model_validate_json(config.model_dump_json()) == config
    assert SessionConfig.model_validate_json("{}").auto_compact_threshold == 0.80
    assert config.model is not None
    assert config.model.name == "anthropic/opus"


@pytest.mark.parametrize(
    "values",
    [
        {"auto_compact_threshold": 0},
        {"auto_compact_threshold": 1.1},
        {"max_context_length": 10},
        {"max_context_length": -1},
        {"thinking_budget": 10},
        {"max_rounds": 0},
        {"nosuch": 1},
        {"version": 2},
        {"model": "no-slash"},
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, InvalidRequest)):
        SessionConfig(**values)


def test_a_key_is_in_no_dump_no_repr_and_no_digest() -> None:
    model = LlmConfig.of("openai/m", api_key=SecretStr("sk-secret"))
    command = c.Configure(command_id="c", model=model, set_fields=("model",))
    for text in (repr(model), model.model_dump_json(), repr(command), command.model_dump_json()):
        assert "sk-secret" not in text
    assert command.digest() == command.model_copy(update={"model": LlmConfig.of("openai/m")}).digest()


def test_usage_adds_up_with_cache_tokens_that_may_be_unknown() -> None:
    some = TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3, cache_read_tokens=1)
    total = some + TokenUsage(prompt_tokens=10, completion_tokens=20, total_tokens=30)
    assert total == TokenUsage(prompt_tokens=11, completion_tokens=22, total_tokens=33, cache_read_tokens=1)


# --- messages and blobs ----------------------------------------------------------------------------------------------

_texts = st.builds(TextBlock, text=st.text(max_size=40))
_images = st.builds(
    ImageBlock,
    source=st.builds(Base64Source, media_type=st.just("image/png"), data=st.sampled_from(["aGk=", "aGkh" * 20])),
)
_results = st.builds(
    ToolResultBlock,
    tool_use_id=st.text(max_size=3),
    content=st.one_of(
        _texts.map(lambda block: block.text), st.lists(st.one_of(_texts, _images), min_size=2).map(tuple)
    ),
    is_error=st.sampled_from([None, True, False]),
)
_uses = st.builds(
    ToolUseBlock,
    id=st.text(max_size=3),
    name=st.text(max_size=3),
    input=st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.text(max_size=3), st.none()), max_size=3),
)
_messages = st.builds(
    Message,
    role=st.sampled_from(list(Role)),
    content=st.lists(st.one_of(_texts, _images, _results, _uses), max_size=4).map(tuple),
    reasoning_content=st.sampled_from([None, "hm"]),
)


@given(st.lists(_messages, max_size=3))
def test_messages_come_back_from_their_bytes_as_they_were(messages: list[Message]) -> None:
    assert decode_messages([message.encode() for message in messages]) == tuple(messages)


_LIMIT = 16


@given(_messages)
def test_large_content_leaves_a_message_and_comes_back_whole(message: Message) -> None:
    small, blobs = externalise(message, _LIMIT)
    assert blobs_in([small]) == frozenset(blobs)
    assert inflate(small, blobs) == message
    for block in small.content:
        if isinstance(block, TextBlock):
            assert len(block.text.encode()) <= _LIMIT
    assert externalise(small, _LIMIT) == (small, {})


def test_a_text_of_just_the_limit_stays_and_one_byte_more_leaves() -> None:
    for text, leaves in (("x" * BLOB_LIMIT, False), ("x" * (BLOB_LIMIT - 1) + "ä", True)):
        assert bool(externalise(Message.user(text))[1]) is leaves


def test_content_that_is_gone_is_named_in_its_place() -> None:
    small, blobs = externalise(Message.user("x" * 40_000))
    (digest,) = blobs
    assert digest in inflate(small, {}).text


# --- commands and records --------------------------------------------------------------------------------------------


def test_a_commands_digest_covers_its_arguments_and_not_its_identity() -> None:
    hello = c.Send(command_id="1", message=Message.user("hello"), fresh=True)
    assert hello.digest() == c.Send(command_id="2", message=Message.user("hello")).digest()
    assert hello.digest() != c.Send(command_id="1", message=Message.user("bye")).digest()
    assert hello.digest() != c.Send(command_id="1", message=Message.user("hello"), on_busy=OnBusy.steer).digest()
    assert c.Pause(command_id="1").digest() != c.Resume(command_id="1").digest()


@pytest.mark.parametrize("data", ["A" * (BLOB_LIMIT + 2), "\u00e9" * (BLOB_LIMIT + 1)])
def test_a_large_image_that_is_none_becomes_a_text_that_says_so(data: str) -> None:
    image = ImageBlock(source=Base64Source(media_type="image/png", data=data))
    message, blobs = externalise(Message(role=Role.user, content=(image,)))
    assert (message.text, blobs) == ("[an image that is not valid base64]", {})


def test_counting_tokens_ends_where_a_database_could_not_hold_the_sum() -> None:
    claimed = TokenUsage(prompt_tokens=10**30, total_tokens=10**30, cache_read_tokens=10**30)
    assert (claimed.prompt_tokens, claimed.completion_tokens, claimed.cache_read_tokens) == (2**53, 0, 2**53)
    assert (claimed + claimed).total_tokens == 2**53


def test_a_json_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest_of_json({"a": 1, "b": [1, 2]}) == digest_of_json({"b": [1, 2], "a": 1})
    assert digest_of_json({"b": [1, 2]}) != digest_of_json({"b": [2, 1]})


def test_a_record_of_a_type_that_is_not_known_is_refused_and_not_taken_for_another() -> None:
    record = r.SessionPaused(seq=1, session_id="s", at=datetime(2026, 1, 1, tzinfo=UTC), epoch=1)
    unknown = r.encode_record(record).replace(b"session.paused", b"session.rested")
    with pytest.raises(ValidationError):
        r.decode_record(unknown)
    assert r.decode_record(r.encode_record(record)) == record


def test_every_record_type_is_named_domain_dot_action_once() -> None:
    names = [kind["properties"]["type"]["const"] for kind in r.RECORD.json_schema()["$defs"].values() if _is(kind)]
    assert len(names) == len(set(names)) > 25
    assert all(name.count(".") in {1, 2} and name == name.lower() for name in names)


def _is(schema: dict[str, Any]) -> bool:
    return {"seq", "epoch", "type"} <= set(schema.get("properties", {}))

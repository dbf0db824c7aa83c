"""Keys and tokens: held by the runtime, and found in nothing that is printed, written, sent or logged."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from actors import LlmConfig, SessionConfig, Settings
from actors.domain.records import encode_record
from actors.errors import ModelAuthFailed
from actors.llm.keys import credentials, new_credential_id
from tests.unit.local.runtimes import runtime, says, script

KEY = "sk-TOPSECRET"


def test_settings_show_no_key_and_no_password_of_a_store() -> None:
    settings = Settings(
        openai_api_key=SecretStr(KEY), api_keys=(SecretStr(KEY),), store_url=f"postgresql://u:{KEY}@h/d"
    )
    assert KEY not in repr(settings)
    assert KEY not in str(settings)
    assert KEY not in settings.model_dump_json(exclude={"store_url"})


_WRONG: list[dict[str, Any]] = [
    {"base_url": f"https://user:{KEY}@host/"},
    {"base_url": f"https://{KEY}@host/"},
    {"base_url": "https://@host/"},
    {"base_url": f"https://host/?key={KEY}"},
    {"base_url": f"https://host/#{KEY}"},
    {"base_url": f"ftp://{KEY}"},
    {"base_url": "https://host:99999/"},
    {"apikey": KEY},
    {"api_key": [KEY]},
    {"options": {"api_key": KEY}},
    {"options": {"headers": {"Authorization": f"Bearer {KEY}"}}},
    {"options": {"extra": [{"X-Api-Key": KEY}]}},
]


@pytest.mark.parametrize("values", _WRONG, ids=str)
def test_a_key_in_the_wrong_place_is_refused_and_not_repeated(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        LlmConfig.model_validate({"provider": "openai", "model": "x", **values})
    assert KEY not in str(refused.value)
    assert KEY not in repr(refused.value)


def test_a_key_in_a_wrong_setting_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({"openai_api_key": [KEY], "port": KEY})
    assert KEY not in str(refused.value)


async def test_a_key_that_is_given_reaches_no_journal_no_listing_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    model = script(says("fine")).model_copy(update={"api_key": SecretStr(KEY)})
    async with runtime() as manager:
        session = await manager.create_session("s", SessionConfig(model=model, max_continuations=0))
        await session.configure(model_config=model)
        child = await manager.create_child_session("s", "c")
        await session.generate("hello")
        records = [*await session.records(), *await child.records()]
        written = b"".join(encode_record(record) for record in records)
        shown = [session, await session.info(), await session.config(), await manager.get_llm_for_session("s"), model]
        status = await manager.runtime_status()
    assert KEY.encode() not in written
    assert KEY not in repr(shown)
    assert KEY not in repr(status)
    assert KEY not in caplog.text


async def test_the_runtimes_own_key_cannot_be_sent_to_an_address_that_a_session_names() -> None:
    own = new_credential_id()

    async def keys(name: str) -> SecretStr | None:
        return SecretStr(KEY) if name in {"openai", own} else None

    key_of = credentials(keys)
    plain = LlmConfig.of("openai/x")
    elsewhere = LlmConfig.of("openai/x", base_url="http://elsewhere")
    assert await key_of(plain) == SecretStr(KEY)
    assert await key_of(elsewhere) is None
    assert await key_of(elsewhere.model_copy(update={"credential_id": own})) == SecretStr(KEY)
    # A key that was given and is gone is an error: nothing is sent without it. Names of providers are no credentials.
    for lost in ("openai", new_credential_id()):
        with pytest.raises(ModelAuthFailed, match="Give it again"):
            await key_of(elsewhere.model_copy(update={"credential_id": lost}))

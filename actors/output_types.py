"""Boundary between Python types and answers in a form: the schema of a type, and the value that an answer is."""

from __future__ import annotations

import re
from typing import Any, cast

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from actors import json_schema
from actors.domain.outputs import MAX_PROBLEM_CHARS, OutputFormat, json_part, parsed
from actors.domain.turns import AgentResult
from actors.errors import InvalidConfig, InvalidRequest, OutputInvalid

_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")


class OutputType:
    """What a caller wants an answer to be.

    Args:
        wanted: A pydantic model, or any type that pydantic knows (a dataclass, a TypedDict, ``list[int]``); or a JSON
            Schema as a dict, for a plain value.

    Raises:
        InvalidRequest: it has no JSON Schema, or one that is too large, or refers to something outside of itself.
    """

    def __init__(self, wanted: Any) -> None:
        self._adapter: TypeAdapter[Any] | None = None
        if isinstance(wanted, dict):
            schema = cast("dict[str, Any]", wanted)
        else:
            self._adapter, schema = _of_type(wanted)
        try:
            self.format = OutputFormat(name=_name_of(schema), json_schema=schema)
            json_schema.validator(schema, "output_type is")
            json_schema.check_patterns(schema, "output_type is")
        except InvalidConfig as error:
            raise InvalidRequest(error.message) from None
        except ValidationError as error:
            told = error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")
            raise InvalidRequest(f"output_type cannot be used: {told}.") from None

    def read(self, session_id: str, result: AgentResult) -> AgentResult:
        """The result with the value that its text is.

        Raises:
            OutputInvalid: the text is no such value. Of an answer that was asked for with this type, only validators
                in Python, which no model is told of, can find that.
        """
        try:
            value = parsed(result.text)
            if self._adapter is not None:
                value = self._adapter.validate_json(json_part(result.text))
        except ValidationError as error:
            raise OutputInvalid(session_id, result.turn_id, _told(error)) from None
        except ValueError as error:
            raise OutputInvalid(session_id, result.turn_id, f"it is not JSON ({error})") from None
        return result.with_output(value)


def checked_output(wanted: Any) -> OutputType | None:
    """The type of an answer, looked at before anything happens; None of a text."""
    return wanted if wanted is None or isinstance(wanted, OutputType) else OutputType(wanted)


def _of_type(wanted: Any) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(wanted)
        return adapter, adapter.json_schema()
    except (PydanticUserError, PydanticInvalidForJsonSchema) as error:
        told = str(error.message).splitlines()[0]
        raise InvalidRequest(f"output_type {wanted!r} has no JSON Schema: {told}") from None


def _name_of(schema: dict[str, Any]) -> str:
    title = schema.get("title")
    return _NO_NAME.sub("_", title)[:64] if isinstance(title, str) and title else "output"


def _told(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    told = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'the value'}: {one['msg']}" for one in found[:5])
    return told[:MAX_PROBLEM_CHARS]

"""The description of the service: what FastAPI derives from the routes, with errors and keys as they really are."""

from __future__ import annotations

import re
from typing import Any, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serve_app.problems import MEDIA_TYPE, FieldError, Problem

_REF = "#/components/schemas/{model}"
_METHODS = frozenset({"get", "put", "post", "patch", "delete"})


def describe(app: FastAPI, *, with_keys: bool) -> dict[str, Any]:
    """Return the OpenAPI document; it is made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _describe(app, with_keys=with_keys)
    return app.openapi_schema


def _describe(app: FastAPI, *, with_keys: bool) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = cast(dict[str, Any], document.setdefault("components", {}))
    schemas = cast(dict[str, Any], components.setdefault("schemas", {}))
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for model in (FieldError, Problem):
        schemas[model.__name__] = _schema(model)
    for schema in schemas.values():
        _require_tag(schema)
    for path in document["paths"].values():
        for method in _METHODS & path.keys():
            _describe_errors(path[method])
    if with_keys:
        components["securitySchemes"] = {"apiKey": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"apiKey": []}]
    return document


def _require_tag(schema: dict[str, Any]) -> None:
    """Say that the member which tells the variants of a union apart has to be there: its default hides that."""
    for name in ("type", "kind"):
        if "const" in schema.get("properties", {}).get(name, {}):
            schema["required"] = sorted({*schema.get("required", ()), name})


def allowed_methods(app: FastAPI, path: str) -> str:
    """The value of an Allow header: every method of a path, over all routes that share it."""
    found: set[str] = set()
    for template, item in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path):
            found |= {method.upper() for method in _METHODS & item.keys()}
    return ", ".join(sorted(found))


def _schema(model: type[FieldError] | type[Problem]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=_REF, mode="serialization")
    schema.pop("$defs", None)
    return schema


def _describe_errors(operation: dict[str, Any]) -> None:
    content = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}
    for status in ("4XX", "5XX"):
        operation["responses"][status] = {"description": "A problem.", "content": content}
    operation["responses"].pop("422", None)

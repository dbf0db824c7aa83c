"""The service as a whole: tools, models, health."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from actors.domain.tools import ToolDefinition
from actors.errors import StoreUnavailable
from actors.session.runtime import ModelInfo
from serve_app.dependencies import Manager, act, answer
from serve_app.schemas.base import Items
from serve_app.schemas.service import DefaultModel, Health, Ready, StoreState
from serve_app.version import version

router = APIRouter(tags=["service"])


@router.get("/v1/tools", response_model=Items[ToolDefinition])
async def list_tools(manager: Manager) -> Response:
    """The tools that sessions can use."""
    return answer(Items[ToolDefinition](items=tuple(await manager.list_tools())))


@router.get("/v1/models", response_model=Items[ModelInfo])
async def list_models(manager: Manager) -> Response:
    """The models that sessions can name, and which of them are ready."""
    return answer(Items[ModelInfo](items=tuple(await manager.models())))


@router.put("/v1/models/default", response_model=Items[ModelInfo])
async def set_default_model(body: DefaultModel, manager: Manager) -> Response:
    """Change the model of sessions that name none, for as long as the runtime lives; later model calls use it."""
    await act(manager.set_default_llm(body.model))
    return answer(Items[ModelInfo](items=tuple(await manager.models())))


@router.get("/healthz", response_model=Health)
async def get_health() -> Response:
    """The process answers. Asks nobody."""
    return answer(Health(version=version()))


@router.get("/readyz", response_model=Ready)
async def get_readiness(manager: Manager) -> Response:
    """The runtime and its stores work; 503 when the default one does not."""
    stores = tuple(
        StoreState(name=one.name, kind=one.kind, ok=one.ok, error=one.error) for one in await manager.store_health()
    )
    if not stores[0].ok:
        raise StoreUnavailable(stores[0].error or stores[0].name)
    return answer(Ready(stores=stores))

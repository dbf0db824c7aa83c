"""The routes by topic. Each module has a ``router``."""

from __future__ import annotations

from fastapi import FastAPI

from serve_app.routes import (
    actions,
    archives,
    artifacts,
    children,
    console,
    control,
    events,
    forks,
    lanes,
    mcp_authorizations,
    mcp_servers,
    policies,
    service,
    sessions,
    tasks,
    turns,
    usage,
)


def include_all(app: FastAPI) -> None:
    """Add every route to the application."""
    for module in (
        archives,
        sessions,
        children,
        forks,
        events,
        turns,
        control,
        actions,
        lanes,
        mcp_authorizations,
        mcp_servers,
        policies,
        artifacts,
        tasks,
        usage,
        service,
    ):
        app.include_router(module.router)
    console.mount(app)

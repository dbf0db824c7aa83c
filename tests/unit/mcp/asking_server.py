"""A server of the SDK whose tools ask: ``asking_server.py FILE`` over stdio, ``asking_server.py FILE FD`` over HTTP.

``book`` asks twice, and adds a line to FILE when it takes effect. It keeps nothing between requests: what it wants back
is sealed with a key that all its processes share, so another process can go on with a call.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import uvicorn
from mcp.server.mcpserver import Context, Elicit, ElicitationResult, MCPServer, Resolve
from mcp.server.request_state import RequestStateSecurity
from pydantic import BaseModel, Field

server = MCPServer("asking", version="1", request_state_security=RequestStateSecurity(keys=[b"k" * 32]))


class Guest(BaseModel):
    """Who comes."""

    name: str = Field(min_length=2)
    age: int = 30


class Consent(BaseModel):
    """Whether it is meant."""

    sure: bool


def who() -> Elicit[Guest]:
    """The first question."""
    return Elicit("Who comes?", Guest)


def really(guest: Annotated[ElicitationResult[Guest], Resolve(who)]) -> Elicit[Consent] | Consent:
    """The second, which needs the first one's answer."""
    if guest.action != "accept":
        return Consent(sure=False)
    return Elicit(f"Really {guest.data.name}?", Consent)


@server.tool()
def book(
    seats: int,
    guest: Annotated[ElicitationResult[Guest], Resolve(who)],
    consent: Annotated[ElicitationResult[Consent], Resolve(really)],
) -> str:
    """Book seats."""
    if guest.action != "accept":
        return f"nothing was booked: {guest.action}"
    if consent.action != "accept" or not consent.data.sure:
        return f"nothing was booked for {guest.data.name}"
    with Path(sys.argv[1]).open("a") as file:
        file.write(f"{guest.data.name}\n")
    return f"{seats} for {guest.data.name}, {guest.data.age}"


@server.tool()
async def pay(ctx: Context) -> str:
    """Have a page visited, in the middle of the call."""
    return (await ctx.elicit_url("Pay there.", "https://pay.example/1", "p1")).action


if __name__ == "__main__":
    if len(sys.argv) > 2:
        uvicorn.run(server.streamable_http_app(), fd=int(sys.argv[2]), log_level="critical")
    else:
        server.run("stdio")

"""What the command shows: between plain values from the service and a terminal. Nothing in them is ever markup."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

SHOWN_MESSAGES = 20
"""Messages that ``show`` prints, the last ones: a screen or two."""

_STYLES = {"running": "blue", "queued": "blue", "requires_action": "yellow", "paused": "yellow", "error": "red"}


def out() -> Console:
    """The terminal's standard output; made on each use, so that it follows a redirected stream."""
    return Console(highlight=False, markup=False, emoji=False)


def err() -> Console:
    """The terminal's standard error."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def plain(text: str) -> str:
    """The text without what a terminal acts upon: sequences that a model or a tool wrote must not reach it."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Also what turns the order of letters around: people approve what they read."""


def say(text: str, style: str = "") -> None:
    """Print one line."""
    out().print(Text(plain(text), style=style), soft_wrap=True)


def say_error(text: str) -> None:
    """Print one sentence on standard error."""
    err().print(Text.assemble(("Error: ", "bold red"), plain(text)), soft_wrap=True)


def standing(info: dict[str, Any]) -> str:
    """One word for how a session stands: its state unless that is active, else what it does."""
    return str(info["activity"] if info["state"] == "active" else info["state"])


def show_sessions(page: dict[str, Any]) -> None:
    """A table of sessions."""
    if not page["items"]:
        say("There are no sessions yet. 'greenroom chat' starts one.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("SESSION", "NAME", "STATUS", "MODEL"):
        table.add_column(name, overflow="fold")
    for name in ("TURNS", "TOKENS"):
        table.add_column(name, justify="right")
    table.add_column("USED")
    for info in page["items"]:
        status = standing(info)
        table.add_row(
            Text(info["session_id"]),
            Text(plain(info["name"])),
            Text(status, style=_STYLES.get(status, "")),
            Text(plain(info["model"] or "default")),
            str(info["turns"]),
            str(info["usage"]["total_tokens"]),
            _moment(info["updated_at"]),
        )
    out().print(table)
    if page["next"]:
        say("There are more: raise --limit.", "dim")


def _moment(value: str) -> str:
    return datetime.fromisoformat(value).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def show_session(
    info: dict[str, Any], context: dict[str, Any], actions: list[dict[str, Any]], messages: list[dict[str, Any]]
) -> None:
    """One session at length."""
    facts = {
        "Session": info["session_id"],
        "Name": info["name"],
        "Status": standing(info),
        "Model": info["model"] or "default",
        "Parent": info["parent_id"],
        "Turns": f"{info['turns']}, {info['queued']} inputs queued",
        "Tokens": f"{info['usage']['total_tokens']} used, context {context['percent']:.1%} full",
        "Cost": f"${info['cost_usd']}",
        "Created": _moment(info["created_at"]),
        "Used": _moment(info["updated_at"]),
    }
    grid = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if value:
            grid.add_row(Text(name, style="dim"), Text(plain(str(value))))
    out().print(grid)
    for action in actions:
        about = f"of {action['tool']} {action['args']}" if action["tool"] else action["detail"]
        whose = "Waits" if action["session_id"] == info["session_id"] else f"{action['session_id']} waits"
        say(f"{whose}: {action['kind']} {about} (action {action['action_id']})", "yellow")
    for message in messages[-SHOWN_MESSAGES:]:
        _show_message(message)


def _show_message(message: dict[str, Any]) -> None:
    for block in message["content"]:
        text = block_text(block)
        if text:
            who = "tool" if block["type"] in {"tool_use", "tool_result"} else message["role"]
            out().print(Text.assemble((f"{who}: ", "bold"), plain(text)), soft_wrap=True)


def block_text(block: dict[str, Any]) -> str:
    """A content block as text."""
    match block["type"]:
        case "text":
            return str(block["text"])
        case "tool_use":
            return f"{block['name']} {block['input']}"
        case "tool_result":
            content = block["content"]
            return content if isinstance(content, str) else "\n".join(block_text(part) for part in content)
        case "text_blob":
            return f"[text of {block['size']} bytes]"
        case "image":
            return f"[image {block['source']['media_type']}]"
        case _:
            return ""

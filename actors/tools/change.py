"""The tools that change files: ``write``, ``edit`` and ``patch``. Each replaces the file in one step.

``write`` is idempotent: the second run puts the same bytes there. The others are not, since a new text that holds the
old one can be applied twice; they are ``unsafe``. All are reconciled by the hashes that they record before the rename.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from actors.domain.calls import NOT_DONE, UNCLEAR, Reconciled, ToolOutcome
from actors.domain.permission_calls import is_of_git
from actors.domain.tools import EffectClass, ToolDefinition
from actors.errors import ToolError
from actors.tools.base import Tool, ToolContext, schema, succeeded
from actors.tools.diff import apply, parse
from actors.tools.files import PATH
from actors.tools.replace import MAX_FILE_BYTES, OldFile, read_old, remove_temporary, replace
from actors.tools.threads import Stop, stoppable
from actors.tools.workspace import Place, locate


class WriteTool(Tool):
    """Writes a whole file."""

    definition = ToolDefinition(
        name="write",
        description="Write a file, with the directories on its way; what was in it before is replaced.",
        parameters=schema({"file_path": PATH, "content": {"type": "string"}}, "file_path", "content"),
        effect=EffectClass.idempotent,
    )

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """Put ``content`` into the file."""
        path, data = args["file_path"], _encoded(args["content"])

        def work(stop: Stop) -> ToolOutcome:
            with _seen(ctx, path, create_parents=True) as place:
                old = read_old(place, stop)
                facts = replace(
                    place,
                    old,
                    data,
                    stop=stop,
                    record=ctx.record_from_thread,
                    call_id=ctx.call_id,
                    only_if_unchanged=False,
                )
            return _written(place, data, facts)

        return await stoppable(work)

    async def reconcile(self, args: dict[str, Any], ctx: ToolContext) -> Reconciled:
        """Whether the file holds ``content`` now."""
        data = _encoded(args["content"])
        return await stoppable(
            lambda stop: _reconciled(args["file_path"], ctx, stop, lambda place, facts: _written(place, data, facts))
        )


class EditTool(Tool):
    """Replaces text in a file."""

    definition = ToolDefinition(
        name="edit",
        description=(
            "Replace old_string by new_string in a file. old_string must occur exactly once, with all its white "
            "space, unless replace_all is true."
        ),
        parameters=schema(
            {
                "file_path": PATH,
                "old_string": {"type": "string", "description": "The text to replace; not empty."},
                "new_string": {"type": "string", "description": "What takes its place."},
                "replace_all": {"type": "boolean", "default": False},
            },
            "file_path",
            "old_string",
            "new_string",
        ),
        effect=EffectClass.unsafe,
    )

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """Put ``new_string`` in the place of ``old_string``."""
        old, new = _encoded(args["old_string"]), _encoded(args["new_string"])
        every = bool(args.get("replace_all", False))

        def edited(place: Place, file: OldFile) -> tuple[bytes, dict[str, Any]]:
            data, count = _edited(place, file, old, new, every=every)
            return data, {"replacements": count}

        return await stoppable(lambda stop: _change(args["file_path"], ctx, stop, edited, _replaced))

    async def reconcile(self, args: dict[str, Any], ctx: ToolContext) -> Reconciled:
        """Whether the file has the hash that was recorded before the rename."""
        return await stoppable(lambda stop: _reconciled(args["file_path"], ctx, stop, _replaced))


class PatchTool(Tool):
    """Applies a unified diff to a file."""

    definition = ToolDefinition(
        name="patch",
        description=(
            "Change a file by a unified diff: hunks that begin with '@@ -start,count +start,count @@', then lines with "
            "' ', '-' or '+' before them. Every line of context must stand where the diff says. '@@ -0,0 +1,count @@' "
            "makes a new file."
        ),
        parameters=schema(
            {"file_path": PATH, "diff": {"type": "string", "description": "The hunks, for this one file."}},
            "file_path",
            "diff",
        ),
        effect=EffectClass.unsafe,
    )

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """Apply all hunks, or none."""
        hunks = parse(_encoded(args["diff"]))
        makes = len(hunks) == 1 and not hunks[0].old

        def patched(place: Place, file: OldFile) -> tuple[bytes, dict[str, Any]]:
            data = apply(b"" if makes and not file.exists else _content(place, file), hunks)
            if len(data) > MAX_FILE_BYTES:
                raise ToolError(f"The file would be larger than {MAX_FILE_BYTES >> 20} MiB.")
            return data, {"hunks": len(hunks)}

        return await stoppable(
            lambda stop: _change(args["file_path"], ctx, stop, patched, _patched, create_parents=makes)
        )

    async def reconcile(self, args: dict[str, Any], ctx: ToolContext) -> Reconciled:
        """Whether the file has the hash that was recorded before the rename."""
        return await stoppable(lambda stop: _reconciled(args["file_path"], ctx, stop, _patched))


@contextmanager
def _seen(ctx: ToolContext, path: str, *, create_parents: bool) -> Generator[Place]:
    """Where a path leads that is to be changed. Rules judge it as it is written, so it may not be git's unseen."""
    with locate(str(ctx.workspace), path, create_parents=create_parents) as place:
        if is_of_git(place.relative) and not is_of_git(path):
            raise ToolError(
                f"{path!r} leads to {place.relative!r} by a link. Name that file itself, so that it is asked."
            )
        yield place


def _change(
    path: str,
    ctx: ToolContext,
    stop: Stop,
    make: Callable[[Place, OldFile], tuple[bytes, dict[str, Any]]],
    outcome: Callable[[Place, dict[str, Any]], ToolOutcome],
    *,
    create_parents: bool = False,
) -> ToolOutcome:
    """Replace a file by what ``make`` makes of it; what else that gives is recorded with the hashes."""
    with _seen(ctx, path, create_parents=create_parents) as place:
        file = read_old(place, stop)
        data, more = make(place, file)
        facts = replace(
            place,
            file,
            data,
            stop=stop,
            record=lambda facts: ctx.record_from_thread({**facts, **more}),
            call_id=ctx.call_id,
            only_if_unchanged=True,
        )
    return outcome(place, facts | more)


def _reconciled(
    path: str, ctx: ToolContext, stop: Stop, outcome: Callable[[Place, dict[str, Any]], ToolOutcome]
) -> Reconciled:
    """Tell by the file whether a change took effect, and remove what the call has left beside it.

    Hashes are durable before the rename: where there are none, nothing was renamed.
    """
    facts = dict(ctx.recorded)
    try:
        with locate(str(ctx.workspace), path) as place:
            remove_temporary(place, ctx.call_id)
            found = read_old(place, stop).digest
            if facts and found == facts["after_sha256"]:
                return Reconciled.done(outcome(place, facts))
    except ToolError:
        # The way to the file is gone, or what is there is no file: somebody else has been there.
        return UNCLEAR if facts else NOT_DONE
    return NOT_DONE if not facts or found == facts["before_sha256"] else UNCLEAR


def _encoded(text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise ToolError("The text has half of a surrogate pair in it, which is not valid Unicode.") from error
    if len(data) > MAX_FILE_BYTES:
        raise ToolError(f"The text is larger than {MAX_FILE_BYTES >> 20} MiB.")
    return data


def _content(place: Place, file: OldFile) -> bytes:
    if not file.exists:
        raise ToolError(f"There is no file or directory {place.asked!r}.")
    if file.data is None:
        raise ToolError(f"{place.asked!r} is larger than {MAX_FILE_BYTES >> 20} MiB; change it with bash.")
    return file.data


def _edited(place: Place, file: OldFile, old: bytes, new: bytes, *, every: bool) -> tuple[bytes, int]:
    if not old:
        raise ToolError("old_string must not be empty. Use write to make a new file.")
    data = _content(place, file)
    if old == new:
        raise ToolError("old_string and new_string are the same; there is nothing to change.")
    count = data.count(old)
    if count == 0:
        hint = " The file's lines end with CR LF." if b"\n" in old and b"\r\n" in data else ""
        raise ToolError(f"old_string was not found in {place.asked!r}.{hint} Read the file and copy the text exactly.")
    if count > 1 and not every:
        raise ToolError(
            f"old_string occurs {count} times in {place.asked!r}. Give more of its surroundings, or set replace_all."
        )
    if len(data) + count * (len(new) - len(old)) > MAX_FILE_BYTES:
        raise ToolError(f"The file would be larger than {MAX_FILE_BYTES >> 20} MiB.")
    return data.replace(old, new), count


def _written(place: Place, data: bytes, facts: dict[str, Any]) -> ToolOutcome:
    lines = data.count(b"\n") + (bool(data) and not data.endswith(b"\n"))
    return succeeded(f"Wrote {len(data)} bytes ({lines} lines) to {place.relative}.", **facts)


def _replaced(place: Place, facts: dict[str, Any]) -> ToolOutcome:
    count = facts["replacements"]
    return succeeded(f"Replaced {count} occurrence{'' if count == 1 else 's'} in {place.relative}.", **facts)


def _patched(place: Place, facts: dict[str, Any]) -> ToolOutcome:
    count = facts["hunks"]
    return succeeded(f"Applied {count} hunk{'' if count == 1 else 's'} to {place.relative}.", **facts)

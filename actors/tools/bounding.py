"""Between what a tool gave and what is kept of it: everything bounded, and nothing that is not the tool's to give."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, Final

from actors.domain.artifacts import MAX_ARTIFACT_BYTES, MAX_FILES, MAX_FILES_CHARS, GivenFile
from actors.domain.base import MAX_LEVELS, is_deep
from actors.domain.calls import Outcome, ToolOutcome
from actors.domain.messages import Base64Source, ImageBlock
from actors.tools.base import MAX_BESIDE_IMAGES, capped, failed

MAX_METADATA_BYTES: Final = 64 * 1024
"""Metadata of one outcome as JSON: with the output it stays within a record's 256 KB."""

MAX_IMAGES: Final = 8
"""Images of one outcome: what providers take in one message is of that order."""

MAX_IMAGE_CHARS: Final = 4 * 1024 * 1024 * 4 // 3
"""Base64 of one image, 4 MiB: eight of them travel in one frame."""


def bounded(outcome: ToolOutcome, known: Mapping[str, Any]) -> ToolOutcome:
    """An outcome that can travel and be kept.

    Args:
        outcome: What the tool gave.
        known: What it had recorded before.
    """
    if outcome.asked is not None or outcome.outcome is Outcome.input_required:
        outcome = failed("Tool execution error: a tool of this kind cannot ask anybody. Find another way.")
    problems = [_problem(image) for image in outcome.images]
    images = [image for image, problem in zip(outcome.images, problems, strict=True) if problem is None]
    notes = "".join(f"\n[an image is left out: {problem}]" for problem in dict.fromkeys(problems) if problem)
    files = _few(outcome.files)
    if len(files) < len(outcome.files):
        notes += f"\n[{len(outcome.files) - len(files)} of its files are left out: they are too many, or too large]"
    room = MAX_BESIDE_IMAGES if images or files else MAX_ARTIFACT_BYTES
    changes: dict[str, Any] = {
        "content": clean(capped(outcome.content, room - len(notes)) + notes),
        "images": tuple(images[:MAX_IMAGES]),
        "files": files,
        "metadata": small_metadata({**known, **outcome.metadata}),
    }
    return outcome.model_copy(update=changes)


def _problem(image: ImageBlock) -> str | None:
    """Why a tool cannot give an image."""
    if not isinstance(image.source, Base64Source):
        # It may be another session's, or nobody's.
        return "it names content of the store"
    if len(image.source.data) > MAX_IMAGE_CHARS:
        return "it has more than 4 MiB"
    return image.source.problem


def _few(files: tuple[GivenFile, ...]) -> tuple[GivenFile, ...]:
    """Those that fit, from the first on."""
    sizes = accumulate(len(file.data) for file in files)
    return tuple(file for file, size in zip(files, sizes, strict=True) if size <= MAX_FILES_CHARS)[:MAX_FILES]


def clean(text: str) -> str:
    """The text without zero characters, which some stores do not keep."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def small_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata as JSON gives it back, or why it is dropped."""
    if is_deep(metadata):
        return {"dropped": f"the tool's metadata has more than {MAX_LEVELS} levels"}
    try:
        # A name of a file that is no UTF-8 has halves of surrogate pairs, which no journal takes.
        written = json.dumps(metadata, ensure_ascii=False).encode(errors="replace")
    except (TypeError, ValueError, RecursionError):
        return {"dropped": "the tool's metadata cannot be written as JSON"}
    size = len(written)
    return json.loads(written) if size <= MAX_METADATA_BYTES else {"dropped": f"the tool's metadata has {size} bytes"}

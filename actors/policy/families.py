"""How large a family of sessions may become."""

from __future__ import annotations


def refusal(*, depth_left: int, working: int, limit: int, new: int, new_working: int) -> str | None:
    """Why so many further children may not be started, as a sentence; None when they may.

    Args:
        depth_left: Levels of children that may be below the session.
        working: Children that work for it now.
        limit: How many may.
        new: Children that are to be started; ``new_working``: those of them with a task.
    """
    if new and depth_left < 1:
        return "Sessions of this family may not be nested deeper (max_depth)."
    if working + new_working > limit:
        return (
            f"{working} children work for the session, and with {new_working} more it were more than {limit} "
            "(max_children). Wait for some of them first."
        )
    return None

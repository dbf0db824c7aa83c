"""Texts that come in pieces, as the tests of what is withheld cut them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from actors.policy.security.redaction import Finder, Stream


def in_pieces(finders: Sequence[Finder], text: str, data: st.DataObject) -> str:
    """What is shown of the text, cut anywhere."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    stream = Stream(finders)
    shown = "".join(stream.feed(text[start:end]) for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True))
    return shown + stream.end()

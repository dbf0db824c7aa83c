"""Histories of every kind, for property tests: mostly the ones that no provider would take as they are."""

from __future__ import annotations

from hypothesis import strategies as st

from actors.domain.messages import (
    PARSE_ERROR,
    Base64Source,
    BlobSource,
    BlobTextBlock,
    ImageBlock,
    Message,
    Role,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
)

_IDS = st.sampled_from(["a", "b", "call_0", "call_1", "a_1", "", "x.y/z", "é", "t" * 70, "a\n"])
_TEXTS = st.sampled_from(["", " ", "\n\t", "hello", "ends with blanks  ", "ünï 🎭", "[1]"])
_NAMES = st.sampled_from(["read", "fs.read", "fs_read", "no such tool!", "", "n" * 80])
_INPUTS = st.sampled_from([{}, {"path": "a"}, {PARSE_ERROR: "broken", "raw": "{"}, {"nested": [{"ü": None}]}])

_texts = st.builds(TextBlock, text=_TEXTS)
_images = st.builds(
    ImageBlock,
    source=st.one_of(
        st.builds(
            Base64Source, media_type=st.sampled_from(["image/png", "image/tiff"]), data=st.sampled_from(["aGk=", ""])
        ),
        st.just(BlobSource(media_type="image/png", digest="0" * 64, size=5)),
    ),
)
_blob_texts = st.just(BlobTextBlock(digest="1" * 64, size=40_000))
_results = st.builds(
    ToolResultBlock,
    tool_use_id=_IDS,
    content=st.one_of(_TEXTS, st.lists(st.one_of(_texts, _images, _blob_texts), max_size=3).map(tuple)),
    is_error=st.sampled_from([None, True, False]),
)
_calls = st.builds(ToolUseBlock, id=_IDS, name=_NAMES, input=_INPUTS)

messages = st.builds(
    Message,
    role=st.sampled_from(list(Role)),
    content=st.lists(st.one_of(_texts, _images, _blob_texts, _results, _calls), max_size=4).map(tuple),
    reasoning_content=st.sampled_from([None, "", "hm"]),
    reasoning_signature=st.sampled_from([None, "seal", "blocks:[]", "blocks:{", 'blocks:[{"type":"text"}]']),
)

histories = st.lists(messages, max_size=10).map(tuple)

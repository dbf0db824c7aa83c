"""Phrases by which a text that a tool brought in speaks to the model as if it gave orders. Pure, linear in the text.

What is found is a reason to warn, not a proof: a page about such attacks quotes them, and others word them anew.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

_WIDE: Final[dict[int, str | None]] = dict.fromkeys((0x115F, 0x1160, 0x3164, 0xFFA0), " ")
"""Letters that look like spaces."""

_MARKS: Final = frozenset({"Cf", "Me", "Mn"})

_OLD: Final = r"(?:(?:previous|prior|above|earlier|preceding|foregoing|all|any|your|other|of|the|my|these|those) )"
_ORDERS: Final = r"(?:instructions?|prompts?|rules|directions|guidelines|directives|commands|programming)"
_MODEL: Final = r"(?:ai|llm|language model|assistant|ai assistant|ai agent|chatbot|model)s?"

_PHRASES: Final = {
    "override": re.compile(
        rf"\b(?:ignore|disregard|forget|override|bypass|discard) {_OLD}{{1,5}}+{_ORDERS}\b"
        rf"|\b(?:ignore|disregard|forget) (?:everything|anything|all) (?:above|before|you were told)\b"
        rf"|\bnew {_ORDERS} (?:for|from) (?:you|the user|the system|your developer)\b"
    ),
    "role": re.compile(
        r"\byou are now (?:in )?(?:an? )?"
        r"(?:unrestricted|unfiltered|uncensored|jailbroken|dan|(?:developer|god|debug) mode)\b"
        r"|\byou are no longer (?:bound|restricted|limited|an ai)\b"
        r"|\b(?:enter|enable|activate) (?:developer|god|jailbreak|dan) mode\b"
    ),
    "disclosure": re.compile(
        r"\b(?:reveal|print|show|repeat|output|send|tell|give) (?:me |us )?(?:your|the) "
        r"(?:full |entire |hidden |initial |original )?"
        r"(?:system prompt|system message|initial instructions|hidden instructions)\b"
    ),
    "secrecy": re.compile(
        r"\b(?:do not|don t|never) "
        r"(?:tell|inform|alert|notify|(?:mention|reveal|show) (?:this |it )?to) "
        r"(?:the |your )?(?:user|human|developer|operator)s?\b"
        r"|\bwithout (?:telling|informing|asking|notifying) (?:the |your )?(?:user|human|operator)s?\b"
    ),
    "addressed": re.compile(
        rf"\b(?:attention|note to|message (?:for|to)|instructions? (?:for|to)|important for) "
        rf"(?:the |any |all )?{_MODEL}\b"
        rf"|\bif you are an? {_MODEL}\b"
    ),
}
_MARKUP: Final = re.compile(
    r"<[|\uff5c](?:im_start|im_end|system|assistant|user|endoftext|begin_of_text|start_header_id|end_header_id|eot_id"
    r"|channel|message|return|tool_call)[|\uff5c]>"
    r"|</?(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>|</?(?:system|system-reminder|system_prompt)>",
    re.IGNORECASE,
)
_AS_LETTERS: Final = {first + code - 0x20: chr(code) for first in (0xE0020, 0xE0110) for code in range(0x20, 0x7F)}
_UNSEEN: Final = re.compile("[\U000e0020-\U000e007e\U000e0110-\U000e016e]+")
"""Tags and selectors: none is seen, and models read them as the letters whose numbers they bear."""

_LOOKALIKES: Final = str.maketrans("аеорсухіѕјԁɡոναοιρ\u0131", "aeopcyxisjdgnvaoipi")
"""Letters of other alphabets that cannot be told from Latin ones by looking."""

_BETWEEN_WORDS: Final = re.compile(r"[\W_]+")


def injections(text: str) -> tuple[str, ...]:
    """What kinds of orders there are in a text: override, role, disclosure, secrecy, addressed, markup, unseen."""
    found = ["markup"] if _MARKUP.search(text) else []
    readings = [text]
    if not text.isascii():
        unseen = "".join(_UNSEEN.findall(text)).translate(_AS_LETTERS)
        # Flags of parts of countries are written with a few of them, and each of some names of Japan with one.
        found += ["unseen"] if any(len(run) > _FLAG for run in _UNSEEN.findall(text)) else []
        text = _in_letters(text)
        readings = [text, text.translate(_LOOKALIKES), unseen]
    plain = [_BETWEEN_WORDS.sub(" ", reading).lower() for reading in readings]
    return (*(label for label, phrase in _PHRASES.items() if any(map(phrase.search, plain))), *found)


def _in_letters(text: str) -> str:
    """A text without what is not seen, and what stands above, below or around a letter."""
    # First of all: letters are taken apart in a time by the square of how many marks one of them has.
    apart = unicodedata.normalize("NFKD", text.translate(_plain()))
    return apart.translate(_plain())


@lru_cache(maxsize=1)
def _plain() -> dict[int, str | None]:
    codes = (*range(0x20000), *range(0xE0000, 0xE0200))
    return dict.fromkeys(code for code in codes if unicodedata.category(chr(code)) in _MARKS) | _WIDE


_FLAG: Final = 12

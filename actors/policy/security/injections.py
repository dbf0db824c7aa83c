"""Phrases by which a text that a tool brought in speaks to the model as if it gave orders. Pure, linear in the text.

What is found is a reason to warn, not a proof: a page about such attacks quotes them, and others word them anew.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_INVISIBLE: Final = dict.fromkeys(
    (0xAD, 0x34F, 0x61C, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070))
)
"""Characters that are not seen and stand between letters of a phrase that is to be overlooked."""

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
    r"<\|(?:im_start|im_end|system|assistant|user|endoftext)\|>|\[/?INST\]|<</?SYS>>|</?system>", re.I
)
_BETWEEN_WORDS: Final = re.compile(r"[\W_]+")


def injections(text: str) -> tuple[str, ...]:
    """What kinds of orders there are in a text: override, role, disclosure, secrecy, addressed, markup."""
    found = ["markup"] if _MARKUP.search(text) else []
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_INVISIBLE))
    plain = _BETWEEN_WORDS.sub(" ", text).lower()
    return (*(label for label, phrase in _PHRASES.items() if phrase.search(plain)), *found)

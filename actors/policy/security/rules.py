"""What is known of keys, tokens and what tells of persons: the rules that come with Greenroom."""

from __future__ import annotations

from actors.domain.secret_rules import WORD, Rule, Run, literal
from actors.domain.security import Secret

_TOKEN = "-A-Za-z0-9_"


def _digits(least: int, most: int = 0) -> Run:
    return Run("0-9", least, most or least)


def _maybe(chars: str) -> Run:
    return Run(chars, 0, 1)


def _is_key(text: str) -> int:
    # Words that are joined by hyphens, as in sk-learn-documentation-pages, are no key.
    rest = text[3:]
    return len(text) if "-" not in rest or any(map(str.isdigit, rest)) else 0


def _is_number_of_a_person(text: str) -> int:
    area, group, serial = text[:3], text[4:6], text[7:]
    used = area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"
    return len(text) if used else 0


def _is_card(text: str) -> int:
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(text) if any(digits) and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 else 0


def _is_address(text: str) -> int:
    text = text.rstrip(".-")
    local, _, domain = text.partition("@")
    _, _, top = domain.rpartition(".")
    # git@github.com:owner/name is where a repository is.
    named = "." in domain and len(top) >= 2 and top.isalpha() and ".." not in domain
    return len(text) if named and local != "git" else 0


def _is_phone(text: str) -> int:
    text = text.rstrip("-. ()")
    return len(text) if 10 <= sum(map(str.isdigit, text)) <= 15 else 0


def _separated_alike(text: str) -> int:
    return len(text) if text[3] == text[7] else 0


def _is_private(text: str) -> int:
    return len(text) if "PRIVATE KEY" in text[:64] else 0


_BASE64 = r"A-Za-z0-9+/=\\\s:,."

RULES: tuple[Rule, ...] = (
    Rule(
        Secret.private_key,
        (
            *literal("-----BEGIN "),
            Run("A-Z0-9 ", 1, 40),
            *literal("-----"),
            Run(_BASE64, 40, 8192),
            *literal("-----END "),
            Run("A-Z0-9 ", 1, 40),
            *literal("-----"),
        ),
        before="",
        accept=_is_private,
    ),
    Rule(
        Secret.jwt,
        (
            *literal("eyJ"),
            Run(_TOKEN, 8, 1024),
            *literal("."),
            Run(_TOKEN, 8, 4096),
            *literal("."),
            Run(_TOKEN, 8, 1024),
        ),
    ),
    *(
        Rule(Secret.api_key, (*literal(start), Run(_TOKEN, 20, 512)), before=_TOKEN, accept=_is_key)
        for start in ("sk-", "pk-")
    ),
    *(
        Rule(Secret.api_key, (*literal(start), Run(WORD, 16, 256)))
        for start in ("sk_live_", "sk_test_", "pk_live_", "pk_test_", "rk_live_", "rk_test_")
    ),
    Rule(Secret.api_key, (*literal("AIza"), Run(_TOKEN, 35, 35)), before=_TOKEN, after=_TOKEN),
    Rule(Secret.api_key, (*literal("xox"), Run("abeprs"), *literal("-"), Run(_TOKEN, 20, 512))),
    Rule(Secret.api_key, (*literal("glpat-"), Run(_TOKEN, 20, 256)), before=_TOKEN),
    *(Rule(Secret.api_key, (*literal(start), Run("A-Za-z0-9", 30, 256))) for start in ("hf_", "npm_")),
    *(Rule(Secret.aws_key, (*literal(start), Run("A-Z0-9", 16, 16)), after=WORD) for start in ("AKIA", "ASIA")),
    Rule(Secret.github_token, (*literal("gh"), Run("pousr"), *literal("_"), Run("A-Za-z0-9", 36, 255))),
    Rule(Secret.github_token, (*literal("github_pat_"), Run(WORD, 22, 255))),
    Rule(
        Secret.password,
        (*literal("://"), Run(r"^\s:/@\"'<>", 1, 128), *literal(":"), Run(r"^\s/@\"'<>", 1, 256), *literal("@")),
        before="",
        shown="://{}@",
        secret=lambda text: text[3:-1].partition(":")[2],
    ),
    Rule(
        Secret.credit_card,
        (_digits(4), _maybe(" -"), _digits(4), _maybe(" -"), _digits(4), _maybe(" -"), _digits(4)),
        before=_TOKEN,
        after=_TOKEN,
        accept=_is_card,
    ),
    Rule(
        Secret.ssn,
        (_digits(3), *literal("-"), _digits(2), *literal("-"), _digits(4)),
        before=_TOKEN,
        after=_TOKEN,
        accept=_is_number_of_a_person,
    ),
    Rule(
        Secret.phone,
        (*literal("("), _digits(3), *literal(")"), _maybe(" "), _digits(3), Run("-. "), _digits(4)),
        after=_TOKEN,
    ),
    Rule(
        Secret.phone,
        (_digits(3), Run("-."), _digits(3), Run("-."), _digits(4)),
        before=_TOKEN + ".",
        after=_TOKEN,
        accept=_separated_alike,
    ),
    Rule(
        Secret.phone,
        (*literal("+"), Run("1-9"), Run("0-9", 0, 2), Run("-. "), Run("0-9(). -", 7, 18)),
        before=WORD + "+",
        accept=_is_phone,
    ),
    Rule(Secret.phone, (*literal("+"), Run("1-9"), _digits(10, 14)), before=WORD + r"+\n", after=WORD),
    Rule(
        Secret.email,
        (Run("A-Za-z0-9._%+-", 1, 64), *literal("@"), Run("A-Za-z0-9.-", 3, 255)),
        before="A-Za-z0-9._%+-",
        accept=_is_address,
        needs="@",
    ),
)
"""What is known, more precise things first."""

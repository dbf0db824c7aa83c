"""What is withheld is found whole, however the text comes; what only looks like it stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.security import Secret
from actors.policy.security.redaction import PIECE, Finder, Known, Stream, finders_of, redact
from tests.unit.policy.pieces import in_pieces

KNOWN = "Tr0ub4dor&3-and-so-on"
PATTERNS = (("TICKET", r"\bTKT-[0-9]{4,8}\b"), ("LINE", r"§[a-z ]{3,12}§"))
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIabc+/12\n" * 9 + "-----END RSA PRIVATE KEY-----"
FINDERS: tuple[Finder, ...] = (Known([KNOWN, KNOWN + "-longer", "short"]), *finders_of(tuple(Secret), PATTERNS))

SECRETS = {
    "123-45-6789": "SSN",
    "ada@example.org": "EMAIL",
    "ada.l+x@mail.example.co.uk": "EMAIL",
    "(555) 123-4567": "PHONE",
    "555-123-4567": "PHONE",
    "555.123.4567": "PHONE",
    "+44 20 7946 0958": "PHONE",
    "+15551234567": "PHONE",
    "sk-1234567890abcdefghijklmnop": "API_KEY",
    "pk-abcdefghijklmnopqrstuvwxyz": "API_KEY",
    "sk-ant-api03-AbCdEfGhIjKlMnOp": "API_KEY",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc": "API_KEY",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv": "API_KEY",
    "AKIAIOSFODNN7EXAMPLE": "AWS_KEY",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a": "GITHUB_TOKEN",
    "4111 1111 1111 1111": "CREDIT_CARD",
    "4111111111111111": "CREDIT_CARD",
    JWT: "JWT",
    PEM: "PRIVATE_KEY",
    KNOWN: "SECRET",
    KNOWN + "-longer": "SECRET",
    "TKT-12345": "TICKET",
    "§top secret§": "LINE",
}
HARMLESS = (
    "5551234567 rows, 1234567890123456 of them",
    "4111111111111112",
    "000-12-3456 and 666-12-3456 and 923-45-6789",
    "git clone git@github.com:owner/name.git",
    "npm i lodash@4.17.21 @types/node@20.1.0 && pip install 'x @ file:y'",
    "@decorator\ndef f(a, *, b=3): return a @ b",
    "from sklearn import x  # see sk-learn-documentation-pages-and-more",
    "task-1234567890abcdefghijklmnop",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "10.0.0.1:8000 192.168.100.200 2026-11-26T23:00:00 v1.2.3-rc.4",
    "+    value = 12345678901234\n-    value = 1",
    "uuid 123e4567-e89b-12d3-a456-426614174000",
    "-----BEGIN CERTIFICATE-----\n" + "MIIabc+/12\n" * 9 + "-----END CERTIFICATE-----",
    "http://localhost:8000/a@b",
    "TKT-123456789 xTKT-1234",
    "short",
    "AKIA1234567890ABCDEFGHI",
    "timestamp = 1732665600; ids = [1234567890, 9876543210]; x = 0x5551234567",
    "$1,234,567.89 or 1.234.567,89 EUR, 19.99 - 24.99, 100.000.000",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "index 83db48f..bf1a2c3 100644, d41d8cd98f00b204e9800998ecf8427e",
    "f47ac10b-58cc-4372-a567-0e02b2c3d479 00000000-0000-0000-0000-000000000000",
    "ISBN 978-3-16-148410-0, 2026-11-27, 12:34:56.789, 555-1234, 127.0.0.1",
    "#1234567890 line 1234567890: float 3.1415926535 1e10 -1234567890",
    "port 5432, pid 1234567, 4294967296 bytes, 18446744073709551615",
)


@pytest.mark.parametrize(("text", "label"), SECRETS.items())
def test_each_kind_is_replaced_by_its_label_and_nothing_else_is(text: str, label: str) -> None:
    assert redact(f"is it {text}, then?", FINDERS) == f"is it [REDACTED:{label}], then?"


def test_a_password_in_an_address_is_withheld_and_the_address_is_not() -> None:
    shown = redact("postgresql://ada:pa55w0rd@db.example.org/x", FINDERS)

    assert shown == "postgresql://[REDACTED:PASSWORD]@db.example.org/x"


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_a_secret_stays_as_it_is(text: str) -> None:
    assert redact(text, FINDERS) == text


def test_kinds_that_are_not_chosen_stay() -> None:
    text = "123-45-6789 ada@example.org aaaa"

    assert redact(text, finders_of((Secret.ssn,), PATTERNS)) == "[REDACTED:SSN] ada@example.org aaaa"


def test_a_long_text_is_gone_through_in_parts_without_a_seam() -> None:
    around = "x" * (PIECE - 5)

    shown = redact(f"{around} ada@example.org {around} {KNOWN} {around} {PEM}", FINDERS)

    assert shown == f"{around} [REDACTED:EMAIL] {around} [REDACTED:SECRET] {around} [REDACTED:PRIVATE_KEY]"


_FRAGMENTS = st.sampled_from(
    [*SECRETS, *HARMLESS, *"aA0-_.@:/+ (\n", "sk-", "eyJ", "://", "gh", "-----BEGIN ", "[REDACTED:"]
)
_TEXTS = st.lists(_FRAGMENTS | st.text(max_size=3), max_size=8).map("".join)


@given(_TEXTS, st.data())
def test_a_text_in_pieces_is_shown_as_the_whole_of_it_is(text: str, data: st.DataObject) -> None:
    assert in_pieces(FINDERS, text, data) == redact(text, FINDERS)


@pytest.mark.parametrize("text", SECRETS)
def test_no_piece_of_a_secret_is_shown_when_it_comes_letter_by_letter(text: str) -> None:
    stream = Stream(FINDERS)

    shown = "".join(map(stream.feed, f"so {text} it is")) + stream.end()

    assert text not in shown
    assert shown == redact(f"so {text} it is", FINDERS)


def test_words_are_shown_as_soon_as_they_end() -> None:
    stream = Stream(FINDERS)

    assert [stream.feed(piece) for piece in ("The cat", " sat ", "on", " ")] == ["The ", "cat sat ", "", "on "]


def test_what_is_held_back_is_bounded() -> None:
    for start in ("sk-", "eyJ", "-----BEGIN A-----", "a", "+1 "):
        stream = Stream(FINDERS)
        fed = start + "1a" * 10_000
        shown = stream.feed(fed)
        assert len(shown) >= len(fed) - 8192 - 1024 or "REDACTED" in shown

"""What was withheld once is known again by its digests alone, however the text comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.domain.security import Secret, Tainted
from actors.policy.security.guard import Guard, SecurityConfig
from actors.policy.security.redaction import finders_of, redact
from actors.policy.security.taints import Taints, key_of, taint_of
from tests.unit.policy.pieces import in_pieces

KEY = key_of("5e" * 32, "tenant")
VALUES = {"123-45-6789": "SSN", "pa55-w0rd": "PASSWORD", "pa55-w0rd-of-another": "PASSWORD", "-odd/one=": "API_KEY"}
TAINTED = Tainted(key=KEY, taints=tuple(t for value, label in VALUES.items() if (t := taint_of(KEY, label, value))))
FINDERS = (Taints(TAINTED),)


def test_a_value_is_kept_as_digests_under_a_key_and_short_ones_are_not() -> None:
    taint = taint_of(KEY, "SSN", "123-45-6789")

    assert taint is not None
    assert "123-45-6789" not in taint.model_dump_json() + repr(TAINTED)
    assert taint != taint_of(key_of("5f" * 32, "tenant"), "SSN", "123-45-6789")
    assert taint_of(KEY, "SSN", "short") is None
    assert KEY not in repr(TAINTED)


def test_it_is_known_where_it_stands_for_itself_and_the_longer_one_wins() -> None:
    text = "x=pa55-w0rd;pa55-w0rd-of-another,-odd/one=. (123-45-6789) pa55-w0r apa55-w0rd"

    shown = redact(text, FINDERS)

    hidden = "[REDACTED:PASSWORD]"
    assert shown == f"x={hidden};{hidden},[REDACTED:API_KEY]. ([REDACTED:SSN]) pa55-w0r apa55-w0rd"


_TEXTS = st.lists(st.sampled_from([*VALUES, *"ap5-/= .\n", "pa55", "pa55-w0rd-of-"]), max_size=10).map("".join)


@given(_TEXTS, st.data())
def test_a_text_in_pieces_is_shown_as_the_whole_of_it_is(text: str, data: st.DataObject) -> None:
    assert in_pieces(FINDERS, text, data) == redact(text, FINDERS)


def test_a_text_with_a_number_of_social_security_leaves_one_entry_and_a_password_is_known_without_its_address() -> None:
    guard = Guard(SecurityConfig(), tainted=Tainted(key=KEY))
    guard.text("mine is 123-45-6789, the database postgres://ada:pa55-w0rd@db/x")

    taints = guard.sifted().taints

    assert [taint.label for taint in taints] == ["PASSWORD", "SSN"]
    again = Guard(SecurityConfig(), tainted=Tainted(key=KEY, taints=taints))
    assert again.text("so: pa55-w0rd") == "so: [REDACTED:PASSWORD]"
    assert again.sifted().taints == ()
    assert "withheld" in str(again.arguments({"password": "pa55-w0rd"})) or again.counts["PASSWORD"] == 2


def test_without_a_key_nothing_is_kept() -> None:
    guard = Guard(SecurityConfig())
    guard.text("123-45-6789")

    assert guard.sifted().taints == ()
    assert redact("123-45-6789", finders_of((Secret.ssn,))) == "[REDACTED:SSN]"

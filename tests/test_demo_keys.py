"""Keys of the live demo."""

import pytest

from coordinator.demo.keys import HELP, KeyReader, Press, Verb


def test_each_verb_has_its_key_whatever_the_case_and_the_help_names_it() -> None:
    for verb in Verb:
        assert KeyReader().feed(verb.value.encode()) == [Press(verb)]
        assert KeyReader().feed(verb.value.upper().encode()) == [Press(verb)]
        assert f"{verb.value} " in HELP or f"{verb.value}," in HELP


def test_a_digit_answers_at_that_window() -> None:
    assert KeyReader().feed(b"3") == [Press(Verb.ANSWER, 3)]
    assert KeyReader().feed(b"0") == []


@pytest.mark.parametrize("sequence", [b"\x1b[A", b"\x1bOP", b"\x1b[15~", b"\x1b[1;5C"])
def test_cursor_and_function_keys_do_nothing_even_when_torn(sequence: bytes) -> None:
    reader = KeyReader()
    presses = [press for byte in sequence for press in reader.feed(bytes([byte]))]
    assert presses == []
    assert reader.feed(b"k") == [Press(Verb.KILL)]


def test_the_end_of_input_quits() -> None:
    assert KeyReader().feed(b"") == [Press(Verb.QUIT)]
    assert KeyReader().feed(b"\x04") == [Press(Verb.QUIT)]


def test_several_keys_at_once_are_several_presses() -> None:
    assert KeyReader().feed(b"c?a") == [Press(Verb.CALL_IN), Press(Verb.ANSWER)]


def test_the_help_fits_a_terminal_of_80_columns() -> None:
    assert len(HELP) < 80

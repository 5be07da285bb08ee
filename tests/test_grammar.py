import pytest

from agents.sip.grammar import (
    find_param,
    format_params,
    parse_number,
    parse_params,
    quote,
    split_commas,
    unquote,
)
from shared.errors import SipError


def test_commas_in_quotes_and_brackets_do_not_separate() -> None:
    assert split_commas('a, "b, \\", c" , <d,e>') == ["a", '"b, \\", c"', "<d,e>"]
    assert split_commas("a") == ["a"]


@pytest.mark.parametrize("value", ['a, "b', "a, <b"])
def test_an_open_quote_or_bracket_is_refused(value: str) -> None:
    with pytest.raises(SipError):
        split_commas(value)


def test_parameters_keep_order_spelling_and_quotes() -> None:
    text = ';A=1;flag;b="x;y"'
    params = parse_params(text)

    assert params == (("A", "1"), ("flag", None), ("b", '"x;y"'))
    assert format_params(params) == text
    assert (find_param(params, "a"), find_param(params, "FLAG"), find_param(params, "b")) == ("1", "", "x;y")
    assert find_param(params, "c") is None


@pytest.mark.parametrize("text", ["a=1", ";=1", ";", ";a b=1"])
def test_bad_parameters_are_refused(text: str) -> None:
    with pytest.raises(SipError):
        parse_params(text)


def test_quoting_is_undone_by_unquoting() -> None:
    assert quote('a"b\\c') == '"a\\"b\\\\c"'
    assert unquote(quote('a"b\\c')) == 'a"b\\c'
    assert unquote('"') == '"'


@pytest.mark.parametrize("text", ["", "-1", "1_0", "٣", "12345678901", "4294967296", "1.0", "0x1"])
def test_what_is_no_number_in_range_is_refused(text: str) -> None:
    with pytest.raises(SipError):
        parse_number(text, "it")


def test_a_number_may_have_spaces_around_it() -> None:
    assert parse_number(" 4294967295 ", "it") == 4294967295

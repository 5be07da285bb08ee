from pathlib import Path
from typing import Any

import pytest

from agents.pbx.settings import Extension, Queue, SimulatorSettings
from shared.errors import ConfigError


def test_an_extension_is_read_with_its_direct_number() -> None:
    assert Extension.parse("101:+16505550101") == Extension("101", "16505550101")


@pytest.mark.parametrize(
    "text", ["101", "101:", ":16505550101", "101:650", "1x1:16505550101", "1\u06601:16505550101", "a:b:c"]
)
def test_a_bad_extension_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match="for example 101:16505550101"):
        Extension.parse(text)


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({"wss_port": 65536}, "bad wss_port"),
        ({"control_port": -1}, "bad control_port"),
        ({"ring_time": -1.0}, "bad ring_time: -1.0"),
        ({"expiry": float("nan")}, "bad expiry"),
        ({"main_number": "1650"}, "bad full number '1650': expected 7 to 15 digits"),
        ({"extensions": (Extension("1", "1650555010"),)}, "bad number '1': expected 2 to 8 digits"),
        ({"queues": (Queue("200", "Sales", ()),)}, "bad queue 200: it has no members"),
        ({"queues": (Queue("200", "Sales", ("109",)),)}, "bad queue 200: there is no extension '109'"),
        ({"queues": (Queue("101", "Sales", ("102",)),)}, "two have the same number 101"),
        (
            {"extensions": (Extension("101", "16505550101", other_numbers=("16505550100",)),)},
            "two have the same full number 16505550100",
        ),
        ({"extensions": ()}, "no extensions"),
        ({"extensions": (Extension("101", "1650555010"), Extension("101", "1650555011"))}, "same number"),
        (
            {"extensions": (Extension("101", "1650555010"), Extension("102", "1650555010"))},
            "same full number",
        ),
        ({"media_addresses": ()}, "no media address"),
        ({"media_addresses": ("127.0.0.1", "192.0.2.77")}, "bad media address '192.0.2.77'"),
        ({"media_addresses": ("localhost",)}, "bad media address 'localhost'"),
        ({"max_strangers": 0}, "bad max_strangers: 0 is not a number from 1 on"),
        ({"conference_size": 0}, "bad conference_size: 0 is not a number from 1 on"),
        ({"domain": "two words"}, "bad domain"),
        ({"domain": "a..b"}, "bad domain"),
        ({"domain": 'quo"te'}, "bad domain"),
    ],
)
def test_settings_that_cannot_be_used_are_named(values: dict[str, Any], cause: str) -> None:
    with pytest.raises(ConfigError, match=cause):
        SimulatorSettings(directory=Path(), **values)

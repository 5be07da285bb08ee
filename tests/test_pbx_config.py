"""The service's file of settings: what it can say, and what a mistake in it is answered with."""

import re
from pathlib import Path

import pytest

from agents.pbx.main import settings_of
from agents.pbx.options import Options
from agents.pbx.settings import DEFAULT_EXTENSIONS, Extension, Queue, SimulatorSettings
from shared.errors import ConfigError

from .sources import ROOT


def settings(tmp_path: Path, text: str, **options: object) -> SimulatorSettings:
    path = tmp_path / "service.toml"
    path.write_text(text)
    return settings_of(Options(directory=tmp_path, config=path, **options))  # type: ignore[arg-type]  # test's own


def test_the_example_of_the_manual_is_read_as_it_says(tmp_path: Path) -> None:
    manual = (ROOT / "docs" / "simulator.md").read_text()
    block = re.search(r"```toml\n(.*?)```", manual, re.DOTALL)
    assert block is not None
    made = settings(tmp_path, block[1])
    assert made.main_number == "16505550100"
    assert made.extensions == (
        Extension("101", "16505550101", "Ada Lovelace", ("16505550111", "442070000111")),
        Extension("102", "16505550102"),
    )
    assert made.queues == (Queue("200", "Sales", ("101", "102"), "16505550200"),)
    assert (made.ring_time, made.mailbox, made.park_first, made.park_places) == (20.0, True, 701, 10)


def test_options_of_the_command_line_win_and_what_nobody_says_is_as_ever(tmp_path: Path) -> None:
    made = settings(tmp_path, 'domain = "a.test"\nwss_port = 1\nrest_port = 0', wss_port=2)
    assert (made.domain, made.wss_port, made.rest_port) == ("a.test", 2, 0)
    assert made.extensions == DEFAULT_EXTENSIONS
    assert settings_of(Options(directory=tmp_path)) == SimulatorSettings(directory=tmp_path)


EXTENSION = '[[extension]]\nnumber = "101"\ndirect_number = "16505550101"\n'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("rin_time = 3", "unknown key 'rin_time'; did you mean 'ring_time'?"),
        ("wombat = 3", "unknown key 'wombat'"),
        ("directory = 'x'", "unknown key 'directory'"),
        ('ring_time = "long"', "ring_time: Expected `float`, got `str`"),
        ("ring_time = -1", "bad ring_time: -1"),
        ("ring_time = nan", "bad ring_time"),
        ("wss_port = 99999", "bad wss_port: 99999"),
        ("answer_at_once = 1", "answer_at_once: Expected `bool`"),
        ("extension = 3", "extension: expected tables that begin with [[extension]]"),
        ('extension = ["101"]', "extension: expected tables"),
        ('[[extension]]\nnumber = "101"', "[[extension]] 1: Object missing required field `direct_number`"),
        (EXTENSION + 'nmae = "A"', "[[extension]] 1: unknown key 'nmae'; did you mean 'name'?"),
        (EXTENSION + "[[extension]]\nnumber = 102\ndirect_number = '1'", "[[extension]] 2: Expected `str`"),
        (EXTENSION + 'other_numbers = ["x"]', "bad full number 'x'"),
        (EXTENSION * 2, "two have the same number 101"),
        ('[[queue]]\nnumber = "200"\nname = "S"\nmembers = ["1"]', "queue 200: there is no extension '1'"),
        (
            "[[queue]]\nnumber = '200'\nname = 'S'\nmembers = '101'",
            "[[queue]] 1: Expected `array`, got `str`",
        ),
        ("a = [", "service.toml is not TOML"),
        ('domain = "two words"', "bad domain 'two words'"),
    ],
)
def test_every_mistake_is_one_line_that_names_it(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        settings(tmp_path, text)
    assert named in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml: No such file"):
        settings_of(Options(directory=tmp_path, config=tmp_path / "none.toml"))
    (tmp_path / "huge.toml").write_bytes(b"#" * 2_000_000)
    with pytest.raises(ConfigError, match=r"huge\.toml is longer than"):
        settings_of(Options(directory=tmp_path, config=tmp_path / "huge.toml"))

"""The service's settings as a TOML file: every wrong key or value is one line that names it.

Keys are the fields of :class:`~agents.pbx.settings.SimulatorSettings`; extensions and queues are tables::

    main_number = "16505550100"
    ring_time = 20

    [[extension]]
    number = "101"
    direct_number = "16505550101"
    name = "Ada Lovelace"
"""

import difflib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec

from shared.errors import ConfigError

from .settings import Extension, Queue, SimulatorSettings

T = TypeVar("T")

_TABLES = ("extension", "queue")
_NOT_IN_A_FILE = {"directory", "extensions", "queues"}
_LONGEST_FILE = 1 << 20
_MOST_TABLES = 10_000


class _ExtensionTable(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    direct_number: str
    name: str = ""
    other_numbers: tuple[str, ...] = ()

    def made(self) -> Extension:
        return Extension(self.number, self.direct_number, self.name, self.other_numbers)


class _QueueTable(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    name: str
    members: tuple[str, ...]
    direct_number: str = ""

    def made(self) -> Queue:
        return Queue(self.number, self.name, self.members, self.direct_number)


def read_config(path: Path) -> dict[str, Any]:
    """Return what a file says, as arguments of :class:`~agents.pbx.settings.SimulatorSettings`.

    Raises:
        ConfigError: If it cannot be read, or has a key or value that cannot be used; the text names it.
    """
    raw = _read(path)
    kinds = _kinds()
    found: dict[str, Any] = {}
    for key, value in raw.items():
        if key == "extension":
            found["extensions"] = _tables(path, key, value, _ExtensionTable, _ExtensionTable.made)
        elif key == "queue":
            found["queues"] = _tables(path, key, value, _QueueTable, _QueueTable.made)
        elif key in kinds:
            found[key] = _converted(value, kinds[key], f"{path}: {key}")
        else:
            raise ConfigError(f"{path}: unknown key {key!r}{_guess(key, [*kinds, *_TABLES])}")
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_FILE + 1)
        if len(content) > _LONGEST_FILE:
            raise ConfigError(f"{path} is longer than {_LONGEST_FILE} bytes")
        return tomllib.loads(content.decode())
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}") from exc
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as exc:
        raise ConfigError(f"{path} is not TOML: {exc}") from exc


def _kinds() -> dict[str, Any]:
    hints = get_type_hints(SimulatorSettings)
    return {name: kind for name, kind in hints.items() if name not in _NOT_IN_A_FILE}


def _tables(path: Path, key: str, value: Any, kind: type[T], make: Callable[[T], Any]) -> tuple[Any, ...]:
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        raise ConfigError(f"{path}: {key}: expected tables that begin with [[{key}]]")
    if len(value) > _MOST_TABLES:
        raise ConfigError(f"{path}: {key}: more than {_MOST_TABLES} of them")
    known = kind.__struct_fields__  # type: ignore[attr-defined]  # a Struct has them
    made = []
    for number, table in enumerate(value, 1):
        where = f"{path}: [[{key}]] {number}"
        for name in table:
            if name not in known:
                raise ConfigError(f"{where}: unknown key {name!r}{_guess(name, known)}")
        made.append(make(_converted(table, kind, where)))
    return tuple(made)


def _converted(value: Any, kind: Any, where: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        raise ConfigError(f"{where}: {exc}") from exc


def _guess(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""

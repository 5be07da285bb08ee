"""What ``pyproject.toml`` says of the package, compared with the package."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
MANDATED = {"pyzmq", "msgspec", "aiortc", "websockets", "sounddevice", "structlog"}


def required() -> set[str]:
    return {Requirement(line).name for line in PROJECT["project"]["dependencies"]}


def imported() -> set[str]:
    """Return the top names of all modules that ours import from elsewhere than the standard library."""
    names: set[str] = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    names.add(node.module.split(".")[0])
    return names - set(PACKAGES) - sys.stdlib_module_names


def test_what_is_imported_is_what_is_required() -> None:
    owners = packages_distributions()
    assert {owners[name][0].lower() for name in imported()} == required()


def test_the_six_libraries_that_the_design_rests_on_are_required() -> None:
    assert required() >= MANDATED


def test_each_package_says_that_it_is_typed() -> None:
    assert [name for name in PACKAGES if not (ROOT / name / "py.typed").is_file()] == []


def test_the_classifiers_name_every_python_that_is_supported() -> None:
    oldest = int(re.fullmatch(r">=3\.(\d+)", PROJECT["project"]["requires-python"])[1])  # type: ignore[index]
    versions = [
        int(match[1])
        for line in PROJECT["project"]["classifiers"]
        if (match := re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", line))
    ]
    assert versions == list(range(oldest, max(versions) + 1))
    assert sys.version_info >= (3, oldest)


def test_the_changelog_has_a_section_for_what_is_not_released_yet() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"

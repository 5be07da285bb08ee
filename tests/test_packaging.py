"""What ``pyproject.toml`` says of the package, compared with the package."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement

from .sources import PACKAGES, ROOT, imports_of, trees

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGED: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
MANDATED = {"pyzmq", "msgspec", "aiortc", "websockets", "sounddevice", "structlog"}


def required() -> set[str]:
    return {Requirement(line).name for line in PROJECT["project"]["dependencies"]}


def optional() -> set[str]:
    """Return what users may install besides: all extras but the one for who changes the project."""
    extras: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
    return {Requirement(line).name for name, lines in extras.items() if name != "dev" for line in lines}


def imported() -> set[str]:
    """Return the top names of all modules that ours import from elsewhere than the standard library."""
    names = {name.split(".")[0] for tree in trees().values() for name in imports_of(tree)}
    return names - set(PACKAGES) - sys.stdlib_module_names


def test_what_is_imported_is_what_is_required() -> None:
    owners = packages_distributions()
    assert {owners.get(name, [name])[0].lower() for name in imported()} - optional() == required()


def test_the_six_libraries_that_the_design_rests_on_are_required() -> None:
    assert required() >= MANDATED


def test_our_three_packages_and_no_other_are_packaged() -> None:
    assert sorted(PACKAGED) == sorted(PACKAGES)


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

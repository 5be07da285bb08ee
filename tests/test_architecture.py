"""What import-linter cannot say: which modules are cores, who touches the world, how long a file may be."""

import ast
import tomllib
from fnmatch import fnmatchcase

from .sources import PACKAGES, ROOT, imports_of, trees

CORES = (
    "agents.pbx.registrar",
    "agents.phone.*",
    "agents.sip.*",
    "shared.election",
    "shared.messages",
    "shared.replica",
    "shared.text",
)
SHELLS = ("agents.sip.transport",)

# Who alone may import a library that touches the world.
TOUCHED_BY = {
    "aiortc": ("agents.media.*", "coordinator.bench.sound_roles"),
    "sounddevice": ("agents.media.devices", "coordinator.bench.sound_roles"),
    "structlog": ("shared.log", "shared.log_output", "agents.media.webrtc", "agents.real.agent"),
    "time": ("shared.clock",),
    "uvloop": ("shared.actor",),
    "websockets": ("agents.sip.transport", "agents.pbx.*"),
}


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def marked_as_core() -> set[str]:
    return {name for name, tree in trees().items() if (ast.get_docstring(tree) or "").startswith("[core]")}


def test_every_module_that_decides_is_marked_as_a_core() -> None:
    deciding = {name for name in trees() if matches(name, CORES) and not matches(name, SHELLS)}
    assert deciding - marked_as_core() == set()


def test_the_linter_keeps_all_cores_from_doing_io() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contract = next(each for each in linter["contracts"] if each["name"].startswith("Cores do no I/O"))
    watched = tuple(contract["source_modules"]) + tuple(f"{each}.*" for each in contract["source_modules"])
    assert {name for name in marked_as_core() if not matches(name, watched)} == set()


def test_a_library_that_touches_the_world_is_imported_in_one_place() -> None:
    offenders = {
        (name, imported)
        for name, tree in trees().items()
        for imported in imports_of(tree)
        if not matches(name, TOUCHED_BY.get(imported.split(".")[0], ("*",)))
    }
    assert offenders == set()


def test_a_module_imports_its_siblings_relatively() -> None:
    absolute = {
        (name, imported)
        for name, tree in trees().items()
        for imported in imports_of(tree)
        if f"{imported}.".startswith(f"{name.rpartition('.')[0]}.") and "." in name
    }
    assert absolute == set()


def test_no_module_has_more_than_400_lines() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for folder in PACKAGES
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {path: lines for path, lines in lengths.items() if lines > 400} == {}


def test_no_example_has_more_than_60_lines() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "examples").glob("*.py")}
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}


def test_what_coordinator_exports_is_what_programs_were_promised() -> None:
    import coordinator

    assert set(coordinator.__all__) == {
        "Account",
        "AccountError",
        "ActionRefused",
        "BlockingCall",
        "BlockingPhone",
        "Call",
        "CallFailed",
        "CallLost",
        "CallState",
        "Cause",
        "CertificateUntrusted",
        "ConfigError",
        "Consultation",
        "Device",
        "DeviceManager",
        "Direction",
        "GroupError",
        "LoginFailed",
        "MediaError",
        "MediaState",
        "OutcomeUnknown",
        "Phone",
        "RegistrationFailed",
        "RegistrationState",
        "Replied",
        "ReplyKind",
        "RestClient",
        "RestFailed",
        "RestLogin",
        "ServiceUnreachable",
        "Settings",
        "SharedlineError",
        "SipTrace",
        "Snapshot",
        "TooManyContacts",
        "Traced",
        "WebPhone",
        "join",
        "join_blocking",
        "load_account",
        "load_settings",
    }
    assert [name for name in coordinator.__all__ if not hasattr(coordinator, name)] == []

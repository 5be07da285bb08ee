"""What a window without sound, that never leads, does not load: it is what keeps it small."""

from collections.abc import Iterable

#: Each costs such a window a tenth of a MiB at least; uvloop 2.3, structlog 1 (with ``rich`` 3 to 6).
_SPARED = (
    *("agents.media", "agents.phone", "agents.real", "agents.rest", "agents.sip"),
    *("coordinator.blocking", "coordinator.sound", "coordinator.web_phone"),
    *("aiortc", "av", "cryptography", "httpx", "numpy", "sounddevice", "structlog", "uvloop", "websockets"),
    *("email", "hashlib", "http", "pathlib", "secrets", "shutil", "tempfile", "urllib", "xml"),
)


def spared(loaded: Iterable[str]) -> set[str]:
    """Return what is among ``loaded`` modules although such a window can do without."""
    return {name for name in loaded for each in _SPARED if f"{name}.".startswith(f"{each}.")}


def imported(errors: str) -> set[str]:
    """Return the modules that a process loaded, as it said with PYTHONPROFILEIMPORTTIME."""
    lines = (line for line in errors.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines}

"""What a run left behind, read once: ledgers, traces, logs, and the secrets that must be in none of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import msgspec

from agents.pbx.ledger import Entry
from shared.errors import ConfigError
from shared.trace import SUFFIX, Line

T = TypeVar("T")

#: Longer files are not searched to their end for secrets.
_LONGEST_FILE = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a file: of a ledger or of a trace."""

    file: str
    number: int
    entry: Entry | Line

    @property
    def at(self) -> float:
        """CLOCK_BOOTTIME seconds."""
        return self.entry.boottime

    def __str__(self) -> str:
        fields = msgspec.to_builtins(self.entry)
        shown = {name: value for name, value in fields.items() if value not in (None, "", 0, (), [], 0.0)}
        return f"{self.file}:{self.number}: {msgspec.json.encode(shown).decode()}"


@dataclass(frozen=True, slots=True)
class Effect(Fact):
    """A line of a ledger."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Step(Fact):
    """A line of a trace."""

    entry: Line


@dataclass
class Evidence:
    """All of it. ``traces`` are by instance; ``trouble`` is what a test says it did to processes."""

    directory: Path
    ledger: list[Effect] = field(default_factory=list)
    traces: dict[str, list[Step]] = field(default_factory=dict)
    trouble: list[Step] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    files: list[Path] = field(default_factory=list)

    def effects(self, *events: str, **facts: object) -> list[Effect]:
        """Return the ledger's lines of these events whose fields are ``facts``."""
        return [
            effect
            for effect in self.ledger
            if (not events or effect.entry.event in events)
            and all(getattr(effect.entry, name) == value for name, value in facts.items())
        ]

    def steps(self, *events: str) -> list[Step]:
        """Return the lines of these events of all traces, in the order of time."""
        found = [step for steps in self.traces.values() for step in steps if step.entry.event in events]
        return sorted(found, key=lambda step: step.at)

    @cached_property
    def extensions(self) -> set[str]:
        """Return the extensions that are the group's; without traces, all that registered once only."""
        numbers = {step.entry.number for step in self.steps("SNAPSHOT") if step.entry.number}
        if numbers:
            return {number.rpartition("*")[2] for number in numbers}
        instances: dict[str, set[str | None]] = {}
        for effect in self.effects("REGISTER"):
            instances.setdefault(effect.entry.extension or "", set()).add(effect.entry.instance_id)
        return {extension for extension, ids in instances.items() if extension and len(ids) == 1}

    def pid_of(self, instance: str) -> int:
        """Return the process id of an instance, 0 if its trace does not say."""
        steps = self.traces.get(instance, [])
        return next((step.entry.pid for step in steps if step.entry.event == "JOINED"), 0)

    def died_at(self, instance: str) -> float | None:
        """Return when a process was killed, None if it was not.

        Where nobody notes kills, a trace that breaks off tells of one.
        """
        pid = self.pid_of(instance)
        killed = [step.at for step in self.trouble if step.entry.event == "KILLED" and step.entry.pid == pid]
        if killed and pid:
            return killed[0]
        steps = self.traces[instance]
        return (
            None
            if self.trouble or any(step.entry.event in ("LEFT", "FULL") for step in steps)
            else steps[-1].at
        )

    def is_living(self, instance: str, since: float, until: float) -> bool:
        """Return whether a process was a running member all that time, neither stopped nor leaving."""
        steps = self.traces.get(instance, [])
        joined = next((step.at for step in steps if step.entry.event == "JOINED"), float("inf"))
        left = next((step.at for step in steps if step.entry.event in ("LEFT", "FULL")), float("inf"))
        died = self.died_at(instance) if steps else 0.0
        end = min(left, float("inf") if died is None else died)
        return joined <= since and until <= end and not self._is_stopped(instance, since, until)

    def _is_stopped(self, instance: str, since: float, until: float) -> bool:
        pid, stopped = self.pid_of(instance), None
        for step in self.trouble:
            if step.entry.pid != pid:
                continue
            if step.entry.event == "STOPPED":
                stopped = step.at
            elif step.entry.event == "CONTINUED" and stopped is not None:
                if stopped <= until and step.at >= since:
                    return True
                stopped = None
        return stopped is not None and stopped <= until


def gather(directory: Path) -> Evidence:
    """Read all that ``directory`` and the directories below it hold.

    Raises:
        ConfigError: It is no directory, has neither ledger nor trace, or one of them cannot be read.
    """
    if not directory.is_dir():
        raise ConfigError(f"{directory} is no directory; give the one that a run has left")
    evidence = Evidence(directory)
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = str(path.relative_to(directory))
        if path.name == "ledger.ndjson":
            evidence.ledger += [Effect(name, *item) for item in _lines(path, Entry)]
        elif path.name.endswith(SUFFIX):
            _add_trace(evidence, name, path)
        _add_secrets(evidence, path)
        if not _holds_secrets(path) and path.stat().st_size <= _LONGEST_FILE:
            evidence.files.append(path)
    evidence.trouble.sort(key=lambda step: step.at)
    _leave_out_earlier_runs(evidence)
    if not evidence.ledger and not evidence.traces:
        raise ConfigError(f"{directory} holds neither a ledger.ndjson nor a trace (*{SUFFIX})")
    return evidence


def _leave_out_earlier_runs(evidence: Evidence) -> None:
    """Forget what a ledger tells of the time before the first trace: nobody knows who asked for it."""
    steps = [steps[0].at for steps in evidence.traces.values()]
    if steps:
        began = min(steps)
        evidence.ledger = [effect for effect in evidence.ledger if effect.at >= began]


def _add_trace(evidence: Evidence, name: str, path: Path) -> None:
    for number, line in _lines(path, Line):
        step = Step(name, number, line)
        if line.instance:
            evidence.traces.setdefault(line.instance, []).append(step)
        else:
            evidence.trouble.append(step)


def _lines(path: Path, kind: type[T]) -> Iterator[tuple[int, T]]:
    decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):  # the last may be torn
        try:
            yield number, decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise ConfigError(f"{path}:{number} cannot be read: {exc}") from exc


def _holds_secrets(path: Path) -> bool:
    """Return whether a file exists to hold secrets: accounts, the control file, private keys."""
    return path.suffix in (".pem", ".key", ".wav") or (path.suffix == ".json" and path.name != "ledger.json")


def _add_secrets(evidence: Evidence, path: Path) -> None:
    if path.suffix != ".json":
        return
    try:
        value = msgspec.json.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for name, text in _named_texts(value):
        if name.lower() in ("password", "token", "secret", "key") and len(text) >= 8:
            evidence.secrets[text] = f"the {name} of {path.name}"


def _named_texts(value: object) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str):
                yield str(name), item
            else:
                yield from _named_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _named_texts(item)

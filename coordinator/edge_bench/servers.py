"""The servers under test, each a process: our simulated service, and Kamailio where it is installed."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agents.pbx.authority import server_context
from shared.clock import monotonic
from shared.config import Account, load_account

from .wire import PATIENCE

_CONFIG = Path(__file__).with_name("kamailio.cfg")
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, slots=True)
class Server:
    """A running one. ``accounts`` are of different extensions; ``numbers`` are what is dialled for them."""

    pid: int
    accounts: list[Account]
    numbers: list[str]

    def pids(self) -> list[int]:
        """Return it and its children."""
        return [self.pid, *_children(self.pid)]

    def resident_mb(self) -> float:
        """Return its resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text("utf-8")
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024

    def processor_time(self) -> float:
        """Return the seconds of processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


@contextlib.contextmanager
def simulated(directory: Path, extensions: int) -> Iterator[Server]:
    """Run the simulated service with so many extensions, from 101 on."""
    directory.mkdir()
    command = [sys.executable, "-m", __package__, str(directory), str(extensions)]
    with _running(command, directory / "service.log", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise OSError(f"the simulated service does not start: see {directory / 'service.log'}")
        numbers = [str(101 + number) for number in range(extensions)]
        accounts = [load_account(directory / f"{number}.json") for number in numbers]
        yield Server(process.pid, accounts, numbers)


def kamailio_modules() -> Path | None:
    """Return where the modules of an installed Kamailio are, if it can do what is measured; else None."""
    modules = next(iter(Path("/usr/lib").glob("*/kamailio/modules")), None)
    has_all = modules is not None and all((modules / name).exists() for name in ("websocket.so", "tls.so"))
    return modules if has_all and shutil.which("kamailio") else None


@contextlib.contextmanager
def kamailio(directory: Path, modules: Path) -> Iterator[Server]:
    """Run Kamailio with two users."""
    directory.mkdir()
    server_context(directory)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = _CONFIG.read_text("utf-8").replace("PORT", str(port)).replace("DIR", str(directory))
    config = directory / "kamailio.cfg"
    config.write_text(text.replace("MODULES", str(modules)), "utf-8")
    own = ["-w", str(directory), "-Y", str(directory)]
    command = ["kamailio", "-f", str(config), "-DD", "-E", "-m", "64", "-M", "8", *own]
    with _running(command, directory / "log") as process:
        _wait_for(port, process, directory / "log")
        accounts = [
            Account(
                authorization_id=name,
                domain="sip.test",
                outbound_proxy=f"127.0.0.1:{port}",
                username=name,
                password=f"pw-{name}",
                ca_file=directory / "ca.pem",
            )
            for name in ("alice", "bob")
        ]
        yield Server(process.pid, accounts, ["alice", "bob"])


@contextlib.contextmanager
def _running(
    command: list[str], log: Path, *, stdout: int | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=stdout or output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = monotonic() + PATIENCE
    while monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        threading.Event().wait(0.05)
    raise OSError(f"kamailio does not start: {log.read_text(errors='replace')[-800:]}")


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8")
    except OSError:
        return []
    return [int(each) for each in text.split()]

"""Kamailio from Debian, over WSS on loopback, for as long as a ``with`` block lasts."""

import asyncio
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.config import Account, Settings

from .certificates import make_certificate

_CONFIG = Path(__file__).parents[1] / "kamailio" / "kamailio.cfg"
_PATIENCE = 20.0


def missing() -> str | None:
    """Return what it lacks on this machine, None if nothing."""
    modules = _modules()
    if shutil.which("kamailio") is None or modules is None or not (modules / "websocket.so").exists():
        return "kamailio with its websocket and tls modules is not installed"
    return None


@contextmanager
def kamailio(directory: Path, *, flow_timer: int = 4) -> Iterator[Account]:
    """Run it with its files in ``directory``, and yield an account of its user alice; bob's is alike.

    ``flow_timer`` is how often it wants a sign of life from phones, in seconds (RFC 5626 §4.4.1).
    """
    certificate, _ = make_certificate(directory)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config, log = directory / "kamailio.cfg", directory / "log"
    text = _CONFIG.read_text()
    words = {"PORT": port, "DIR": directory, "MODULES": _modules(), "FLOWTIMER": flow_timer}
    for word, value in words.items():
        text = re.sub(rf"\b{word}\b", str(value), text)
    config.write_text(text)
    options = [
        "-f",
        str(config),
        "-DD",
        "-E",
        "-m",
        "64",
        "-M",
        "8",
        "-Y",
        str(directory),
        "-w",
        str(directory),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(["kamailio", *options], stdout=output, stderr=output)
        try:
            _wait_for_port(process, port, log)
            yield Account(
                authorization_id="alice",
                domain="sip.test",
                outbound_proxy=f"127.0.0.1:{port}",
                username="alice",
                password="pw-alice",
                ca_file=certificate,
            )
        finally:
            process.terminate()
            process.wait(_PATIENCE)


@contextmanager
def private_settings() -> Iterator[Settings]:
    """Yield settings of a group of its own. Its paths are short: a socket's may have 107 bytes."""
    with TemporaryDirectory(prefix="sl-", dir="/tmp") as root:
        yield Settings(runtime_dir=Path(root, "run"), state_dir=Path(root, "state"))


def _modules() -> Path | None:
    return next(iter(Path("/usr/lib").glob("*/kamailio/modules")), None)


def _wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    async def wait() -> None:
        async with asyncio.timeout(_PATIENCE):
            while process.poll() is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return

    asyncio.run(wait())
    assert process.poll() is None, log.read_text(errors="replace")

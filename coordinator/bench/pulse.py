"""A sound system without a sound card: PulseAudio, and loudspeakers with a microphone before each."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ctypes.util import find_library
from pathlib import Path

_PATIENCE = 15.0
_PCM = """\
pcm.{name}_speaker {{ type pulse device "{name}" }}
pcm.{name}_mic {{ type pulse device "{name}.monitor" }}
"""
_REST = """\
pcm_type.pulse { lib "libasound_module_pcm_pulse.so" }
pcm.!default { type pulse }
"""


def is_available() -> bool:
    """Return whether this machine has PulseAudio (in Debian with tools and ALSA's plugin) and PortAudio."""
    return shutil.which("pulseaudio") is not None and find_library("portaudio") is not None


@asynccontextmanager
async def open_pulse(names: Sequence[str]) -> AsyncIterator[dict[str, str]]:
    """Run a PulseAudio; yield the environment in which PortAudio, and ``pactl``, see its devices.

    Each of ``names`` is a pair of devices: what is played on ``NAME_speaker`` is heard by ``NAME_mic``. The
    first one is the default.

    Raises:
        TimeoutError: It did not start.
    """
    root = Path(tempfile.mkdtemp(prefix="pulse-", dir="/tmp"))
    environment = os.environ | {
        "HOME": str(root),
        "PULSE_RUNTIME_PATH": str(root / "run"),
        "PULSE_SERVER": f"unix:{root}/socket",
        "ALSA_CONFIG_PATH": str(root / "asound.conf"),
    }
    (root / "asound.conf").write_text(_REST + "".join(_PCM.format(name=name) for name in names), "utf-8")
    modules = [f"module-native-protocol-unix socket={root}/socket auth-anonymous=1"]
    # Without norewinds a null sink's monitor starves, and is a second late.
    modules += [f"module-null-sink sink_name={name} norewinds=1" for name in names]
    command = [
        "pulseaudio",
        "-n",
        "--daemonize=no",
        "--exit-idle-time=-1",
        "--use-pid-file=no",
        "--log-level=0",
    ]
    server = await asyncio.create_subprocess_exec(
        *command,
        *(part for module in modules for part in ("-L", module)),
        env=environment,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            while not (root / "socket").exists():  # noqa: ASYNC110 - a file of another process
                await asyncio.sleep(0.01)
        yield environment
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()
        shutil.rmtree(root, ignore_errors=True)

"""The simulated phone service: registrar, calls, robots with real sound, and the ledger that tests count.

``async with Simulator(SimulatorSettings(directory=...)) as simulator:`` runs one in this process;
``python -m agents.pbx`` and ``python -m coordinator simulator`` run one by itself. The files:

* pure: :mod:`.registrar`, :mod:`.gate` (digest), :mod:`.dialect`; :mod:`.accounts` (numbers)
* :mod:`.legs`, :mod:`.phones`, :mod:`.phone_leg`, :mod:`.calls`: who talks to whom, over whichever connection
* :mod:`.messages`, :mod:`.infos`: what phones want besides, through the two channels of the real service
* :mod:`.transfers`, :mod:`.standin`, :mod:`.parking`, :mod:`.replacing`: calls whose ends change
* :mod:`.conferences`, :mod:`.supervision`: numbers of the service itself, whose end is a :mod:`.service_leg`
* :mod:`.sounding`, :mod:`.sounds`, :mod:`.seats`, :mod:`.media`: sound at the service, and who hears whom
* shells: :mod:`.server` (WebSocket), :mod:`.control` (HTTP), :mod:`.robots` and :mod:`.ears` (sound)
  and :mod:`.ledger` (file)
* :mod:`.service` joins them, :mod:`.main` makes a program of it; :mod:`.client` controls one from elsewhere
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .service import Simulator
    from .settings import Extension, SimulatorSettings

__all__ = ["Extension", "Simulator", "SimulatorSettings"]


def __getattr__(name: str) -> Any:
    # Imported on first use: a command line that only shows the service's options must stay small.
    if name == "Simulator":
        from .service import Simulator

        return Simulator
    if name in ("Extension", "SimulatorSettings"):
        from . import settings

        return getattr(settings, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

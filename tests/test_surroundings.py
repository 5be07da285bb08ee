import asyncio
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from agents.real.surroundings import Peer, Surroundings, local_address


class Machine:
    """A computer whose clocks and network a test can change; ``told`` is what was noticed.

    ``up`` and ``awake`` are its two clocks. No real time is in them: they are read one after the other.
    """

    def __init__(self) -> None:
        self.told: asyncio.Queue[float | bool] = asyncio.Queue()
        self.address: str | None = "10.0.0.1"
        self.up, self.awake = 1_007.0, 1_000.0
        self._looked = asyncio.Event()

    def watch(self) -> Surroundings:
        return Surroundings(
            self.told.put_nowait,
            self.told.put_nowait,
            address=self._address,
            clocks=(lambda: self.up, self._read_awake),
            period=0.005,
        )

    def _address(self, _peer: Peer) -> str | None:
        return self.address

    def _read_awake(self) -> float:
        self._looked.set()
        return self.awake

    async def looks(self) -> None:
        """Wait until clocks and network were looked at once more."""
        self._looked.clear()
        await self._looked.wait()

    async def hears(self) -> float | bool:
        async with asyncio.timeout(5):
            return await self.told.get()


def test_sleep_is_noticed_and_its_length() -> None:
    async def main() -> None:
        machine = Machine()
        surroundings = machine.watch()
        machine.up += 1.0  # a slow computer
        await machine.looks()
        machine.up, machine.awake = machine.up + 900.0, machine.awake + 300.0
        assert await machine.hears() == 600.0
        machine.up += 30.0
        assert await machine.hears() == 30.0
        surroundings.close()

    asyncio.run(main())


def test_another_address_is_noticed_and_the_same_one_coming_back_is_told_apart() -> None:
    async def main() -> None:
        machine = Machine()
        surroundings = machine.watch()
        surroundings.connected(("192.0.2.7", 443))
        machine.address = "10.9.9.9"
        assert await machine.hears() is True
        machine.address = None
        await machine.looks()
        machine.address = "10.9.9.9"
        assert await machine.hears() is False
        surroundings.close()
        assert machine.told.empty()

    asyncio.run(main())


def test_the_own_address_is_the_one_that_packets_leave_from() -> None:
    assert local_address(("127.0.0.1", 9)) == "127.0.0.1"
    assert local_address(("not an address", 9)) is None


@pytest.fixture
def spare_link() -> Iterator[str]:
    """Yield the name of a network interface that a test may change."""
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed")
    made = subprocess.run(
        ["ip", "link", "add", "sl-spare", "type", "dummy"], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("no permission to make network interfaces")
    yield "sl-spare"
    subprocess.run(["ip", "link", "delete", "sl-spare"], check=True)


def test_the_kernel_tells_of_a_new_address_at_once(spare_link: str) -> None:
    def add_address() -> None:
        subprocess.run(["ip", "address", "add", "198.51.100.7/32", "dev", spare_link], check=True)

    async def main() -> None:
        machine = Machine()
        surroundings = Surroundings(
            machine.told.put_nowait, machine.told.put_nowait, address=machine._address, period=3600.0
        )
        machine.address = "10.9.9.9"
        await asyncio.to_thread(add_address)
        assert await machine.hears() is True
        surroundings.close()

    asyncio.run(main())

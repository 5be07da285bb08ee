from pathlib import Path

import pytest

from agents.pbx import SimulatorSettings
from agents.pbx.accounts import NumberPlan, make_subscribers, write_accounts
from agents.pbx.devices import Devices
from shared.errors import ConfigError


def start(directory: Path) -> tuple[NumberPlan, Devices]:
    """Do what a service does when it starts."""
    settings = SimulatorSettings(directory=directory)
    subscribers = make_subscribers(settings)
    write_accounts(settings, subscribers, wss_port=1)
    plan = NumberPlan(subscribers, main_number=settings.main_number)
    return plan, Devices(directory, plan)


def test_each_provisioned_device_has_credentials_of_its_own_and_the_same_address(tmp_path: Path) -> None:
    plan, devices = start(tmp_path)
    made = [devices.provision("101") for _ in range(2)]

    everybody = devices.of("101")
    assert [device.device_id for device in everybody[1:]] == [device.device_id for device in made]
    assert {device.username for device in everybody} == {"16505550100*101"}
    for name in ("device_id", "authorization_id", "password"):
        assert len({getattr(device, name) for device in everybody}) == 3
    assert plan.by_authorization_id(made[1].authorization_id) == devices.get(made[1].device_id) == made[1]


def test_devices_outlive_the_service(tmp_path: Path) -> None:
    _, devices = start(tmp_path)
    devices.provision("102")
    before = devices.of("102")
    assert (tmp_path / "devices.json").stat().st_mode & 0o777 == 0o600

    _, again = start(tmp_path)
    assert again.of("102") == before


def test_the_oldest_device_makes_room_and_the_account_file_stays_good(tmp_path: Path) -> None:
    plan, devices = start(tmp_path)
    oldest = devices.provision("101")
    for _ in range(200):
        devices.provision("101")
    assert len(devices.of("101")) == 201
    assert devices.get(oldest.device_id) is None
    assert plan.by_authorization_id(plan.subscribers["101"].authorization_id) is not None


def test_a_damaged_file_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "devices.json").write_text('[{"id"')
    _, devices = start(tmp_path)
    assert len(devices.of("101")) == 1


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    _, devices = start(tmp_path)
    (tmp_path / "devices.json").mkdir()
    with pytest.raises(ConfigError, match=r"devices\.json"):
        devices.provision("101")

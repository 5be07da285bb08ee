"""The service as a program, and its control API."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.pbx import Simulator
from agents.pbx.client import ControlClient
from agents.pbx.ledger import read_ledger
from agents.sip.events import SessionEnded
from shared.config import load_account
from shared.errors import ActionRefused, ConfigError

from .service import WITHIN, controlled, dial, happens, phone_of, simulate


def test_the_control_api_is_for_who_knows_the_token(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        file = simulator.settings.directory / "control.json"
        assert file.stat().st_mode & 0o077 == 0
        url = json.loads(file.read_text())["url"]
        async with httpx.AsyncClient(trust_env=False) as stranger:
            assert (await stranger.get(f"{url}/calls")).status_code == 401
            foreign = {"Host": "evil.example"}
            assert (await stranger.get(f"{url}/calls", headers=foreign)).status_code == 400
        async with controlled(simulator) as control:
            assert await control.calls() == []
            for robot_call in (control.robot("r99"), control.bindings("999"), control.drop("f99")):
                with pytest.raises(ActionRefused) as refused:
                    await robot_call
                assert refused.value.code == "no_such_call"
            (tmp_path / "bad.wav").write_text("no sound")
            for play in ("no.wav", "bad.wav"):
                with pytest.raises(ActionRefused) as refused:
                    await control.call("101", play=tmp_path / play)
                assert refused.value.code == "bad_request"
            async with httpx.AsyncClient(trust_env=False) as wellwisher:
                token = {"Authorization": f"Bearer {json.loads(file.read_text())['token']}"}
                for body in (b"{", b"{}", b"\xff", b'{"to":"1","fro":"2"}', b"x" * 70_000):
                    answered = await wellwisher.post(f"{url}/robots/call", content=body, headers=token)
                    assert answered.status_code == (413 if len(body) > 65_536 else 400)
                    assert answered.json()["error"]
                for query in ("until=never", "until=ended&timeout=x", "until=ended&timeout=1e9"):
                    answered = await wellwisher.get(f"{url}/robots/r1?{query}", headers=token)
                    assert answered.status_code == 400
                for method, path, status in (("GET", "/nothing", 404), ("PUT", "/flows", 405)):
                    answered = await wellwisher.request(method, url + path, headers=token)
                    assert (answered.status_code, path in answered.json()["error"]) == (status, True)

    simulate(tmp_path / "sim", story)
    with pytest.raises(ConfigError):
        ControlClient.from_directory(tmp_path / "sim")


def test_control_sees_and_drops_bindings_and_flows(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator, instance_id="urn:a/b c") as phone,
            controlled(simulator) as control,
        ):
            [binding] = await control.bindings("101")
            [flow] = await control.flows()
            assert (binding.instance_id, binding.flow) == ("urn:a/b c", flow.flow)
            assert 55 < binding.expires_in <= 60
            assert binding.via_host in phone.sent[0]
            await control.expire("101", "urn:a/b c")
            assert await control.bindings("101") == []
            with pytest.raises(ActionRefused):
                await control.expire("101", "urn:a/b c")
            await dial(phone, "199")
            ended = await phone.wait(SessionEnded)
            assert ended.status == 403
            assert await control.robots() == []
            await control.drop(flow.flow)
            await happens(simulator, "FLOW_CLOSED")
            assert await control.flows() == []

    simulate(tmp_path, story)


def run_program(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "agents.pbx", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_program_says_where_it_listens_and_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    program = run_program("--dir", str(tmp_path), "--extension", "103:16505550103")
    assert program.stdout is not None
    listening = json.loads(program.stdout.readline())
    assert listening["dir"] == str(tmp_path.resolve())
    assert load_account(tmp_path / "103.json").outbound_proxy == f"127.0.0.1:{listening['wss']}"

    taken = run_program("--dir", str(tmp_path / "other"), "--wss", str(listening["wss"]))
    _, complaint = taken.communicate(timeout=WITHIN)
    assert taken.returncode == 2
    assert "choose another port with --wss" in complaint
    assert len(complaint.splitlines()) == 1

    second = run_program("--dir", str(tmp_path))
    _, complaint = second.communicate(timeout=WITHIN)
    assert second.returncode == 2
    assert f"another simulated service (process {program.pid}) runs in {tmp_path}" in complaint
    assert len(complaint.splitlines()) == 1
    assert (tmp_path / "control.json").exists()

    program.terminate()
    _, complaint = program.communicate(timeout=WITHIN)
    assert (program.returncode, complaint) == (0, "")
    assert [entry.event for entry in read_ledger(tmp_path / "ledger.ndjson")] == [
        "SERVICE_STARTED",
        "SERVICE_STOPPED",
    ]


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["--extension", "101"], "bad extension '101'"),
        (["--extension", "101:1650555010x"], "bad extension"),
        (["--domain", "no such"], "bad domain"),
        (["--wss", "70000"], "bad wss_port"),
    ],
)
def test_the_program_names_a_bad_option_in_one_line(tmp_path: Path, arguments: list[str], cause: str) -> None:
    program = run_program("--dir", str(tmp_path), *arguments)
    _, complaint = program.communicate(timeout=WITHIN)
    assert program.returncode == 2
    assert cause in complaint
    assert len(complaint.splitlines()) == 1


def test_a_service_that_starts_again_keeps_accounts_and_authority(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        accounts.append(load_account(simulator.account_path("101")))
        authorities.append((tmp_path / "ca.pem").read_bytes())

    accounts: list[Any] = []
    authorities: list[bytes] = []
    simulate(tmp_path, story)
    simulate(tmp_path, story)
    assert accounts[0].password == accounts[1].password
    assert accounts[0].authorization_id == accounts[1].authorization_id
    assert authorities[0] == authorities[1]

"""The simulated service does wrong on purpose: what a phone sees of each fault, and what the ledger says."""

import asyncio
import json
import ssl
from pathlib import Path

import httpx
import pytest

from agents.pbx import Simulator
from agents.pbx.fault_orders import (
    KNOWN,
    Answer,
    Clock,
    Delay,
    HalfOpen,
    RefuseConnections,
    RefuseTls,
)
from agents.pbx.ledger import Entry
from agents.sip.events import InviteReceived, SessionConfirmed, SessionEnded
from agents.sip.registration import RegistrationChanged
from shared.clock import monotonic
from shared.errors import ActionRefused, ServiceUnreachable

from .service import answer, controlled, dial, of, phone_of, raw, refresh, register_text, simulate

# -- answers


@pytest.mark.parametrize(
    ("status", "line", "fields"),
    [
        (403, "SIP/2.0 403 Forbidden", {}),
        (408, "SIP/2.0 408 Request Timeout", {}),
        (423, "SIP/2.0 423 Interval Too Brief", {"min_expires": 120}),
        (480, "SIP/2.0 480 Temporarily Unavailable", {}),
        (500, "SIP/2.0 500 Server Internal Error", {}),
        (503, "SIP/2.0 503 Service Unavailable", {"retry_after": 7}),
        (603, "SIP/2.0 603 Too Many Contacts", {"reason": "Too Many Contacts"}),
    ],
)
def test_register_is_answered_as_ordered_and_then_as_ever(
    tmp_path: Path, status: int, line: str, fields: dict[str, object]
) -> None:
    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control:
            order = Answer(status=status, count=2, **fields)  # type: ignore[arg-type]  # of several types
            fault = await control.set_fault(order)
            assert (await control.faults())[0].order == order
            connection = await raw(simulator)
            for number in (1, 2):
                await connection.send(register_text(number))
                refused = await connection.recv()
                assert refused.startswith(line)
                assert ("Retry-After: 7" in refused) is (status == 503)
                assert ("Min-Expires: 120" in refused) is (status == 423)
            assert await control.faults() == []
            await connection.send(register_text(3))
            assert [(await connection.recv())[:11] for _ in range(2)] == ["SIP/2.0 100", "SIP/2.0 401"]
            await connection.close()
            assert fault.id == "x1"

    entries = simulate(tmp_path, story)
    assert [entry.status for entry in of(entries, "REGISTER")] == [status, status, 401]
    assert [entry.fault for entry in of(entries, "FAULT_APPLIED")] == ["x1", "x1"]
    assert [entry.reason for entry in of(entries, "FAULT_CLEARED")] == ["used up"]


def test_401_forever_comes_with_a_challenge_each_time_and_ends_when_it_is_cleared(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control:
            fault = await control.set_fault(Answer(status=401))
            phone = phone_of(simulator)
            await phone.connect()
            failed = await phone.wait(RegistrationChanged, lambda event: event.state == "failed")
            assert failed.status == 401
            challenges = [frame for frame in phone.received if "Www-Authenticate: Digest realm=" in frame]
            assert len(challenges) == len(phone.received) > 1
            await phone.close()
            assert (await control.faults())[0].applied == len(challenges)
            await control.clear_fault(fault.id)
            async with phone_of(simulator):
                pass

    assert not [entry for entry in simulate(tmp_path, story) if entry.bindings and entry.status == 401]


def test_a_refusal_is_for_one_extension_and_one_method(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control:
            await control.set_fault(Answer(method="INVITE", status=503, extension="101", count=1))
            await control.set_fault(Answer(status=403, extension="102"))
            async with phone_of(simulator, "101") as phone:
                await dial(phone, "78654")
                assert (await phone.wait(SessionEnded)).status == 503
                await dial(phone, "78654")
                assert (await phone.wait(SessionEnded)).status == 486
            other = phone_of(simulator, "102")
            await other.connect()
            await other.wait(RegistrationChanged, lambda event: event.status == 403)
            await other.close()

    entries = simulate(tmp_path, story)
    assert of(entries, "FAULT_APPLIED", method="INVITE", status=503)
    assert of(entries, "RESPONSE", direction="out", method="INVITE", status=503)


# -- connections


def test_a_half_open_connection_hears_and_says_nothing_until_the_fault_is_over(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control, phone_of(simulator, instance_id="line") as phone:
            [flow] = await control.flows()
            fault = await control.set_fault(HalfOpen(flow=flow.flow))
            before = len(phone.received)
            await phone.do(phone.core._registration.register)
            robot = await control.call("101")
            ping = await phone.socket._connection.ping()
            done, _ = await asyncio.wait([asyncio.ensure_future(ping)], timeout=1.5)
            assert not done
            assert len(phone.received) == before
            assert len(await control.flows()) == 1  # its own pings are not missed
            await control.clear_fault(fault.id)
            await phone.wait(RegistrationChanged, lambda event: event.state == "registered")
            await ping
            await phone.wait(InviteReceived)
            await control.hang_up(robot.id)

    simulate(tmp_path, story, ping_time=0.3, idle_time=0.3)


def test_another_process_replaces_a_half_open_one_and_the_fault_ends_with_the_connection(
    tmp_path: Path,
) -> None:
    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control:
            stuck = phone_of(simulator, instance_id="line")
            await stuck.register()
            await control.set_fault(HalfOpen(flow="f1"))
            async with phone_of(simulator, instance_id="line"):
                [binding] = await control.bindings("101")
                assert binding.flow == "f2"
                await control.drop("f1")
                await simulator.wait_for(lambda entry: entry.event == "FAULT_CLEARED")
                assert await control.faults() == []
            await stuck.close()

    [cleared] = of(simulate(tmp_path, story), "FAULT_CLEARED")
    assert cleared.reason == "flow closed"


def test_answers_leave_late_and_in_order(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control:
            await control.set_fault(Delay(ms=200))
            began = monotonic()
            async with phone_of(simulator) as phone:
                assert monotonic() - began >= 0.4  # the challenge, and the 200
                assert [line[8:11] for line in phone.statuses()] == ["100", "401", "100", "200"]
                await control.clear_faults()
                await phone.do(phone.core._registration.register)
                before = monotonic()
                await phone.wait(RegistrationChanged, lambda event: event.state == "registered")
                assert monotonic() - before < 0.2

    simulate(tmp_path, story)


def test_new_connections_are_refused_for_a_while_and_open_ones_stay(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control, phone_of(simulator) as phone:
            await control.set_fault(RefuseTls(seconds=600))
            with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
                await raw(simulator)
            await control.clear_faults()
            await control.set_fault(RefuseConnections(seconds=0.5))
            with pytest.raises(ConnectionRefusedError):
                await raw(simulator)
            with pytest.raises(ServiceUnreachable):
                await phone_of(simulator, "102").connect()
            await refresh(phone)
            await simulator.wait_for(lambda entry: entry.reason == "time over")
            async with phone_of(simulator, "102"):
                pass

    [refused] = of(simulate(tmp_path, story), "FLOW_REFUSED")
    assert refused.reason == "TLS refused: by a fault"


# -- the clock, and restarts


def test_a_faster_clock_ends_bindings_and_ringing_early(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            controlled(simulator) as control,
            phone_of(simulator, "101") as alice,
            phone_of(simulator, "102") as bob,
        ):
            await dial(alice, "102")
            await bob.wait(InviteReceived)
            await control.set_fault(Clock(factor=200))
            ended = await alice.wait(SessionEnded)
            assert (ended.cause, ended.status) == ("rejected", 480)
            for _ in range(2):
                await simulator.wait_for(
                    lambda entry: entry.event == "BINDING_EXPIRED" and not entry.bindings
                )
            assert await control.bindings("101") == await control.bindings("102") == []
            await control.clear_faults()

    began = monotonic()
    simulate(tmp_path, story, ring_time=30.0, expiry=60.0)
    assert monotonic() - began < 15


def test_a_restart_that_forgets_knows_neither_calls_nor_bindings(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control:
            phone = phone_of(simulator, instance_id="line")
            await phone.register()
            robot = await control.call("101")
            await answer(phone, await phone.wait(InviteReceived))
            await phone.wait(SessionConfirmed)
            port = simulator.wss_port
            await control.restart(forget=True, down=0.1)
            assert (await control.bindings("101"), await control.calls()) == ([], [])
            assert (await control.robot(robot.id, until="ended")).reason == "service restarted"
            assert simulator.wss_port == port
            await phone.silence()
            async with phone_of(simulator, instance_id="line"):
                assert len(await control.bindings("101")) == 1

    entries = simulate(tmp_path, story)
    assert [entry.event for entry in entries if entry.event.startswith("SERVICE")] == [
        "SERVICE_STARTED",
        "SERVICE_STOPPED",
        "SERVICE_STARTED",
        "SERVICE_STOPPED",
    ]
    assert not of(entries, "BYE", direction="out")


def test_a_restart_that_keeps_lets_phones_come_back_to_their_calls(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control, phone_of(simulator, instance_id="line") as phone:
            robot = await control.call("101")
            await answer(phone, await phone.wait(InviteReceived))
            await phone.wait(SessionConfirmed)
            restarting = asyncio.create_task(control.restart(forget=False, down=0.5))
            await simulator.wait_for(lambda entry: entry.event == "LEG_ADRIFT")
            with pytest.raises(ConnectionRefusedError):
                await raw(simulator)
            with pytest.raises(ActionRefused, match="restarting already"):
                await control.restart()
            await restarting
            await phone.register()
            assert len(await control.bindings("101")) == 1
            assert (await control.robot(robot.id)).state == "answered"
            await control.hang_up(robot.id)
            assert (await phone.wait(SessionEnded)).cause == "remote_bye"

    simulate(tmp_path, story)


# -- the API


def test_what_is_no_fault_is_refused_with_a_line_that_says_what_is(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        file = json.loads((simulator.settings.directory / "control.json").read_text())
        token = {"Authorization": f"Bearer {file['token']}"}
        async with httpx.AsyncClient(trust_env=False, headers=token, base_url=file["url"]) as http:
            for body in ('{"fault":"earthquake"}', "{}"):
                refused = await http.post("/faults", content=body)
                assert refused.status_code == 400
                assert all(kind in refused.json()["error"] for kind in KNOWN)
            for body in (
                '{"fault":"answer","status":200}',
                '{"fault":"answer","status":503,"seconds":1e9}',
                '{"fault":"answer","status":503,"reason":"a\\r\\nb"}',
                '{"fault":"clock","factor":0}',
                '{"fault":"clock","speed":2}',
                "\xff",
            ):
                assert (await http.post("/faults", content=body)).status_code == 400
            for body in (
                '{"fault":"half_open","flow":"f99"}',
                '{"fault":"answer","status":503,"extension":"9"}',
            ):
                assert (await http.post("/faults", content=body)).status_code == 404
            assert (await http.delete("/faults/x99")).status_code == 404
            assert (await http.post("/restart", content='{"down":1e9}')).status_code == 400
            for _ in range(32):
                assert (
                    await http.post("/faults", content='{"fault":"answer","status":503}')
                ).status_code == 201
            assert (await http.post("/faults", content='{"fault":"answer","status":503}')).status_code == 409
            assert (await http.delete("/faults")).status_code == 200
            assert (await http.get("/faults")).json() == []

    entries = simulate(tmp_path, story)
    assert len(of(entries, "FAULT_SET")) == len(of(entries, "FAULT_CLEARED")) == 32


def test_of_faults_that_exclude_each_other_the_newest_is_in_force(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control:
            await control.set_fault(Clock(factor=2))
            newest = await control.set_fault(Clock(factor=3))
            assert [fault.id for fault in await control.faults()] == [newest.id]
            assert simulator.pace.factor == 3
            await control.clear_faults()
            assert simulator.pace.factor == 1

    cleared: list[Entry] = of(simulate(tmp_path, story), "FAULT_CLEARED")
    assert [entry.reason for entry in cleared] == ["replaced", "by control"]

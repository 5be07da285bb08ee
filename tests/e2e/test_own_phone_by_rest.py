"""Windows of a group, as the service's REST side and its ringing calls know them."""

import asyncio
import shutil
from pathlib import Path

from agents.rest.client import RestClient
from coordinator.command.provision import provision, read_login
from coordinator.supervisor import Child
from shared.config import Account
from tests.e2e.stage import QUIET, SILENT, Stage, stage
from tests.e2e.test_provision import order_for


async def provisioned(line: Stage, extension: str, *options: str) -> tuple[Child, Account]:
    """Start a window of an extension with an account that was provisioned for it."""
    order = order_for(line.root / "service", extension)
    account = await provision(order, {})
    window = await line.supervisor.start_window(
        f"group-{extension}", str(order.account), "desk", *options, **line.env
    )
    await window.wait_for(lambda shown: shown.get("state") == "registered")
    return window, account


def test_a_window_answers_by_itself_when_rest_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage("--rest", "0") as line:
            window, account = await provisioned(line, "101", *QUIET)
            robot = await line.control.call("101")
            rung = await window.wait_for(lambda shown: shown["event"] == "inbound_call")
            [call] = await line.control.calls()
            order = order_for(line.root / "service", "101")
            assert account.device_id is not None
            async with RestClient(read_login(order, {})) as rest:
                session = await rest.session(call.session_id)
                await rest.answer_party(session.id, session.parties[1].id, account.device_id)
            assert (await line.control.robot(robot.id, until="answered")).state == "answered"
            await window.wait_for(
                lambda shown: shown["event"] == "call_ended", since=window.lines.index(rung)
            )
            views = await line.control.calls()
            assert [leg.state for leg in views[0].legs] == ["answered", "answered"]
            shutil.copy(line.root / "service" / "ledger.ndjson", tmp_path)

    asyncio.run(story())
    assert (tmp_path / "ledger.ndjson").read_text().count('"CALL_ANSWERED"') == 1


def test_a_window_answers_a_call_that_asks_for_it_and_dials_one_that_rest_has_begun() -> None:
    async def story() -> None:
        async with stage("--rest", "0") as line:
            window, account = await provisioned(line, "101", *QUIET)
            asked = await line.control.call("101", answer_after=200)
            assert (await line.control.robot(asked.id, until="answered")).state == "answered"
            await line.control.hang_up(asked.id)
            await window.wait_for(lambda shown: shown["event"] == "call_ended")

            assert account.device_id is not None
            async with RestClient(read_login(order_for(line.root / "service", "101"), {})) as rest:
                made = await rest.call_out(account.device_id, "199")
                await line.until(lambda: line.ledger("CALL_ANSWERED", leg="r2"))
                parties = (await rest.session(made.id)).parties
            assert [party.status.code for party in parties] == ["Answered", "Answered"]

    asyncio.run(story())


def test_a_windows_structured_reply_is_heard_and_its_answer_comes_back() -> None:
    async def story() -> None:
        async with stage("--rest", "0") as line:
            window, _account = await provisioned(line, "102", *SILENT)
            caller, _other = await provisioned(line, "101", *QUIET)
            assert (await caller.do("call 102"))["event"] == "done"
            await window.wait_for(lambda shown: shown["event"] == "inbound_call")
            window.tell("reply call_you_back to_caller 15 minutes")
            await line.until(lambda: line.ledger("CALL_DIVERTED"))
            await line.until(lambda: line.ledger("ROBOT_MEDIA", state="connected"))
            await caller.wait_for(lambda shown: "answered" in shown.get("calls", {}).values())
            async with asyncio.timeout(10):  # its sound may connect a moment after the service's
                while (await caller.do("dtmf 3"))["event"] != "done":  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.1)
            replied = await window.wait_for(lambda shown: shown.get("command") == "reply")
            assert (replied["event"], "yes" in str(replied)) == ("done", True), replied
            [diverted] = line.ledger("CALL_DIVERTED")
            assert diverted.reason == "replied: call back in 15 minutes, to the caller"

    asyncio.run(story())

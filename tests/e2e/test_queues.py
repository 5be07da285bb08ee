"""Call queues: numbers at which several extensions ring together."""

from pathlib import Path

from agents.pbx import Simulator
from agents.pbx.settings import Queue
from agents.sip.events import InviteReceived

from .service import answer, controlled, happens, of, phone_of, simulate


def test_all_members_of_a_queue_ring_one_answers_and_all_see_whose_call_it_was(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator, "101") as one,
            phone_of(simulator, "102") as other,
            controlled(simulator) as control,
        ):
            robot = await control.call("16505550200", name="ALICE")
            call = await one.wait(InviteReceived)
            await other.wait(InviteReceived)
            for phone in (one, other):
                frame = await phone.frame("INVITE sip:", "queue-call,reject")
                assert ";callerIdName=ALICE;" in frame
                assert ";queueName=Sales\r\n" in frame
            await answer(one, call)
            await other.frame("CANCEL sip:")
            assert (await control.robot(robot.id, until="answered")).state == "answered"
            await control.hang_up(robot.id)

    entries = simulate(tmp_path, story, queues=(Queue("200", "Sales", ("101", "102"), "16505550200"),))
    assert len(of(entries, "CALL_ANSWERED")) == 1


def test_a_member_that_was_cut_off_while_it_rang_is_rung_again(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        phone = phone_of(simulator, "102", instance_id="member")
        await phone.register()
        async with controlled(simulator) as control:
            robot = await control.call("200")
            await phone.wait(InviteReceived)
            phone.crash()
            await happens(simulator, "BINDING_UNREACHABLE")
            async with phone_of(simulator, "102", instance_id="member") as again:
                await again.wait(InviteReceived)
                await control.hang_up(robot.id)

    simulate(tmp_path, story, queues=(Queue("200", "Sales", ("101", "102")),))

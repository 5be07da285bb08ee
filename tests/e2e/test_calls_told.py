"""What windows are told of calls: ids, queues, calls that answer themselves, connections that break."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.media.analysis import find_tone
from agents.media.files import NullSink, Silence, WavSink, read_wav
from agents.media.specs import parse_source
from agents.media.webrtc import WebRtcSession
from agents.pbx.fault_orders import HalfOpen
from agents.pbx.settings import Queue
from agents.pbx.views import RobotCall
from coordinator import ActionRefused, Call, CallState, Cause, OutcomeUnknown, Phone

from .office import WITHIN, Office, office, ringing, same_call, tell


async def until(phone: Phone, call: Call, state: CallState) -> None:
    async with asyncio.timeout(WITHIN):
        await phone.until(lambda: call.state is state)


def test_a_call_that_the_service_wants_answered_is_answered_by_itself_in_one_window(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        real, dummy = await place.window("101"), await place.window("101", "second")
        robot = await place.simulator.desk.robot_call(RobotCall(to="101", answer_after=200))
        call = await ringing(dummy)
        await until(dummy, call, CallState.ANSWERED)
        await until(real, await same_call(real, call), CallState.ANSWERED)
        hosts = {phone.calls[0].view.media_host for phone in (real, dummy)}
        assert hosts == {real.instance}
        await place.heard(robot, 0.5)
        await call.hangup()

    tell(tmp_path, story)


def test_the_far_end_sees_the_caller_id_and_both_ends_know_the_services_ids(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        caller, called = await place.window("101"), await place.window("102")
        outgoing = await caller.dial("102", caller_id="16505550100", headers=[("X-Case", "77")])
        call = await ringing(called)
        assert (call.remote_number, call.local_name) == ("+16505550100", "Extension 102")
        await until(caller, outgoing, CallState.RINGING)
        assert outgoing.session_id == call.session_id != ""
        assert (outgoing.party_id[-2:], call.party_id[-2:]) == ("-1", "-2")
        assert call.attributes == {"reject", "send-vm"}
        await outgoing.hangup()
        async with asyncio.timeout(WITHIN):
            assert await call.ended() is Cause.CANCELLED
        assert call.ending == "ended: the caller gave up"

    tell(tmp_path, story)


def test_a_queue_call_says_which_queue_and_can_only_be_answered_or_declined(tmp_path: Path) -> None:
    async def main() -> None:
        queue = Queue("500", "Sales", ("101", "102"))
        async with office(tmp_path, queues=(queue,)) as place:
            one, other = await place.window("101"), await place.window("102")
            await place.robot_calls("500")
            call, lost = await ringing(one), await ringing(other)
            assert call.is_queue_call
            assert call.call_info["queueName"] == "Sales"
            with pytest.raises(ActionRefused) as caught:
                await call.to_voicemail()
            assert caught.value.code == "not_allowed"
            await call.answer()
            async with asyncio.timeout(WITHIN):
                assert await lost.ended() is Cause.ANSWERED_ELSEWHERE
            assert lost.ending == "ended: answered elsewhere"

    asyncio.run(main())


def test_a_branded_service_that_answers_late_keeps_the_call_ringing_until_then(tmp_path: Path) -> None:
    async def main() -> None:
        async with office(tmp_path, robot_answer_delay=1.0) as place:
            phone = await place.window("101")
            call = await phone.dial("199")
            await until(phone, call, CallState.RINGING)
            began = asyncio.get_running_loop().time()
            await call.answered()
            assert asyncio.get_running_loop().time() - began > 0.5

    asyncio.run(main())


@pytest.mark.parametrize("verb", ["hold", "start_recording", "transfer"])
def test_a_verb_that_a_lost_connection_cuts_is_unknown_and_the_call_goes_on(
    tmp_path: Path, verb: str
) -> None:
    async def story(place: Office) -> None:
        real, dummy = await place.window("101"), await place.window("101", "second")
        await place.robot_calls("101")
        await (await ringing(real)).answer()
        call = await same_call(dummy, real.calls[0])
        [flow] = [view.flow for view in place.simulator.desk.flows()]
        await place.happened("ACK")  # before that, a call ends with its connection
        place.simulator.desk.set_fault(HalfOpen(flow=flow, seconds=30))
        acting = asyncio.ensure_future(getattr(call, verb)(*(["102"] if verb == "transfer" else [])))
        await asyncio.sleep(0.2)  # the request has left, and nobody answers it
        place.simulator.desk.drop(flow)
        with pytest.raises(OutcomeUnknown):
            await acting
        assert not call.held
        await place.happened("LEG_CONTINUED")
        await call.hold()
        assert call.held

    tell(tmp_path, story)


def test_sound_before_the_answer_is_heard_and_goes_on_when_the_answer_says_the_same(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"

    async def main() -> None:
        local = {"addresses": ("127.0.0.1",)}
        caller = WebRtcSession(Silence(), WavSink(heard), **local)  # type: ignore[arg-type]
        service = WebRtcSession(parse_source("tone:440")(), NullSink(), **local)  # type: ignore[arg-type]
        try:
            early = await service.answer(await caller.offer())
            await caller.apply(early)  # as of a 183
            await becomes(lambda: caller.state == "connected")
            await becomes(lambda: find_tone(read_wav(heard), 440.0) is not None)
            at = len(read_wav(heard)) / 96_000
            await caller.apply(early)  # and once more, as of the 200
            await becomes(lambda: find_tone(read_wav(heard), 440.0, after=at + 0.2) is not None)
            assert caller.state == "connected"
        finally:
            await caller.close()
            await service.close()

    asyncio.run(main())


async def becomes(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.05)

"""Phones whose connection dies: what becomes of their bindings and calls, and who may go on with them."""

from pathlib import Path

from agents.pbx import Simulator
from agents.sip.events import InviteReceived, ReinviteDone, ReinviteReceived, SessionEnded
from shared.clock import monotonic

from .service import (
    answer,
    controlled,
    happens,
    of,
    phone_of,
    reinvite,
    simulate,
    take_over,
    talk,
    talk_with_robot,
)


def test_a_binding_whose_connection_died_is_kept_unreachable_until_it_expires(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        phone = phone_of(simulator)
        await phone.register()
        phone.crash()
        lost = await happens(simulator, "BINDING_UNREACHABLE")
        assert (lost.bindings, lost.reachable) == (1, 0)
        closed = await happens(simulator, "FLOW_CLOSED")
        assert (closed.instance_id, closed.via_host) == (phone.instance_id, lost.via_host)
        assert closed.via_host
        expired = await happens(simulator, "BINDING_EXPIRED")
        assert expired.bindings == 0
        async with controlled(simulator) as control:
            assert await control.bindings("101") == []

    simulate(tmp_path, story, expiry=1.0)


def test_another_process_with_the_same_instance_id_continues_the_call(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control:
            first = phone_of(simulator, instance_id="line")
            await first.register()
            robot, session = await talk_with_robot(control, first)
            dialog = first.core.export_session(session)
            first.crash()
            await happens(simulator, "LEG_ADRIFT")

            async with phone_of(simulator, instance_id="line") as second:
                await take_over(second, dialog)
                await happens(simulator, "LEG_CONTINUED")
                await second.until_connected()
                assert (await control.robot(robot.id)).state == "answered"
                await control.hang_up(robot.id)
                assert (await second.wait(SessionEnded)).cause == "remote_bye"
            await first.silence()

    entries = simulate(tmp_path, story)
    assert not [entry for entry in entries if (entry.bindings or 0) > 1]
    assert of(entries, "BYE", direction="out")[0].flow == "f2"


def test_a_stopped_process_that_was_replaced_hears_nothing_more(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            controlled(simulator) as control,
            phone_of(simulator, instance_id="line") as stopped,
        ):
            robot, session = await talk_with_robot(control, stopped)
            heard = len(stopped.received)
            async with phone_of(simulator, instance_id="line") as leader:
                await take_over(leader, stopped.core.export_session(session))
                another = await control.call("101")
                await leader.wait(InviteReceived)
                await control.hang_up(robot.id)
                await control.hang_up(another.id)
                await leader.wait(SessionEnded, lambda event: event.cause == "remote_bye")
                await leader.wait(SessionEnded, lambda event: event.cause == "remote_cancel")
            # Its own agent message (Cmd 7) may have been on its way; nothing of the new leader's time is.
            assert not [frame for frame in stopped.received[heard:] if not frame.startswith("MESSAGE ")]

    entries = simulate(tmp_path, story)
    assert [entry.flow for entry in of(entries, "INVITE", direction="out")] == ["f1", "f2"]
    assert [entry.flow for entry in of(entries, "BYE", direction="out")] == ["f2"]


def test_a_continued_call_whose_sound_passes_by_the_service_is_offered_anew_to_the_far_phone(
    tmp_path: Path,
) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator, "102") as bob:
            first = phone_of(simulator, instance_id="line")
            await first.register()
            session, _ = await talk(first, bob)
            dialog = first.core.export_session(session)
            first.crash()
            async with phone_of(simulator, instance_id="line") as second:
                session = second.core.restore_session(dialog)
                offer = await second.sound().offer()
                await second.do(lambda now: second.core.reinvite(session, offer, now))
                asked = await bob.wait(ReinviteReceived)
                assert bob.media is not None
                sdp = await bob.media.answer(asked.sdp)
                await bob.do(lambda now: bob.core.accept_reinvite(asked.session_id, sdp, now))
                done = await second.wait(ReinviteDone)
                assert (done.status, done.sdp) == (200, sdp)
                assert second.media is not None
                await second.media.apply(done.sdp)
                await second.until_connected()

                elsewhere = offer.replace("ufrag:", "ufrag:x")
                await second.do(lambda now: second.core.reinvite(session, elsewhere, now))
                asked = await bob.wait(ReinviteReceived)
                await bob.do(lambda now: bob.core.reject_reinvite(asked.session_id, 488, now))
                assert (await second.wait(ReinviteDone)).status == 488

                bob.crash()
                await happens(simulator, "LEG_ADRIFT", extension="102")
                assert (await reinvite(second, session, offer.replace("ufrag:", "ufrag:y"))).status == 480
            await first.silence()

    simulate(tmp_path, story, direct_media=True)


def test_a_call_whose_phone_never_comes_back_ends_after_the_grace(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator, "102") as bob, controlled(simulator) as control:
            alice = phone_of(simulator, "101")
            await alice.register()
            await talk(alice, bob)
            alice.crash()
            await happens(simulator, "LEG_ADRIFT")
            assert [leg.adrift for leg in (await control.calls())[0].legs] == [True, False]
            assert (await bob.wait(SessionEnded)).cause == "remote_bye"
            await alice.silence()

    [ended] = of(simulate(tmp_path, story, flow_grace=1.0), "CALL_ENDED")
    assert ended.reason == "connection lost"


def test_a_phone_that_came_back_without_its_calls_loses_them_after_the_grace(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control:
            first = phone_of(simulator, instance_id="line")
            await first.register()
            robot, _ = await talk_with_robot(control, first)
            first.crash()
            async with phone_of(simulator, instance_id="line"):
                view = await control.robot(robot.id, until="ended")
                assert view.reason == "call unknown to the phone"
            await first.silence()

    entries = simulate(tmp_path, story, flow_grace=1.0)
    assert len(of(entries, "OPTIONS", direction="out")) == 1


def test_a_phone_that_reconnects_keeps_its_calls_without_a_reinvite(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            controlled(simulator) as control,
            phone_of(simulator, instance_id="line") as phone,
        ):
            robot, _ = await talk_with_robot(control, phone)
            [flow] = await control.flows()
            await control.drop(flow.flow)
            await happens(simulator, "LEG_ADRIFT")
            await phone.register()
            await happens(simulator, "RESPONSE", method="OPTIONS")
            assert (await control.robot(robot.id)).state == "answered"
            await control.hang_up(robot.id)
            assert (await phone.wait(SessionEnded)).cause == "remote_bye"

    simulate(tmp_path, story, flow_grace=1.0)


def test_a_robot_whose_phone_vanished_can_be_hung_up(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control:
            phone = phone_of(simulator)
            await phone.register()
            robot, _ = await talk_with_robot(control, phone)
            phone.crash()
            await happens(simulator, "LEG_ADRIFT")
            await control.hang_up(robot.id)
            assert (await control.robot(robot.id)).state == "ended"
            assert await control.calls() == []
            await phone.silence()

    entries = simulate(tmp_path, story)
    assert of(entries, "UNDELIVERED", direction="out")
    assert not of(entries, "BYE", direction="out")


def test_a_phone_that_lost_its_connection_while_ringing_rings_again_when_it_is_back(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with controlled(simulator) as control:
            first = phone_of(simulator, instance_id="line")
            await first.register()
            robot = await control.call("101")
            await first.wait(InviteReceived)
            first.crash()
            async with phone_of(simulator, instance_id="line") as second:
                await answer(second, await second.wait(InviteReceived))
                assert (await control.robot(robot.id, until="answered")).state == "answered"
                await control.hang_up(robot.id)

    simulate(tmp_path, story)


def test_the_service_stops_at_once_although_a_phone_does_not_answer_what_it_is_asked(tmp_path: Path) -> None:
    stopped: list[float] = []

    async def story(simulator: Simulator) -> None:
        alice, bob = phone_of(simulator, "101"), phone_of(simulator, "102")
        for phone in (alice, bob):
            await phone.register()
        session, _ = await talk(alice, bob)
        headers = [("Content-Type", "application/json;charset=utf-8")]
        body = '{"request":{"reqid":1,"command":"callpark"}}'
        await alice.do(
            lambda now: alice.core.request_in_dialog(session, "INFO", now, headers=headers, body=body)
        )
        await bob.wait(ReinviteReceived)  # to hear music
        for phone in (alice, bob):
            await phone.silence()
            for task in phone._tasks:
                task.cancel()
        stopped.append(monotonic())

    simulate(tmp_path, story, direct_media=True)
    assert monotonic() - stopped[0] < 10

"""Calls whose sound passes the service: what each end hears, found by frequency."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agents.media.analysis import tone_level
from agents.media.files import ToneSource, WavSink, read_wav
from agents.pbx import Simulator
from agents.pbx.ledger import Entry
from agents.pbx.media.tones import MUSIC_HZ, RINGBACK_HZ
from agents.sip.events import (
    InviteReceived,
    ReinviteDone,
    ReinviteReceived,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionProgress,
)

from .speaker import Speaker, connected, simulate

ADA_HZ, BOB_HZ = 1000.0, 1500.0


@asynccontextmanager
async def two(simulator: Simulator, directory: Path) -> AsyncIterator[tuple[Speaker, Speaker]]:
    """Return phones of 101 and 102."""
    async with (
        Speaker(simulator, "101", ADA_HZ, directory) as ada,
        Speaker(simulator, "102", BOB_HZ, directory) as bob,
    ):
        yield ada, bob


def of(entries: list[Entry], event: str) -> list[Entry]:
    return [entry for entry in entries if entry.event == event]


def test_two_phones_hear_each_other_through_the_service_whose_descriptions_they_get(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with two(simulator, tmp_path) as (ada, bob):
            await connected(ada, bob)
            await asyncio.gather(ada.hears(BOB_HZ), bob.hears(ADA_HZ))
            seen = "".join(ada.received + bob.received)
            assert not any(f"ice-ufrag:{phone.fragment}" in seen for phone in (ada, bob))
            await bob.do(lambda now: bob.core.hangup(bob.session, now))
            assert (await ada.wait(SessionEnded)).cause == "remote_bye"

    simulate(tmp_path, story)


def test_packets_between_two_phones_with_opus_are_passed_on_as_they_are(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with two(simulator, tmp_path) as (ada, bob):
            await connected(ada, bob)
            await bob.hears(ADA_HZ)
            lines = [leg.party for call in simulator.live_calls() for leg in (call.caller, call.callees[0])]
            assert [line._in.stats.lost for line in lines] == [0, 0]  # type: ignore[union-attr]
            assert all(not line._in._decoders for line in lines)  # type: ignore[union-attr]
            await ada.do(lambda now: ada.core.hangup(ada.session, now))
            await bob.wait(SessionEnded)

    simulate(tmp_path, story)


def test_keys_pass_the_service_both_ways(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        keys: dict[str, list[str]] = {"ada": [], "bob": []}
        async with two(simulator, tmp_path) as (ada, bob):
            await connected(ada, bob)
            await asyncio.gather(ada.hears(BOB_HZ), bob.hears(ADA_HZ))
            for name, phone in (("ada", ada), ("bob", bob)):
                assert phone.media is not None
                phone.media._on_tone = keys[name].append
            await asyncio.gather(ada.media.dtmf("12#"), bob.media.dtmf("9*"))  # type: ignore[union-attr]
            await asyncio.gather(ada.hears(BOB_HZ), bob.hears(ADA_HZ))
            await ada.do(lambda now: ada.core.hangup(ada.session, now))
            await bob.wait(SessionEnded)
        assert keys == {"ada": ["9", "*"], "bob": ["1", "2", "#"]}

    simulate(tmp_path, story)


def test_the_held_one_hears_music_and_nothing_of_the_holder_who_hears_nothing(tmp_path: Path) -> None:
    marks: list[float] = []

    async def story(simulator: Simulator) -> None:
        async with two(simulator, tmp_path) as (ada, bob):
            await connected(ada, bob)
            await asyncio.gather(ada.hears(BOB_HZ), bob.hears(ADA_HZ))
            await ada.direct("sendonly")
            marks.extend(len(phone.heard()) / 96_000 + 0.5 for phone in (ada, bob))
            await bob.hears(*MUSIC_HZ)
            marks.extend(len(phone.heard()) / 96_000 - 0.1 for phone in (ada, bob))
            await ada.direct("sendrecv")
            await asyncio.gather(ada.hears(BOB_HZ), bob.hears(ADA_HZ))
            await ada.do(lambda now: ada.core.hangup(ada.session, now))
            await bob.wait(SessionEnded)
            await asyncio.gather(ada.silence(), bob.silence())
            held = [
                phone.heard()[int(begin * 48_000) * 2 : int(end * 48_000) * 2]
                for phone, begin, end in zip((ada, bob), marks[:2], marks[2:], strict=True)
            ]
            assert tone_level(held[0], BOB_HZ) < 0.01
            assert tone_level(held[1], ADA_HZ) < 0.01
            assert not [event for event in bob.events if isinstance(event, ReinviteReceived)]

    assert len(of(simulate(tmp_path, story), "LEG_HELD")) == 1


def test_an_early_caller_hears_ringback_with_the_183_and_the_callee_with_the_200(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with two(simulator, tmp_path) as (ada, bob):
            await ada.dial("102")
            call = await bob.wait(InviteReceived)
            progress = await ada.wait(SessionProgress)
            assert progress.status == 183
            assert ada.media is not None
            await ada.media.apply(progress.sdp)
            await ada.until_connected()
            await ada.hears_together(*RINGBACK_HZ)
            await bob.take(call)
            answered = await ada.wait(SessionAnswered)
            assert answered.sdp == progress.sdp
            await ada.hears(BOB_HZ)
            await ada.do(lambda now: ada.core.hangup(ada.session, now))
            await bob.wait(SessionEnded)

    simulate(tmp_path, story)


def test_a_caller_who_is_answered_at_once_hears_ringback_and_then_that_nobody_answers(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with two(simulator, tmp_path) as (ada, bob):
            await ada.dial("102")
            await ada.connect_answered()
            await ada.until_connected()
            await bob.wait(InviteReceived)
            await ada.hears_together(*RINGBACK_HZ)
            assert (await bob.wait(SessionEnded)).cause == "remote_cancel"
            await ada.hears(852.0, seconds=0.1)
            assert (await ada.wait(SessionEnded)).cause == "remote_bye"

    simulate(tmp_path, story, answer_at_once=True, ring_time=2.0)


def test_a_bad_number_is_refused_even_where_callers_are_answered_at_once(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with two(simulator, tmp_path) as (ada, _bob):
            await ada.dial("78654")
            assert (await ada.wait(SessionEnded)).status == 486
            assert not [event for event in ada.events if isinstance(event, SessionAnswered)]

    simulate(tmp_path, story, answer_at_once=True)


def test_an_invite_without_an_offer_gets_ours_and_an_answer_without_candidates_will_do(
    tmp_path: Path,
) -> None:
    async def story(simulator: Simulator) -> None:
        async with two(simulator, tmp_path) as (ada, bob):
            ada.session = await ada.do(lambda now: ada.core.invite("102", "", now=now))
            await bob.take(await bob.wait(InviteReceived), without_candidates=True)
            await bob.until_connected()
            answered = await ada.wait(SessionAnswered)
            assert "a=setup:actpass" in answered.sdp
            await ada.do(lambda now: ada.core.hangup(ada.session, now))
            await bob.wait(SessionEnded)

    simulate(tmp_path, story)


def test_a_phone_that_is_called_without_an_offer_makes_one_and_has_the_answer_with_the_ack(
    tmp_path: Path,
) -> None:
    async def story(simulator: Simulator) -> None:
        async with two(simulator, tmp_path) as (ada, bob):
            await ada.dial("102")
            call = await bob.wait(InviteReceived)
            assert call.sdp == ""
            offer = await bob.sound(ToneSource(bob.hz), WavSink(bob.recording)).offer()
            bob.session = call.session_id
            await bob.do(lambda now: bob.core.answer(bob.session, offer, now))
            confirmed = await bob.wait(SessionConfirmed)
            assert bob.media is not None
            await bob.media.apply(confirmed.sdp)
            await ada.connect_answered()
            await asyncio.gather(ada.hears(BOB_HZ), bob.hears(ADA_HZ))
            await ada.hang_up()
            await bob.wait(SessionEnded)

    simulate(tmp_path, story, ask_for_offers=True)


def test_a_process_that_continues_a_call_has_its_sound_and_the_far_end_notices_nothing(
    tmp_path: Path,
) -> None:
    async def story(simulator: Simulator) -> None:
        async with Speaker(simulator, "102", BOB_HZ, tmp_path) as bob:
            first = Speaker(simulator, "101", ADA_HZ, tmp_path, instance_id="line")
            await first.register()
            await connected(first, bob)
            await bob.wait(SessionConfirmed)
            await bob.hears(ADA_HZ)
            dialog = first.core.export_session(first.session)
            first.crash()
            async with Speaker(simulator, "101", 1200.0, tmp_path, instance_id="line") as second:
                second.session = second.core.restore_session(dialog)
                offer = await second.sound(ToneSource(1200.0), WavSink(second.recording)).offer()
                await second.do(lambda now: second.core.reinvite(second.session, offer, now))
                done = await second.wait(ReinviteDone)
                assert second.media is not None
                await second.media.apply(done.sdp)
                await asyncio.gather(bob.hears(1200.0), second.hears(BOB_HZ))
                assert not [event for event in bob.events if isinstance(event, ReinviteReceived)]
                await second.do(lambda now: second.core.hangup(second.session, now))
                await bob.wait(SessionEnded)
            await first.silence()

    simulate(tmp_path, story)


def test_a_call_of_two_phones_is_recorded_with_both_sides_and_the_ledger_tells(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with two(simulator, tmp_path) as (ada, bob):
            await connected(ada, bob)
            await bob.hears(ADA_HZ)
            for number, command in enumerate(("startcallrecord", "stopcallrecord")):
                body = f'{{"request":{{"reqid":{number},"command":"{command}"}}}}'
                headers = [("Content-Type", "application/json;charset=utf-8")]
                await ada.do(
                    lambda now, body=body, headers=headers: ada.core.request_in_dialog(  # type: ignore[misc]
                        ada.session, "INFO", now, headers=headers, body=body
                    )
                )
                await ada.frame("INFO sip:", f'"reqid":{number}', '"code":0')
                await asyncio.sleep(1.5)  # the length of the recording
            await ada.do(lambda now: ada.core.hangup(ada.session, now))
            await bob.wait(SessionEnded)

    entries = simulate(tmp_path, story)
    [started], [ended] = of(entries, "RECORDING_STARTED"), of(entries, "RECORDING_ENDED")
    assert started.recording == ended.recording
    sound = read_wav(tmp_path / "recordings" / f"{started.recording}.wav")
    assert 1.3 < len(sound) / 96_000 < 2.5
    assert tone_level(sound, ADA_HZ) > 0.15
    assert tone_level(sound, BOB_HZ) > 0.15


def test_a_message_is_as_long_as_it_may_be_and_the_mailbox_hangs_up(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with two(simulator, tmp_path) as (ada, _bob):
            await ada.dial("102")
            await _bob.wait(InviteReceived)
            [call] = simulator.live_calls()
            call.divert("to voicemail")
            call.ring_robot("voicemail", longest=1.0)
            await ada.connect_answered()
            assert (await ada.wait(SessionEnded)).cause == "remote_bye"

    simulate(tmp_path, story)
    [message] = (tmp_path / "recordings").glob("*.wav")
    assert len(read_wav(message)) == 96_000


def test_a_call_in_excess_of_the_recorders_is_not_recorded(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with two(simulator, tmp_path) as (ada, bob):
            for phone, number in ((ada, "199"), (bob, "199")):
                await phone.dial(number)
                await phone.connect_answered()
                await phone.until_connected()
            assert simulator.recorders.busy == 1
            for phone in (ada, bob):
                await phone.do(lambda now, phone=phone: phone.core.hangup(phone.session, now))  # type: ignore[misc]
                await phone.wait(SessionEnded)

    simulate(tmp_path, story, max_recorders=1)
    assert len(list((tmp_path / "recordings").glob("*.wav"))) == 1


def test_with_direct_media_the_phones_have_each_others_descriptions_and_hear_each_other(
    tmp_path: Path,
) -> None:
    async def story(simulator: Simulator) -> None:
        async with two(simulator, tmp_path) as (ada, bob):
            await connected(ada, bob)
            await asyncio.gather(ada.hears(BOB_HZ), bob.hears(ADA_HZ))
            assert len(simulator.board) == 0
            await bob.frame("INVITE sip:", f"a=ice-ufrag:{ada.fragment}")
            await ada.do(lambda now: ada.core.hangup(ada.session, now))
            await bob.wait(SessionEnded)

    simulate(tmp_path, story, direct_media=True)

"""The phone alone in one process: registered, called and calling, and gone when it is disposed."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from agents.media.analysis import find_tone
from agents.media.files import read_wav
from agents.pbx.views import RobotCall
from coordinator import (
    AccountError,
    ActionRefused,
    Call,
    CallState,
    Cause,
    RegistrationFailed,
    RegistrationState,
    ServiceUnreachable,
    Settings,
    WebPhone,
)

from .office import FAREWELL, WITHIN, Office, tell
from .stage import stage
from .test_examples import line_with, start_example

QUIET: dict[str, Any] = {"microphone": "silence", "loudspeaker": "none"}


def settings(directory: Path) -> Settings:
    return Settings(runtime_dir=directory / "run", state_dir=directory / "state")


def web_phone(place: Office, extension: str = "101", **options: Any) -> WebPhone:
    """Return a phone of an extension, without real devices."""
    path = place.simulator.account_path(extension)
    return WebPhone(path, settings=settings(place.directory), **QUIET | options)


def test_a_web_phone_calls_and_is_called_with_sound_and_leaves_no_binding_and_no_file(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"

    async def story(place: Office) -> None:
        async with web_phone(place, microphone="tone:440", loudspeaker=f"wav:{heard}") as phone:
            assert phone.registration.state is RegistrationState.REGISTERED
            assert phone.role == "real"
            rung: asyncio.Queue[Call] = asyncio.Queue()
            phone.on("inbound_call", rung.put_nowait)
            robot = await place.simulator.desk.robot_call(RobotCall(to="101", play=str(FAREWELL)))
            async with asyncio.timeout(WITHIN):
                inbound = await rung.get()
            await inbound.answer()
            await inbound.connected()
            await place.heard(robot, 2.0)
            assert find_tone(read_wav(await place.recording(robot)), 440.0) is not None
            assert await inbound.ended() is Cause.HUNG_UP_THERE
            assert find_tone(read_wav(heard), 697.0) is not None
            outbound = await phone.call("199")
            await outbound.hold()
            assert outbound.held
            await outbound.unhold()
            await outbound.hangup()
            assert outbound.ending == "ended: hung up here"
        assert place.simulator.desk.bindings("101") == []
        assert not (tmp_path / "run").exists()

    tell(tmp_path, story)


@pytest.mark.parametrize("form", ["path", "text", "mapping", "provision"])
def test_sip_info_may_be_a_path_a_text_a_mapping_or_the_whole_provisioning(tmp_path: Path, form: str) -> None:
    async def story(place: Office) -> None:
        path = place.simulator.account_path("101")
        info = json.loads(path.read_text()) | {"caFile": str(path.parent / "ca.pem")}
        forms: dict[str, Any] = {
            "path": str(path),
            "text": json.dumps(info),
            "mapping": info,
            "provision": json.dumps({"device": {"id": "1"}, "sipInfo": [info]}),
        }
        async with WebPhone(forms[form], settings=settings(tmp_path), **QUIET) as phone:
            assert phone.registration.state is RegistrationState.REGISTERED

    tell(tmp_path, story)


def test_a_web_phone_keeps_its_instance_id_and_a_given_one_is_used(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        seen = []
        for _ in range(2):
            async with web_phone(place):
                seen += [binding.instance_id for binding in place.simulator.desk.bindings("101")]
        assert seen[0] == seen[1]
        async with web_phone(place, instance_id="11111111-2222-3333-4444-555555555555"):
            [binding] = place.simulator.desk.bindings("101")
            assert "11111111-2222" in binding.instance_id

    tell(tmp_path, story)


def test_disposing_hangs_up_unregisters_and_makes_every_verb_an_error(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        phone = web_phone(place)
        with pytest.raises(ActionRefused, match="not started"):
            await phone.dial("199")
        await phone.start()
        with pytest.raises(ActionRefused, match="started once"):
            await phone.start()
        call = await phone.call("199")
        await asyncio.gather(phone.dispose(), phone.dispose())
        await phone.dispose()
        assert phone.is_disposed
        with pytest.raises(ActionRefused):
            await call.hold()
        with pytest.raises(ActionRefused):
            await phone.start()
        assert place.simulator.desk.bindings("101") == []

    entries = tell(tmp_path, story)
    farewell = [entry.event for entry in entries if entry.event in ("BYE", "UNREGISTER")]
    assert farewell == ["BYE", "UNREGISTER", "UNREGISTER"]  # the second one with the answer to the challenge


def test_disposing_does_not_hang_on_a_service_that_says_nothing_any_more() -> None:
    async def main() -> None:
        async with stage() as it:
            phone = WebPhone(it.account, settings=it.settings, **QUIET)
            await phone.start()
            await phone.call("199")
            os.kill(it.service.pid, signal.SIGSTOP)
            try:
                began = asyncio.get_running_loop().time()
                await phone.dispose()
                assert asyncio.get_running_loop().time() - began < 6.0
            finally:
                os.kill(it.service.pid, signal.SIGCONT)

    asyncio.run(main())


def test_a_web_phone_that_cannot_register_says_why_and_can_be_disposed(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        path = place.simulator.account_path("101")
        info = json.loads(path.read_text()) | {"caFile": str(path.parent / "ca.pem"), "password": "wrong"}
        with pytest.raises(RegistrationFailed):
            async with WebPhone(info, settings=settings(tmp_path), **QUIET):
                pass
        with pytest.raises(ServiceUnreachable):
            async with WebPhone(
                info | {"outboundProxy": "127.0.0.1:9"}, settings=settings(tmp_path), **QUIET
            ):
                pass

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("sip_info", "text"),
    [("{", "sip_info is not JSON"), ({"username": "x"}, "sip_info is incomplete"), (3, "expected JSON text")],
)
def test_a_sip_info_that_cannot_be_used_is_an_error_with_its_reason(sip_info: Any, text: str) -> None:
    with pytest.raises(AccountError, match=text):
        WebPhone(sip_info, microphone=None)


def test_a_web_phone_without_sound_shows_calls_and_can_send_them_away(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        async with web_phone(place, microphone=None) as phone:
            await place.robot_calls("101")
            async with asyncio.timeout(WITHIN):
                await phone.until(lambda: bool(phone.calls))
            [call] = phone.calls
            assert call.state is CallState.RINGING
            with pytest.raises(ActionRefused) as caught:
                await call.answer()
            assert caught.value.code == "no_media"
            await call.to_voicemail()
            assert call.cause is Cause.VOICEMAIL

    tell(tmp_path, story)


def test_a_secretary_tells_callers_when_we_are_back_and_prints_what_they_chose(tmp_path: Path) -> None:
    async def story(place: Office) -> None:
        account = place.simulator.account_path("101")
        program = await start_example("secretary.py", tmp_path, str(account))
        try:
            await line_with(program, "waiting for calls as registered")
            guest = await place.window("102")
            call = await guest.call("101")
            await call.connected()
            await call.send_dtmf("516505550177#1")
            assert await line_with(program, "urgent 16505550177")
        finally:
            program.terminate()
            await program.wait()

    tell(tmp_path, story)

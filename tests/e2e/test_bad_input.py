"""What users and strangers get wrong: one clear line or one typed error each, and nobody else notices."""

import asyncio
import json
import os
import shutil
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from coordinator import (
    AccountError,
    ActionRefused,
    CertificateUntrusted,
    GroupError,
    RegistrationFailed,
    ServiceUnreachable,
    join,
)
from coordinator.supervisor import Child

from .stage import GROUP, SILENT, Stage, assert_polite, events, stage

WITHIN = 20.0


def spoiled(it: Stage, **changes: Any) -> Path:
    """Write a copy of the account with other fields; None removes one."""
    fields = json.loads(it.account.read_text()) | changes
    path = it.root / f"spoiled-{len(list(it.root.iterdir()))}.json"
    if fields.get("caFile"):
        fields["caFile"] = str(it.account.with_name(fields["caFile"]))
    path.write_text(json.dumps({name: value for name, value in fields.items() if value is not None}))
    return path


async def fails(it: Stage, account: Path, status: int, *named: str, group: str = "other") -> str:
    """Join by the command line; it must end with ``status`` and one line on standard error."""
    arguments = ("join", group, "--account", str(account), *SILENT, "--json")
    child = await it.supervisor.start("spoiled", *arguments, env=it.env)
    assert await child.ended(WITHIN) == status, child.errors
    [line] = child.errors.splitlines()
    assert all(word in line for word in named), line
    assert_polite(child)
    return line


async def still_works(it: Stage, window: Child) -> None:
    """Assert that a call reaches ``window``, which knows nothing of others' mistakes."""
    since = len(window.lines)
    robot = await it.control.call("101")
    await window.wait_for(lambda line: line["event"] == "inbound_call", since=since)
    await it.control.hang_up(robot.id)
    await window.wait_for(lambda line: line["event"] == "call_ended", since=since)
    assert_polite(window)


def test_an_account_that_cannot_be_used_ends_with_one_line_and_the_others_go_on() -> None:
    async def main() -> None:
        async with stage() as it:
            [window] = await it.join("a")
            incomplete = spoiled(it, password=None)
            untrusting = spoiled(it, caFile="none.pem")
            await asyncio.gather(
                fails(it, it.root / "none.json", 2, "none.json", "No such file"),
                fails(it, it.root, 2, str(it.root), "directory"),
                fails(it, incomplete, 2, str(incomplete), "password"),
                fails(it, untrusting, 2, str(untrusting), "caFile", "none.pem", "remove caFile"),
            )
            wrong = spoiled(it, password="canary-wrong")
            line = await fails(it, wrong, 1, "403", "password")
            assert "canary" not in line
            with pytest.raises(AccountError, match="password"):
                async with join("other", account=incomplete, settings=it.settings, microphone=None):
                    pass
            with pytest.raises(RegistrationFailed, match="check the password") as refused:
                async with join(
                    "third", account=wrong, settings=it.settings, microphone=None, candidate=True
                ):
                    pass
            assert refused.value.status == 403
            assert str(refused.value).count("403") == 1
            await still_works(it, window)

    asyncio.run(main())


def test_a_service_that_cannot_be_reached_or_trusted_is_named_with_the_remedy() -> None:
    async def main() -> None:
        async with stage() as it:
            [window] = await it.join("a")
            with socket.socket() as closed:
                closed.bind(("127.0.0.1", 0))
                nobody = f"127.0.0.1:{closed.getsockname()[1]}"
                for changes, error, words in (
                    ({"outboundProxy": "no-such-host.invalid:443"}, ServiceUnreachable, "not known"),
                    ({"outboundProxy": nobody}, ServiceUnreachable, "is the service running"),
                    ({"caFile": None}, CertificateUntrusted, "caFile"),
                ):
                    account = spoiled(it, **changes)
                    with pytest.raises(error, match=words) as unreachable:
                        async with (
                            asyncio.timeout(WITHIN),
                            join(
                                "other",
                                account=account,
                                settings=it.settings,
                                microphone=None,
                                candidate=True,
                            ),
                        ):
                            pass
                    assert "\n" not in str(unreachable.value)
            # A window on the command line says so and stays, because that may pass.
            arguments = ("join", "third", "--account", str(spoiled(it, caFile=None)), *SILENT, "--json")
            child = await it.supervisor.start("untrusting", *arguments, env=it.env)
            line = await child.wait_for(lambda line: line.get("problem") == "untrusted")
            assert "caFile" in line["detail"]
            child.tell("quit")
            assert await child.ended(WITHIN) == 0
            assert child.errors == ""
            await still_works(it, window)

    asyncio.run(main())


def test_a_port_that_is_taken_is_one_line() -> None:
    async def main() -> None:
        async with stage() as it:
            arguments = ("simulator", "--wss", str(it.port), "--dir", str(it.root / "second"))
            second = await it.supervisor.start("second", *arguments)
            assert await second.ended(WITHIN) == 2
            [line] = second.errors.splitlines()
            assert str(it.port) in line
            assert "choose another port" in line
            assert (await it.control.calls()) == []

    asyncio.run(main())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_a_group_of_another_user_is_one_line_and_one_typed_error() -> None:
    async def main() -> None:
        async with stage() as it:
            [window] = await it.join("a")
            foreign = it.root / "run" / "foreign"
            foreign.mkdir(mode=0o700)
            os.chown(foreign, 65534, 65534)
            await fails(it, it.account, 2, "belongs to another user", "uid 65534", group="foreign")
            with pytest.raises(GroupError, match="belongs to another user"):
                async with join("foreign", account=it.account, settings=it.settings, microphone=None):
                    pass
            assert list(foreign.iterdir()) == []
            await still_works(it, window)

    asyncio.run(main())


def test_an_action_on_a_call_that_is_gone_is_refused_with_a_code_and_the_phone_goes_on() -> None:
    async def main() -> None:
        async with stage() as it:
            [window] = await it.join("a")
            refused = await window.do("hold")
            assert (refused["event"], refused["code"]) == ("refused", "no_such_call")
            async with join(GROUP, account=it.account, settings=it.settings, microphone=None) as phone:
                robot = await it.control.call("101")
                await phone.until(lambda: bool(phone.calls))
                [call] = phone.calls
                await it.control.hang_up(robot.id)
                assert await call.ended() == "cancelled"
                for verb in (call.answer, call.decline, call.hangup, call.hold, call.mute):
                    with pytest.raises(ActionRefused, match="the call is over") as gone:
                        await verb()
                    assert gone.value.code == "no_such_call"
                nonsense = await window.do("dance wildly")
                assert (nonsense["event"], nonsense["code"]) == ("refused", "bad_request")
                no_sound = await window.do("call 199")
                assert (no_sound["event"], no_sound["code"]) == ("refused", "no_media")
            await still_works(it, window)
            assert it.ledger("INVITE", direction="in") == []

    asyncio.run(main())


def test_an_answer_pressed_in_two_windows_at_once_is_done_once_and_the_other_is_told_who_did_it() -> None:
    async def main() -> None:
        async with stage() as it:
            windows = await it.join("left", "right", sound=True)
            robot = await it.control.call("101")
            rung = [await window.wait_for(lambda line: line["event"] == "inbound_call") for window in windows]
            # By its id: without one, a window that was shown the answer in time finds nothing that rings.
            answer = f"answer {rung[0]['call']['call_id']}"
            outcomes = await asyncio.gather(*(window.do(answer) for window in windows))
            by_event = {outcome["event"]: window for outcome, window in zip(outcomes, windows, strict=True)}
            assert set(by_event) == {"done", "refused"}
            refused = next(outcome for outcome in outcomes if outcome["event"] == "refused")
            assert refused["code"] == "wrong_state"
            assert refused["text"].startswith(f"{by_event['done'].name} ")
            assert (await it.control.robot(robot.id, until="answered")).state == "answered"
            # The loser's window can still do everything with the call.
            loser = by_event["refused"]
            await loser.wait_for(lambda line: line.get("call", {}).get("state") == "answered")
            assert (await loser.do("hangup"))["event"] == "done"
            for window in windows:
                await window.wait_for(lambda line: line["event"] == "call_ended")
                assert len(events(window, "inbound_call")) == len(events(window, "call_ended")) == 1
                assert_polite(window)
            assert len(it.ledger("CALL_ANSWERED")) == 1
            assert len(it.ledger("RESPONSE", direction="in", method="INVITE", status=200)) == 1

    asyncio.run(main())


def test_a_window_leaves_promptly_while_the_service_hangs() -> None:
    async def main() -> None:
        async with stage() as it:
            [window] = await it.join("a")
            it.service.kill(signal.SIGSTOP)
            try:
                window.tell("quit")
                assert await window.ended(WITHIN) == 0
                assert_polite(window)
                assert events(window, "left")
            finally:
                it.service.kill(signal.SIGCONT)

    asyncio.run(main())


def test_a_group_directory_that_vanishes_is_one_line_not_a_flood() -> None:
    async def main() -> None:
        async with stage() as it:
            windows = await it.join("a", "b")
            shutil.rmtree(it.root / "run" / GROUP)
            await it.until(lambda: all("group.unusable" in window.errors for window in windows))
            await asyncio.sleep(1.0)  # to give a flood its chance
            for window in windows:
                assert window.errors.count("group.unusable") <= 5
                assert_polite(window)

    asyncio.run(main())


def test_nothing_of_a_secret_is_in_what_a_window_says_or_logs() -> None:
    async def main() -> None:
        async with stage() as it:
            fields = json.loads(it.account.read_text())
            arguments = ("--log-level", "debug", "--log", "json", "join", GROUP, "--account", str(it.account))
            child = await it.supervisor.start("a", *arguments, *SILENT, "--json", env=it.env)
            await child.wait_for(lambda line: line.get("state") == "registered")
            robot = await it.control.call("101")
            await child.wait_for(lambda line: line["event"] == "inbound_call")
            await child.do("show")
            await it.control.hang_up(robot.id)
            await child.wait_for(lambda line: line["event"] == "call_ended")
            child.tell("quit")
            await child.ended(WITHIN)
            said = child.errors + json.dumps(child.lines)
            assert "registered" in said
            for secret in (fields["password"], "nonce=", "response=", "ice-pwd"):
                assert secret not in said

    asyncio.run(main())

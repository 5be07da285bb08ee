"""What a trace of a whole call shows: every message in order, and no secret."""

import asyncio
import json
import os
import re
import stat
from pathlib import Path

from coordinator import SipTrace, join

from .stage import QUIET, SILENT, Stage, stage


def secrets_of(it: Stage) -> list[str]:
    """Return what the account file keeps secret."""
    account = json.loads(it.account.read_text())
    return [account["password"], account["authorizationId"]]


def test_a_call_is_traced_in_order_and_without_secrets_and_raw_only_where_asked() -> None:
    async def main() -> None:
        async with stage() as it:
            shown, raw = it.root / "shown.txt", it.root / "raw.txt"
            options = (*QUIET, "--sip-trace", str(shown), "--unsafe-raw-sip", str(raw))
            window = await it.supervisor.start_window("front", str(it.account), "a", *options, **it.env)
            await window.wait_for(lambda line: line.get("state") == "registered")
            assert (await window.do("call 16505550199"))["event"] == "done"
            await window.wait_for(lambda line: line.get("call", {}).get("state") == "answered")
            assert (await window.do("hangup"))["event"] == "done"
            window.tell("quit")
            await window.ended()

            for file in (shown, raw):
                assert stat.S_IMODE(file.stat().st_mode) == 0o600
            entries = _entries(shown)
            assert [number for number, _, _ in entries] == [str(n + 1) for n in range(len(entries))]
            starts = [f"{way} {first.split(' sip:')[0]}" for _, way, first in entries]
            assert starts[0] == "> REGISTER"
            for one in ("< SIP/2.0 401 Unauthorized", "> INVITE", "< SIP/2.0 200 OK", "> ACK", "> BYE"):
                assert one in starts, "\n".join(starts)
            assert len(entries) == len(_entries(raw))
            _assert_hidden(it, shown.read_text(), raw.read_text())

    asyncio.run(main())


def _entries(file: Path) -> list[tuple[str, str, str]]:
    return re.findall(r"^--- (\d+) \S+ ([<>]) .*\n(.*)$", file.read_text(), re.MULTILINE)


def _assert_hidden(it: Stage, shown: str, raw: str) -> None:
    secrets = re.findall(r'\b(?:nonce|response)="([^"]+)"', raw)
    secrets += re.findall(r"a=ice-(?:pwd|ufrag):(\S+)", raw)
    assert len(set(secrets)) >= 8
    for secret in {*secrets, secrets_of(it)[1], "16505550199"}:
        assert secret in raw
        assert secret not in shown
    assert secrets_of(it)[0] not in raw  # a password is never sent
    assert "sip:xxx0199@" in shown


def test_a_program_reads_the_latest_messages() -> None:
    async def main() -> None:
        async with stage() as it:
            trace = SipTrace()
            async with join(
                "front",
                account=it.account,
                settings=it.settings,
                microphone=None,
                candidate=True,
                sip_trace=trace,
            ):
                latest = trace.latest()
            assert [one.way for one in latest[:2]] == [">", "<"]
            assert latest[0].text.startswith("REGISTER ")
            assert all(secret not in one.text for one in trace.latest() for secret in secrets_of(it))

    asyncio.run(main())


def test_a_file_that_others_can_read_is_refused_with_the_remedy() -> None:
    async def main() -> None:
        async with stage() as it:
            file = it.root / "open.txt"
            file.touch()
            os.chmod(file, 0o644)
            options = ("--account", str(it.account), *SILENT, "--unsafe-raw-sip", str(file))
            window = await it.supervisor.start("a", "join", "front", *options, env=it.env)
            assert await window.ended() == 2
            assert "nobody else can read" in window.errors
            assert file.read_text() == ""

    asyncio.run(main())

"""Strangers at the WebSocket port, and frames that are no SIP: they get an answer or an end, unnoticed."""

import asyncio
import socket
import ssl
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agents.pbx import Simulator

from .service import (
    controlled,
    happens,
    of,
    phone_of,
    raw,
    refresh,
    register_text,
    simulate,
    talk_with_robot,
)


def test_frames_that_are_no_sip_are_answered_or_closed_and_nobody_else_notices(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator) as phone:
            torn = await raw(simulator)
            await torn.send(register_text().split("Content-Length")[0].replace("Contact", "Contact\0"))
            assert (await torn.recv()).startswith("SIP/2.0 400 Bad Request")
            await torn.send(register_text(2))  # the connection is still good
            assert (await torn.recv()).startswith("SIP/2.0 100")
            await torn.close()

            unreadable = await raw(simulator)
            for method in ("REGISTER", "INVITE"):
                text = register_text().replace("To: <", "To: <<").replace("REGISTER", method)
                await unreadable.send(text)
                assert (await unreadable.recv()).startswith("SIP/2.0 400 Bad Request")
            await unreadable.close()

            missing = await raw(simulator)
            await missing.send(register_text().replace("Call-Id: call-a\r\n", ""))
            assert (await missing.recv()).startswith("SIP/2.0 400 Bad Request")
            await missing.close()

            for frame, code in ((b"\x00\x01", 1003), ("hello", 1002), ("x" * 70_000, 1009)):
                stranger = await raw(simulator)
                await stranger.send(frame)
                with pytest.raises(ConnectionClosed) as closed:
                    await stranger.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == code

            await refresh(phone)

    entries = simulate(tmp_path, story)
    assert len(of(entries, "BAD_FRAME")) == 7


def test_what_a_registered_phone_sends_is_answered_400_where_it_cannot_be_read(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator) as phone:
            number = 0
            for method in ("INVITE", "OPTIONS", "MESSAGE", "BYE"):
                for whole, torn in (
                    ("To: <", "To: <<"),
                    (f" {method}\r\n", " NOTHING\r\n"),
                    ("CSeq: ", "CSeq: x"),
                    ("Via: SIP", "Via: SAP"),
                ):
                    number += 1
                    text = register_text(number, name="torn").replace("REGISTER", method)
                    assert whole in text
                    await phone.socket.send(text.replace(whole, torn))
                    while sum(frame.startswith("SIP/2.0 400 ") for frame in phone.received) < number:  # noqa: ASYNC110
                        await asyncio.sleep(0.001)
            await refresh(phone)

    assert len(of(simulate(tmp_path, story), "BAD_FRAME")) == 16


def test_a_connection_without_the_subprotocol_is_no_websocket_of_ours(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        for subprotocol in (None, "chat"):
            with pytest.raises(InvalidStatus) as refused:
                await raw(simulator, subprotocol=subprotocol)
            assert refused.value.response.status_code == 400
        async with httpx.AsyncClient(verify=False) as browser:
            answered = await browser.get(f"https://127.0.0.1:{simulator.wss_port}/")
            assert answered.status_code == 426
        context = ssl.create_default_context(cafile=str(simulator.settings.directory / "ca.pem"))
        reader, writer = await asyncio.open_connection("127.0.0.1", simulator.wss_port, ssl=context)
        writer.write(b"\x00\xff torn\r\n\r\n")
        await reader.read()
        writer.close()
        # Not even TLS, and not even a byte.
        for greeting in (b"REGISTER sip:sip.test SIP/2.0\r\n\r\n", b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", simulator.wss_port)
            writer.write(greeting)
            assert ((await reader.read()).startswith(b"HTTP/1.1 400 ")) is bool(greeting)
            writer.close()
        async with phone_of(simulator):
            pass

    refused = of(simulate(tmp_path, story, handshake_time=0.5), "FLOW_REFUSED")
    assert [entry.reason.split(":")[0] for entry in refused if entry.reason] == [
        "HTTP 400",
        "HTTP 400",
        "HTTP 426",
        "no WebSocket request",
        "no TLS",
        "no TLS",
    ]


def test_whoever_says_nothing_is_closed_and_a_registered_phone_is_not(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with phone_of(simulator) as phone:
            silent = await raw(simulator)
            with pytest.raises(ConnectionClosed):
                await silent.recv()
            await refresh(phone)

    [closed] = of(simulate(tmp_path, story, idle_time=0.5), "FLOW_CLOSED", reason="idle")
    assert closed.extension is None


def test_whoever_does_not_read_is_cut_off(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        deaf = await raw(simulator)
        deaf.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.transport.pause_reading()

        async def shout() -> None:
            for number in range(200_000):
                await deaf.send(register_text(number).replace("REGISTER", "OPTIONS"))

        with pytest.raises(ConnectionClosed):
            await shout()
        closed = await happens(simulator, "FLOW_CLOSED")
        assert closed.reason == "does not read what it is sent"

    simulate(tmp_path, story)


def test_a_keepalive_is_answered_and_is_no_message(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        connection = await raw(simulator)
        await connection.send("\r\n\r\n")
        assert await connection.recv() == "\r\n"
        await connection.close()

    assert not of(simulate(tmp_path, story), "BAD_FRAME")


def test_a_stranger_can_neither_call_nor_end_a_call(tmp_path: Path) -> None:
    async def story(simulator: Simulator) -> None:
        async with (
            phone_of(simulator) as phone,
            controlled(simulator) as control,
        ):
            robot, _ = await talk_with_robot(control, phone)
            stranger = await raw(simulator)
            invite = register_text().replace("REGISTER sip:sip.test", "INVITE sip:102@sip.test")
            await stranger.send(invite.replace("1 REGISTER", "1 INVITE"))
            assert (await stranger.recv()).startswith("SIP/2.0 403 Forbidden")
            ack = next(frame for frame in phone.received if frame.startswith("ACK "))
            await stranger.send(ack.replace("ACK", "BYE"))
            assert (await stranger.recv()).startswith("SIP/2.0 481")
            assert (await control.robot(robot.id)).state == "answered"
            await stranger.close()
            await control.hang_up(robot.id)

    simulate(tmp_path, story)

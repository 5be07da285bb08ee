"""SIP messages: how long it takes to read and write one, next to JsSIP where that is there."""

import json
import shutil
import subprocess
from pathlib import Path

from agents.sip.message import parse
from shared.clock import monotonic

from .report import Row, timed

#: In a clone, with Node.js: JsSIP as npm installed it for the tests in a browser.
_BROWSER = Path(__file__).parents[2] / "tests" / "browser"
_TURNS, _CALLERS = 50, 2_000


def measure_sip(rounds: int) -> list[Row]:
    """Return ``invite_read_written``: an INVITE of 2.4 KB is read, looked at, and written again.

    Looked at: Via, From, To, CSeq and Call-ID, which JsSIP reads in any case. Without Node.js and JsSIP there
    is no ratio.
    """
    frame = invite()
    theirs = _jssip(frame, rounds)
    return [timed("invite_read_written", _ours(frame, rounds), theirs, "JsSIP in Node.js" if theirs else "")]


def _ours(frame: str, rounds: int) -> list[float]:
    # As many callers: whoever remembers what a field meant shall find little that it knows.
    frames = [frame.replace("2qHqTu", f"{n:06}").replace("abcdefgh12", f"{n:010}") for n in range(_CALLERS)]
    samples = []
    for turn in range(rounds):
        first = turn * _TURNS % _CALLERS
        began = monotonic()
        for text in frames[first : first + _TURNS]:
            message = parse(text)
            _ = (message.via, message.from_, message.to, message.cseq, message.call_id)
            message.encode()
        samples.append((monotonic() - began) / _TURNS)
    return samples


def _jssip(frame: str, rounds: int) -> list[float] | None:
    if shutil.which("node") is None or not (_BROWSER / "node_modules" / "jssip").is_dir():
        return None
    command = ["node", str(_BROWSER / "parse.mjs"), str(rounds)]
    done = subprocess.run(command, input=frame, capture_output=True, text=True, timeout=60, check=True)
    return [sample / 1e6 for sample in json.loads(done.stdout)["samples"]]


def invite() -> str:
    """Return an INVITE as a browser's reaches a phone through a proxy."""
    body = "".join(f"{line}\r\n" for line in _sdp())
    fields = (
        "INVITE sip:bob@a.invalid;transport=ws SIP/2.0",
        "Via: SIP/2.0/WSS 192.0.2.1:8083;rport;branch=z9hG4bK305I2S-2qHqTu",
        "Via: SIP/2.0/WSS b.invalid;branch=z9hG4bK-abc;received=192.0.2.2",
        "Record-Route: <sip:192.0.2.1;transport=ws;lr>",
        "Max-Forwards: 69",
        'From: "Alice" <sip:alice@sip.test>;tag=abcdefgh12',
        "To: <sip:bob@sip.test>",
        "Call-ID: 0f6a33d2b7c1454cb1f5d8f41ed2f1a7",
        "CSeq: 7512 INVITE",
        "Contact: <sip:a@b.invalid;transport=ws;ob>",
        "Content-Type: application/sdp",
        "Session-Expires: 90",
        "Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY",
        "Supported: timer,ice,replaces,outbound",
        "User-Agent: one",
        "P-Asserted-Identity: <sip:alice@sip.test>",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(fields) + "\r\n\r\n" + body


def _sdp() -> list[str]:
    candidates = [
        f"a=candidate:{n}6713892 1 udp 2122{n}60223 192.168.{n}.10 5{n}321 typ host generation 0 network-id 1"
        for n in range(10, 18)
    ]
    return [
        *("v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0"),
        *("a=extmap-allow-mixed", "a=msid-semantic: WMS 0f6a33d2-b7c1-454c-b1f5-d8f41ed2f1a7"),
        *("m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126", "c=IN IP4 0.0.0.0"),
        *("a=rtcp:9 IN IP4 0.0.0.0", *candidates, "a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuvwx"),
        *("a=ice-options:trickle", "a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=setup:actpass"),
        *("a=mid:0", "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level", "a=sendrecv", "a=rtcp-mux"),
        *("a=rtpmap:111 opus/48000/2", "a=rtcp-fb:111 transport-cc"),
        *("a=fmtp:111 minptime=10;useinbandfec=1", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111"),
        *("a=rtpmap:9 G722/8000", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:13 CN/8000"),
        *("a=rtpmap:110 telephone-event/48000", "a=rtpmap:126 telephone-event/8000"),
        "a=ssrc:1234567890 cname:abcdefgh",
    ]

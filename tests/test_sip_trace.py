import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.sip.trace import SipTrace, Traced, redact_sip
from agents.trace_file import TraceFile
from shared.errors import ConfigError

from .fuzz.seeds import seeds

CANARIES = (
    "canary-response canary-nonce canary-cnonce canary-opaque canary-user canary-pwd canary-ufrag canary-key "
)
CANARIES += "canary-to canary-from canary-basic canary-token canary-folded"
MESSAGE = (
    "INVITE sip:16505550199@sip.test SIP/2.0\r\n"
    "Via: SIP/2.0/WSS a.invalid;branch=z9hG4bK-1234567890\r\n"
    'Authorization: Digest username="canary-user", realm="sip.test", nonce="canary-nonce", '
    'uri="sip:sip.test", response="canary-response", cnonce="canary-cnonce", '
    'opaque="canary-opaque", qop=auth, nc=00000001\r\n'
    'proxy-authorization : Digest realm="sip.test",\r\n nonce="canary-folded"\r\n'
    "Authorization: Basic canary-basic\r\n"
    'WWW-Authenticate: Digest realm="sip.test", nonce="canary-nonce", algorithm=MD5\r\n'
    "Replaces: 98732;to-tag=canary-to;from-tag=canary-from;early-only\r\n"
    "Refer-To: <sip:101@sip.test?Replaces=98732%3Bto-tag%3Dcanary-to%3Bfrom-tag%3Dcanary-from>\r\n"
    'From: "+1 (650) 555-0100" <sip:+16505550100@sip.test>;tag=12345678901\r\n'
    "To: <sip:16505550199*101@sip.test>\r\n"
    "P-Asserted-Identity: sip:16505550100@sip.test\r\n"
    "Call-ID: 11112222333344445555\r\n"
    "CSeq: 218449525 INVITE\r\n"
    'P-rc: <Msg><Hdr SID="35464233129848" Cmd="6"/><Bdy Phn="+16505550177"/></Msg>\r\n'
    "X-Access: token=canary-token\r\n"
    "Content-Type: application/sdp\r\n"
    "\r\n"
    "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\n"
    "a=ice-ufrag:canary-ufrag\r\na=ice-pwd:canary-pwd\r\n"
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:canary-key\r\nk=clear:canary-key\r\na=sendrecv\r\n"
)


def test_no_secret_is_shown_and_all_else_is() -> None:
    shown = redact_sip(MESSAGE)

    for canary in CANARIES.split():
        assert canary in MESSAGE
        assert canary not in shown
    assert 'Digest realm="sip.test", nonce=[redacted], algorithm=MD5' in shown
    for kept in ("z9hG4bK-1234567890", "11112222333344445555", "218449525 INVITE", ";tag=12345678901"):
        assert kept in shown
    assert "o=- 4611731400430051336 2 IN" in shown
    assert "a=sendrecv" in shown


def test_numbers_are_cut_to_their_last_four_digits_unless_asked() -> None:
    shown = redact_sip(MESSAGE)

    for number in ("16505550199", "6505550100", "16505550177", "555-0100"):
        assert number not in shown
    assert "INVITE sip:xxx0199@sip.test SIP/2.0" in shown
    assert '"+xxx0100" <sip:+xxx0100@sip.test>' in shown
    assert "<sip:xxx0199*101@sip.test>" in shown
    assert 'Phn="+xxx0177"' in shown
    whole = redact_sip(MESSAGE, whole_numbers=True)
    assert "sip:16505550199@sip.test" in whole
    assert "canary" not in whole


def test_what_is_no_message_hides_as_much() -> None:
    for text in (MESSAGE.replace("\r\n", "\n"), MESSAGE.replace("\r\n\r\n", "\r\n"), "\r\n\r\n" + MESSAGE):
        assert "canary" not in redact_sip(text)


@given(st.text(max_size=300))
def test_any_text_can_be_redacted(text: str) -> None:
    for seed in ("", MESSAGE[:400], MESSAGE):
        assert "canary-" not in redact_sip(seed + text)


@pytest.mark.parametrize("text", [seed for seed in seeds("message") if "Digest" in seed])
def test_the_golden_messages_keep_their_first_line_and_lose_their_digests(text: str) -> None:
    shown = redact_sip(text, whole_numbers=True)

    assert shown.split("\r\n")[0] == text.split("\r\n", maxsplit=1)[0]
    for value in ("bm9uY2Utb2Yt", "802396666666"):
        assert value not in shown


def test_a_trace_keeps_order_direction_and_no_more_than_it_may() -> None:
    trace = SipTrace(most_messages=3, most_chars=50)
    heard: list[Traced] = []
    raw: list[Traced] = []
    trace.listen(heard.append)
    trace.listen_to_secrets(raw.append)

    for number in range(1, 6):
        trace.record(">" if number % 2 else "<", f"number: {number}", 100.0 + number)

    assert [(one.number, one.way, one.at) for one in trace.latest()] == [
        (3, ">", 103.0),
        (4, "<", 104.0),
        (5, ">", 105.0),
    ]
    assert [one.number for one in heard] == [1, 2, 3, 4, 5]
    trace.record("<", "x" * 45, 106.0)
    assert [one.number for one in trace.latest()] == [6]
    trace.record("<", "a=ice-pwd:canary", 107.0)
    assert "canary" not in trace.latest()[-1].text + heard[-1].text + repr(raw[-1])
    assert "canary" in raw[-1].text


def test_a_file_is_for_its_owner_only_and_turns_over(tmp_path: Path) -> None:
    path = tmp_path / "sip.txt"
    before = os.umask(0)
    try:
        file = TraceFile(path, most_bytes=200)
    finally:
        os.umask(before)
    for number in range(1, 6):
        file.write(Traced(number, 1_700_000_000.5, ">", f"OPTIONS {number}\r\nX: \ud800\r\n\r\n"))
    file.close()
    file.write(Traced(9, 0.0, ">", "late"))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "sip.txt.1").stat().st_mode) == 0o600
    assert max(path.stat().st_size, (tmp_path / "sip.txt.1").stat().st_size) <= 200
    assert "--- 5 2023-11-14T22:13:20.500+00:00 > to the service\nOPTIONS 5\nX: ?\n\n" in path.read_text()
    assert "late" not in path.read_text()


def test_a_file_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.touch(0o644)
    open_to_all.chmod(0o644)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("open", "link", "pipe", "no/such/place", "."):
        with pytest.raises(ConfigError, match="SIP messages"):
            TraceFile(tmp_path / name)
    assert not (tmp_path / "target").exists()

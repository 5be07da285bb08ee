"""Logging: what is secret by its name or by its text never gets out."""

import io
import json
import subprocess
import sys
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from shared.log import configure_logging, log
from shared.log_output import redact_text

CANARY = "canary-7f3a"
SECRETS: list[dict[str, Any]] = [
    {"password": CANARY},
    {"sip_password": CANARY},
    {"passwd": CANARY},
    {"token": CANARY},
    {"access_token": CANARY},
    {"authorization": CANARY},
    {"secret": CANARY},
    {"srtp_key": CANARY},
    {"ice_pwd": CANARY},
    {"icePwd": CANARY},
    {"response": CANARY},
    {"nested": {"deep": [{"password": CANARY}]}},
    {"frame": f'Authorization: Digest username="u", response="{CANARY}", nonce="{CANARY}"'},
    {"frame": f"Proxy-Authorization: Digest response={CANARY}\r\nVia: x"},
    {"frame": f"REGISTER sip:x\r\nauthorization:{CANARY}\r\n".encode()},
    {"sdp": f"v=0\r\na=ice-ufrag:{CANARY}\r\na=ice-pwd:{CANARY}\r\na=crypto:1 AES inline:{CANARY}\r\n"},
    {"url": f"https://service.test/?access_token={CANARY}&x=1"},
    {"text": f'{{"password": "{CANARY}", "user": "u"}}'},
    {"text": f"{{'password': '{CANARY}'}}"},
    {"text": f"password={CANARY}"},
    {"text": f"Bearer {CANARY}", "authorization": f"Bearer {CANARY}"},
    {"parts": (f"a=ice-pwd:{CANARY}",)},
]


def logged(style: Any, level: Any = "debug") -> tuple[Any, io.StringIO]:
    stream = io.StringIO()
    configure_logging(style, level, stream)
    return structlog.get_logger(), stream


@pytest.mark.parametrize("style", ["console", "json"])
@pytest.mark.parametrize("facts", SECRETS, ids=range(len(SECRETS)))
def test_a_secret_never_gets_out(style: str, facts: dict[str, Any]) -> None:
    log, stream = logged(style)
    log.info("something.happened", **facts)
    assert "something.happened" in stream.getvalue()
    assert "[redacted]" in stream.getvalue()
    assert CANARY not in stream.getvalue()


@pytest.mark.parametrize("style", ["console", "json"])
def test_a_traceback_that_quotes_a_secret_is_redacted(style: str) -> None:
    log, stream = logged(style)
    try:
        raise ValueError(f"cannot send: Authorization: Digest response={CANARY}")
    except ValueError:
        log.exception("line.failed")
    assert "ValueError" in stream.getvalue()
    assert CANARY not in stream.getvalue()


def test_what_was_bound_to_the_context_is_redacted_too() -> None:
    log, stream = logged("json")
    with structlog.contextvars.bound_contextvars(password=CANARY):
        log.bind(token=CANARY).info("bound")
    written = json.loads(stream.getvalue())
    assert {"event", "password", "token"} <= written.keys()
    assert CANARY not in stream.getvalue()


def test_an_object_that_shows_a_secret_is_redacted() -> None:
    class Leaky:
        def __str__(self) -> str:
            return f"a=ice-pwd:{CANARY}"

        __repr__ = __str__

    log, stream = logged("json")
    log.info("odd", thing=Leaky(), things=[Leaky()])
    assert {"thing", "things"} <= json.loads(stream.getvalue()).keys()
    assert CANARY not in stream.getvalue()


def test_what_is_not_secret_stays_readable() -> None:
    text = "INVITE sip:102@sip.test SIP/2.0\r\nCall-Id: abc\r\na=sendrecv\r\n"
    assert redact_text(text) == text
    log, stream = logged("json")
    log.info("call.began", call_id="c1", number=7, flag=True, nothing=None)
    line = json.loads(stream.getvalue())
    assert line["call_id"] == "c1"
    assert (line["number"], line["flag"], line["nothing"]) == (7, True, None)
    assert line["level"] == "info"


def test_structlog_is_loaded_by_the_first_event_that_is_to_be_shown() -> None:
    program = """
import sys
from shared.log import configure_logging, log

configure_logging("json", "warning", sys.stdout)
log.info("quiet")
print("structlog" in sys.modules)
log.warning("loud", password="canary")
print("structlog" in sys.modules)
log.info("quiet")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    before, shown, after = done.stdout.splitlines()
    assert (before, after) == ("False", "True")
    assert (json.loads(shown)["event"], json.loads(shown)["password"]) == ("loud", "[redacted]")


def test_who_configured_structlog_gets_every_event_in_its_own_way() -> None:
    with capture_logs() as events:
        log.debug("small", number=1)
        log.info("medium")
        log.error("large")
    levels = [(event["event"], event["log_level"]) for event in events]
    assert levels == [("small", "debug"), ("medium", "info"), ("large", "error")]


def test_below_the_level_nothing_is_logged() -> None:
    log, stream = logged("json", "warning")
    log.info("quiet")
    log.warning("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_a_log_line_is_one_line_whatever_is_in_it() -> None:
    log, stream = logged("json")
    log.info("odd", text="one\ntwo\r\nthree")
    assert len(stream.getvalue().splitlines()) == 1

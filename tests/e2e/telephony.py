"""Phones that are provisioned by REST, what is asked of their calls by REST, and what they hear."""

import asyncio
from pathlib import Path
from typing import Any

from agents.media.analysis import tone_level
from agents.media.base import RATE_HZ
from agents.media.files import read_wav
from agents.pbx import Extension
from tests.e2e.rest_program import PROVISION, WSS, Rest, write_account
from tests.e2e.sip_phone import SipPhone

THREE = tuple(Extension(number, f"16505550{number}") for number in ("101", "102", "103"))
TELEPHONY = "/restapi/v1.0/account/~/telephony"


async def make_phone(rest: Rest, extension: str) -> tuple[SipPhone, str]:
    """Provision a device of an extension; return its phone, not registered yet, and the device's id."""
    await rest.login(extension)
    given = (await rest.http.post(PROVISION, json=WSS)).json()
    return SipPhone(write_account(rest.directory, given["sipInfo"][0])), given["device"]["id"]


async def ask(rest: Rest, path: str, body: Any = None, *, status: int = 200) -> dict[str, Any]:
    """Have something done, and return the answer."""
    answer = await rest.http.post(TELEPHONY + path, json=body if body is not None else {})
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def session_of(rest: Rest, session_id: str) -> dict[str, Any]:
    """Return a session as the service shows it."""
    answer = await rest.http.get(f"{TELEPHONY}/sessions/{session_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def loudness(path: Path, hz: float) -> float:
    """Return how loud a tone is at most, in a tenth of a second of what a phone has heard."""
    pcm = read_wav(path) if path.exists() else b""
    tenth = RATE_HZ // 10 * 2
    return max(
        (tone_level(pcm[at : at + tenth], hz) for at in range(0, len(pcm) - tenth, tenth)), default=0.0
    )


async def heard(path: Path, hz: float) -> None:
    """Return when a phone hears a tone, perhaps among others."""
    async with asyncio.timeout(15):
        while loudness(path, hz) < 0.05:  # noqa: ASYNC110 - a file has no event to wait for
            await asyncio.sleep(0.1)

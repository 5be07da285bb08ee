"""From a JWT to a call: the command, the service's REST side, and a window that joins with what was saved."""

import asyncio
import json
import os
import shutil
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.pbx import Simulator, SimulatorSettings
from agents.pbx.fault_orders import RestAnswer
from agents.pbx.rest.keys import RestFile
from agents.rest.client import RestClient, RestLogin
from coordinator.command.provision import Order, provision, read_login
from shared.config import load_account
from shared.errors import (
    AccountError,
    CertificateUntrusted,
    LoginFailed,
    MessageError,
    RestFailed,
    ServiceUnreachable,
)
from tests.e2e.sip_phone import SipPhone
from tests.e2e.stage import SILENT, stage


def run(directory: Path, story: Callable[[Simulator, Order], Awaitable[None]]) -> None:
    """Run ``story`` with a service, and an order for extension 102 that is complete."""

    async def main() -> None:
        settings = SimulatorSettings(directory=directory, rest_port=0)
        async with asyncio.timeout(60), Simulator(settings) as simulator:
            await story(simulator, order_for(directory))

    asyncio.run(main())


def order_for(directory: Path, extension: str = "102") -> Order:
    """Return what a user of the service would say."""
    file = msgspec.json.decode((directory / "rest.json").read_bytes(), type=RestFile)
    return Order(
        account=directory / "mine.json",
        server=file.server,
        client_id=file.client_id,
        client_secret_file=directory / "client-secret",
        jwt_file=directory / f"{extension}.jwt",
        ca_file=directory / "ca.pem",
    )


def test_a_jwt_becomes_an_account_that_joins_and_calls(tmp_path: Path) -> None:
    async def story() -> None:
        async with stage("--rest", "0") as line:
            service = line.root / "service"
            order = order_for(service, "101")
            assert order.client_id is not None
            options = {
                "--server": order.server,
                "--client-id": order.client_id,
                "--client-secret-file": str(order.client_secret_file),
                "--ca-file": str(order.ca_file),
                "--account": str(line.root / "mine.json"),
            }
            jwt = (service / "101.jwt").read_text()
            command = await line.supervisor.start(
                "provision", "provision", *sum(options.items(), ()), env={"SHAREDLINE_JWT": jwt}
            )
            assert await command.ended() == 0, command.errors
            account = load_account(line.root / "mine.json")
            assert account.authorization_id != load_account(line.account).authorization_id
            assert account.device_id is not None
            assert (line.root / "mine.json").stat().st_mode & 0o777 == 0o600

            window = await line.supervisor.start_window(
                "provisioned", str(line.root / "mine.json"), "desk", *SILENT, **line.env
            )
            await window.wait_for(lambda shown: shown.get("state") == "registered")
            await line.control.call("101")
            await window.wait_for(lambda shown: shown["event"] == "inbound_call")
            shutil.copy(service / "ledger.ndjson", tmp_path)

    asyncio.run(story())
    assert '"BINDING_ADDED"' in (tmp_path / "ledger.ndjson").read_text()


def test_what_is_saved_registers_and_the_tokens_are_given_back(tmp_path: Path) -> None:
    async def story(simulator: Simulator, order: Order) -> None:
        account = await provision(order, {})
        assert account.ca_file == str((tmp_path / "ca.pem").resolve())
        assert simulator.rest is not None
        assert simulator.rest.tokens._access == {}
        async with SipPhone(account) as phone:
            assert phone.account.username == "16505550100*102"
            assert [view.reachable for view in simulator.desk.bindings("102")] == [True]

    run(tmp_path, story)


# -- failures: one line each, and nothing is saved


def test_a_wrong_jwt_or_client_secret_is_told_apart(tmp_path: Path) -> None:
    async def story(_simulator: Simulator, order: Order) -> None:
        (tmp_path / "bad").write_text("aaaa.bbbb.cccc")
        with pytest.raises(LoginFailed, match="make a new JWT"):
            await provision(replace(order, jwt_file=tmp_path / "bad"), {})
        with pytest.raises(LoginFailed, match="check the client id and the client secret"):
            await provision(replace(order, client_secret_file=tmp_path / "bad"), {})
        with pytest.raises(LoginFailed, match="check the client id and the client secret"):
            await provision(replace(order, client_id="nobody"), {})
        assert not (tmp_path / "mine.json").exists()

    run(tmp_path, story)


def test_a_server_that_is_not_there_not_trusted_or_something_else_is_named(tmp_path: Path) -> None:
    async def story(simulator: Simulator, order: Order) -> None:
        with pytest.raises(
            CertificateUntrusted, match="if the service has an authority of its own, name its file"
        ):
            await provision(replace(order, ca_file=None), {})
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = f"https://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(ServiceUnreachable, match="cannot be reached"):
            await provision(replace(order, server=nobody), {})
        plain = f"https://127.0.0.1:{simulator.control_port}"
        with pytest.raises(ServiceUnreachable, match="does not speak TLS"):
            await provision(replace(order, server=plain), {})
        web_socket = f"https://127.0.0.1:{simulator.wss_port}"
        with pytest.raises((MessageError, RestFailed, ServiceUnreachable)):
            await provision(replace(order, server=web_socket), {})
        with pytest.raises(ServiceUnreachable, match="cannot be reached"):
            await provision(replace(order, server="https://service.invalid"), {})

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("status", "retry_after", "remedy"),
    [
        (429, 7, "try again in 7 s"),
        (503, 30, "try again in 30 s"),
        (500, None, "try again later"),
        (403, None, "permission"),
    ],
)
def test_a_service_that_says_no_is_believed_and_not_asked_twice(
    tmp_path: Path, status: int, retry_after: int | None, remedy: str
) -> None:
    async def story(simulator: Simulator, order: Order) -> None:
        assert simulator.rest is not None
        simulator.faults.set(RestAnswer(status=status, count=1, retry_after=retry_after))
        with pytest.raises(RestFailed, match=remedy) as failed:
            await provision(order, {})
        assert (failed.value.status, failed.value.retry_after) == (status, retry_after)
        assert simulator.faults.all() == []
        assert len(simulator.devices.of("102")) == 1
        await provision(order, {})
        assert len(simulator.devices.of("102")) == 2

    run(tmp_path, story)


def test_a_token_that_was_revoked_is_replaced_once(tmp_path: Path) -> None:
    async def story(simulator: Simulator, order: Order) -> None:
        assert simulator.rest is not None
        async with RestClient(read_login(order, {})) as rest:
            numbers = await rest.phone_numbers()
            assert [number.usage_type for number in numbers] == ["MainCompanyNumber", "DirectNumber"]
            for token in list(simulator.rest.tokens._access):
                simulator.rest.tokens.revoke(token)
            assert await rest.phone_numbers() == numbers
            fault = simulator.faults.set(RestAnswer(status=401, count=5))
            with pytest.raises(RestFailed) as failed:
                await rest.phone_numbers()
            assert failed.value.status == 401
            simulator.faults.clear(fault.id)

    run(tmp_path, story)


def test_a_place_that_cannot_be_written_is_told_before_a_device_is_made(tmp_path: Path) -> None:
    async def story(simulator: Simulator, order: Order) -> None:
        for place, why in (
            (tmp_path / "none" / "mine.json", "there is no directory"),
            (tmp_path, "it is a directory"),
            (Path("keyring:"), "names no account"),
        ):
            with pytest.raises(AccountError, match=why):
                await provision(replace(order, account=place), {})
        assert len(simulator.devices.of("102")) == 1

    run(tmp_path, story)


def test_many_who_ask_at_once_log_in_once(tmp_path: Path) -> None:
    async def story(simulator: Simulator, order: Order) -> None:
        async with RestClient(read_login(order, {})) as rest:
            await asyncio.gather(*(rest.phone_numbers() for _ in range(8)))
            assert simulator.rest is not None
            assert len(simulator.rest.tokens._access) == 1

    run(tmp_path, story)


def test_the_command_prints_one_line_and_no_secret(tmp_path: Path) -> None:
    async def story(_simulator: Simulator, order: Order) -> None:
        (tmp_path / "bad").write_text("hush.hush.hush")
        for jwt_file, status in ((order.jwt_file, 0), (tmp_path / "bad", 1)):
            options = ("--client-id", str(order.client_id), "--jwt-file", str(jwt_file))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "coordinator", "--log", "json", "--log-level", "debug", "provision"),
                *("--server", order.server, "--ca-file", str(order.ca_file), "--account", str(order.account)),
                *("--client-secret-file", str(order.client_secret_file), *options),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            )
            output, errors = await process.communicate()
            assert process.returncode == status
            said = output.decode() + errors.decode()
            assert len(said.splitlines()) == 1
            for secret in ("hush", (tmp_path / "client-secret").read_text().strip()):
                assert secret not in said
            if status == 0:
                assert load_account(order.account).password not in said

    run(tmp_path, story)


# -- the keyring


def test_an_account_in_the_keyring_joins_like_a_file(tmp_path: Path) -> None:
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend

    class Ring(KeyringBackend):
        priority = 1

        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]  # theirs
            self.entries: dict[tuple[str, str], str] = {}

        def get_password(self, service: str, username: str) -> str | None:
            return self.entries.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self.entries[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del self.entries[service, username]

    async def story(_simulator: Simulator, order: Order) -> None:
        saved = await provision(replace(order, account=Path("keyring:front")), {})
        [(where, text)] = ring.entries.items()
        assert where == ("sharedline", "front")
        assert json.loads(text)["password"] == saved.password
        assert load_account("keyring:front") == saved
        async with SipPhone(saved):
            pass
        with pytest.raises(AccountError, match="has no account 'back'"):
            load_account("keyring:back")

    before, ring = keyring.get_keyring(), Ring()
    keyring.set_keyring(ring)
    try:
        run(tmp_path, story)
    finally:
        keyring.set_keyring(before)


def test_an_answer_that_is_none_is_one_line(tmp_path: Path) -> None:
    """Another server of this machine, which answers 200 with a page."""

    async def story(simulator: Simulator, order: Order) -> None:
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route

        from agents.pbx.web import HttpPort

        lengths = iter((1, 300_000))

        def page(_request: Any) -> PlainTextResponse:
            return PlainTextResponse("<html>" * next(lengths))

        port = HttpPort(
            "127.0.0.1",
            0,
            purpose="other",
            certificate=(tmp_path / "server.pem", tmp_path / "server-key.pem"),
        )
        port.start(Starlette(routes=[Route("/{path:path}", page, methods=["GET", "POST"])]))
        login = read_login(replace(order, server=f"https://127.0.0.1:{port.port}"), {})
        assert isinstance(login, RestLogin)
        try:
            for cause in ("is it the right server", "more than"):
                async with RestClient(login) as rest:
                    with pytest.raises(MessageError, match=cause):
                        await rest.provision()
        finally:
            await port.close()

    run(tmp_path, story)

"""The REST side of the simulated service, over TLS, as programs use it."""

import asyncio
import contextlib
import os
import shutil
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.pbx import Extension, Simulator, SimulatorSettings
from agents.pbx.client import ControlClient
from agents.pbx.fault_orders import RestAnswer
from agents.pbx.rest.keys import RestFile
from agents.sip.registration import RegistrationChanged
from shared.errors import ConfigError
from tests.e2e.sip_phone import SipPhone

from .rest_program import JWT, OWN, PROVISION, TOKEN, WSS, Rest, serve, write_account

# -- login


def test_a_jwt_logs_in_a_refresh_token_goes_on_and_revoking_ends_it(tmp_path: Path) -> None:
    async def story(_simulator: Simulator, rest: Rest) -> None:
        tokens = await rest.login("102")
        assert tokens["token_type"] == "bearer"
        assert 3590 <= tokens["expires_in"] <= 3600
        me = (await rest.http.get(OWN)).json()
        assert (me["extensionNumber"], str(me["id"])) == ("102", tokens["owner_id"])

        again = await rest.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert again.headers["Cache-Control"] == "no-store"
        await rest.refused(401, "TokenInvalid", "GET", OWN)
        access = again.json()["access_token"]
        rest.http.headers["Authorization"] = f"Bearer {access}"
        assert (await rest.http.get(OWN)).status_code == 200

        client = (rest.file.client_id, rest.file.client_secret)
        revoked = await rest.http.post("/restapi/oauth/revoke", data={"token": access}, auth=client)
        assert revoked.status_code == 200
        await rest.refused(401, "TokenInvalid", "GET", OWN)

    serve(tmp_path, story)


def test_logins_that_fail_say_why_as_oauth_does(tmp_path: Path) -> None:
    async def story(_simulator: Simulator, rest: Rest) -> None:
        jwt = rest.file.jwt["101"]
        answers = {
            "invalid_client": await rest.token(secret="wrong", grant_type=JWT, assertion=jwt),
            "invalid_grant": await rest.token(grant_type=JWT, assertion=jwt[:-4] + "AAAA"),
            "unsupported_grant_type": await rest.token(grant_type="password", username="a", password="b"),
            "invalid_request": await rest.token(grant_type=JWT),
        }
        for error, answer in answers.items():
            assert answer.json()["error"] == error
            assert answer.status_code == (401 if error == "invalid_client" else 400)
            assert answer.json()["errorCode"].startswith("OAU-")
        assert (await rest.http.post(TOKEN, json={})).status_code == 401
        for credentials in (b"Basic \xe9\xe9\xe9\xe9", b"Basic /w==", b"Basic !", b"Basic"):
            answer = await rest.http.post(TOKEN, json={}, headers={b"Authorization": credentials})
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        client = (rest.file.client_id, rest.file.client_secret)
        assert (await rest.http.post(TOKEN, json={}, auth=client)).status_code == 415

    serve(tmp_path, story)


def test_only_a_token_opens_the_rest(tmp_path: Path) -> None:
    async def story(_simulator: Simulator, rest: Rest) -> None:
        await rest.refused(401, "TokenInvalid", "GET", OWN)
        await rest.refused(401, "TokenInvalid", "POST", PROVISION, json=WSS)
        await rest.login()
        await rest.refused(404, "CMN-102", "GET", "/restapi/v1.0/account/1/extension/~")
        await rest.refused(403, "CMN-408", "GET", "/restapi/v1.0/account/~/extension/62000000102")
        await rest.refused(404, "CMN-102", "GET", "/restapi/v9")
        await rest.refused(405, "CMN-405", "DELETE", OWN)
        foreign = await rest.http.get(OWN, headers={"Host": "evil.test"})
        assert foreign.status_code == 400

    serve(tmp_path, story)


# -- provisioning


def test_what_is_provisioned_registers_and_calls_and_does_so_after_a_restart(tmp_path: Path) -> None:
    infos: list[dict[str, Any]] = []

    async def story(simulator: Simulator, rest: Rest) -> None:
        await rest.login("102")
        for _ in range(2):
            provisioned = (await rest.http.post(PROVISION, json=WSS)).json()
            assert provisioned["device"]["extension"]["extensionNumber"] == "102"
            infos.append(provisioned["sipInfo"][0])
        assert infos[0]["authorizationId"] != infos[1]["authorizationId"]
        assert infos[0]["username"] == infos[1]["username"] == "16505550100*102"
        assert "caFile" not in infos[0]
        async with SipPhone(write_account(tmp_path, infos[0])):
            [view] = simulator.desk.bindings("102")
            assert view.reachable
            devices = (await rest.http.get(f"{OWN}/device")).json()["records"]
            assert [device["status"] for device in devices] == ["Offline", "Online", "Offline"]
            named = {**WSS, "device": {"id": devices[1]["id"]}}
            again = (await rest.http.post(PROVISION, json=named)).json()
            assert again["sipInfo"][0]["password"] == infos[0]["password"]

    async def again(simulator: Simulator, _rest: Rest) -> None:
        info = infos[1] | {"outboundProxy": simulator.address}
        async with SipPhone(write_account(tmp_path, info)) as phone:
            assert phone.account.authorization_id == info["authorizationId"]

    serve(tmp_path, story)
    serve(tmp_path, again)


def test_a_provisioned_phone_is_rung_with_messages_that_are_for_it(tmp_path: Path) -> None:
    async def story(simulator: Simulator, rest: Rest) -> None:
        await rest.login("102")
        info = (await rest.http.post(PROVISION, json=WSS)).json()["sipInfo"][0]
        phones = SipPhone(write_account(tmp_path, info)), SipPhone(simulator.account_path("102"))
        for phone in phones:
            await phone.register()
        async with ControlClient.from_directory(tmp_path) as control:
            robot = await control.call("102")
            for phone in phones:
                await phone.frame("INVITE sip:", "p-rc-api-ids")
            await control.hang_up(robot.id)
        for phone in phones:
            await phone.frame("CANCEL sip:")
            await phone.close()

    serve(tmp_path, story)


def test_a_password_that_was_changed_by_hand_is_wrong(tmp_path: Path) -> None:
    async def story(_simulator: Simulator, rest: Rest) -> None:
        await rest.login()
        info = (await rest.http.post(PROVISION, json=WSS)).json()["sipInfo"][0]
        phone = SipPhone(write_account(tmp_path, info | {"password": "guessed"}))
        await phone.connect()
        failed = await phone.wait(RegistrationChanged, lambda event: event.state == "failed")
        assert failed.status == 403
        await phone.close()

    serve(tmp_path, story)


# -- the extension


def test_the_extension_and_the_numbers_that_it_may_show(tmp_path: Path) -> None:
    async def story(_simulator: Simulator, rest: Rest) -> None:
        await rest.login("107")
        me = (await rest.http.get(OWN)).json()
        assert (me["name"], me["contact"]) == (
            "Ada Byron King",
            {"firstName": "Ada", "lastName": "Byron King"},
        )
        account = (await rest.http.get("/restapi/v1.0/account/~")).json()
        assert account["mainNumber"] == "+16505550100"
        assert (
            await rest.http.get(f"/restapi/v1.0/account/{account['id']}/extension/{me['id']}")
        ).json() == me
        numbers = (await rest.http.get(f"{OWN}/phone-number")).json()
        assert numbers["paging"]["totalElements"] == 3
        assert [(one["phoneNumber"], one["usageType"]) for one in numbers["records"]] == [
            ("+16505550100", "MainCompanyNumber"),
            ("+16505550107", "DirectNumber"),
            ("+442070000107", "DirectNumber"),
        ]
        assert all("CallerId" in one["features"] for one in numbers["records"])

    extension = Extension("107", "16505550107", "Ada Byron King", ("442070000107",))
    serve(tmp_path, story, extensions=(extension,))


# -- bad input and trouble


def test_bodies_that_cannot_be_read_are_answered_with_what_is_wrong(tmp_path: Path) -> None:
    async def story(_simulator: Simulator, rest: Rest) -> None:
        await rest.login()
        for content, status, code in [
            (b"{", 400, "CMN-100"),
            (b"\xff", 400, "CMN-100"),
            (b'{"x":' + b"[" * 60_000, 400, "CMN-100"),
            (b"{}", 400, "CMN-101"),
            (b'{"sipInfo":[]}', 400, "CMN-101"),
            (b'{"sipInfo":[{"transport":7}]}', 400, "CMN-101"),
            (b'{"sipInfo":[{"transport":"UDP"}]}', 400, "CMN-101"),
            (b'{"sipInfo":[{"transport":"WSS"}],"device":{"id":"1"}}', 404, "CMN-102"),
            (b" " * 70_000, 413, "CMN-413"),
        ]:
            await rest.refused(status, code, "POST", PROVISION, content=content)
        assert (await rest.http.get(OWN)).status_code == 200

    serve(tmp_path, story)


def test_connections_that_ask_for_nothing_are_cut_and_others_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.pbx.web.SILENCE", 0.3)

    async def story(simulator: Simulator, rest: Rest) -> None:
        assert simulator.rest is not None
        trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        opened = [
            await asyncio.open_connection("127.0.0.1", simulator.rest.port, ssl=trust) for _ in range(5)
        ]
        opened[0][1].write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        # Not even TLS, and a ClientHello that does not go on.
        opened += [await asyncio.open_connection("127.0.0.1", simulator.rest.port) for _ in range(2)]
        opened[-1][1].write(b"\x16\x03\x01")
        await rest.login()
        async with asyncio.timeout(5):
            for reader, writer in opened:
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b""
                writer.close()
        assert (await rest.http.get(OWN)).status_code == 200

    serve(tmp_path, story)


def test_ordered_trouble_comes_as_often_as_it_was_ordered(tmp_path: Path) -> None:
    async def story(simulator: Simulator, rest: Rest) -> None:
        await rest.login()
        simulator.faults.set(RestAnswer(status=429, count=2, retry_after=7))
        for _ in range(2):
            answer = await rest.http.get(OWN)
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
        assert (await rest.http.get(OWN)).status_code == 200
        async with ControlClient.from_directory(tmp_path) as control:
            fault = await control.set_fault(RestAnswer(status=503))
            await rest.refused(503, "CMN-211", "GET", OWN)
            await control.clear_fault(fault.id)
        assert (await rest.http.get(OWN)).status_code == 200

    serve(tmp_path, story)


def test_a_page_may_ask_whatever_its_origin(tmp_path: Path) -> None:
    async def story(_simulator: Simulator, rest: Rest) -> None:
        preflight = await rest.http.options(
            PROVISION,
            headers={
                "Origin": "http://127.0.0.1:5173",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == "*"
        assert "authorization" in preflight.headers["Access-Control-Allow-Headers"]

    serve(tmp_path, story)


def test_secrets_are_in_private_files_only_and_stay_the_same(tmp_path: Path) -> None:
    files: list[RestFile] = []

    async def story(_simulator: Simulator, rest: Rest) -> None:
        files.append(rest.file)
        for name in ("rest.json", "rest-keys.json", "client-secret", "101.jwt", "102.jwt"):
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "client-secret").read_text().strip() == rest.file.client_secret
        assert (tmp_path / "101.jwt").read_text().strip() == rest.file.jwt["101"]
        await rest.login()
        await rest.http.post(PROVISION, json=WSS)
        assert rest.file.client_secret not in (tmp_path / "ledger.ndjson").read_text()

    async def again(_simulator: Simulator, rest: Rest) -> None:
        assert rest.file.client_secret == files[0].client_secret
        assert (await rest.token(grant_type=JWT, assertion=files[0].jwt["101"])).status_code == 200

    serve(tmp_path, story)
    assert not (tmp_path / "rest.json").exists()
    serve(tmp_path, again)


def test_a_rest_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async def story(simulator: Simulator, _rest: Rest) -> None:
        assert simulator.rest is not None
        other = SimulatorSettings(directory=tmp_path / "other", rest_port=simulator.rest.port)
        with pytest.raises(ConfigError, match="choose another REST port"):
            await Simulator(other).start()

    serve(tmp_path, story)


def test_a_service_that_cannot_start_leaves_nothing_open(tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "control.json").mkdir()
        failed = Simulator(SimulatorSettings(directory=tmp_path, rest_port=0))
        with pytest.raises(ConfigError, match=r"cannot write .*control\.json"):
            await failed.start()
        (tmp_path / "control.json").rmdir()
        again = SimulatorSettings(
            directory=tmp_path, wss_port=failed.wss_port, control_port=failed.control_port
        )
        async with Simulator(again):
            assert not (tmp_path / "rest.json").exists()

    asyncio.run(main())


# -- by programs that others wrote


BROWSER = Path(__file__).parents[1] / "browser"
needs_sdk = pytest.mark.skipif(
    shutil.which("node") is None or not (BROWSER / "node_modules" / "@rc-ex" / "core").is_dir(),
    reason="the REST SDK is not installed; make test installs it",
)


@needs_sdk
def test_the_npm_package_of_the_rest_api_logs_in_provisions_and_makes_a_conference(tmp_path: Path) -> None:
    async def story(simulator: Simulator, _rest: Rest) -> None:
        program = await asyncio.create_subprocess_exec(
            "node",
            str(BROWSER / "rest.mjs"),
            str(tmp_path),
            env=os.environ | {"NODE_EXTRA_CA_CERTS": str(tmp_path / "ca.pem")},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await program.communicate()
        assert program.returncode == 0, errors.decode()
        found = msgspec.json.decode(output)
        assert simulator.devices.get(found.pop("device")) is not None
        assert found.pop("conference").startswith("conf_")
        assert found == {
            "token_type": "bearer",
            "username": "16505550100*101",
            "extension": "101",
            "caller_ids": ["+16505550100", "+16505550101"],
            "origin": "Conference",
            "refused": [404, "CMN-102"],
        }

    serve(tmp_path, story)

from pathlib import Path

import pytest

from agents.pbx.accounts import NumberPlan, Route, Subscriber, canonical, make_subscribers, write_accounts
from agents.pbx.settings import Extension, Queue, SimulatorSettings
from shared.config import load_account
from shared.errors import ConfigError

from .test_config import CERTIFICATE


def make_plan(*extra: Extension) -> NumberPlan:
    extensions = (Extension("101", "16505550101"), Extension("102", "16505550102"), *extra)
    subscribers = [
        Subscriber(extension, f"16505550100*{extension.number}", f"8{extension.number}", "secret")
        for extension in extensions
    ]
    return NumberPlan(subscribers, main_number="16505550100")


@pytest.mark.parametrize(
    "dialled",
    [
        "101",
        "16505550101",
        "+16505550101",
        "6505550101",
        "+1 (650) 555-0101",
        "650.555.0101",
        "16505550100*101",
    ],
)
def test_every_usual_form_of_a_number_leads_to_its_extension(dialled: str) -> None:
    assert make_plan().route(dialled) == Route("extension", "101")


@pytest.mark.parametrize("dialled", ["199", "16505550199", "+16505550199"])
def test_the_robots_numbers_lead_to_the_robot(dialled: str) -> None:
    assert make_plan().route(dialled) == Route("robot", "199")


def test_an_extension_may_take_a_robots_number() -> None:
    assert make_plan(Extension("199", "16505550177")).route("199") == Route("extension", "199")


@pytest.mark.parametrize(
    ("dialled", "status"),
    [
        ("78654", 486),
        ("16505559999", 486),
        ("whatever", 404),
        ("", 404),
        ("12", 404),
        ("16509990100*101", 404),
    ],
)
def test_what_nobody_has_is_busy_and_what_is_no_number_is_not_found(dialled: str, status: int) -> None:
    route = make_plan().route(dialled)
    assert (route.kind, route.status) == ("bad", status)


def test_ten_digits_are_north_american() -> None:
    assert canonical("6505550101") == canonical("+16505550101") == "16505550101"
    assert canonical("101") == "101"


def test_account_files_are_private_and_loadable_and_kept_by_the_next_run(tmp_path: Path) -> None:
    settings = SimulatorSettings(directory=tmp_path)
    subscribers = make_subscribers(settings)
    write_accounts(settings, subscribers, wss_port=4433)
    (tmp_path / "ca.pem").write_bytes(CERTIFICATE)

    account = load_account(tmp_path / "101.json")
    assert (tmp_path / "101.json").stat().st_mode & 0o777 == 0o600
    assert account.username == "16505550100*101"
    assert account.outbound_proxy == "127.0.0.1:4433"
    assert account.ca_file == str(tmp_path / "ca.pem")
    assert [one.password for one in make_subscribers(settings)] == [one.password for one in subscribers]
    assert len({one.authorization_id for one in subscribers}) == 2


def test_a_damaged_or_foreign_account_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "101.json").write_text("{")
    settings = SimulatorSettings(directory=tmp_path)
    subscribers = make_subscribers(settings)
    write_accounts(settings, subscribers, wss_port=1)
    (tmp_path / "ca.pem").write_bytes(CERTIFICATE)
    other = SimulatorSettings(directory=tmp_path, domain="other.test")

    assert load_account(tmp_path / "101.json").password == subscribers[0].password
    assert make_subscribers(other)[0].password != subscribers[0].password


def test_a_password_is_in_no_repr(tmp_path: Path) -> None:
    [first, _] = make_subscribers(SimulatorSettings(directory=tmp_path))
    assert first.password not in repr(first)


def test_an_account_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    settings = SimulatorSettings(directory=tmp_path / "missing")
    with pytest.raises(ConfigError, match=r"101\.json"):
        write_accounts(settings, make_subscribers(settings), wss_port=1)


def test_a_queues_numbers_lead_to_its_members() -> None:
    queue = Queue("200", "Sales", ("101", "102"), "16505550200")
    plan = NumberPlan(make_plan().subscribers.values(), main_number="16505550100", queues=(queue,))
    for dialled in ("200", "16505550200", "+1 650 555 0200", "16505550100*200"):
        assert plan.route(dialled) == Route("extension", "200")
    assert plan.members("200") == ("101", "102")
    assert plan.members("101") == ("101",)
    assert plan.queue("200") == queue


def test_all_numbers_of_an_extension_lead_to_it() -> None:
    plan = make_plan(Extension("107", "16505550107", "Ada", ("442070000107",)))
    assert plan.route("+442070000107") == plan.route("6505550107") == Route("extension", "107")

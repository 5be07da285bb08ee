"""One gate for every effect: whatever a leader lets out, to the service or to windows, asks the lease first.

This reads our own source code: every call that can send something, in the modules that a leader is made of.
"""

import ast
from collections.abc import Iterator

import pytest

from agents.real import RealAgent

from .sources import trees

#: What lets something out of a leader's process: receiver and method, by module.
OUTLETS = {
    "agents.real.agent": {
        ("self._publisher", "publish"),
        ("self._publisher", "repeat"),
        ("self._own_publisher", "publish"),
        ("self._own_publisher", "repeat"),
        ("self._heir", "publish"),
        ("self._heir", "repeat"),
        ("self._server", "send"),
    },
    "agents.real.line": {("socket", "send")},
    "agents.bus.publisher": {("self", "repeat")},
}
GATES = ("self._may_act()", "self._may_send()")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: str) -> Iterator[Function]:
    for node in ast.walk(trees()[module]):
        if isinstance(node, Function):
            yield node


def sends(function: Function, outlets: set[tuple[str, str]]) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (ast.unparse(node.func.value), node.func.attr) in outlets
    ]


def is_gated(function: Function, call: ast.Call) -> bool:
    """Return whether the gate said yes in this function, in this turn of the loop, before the call."""
    for node in ast.walk(function):
        if not isinstance(node, ast.If) or not any(gate in ast.unparse(node.test) for gate in GATES):
            continue
        test = ast.unparse(node.test)
        if any(call in ast.walk(statement) for statement in node.body) and f"not {GATES[0]}" not in test:
            return True
        if isinstance(node.test, ast.BoolOp) and call in ast.walk(node.test):
            return isinstance(node.test.op, ast.And) and test.index(GATES[0]) < test.index(ast.unparse(call))
        leaves = f"not {GATES[0]}" in test and isinstance(node.body[-1], ast.Return)
        if leaves and node.lineno < call.lineno:
            return True
    return False


@pytest.mark.parametrize("module", OUTLETS)
def test_every_caller_that_can_send_asks_the_gate(module: str) -> None:
    callers = {
        (function.name, ast.unparse(call)): is_gated(function, call)
        for function in functions(module)
        for call in sends(function, OUTLETS[module])
    }
    assert callers, "no caller found: has an outlet another name now?"
    assert [caller for caller, gated in callers.items() if not gated] == []


def makers_of(*outlets: str) -> set[str]:
    return {
        name
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in outlets
        and not name.startswith(("coordinator.bench", "agents.pbx.bench"))
    }


def test_nobody_else_makes_an_outlet() -> None:
    assert makers_of("SipSocket.connect") == {"agents.real.line"}
    assert makers_of("Publisher", "ActionServer") == {"agents.bus.post"}
    assert makers_of("Post") == {"coordinator.keeper.readiness", "agents.web_phone"}


def test_nobody_uses_a_post_but_the_agent_that_occupies_it() -> None:
    sockets = ("server", "publisher", "own_publisher", "estate")
    users = {
        name
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in sockets and "post" in ast.unparse(node.value)
    }
    assert users == {"agents.real.agent"}


def test_a_bare_socket_is_made_in_one_place_and_given_to_its_one_owner() -> None:
    assert makers_of("context.socket", "self._context.socket", "zmq.Socket") == {"agents.bus.socket"}
    shells = makers_of("open_socket")
    kinds = ("action_client", "action_server", "publisher", "subscriber")
    assert shells == {f"agents.bus.{kind}" for kind in kinds}
    for shell in shells:
        calls = {ast.unparse(node.func) for node in ast.walk(trees()[shell]) if isinstance(node, ast.Call)}
        assert "DrainedSocket" in calls
        assert not {call for call in calls if call.startswith("socket.send")}


def test_the_gate_is_the_lease_and_once_closed_stays_closed() -> None:
    [gate] = [function for function in functions("agents.real.agent") if function.name == "_may_act"]
    text = ast.unparse(gate)
    assert "self._office.may_act()" in text
    assert "self._is_over = True" in text
    assert text.index("if self._is_over") < text.index("self._office.may_act()")
    assert callable(RealAgent._may_act)


def test_a_sender_without_the_gate_would_be_found() -> None:
    for body in (
        "self._server.send(peer, message)",
        "if self._is_over:\n        self._publisher.repeat()",
        "self._server.send(peer, message)\n    if not self._may_act():\n        return",
        "if not self._may_act():\n        self._server.send(peer, message)",
    ):
        function = ast.parse(f"def leak(self, peer, message):\n    {body}").body[0]
        assert isinstance(function, ast.FunctionDef)
        [call] = sends(function, OUTLETS["agents.real.agent"])
        assert not is_gated(function, call), body

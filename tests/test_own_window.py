"""The leader's own window hears of a state after whoever waits for an answer: they share one interpreter."""

from unittest.mock import patch

from agents.bus import ActionServer, Publisher
from shared.messages import Done, FromLeader

from .simulation.run import simulate


def test_answers_leave_after_the_state_that_shows_them_and_before_the_own_window_is_told() -> None:
    told: list[bytes] = []  # each state twice: for the windows, then for the own one
    answers = 0
    publish, send = Publisher.publish, ActionServer.send

    def note_state(self: Publisher, snapshot: bytes) -> None:
        if snapshot.startswith(b'{"type":"snapshot"'):
            told.append(snapshot)
        publish(self, snapshot)

    def note_answer(self: ActionServer, peer: bytes, message: FromLeader) -> bool:
        nonlocal answers
        if isinstance(message, Done):
            answers += 1
            assert told.count(told[-1]) == 1
            assert b'"%s"' % message.action_id.encode() in told[-1]
        return send(self, peer, message)

    with patch.object(Publisher, "publish", note_state), patch.object(ActionServer, "send", note_answer):
        result = simulate(4)  # an even seed: no message is doubled, so no answer is repeated
    assert result.failures == []
    assert answers >= 5
    assert len(told) == 2 * len(set(told))

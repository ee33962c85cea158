"""Trials of four hosts: what they send, what they judge themselves, and that they skip where no host can be made."""

import pytest

from chaos import namespaces
from chaos.host_watch import HostFigures
from chaos.hosts import draw_load, faults_of, trials
from chaos.schedule import Ending, Pool

_WELL = HostFigures(in_flight=3, freed_s=16.0, recovered_s=50.0, ghosts=0)


@pytest.mark.parametrize(
    ("figures", "settled_s", "crashed", "expected"),
    [
        (_WELL, 1.0, [], []),
        (HostFigures(3, 61.0, 62.0, 0), 1.0, [], ["freed", "recovery"]),
        (HostFigures(3, 16.0, 61.0, 0), 1.0, [], ["recovery"]),
        (HostFigures(3, 16.0, 50.0, 6), 1.0, [], ["sessions"]),
        (_WELL, 500.0, [], ["settled"]),
        (_WELL, 1.0, ["worker-c-smtp"], ["crashed"]),
    ],
)
def test_what_a_vanished_host_leaves_is_judged(
    figures: HostFigures, settled_s: float, crashed: list[str], expected: list[str]
) -> None:
    found = faults_of(figures, settled_s, crashed)

    assert expected == [each.partition(":")[0] for each in found]


def test_every_request_has_a_key_and_none_waits_for_staff_or_a_busy_mailbox() -> None:
    for trial in trials(32.0):
        messages = draw_load(trial).messages

        assert all(each.is_keyed for each in messages)
        assert {Ending.PLAIN, Ending.HELD, Ending.FAULTY} == {each.ending for each in messages}
        assert Pool.BUSY not in {pool for each in messages for pool, _ in each.recipients}


def test_a_machine_without_the_tools_is_named_and_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(namespaces.NoNamespaces, match="install iproute2"):
        namespaces.enter("chaos.hosts", [])

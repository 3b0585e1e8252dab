"""Leader, worker and delivery: what may happen when, in tables."""

from enum import Enum
from typing import Any

import pytest

from loadtest.plugin.states import (
    DELIVERY,
    GOING,
    LEADER,
    WORKER,
    DeliveryEvent,
    DeliveryState,
    LeaderEvent,
    LeaderState,
    States,
    UnexpectedEventError,
    WorkerEvent,
    WorkerState,
)

TABLES: dict[str, tuple[Any, type[Enum], type[Enum], Enum]] = {
    "leader": (LEADER, LeaderState, LeaderEvent, LeaderState.IDLE),
    "worker": (WORKER, WorkerState, WorkerEvent, WorkerState.JOINED),
    "delivery": (DELIVERY, DeliveryState, DeliveryEvent, DeliveryState.PENDING),
}


@pytest.mark.parametrize("owner", TABLES)
def test_every_state_can_be_reached_from_the_first(owner: str) -> None:
    table, states, _, first = TABLES[owner]
    reached, before = {first}, set[Enum]()
    while reached != before:
        before = set(reached)
        reached |= {to for (from_, _), to in table.items() if from_ in reached}
    assert reached == set(states)


@pytest.mark.parametrize("owner", TABLES)
def test_what_no_table_has_is_an_error_that_names_event_and_state(owner: str) -> None:
    table, states, events, _ = TABLES[owner]
    for state in states:
        for event in events:
            machine = States(owner, state, table)
            if (state, event) in table:
                assert machine.on(event) is table[state, event]
            else:
                with pytest.raises(UnexpectedEventError) as raised:
                    machine.on(event)
                assert str(event.value) in str(raised.value)
                assert str(state.value) in str(raised.value)
                assert machine.now is state, "an event that is not expected changes nothing"


def test_a_leader_goes_from_one_run_to_the_next() -> None:
    leader = States("leader", LeaderState.IDLE, LEADER)
    begin = [LeaderEvent.CHECK, LeaderEvent.PREPARE]
    going = [leader.on(event) for event in (*begin, LeaderEvent.BEGIN, LeaderEvent.HALT, LeaderEvent.END)]
    assert set(going[1:]) == GOING
    assert leader.on(LeaderEvent.DELIVER) is LeaderState.DELIVERED
    assert [leader.on(event) for event in begin] == [LeaderState.CHECKED, LeaderState.WAITING]


@pytest.mark.parametrize("state", [state for state in WorkerState if state is not WorkerState.GONE])
def test_a_worker_can_go_at_any_time_and_then_hears_nothing(state: WorkerState) -> None:
    worker = States("worker", state, WORKER)
    assert worker.on(WorkerEvent.FINISH) is WorkerState.GONE
    for event in (WorkerEvent.ASSIGN, WorkerEvent.LEASE, WorkerEvent.HALT, WorkerEvent.ACK):
        assert worker.on(event) is WorkerState.GONE

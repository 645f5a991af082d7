from __future__ import annotations

from api.notify_models import MOST_CAPTURES, ModelsState, ModelWatch
from api.notify_policy import Note
from api.queries_models import DriftRow
from schemas.enums import DriftSignal, ModelRole
from schemas.models import RoleAction, RoleChange

FIRST, SECOND = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


def drift(changed_ns: int | None, capture: str = "c", signal: DriftSignal = DriftSignal.OUTSIDE) -> DriftRow:
    return DriftRow(
        model=FIRST,
        signal=signal,
        version=1,
        windows=10,
        verdicts=100,
        mean=0.25,
        before=None if changed_ns is None else 0.125,
        changes=0 if changed_ns is None else 1,
        changed_ns=changed_ns,
        changed_capture="" if changed_ns is None else capture,
    )


def change(
    changed_ns: int,
    fingerprint: str = SECOND,
    previous: str = FIRST,
    action: RoleAction = RoleAction.PROMOTE,
    role: ModelRole = ModelRole.CHAMPION,
) -> RoleChange:
    return RoleChange(
        role=role, changed_ns=changed_ns, fingerprint=fingerprint, previous=previous, changed_by="alice", action=action
    )


def begun() -> ModelWatch:
    return ModelWatch(ModelsState(has_begun=True))


def titles(notes: list[Note]) -> list[str]:
    return [note.title for note in notes]


def test_what_was_there_at_the_first_look_is_not_news() -> None:
    watch = ModelWatch(ModelsState())
    assert watch.take([change(1)], [drift(5)]) == []
    assert watch.take([change(1)], [drift(5)]) == []
    assert titles(watch.take([change(2), change(1)], [drift(6)])) == [
        f"[model] {SECOND} judges from now on",
        "[model] drift",
    ]


def test_each_change_of_a_signal_is_told_once_for_its_capture() -> None:
    watch = begun()
    looks = [drift(None), drift(5), drift(5), drift(9), drift(5), drift(3, "other"), drift(3, "other"), drift(9)]
    assert [len(watch.take([], [row])) for row in looks] == [0, 1, 0, 1, 0, 1, 0, 0]
    assert len(watch.take([], [drift(9, signal=DriftSignal.CONFIDENCE)])) == 1


def test_what_is_remembered_is_bounded() -> None:
    watch = begun()
    for number in range(3 * MOST_CAPTURES):
        watch.take([], [drift(5, f"capture {number}")])
    assert {len(seen) for seen in watch.state.drift.values()} == {MOST_CAPTURES}
    assert watch.take([], [drift(5, f"capture {3 * MOST_CAPTURES - 1}")]) == []


def test_a_message_says_which_signal_from_what_to_what_and_where() -> None:
    [note] = begun().take([], [drift(1_234_567_890_000_000_000)])
    assert note.body == (
        "outside, how much it sees beyond its training data, has changed from 0.125 to 0.250 on average\n"
        f"since 2009-02-13 23:31:30 UTC, capture c; model {FIRST}"
    )


def test_only_another_champion_is_told_and_why() -> None:
    first = change(1, FIRST, "", RoleAction.CONFIGURED)
    shadow = change(2, role=ModelRole.CHALLENGER, action=RoleAction.SHADOW)
    configured = change(3, action=RoleAction.CONFIGURED)
    back = change(4, FIRST, SECOND, RoleAction.ROLLBACK).model_copy(update={"reason": "too many alarms"})
    notes = begun().take([back, configured, shadow, first], [])
    assert [note.body for note in notes] == ["configured by alice", "rolled back by alice: too many alarms"]


def test_a_restart_tells_nothing_twice() -> None:
    watch = begun()
    assert len(watch.take([change(1)], [drift(5)])) == 2
    again = ModelWatch(ModelsState.model_validate_json(watch.state.model_dump_json()))
    assert again.take([change(1)], [drift(5)]) == []

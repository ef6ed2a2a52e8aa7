"""Values keep what they were made with, and are compared by it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from p2pblog.core.value import Value, field, replace


class Place(Value, order=True):
    row: int
    seat: int = 1
    taken_by: Mapping[str, int] = field(default_factory=dict)


class Box(Place):
    """A place whose door has a name; what is inherited comes first."""

    door: str = ""


@pytest.mark.parametrize("place", [Place(3), Box(3, door="east")])
def test_a_value_never_changes(place: Place) -> None:
    with pytest.raises(AttributeError):
        place.row = 4  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del place.row
    with pytest.raises(AttributeError):
        place.other = 4  # type: ignore[attr-defined]

    assert replace(place, row=4).row == 4 and place.row == 3


def test_values_are_their_kind_and_their_fields() -> None:
    class Seat(Value):
        row: int
        seat: int = 1

    assert Seat(3) == Seat(3, 1) and hash(Seat(3)) == hash(Seat(3, 1))
    assert Seat(3) != Seat(4) and Place(3) != Seat(3) and Place(3) != Box(3)
    assert Place(3) < Place(3, 2) < Place(4)
    assert repr(Seat(3)) == "Seat(row=3, seat=1)"


def test_a_default_is_made_for_each() -> None:
    assert Place(3).taken_by == {} and Place(3).taken_by is not Place(3).taken_by


def test_a_case_takes_a_value_apart() -> None:
    match Box(3, 2, door="east"):
        case Box(row, seat, _, door):
            assert (row, seat, door) == (3, 2, "east")


def test_wrong_fields_are_no_value() -> None:
    for words in ({}, {"row": 3, "column": 1}):
        with pytest.raises(TypeError):
            Place(**words)
    with pytest.raises(TypeError):
        replace(Place(3), column=1)  # type: ignore[call-arg]

"""The lobby: a newcomer always gets in, and the crowd pays for it with its own oldest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pblog.transport.lobby import Lobby

HOME, FLOOD = b"\xc0\x00\x02", b"\xcb\x00\x71"


def test_the_oldest_of_a_full_block_goes() -> None:
    lobby = Lobby(total_max=10, block_max=2)
    first, _ = lobby.enter(FLOOD)
    second, _ = lobby.enter(FLOOD)
    at_home, _ = lobby.enter(HOME)
    assert lobby.enter(FLOOD)[1] == first
    assert lobby.enter(FLOOD)[1] == second
    assert lobby.enter(HOME)[1] is None
    assert len(lobby) == 4
    lobby.leave(at_home)
    assert len(lobby) == 3


def test_in_a_full_lobby_the_most_crowded_block_pays() -> None:
    lobby = Lobby(total_max=4, block_max=4)
    at_home, _ = lobby.enter(HOME)
    crowd = [lobby.enter(FLOOD)[0] for _ in range(3)]
    assert lobby.enter(b"abc")[1] == crowd[0]
    assert lobby.enter(b"def")[1] == crowd[1]
    assert lobby.enter(b"ghi")[1] == at_home  # all are alone now: the oldest goes
    assert len(lobby) == 4


def test_leaving_twice_is_leaving_once() -> None:
    lobby = Lobby(total_max=4, block_max=1)
    ticket, _ = lobby.enter(HOME)
    lobby.leave(ticket)
    lobby.leave(ticket)
    assert lobby.enter(HOME)[1] is None


@given(st.lists(st.one_of(st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 30)), max_size=60))
def test_the_limits_hold_whatever_comes(steps: list[bytes | int]) -> None:
    lobby = Lobby(total_max=5, block_max=3)
    inside: dict[int, bytes] = {}
    for step in steps:
        if isinstance(step, int):
            lobby.leave(step)
            inside.pop(step, None)
            continue
        ticket, gone = lobby.enter(step)
        if gone is not None:
            del inside[gone]
        inside[ticket] = step
        assert len(lobby) == len(inside) <= 5
        assert all(list(inside.values()).count(block) <= 3 for block in b"abc".split())

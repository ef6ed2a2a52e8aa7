"""Decides how our own log goes on: which device writes, what its next entry is, and when it may.

No number is ever signed twice. A home can be copied and a disk can be rolled back; two writers on one log would fork
it. So before the first own entry after a start we compare with peers and the DHT: whoever proves more of our log than
we hold makes us open a new device log. A fork that came about all the same, or an entry that the store refuses because
another has its number, does the same, and so does a retirement of our device, beyond which nobody shows anything. A new
log begins with a LogStart, and its device is stated first.

`next` says what to do to get a payload written, one step at a time: keep a new key on disk, state the device, append
an entry. Each step is carried out, durably, and reported before `next` is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from p2pblog.core import payload as payloads
from p2pblog.core.entry import Entry, write
from p2pblog.core.identity import Identity, Inception, state_device
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash, KeyPair, NodeKey
from p2pblog.core.logs import Batch
from p2pblog.core.payload import LogStart, Payload, Profile
from p2pblog.core.value import Value
from p2pblog.errors import UserError
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.messages import Clock, tip_of
from p2pblog.gossip.sharing import Sharing

PEERS = "peers"
DHT = "dht"
"""Whose word on our log may be waited for."""
COMPARE_TIMEOUT_S = 5.0
"""How long a first entry may wait for others to show what they hold of our log."""
CLAIM_TIMEOUT_S = 5.0
"""How much longer while a linked peer says that our log goes on: time to ask two others where the first withholds it.
(Without it, an author whose first links came after three seconds, one of them a liar's, wrote a number twice.)"""


class NewDevice(Value):
    """Our log is to be left. Keep this key on disk before it signs anything, then say `left`; until that is said,
    `next` gives nothing else before anything is written."""

    device: KeyPair


class Admit(Value):
    """The root states the device that writes: store the identity and let the gossip machine learn it."""

    identity: Identity


class Append(Value):
    """Store one entry durably, then say `stored`, and only then tell anybody. If the store holds another entry at its
    number, do what `refused` says. `is_asked`: it carries the payload that was asked for."""

    batch: Batch
    is_asked: bool

    @property
    def entry(self) -> Entry:
        return self.batch.entries[0]


Step = NewDevice | Admit | Append


class Pen:
    """The writer of one identity's log on one installation.

    `root` signs device statements, `device` entries; `seed` draws the 32 random bytes of a new device key. `holdings`
    and `sharing` are the gossip machine's own: what is held, and what linked peers say that they hold.
    """

    def __init__(
        self,
        root: KeyPair,
        inception: Inception,
        device: KeyPair,
        holdings: Holdings,
        sharing: Sharing,
        seed: Callable[[], bytes],
    ) -> None:
        self.device = device
        self.last: Entry | None = None
        """The newest entry of the device's log; None before its first."""
        self.compare_until = -float("inf")
        """When we wait no longer for others to show what they hold."""
        self._root = root
        self._inception = inception
        self._holdings = holdings
        self._sharing = sharing
        self._seed = seed
        self._awaited: set[str] = set()
        self._proved: dict[DeviceKey, int] = {}
        """How far the logs that were left go, by what made us leave them."""
        self._must_leave = False  # said, and not done yet: the disk may not take the key
        self._untold_name: str | None = None

    @property
    def device_key(self) -> DeviceKey:
        return DeviceKey(self.device.public)

    @property
    def identity_hash(self) -> IdentityHash:
        return self._inception.identity

    def begin(self, last: Entry | None, compare_with: Iterable[str], now: float) -> None:
        """Take up the log where it stands. `last`: its newest entry on disk; a log that is held without one is damaged,
        and left. `compare_with` names who must be heard before the first entry, `PEERS` and `DHT`: nobody where we
        never had a peer, and nobody knows a log not yet begun."""
        self.last = last
        self._must_leave = last is None and self._holdings.high(self.device_key) > 0
        self._awaited = set(compare_with) if last is not None else set()
        self.compare_until = now + COMPARE_TIMEOUT_S

    # --- comparing ---

    @property
    def is_compared(self) -> bool:
        """Whether all whom we waited for have shown what they hold, and nobody claims more than ours. The first who
        answers may lie: one who claims more later, but before `waits_until`, is waited for too."""
        return not self._awaited and not self._is_claimed()

    @property
    def waits_until(self) -> float:
        """When the next entry may be written, as things stand: in the past once all is compared."""
        if self.is_compared:
            return -float("inf")
        return self.compare_until + (CLAIM_TIMEOUT_S if self._is_claimed() else 0.0)

    def heard_dht(self) -> None:
        """The DHT has been asked for our log."""
        self._awaited.discard(DHT)

    def heard_peer(self, peer: NodeKey) -> None:
        """A peer has shown all that it holds of what we share. A stranger can't know our log. Who holds less of it than
        we do shows nothing: he may have lost his disk, while others hold more than we. Who claims more has to prove it,
        and may be gone before he does."""
        session = self._sharing.sessions.get(peer)
        row = session.shared.get(self.identity_hash) if session is not None else None
        if row is None or row.heard is None:
            return
        told = dict(row.heard.logs).get(self.device_key)  # session.clocks also has what we have given him since
        if told is not None and told.high == self._seq and not self._says_more(told):
            self._awaited.discard(PEERS)

    def proved_elsewhere(self, device: DeviceKey, seq: int, entry: EntryId) -> NewDevice | None:
        """Somebody proved this entry of a log. If it is ours and we did not write it, our log goes on elsewhere too."""
        if device != self.device_key or self.last is None or seq < self.last.seq or entry == self.last.id:
            return None
        self._proved[device] = seq
        return self._leave()

    @property
    def lacks_until(self) -> float:
        """How long to wait for what is proved to stand in a log that we left, and is not here; in the past once it is.
        Nobody may have it who is linked, so no longer than for a claim."""
        if all(self._holdings.high(device) >= seq for device, seq in self._proved.items()):
            return -float("inf")
        return self.compare_until + CLAIM_TIMEOUT_S

    def _is_claimed(self) -> bool:
        """Whether a linked peer says that our log is longer, or another; what proves it, if real, is on its way."""
        sessions, own = self._sharing.sessions.values(), self.device_key
        return any(self._says_more(session.clocks[own]) for session in sessions if own in session.clocks)

    def _says_more(self, clock: Clock) -> bool:
        tip = None if self.last is None else tip_of(self.last.id)
        return clock.high > self._seq or (clock.high == self._seq and clock.tip not in (None, tip))

    @property
    def _seq(self) -> int:
        return 0 if self.last is None else self.last.seq

    # --- writing ---

    def next(self, payload: Payload | None, time_ms: int) -> Step | None:
        """What to do next so that the payload is written; without one, so that the log is open: None when it is.

        Raises LocalProtocolError for a payload or time outside the limits, and UserError if to state the device would
        hide another one's log; without a payload nothing is written then, so that who only reads goes on.
        """
        writes = payload is not None or self.last is None or self._untold_name is not None
        if writes and (self._must_leave or self._is_over()):
            return self._leave()
        identity = self._holdings.identities.get(self.identity_hash, Identity(self._inception))
        if (admitted := self._admitted(identity)) is not None:
            if admitted.devices.keys() >= identity.devices.keys():
                return Admit(admitted)
            if payload is None:
                return None
            raise UserError(
                f"your identity names {len(identity.devices)} devices, and one more would hide what another of them "
                "wrote: write from a home that has written before"
            )
        if self.last is None:
            return self._append(LogStart(self.identity_hash), time_ms)
        if self._untold_name is not None:
            return self._append(Profile(self._untold_name), time_ms)
        return None if payload is None else self._append(payload, time_ms, is_asked=True)

    def _is_over(self) -> bool:
        """Whether nobody would show what we add to our log: it is disputed, or its device retired."""
        standing = self._holdings.standing(self.device_key)
        return self._holdings.is_frozen(self.device_key) or (standing is not None and standing.retired)

    def _admitted(self, identity: Identity) -> Identity | None:
        """The identity with our device stated; None where it is, or where retirements leave no room for any."""
        if self.device_key in identity.devices:
            return None
        stated = state_device(self._root, self.device, identity.hash, identity.epoch, identity.next_counter)
        merged = identity.merge([stated])
        return merged if self.device_key in merged.devices else None

    def _append(self, payload: Payload, time_ms: int, *, is_asked: bool = False) -> Append:
        entry = write(self.device, self.last, time_ms, payloads.encode(payload))
        return Append(Batch(self.identity_hash, (entry,), newest=True), is_asked)

    def tell_name(self, name: str) -> None:
        """The log, which has begun, tells this name before anything else."""
        self._untold_name = name

    def stored(self, entry: Entry) -> None:
        """An entry that `Append` asked for is on disk; the log may have been left meanwhile."""
        if entry.device != self.device_key:
            return
        self.last, self._untold_name = entry, None

    def refused(self, entry: Entry) -> NewDevice | None:
        """The store holds another entry at this one's number. None where that log was left meanwhile."""
        return self._leave() if entry.device == self.device_key else None

    def _leave(self) -> NewDevice:
        self._must_leave = True
        return NewDevice(KeyPair.from_seed(self._seed()))

    def left(self, step: NewDevice) -> None:
        """The new key is on disk: from here on that device writes, and nobody can know more of its log than we do."""
        self.device, self.last, self._must_leave = step.device, None, False
        self._awaited.clear()

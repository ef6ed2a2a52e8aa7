"""Files of notices, fetched on demand from whoever is linked and given to whoever asks.

Nothing of a file travels until a person wants it. Then its table is asked for, which its hash proves, and each piece,
which the table proves; any peer may give any of them, in any order. Those who share a feed of an author of the file are
asked first, the least busy one each time, in turn; nobody else, where all its authors are followed in private. A piece
that somebody lacks, or does not give in time, is asked of the next one; who gives a wrong one loses the link. The
search ends when nobody is left to be asked and links have had their time to come up.
"""

from __future__ import annotations

from p2pblog.config import FILE_PATIENCE_S, FILE_QUESTIONS_HEARD_MAX, FILE_QUESTIONS_MAX, FILES_FETCHED_MAX
from p2pblog.core.keys import IdentityHash, NodeKey
from p2pblog.core.media import FileHash, PieceTable
from p2pblog.core.value import State, field
from p2pblog.errors import BadMessage, BadPiece
from p2pblog.gossip.events import (
    Effect,
    Ending,
    FetchFile,
    FileNews,
    FileStored,
    FileUnstored,
    LoadedFile,
    LoadFile,
    PieceDue,
    SearchDue,
    Send,
    SetTimer,
    StorePiece,
    StoreTable,
)
from p2pblog.gossip.file_messages import FILES_VERSION, Piece, TableOf, WantPiece, WantTable
from p2pblog.gossip.sharing import Session, Sharing

SEARCH_S = 5.0
"""How long a search goes on at least, so that a node that has just started links with somebody: two slow dials."""
TABLE = -1
"""The table, where the numbers of pieces stand."""


class Question(State, eq=False):
    """A question to a peer. `late`: it was not answered in time, and somebody else is asked."""

    number: int
    file: FileHash
    index: int
    late: bool = False


class Search(State, eq=False):
    """A file being fetched. `lacking`: the pieces neither here nor on their way to the disk; of those, and of the
    table, `asked` says who is asked for it, and `refused` what each peer does not give."""

    authors: tuple[IdentityHash, ...]
    size_max: int
    until: float
    table: PieceTable | None = None
    lacking: dict[int, None] = field(default_factory=dict)
    storing: set[int] = field(default_factory=set)
    asked: dict[int, NodeKey] = field(default_factory=dict)
    refused: dict[NodeKey, set[int]] = field(default_factory=dict)
    was_silent: bool = False

    @property
    def wanted(self) -> list[int]:
        """What somebody has to be asked for now."""
        needed = [TABLE] if self.table is None else list(self.lacking)
        return [index for index in needed if index not in self.asked]

    def begin(self, table: PieceTable, held: frozenset[int]) -> None:
        """The table is known, and these pieces are here."""
        self.table = table
        self.lacking = {index: None for index in range(len(table.pieces)) if index not in held}

    def news(self, file: FileHash, ending: Ending | None = None) -> FileNews:
        pieces = 0 if self.table is None else len(self.table.pieces)
        return FileNews(file, pieces - len(self.lacking) - len(self.storing), pieces, ending)


class Files(State):
    """The machine. `questions`: what each peer was asked and has not answered."""

    sharing: Sharing
    searches: dict[FileHash, Search] = field(default_factory=dict)
    questions: dict[NodeKey, dict[tuple[FileHash, int], Question]] = field(default_factory=dict)
    number: int = 0

    # --- fetching ---

    def fetch(self, event: FetchFile, now: float) -> list[Effect]:
        """Search for a file, unless that is under way."""
        if event.file in self.searches:
            return []
        search = Search(event.authors, event.size_max, now + SEARCH_S)
        if event.table is not None:
            search.begin(event.table, event.pieces)
        if event.table is not None and not search.lacking:
            return [search.news(event.file, Ending.WHOLE)]
        if len(self.searches) >= FILES_FETCHED_MAX:
            return [search.news(event.file, Ending.BUSY)]
        self.searches[event.file] = search
        return [search.news(event.file), *self.ask(now), SetTimer(SearchDue(event.file), search.until)]

    def ask(self, now: float) -> list[Effect]:
        """Ask for whatever somebody can be asked for now, and end the searches where nobody can be.

        This follows each answer, so what holds for all pieces is looked up once: with 16 files and 48 links each answer
        took 67 ms when every peer was looked at for every piece.
        """
        if not self.searches:
            return []
        effects: list[Effect] = []
        ready = self._ready()
        free = [peer for peer in ready if len(self.questions.get(peer, ())) < FILE_QUESTIONS_MAX]
        for file, search in list(self.searches.items()):
            can_wait = bool(search.asked or search.storing) or now < search.until
            if free or not can_wait:
                effects += self._ask_for(file, search, ready, free, can_wait, now)
        return effects

    def _ready(self) -> list[NodeKey]:
        """Who may be asked for anything: knows files, and owes no answer that is late."""
        return [
            peer
            for peer, session in sorted(self.sharing.sessions.items())
            if session.ready
            and session.version >= FILES_VERSION
            and not any(question.late for question in self.questions.get(peer, {}).values())
        ]

    def _ask_for(
        self, file: FileHash, search: Search, ready: list[NodeKey], free: list[NodeKey], can_wait: bool, now: float
    ) -> list[Effect]:
        """What one search asks of those who have room for a question; who has none after that leaves `free`."""
        effects: list[Effect] = []
        wanted = search.wanted
        trusted = self._trusted(search, ready)
        spare = self._giving(search, wanted, free if trusted is ready else [peer for peer in free if peer in trusted])
        for index in wanted:
            if can_wait and not spare:
                break
            can_wait = can_wait or self._is_possible(file, search, index, trusted)
            able = [peer for peer in spare if self._may_have(peer, file, search, index)]
            if able:
                peer = self._best(search, able)
                effects += self._ask_one(file, search, index, peer, now)
                if len(self.questions[peer]) >= FILE_QUESTIONS_MAX:
                    free.remove(peer)
                    spare.remove(peer)
        if not can_wait and not search.asked:
            effects += self._end(file, Ending.SILENT if search.was_silent else Ending.LACKING)
        return effects

    def _trusted(self, search: Search, peers: list[NodeKey]) -> list[NodeKey]:
        """Who may know what is looked for. Where all who refer to it are followed in private, only those who share one
        of these feeds: to ask others would tell them of the follow."""
        private = self.sharing.holdings.private
        if not search.authors or not all(author in private for author in search.authors):
            return peers
        return [peer for peer in peers if self._shares(peer, search)]

    def _shares(self, peer: NodeKey, search: Search) -> bool:
        shared = self.sharing.sessions[peer].shared
        return any(author in shared for author in search.authors)

    def _giving(self, search: Search, wanted: list[int], peers: list[NodeKey]) -> list[NodeKey]:
        """Without those who refused all that is wanted."""
        missed = frozenset(wanted)
        return [peer for peer in peers if not missed.issubset(search.refused.get(peer, ()))]

    def _is_possible(self, file: FileHash, search: Search, index: int, peers: list[NodeKey]) -> bool:
        """Somebody may have it, whether he has room for a question now or not; or an earlier search asked for it, and
        its answer is still to come."""
        if any(self._may_have(peer, file, search, index) for peer in peers):
            return True
        asked = (questions.get((file, index)) for questions in self.questions.values())
        return any(question is not None and not question.late for question in asked)

    def _may_have(self, peer: NodeKey, file: FileHash, search: Search, index: int) -> bool:
        """Whether a peer did not refuse this and was not asked for it."""
        return index not in search.refused.get(peer, ()) and (file, index) not in self.questions.get(peer, ())

    def _best(self, search: Search, free: list[NodeKey]) -> NodeKey:
        """Of those that share the feed of an author the least busy one; of several, in turn."""

        def order(place: int) -> tuple[bool, int, int]:
            peer = free[place]
            is_far = not self._shares(peer, search)
            return is_far, len(self.questions.get(peer, ())), (place - self.number) % len(free)

        return free[min(range(len(free)), key=order)]

    def _ask_one(self, file: FileHash, search: Search, index: int, peer: NodeKey, now: float) -> list[Effect]:
        self.number += 1
        self.questions.setdefault(peer, {})[file, index] = Question(self.number, file, index)
        search.asked[index] = peer
        message = WantTable(file) if index == TABLE else WantPiece(file, index)
        return [Send(peer, message), SetTimer(PieceDue(peer, self.number), now + FILE_PATIENCE_S)]

    def _end(self, file: FileHash, ending: Ending) -> list[Effect]:
        return [self.searches.pop(file).news(file, ending)]

    # --- answers ---

    def on_table(self, session: Session, message: TableOf, now: float) -> list[Effect]:
        search = self._answered(session, message.file, TABLE)
        effects: list[Effect] = []
        if search is not None and message.table is None:
            self._refuse(search, session.peer, TABLE)
        elif search is not None and search.table is None and message.table is not None:
            if message.table.size > search.size_max:
                return self._end(message.file, Ending.OTHER_SIZE) + self.ask(now)
            search.begin(message.table, frozenset())
            effects = [StoreTable(message.table), search.news(message.file)]
        return effects + self.ask(now)

    def on_piece(self, session: Session, message: Piece, now: float) -> list[Effect]:
        """Raises BadPiece: the link ends, and what else it was asked for is asked of others."""
        search = self._answered(session, message.file, message.index)
        effects: list[Effect] = []
        if search is not None and message.data is None:
            self._refuse(search, session.peer, message.index)
        elif search is not None and search.table is not None and message.data is not None:
            if not search.table.fits(message.index, message.data):
                raise BadPiece("another piece than this file has there")
            if message.index in search.lacking:
                del search.lacking[message.index]
                search.storing.add(message.index)
                effects = [StorePiece(message.file, message.index, message.data)]
        return effects + self.ask(now)

    def _answered(self, session: Session, file: FileHash, index: int) -> Search | None:
        """The search that an answer belongs to, if that goes on. Raises BadMessage for an answer to no question."""
        if self.questions.get(session.peer, {}).pop((file, index), None) is None:
            raise BadMessage("of a file, what was not asked for")
        search = self.searches.get(file)
        if search is not None and search.asked.get(index) == session.peer:
            del search.asked[index]
        return search

    def _refuse(self, search: Search, peer: NodeKey, index: int) -> None:
        search.refused.setdefault(peer, set()).add(index)

    def on_stored(self, event: FileStored, now: float) -> list[Effect]:
        search = self.searches.get(event.file)
        if search is None:
            return []
        search.storing.discard(event.index)
        if not search.lacking and not search.storing:
            return self._end(event.file, Ending.WHOLE) + self.ask(now)
        return [search.news(event.file), *self.ask(now)]

    def on_unstored(self, event: FileUnstored, now: float) -> list[Effect]:
        if event.file not in self.searches:
            return []
        return self._end(event.file, Ending.NO_ROOM) + self.ask(now)

    # --- silence ---

    def on_piece_due(self, timer: PieceDue, now: float) -> list[Effect]:
        asked = self.questions.get(timer.peer, {}).values()
        question = next((each for each in asked if each.number == timer.number), None)
        if question is None:
            return []
        question.late = True
        search = self.searches.get(question.file)
        if search is not None and search.asked.get(question.index) == timer.peer:
            del search.asked[question.index]
            search.was_silent = True
        return self.ask(now)

    def on_link_down(self, peer: NodeKey, now: float) -> list[Effect]:
        self.questions.pop(peer, None)
        for search in self.searches.values():
            search.refused.pop(peer, None)
            search.asked = {index: other for index, other in search.asked.items() if other != peer}
        return self.ask(now)

    # --- giving ---

    def on_want(self, session: Session, message: WantTable | WantPiece) -> list[Effect]:
        """Raises BadMessage for who asks for more than we keep in mind."""
        if session.files_owed >= FILE_QUESTIONS_HEARD_MAX:
            raise BadMessage("more asked for of files than may be unanswered")
        session.files_owed += 1
        return [LoadFile(session.peer, message.file, message.index if isinstance(message, WantPiece) else None)]

    def on_loaded(self, session: Session, event: LoadedFile) -> list[Effect]:
        session.files_owed = max(0, session.files_owed - 1)
        if event.index is None:
            return [Send(session.peer, TableOf(event.file, event.table))]
        return [Send(session.peer, Piece(event.file, event.index, event.data))]

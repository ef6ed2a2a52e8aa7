"""Named limits with their reasons."""

from __future__ import annotations

# --- identity and entries -------------------------------------------------------------------------------------------
PAYLOAD_BYTES_MAX = 16 * 1024
"""One payload: room for 5,000 characters of any script, small enough that 1,000 of them stay a bounded run."""
NOTE_CHARACTERS_MAX = 5_000
"""One notice's text, counted in code points: ten times Mastodon's default; beyond it people want a page."""
NOTE_BYTES_MAX = 15_000
"""One notice's text in UTF-8: leaves 1,384 bytes of a payload for the rest of the map."""
WARNING_CHARACTERS_MAX = 200
"""A content warning: one line that says what the text is about."""
LANGUAGE_CHARACTERS_MAX = 35
"""A language tag: what RFC 5646, 4.4.1, asks everybody to have room for."""
TAG_CHARACTERS_MAX = 64
"""A tag without its #: the longest German word in a newspaper has 67 letters, and nobody reads it twice."""
TAGS_MAX = 32
"""Tags of one notice that are indexed: more than a notice that says something has."""
GROUP_CHARACTERS_MAX = 64
"""A group's name without its !: as long as a tag, since it is one more kind of word that people make up."""
GROUPS_MAX = 4
"""Groups that one notice is posted to: each costs a DHT record, and a notice to more of them is an advertisement."""
POLL_OPTIONS_MIN = 2
"""Options of a poll: with fewer there is nothing to choose."""
POLL_OPTIONS_MAX = 10
"""Options of a poll: as many as a person compares, and a page that still fits a screen."""
POLL_OPTION_CHARACTERS_MAX = 100
"""One option: a line of a wide terminal."""
POLL_OPEN_MS_MIN = 5 * 60 * 1000
"""How long a poll is open at least: votes travel in seconds, people take minutes."""
POLL_OPEN_MS_MAX = 30 * 24 * 3600 * 1000
"""How long a poll is open at most: after a month nobody scrolls back to vote."""
POLL_OPEN_MS = 24 * 3600 * 1000
"""How long a poll is open unless its author says otherwise: everybody's evening falls into it."""
PINS_MAX = 5
"""Notices that one person pins: a screen of them."""
PINS_READ_MAX = 1_000
"""Pins of one person that are looked at to find those that count, the newest first: what they name may be gone."""
VOTE_CHOICE_MAX = 255
"""What a vote may choose: beyond POLL_OPTIONS_MAX, so that later versions may have longer polls."""
PIECE_BYTES = 64 * 1024
"""One piece of a file: a second over 0.5 Mbit/s, and little enough that live notices need not wait for it."""
FILE_BYTES_MAX = 8 * 1024 * 1024
"""One file: a photograph of a good camera; its table of 128 pieces is 4 KiB and one message."""
FILES_PER_NOTE_MAX = 4
"""Files of one notice: as many pictures as people put side by side."""
FILE_NAME_CHARACTERS_MAX = 100
"""A file's name: fits a line of a terminal beside its size."""
FILE_NAME_BYTES_MAX = 200
"""The same in UTF-8: file systems take 255, and whoever saves it may put something behind it."""
FILE_TYPE_CHARACTERS_MAX = 64
"""A media type: the longest common one has 73, ours at most 24."""
ALT_CHARACTERS_MAX = 1_000
"""What is to be seen in a picture, in words: a paragraph."""
NOTE_WITH_FILES_BYTES_MAX = 14_000
"""Text, names and descriptions together where a notice has files: leaves room for four files' hashes in a payload."""
THUMB_BYTES_MAX = 64 * 1024
"""A thumbnail: one piece; a picture of 320 pixels takes a third of it."""
VERSIONS_MAX = 100
"""Edits of one notice in its history, the newest: far more than anybody makes."""
MENTIONS_MAX = 16
"""People whom one notice mentions: more than a conversation has, and few enough that a notice is no megaphone."""
NAME_CHARACTERS_MAX = 50
"""A display name: fits a line of a terminal beside the text."""
BIO_CHARACTERS_MAX = 1_000
"""A profile's bio: a paragraph."""
LINKS_MAX = 8
"""Links of a profile: more than that is a page of one's own, and one link."""
LINK_CHARACTERS_MAX = 200
"""One link, in code points: two lines of a terminal; a `p2pblog:` link with its peers fits."""
PETNAME_CHARACTERS_MAX = 50
"""A petname: as a display name."""
DM_BYTES_MAX = 7_000
"""One direct message's text in UTF-8: with DM_RECIPIENTS_MAX recipients and what else is sealed it fits the largest
sealed size, and that fits a payload beside DM_BOXES_MAX boxes."""
DM_RECIPIENTS_MAX = 16
"""People whom one direct message goes to: more of them want a group."""
DM_BOXES_MIN = 4
"""Boxes of the smallest direct message: one to a person with one device looks like one to three such persons."""
DM_BOXES_MAX = 64
"""Boxes of one direct message, one for each device: four devices each of its author and 15 others. 5 KiB."""
DM_SEALED_MIN = 256
"""Bytes of a direct message padded, at least: a short one beside four boxes fits a record of the DHT."""
DM_SEALED_MAX = 8 * 1024
"""Bytes of a direct message padded, at most; the sizes between are powers of two."""
CHECKPOINT_EVERY = 64
"""Entries between two signatures that always travel: one signature vouches for at most this many entries that follow
the last one (figures: one check per 64 entries costs 1/40 of checking each)."""
RUN_ENTRIES_MAX = 1_000
"""Entries in one run: what is held in memory before its last signature is checked."""
RUN_BYTES_MAX = 2 * 1024 * 1024
"""Bytes of one run; with its envelope it fits a message."""
FORK_BODIES_MAX = 64
"""Bodies in one branch of a fork proof: from the fork to the next checkpoint."""
STATEMENTS_MAX = 256
"""Statements kept of one identity: two for each of 128 devices, or fewer beside rotations."""
ROTATIONS_MAX = 4
"""Rotations of one identity that a head record can carry; more would not fit a datagram."""
MSGPACK_DEPTH_MAX = 8
"""Levels of nesting in anything from outside; our deepest value has five."""
MSGPACK_ITEMS_MAX = 256 * 1024
"""Values in anything from outside: two dozen for each of 10,000 follows; at worst 20 MB while they are decoded."""
SEQ_MAX = 2**32 - 1
"""The last number of a log: a notice a second for 136 years; fits the store's 32-bit half key."""
TIME_MS_MAX = 2**53 - 1
"""The last time an entry may claim: what every JSON reader holds exactly."""

# --- DHT ------------------------------------------------------------------------------------------------------------
RECORD_BYTES_MAX = 1_000
"""One DHT record: BEP 44's limit; with its envelope it fits one unfragmented datagram."""
DATAGRAM_BYTES_MAX = 1_400
"""One UDP datagram: below every common MTU, tunnels included."""
HEAD_LIFETIME_MS = POINTER_LIFETIME_MS = 30 * 24 * 3600 * 1000
"""Who comes back after a month without a computer was found meanwhile, and finds what was said to them."""
NOTICE_LIFETIME_MS = 48 * 3600 * 1000
"""As long as IPFS keeps a provider record: a weekend. What is older is with who holds the feed."""
REPLICA_LIFETIME_MS = 2 * 24 * 3600 * 1000
"""A replica announces itself anew each day; two days bridge one missed turn."""
HEADS_PER_KEY_MAX = 8
"""Heads, and retirements, under one key: more devices than a person writes with in a month. A guess."""
MANY_PER_KEY_MAX = 128
"""Pointers or replicas under one key: twice REPLICAS_WANTED, as many as may be alive; 16 replies, some 20 kB."""
POINTERS_PER_AUTHOR_MAX = 8
"""Of those, pointers of one device: a conversation, and 16 who talk at once have room."""
POINTER_TARGETS_MAX = 24
"""Pointers of one notice: 16 people whom it mentions, two notices, whose these are, and four groups."""
POINTED_S = 10.0
"""How long it is looked for what pointers lead to: two look-ups, one after the other."""
POINTED_VAIN_MAX = 1_024
"""Pointers remembered that led to nothing: eight full targets."""
POINTED_AGAIN_MS = 6 * 3600 * 1000
"""The longest until such a pointer is followed again: its author may only have been away."""
POINTED_EVERY_S = 600.0
"""How often a node looks for answers to its person: one look-up, and two more for each that is new."""
POINTED_EACH_MAX = 16
"""Of those, how many it follows each time: a hundred in an hour; a full target is through after eight turns."""
POINTED_CROWDED = 96
"""Pointers at our identity from which on answers may find no room there; then it is looked at our notices too."""
POINTED_NOTICES = 4
"""Of those, the newest: what people answer."""
UNPOINTED_MAX = 256
"""Own entries that are looked through for pointers not published yet, the newest: a week without a network."""
POINTERS_AT_ONCE = 32
"""Pointers published in one go: each is a look-up of its own, as many as the DHT has under way."""
POINTING_TRIES_MAX = 8
"""How often pointers are offered that nobody takes: over two hours. Then those of later notices have their turn."""
RECORDS_PER_BLOCK_MAX = 2
"""Records of one key from one IPv4 /24 or IPv6 /48."""
POINTERS_PASSED_ON_MAX = POINTED_EACH_MAX
"""Pointers of one key that a neighbour's address block passes on beyond those: what is false among them costs a reader
one turn. Eight neighbours together pass on all 128 that a key may have."""
RECORD_SKEW_MS = 10 * 60 * 1000
"""How far an author's clock may run ahead of a holder's before a record counts as living too long."""
RECORDS_MAX = 20_000
"""Records that a node holds for others: 20 MB at most, 5 MB as they come."""
RECORDS_PER_SIGNER_MAX = 256
"""Of those, by one device, node or identity: its keys are spread over the network, so few fall to one holder."""
RECORDS_PER_SENDER_MAX = 1_000
"""Of those, sent from one IPv4 /24 or IPv6 /48: a twentieth of the room. Half of it at most is for pointers."""
REPLICAS_WANTED = 64
"""A follower announces itself while fewer replicas than this last until its next turn."""
DHT_REPLY_FACTOR = 3
"""A reply to a source that has not proven its address is at most so many times its request (RFC 9000, section 8.1)."""
DHT_REPLY_CONTACTS_MAX = 20
"""Contacts in one reply: Kademlia's k."""
DHT_TOKEN_LIFETIME_S = 600
"""A token is good for one to two of these: BEP 5 takes ten minutes too."""
DHT_RATE_PER_S = 50.0
"""Requests a second from one address: a look-up sends one to each of some forty nodes."""
DHT_RATE_BURST = 200.0
"""Requests at once from one address: a publish of ten records to one holder, many times over."""
DHT_PUBLISHED_PER_S = DHT_RATE_PER_S / 4
DHT_PUBLISHED_BURST = DHT_RATE_BURST / 4
"""Records that a node publishes, each second and at once, where most others are holders: each costs them a find and a
store of what they grant an address, and half is left to look-ups and repeats."""
DHT_FEW_CONTACTS = 80
"""Where there are fewer, most others are holders: with so many a walk and a store fall to every second one."""
DHT_RATE_SOURCES_MAX = 8_192
"""Addresses whose rate is remembered: about 1 MB."""
DHT_CALLS_MAX = 8_192
"""Calls that await a reply, 1.1 kB each. Whoever can't be called is given up, so all look-ups under way have room at
their widest: 200 calls and 52 stores each. In the simulator 32 publishes, half of the nodes dead, had 2,229."""
DHT_CALL_TIMEOUT_S = 1.5
"""How long a late reply still counts: the look-up goes on long before, this decides who is a miss."""
DHT_SEND_BUFFER_BYTES_MAX = 1024 * 1024
"""Datagrams that the system did not take yet; beyond it they are dropped, as a full network would."""
DHT_CHECKS_MAX = 32
"""Pings under way to see whether a newcomer proves its id, or an old contact lives."""
DHT_NEWCOMERS_MAX = DHT_CHECKS_MAX // 2
"""Of those, for newcomers, one from each address block: anybody can claim a new id with each request."""
DHT_TOKENS_MAX = 4_096
"""Tokens of others that we remember."""
DHT_LOOKUPS_MAX = 32
"""Look-ups at once; further ones wait."""
DHT_CONTACTS_PER_BLOCK_MAX = 3
DHT_CONTACTS_PER_BLOCK_AND_BUCKET_MAX = 2
"""Contacts of one IPv4 /24 or IPv6 /48 in the routing table and in one bucket (go-libp2p-kad-dht)."""
DHT_MISSES_MAX = 2
"""A contact that left so many calls in a row unanswered, while others were heard, leaves the routing table."""
DHT_PROOF_LIFETIME_S = 600
"""A node id proven at an address is proven again after this."""
DHT_NEIGHBOURS_EVERY_MS = 10 * 60 * 1000
"""A walk to one's own id: the nearest nodes decide where records lie, so they are kept fresh."""
DHT_BUCKET_EVERY_MS = 3600 * 1000
"""A walk into a bucket that saw none (Kademlia, section 2.3)."""
DHT_RESTORE_EVERY_MS = 12 * 3600 * 1000
"""A holder stores a record again that nobody stored with it for so long; after 10 hours a median of 15 of 20 first
holders are still among the 20 closest, after 48 some records would be lost."""
DHT_RESTORES_PER_TURN = 20
"""Keys that one turn of upkeep stores again."""
DHT_UPKEEP_EVERY_S = 30.0
"""How often it is looked whether upkeep is due."""
DHT_BOOTSTRAPS_MAX = 64
"""Endpoints that we were told of and try again while we know few."""
DHT_STATE_CONTACTS_MAX = 200
"""Contacts that are saved for the next start."""
DHT_GONE_CONTACTS_MAX = 20
"""Of those, some that left the routing table: one is tried every ten minutes, so each every three hours or so."""

# --- links and gossip -----------------------------------------------------------------------------------------------
MESSAGE_BYTES_MAX = 2 * 1024 * 1024 + 256 * 1024
"""One gossip message: a full run and its envelope."""
HANDSHAKE_TIMEOUT_S = 5.0
"""A handshake is 1.5 round trips; five seconds is twenty slow ones."""
HANDSHAKES_MAX = 64
"""Inbound connections that have not proven a key yet; at the limit the oldest of the most crowded address block goes.
An honest handshake takes 1.5 round trips, so 64 at once serve hundreds a second."""
HANDSHAKES_PER_BLOCK_MAX = 16
"""Of these from one IPv4 /24 or IPv6 /48; at the limit the oldest of them goes, so that an honest one still gets in."""
CONNECTIONS_ACCEPTED_MAX = 192
"""Proven inbound connections: LINKS_ACCEPTED_MAX links, and as many visitors and peers being turned away."""
CONNECTIONS_PER_HOST_MAX = 16
"""Of these from one public IPv4 address or IPv6 /48: a household or a small office behind one. Not for each /64,
of which whoever has a /48 has 65,536; so customers of a hoster who shares one among them share these places too."""
FRAME_TIMEOUT_S = 30.0
"""One frame (64 KiB at most) must leave or arrive in this time: 2 kB/s, slower than an old modem. Between messages a
link may be silent for ever; the gossip driver pings."""
REKEY_EVERY = 2**20
"""Noise messages of one direction between two rekeyings; at most 64 GiB under one key."""
LINGER_S = 1.0
"""How long an accepted link waits for the peer to close too, so that our last message is not cut off by a reset."""
QUEUE_BYTES_MAX = 8 * 1024 * 1024
"""What may wait for one peer that does not read: three full messages."""
LINKS_CHOSEN_MAX = 48
LINKS_ACCEPTED_MAX = 96
"""Room for links (docs/decisions/0015): who follows few, or what many follow, has some ten."""
NEWEST_FIRST = 50
"""Entries of each followed log that come before any history: two pages of a timeline."""
FOLLOWS_MAX = 10_000
"""Followed identities: ten times what the busiest tenth of people follow."""
TIMELINE_ROWS_MAX = 1_000
"""Lines of one page of anything, which is read and sent whole: 20 screens."""
FORMER_DEVICES_MAX = 64
"""Keys of earlier devices: a new one begins when a home is copied or put back, which happens a few times in a life."""
ARCHIVED_PEERS_MAX = 32
"""Endpoints that an archive takes along, those that answered first: of twice the links that a node chooses one is still
there after months (a guess)."""
BOOKMARKS_MAX = 10_000
"""Bookmarks: a thousand pages of them."""
MUTES_MAX = 1_000
"""Mutes of people, tags and words: each word is looked for in each text of a page."""
MUTED_WORDS_CHARACTERS_MAX = 100
"""A muted word, or a few in a row: as long as a line."""
MUTE_MS_MIN = 60 * 1000
MUTE_MS_MAX = 366 * 24 * 3600 * 1000
"""How long a mute with an end lasts: a minute to a year; what is meant to last longer has no end."""
BLOCKS_MAX = 10_000
"""Blocked identities: as many as one may follow."""
ADMITTED_MAX = 10_000
"""Strangers whom one admits, all looked through where they are listed."""
BUDGET_COUNT_MAX = 1_000
"""Notices of one person in one hour, day or week of a budget; more is no budget."""
BUDGET_NOTICES_MAX = 500
"""Notices of one person in one such period that compete for its places, the earliest of them: ranking as many reads as
many lines, some 50 ms, and whoever writes more than that in a day is no person."""
QUIET_ROWS_MAX = 5_000
QUIET_ROWS_EMPTY_MAX = 50_000
"""Lines that are looked at for one page because others are hidden: half a second; and while none was found to show, so
that a page is empty only if there is nothing for a long way down."""
LISTS_MAX = 100
"""Lists of people: more than anybody looks through."""
LIST_MEMBERS_MAX = 500
"""People in one list: its timeline merges as many feeds for each page, some 0.1 ms for each."""
GROUPS_JOINED_MAX = 64
"""Groups that a person joins: at GROUPS_APART_S each of them is looked for within eleven minutes."""
GROUP_EVERY_S = 300.0
"""How often a node looks for what was said to a group: one look-up, and two more for each notice that is new."""
GROUP_WATCHED_EVERY_S = 60.0
"""The same while somebody watches it."""
GROUPS_APART_S = 10.0
"""Between two such looks: so that many groups cost no more at a time than one."""
GROUP_EACH_MAX = 16
"""Notices taken at one look, the newest of each author first. After a full one the next look is due at once."""
GROUP_FRESH_S = 30.0
"""Who reads a group has it looked for anew, for the next time, if the last look is longer ago."""
GROUP_STORE_S = 5.0
"""How long a look waits for the disk, so that who asked for it gets an answer."""
LIST_NAME_CHARACTERS_MAX = 50
"""A list's name: as a petname."""
SEARCH_CHARACTERS_MAX = 500
"""What is typed after `search`: a long sentence, an address and some tags."""
SEARCH_TERMS_MAX = 32
"""Terms of it: each costs a look into the index."""
SEARCH_WORD_CHARACTERS_MAX = 64
"""Of a longer word only the beginning is looked for: as of a tag."""
SEARCH_BEGINNING_MIN = 2
"""Letters before a `*`: one would ask for a tenth of all words."""
ADDRESS_LETTERS = 8
"""Letters of an address beside a name, or instead of one: names are anybody's choice, so whose it is is always said."""
ADDRESS_CHARACTERS = 56
"""Of a whole address: 35 bytes in base32."""
ID_PREFIX_MIN = 6
"""Hex digits of a shortened id: one in 16 million."""

# --- offers: what waits for somebody ---------------------------------------------------------------------------------
OFFER_COPIES = 3
"""Links that its author, and each of those, tells of an entry for one person: three of a feed's replicas seldom leave
together, and what they pass on stays at a dozen."""
OFFER_EVERY_S = 5.0
"""How often it is looked whether somebody for whom something waits has come."""
OFFER_LIFETIME_MS = 30 * 24 * 3600 * 1000
"""How long something waits on disk: as long as a pointer to it."""
OFFER_VISIT_EVERY_S = 30.0
"""How often one of those is visited whom no link leads to: one look-up and OFFER_VISITED dials."""
OFFER_VISITED = 2
"""Nodes visited for one person in one go."""
OFFER_VISIT_S = 15.0
"""How long a visit lasts: two looks for whom something waits, and time to fetch it."""
OFFER_VISIT_AGAIN_S = 3600.0
"""When somebody is visited again of whom nobody was met, and after twice as long each time."""
OFFER_VISITS_MAX = 4
"""How often that is tried in one run of a node: over a day's half."""
OFFERS_PER_AUTHOR_MAX = 8
"""Entries of one author that wait here, as many as a target's shelf in the DHT has of him; then his oldest goes."""
OFFERS_OF_OWN_MAX = 64
"""Own entries that wait to be offered: a week's answers."""
OFFERS_PER_TARGET_MAX = 128
"""Entries that wait for one person, as on his shelf in the DHT."""
OFFERS_PER_PEER_MAX = 128
"""Entries that wait and came over one link: four links at least fill us."""
OFFERS_MAX = 512
"""Entries that wait, in all: 10 MB at most, 1 MB as they come."""
OFFERS_AT_ONCE = 32
OFFERS_PER_S = 0.05
"""What we offer over one link: so many entries at once, then one each twenty seconds: half an hour for the rest."""
OFFERS_HEEDED_MAX = 64
OFFERS_HEEDED_PER_S = 0.1
"""What we heed of one link: twice that. A liar with ever new identities and one link needs a day to fill STRAYS_MAX."""
OFFERS_ADVANCED_MAX = 512
OFFERS_ADVANCED_PER_S = 0.1
"""What we heed at once of all new links together: of 16 as much as an honest one says; then as of one link more, so
that who links anew each second brings no more than who stays."""
OFFERS_EXCESS_MAX = 512
"""Entries offered beyond that which are only left unheard; more end the link."""
OFFERS_ASKED_MAX = 1_024
"""Offered entries asked for at once; beyond, the oldest question is forgotten."""
OFFERS_SEEN_MAX = 4_096
"""Offered entries that we remember to have: 32 full targets."""
OFFERS_TOLD_MAX = 64
"""Links told of one entry: many more than copies, for a person may have some nodes and come back often."""
OFFERS_TRIED_MAX = 48
"""Of these, links that are not its target's own node, so that there is room left for that. Where all of them ignore an
entry, it costs who passes it on 5 kB, three links each five seconds."""

# --- files of notices -----------------------------------------------------------------------------------------------
FILES_KEPT_BYTES_MAX = 1024 * 1024 * 1024
"""Files of others that a node keeps: a thousand photographs; the one used longest ago makes room. Own files stay."""
STORE_BYTES_MIN = 10_000_000
"""The least that `store.max` may be: an empty database and the newest of a hundred people."""
STORE_BYTES_MAX = 1_000_000_000_000_000
"""The most: a petabyte is as good as no cap, and sizes stay far from what 64 bits count."""
ROOM_TO_SPARE = 10
"""A store that has passed its cap is brought down by a tenth of it: room for some 600,000 notices of 2 GB."""
ROOM_CHECK_S = 0.25
"""How often at most it is looked whether what came has passed the cap: so much of history is some 3 MB."""
ANSWERED_LATELY_MAX = 1_000
"""Own entries that are looked at to see to whom one speaks: some months of them."""
FILES_FETCHED_MAX = 16
"""Files being fetched at once: 4 notices full of pictures; further ones are refused until one is done."""
FILE_QUESTIONS_MAX = 4
"""Pieces asked of one peer at once: 256 KiB under way fill 20 Mbit/s over 100 ms."""
FILE_QUESTIONS_HEARD_MAX = 16
"""Pieces that one peer may have asked for and not been given; a further question ends the link."""
FILE_PATIENCE_S = 10.0
"""How long one piece may take before somebody else is asked: 64 KiB over 50 kbit/s."""
UPLOADS_MAX = 8
"""Files handed to the node and not posted yet: two notices' worth, 64 MiB at most; the oldest makes room."""
PICTURE_PIXELS_MAX = 64_000_000
"""Pixels of a picture, all its frames together, that `post` takes apart: 200 MB while it does."""
THUMB_PIXELS = 320
"""Width or height of a thumbnail, whichever is greater."""

NETWORK_ID = b"p2pblog main 1"
"""The network whose nodes talk to each other; part of the handshake's prologue."""


# --- control and key file -------------------------------------------------------------------------------------------
KEY_FILE_BYTES_MAX = 64 * 1024
"""The key file is under 1 KiB; more is not ours, and is not read to its end."""
CONTROL_BODY_BYTES_MAX = 256 * 1024
"""One request on the control socket: 5,000 characters, each escaped to 12 bytes of JSON, four times over."""
CONTROL_RUN_BYTES_MAX = 5 * 1024 * 1024
"""The same for a run that is imported: the largest message, each byte as two digits."""
CONTROL_CONNECTIONS_MAX = 64
"""Commands that the daemon answers at once; the next one is told to come back."""
CONTROL_WATCHES_MAX = 32
"""Of these, live timelines: they stay open, and must leave room for commands."""
CONTROL_WATCH_LAG_MAX = 50_000
"""Notices that may wait for a live timeline that does not read; beyond it, it is ended. One commit brings all that had
waited for it: a megabyte of runs, 7,000 notices."""
CONTROL_WATCH_ROWS_MAX = 1_000
"""Of these, how many are read at once."""
CONTROL_BODY_TIMEOUT_S = 10.0
"""A command sends its request whole; one that stalls gives its place to another."""
CONTROL_WRITE_TIMEOUT_S = 30.0
"""A live timeline stopped in a pager fills the socket's buffer; it is ended after this long without reading."""
CONTROL_WRITES = {
    **dict.fromkeys(
        ("post", "edit", "quote", "vote", "boost", "unboost", "like", "unlike", "delete"), "p2pblog timeline"
    ),
    **dict.fromkeys(("profile", "pin", "unpin"), "p2pblog profile"),
    **dict.fromkeys(("vouch", "unvouch"), "p2pblog admitted"),
    "dm": "p2pblog dm",
    "import_note": "p2pblog timeline",
}
"""Routes that sign an entry, which may have to wait for others first -> the command that shows whether it was signed.
Whoever asked and went does not want it any more: repeated, it would be there twice."""
CONTROL_LOOKS = {"profile": {"address"}}
"""Those of them that sign nothing where they are given no more than this: then they only show."""
CONTROL_ANSWER_TIMEOUT_S = 30.0
"""How long the command line waits for the daemon: the first post after a start may take 5 s, a dial 5 s more."""


# --- store ----------------------------------------------------------------------------------------------------------
DELETES_WAITING_MAX = 64
"""Deletes of one log that stay, when room is made, for what has not come yet: 4 kB each with what vouches for them, at
most 8. An author can write any number that name nothing, and these never go."""
STRAYS_MAX = 10_000
"""Entries kept of logs that we don't hold, at most some 20 KiB each; the one kept longest makes room."""
KNOWN_PEERS_MAX = 1_000
"""Nodes remembered for the next start: enough to find the network again after most of them have moved."""
THREAD_NOTICES_MAX = 1_000
"""Notices of one conversation in one answer, as of one timeline."""
THREAD_FETCH_S = 8.0
"""How long `thread --fetch` looks in all: a look-up in the DHT takes some 3 s, and a person waits for it."""
THREAD_FETCH_DEPTH_MAX = 64
"""Notices fetched by one `thread --fetch`, each of which only the one below it names; asked again, it goes on."""
THREAD_FETCH_ANSWERS_MAX = 32
"""Answers to one notice that one `thread --fetch` follows pointers to: two look-ups for each, as many as go at once."""
THREAD_FETCH_REFS_MAX = 3
"""Different places asked for one notice, where those who answer it don't agree where it is."""
THREAD_FETCH_QUOTED_MAX = 64
"""Quoted notices asked for by one `thread --fetch`, as many as answered ones; asked again, it begins anew."""
THREAD_FETCH_AT_ONCE = 8
"""How many of those are looked for at a time: two look-ups each, of the 32 that the whole node may have running."""
POLL_LOOK_AGAIN_MS = 3_600_000
"""After what time it is looked again whether a poll that one voted in is here, so as to learn when it closes."""
NEWS_GATHERED_EVERY_S = 300.0
"""How often a node looks for polls that closed, and opens direct messages that came, while nobody reads notifications:
these stand in the order in which the node noticed what they tell of."""
NEWS_WAITED_FOR_S = 5.0
"""How long who reads notifications waits for direct messages to be opened: thousands for others may have come since, of
some 2 ms each, and the command line gives up after CONTROL_ANSWER_TIMEOUT_S. The rest comes with the next look."""
WRITES_PER_COMMIT_MAX = 64
"""Waiting writes that share one transaction: a sync costs more than all of them."""
SEARCH_SLICE = 250
"""Entries whose words are indexed in one transaction: some 30 ms for which a write may have to wait."""
SEARCH_CATCH_UP_MAX = 2_000
"""Entries that a search has indexed before it answers: some 0.3 s; what is left it tells."""
SEARCH_IDLE_S = 0.25
"""How long the writer rests before it indexes words: longer than the pauses while history comes in."""
SEARCH_GIVE_WAY_S = 0.05
"""How long it rests when somebody reads, or did so within this time: between two questions of a newcomer nothing else
takes the processor, and who reads without pause does not stop it."""
READERS = 2
"""Connections that read: a long query does not hold up a short one; each costs a thread and 2 MiB of cache."""

# --- archives -------------------------------------------------------------------------------------------------------
ARCHIVE_MEMBERS_MAX = 16 * 1024
"""Things in one archive: logs of every device, and a photograph a day with its thumbnail for twenty years."""
ARCHIVE_MEMBER_BYTES_MAX = 1024 * 1024 * 1024
"""One thing in an archive, unpacked: the log of a device of six million notices."""
ARCHIVE_INDEX_BYTES_MAX = 4 * 1024 * 1024
"""The list of what is in an archive, which Python reads whole: over 200 bytes for each."""
EXPORT_PAYLOADS_BYTES_MAX = 256 * 1024
"""Payloads of one answer to an export, and 63 entries more at most: it is read, sent and written in a moment."""
OUTBOX_BYTES_MAX = 256 * 1024 * 1024
"""Mastodon's outbox.json, which Python reads whole: 100,000 posts of 2.5 kB."""
OUTBOX_BRACKETS_MAX = 2_500_000
"""Lists and objects in it: Mastodon writes 12 to 20 for a post. Each takes two bytes of it, and of a reader 100."""
OUTBOX_COMMAS_MAX = 10_000_000
"""Commas in it, in texts too, and so values: Mastodon writes up to 70 for a post. Together a gigabyte of a reader."""
OUTBOX_CONTENT_CHARACTERS_MAX = 200_000
"""The HTML of one post: 5,000 characters, each in a link of its own."""
OUTBOX_TAG_CHARACTERS_MAX = 4_096
"""One tag of it: addresses of 2,000 characters are common enough, and of 90,000 attributes Python makes 56 MB."""
TAR_BYTES_MAX = 64 * 1024 * 1024 * 1024
"""How far a packed archive is unpacked in search of outbox.json, which stands behind all pictures."""
TAR_HEADERS_BYTES_MAX = 256 * 1024
"""What a tar file says of one member before its bytes: a name of 4 kB and some attributes. A guess."""

"""What Redis does in one step, as Lua scripts.

A stream has an entry for each `append`, with the id ``MILLISECONDS-NUMBER``: the time of Redis, and
a number that goes up by one. It begins with an empty entry, whose number is random (``base``): so
a reader sees by the numbers alone whether something is missing, or the stream is another one.
An entry has the fields ``d``, the payload, and ``b``, the bytes of all payloads up to it.

The hash about a stream: ``base``; ``n``, ``ms`` and ``b`` of the newest entry; ``sn``, ``sms`` and
``sb`` of that which the newest snapshot stands for; ``snapshot`` itself.

The hash of the leases has for each of them ``f:LEASE``, the fence: term and holder of whoever had
it last; and ``u:LEASE``, until when, in milliseconds of Redis' clock. ``run`` says since when this
Redis is used, as it is now: one that was started anew, has lost its data, or was a replica before
may not know who has a lease. So it grants none for as long as one may last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

Argument = bytes | str | int
Command = tuple[Argument, ...]

FENCED = -1
"""The reply of a script that was refused: another collector has, or had, a newer lease."""

BROKEN = -2
"""The reply of a script that did not find the stream as it was left."""


class Script:
    """A script, called by its hash once a connection has loaded it.

    One that only reads may be run by a user that may only read its keys.
    """

    def __init__(self, text: str, *, reads: bool = False) -> None:
        self.text = text
        self._command = "EVALSHA_RO" if reads else "EVALSHA"
        self._hash = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[bytes], *arguments: Argument) -> Command:
        """The command that runs it."""
        return (self._command, self._hash, len(keys), *keys, *arguments)


# All for scripts below. Numbers of Lua are doubles: tostring would write large ones as 1e+15.
_FENCE = "if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return -1 end\n"
_NUMBERS = """
local function text(number) return string.format('%.0f', number) end
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
"""
_LEASES = """
local function about(lease, at)  -- its fence, term and holder, and for how long it is had
  local fence, ends = unpack(redis.call('HMGET', KEYS[1], 'f:' .. lease, 'u:' .. lease))
  local term, holder = string.match(fence or '', '^(%d+) (.*)$')
  return fence or '', tonumber(term) or 0, holder, math.max((tonumber(ends) or 0) - at, 0)
end
"""

_LIFE = """
local function life()  -- another one, once this Redis may have older data than it had
  local info = redis.call('INFO', 'server', 'replication')
  local run, history = string.match(info, 'run_id:(%w+)'), string.match(info, 'master_replid:(%w+)')
  return (run or '') .. (history or '')
end
"""

CLAIM = Script(
    _NUMBERS
    + _LEASES
    + """
local at, me, lasts, granted = now(), ARGV[1], tonumber(ARGV[2]), {}
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
local known, since = string.match(redis.call('HGET', KEYS[1], 'run') or '', '^(%w*) (%d+)$')
if known ~= run then
  since = text(at)
  redis.call('HSET', KEYS[1], 'run', run .. ' ' .. since)
end
local young = math.max(since + lasts - at, 0)
for i = 3, #ARGV, 3 do
  local lease, least, state = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local fence, term, holder, rest = about(lease, at)
  local ours = holder == me or (term <= least and state ~= 'asks')
  local keeps = holder == me and rest > 0
  local free = rest == 0 and young == 0 and (ours or state == 'asks')
  if keeps or free or (ours and state == 'has') or state == 'takes' then
    if not keeps then fence = text(math.max(term + 1, least + 1, at)) .. ' ' .. me end
    redis.call('HSET', KEYS[1], 'f:' .. lease, fence, 'u:' .. lease, text(at + lasts))
    granted[#granted + 1] = {1, fence, lasts, 0}
  else
    granted[#granted + 1] = {0, fence, math.max(rest, young), young}
  end
end
return granted
"""
)
"""Key leases; holder, milliseconds, and of each lease its name, a term, and how it is claimed:

asks     it is not had; the term is the largest that is known of
has      it is had under that term, by the holder's clock too: nobody else can have it
had      it was had under that term, and has run out
takes    it is taken, whoever has it

Of each {1, fence, milliseconds, 0}; or {0, that of who has or had it, for how long it is not free,
for how long nothing is granted}.

A lease that has run out, or of which Redis knows nothing any more, goes on under a new term if
nobody else can have had one. The time is part of the term, so that it does not go back when Redis
has lost its data."""

MEET = Script(
    _NUMBERS
    + _LEASES
    + """
local at, lasts = now(), tonumber(ARGV[2])
local comes = not redis.call('HGET', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], text(at + lasts) .. ' ' .. ARGV[3])
local members, found, gone = {}, {}, 0
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  local ends, told = string.match(all[i + 1], '^(%d+) (.*)$')
  if ends and tonumber(ends) > at then
    members[#members + 1] = {all[i], told}
  elseif ends and (comes or tonumber(ends) > at - lasts) then
    gone = gone + 1
  else
    redis.call('HDEL', KEYS[2], all[i])
  end
end
for i = 4, #ARGV do
  local fence, _, _, rest = about(ARGV[i], at)
  found[#found + 1] = {fence, rest}
end
return {members, found, gone}
"""
)
"""Keys leases, members; holder, milliseconds, what others should know of it, names of leases.

{{holder, what it told}…, of all that are there}, {fence, for how many milliseconds}… of these
leases}, how many others are gone. These are forgotten after that time, by who is there meanwhile:
so who comes after a time in which nobody was there is told of all that were there last."""

LEAVE = Script(
    _NUMBERS
    + """
redis.call('HSET', KEYS[1], ARGV[1], text(now()) .. ' ')
"""
)
"""Key members; holder. It is gone."""

RELEASE = Script(
    """
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], 'f:' .. ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], 'u:' .. ARGV[i])
  end
end
"""
)
"""Key leases; of each lease its name and the fence."""

OPEN = Script(
    _FENCE
    + _NUMBERS
    + """
for i, wanted in ipairs({'stream', 'hash'}) do
  local kind = redis.call('TYPE', KEYS[i + 1]).ok
  if kind ~= 'none' and kind ~= wanted then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i + 1] .. ' is a ' .. kind)
  end
end
if ARGV[3] == '0' and redis.call('EXISTS', KEYS[2]) == 1 then
  local about = redis.call('HMGET', KEYS[3], 'n', 'b', 'sn', 'sb', 'base')
  if about[1] then
    local entries, bytes = about[1] - (about[3] or about[5]), about[2] - (about[4] or 0)
    return {tonumber(about[1]), entries, bytes, 0}
  end
end
local ms = text(math.max(now(), (redis.call('HGET', KEYS[3], 'ms') or 0) + 1))
redis.call('UNLINK', KEYS[2], KEYS[3])
redis.call('XADD', KEYS[2], ms .. '-' .. ARGV[4], 'd', '', 'b', '0')
redis.call('HSET', KEYS[3], 'base', ARGV[4], 'n', ARGV[4], 'ms', ms, 'b', '0')
if ARGV[6] then
  redis.call('HSET', KEYS[3], 'sn', ARGV[4], 'sms', ms, 'sb', '0', 'snapshot', ARGV[6])
end
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
return {tonumber(ARGV[4]), 0, 0, 1}
"""
)
"""Keys leases, stream, about; field of the lease, fence, whether to begin anew ('1') or go on
('0'), base, expiry, and, for a stream that begins, a snapshot if there is one.

{number of the newest entry, entries and bytes since the snapshot, whether it has begun}."""

APPEND = Script(
    _FENCE
    + _NUMBERS
    + """
local about = redis.call('HMGET', KEYS[3], 'n', 'ms', 'b')
if not about[1] then return -2 end
local n, ms, b = tonumber(about[1]), math.max(now(), tonumber(about[2])), tonumber(about[3])
local there = n - tonumber(ARGV[3])
if there < 0 or there > #ARGV - 3 then return -2 end
for i = 4 + there, #ARGV do
  n, b = n + 1, b + #ARGV[i]
  local id = text(ms) .. '-' .. text(n)
  local made = redis.pcall('XADD', KEYS[2], 'NOMKSTREAM', id, 'd', ARGV[i], 'b', text(b))
  if not made then return -2 end
  if made.err then return string.find(made.err, 'smaller') and -2 or made end
end
redis.call('HSET', KEYS[3], 'n', text(n), 'ms', text(ms), 'b', text(b))
return n
"""
)
"""Keys leases, stream, about; field of the lease, fence, number of the newest entry as it was
left, entries.

Those that are there already, from an attempt whose reply was lost, are not added again."""

SAVE = Script(
    _FENCE
    + """
local about = redis.call('HMGET', KEYS[2], 'n', 'ms', 'b')
if about[1] ~= ARGV[3] then return -2 end
redis.call('HSET', KEYS[2], 'sn', about[1], 'sms', about[2], 'sb', about[3], 'snapshot', ARGV[4])
return tonumber(about[1])
"""
)
"""Keys leases, about; field of the lease, fence, number of the newest entry as it was left,
snapshot."""

TRIM = Script(
    _FENCE
    + _NUMBERS
    + """
local about = redis.call('HMGET', KEYS[3], 'n', 'ms', 'b', 'sn', 'sms')
if about[1] ~= ARGV[7] or redis.call('EXISTS', KEYS[2]) == 0 then return -2 end
redis.call('PEXPIRE', KEYS[2], ARGV[6])
redis.call('PEXPIRE', KEYS[3], ARGV[6])
if not about[4] then return 0 end
local function after(ms)  -- the first entry of that time or later: its time and bytes before it
  local found = redis.call('XRANGE', KEYS[2], text(ms), '+', 'COUNT', 1)[1]
  if not found then return nil end
  return tonumber(string.match(found[1], '^%d+')), tonumber(found[2][4]) - #found[2][2]
end
local first, before = after(0)
if not first then return 0 end
local least, snapshot = now() - tonumber(ARGV[5]), tonumber(about[5])
local surplus = tonumber(about[3]) - tonumber(ARGV[4])
if before < surplus then
  local low, high = first, snapshot
  while low < high do
    local middle = math.floor((low + high) / 2)
    local ms, bytes = after(middle)
    if ms and bytes < surplus then low = math.max(middle + 1, ms + 1) else high = middle end
  end
  least = math.max(least, low)
end
local id = text(math.max(least, 0)) .. '-0'
if least >= snapshot then id = about[5] .. '-' .. about[4] end
local gone = redis.call('XTRIM', KEYS[2], 'MINID', id)
local most = math.max(tonumber(ARGV[3]), about[1] - about[4] + 1)
return gone + redis.call('XTRIM', KEYS[2], 'MAXLEN', text(most))
"""
)
"""Keys leases, stream, about; field of the lease, fence, most entries, most bytes, milliseconds
they live, expiry, number of the newest entry as it was left.

The entry of the snapshot stays, and so does the newest one: a reader that is behind it sees that
something is gone."""

REMOVE = Script(_FENCE + "return redis.call('UNLINK', KEYS[2], KEYS[3])")
"""Keys leases, stream, about; field of the lease, fence."""

LOOK = Script(
    _NUMBERS
    + _LEASES
    + """
local at, found = now(), {}
for i, lease in ipairs(ARGV) do
  local fence, _, _, rest = about(lease, at)
  found[i] = rest > 0 and fence or ''
end
for i = 2, #KEYS do
  local about = redis.call('HMGET', KEYS[i], 'base', 'n')
  found[#found + 1] = {tonumber(about[1]) or -1, tonumber(about[2]) or -1}
end
return found
""",
    reads=True,
)
"""Keys leases, about…; names of leases. The fence of who has each lease, empty if nobody has it;
then {base, number of the newest entry}…; -1 for none."""

CALL = Script(
    _NUMBERS
    + _LIFE
    + """
local fence, ends = unpack(redis.call('HMGET', ARGV[9], 'f:' .. ARGV[10], 'u:' .. ARGV[10]))
if not fence or (tonumber(ends) or 0) <= now() then return {} end
local waiting = redis.call('XLEN', KEYS[1])
if waiting == 0 then redis.call('SET', KEYS[2], 0) end
local bytes = tonumber(redis.call('GET', KEYS[2]) or 0)
if waiting >= tonumber(ARGV[1]) or bytes > tonumber(ARGV[2]) then return {} end
redis.call('INCRBY', KEYS[2], #ARGV[8])
local id = redis.call('XADD', KEYS[1], '*', 'f', fence, 'e', ARGV[4], 'i', ARGV[5], 'm', ARGV[6],
  't', ARGV[7], 'r', life(), 'd', ARGV[8])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {id, fence}
"""
)
"""Keys calls, calls-bytes; most calls, most bytes, expiry, edge, id, method, milliseconds, payload,
leases, name of the lease. {entry, fence}; empty if there is no collector, or too much waits.

The key of the leases is not among the keys, which an edge would have to be allowed to write."""

WITHDRAW = Script(
    _LIFE
    + """
local found = redis.call('XREVRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
local gone = redis.call('XDEL', KEYS[1], ARGV[1])
if gone == 1 then redis.call('DECRBY', KEYS[2], ARGV[2]) end
if found and found[2][12] ~= life() then return 0 end
if gone == 0 then
  redis.call('XADD', KEYS[1], 'NOMKSTREAM', '*', 'f', '', 'e', ARGV[3], 'i', ARGV[4], 'm', '',
    't', '0', 'r', '', 'd', '')
end
return gone
"""
)
"""Keys calls, calls-bytes; entry, its bytes, edge, id. 1 if nobody had taken it. Else 0, and an
entry without a method tells the collector that nobody waits any more.

One that Redis has again, since it has older data now, may have been taken: 0."""

TAKE = Script(
    _FENCE
    + _LIFE
    + """
local taken, now = {}, life()
for i = 3, #ARGV, 3 do
  local gone = redis.call('XDEL', KEYS[2], ARGV[i])
  if gone == 1 then redis.call('DECRBY', KEYS[3], ARGV[i + 1]) end
  if gone == 1 and ARGV[i + 2] ~= now then gone = 2 end
  taken[#taken + 1] = gone
end
return taken
"""
)
"""Keys leases, calls, calls-bytes; field of the lease, fence, and of each call entry, bytes and
life. 1 for each that is now ours; 2 for each that somebody may have taken before, in data that
Redis has lost."""

ANSWER = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 2 end
if tonumber(redis.call('GET', KEYS[2]) or 0) > tonumber(ARGV[2]) then return 2 end
redis.call('XADD', KEYS[1], '*', 'i', ARGV[3], 's', ARGV[4], 'l', ARGV[5], 'p', ARGV[6],
  'd', ARGV[7])
redis.call('INCRBY', KEYS[2], #ARGV[7])
return 1
"""
)
"""Keys answers, answers-bytes; most answers, most bytes, id, number of the answer, whether it is
the last, problem, payload. 0: the edge is gone. 2: it does not read, and the answer is lost."""

LISTEN = Script(
    """
local there = redis.call('EXISTS', KEYS[1])
if there == 0 then
  redis.call('XADD', KEYS[1], '*', 'i', '')
  redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)
  redis.call('SET', KEYS[2], 0)
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return there
"""
)
"""Keys answers, answers-bytes; expiry. Makes them if need be: 1 if they were there."""

READ = Script(
    """
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
if redis.call('XLEN', KEYS[1]) == 0 then
  redis.call('SET', KEYS[2], 0, 'KEEPTTL')
else
  redis.call('DECRBY', KEYS[2], ARGV[2])
end
"""
)
"""Keys answers, answers-bytes; the last entry that was read, bytes up to it."""

ALL = (
    CLAIM,
    MEET,
    LEAVE,
    RELEASE,
    OPEN,
    APPEND,
    SAVE,
    TRIM,
    REMOVE,
    LOOK,
    CALL,
    WITHDRAW,
    TAKE,
    ANSWER,
    LISTEN,
    READ,
)
"""All scripts: each connection loads them when it is made."""

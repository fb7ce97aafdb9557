"""What Redis does in one step, as Lua scripts.

A stream has an entry for each `append`, with the id ``MILLISECONDS-NUMBER``: the time of Redis, and
a number that goes up by one. It begins with an empty entry, whose number is random (``base``): so
a reader sees by the numbers alone whether something is missing, or the stream is another one.
An entry has the fields ``d``, the payload, and ``b``, the bytes of all payloads up to it.

The hash about a stream: ``base``; ``n``, ``ms`` and ``b`` of the newest entry; ``sn``, ``sms`` and
``sb`` of that which the newest snapshot stands for; ``snapshot`` itself.
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


# Both for scripts below. Numbers of Lua are doubles: tostring would write large ones as 1e+15.
_FENCE = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end\n"
_NUMBERS = """
local function text(number) return string.format('%.0f', number) end
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
"""

ACQUIRE = Script(
    _NUMBERS
    + """
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, -#ARGV[1]) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {1, held}
end
if held then return {0, held, redis.call('PTTL', KEYS[1])} end
local last = tonumber(string.match(redis.call('GET', KEYS[2]) or '0', '^%d+'))
if last < tonumber(ARGV[4]) then return {0, '', 0} end
local fence = text(math.max(last + 1, tonumber(ARGV[3]), now())) .. ' ' .. ARGV[1]
redis.call('SET', KEYS[2], fence)
redis.call('SET', KEYS[1], fence, 'PX', ARGV[2])
return {1, fence}
"""
)
"""Keys lease, fence; holder, milliseconds, least term, term that Redis must remember. {1, fence};
or {0, that of who has it, for how many milliseconds}; or {0, '', 0} if Redis has lost that term.

The time is part of the term so that it does not go back when Redis has lost its data."""

RENEW = Script(
    _NUMBERS
    + """
local fence = redis.call('GET', KEYS[2])
if fence ~= ARGV[1] then return fence or '' end
if redis.call('EXISTS', KEYS[1]) == 0 then
  local term, holder = string.match(fence, '^(%d+)( .*)$')
  fence = text(math.max(term + 1, now())) .. holder
  redis.call('SET', KEYS[2], fence)
end
redis.call('SET', KEYS[1], fence, 'PX', ARGV[2])
return {fence}
"""
)
"""Keys lease, fence; fence, milliseconds. {fence}, or the fence of somebody else, empty if there is
none.

A lease that has run out goes on if nobody else has had one, under a new term: Redis may be back
with older data, in which whoever has had one meanwhile is not to be seen."""

RELEASE = Script("if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end")
"""Key lease; fence."""

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
if ARGV[2] == '0' and redis.call('EXISTS', KEYS[2]) == 1 then
  local about = redis.call('HMGET', KEYS[3], 'n', 'b', 'sn', 'sb', 'base')
  if about[1] then
    local entries, bytes = about[1] - (about[3] or about[5]), about[2] - (about[4] or 0)
    return {tonumber(about[1]), entries, bytes, 0}
  end
end
local ms = text(math.max(now(), (redis.call('HGET', KEYS[3], 'ms') or 0) + 1))
redis.call('UNLINK', KEYS[2], KEYS[3])
redis.call('XADD', KEYS[2], ms .. '-' .. ARGV[3], 'd', '', 'b', '0')
redis.call('HSET', KEYS[3], 'base', ARGV[3], 'n', ARGV[3], 'ms', ms, 'b', '0')
if ARGV[5] then
  redis.call('HSET', KEYS[3], 'sn', ARGV[3], 'sms', ms, 'sb', '0', 'snapshot', ARGV[5])
end
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return {tonumber(ARGV[3]), 0, 0, 1}
"""
)
"""Keys fence, stream, about; fence, whether to begin anew ('1') or go on ('0'), base, expiry, and,
for a stream that begins, a snapshot if there is one.

{number of the newest entry, entries and bytes since the snapshot, whether it has begun}."""

APPEND = Script(
    _FENCE
    + _NUMBERS
    + """
local about = redis.call('HMGET', KEYS[3], 'n', 'ms', 'b')
if not about[1] then return -2 end
local n, ms, b = tonumber(about[1]), math.max(now(), tonumber(about[2])), tonumber(about[3])
local there = n - tonumber(ARGV[2])
if there < 0 or there > #ARGV - 2 then return -2 end
for i = 3 + there, #ARGV do
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
"""Keys fence, stream, about; fence, number of the newest entry as it was left, entries.

Those that are there already, from an attempt whose reply was lost, are not added again."""

SAVE = Script(
    _FENCE
    + """
local about = redis.call('HMGET', KEYS[2], 'n', 'ms', 'b')
if about[1] ~= ARGV[2] then return -2 end
redis.call('HSET', KEYS[2], 'sn', about[1], 'sms', about[2], 'sb', about[3], 'snapshot', ARGV[3])
return tonumber(about[1])
"""
)
"""Keys fence, about; fence, number of the newest entry as it was left, snapshot."""

TRIM = Script(
    _FENCE
    + _NUMBERS
    + """
local about = redis.call('HMGET', KEYS[3], 'n', 'ms', 'b', 'sn', 'sms')
if about[1] ~= ARGV[6] or redis.call('EXISTS', KEYS[2]) == 0 then return -2 end
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
if not about[4] then return 0 end
local function after(ms)  -- the first entry of that time or later: its time and bytes before it
  local found = redis.call('XRANGE', KEYS[2], text(ms), '+', 'COUNT', 1)[1]
  if not found then return nil end
  return tonumber(string.match(found[1], '^%d+')), tonumber(found[2][4]) - #found[2][2]
end
local first, before = after(0)
if not first then return 0 end
local least, snapshot = now() - tonumber(ARGV[4]), tonumber(about[5])
local surplus = tonumber(about[3]) - tonumber(ARGV[3])
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
local most = math.max(tonumber(ARGV[2]), about[1] - about[4] + 1)
return gone + redis.call('XTRIM', KEYS[2], 'MAXLEN', text(most))
"""
)
"""Keys fence, stream, about; fence, most entries, most bytes, milliseconds they live, expiry,
number of the newest entry as it was left.

The entry of the snapshot stays, and so does the newest one: a reader that is behind it sees that
something is gone."""

REMOVE = Script(_FENCE + "return redis.call('UNLINK', KEYS[2], KEYS[3])")
"""Keys fence, stream, about; fence."""

LOOK = Script(
    """
local found = {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}
for i = 3, #KEYS do
  local about = redis.call('HMGET', KEYS[i], 'base', 'n')
  found[i] = {tonumber(about[1]) or -1, tonumber(about[2]) or -1}
end
return found
""",
    reads=True,
)
"""Keys lease, fence, about…. {lease, fence, {base, number of the newest entry}…}; -1 for none."""

CALL = Script(
    """
local fence = redis.call('GET', ARGV[10])
if not fence or redis.call('EXISTS', ARGV[9]) == 0 then return {} end
local waiting = redis.call('XLEN', KEYS[1])
if waiting == 0 then redis.call('SET', KEYS[2], 0) end
local bytes = tonumber(redis.call('GET', KEYS[2]) or 0)
if waiting >= tonumber(ARGV[1]) or bytes > tonumber(ARGV[2]) then return {} end
redis.call('INCRBY', KEYS[2], #ARGV[8])
local id = redis.call('XADD', KEYS[1], '*', 'f', fence, 'e', ARGV[4], 'i', ARGV[5], 'm', ARGV[6],
  't', ARGV[7], 'd', ARGV[8])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {id, fence}
"""
)
"""Keys calls, calls-bytes; most calls, most bytes, expiry, edge, id, method, milliseconds, payload,
lease, fence. {entry, fence}; empty if there is no collector, or too much waits.

The last two are not among the keys, which an edge would have to be allowed to write."""

WITHDRAW = Script(
    """
local gone = redis.call('XDEL', KEYS[1], ARGV[1])
if gone == 1 then redis.call('DECRBY', KEYS[2], ARGV[2]) end
if gone == 0 then
  redis.call('XADD', KEYS[1], 'NOMKSTREAM', '*', 'f', '', 'e', ARGV[3], 'i', ARGV[4], 'm', '',
    't', '0', 'd', '')
end
return gone
"""
)
"""Keys calls, calls-bytes; entry, its bytes, edge, id. 1 if nobody had taken it. Else 0, and an
entry without a method tells the collector that nobody waits any more."""

TAKE = Script(
    _FENCE
    + """
local taken = {}
for i = 2, #ARGV, 2 do
  taken[i / 2] = redis.call('XDEL', KEYS[2], ARGV[i])
  if taken[i / 2] == 1 then redis.call('DECRBY', KEYS[3], ARGV[i + 1]) end
end
return taken
"""
)
"""Keys fence, calls, calls-bytes; fence, and of each call entry and bytes. 1 for each that is now
ours."""

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
    ACQUIRE,
    RENEW,
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

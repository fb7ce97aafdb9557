"""What edges share, as Lua scripts: each decides in one step, by the clock of Redis alone.

Buckets are those of `runtime.buckets`: a sorted set of names, each with the time at which its
bucket will be empty, in microseconds. What is empty is removed, some with each call.
"""

from __future__ import annotations

from amiws_gevent.bus.scripts import Script

_TIME = """
local function text(number) return string.format('%.0f', number) end
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
local function due(key, upto)
  return redis.call('ZRANGEBYSCORE', key, '-inf', text(upto), 'LIMIT', 0, 500)
end
"""

_BUCKETS = (
    _TIME
    + """
local t = now()
local function wait(key, name, interval, most)
  local full = tonumber(redis.call('ZSCORE', key, name) or t)
  return full - t - (most - 1) * interval
end
local function fill(key, name, interval, kept)
  local full = tonumber(redis.call('ZSCORE', key, name) or t)
  redis.call('ZADD', key, text(math.max(full, t) + interval), name)
  redis.call('PEXPIRE', key, kept)
end
local function has_room(key, name, entries)
  return redis.call('ZSCORE', key, name) or redis.call('ZCARD', key) < entries
end
"""
)

JUDGE = Script(
    _BUCKETS
    + """
local network, user, entries, kept = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[10]
for _, name in ipairs(due(KEYS[1], t)) do
  redis.call('ZREM', KEYS[1], name)
  local owner = string.match(name, '^[^\\n]*')
  if redis.call('HINCRBY', KEYS[2], owner, -1) <= 0 then redis.call('HDEL', KEYS[2], owner) end
end
for _, name in ipairs(due(KEYS[3], t)) do redis.call('ZREM', KEYS[3], name) end
local checked, own = {}, network .. '\\n' .. user
local is_there = redis.call('ZSCORE', KEYS[1], own)
local owned = tonumber(redis.call('HGET', KEYS[2], network) or 0)
local has_own = is_there or (owned < entries / 2 and has_room(KEYS[1], own, entries))
if has_own then checked[1] = {KEYS[1], own, tonumber(ARGV[4]), tonumber(ARGV[5])} end
if not has_own or ARGV[8] == '0' then
  local name = has_room(KEYS[3], network, entries) and network or 'others'
  checked[#checked + 1] = {KEYS[3], name, tonumber(ARGV[6]), tonumber(ARGV[7])}
end
local longest = 0
for _, one in ipairs(checked) do
  longest = math.max(longest, wait(one[1], one[2], one[3], one[4]))
end
if longest <= 0 and ARGV[9] == '1' then
  for _, one in ipairs(checked) do fill(one[1], one[2], one[3], kept) end
  if has_own and not is_there then redis.call('HINCRBY', KEYS[2], network, 1) end
  redis.call('PEXPIRE', KEYS[2], kept)
end
return math.ceil(longest)
"""
)
"""Keys users, owners, networks; network, user, entries, microseconds and most of a user, the same
of a network, whether it is near, whether the password is wrong, expiry. Microseconds to wait; if
that is 0, a wrong password is counted."""

TAKE = Script(
    _BUCKETS
    + """
local fills = {}
for i = 3, #ARGV, 4 do
  local place = tonumber(ARGV[i])
  local key, name, interval = KEYS[place], ARGV[i + 1], tonumber(ARGV[i + 2])
  for _, gone in ipairs(due(key, t)) do redis.call('ZREM', key, gone) end
  if not has_room(key, name, tonumber(ARGV[1])) then name = 'others' end
  local rest = wait(key, name, interval, tonumber(ARGV[i + 3]))
  if rest > 0 then return {place, math.ceil(rest)} end
  fills[#fills + 1] = {key, name, interval}
end
for _, one in ipairs(fills) do fill(one[1], one[2], one[3], ARGV[2]) end
return {0, 0}
"""
)
"""Keys users, addresses; entries, expiry, then of each rate: which key (1, 2), name, microseconds,
most. {0, 0} if it was counted; else {which key, microseconds to wait}."""

_WORK = (
    _TIME
    + """
local function ended(work)
  if redis.call('ZREM', KEYS[1], work) == 0 then return 0 end
  local names = string.match(work, '\\n(.*)$')
  for name in string.gmatch(names, '[^\\n]+') do
    if redis.call('HINCRBY', KEYS[2], name, -1) <= 0 then redis.call('HDEL', KEYS[2], name) end
  end
  return 1
end
"""
)

BEGIN = Script(
    _WORK
    + """
local t = now()
for _, work in ipairs(due(KEYS[1], t)) do ended(work) end
for i = 4, #ARGV, 2 do
  if tonumber(redis.call('HGET', KEYS[2], ARGV[i]) or 0) >= tonumber(ARGV[i + 1]) then
    return (i - 2) / 2
  end
end
for i = 4, #ARGV, 2 do redis.call('HINCRBY', KEYS[2], ARGV[i], 1) end
redis.call('ZADD', KEYS[1], text(t + ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 0
"""
)
"""Keys work, at-work; the work (an id, and in lines of their own the names below), microseconds
that it may take, expiry, and names with how many they may have. 0, or which of these is full."""

END = Script(_WORK + "return ended(ARGV[1])")
"""Keys work, at-work; the work. Whether it was there."""

SPEND = Script(
    _TIME
    + """
if redis.call('HGET', KEYS[1], 'secret') ~= ARGV[1] then return 0 end
local nonce, count, window, most = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[7]), tonumber(ARGV[8])
local t, issued, lives = now() / 1000, tonumber(ARGV[3]), tonumber(ARGV[5])
if issued > t + ARGV[6] or issued + lives <= t then return 0 end
local function forget(name)
  redis.call('ZREM', KEYS[3], name)
  redis.call('HDEL', KEYS[2], name)
end
for _, name in ipairs(due(KEYS[3], t - lives)) do forget(name) end
local highest, seen = string.match(redis.call('HGET', KEYS[2], nonce) or '', '^(%d+) (.*)$')
if not highest then
  if issued <= tonumber(redis.call('HGET', KEYS[1], 'forgotten') or 0) then return 0 end
  redis.call('ZADD', KEYS[3], ARGV[3], nonce)
  highest, seen = 0, ''
end
local back = tonumber(highest) - count
if back < 0 then
  seen = string.sub('1' .. string.rep('0', math.min(-back, window) - 1) .. seen, 1, window)
  highest = ARGV[4]
else
  seen = seen .. string.rep('0', window - #seen)
  if back >= window or string.sub(seen, back + 1, back + 1) == '1' then return 0 end
  seen = string.sub(seen, 1, back) .. '1' .. string.sub(seen, back + 2)
end
redis.call('HSET', KEYS[2], nonce, highest .. ' ' .. seen)
while redis.call('ZCARD', KEYS[3]) > most do
  local oldest = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  redis.call('HSET', KEYS[1], 'forgotten', oldest[2])
  forget(oldest[1])
end
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
return 1
"""
)
"""Keys login, counts, nonces; secret, nonce, when it was made (milliseconds since 1970), count, how
long it lives, how far it may be ahead, how many counts are looked back, most nonces. 1 if the count
is new, as `web.digest` says it of one process."""

FOLLOW = Script(
    _TIME
    + """
local t, known = now() / 1000, ARGV[2]
redis.call('HSETNX', KEYS[1], 'secret', ARGV[1])
local about = redis.call('HMGET', KEYS[1], 'secret', 'forgotten_logouts', 'longest')
local kept = math.max(tonumber(ARGV[3]), (about[3] or 0) - t)
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, text(kept)) end
local found = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. known, '+inf', 'WITHSCORES', 'LIMIT', 0,
  ARGV[4])
local told = {}
for i = 1, #found, 2 do
  local ended, rest = string.match(redis.call('HGET', KEYS[3], found[i]) or '0 0', '^(%d+) (%d+)$')
  told[#told + 1] = {found[i], math.floor(t - ended), math.floor(rest - t)}
  known = found[i + 1]
end
return {about[1], known, about[2] and math.floor(t - about[2]) or -1, told}
"""
)
"""Keys login, logouts, until; a secret if there is none, the number of the last logout that is
known, expiry, how many. {secret, number of the last one that is told, how old all is that was
forgotten, or -1, {logout, milliseconds since, milliseconds that it lasts}…}."""

LOG_OUT = Script(
    _TIME
    + """
local t, told = now() / 1000, false
local longest = tonumber(redis.call('HGET', KEYS[1], 'longest') or 0)
for i = 3, #ARGV, 3 do
  local ended, rest = t - ARGV[i + 1], t + ARGV[i + 2]
  local known = string.match(redis.call('HGET', KEYS[3], ARGV[i]) or '', ' (%d+)$')
  if not known or rest > known + 1000 then  -- what all have known goes back and forth, rounded
    told = redis.call('HINCRBY', KEYS[1], 'number', 1)
    redis.call('ZADD', KEYS[2], told, ARGV[i])
    redis.call('HSET', KEYS[3], ARGV[i], text(ended) .. ' ' .. text(rest))
    longest = math.max(longest, rest)
  end
end
if not told then return 0 end
redis.call('HSET', KEYS[1], 'longest', text(longest))
while true do
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  local ended, rest = string.match(redis.call('HGET', KEYS[3], oldest), '^(%d+) (%d+)$')
  if tonumber(rest) > t then
    if redis.call('ZCARD', KEYS[2]) <= tonumber(ARGV[1]) then break end
    local before = tonumber(redis.call('HGET', KEYS[1], 'forgotten_logouts') or 0)
    redis.call('HSET', KEYS[1], 'forgotten_logouts', text(math.max(before, ended)))
  end
  redis.call('ZREM', KEYS[2], oldest)
  redis.call('HDEL', KEYS[3], oldest)
  if redis.call('ZCARD', KEYS[2]) == 0 then break end
end
redis.call('XADD', KEYS[4], 'MAXLEN', 1, '*', 'n', told)
redis.call('PEXPIRE', KEYS[4], ARGV[2])
return 1
"""
)
"""Keys login, logouts, until, news; most logouts, expiry of the news, and of each logout its name,
milliseconds since, and milliseconds that it lasts. 1 if one was new: edges are woken."""

KEEP = Script(
    _TIME
    + """
local t, most, size = now(), tonumber(ARGV[4]), #ARGV[3]
local function about(entry)
  local count, bytes = string.match(redis.call('HGET', KEYS[1], entry) or '0 0', '^(%d+) (%d+)$')
  return tonumber(count), tonumber(bytes)
end
local function forget(entry)
  local count, bytes = about(entry)
  for number = 0, count - 1 do redis.call('HDEL', KEYS[1], entry .. ':' .. number) end
  redis.call('HDEL', KEYS[1], entry)
  redis.call('ZREM', KEYS[2], entry)
  return redis.call('HINCRBY', KEYS[1], 'bytes', text(-bytes))
end
local count, bytes = about(ARGV[1])
if tonumber(ARGV[2]) ~= count then return 0 end
redis.call('HSET', KEYS[1], ARGV[1] .. ':' .. count, ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], text(count + 1) .. ' ' .. text(bytes + size))
redis.call('ZADD', KEYS[2], text(t), ARGV[1])
local total = redis.call('HINCRBY', KEYS[1], 'bytes', size)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
while true do
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  if total <= most and oldest[2] + ARGV[5] * 1000 > t then return 1 end
  total = forget(oldest[1])
  if oldest[1] == ARGV[1] then return 0 end
end
"""
)
"""Keys lists, lists-order; entry, number of the piece, the piece, most bytes of all, expiry.
1 if it is kept; 0 if the pieces before it are gone, or there is no room for it."""

PIECES = Script(
    _TIME
    + """
redis.call('ZADD', KEYS[2], 'XX', text(now()), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local found = {}
for i = 3, #ARGV do found[i - 2] = redis.call('HGET', KEYS[1], ARGV[1] .. ':' .. ARGV[i]) end
return found
"""
)
"""Keys lists, lists-order; entry, expiry, numbers. The pieces; what is not there is nil."""

SHARED = (JUDGE, TAKE, BEGIN, END, SPEND, FOLLOW, LOG_OUT, KEEP, PIECES)
"""All of them: each connection of what edges share loads them when it is made."""

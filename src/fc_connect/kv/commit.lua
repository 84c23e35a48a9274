-- One commit. KEYS[1]: names in order, KEYS[2]: the counter, KEYS[3]: names by expiry; then one hash per name.
-- ARGV: number of checks, number of writes; per check: index of the hash, versionstamp ("" for absent);
-- per write: index of the hash, name, then "set" value milliseconds-until-expiry ("" for none), or "delete" "" "".
local at = 3
for _ = 1, tonumber(ARGV[1]) do
  local stamp = redis.call('HGET', KEYS[tonumber(ARGV[at])], 's') or ''
  if stamp ~= ARGV[at + 1] then return {0, ''} end
  at = at + 2
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = string.format('%020.0f', redis.call('INCR', KEYS[2]))
for _ = 1, tonumber(ARGV[2]) do
  local hash, name = KEYS[tonumber(ARGV[at])], ARGV[at + 1]
  redis.call('DEL', hash)
  redis.call('ZREM', KEYS[3], name)
  if ARGV[at + 2] == 'set' then
    redis.call('ZADD', KEYS[1], 0, name)
    redis.call('HSET', hash, 'v', ARGV[at + 3], 's', stamp)
    if ARGV[at + 4] ~= '' then
      redis.call('PEXPIRE', hash, ARGV[at + 4])
      redis.call('ZADD', KEYS[3], string.format('%.0f', now + tonumber(ARGV[at + 4])), name)
    end
  else
    redis.call('ZREM', KEYS[1], name)
  end
  at = at + 5
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - 1000, 'LIMIT', 0, 20)) do
  redis.call('ZREM', KEYS[1], name)
  redis.call('ZREM', KEYS[3], name)
end
return {1, stamp}

-- One page of a list, as it is at one moment. KEYS[1]: names in order.
-- ARGV: ZRANGEBYLEX or ZREVRANGEBYLEX, its two bounds, names at most, what stands before a name in its hash's key.
-- The hashes can't be named beforehand; they lie in the slot of KEYS[1], as their keys share its tag.
local page = {}
for at, name in ipairs(redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])) do
  local found = redis.call('HMGET', ARGV[5] .. name, 'v', 's')
  page[at] = {name, found[1], found[2]}
end
return page

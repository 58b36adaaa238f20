-- Does once, on keys that nobody has, what a migration does, so that missing rights show before anything is changed.
-- KEYS: one of the watchdog's, then one under each prefix.
local function number(value) return string.format('%.0f', value) end
redis.call('SET', KEYS[1], 'x', 'PX', 5000)
for _, command in ipairs({'DUMP', 'PTTL', 'TYPE', 'GET', 'EXISTS', 'PERSIST'}) do redis.call(command, KEYS[1]) end
local dump = redis.call('DUMP', KEYS[1])
local ends = number((redis.call('TIME')[1] + 5) * 1000)
redis.call('PEXPIREAT', KEYS[1], ends)
for i = 2, #KEYS do
    if redis.call('EXISTS', KEYS[i]) == 0 then
        redis.call('RESTORE', KEYS[i], ends, dump, 'ABSTTL')
        redis.call('RENAME', KEYS[i], KEYS[i])
        redis.call('UNLINK', KEYS[i])
    end
end
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], 'x', 1)
redis.call('PEXPIREAT', KEYS[1], ends)
redis.call('HINCRBY', KEYS[1], 'x', 1)
for _, command in ipairs({'HGET', 'HEXISTS', 'HDEL'}) do redis.call(command, KEYS[1], 'x') end
redis.call('HLEN', KEYS[1])
return {'ok'}

-- KEYS: 3 the entries of a step that kept the old keys, 4 nothing, then old keys. ARGV: 3 the prefix, 4 the new one.
-- An old key goes when it is still what was copied; answers how many did.
local refused = refusal()
if refused then return refused end
local gone = 0
for i = 5, #KEYS do
    local key = KEYS[i]
    local entry = redis.call('HGET', KEYS[3], key)
    if entry then
        local kind, before, hash = string.match(entry, '^(%a+)|(-?%d+)|(%x*)|')
        if kind == 'copied' and redis.call('EXISTS', key) == 1 and digest(key) == hash then
            gone = gone + redis.call('UNLINK', key)
        end
        redis.call('HDEL', KEYS[3], key)
        redis.call('HINCRBY', KEYS[1], 'entries', -1)
    end
end
return {'ok', #KEYS - 4, gone}

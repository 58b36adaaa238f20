-- KEYS: 3 the entries of this step, 4 the values before it, then keys of the service.
-- ARGV: 3 bytes to write at a time, 4 the prefix, 5 the new prefix. Answers how many keys are done.
-- An entry goes with what was done about it; the value of a loser stays in the archive.
local refused = refusal()
if refused then return refused end
local entries, values, prefix, other = KEYS[3], KEYS[4], ARGV[4], ARGV[5]
local bytes, done = 0, 0
local back = {}

local function given_back(key, before)
    local dump = redis.call('HGET', values, key)
    bytes = bytes + #dump
    return restore(key, dump, before) and 'restored' or 'expired'
end

function back.cleared(key, before)
    if redis.call('EXISTS', key) == 1 then return 'kept' end
    return given_back(key, before)
end

function back.expiring(key, before, hash, after)
    if redis.call('EXISTS', key) == 0 then return now() < after and 'deleted' or given_back(key, before) end
    if not is_near(expiry(key), after) then return 'kept' end
    if before < 0 then redis.call('PERSIST', key) else redis.call('PEXPIREAT', key, number(before)) end
    return 'restored'
end

function back.moved(key, before, hash, after)
    local to = other .. string.sub(key, #prefix + 1)
    local is_live = redis.call('EXISTS', to) == 1
    local is_same = is_live and digest(to) == hash and is_near(expiry(to), after)
    if redis.call('EXISTS', key) == 1 then
        if is_same then redis.call('UNLINK', to) end
        return 'kept'
    elseif is_same then
        redis.call('RENAME', to, key)
        return 'restored'
    elseif is_live then
        -- Users wrote under the new name; the old code looks for it under the old one.
        local dump = redis.call('DUMP', to)
        bytes = bytes + #dump
        restore(key, dump, expiry(to))
        return 'carried'
    end
    return after >= 0 and now() >= after and 'expired' or 'deleted'
end

function back.copied(key, before, hash, after)
    local to = other .. string.sub(key, #prefix + 1)
    if redis.call('EXISTS', to) == 0 then return 'deleted' end
    if digest(to) ~= hash or not is_near(expiry(to), after) then return 'kept' end
    redis.call('UNLINK', to)
    return 'removed'
end

for i = 5, #KEYS do
    local key = KEYS[i]
    local entry = redis.call('HGET', entries, key)
    if bytes >= tonumber(ARGV[3]) then break end
    if entry then
        local kind, before, hash, after = string.match(entry, '^(%a+)|(-?%d+)|(%x*)|(-?%d+)$')
        local outcome = back[kind](key, tonumber(before), hash, tonumber(after))
        redis.call('HDEL', entries, key)
        redis.call('HINCRBY', KEYS[1], 'entries', -1)
        redis.call('HINCRBY', KEYS[1], 'back:' .. outcome, 1)
        if outcome == 'restored' or outcome == 'expired' then
            redis.call('HINCRBY', KEYS[1], 'values', -redis.call('HDEL', values, key))
        end
    end
    done = done + 1
end
return {'ok', done}

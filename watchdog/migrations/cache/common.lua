-- KEYS: 1 the run, 2 the fence of a guard. ARGV: 1 the state that the run must have, 2 the epoch or nothing.
-- Redis runs a script alone, so what a script does is there as a whole or not at all.
local function number(value) return string.format('%.0f', value) end

local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- When a key ends, in milliseconds since 1970; -1 for never.
local function expiry(key)
    local left = redis.call('PTTL', key)
    if left < 0 then return -1 end
    return now() + left
end

local function is_near(one, other)
    if one < 0 or other < 0 then return one == other end
    return math.abs(one - other) <= 1000
end

-- A value's hash, the same for equal values however Redis holds them: DUMP orders sets as their tables lie.
local function digest(key)
    local kind = redis.call('TYPE', key).ok
    local parts
    if kind == 'string' then
        parts = {redis.sha1hex(redis.call('GET', key))}
    elseif kind == 'list' then
        parts = redis.call('LRANGE', key, 0, -1)
        for i, part in ipairs(parts) do parts[i] = redis.sha1hex(part) end
    elseif kind == 'zset' then
        parts = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
        for i, part in ipairs(parts) do parts[i] = redis.sha1hex(part) end
    elseif kind == 'set' then
        parts = redis.call('SMEMBERS', key)
        for i, part in ipairs(parts) do parts[i] = redis.sha1hex(part) end
        table.sort(parts)
    elseif kind == 'hash' then
        local flat = redis.call('HGETALL', key)
        parts = {}
        for i = 1, #flat, 2 do parts[#parts + 1] = redis.sha1hex(flat[i]) .. redis.sha1hex(flat[i + 1]) end
        table.sort(parts)
    else
        parts = {redis.sha1hex(redis.call('DUMP', key))}
    end
    return redis.sha1hex(kind .. table.concat(parts))
end

-- Gives a dumped value back with its end; one whose end has come stays away.
local function restore(key, dump, ends)
    if ends >= 0 and ends <= now() then return false end
    redis.call('RESTORE', key, ends < 0 and '0' or number(ends), dump, 'ABSTTL')
    return true
end

local function refusal()
    if ARGV[2] ~= '' then
        local held = tonumber(redis.call('GET', KEYS[2]) or '0')
        if held > tonumber(ARGV[2]) then return {'fenced', held} end
        redis.call('SET', KEYS[2], ARGV[2])
    end
    local state = redis.call('HGET', KEYS[1], 'state')
    if ARGV[1] ~= '' and state ~= ARGV[1] then return {'state', state or 'gone'} end
end

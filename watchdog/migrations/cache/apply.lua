-- KEYS: 3 the entries of this step, 4 the values before it, then keys of the service.
-- ARGV: 3 bytes to archive at a time, 4 the budget, 5 when the archive ends, 6 what to do, 7 the prefix, 8 the new
-- prefix or the seconds. Answers how many keys are done. A key that has an entry is done: what is there now is later.
local refused = refusal()
if refused then return refused end
local entries, values, act, prefix, other = KEYS[3], KEYS[4], ARGV[6], ARGV[7], ARGV[8]
local bytes, done = 0, 0

local function enter(key, kind, before, hash, after)
    redis.call('HSET', entries, key, table.concat({kind, number(before), hash, number(after)}, '|'))
    redis.call('HINCRBY', KEYS[1], 'entries', 1)
    redis.call('HINCRBY', KEYS[1], 'touched', 1)
end

local function keep(key, dump)
    redis.call('HSET', values, key, dump)
    redis.call('HINCRBY', KEYS[1], 'values', 1)
    redis.call('HINCRBY', KEYS[1], 'bytes', #dump)
    bytes = bytes + #dump
end

local function move(key, dump, ends)
    local to = other .. string.sub(key, #prefix + 1)
    local hash = digest(key)
    if redis.call('EXISTS', to) == 1 then
        redis.call('HINCRBY', KEYS[1], 'there', 1)
        if act == 'copy' then return end
        keep(key, dump)
        enter(key, 'cleared', ends, '', -1)
        redis.call('UNLINK', key)
    elseif act == 'copy' then
        enter(key, 'copied', ends, hash, ends)
        restore(to, dump, ends)
        bytes = bytes + #dump
    else
        keep(key, dump)
        enter(key, 'moved', ends, hash, ends)
        redis.call('RENAME', key, to)
    end
end

local spent = tonumber(redis.call('HGET', KEYS[1], 'bytes') or '0')
for i = 5, #KEYS do
    local key = KEYS[i]
    if bytes >= tonumber(ARGV[3]) then break end
    if act == 'drop' then
        redis.call('HINCRBY', KEYS[1], 'dropped', redis.call('UNLINK', key))
    elseif redis.call('HEXISTS', entries, key) == 0 then
        local ends = expiry(key)
        local dump = redis.call('DUMP', key)
        if dump and act ~= 'copy' and spent + bytes + #dump > tonumber(ARGV[4]) then return {'budget', done} end
        if dump and (act == 'move' or act == 'copy') then
            move(key, dump, ends)
        elseif dump and act == 'clear' then
            keep(key, dump)
            enter(key, 'cleared', ends, '', -1)
            redis.call('UNLINK', key)
        elseif dump then
            local wanted = now() + other * 1000
            if ends < 0 or ends > wanted then
                keep(key, dump)
                enter(key, 'expiring', ends, '', wanted)
                redis.call('PEXPIREAT', key, number(wanted))
            end
        end
    end
    done = done + 1
end
redis.call('PEXPIREAT', entries, ARGV[5])
redis.call('PEXPIREAT', values, ARGV[5])
return {'ok', done}

-- KEYS: 3 the number of the run under way, 4 the counter, 5 releases that are closed.
-- ARGV: 3 the hash of the script, 4 the release, then fields and values.
-- Answers the run's number, with `goes on` for one of the same script and release that stopped half way, or who is in the way.
local refused = refusal()
if refused then return refused end
local closed = ARGV[4] ~= '' and redis.call('HGET', KEYS[5], ARGV[4])
if closed then return {'closed', tonumber(closed)} end
local open = redis.call('GET', KEYS[3])
if open then
    local run = 'watchdog:run:' .. open
    local state, hash, release = unpack(redis.call('HMGET', run, 'state', 'script_hash', 'release'))
    if state == 'applying' and hash == ARGV[3] and release == ARGV[4] then return {'goes on', tonumber(open)} end
    if state then return {'busy', tonumber(open), state} end
end
local next = redis.call('INCR', KEYS[4])
redis.call('SET', KEYS[3], next)
redis.call('HSET', 'watchdog:run:' .. next, 'state', 'applying', 'began_at', number(now()), 'release', ARGV[4], unpack(ARGV, 5))
return {'ok', next}

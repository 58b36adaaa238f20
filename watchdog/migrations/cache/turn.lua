-- KEYS: 3 the number of the run under way. ARGV: 3 the run's number, 4 its new state, then fields and values.
local refused = refusal()
if refused then return refused end
local open = redis.call('GET', KEYS[3])
if ARGV[4] == 'rolling back' and open and open ~= ARGV[3] then
    local state = redis.call('HGET', 'watchdog:run:' .. open, 'state')
    if state == 'applying' or state == 'rolling back' then return {'busy', tonumber(open), state} end
end
redis.call('HSET', KEYS[1], 'state', ARGV[4], unpack(ARGV, 5))
if ARGV[4] == 'rolling back' then
    redis.call('SET', KEYS[3], ARGV[3])
elseif open == ARGV[3] then
    redis.call('UNLINK', KEYS[3])
end
return {'ok'}

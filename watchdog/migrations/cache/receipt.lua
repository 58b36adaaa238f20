-- KEYS: 3 the receipt of a step. ARGV: 3 what was done, or nothing to ask, 4 how long it is kept, in seconds.
local refused = refusal()
if refused then return refused end
if ARGV[3] ~= '' then redis.call('SET', KEYS[3], ARGV[3], 'NX', 'EX', ARGV[4]) end
return {'ok', redis.call('GET', KEYS[3]) or ''}

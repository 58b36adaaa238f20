-- KEYS: 3 releases that are closed. ARGV: 3 the release.
local refused = refusal()
if refused then return refused end
redis.call('HSETNX', KEYS[3], ARGV[3], number(now()))
return {'ok'}

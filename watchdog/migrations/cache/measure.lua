-- KEYS: from 3 on those of the service. ARGV: 3 how many bytes to look at. Answers how many keys were looked at, how
-- many of them are there, and their bytes as an archive would hold them.
local looked, there, bytes = 0, 0, 0
for i = 3, #KEYS do
    if bytes >= tonumber(ARGV[3]) then break end
    looked = looked + 1
    local dump = redis.call('DUMP', KEYS[i])
    if dump then
        there = there + 1
        bytes = bytes + #dump
    end
end
return {'ok', looked, there, bytes}

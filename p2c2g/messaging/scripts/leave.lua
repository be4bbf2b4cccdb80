-- Deregisters a peer, unless another instance has the name.  Needs whose and remove, and has
-- remove's keys and arguments; the instance may be nothing.  Returns 1 where it was enrolled.
local holder = whose(KEYS[2])
if ARGV[2] ~= '' and holder and holder ~= ARGV[2] then return 0 end
return remove()

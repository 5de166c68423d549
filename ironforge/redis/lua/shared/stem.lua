-- What the keys of this shard begin with.
local stem = string.match(KEYS[1], '^(.*})') .. ':'

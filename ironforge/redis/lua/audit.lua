#!lua
-- Appends to the audit trail, if nobody else did meanwhile.
-- KEYS  audit, audit_head
-- ARGV  seen, head, entry, seal, kept, before
--       seen: the head that the entry follows ('' for the first); head: what it becomes; kept: how many entries stay;
--       before: the seal of the entry that it follows
-- Returns 1, or 0: the head is another one
if (redis.call('GET', audit_head) or '') ~= seen then return 0 end
redis.call('XADD', audit, 'MAXLEN', '=', kept, '*', 'e', entry, 'h', seal, 'b', before)
redis.call('SET', audit_head, head)
return 1

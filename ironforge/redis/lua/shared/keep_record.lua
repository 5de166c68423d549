-- A job has ended: its record stays for `seconds` (0: it goes), in a bucket that expires by then (ms).
local function keep_record(bucket, buckets, id, record, seconds, expiry)
  if seconds == '0' then return end
  redis.call('HSET', bucket, id, record)
  redis.call('EXPIRE', bucket, seconds, 'NX')
  redis.call('EXPIRE', bucket, seconds, 'GT')
  redis.call('ZADD', buckets, 'GT', expiry, bucket)
end

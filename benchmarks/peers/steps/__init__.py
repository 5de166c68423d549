"""The same recorded steps in other systems for durable execution, each in an environment of its own."""

STEPS = 10
# In whose environment stands which workflow it is to run: one of these.
SHAPE = "BENCH_SHAPE"
CHAIN, FAN = "chain", "1 + 8 + 1"

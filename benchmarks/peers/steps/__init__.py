"""The same recorded steps in other systems for durable execution, each in an environment of its own."""

STEPS = 10

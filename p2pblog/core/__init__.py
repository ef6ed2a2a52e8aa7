"""The pure core: values, rules and checks. No await, no clock, no randomness, no I/O."""

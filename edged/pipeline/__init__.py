"""A pipeline's rules, decision and gating, as pure state machines without a clock or I/O."""

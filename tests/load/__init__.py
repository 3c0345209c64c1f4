"""Load for tests and benchmarks: many accounts and messages, and what a process spends."""

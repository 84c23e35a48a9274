"""Fuzzers: whatever is read from outside gives a result or an error of ours, never anything else, and ends."""

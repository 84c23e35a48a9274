"""A simulator of the coordination core: one seed decides clock, scheduling, faults and all else of a run.

It drives the real code of `state` and `pipeline`; only time, threads, the network and the machines are virtual.
"""

"""Compat mode against the TypeScript SDK itself: random cases of every kind go through both.

`FC_SDK` is a folder in which `npm install @fluentcommerce/fc-connect-sdk@0.1.56` was run; without it there is nothing
to compare with. `python -m tests.peer --kind helper --runs 5000 --seed 1`.
"""

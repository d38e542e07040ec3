"""The stages as commands, in order: ingest, dedupe, filter, tokenizer, encode, report; `clean` runs them all.

Nothing here runs on a worker: these modules parse options, plan parts and wire graphs.
"""

"""The tables of a run, in the order data flows through them. Imports pyarrow and nothing of ours.

columns      how a table is declared: name, type and meaning of each column, once
documents    documents/, clean/, dropped/, duplicates/, dead_letters/
signals      what may be measured of a document, with the paper each signal comes from
recipes      the decisions of a run as data: rules, dedupe, tokenizer, packing
records      what a finished part and a finished stage say about themselves
shards       token shards, schema version 1, and their manifest
"""

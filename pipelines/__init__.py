"""The stages as commands, in order: ingest, dedupe, filter, tokenizer, encode, report; `clean` runs them all.

Nothing here runs on a worker: these modules parse options, plan parts and wire graphs.
"""

import logging

# apache_beam says this at import, at every start, to everyone who has not installed its Google extra
logging.getLogger().addFilter(lambda record: "apitools not found" not in record.getMessage())

"""The embedded sample: a small multilingual crawl that this repository writes itself, with the fate of every record.

texts/*.txt  the prose, one file a theme or language
prose        reads them
kinds        the dataclasses of the table
pages        the table: which text is served how, in which file, and what the recipe `web-en` must do with it
serve        a page as HTML and as an HTTP response
archive      WARC framing and gzip members
write        the files, and expected.json
"""

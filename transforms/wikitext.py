def readable(source, *, namespaces): return source.strip()

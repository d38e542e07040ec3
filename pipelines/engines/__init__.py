"""Real engines: what they need in the cache, and what is checked before a job goes to one."""

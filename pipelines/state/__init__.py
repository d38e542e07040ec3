"""How far a run is, seen from outside: from its plans, commit records, manifests and lock, and nothing else."""

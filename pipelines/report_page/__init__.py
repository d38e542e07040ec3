"""The pieces of `pipelines.report`: what a run's manifests and a few rows of its tables say, as one HTML page."""

"""Commands for those who run the cluster, and for their pipelines."""

"""From what the cluster shows of a job to words. Pure."""

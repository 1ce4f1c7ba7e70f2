"""Whether jobs fit a ClusterQueue, now or ever: Kueue's own arithmetic on what a member may read. Pure."""

"""A real Kubernetes control plane with Kueue, as plain processes on loopback: for demo, tests and `make up`."""

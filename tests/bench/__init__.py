"""Speed, as ratios beside a peer in the same run on the same control plane: `python -m tests.bench`."""

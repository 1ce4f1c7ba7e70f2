"""The command line ``jobq``: commands for researchers in ``project`` and ``job``, for administrators in ``operator``."""

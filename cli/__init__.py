"""The command line ``jobq``: ``project`` and ``job`` are for researchers, ``operator`` for administrators."""

"""The reconciler: a git commit becomes projects on a cluster. ``cycle`` is the sentence, each other module one word of it."""

"""A git commit becomes projects on a cluster. ``cycle`` is the sentence, the other modules are its words."""

"""What a project file and jobq.toml may hold, and what is wrong with one. Pure."""

"""Commands about jobs, in the selected project."""

"""What is to be written, and what it means for projects and people. Pure."""

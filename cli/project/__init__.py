"""Commands about projects: which there are, and which one the others act on."""

"""Text of YAML and TOML to plain values with places, and back. Pure."""

"""Demos: real commands on a real control plane."""

"""Reconciling as long as nobody ends it."""

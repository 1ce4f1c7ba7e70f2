"""What an administrator does by hand, with rights of their own: install, look after, adopt, approve, purge."""

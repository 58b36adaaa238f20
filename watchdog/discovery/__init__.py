"""One file a migration tool: finds releases that nobody announced."""

"""One function for each kind of change; `registry` says which looks at what."""

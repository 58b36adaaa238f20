"""Measurements that are too long for `make test`; each is one command that writes its page in `docs/`."""

"""A migration rehearsed on a throw-away copy: up, writes, down, compare, up again; what holds becomes a certificate."""

"""One file an action: a step of a playbook, with its effect, its verification and its cancellation."""

"""Slack: one thread an incident over the Web API, buttons over Socket Mode."""

from watchdog.notifiers.slack.notifier import KIND, SlackNotifier
from watchdog.notifiers.slack.options import SlackOptions

__all__ = ["KIND", "SlackNotifier", "SlackOptions"]

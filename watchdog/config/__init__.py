"""Reads and checks `config.yaml`, rules and playbooks; the only package besides `web` that knows pydantic."""

from watchdog.config.configuration import (
    Address,
    Channel,
    Configuration,
    ConfiguredNotifier,
    ConfiguredProbe,
    ConfiguredTarget,
    Discover,
    DiscovererKind,
    GuardConfiguration,
    JournalConfiguration,
    Registries,
    Report,
    WebConfiguration,
)
from watchdog.config.loading import inspect, load
from watchdog.config.options import step_options
from watchdog.config.problems import ConfigError, Problem
from watchdog.config.schema import json_schema
from watchdog.config.secrets import ConfiguredText

__all__ = [
    "Address",
    "Channel",
    "ConfigError",
    "Configuration",
    "ConfiguredNotifier",
    "ConfiguredProbe",
    "ConfiguredTarget",
    "ConfiguredText",
    "Discover",
    "DiscovererKind",
    "GuardConfiguration",
    "JournalConfiguration",
    "Problem",
    "Registries",
    "Report",
    "WebConfiguration",
    "inspect",
    "json_schema",
    "load",
    "step_options",
]

"""The JSON Schema of alert-router.toml, from the tables that the reader uses. Editors complete and check keys by it."""

import json

from router.channels.plugins import Plugins, declared_options
from router.config.forms import table_schema
from router.config.tables import alert_router_toml


def json_schema(plugins: Plugins) -> str:
    """The schema as a file. The kinds of channels, and their options, are those of the plugins."""
    kinds = {kind: declared_options(factory) for kind, factory in plugins.kinds.items()}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "alert-router.toml",
        "description": "The configuration of ecs-alert-router, made by `ecs-alert-router config schema`.",
        **table_schema(alert_router_toml(kinds)),
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"

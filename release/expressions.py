"""CloudFormation's functions, as data."""

import json
from collections.abc import Mapping
from typing import Any

Expression = dict[str, Any]
NO_VALUE: Expression = {"Ref": "AWS::NoValue"}


def ref(name: str) -> Expression:
    return {"Ref": name}


def equals(left: Any, right: Any) -> Expression:
    return {"Fn::Equals": [left, right]}


def negated(condition: Expression) -> Expression:
    return {"Fn::Not": [condition]}


def any_of(*conditions: Expression) -> Expression:
    return {"Fn::Or": list(conditions)}


def all_of(*conditions: Expression) -> Expression:
    return {"Fn::And": list(conditions)}


def is_set(name: str) -> Expression:
    return negated(equals(ref(name), ""))


def choice(condition: str, then: Any, otherwise: Any = NO_VALUE) -> Expression:
    return {"Fn::If": [condition, then, otherwise]}


def split(separator: str, text: Any) -> Expression:
    return {"Fn::Split": [separator, text]}


def item(index: int, separator: str, text: Any) -> Expression:
    """One part of a text. CloudFormation fails if there is no such part, so the text has to be `filled`."""
    return {"Fn::Select": [index, split(separator, text)]}


def head(separator: str, text: Any) -> Expression:
    return item(0, separator, text)


def filled(name: str, more: str) -> Expression:
    """The value of a parameter, followed by more text."""
    return {"Fn::Join": ["", [ref(name), more]]}


def starts_with(name: str, prefix: str) -> Expression:
    """Whether the value of a parameter starts with a prefix."""
    return all_of(is_set(name), equals(head(prefix, ref(name)), ""))


def behind(prefix: str, name: str) -> Expression:
    """The part after the prefix in the value of a parameter."""
    return item(1, prefix, filled(name, prefix))


def substituted(node: Any, markers: Mapping[str, Any]) -> Any:
    """Replaces each marker with its expression, anywhere in the texts of `node`."""
    if isinstance(node, str):
        return _in_text(node.replace("${", "${!"), {}, markers) if any(map(node.__contains__, markers)) else node
    if isinstance(node, list):
        return [substituted(element, markers) for element in node]
    if not isinstance(node, dict):
        return node
    if set(node) == {"Fn::Sub"}:
        text, values = node["Fn::Sub"] if isinstance(node["Fn::Sub"], list) else (node["Fn::Sub"], {})
        return _in_text(text, substituted(values, markers), markers)
    return {key: substituted(value, markers) for key, value in node.items()}


def _in_text(text: str, values: Mapping[str, Any], markers: Mapping[str, Any]) -> Any:
    values = dict(values)
    for marker, expression in markers.items():
        if text == marker:
            return expression
        if marker not in text:
            continue
        name = expression["Ref"] if set(expression) == {"Ref"} else f"V{len(values)}"
        if set(expression) != {"Ref"}:
            values[name] = expression
        text = text.replace(marker, f"${{{name}}}")
    return {"Fn::Sub": [text, values] if values else text}


def text_of(pattern: Any) -> str:
    """JSON without spaces."""
    return json.dumps(pattern, separators=(",", ":"), ensure_ascii=False)

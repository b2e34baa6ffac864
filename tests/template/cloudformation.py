"""What CloudFormation makes of a template and its parameters, before it creates anything."""

import json
import re
from collections.abc import Mapping
from typing import Any

ABSENT = object()  # AWS::NoValue


class Evaluation:
    """The functions of a template, evaluated as far as that is possible without its resources.

    Raises:
        LookupError: a function selects something that does not exist, as CloudFormation would complain.
    """

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        declared = template.get("Parameters", {})
        if unknown := parameters.keys() - declared.keys():
            raise LookupError(f"no such parameter: {unknown}")
        self.parameters = {name: parameters.get(name, each.get("Default")) for name, each in declared.items()}
        self._conditions = template.get("Conditions", {})
        existing = {name: each for name, each in template["Resources"].items() if self._exists(each)}
        self.resources = {name: self.value(_without_condition(each)) for name, each in existing.items()}
        outputs = {name: each for name, each in template["Outputs"].items() if self._exists(each)}
        self.outputs = {name: self.value(_without_condition(each)) for name, each in outputs.items()}

    def _exists(self, each: Mapping[str, Any]) -> bool:
        return "Condition" not in each or self.holds({"Condition": each["Condition"]})

    def holds(self, condition: Any) -> bool:
        match condition:
            case {"Condition": name}:
                return self.holds(self._conditions[name])
            case {"Fn::And": parts}:
                return all([self.holds(part) for part in parts])
            case {"Fn::Or": parts}:
                return any([self.holds(part) for part in parts])
            case {"Fn::Not": [part]}:
                return not self.holds(part)
            case {"Fn::Equals": [left, right]}:
                return bool(self.value(left) == self.value(right))
        raise LookupError(f"no condition: {condition}")

    def value(self, node: Any) -> Any:
        match node:
            case {"Ref": "AWS::NoValue"}:
                return ABSENT
            case {"Ref": name}:
                return self.parameters.get(name, node)
            case {"Fn::If": [name, then, otherwise]}:
                return self.value(then if self.holds({"Condition": name}) else otherwise)
            case {"Fn::Join": [separator, elements]}:
                return self._joined(separator, self.value(elements))
            case {"Fn::Split": [separator, text]}:
                known = self.value(text)
                return known.split(separator) if isinstance(known, str) else {"Fn::Split": [separator, known]}
            case {"Fn::Select": [index, elements]}:
                known = self.value(elements)
                return known[index] if isinstance(known, list) else {"Fn::Select": [index, known]}
            case {"Fn::Sub": [text, values]}:
                return self._substituted(text, self.value(values))
            case {"Fn::Sub": text}:
                return self._substituted(text, {})
            case dict():
                values = {key: self.value(value) for key, value in node.items()}
                return {key: value for key, value in values.items() if value is not ABSENT}
            case list():
                return [value for value in map(self.value, node) if value is not ABSENT]
        return node

    @staticmethod
    def _joined(separator: str, elements: list[Any]) -> Any:
        known = all(isinstance(element, str) for element in elements)
        return separator.join(elements) if known else {"Fn::Join": [separator, elements]}

    def _substituted(self, text: str, values: dict[str, Any]) -> Any:
        """Replaces what is known; the rest stays a function."""
        known = {name: value for name, value in (self.parameters | values).items() if isinstance(value, str)}
        rest = {name: value for name, value in values.items() if not isinstance(value, str)}
        text = re.sub(r"\$\{([^!}]+)\}", lambda found: known.get(found[1], found[0]), text)
        if "${" not in text:
            return text
        for name, value in rest.items():  # an attribute of a resource, as `Fn::Sub` itself would write it
            if "Fn::GetAtt" in value:
                text = text.replace(f"${{{name}}}", f"${{{'.'.join(value['Fn::GetAtt'])}}}")
                rest = {other: each for other, each in rest.items() if other != name}
            if set(value) == {"Fn::Sub"} and isinstance(value["Fn::Sub"], str):
                text = text.replace(f"${{{name}}}", value["Fn::Sub"])
                rest = {other: each for other, each in rest.items() if other != name}
        return {"Fn::Sub": [text, rest] if rest else text}


def _without_condition(each: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in each.items() if key != "Condition"}


def parsed(pattern: Any) -> Any:
    """An event pattern, which may be text."""
    return json.loads(pattern) if isinstance(pattern, str) else pattern

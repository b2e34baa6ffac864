"""What CloudFormation makes of a template and its parameters, before it creates anything."""

import json
import re
from collections.abc import Callable, Mapping
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
        self.parameters = {name: parameters.get(name, parameter.get("Default")) for name, parameter in declared.items()}
        self._conditions = template.get("Conditions", {})
        existing = {name: resource for name, resource in template["Resources"].items() if self._exists(resource)}
        self.resources = {name: self.value(_without_condition(resource)) for name, resource in existing.items()}
        outputs = {name: output for name, output in template["Outputs"].items() if self._exists(output)}
        self.outputs = {name: self.value(_without_condition(output)) for name, output in outputs.items()}

    def _exists(self, part: Mapping[str, Any]) -> bool:
        return "Condition" not in part or self.holds({"Condition": part["Condition"]})

    def holds(self, condition: Any) -> bool:
        ((function, arguments),) = condition.items()
        conditions: dict[str, Callable[[], bool]] = {
            "Condition": lambda: self.holds(self._conditions[arguments]),
            "Fn::And": lambda: all(map(self.holds, arguments)),
            "Fn::Or": lambda: any(map(self.holds, arguments)),
            "Fn::Not": lambda: not self.holds(arguments[0]),
            "Fn::Equals": lambda: bool(self.value(arguments[0]) == self.value(arguments[1])),
        }
        return conditions[function]()

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not ABSENT]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, arguments),) = node.items()
            if function in self._functions:
                return self._functions[function](arguments)
        values = {key: self.value(value) for key, value in node.items()}
        return {key: value for key, value in values.items() if value is not ABSENT}

    @property
    def _functions(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "Ref": lambda name: ABSENT if name == "AWS::NoValue" else self.parameters.get(name, {"Ref": name}),
            "Fn::If": lambda words: self.value(words[1 if self.holds({"Condition": words[0]}) else 2]),
            "Fn::Join": lambda words: self._joined(words[0], self.value(words[1])),
            "Fn::Split": lambda words: self._split(words[0], self.value(words[1])),
            "Fn::Select": lambda words: self._selected(words[0], self.value(words[1])),
            "Fn::Sub": lambda text: (
                self._substituted(text, {})
                if isinstance(text, str)
                else self._substituted(text[0], self.value(text[1]))
            ),
        }

    @staticmethod
    def _split(separator: str, text: Any) -> Any:
        return text.split(separator) if isinstance(text, str) else {"Fn::Split": [separator, text]}

    @staticmethod
    def _selected(index: int, elements: Any) -> Any:
        return elements[index] if isinstance(elements, list) else {"Fn::Select": [index, elements]}

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
                rest = {other: part for other, part in rest.items() if other != name}
            if set(value) == {"Fn::Sub"} and isinstance(value["Fn::Sub"], str):
                text = text.replace(f"${{{name}}}", value["Fn::Sub"])
                rest = {other: part for other, part in rest.items() if other != name}
        return {"Fn::Sub": [text, rest] if rest else text}


def _without_condition(part: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "Condition"}


def parsed(pattern: Any) -> Any:
    """An event pattern, which may be text."""
    return json.loads(pattern) if isinstance(pattern, str) else pattern

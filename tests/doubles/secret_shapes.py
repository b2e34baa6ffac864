"""Makes samples of secrets from the published rules of gitleaks and detect-secrets, which are only read, never copied.

    python -m tests.doubles.secret_shapes gitleaks.toml DETECT_SECRETS_CHECKOUT > tests/unit/text/secret_shapes.txt

The file has three samples of each rule: the rule, the secret, and a line that holds it, separated by tabs. Each line is
written backwards, so that no scanner of repositories takes a sample for a secret of ours.
"""

import json
import math
import random
import re
import string
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).parents[1] / "unit" / "text" / "secret_shapes.txt"
SAMPLES = 3
_TRIES = 400
_LETTERS = string.ascii_letters + string.digits
_PRINTABLE = _LETTERS + "-_.,/+=~ "


class Sample(NamedTuple):
    """A line that holds a secret.

    Attributes:
        rule: whose rule, and which.
    """

    rule: str
    secret: str
    line: str


def samples() -> list[Sample]:
    """The samples of the file."""
    return [Sample(*json.loads(line[::-1])) for line in FILE.read_text("utf-8").splitlines()]


def main(rules: Path, checkout: Path) -> None:
    for sample in (*of_gitleaks(rules), *of_detect_secrets(checkout)):
        print(json.dumps(sample, ensure_ascii=True)[::-1])  # noqa: T201


def of_gitleaks(path: Path) -> Iterator[Sample]:
    for rule in tomllib.loads(path.read_text("utf-8"))["rules"]:
        if "regex" in rule:  # the others look at names of files
            yield from _samples(
                f"gitleaks {rule['id']}", in_python(rule["regex"]), 0, rule.get("entropy", 0.0), rule.get("secretGroup")
            )


def of_detect_secrets(checkout: Path) -> Iterator[Sample]:
    sys.path.insert(0, str(checkout))
    from detect_secrets.plugins import keyword  # type: ignore[import-not-found]  # noqa: PLC0415

    for name in sorted(path.stem for path in (checkout / "detect_secrets/plugins").glob("*.py")):
        module = __import__(f"detect_secrets.plugins.{name}", fromlist=["x"])
        for kind in vars(module).values():
            patterns = getattr(kind, "denylist", ()) if getattr(kind, "__module__", "") == module.__name__ else ()
            for number, pattern in enumerate(patterns if isinstance(patterns, list | tuple) else ()):
                yield from _samples(f"detect-secrets {name} {number}", pattern.pattern, pattern.flags, 0.0)
    for name, groups in sorted(vars(keyword).items()):
        if isinstance(groups, dict) and name.endswith("_REGEX_TO_GROUP"):
            for number, (pattern, group) in enumerate(groups.items()):
                rule = f"detect-secrets keyword {name.removesuffix('_DENYLIST_REGEX_TO_GROUP').lower()} {number}"
                yield from _samples(rule, pattern.pattern, pattern.flags, 0.0, group)


def _samples(rule: str, pattern: str, flags: int, entropy: float, group: int | None = None) -> Iterator[Sample]:
    compiled, draw, made = re.compile(pattern, flags), random.Random(rule), 0
    tree = re._parser.parse(pattern, flags)  # type: ignore[attr-defined]  # noqa: SLF001
    for _ in range(_TRIES):
        line = _drawn(tree, draw, {}).strip("\n\r")
        match = compiled.search(line)
        if not match or made == SAMPLES:
            continue
        secret = (match[group] if group else next(filter(None, match.groups()), "")) or match[0]
        if not entropy or (_entropy(secret) >= entropy and re.search("[0-9]", secret)):
            made += 1
            yield Sample(rule, secret.strip("\"'` "), line)
    if not made:
        print(f"no sample: {rule}", file=sys.stderr)  # noqa: T201


def _entropy(text: str) -> float:
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def in_python(pattern: str) -> str:
    """A pattern of Go's RE2 as one of Python's: flags that begin within a group end with it."""
    pattern = pattern.replace("[[:alnum:]]", "[A-Za-z0-9]").replace(r"\z", r"\Z")
    made: list[str] = []
    opened = [0]  # groups of flags that are open at each depth
    position, in_class = 0, False
    while position < len(pattern):
        char = pattern[position]
        flags = re.compile(r"\(\?([a-z-]+)\)").match(pattern, position)
        if char == "\\":
            made.append(pattern[position : position + 2])
            position += 2
            continue
        if in_class or char == "[":
            in_class = char != "]" or pattern[position - 1] == "["
            made.append(char)
        elif flags:
            made.append(f"(?{flags[1]}:")
            opened[-1] += 1
            position = flags.end()
            continue
        elif char == "(":
            opened.append(0)
            made.append(char)
        elif char == ")":
            made.append(")" * (opened.pop() + 1))
        else:
            made.append(char)
        position += 1
    return "".join(made) + ")" * opened[0]


def _drawn(tree: Any, draw: random.Random, groups: dict[int, str]) -> str:
    return "".join(_one(str(operation), argument, draw, groups) for operation, argument in tree)


def _one(operation: str, argument: Any, draw: random.Random, groups: dict[int, str]) -> str:  # noqa: PLR0911 - a table
    match operation:
        case "LITERAL":
            return chr(argument)
        case "NOT_LITERAL":
            return draw.choice([char for char in _LETTERS if ord(char) != argument])
        case "ANY":
            return "."  # what the authors mean by it
        case "IN":
            return draw.choice(_characters(argument))
        case "BRANCH":
            return _drawn(draw.choice(argument[1]), draw, groups)
        case "SUBPATTERN":
            text = _drawn(argument[3], draw, groups)
            groups[argument[0]] = text
            return text
        case "GROUPREF":
            return groups.get(argument, "")
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, inner = argument
            most = min(int(most), max(int(least) + 12, 16))
            times = least if operation == "MIN_REPEAT" else draw.randint(least, most)
            if str(inner[0][0]) == "ANY":
                return "".join(draw.choice(_LETTERS) for _ in range(times))
            return "".join(_drawn(inner, draw, groups) for _ in range(times))
        case _:  # ends, and what stands around
            return ""


def _characters(members: Any) -> str:
    found, negated = set[str](), False
    for operation, argument in members:
        match str(operation):
            case "NEGATE":
                negated = True
            case "LITERAL":
                found.add(chr(argument))
            case "RANGE":
                found |= {chr(code) for code in range(argument[0], min(argument[1], 0x7E) + 1)}
            case _:
                found |= set(_CATEGORIES[str(argument)])
    chosen = set(_PRINTABLE) - found if negated else found & {*string.printable} - {*"\r\x0b\x0c"}
    return "".join(sorted(chosen - {" ", "\n", "\t"} or chosen or found))


_CATEGORIES = {
    "CATEGORY_WORD": _LETTERS + "_",
    "CATEGORY_DIGIT": string.digits,
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": _LETTERS + "-_.+/=",
    "CATEGORY_NOT_DIGIT": string.ascii_letters,
    "CATEGORY_NOT_WORD": " ",
}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

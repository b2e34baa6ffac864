"""Real ECS events and whole event streams, with what an engineer expects of each. They lie beside the checkout."""

import json
from pathlib import Path
from typing import Any

import pytest

from router.ecs.classify import classify
from router.ecs.normalise import normalise

CORPUS = Path(__file__).resolve().parents[4] / "shared" / "corpus"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus of real events at {CORPUS}")


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


INDEX = _lines(CORPUS / "index.jsonl")
STREAMS = sorted((CORPUS / "streams").glob("*.jsonl"))


def verdict(raw: object) -> dict[str, object]:
    told = classify(normalise(raw))
    return {"severity": str(told.severity), "cause": told.cause, "resolves": told.resolves}


@pytest.mark.parametrize("entry", INDEX, ids=lambda entry: Path(entry["file"]).stem)
def test_a_real_event_is_classified_as_expected(entry: dict[str, Any]) -> None:
    raw = json.loads((CORPUS / entry["file"]).read_text(encoding="utf-8"))
    assert verdict(raw) == entry["expected"]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda path: path.stem)
def test_every_event_of_a_real_stream_is_classified_as_expected(stream: Path) -> None:
    entries = _lines(stream)
    assert [verdict(entry["event"]) for entry in entries] == [entry["expected"] for entry in entries]


def test_the_corpus_is_not_empty() -> None:
    assert INDEX
    assert STREAMS

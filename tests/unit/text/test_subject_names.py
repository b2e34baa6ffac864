"""One name for a subject in all text for people."""

import pytest

from router.model import Subject, SubjectKind
from router.text.subject_names import subject_in_cluster, subject_name


def subject(text: str, cluster: str = "prod") -> Subject:
    return Subject.from_text("123456789012", "eu-west-1", cluster, text)


@pytest.mark.parametrize(
    ("text", "english", "japanese"),
    [
        ("service:orders", "service orders", "サービス orders"),
        ("family:nightly", "task family nightly", "タスクファミリー nightly"),
        ("alarm:orders-cpu", "orders-cpu", "orders-cpu"),
        ("instance:3f9a", "instance 3f9a", "インスタンス 3f9a"),
        ("deployment-group:shop/blue", "deployment group shop/blue", "デプロイグループ shop/blue"),
        ("capacity-provider:asg", "capacity provider asg", "キャパシティプロバイダー asg"),
        ("thing:of tomorrow", "thing:of tomorrow", "thing:of tomorrow"),
        ("service:-", "service (unknown)", "サービス (不明)"),
        ("alarm:", "(unknown)", "(不明)"),
    ],
)
def test_a_name_is_the_kind_in_words_and_the_name(text: str, english: str, japanese: str) -> None:
    assert subject_name(subject(text), "en") == english
    assert subject_name(subject(text), "ja") == japanese


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("kind", SubjectKind)
def test_no_name_has_the_prefix_that_machines_use(kind: SubjectKind, language: str) -> None:
    named = Subject("123456789012", "eu-west-1", "prod", kind, "x")
    assert ":" not in subject_in_cluster(named, language)


def test_a_task_without_a_family_is_named_by_its_id() -> None:
    assert subject_in_cluster(subject("family:-"), "en", "3f9a1c2b7d") == "task 3f9a1c2b in prod"
    assert subject_in_cluster(subject("family:x"), "en", "3f9a1c2b7d") == "task family x in prod"


def test_the_cluster_is_named_once_and_only_where_there_is_one() -> None:
    assert subject_in_cluster(subject("service:orders"), "ja") == "サービス orders (prod)"
    assert subject_in_cluster(subject("service:orders", "-"), "en") == "service orders"
    assert subject_in_cluster(subject("cluster:prod"), "en") == "cluster prod"

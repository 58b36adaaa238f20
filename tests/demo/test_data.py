from itertools import islice

from watchdog.demo import data
from watchdog.demo.data import DEMO, SMALL


def test_the_demo_is_as_large_as_promised() -> None:
    assert DEMO.assessments >= 100_000
    assert DEMO.documents >= 20_000
    assert DEMO.controls >= 5_000


def test_rows_are_a_function_of_their_number() -> None:
    assert list(data.assessments(SMALL)) == list(data.assessments(SMALL))
    assert list(data.documents(SMALL)) == list(data.documents(SMALL))


def test_keys_are_unique() -> None:
    identifiers = [data.assessment_id(i) for i in range(1, 20_001)]
    assert len(set(identifiers)) == len(identifiers)
    sessions = list(data.session_ids(DEMO))
    assert len(set(sessions)) == DEMO.sessions


def test_every_reference_points_at_something() -> None:
    controls = {node["id"] for node in data.controls(SMALL)}
    risks = {node["id"] for node in data.risks(SMALL)}
    assert all(1 <= user <= SMALL.users for _, user, *_ in data.assessments(SMALL))
    assert {control for _, _, control, *_ in data.assessments(SMALL)} <= controls
    assert all(link["from"] in controls and link["to"] in risks for link in data.addresses(SMALL))
    assert {link["to"] for link in data.evidences(SMALL)} <= controls


def test_documents_differ_from_one_another() -> None:
    titles = [title for _, title, _, _ in islice(data.documents(DEMO), 2_000)]
    assert len(set(titles)) > 1_990

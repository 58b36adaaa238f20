from watchdog.model.verdicts import Basis, Evidence


def test_a_figure_of_the_evidence_is_found_by_its_name() -> None:
    evidence = Evidence("errors", 0, "it is wrong", Basis.CONFIDENT, (("bad", 3.0), ("total", 9.0)))
    assert evidence.number("total") == 9.0
    assert evidence.number("other") is None

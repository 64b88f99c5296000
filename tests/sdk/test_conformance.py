"""Every language and the command line do the same: sdk/conformance."""
import json

import pytest

import conformance

GROUPS = {g["name"]: g for g in conformance.groups()}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("language", conformance.LANGUAGES)
def test_conformance(language, group, sdk_env, tmp_path):
    failures, _ = conformance.run_group(GROUPS[group], language, sdk_env, tmp_path)
    assert not failures, "\n".join(failures)


def test_what_is_compared_can_fail():
    differs = conformance.differs
    assert differs({"a": 1}, {"a": 1, "b": 2}) is None
    for want, got in [({"a": 1}, {"a": 2}), ({"a": 1}, {}), ({"a": True}, {"a": 1}), ([1], [1, 2]), ({"$re": "^x"}, "yx"),
                      ({"$gt": 3}, 3), ({"$has": [{"a": 1}]}, [{"a": 2}]), ({"$hasnot": ["b"]}, ["a", "b"]), ({"$len": 1}, []),
                      ("1", 1)]:
        assert differs(want, got), (want, got)


def test_cases_are_well_formed():
    """A step that nobody takes part in, or a word that means nothing, would pass for ever."""
    for group in GROUPS.values():
        for step in group["steps"]:
            assert set(step) <= {"name", "call", "args", "expect", "error", "save", "background", "wait", "do", "with", "not",
                                 "as_setup", "within_s"}, step
            assert len({"call", "wait", "do"} & set(step)) == 1, step
            assert len(step.get("not", {})) < len(conformance.LANGUAGES), step
            assert not ("expect" in step and "error" in step), step
            assert "within_s" not in step or ("call" in step and "expect" in step), step
    assert json.dumps(sorted(GROUPS)) and len(GROUPS) >= 8

"""The checker of the model test, on histories made by hand: what cannot be is found, what can be is not."""

import pytest

import linear

Op = linear.Op


def history(*rows):
    """Rows of (kind, begin, end) and what Op takes besides."""
    return [Op(*row[:3], **(row[3] if len(row) > 3 else {})) for row in rows]


def unknown(**fields):
    return {"known": False, **fields}


A, B = {"owner": "a"}, {"owner": "b"}
SEEN_RUNNING = {"owner": "a", "shown": "running"}
SEEN_CREATED = {"owner": "a", "shown": "created"}
SEEN_EXITED = {"owner": "a", "shown": "exited"}
TO = {"to": 1}
AT_TO = {**SEEN_CREATED, "slot": 1}

GOOD = {
    "nothing": [],
    "life": [("create", 0, 1, A), ("look", 2, 3, SEEN_CREATED), ("start", 4, 5), ("look", 6, 7, SEEN_RUNNING),
             ("stop", 8, 9), ("look", 10, 11, SEEN_EXITED), ("rm", 12, 13), ("not found", 14, 15)],
    "one of two creates": [("create", 0, 3, A), ("name in use", 1, 2)],
    "reserved, and not there yet": [("create", 0, 9, A), ("name in use", 1, 2), ("not found", 3, 4)],
    "cancelled create that happened": [("create", 0, 9, unknown(**A)), ("look", 1, 2, SEEN_CREATED)],
    "cancelled create that did not": [("create", 0, 9, unknown(**A)), ("not found", 1, 2),
                                      ("create", 3, 4, B)],
    "cancelled create that was taken back": [("create", 0, 9, unknown(**A)), ("look", 1, 2, SEEN_CREATED),
                                             ("not found", 3, 4), ("create", 5, 6, B)],
    "killed, and still seen": [("run", 0, 1, A), ("kill", 2, 3), ("look", 4, 5, SEEN_RUNNING),
                               ("look", 6, 7, SEEN_EXITED)],
    "start of what is dying": [("run", 0, 1, A), ("kill", 2, 3), ("start", 4, 5), ("look", 6, 7, SEEN_EXITED)],
    "forced removal seen from the middle": [("run", 0, 1, A), ("rm -f", 2, 9), ("look", 3, 4, SEEN_EXITED),
                                            ("look", 5, 6, SEEN_CREATED), ("not found", 7, 8)],
    "look that spans a removal": [("run", 0, 1, A), ("look", 2, 9, SEEN_CREATED), ("rm -f", 3, 4)],
    "list that spans a start": [("create", 0, 1, A), ("look", 2, 9, SEEN_RUNNING), ("start", 3, 4)],
    "stop beside a start": [("run", 0, 1, A), ("stop", 2, 9), ("start", 3, 8), ("look", 10, 11, SEEN_RUNNING)],
    "restart seen as created": [("run", 0, 1, A), ("stop", 2, 3), ("start", 4, 9),
                                ("look", 5, 6, SEEN_CREATED), ("look", 10, 11, SEEN_RUNNING)],
    "image put twice": [("put", 0, 1, A), ("put", 2, 3, B), ("shows", 4, 5, B), ("drop", 6, 7),
                        ("no image", 8, 9)],
    "renamed": [("create", 0, 1, A), ("rename", 2, 3, TO), ("not found", 4, 5), ("look", 6, 7, AT_TO),
                ("create", 8, 9, B)],
    "both names are taken for a moment": [
        ("create", 0, 1, A), ("rename", 2, 9, TO), ("name in use", 3, 4, {"slot": 1}), ("look", 5, 6, AT_TO),
        ("name in use", 7, 8)],
    "stop by the old name": [("run", 0, 1, A), ("stop", 2, 9), ("rename", 3, 4, TO),
                             ("look", 5, 6, {**SEEN_RUNNING, "slot": 1}),
                             ("look", 7, 8, {**SEEN_EXITED, "slot": 1})],
    "cancelled rename that was taken back": [
        ("create", 0, 1, A), ("rename", 2, 20, unknown(**TO)), ("look", 3, 4, AT_TO),
        ("look", 5, 6, SEEN_CREATED), ("create", 7, 8, {**B, "slot": 1})],
}

BAD = {
    "created twice": [("create", 0, 1, A), ("create", 2, 3, B)],
    "two at once": [("create", 0, 3, A), ("create", 1, 2, B)],
    "answered create is lost": [("create", 0, 1, A), ("not found", 2, 3)],
    "name in use by nobody": [("create", 0, 1, A), ("rm", 2, 3), ("name in use", 4, 5)],
    "removed, and still there": [("create", 0, 1, A), ("rm", 2, 3), ("look", 4, 5, SEEN_CREATED)],
    "removed twice": [("create", 0, 1, A), ("rm", 2, 3), ("rm", 4, 5)],
    "removed while it runs": [("run", 0, 1, A), ("rm", 2, 3)],
    "runs behind a stop": [("run", 0, 1, A), ("stop", 2, 3), ("look", 4, 5, SEEN_RUNNING)],
    "does not run behind a start": [("create", 0, 1, A), ("start", 2, 3), ("look", 4, 5, SEEN_EXITED)],
    "dead comes to life": [("run", 0, 1, A), ("kill", 2, 3), ("look", 4, 5, SEEN_EXITED),
                           ("look", 6, 7, SEEN_RUNNING)],
    "command in what has ended": [("run", 0, 1, A), ("stop", 2, 3), ("runs", 4, 5)],
    "ended while it runs": [("run", 0, 1, A), ("ended", 2, 3)],
    "somebody else's": [("create", 0, 1, A), ("look", 2, 3, {"owner": "b", "shown": "created"})],
    "log of another": [("create", 0, 1, A), ("owned", 2, 3, B)],
    "taken back after it was given to another": [
        ("create", 0, 9, unknown(**A)), ("not found", 1, 2), ("create", 3, 4, B), ("not found", 5, 6)],
    "unknown create after its end": [("create", 0, 1, unknown(**A)), ("not found", 2, 3),
                                     ("look", 4, 5, SEEN_CREATED)],
    "comes back": [("create", 0, 9, unknown(**A)), ("look", 1, 2, SEEN_CREATED), ("not found", 3, 4),
                   ("look", 5, 6, SEEN_CREATED)],
    "unknown removal that came before": [("create", 0, 1, A), ("rm", 2, 3, unknown()),
                                         ("look", 4, 5, SEEN_CREATED), ("not found", 6, 7)],
    "seen before it was asked for": [("look", 0, 1, SEEN_CREATED), ("create", 2, 3, A)],
    "image of before": [("put", 0, 1, A), ("put", 2, 3, B), ("shows", 4, 5, A)],
    "image that was dropped": [("put", 0, 1, A), ("drop", 2, 3), ("shows", 4, 5, A)],
    "renamed, and still there": [("create", 0, 1, A), ("rename", 2, 3, TO), ("look", 4, 5, SEEN_CREATED)],
    "under both names": [("create", 0, 1, A), ("rename", 2, 9, TO), ("look", 3, 4, AT_TO),
                         ("look", 5, 6, SEEN_CREATED)],
    "renamed to what was taken": [("create", 0, 1, A), ("create", 2, 3, {**B, "slot": 1}),
                                  ("rename", 4, 5, TO)],
    "rename that lost it": [("create", 0, 1, A), ("rename", 2, 9, unknown(**TO)), ("not found", 3, 4),
                            ("not found", 5, 6, {"slot": 1}), ("not found", 7, 8)],
    "reserved for ever": [("create", 0, 1, unknown(**A)), ("not found", 2, 3), ("name in use", 4, 5)],
    "rename that woke it": [("create", 0, 1, A), ("rename", 2, 3, TO),
                            ("look", 4, 5, {**SEEN_RUNNING, "slot": 1})],
    "drop of nothing": [("put", 0, 1, A), ("drop", 2, 3), ("drop", 4, 5)],
}


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_is_explained(name):
    assert linear.check(history(*GOOD[name])) is None


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_found(name):
    found = linear.check(history(*BAD[name]))
    assert found is not None and "no order explains" in str(found)


def test_one_that_removes_itself_goes_when_it_has_ended():
    rows = [("run", 0, 1, A), ("kill", 2, 3), ("not found", 4, 5)]
    assert linear.check(history(*rows), vanishing={"a"}) is None
    assert linear.check(history(*rows)) is not None
    running = [("run", 0, 1, A), ("not found", 2, 3)]
    assert linear.check(history(*running), vanishing={"a"}) is not None


def test_many_unknown_outcomes_are_no_explosion():
    rows = [("create", 0, 1, A)]
    rows += [(kind, 2, 100, unknown()) for kind in ("start", "stop", "kill", "rm", "rm -f") for _ in range(3)]
    rows += [("look", 3 + n, 3.5 + n, SEEN_CREATED) for n in range(20)]
    assert linear.check(history(*rows)) is None

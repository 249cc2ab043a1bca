"""The checker of the model test, on histories made by hand: what cannot be is found, what can be is not."""

import dataclasses
import random

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
    "answered rename that lost it": [("create", 0, 1, A), ("rename", 2, 3, TO), ("not found", 4, 5, {"slot": 1})],
    "answered rename that was taken back": [("create", 0, 1, A), ("rename", 2, 3, TO), ("look", 4, 5, SEEN_CREATED)],
    "two owners after a rename": [("create", 0, 1, A), ("create", 2, 3, {**B, "slot": 1}), ("rename", 4, 9, unknown(**TO)),
                                  ("look", 5, 6, AT_TO), ("look", 7, 8, {**SEEN_CREATED, "owner": "b", "slot": 1})],
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


class World:
    """Two names as a simple program has them, which many clients use: what they do happens at one moment between a
    call and its answer. Makes a history in which everything is right."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.names = [None, None]  # [owner, status]
        self.time = 0.0
        self.ops = []

    def add(self, kind, happened=None, **fields):
        """One operation; what it does has happened already. `happened` None: that is known to the client."""
        begin, end = self.time - self.chance.uniform(0, 3), self.time + self.chance.uniform(0, 3)
        if happened is not None:
            end += 20
        self.ops.append(Op(kind, begin, end, happened is None, **fields))

    def step(self):
        self.time += 1
        slot, kind = self.chance.randrange(2), self.chance.choice(
            ("create", "run", "start", "stop", "kill", "rm", "rm -f", "rename", "look", "look", "look"))
        unknown_to_all = kind != "look" and self.chance.random() < 0.2
        happened = self.chance.random() < 0.5 if unknown_to_all else None
        before = [self.names[0], self.names[1]]
        done, fields = self.do(kind, slot)
        if happened is False:
            self.names = before
        if unknown_to_all or done:
            self.add(kind, happened, **fields)

    def do(self, kind, slot):
        """(whether it succeeded, what its Op has besides)."""
        fields, there = {"slot": slot, "to": slot}, self.names[slot]
        if kind in ("create", "run"):
            fields["owner"] = f"c{len(self.ops)}"
            if there is None:
                self.names[slot] = (fields["owner"], "created" if kind == "create" else "running")
            return there is None, fields
        if kind == "rename":
            fields["to"] = 1 - slot
            if there is not None and self.names[1 - slot] is None:
                self.names = self.names[::-1]
                return True, fields
            return False, fields
        if there is None:
            if kind == "look":
                self.add("not found", slot=slot, to=slot)
            return False, fields
        return self.do_to_container(kind, slot, there, fields)

    def do_to_container(self, kind, slot, there, fields):
        owner, status = there
        if kind == "look":
            return True, {**fields, "owner": owner, "shown": status}
        possible = {"rm": status != "running", "kill": status == "running"}.get(kind, True)
        after = {"start": "running", "stop": status if status == "created" else "exited", "kill": "exited"}.get(kind)
        if possible:
            self.names[slot] = None if after is None else (owner, after)
        return possible, fields

    def play(self, steps):
        for _ in range(steps):
            self.step()
        return self

    def settle(self):
        """Nothing of unknown outcome is under way any more, and somebody looks."""
        self.time += 100
        for slot in (0, 1):
            done, fields = self.do("look", slot)
            if done:
                self.add("look", **fields)
            self.time += 10
        return self


SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
def test_long_histories_of_a_right_program_are_explained(seed):
    assert linear.check(World(seed).play(120).settle().ops) is None


def lose_an_update(world):
    """An answered stop that did nothing."""
    world.names = [("lost", "running"), None]
    world.add("run", owner="lost")
    world.time += 10
    world.add("stop")
    world.time += 10
    world.add("look", owner="lost", shown="running")


def have_two_owners(world):
    world.add("create", owner="first")
    world.time += 10
    world.add("create", owner="second")
    world.time += 10
    world.add("look", owner="second", shown="created")


def lose_a_renamed(world):
    world.add("create", owner="lost")
    world.time += 10
    world.add("rename", to=1)
    world.time += 10
    for slot in (0, 1):
        world.add("not found", slot=slot, to=slot)


@pytest.mark.parametrize("fault", [lose_an_update, have_two_owners, lose_a_renamed])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_fault_behind_a_long_history_is_found(seed, fault):
    """And told at the answer that is wrong."""
    world = World(seed).play(40).settle()
    for slot, there in enumerate(world.names):
        if there is not None:
            world.time += 10
            world.add("rm -f", slot=slot, to=slot)
    world.time += 10
    world.names = [None, None]
    good = list(world.ops)
    assert linear.check(good) is None
    fault(world)
    found = linear.check(world.ops)
    assert found is not None and found.op not in good


class Plain(linear.Search):
    """The same search without anything that makes it smaller."""

    def normal_progress(self, op, progress, state):
        return linear.what_is_left(op, progress, state) if op.known else progress

    def is_lost(self, config):
        return False

    def close(self):
        found, waiting = set(), set(map(self.normal, self.configs))
        while waiting:
            config = waiting.pop()
            found.add(config)
            waiting |= set(map(self.normal, self.successors(config))) - found
        self.configs = list(found)


def with_something_changed(ops, chance):
    """One operation is told wrong."""
    at = chance.randrange(len(ops))
    op = ops[at]
    changed = {"shown": chance.choice(("created", "running", "exited"))} if op.kind == "look" else \
        {"kind": chance.choice(("create", "start", "stop", "rm", "rename", "not found", "name in use"))}
    if changed.get("kind") == "create":
        changed["owner"] = f"new{at}"
    elif "kind" in changed:
        changed |= {"owner": None, "to": 1 - op.slot if changed["kind"] == "rename" else op.slot}
    return [*ops[:at], dataclasses.replace(op, **changed), *ops[at + 1:]]


def test_what_makes_the_search_smaller_does_not_change_what_it_says():
    said = {True: 0, False: 0}
    for seed in range(150):
        chance = random.Random(seed)
        ops = World(seed).play(9).ops
        for _ in range(chance.randrange(3)):
            ops = with_something_changed(ops, chance) if ops else ops
        plain = Plain(ops, ("c0",), None).go() is None
        assert (linear.check_part(ops, ("c0",))[0] is None) == plain, seed
        said[plain] += 1
    assert min(said.values()) > 30, said


def test_little_room_finds_what_explains_a_history_all_the_same():
    """And when it does not, that is no violation."""
    ops = World(3).play(80).settle().ops
    violation, most = linear.check_part(ops)
    assert violation is None
    small = max(2, most // 3)
    try:
        assert linear.check_part(ops, rooms=(small,)) == (None, small)
    except linear.Undecided:
        pass


def test_without_enough_room_it_is_undecided():
    bad = World(3).play(60).settle()
    have_two_owners(bad)
    with pytest.raises(linear.Undecided):
        linear.check_part(bad.ops, rooms=(1,))

"""Whether an order of the operations explains what the clients of some names saw.

An operation takes effect in steps (linear_kinds.py), each somewhere between its call and its answer. check() goes
through calls and answers in the order of time and carries along every configuration that the names can be in:
their states, and how far each operation has come that is under way. An answer keeps those in which its operation
can have been completed. When none is left, no order explains that answer. This is the search of Wing and Gong,
with Lowe's memory of configurations, in the order of time instead of depth first.

Unknown operations (the client cancelled, the daemon died) make it large. So of configurations that can do the same,
one is kept:

  - the progress of an operation is what it can still do: all that can do nothing more are alike;
  - what one can do, another can that has used fewer of the unknown operations: they may happen, but need not;
  - nobody goes on with a configuration that has lost, or can no longer make, a container that somebody will see.

Should that not be enough, only those which have used the fewest are kept: one that comes to the end explains the
history all the same. Only when none does, and some were left out, it begins again with room for more, and is
undecided when there is no more room.
"""

import dataclasses
import itertools

from linear_kinds import ABSENT, ENDED, KINDS, ONCE, OVER, READS, RESERVING, Op, replaced, stage_of, what_is_left

__all__ = ["Op", "Undecided", "Violation", "check", "check_part", "parts"]

ROOMS = (100, 1000, 100000)  # configurations that are kept: at first, when that was not enough, at last


class Undecided(Exception):
    """There was not enough room to decide."""


@dataclasses.dataclass
class Violation:
    """No order explains the answer of `op`."""
    op: Op
    states: list
    near: list

    def __str__(self):
        lines = [f"no order explains: {self.op}",
                 "  possible before: " + ", ".join(sorted({str(s) for s in self.states}))]
        return "\n".join(lines + [f"  {'>' if op is self.op else ' '} {op}" for op in self.near])


def read_on(op, progress, state):
    """How far a reader can come by itself. Reading changes nothing, so where it can see what it was told, it
    may as well have: whatever can come else can come then too."""
    kind = KINDS[op.kind]
    for further, _ in kind.steps(op, progress, state):
        nexts = [further, *(last for last, _ in kind.steps(op, further, state))]
        for one in nexts:
            if stage_of(one) == kind.done:
                return one
        if op.owner is not None:
            return further
    return progress


class Search:
    """A configuration is (state, ((index of a pending operation, its progress), ...))."""

    def __init__(self, ops, vanishing, room, foresight=True):
        self.ops = ops
        self.vanishing = vanishing  # owners that go by themselves when they have ended
        self.room = room
        self.foresight = foresight
        self.most = 0  # configurations at one time
        self.left_out = False
        slots = 1 + max((max(op.slot, op.to) for op in ops), default=0)
        self.configs = [((ABSENT,) * slots, ())]
        # Containers that somebody will see: {owner: how many have not begun to look}.
        self.awaited = {}
        if foresight:
            for op in filter(self.is_witness, ops):
                self.awaited[op.owner] = self.awaited.get(op.owner, 0) + 1
        self.makers = {op.owner: index for index, op in enumerate(ops) if op.kind in ("create", "run")}
        self.begun = set()

    @staticmethod
    def is_witness(op):
        return op.known and op.kind in ("look", "owned") and op.owner is not None

    def by_itself(self, state):
        for slot, (owner, status) in enumerate(state):
            if status == "dying":
                yield replaced(state, slot, (owner, "exited"))
            if owner in self.vanishing and status in ENDED:
                yield replaced(state, slot, ABSENT if status == "created" else (owner, "created"))

    def successors(self, config):
        state, pending = config
        for after in self.by_itself(state):
            yield after, pending
        for at, (index, progress) in enumerate(pending):
            op = self.ops[index]
            if progress == OVER:
                continue
            for further, after in KINDS[op.kind].steps(op, progress, state):
                if op.known or op.kind in ONCE:
                    yield after, pending[:at] + ((index, further),) + pending[at + 1:]
                else:
                    yield after, pending

    def normal(self, config):
        """The same with each progress as what it can still do."""
        state, pending = config
        return state, tuple((index, self.normal_progress(self.ops[index], progress, state))
                            for index, progress in pending)

    @staticmethod
    def normal_progress(op, progress, state):
        if progress == OVER:
            return OVER
        if op.kind in READS:
            progress = read_on(op, progress, state)
        return what_is_left(op, progress, state)

    def is_lost(self, config):
        """Whether somebody will see a container that is not there and cannot come any more."""
        state, pending = config
        there = {owner for owner, _ in state}
        looking = (self.ops[index].owner for index, progress in pending
                   if progress == 0 and self.foresight and self.is_witness(self.ops[index]))
        for owner in itertools.chain(self.awaited, looking):
            maker = self.makers.get(owner)
            if owner not in there and (maker is None or maker in self.begun and (maker, 0) not in pending):
                return True
        return False

    def used(self, config):
        """The unknown operations that have begun to happen in it, as a set."""
        return frozenset(p for p in config[1] if stage_of(p[1]) > 0 and not self.ops[p[0]].known)

    def key(self, config):
        """What two configurations must share for one to cover the other."""
        return config[0], tuple(p for p in config[1] if self.ops[p[0]].known)

    def close(self):
        """Everything that can have come of the configurations by now. One is covered, and left out, by another
        in which fewer unknown operations have happened: they may, but need never. So those with fewer
        come first."""
        kept, found, waiting = {}, [], [dict.fromkeys(map(self.normal, self.configs))]
        for level in itertools.count():
            if level == len(waiting):
                break
            while waiting[level]:
                config, _ = waiting[level].popitem()
                used, rivals = self.used(config), kept.setdefault(self.key(config), [])
                if len(used) > level:
                    self.put(waiting, len(used), config)
                    continue
                if any(rival <= used for rival in rivals):
                    continue
                rivals.append(used)
                if self.is_lost(config):
                    continue
                if len(found) == self.room:
                    self.left_out = True
                    break
                found.append(config)
                for further in map(self.normal, self.successors(config)):
                    self.put(waiting, max(level, len(self.used(further))), further)
        self.most = max(self.most, len(found))
        self.configs = found

    @staticmethod
    def put(waiting, level, config):
        while len(waiting) <= level:
            waiting.append({})
        waiting[level][config] = None

    def begin(self, index):
        op = self.ops[index]
        self.begun.add(index)
        self.configs = [(state, pending + ((index, 0),)) for state, pending in self.configs]
        if self.is_witness(op) and op.owner in self.awaited:
            self.awaited[op.owner] -= 1
            if self.awaited[op.owner] == 0:
                del self.awaited[op.owner]

    def end(self, index):
        """Returns the states there were before when the answer cannot be."""
        op = self.ops[index]
        self.close()
        before = [state for state, _ in self.configs]
        left = [(state, tuple(p for p in pending if p[0] != index)) for state, pending in self.configs
                if self.may_end(op, dict(pending)[index])]
        self.configs = list(dict.fromkeys(left))
        return None if self.configs else before

    @staticmethod
    def may_end(op, progress):
        return progress == OVER if op.known else stage_of(progress) not in RESERVING.get(op.kind, ())

    def go(self):
        """None, or the Violation."""
        events = sorted([(op.begin, 0, i) for i, op in enumerate(self.ops)] +
                        [(op.end, 1, i) for i, op in enumerate(self.ops)])
        for _, is_end, index in events:
            if not is_end:
                self.begin(index)
                continue
            states = self.end(index)
            if states is not None:
                op = self.ops[index]
                near = sorted((o for o in self.ops if o.end >= op.begin - 5 and o.begin <= op.end),
                              key=lambda o: o.begin)[-30:]
                return Violation(op, states, near)
        return None


def parts(ops):
    """What must be checked together: names between which there are renames, else each name by itself."""
    if any(op.kind == "rename" for op in ops):
        return [ops]
    return [[dataclasses.replace(op, slot=0, to=0) for op in ops if op.slot == slot]
            for slot in sorted({op.slot for op in ops})]


def check_part(ops, vanishing=(), rooms=ROOMS):
    """(None or the Violation, the most configurations at one time). May raise Undecided."""
    for room in rooms:
        search = Search(ops, vanishing, room)
        violation = search.go()
        if violation is None:
            return None, search.most
        if not search.left_out:
            break
    else:
        raise Undecided(f"more than {room} configurations at once")
    # Without foresight it is told at the answer that is wrong, instead of before.
    plain = Search(ops, vanishing, rooms[-1], foresight=False)
    told = plain.go()
    return (violation if told is None or plain.left_out else told), search.most


def check(ops, vanishing=()):
    """None, or the first Violation. May raise Undecided."""
    for part in parts(ops):
        violation, _ = check_part(part, vanishing)
        if violation is not None:
            return violation
    return None

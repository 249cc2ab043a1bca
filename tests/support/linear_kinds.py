"""What the operations of the model test do to the state of a name, for linear.py.

An operation takes effect in steps: a create reserves its name, then appears; a removal ends the process,
clears the task, is gone.

What a client does not know (it cancelled, the daemon died) is an operation that may stop after any of
its steps, for as long as its `end` says; a create may then also be taken back. What changes a container that is
there (ONCE has the others) may then even happen more than once: to keep count would take a state for each
choice of those that have. The states of a name are those
of containerd's tasks and a little more:

    absent ─▶ reserved ─▶ created ─▶ running ─▶ dying ─▶ exited        and back by removals
                             ▲──────────────────────────────┘ a start or a removal clears the task

"dying" is what a kill leaves: the signal is sent, and whoever looks may still see it run. From dying to exited
it goes by itself; from exited to absent a container with auto-remove does. Of an image name the state is a
digest or nothing.

Who calls by a name means the container that has it at one moment of the call, and that one also after it
has been renamed. So names between which there are renames are checked together: a state has a slot for each.
"""

import dataclasses

ABSENT = (None, "absent")
GONE = "gone"  # what an operation finds whose container was removed meanwhile
SHOWN = {"created": "created", "running": "running", "dying": "running", "exited": "exited"}
ENDED = ("created", "exited")
ALIVE = ("running", "dying")
TAKING_BACK = 4  # the stage of a create or run of which nothing else is left to do
OVER = 99  # the progress of an operation that can do nothing more
LOWER = {"running": "exited", "dying": "exited", "exited": "created", "created": GONE}


@dataclasses.dataclass
class Op:
    """One operation on one name. `kind` is a key of KINDS; `owner`: which container it makes or saw."""
    kind: str
    begin: float
    end: float
    known: bool = True
    owner: object = None
    shown: str = ""
    text: str = ""  # for people
    slot: int = 0  # the name, where several are checked together
    to: int = 0  # slot of the new name

    def __str__(self):
        what = f"{self.kind} {self.owner or ''} {self.shown}".strip() + ("" if self.known else " (unknown)")
        return f"{self.begin:9.3f} {self.end:9.3f} {what:40} {self.text}"


@dataclasses.dataclass
class Kind:
    """`steps(op, progress, state)` gives (progress, state) pairs; 0 is an operation that has not begun. It can
    have been completed when its stage, see below, is `done`."""
    steps: object
    done: int = 1


def stage_of(progress):
    """Of one that is about a container that is there: (owner, stage)."""
    return progress[1] if isinstance(progress, tuple) else progress


def replaced(state, slot, local):
    return state[:slot] + (local,) + state[slot + 1:]


def where(state, owner):
    """The slot of a container; None when it is gone."""
    return next((slot for slot, local in enumerate(state) if local[0] == owner and local[1] in SHOWN), None)


def on_name(fn):
    """An operation on whatever has the name: fn(op, stage, local state) gives (stage, local state) pairs."""
    def steps(op, progress, state):
        for stage, local in fn(op, progress, state[op.slot]):
            yield stage, replaced(state, op.slot, local)
    return steps


def on_container(fn):
    """An operation on the container that has the name when it begins: fn(op, stage, status) gives (stage, status)
    pairs, GONE for one that it removes."""
    def steps(op, progress, state):
        if progress == 0 and op.known:
            owner, status = state[op.slot]
            if status in SHOWN and op.owner in (None, owner):
                yield (owner, 0), state
        elif progress == 0:
            # Nobody is told whom it found, and it may have been renamed since: it can be any.
            for owner, status in state:
                if status in SHOWN:
                    yield from steps(op, (owner, 0), state)
        else:
            owner, stage = progress
            slot = where(state, owner)
            for further, status in fn(op, stage, GONE if slot is None else state[slot][1]):
                local = ABSENT if status == GONE else (owner, status)
                yield (owner, further), state if slot is None else replaced(state, slot, local)
    return steps


def making(op, stage, local, starts):
    """Reserve, appear, and for a run: start. One that nobody knows of may be taken back."""
    if stage == 0 and local == ABSENT:
        yield 1, (op.owner, "reserved")
    elif stage == 1 and local == (op.owner, "reserved"):
        yield 2, (op.owner, "created")
    elif stage == 2 and starts and local == (op.owner, "created"):
        yield 3, (op.owner, "running")
        if not op.known:
            yield 3, (op.owner, "exited")  # a containerd that dies in the middle takes the process along
    if not op.known and stage > 0 and local[0] == op.owner:
        below = LOWER.get(local[1], GONE)
        yield TAKING_BACK, ABSENT if below == GONE else (op.owner, below)


def create(op, stage, local):
    return making(op, stage, local, False)


def run(op, stage, local):
    return making(op, stage, local, True)


def start(op, stage, status):
    if status == "exited" and stage == 0:
        yield 1, "created"
    elif status == "created" and stage < 2:
        yield 2, "running"
        if not op.known:
            yield 2, "exited"
    elif status in ALIVE and stage == 0:
        yield 2, status


def stop(op, stage, status):
    if stage > 0:
        return
    yield 1, "exited" if status in ALIVE else status
    if status in ALIVE and not op.known:
        yield 1, "dying"


def kill(op, stage, status):
    if stage == 0 and status in ALIVE:
        yield 1, "dying"


def remove(op, stage, status):
    if stage < 2 and status in ENDED:
        below = LOWER[status]
        yield (2 if below == GONE else 1), below


def remove_forced(op, stage, status):
    if stage < 2 and status in LOWER:
        below = LOWER[status]
        yield (2 if below == GONE else 1), below


def look(op, stage, status):
    """The record has been read; then what its task does. Without a task it is told as created."""
    if stage == 0 and op.shown in ("any", SHOWN.get(status, "created")):
        yield 1, status


def finds(*statuses):
    """What the status of the container was at a moment."""
    def fn(op, stage, status):
        if stage == 0 and status in statuses:
            yield 1, status
    return Kind(on_container(fn))


def sees(*statuses):
    """What the status of the name was at a moment."""
    def fn(op, stage, local):
        if stage == 0 and local[1] in statuses:
            yield 1, local
    return Kind(on_name(fn))


def rename(op, progress, state):
    """Reserve the new name, move, free the old one; the mark of a reservation is not the container."""
    owner, stage = progress or (state[op.slot][0], 0)
    if progress == 0:
        if state[op.slot][1] not in SHOWN or op.owner not in (None, owner):
            return
        if op.known:
            yield (owner, 0), state
    mark, here = (("renamed", owner), "reserved"), where(state, owner)
    if stage == 0 and state[op.to] == ABSENT:
        yield (owner, 1), replaced(state, op.to, mark)
    elif stage == 1 and here == op.slot:
        yield (owner, 2), replaced(replaced(state, op.to, state[here]), op.slot, mark)
    elif stage == 2 and state[op.slot] == mark:
        yield (owner, 3), replaced(state, op.slot, ABSENT)
    if op.known:
        return
    if stage in (1, 5) and state[op.to] == mark:
        yield (owner, 4), replaced(state, op.to, ABSENT)
    elif stage == 2 and here == op.to and state[op.slot] == mark:
        yield (owner, 5), replaced(replaced(state, op.slot, state[here]), op.to, mark)


def put(op, stage, local):
    if stage == 0:
        yield 1, (op.owner, "image")


def drop(op, stage, local):
    if stage == 0 and local[1] == "image":
        yield 1, ABSENT


def shows(op, stage, local):
    if stage == 0 and local == (op.owner, "image"):
        yield 1, local


KINDS = {
    "create": Kind(on_name(create), 2), "run": Kind(on_name(run), 3), "start": Kind(on_container(start), 2),
    "stop": Kind(on_container(stop)), "kill": Kind(on_container(kill)), "rm": Kind(on_container(remove), 2),
    "rm -f": Kind(on_container(remove_forced), 2), "rename": Kind(rename, 3),
    "look": Kind(on_container(look)), "owned": finds(*SHOWN, GONE),
    "runs": finds(*ALIVE), "runs not": finds(*ENDED, GONE), "ended": finds(*ENDED, GONE),
    "not found": sees("absent", "reserved"), "name in use": sees("reserved", *SHOWN),
    "put": Kind(on_name(put)), "drop": Kind(on_name(drop)), "shows": Kind(on_name(shows)),
    "no image": sees("absent"), "image": sees("image"),
}
ONCE = {"create", "run", "rename"}
# Stages in which one has reserved a name: none may be left so when its time is over.
RESERVING = {"create": (1,), "run": (1,), "rename": (1, 2, 5)}
READS = {"look", "owned", "runs", "runs not", "ended", "not found", "name in use", "shows", "no image", "image"}


def what_is_left(op, progress, state):
    """The same progress for all that can do the same from here on."""
    stage = stage_of(progress)
    if op.known:
        return OVER if stage == KINDS[op.kind].done else progress
    if op.kind in ("create", "run") and stage > 0:
        if all(owner != op.owner for owner, _ in state):
            return OVER  # it has gone, and does not come again
        return TAKING_BACK if stage == KINDS[op.kind].done else progress
    return OVER if op.kind == "rename" and stage in (3, 4) else progress

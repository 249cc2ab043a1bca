"""What was tried and how it went: one line for each case, counts and times at the end."""

import sys
import time


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.times = []

    def case(self, name, transport, direction, error=""):
        """One case; `error` is empty when it went well, else what is shown below the line."""
        verdict = "FAIL" if error else "pass"
        print(f"{name:32} {transport:8} {direction:28} {verdict}", flush=True)
        if error:
            self.failed.append(f"{name} {transport} {direction}")
            for line in error.strip().splitlines()[-20:]:
                print(f"    {line[:500]}", flush=True)
        else:
            self.passed += 1

    def part(self, name, run):
        """Run one part; a failure that is not of one case is a failed case of that name."""
        print(f"\n--- {name}", flush=True)
        begun = time.monotonic()
        try:
            run()
        except Exception as error:  # whatever it is, the other parts still have something to tell
            self.case(name, "-", "-", f"{type(error).__name__}: {error}")
        self.times.append((name, time.monotonic() - begun))

    def finish(self):
        """Print the summary; the exit code."""
        print("\n--- summary")
        for name, seconds in self.times:
            print(f"{name:32} {seconds:6.1f} s")
        for name in self.failed:
            print(f"FAIL {name}")
        print(f"{self.passed} passed, {len(self.failed)} failed", flush=True)
        sys.stdout.flush()
        return 1 if self.failed else 0

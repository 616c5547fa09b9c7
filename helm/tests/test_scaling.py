"""The fleet over simulated days: the chart's rendered ScaledObject, and the algorithms of KEDA and of Kubernetes' autoscaler.

The autoscaler's part is `desired = ceil(metric / target)`, a tolerance of 10 %, the policies, and the stabilisation window
(https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/, "Algorithm details"). KEDA answers it with the
result of the trigger's query. `api/tests/it/gauges.rs` runs the query itself on the schema.
"""

import math
import unittest
from collections import deque
from dataclasses import dataclass, field

from test_chart import merged, one, profile, render

SYNC_SECONDS = 15
TOLERANCE = 0.1
# From the decision to a worker that takes executions: schedule, start, probe.
POD_START_SECONDS = 30
DAY = 24 * 3600


@dataclass
class Autoscaler:
    target: float
    minimum: int
    maximum: int
    behavior: dict
    accepted_wait: int
    recommendations: deque = field(default_factory=deque)
    changes: list = field(default_factory=list)

    @staticmethod
    def of_chart(more: dict) -> "Autoscaler":
        values = merged(profile("production"), more)
        spec = one(render(values), "ScaledObject", "-worker")["spec"]
        return Autoscaler(
            target=float(spec["triggers"][0]["metadata"]["targetQueryValue"]),
            minimum=spec["minReplicaCount"],
            maximum=spec["maxReplicaCount"],
            behavior=spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"],
            accepted_wait=values["worker"]["autoscaling"].get("acceptedWaitSeconds", 5),
        )

    def sync(self, now: int, replicas: int, demand: float) -> int:
        """The number of replicas after one look at the metric."""
        ratio = demand / (self.target * replicas)
        wanted = replicas if abs(ratio - 1) <= TOLERANCE else math.ceil(demand / self.target)
        window = self.behavior["scaleDown"]["stabilizationWindowSeconds"]
        # The controller begins its window with the number it finds.
        self.recommendations = self.recommendations or deque([(now, replicas)])
        self.recommendations.append((now, wanted))
        while self.recommendations[0][0] < now - window:
            self.recommendations.popleft()
        # Down: no lower than any recommendation of the window. (The window for the way up is 0.)
        desired = max(wanted, min(replicas, max(count for _, count in self.recommendations)))
        desired = min(max(desired, self.minimum), self.maximum)
        desired = self.limited("scaleUp", now, replicas, desired) if desired > replicas else self.limited("scaleDown", now, replicas, desired)
        if desired != replicas:
            self.changes.append((now, desired - replicas))
        return desired

    def limited(self, direction: str, now: int, replicas: int, desired: int) -> int:
        sign = 1 if direction == "scaleUp" else -1
        bounds = []
        for policy in self.behavior[direction]["policies"]:
            recent = sum(change for at, change in self.changes if at > now - policy["periodSeconds"] and change * sign > 0)
            start = replicas - recent
            step = policy["value"] if policy["type"] == "Pods" else start * policy["value"] / 100
            bounds.append(math.ceil(start + step) if sign > 0 else math.floor(start - step))
        bound = max(bounds) if sign > 0 else min(bounds)
        return min(desired, max(bound, replicas)) if sign > 0 else max(desired, min(bound, replicas))


@dataclass
class Fleet:
    """Workers whose slots run executions of `run` seconds, in the order in which they come."""

    slots: int
    run: int
    pods: list = field(default_factory=list)
    waiting: deque = field(default_factory=deque)
    running: deque = field(default_factory=deque)
    busy: int = 0
    waits: list = field(default_factory=list)

    def scale(self, now: int, replicas: int):
        while len(self.pods) < replicas:
            self.pods.append(now + POD_START_SECONDS)
        del self.pods[replicas:]

    def tick(self, now: int, arrivals: int):
        if arrivals:
            self.waiting.append([now, arrivals])
        while self.running and self.running[0][0] <= now:
            self.busy -= self.running.popleft()[1]
        free = self.slots * sum(ready <= now for ready in self.pods) - self.busy
        started = 0
        while self.waiting and started < free:
            since, count = self.waiting[0]
            taken = min(count, free - started)
            started += taken
            self.waits.append((now - since, taken))
            self.waiting[0][1] -= taken
            if not self.waiting[0][1]:
                self.waiting.popleft()
        if started:
            self.running.append((now + self.run, started))
            self.busy += started

    def demand(self, now: int, accepted_wait: int) -> int:
        """What files/demand.sql counts."""
        return self.busy + sum(count for since, count in self.waiting if since <= now - accepted_wait)

    def longest_wait_of(self, share: float) -> int:
        """The wait within which this share of the executions started."""
        total, seen = sum(count for _, count in self.waits), 0
        for wait, count in sorted(self.waits):
            seen += count
            if seen >= share * total:
                return wait
        return 0


def simulate(load, seconds: int, run: int = 2, more: dict | None = None, start: int | None = None):
    """The fleet after `seconds` of `load(now)` executions per second, and its replicas at the end of each minute."""
    autoscaler = Autoscaler.of_chart(more or {})
    fleet = Fleet(slots=profile("production")["worker"]["concurrency"], run=run)
    replicas = start or autoscaler.minimum
    fleet.pods = [0] * replicas
    minutes = []
    for now in range(seconds):
        fleet.tick(now, load(now))
        if now % SYNC_SECONDS == 0:
            replicas = autoscaler.sync(now, replicas, fleet.demand(now, autoscaler.accepted_wait))
            fleet.scale(now, replicas)
        if now % 60 == 59:
            minutes.append(replicas)
    return fleet, minutes, autoscaler


# Executions per second at each hour: a night, two peaks, an evening.
HOURS = [4, 4, 4, 4, 4, 6, 12, 30, 60, 90, 90, 70, 50, 60, 80, 80, 60, 40, 24, 16, 12, 8, 6, 4]


def day(now: int) -> int:
    hour, second = divmod(now, 3600)
    rate = HOURS[hour] + (HOURS[(hour + 1) % 24] - HOURS[hour]) * second / 3600
    # Schedules of the full hour.
    burst = 200 if second == 0 else 0
    return int(rate * (now + 1)) - int(rate * now) + burst


class Day(unittest.TestCase):
    def test_a_steady_load_of_60_percent_keeps_its_fleet(self):
        # 10 workers of 8 slots; 24 executions of 2 s begin each second: 48 slots of 80.
        fleet, minutes, autoscaler = simulate(lambda now: 24, 3 * 3600, start=10)
        # 48 slots at 70 % are 8.6 workers.
        self.assertEqual(set(minutes[30:]), {9})
        self.assertLessEqual(len(autoscaler.changes), 2)
        self.assertEqual(fleet.longest_wait_of(0.999), 0)

    def test_the_replicas_of_a_day_follow_its_load(self):
        fleet, minutes, autoscaler = simulate(day, DAY)
        hourly = [max(minutes[60 * hour + 30 : 60 * hour + 60]) for hour in range(24)]
        self.assertEqual(hourly, REPLICAS_OF_A_DAY)
        # Never less than the load needs, and over the day little more than 70 % of the slots in use asks for.
        for hour in range(24):
            needed = HOURS[hour] * 2 / 8
            self.assertGreaterEqual(min(minutes[60 * hour : 60 * hour + 60]), min(needed, 60), hour)
        ideal = sum(HOURS) / 24 * 2 / autoscaler.target
        self.assertLess(sum(minutes) / len(minutes), 1.25 * ideal)
        self.assertLessEqual(fleet.longest_wait_of(0.999), 5)
        self.assertLessEqual(max(wait for wait, _ in fleet.waits), 60)

    def test_a_backlog_of_long_runs_is_worked_off_at_once(self):
        # 300 runs of 20 s arrive at a fleet at its minimum, which has 24 slots.
        fleet, minutes, _ = simulate(lambda now: 300 if now == 60 else 0, 1800, run=20)
        self.assertGreaterEqual(max(minutes), 38)
        self.assertLessEqual(max(wait for wait, _ in fleet.waits), 90)
        # Alone, three workers would take 250 s.
        self.assertEqual(minutes[-1], 3)

    def test_short_bursts_add_no_more_workers_than_their_slots(self):
        # Between two looks, a burst ends within the accepted wait: it is no demand.
        _, minutes, autoscaler = simulate(lambda now: 60 if now % 60 == 7 else 0, 3600, run=1)
        self.assertEqual((set(minutes), autoscaler.changes), ({3}, []))
        # At the moment of a look, as many slots as it takes at once: 60 at 70 % of 8 slots.
        _, minutes, _ = simulate(lambda now: 60 if now % 60 == 0 else 0, 3600, run=1)
        self.assertLessEqual(max(minutes), 11)

    def test_workers_are_removed_slowly_after_a_peak(self):
        _, minutes, autoscaler = simulate(lambda now: 90 if now < 1200 else 4, 3600)
        peak = max(minutes)
        down = [(at, change) for at, change in autoscaler.changes if change < 0 and at > 1200]
        self.assertGreaterEqual(down[0][0], 1200 + 290, "none goes within the window")
        self.assertLessEqual(-down[0][1], peak / 2 + 1, "not all go at once")
        self.assertEqual(minutes[-1], 3)


REPLICAS_OF_A_DAY = [3, 3, 3, 3, 3, 4, 10, 20, 32, 33, 30, 23, 22, 26, 29, 27, 20, 13, 8, 6, 4, 3, 3, 3]


if __name__ == "__main__":
    unittest.main()

//! Steps from a state to the next ones.

use super::{Activity, Api, Outbox, State, Status, WORKERS, Worker, WorkerId};
use crate::faults::Fault;

/// A step that is possible in a state.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) fault: Option<Fault>,
    pub(crate) to: State,
    /// True for a write by the worker that holds the attempt.
    pub(crate) by_holder: bool,
}

/// Steps that are possible in a state.
struct Steps<'a> {
    from: &'a State,
    steps: Vec<Step>,
}

impl Steps<'_> {
    fn push(&mut self, name: &'static str, change: impl FnOnce(&mut State)) {
        let mut to = *self.from;
        change(&mut to);
        if !to.budget.has(Fault::DatabaseCrashes) {
            // Without a crash later, the disk makes no difference.
            to.write_to_disk();
        }
        if !to.budget.has_crash {
            to.skip_flushes();
        }
        self.steps.push(Step { name, fault: None, to, by_holder: false });
    }

    fn push_fault(&mut self, fault: Fault, change: impl FnOnce(&mut State)) {
        if !self.from.budget.has(fault) {
            return;
        }
        self.push("fault", |to| {
            to.budget.spend(fault);
            change(to);
        });
        self.last().fault = Some(fault);
    }

    fn last(&mut self) -> &mut Step {
        self.steps.last_mut().expect("a step was pushed")
    }
}

impl State {
    /// Returns the steps that are possible in this state.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = Steps { from: self, steps: Vec::new() };
        self.api(&mut steps);
        self.relay(&mut steps);
        self.database(&mut steps);
        self.reaper(&mut steps);
        for place in 0..WORKERS {
            self.worker(place, &mut steps);
        }
        self.faults(&mut steps);
        steps.steps
    }

    fn api(&self, steps: &mut Steps<'_>) {
        match self.api {
            Api::Writing => {
                steps.push("insert", |to| {
                    to.tables.status = Status::Queued;
                    to.tables.outbox.waiting += 1;
                    to.write_to_disk();
                    to.api = Api::Accepted;
                });
                steps.push("insert on the fast path", |to| {
                    to.tables.status = Status::Queued;
                    to.tables.outbox.marked += 1;
                    to.api = Api::Flushing;
                });
            }
            Api::Flushing => steps.push("accept", |to| {
                to.write_to_disk();
                to.api = Api::Accepted;
            }),
            Api::Accepted | Api::Failed => {}
        }
    }

    fn relay(&self, steps: &mut Steps<'_>) {
        let Outbox { waiting, marked, published } = self.tables.outbox;
        if waiting > 0 {
            steps.push("claim batch", |to| {
                to.tables.outbox.waiting -= 1;
                to.tables.outbox.marked += 1;
            });
        }
        if marked > 0 {
            steps.push("publish", |to| {
                to.lose_message();
                to.ready += 1;
            });
            // A publish without a confirm: the broker may have the message.
            steps.push("unmark", |to| {
                to.tables.outbox.marked -= 1;
                to.tables.outbox.waiting += 1;
            });
        }
        if self.ready < published {
            steps.push("recover", |to| {
                to.tables.outbox.published -= 1;
                to.tables.outbox.waiting += 1;
            });
        }
    }

    /// Adds a flush by the database itself, without a request.
    fn database(&self, steps: &mut Steps<'_>) {
        if self.disk != self.tables {
            steps.push("write to disk", Self::write_to_disk);
        }
    }

    fn reaper(&self, steps: &mut Steps<'_>) {
        if self.tables.status != Status::Running {
            return;
        }
        if !self.tables.lease_over && !self.is_renewed() {
            steps.push("lease expires", |to| to.tables.lease_over = true);
        }
        if self.tables.lease_over {
            steps.push("reap", |to| {
                to.free();
                if to.tables.attempt >= Self::MAX_ATTEMPTS {
                    to.end();
                } else {
                    to.tables.status = Status::Queued;
                    to.tables.outbox.waiting += 1;
                }
                to.write_to_disk();
            });
        }
    }

    fn worker(&self, place: u8, steps: &mut Steps<'_>) {
        let Worker { generation, activity } = self.workers[usize::from(place)];
        let me = WorkerId { place, generation };
        match activity {
            Activity::Idle if self.ready > 0 => steps.push("deliver", |to| {
                to.ready -= 1;
                to.workers[usize::from(place)].activity = Activity::Delivered;
            }),
            Activity::Delivered => steps.push("claim", |to| to.claim(me)),
            Activity::Claimed(attempt) => steps.push("start", |to| {
                to.write_to_disk();
                to.start(attempt);
                to.workers[usize::from(place)].activity = Activity::Running(attempt);
            }),
            Activity::Running(attempt) => self.running(me, attempt, steps),
            Activity::Settled => steps.push("ack", |to| {
                to.workers[usize::from(place)].activity = Activity::Idle;
            }),
            Activity::Draining => steps.push("replace the process", |to| {
                to.workers[usize::from(place)] =
                    Worker { generation: generation + 1, activity: Activity::Idle };
            }),
            Activity::Idle => {}
        }
    }

    fn running(&self, me: WorkerId, attempt: u8, steps: &mut Steps<'_>) {
        let holds = self.holds(me, attempt);
        steps.push("finish", |to| {
            if holds {
                to.free();
                to.end();
                to.write_to_disk();
            }
            to.workers[usize::from(me.place)].activity = Activity::Settled;
        });
        steps.last().by_holder = holds;
        if !self.budget.has(Fault::Release) {
            return;
        }
        steps.push_fault(Fault::Release, |to| {
            if holds {
                to.free();
                to.tables.status = Status::Queued;
                to.tables.attempt -= 1;
                to.started &= !(1 << attempt);
                to.tables.outbox.waiting += 1;
                to.write_to_disk();
            }
            to.workers[usize::from(me.place)].activity = Activity::Draining;
        });
        steps.last().by_holder = holds;
    }

    fn faults(&self, steps: &mut Steps<'_>) {
        for place in 0..WORKERS {
            steps.push_fault(Fault::WorkerDies, |to| to.die(place));
        }
        if self.tables.outbox.marked > 0 {
            steps.push_fault(Fault::RelayDies, Self::lose_message);
        }
        if matches!(self.api, Api::Writing | Api::Flushing) {
            steps.push_fault(Fault::ApiDies, |to| {
                to.api = Api::Failed;
                if to.tables.outbox.marked > 0 {
                    to.lose_message();
                }
            });
        }
        steps.push_fault(Fault::Duplicate, |to| to.ready += 1);
        if self.ready > 0 {
            steps.push_fault(Fault::QueueDeleted, |to| to.ready = 0);
        }
        if self.tables.status == Status::Running && !self.tables.lease_over {
            steps.push_fault(Fault::LeaseExpiresEarly, |to| to.tables.lease_over = true);
        }
        steps.push_fault(Fault::DatabaseCrashes, Self::crash);
    }
}

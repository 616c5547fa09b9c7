//! The state of one execution's delivery, and the steps that change it.

/// Steps that are not the system's own doing: faults, and a drain, which an operator asks for. Each has a budget, so
/// that the state space is finite.
pub(crate) const FAULTS: [&str; 7] = [
    "worker dies",
    "relay dies",
    "duplicate",
    "queue deleted",
    "lease runs out early",
    "hand back",
    "api dies",
];

/// A process of a worker: where it runs, and which one there. A new process has a new identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WorkerId {
    place: usize,
    generation: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Status {
    /// The api is about to write it.
    Unwritten,
    /// The api died before it did.
    Never,
    Queued,
    Running,
    Ended,
}

/// What a worker's process is doing about the execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Activity {
    Idle,
    /// Has a message, unacknowledged.
    Delivered,
    /// Holds an attempt, or believes so; its message is unacknowledged.
    Running(u8),
    /// Has written the end, or learnt that it came too late; about to acknowledge.
    Settled,
    /// Has handed back; takes on nothing more until it is another process.
    Draining,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Worker {
    generation: u8,
    activity: Activity,
}

/// An outbox row of the execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Row {
    Waiting,
    /// Marked, and the relay has yet to publish it.
    Marked,
    /// Marked, and published or lost.
    Published,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    status: Status,
    pub(crate) attempt: u8,
    holder: Option<WorkerId>,
    lease_over: bool,
    outbox: Vec<Row>,
    /// Its message was sent before it was written.
    ahead: bool,
    /// Messages ready in the queue.
    ready: u8,
    workers: [Worker; 2],
    /// How often the row went to a terminal status.
    pub(crate) ends: u8,
    /// Left for each of [`FAULTS`].
    budget: [u8; 7],
}

/// A step that can be taken now.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) to: State,
    /// For writes: whether the writer holds the attempt.
    pub(crate) by_holder: bool,
}

impl State {
    pub(crate) const MAX_ATTEMPTS: u8 = 3;

    pub(crate) fn initial() -> Self {
        let worker = Worker { generation: 0, activity: Activity::Idle };
        Self {
            status: Status::Unwritten,
            attempt: 0,
            holder: None,
            lease_over: false,
            outbox: Vec::new(),
            ahead: false,
            ready: 0,
            workers: [worker; 2],
            ends: 0,
            budget: [2, 1, 1, 1, 1, 1, 1],
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.status == Status::Ended
    }

    /// Ended or never written, and nothing is left anywhere.
    pub(crate) fn is_done(&self) -> bool {
        let idle = |worker: &Worker| matches!(worker.activity, Activity::Idle | Activity::Draining);
        matches!(self.status, Status::Ended | Status::Never)
            && self.outbox.is_empty()
            && self.ready == 0
            && self.workers.iter().all(idle)
    }

    /// Every step that can be taken now.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        self.writer(&mut steps);
        self.relay(&mut steps);
        self.reaper(&mut steps);
        for place in 0..self.workers.len() {
            self.worker(place, &mut steps);
        }
        self.faults(&mut steps);
        steps
    }

    fn push(&self, steps: &mut Vec<Step>, name: &'static str, change: impl FnOnce(&mut Self)) {
        let mut to = self.clone();
        change(&mut to);
        to.outbox.sort_unstable();
        steps.push(Step { name, to, by_holder: false });
    }

    fn writer(&self, steps: &mut Vec<Step>) {
        if self.status != Status::Unwritten {
            return;
        }
        let mut write = |name, row| {
            self.push(steps, name, |to| {
                to.status = Status::Queued;
                to.outbox.push(row);
            });
        };
        if self.ahead {
            write("write in time", Row::Published);
            write("write late", Row::Marked);
        } else {
            write("write", Row::Waiting);
            self.push(steps, "send ahead", |to| {
                to.ahead = true;
                to.ready += 1;
            });
        }
    }

    fn relay(&self, steps: &mut Vec<Step>) {
        if let Some(row) = self.find(Row::Waiting) {
            self.push(steps, "depart", |to| to.outbox[row] = Row::Marked);
        }
        if let Some(row) = self.find(Row::Marked) {
            self.push(steps, "publish", |to| {
                to.outbox[row] = Row::Published;
                to.ready += 1;
            });
            // Not confirmed, and yet the broker may have it.
            self.push(steps, "take back", |to| to.outbox[row] = Row::Waiting);
        }
        let published = self.outbox.iter().filter(|row| **row == Row::Published).count();
        if let Some(row) = self.find(Row::Published)
            && usize::from(self.ready) < published
        {
            self.push(steps, "recover", |to| to.outbox[row] = Row::Waiting);
        }
    }

    fn reaper(&self, steps: &mut Vec<Step>) {
        if self.status == Status::Running && self.lease_over {
            self.push(steps, "reap", |to| {
                to.holder = None;
                to.lease_over = false;
                if to.attempt >= Self::MAX_ATTEMPTS {
                    to.end();
                } else {
                    to.status = Status::Queued;
                    to.outbox.push(Row::Waiting);
                }
            });
        }
    }

    fn worker(&self, place: usize, steps: &mut Vec<Step>) {
        let Worker { generation, activity } = self.workers[place];
        let me = WorkerId { place, generation };
        match activity {
            Activity::Idle if self.ready > 0 => self.push(steps, "deliver", |to| {
                to.ready -= 1;
                to.workers[place].activity = Activity::Delivered;
            }),
            // It waits for the row, but not for ever.
            Activity::Delivered if matches!(self.status, Status::Unwritten | Status::Never) => {
                self.push(steps, "give up", |to| to.workers[place].activity = Activity::Settled);
            }
            Activity::Delivered => self.push(steps, "claim", |to| to.claim(me)),
            Activity::Running(attempt) => {
                let holds = self.holds(me, attempt);
                self.push(steps, "finish", |to| {
                    if holds {
                        to.holder = None;
                        to.lease_over = false;
                        to.end();
                    }
                    to.workers[place].activity = Activity::Settled;
                });
                steps.last_mut().expect("just pushed").by_holder = holds;
                if self.budget[5] == 0 {
                    return;
                }
                self.push(steps, FAULTS[5], |to| {
                    to.budget[5] -= 1;
                    if holds {
                        to.status = Status::Queued;
                        to.attempt -= 1;
                        to.holder = None;
                        to.lease_over = false;
                        to.outbox.push(Row::Waiting);
                    }
                    to.workers[place].activity = Activity::Draining;
                });
                steps.last_mut().expect("just pushed").by_holder = holds;
            }
            Activity::Settled => self.push(steps, "ack", |to| to.workers[place].activity = Activity::Idle),
            Activity::Draining => self.push(steps, "start again", |to| {
                to.workers[place] = Worker { generation: generation + 1, activity: Activity::Idle };
            }),
            Activity::Idle => {}
        }
    }

    /// The claim statement: takes a queued row, and in any case removes the outbox rows it sees.
    fn claim(&mut self, me: WorkerId) {
        self.outbox.clear();
        self.workers[me.place].activity = if self.status == Status::Queued {
            self.status = Status::Running;
            self.attempt += 1;
            self.holder = Some(me);
            Activity::Running(self.attempt)
        } else {
            Activity::Settled
        };
    }

    fn faults(&self, steps: &mut Vec<Step>) {
        let [deaths, relay_deaths, duplicates, deletions, early, _drains, api_deaths] = self.budget;
        if api_deaths > 0 && self.status == Status::Unwritten {
            self.push(steps, FAULTS[6], |to| {
                to.budget[6] -= 1;
                to.status = Status::Never;
            });
        }
        for place in 0..self.workers.len() {
            if deaths > 0 {
                self.push(steps, FAULTS[0], |to| to.die(place));
            }
        }
        if relay_deaths > 0
            && let Some(row) = self.find(Row::Marked)
        {
            self.push(steps, FAULTS[1], |to| {
                to.budget[1] -= 1;
                to.outbox[row] = Row::Published;
            });
        }
        if duplicates > 0 {
            self.push(steps, FAULTS[2], |to| {
                to.budget[2] -= 1;
                to.ready += 1;
            });
        }
        if deletions > 0 && self.ready > 0 {
            self.push(steps, FAULTS[3], |to| {
                to.budget[3] -= 1;
                to.ready = 0;
            });
        }
        if early > 0 && self.status == Status::Running && !self.lease_over {
            self.push(steps, FAULTS[4], |to| {
                to.budget[4] -= 1;
                to.lease_over = true;
            });
        }
    }

    /// The broker takes back what was unacknowledged; the lease runs out, for nobody renews it.
    fn die(&mut self, place: usize) {
        self.budget[0] -= 1;
        let Worker { generation, activity } = self.workers[place];
        if matches!(activity, Activity::Delivered | Activity::Running(_) | Activity::Settled) {
            self.ready += 1;
        }
        if self.holder == Some(WorkerId { place, generation }) {
            self.lease_over = true;
        }
        self.workers[place] = Worker { generation: generation + 1, activity: Activity::Idle };
    }

    fn end(&mut self) {
        self.status = Status::Ended;
        self.ends += 1;
    }

    fn holds(&self, me: WorkerId, attempt: u8) -> bool {
        self.status == Status::Running && self.attempt == attempt && self.holder == Some(me)
    }

    fn find(&self, wanted: Row) -> Option<usize> {
        self.outbox.iter().position(|row| *row == wanted)
    }
}

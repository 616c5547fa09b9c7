//! State of the delivery of one execution, and the changes of its parts.

mod steps;

pub(crate) use steps::Step;

use crate::faults::Budget;

/// Number of workers.
const WORKERS: u8 = 2;

/// Identity of a worker process: the worker and the number of its process. A new process has a new identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct WorkerId {
    place: u8,
    generation: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Status {
    /// The row is not written yet, or was lost in a crash of the database.
    Missing,
    Queued,
    Running,
    Ended,
}

/// Progress of the request at the api.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Api {
    Writing,
    /// Committed on the fast path, and waiting for the disk.
    Flushing,
    /// The response was 202.
    Accepted,
    /// The response was an error, or the process died.
    Failed,
}

/// State of a worker's process in the execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Activity {
    Idle,
    /// Has an unacknowledged message.
    Delivered,
    /// Has claimed this attempt and waits for the disk.
    Claimed(u8),
    /// Runs this attempt, which another worker may hold by now. Its message is unacknowledged.
    Running(u8),
    /// Has written the end or lost the lease, and acknowledges next.
    Settled,
    /// Has released its run, and takes no messages until a new process replaces it.
    Draining,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Worker {
    generation: u8,
    activity: Activity,
}

/// Numbers of the execution's outbox rows, by state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Outbox {
    waiting: u8,
    /// Marked and not published yet.
    marked: u8,
    /// Marked, and published or lost.
    published: u8,
}

impl Outbox {
    const EMPTY: Self = Self { waiting: 0, marked: 0, published: 0 };
}

/// The rows of the execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tables {
    status: Status,
    attempt: u8,
    holder: Option<WorkerId>,
    lease_over: bool,
    outbox: Outbox,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// Rows as statements see them.
    tables: Tables,
    /// Rows as they are after a crash of the database.
    disk: Tables,
    api: Api,
    /// Messages ready in the queue.
    ready: u8,
    workers: [Worker; WORKERS as usize],
    /// Number of changes to a terminal status.
    pub(crate) ends: u8,
    /// Set of the attempts that were started and not released, with a bit for each.
    started: u8,
    pub(crate) is_started_twice: bool,
    budget: Budget,
}

impl State {
    pub(crate) const MAX_ATTEMPTS: u8 = 3;

    pub(crate) fn initial(budget: Budget) -> Self {
        let tables = Tables {
            status: Status::Missing,
            attempt: 0,
            holder: None,
            lease_over: false,
            outbox: Outbox::EMPTY,
        };
        let worker = Worker { generation: 0, activity: Activity::Idle };
        Self {
            disk: tables,
            tables,
            api: Api::Writing,
            ready: 0,
            workers: [worker; WORKERS as usize],
            ends: 0,
            started: 0,
            is_started_twice: false,
            budget,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.tables.status == Status::Ended
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.api == Api::Accepted && self.tables.status == Status::Missing
    }

    pub(crate) const fn attempt(&self) -> u8 {
        self.tables.attempt
    }

    /// Tells whether the execution has ended or was never accepted, and neither messages nor outbox rows are left.
    pub(crate) fn is_done(&self) -> bool {
        let idle = |worker: &Worker| matches!(worker.activity, Activity::Idle | Activity::Draining);
        let is_settled = match self.tables.status {
            Status::Ended => true,
            Status::Missing => self.api == Api::Failed,
            Status::Queued | Status::Running => false,
        };
        is_settled && self.tables.outbox == Outbox::EMPTY && self.ready == 0 && self.workers.iter().all(idle)
    }

    /// Performs the claim statement, without waiting for the disk. It claims a queued row, and always deletes the
    /// outbox rows that it sees.
    fn claim(&mut self, me: WorkerId) {
        let Tables { status, attempt, holder, outbox, .. } = &mut self.tables;
        *outbox = Outbox::EMPTY;
        self.workers[usize::from(me.place)].activity = if *status == Status::Queued {
            *status = Status::Running;
            *attempt += 1;
            *holder = Some(me);
            Activity::Claimed(*attempt)
        } else {
            Activity::Settled
        };
    }

    /// Replaces a worker's process. The broker requeues its unacknowledged message.
    fn die(&mut self, place: u8) {
        let Worker { generation, activity } = self.workers[usize::from(place)];
        if !matches!(activity, Activity::Idle | Activity::Draining) {
            self.ready += 1;
        }
        self.workers[usize::from(place)] = Worker { generation: generation + 1, activity: Activity::Idle };
    }

    /// Crashes the database, which loses commits that are not on disk. A pending flush fails, so that nothing is
    /// accepted or started; a worker then claims again.
    fn crash(&mut self) {
        self.tables = self.disk;
        if self.api == Api::Flushing {
            self.api = Api::Failed;
        }
        for worker in &mut self.workers {
            if matches!(worker.activity, Activity::Claimed(_)) {
                worker.activity = Activity::Delivered;
            }
        }
    }

    fn write_to_disk(&mut self) {
        self.disk = self.tables;
    }

    /// Completes pending flushes at once. This saves many states where the database never crashes.
    fn skip_flushes(&mut self) {
        if self.api == Api::Flushing {
            self.api = Api::Accepted;
        }
        for place in 0..self.workers.len() {
            if let Activity::Claimed(attempt) = self.workers[place].activity {
                self.start(attempt);
                self.workers[place].activity = Activity::Running(attempt);
            }
        }
    }

    const fn start(&mut self, attempt: u8) {
        self.is_started_twice |= self.started & (1 << attempt) != 0;
        self.started |= 1 << attempt;
    }

    /// Counts a marked row as published, without a message.
    const fn lose_message(&mut self) {
        self.tables.outbox.marked -= 1;
        self.tables.outbox.published += 1;
    }

    /// Frees the attempt from its holder.
    fn free(&mut self) {
        self.tables.holder = None;
        self.tables.lease_over = false;
    }

    fn end(&mut self) {
        self.tables.status = Status::Ended;
        self.ends += 1;
    }

    fn holds(&self, me: WorkerId, attempt: u8) -> bool {
        let Tables { status, holder, .. } = self.tables;
        status == Status::Running && self.tables.attempt == attempt && holder == Some(me)
    }

    /// Tells whether a live process renews the lease.
    fn is_renewed(&self) -> bool {
        (0..WORKERS).any(|place| {
            let Worker { generation, activity } = self.workers[usize::from(place)];
            let (Activity::Claimed(attempt) | Activity::Running(attempt)) = activity else { return false };
            self.holds(WorkerId { place, generation }, attempt)
        })
    }
}

//! A model of delivery, checked in every state it can reach: one execution, two workers, one relay, and faults at
//! any moment (a process dies, the database crashes, a message comes twice, a queue is deleted, a lease runs out under a
//! live worker).
//!
//! Each step is one statement or one message of the programs: the api's insert and its flush, `claim_next_batch`, `unmark`
//! and recovery of the relay; claim, flush, finish and hand-back of the worker; the reaper.
//! What the model shows:
//! - the execution is ended once, and by whoever holds the attempt;
//! - an accepted execution is never lost, and no attempt is started twice, though neither the fast path nor a claim waits
//!   for the disk in its commit;
//! - from every reachable state, without further faults, it is ended, and outbox and queue are empty.

mod faults;
mod protocol;

use faults::{Budget, Fault};
use protocol::{State, Step};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::LazyLock,
};

/// Every state that can be reached without a crash of the database, and with one.
static SPACES: LazyLock<[Vec<State>; 2]> =
    LazyLock::new(|| [Budget::WITHOUT_CRASH, Budget::WITH_CRASH].map(explore));

fn explore(budget: Budget) -> Vec<State> {
    let (mut seen, mut states) = (HashSet::new(), Vec::new());
    let mut open = VecDeque::from([State::initial(budget)]);
    while let Some(state) = open.pop_front() {
        if seen.insert(state) {
            states.push(state);
            open.extend(state.steps().into_iter().map(|step| step.to));
        }
    }
    assert!(states.len() > 100_000, "the model explores too little: {} states", states.len());
    states
}

/// Calls `check` with every step between two states.
fn for_each_step(check: impl Fn(&State, &Step)) {
    for state in SPACES.iter().flatten() {
        for step in &state.steps() {
            check(state, step);
        }
    }
}

#[test]
fn an_execution_ends_once_and_only_by_its_holder() {
    for_each_step(|state, step| {
        assert!(step.to.ends <= 1, "ended {} times: {:?}", step.to.ends, step.to);
        if state.is_over() {
            assert!(step.to.is_over(), "{} leaves a terminal status: {state:?}", step.name);
        }
        if step.name == "finish" && step.to.ends > state.ends {
            assert!(step.by_holder, "a write without the attempt took place: {state:?}");
        }
    });
}

#[test]
fn an_accepted_execution_is_never_lost() {
    let lost = SPACES.iter().flatten().find(|state| state.is_lost());
    assert!(lost.is_none(), "{lost:?}");
}

#[test]
fn an_attempt_is_started_once() {
    let again = SPACES.iter().flatten().find(|state| state.is_started_twice);
    assert!(again.is_none(), "{again:?}");
}

#[test]
fn every_state_can_reach_an_end_without_further_faults() {
    for states in &*SPACES {
        let ids: HashMap<&State, usize> = states.iter().zip(0..).collect();
        // Backwards from the states where all is done, over steps that are not faults.
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); states.len()];
        for (id, state) in states.iter().enumerate() {
            for step in state.steps().iter().filter(|step| step.fault.is_none()) {
                before[ids[&step.to]].push(id);
            }
        }
        let mut reaches = vec![false; states.len()];
        let mut open: Vec<usize> = (0..states.len()).filter(|id| states[*id].is_done()).collect();
        while let Some(id) = open.pop() {
            if !std::mem::replace(&mut reaches[id], true) {
                open.extend(&before[id]);
            }
        }
        let stuck = reaches.iter().position(|reaches| !reaches).map(|id| &states[id]);
        assert!(stuck.is_none(), "no way out of {stuck:?}");
    }
}

#[test]
fn a_released_attempt_is_not_counted() {
    for_each_step(|state, step| {
        if step.fault == Some(Fault::HandBack) && step.by_holder {
            assert_eq!(step.to.attempt() + 1, state.attempt(), "{state:?}");
        }
    });
}

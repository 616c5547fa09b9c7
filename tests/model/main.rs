//! A model of delivery, checked in every state that it can reach: one execution, two workers, one relay, and faults at
//! any moment. A process dies, the database crashes, a message is delivered twice, a queue is deleted, or a lease
//! expires although its worker is alive.
//!
//! Each step is one statement or one message of the programs: the api's insert and its flush; `claim_next_batch`,
//! `unmark` and recovery of the relay; claim, flush, finish and release of the worker; the reaper.
//!
//! The model shows three properties:
//! - the execution ends once, and only the worker that holds the attempt ends it;
//! - an accepted execution is never lost, and no attempt is started twice, although the commits of the fast path and of
//!   a claim do not wait for the disk;
//! - from every reachable state, without further faults, the execution ends, and outbox and queue become empty.

mod faults;
mod protocol;

use faults::{Budget, Fault};
use protocol::{State, Step};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::LazyLock,
};

/// States that can be reached, first without a crash of the database and then with one.
static SPACES: LazyLock<[Vec<State>; 2]> =
    LazyLock::new(|| [Budget::WITHOUT_CRASH, Budget::WITH_CRASH].map(explore));

/// Returns the states that can be reached with this budget of faults.
fn explore(budget: Budget) -> Vec<State> {
    let (mut seen, mut states) = (HashSet::new(), Vec::new());
    let mut open = VecDeque::from([State::initial(budget)]);
    while let Some(state) = open.pop_front() {
        if seen.insert(state) {
            states.push(state);
            open.extend(state.steps().into_iter().map(|step| step.to));
        }
    }
    assert!(states.len() > 100_000, "the model explores only {} states", states.len());
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
            assert!(step.by_holder, "a worker that did not hold the attempt ended it: {state:?}");
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
        // Goes backwards from the states in which the delivery is done, over the steps that are not faults.
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
        assert!(stuck.is_none(), "no steps without faults lead to an end from {stuck:?}");
    }
}

#[test]
fn a_released_attempt_is_not_counted() {
    for_each_step(|state, step| {
        if step.fault == Some(Fault::Release) && step.by_holder {
            assert_eq!(step.to.attempt() + 1, state.attempt(), "{state:?}");
        }
    });
}

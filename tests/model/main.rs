//! A model of delivery, checked in every state it can reach: one execution, two workers, one relay, and faults at
//! any moment (a process dies, a message comes twice, a queue is deleted, a lease runs out under a live worker).
//!
//! Each step is one statement or one message of the programs: the api's writing, with its message perhaps ahead; `depart`,
//! `take_back` and `recovery` of the relay; claim, finish and hand-back of the worker; the reaper. (A row that leaves at once
//! is one whose `depart` came with its writing.)
//! What the model shows:
//! - the execution is ended once, and by whoever holds the attempt;
//! - from every reachable state, without further faults, it is ended, and outbox and queue are empty.

mod protocol;

use protocol::{FAULTS, State};
use std::collections::{HashMap, HashSet, VecDeque};

/// Every reachable state, with the steps that leave it.
fn explore() -> HashMap<State, Vec<protocol::Step>> {
    let mut seen = HashMap::new();
    let mut open = VecDeque::from([State::initial()]);
    while let Some(state) = open.pop_front() {
        if seen.contains_key(&state) {
            continue;
        }
        let steps = state.steps();
        open.extend(steps.iter().map(|step| step.to.clone()));
        seen.insert(state, steps);
    }
    seen
}

#[test]
fn an_execution_ends_once_and_only_by_whoever_holds_it() {
    let states = explore();
    assert!(states.len() > 10_000, "the model explores too little: {} states", states.len());
    for (state, steps) in &states {
        assert!(state.ends <= 1, "ended {} times: {state:?}", state.ends);
        for step in steps {
            if state.is_over() {
                assert!(step.to.is_over(), "{} leaves a terminal status: {state:?}", step.name);
            }
            if step.name == "finish" && step.to.ends > state.ends {
                assert!(step.by_holder, "a write without the attempt took place: {state:?}");
            }
        }
    }
}

#[test]
fn nothing_is_ever_stuck() {
    let states = explore();
    // Backwards from the states where all is done, over steps that are not faults.
    let mut before: HashMap<&State, Vec<&State>> = HashMap::new();
    for (state, steps) in &states {
        for step in steps.iter().filter(|step| !FAULTS.contains(&step.name)) {
            before.entry(&step.to).or_default().push(state);
        }
    }
    let mut reaches: HashSet<&State> = HashSet::new();
    let mut open: Vec<&State> = states.keys().filter(|state| state.is_done()).collect();
    while let Some(state) = open.pop() {
        if reaches.insert(state) {
            open.extend(before.get(state).into_iter().flatten());
        }
    }
    let stuck = states.keys().find(|state| !reaches.contains(state));
    assert!(stuck.is_none(), "no way out of {stuck:?}");
}

#[test]
fn an_attempt_that_was_handed_back_is_not_spent() {
    let states = explore();
    for (state, steps) in &states {
        for step in steps.iter().filter(|step| step.name == FAULTS[5] && step.by_holder) {
            assert_eq!(step.to.attempt + 1, state.attempt, "{state:?}");
        }
    }
}

//! Resolution of the functions that a program needs, directly or through other functions. Pure.

use crate::model::{function::KnownFunction, script::FunctionPin};
use builder::Suggestions;
use std::collections::{BTreeMap, BTreeSet};

/// Returns one sentence for the author about a called name that no function has. `near` are functions with similar
/// names, best first.
pub(crate) fn unknown_message(name: &str, near: &[String]) -> String {
    match near {
        [] => format!("There is no function {name}."),
        near => format!("There is no function {name}; did you mean {}?", near.join(" or ")),
    }
}

/// Returns the suggestions for unknown names of one text.
pub(crate) fn suggestions(known: &[KnownFunction]) -> Suggestions<'_> {
    Suggestions::among(known.iter().map(|function| function.name.as_str()))
}

/// Returns the builds of all functions that `called` needs, by name. Of functions with one name the last wins.
/// Functions may call each other in circles. The error is the called names that no function has, sorted.
pub(crate) fn resolve(called: &[String], known: &[KnownFunction]) -> Result<Vec<FunctionPin>, Vec<String>> {
    let by_name: BTreeMap<&str, &KnownFunction> =
        known.iter().map(|function| (function.name.as_str(), function)).collect();
    let mut needed = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    let mut open: Vec<&str> = called.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        match by_name.get(name) {
            Some(function) if needed.insert(name) => {
                open.extend(function.function_names.iter().map(String::as_str));
            }
            Some(_) => {}
            None => {
                unknown.insert(name);
            }
        }
    }
    if unknown.is_empty() {
        let pin =
            |name: &str| FunctionPin { name: name.to_owned(), build_hash: by_name[name].build_hash.clone() };
        return Ok(needed.into_iter().map(pin).collect());
    }
    Err(unknown.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, calls: &[&str]) -> KnownFunction {
        KnownFunction {
            name: name.into(),
            build_hash: format!("hash of {name}"),
            function_names: calls.iter().map(ToString::to_string).collect(),
        }
    }

    fn names(pins: &[FunctionPin]) -> Vec<&str> {
        pins.iter().map(|pin| pin.name.as_str()).collect()
    }

    #[test]
    fn function_dependencies_are_transitive_and_cycles_end() {
        let known =
            [function("a", &["b"]), function("b", &["c", "a"]), function("c", &[]), function("d", &[])];
        assert_eq!(names(&resolve(&["a".into()], &known).unwrap()), ["a", "b", "c"]);
        assert_eq!(names(&resolve(&[], &known).unwrap()), [""; 0]);
    }

    #[test]
    fn the_last_function_of_a_name_wins() {
        let mut own = function("a", &[]);
        own.build_hash = "own".into();
        let pins = resolve(&["a".into()], &[function("a", &["b"]), function("b", &[]), own]).unwrap();
        assert_eq!(pins, [FunctionPin { name: "a".into(), build_hash: "own".into() }]);
    }

    #[test]
    fn unknown_function_names_come_with_suggestions() {
        let known = [function("httpRequest", &[]), function("sendSlackMessage", &[])];
        let unknown = resolve(&["httpReqest".into(), "zzz".into()], &known).unwrap_err();
        let mut suggestions = suggestions(&known);
        let message = |name: &String| unknown_message(name, &suggestions.near(name));
        let messages: Vec<String> = unknown.iter().map(message).collect();
        assert_eq!(messages[0], "There is no function httpReqest; did you mean httpRequest?");
        assert_eq!(messages[1], "There is no function zzz.");
    }
}

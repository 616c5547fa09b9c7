//! System functions and scripts: they build, and the functions they use exist.

use builder::{Report, Unit, build};
use serde::Deserialize;
use shared::{
    allowed_domains::{Admission, AllowedDomain, AllowedDomains},
    execution::{CodeType, TriggerType},
};
use std::{collections::BTreeSet, fs, path::PathBuf};
use url::Url;

#[derive(Deserialize)]
struct Row<T> {
    fields: T,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    description: String,
    category: String,
    parameters: Vec<Parameter>,
    return_type: String,
    usage_example: String,
    code_file: String,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    description: String,
}

#[derive(Deserialize)]
struct Script {
    name: String,
    description: String,
    category: String,
    code_type: CodeType,
    trigger_type: TriggerType,
    variables: Vec<Variable>,
    allowed_domains: Vec<String>,
    code_file: String,
}

#[derive(Deserialize)]
struct Variable {
    key: String,
    description: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn read<T: for<'de> Deserialize<'de>>(file: &str) -> Vec<T> {
    let text = fs::read_to_string(folder().join(file)).unwrap();
    serde_json::from_str::<Vec<Row<T>>>(&text).unwrap().into_iter().map(|row| row.fields).collect()
}

fn code(file: &str) -> String {
    fs::read_to_string(folder().join(file)).unwrap()
}

fn functions() -> Vec<Function> {
    read("system_functions.json")
}

fn scripts() -> Vec<Script> {
    read("system_scripts.json")
}

fn names_of_calls(name: &str, report: Report) -> Vec<String> {
    assert_eq!(report.diagnostics, [], "{name}");
    report.build.unwrap().function_names
}

#[test]
fn every_function_builds_and_calls_only_functions_there_are() {
    let functions = functions();
    let known: BTreeSet<_> = functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!((functions.len(), known.len()), (15, 15));
    for function in &functions {
        let parameters: Vec<_> = function.parameters.iter().map(|parameter| parameter.name.clone()).collect();
        let unit = Unit::Function { name: &function.name, parameters: &parameters };
        for called in names_of_calls(&function.name, build(unit, &code(&function.code_file))) {
            assert!(known.contains(called.as_str()), "{} calls {called}", function.name);
        }
    }
}

#[test]
fn every_function_is_documented() {
    for function in functions() {
        assert!(["http", "data", "notifications", "utils"].contains(&function.category.as_str()));
        assert!(!function.description.is_empty() && !function.return_type.is_empty(), "{}", function.name);
        assert!(
            function.parameters.iter().all(|parameter| !parameter.description.is_empty()),
            "{}",
            function.name
        );
        assert!(
            function.usage_example.contains(&format!("Functions.{}({{", function.name)),
            "{}",
            function.name
        );
        let source = code(&function.code_file);
        for parameter in &function.parameters {
            assert!(source.contains(&parameter.name), "{} does not take {}", function.name, parameter.name);
        }
    }
}

#[test]
fn every_script_builds_and_calls_only_functions_there_are() {
    let known: BTreeSet<_> = functions().into_iter().map(|function| function.name).collect();
    let scripts = scripts();
    let names: BTreeSet<_> = scripts.iter().map(|script| script.name.as_str()).collect();
    assert_eq!((scripts.len(), names.len()), (20, 20));
    for script in &scripts {
        for called in
            names_of_calls(&script.name, build(Unit::Script(script.code_type), &code(&script.code_file)))
        {
            assert!(known.contains(&called), "{} calls {called}", script.name);
        }
    }
}

#[test]
fn scripts_cover_every_category_and_trigger() {
    let scripts = scripts();
    for category in ["notifications", "work-items", "integrations", "reports", "utilities"] {
        assert!(scripts.iter().any(|script| script.category == category), "{category}");
    }
    for trigger in [TriggerType::Automation, TriggerType::WorkflowTransition, TriggerType::Cron] {
        assert!(scripts.iter().any(|script| script.trigger_type == trigger), "{trigger}");
    }
}

#[test]
fn scripts_declare_their_variables_and_hosts() {
    for script in scripts() {
        assert!(!script.description.is_empty());
        let source = code(&script.code_file);
        for Variable { key, description } in &script.variables {
            assert!(!description.is_empty(), "{}: {key}", script.name);
            assert!(source.contains(key), "{} does not read {key}", script.name);
        }
        for word in source.split("Variables.").skip(1) {
            let read: String = word.chars().take_while(char::is_ascii_alphanumeric).collect();
            assert!(script.variables.iter().any(|variable| variable.key == read), "{}: {read}", script.name);
        }
        for entry in &script.allowed_domains {
            assert!(entry.parse::<AllowedDomain>().is_ok(), "{}: {entry}", script.name);
        }
        let called = HOSTS.iter().filter(|(function, _)| source.contains(&format!("Functions.{function}(")));
        let needed: Vec<_> = called.map(|(_, host)| *host).collect();
        assert_eq!(needed.is_empty(), script.allowed_domains.is_empty(), "{}", script.name);
        for host in needed.iter().filter(|host| !host.is_empty()) {
            let url = Url::parse(&format!("https://{host}/hook")).unwrap();
            let allowed = AllowedDomains::parse(&script.allowed_domains).unwrap();
            assert_eq!(allowed.admits(&url), Admission::Allowed, "{} can't reach {host}", script.name);
        }
    }
}

/// Hosts to which system functions send requests. Empty for `httpRequest`, whose URL is a parameter.
const HOSTS: [(&str, &str); 7] = [
    ("httpRequest", ""),
    ("postToSlack", "hooks.slack.com"),
    ("sendSlackMessage", "hooks.slack.com"),
    ("sendDiscordMessage", "discord.com"),
    ("sendTeamsMessage", "acme.webhook.office.com"),
    ("sendTeamsMessage", "prod-01.westeurope.logic.azure.com"),
    ("sendTeamsMessage", "default.01.environment.api.powerplatform.com"),
];

#[test]
fn every_source_belongs_to_a_row() {
    let used: BTreeSet<_> = functions()
        .into_iter()
        .map(|row| row.code_file)
        .chain(scripts().into_iter().map(|row| row.code_file))
        .collect();
    for kind in ["functions", "scripts"] {
        for entry in fs::read_dir(folder().join(kind)).unwrap() {
            let file = format!("{kind}/{}", entry.unwrap().file_name().to_string_lossy());
            assert!(used.contains(&file), "{file} is in no fixture");
        }
    }
}

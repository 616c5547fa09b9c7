//! End-to-end tests, from POST to the row with the end of the run.

mod dashboards;
mod delivery;
mod dev;
mod failures;
mod fairness;
mod hostile_memory;
mod hostile_servers;
mod input;
mod limits;
mod logs;
mod metrics;
mod network;
mod operator_pages;
mod packages;
mod path;
mod payloads;
mod plane;
mod readme;
mod sandbox_layers;
mod traces;
mod trigger;
mod unconfirmed;
mod upgrade;
mod walkthrough;

//! Chaos suite: every component fails, in random order and under load. Afterwards every accepted execution must have
//! ended exactly once.
//!
//! Two apis and three workers run on a PostgreSQL and a RabbitMQ of the suite, which it restarts, behind links that it
//! cuts. A seed determines the faults. An independent checker then reads the database, the queues and the records of a
//! fake service.
//!
//! `make chaos` runs the long form: `SEEDS=1,2,3 FAULTS=42 RATE=25`.

mod checker;
mod clock;
mod cluster;
mod faults;
mod load;
mod random;
mod sabotage;

use checker::Report;
use cluster::Cluster;
use random::Random;
use std::time::Instant;

/// Parameters of one chaos run.
#[derive(Clone, Copy, Debug)]
struct Plan {
    seed: u64,
    faults: usize,
    /// Executions per second, from before the first fault until after the last.
    rate: u32,
}

/// State after a chaos run, for the checker.
struct ChaosResult {
    cluster: Cluster,
    accepted: load::Accepted,
    record: faults::Record,
}

async fn run(plan: Plan) -> anyhow::Result<ChaosResult> {
    let began = Instant::now();
    let mut cluster = Cluster::build().await?;
    let load = load::start(&cluster, plan.rate).await?;
    let mut random = Random::new(plan.seed);
    let mut record = faults::Record::default();
    for fault in faults::sequence(&mut random, plan.faults) {
        println!("[{:6.1} s] {fault:?}", began.elapsed().as_secs_f64());
        faults::inject(fault, &mut cluster, &load, &mut random, &mut record).await?;
    }
    cluster.heal().await?;
    let accepted = load.accepted().await?;
    println!("[{:6.1} s] {} accepted; waiting for their ends", began.elapsed().as_secs_f64(), accepted.len());
    checker::settle(&cluster, accepted.len()).await?;
    cluster.stop().await?;
    println!("[{:6.1} s] all is quiet", began.elapsed().as_secs_f64());
    Ok(ChaosResult { cluster, accepted, record })
}

impl ChaosResult {
    async fn check(&self) -> anyhow::Result<Report> {
        checker::check(&self.cluster, &self.accepted, &self.record).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_execution_is_lost_or_ended_twice_under_faults() -> anyhow::Result<()> {
    let result = run(Plan { seed: 7, faults: faults::KINDS, rate: 15 }).await?;
    let report = result.check().await?;
    println!("{report}");
    report.verdict()?;
    // A checker that can't fail proves nothing, so each promise is now broken in the state that it has just approved.
    for (sabotage, complaint) in sabotage::ALL {
        sabotage::apply(&result.cluster, sabotage).await?;
        let problems = result.check().await?.problems();
        anyhow::ensure!(
            problems.iter().any(|problem| problem.contains(complaint)),
            "{sabotage:?} was not noticed: {problems:?}"
        );
    }
    result.cluster.tear_down().await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes per seed: `make chaos`"]
async fn no_execution_is_lost_or_ended_twice_under_many_seeds() -> anyhow::Result<()> {
    let seeds = variable("SEEDS").unwrap_or_else(|| "1,2,3".to_owned());
    let number = |name| variable(name).and_then(|text| text.parse::<u32>().ok());
    let (faults, rate) = (number("FAULTS").unwrap_or(42), number("RATE").unwrap_or(25));
    let mut failed = Vec::new();
    for seed in seeds.split(',').map(|seed| seed.trim().parse()) {
        let plan = Plan { seed: seed?, faults: usize::try_from(faults)?, rate };
        let result = run(plan).await?;
        let report = result.check().await?;
        println!("seed {}: {report}", plan.seed);
        if let Err(error) = report.verdict() {
            failed.push(format!("seed {}: {error:#}", plan.seed));
        }
        result.cluster.tear_down().await?;
    }
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "how long the suite runs, not configuration of a program")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

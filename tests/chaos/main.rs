//! Everything dies, in turn and at random, under load: at the end every accepted execution is there, final, once.
//!
//! Two apis and three workers run on a PostgreSQL and a RabbitMQ of the suite's own, which it restarts, behind links it
//! cuts. What happens is drawn from a seed. An independent checker then reads the database, the queues and what a
//! fake service recorded.
//!
//! `make chaos` runs the long form: `SEEDS=1,2,3 FAULTS=42 RATE=25`.

mod checker;
mod clock;
mod faults;
mod load;
mod random;
mod sabotage;
mod site;

use checker::Report;
use random::Random;
use site::Site;
use std::time::Instant;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
struct Plan {
    seed: u64,
    faults: usize,
    /// Executions per second, from before the first fault until after the last.
    rate: u32,
}

/// What there is to look at when all is over.
struct Aftermath {
    site: Site,
    accepted: load::Accepted,
    record: faults::Record,
}

async fn run(plan: Plan) -> anyhow::Result<Aftermath> {
    let began = Instant::now();
    let mut site = Site::build().await?;
    let load = load::start(&site, plan.rate).await?;
    let mut random = Random::new(plan.seed);
    let mut record = faults::Record::default();
    for fault in faults::sequence(&mut random, plan.faults) {
        println!("[{:6.1} s] {fault:?}", began.elapsed().as_secs_f64());
        faults::inflict(fault, &mut site, &load, &mut random, &mut record).await?;
    }
    site.heal().await?;
    let accepted = load.accepted().await?;
    println!("[{:6.1} s] {} accepted; waiting for their ends", began.elapsed().as_secs_f64(), accepted.len());
    checker::settle(&site, accepted.len()).await?;
    site.stop().await?;
    println!("[{:6.1} s] all is quiet", began.elapsed().as_secs_f64());
    Ok(Aftermath { site, accepted, record })
}

impl Aftermath {
    async fn look(&self) -> anyhow::Result<Report> {
        checker::look(&self.site, &self.accepted, &self.record).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_ended_twice_while_everything_dies_in_turn() -> anyhow::Result<()> {
    let aftermath = run(Plan { seed: 7, faults: faults::KINDS, rate: 15 }).await?;
    let report = aftermath.look().await?;
    println!("{report}");
    report.verdict()?;
    // A checker that can't fail proves nothing: each thing it looks for is now done to what it has just approved.
    for (sabotage, complaint) in sabotage::ALL {
        sabotage::commit(&aftermath.site, sabotage).await?;
        let problems = aftermath.look().await?.problems();
        anyhow::ensure!(
            problems.iter().any(|problem| problem.contains(complaint)),
            "{sabotage:?} was not noticed: {problems:?}"
        );
    }
    aftermath.site.tear_down().await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes per seed: `make chaos`"]
async fn nothing_is_lost_or_ended_twice_under_many_seeds() -> anyhow::Result<()> {
    let seeds = variable("SEEDS").unwrap_or_else(|| "1,2,3".to_owned());
    let number = |name| variable(name).and_then(|text| text.parse::<u32>().ok());
    let (faults, rate) = (number("FAULTS").unwrap_or(42), number("RATE").unwrap_or(25));
    let mut failed = Vec::new();
    for seed in seeds.split(',').map(|seed| seed.trim().parse()) {
        let plan = Plan { seed: seed?, faults: usize::try_from(faults)?, rate };
        let aftermath = run(plan).await?;
        let report = aftermath.look().await?;
        println!("seed {}: {report}", plan.seed);
        if let Err(error) = report.verdict() {
            failed.push(format!("seed {}: {error:#}", plan.seed));
        }
        aftermath.site.tear_down().await?;
    }
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "how long the suite runs, not configuration of a program")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

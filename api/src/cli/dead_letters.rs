//! `api dead-letters`: all dead letters, of every workspace, for administrators.

use anyhow::Context as _;
use clap::Subcommand;
use shared::{
    amqp::{Broker, DeadLetters, SCAN_LIMIT, Topology},
    config::{EnvReader, Problems},
};
use std::{collections::BTreeSet, time::Duration};

/// Longest wait for the broker, in seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Subcommand)]
pub(super) enum DeadLettersCommand {
    /// Print every letter on one line: id, exchange, routing key, reason, body
    List,
    /// Print one letter in full
    Show { id: String },
    /// Publish letters again to the exchange they came from
    Requeue {
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Delete letters
    Drop {
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

impl DeadLettersCommand {
    pub(super) async fn run(self, mut environment: EnvReader) -> anyhow::Result<()> {
        let url = environment.secret("AMQP_URL");
        let prefix = environment.text_or("AMQP_PREFIX", "");
        let url = environment.finish(|| url).map_err(|problems: Problems| anyhow::anyhow!(problems))?;
        let broker = Broker::connect(url.expose(), "api dead-letters")?;
        tokio::time::timeout(CONNECT_TIMEOUT, broker.channel())
            .await
            .with_context(|| format!("the broker did not answer within {} s", CONNECT_TIMEOUT.as_secs()))?;
        let letters = DeadLetters::new(broker.clone(), Topology::with_prefix(&prefix));
        let set = |ids: Vec<String>| ids.into_iter().collect::<BTreeSet<_>>();
        match self {
            Self::List => print_all(&letters).await?,
            Self::Show { id } => show(&letters, &id).await?,
            Self::Requeue { ids } => println!("{} requeued", letters.requeue(&set(ids)).await?),
            Self::Drop { ids } => println!("{} dropped", letters.drop(&set(ids)).await?),
        }
        broker.close().await;
        Ok(())
    }
}

async fn print_all(letters: &DeadLetters) -> anyhow::Result<()> {
    for letter in letters.list(SCAN_LIMIT).await? {
        let body = String::from_utf8_lossy(&letter.body).into_owned();
        println!("{}\t{}\t{}\t{}\t{body}", letter.id, letter.exchange, letter.routing_key, letter.reason);
    }
    Ok(())
}

/// Prints a letter. The body is last and unchanged, so that it can be piped to another program.
async fn show(letters: &DeadLetters, id: &str) -> anyhow::Result<()> {
    let letter = letters.show(id).await?.context("no dead letter has this id")?;
    println!(
        "id\t{}\nexchange\t{}\nrouting key\t{}\nreason\t{}\n",
        letter.id, letter.exchange, letter.routing_key, letter.reason
    );
    println!("{}", String::from_utf8_lossy(&letter.body));
    Ok(())
}

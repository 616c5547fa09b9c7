//! `api dead-letters`: all dead letters, of every workspace, for administrators.

use crate::{
    app::dead_letters::RequeueDependencies,
    config::DatabaseConfig,
    db::{self, dead_letters::LetterFilter, pool},
    model::pagination::{MAX_PER_PAGE, PageRequest},
};
use anyhow::Context as _;
use clap::Subcommand;
use shared::{
    amqp::{Broker, Publisher, Topology},
    config::{EnvReader, Secret},
};
use sqlx::PgPool;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum DeadLettersCommand {
    /// Print every letter on one line, newest first: id, exchange, routing key, reason, body
    List,
    /// Print one letter in full
    Show { id: Uuid },
    /// Publish letters again to the exchange they came from
    Requeue {
        #[arg(required = true)]
        ids: Vec<Uuid>,
    },
    /// Delete letters
    Drop {
        #[arg(required = true)]
        ids: Vec<Uuid>,
    },
}

impl DeadLettersCommand {
    pub(super) async fn run(self, mut environment: EnvReader) -> anyhow::Result<()> {
        let amqp = match self {
            Self::Requeue { .. } => {
                Some((environment.secret("AMQP_URL"), environment.text_or("AMQP_PREFIX", "")))
            }
            _ => None,
        };
        let pool = pool::pool(&DatabaseConfig::read(environment)?, &Arc::default())?;
        match self {
            Self::List => print_all(&pool).await,
            Self::Show { id } => show(&pool, id).await,
            Self::Requeue { ids } => requeue(pool, amqp, ids).await,
            Self::Drop { ids } => {
                let mut dropped = 0;
                for id in ids {
                    dropped += usize::from(db::dead_letters::delete(&pool, None, id).await?);
                }
                println!("{dropped} dropped");
                Ok(())
            }
        }
    }
}

async fn print_all(pool: &PgPool) -> anyhow::Result<()> {
    let mut before = None;
    loop {
        let page = PageRequest { before, per_page: MAX_PER_PAGE };
        let letters = db::dead_letters::list(pool, None, &LetterFilter::default(), page).await?;
        for letter in &letters {
            let body = letter.body.as_deref().map_or_else(
                || format!("({} bytes: api dead-letters show {})", letter.body_bytes, letter.id).into(),
                String::from_utf8_lossy,
            );
            println!("{}\t{}\t{}\t{}\t{body}", letter.id, letter.exchange, letter.routing_key, letter.reason);
        }
        let Some(last) = letters.last() else { return Ok(()) };
        before = Some(last.id);
    }
}

/// Prints a letter. The body is last and unchanged, so that it can be piped to another program.
async fn show(pool: &PgPool, id: Uuid) -> anyhow::Result<()> {
    let letter = db::dead_letters::get(pool, None, id).await?.context("no dead letter has this id")?;
    println!(
        "id\t{}\nexchange\t{}\nrouting key\t{}\nreason\t{}\n",
        letter.id, letter.exchange, letter.routing_key, letter.reason
    );
    println!("{}", String::from_utf8_lossy(&letter.body.unwrap_or_default()));
    Ok(())
}

async fn requeue(pool: PgPool, amqp: Option<(Option<Secret>, String)>, ids: Vec<Uuid>) -> anyhow::Result<()> {
    let (url, prefix) = amqp.context("AMQP_URL is not read")?;
    let url = url.context("AMQP_URL is not set")?;
    let broker = Broker::connect(url.expose(), "api dead-letters")?;
    let publisher = Arc::new(Publisher::new(broker.clone(), Topology::with_prefix(&prefix)));
    let requeueing = RequeueDependencies { pool, publisher };
    println!("{} requeued", requeueing.requeue_all(None, ids.into_iter().collect()).await?);
    broker.close().await;
    Ok(())
}

//! `api dead-letters list | show ID | requeue ID… | drop ID…`: all letters, whosever they are, for administrators.

use anyhow::{Context as _, bail};
use shared::{
    amqp::{Broker, DeadLetters, LOOKED_THROUGH, Topology},
    config::{Environment, Problems},
};
use std::{collections::BTreeSet, time::Duration};

/// The broker may take this long to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub async fn run(mut environment: Environment, arguments: &[String]) -> anyhow::Result<()> {
    let url = environment.secret("AMQP_URL");
    let prefix = environment.text_or("AMQP_PREFIX", "");
    let url = environment.finish(|| url).map_err(|problems: Problems| anyhow::anyhow!(problems))?;
    let broker = Broker::connect(url.expose(), "api dead-letters")?;
    tokio::time::timeout(CONNECT_TIMEOUT, broker.channel()).await?;
    let letters = DeadLetters::new(broker.clone(), Topology::prefixed(&prefix));
    let ids: BTreeSet<String> = arguments.iter().skip(1).cloned().collect();
    match (arguments.first().map(String::as_str), ids.is_empty()) {
        (Some("list"), true) => print_all(&letters).await?,
        (Some("show"), false) if ids.len() == 1 => show(&letters, &arguments[1]).await?,
        (Some("requeue"), false) => println!("{} requeued", letters.requeue(&ids).await?),
        (Some("drop"), false) => println!("{} dropped", letters.drop(&ids).await?),
        _ => bail!("usage: api dead-letters list | show ID | requeue ID... | drop ID..."),
    }
    broker.close().await;
    Ok(())
}

async fn print_all(letters: &DeadLetters) -> anyhow::Result<()> {
    for letter in letters.list(LOOKED_THROUGH).await? {
        let body = String::from_utf8_lossy(&letter.body).into_owned();
        println!("{}\t{}\t{}\t{}\t{body}", letter.id, letter.exchange, letter.routing_key, letter.reason);
    }
    Ok(())
}

/// The body last and as it is, so that it can be piped on.
async fn show(letters: &DeadLetters, id: &str) -> anyhow::Result<()> {
    let letter = letters.show(id).await?.context("no dead letter has this id")?;
    println!(
        "id\t{}\nexchange\t{}\nrouting key\t{}\nreason\t{}\n",
        letter.id, letter.exchange, letter.routing_key, letter.reason
    );
    println!("{}", String::from_utf8_lossy(&letter.body));
    Ok(())
}

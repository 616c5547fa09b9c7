//! The HTTP clients, one per lane.
//!
//! Two, because a connection that an exception allowed must not serve a request that the exception doesn't
//! cover: the resolver sees names, not ports. Each has its own pool.

use super::{
    FetchConfig, NameService,
    dns::{Guard, Lookups},
    system_names::SystemNames,
};
use crate::{
    outbound::{self, Client, ClientSettings},
    supervisor::egress::{Egress, Lane},
};
use hickory_resolver::net::NetError;
use std::{io, sync::Arc};

/// Reason why a [`super::Fetcher`] can't be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("names can't be looked up: {0}")]
    Names(#[from] NetError),
    #[error("the threads of fetch can't be started: {0}")]
    Threads(#[from] io::Error),
}

pub(super) struct Clients {
    public: Client<Guard>,
    excepted: Client<Guard>,
}

impl Clients {
    pub(super) fn new(config: &FetchConfig, egress: &Arc<Egress>) -> Result<Self, StartError> {
        let tls = outbound::tls(&config.extra_roots)?;
        let names: Arc<dyn NameService> = match &config.names {
            Some(names) => Arc::clone(names),
            None => Arc::new(SystemNames::new()?),
        };
        let lookups = Lookups::default();
        let client = |lane| {
            Client::new(ClientSettings {
                resolver: Guard {
                    lane,
                    egress: egress.clone(),
                    names: Arc::clone(&names),
                    lookups: lookups.clone(),
                    timeout: config.dns_timeout,
                },
                tls: tls.clone(),
                connect_timeout: config.connect_timeout,
            })
        };
        Ok(Self { public: client(Lane::Public), excepted: client(Lane::Excepted) })
    }

    pub(super) fn of(&self, lane: Lane) -> &Client<Guard> {
        match lane {
            Lane::Public => &self.public,
            Lane::Excepted => &self.excepted,
        }
    }
}

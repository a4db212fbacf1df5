//! The server, from its start to its orderly end.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use demos::clients;
use demos::options::CommonOptions;
use demos::program::Program;
use demos::site::{self, Served};
use demos::tls::{self, TlsOptions};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::door::Door;
use crate::routes::routes;

/// How long an answer that has begun may take when the server is told to end.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The port (with --tls 8443, unless another is named).
    #[arg(short, long, default_value_t = 8080, default_value_if("tls", "true", "8443"))]
    port: u16,

    #[command(flatten)]
    tls: TlsOptions,

    /// The most clients at a time; one more waits.
    #[arg(long, value_name = "COUNT", default_value_t = 1024)]
    max_clients: usize,

    #[command(flatten)]
    pub(crate) common: CommonOptions,
}

pub(crate) fn serve(program: &Program, options: &Options) -> Result<()> {
    let identity = options.tls.identity(program)?;
    let listener = clients::listen(program, options.port)?;
    site::announce(program, listener.local_addr()?.port(), identity.as_ref(), "axum");
    let tls = identity.map(|identity| identity.config(&[tls::HTTP_2, tls::HTTP_1])).transpose()?;
    let served = Arc::new(Served::by(program.shards().clone()));
    let (stop, stopped) = oneshot::channel();
    let (done, ended) = mpsc::channel();
    let summed = Arc::clone(&served);
    program.on_stop(move || {
        let _ = stop.send(());
        let _ = ended.recv_timeout(GRACE);
        eprintln!("web: {}", summed.summary());
        None
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build();
    let served_by = async {
        let tls = tls.map(TlsAcceptor::from);
        let door = Door::new(listener.into(), options.max_clients, Arc::clone(&served), tls);
        program.ready()?;
        let stopped = async { stopped.await.unwrap_or(()) };
        axum::serve(door, routes(served)).with_graceful_shutdown(stopped).await.context("axum")
    };
    let result = runtime.context("tokio cannot start")?.block_on(served_by);
    let _ = done.send(());
    result
}

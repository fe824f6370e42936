//! Metrics as text for Prometheus, on a port of the operator's own.
//!
//! A proxy passes on the port of the users, and `/stats` with it, which asks for a password. It does not pass
//! on this one. Both are on 127.0.0.1, and both refuse a request that names another host or comes from
//! another site's page.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::sync::watch;

use crate::Gateway;
use crate::guard::{self, Origins};
use crate::server;

/// Scrapers at a time.
const CONNECTIONS: u16 = 4;

/// The upper ends of the buckets of each histogram.
const BUCKETS: [f64; 9] = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1024.0];

/// Records from now on, and serves `/metrics` until the gateway stops.
pub(crate) fn serve(port: u16, gateway: Arc<Gateway>) -> Result<(), String> {
    let builder = PrometheusBuilder::new().set_buckets(&BUCKETS);
    let handle = builder
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|e| e.to_string())?;
    let (listener, port) = crate::listen(port)?;
    println!("metrics on http://127.0.0.1:{port}/metrics");
    let origins = Arc::new(Origins::new(port, Vec::new())?);
    let app = axum::Router::new()
        .route("/metrics", get(page))
        .layer(axum::middleware::from_fn_with_state(origins, guard::guard))
        .with_state((Arc::clone(&gateway), handle.clone()));
    let upkeep = tokio::spawn(upkeep(handle));
    tokio::spawn(async move {
        let (mut ending, none) = (gateway.ending.subscribe(), watch::Sender::new(None));
        let stop = async { drop(ending.wait_for(Option::is_some).await) };
        server::serve(listener, CONNECTIONS, app, &none, stop).await;
        upkeep.abort();
    });
    Ok(())
}

async fn page(State((gateway, handle)): State<(Arc<Gateway>, PrometheusHandle)>) -> String {
    gateway.hub.record_metrics();
    gateway.hub.record_accepted();
    handle.render()
}

/// Sums up what histograms have recorded, which would otherwise pile up until the next scrape.
async fn upkeep(handle: PrometheusHandle) {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tick.tick().await;
        handle.run_upkeep();
    }
}

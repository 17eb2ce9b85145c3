//! Where Prometheus asks: `GET /metrics`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::metrics::Metrics;
use crate::error::{Error, Told};

/// Whoever connects says what is wanted within so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many are answered at a time; a scraper needs one.
const CONNECTIONS_MAX: usize = 16;
/// After an accept that failed, as when no file descriptor is left.
const REST: Duration = Duration::from_millis(100);

/// Closed when it is dropped.
pub struct Endpoint {
    serving: JoinHandle<()>,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Endpoint {
    pub fn open(at: SocketAddr, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let listener = std::net::TcpListener::bind(at)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .and_then(TcpListener::from_std)
            .map_err(|e| {
                Error::Usage(
                    Told::new(format!("the metrics cannot be served at {at}: {e}"))
                        .state("nothing was touched")
                        .next("choose another address with --metrics, or leave it out"),
                )
            })?;
        Ok(Self { serving: tokio::spawn(serve(listener, metrics)) })
    }
}

async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    // Dropped, and with it every connection, when this task is.
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(REST).await;
            continue;
        };
        let metrics = Arc::clone(&metrics);
        let service = service_fn(move |request| {
            let answer = answer(&request, &metrics);
            async move { Ok::<_, Infallible>(answer) }
        });
        connections.spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
            // Whoever asked has gone; there is nobody to tell.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(request: &Request<Incoming>, metrics: &Metrics) -> Response<Full<Bytes>> {
    let (status, kind, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics.text())
        }
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".into()),
        _ => (StatusCode::NOT_FOUND, "text/plain", "rsc serves /metrics\n".into()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

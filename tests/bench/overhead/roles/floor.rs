//! The floor: what any gateway on hyper must spend. It accepts, passes the request on, passes the answer back.
//!
//! It reads no body, keeps no record, knows no key; whatever Pinhole costs beyond it is Pinhole's doing.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use anyhow::Result;
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, Parts, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{Either, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::rt::Executor as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

type Upstream = Client<HttpConnector, Incoming>;
type Answer = Response<Either<Incoming, Empty<Bytes>>>;

pub(super) async fn serve(port: u16, upstream_port: u16) -> Result<()> {
    let authority: Authority = format!("127.0.0.1:{upstream_port}").parse()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let upstream: Upstream = Client::builder(TokioExecutor::new()).build(connector);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (upstream, authority) = (upstream.clone(), authority.clone());
        let service = service_fn(move |request| {
            let answer = pass(request, upstream.clone(), authority.clone());
            async { Ok::<_, Infallible>(answer.await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        TokioExecutor::new().execute(async {
            // A connection that its client breaks is over; there is nobody to tell.
            let _ = connection.await;
        });
    }
}

async fn pass(mut request: Request<Incoming>, upstream: Upstream, authority: Authority) -> Answer {
    let mut parts = Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    parts.path_and_query = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    request.headers_mut().remove(HOST);
    request.headers_mut().remove(CONNECTION);
    let Ok(mut response) = upstream.request(request).await else {
        let mut response = Response::new(Either::Right(Empty::new()));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        return response;
    };
    response.headers_mut().remove(CONNECTION);
    response.headers_mut().remove(TRANSFER_ENCODING);
    response.map(Either::Left)
}

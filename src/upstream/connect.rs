//! Opens one connection to a provider: name, socket, proxy, TLS; and says how long each took.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::base::clock;
use crate::exchange::attempt::Link;
use crate::upstream::provider::{HttpVersion, Provider};
use crate::upstream::tls;

/// A socket to a provider, in clear text or under TLS.
pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the name {host} does not resolve: {source}")]
    Resolve { host: String, source: io::Error },
    #[error("connecting to {address} failed: {source}")]
    Refused { address: SocketAddr, source: io::Error },
    #[error("TLS with {host} failed: {source}")]
    Tls { host: String, source: io::Error },
    #[error("the proxy {proxy} answered: {answer}")]
    Proxy { proxy: String, answer: String },
    #[error("no connection to {host} within {}", human(*.after))]
    TimedOut { host: String, after: Duration },
    #[error("{0}")]
    Setup(String),
}

fn human(wait: Duration) -> String {
    format!("{wait:?}")
}

/// Everything about a provider that opening a connection needs, worked out once.
pub(crate) struct Origin {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Option<(TlsConnector, ServerName<'static>)>,
    proxy: Option<Proxy>,
    timeout: Duration,
    prior_knowledge: bool,
}

struct Proxy {
    host: String,
    port: u16,
    authorization: Option<String>,
}

impl Origin {
    pub(crate) fn new(provider: &Provider) -> Result<Self, ConnectError> {
        let uri = &provider.base_url;
        let host = uri
            .host()
            .ok_or_else(|| ConnectError::Setup(format!("baseurl {uri} has no host")))?
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = if secure { Some(tls_for(provider, &host)?) } else { None };
        Ok(Self {
            host,
            port,
            tls,
            proxy: provider.proxy.as_ref().map(Proxy::new).transpose()?,
            timeout: provider.timeouts.connect,
            prior_knowledge: provider.http == HttpVersion::Http2 && !secure,
        })
    }

    /// A request to this origin goes through a proxy that wants the absolute form on the request line.
    pub(crate) fn absolute_form(&self) -> bool {
        self.proxy.is_some() && self.tls.is_none()
    }

    /// The credential that a plain-HTTP proxy wants with each request.
    pub(crate) fn proxy_authorization(&self) -> Option<&str> {
        if self.tls.is_some() {
            return None;
        }
        self.proxy.as_ref().and_then(|proxy| proxy.authorization.as_deref())
    }

    /// Opens a connection within the provider's connect timeout. `link` says how long each part took, as far as it came.
    pub(crate) async fn open(&self, link: &mut Link) -> Result<Socket, ConnectError> {
        match tokio::time::timeout(self.timeout, self.open_untimed(link)).await {
            Ok(result) => result,
            Err(_elapsed) => {
                Err(ConnectError::TimedOut { host: self.host.clone(), after: self.timeout })
            }
        }
    }

    async fn open_untimed(&self, link: &mut Link) -> Result<Socket, ConnectError> {
        *link = Link { http: http_version(self.prior_knowledge), ..Link::default() };
        let (host, port) = match &self.proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => (self.host.as_str(), self.port),
        };
        let started = clock::now();
        let addresses = resolve(host, port).await;
        let resolved = clock::now();
        link.resolve_us = clock::us_between(started, resolved);
        let addresses = addresses?;
        link.peer = addresses.first().copied();
        let stream = self.reach(host, &addresses).await;
        let connected = clock::now();
        link.connect_us = clock::us_between(resolved, connected);
        let stream = stream?;
        link.peer = stream.peer_addr().ok();
        link.local = stream.local_addr().ok();
        let Some((connector, name)) = &self.tls else {
            return Ok(Socket::Plain(stream));
        };
        let secured = connector.connect(name.clone(), stream).await;
        link.tls_us = clock::us_between(connected, clock::now());
        let secured =
            secured.map_err(|source| ConnectError::Tls { host: self.host.clone(), source })?;
        let session = secured.get_ref().1;
        link.http = http_version(session.alpn_protocol() == Some(b"h2"));
        link.tls = session.protocol_version().and_then(tls_version);
        Ok(Socket::Tls(Box::new(secured)))
    }

    /// To the provider, or through the proxy's tunnel where TLS goes beyond it.
    async fn reach(&self, host: &str, addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
        let mut stream = dial(host, addresses).await?;
        if let (Some(proxy), Some(_)) = (&self.proxy, &self.tls) {
            tunnel(&mut stream, proxy, &self.host, self.port).await?;
        }
        Ok(stream)
    }
}

fn http_version(two: bool) -> &'static str {
    if two { "2" } else { "1.1" }
}

fn tls_version(version: rustls::ProtocolVersion) -> Option<&'static str> {
    match version {
        rustls::ProtocolVersion::TLSv1_2 => Some("1.2"),
        rustls::ProtocolVersion::TLSv1_3 => Some("1.3"),
        _ => None,
    }
}

fn tls_for(
    provider: &Provider,
    host: &str,
) -> Result<(TlsConnector, ServerName<'static>), ConnectError> {
    let config = tls::client_config(&provider.tls, provider.http)
        .map_err(|error| ConnectError::Setup(error.to_string()))?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| ConnectError::Setup(format!("{host} is not a name TLS can check")))?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

impl Proxy {
    fn new(uri: &Uri) -> Result<Self, ConnectError> {
        if uri.scheme_str() == Some("https") {
            return Err(ConnectError::Setup(format!(
                "the proxy {} is reached by https, which is not offered; use an http:// proxy URL",
                uri.host().unwrap_or("?")
            )));
        }
        let authority = uri
            .authority()
            .ok_or_else(|| ConnectError::Setup("the proxy URL names no host".to_owned()))?;
        let authorization = authority.as_str().rsplit_once('@').map(|(user, _)| {
            use base64::Engine as _;
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user))
        });
        Ok(Self {
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authorization,
        })
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|source| ConnectError::Resolve { host: host.to_owned(), source })?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        let source = io::Error::other("no address");
        return Err(ConnectError::Resolve { host: host.to_owned(), source });
    }
    Ok(addresses)
}

/// Tries the addresses in order; the next one starts when the last failed or has been silent for a quarter second.
async fn dial(host: &str, addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    /// Limit: RFC 8305's recommended delay between attempts.
    const STAGGER: Duration = Duration::from_millis(250);
    let mut last = None;
    for (position, address) in addresses.iter().enumerate() {
        let is_last = position + 1 == addresses.len();
        let attempt = TcpStream::connect(*address);
        let result = if is_last {
            attempt.await
        } else {
            match tokio::time::timeout(STAGGER, attempt).await {
                Ok(result) => result,
                Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
            }
        };
        match result {
            Ok(stream) => {
                prepare(&stream);
                return Ok(stream);
            }
            Err(source) => {
                last = Some(ConnectError::Refused { address: *address, source });
            }
        }
    }
    Err(last.unwrap_or_else(|| ConnectError::Setup(format!("{host} has no address"))))
}

/// `TCP_NODELAY`, and keep-alive probes so that a vanished provider is noticed under a silent stream.
fn prepare(stream: &TcpStream) {
    let keep_alive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_mins(1))
        .with_interval(Duration::from_secs(15));
    let socket = socket2::SockRef::from(stream);
    let nodelay = stream.set_nodelay(true);
    let probes = socket.set_tcp_keepalive(&keep_alive);
    if let Err(error) = nodelay.and(probes) {
        tracing::debug!(%error, "socket options refused");
    }
}

/// `CONNECT` through an HTTP proxy.
async fn tunnel(
    stream: &mut TcpStream,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<(), ConnectError> {
    /// Limit: a proxy's answer head.
    const HEAD_MAX: usize = 8 * 1024;
    let failed = |answer: String| ConnectError::Proxy {
        proxy: format!("{}:{}", proxy.host, proxy.port),
        answer,
    };
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if let Some(authorization) = &proxy.authorization {
        request.push_str("Proxy-Authorization: ");
        request.push_str(authorization);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| failed(error.to_string()))?;
    let mut head = Vec::with_capacity(256);
    // Byte by byte: what follows the head belongs to TLS and must stay in the socket.
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.map_err(|error| failed(error.to_string()))?;
        head.push(byte);
        if head.len() > HEAD_MAX {
            return Err(failed("a head over 8 KiB".to_owned()));
        }
    }
    let first_line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    if first_line.split(|byte| *byte == b' ').nth(1).is_some_and(|code| code.starts_with(b"2")) {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(first_line).into_owned()))
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

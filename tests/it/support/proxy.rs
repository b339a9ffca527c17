//! A tiny forward proxy: `CONNECT` and the absolute form, whatever the name, to one address.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use pinhole::base::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::raw::find;

/// A running proxy; ends with the test's runtime.
pub struct Proxy {
    pub addr: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Leads every connection to `to`.
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("a bound socket");
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        task::spawn("proxy", async move {
            while let Ok((socket, _)) = listener.accept().await {
                task::spawn("proxied connection", lead(socket, to, Arc::clone(&kept)));
            }
        });
        Self { addr, heads }
    }

    /// The heads of all requests to the proxy itself.
    pub fn heads(&self) -> Vec<String> {
        let heads = self.heads.lock();
        heads.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn lead(mut client: TcpStream, to: SocketAddr, heads: Arc<Mutex<Vec<String>>>) {
    let mut buffer = Vec::new();
    let end = loop {
        if let Some(at) = find(&buffer, b"\r\n\r\n") {
            break at + 4;
        }
        if !matches!(client.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let tunnel = head.starts_with("CONNECT ");
    heads.lock().unwrap_or_else(PoisonError::into_inner).push(head);
    let Ok(mut server) = TcpStream::connect(to).await else {
        return;
    };
    let (to_client, to_server): (&[u8], &[u8]) = if tunnel {
        (b"HTTP/1.1 200 Connection established\r\n\r\n", &buffer[end..])
    } else {
        (b"", &buffer)
    };
    let begun =
        client.write_all(to_client).await.is_ok() && server.write_all(to_server).await.is_ok();
    if begun {
        // However the two ends part, the test sees it at the ends.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}

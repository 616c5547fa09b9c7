//! The network between a program and a server, to cut and to mend.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use url::Url;

/// A loopback address that leads to a server until a test cuts it.
///
/// While cut, open connections break and new ones are closed at once, as when the server is down; the server
/// itself, and everybody else on it, notices nothing.
pub struct Link {
    url: Url,
    up: watch::Sender<bool>,
    carried: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Link {
    /// A link to the server that `url` names. `default_port` is used where the URL has none.
    ///
    /// # Panics
    /// If `url` has no host, or the loopback address no free port.
    pub async fn to(url: &str, default_port: u16) -> Self {
        let mut url = Url::parse(url).expect("the server's address is a URL");
        let server = format!("{}:{}", url.host_str().expect("a host"), url.port().unwrap_or(default_port));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address: SocketAddr = listener.local_addr().expect("the listener is bound");
        url.set_host(Some("127.0.0.1")).expect("the URL has a host");
        url.set_port(Some(address.port())).expect("the URL has a host");

        let (up, state) = watch::channel(true);
        let carried = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&carried);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, mut state, counter) = (server.clone(), state.clone(), Arc::clone(&counter));
                tokio::spawn(async move {
                    if *state.borrow_and_update() {
                        tokio::select! {
                            () = carry(client, &server, &counter) => {}
                            _ = state.changed() => {}
                        }
                    }
                });
            }
        });
        Self { url, up, carried, accepting }
    }

    /// The server's URL with this link's address in place of the server's.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Bytes that went through so far, in both directions.
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }

    /// Breaks every open connection, and every new one until [`Self::mend`].
    pub fn cut(&self) {
        self.up.send_replace(false);
    }

    /// Lets new connections through again.
    pub fn mend(&self) {
        self.up.send_replace(true);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// An error on either side ends the connection, which is all the other side needs to know.
async fn carry(client: TcpStream, server: &str, carried: &AtomicU64) {
    if let Ok(server) = TcpStream::connect(server).await {
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let _ =
            tokio::try_join!(pass(from_client, to_server, carried), pass(from_server, to_client, carried));
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    carried: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        carried.fetch_add(length as u64, Ordering::Relaxed);
        to.write_all(&buffer[..length]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo_server() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("tcp://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    tokio::io::copy(&mut reader, &mut writer).await
                });
            }
        });
        url
    }

    async fn dial(link: &Link) -> TcpStream {
        TcpStream::connect(("127.0.0.1", link.url.port().unwrap())).await.unwrap()
    }

    async fn echoes(stream: &mut TcpStream) -> bool {
        let mut answer = [0; 2];
        stream.write_all(b"hi").await.is_ok() && stream.read_exact(&mut answer).await.is_ok()
    }

    #[tokio::test]
    async fn a_cut_link_breaks_old_connections_and_refuses_new_ones_until_mended() {
        let link = Link::to(&echo_server().await, 0).await;
        let mut before = dial(&link).await;
        assert!(echoes(&mut before).await);
        assert_eq!(link.carried(), 4, "there and back");
        link.cut();
        assert!(!echoes(&mut before).await);
        assert!(!echoes(&mut dial(&link).await).await);
        link.mend();
        assert!(echoes(&mut dial(&link).await).await);
    }
}

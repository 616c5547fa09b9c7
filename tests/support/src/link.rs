//! Network link between a program and a server, which tests cut and mend.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    io::{self, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use url::Url;

/// Loopback address that forwards to a server until a test cuts it.
///
/// While cut, open connections break and new ones are closed immediately, as if the server were down. The server and
/// its other clients are not affected.
pub struct Link {
    url: Url,
    state: watch::Sender<State>,
    carried: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

/// Directions in which bytes are forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Both,
    Lost(Direction),
    Neither,
}

/// Direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the program to the server.
    ToServer,
    /// From the server to the program.
    ToProgram,
}

#[derive(Clone, Copy, Debug)]
struct State {
    flow: Flow,
    /// Number of cuts so far. A connection ends with the next cut, however short it is.
    cuts: u64,
}

impl Link {
    /// Makes a link to the server of `url`. `default_port` is used if the URL has none.
    ///
    /// # Panics
    /// If `url` has no host, or if the loopback address has no free port.
    pub async fn to(url: &str, default_port: u16) -> Self {
        let mut url = Url::parse(url).expect("the server's address is a URL");
        let server = format!("{}:{}", url.host_str().expect("a host"), url.port().unwrap_or(default_port));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address: SocketAddr = listener.local_addr().expect("the listener is bound");
        url.set_host(Some("127.0.0.1")).expect("the URL has a host");
        url.set_port(Some(address.port())).expect("the URL has a host");

        let (sender, state) = watch::channel(State { flow: Flow::Both, cuts: 0 });
        let carried = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&carried);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, mut state, counter) = (server.clone(), state.clone(), Arc::clone(&counter));
                let State { flow, cuts } = *state.borrow_and_update();
                if flow != Flow::Neither {
                    tokio::spawn(async move {
                        let carried =
                            carry(client, &server, Connection { state: state.clone(), cuts, counter });
                        tokio::select! {
                            () = carried => {}
                            _ = state.wait_for(|now| now.cuts != cuts) => {}
                        }
                    });
                }
            }
        });
        Self { url, state: sender, carried, accepting }
    }

    /// Returns the server's URL with the address of this link.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Returns the number of bytes forwarded so far, in both directions.
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }

    /// Breaks every open connection, and every new one until [`Self::mend`].
    pub fn cut(&self) {
        self.state.send_modify(|state| *state = State { flow: Flow::Neither, cuts: state.cuts + 1 });
    }

    /// Drops all bytes of one direction, while connections stay open. Call [`Self::cut`] afterwards, because bytes
    /// after a loss are meaningless.
    pub fn lose(&self, direction: Direction) {
        self.state.send_modify(|state| state.flow = Flow::Lost(direction));
    }

    /// Forwards new connections again.
    pub fn mend(&self) {
        self.state.send_modify(|state| state.flow = Flow::Both);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// State of one connection.
struct Connection {
    state: watch::Receiver<State>,
    /// Number of cuts when the connection was opened.
    cuts: u64,
    counter: Arc<AtomicU64>,
}

/// Forwards a connection until an error or the end of either side.
async fn carry(client: TcpStream, server: &str, carrier: Connection) {
    if let Ok(server) = TcpStream::connect(server).await {
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let _ = tokio::try_join!(
            carrier.pass(from_client, to_server, Direction::ToServer),
            carrier.pass(from_server, to_client, Direction::ToProgram),
        );
    }
}

impl Connection {
    async fn pass(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        direction: Direction,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = from.read(&mut buffer).await?;
            let State { flow, cuts } = *self.state.borrow();
            if count == 0 || cuts != self.cuts {
                // Bytes read after the cut, but before this connection noticed it, must not be forwarded.
                return to.shutdown().await;
            }
            if flow != Flow::Lost(direction) {
                self.counter.fetch_add(count as u64, Ordering::Relaxed);
                to.write_all(&buffer[..count]).await?;
            }
        }
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
    async fn a_cut_link_refuses_connections_until_it_is_mended() {
        let link = Link::to(&echo_server().await, 0).await;
        let mut before = dial(&link).await;
        assert!(echoes(&mut before).await);
        link.cut();
        assert!(!echoes(&mut before).await);
        assert!(!echoes(&mut dial(&link).await).await);
        link.mend();
        assert!(echoes(&mut dial(&link).await).await);
    }

    #[tokio::test]
    async fn bytes_in_a_lost_direction_vanish_while_the_link_stays_open() {
        let link = Link::to(&echo_server().await, 0).await;
        let mut stream = dial(&link).await;
        assert!(echoes(&mut stream).await);
        link.lose(Direction::ToProgram);
        stream.write_all(b"lost").await.unwrap();
        let mut answer = [0; 4];
        let silence = tokio::time::timeout(std::time::Duration::from_millis(50), stream.read(&mut answer));
        assert!(silence.await.is_err(), "neither an answer nor an end");
        link.cut();
        assert_eq!(stream.read(&mut answer).await.unwrap_or_default(), 0);
    }
}

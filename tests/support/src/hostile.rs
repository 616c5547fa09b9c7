//! Servers that never end what they began to send.

mod answers;

pub use answers::Endless;

use answers::Answer;
use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, sink, split},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::watch,
    time::sleep,
};

/// A server on a thread of its own, which ends when the value is dropped.
pub struct HostileServer {
    address: SocketAddr,
    runtime: Option<Runtime>,
    /// Number of open connections.
    connections: watch::Receiver<usize>,
}

impl HostileServer {
    /// Starts a server that answers over plain TCP.
    pub fn start(endless: Endless) -> Self {
        Self::behind(endless, async |tcp| Ok(tcp))
    }

    /// Starts a server that answers over what `wrap` makes of a TCP connection, TLS for instance.
    pub fn behind<W, F, S>(endless: Endless, wrap: W) -> Self
    where
        W: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        listener.set_nonblocking(true).expect("sockets can be non-blocking");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a thread");
        let (count, connections) = watch::channel(0);
        runtime.spawn(serve(listener, wrap, endless, count));
        Self { address, runtime: Some(runtime), connections }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until exactly this many connections are open.
    pub async fn connections(&self, number: usize) {
        let mut connections = self.connections.clone();
        connections.wait_for(|open| *open == number).await.expect("the server runs");
    }
}

impl Drop for HostileServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Answers every connection, and counts those that are open.
async fn serve<W, F, S>(
    listener: StdListener,
    wrap: W,
    endless: Endless,
    count: watch::Sender<usize>,
) -> io::Result<Infallible>
where
    W: Fn(TcpStream) -> F,
    F: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (tcp, _) = listener.accept().await?;
        let (wrapping, count) = (wrap(tcp), count.clone());
        tokio::spawn(async move {
            let Ok(stream) = wrapping.await else { return };
            count.send_modify(|open| *open += 1);
            let _ = answer(stream, endless).await;
            count.send_modify(|open| *open -= 1);
        });
    }
}

/// Reads one request, then sends until the client closes the connection.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, endless: Endless) -> io::Result<()> {
    if endless.is_http_2() {
        http_2_request(&mut stream).await?;
    } else {
        http_1_request(&mut stream).await?;
    }
    let ((mut reader, mut writer), mut nowhere) = (split(stream), sink());
    let Answer { first, again, pause } = endless.answer();
    let send = async {
        writer.write_all(&first).await?;
        loop {
            writer.write_all(&again).await?;
            writer.flush().await?;
            if let Some(pause) = pause {
                sleep(pause).await;
            }
        }
    };
    // Replies of the client, to pings for instance, are read and dropped.
    tokio::select! {
        sent = send => sent,
        read = copy(&mut reader, &mut nowhere) => read.map(drop),
    }
}

/// Reads a request without a body.
async fn http_1_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(())
}

/// Reads the connection's preface, and frames up to the head of the first request.
async fn http_2_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    const PREFACE: usize = 24;
    stream.read_exact(&mut [0; PREFACE]).await?;
    loop {
        let mut header = [0; 9];
        stream.read_exact(&mut header).await?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        copy(&mut (&mut *stream).take(length.into()), &mut sink()).await?;
        if header[3] == answers::HEADERS {
            return Ok(());
        }
    }
}

//! Clients that hold connections: each sends the beginning of a request, and then nothing.

use std::net::SocketAddr;
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// Opens `count` connections and sends `beginning` on each. They stay open until the value is dropped.
pub async fn hold_connections(address: SocketAddr, beginning: &str, count: usize) -> Vec<TcpStream> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        stream.write_all(beginning.as_bytes()).await.expect("a new connection takes bytes");
        held.push(stream);
    }
    held
}

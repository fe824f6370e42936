//! One TCP connection, which ends in such a way that its peer reads the last word.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// How long a peer may take to close after the gateway has.
const LINGER: Duration = Duration::from_secs(2);

/// A stream, and its place among the gateway's connections.
///
/// The system resets a connection that is closed while it has unread input, and a reset discards what
/// the peer has not read yet. So a dropped `Peer` first ends its own direction, then discards input until
/// the peer closes, for at most 2 s. It keeps its place until then.
pub(crate) struct Peer(Option<(TcpStream, OwnedSemaphorePermit)>);

impl Peer {
    pub(crate) fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        Self(Some((stream, place)))
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        let (stream, _) = self.0.as_mut().expect("taken by `drop` only");
        Pin::new(stream)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Without a runtime the process is ending, and the system closes what is left.
        if let (Some((stream, place)), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(async move {
                let _ = timeout(LINGER, discard(stream)).await;
                drop(place);
            });
        }
    }
}

async fn discard(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut input = [0; 4096];
    while stream.read(&mut input).await? > 0 {}
    Ok(())
}

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, into)
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

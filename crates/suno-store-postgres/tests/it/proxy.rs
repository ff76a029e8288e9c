//! A proxy that knows where PostgreSQL's messages begin and end, and can lose them.
//!
//! It cuts a connection at a boundary of messages, in either direction; swallows all that comes while
//! both ends believe that they are connected (half-open); and delays.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Who sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Server,
}

/// The proxy. It ends when it is dropped, with all of its connections.
pub(crate) struct Proxy {
    address: SocketAddr,
    control: Arc<Mutex<Control>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Control {
    /// Messages of the client and of the server since the last command.
    counts: [usize; 2],
    /// After how many messages of whom the connection is cut.
    cut: Option<(Sender, usize)>,
    cuts: usize,
    connections: usize,
    /// Connections with a lower number are swallowed.
    swallowed: usize,
    delay: Duration,
}

impl Proxy {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let control = Arc::new(Mutex::new(Control::default()));
        let shared = Arc::clone(&control);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let control = Arc::clone(&shared);
                let number = {
                    let mut control = control.lock().unwrap();
                    control.connections += 1;
                    control.connections - 1
                };
                connections.spawn(async move {
                    if let Ok(server) = TcpStream::connect(server).await {
                        serve(client, server, number, &control).await;
                    }
                });
            }
        });
        Self {
            address,
            control,
            task,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Counts messages from now on, without a fault.
    pub(crate) fn watch(&self) {
        let mut control = self.control.lock().unwrap();
        control.counts = [0; 2];
        control.cut = None;
    }

    /// Returns how many messages were sent since the last command.
    pub(crate) fn count(&self, sender: Sender) -> usize {
        self.control.lock().unwrap().counts[sender as usize]
    }

    /// Returns how many connections were opened.
    pub(crate) fn connections(&self) -> usize {
        self.control.lock().unwrap().connections
    }

    /// Forwards this many messages of `sender` from now on, then closes that connection. With 0, the
    /// next message is lost. Only once.
    pub(crate) fn cut_after(&self, sender: Sender, messages: usize) {
        let mut control = self.control.lock().unwrap();
        control.counts = [0; 2];
        control.cut = Some((sender, messages));
        control.cuts = 0;
    }

    /// Returns how many connections were cut since the command to cut.
    pub(crate) fn cuts(&self) -> usize {
        self.control.lock().unwrap().cuts
    }

    /// Forwards nothing more on the connections that exist. New ones work.
    pub(crate) fn swallow_existing(&self) {
        let mut control = self.control.lock().unwrap();
        control.swallowed = control.connections;
    }

    /// Forwards nothing on any connection, until it is called with false.
    pub(crate) fn swallow_all(&self, all: bool) {
        let mut control = self.control.lock().unwrap();
        control.swallowed = if all { usize::MAX } else { control.connections };
    }

    /// Waits before it forwards a message.
    pub(crate) fn delay(&self, delay: Duration) {
        self.control.lock().unwrap().delay = delay;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(client: TcpStream, server: TcpStream, number: usize, control: &Mutex<Control>) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_out, client_in) = client.into_split();
    let (server_out, server_in) = server.into_split();
    // Either end closes both.
    tokio::select! {
        _ = pump(client_out, server_in, Sender::Client, number, control) => {}
        _ = pump(server_out, client_in, Sender::Server, number, control) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    sender: Sender,
    number: usize,
    control: &Mutex<Control>,
) -> io::Result<()> {
    // The first message of a client has no type.
    let mut has_type = sender == Sender::Server;
    loop {
        let message = read(&mut from, has_type).await?;
        has_type = true;
        let (verdict, delay) = {
            let mut control = control.lock().unwrap();
            (control.judge(sender, number), control.delay)
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match verdict {
            Verdict::Forward => to.write_all(&message).await?,
            Verdict::Swallow => {}
            Verdict::ForwardAndCut => {
                to.write_all(&message).await?;
                return to.flush().await;
            }
            Verdict::Cut => return Ok(()),
        }
    }
}

enum Verdict {
    Forward,
    ForwardAndCut,
    Cut,
    Swallow,
}

impl Control {
    fn judge(&mut self, sender: Sender, number: usize) -> Verdict {
        if number < self.swallowed {
            return Verdict::Swallow;
        }
        self.counts[sender as usize] += 1;
        let count = self.counts[sender as usize];
        match self.cut {
            Some((cut, after)) if cut == sender && count >= after => {
                self.cut = None;
                self.cuts += 1;
                if after == 0 {
                    Verdict::Cut
                } else {
                    Verdict::ForwardAndCut
                }
            }
            _ => Verdict::Forward,
        }
    }
}

/// Reads one message with its header.
async fn read(from: &mut (impl AsyncRead + Unpin), has_type: bool) -> io::Result<Vec<u8>> {
    let header = 4 + usize::from(has_type);
    let mut message = vec![0; header];
    from.read_exact(&mut message).await?;
    let length = &message[header - 4..];
    let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
    assert!(
        (4..=1 << 26).contains(&length),
        "not a message of PostgreSQL"
    );
    message.resize(header - 4 + length, 0);
    from.read_exact(&mut message[header..]).await?;
    Ok(message)
}

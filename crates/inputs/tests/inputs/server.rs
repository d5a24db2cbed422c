//! An HTTP server on loopback that answers as it is told, honestly or not.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What a path answers.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes, with their length.
    Bytes(Vec<u8>),
    /// A bare status.
    Status(u16),
    /// Somewhere else.
    Redirect(String),
    /// Bytes without a length and without an end.
    Endless,
    /// The true length announced, but only so many bytes sent.
    Cut { bytes: Vec<u8>, sent: usize },
    /// Half of it, and then silence until the client leaves.
    Stall(Vec<u8>),
    /// These answers one after the other; the last one stays.
    Sequence(Vec<Answer>),
}

pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    answers: Mutex<HashMap<String, Answer>>,
    requests: Mutex<Vec<String>>,
    is_stopped: AtomicBool,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                // A client that hangs up is part of the game.
                std::thread::spawn(move || stream.and_then(|stream| serve(stream, &shared)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        self.state
            .answers
            .lock()
            .unwrap()
            .insert(path.to_owned(), answer);
    }

    /// The paths asked for so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.is_stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, state: &State) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let path = request.split(' ').nth(1).unwrap_or("").to_owned();
    state.requests.lock().unwrap().push(path.clone());
    let answer = {
        let mut answers = state.answers.lock().unwrap();
        match answers.get_mut(&path) {
            Some(Answer::Sequence(rest)) if rest.len() > 1 => rest.remove(0),
            Some(Answer::Sequence(rest)) => rest[0].clone(),
            Some(answer) => answer.clone(),
            None => Answer::Status(404),
        }
    };
    respond(stream, answer)
}

fn respond(mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    let head = |status: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    match answer {
        Answer::Bytes(bytes) => {
            stream.write_all(head("200 OK", bytes.len()).as_bytes())?;
            stream.write_all(&bytes)
        }
        Answer::Status(status) => stream.write_all(head(&format!("{status} No"), 0).as_bytes()),
        Answer::Redirect(location) => {
            let line = format!("302 Found\r\nLocation: {location}");
            stream.write_all(head(&line, 0).as_bytes())
        }
        Answer::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[0x55; 4096])?;
            }
        }
        Answer::Cut { bytes, sent } => {
            stream.write_all(head("200 OK", bytes.len()).as_bytes())?;
            stream.write_all(&bytes[..sent])
        }
        Answer::Stall(bytes) => {
            stream.write_all(head("200 OK", bytes.len()).as_bytes())?;
            stream.write_all(&bytes[..bytes.len() / 2])?;
            stream.read(&mut [0]).map(|_| ())
        }
        Answer::Sequence(_) => Ok(()),
    }
}

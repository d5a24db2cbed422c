//! Bytes over HTTP, bounded in size, time and redirects.
//!
//! A [`Body`] reads like a file and never yields more than the caller allows. TLS certificates are
//! judged by the platform's trust store (which honours `SSL_CERT_FILE` and `SSL_CERT_DIR` on
//! Unix), proxies come from the environment. Plain `http` is allowed: what arrives is believed for
//! its digest or its signature, never for where it came from. Deliberately absent: ranges (an
//! interrupted transfer starts again), cookies, caches, and decompression.

use std::error::Error;
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use counterseal_attestation::Sha256Digest;
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::InputsError;
use crate::progress::Progress;
use crate::sources::TransferLimits;

/// Most redirects followed for one request.
const REDIRECTS_MAX: usize = 5;

/// Why one transfer failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The HTTP client could not be set up.
    #[error("the network client cannot start: {reason}")]
    Setup {
        /// The cause.
        reason: String,
    },
    /// The host could not be reached.
    #[error("no connection to {url}: {reason}")]
    Unreachable {
        /// The URL asked.
        url: String,
        /// The cause.
        reason: String,
    },
    /// The server does not have it.
    #[error("{url} does not exist (HTTP status {status})")]
    NotFound {
        /// The URL asked.
        url: String,
        /// 404 or 410.
        status: u16,
    },
    /// Another answer than success.
    #[error("{url} answered with HTTP status {status}")]
    Status {
        /// The URL asked.
        url: String,
        /// The status.
        status: u16,
    },
    /// Redirected in a circle or too often.
    #[error("{url} redirects more than {REDIRECTS_MAX} times")]
    Redirects {
        /// The URL asked.
        url: String,
    },
    /// The transfer broke off, or nothing came for too long.
    #[error("the transfer of {url} broke off: {reason}")]
    Interrupted {
        /// The URL asked.
        url: String,
        /// The cause.
        reason: String,
    },
    /// A place that has a tree lacks a part of it.
    #[error("{place} is missing, a part of a directory that is there")]
    Incomplete {
        /// The path.
        place: String,
    },
    /// More bytes than there may be.
    #[error("{place} has more than the expected {size_bytes_max} bytes")]
    TooLong {
        /// The URL or path.
        place: String,
        /// The bound.
        size_bytes_max: u64,
    },
    /// Fewer bytes than there must be.
    #[error("{place} ends after {found} of {expected} bytes")]
    TooShort {
        /// The URL or path.
        place: String,
        /// Expected size in bytes.
        expected: u64,
        /// Received size in bytes.
        found: u64,
    },
    /// The right number of wrong bytes.
    #[error("{place} does not match: expected sha256:{expected}, found sha256:{found}")]
    Mismatch {
        /// The URL or path.
        place: String,
        /// The digest it should have.
        expected: Sha256Digest,
        /// The digest it has.
        found: Sha256Digest,
    },
}

impl TransferError {
    /// Whether the network or a gateway kept us from asking, rather than that the server answered
    /// wrongly.
    pub(crate) fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Setup { .. } | Self::Interrupted { .. } => true,
            Self::Status { status, .. } => matches!(status, 403 | 407 | 429) || *status >= 500,
            _ => false,
        }
    }

    /// Whether the same request may well succeed when it is made again.
    fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } | Self::TooShort { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }
}

/// An HTTP client with its own threads; dropped with them.
#[derive(Debug)]
pub(crate) struct Network {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    limits: TransferLimits,
    /// Why nothing behind `https` can be believed, if that is so.
    tls_problem: Option<String>,
}

/// A [`Network`] that starts when it is first needed, which may be never.
#[derive(Debug)]
pub(crate) struct LazyNetwork {
    limits: TransferLimits,
    started: OnceLock<Result<Network, TransferError>>,
}

impl LazyNetwork {
    /// Remembers the limits and starts nothing.
    pub(crate) fn new(limits: TransferLimits) -> Self {
        Self {
            limits,
            started: OnceLock::new(),
        }
    }

    /// The client, started now if it was not yet.
    ///
    /// # Errors
    /// As [`Network::start`]; the same each time.
    pub(crate) fn started(&self) -> Result<&Network, TransferError> {
        let started = self.started.get_or_init(|| Network::start(self.limits));
        started.as_ref().map_err(Clone::clone)
    }
}

impl Network {
    /// Starts the client. Must not be called from asynchronous code: it blocks.
    ///
    /// # Errors
    /// When the operating system refuses. A platform without a trust store is no reason: only
    /// `https` is refused then.
    fn start(limits: TransferLimits) -> Result<Self, TransferError> {
        let setup = |error: &dyn Error| TransferError::Setup {
            reason: chain(error),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("network")
            .enable_all()
            .build()
            .map_err(|error| setup(&error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = || {
            rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(|error| setup(&error))
        };
        let (tls, tls_problem) = match versions()?.with_platform_verifier() {
            Ok(tls) => (tls.with_no_client_auth(), None),
            Err(error) => {
                let nobody = rustls::RootCertStore::empty();
                let tls = versions()?
                    .with_root_certificates(nobody)
                    .with_no_client_auth();
                (tls, Some(chain(&error)))
            }
        };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("counterseal/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX))
            .referer(false)
            .connect_timeout(limits.connect_timeout)
            .read_timeout(limits.idle_timeout)
            .build()
            .map_err(|error| setup(&error))?;
        Ok(Self {
            runtime,
            client,
            limits,
            tls_problem,
        })
    }

    /// Requests `url` and returns its body once the server has answered with success.
    ///
    /// # Errors
    /// Any other answer, or none; and a length announced beyond `size_bytes_max`.
    pub(crate) fn open<'a>(
        &'a self,
        url: &str,
        size_bytes_max: u64,
        progress: &'a dyn Progress,
    ) -> Result<Body<'a>, TransferError> {
        if let Some(reason) = self
            .tls_problem
            .as_ref()
            .filter(|_| url.starts_with("https:"))
        {
            let (url, reason) = (url.to_owned(), reason.clone());
            return Err(TransferError::Unreachable { url, reason });
        }
        // Sending sets timers and so must happen inside of the runtime.
        let request = async { self.client.get(url).send().await };
        let response = self.runtime.handle().block_on(request).map_err(|error| {
            let url = url.to_owned();
            if error.is_redirect() {
                TransferError::Redirects { url }
            } else if error.is_connect() || error.is_builder() {
                TransferError::Unreachable {
                    url,
                    reason: chain(&error.without_url()),
                }
            } else {
                TransferError::Interrupted {
                    url,
                    reason: chain(&error.without_url()),
                }
            }
        })?;
        let status = response.status().as_u16();
        let url = url.to_owned();
        match status {
            200 => {}
            404 | 410 => return Err(TransferError::NotFound { url, status }),
            _ => return Err(TransferError::Status { url, status }),
        }
        if response
            .content_length()
            .is_some_and(|length| length > size_bytes_max)
        {
            return Err(TransferError::TooLong {
                place: url,
                size_bytes_max,
            });
        }
        Ok(Body {
            network: self,
            url,
            response,
            chunk: bytes::Bytes::new(),
            received: 0,
            size_bytes_max,
            progress,
            failure: None,
        })
    }

    /// Requests `url` and keeps its whole body in memory; tries again when that may help.
    ///
    /// # Errors
    /// The last attempt's failure.
    pub(crate) fn read(
        &self,
        url: &str,
        size_bytes_max: u64,
        progress: &dyn Progress,
    ) -> Result<Vec<u8>, InputsError> {
        self.persist(|| {
            let mut body = self.open(url, size_bytes_max, progress)?;
            let mut bytes = Vec::new();
            match body.read_to_end(&mut bytes) {
                Ok(_) => Ok(bytes),
                Err(error) => Err(body.give_up(&error).into()),
            }
        })
    }

    /// Runs `attempt` until it succeeds, fails in a way that repeating cannot mend, or has been
    /// run often enough.
    pub(crate) fn persist<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, InputsError>,
    ) -> Result<T, InputsError> {
        let mut pause = self.limits.pause;
        for _ in 1..self.limits.attempts {
            match attempt() {
                Err(InputsError::Transfer(error)) if error.is_transient() => {}
                result => return result,
            }
            if pause > Duration::ZERO {
                std::thread::sleep(pause);
                pause = pause.saturating_mul(2);
            }
        }
        attempt()
    }
}

/// The body of one answer. Reading fails rather than yield more than the caller's bound.
pub(crate) struct Body<'a> {
    network: &'a Network,
    url: String,
    response: reqwest::Response,
    chunk: bytes::Bytes,
    received: u64,
    size_bytes_max: u64,
    progress: &'a dyn Progress,
    failure: Option<TransferError>,
}

impl Body<'_> {
    /// The transfer's own reason behind a failed read; the bytes so far no longer count.
    pub(crate) fn give_up(mut self, error: &dyn Error) -> TransferError {
        self.progress.restart(self.received);
        self.failure
            .take()
            .unwrap_or_else(|| TransferError::Interrupted {
                url: self.url,
                reason: chain(error),
            })
    }

    /// Forgets the bytes so far, when they turned out to be wrong.
    pub(crate) fn discard(self) {
        self.progress.restart(self.received);
    }

    fn fail(&mut self, failure: TransferError) -> io::Error {
        let error = io::Error::other(failure.to_string());
        self.failure = Some(failure);
        error
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self
                .network
                .runtime
                .handle()
                .block_on(self.response.chunk())
            {
                Ok(Some(chunk)) => {
                    let length = chunk.len() as u64;
                    if length > self.size_bytes_max - self.received {
                        let place = self.url.clone();
                        let size_bytes_max = self.size_bytes_max;
                        return Err(self.fail(TransferError::TooLong {
                            place,
                            size_bytes_max,
                        }));
                    }
                    self.received += length;
                    self.progress.advance(length);
                    self.chunk = chunk;
                }
                Ok(None) => return Ok(0),
                Err(error) => {
                    let reason = chain(&error.without_url());
                    let url = self.url.clone();
                    return Err(self.fail(TransferError::Interrupted { url, reason }));
                }
            }
        }
        let length = buffer.len().min(self.chunk.len());
        buffer[..length].copy_from_slice(&self.chunk.split_to(length));
        Ok(length)
    }
}

/// An error with its causes, most general first.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        // Many wrappers repeat their cause.
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

//! Names that the kernel makes up for sockets: ports, and names of local sockets. It draws them
//! at random; here they are counted. The service binds such a socket itself, through a copy of
//! its descriptor.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

use rustix::net::{SocketAddrUnix, bind, getsockname, sockopt};

use super::service::{Answer, Call, DONE, Reply, Service};
use crate::host::files::paths::errno;
use crate::host::process::memory::Memory;
use crate::sys::Errno;

/// The first port that is given out, and how many there are: the range of most systems.
const PORT_FIRST: u16 = 32_768;
const PORTS: u16 = 28_000;
/// The address family in front of every address.
const FAMILY_BYTES: i32 = 2;
/// How long the kernel takes addresses of the internet to be.
const INET_BYTES: RangeInclusive<i32> = 16..=128;
const INET6_BYTES: RangeInclusive<i32> = 24..=128;

/// What has been given out.
#[derive(Debug, Default)]
pub(super) struct Names {
    ports: u16,
    locals: u32,
}

/// What the kernel would make up for a socket that is bound.
enum MadeUp {
    Local,
    /// The port at this address.
    Port(IpAddr),
}

impl MadeUp {
    /// Nothing if the address says all, or if the kernel refuses it.
    fn read(memory: Memory, address: u64, length: i32) -> Option<Self> {
        let family = i32::from(u16::from_ne_bytes(memory.read(address).ok()?));
        if family == libc::AF_UNIX {
            return (length == FAMILY_BYTES).then_some(Self::Local);
        }
        if memory.read(address.wrapping_add(2)) != Ok([0; 2]) {
            return None;
        }
        let host = |at| address.wrapping_add(at);
        match family {
            // Without a family: any address of the older one (ip(7)).
            libc::AF_INET | libc::AF_UNSPEC if INET_BYTES.contains(&length) => {
                let host = Ipv4Addr::from(memory.read::<4>(host(4)).ok()?);
                (family == libc::AF_INET || host.is_unspecified())
                    .then_some(Self::Port(host.into()))
            }
            libc::AF_INET6 if INET6_BYTES.contains(&length) => {
                let host = Ipv6Addr::from(memory.read::<16>(host(8)).ok()?);
                Some(Self::Port(host.into()))
            }
            _ => None,
        }
    }
}

impl Service {
    pub(super) fn network_call(&mut self, call: &Call) -> Option<Answer> {
        Some(match call.number {
            libc::SYS_bind => self.binding(call),
            // Each of these gives a socket without a name one.
            libc::SYS_connect
            | libc::SYS_listen
            | libc::SYS_sendto
            | libc::SYS_sendmsg
            | libc::SYS_sendmmsg => {
                self.name_socket(call);
                Ok(Reply::Proceed)
            }
            _ => return None,
        })
    }

    fn binding(&mut self, call: &Call) -> Answer {
        let Some(made_up) = MadeUp::read(call.memory(), call.arguments[1], call.int(2)) else {
            return Ok(Reply::Proceed);
        };
        let process = self.task(call).process;
        let Ok(socket) = self.tasks.handles.descriptor(process, call.int(0)) else {
            return Ok(Reply::Proceed);
        };
        match made_up {
            MadeUp::Local => self.bind_local(&socket),
            MadeUp::Port(host) => self.bind_port(&socket, host),
        }
    }

    /// Gives a socket of the internet a port if it has none, and a local one a name if it needs one;
    /// whatever fails the call itself says.
    fn name_socket(&mut self, call: &Call) {
        let process = self.task(call).process;
        let Ok(socket) = self.tasks.handles.descriptor(process, call.int(0)) else {
            return;
        };
        let Ok(name) = getsockname(&socket) else {
            return;
        };
        if let Ok(name) = SocketAddr::try_from(name.clone()) {
            if name.port() == 0 {
                let _ = self.bind_port(&socket, name.ip());
            }
        } else if let Ok(name) = SocketAddrUnix::try_from(name)
            // One that wants to know whom it hears from gets a name, so that it can be answered.
            && sockopt::socket_passcred(&socket).unwrap_or(false)
            && name.path_bytes().is_none()
            && name.abstract_name().unwrap_or_default().is_empty()
        {
            let _ = self.bind_local(&socket);
        }
    }

    fn bind_port(&mut self, socket: &OwnedFd, host: IpAddr) -> Answer {
        for _ in 0..PORTS {
            let port = PORT_FIRST + self.names.ports % PORTS;
            self.names.ports = (self.names.ports + 1) % PORTS;
            match bind(socket, &SocketAddr::new(host, port)) {
                Err(rustix::io::Errno::ADDRINUSE) => {}
                other => return other.map_err(errno).and(DONE),
            }
        }
        Err(Errno(libc::EADDRINUSE))
    }

    fn bind_local(&mut self, socket: &OwnedFd) -> Answer {
        // Five hexadecimal digits, as the kernel does it (unix(7)).
        const NAMES: u32 = 1 << 20;
        for _ in 0..NAMES {
            let name = format!("{:05x}", self.names.locals % NAMES);
            self.names.locals += 1;
            let address = rustix::net::SocketAddrUnix::new_abstract_name(name.as_bytes());
            match bind(socket, &address.map_err(errno)?) {
                Err(rustix::io::Errno::ADDRINUSE) => {}
                other => return other.map_err(errno).and(DONE),
            }
        }
        Err(Errno(libc::ENOSPC))
    }
}

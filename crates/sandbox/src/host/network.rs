//! Names that the kernel makes up for sockets: ports, and names of local sockets. It draws them
//! at random; here they are counted. The service binds such a socket itself, through a copy of
//! its descriptor.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{bind, getsockname};

use super::paths::errno;
use super::service::{Answer, Call, DONE, Reply, Service};
use crate::sys::Errno;

/// The first port that is given out, and how many there are: the range of most systems.
const PORT_FIRST: u16 = 32_768;
const PORTS: u16 = 28_000;
/// The address family in front of every address.
const FAMILY_BYTES: u64 = 2;

/// What has been given out.
#[derive(Debug, Default)]
pub(super) struct Names {
    ports: u16,
    locals: u32,
}

impl Service {
    pub(super) fn network_call(&mut self, call: &Call) -> Option<Answer> {
        Some(match call.number {
            libc::SYS_bind => self.binding(call),
            // Each of these gives a socket without a name one.
            libc::SYS_connect | libc::SYS_listen | libc::SYS_sendto => {
                self.name_socket(call);
                Ok(Reply::Proceed)
            }
            _ => return None,
        })
    }

    fn binding(&mut self, call: &Call) -> Answer {
        let [_, address, length, ..] = call.arguments;
        let memory = call.memory();
        let Ok(family) = memory.read::<2>(address).map(u16::from_ne_bytes) else {
            return Ok(Reply::Proceed); // The kernel has the right error.
        };
        let port = |at: u64| memory.read::<2>(address.wrapping_add(at)).ok();
        let wanted = match i32::from(family) {
            libc::AF_UNIX if length == FAMILY_BYTES => None,
            libc::AF_INET | libc::AF_INET6 if port(2) == Some([0, 0]) => Some(()),
            _ => return Ok(Reply::Proceed),
        };
        let process = self.task(call).process;
        let Ok(socket) = self.tasks.handles.descriptor(process, call.int(0)) else {
            return Ok(Reply::Proceed);
        };
        if wanted.is_none() {
            return self.bind_local(&socket);
        }
        let host: IpAddr = if i32::from(family) == libc::AF_INET {
            let Ok(bytes) = memory.read::<4>(address.wrapping_add(4)) else {
                return Ok(Reply::Proceed);
            };
            Ipv4Addr::from(bytes).into()
        } else {
            let Ok(bytes) = memory.read::<16>(address.wrapping_add(8)) else {
                return Ok(Reply::Proceed);
            };
            Ipv6Addr::from(bytes).into()
        };
        self.bind_port(&socket, host)
    }

    /// Gives a socket of the internet a port if it has none; whatever fails the call itself says.
    fn name_socket(&mut self, call: &Call) {
        let process = self.task(call).process;
        let Ok(socket) = self.tasks.handles.descriptor(process, call.int(0)) else {
            return;
        };
        let Ok(name) = getsockname(&socket) else {
            return;
        };
        let Ok(name) = SocketAddr::try_from(name) else {
            return;
        };
        if name.port() == 0 {
            let _ = self.bind_port(&socket, name.ip());
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

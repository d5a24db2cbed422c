//! The network: devices, addresses, ports that the kernel chooses, counters of sockets, and names
//! in the abstract space.

use std::fmt::Display;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

use crate::raw::{Memory, call};
use crate::report::{Report, escaped};

/// Options of the socket level that can be asked (socket(7)).
const OPTIONS: [(&str, i32); 26] = [
    ("type", libc::SO_TYPE),
    ("error", libc::SO_ERROR),
    ("send-buffer", libc::SO_SNDBUF),
    ("receive-buffer", libc::SO_RCVBUF),
    ("keepalive", libc::SO_KEEPALIVE),
    ("priority", libc::SO_PRIORITY),
    ("linger", libc::SO_LINGER),
    ("peer-credentials", libc::SO_PEERCRED),
    ("receive-low", libc::SO_RCVLOWAT),
    ("mark", libc::SO_MARK),
    ("protocol", libc::SO_PROTOCOL),
    ("domain", libc::SO_DOMAIN),
    ("peek-off", libc::SO_PEEK_OFF),
    ("lock-filter", libc::SO_LOCK_FILTER),
    ("bpf-extensions", libc::SO_BPF_EXTENSIONS),
    ("busy-poll", libc::SO_BUSY_POLL),
    ("incoming-processor", libc::SO_INCOMING_CPU),
    ("memory", libc::SO_MEMINFO),
    ("incoming-napi", libc::SO_INCOMING_NAPI_ID),
    ("cookie", libc::SO_COOKIE),
    ("peer-groups", libc::SO_PEERGROUPS),
    ("zero-copy", libc::SO_ZEROCOPY),
    ("buffer-lock", 72),
    ("reserved-memory", 73),
    ("rehash", 74),
    ("namespace-cookie", 71),
];

pub(crate) fn look(report: &mut Report) {
    let memory = Memory::new();
    devices(report, &memory);
    netlink(report, &memory);
    ports(report, &memory);
    local(report, &memory);
    for (name, family, kind, protocol) in [
        ("inet6", libc::AF_INET6, libc::SOCK_STREAM, 0),
        ("raw", libc::AF_INET, libc::SOCK_RAW, 1),
        ("ping", libc::AF_INET, libc::SOCK_DGRAM, 1),
        ("packet", libc::AF_PACKET, libc::SOCK_RAW, 0),
        ("vsock", libc::AF_VSOCK, libc::SOCK_STREAM, 0),
        ("alg", libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
        ("bluetooth", 31, libc::SOCK_STREAM, 0),
        ("can", 29, libc::SOCK_RAW, 1),
        ("xdp", 44, libc::SOCK_RAW, 0),
        ("smc", 43, libc::SOCK_STREAM, 0),
        ("mptcp", libc::AF_INET, libc::SOCK_STREAM, 262),
        ("sctp", libc::AF_INET, libc::SOCK_STREAM, 132),
        ("audit", libc::AF_NETLINK, libc::SOCK_RAW, 9),
        ("uevent", libc::AF_NETLINK, libc::SOCK_RAW, 15),
        ("sock-diag", libc::AF_NETLINK, libc::SOCK_RAW, 4),
    ] {
        let answer = call!(libc::SYS_socket, family, kind, protocol);
        report.answer(format!("family.{name}"), answer.map(|_| 0));
        if let Ok(socket) = answer {
            let _ = call!(libc::SYS_close, socket);
        }
    }
}

fn devices(report: &mut Report, memory: &Memory) {
    let Ok(socket) = call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_DGRAM, 0) else {
        return report.note("devices", "no socket");
    };
    // struct ifconf: a length and the address of as many bytes.
    let buffer = Memory::new();
    memory.put_u64(0, 4096).put_u64(8, buffer.address(0));
    let answer = call!(libc::SYS_ioctl, socket, libc::SIOCGIFCONF, memory);
    report.written("devices.list", answer, |_| {
        let length = usize::try_from(memory.u32(0)).unwrap_or(0).min(4096);
        escaped(&buffer.bytes(length))
    });
    for (name, request) in [
        ("flags", libc::SIOCGIFFLAGS),
        ("mtu", libc::SIOCGIFMTU),
        ("index", libc::SIOCGIFINDEX),
        ("address", libc::SIOCGIFADDR),
        ("hardware", libc::SIOCGIFHWADDR),
        ("queue", libc::SIOCGIFTXQLEN),
        ("map", libc::SIOCGIFMAP),
    ] {
        memory.put(0, &[0; 64]).put(0, b"lo\0");
        let answer = call!(libc::SYS_ioctl, socket, request, memory);
        report.written(format!("devices.lo.{name}"), answer, |_| {
            escaped(&memory.bytes(40)[16..])
        });
    }
    for index in 1..5_u32 {
        memory.put(0, &[0; 64]).put_u32(16, index);
        let answer = call!(libc::SYS_ioctl, socket, libc::SIOCGIFNAME, memory);
        report.written(format!("devices.name.{index}"), answer, |_| memory.text(0));
    }
    // SIOCETHTOOL with a question for the driver's description, which holds the kernel's release.
    buffer.put(0, &[0; 256]).put_u32(0, 3);
    memory.put(0, &[0; 64]).put(0, b"lo\0");
    memory.put_u64(16, buffer.address(0));
    let answer = call!(libc::SYS_ioctl, socket, 0x8946, memory);
    report.written("devices.lo.driver", answer, |_| {
        format!("{} {}", buffer.text(4), buffer.text(36))
    });
    let _ = call!(libc::SYS_close, socket);
}

/// Links, addresses and routes, dumped (rtnetlink(7)).
fn netlink(report: &mut Report, memory: &Memory) {
    for (name, kind) in [
        ("links", 18_u16),
        ("addresses", 22),
        ("routes", 26),
        ("neighbours", 30),
        ("rules", 34),
        ("neighbour-tables", 66),
        ("configuration", 82),
        ("statistics", 94),
    ] {
        let Ok(socket) = call!(libc::SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0) else {
            report.note(format!("netlink.{name}"), "no socket");
            continue;
        };
        // struct nlmsghdr: length, type, flags (a request, a dump), sequence number, port; then
        // the general message.
        memory.put(0, &[0; 64]);
        memory.put_u32(0, 32).put(4, &kind.to_le_bytes());
        memory.put(6, &0x301_u16.to_le_bytes()).put_u32(8, 1);
        let sent = call!(libc::SYS_sendto, socket, memory, 32, 0, 0, 0);
        let received =
            sent.and_then(|_| call!(libc::SYS_recvfrom, socket, memory, Memory::BYTES, 0, 0, 0));
        report.written(format!("netlink.{name}"), received, |length| {
            let length = usize::try_from(length).unwrap_or(0).min(Memory::BYTES);
            // Without the port number, which the next observable shows.
            memory.put_u32(12, 0);
            escaped(&memory.bytes(length))
        });
        memory.put(0, &[0; 16]).put_u32(64, 12);
        let answer = call!(libc::SYS_getsockname, socket, memory, memory.at(64));
        report.written(format!("netlink.{name}.port"), answer, |_| {
            memory.u32(4).to_string()
        });
        let _ = call!(libc::SYS_close, socket);
    }
}

/// Ports that the kernel chooses, and what it counts of connections.
fn ports(report: &mut Report, memory: &Memory) {
    for turn in ["first", "second"] {
        let bound = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        report.note(format!("udp.bound.{turn}"), or_error(bound));
    }
    let connected = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("127.0.0.1:9")?;
        socket.local_addr()
    });
    report.note("udp.connected", or_error(connected));
    let listener = match TcpListener::bind("127.0.0.1:0") {
        Ok(listener) => listener,
        Err(error) => return report.note("tcp", error),
    };
    report.note("tcp.bound", or_error(listener.local_addr()));
    options(report, "tcp.listener", listener.as_raw_fd(), memory);
    let six = TcpListener::bind("[::1]:0").and_then(|listener| listener.local_addr());
    report.note("tcp.bound-6", or_error(six));
    let near = listener.local_addr().and_then(TcpStream::connect);
    let (Ok(mut near), Ok((mut far, peer))) = (near, listener.accept()) else {
        return report.note("tcp.connected", "failed");
    };
    report.note("tcp.peer", peer);
    let again = listener.local_addr().and_then(TcpStream::connect);
    report.note(
        "tcp.second",
        or_error(again.and_then(|stream| stream.local_addr())),
    );
    let _ = near.write_all(b"hello");
    let _ = far.read_exact(&mut [0; 5]);
    options(report, "tcp", near.as_raw_fd(), memory);
    connection(report, near.as_raw_fd(), memory);
    let unreachable: SocketAddr = ([192, 0, 2, 1], 9).into();
    let outside = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"x", unreachable));
    report.note("udp.outside", or_error(outside));
}

/// What the kernel counts of a connection, and how it set it up.
fn connection(report: &mut Report, descriptor: i32, memory: &Memory) {
    memory.put(0, &[0; 512]).put_u32(4096, 256);
    let answer = call!(
        libc::SYS_getsockopt,
        descriptor,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        memory,
        memory.at(4096)
    );
    for (field, at) in [
        ("state", 0),
        ("rto", 8),
        ("snd-mss", 16),
        ("last-data-sent", 44),
        ("last-ack-received", 56),
        ("rtt", 68),
        ("rtt-variance", 72),
        ("window", 80),
    ] {
        report.written(format!("tcp.information.{field}"), answer, |_| {
            memory.u32(at).to_string()
        });
    }
    report.written("tcp.information.rate", answer, |_| {
        format!("{} {}", memory.u64(104), memory.u64(160))
    });
    for (name, option) in [
        ("timestamp", 24),
        ("congestion", 13),
        ("max-segment", 2),
        ("keep-idle", 4),
        ("fast-open", 23),
        ("user-timeout", 18),
        ("window-clamp", 10),
        ("not-sent-low", 25),
    ] {
        memory.put(0, &[0; 32]).put_u32(64, 16);
        let answer = call!(
            libc::SYS_getsockopt,
            descriptor,
            6,
            option,
            memory,
            memory.at(64)
        );
        report.written(format!("tcp.option.{name}"), answer, |_| {
            escaped(&memory.bytes(16))
        });
    }
    for (name, option) in [
        ("tos", 1),
        ("ttl", 2),
        ("mtu-discovery", 10),
        ("mtu", 14),
        ("multicast-ttl", 33),
        ("port-range", 51),
    ] {
        memory.put(0, &[0; 32]).put_u32(64, 16);
        let answer = call!(
            libc::SYS_getsockopt,
            descriptor,
            0,
            option,
            memory,
            memory.at(64)
        );
        report.written(format!("tcp.internet.{name}"), answer, |_| {
            memory.u32(0).to_string()
        });
    }
}

/// Local sockets: names that the kernel chooses, and who the peer is.
fn local(report: &mut Report, memory: &Memory) {
    for turn in ["first", "second"] {
        let Ok(socket) = call!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0) else {
            return report.note("local", "no socket");
        };
        let family: &[u8] = &[1, 0];
        report.answer(
            format!("local.bind.{turn}"),
            call!(libc::SYS_bind, socket, family, 2),
        );
        memory.put(0, &[0; 128]).put_u32(256, 110);
        let answer = call!(libc::SYS_getsockname, socket, memory, memory.at(256));
        report.written(format!("local.name.{turn}"), answer, |_| {
            let length = usize::try_from(memory.u32(256)).unwrap_or(0).min(110);
            escaped(&memory.bytes(length))
        });
    }
    let made = call!(
        libc::SYS_socketpair,
        libc::AF_UNIX,
        libc::SOCK_STREAM,
        0,
        memory
    );
    if made.is_ok() {
        options(report, "local", memory.i32(0), memory);
    }
}

fn options(report: &mut Report, name: &str, descriptor: i32, memory: &Memory) {
    for (option, number) in OPTIONS {
        memory.put(0, &[0; 256]).put_u32(1024, 64);
        let answer = call!(
            libc::SYS_getsockopt,
            descriptor,
            1,
            number,
            memory,
            memory.at(1024)
        );
        report.written(format!("{name}.{option}"), answer, |_| {
            let length = usize::try_from(memory.u32(1024)).unwrap_or(0).min(64);
            escaped(&memory.bytes(length))
        });
    }
}

fn or_error(result: std::io::Result<impl Display>) -> String {
    result.map_or_else(|error| error.to_string(), |value| value.to_string())
}

//! A site in the making: a process of its own makes its namespaces, beside whatever the parent does
//! meanwhile. The kernel takes about as long for a network namespace as for a whole room.
//!
//! It stays in the mount namespace of the host, whose `/proc` shows it.
//!
//! Absent on purpose: any device but the loopback, which every network namespace is born with.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_void};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use crate::error::{SandboxError, SetupStep, io};
use crate::guarantee::Guarantee;
use crate::host::VirtualHost;
use crate::inside::{Made, open_namespace};
use crate::limits;
use crate::plan::{self, ABSENT, SignalsBlocked, Stack};
use crate::premises::{Base, Site};
use crate::report::{During, Failure, Report, tolerate};
use crate::room::{map_user, moved, receive_report, report_sockets};
use crate::serving::Servant;
use crate::sys::{self, Namespace};

/// A site, as far as it is there.
#[derive(Debug)]
pub(crate) enum Groundwork {
    Made(Site),
    /// Without any namespace yet.
    New(Base, Making),
    /// Without a network.
    Incomplete(Site, Making),
}

/// Who makes what is missing.
#[derive(Debug)]
pub(crate) struct Making {
    /// Closed first, so that the process does not wait for us any more when we wait for it.
    news: OwnedFd,
    process: Child,
    /// What the process reads and runs on; it is gone before these are.
    _order: Box<Order>,
}

/// A process that is collected when this is dropped.
#[derive(Debug)]
struct Child {
    pid: i32,
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(pid) = rustix::process::Pid::from_raw(self.pid) else {
            return;
        };
        let options = rustix::process::WaitOptions::empty();
        while rustix::process::waitpid(Some(pid), options).is_err_and(|e| e == Errno::INTR) {}
    }
}

/// What is to be made.
#[derive(Debug)]
struct Order {
    /// The user namespace that is there; [`ABSENT`] for a process in a new one, which makes everything.
    user: RawFd,
    host_name: CString,
    host_name_waived: bool,
    cgroup_waived: bool,
    network_waived: bool,
    /// To the parent, as many descriptors as were made.
    news: RawFd,
    stack: Stack,
}

impl Groundwork {
    /// Begins to make a new site.
    ///
    /// # Errors
    /// No user namespace, or nobody to map; what else is missing comes with [`Self::finish`].
    pub(crate) fn begin(
        host: &VirtualHost,
        waived: &BTreeSet<Guarantee>,
    ) -> Result<Self, SandboxError> {
        limits::raise_soft()?;
        let making = Making::start(host, waived, ABSENT)?;
        let host_user = map_user(making.process.pid, host.user_id)?;
        rustix::io::write(&making.news, b"\n")
            .map_err(|errno| io("telling of a user that is mapped", errno))?;
        // Beside the making.
        let (servant, usher) = Servant::hire()?;
        let base = Base {
            made_for: (host.user_id, host.host_name.clone()),
            host_user,
            usher,
            servant,
        };
        Ok(Self::New(base, making))
    }

    /// What is there already, for tests.
    #[cfg(test)]
    pub(crate) fn made(&self) -> Option<&Site> {
        match self {
            Self::Made(site) => Some(site),
            Self::New(..) | Self::Incomplete(..) => None,
        }
    }

    /// Who makes it, for tests.
    #[cfg(test)]
    pub(crate) fn process(&self) -> Option<i32> {
        match self {
            Self::Made(_) => None,
            Self::New(_, making) | Self::Incomplete(_, making) => Some(making.process.pid),
        }
    }

    pub(crate) fn base(&self) -> &Base {
        match self {
            Self::New(base, _) => base,
            Self::Made(site) | Self::Incomplete(site, _) => &site.base,
        }
    }

    /// Whether a room for a host can be made of it. It cannot if somebody has ended the usher.
    pub(crate) fn suits(&self, host: &VirtualHost) -> bool {
        let base = self.base();
        let (user, name) = &base.made_for;
        *user == host.user_id && *name == host.host_name && base.usher.is_there()
    }

    /// Begins to make what the last room has used up.
    pub(crate) fn resume(
        self,
        host: &VirtualHost,
        waived: &BTreeSet<Guarantee>,
    ) -> Result<Self, SandboxError> {
        match self {
            Self::Made(site) if site.network.is_none() => {
                let making = Making::start(host, waived, site.user.as_raw_fd())?;
                Ok(Self::Incomplete(site, making))
            }
            other => Ok(other),
        }
    }

    /// Waits for the whole site.
    ///
    /// # Errors
    /// Whatever could not be made and was not waived.
    pub(crate) fn finish(self) -> Result<Site, SandboxError> {
        match self {
            Self::Made(site) => Ok(site),
            Self::New(base, making) => making.new_site(base),
            Self::Incomplete(mut site, making) => {
                site.network = making.hear(&mut site.missing)?.into_iter().next();
                Ok(site)
            }
        }
    }
}

impl Making {
    fn start(
        host: &VirtualHost,
        waived: &BTreeSet<Guarantee>,
        user: RawFd,
    ) -> Result<Self, SandboxError> {
        let waived = |guarantee: Guarantee| waived.contains(&guarantee);
        let (news, news_inside) = report_sockets()?;
        let [news_inside] = moved([news_inside])?;
        let order = Box::new(Order {
            user,
            host_name: plan::host_name(host)?,
            host_name_waived: waived(Guarantee::HostName),
            cgroup_waived: waived(Guarantee::CgroupNamespace),
            network_waived: waived(Guarantee::Network),
            news: news_inside.as_raw_fd(),
            stack: Stack::new(),
        });
        let (flags, step) = if user == ABSENT {
            (libc::CLONE_NEWUSER, SetupStep::CreateUserNamespace)
        } else {
            (0, SetupStep::Fork)
        };
        let process = order.start(flags).map_err(|errno| step.failed(errno))?;
        Ok(Self {
            news,
            process,
            _order: order,
        })
    }

    fn new_site(&self, base: Base) -> Result<Site, SandboxError> {
        let mut missing = Vec::new();
        let mut descriptors = self.hear(&mut missing)?.into_iter();
        let mut next = |guarantee| {
            let is_it = |(step, _): &(SetupStep, i32)| step.guarantee() == Some(guarantee);
            if missing.iter().any(is_it) {
                return Ok(None);
            }
            let found = descriptors.next().map(Some);
            found.ok_or_else(|| SetupStep::OpenNamespace.failed(0))
        };
        let user = next(Guarantee::UserNamespace)?;
        let host_name = next(Guarantee::HostName)?;
        let cgroup = next(Guarantee::CgroupNamespace)?;
        let network = next(Guarantee::Network)?;
        Ok(Site {
            user: user.ok_or_else(|| SetupStep::OpenNamespace.failed(0))?,
            network,
            ipc: None,
            host_name,
            cgroup,
            missing,
            base,
            had_rooms: false,
        })
    }

    /// What was made; what there will not be is added to the list.
    fn hear(&self, missing: &mut Vec<(SetupStep, i32)>) -> Result<Vec<OwnedFd>, SandboxError> {
        loop {
            match receive_report(self.news.as_fd()) {
                Ok((Some(Report::Made), descriptors)) => return Ok(descriptors),
                Ok((Some(Report::Missing { step, errno }), _)) => missing.push((step, errno)),
                Ok((Some(Report::Failed { step, errno }), _)) => return Err(step.failed(errno)),
                Ok(_) => return Err(SandboxError::SetupKilled),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(io("hearing of new namespaces", errno)),
            }
        }
    }
}

impl Order {
    /// Starts who carries it out, with this memory, which is quicker than a copy.
    fn start(&self, flags: i32) -> Result<Child, i32> {
        let _blocked = SignalsBlocked::new();
        // SAFETY: the stack is the new process's alone; it and the order stay until the process has
        // been collected, since `Making` drops its `Child` before them, and nobody changes them. What
        // the process runs neither allocates nor locks nor unwinds, and leaves signals blocked.
        let started = unsafe {
            sys::clone_onto(
                self.stack.top(),
                libc::CLONE_VM | flags,
                process,
                std::ptr::from_ref(self).cast(),
            )
        };
        match started {
            Ok(pid) => Ok(Child { pid }),
            Err(sys::Errno(errno)) => Err(errno),
        }
    }

    fn carry_out(&self) {
        if let Err(Failure { step, errno }) = make(self) {
            Report::Failed { step, errno }.send(self.news);
        }
        if self.user == ABSENT {
            // Of who has ended only root can map the user. The other end closes if nobody will.
            let _ = sys::read(self.news, &mut [0]);
        }
    }
}

extern "C" fn process(order: *const c_void) -> ! {
    // SAFETY: `start` passes a pointer to an order that outlives this process.
    let order = unsafe { &*order.cast::<Order>() };
    order.carry_out();
    sys::exit(0)
}

fn make(order: &Order) -> Result<(), Failure> {
    if order.user != ABSENT {
        sys::enter_namespace(order.user, libc::CLONE_NEWUSER)
            .during(SetupStep::EnterUserNamespace)?;
    }
    // What else the parent has open would, kept here, disturb its other threads.
    sys::close_range(0, order.news - 1)
        .and_then(|()| sys::close_range(order.news + 1, RawFd::MAX))
        .during(SetupStep::PlaceDescriptors)?;
    let mut made = Made::nothing();
    if order.user == ABSENT {
        made.add(open_namespace(Namespace::User)?);
        let host_name = make_host_name(&order.host_name);
        if tolerate(host_name, order.host_name_waived, order.news)? {
            made.add(open_namespace(Namespace::HostName)?);
        }
        let cgroup = sys::unshare(libc::CLONE_NEWCGROUP).during(SetupStep::CreateCgroupNamespace);
        if tolerate(cgroup, order.cgroup_waived, order.news)? {
            made.add(open_namespace(Namespace::Cgroup)?);
        }
    }
    if tolerate(make_network(), order.network_waived, order.news)? {
        made.add(open_namespace(Namespace::Network)?);
    }
    Report::Made
        .send_with(order.news, made.descriptors())
        .during(SetupStep::OpenNamespace)
}

fn make_host_name(name: &CStr) -> Result<(), Failure> {
    sys::unshare(libc::CLONE_NEWUTS).during(SetupStep::CreateHostNameNamespace)?;
    sys::set_host_name(name.to_bytes()).during(SetupStep::SetHostName)?;
    sys::set_domain_name(b"(none)").during(SetupStep::SetHostName)
}

fn make_network() -> Result<(), Failure> {
    sys::unshare(libc::CLONE_NEWNET).during(SetupStep::CreateNetworkNamespace)?;
    sys::raise_loopback().during(SetupStep::RaiseLoopback)
}

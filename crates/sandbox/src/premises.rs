//! What one room leaves to the next: namespaces that look the same afterwards as before. Making them
//! and taking them down costs more than everything else of a room.
//!
//! Steps can change neither the host name nor which users and control groups there are: they have no
//! capability. They can change their network, but only through a socket, and their ipc namespace, but
//! only through a queue or a set of semaphores. Every call that makes one is answered by the service,
//! which remembers it. What is handed on, an ipc namespace from each step to the next and a network from
//! each room to the next, is known to be as new.
//!
//! One room at a time has them: the kernel counts a step's processes and signals by its user
//! namespace, so that rooms side by side would share their limits.
//!
//! Absent on purpose: mounts, which belong to one root and hold what steps wrote.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::SetupStep;
use crate::groundwork::Groundwork;
use crate::host::VirtualHost;
use crate::plan::{ABSENT, Doors};
use crate::room::HostUser;
use crate::serving::Servant;
use crate::usher::{Handed, Usher};

/// Where rooms are made one after the other, faster than each in premises of its own, and no step can
/// tell. Copies stand for the same premises. Hold six descriptors, a thread and a process for each room that
/// there was at the same time, of 16 rooms at most.
///
/// The processes of a room come from the one that was started with its site, so they have the control
/// group, the priority and the processors of the thread that began it, and see the root in its mounts: a
/// caller that goes to others makes new premises.
#[derive(Debug, Clone, Default)]
pub struct Premises {
    vacant: Arc<Mutex<Vec<Groundwork>>>,
}

/// How many sites wait for a room.
const VACANT_MAX: usize = 16;

impl Premises {
    /// Without any namespaces; those of the first rooms stay.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins to make what the first room for a host needs, so that it is there when the room comes:
    /// for who knows the host before the root is at hand. Takes a fork and the start of a thread; the rest
    /// goes on beside the caller. What cannot be made here the run tells that needs it. Raises the
    /// same soft limits as [`run`](crate::run).
    pub fn prepare(&self, host: &VirtualHost) {
        if self.vacant().iter().any(|site| site.suits(host)) {
            return;
        }
        if let Ok(groundwork) = Groundwork::begin(host, &BTreeSet::new()) {
            self.keep(groundwork);
        }
    }

    /// One that suits a host, if there is any.
    pub(crate) fn take(&self, host: &VirtualHost) -> Option<Groundwork> {
        let mut vacant = self.vacant();
        let suiting = vacant.iter().position(|site| site.suits(host))?;
        Some(vacant.swap_remove(suiting))
    }

    pub(crate) fn give_back(&self, site: Site) {
        // One that something is missing in stands for what was waived, and by whom.
        if site.missing.is_empty() {
            self.keep(Groundwork::Made(site));
        }
    }

    fn keep(&self, groundwork: Groundwork) {
        let mut vacant = self.vacant();
        vacant.retain(|site| site.base().usher.is_there());
        if vacant.len() < VACANT_MAX {
            vacant.push(groundwork);
        }
    }

    fn vacant(&self) -> MutexGuard<'_, Vec<Groundwork>> {
        // Nothing in here panics between two states.
        self.vacant.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The namespaces of a room beside its mounts, kept open by their descriptors alone.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) user: OwnedFd,
    /// None if the guarantee was waived and could not be kept, the same below; or, in premises, if the
    /// last room's was used.
    pub(crate) network: Option<OwnedFd>,
    /// None while a step has it, and if the last step's was used.
    pub(crate) ipc: Option<OwnedFd>,
    pub(crate) host_name: Option<OwnedFd>,
    pub(crate) cgroup: Option<OwnedFd>,
    /// Why something is missing: the step and the kernel's answer.
    pub(crate) missing: Vec<(SetupStep, i32)>,
    pub(crate) base: Base,
    /// Whether a room was made in it: what a user namespace has for all of its rooms is there.
    pub(crate) had_rooms: bool,
}

/// What a site has before its namespaces: for whom it is, and who serves it.
#[derive(Debug)]
pub(crate) struct Base {
    /// User and name inside.
    pub(crate) made_for: (u32, String),
    pub(crate) host_user: HostUser,
    pub(crate) usher: Usher,
    pub(crate) servant: Servant,
}

impl Site {
    /// For the process that enters.
    pub(crate) fn doors<'a>(&'a self, handed: &mut Handed<'a>) -> Doors {
        let mut number = |fd: &'a Option<OwnedFd>| fd.as_ref().map_or(ABSENT, |fd| handed.add(fd));
        Doors {
            network: number(&self.network),
            host_name: number(&self.host_name),
            cgroup: number(&self.cgroup),
            ipc: number(&self.ipc),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use rustix::process::Signal;

    use super::*;
    use crate::{Action, Limits, SandboxError, Scratch, run};

    /// Numbers of the namespaces of the one vacant site, as far as it has them.
    #[derive(Debug, PartialEq)]
    struct Seen {
        user: u64,
        network: Option<u64>,
        ipc: Option<u64>,
    }

    fn vacant(premises: &Premises) -> Seen {
        let vacant = premises.vacant();
        let [groundwork] = vacant.as_slice() else {
            panic!("{} sites", vacant.len());
        };
        let site = groundwork.made().unwrap();
        Seen {
            user: number(&site.user),
            network: site.network.as_ref().map(number),
            ipc: site.ipc.as_ref().map(number),
        }
    }

    fn number(fd: &OwnedFd) -> u64 {
        rustix::fs::fstat(fd).unwrap().st_ino
    }

    /// Runs each of these, one after the other, in one room.
    fn run_in(premises: &Premises, host: &VirtualHost, experiments: &[&str]) {
        run_within(premises, host, &Limits::default(), experiments).unwrap();
    }

    fn run_within(
        premises: &Premises,
        host: &VirtualHost,
        limits: &Limits,
        experiments: &[&str],
    ) -> Result<(), SandboxError> {
        run_over(root().path(), premises, host, limits, experiments)
    }

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, program) in [
            ("probe", counterseal_static_programs::PROBE),
            ("leak-probe", counterseal_static_programs::LEAK_PROBE),
        ] {
            let path = root.path().join(name);
            std::fs::write(&path, program).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        root
    }

    fn run_over(
        root: &Path,
        premises: &Premises,
        host: &VirtualHost,
        limits: &Limits,
        experiments: &[&str],
    ) -> Result<(), SandboxError> {
        let logs = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::within(premises);
        for experiment in experiments {
            let argv: Vec<String> = experiment.split(' ').map(str::to_owned).collect();
            let action = Action {
                root,
                argv: &argv,
                environment: &BTreeMap::new(),
                working_directory: "/build",
                limits,
                source_date_epoch: 0,
                host,
                waived: &BTreeSet::new(),
            };
            let outcome = run(&action, &mut scratch, logs.path())?;
            assert!(outcome.exit.is_success(), "{experiment}: {}", outcome.exit);
        }
        Ok(())
    }

    fn host() -> VirtualHost {
        VirtualHost::standard(0, [7; 32])
    }

    #[test]
    fn what_nobody_used_goes_to_the_next_room() {
        let premises = Premises::new();
        run_in(
            &premises,
            &host(),
            // The last is who was there before in the test of the leak probe.
            &["/probe print a", "/leak-probe memory"],
        );
        let first = vacant(&premises);
        assert!(first.network.is_some() && first.ipc.is_some(), "{first:?}");
        run_in(&premises, &host(), &["/probe print a"]);
        assert_eq!(vacant(&premises), first);
    }

    #[test]
    fn a_network_in_which_sockets_were_made_goes_to_nobody() {
        for experiment in [
            "/probe echo-loopback",
            "/probe socket /build/s",
            "/leak-probe random",
        ] {
            let premises = Premises::new();
            run_in(
                &premises,
                &host(),
                &["/probe print a", experiment, "/probe print a"],
            );
            let first = vacant(&premises);
            assert_eq!(first.network, None, "{experiment}");
            // The next room makes one, and leaves it.
            run_in(&premises, &host(), &["/probe print a"]);
            let next = vacant(&premises);
            assert_eq!(next.user, first.user);
            assert!(next.network.is_some(), "{experiment}");
        }
    }

    #[test]
    fn an_ipc_namespace_in_which_queues_were_made_goes_to_nobody() {
        let premises = Premises::new();
        run_in(
            &premises,
            &host(),
            &["/probe print a", "/leak-probe process"],
        );
        assert_eq!(vacant(&premises).ipc, None);
        run_in(&premises, &host(), &["/probe print a"]);
        let first = vacant(&premises);
        assert!(first.ipc.is_some());
        // From step to step, too.
        run_in(
            &premises,
            &host(),
            &["/leak-probe process", "/probe print a"],
        );
        let next = vacant(&premises);
        assert!(next.ipc.is_some());
        assert_ne!(next.ipc, first.ipc);
    }

    #[test]
    fn what_a_step_that_failed_may_have_left_goes_to_nobody() {
        let premises = Premises::new();
        run_in(&premises, &host(), &["/probe print a"]);
        let first = vacant(&premises);
        let too_much = Limits {
            log_bytes: 1,
            ..Limits::default()
        };
        run_within(&premises, &host(), &too_much, &["/probe print abc"]).unwrap_err();
        let next = vacant(&premises);
        assert_eq!((next.network, next.ipc), (None, None));
        assert_eq!(next.user, first.user);
    }

    #[test]
    fn rooms_at_the_same_time_have_sites_of_their_own() {
        let premises = Premises::new();
        run_in(&premises, &host(), &["/probe print a"]);
        let site = premises.take(&host()).unwrap().finish().unwrap();
        run_in(&premises, &host(), &["/probe print a"]);
        assert_ne!(vacant(&premises).user, number(&site.user));
    }

    #[test]
    fn another_host_gets_another_site() {
        let premises = Premises::new();
        run_in(&premises, &host(), &["/probe print a"]);
        let renamed = VirtualHost {
            host_name: "other".to_owned(),
            ..host()
        };
        let another_user = VirtualHost {
            user_id: 1234,
            ..host()
        };
        for other in [renamed, another_user] {
            assert!(premises.take(&other).is_none());
            run_in(&premises, &other, &["/probe print a"]);
        }
        assert_eq!(premises.vacant().len(), 3);
    }

    #[test]
    fn what_was_prepared_is_used() {
        let premises = Premises::new();
        premises.prepare(&host());
        premises.prepare(&host());
        assert_eq!(premises.vacant().len(), 1);
        let site = premises.take(&host()).unwrap().finish().unwrap();
        let (user, network) = (number(&site.user), site.network.as_ref().map(number));
        assert!(network.is_some());
        premises.give_back(site);
        run_in(&premises, &host(), &["/probe print a"]);
        let after = vacant(&premises);
        assert_eq!((after.user, after.network), (user, network));
    }

    #[test]
    fn what_was_prepared_for_nothing_leaves_nobody() {
        let premises = Premises::new();
        premises.prepare(&host());
        let process = premises.vacant()[0].process().unwrap();
        drop(premises);
        assert!(!is_there(process));
    }

    /// The usher of the one vacant site.
    fn usher(premises: &Premises) -> i32 {
        premises.vacant()[0].base().usher.process
    }

    fn signal(process: i32, signal: Signal) {
        let process = rustix::process::Pid::from_raw(process).unwrap();
        rustix::process::kill_process(process, signal).unwrap();
    }

    fn is_there(process: i32) -> bool {
        Path::new(&format!("/proc/{process}")).exists()
    }

    #[test]
    fn an_usher_keeps_nothing_of_the_memory_that_it_was_forked_with() {
        // In the heap, in pieces that are mapped one by one, and shared with another usher.
        let secrets: Vec<Vec<u8>> = (10..20).map(|shift| vec![7; 1 << shift]).collect();
        let other = Premises::new();
        other.prepare(&host());
        let premises = Premises::new();
        premises.prepare(&host());
        let usher = usher(&premises);
        // It waits for an order when it has let go of everything.
        let waits = || {
            let call = std::fs::read_to_string(format!("/proc/{usher}/syscall")).unwrap();
            call.starts_with(&format!("{} ", libc::SYS_recvmsg))
        };
        while !waits() {
            std::thread::yield_now();
        }
        let maps = std::fs::read_to_string(format!("/proc/{usher}/maps")).unwrap();
        assert!(
            !maps.contains("[heap]") && !maps.contains("[stack]"),
            "{maps}"
        );
        let boards = maps.lines().filter(|line| line.contains("/dev/zero"));
        assert_eq!(boards.count(), 1, "{maps}");
        let places: Vec<usize> = secrets
            .iter()
            .map(|secret| secret.as_ptr().addr())
            .collect();
        for line in maps.lines() {
            let (range, _) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let number = |digits| usize::from_str_radix(digits, 16).unwrap();
            let range = number(start)..number(end);
            assert!(!places.iter().any(|place| range.contains(place)), "{maps}");
        }
    }

    #[test]
    fn a_site_whose_usher_was_killed_is_made_anew() {
        let premises = Premises::new();
        run_in(&premises, &host(), &["/probe print a"]);
        let first = usher(&premises);
        signal(first, Signal::KILL);
        while premises.vacant()[0].base().usher.is_there() {
            std::thread::yield_now();
        }
        run_in(&premises, &host(), &["/probe print a"]);
        let premises = premises.vacant();
        let [groundwork] = premises.as_slice() else {
            panic!("{} sites", premises.len());
        };
        assert_ne!(groundwork.base().usher.process, first);
    }

    #[test]
    #[allow(unsafe_code)]
    fn a_root_that_the_usher_does_not_see_is_refused() {
        use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
        use rustix::thread::UnshareFlags;

        let (seen, hidden) = (root(), root());
        let premises = Premises::new();
        premises.prepare(&host());
        let elsewhere = std::thread::spawn(move || {
            let flags = UnshareFlags::NEWNS | UnshareFlags::FS;
            // SAFETY: this thread opens nothing that others rely on, and ends.
            if unsafe { rustix::thread::unshare_unsafe(flags) }.is_err() {
                eprintln!("skipped: only root can go to other mounts");
                return;
            }
            let apart = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", apart).unwrap();
            mount_bind(hidden.path(), seen.path()).unwrap();
            let (limits, print) = (Limits::default(), ["/probe print a"]);
            let error = run_over(seen.path(), &premises, &host(), &limits, &print).unwrap_err();
            let expected = SetupStep::OpenRoot.failed(libc::ESTALE);
            assert_eq!(error.to_string(), expected.to_string());
            // Who is hired here sees it.
            run_over(seen.path(), &Premises::new(), &host(), &limits, &print).unwrap();
            rustix::mount::unmount(seen.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
        });
        elsewhere.join().unwrap();
    }

    #[test]
    fn an_usher_ends_with_its_premises() {
        let premises = Premises::new();
        run_in(&premises, &host(), &["/probe print a"]);
        let usher = usher(&premises);
        drop(premises);
        assert!(!is_there(usher));
    }

    #[test]
    fn an_usher_that_was_stopped_ends_with_its_premises() {
        let premises = Premises::new();
        premises.prepare(&host());
        let usher = usher(&premises);
        signal(usher, Signal::STOP);
        drop(premises);
        assert!(!is_there(usher));
    }

    #[test]
    fn few_sites_wait() {
        let premises = Premises::new();
        for name in 0..=VACANT_MAX {
            let host = VirtualHost {
                host_name: format!("host-{name}"),
                ..host()
            };
            run_in(&premises, &host, &["/probe print a"]);
        }
        assert_eq!(premises.vacant().len(), VACANT_MAX);
    }
}

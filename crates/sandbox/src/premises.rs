//! What one room leaves to the next: namespaces that look the same afterwards as before. Making them
//! and taking them down costs about as much as everything else of a room.
//!
//! Steps can change neither the host name nor which users and control groups there are: they have no
//! capability. They can change their network, but only through a socket, and every call that makes
//! one is answered by the service, which remembers it. A network is handed on if it is known that
//! there never was a socket in it.
//!
//! One room at a time has them: the kernel counts a step's processes and signals by its user
//! namespace, so that rooms side by side would share their limits.
//!
//! Absent on purpose: mounts, which belong to one root and hold what steps wrote.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::SetupStep;
use crate::host::VirtualHost;
use crate::plan::{ABSENT, Doors};
use crate::room::HostUser;

/// Where rooms are made one after the other, faster than each in premises of its own, and no step can
/// tell. Copies stand for the same premises. Holds at most four descriptors for each room that there
/// was at the same time, and at most 64 in all.
#[derive(Debug, Clone, Default)]
pub struct Premises {
    vacant: Arc<Mutex<Vec<Site>>>,
}

/// How many sites wait for a room.
const VACANT_MAX: usize = 16;

impl Premises {
    /// Without any namespaces; those of the first rooms stay.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that suits a host, if there is any.
    pub(crate) fn take(&self, host: &VirtualHost) -> Option<Site> {
        let mut vacant = self.vacant();
        let suiting = vacant.iter().position(|site| site.suits(host))?;
        Some(vacant.swap_remove(suiting))
    }

    pub(crate) fn give_back(&self, site: Site) {
        let mut vacant = self.vacant();
        // One that something is missing in stands for what was waived, and by whom.
        if site.missing.is_empty() && vacant.len() < VACANT_MAX {
            vacant.push(site);
        }
    }

    fn vacant(&self) -> MutexGuard<'_, Vec<Site>> {
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
    pub(crate) host_name: Option<OwnedFd>,
    pub(crate) cgroup: Option<OwnedFd>,
    /// Why something is missing: the step and the kernel's answer.
    pub(crate) missing: Vec<(SetupStep, i32)>,
    pub(crate) host_user: HostUser,
    /// User and name that it was made for.
    pub(crate) made_for: (u32, String),
}

impl Site {
    fn suits(&self, host: &VirtualHost) -> bool {
        let (user, name) = &self.made_for;
        *user == host.user_id && *name == host.host_name
    }

    /// For the process that enters.
    pub(crate) fn doors(&self) -> Doors {
        let number = |fd: &Option<OwnedFd>| fd.as_ref().map_or(ABSENT, AsRawFd::as_raw_fd);
        Doors {
            user: self.user.as_raw_fd(),
            network: number(&self.network),
            host_name: number(&self.host_name),
            cgroup: number(&self.cgroup),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::{Action, Limits, Scratch, run};

    /// The user and the network namespace of the one vacant site, if it has a network.
    fn vacant(premises: &Premises) -> (u64, Option<u64>) {
        let number = |fd: &OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
        let vacant = premises.vacant();
        let [site] = vacant.as_slice() else {
            panic!("{} sites", vacant.len());
        };
        (number(&site.user), site.network.as_ref().map(number))
    }

    /// Runs each of these, one after the other, in one room.
    fn run_in(premises: &Premises, host: &VirtualHost, experiments: &[&str]) {
        let root = tempfile::tempdir().unwrap();
        let logs = tempfile::tempdir().unwrap();
        for (name, program) in [
            ("probe", counterseal_static_programs::PROBE),
            ("leak-probe", counterseal_static_programs::LEAK_PROBE),
        ] {
            let path = root.path().join(name);
            std::fs::write(&path, program).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let mut scratch = Scratch::within(premises);
        for experiment in experiments {
            let argv: Vec<String> = experiment.split(' ').map(str::to_owned).collect();
            let action = Action {
                root: root.path(),
                argv: &argv,
                environment: &BTreeMap::new(),
                working_directory: "/build",
                limits: &Limits::default(),
                source_date_epoch: 0,
                host,
                waived: &BTreeSet::new(),
            };
            let outcome = run(&action, &mut scratch, logs.path()).unwrap();
            assert!(outcome.exit.is_success(), "{experiment}: {}", outcome.exit);
        }
    }

    fn host() -> VirtualHost {
        VirtualHost::standard(0, [7; 32])
    }

    #[test]
    fn a_network_without_sockets_goes_to_the_next_room() {
        let premises = Premises::new();
        run_in(
            &premises,
            &host(),
            &["/probe print a", "/probe write /build/a 1"],
        );
        let first = vacant(&premises);
        assert!(first.1.is_some());
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
            let (user, network) = vacant(&premises);
            assert_eq!(network, None, "{experiment}");
            // The next room makes one, and leaves it.
            run_in(&premises, &host(), &["/probe print a"]);
            let (next_user, network) = vacant(&premises);
            assert_eq!(next_user, user);
            assert!(network.is_some(), "{experiment}");
        }
    }

    #[test]
    fn rooms_at_the_same_time_have_sites_of_their_own() {
        let premises = Premises::new();
        run_in(&premises, &host(), &["/probe print a"]);
        let site = premises.take(&host()).unwrap();
        run_in(&premises, &host(), &["/probe print a"]);
        let number = |fd: &OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
        assert_ne!(vacant(&premises).0, number(&site.user));
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

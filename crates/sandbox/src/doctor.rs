//! What this machine can enforce, found out by doing it: a run that does everything but
//! execute a program, with every guarantee that can be given up given up. Also the advice
//! that goes with each thing that can be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::action::{Action, BUILD_DIRECTORY, Limits};
use crate::error::{SandboxError, SetupStep, io};
use crate::guarantee::{Guarantee, Isolation, State};
use crate::host::VirtualHost;
use crate::plan::Goal;
use crate::room::Scratch;
use crate::run::run_with;

/// What `doctor` found about one guarantee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which one.
    pub guarantee: Guarantee,
    /// Whether this machine can keep it.
    pub state: State,
    /// How it is kept, or why not.
    pub mechanism: String,
    /// What to change, if it is offered and not enforced.
    pub advice: Option<String>,
}

/// Tries every guarantee on this machine; takes some milliseconds and leaves nothing behind.
/// There is one finding for each guarantee, in the order of [`Guarantee::ALL`]. What a recipe has
/// to ask for is tried, too: the finding says whether it may.
pub fn doctor() -> Vec<Finding> {
    let mut waived: BTreeSet<_> = Guarantee::ALL
        .into_iter()
        .filter(|guarantee| guarantee.is_waivable())
        .collect();
    let isolation = match rehearse(&waived) {
        Ok(isolation) => isolation,
        Err(error) => {
            return Guarantee::ALL
                .map(|guarantee| without_sandbox(guarantee, &error))
                .into();
        }
    };
    // Nothing takes the place of a tracer that was tried and failed, so it has its own run.
    let counter = Guarantee::TimestampCounter;
    waived.remove(&counter);
    let traced = rehearse(&waived);
    isolation
        .into_iter()
        .map(|found| match &traced {
            _ if found.0 != counter => finding(found),
            Ok(traced) => finding(
                traced
                    .get_key_value(&counter)
                    .map_or(found, |(_, state)| (counter, state.clone())),
            ),
            Err(error) => without_sandbox(counter, error),
        })
        .collect()
}

fn rehearse(waived: &BTreeSet<Guarantee>) -> Result<Isolation, SandboxError> {
    let failed = |source| io("making a temporary directory", source);
    let root = tempfile::tempdir().map_err(failed)?;
    let logs = tempfile::tempdir().map_err(failed)?;
    let limits = Limits {
        scratch_bytes: 1 << 20,
        ..Limits::default()
    };
    let action = Action {
        root: root.path(),
        argv: &[],
        environment: &BTreeMap::new(),
        working_directory: BUILD_DIRECTORY,
        limits: &limits,
        source_date_epoch: 0,
        host: &VirtualHost {
            virtual_timestamp_counter: true,
            ..VirtualHost::standard(0, [0; 32])
        },
        waived,
    };
    let outcome = run_with(&action, &Goal::Nothing, &mut Scratch::new(), logs.path())?;
    Ok(outcome.isolation)
}

fn finding((guarantee, (state, mechanism)): (Guarantee, (State, String))) -> Finding {
    let advice =
        (guarantee.is_offered() && state != State::Enforced).then(|| general_advice(guarantee));
    Finding {
        guarantee,
        state,
        mechanism,
        advice,
    }
}

/// The finding for a machine on which not even the rehearsal runs.
fn without_sandbox(guarantee: Guarantee, error: &SandboxError) -> Finding {
    let (mechanism, advice) = if guarantee.is_offered() {
        (error.to_string(), error.advice())
    } else {
        let shows = crate::processor::what_shows(guarantee);
        (
            shows.unwrap_or_else(|| "not offered by this version".to_owned()),
            None,
        )
    };
    Finding {
        guarantee,
        state: State::Absent,
        mechanism,
        advice,
    }
}

/// Advice for a guarantee that failed in a certain step.
pub(crate) fn advice(guarantee: Guarantee, doing: SetupStep, errno: i32) -> String {
    // The newest of what is needed is a flag of the filter, which older kernels refuse so.
    let is_unknown_flag = errno == libc::EINVAL && doing == SetupStep::InstallFilter;
    if errno == libc::ENOSYS || is_unknown_flag {
        return "the kernel is too old or was built without this: Linux 5.19 or newer is needed"
            .to_owned();
    }
    match doing {
        SetupStep::MapUser if rustix::process::geteuid().is_root() => {
            "this is a root without powers, which cannot give itself away: run the assembly as an \
             ordinary user, or as root with the capabilities CAP_SETUID, CAP_SETGID and CAP_SETFCAP"
                .to_owned()
        }
        SetupStep::MountProc => {
            "the kernel grants a new /proc only to who sees the host's whole /proc: in a \
             container, run it with an unmasked /proc (for Docker: --security-opt \
             systempaths=unconfined)"
                .to_owned()
        }
        SetupStep::CheckAddressLayout => {
            "programs would lie at other addresses here than elsewhere: sysctl \
             vm.legacy_va_layout=0"
                .to_owned()
        }
        _ => general_advice(guarantee),
    }
}

/// Advice for a hard limit of the host that is too low.
pub(crate) fn limit_advice(name: &str, wanted: &str) -> String {
    let service = name.to_uppercase();
    format!(
        "raise it where the assembly's process gets it: as root, \
         prlimit --{name}={wanted}:{wanted} COMMAND; for log-ins, {name} in \
         /etc/security/limits.conf; for a service, Limit{service} in its unit; in a container, \
         --ulimit {name}"
    )
}

fn general_advice(guarantee: Guarantee) -> String {
    let first = match guarantee {
        Guarantee::UserNamespace
        | Guarantee::MountNamespace
        | Guarantee::PidNamespace
        | Guarantee::ReadOnlyRoot
        | Guarantee::FixedUser
        | Guarantee::OutputLimit => Some(blocked_user_namespaces().to_owned()),
        Guarantee::Network => blocked_by_count("max_net_namespaces"),
        Guarantee::HostName => blocked_by_count("max_uts_namespaces"),
        Guarantee::IpcNamespace => blocked_by_count("max_ipc_namespaces"),
        Guarantee::CgroupNamespace => blocked_by_count("max_cgroup_namespaces"),
        Guarantee::Seccomp => {
            Some("the kernel needs CONFIG_SECCOMP_FILTER; every distribution's has it".to_owned())
        }
        Guarantee::MemoryLimit => Some(
            "the kernel needs CONFIG_PROC_CHILDREN, or the host's limit on private data \
             (ulimit -d) is lower than the recipe's memory limit"
                .to_owned(),
        ),
        Guarantee::ProcessLimit => Some(
            "run the assembly as an ordinary user, or as root with the capabilities \
             CAP_SETUID and CAP_SETGID; or raise ulimit -u above the recipe's process limit"
                .to_owned(),
        ),
        Guarantee::TimestampCounter => Some(
            "the recipe asks for a virtual time stamp counter, for which the assembly must be \
             allowed to trace its own steps: sysctl kernel.yama.ptrace_scope must not be 3; in a \
             container, the system calls ptrace and prctl must be allowed (for Docker: \
             --security-opt seccomp=unconfined); a debugger may not trace the assembly's children"
                .to_owned(),
        ),
        _ => None,
    };
    let first = first.unwrap_or_else(|| {
        "the machine refuses it; a container or a security module may be in the way".to_owned()
    });
    if guarantee.is_waivable() {
        format!("{first}. It can be given up by naming it: {guarantee}")
    } else {
        first
    }
}

/// Which of the known switches keeps ordinary users from user namespaces.
fn blocked_user_namespaces() -> &'static str {
    let is = |path: &str, value: &str| setting(path).as_deref() == Some(value);
    if is("/proc/sys/user/max_user_namespaces", "0") {
        "user namespaces are switched off: sysctl user.max_user_namespaces=10000"
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "user namespaces are for root only here: sysctl kernel.unprivileged_userns_clone=1"
    } else if is(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        "AppArmor restricts user namespaces: sysctl \
         kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for this \
         program that allows userns"
    } else {
        "the machine refuses user namespaces; in a container, start it with the system calls \
         clone, unshare, setns, mount and pivot_root allowed (for Docker: --security-opt \
         seccomp=unconfined)"
    }
}

fn blocked_by_count(name: &str) -> Option<String> {
    (setting(&format!("/proc/sys/user/{name}")).as_deref() == Some("0"))
        .then(|| format!("such namespaces are switched off: sysctl user.{name}=10000"))
}

fn setting(path: &str) -> Option<String> {
    std::fs::read_to_string(Path::new(path))
        .ok()
        .map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_is_told_by_how_it_refuses() {
        for (doing, errno, is_old) in [
            (SetupStep::InstallFilter, libc::EINVAL, true),
            (SetupStep::CreateUserNamespace, libc::ENOSYS, true),
            (SetupStep::CreateUserNamespace, libc::EINVAL, false),
            (SetupStep::InstallFilter, libc::EPERM, false),
        ] {
            let advice = advice(Guarantee::Seccomp, doing, errno);
            assert_eq!(advice.contains("Linux 5.19"), is_old, "{doing}: {advice}");
        }
    }
}

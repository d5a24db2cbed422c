//! What runs between the order and execute, in three processes:
//!
//! * the *entrant*, whom the [usher](crate::usher) starts, enters the room's namespaces, or makes the
//!   room, and starts process 1, whose parent is the usher; then it exits;
//! * *process 1* takes its fresh mount, process and ipc namespaces, mounts `/proc`, makes the
//!   assembled root the root, gives up every privilege, starts the step and reaps;
//! * the *step* installs the system call filter, checks what it can, and executes.
//!
//! All of them share the usher's memory, the step until it executes. All of it is a function over a
//! [`Plan`].

use std::ffi::c_void;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::error::SetupStep;
use crate::filter::Tracer;
use crate::furnish;
use crate::plan::{ABSENT, Doors, Place, Plan};
use crate::report::{During, Failure, Report, tolerate};
use crate::sys::{self, Namespace};

/// Where the descriptors are. Those from 3 on close when the program is executed.
const STDIN: RawFd = 0;
/// The user namespace of the site, until process 1 puts the step's standard input there.
const USER: RawFd = STDIN;
const STDOUT: RawFd = 1;
const STDERR: RawFd = 2;
pub(crate) const REPORT: RawFd = 3;
/// Read end of a pipe that hangs up when the usher is gone.
pub(crate) const LIFE: RawFd = 4;
const TRAPS: RawFd = 5;

/// What a pipe holds as long as its user has few (pipe(7)).
const PIPE_BYTES: usize = 64 << 10;

const PROC: u64 = libc::MOUNT_ATTR_RDONLY
    | libc::MOUNT_ATTR_NOSUID
    | libc::MOUNT_ATTR_NODEV
    | libc::MOUNT_ATTR_NOEXEC;

/// What the entrant is told, and tells the usher.
pub(crate) struct Start<'b> {
    pub(crate) plan: &'b Plan<'b>,
    /// The process id of process 1; 0 if there is none.
    pub(crate) first_process: AtomicI32,
}

/// The process that enters a room or makes it.
pub(crate) extern "C" fn entrant(start: *const c_void) -> ! {
    // SAFETY: the usher passes on a pointer to what it keeps until this process has ended.
    let start = unsafe { &*start.cast::<Start<'_>>() };
    if let Err(Failure { step, errno }) = enter(start) {
        Report::Failed { step, errno }.send(REPORT);
    }
    sys::exit(0)
}

fn enter(start: &Start<'_>) -> Result<(), Failure> {
    let plan = start.plan;
    enter_site(&plan.doors)?;
    if let Place::Room { mounts } = plan.place {
        enter_mounts(mounts)?;
    }
    // What else there is would, kept here, disturb others: a writable program, the end of a pipe.
    sys::close_range(TRAPS + 1, RawFd::MAX).during(SetupStep::PlaceDescriptors)?;
    sys::close_on_execute(REPORT, TRAPS).during(SetupStep::PlaceDescriptors)?;
    let mut made = Made::nothing();
    make_ipc(plan, &mut made)?;
    if let Place::New(order) = &plan.place {
        furnish::make(order, &mut made)?;
    }
    start_first_process(start, made)
}

fn enter_site(doors: &Doors) -> Result<(), Failure> {
    sys::enter_namespace(USER, libc::CLONE_NEWUSER).during(SetupStep::EnterUserNamespace)?;
    for (namespace, kind) in [
        (doors.network, libc::CLONE_NEWNET),
        (doors.host_name, libc::CLONE_NEWUTS),
        (doors.cgroup, libc::CLONE_NEWCGROUP),
        (doors.ipc, libc::CLONE_NEWIPC),
    ] {
        if namespace != ABSENT {
            sys::enter_namespace(namespace, kind).during(SetupStep::EnterNamespace)?;
        }
    }
    Ok(())
}

fn enter_mounts(mounts: RawFd) -> Result<(), Failure> {
    sys::enter_namespace(mounts, libc::CLONE_NEWNS).during(SetupStep::EnterMountNamespace)?;
    // Refused where groups cannot be dropped (every user but root); the filter hides them.
    let _ = sys::drop_supplementary_groups();
    Ok(())
}

/// The one namespace beside process 1's own that no two steps share, unless one has been entered in
/// which there never was anything.
fn make_ipc(plan: &Plan<'_>, made: &mut Made) -> Result<(), Failure> {
    if plan.doors.ipc != ABSENT {
        return Ok(());
    }
    let ipc = sys::unshare(libc::CLONE_NEWIPC).during(SetupStep::CreateIpcNamespace);
    if tolerate(ipc, plan.ipc_waived, REPORT)? {
        made.add(open_namespace(Namespace::Ipc)?);
    }
    Ok(())
}

pub(crate) fn open_namespace(namespace: Namespace) -> Result<RawFd, Failure> {
    sys::own_namespace(namespace).during(SetupStep::OpenNamespace)
}

/// What was made and stays with the parent, each only if it was. With process 1, in this order: the ipc
/// namespace; of a room the mount namespace and the scratch space; process 1 itself. Of a site the user,
/// uts, cgroup and network namespaces.
pub(crate) struct Made {
    descriptors: [RawFd; sys::DESCRIPTORS_MAX],
    count: usize,
}

impl Made {
    pub(crate) const fn nothing() -> Self {
        Self {
            descriptors: [ABSENT; sys::DESCRIPTORS_MAX],
            count: 0,
        }
    }

    pub(crate) fn add(&mut self, descriptor: RawFd) {
        if let Some(place) = self.descriptors.get_mut(self.count) {
            *place = descriptor;
            self.count += 1;
        }
    }

    pub(crate) fn descriptors(&self) -> &[RawFd] {
        self.descriptors.get(..self.count).unwrap_or_default()
    }
}

/// Starts process 1 and tells the parent, who takes it and the descriptors over.
fn start_first_process(start: &Start<'_>, mut made: Made) -> Result<(), Failure> {
    let plan = start.plan;
    let flags = libc::CLONE_VM | libc::CLONE_PARENT | libc::CLONE_NEWPID | libc::CLONE_NEWNS;
    // SAFETY: the stack is the plan's, used by process 1 alone; the plan lies on a board that
    // lives as long as any process here, and nobody changes it before process 1 is gone.
    let (pid, process) = unsafe {
        sys::clone_watched_onto(
            plan.first_process_stack,
            flags,
            first_process,
            std::ptr::from_ref(plan).cast(),
        )
    }
    .during(SetupStep::CreatePidNamespace)?;
    start.first_process.store(pid, Ordering::Release);
    made.add(process);
    let descriptors = made.descriptors();
    let count = i32::try_from(descriptors.len()).unwrap_or(i32::MAX);
    let told = Report::Started { pid, count }.send_with(REPORT, descriptors);
    if told.is_err() {
        sys::kill(process);
    }
    told.during(SetupStep::OpenNamespace)
}

extern "C" fn first_process(plan: *const c_void) -> ! {
    // SAFETY: it is the pointer to a plan that this process's parent was given.
    let plan = unsafe { &*plan.cast::<Plan<'_>>() };
    if let Err(Failure { step, errno }) = take_place(plan) {
        Report::Failed { step, errno }.send(REPORT);
        sys::exit(1);
    }
    skip_process_ids(plan);
    // SAFETY: the stack is the plan's, used by the step alone; this process is suspended
    // (CLONE_VFORK) until the step has executed or exited.
    let started = unsafe {
        sys::clone_onto(
            plan.step_stack,
            libc::CLONE_VM | libc::CLONE_VFORK,
            step_process,
            std::ptr::from_ref(plan).cast(),
        )
    };
    match started.during(SetupStep::StartStep) {
        Ok(step) => reap(step),
        Err(Failure { step, errno }) => {
            Report::Failed { step, errno }.send(REPORT);
            sys::exit(1);
        }
    }
}

/// Process ids are given out in order: uses those up that the step shall not have.
fn skip_process_ids(plan: &Plan<'_>) {
    for _ in 2..plan.first_process {
        let flags = libc::CLONE_VM | libc::CLONE_VFORK;
        // SAFETY: the stack is the step's, who is not there yet; this process is suspended
        // (CLONE_VFORK) until the new one has exited, which it does at once.
        match unsafe { sys::clone_onto(plan.step_stack, flags, leave, std::ptr::null()) } {
            Ok(_) => {
                let _ = sys::wait_any();
            }
            Err(_) => return, // The step finds that it has the wrong number.
        }
    }
}

extern "C" fn leave(_: *const c_void) -> ! {
    sys::exit(0)
}

/// Everything up to and including the loss of all privileges.
fn take_place(plan: &Plan<'_>) -> Result<(), Failure> {
    // What the room was made with.
    sys::close_range(TRAPS + 1, RawFd::MAX).during(SetupStep::PlaceDescriptors)?;
    sys::reset_signal_handlers();
    // What is blocked stays pending, the word of a child's end, too, and the step has one signal less.
    sys::set_signal_mask(0);
    sys::set_user_and_group(plan.user).during(SetupStep::TakeUser)?;
    sys::new_session().during(SetupStep::Session)?;

    // Processes only, and only those that the reader may inspect: process 1, which shares memory with
    // the usher, stays out of sight.
    let options = [(c"subset", c"pid"), (c"hidepid", c"invisible")];
    let proc = sys::new_file_system(c"proc", &options, PROC).during(SetupStep::MountProc)?;
    sys::attach(proc, c"/root/proc").during(SetupStep::MountProc)?;
    sys::close(proc);
    sys::change_directory(c"/root").during(SetupStep::SwapRoot)?;
    sys::swap_root().during(SetupStep::SwapRoot)?;

    sys::close(STDIN);
    let stdin = sys::open(ABSENT, c"/dev/null", libc::O_RDONLY, 0);
    if stdin.during(SetupStep::PlaceDescriptors)? != STDIN {
        return Err(Failure {
            step: SetupStep::PlaceDescriptors,
            errno: libc::EBADF,
        });
    }
    sys::set_umask(plan.umask);
    sys::set_personality(plan.personality).during(SetupStep::Personality)?;
    for limit in plan.resource_limits {
        let set = sys::set_resource_limit(limit.resource, limit.value, limit.value);
        tolerate(set.during(limit.step), limit.is_waived, REPORT)?;
    }

    // The kernel's defaults, whatever the caller has; those that a kernel does not know it has not.
    sys::leave_real_time();
    for option in [
        libc::PR_SET_THP_DISABLE,
        libc::PR_SET_MEMORY_MERGE,
        libc::PR_MCE_KILL,
    ] {
        let _ = sys::process_control(option, 0);
    }
    let slack_ns = 50_000;
    sys::process_control(libc::PR_SET_TIMERSLACK, slack_ns).during(SetupStep::Personality)?;
    sys::process_control(libc::PR_SET_NO_NEW_PRIVS, 1).during(SetupStep::SetNoNewPrivileges)?;
    if let Some(step) = plan.bound_to_fail {
        return Err(Failure { step, errno: 0 });
    }
    for capability in 0..64 {
        // The first number that the kernel does not know ends the list.
        if sys::process_control(libc::PR_CAPBSET_DROP, capability).is_err() {
            break;
        }
    }
    sys::clear_ambient_capabilities().during(SetupStep::DropCapabilities)?;
    sys::drop_capabilities().during(SetupStep::DropCapabilities)?;

    // After the last change of credentials, which would reset both.
    sys::process_control(libc::PR_SET_DUMPABLE, 0).during(SetupStep::ParentDeath)?;
    let signal = libc::SIGKILL as usize;
    sys::process_control(libc::PR_SET_PDEATHSIG, signal).during(SetupStep::ParentDeath)?;
    if sys::is_hung_up(LIFE) {
        sys::exit(1);
    }
    Ok(())
}

/// Waits for everything; exits when nothing is left. What ignores that is the parent's to
/// find and kill: the end of this process is the end of them all.
fn reap(step: i32) -> ! {
    sys::close(STDOUT);
    sys::close(STDERR);
    sys::close(TRAPS);
    loop {
        match sys::wait_any() {
            Ok((pid, status, resident_kib_max)) if pid == step => {
                Report::Ended {
                    status,
                    resident_kib_max,
                }
                .send(REPORT);
            }
            Ok(_) => {}
            Err(_) => sys::exit(0),
        }
    }
}

extern "C" fn step_process(plan: *const c_void) -> ! {
    // SAFETY: it is the pointer to a plan that this process's parent was given.
    let plan = unsafe { &*plan.cast::<Plan<'_>>() };
    if let Err(Failure { step, errno }) = try_step(plan) {
        Report::Failed { step, errno }.send(REPORT);
        sys::exit(127);
    }
    sys::exit(0)
}

fn try_step(plan: &Plan<'_>) -> Result<(), Failure> {
    sys::new_session().during(SetupStep::Session)?;
    sys::set_signal_mask(0);
    sys::change_directory(plan.working_directory).during(SetupStep::ChangeDirectory)?;

    ensure(
        sys::process_id() == plan.first_process,
        SetupStep::CheckProcessId,
    )?;
    ensure(sys::is_user_and_group(plan.user), SetupStep::CheckUser)?;
    ensure(
        sys::set_umask(plan.umask) == plan.umask,
        SetupStep::CheckUmask,
    )?;
    ensure(
        plan.host_name_waived || sys::host_name_is(plan.host_name.to_bytes()),
        SetupStep::CheckHostName,
    )?;
    ensure(sys::is_read_only(c"/"), SetupStep::CheckReadOnlyRoot)?;
    ensure(sys::is_read_only(c"/proc"), SetupStep::CheckReadOnlyProc)?;
    ensure(sys::has_no_capabilities(), SetupStep::CheckCapabilities)?;
    // What a step would inherit and nobody inside can undo.
    ensure(
        sys::new_pipe_bytes() == Ok(PIPE_BYTES),
        SetupStep::CheckPipe,
    )?;
    let refuses_execution = sys::process_control(libc::PR_GET_MDWE, 0);
    ensure(
        // Before Linux 6.3 there is no such thing.
        matches!(refuses_execution, Ok(0) | Err(_)),
        SetupStep::CheckExecutableMemory,
    )?;
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let root = sys::open(ABSENT, c"/", flags, 0).during(SetupStep::OpenRoot)?;
    let mounts = sys::own_namespace(Namespace::Mounts).during(SetupStep::OpenNamespace)?;
    // Who answers trapped calls gets ready while the filter is installed, which takes the kernel
    // longest of all that the step does.
    Report::Rooted
        .send_with(TRAPS, &[root, mounts])
        .during(SetupStep::SendListener)?;
    let no_new_privileges = sys::process_control(libc::PR_GET_NO_NEW_PRIVS, 0);
    ensure(no_new_privileges == Ok(1), SetupStep::CheckNoNewPrivileges)?;

    if plan.tracer == Tracer::Present {
        let state = libc::PR_TSC_SIGSEGV.unsigned_abs() as usize;
        sys::process_control(libc::PR_SET_TSC, state).during(SetupStep::TrapCounter)?;
    }
    let installed = sys::install_filter(plan.filter).during(SetupStep::InstallFilter);
    let listener = installed.as_ref().map_or(ABSENT, |listener| *listener);
    if tolerate(installed.map(drop), plan.filter_waived, REPORT)? {
        // 2 is the filter mode (prctl(2), PR_GET_SECCOMP).
        let mode = sys::process_control(libc::PR_GET_SECCOMP, 0);
        ensure(mode == Ok(2), SetupStep::CheckFilter)?;
        // From here on some calls wait for the parent, which this message gives the means.
        Report::Ready
            .send_with(TRAPS, &[listener])
            .during(SetupStep::SendListener)?;
        sys::close(listener);
    } else {
        Report::Ready.send(REPORT);
    }
    if plan.tracer == Tracer::Present {
        be_traced()?;
    }
    let Some(program) = &plan.execution else {
        return Ok(());
    };
    let mut answer = libc::ENOENT;
    for candidate in program.candidates {
        let (argv, envp) = (program.argv.as_ptr(), program.envp.as_ptr());
        let sys::Errno(errno) = sys::execute(candidate, argv, envp);
        match errno {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => answer = errno,
            _ => {
                return Err(Failure {
                    step: SetupStep::Execute,
                    errno,
                });
            }
        }
    }
    Err(Failure {
        step: SetupStep::Execute,
        errno: answer,
    })
}

/// Asks the parent for a tracer, which without privileges may trace only who lets itself be seen.
/// Nobody is there yet who could look, and the program will not share this memory.
fn be_traced() -> Result<(), Failure> {
    sys::process_control(libc::PR_SET_DUMPABLE, 1).during(SetupStep::TraceStep)?;
    let state = sys::timestamp_counter_state();
    sys::process_control(libc::PR_SET_DUMPABLE, 0).during(SetupStep::TraceStep)?;
    // The kernel's own answer would be that reading it is a fault.
    ensure(
        state.during(SetupStep::TraceStep)? == libc::PR_TSC_ENABLE,
        SetupStep::TraceStep,
    )
}

fn ensure(holds: bool, step: SetupStep) -> Result<(), Failure> {
    if holds {
        Ok(())
    } else {
        Err(Failure { step, errno: 0 })
    }
}

//! One run: plan, start and supervise.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use crate::action::{Action, Outcome};
use crate::board::{Board, StackOf};
use crate::capture::Stream;
use crate::error::{SandboxError, SetupStep, io_at};
use crate::filter::Tracer;
use crate::groundwork::Groundwork;
use crate::guarantee::Guarantee;
use crate::host::{Carried, Patch, VirtualHost};
use crate::plan::{self, Doors, Goal, Place, Plan};
use crate::premises::Site;
use crate::room::{self, HostUser, Room, Scratch, hand_pipe_over, pipe, report_sockets};
use crate::serving::{HostOrder, Serving};
use crate::start::Started;
use crate::supervise::{Ending, Supervision};
use crate::usher::Handed;
use crate::{filter, limits, manifest, settings, usage};

/// Runs an action to its end and reports what it did and how it was isolated.
///
/// Standard output and error go to `stdout.log` and `stderr.log` in `log_directory`, which
/// must exist; they are there after an error, too, as far as the step came. A program that
/// fails is an [`Outcome`], not an error. Blocks the calling thread; several threads may run
/// actions in scratch spaces of their own. The first run in a scratch space makes its room as well,
/// which costs about two fifths of a run again, and almost twice as much as a run if its premises have
/// nothing for it and were not told before ([`Premises::prepare`](crate::Premises::prepare)). Raises the
/// soft limits of the calling process for processes, signals and locked memory to the hard ones, for
/// good: rooms are bounded by them.
///
/// # Errors
/// [`SandboxError`]: a guarantee that cannot be kept and was not waived, a malformed action,
/// a limit that was hit, processes left behind, or the host's own failures. Each has
/// [`SandboxError::advice`] where there is any. No process of the action is alive when this
/// returns, whatever it returns.
pub fn run(
    action: &Action<'_>,
    scratch: &mut Scratch,
    log_directory: &Path,
) -> Result<Outcome, SandboxError> {
    let mut attempts = 1..=BUSY_ATTEMPTS;
    loop {
        let goal = Goal::Execute(plan::program(action)?);
        let result = run_with(action, &goal, scratch, log_directory);
        let is_busy = matches!(
            result,
            Err(SandboxError::Program {
                errno: libc::ETXTBSY,
                ..
            })
        );
        if !is_busy || attempts.next().is_none() {
            return result;
        }
    }
}

/// How often a program that is open for writing is tried again. A thread that has just written
/// it has closed it, but a process forked meanwhile by another thread keeps it open until it
/// lets go of what it inherited, which is its first act. Nothing of the step has run then.
const BUSY_ATTEMPTS: u32 = 20;

/// The same with another goal.
pub(crate) fn run_with(
    action: &Action<'_>,
    goal: &Goal,
    scratch: &mut Scratch,
    log_directory: &Path,
) -> Result<Outcome, SandboxError> {
    check_waivers(action)?;
    let can_sample = check_host(action)?;
    let started = Instant::now();
    let patch = Patch::of_this_kernel().ok_or_else(|| SetupStep::PatchClock.failed(0))?;
    let directory = action
        .root
        .canonicalize()
        .map_err(|source| io_at("opening the root", action.root, source))?;

    // Before anything else: it takes longest.
    let groundwork = if scratch.has_room(&directory)? {
        None
    } else {
        Some(scratch.groundwork(action)?)
    };

    let (stdout, stdout_inside) = pipe()?;
    let (stderr, stderr_inside) = pipe()?;
    let (report, report_inside) = report_sockets()?;
    let (traps, traps_inside) = report_sockets()?;
    let programs = match goal {
        Goal::Execute(program) => program.paths(),
        Goal::Nothing => Vec::new(),
    };
    let host = HostOrder {
        host: VirtualHost {
            virtual_timestamp_counter: tracer(action) == Tracer::Present,
            ..action.host.clone()
        },
        patch,
        carried: std::mem::take(&mut scratch.carried),
        programs,
        is_waived: Guarantee::ALL
            .into_iter()
            .filter(|guarantee| guarantee.is_served())
            .all(|guarantee| action.waived.contains(&guarantee)),
    };
    let was_network_unused = scratch.doubt_network();
    let ends = Ends {
        inside: [stdout_inside, stderr_inside, report_inside, traps_inside],
        report: report.as_fd(),
        traps,
    };
    let Begun {
        started: processes,
        serving,
        ipc,
    } = begin(action, goal, scratch, &directory, groundwork, ends, host)?;
    let room = scratch.made()?;
    let supervision = Supervision::new(
        action,
        room,
        [
            Stream::new(stdout, log_directory.join("stdout.log")),
            Stream::new(stderr, log_directory.join("stderr.log")),
        ],
        report,
        can_sample,
        processes,
        serving,
    );
    let mut carried = Carried::default();
    let ending = supervision.watch(started, &mut carried);
    let Ending {
        exit,
        stdout,
        stderr,
        missing,
        findings,
    } = match ending {
        Ok(ending) => ending,
        Err(error) => {
            // Where the program was busy, the next attempt goes on from here.
            scratch.carried = carried;
            return Err(named(error, action));
        }
    };
    let isolation = manifest::isolation(action, room, &missing, can_sample, findings.as_ref());
    scratch.carried = carried;
    let left = findings.as_ref().map(|findings| findings.traces);
    scratch.hand_on(
        ipc.filter(|_| left.is_some_and(|left| !left.queues)),
        was_network_unused && left.is_some_and(|left| !left.sockets),
    );
    Ok(Outcome {
        exit,
        isolation,
        stdout,
        stderr,
        opened: findings.map_or_else(Vec::new, |findings| findings.opened),
        wall: started.elapsed(),
    })
}

/// What connects a run with its processes.
struct Ends<'a> {
    /// What those take over; the first two are for logs.
    inside: [OwnedFd; 4],
    report: BorrowedFd<'a>,
    traps: OwnedFd,
}

/// A run whose process 1 is there.
struct Begun {
    started: Started,
    serving: Serving,
    /// None if it was waived and could not be made.
    ipc: Option<OwnedFd>,
}

/// Starts process 1 in the room of a scratch space, which is made if there is none, and who answers
/// the step's calls.
fn begin(
    action: &Action<'_>,
    goal: &Goal,
    scratch: &mut Scratch,
    directory: &Path,
    groundwork: Option<Groundwork>,
    ends: Ends<'_>,
    host: HostOrder,
) -> Result<Begun, SandboxError> {
    let Ends {
        inside,
        report,
        traps,
    } = ends;
    // A failure to start the service is told once process 1 is known, so that it can be ended.
    let (started, serving, ipc) = if let Some(groundwork) = groundwork {
        let mut site = finish(groundwork, action)?;
        found(action, goal, directory, &mut site, &inside)?;
        drop(inside);
        // While a room is made every processor has work, so the service starts after that.
        let mut started = Started::hear(report, &site.base.usher)?;
        let ipc = site.ipc.take().or_else(|| started.ipc());
        let descriptors = std::mem::take(&mut started.descriptors);
        let room = Room::new(directory, site, descriptors.into_iter())?;
        let serving = Serving::start(host, traps, scratch.keep(room));
        (started, serving, ipc)
    } else {
        let room = scratch.made_mut()?;
        enter(action, goal, room, &inside)?;
        drop(inside);
        let ipc = room.site.ipc.take();
        let serving = Serving::start(host, traps, room);
        let mut started = Started::hear(report, &room.site.base.usher)?;
        let ipc = ipc.or_else(|| started.ipc());
        (started, serving, ipc)
    };
    Ok(Begun {
        started,
        serving: serving?,
        ipc,
    })
}

/// The site that an action needs. One that was prepared for whoever waives nothing is made anew for who
/// waives what it lacks.
fn finish(groundwork: Groundwork, action: &Action<'_>) -> Result<Site, SandboxError> {
    match groundwork.finish() {
        Err(_) if !action.waived.is_empty() => {
            Groundwork::begin(action.host, action.waived)?.finish()
        }
        finished => finished,
    }
}

/// Starts a run in a room that is there.
fn enter(
    action: &Action<'_>,
    goal: &Goal,
    room: &mut Room,
    inside: &[OwnedFd; 4],
) -> Result<(), SandboxError> {
    // The room may have been made for a step that gave more up than this one.
    for (step, errno) in &room.site.missing {
        if step
            .guarantee()
            .is_none_or(|guarantee| !action.waived.contains(&guarantee))
        {
            return Err(step.failed(*errno));
        }
    }
    if let Some(step) = lacks_limit(action, room.site.base.host_user) {
        return Err(step.failed(0));
    }
    room.site.base.usher.board.clear();
    let mut handed = hand_over(inside, &room.site)?;
    let doors = room.site.doors(&mut handed);
    let place = Place::Room {
        mounts: handed.add(room.mount_door()),
    };
    let plan = make_plan(action, goal, &room.site.base.usher.board, doors, place)?;
    room.site.base.usher.start(plan, &handed)
}

/// Starts a run in a room that is made for it.
fn found(
    action: &Action<'_>,
    goal: &Goal,
    root: &Path,
    site: &mut Site,
    inside: &[OwnedFd; 4],
) -> Result<(), SandboxError> {
    site.base.usher.board.clear();
    let mut handed = hand_over(inside, site)?;
    let doors = site.doors(&mut handed);
    let place = Place::New(room::order(action, root, site)?);
    let plan = Plan {
        bound_to_fail: lacks_limit(action, site.base.host_user),
        ..make_plan(action, goal, &site.base.usher.board, doors, place)?
    };
    site.base.usher.start(plan, &handed)
}

/// What every run's processes get, the logs' ends as the step's own.
fn hand_over<'a>(inside: &'a [OwnedFd; 4], site: &'a Site) -> Result<Handed<'a>, SandboxError> {
    let [stdout, stderr, ..] = inside;
    hand_pipe_over(stdout, site.base.host_user)?;
    hand_pipe_over(stderr, site.base.host_user)?;
    Ok(Handed::new(&site.user, inside.each_ref()))
}

/// No process limit binds root: the step that fails, unless that was waived.
fn lacks_limit(action: &Action<'_>, user: HostUser) -> Option<SetupStep> {
    let is_waived = action.waived.contains(&Guarantee::ProcessLimit);
    (user == HostUser::Root && !is_waived).then_some(SetupStep::SetProcessLimit)
}

/// Refuses a host on which steps would see other values than elsewhere; whether memory can be measured.
fn check_host(action: &Action<'_>) -> Result<bool, SandboxError> {
    limits::check_host()?;
    if settings::has_legacy_layout() && !action.host.random_addresses {
        return Err(SetupStep::CheckAddressLayout.failed(0));
    }
    let can_sample = usage::can_list_children();
    if !can_sample && !action.waived.contains(&Guarantee::MemoryLimit) {
        return Err(SetupStep::FindChildren.failed(0));
    }
    Ok(can_sample)
}

const FIRST_PROCESS_MAX: i32 = 30_000;
const PROCESSORS_MAX: u32 = 1024;

fn check_waivers(action: &Action<'_>) -> Result<(), SandboxError> {
    let invalid = |problem| Err(SandboxError::InvalidAction { problem });
    if action
        .waived
        .iter()
        .any(|guarantee| guarantee.is_offered() && !guarantee.is_waivable())
    {
        return invalid("a guarantee was waived that the sandbox itself stands on");
    }
    if action.limits.processes_max == 0 {
        return invalid("the process limit is zero");
    }
    if !(2..=FIRST_PROCESS_MAX).contains(&action.host.first_process) {
        return invalid("the number of the first process is not between 2 and 30000");
    }
    if !(1..=PROCESSORS_MAX).contains(&action.host.processors) {
        return invalid("the number of processors is not between 1 and 1024");
    }
    Ok(())
}

fn make_plan<'b>(
    action: &Action<'_>,
    goal: &Goal,
    board: &'b Board,
    doors: Doors,
    place: Place<'b>,
) -> Result<Plan<'b>, SandboxError> {
    let waived = |guarantee: Guarantee| action.waived.contains(&guarantee);
    Ok(Plan {
        doors,
        place,
        execution: match goal {
            Goal::Execute(program) => Some(program.written_on(board)?),
            Goal::Nothing => None,
        },
        working_directory: board.text(&plan::working_directory(action.working_directory)?)?,
        filter: board.list(filter::program(tracer(action)))?,
        tracer: tracer(action),
        user: action.host.user_id,
        umask: action.host.umask & UMASK_BITS,
        host_name: board.text(&plan::host_name(action.host)?)?,
        first_process: action.host.first_process,
        personality: if action.host.random_addresses {
            STICKY_TIMEOUTS
        } else {
            STICKY_TIMEOUTS | ADDR_NO_RANDOMIZE
        },
        resource_limits: board.list(&limits::of(action))?,
        ipc_waived: waived(Guarantee::IpcNamespace),
        filter_waived: waived(Guarantee::Seccomp),
        host_name_waived: waived(Guarantee::HostName),
        bound_to_fail: None,
        first_process_stack: board.stack(StackOf::FirstProcess),
        step_stack: board.stack(StackOf::Step),
    })
}

/// A tracer that is given up is not tried, since the filter cannot do without it any more once it
/// is there.
pub(crate) fn tracer(action: &Action<'_>) -> Tracer {
    let is_given_up = action.waived.contains(&Guarantee::TimestampCounter);
    if action.host.virtual_timestamp_counter && !is_given_up {
        Tracer::Present
    } else {
        Tracer::Absent
    }
}

/// What `umask(2)` takes of a mask.
pub(crate) const UMASK_BITS: u32 = 0o777;

/// `personality(2)`: no random addresses.
const ADDR_NO_RANDOMIZE: usize = 0x004_0000;
/// `select(2)` and its relatives do not write what is left of their time limit, which would be the
/// host's time; the service does (`host/time/times.rs`).
const STICKY_TIMEOUTS: usize = 0x400_0000;

/// Puts the action's own words into errors that came as numbers.
fn named(error: SandboxError, action: &Action<'_>) -> SandboxError {
    match error {
        SandboxError::Setup {
            doing: SetupStep::Execute,
            errno,
        } => SandboxError::Program {
            program: action.argv.first().cloned().unwrap_or_default(),
            errno,
        },
        SandboxError::Setup {
            doing: SetupStep::ChangeDirectory,
            errno,
        } => SandboxError::WorkingDirectory {
            path: action.working_directory.to_owned(),
            errno,
        },
        other => other,
    }
}

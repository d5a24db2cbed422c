//! Every limit, hit: ended, with a message that names it.

use std::time::Duration;

use counterseal_sandbox::{Exit, SandboxError};

use crate::stage::{MIB, Stage};

#[test]
fn an_endless_loop() {
    let mut stage = Stage::new();
    stage.limits.wall = Duration::from_millis(300);
    let error = stage.fails("print started then loop");
    assert!(
        matches!(error, SandboxError::WallTimeExceeded { .. }),
        "{error}"
    );
    assert_eq!(
        error.to_string(),
        "the step was ended: it ran longer than its limit of 0.3 s; still running: probe (2)"
    );
    // What it printed before is there.
    assert_eq!(stage.stdout(), "started\n");
    // The scratch space is as good as before.
    assert_eq!(stage.prints("print again"), "again\n");
}

#[test]
fn ten_gigabytes() {
    for place in ["/build/big", "/tmp/big", "/dev/shm/big"] {
        let mut stage = Stage::new();
        let error = stage.fails(&format!("write {place} 10000000000"));
        assert!(
            matches!(error, SandboxError::ScratchFull { limit_bytes, exit: Exit::Code(1) } if limit_bytes == 8 * MIB),
            "{error}"
        );
        assert!(
            stage.stderr().contains("No space left on device"),
            "{}",
            stage.stderr()
        );
    }
}

#[test]
fn a_full_scratch_is_no_error_while_the_step_succeeds() {
    let mut stage = Stage::new();
    stage.limits.scratch_bytes = 4 * MIB;
    let outcome = stage.run(&format!("write /build/all {}", 4 * MIB)).unwrap();
    assert!(outcome.exit.is_success());
}

#[test]
fn too_many_files() {
    let mut stage = Stage::new();
    let error = stage.fails("make-files /build/home 10000");
    assert!(
        matches!(error, SandboxError::ScratchFilesFull { limit: 4096, .. }),
        "{error}"
    );
    assert!(error.advice().unwrap().contains("scratch-bytes"));
}

#[test]
fn a_memory_hog() {
    let mut stage = Stage::new();
    stage.limits.memory_bytes = 64 * MIB;
    let error = stage.fails("allocate 10000");
    assert!(
        matches!(error, SandboxError::MemoryExceeded { limit_bytes, .. } if limit_bytes == 64 * MIB),
        "{error}"
    );
    assert!(stage.prints("allocate 16").contains("holding 16 MiB"));
}

#[test]
fn many_processes_with_little_memory_each() {
    let mut stage = Stage::new();
    stage.limits.memory_bytes = 64 * MIB;
    // Each stays below the limit of one process; together they do not.
    let error = stage.fails("hold-together 8 30");
    assert!(
        matches!(error, SandboxError::MemoryExceeded { .. }),
        "{error}"
    );
}

#[test]
fn a_log_flood() {
    let mut stage = Stage::new();
    let error = stage.fails("flood 10000000000");
    assert!(
        matches!(error, SandboxError::LogExceeded { limit_bytes } if limit_bytes == MIB),
        "{error}"
    );
    assert_eq!(stage.stdout().len() as u64, MIB);
}

#[test]
fn a_fork_bomb() {
    let mut stage = Stage::new();
    stage.limits.processes_max = 32;
    // Which copy is refused first decides whether others are left for the sandbox to kill.
    match stage.run("fork-bomb") {
        Ok(outcome) => assert_eq!(outcome.exit, Exit::Code(1)),
        Err(error) => assert!(matches!(error, SandboxError::LeftBehind { .. }), "{error}"),
    }
    assert!(
        stage.stderr().contains("temporarily unavailable"),
        "{}",
        stage.stderr()
    );
}

#[test]
fn threads_count_as_processes() {
    let mut stage = Stage::new();
    stage.limits.processes_max = 10;
    stage.prints("threads 9");
    assert!(
        stage
            .refuses("threads 11")
            .contains("temporarily unavailable")
    );
}

/// Process 1, which the kernel counts with the step, has none.
#[test]
fn all_signals_that_may_wait_are_the_step_s() {
    for first_process in [2, 9, 300] {
        let mut stage = Stage::with_program(counterseal_static_programs::LEAK_PROBE);
        stage.host.first_process = first_process;
        let text = stage.prints("children");
        assert!(
            text.lines().any(|line| line == "children.pending 1024"),
            "{first_process}: {text}"
        );
    }
}

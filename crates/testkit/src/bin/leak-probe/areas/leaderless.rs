//! What a thread sees after its process's first one has ended (`pthread_exit` in `main`): who looks at
//! a process by its number finds nothing any more.

use crate::raw::{Memory, call};
use crate::report::Report;

pub(super) const WORD: &str = "leaderless";

/// Prints by itself, since the thread that would do it ends here.
pub(super) fn look(_: &mut Report) {
    let other = std::thread::spawn(|| {
        // A thread that has ended has no working directory.
        while std::fs::read_link("/proc/self/cwd").is_ok() {
            std::thread::yield_now();
        }
        let mut report = Report::new();
        report.enter(WORD);
        super::files::listing(&mut report, "/inputs", &Memory::new());
        std::process::exit(report.print(None).map_or(70, |()| 0));
    });
    let _ = call!(libc::SYS_exit, 0);
    drop(other);
}

//! `counterseal store check|gc`.

use crate::arguments::StoreVerb;
use crate::error::{CommandError, Exit, OrExit};
use crate::output;
use crate::session::Session;

pub(crate) fn run(session: &Session, verb: &StoreVerb) -> Result<Exit, CommandError> {
    match verb {
        StoreVerb::Check(option) => {
            let report = session.existing_store(option)?.check().or_usage()?;
            output::result(format!(
                "{} blobs, {} bytes, {} problems",
                report.blobs_count,
                report.blobs_bytes,
                report.problems.len()
            ))?;
            for problem in &report.problems {
                output::text(format!("damaged: {problem}"))?;
            }
            Ok(if report.is_sound() {
                Exit::Success
            } else {
                Exit::Failed
            })
        }
        StoreVerb::Gc(option) => {
            let report = session.existing_store(option)?.gc().or_usage()?;
            output::result(format!(
                "removed {} blobs ({} bytes), {} records, {} checkouts, {} unfinished files; \
                 kept {} blobs ({} bytes)",
                report.removed_blobs_count,
                report.removed_bytes,
                report.removed_records_count,
                report.removed_checkouts_count,
                report.removed_unfinished_count,
                report.kept_blobs_count,
                report.kept_bytes,
            ))?;
            Ok(Exit::Success)
        }
    }
}

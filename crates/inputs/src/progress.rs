//! How far a download has come: a small trait the command line implements.
//!
//! Deliberately absent: any drawing, any clock, any rate. Those belong to the caller.

/// Told about a transfer as it goes along. Called from several threads at once.
pub trait Progress: Sync {
    /// A group of transfers starts: `total_bytes` in `items` files. May be called again for the
    /// next group, which then replaces the previous totals. Zero bytes: the size is not known.
    fn begin(&self, total_bytes: u64, items: u64);

    /// `bytes` more have arrived.
    fn advance(&self, bytes: u64);

    /// One transfer failed after `bytes` and starts again from zero: they no longer count.
    fn restart(&self, bytes: u64) {
        let _ = bytes;
    }

    /// One file is complete, verified and stored.
    fn finish_item(&self, name: &str);
}

//! Storage in memory that forgets what was not synced.

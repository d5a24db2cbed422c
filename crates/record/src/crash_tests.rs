//! Crash tests: stop the appender at every step, in every way.

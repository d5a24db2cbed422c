//! The sandbox from outside: each test runs a small static program as the step and looks at
//! what it saw, what it could do, and what was left on the host. The same tests pass as root
//! and as an ordinary user; none needs a network or a wait.

mod answered;
mod calls;
mod devices;
mod doctor;
mod files;
mod host_limits;
mod hostile;
mod isolation;
mod limits;
mod sleep;
mod stage;
mod timestamp_counter;
mod virtual_host;

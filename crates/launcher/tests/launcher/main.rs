//! The launcher as it travels: the static program, started in directories as an execution engine
//! would lay them out.

mod circumstances;
mod descriptions;
mod endings;
mod outputs;
mod program;
mod stage;

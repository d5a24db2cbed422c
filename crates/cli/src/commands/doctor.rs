//! `counterseal doctor`: what this machine can enforce.

use counterseal_sandbox::{State, doctor};

use crate::arguments::DoctorArgs;
use crate::error::{CommandError, Exit};
use crate::output;
use crate::session::Session;

pub(crate) fn run(session: &Session, arguments: &DoctorArgs) -> Result<Exit, CommandError> {
    session.check_named_configuration()?;
    let findings = doctor();
    if arguments.json {
        let document: Vec<serde_json::Value> = findings
            .iter()
            .map(|finding| {
                serde_json::json!({
                    "guarantee": finding.guarantee.name(),
                    "offered": finding.guarantee.is_offered(),
                    "state": finding.state.name(),
                    "mechanism": finding.mechanism,
                    "advice": finding.advice,
                })
            })
            .collect();
        output::result(serde_json::json!({"format": 1, "guarantees": document}))?;
    } else {
        for finding in &findings {
            output::result(format!(
                "{:<9} {:<19} {}",
                finding.state, finding.guarantee, finding.mechanism
            ))?;
            if let Some(advice) = &finding.advice {
                output::result(format!("          hint: {advice}"))?;
            }
        }
    }
    let all = findings
        .iter()
        .filter(|finding| finding.guarantee.is_offered())
        .all(|finding| finding.state == State::Enforced);
    Ok(if all { Exit::Success } else { Exit::Failed })
}

//! Collecting checks: a small list that every stage of the verifier appends to, so that
//! nothing is looked at without leaving a trace. Deliberately absent: deciding.

use alloc::string::String;
use alloc::vec::Vec;

use crate::verdict::{Check, State};

/// The checks about one line of the evidence, or about no line in particular.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checks {
    line: Option<usize>,
    list: Vec<Check>,
}

impl Checks {
    pub(crate) fn about_line(line: usize) -> Self {
        Self {
            line: Some(line),
            list: Vec::new(),
        }
    }

    pub(crate) fn passed(&mut self, code: &'static str, detail: impl Into<String>) {
        self.push(code, State::Passed, detail.into(), None);
    }

    pub(crate) fn failed(&mut self, code: &'static str, detail: impl Into<String>, hint: &str) {
        self.push(code, State::Failed, detail.into(), Some(hint));
    }

    pub(crate) fn not_checked(
        &mut self,
        code: &'static str,
        detail: impl Into<String>,
        hint: Option<&str>,
    ) {
        self.push(code, State::NotChecked, detail.into(), hint);
    }

    /// Makes the latest check one that is shown but does not decide.
    pub(crate) fn advisory(&mut self) {
        if let Some(check) = self.list.last_mut() {
            check.required = false;
        }
    }

    pub(crate) fn state(&self, code: &str) -> Option<State> {
        self.list
            .iter()
            .find(|check| check.code == code)
            .map(|check| check.state)
    }

    pub(crate) fn has_passed(&self, code: &str) -> bool {
        self.state(code) == Some(State::Passed)
    }

    pub(crate) fn all_passed(&self) -> bool {
        self.list
            .iter()
            .all(|check| check.state == State::Passed || !check.required)
    }

    pub(crate) fn first_failed(&self) -> Option<&Check> {
        self.list
            .iter()
            .find(|check| check.required && check.state == State::Failed)
    }

    pub(crate) fn passed_count(&self) -> usize {
        self.list
            .iter()
            .filter(|check| check.state == State::Passed)
            .count()
    }

    /// Adds a "not checked" for each of `codes` that has no check yet, and puts the list in
    /// the order of `codes`.
    pub(crate) fn complete(&mut self, codes: &[&'static str]) {
        let because = match self.first_failed() {
            Some(check) => alloc::format!("not looked at, because {} failed", check.code),
            None => "not looked at, because an earlier check could not be made".into(),
        };
        for code in codes {
            if self.state(code).is_none() {
                self.not_checked(code, because.clone(), None);
            }
        }
        self.list
            .sort_by_key(|check| codes.iter().position(|code| *code == check.code));
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.list.extend(other.list);
    }

    /// Forgets everything but what failed.
    pub(crate) fn keep_failed(&mut self) {
        self.list.retain(|check| check.state == State::Failed);
    }

    pub(crate) fn into_list(self) -> Vec<Check> {
        self.list
    }

    fn push(&mut self, code: &'static str, state: State, detail: String, hint: Option<&str>) {
        self.list.push(Check {
            code,
            state,
            required: true,
            line: self.line,
            detail,
            hint: hint.map(Into::into),
        });
    }
}

//! What a machine can enforce, and what happens where it cannot.

use std::process::Command;

use counterseal_sandbox::{Guarantee, SandboxError, State, doctor};

use crate::stage::Stage;

#[test]
fn doctor_agrees_with_a_run() {
    let findings = doctor();
    assert_eq!(findings.len(), Guarantee::ALL.len());
    let mut stage = Stage::new();
    stage.host.virtual_timestamp_counter = true;
    let isolation = stage.run("print x").unwrap().isolation;
    for finding in findings {
        assert_eq!(
            finding.state, isolation[&finding.guarantee].0,
            "{}",
            finding.guarantee
        );
        let is_lacking = finding.guarantee.is_offered() && finding.state != State::Enforced;
        assert_eq!(
            finding.advice.is_some(),
            is_lacking,
            "{}",
            finding.guarantee
        );
    }
}

/// Set in a copy of this test program that runs where something is missing.
const INSIDE: &str = "COUNTERSEAL_TEST_INSIDE";

/// Runs the named test of this program again, as root of a user namespace in which a setting
/// of the kernel has been changed. True in that copy, which then does the checking.
fn is_where(setting: &str, value: &str, test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let script =
        format!("echo {value} > {setting} || exit 77; exec \"$0\" --exact {test} --nocapture");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, "1")
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("1 passed"), "{said}");
        }
        Ok(output) if output.status.code() == Some(77) => eprintln!("skipped: {setting} is fixed"),
        Err(error) => eprintln!("skipped: unshare does not run: {error}"),
        Ok(output) => panic!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    }
    false
}

#[test]
fn without_network_namespaces() {
    let setting = "/proc/sys/user/max_net_namespaces";
    if !is_where(setting, "0", "doctor::without_network_namespaces") {
        return;
    }
    let mut stage = Stage::new();
    let error = stage.fails("print x");
    assert!(
        matches!(
            error,
            SandboxError::NotEnforceable {
                guarantee: Guarantee::Network,
                ..
            }
        ),
        "{error}"
    );
    let advice = error.advice().unwrap();
    assert!(
        advice.contains("sysctl user.max_net_namespaces"),
        "{advice}"
    );
    assert!(advice.contains("naming it: network"), "{advice}");

    // Another guarantee given up does not help; the right one does, and is reported.
    stage.waived.insert(Guarantee::HostName);
    assert!(stage.run("print x").is_err());
    stage.waived.insert(Guarantee::Network);
    // Where root runs these tests, the copy is still root on the host, without the power to
    // be anybody else: the kernel does not count its processes.
    stage.waived.insert(Guarantee::ProcessLimit);
    let outcome = stage.run("print x").unwrap();
    let (found, mechanism) = &outcome.isolation[&Guarantee::Network];
    assert_eq!(*found, State::Absent);
    assert!(mechanism.contains("given up by the user"), "{mechanism}");
    assert_eq!(outcome.isolation[&Guarantee::HostName].0, State::Enforced);

    // The same room without the waiver is refused again.
    stage.waived.clear();
    assert!(stage.run("print x").is_err());

    let finding = doctor()
        .into_iter()
        .find(|f| f.guarantee == Guarantee::Network)
        .unwrap();
    assert_eq!(finding.state, State::Absent);
    assert!(finding.advice.unwrap().contains("max_net_namespaces"));
}

#[test]
fn without_user_namespaces() {
    let setting = "/proc/sys/user/max_user_namespaces";
    if !is_where(setting, "0", "doctor::without_user_namespaces") {
        return;
    }
    let mut stage = Stage::new();
    let error = stage.fails("print x");
    assert!(
        matches!(
            error,
            SandboxError::NotEnforceable {
                guarantee: Guarantee::UserNamespace,
                ..
            }
        ),
        "{error}"
    );
    let advice = error.advice().unwrap();
    assert!(
        advice.contains("sysctl user.max_user_namespaces"),
        "{advice}"
    );
    // It cannot be given up.
    stage.waived.insert(Guarantee::UserNamespace);
    assert!(matches!(
        stage.fails("print x"),
        SandboxError::InvalidAction { .. }
    ));
    let findings = doctor();
    assert_eq!(findings.len(), Guarantee::ALL.len());
    assert!(
        findings
            .iter()
            .all(|finding| finding.state == State::Absent)
    );
}

#[test]
fn a_root_without_powers_is_told_to_be_somebody_else() {
    if std::env::var_os(INSIDE).is_none() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: this user is not root");
            return;
        }
        let test = "doctor::a_root_without_powers_is_told_to_be_somebody_else";
        let output = Command::new("setpriv")
            .args(["--inh-caps=-all", "--bounding-set=-all"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "1")
            .output();
        let output = match output {
            Ok(output) => output,
            Err(error) => {
                eprintln!("skipped: setpriv does not run: {error}");
                return;
            }
        };
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    let error = Stage::new().fails("print x");
    assert!(
        matches!(
            error,
            SandboxError::NotEnforceable {
                guarantee: Guarantee::UserNamespace,
                ..
            }
        ),
        "{error}"
    );
    let advice = error.advice().unwrap();
    assert!(
        advice.contains("ordinary user") && advice.contains("CAP_SETFCAP"),
        "{error}: {advice}"
    );
}

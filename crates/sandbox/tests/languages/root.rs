//! A root with this machine's own programs in it.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Files of `/inputs`, none of them made in the order in which it is listed.
const INPUTS: [&str; 4] = ["apple", "Zebra", "a", "0"];
/// Where programs are looked for before `PATH`.
const PLACES: [&str; 4] = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/local/go/bin"];
/// What of Python's library a program of ours needs: all modules of one file, and these packages.
const PACKAGES: [&str; 2] = ["encodings", "collections"];

pub(crate) struct Root {
    directory: TempDir,
}

impl Root {
    pub(crate) fn new() -> Self {
        let root = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(root.path().join("inputs")).unwrap();
        for name in INPUTS {
            fs::write(root.path().join("inputs").join(name), name).unwrap();
        }
        root
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn install(&mut self, name: &str, program: &[u8]) {
        let path = self.path().join(name);
        fs::write(&path, program).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Copies a program of this machine with its libraries, and says where it is.
    pub(crate) fn take_program(&mut self, name: &str) -> Result<String, String> {
        let program = find(name)?;
        self.take(&program).map_err(|error| error.to_string())?;
        let listed = told(Command::new("ldd").arg(&program))?;
        for library in listed
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
        {
            self.take(Path::new(library))
                .map_err(|error| format!("{library}: {error}"))?;
        }
        Ok(program.to_str().unwrap().to_owned())
    }

    pub(crate) fn take_python_library(&mut self) -> Result<(), String> {
        let ask = "import sysconfig; print(sysconfig.get_path('stdlib'))";
        let library = told(Command::new(find("python3")?).args(["-c", ask]))?;
        let library = Path::new(library.trim());
        for directory in [PathBuf::new()]
            .into_iter()
            .chain(PACKAGES.map(PathBuf::from))
        {
            let entries =
                fs::read_dir(library.join(directory)).map_err(|error| error.to_string())?;
            for entry in entries {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "py") {
                    self.take(&path).map_err(|error| error.to_string())?;
                }
            }
        }
        Ok(())
    }

    /// Modules of Python's that may be libraries of their own.
    pub(crate) fn take_python_modules(&mut self, names: &[&str]) -> Result<(), String> {
        for name in names {
            let ask = format!("import {name}; print(getattr({name}, '__file__', ''))");
            let file = told(Command::new(find("python3")?).args(["-c", &ask]))?;
            if let file @ [_, ..] = file.trim().as_bytes() {
                let file = PathBuf::from(std::ffi::OsStr::from_bytes(file));
                self.take(&file).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// Builds a program of one file with this machine's Go.
    pub(crate) fn build_go(&mut self, name: &str, source: &str) -> Result<(), String> {
        let go = find("go")?;
        let work = tempfile::tempdir().unwrap();
        fs::write(work.path().join("see.go"), source).unwrap();
        let mut build = Command::new(go);
        build
            .args(["build", "-o"])
            .arg(self.path().join(name))
            .arg("see.go")
            .current_dir(work.path())
            .env("GOCACHE", work.path().join("cache"))
            .env("GOPATH", work.path().join("path"))
            .env("HOME", work.path())
            // Nothing is downloaded, neither modules nor another Go.
            .env("GOTOOLCHAIN", "local")
            .env("GOPROXY", "off")
            .env("GOFLAGS", "")
            .env("CGO_ENABLED", "0");
        told(&mut build).map(drop)
    }

    /// Copies a file to the same place below the root.
    fn take(&self, file: &Path) -> io::Result<()> {
        let place = self.path().join(file.strip_prefix("/").unwrap_or(file));
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(file, place).map(drop)
    }
}

fn find(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // First where a system installs the programs themselves: a path may lead to scripts that choose.
    PLACES
        .map(PathBuf::from)
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|place| place.join(name))
        .find(|file| file.is_absolute() && file.is_file())
        .ok_or_else(|| format!("{name} is not installed"))
}

/// What a command prints, or why it does not.
fn told(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!("{command:?}: {}: {complaint}", output.status))
    }
}

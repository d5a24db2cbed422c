//! Which files of the inputs a step opened: resolves the paths that it named against the root's
//! tree in the store.
//!
//! Links are followed within the root alone: those of the inputs by the tree, those that the steps
//! made by the scratch space as a step leaves it. Nothing of the host is looked at. Absent on
//! purpose: what is reached through a link that the step removed again before it ended, and through
//! `/proc`, and whatever a step names beyond more than any honest one does; this says what a build
//! read, it does not catch one that hides it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::CString;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use counterseal_attestation::Sha256Digest;
use counterseal_store::tree::Directory;
use counterseal_store::{Digest, Store, StoreError};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// As many links as the kernel follows on one path.
const LINKS_MAX: usize = 40;
/// Most names that are looked up for one step, and most bytes of paths in the scratch space that
/// are made for it. A large build takes a twentieth of either. The step chose the paths, and what
/// it takes to follow them is spent after its own limits have ended.
const BUDGET: Budget = Budget {
    names: 1 << 26,
    bytes: 1 << 29,
};

/// Resolves paths; directories of the tree are read once.
pub(crate) struct Resolver<'a> {
    store: &'a Store,
    root: Digest,
    read: HashMap<Digest, Rc<Directory>>,
}

/// What was opened of the inputs, by path in the root.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// Files, with what was in them.
    pub files: BTreeMap<String, Sha256Digest>,
    /// Links of the inputs that led to them.
    pub links: BTreeSet<String>,
}

/// Where a resolution stands.
enum Place {
    /// In a directory of the root's tree.
    Input(Rc<Directory>),
    /// In the directory of devices.
    Devices,
    /// In the scratch space, at this path below its top.
    Scratch(Vec<u8>),
    /// In what is no longer there, or in something below it: only `..` leads on.
    Gone,
}

/// What a name leads to.
enum Found {
    Place(Place),
    Link(Vec<u8>),
    File(Sha256Digest),
    Nothing,
}

/// The scratch space as a step left it, with what was found in it so far.
struct Scratch<'a> {
    top: BorrowedFd<'a>,
    /// Whatever is there, with its target if it is a link.
    known: HashMap<Vec<u8>, Option<Vec<u8>>>,
    left: Budget,
}

/// What may still be spent on the paths of a step.
#[derive(Clone, Copy)]
struct Budget {
    names: u64,
    bytes: u64,
}

impl Budget {
    /// Whether this much was left; it no longer is.
    fn spend(&mut self, names: u64, bytes: usize) -> bool {
        let left = (
            self.names.checked_sub(names),
            self.bytes.checked_sub(bytes as u64),
        );
        let (Some(names), Some(bytes)) = left else {
            *self = Self { names: 0, bytes: 0 };
            return false;
        };
        *self = Self { names, bytes };
        true
    }
}

impl<'a> Resolver<'a> {
    /// For the root that is this tree.
    pub(crate) fn new(store: &'a Store, root: Digest) -> Self {
        Self {
            store,
            root,
            read: HashMap::new(),
        }
    }

    /// Adds to `opened` every input file that one of the absolute paths in `named` leads to.
    /// `scratch` is the top of the scratch space; no process is alive in it.
    ///
    /// # Errors
    /// The tree is missing or damaged.
    pub(crate) fn add(
        &mut self,
        named: &[Vec<u8>],
        scratch: BorrowedFd<'_>,
        opened: &mut Opened,
    ) -> Result<(), StoreError> {
        let mut scratch = Scratch {
            top: scratch,
            known: HashMap::new(),
            left: BUDGET,
        };
        for path in named {
            self.resolve(path, &mut scratch, opened)?;
        }
        Ok(())
    }

    fn resolve(
        &mut self,
        path: &[u8],
        scratch: &mut Scratch<'_>,
        opened: &mut Opened,
    ) -> Result<(), StoreError> {
        let root = self.directory(self.root)?;
        let mut above: Vec<(Vec<u8>, Place)> = Vec::new();
        // Names that are still to be looked up, the next one last.
        let mut names = reversed(path);
        let mut links = 0;
        let mut followed = Vec::new();
        while let Some(name) = names.pop() {
            if !scratch.left.spend(1, 0) {
                return Ok(());
            }
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    above.pop();
                    continue;
                }
                _ => {}
            }
            let found = match above.last() {
                None => self.below_root(&root, &name)?,
                Some((_, Place::Input(directory))) => {
                    let directory = Rc::clone(directory);
                    self.below(&directory, &name)?
                }
                Some((_, Place::Devices)) if name == b"shm" => {
                    Found::Place(Place::Scratch(b"shm".to_vec()))
                }
                Some((_, Place::Devices)) => Found::Nothing,
                Some((_, Place::Scratch(directory))) => scratch.below(directory, &name),
                Some((_, Place::Gone)) => Found::Place(Place::Gone),
            };
            match found {
                Found::Nothing => return Ok(()),
                Found::Place(place) => above.push((name, place)),
                Found::Link(target) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Ok(());
                    }
                    if matches!(above.last(), None | Some((_, Place::Input(_)))) {
                        followed.extend(path_to(&above, &name));
                    }
                    if target.first() == Some(&b'/') {
                        above.clear();
                    }
                    names.extend(reversed(&target));
                }
                Found::File(digest) => {
                    // A file is the end of a path, or else the path leads nowhere.
                    if names.is_empty() {
                        opened.links.extend(followed);
                        opened
                            .files
                            .extend(path_to(&above, &name).map(|path| (path, digest)));
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn below_root(&mut self, root: &Directory, name: &[u8]) -> Result<Found, StoreError> {
        Ok(match name {
            b"build" | b"tmp" => Found::Place(Place::Scratch(name.to_vec())),
            b"dev" => Found::Place(Place::Devices),
            b"proc" => Found::Nothing,
            _ => self.below(root, name)?,
        })
    }

    fn below(&mut self, directory: &Directory, name: &[u8]) -> Result<Found, StoreError> {
        // Each list is sorted by the names' bytes.
        let is = |other: &String| other.as_bytes().cmp(name);
        if let Ok(at) = directory.files.binary_search_by(|node| is(&node.name)) {
            return Ok(Found::File(directory.files[at].digest.hash));
        }
        if let Ok(at) = directory
            .directories
            .binary_search_by(|node| is(&node.name))
        {
            let inner = self.directory(directory.directories[at].digest)?;
            return Ok(Found::Place(Place::Input(inner)));
        }
        let link = directory.symlinks.binary_search_by(|node| is(&node.name));
        Ok(link.map_or(Found::Nothing, |at| {
            Found::Link(directory.symlinks[at].target.clone().into_bytes())
        }))
    }

    fn directory(&mut self, digest: Digest) -> Result<Rc<Directory>, StoreError> {
        if let Some(known) = self.read.get(&digest) {
            return Ok(Rc::clone(known));
        }
        let directory = Rc::new(self.store.directory(&digest)?);
        self.read.insert(digest, Rc::clone(&directory));
        Ok(directory)
    }
}

impl Scratch<'_> {
    /// Only links matter here: whatever else a step made is no input.
    fn below(&mut self, directory: &[u8], name: &[u8]) -> Found {
        if !self.left.spend(0, directory.len() + 1 + name.len()) {
            return Found::Nothing;
        }
        let path = [directory, b"/", name].concat();
        let target = match self.known.get(&path) {
            Some(target) => target.clone(),
            None => match link_at(self.top, &path) {
                Ok(target) => {
                    self.known.insert(path.clone(), target.clone());
                    target
                }
                // A directory, perhaps, that the step has removed.
                Err(Errno::NOENT) => return Found::Place(Place::Gone),
                Err(_) => return Found::Nothing,
            },
        };
        match target {
            Some(target) => Found::Link(target),
            None => Found::Place(Place::Scratch(path)),
        }
    }
}

/// A path in the root; every part is a name of the tree, hence text.
fn path_to(above: &[(Vec<u8>, Place)], name: &[u8]) -> Option<String> {
    let mut path = Vec::new();
    for (part, _) in above {
        path.extend_from_slice(part);
        path.push(b'/');
    }
    path.extend_from_slice(name);
    String::from_utf8(path).ok()
}

/// The target of what is there, if it is a link; no link on the way to it is followed.
fn link_at(top: BorrowedFd<'_>, path: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let opened = rustix::fs::openat2(
        top,
        path,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )?;
    // Whatever is not a link has no target.
    let target = rustix::fs::readlinkat(opened, c"", Vec::new()).ok();
    Ok(target.map(CString::into_bytes))
}

/// The parts of a path, the first one last.
fn reversed(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    use counterseal_store::tree::TreeBuilder;

    use super::*;

    /// Resolves paths in a root with a program, a library behind links, and a scratch space.
    fn resolved(named: &[&str]) -> Opened {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create(&directory.path().join("store")).unwrap();
        let mut tree = TreeBuilder::new();
        let content = store.put_bytes(b"content").unwrap();
        for path in ["usr/bin/cc", "usr/lib/x/libc.so.6", "in/source/a.c"] {
            tree.add_file(path, content, true).unwrap();
        }
        for (path, target) in [
            ("bin", "usr/bin"),
            ("usr/lib/libc.so", "x/libc.so"),
            ("usr/lib/x/libc.so", "./libc.so.6"),
            ("usr/bin/c99", "/bin/../bin/cc"),
            ("usr/bin/out", "../../../../../etc/passwd"),
            ("loop", "/loop"),
            ("into", "/build/back"),
        ] {
            tree.add_symlink(path, target).unwrap();
        }
        for path in ["build", "dev", "proc", "tmp"] {
            tree.add_dir(path).unwrap();
        }
        let root = tree.finish(&store).unwrap();

        let scratch = directory.path().join("scratch");
        fs::create_dir_all(scratch.join("build/sub")).unwrap();
        fs::create_dir_all(scratch.join("shm")).unwrap();
        fs::write(scratch.join("build/own.c"), "").unwrap();
        symlink("/in/source", scratch.join("build/source")).unwrap();
        symlink("../source/a.c", scratch.join("build/sub/linked.c")).unwrap();
        symlink("/usr/bin", scratch.join("build/back")).unwrap();
        symlink("/usr/bin/cc", scratch.join("shm/cc")).unwrap();
        // Leads out of the scratch space to a real file of the host.
        symlink("../../../../../../etc/passwd", scratch.join("build/host")).unwrap();
        let scratch = fs::File::open(scratch).unwrap();

        let named: Vec<Vec<u8>> = named.iter().map(|path| path.as_bytes().to_vec()).collect();
        let mut opened = Opened::default();
        Resolver::new(&store, root)
            .add(&named, scratch.as_fd(), &mut opened)
            .unwrap();
        let mut digests = opened.files.values();
        assert!(digests.all(|digest| *digest == content.hash));
        opened
    }

    fn files(named: &[&str]) -> Vec<String> {
        resolved(named).files.into_keys().collect()
    }

    fn check(named: &str, expected: Option<&str>) {
        assert_eq!(
            files(&[named]),
            Vec::from_iter(expected.map(str::to_owned)),
            "{named}"
        );
    }

    #[test]
    fn paths_lead_where_the_kernel_would_go() {
        for (named, expected) in [
            ("/usr/bin/cc", Some("usr/bin/cc")),
            ("//usr/./bin//cc", Some("usr/bin/cc")),
            ("/bin/cc", Some("usr/bin/cc")),
            ("/bin/../bin/cc", Some("usr/bin/cc")),
            ("/bin/../lib/libc.so", Some("usr/lib/x/libc.so.6")),
            ("/usr/bin/c99", Some("usr/bin/cc")),
            ("/../../usr/bin/cc", Some("usr/bin/cc")),
            ("/usr/bin/cc/", None),
            ("/usr/bin/cc/x", None),
            ("/usr/bin", None),
            ("/usr/bin/none", None),
            ("/usr/bin/out", None),
            ("/loop", None),
            ("/", None),
            ("", None),
        ] {
            check(named, expected);
        }
    }

    #[test]
    fn links_that_a_step_made_are_followed() {
        for (named, expected) in [
            ("/build/source/a.c", Some("in/source/a.c")),
            ("/build/sub/linked.c", Some("in/source/a.c")),
            ("/build/sub/../source/../source/a.c", Some("in/source/a.c")),
            ("/build/back/cc", Some("usr/bin/cc")),
            ("/into/cc", Some("usr/bin/cc")),
            ("/dev/shm/cc", Some("usr/bin/cc")),
            ("/build/own.c", None),
            ("/build/none/x", None),
            ("/build/none/x/../../source/a.c", Some("in/source/a.c")),
            ("/build/own.c/x/../../source/a.c", None),
            ("/build/host", None),
            ("/dev/null", None),
            ("/proc/self/root/usr/bin/cc", None),
            ("/tmp/x", None),
        ] {
            check(named, expected);
        }
    }

    #[test]
    fn a_file_counts_once() {
        let named = ["/bin/cc", "/usr/bin/cc", "/in/source/a.c", "/nowhere"];
        assert_eq!(files(&named), ["in/source/a.c", "usr/bin/cc"]);
    }

    #[test]
    fn links_of_inputs_count_if_they_lead_to_a_file() {
        let links = |named: &[&str]| Vec::from_iter(resolved(named).links);
        assert_eq!(
            links(&["/bin/../lib/libc.so", "/build/back/c99", "/into/cc"]),
            [
                "bin",
                "into",
                "usr/bin/c99",
                "usr/lib/libc.so",
                "usr/lib/x/libc.so"
            ]
        );
        assert!(links(&["/bin/none", "/loop", "/bin"]).is_empty());
    }

    /// The step chooses what it names: that costs it nothing, and must not cost its parent much.
    #[test]
    fn what_is_not_there_is_not_remembered_and_all_of_it_has_an_end() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create(&directory.path().join("store")).unwrap();
        let mut tree = TreeBuilder::new();
        tree.add_file("file", store.put_bytes(b"x").unwrap(), false)
            .unwrap();
        let root = tree.finish(&store).unwrap();
        fs::create_dir_all(directory.path().join("build/there")).unwrap();
        let top = fs::File::open(directory.path()).unwrap();
        let mut scratch = Scratch {
            top: top.as_fd(),
            known: HashMap::new(),
            left: Budget {
                names: 10_000,
                bytes: 100_000,
            },
        };
        let mut resolver = Resolver::new(&store, root);
        let mut add = |path: String, scratch: &mut Scratch<'_>| {
            let mut opened = Opened::default();
            resolver
                .resolve(path.as_bytes(), scratch, &mut opened)
                .unwrap();
            opened.files.len()
        };
        add(format!("/build/there{}", "/a".repeat(2000)), &mut scratch);
        assert_eq!(scratch.known.len(), 1);
        assert!(scratch.left.bytes > 99_000, "nothing is spent below");
        assert_eq!(add("/file".to_owned(), &mut scratch), 1);
        add(format!("/build{}", "/a/..".repeat(5000)), &mut scratch);
        assert_eq!(scratch.left.names, 0);
        assert_eq!(add("/file".to_owned(), &mut scratch), 0);
    }

    #[test]
    fn names_that_are_not_text_are_no_inputs() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create(&directory.path().join("store")).unwrap();
        let root = TreeBuilder::new().finish(&store).unwrap();
        let top = fs::File::open(directory.path()).unwrap();
        let mut opened = Opened::default();
        Resolver::new(&store, root)
            .add(
                &[b"/\xff/\xfe".to_vec(), b"/build/\xff".to_vec()],
                top.as_fd(),
                &mut opened,
            )
            .unwrap();
        assert_eq!(opened, Opened::default());
    }
}

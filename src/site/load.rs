//! The settings, then the policy files of all layers.

use super::Inputs;
use crate::diag::{FileId, Finding, Findings, SourceMap, codes, did_you_mean};
use crate::host::files::{self, Directory, FileError, Owner};
use crate::host::root;
use crate::policy::{Layer, Settings, Spanned, parse_settings};
use crate::store::{Generation, Input};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Where the settings are when nothing else is said.
const DEFAULT_CONFIG: &str = "/etc/portgrave/portgrave.toml";

/// All that was read.
pub struct Loaded {
    pub sources: SourceMap,
    pub settings: Settings,
    /// The texts of the settings.
    pub settings_files: Vec<FileId>,
    pub files: Vec<(FileId, Layer)>,
    pub findings: Findings,
}

pub fn load(inputs: &Inputs) -> Loaded {
    let (mut loader, settings) = Loader::begin(inputs);
    if !inputs.policy.is_empty() {
        for (layer, path) in (0..).zip(&inputs.policy) {
            loader.argument(path, Layer(layer));
        }
    } else if let Some(settings) = &settings {
        loader.layers(settings);
    }
    loader.finish(settings)
}

/// The settings alone; the defaults where they have errors, which whoever loads the policy is told.
pub fn settings(inputs: &Inputs) -> Settings {
    Loader::begin(inputs).1.unwrap_or_default()
}

/// Policy texts that were handed over, under the settings of this machine.
pub fn given(inputs: &Inputs, texts: impl IntoIterator<Item = Input>) -> Loaded {
    let (mut loader, settings) = Loader::begin(inputs);
    for Input { name, layer, text } in texts {
        loader.files.push((loader.sources.add(name, text), Layer(layer)));
    }
    loader.finish(settings)
}

/// What a generation was made of. Its settings hold, but for the paths.
pub fn stored(generation: &Generation, paths: &Settings) -> Option<Loaded> {
    let mut sources = SourceMap::default();
    let mut add = |input: &Input| sources.add(&input.name, &input.text);
    let settings_files: Vec<FileId> = generation.settings.iter().map(&mut add).collect();
    let files = generation.inputs.iter().map(|input| (add(input), Layer(input.layer))).collect();
    let settings = parse_settings(&sources, settings_files.iter().copied()).ok()?;
    let settings = Settings {
        vendor_dir: paths.vendor_dir.clone(),
        policy_dir: paths.policy_dir.clone(),
        state_dir: paths.state_dir.clone(),
        runtime_dir: paths.runtime_dir.clone(),
        ..settings
    };
    Some(Loaded { sources, settings, settings_files, files, findings: Findings::default() })
}

struct Loader {
    sources: SourceMap,
    settings_files: Vec<FileId>,
    files: Vec<(FileId, Layer)>,
    findings: Findings,
    owner: Owner,
}

impl Loader {
    /// The settings come first: they say which files are the policy.
    fn begin(inputs: &Inputs) -> (Self, Option<Settings>) {
        let named = inputs.config.is_some() || !inputs.policy.is_empty();
        let mut loader = Self {
            sources: SourceMap::default(),
            settings_files: Vec::new(),
            files: Vec::new(),
            findings: Findings::default(),
            owner: if named { Owner::Caller } else { Owner::Root },
        };
        if let Err(error) = root::directory(&inputs.root) {
            loader.unreadable(&inputs.root, &files::opening(error));
        }
        let settings = loader.settings(inputs.config.as_deref());
        (loader, settings)
    }

    fn finish(self, settings: Option<Settings>) -> Loaded {
        let Self { sources, settings_files, files, findings, .. } = self;
        Loaded { sources, settings: settings.unwrap_or_default(), settings_files, files, findings }
    }

    /// `None`, with findings, if they are wrong: which files are the policy is not known then.
    fn settings(&mut self, named: Option<&Path>) -> Option<Settings> {
        let path = named.unwrap_or(Path::new(DEFAULT_CONFIG));
        let owner = if named.is_some() { Owner::Caller } else { Owner::Root };
        let mut texts = Vec::new();
        match files::read(path, owner) {
            Err(FileError::Missing) if named.is_none() => {}
            read => texts.push((path.to_owned(), read)),
        }
        texts.extend(drop_ins(&drop_in_directory(path), owner));
        let mut unread = false;
        for (path, text) in texts {
            match text {
                Ok(text) => {
                    self.settings_files.push(self.sources.add(path.display().to_string(), text));
                }
                Err(error) => {
                    self.unreadable(&path, &error);
                    unread = true;
                }
            }
        }
        match parse_settings(&self.sources, self.settings_files.iter().copied()) {
            Ok(settings) => (!unread).then_some(settings),
            Err(findings) => {
                self.findings.extend(findings);
                None
            }
        }
    }

    /// The vendor's policies that the settings name, the site's directory, the runtime directory.
    fn layers(&mut self, settings: &Settings) {
        self.vendor(settings);
        let site = &settings.policy_dir;
        self.directory(site, Layer(1), *site == Settings::default().policy_dir);
        self.directory(&settings.runtime_dir.join("policy.d"), Layer(2), true);
    }

    fn vendor(&mut self, settings: &Settings) {
        if settings.policy.is_empty() {
            return;
        }
        let path = &settings.vendor_dir;
        match Directory::open(path, self.owner) {
            Ok(directory) => {
                settings.policy.iter().for_each(|name| self.vendor_policy(&directory, path, name))
            }
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn vendor_policy(&mut self, directory: &Directory, path: &Path, name: &Spanned<String>) {
        let file = OsString::from(format!("{}.toml", name.value));
        match directory.read(&file) {
            Err(FileError::Missing) => {
                let message = format!("there is no vendor policy \"{}\" in {}", name.value, path.display());
                let there = directory.policies().unwrap_or_default();
                let names: Vec<&str> =
                    there.iter().filter_map(|file| file.to_str()?.strip_suffix(".toml")).collect();
                let help = did_you_mean("policy in that directory", &name.value, names);
                self.findings.push(Finding::error(codes::NO_VENDOR_POLICY, message).at(name.span).help(help));
            }
            read => self.take(&path.join(file), read, Layer(0)),
        }
    }

    fn argument(&mut self, path: &Path, layer: Layer) {
        if path.is_dir() {
            self.directory(path, layer, false);
        } else {
            let read = files::read(path, self.owner);
            self.take(path, read, layer);
        }
    }

    /// The files of a directory; some may be away.
    fn directory(&mut self, path: &Path, layer: Layer, may_be_away: bool) {
        let directory = match Directory::open(path, self.owner) {
            Err(FileError::Missing) if may_be_away => return,
            Err(error) => return self.unreadable(path, &error),
            Ok(directory) => directory,
        };
        match directory.policies() {
            Ok(names) => names.iter().for_each(|name: &OsString| self.member(&directory, path, name, layer)),
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn member(&mut self, directory: &Directory, path: &Path, name: &OsStr, layer: Layer) {
        self.take(&path.join(name), directory.read(name), layer);
    }

    fn take(&mut self, path: &Path, read: Result<String, FileError>, layer: Layer) {
        match read {
            Ok(text) => {
                let file = self.sources.add(path.display().to_string(), text);
                self.files.push((file, layer));
            }
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn unreadable(&mut self, path: &Path, error: &FileError) {
        self.findings.push(unreadable(path, error));
    }
}

/// `/etc/portgrave/portgrave.d` for `/etc/portgrave/portgrave.toml`.
fn drop_in_directory(settings: &Path) -> PathBuf {
    if settings.extension().is_some_and(|extension| extension == "toml") {
        return settings.with_extension("d");
    }
    let mut name = settings.as_os_str().to_owned();
    name.push(".d");
    name.into()
}

/// The texts of the drop-ins in the order of their names; there need not be any.
fn drop_ins(path: &Path, owner: Owner) -> Vec<(PathBuf, Result<String, FileError>)> {
    let listed = Directory::open(path, owner)
        .and_then(|directory| directory.policies().map(|names| (directory, names)));
    match listed {
        Err(FileError::Missing) => Vec::new(),
        Err(error) => vec![(path.to_owned(), Err(error))],
        Ok((directory, names)) => names.iter().map(|name| (path.join(name), directory.read(name))).collect(),
    }
}

/// The finding that a file is not read.
pub fn unreadable(path: &Path, error: &FileError) -> Finding {
    let code = match error {
        FileError::Missing | FileError::Io(_) => codes::UNREADABLE,
        FileError::NotRegular | FileError::Link => codes::NOT_A_FILE,
        FileError::Owner(_) => codes::FOREIGN_OWNER,
        FileError::Writable(_) | FileError::DirectoryWritable(_) => codes::WRITABLE,
        FileError::TooLarge(_) => codes::TOO_LARGE,
        FileError::NotText { .. } => codes::NOT_UTF8,
    };
    Finding::error(code, format!("{}: {error}", path.display())).help(error.remedy(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings in a directory of their own, with a file in each layer.
    fn site(more: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (name, file) in [
            ("vendor", "base.toml"),
            ("site", "10-b.toml"),
            ("site", "10-a.toml"),
            ("run/policy.d", "x.toml"),
        ] {
            std::fs::create_dir_all(at(name)).unwrap();
            std::fs::write(at(name).join(file), format!("language = 1 # {file}\n")).unwrap();
        }
        let root = dir.path().display();
        let text = format!(
            "{more}\n[paths]\nvendor-dir = \"{root}/vendor\"\npolicy-dir = \"{root}/site\"\nruntime-dir = \"{root}/run\"\n"
        );
        std::fs::write(at("portgrave.toml"), text).unwrap();
        let config = at("portgrave.toml");
        (dir, config)
    }

    fn inputs(config: &Path, policy: &[&Path]) -> Inputs {
        let policy = policy.iter().map(|path| path.to_path_buf()).collect();
        Inputs { config: Some(config.to_owned()), policy, root: "/".into(), names: None }
    }

    /// The last part of each file's name, with its layer.
    fn files(loaded: &Loaded) -> Vec<(String, u32)> {
        let name = |file: FileId| loaded.sources.name(file).rsplit('/').next().unwrap_or_default().to_owned();
        loaded.files.iter().map(|(file, layer)| (name(*file), layer.0)).collect()
    }

    fn codes_of(loaded: &Loaded) -> Vec<&'static str> {
        loaded.findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn the_layers_are_read_in_their_order() {
        let (_dir, config) = site("policy = [\"base\"]");
        let loaded = load(&inputs(&config, &[]));
        let wanted = [("base.toml", 0), ("10-a.toml", 1), ("10-b.toml", 1), ("x.toml", 2)];
        assert_eq!(files(&loaded), wanted.map(|(name, layer)| (name.to_owned(), layer)));
        assert!(loaded.findings.is_empty());
    }

    #[test]
    fn named_policies_take_the_place_of_all_layers() {
        let (dir, config) = site("policy = [\"none\"]");
        let loaded =
            load(&inputs(&config, &[&dir.path().join("site"), &dir.path().join("vendor/base.toml")]));
        let wanted = [("10-a.toml", 0), ("10-b.toml", 0), ("base.toml", 1)];
        assert_eq!(files(&loaded), wanted.map(|(name, layer)| (name.to_owned(), layer)));
        assert!(loaded.findings.is_empty());
    }

    #[test]
    fn a_vendor_policy_that_is_not_there_is_an_error_with_the_nearest_name() {
        let (_dir, config) = site("policy = [\"basis\", \"base\"]");
        let loaded = load(&inputs(&config, &[]));
        let finding = loaded.findings.iter().next().unwrap();
        assert_eq!((finding.code, finding.help.as_deref()), ("PG401", Some("did you mean \"base\"?")));
        assert_eq!(loaded.files.len(), 4);
    }

    #[test]
    fn a_site_directory_that_is_named_must_be_there_and_a_runtime_directory_need_not() {
        let (dir, config) = site("");
        std::fs::remove_dir_all(dir.path().join("run")).unwrap();
        assert!(load(&inputs(&config, &[])).findings.is_empty());
        std::fs::remove_dir_all(dir.path().join("site")).unwrap();
        assert_eq!(codes_of(&load(&inputs(&config, &[]))), ["PG402"]);
    }

    #[test]
    fn with_wrong_settings_no_layer_is_read_because_it_may_be_another() {
        let (dir, config) = site("polizy = []");
        let loaded = load(&inputs(&config, &[]));
        assert_eq!((codes_of(&loaded), loaded.files.len()), (vec!["PG102"], 0));
        assert_eq!(codes_of(&load(&inputs(&dir.path().join("none.toml"), &[]))), ["PG402"]);
    }

    #[test]
    fn drop_ins_of_the_settings_are_read_in_the_order_of_their_names() {
        let (dir, config) = site("");
        let drop_ins = dir.path().join("portgrave.d");
        std::fs::create_dir(&drop_ins).unwrap();
        let write = |name: &str, text: &str| std::fs::write(drop_ins.join(name), text).unwrap();
        write("20.toml", "[resolver]\ngrace = \"2m\"\n");
        write("10.toml", "policy = [\"base\"]\n[resolver]\ngrace = \"1m\"\n");
        write(".hidden.toml", "x");
        let loaded = load(&inputs(&config, &[]));
        assert_eq!((codes_of(&loaded), loaded.files.len()), (vec![], 4));
        assert_eq!(loaded.settings.resolver.grace.as_secs(), 120);
        write("30.toml", "grace = \"3m\"\n");
        let loaded = load(&inputs(&config, &[]));
        let place = loaded.findings.iter().next().and_then(|finding| finding.place).unwrap();
        assert!(loaded.sources.place(place).ends_with("portgrave.d/30.toml:1:1"));
        assert_eq!((codes_of(&loaded), loaded.files.len()), (vec!["PG102"], 0));
    }

    #[test]
    fn drop_ins_that_others_could_have_written_are_not_taken_and_no_layer_is_read() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (dir, config) = site("");
        let drop_ins = dir.path().join("portgrave.d");
        std::fs::create_dir(&drop_ins).unwrap();
        let mode = |mode| std::fs::set_permissions(&drop_ins, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o777);
        let loaded = load(&inputs(&config, &[]));
        assert_eq!((codes_of(&loaded), loaded.files.len()), (vec!["PG409"], 0));
        mode(0o755);
        symlink("../portgrave.toml", drop_ins.join("10.toml")).unwrap();
        assert_eq!(codes_of(&load(&inputs(&config, &[]))), ["PG407"]);
        std::fs::remove_dir_all(&drop_ins).unwrap();
        std::fs::write(&drop_ins, "").unwrap();
        assert_eq!(codes_of(&load(&inputs(&config, &[]))), ["PG402"]);
    }

    #[test]
    fn the_directory_of_drop_ins_is_called_as_the_settings_are() {
        let of = |path: &str| drop_in_directory(Path::new(path)).display().to_string();
        assert_eq!(of(DEFAULT_CONFIG), "/etc/portgrave/portgrave.d");
        assert_eq!(of("other.toml"), "other.d");
        assert_eq!(of("/x/other.conf"), "/x/other.conf.d");
    }

    #[test]
    fn every_file_that_cannot_be_read_is_said() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (dir, config) = site("");
        let site = dir.path().join("site");
        std::fs::set_permissions(site.join("10-a.toml"), std::fs::Permissions::from_mode(0o666)).unwrap();
        symlink("10-b.toml", site.join("20.toml")).unwrap();
        std::fs::write(site.join("30.toml"), b"\xff").unwrap();
        let loaded = load(&inputs(&config, &[]));
        assert_eq!((codes_of(&loaded), files(&loaded).len()), (vec!["PG409", "PG407", "PG411"], 2));
    }
}

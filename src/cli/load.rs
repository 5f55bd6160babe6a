//! The settings, then the policy files of all layers.

use super::Inputs;
use crate::diag::{FileId, Finding, Findings, SourceMap};
use crate::host::files::{self, FileError, Owner};
use crate::policy::{Layer, Settings, parse_settings};
use std::path::{Path, PathBuf};

/// Where the settings are when nothing else is said.
const DEFAULT_CONFIG: &str = "/etc/portgrave/portgrave.toml";

/// All that was read.
pub(super) struct Loaded {
    pub(super) sources: SourceMap,
    pub(super) settings: Settings,
    pub(super) files: Vec<(FileId, Layer)>,
    pub(super) findings: Findings,
}

pub(super) fn load(inputs: &Inputs) -> Loaded {
    let mut loader = Loader {
        sources: SourceMap::default(),
        files: Vec::new(),
        findings: Findings::default(),
        owner: if inputs.policy.is_empty() { Owner::Root } else { Owner::Caller },
    };
    let settings = loader.settings(inputs);
    if inputs.policy.is_empty() {
        loader.layers(&settings);
    } else {
        for (layer, path) in (0..).zip(&inputs.policy) {
            loader.argument(path, Layer(layer));
        }
    }
    Loaded { sources: loader.sources, settings, files: loader.files, findings: loader.findings }
}

struct Loader {
    sources: SourceMap,
    files: Vec<(FileId, Layer)>,
    findings: Findings,
    owner: Owner,
}

impl Loader {
    fn settings(&mut self, inputs: &Inputs) -> Settings {
        let path = inputs.config.clone().unwrap_or_else(|| DEFAULT_CONFIG.into());
        let owner = if inputs.config.is_some() { Owner::Caller } else { Owner::Root };
        let file = match files::read(&path, owner) {
            Ok(text) => Some(self.sources.add(path.display().to_string(), text)),
            Err(FileError::Missing) if inputs.config.is_none() => None,
            Err(error) => {
                self.unreadable(&path, &error);
                None
            }
        };
        parse_settings(&self.sources, file).unwrap_or_else(|findings| {
            self.findings.extend(findings);
            Settings::default()
        })
    }

    /// The vendor's policies that the settings name, the site's directory, the runtime directory.
    fn layers(&mut self, settings: &Settings) {
        for name in &settings.policy {
            let path = settings.vendor_dir.join(format!("{}.toml", name.value));
            match files::read(&path, self.owner) {
                Ok(text) => self.add(&path, text, Layer(0)),
                Err(FileError::Missing) => {
                    let message = format!("there is no vendor policy \"{}\"", name.value);
                    let finding = Finding::error("PG401", message).at(name.span);
                    self.findings.push(finding.help(vendor_policies(&settings.vendor_dir)));
                }
                Err(error) => self.unreadable(&path, &error),
            }
        }
        self.directory(&settings.policy_dir, Layer(1));
        self.directory(&settings.runtime_dir.join("policy.d"), Layer(2));
    }

    fn argument(&mut self, path: &Path, layer: Layer) {
        if path.is_dir() { self.directory(path, layer) } else { self.file(path, layer) }
    }

    fn directory(&mut self, path: &Path, layer: Layer) {
        match files::policy_files(path) {
            Ok(files) => files.iter().for_each(|file| self.file(file, layer)),
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn file(&mut self, path: &Path, layer: Layer) {
        match files::read(path, self.owner) {
            Ok(text) => self.add(path, text, layer),
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn add(&mut self, path: &Path, text: String, layer: Layer) {
        let file = self.sources.add(path.display().to_string(), text);
        self.files.push((file, layer));
    }

    fn unreadable(&mut self, path: &Path, error: &FileError) {
        self.findings.push(unreadable(path, error));
    }
}

/// The finding that a file is not read.
pub(super) fn unreadable(path: &Path, error: &FileError) -> Finding {
    Finding::error("PG402", format!("{}: {error}", path.display())).help(error.remedy(path))
}

fn vendor_policies(directory: &Path) -> String {
    let stem = |path: &PathBuf| Some(path.file_stem()?.to_string_lossy().into_owned());
    let names: Vec<String> =
        files::policy_files(directory).unwrap_or_default().iter().filter_map(stem).collect();
    if names.is_empty() {
        format!("{} has no policies", directory.display())
    } else {
        format!("{} has: {}", directory.display(), names.join(", "))
    }
}

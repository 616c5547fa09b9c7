//! Resolution of packages to versions and installation paths.
//!
//! Packages are laid out like npm's: each as far up as no other version of the same package is in the way. So the
//! bundler, which searches upwards, finds the requested version for each package.

use crate::{
    installed::InstalledPackage,
    integrity::Integrity,
    range::Range,
    registry::{Manifest, Metadata, Registry},
    specifier::is_name,
};
use semver::Version;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Maximum number of packages of one script. Libraries that suit scripts need fewer.
pub(crate) const MAX_PACKAGES: usize = 100;

/// Package that a script imports.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    /// Index of the import.
    pub(crate) import: usize,
    pub(crate) name: String,
    pub(crate) range: String,
}

/// Reason why an import cannot be resolved, with the index of the import.
#[derive(Debug)]
pub(crate) struct ResolveError {
    pub(crate) import: usize,
    pub(crate) message: String,
}

/// Package that the script or another package depends on.
struct Dependency {
    import: usize,
    name: String,
    range: String,
    /// Path of the dependent package; empty for the script.
    from: String,
}

/// Pins every package that the roots need, in the order of discovery.
pub(crate) async fn resolve(
    registry: &Registry,
    roots: &[Root],
) -> Result<Vec<InstalledPackage>, ResolveError> {
    let mut resolution =
        Resolution { registry, metadata: HashMap::new(), placed: BTreeMap::new(), installed: Vec::new() };
    let mut pending: VecDeque<Dependency> = roots.iter().map(root_dependency).collect();
    while let Some(dependency) = pending.pop_front() {
        let import = dependency.import;
        let added = resolution.add(dependency).await;
        pending.extend(added.map_err(|message| ResolveError { import, message })?);
    }
    Ok(resolution.installed)
}

fn root_dependency(root: &Root) -> Dependency {
    Dependency {
        import: root.import,
        name: root.name.clone(),
        range: root.range.clone(),
        from: String::new(),
    }
}

/// State of a resolution.
struct Resolution<'r> {
    registry: &'r Registry,
    /// Metadata fetched so far, by package.
    metadata: HashMap<String, Metadata>,
    /// Versions by path.
    placed: BTreeMap<String, Version>,
    installed: Vec<InstalledPackage>,
}

impl Resolution<'_> {
    /// Pins a package, unless an installed one satisfies the dependency. Returns the dependencies of a new package.
    async fn add(&mut self, dependency: Dependency) -> Result<Vec<Dependency>, String> {
        let Dependency { import, name, range, .. } = &dependency;
        self.fetch_metadata(name).await?;
        let metadata = &self.metadata[name];
        let satisfies = |version: &Version| satisfies(metadata, range, version);
        let Some(path) = install_path(&self.placed, &dependency, satisfies) else { return Ok(Vec::new()) };
        let (version, manifest) =
            choose(metadata, range).ok_or_else(|| format!("`{name}` has no version that fits `{range}`."))?;
        let integrity = manifest.dist.integrity.as_deref().and_then(Integrity::parse).ok_or_else(|| {
            format!("The registry has no SHA-512 of `{name}@{version}`, without which it is not used.")
        })?;
        if self.installed.len() == MAX_PACKAGES {
            return Err(format!("More than {MAX_PACKAGES} packages would be needed."));
        }
        let dependencies = dependencies(manifest).map(|(name, range)| Dependency {
            import: *import,
            name: name.clone(),
            range: range.clone(),
            from: path.clone(),
        });
        let dependencies = dependencies.collect();
        let archive = manifest.dist.tarball.clone();
        self.placed.insert(path.clone(), version.clone());
        self.installed.push(InstalledPackage { path, name: name.clone(), version, archive, integrity });
        Ok(dependencies)
    }

    async fn fetch_metadata(&mut self, name: &str) -> Result<(), String> {
        if !is_name(name) {
            return Err(format!("`{name}` is not the name of a package."));
        }
        if !self.metadata.contains_key(name) {
            let metadata = self.registry.metadata(name).await.map_err(|error| error.to_string())?;
            self.metadata.insert(name.to_owned(), metadata);
        }
        Ok(())
    }
}

/// Path at which a package must be installed. `None` if the dependent already finds a version that satisfies the range.
fn install_path(
    placed: &BTreeMap<String, Version>,
    dependency: &Dependency,
    satisfies: impl Fn(&Version) -> bool,
) -> Option<String> {
    let below = |folder: &str| {
        let separator = if folder.is_empty() { "" } else { "/" };
        format!("{folder}{separator}node_modules/{}", dependency.name)
    };
    let mut folder = dependency.from.as_str();
    loop {
        match placed.get(&below(folder)) {
            Some(version) if satisfies(version) => return None,
            // The nearest package of that name has another version, so this one must be nearer.
            Some(_) => return Some(below(&dependency.from)),
            None if folder.is_empty() => return Some(below("")),
            None => {
                folder = folder.rsplit_once("node_modules/").map_or("", |(up, _)| up.trim_end_matches('/'));
            }
        }
    }
}

fn satisfies(metadata: &Metadata, range: &str, version: &Version) -> bool {
    match metadata.tags.get(range) {
        Some(tagged) => *tagged == version.to_string(),
        None => Range::parse(range).is_some_and(|range| range.holds(version)),
    }
}

/// Chooses the version with that tag, else `latest` if it is in the range, else the highest in the range.
fn choose<'m>(metadata: &'m Metadata, range: &str) -> Option<(Version, &'m Manifest)> {
    let latest = metadata.tags.get("latest");
    let mut fitting: Vec<(Version, &Manifest)> =
        metadata.parsed().filter(|(version, _)| satisfies(metadata, range, version)).collect();
    fitting.sort_by(|(a, _), (b, _)| {
        let is_latest = |version: &Version| latest.is_some_and(|latest| *latest == version.to_string());
        (is_latest(a), a).cmp(&(is_latest(b), b))
    });
    fitting.pop()
}

/// Lists the dependencies of a version, with peer dependencies. Optional ones are left out: most are native packages.
fn dependencies(manifest: &Manifest) -> impl Iterator<Item = (&String, &String)> {
    let optional = |name: &String| {
        manifest.optional_dependencies.contains_key(name)
            || manifest.peer_dependencies_meta.get(name).is_some_and(|meta| meta.optional)
    };
    manifest.dependencies.iter().chain(&manifest.peer_dependencies).filter(move |(name, _)| !optional(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    fn placed_for(placed: &[(&str, &str)], from: &str, range: &str) -> Option<String> {
        let placed = placed.iter().map(|(path, number)| ((*path).to_owned(), version(number))).collect();
        let dependency = Dependency { import: 0, name: "b".into(), range: range.into(), from: from.into() };
        let range = Range::parse(range).unwrap();
        install_path(&placed, &dependency, |version| range.holds(version))
    }

    #[test]
    fn a_package_is_placed_as_high_in_the_tree_as_possible() {
        assert_eq!(placed_for(&[], "node_modules/a", "1").as_deref(), Some("node_modules/b"));
        let top = [("node_modules/b", "1.0.0")];
        assert_eq!(placed_for(&top, "node_modules/a", "1"), None);
        let nested = "node_modules/@s/a/node_modules/b";
        assert_eq!(placed_for(&top, "node_modules/@s/a", "2").as_deref(), Some(nested));
        let both = [("node_modules/b", "1.0.0"), (nested, "2.0.0")];
        assert_eq!(placed_for(&both, "node_modules/@s/a/node_modules/c", "2"), None);
        let deep = "node_modules/@s/a/node_modules/c/node_modules/b";
        assert_eq!(placed_for(&both, "node_modules/@s/a/node_modules/c", "1").as_deref(), Some(deep));
    }

    #[test]
    fn the_latest_is_preferred_where_it_fits() {
        let manifest = r#"{"dist":{"tarball":"http://npm.example/b.tgz"}}"#;
        let json = format!(
            r#"{{"dist-tags":{{"latest":"1.5.0","next":"2.0.0-rc.1"}},
                "versions":{{"1.5.0":{manifest},"1.9.0":{manifest},"0.3.0":{manifest},"2.0.0-rc.1":{manifest}}}}}"#
        );
        let metadata: Metadata = serde_json::from_str(&json).unwrap();
        let chosen = |range| choose(&metadata, range).map(|(version, _)| version.to_string());
        assert_eq!(chosen("latest").as_deref(), Some("1.5.0"));
        assert_eq!(chosen("^1").as_deref(), Some("1.5.0"));
        assert_eq!(chosen("^1.6").as_deref(), Some("1.9.0"));
        assert_eq!(chosen("next").as_deref(), Some("2.0.0-rc.1"));
        assert_eq!(chosen("^2"), None);
        assert_eq!(chosen("beta"), None);
    }
}

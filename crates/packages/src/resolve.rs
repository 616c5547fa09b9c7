//! Which version of which package lies where.
//!
//! Packages lie as npm lays them: as far up as nothing of the same name and another version is in the way, so that the
//! bundler, which looks upward, finds for each the version it asked for.

use crate::{
    integrity::Integrity,
    range::Range,
    registry::{Manifest, Metadata, Registry},
    specifier::is_name,
};
use semver::Version;
use std::collections::{BTreeMap, HashMap, VecDeque};
use url::Url;

/// More than this is no library for a script.
const MAX_PACKAGES: usize = 100;

/// A package that a script names.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    /// Which import names it.
    pub(crate) import: usize,
    pub(crate) name: String,
    pub(crate) range: String,
}

/// A package with its version pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    /// Relative to the workspace, for instance `node_modules/a/node_modules/b`.
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) version: Version,
    pub(crate) archive: Url,
    pub(crate) integrity: Integrity,
}

/// What can't be resolved, and for which import.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) import: usize,
    pub(crate) message: String,
}

/// A package to be placed for another, or for the script.
struct Wanted {
    import: usize,
    name: String,
    range: String,
    /// Where the one that asks lies; empty for the script.
    from: String,
}

/// Pins everything that the roots need, in the order in which it was found.
pub(crate) async fn resolve(registry: &Registry, roots: &[Root]) -> Result<Vec<Installed>, Failure> {
    let mut known: HashMap<String, Metadata> = HashMap::new();
    let mut placed: BTreeMap<String, Version> = BTreeMap::new();
    let mut installed = Vec::new();
    let mut open: VecDeque<Wanted> = roots.iter().map(wanted).collect();
    while let Some(wanted) = open.pop_front() {
        let fail = |message: String| Failure { import: wanted.import, message };
        if !is_name(&wanted.name) {
            return Err(fail(format!("`{}` is not the name of a package.", wanted.name)));
        }
        if !known.contains_key(&wanted.name) {
            let metadata = registry.metadata(&wanted.name).await.map_err(|error| fail(error.to_string()))?;
            known.insert(wanted.name.clone(), metadata);
        }
        let metadata = &known[&wanted.name];
        let fits = |version: &Version| fits(metadata, &wanted.range, version);
        let Some(path) = place(&placed, &wanted, fits) else { continue };
        let (version, manifest) = choose(metadata, &wanted.range)
            .ok_or_else(|| fail(format!("`{}` has no version that fits `{}`.", wanted.name, wanted.range)))?;
        let integrity = manifest.dist.integrity.as_deref().and_then(Integrity::parse).ok_or_else(|| {
            fail(format!(
                "The registry has no SHA-512 of `{}@{version}`, without which it is not used.",
                wanted.name
            ))
        })?;
        if installed.len() == MAX_PACKAGES {
            return Err(fail(format!("More than {MAX_PACKAGES} packages would be needed.")));
        }
        placed.insert(path.clone(), version.clone());
        open.extend(needs(manifest).map(|(name, range)| Wanted {
            import: wanted.import,
            name: name.clone(),
            range: range.clone(),
            from: path.clone(),
        }));
        let archive = manifest.dist.tarball.clone();
        installed.push(Installed { path, name: wanted.name, version, archive, integrity });
    }
    Ok(installed)
}

fn wanted(root: &Root) -> Wanted {
    Wanted { import: root.import, name: root.name.clone(), range: root.range.clone(), from: String::new() }
}

/// Where a package has to lie; `None` if one that fits is found from there already.
fn place(
    placed: &BTreeMap<String, Version>,
    wanted: &Wanted,
    fits: impl Fn(&Version) -> bool,
) -> Option<String> {
    let below = |folder: &str| {
        let separator = if folder.is_empty() { "" } else { "/" };
        format!("{folder}{separator}node_modules/{}", wanted.name)
    };
    let mut folder = wanted.from.as_str();
    loop {
        match placed.get(&below(folder)) {
            Some(version) if fits(version) => return None,
            // The nearest of that name is another version: this one has to be nearer.
            Some(_) => return Some(below(&wanted.from)),
            None if folder.is_empty() => return Some(below("")),
            None => {
                folder = folder.rsplit_once("node_modules/").map_or("", |(up, _)| up.trim_end_matches('/'));
            }
        }
    }
}

fn fits(metadata: &Metadata, range: &str, version: &Version) -> bool {
    match metadata.tags.get(range) {
        Some(tagged) => *tagged == version.to_string(),
        None => Range::parse(range).is_some_and(|range| range.holds(version)),
    }
}

/// The version with that tag, else `latest` if it fits, else the highest that fits.
fn choose<'m>(metadata: &'m Metadata, range: &str) -> Option<(Version, &'m Manifest)> {
    let latest = metadata.tags.get("latest");
    let mut fitting: Vec<(Version, &Manifest)> =
        metadata.parsed().filter(|(version, _)| fits(metadata, range, version)).collect();
    fitting.sort_by(|(a, _), (b, _)| {
        let is_latest = |version: &Version| latest.is_some_and(|latest| *latest == version.to_string());
        (is_latest(a), a).cmp(&(is_latest(b), b))
    });
    fitting.pop()
}

/// Optional packages are mostly native ones and are left out; peers are needed as others are.
fn needs(manifest: &Manifest) -> impl Iterator<Item = (&String, &String)> {
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
        let wanted = Wanted { import: 0, name: "b".into(), range: range.into(), from: from.into() };
        let range = Range::parse(range).unwrap();
        place(&placed, &wanted, |version| range.holds(version))
    }

    #[test]
    fn a_package_lies_as_far_up_as_it_can() {
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

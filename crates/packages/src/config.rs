//! Configuration of npm packages.

use crate::specifier::Allowed;
use shared::config::EnvReader;
use std::path::PathBuf;
use url::Url;

/// `SCRIPT_NPM`: whether scripts may import npm packages.
#[derive(Clone, Debug)]
pub struct PackagesConfig {
    /// `NPM_REGISTRY_URL`: base URL of the npm registry; required with `SCRIPT_NPM=1`.
    // Always ends in a slash, which `registry_url` adds.
    pub registry_url: Url,
    /// `SCRIPT_NPM_ALLOW`: names of the packages that scripts may import, separated by commas; empty allows all.
    pub allowed: Allowed,
    /// `ESBUILD_PATH`: path of esbuild's native program, not of the script that npm installs as `esbuild`.
    pub bundler: PathBuf,
}

impl PackagesConfig {
    /// Reads `SCRIPT_NPM`, `SCRIPT_NPM_ALLOW`, `NPM_REGISTRY_URL` and `ESBUILD_PATH`. `None` if packages are off.
    pub fn read(environment: &mut EnvReader) -> Option<Self> {
        let on = environment.flag("SCRIPT_NPM");
        let allowed = Allowed::parse(&environment.list("SCRIPT_NPM_ALLOW"));
        let registry = environment.optional_as("NPM_REGISTRY_URL", registry_url);
        let bundler = environment.text_or("ESBUILD_PATH", "/usr/local/bin/esbuild").into();
        let allowed = allowed.map_err(|rule| environment.problem("SCRIPT_NPM_ALLOW", rule)).ok();
        if !on {
            return None;
        }
        if registry.is_none() {
            environment
                .problem("NPM_REGISTRY_URL", "is required with SCRIPT_NPM=1 as the source of packages");
        }
        Some(Self { registry_url: registry?, allowed: allowed?, bundler })
    }
}

fn registry_url(text: &str) -> Result<Url, &'static str> {
    const RULE: &str = "must be an http or https address without a query";
    let url: Url = format!("{}/", text.trim_end_matches('/')).parse().map_err(|_| RULE)?;
    let fits = matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none();
    if fits && url.fragment().is_none() { Ok(url) } else { Err(RULE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<const N: usize>(variables: [(&str, &str); N]) -> (Option<PackagesConfig>, String) {
        let mut environment: EnvReader = variables.into();
        let config = PackagesConfig::read(&mut environment);
        let problems = environment.finish(|| Some(())).err().map(|problems| problems.to_string());
        (config, problems.unwrap_or_default())
    }

    #[test]
    fn packages_are_off_unless_turned_on() {
        assert!(read([]).0.is_none());
        assert!(read([("NPM_REGISTRY_URL", "http://npm.example")]).0.is_none());
        let (config, problems) = read([("SCRIPT_NPM", "1"), ("NPM_REGISTRY_URL", "http://npm.example/all")]);
        assert_eq!(
            (config.unwrap().registry_url.as_str(), problems.as_str()),
            ("http://npm.example/all/", "")
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert!(read([("SCRIPT_NPM", "1")]).1.contains("NPM_REGISTRY_URL is required with SCRIPT_NPM=1"));
        let (_, problems) = read([("NPM_REGISTRY_URL", "ftp://x"), ("SCRIPT_NPM_ALLOW", "Lo Dash")]);
        assert!(problems.contains("NPM_REGISTRY_URL must be an http or https address"), "{problems}");
        assert!(problems.contains("SCRIPT_NPM_ALLOW"), "{problems}");
    }
}

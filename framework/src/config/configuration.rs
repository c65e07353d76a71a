//! A configuration as a program reads it: one file, its profile, and the environment over it.
//!
//! It is read once, before the application's values are made. [`section`](Configuration::section) gives the
//! application its own settings; [`App::configuration`](crate::App::configuration) takes the rest. Sections that
//! nobody has read by then are mistakes.

use super::environment::{Environment, PROFILE, ROOT};
use super::layer::{GLOBAL_GROUPS, Layer};
use super::node::{Content, Node, Origin};
use super::{AppPlace, ConfigError, section};
use crate::private_file;
use crate::suggestion::{similar, suggestion};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use toml::Value;

/// The profile of a debug build, and that of a release build.
const USUAL_PROFILES: [&str; 2] = ["development", "production"];

/// The settings of a program: a TOML file with the environment over it, and sections of the program's own.
///
/// ```
/// use kirsch::{prelude::*, testing::Client};
/// use serde::Deserialize;
/// use std::time::Duration;
///
/// #[derive(Deserialize)]
/// struct ShopSettings {
///     title: String,
///     #[serde(default)]
///     owners: Vec<String>,
///     reserved_for: Duration,
///     password: Secret,
/// }
///
/// let configuration = Configuration::text(r#"
///     [global]
///     server.threads = 20
///
///     [shop]
///     title = "Teas"
///     reserved_for = "20m"
///     password = "correct horse"
///
///     [profile.production]
///     shop.password = { file = "/run/secrets/shop" }
/// "#)?;
/// let shop: ShopSettings = configuration.section("shop")?;
/// assert_eq!((&*shop.title, shop.reserved_for), ("Teas", Duration::from_secs(1200)));
///
/// let app = App::new(Tree::new().index(move |_| shop.title.clone())).configuration(configuration);
/// Client::in_process(app).get("/").send().assert_text("Teas");
/// # Ok::<(), kirsch::Error>(())
/// ```
///
/// A program calls [`read`](Self::read), tests call [`text`](Self::text). The guide has a page about
/// [configuration](https://github.com/kirsch-web/kirsch/blob/main/docs/guide/configuration.md).
pub struct Configuration {
    name: Arc<str>,
    document: Node,
    environment: Environment,
    default_profile: String,
    /// The sections that the application has read.
    read: Mutex<BTreeSet<String>>,
}

impl Configuration {
    /// Reads a file, and the variables of the environment that set something (`KIRSCH_SHOP__TITLE`).
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or has settings outside of sections; when the name of a variable is
    /// malformed or its value not UTF-8.
    pub fn read(path: impl AsRef<Path>) -> crate::Result<Self> {
        Ok(Self::of_file(path.as_ref())?.over(&Environment::of_process()?))
    }

    /// Takes the text of a file, without any variable.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn text(text: &str) -> crate::Result<Self> {
        Ok(Self::parse("the configuration", text)?)
    }

    /// Lays variables over the file, given by name and value; others than those whose name starts with `KIRSCH_` do not
    /// count.
    ///
    /// With `std::env::vars_os()` a program that brings its configuration along gets those of its environment.
    ///
    /// ```
    /// use kirsch::Configuration;
    /// use std::collections::BTreeMap;
    ///
    /// let configuration = Configuration::text("[shop]\ntitle = 'Teas'")?.variables([("KIRSCH_SHOP__TITLE", "Coffees")])?;
    /// let shop: BTreeMap<String, String> = configuration.section("shop")?;
    /// assert_eq!(shop["title"], "Coffees");
    /// # Ok::<(), kirsch::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a name is malformed or a value not UTF-8.
    pub fn variables<N: Into<OsString>, V: Into<OsString>>(
        self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> crate::Result<Self> {
        Ok(self.over(&Environment::of(variables)?))
    }

    /// The profile that holds unless the variable `KIRSCH_PROFILE` names another. Without this call it is `development`
    /// in a debug build and `production` in a release build.
    #[must_use]
    pub fn default_profile(self, profile: impl Into<String>) -> Self {
        Self { default_profile: profile.into(), ..self }
    }

    /// The profile whose sections count: `production` for `[profile.production]`.
    pub fn profile(&self) -> &str {
        self.environment.profile().unwrap_or(&self.default_profile)
    }

    /// Reads a section of the application's own into a type that serde can make, mostly a struct.
    ///
    /// A duration has a unit (`"20m"`), a `u64` may have one (`"10 MB"`). A text may come from a file: `{ file =
    /// "/run/secrets/shop" }`, or `{ credential = "shop" }` for one that systemd passes on. Keep secrets in
    /// [`Secret`](crate::settings::Secret). A missing section is an empty one.
    ///
    /// # Errors
    /// Names the place and the key whose value is missing, unknown, or of another type; tells when the profile does not
    /// exist.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> crate::Result<T> {
        if name == "global"
            || name == "profile"
            || name == ROOT
            || GLOBAL_GROUPS.contains(&name)
            || name.starts_with('/')
        {
            let problem = format!("[{name}] cannot be a section of its own: the name means something else");
            return Err(ConfigError::new("the application", problem).into());
        }
        self.read.lock().insert(name.to_owned());
        self.check_profile()?;
        let over = self.profile_node().and_then(|profile| profile.get(name)).cloned();
        let over = over.into_iter().chain(self.environment.for_section(name));
        let written = self.document.get(name).cloned();
        let is_missing = written.is_none();
        let mut node = written.unwrap_or_else(|| Node::empty(Origin::File(self.name.clone())));
        over.for_each(|over| node.lay_over(over));
        let read = section::read(&node, name);
        Ok(read.map_err(|error| if is_missing { self.with_similar_section(error, name) } else { error })?)
    }

    pub(crate) fn of_file(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => {
                private_file::warn_of_changes(path, "the configuration");
                let read = Self::parse(&name, &text)?;
                if is_secret("", &read.document.to_value(false)) {
                    private_file::warn_if_everybody_reads(path, "the secrets of the configuration");
                }
                Ok(read)
            }
            Err(error) => Err(ConfigError::new(name, format!("cannot be read: {error}"))),
        }
    }

    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let name: Arc<str> = name.into();
        let document = Node::parse(&name, text)?;
        check_sections(&document, "")?;
        let profiles = document.get("profile").and_then(Node::as_table).into_iter().flatten();
        for (profile, node) in profiles {
            check_sections(node, profile)?;
        }
        let default_profile = USUAL_PROFILES[usize::from(!cfg!(debug_assertions))].to_owned();
        Ok(Self { name, document, environment: Environment::default(), default_profile, read: Mutex::default() })
    }

    pub(crate) fn over(self, environment: &Environment) -> Self {
        Self { environment: self.environment.with(environment), ..self }
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// What it says for the framework, without its variables.
    pub(crate) fn layers(&self, place: &AppPlace) -> Vec<Layer> {
        let within = format!("profile.{}.", self.profile());
        let profile = self.profile_node().map(|node| layer(node, within));
        let layers = [layer(&self.document, String::new())].into_iter().chain(profile);
        layers.map(|layer| layer.at(place.clone())).collect()
    }

    /// The names of the profiles that it has sections for.
    pub(crate) fn profiles(&self) -> impl Iterator<Item = &str> {
        self.document.get("profile").and_then(Node::as_table).into_iter().flatten().map(|(name, _)| &**name)
    }

    /// The sections that the application has read.
    pub(crate) fn sections_read(&self) -> BTreeSet<String> {
        self.read.lock().clone()
    }

    /// Refuses the sections that nobody has read.
    pub(crate) fn check_sections_read(&self) -> Result<(), ConfigError> {
        let read = self.read.lock();
        let profile = self.profiles().filter_map(|name| Some((name, self.document.get("profile")?.get(name)?)));
        let places = [("", &self.document)].into_iter().chain(profile);
        let sections =
            places.flat_map(|(profile, node)| own_sections(node).map(move |(name, node)| (profile, name, node)));
        let mut unread = sections.filter(|(_, name, _)| !read.contains(*name));
        let Some((profile, name, node)) = unread.next() else { return Ok(()) };
        let known: Vec<&str> = ["global"].into_iter().chain(read.iter().map(|name| &**name)).collect();
        let heading = if profile.is_empty() { name.to_owned() } else { format!("profile.{profile}.{name}") };
        let remedy = match similar(name, &known) {
            Some(known) => format!("; did you mean [{known}]?"),
            None => format!(
                ": a path starts with `/`, as [\"/{name}\"], and `Configuration::section` reads a section of your own"
            ),
        };
        let problem = format!("nothing reads the section [{heading}]{remedy}");
        Err(ConfigError::new(node.origin.to_string(), problem))
    }

    fn profile_node(&self) -> Option<&Node> {
        self.document.get("profile")?.get(self.profile())
    }

    fn check_profile(&self) -> Result<(), ConfigError> {
        check_profile(self.profile(), self.profiles(), self.environment.profile().is_some())
    }

    /// The error about a section that is not there, with the one that may be meant.
    fn with_similar_section(&self, error: ConfigError, name: &str) -> ConfigError {
        let read = self.read.lock();
        let others: Vec<&str> =
            own_sections(&self.document).map(|(name, _)| name).filter(|name| !read.contains(*name)).collect();
        let similar = similar(name, &others).map(|other| format!("; is [{other}] meant?"));
        let problem = format!("{}. There is no section [{name}]{}", error.problem, similar.unwrap_or_default());
        ConfigError::new(error.place, problem)
    }
}

/// Refuses a profile that no file knows: its name is probably misspelt.
pub(crate) fn check_profile<'p>(
    profile: &str,
    known: impl Iterator<Item = &'p str>,
    is_by_variable: bool,
) -> Result<(), ConfigError> {
    let known: BTreeSet<&str> = known.chain(USUAL_PROFILES).collect();
    if known.contains(profile) {
        return Ok(());
    }
    let place =
        if is_by_variable { format!("the environment variable {PROFILE}") } else { "the application".to_owned() };
    let known: Vec<&str> = known.into_iter().collect();
    let problem = format!("there is no [profile.{profile}]; {}", suggestion(profile, &known));
    Err(ConfigError::new(place, problem))
}

fn layer(node: &Node, within: String) -> Layer {
    let table = node.as_table().into_iter().flatten();
    let sections = table.filter(|(name, _)| name.starts_with('/')).map(|(name, node)| (name.clone(), node.clone()));
    let global = node.get("global").filter(|global| global.as_table().is_some_and(|keys| !keys.is_empty()));
    Layer { place: AppPlace::default(), within, global: global.cloned(), sections: sections.collect() }
}

/// The sections that are the application's own.
fn own_sections(node: &Node) -> impl Iterator<Item = (&str, &Node)> {
    let entries = node.as_table().into_iter().flatten().map(|(name, node)| (&**name, node));
    entries.filter(|(name, _)| *name != "global" && *name != "profile" && !name.starts_with('/'))
}

/// Refuses keys outside of sections, in a file or in one of its profiles.
fn check_sections(node: &Node, profile: &str) -> Result<(), ConfigError> {
    let refused = |node: &Node, problem: String| Err(ConfigError::new(node.origin.to_string(), problem));
    let Some(entries) = node.as_table() else {
        return refused(
            node,
            format!("`profile.{profile}` is not a table: write [profile.{profile}] and sections below it"),
        );
    };
    for (name, node) in entries {
        let is_section = match &node.content {
            Content::Table(_) => true,
            Content::List(_) => !name.starts_with('/') && name != "global" && name != "profile",
            Content::Value(_) | Content::Text(_) => false,
        };
        let within = if profile.is_empty() { String::new() } else { format!("profile.{profile}.") };
        match &**name {
            _ if !is_section => {
                let problem = format!(
                    "`{name}` stands outside of all sections: move it below [{within}global] or a path, as [{within}\"/\"]"
                );
                return refused(node, problem);
            }
            group if GLOBAL_GROUPS.contains(&group) => {
                return refused(node, format!("`{group}` is for the whole program: write it below [{within}global]"));
            }
            ROOT => {
                let problem = "[root] is the section [\"/\"], in the names of variables: write that".to_owned();
                return refused(node, problem);
            }
            "profile" if !profile.is_empty() => {
                return refused(node, "a profile has no profiles: move it to the top of the file".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a value is for few eyes: a secret, a password, or the address of a server with one in it.
pub(super) fn is_secret(key: &str, value: &Value) -> bool {
    match value {
        Value::Table(table) => table.iter().any(|(key, value)| is_secret(key, value)),
        Value::Array(values) => values.iter().any(|value| is_secret(key, value)),
        Value::String(text) => {
            let rest = text.split_once("://").map_or("", |(_, rest)| rest);
            let credentials = rest.split(['/', '?']).next().and_then(|authority| authority.rsplit_once('@'));
            let is_asked = ["pass=", "password="].iter().any(|name| text.contains(name));
            (is_named_secret(key) && !text.is_empty())
                || is_asked
                || credentials.is_some_and(|(user, _)| user.contains(':'))
        }
        _ => false,
    }
}

/// Whether the name of a key says that its value is secret.
pub(super) fn is_named_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["secret", "password", "passphrase", "token"].iter().any(|name| key.contains(name))
}

/// Shows no values: some are secret.
impl std::fmt::Debug for Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sections: Vec<_> = self.document.as_table().into_iter().flatten().map(|(name, _)| name).collect();
        f.debug_struct("Configuration")
            .field("name", &self.name)
            .field("profile", &self.profile())
            .field("sections", &sections)
            .finish_non_exhaustive()
    }
}

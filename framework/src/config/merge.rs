//! Code and files, merged by path: from the settings of each section to its plan.

use super::layer::{Refused, apply};
use super::node::Node;
use super::{ConfigError, Layer};
use crate::exchange::{Limit, Limits, StatusSource};
use crate::http::encode_segment;
use crate::lifecycle::{BackgroundJob, ErrorForm, ErrorPages, HookPoint, Hooks, PathSettings, Plan, Sections, Tool};
use crate::settings::{Settings, flag};
use crate::suggestion::suggestion;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use toml::{Table, Value};

/// The settings of a section in code.
pub(crate) enum Change {
    /// A tool that is on unless the application says otherwise; it may be replaced.
    Default(Arc<dyn Tool>),
    /// Switches a tool on, with these settings.
    On(Arc<dyn Tool>),
    /// Switches a tool off.
    Off(String),
    /// Changes settings.
    Settings(Box<dyn Fn(&mut PathSettings) + Send + Sync>),
    /// Sets error pages.
    ErrorPages(Box<dyn Fn(&mut ErrorPages) + Send + Sync>),
}

/// Where an app is among others: the path that it is mounted at, and how many apps are above it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AppPlace {
    pub(crate) mount: String,
    pub(crate) depth: usize,
}

impl AppPlace {
    /// The place that this one becomes when its app is mounted at `path` of another.
    #[must_use]
    pub(crate) fn below(&self, path: &str) -> Self {
        Self { mount: joined(path, &self.mount), depth: self.depth + 1 }
    }
}

/// `path`, in an app that is mounted at `mount`. A malformed path stays malformed, to be refused.
pub(crate) fn joined(mount: &str, path: &str) -> String {
    match path.trim_start_matches('/') {
        rest if rest.len() == path.len() && !path.is_empty() => path.to_owned(),
        "" if mount.is_empty() => path.to_owned(),
        "" => mount.to_owned(),
        rest => format!("{}/{rest}", mount.trim_end_matches('/')),
    }
}

/// A mount's path as it stands in addresses, without a slash at its end; slashes that mean nothing are left out.
fn encoded(mount: &str) -> String {
    let segments = SectionPath::decoded(mount).unwrap_or_default();
    segments.iter().map(|segment| format!("/{}", encode_segment(segment))).collect()
}

/// The settings of an app in code for one of its paths.
pub(crate) struct Statement {
    pub(crate) place: AppPlace,
    /// The path as written, within the app.
    pub(crate) path: String,
    pub(crate) change: Change,
}

/// The path of a section: decoded segments, as the traversal compares them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SectionPath(Vec<String>);

impl SectionPath {
    pub(crate) fn parse(path: &str) -> Result<Self, String> {
        let segments = Self::decoded(path)?;
        Ok(Self(segments.into_iter().map(|segment| segment.replace(['-', '.'], "_")).collect()))
    }

    /// The segments as they are, decoded.
    pub(crate) fn decoded(path: &str) -> Result<Vec<String>, String> {
        if !path.starts_with('/') {
            return Err(format!("`{path}` is not a path: it must start with `/`"));
        }
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        Ok(segments
            .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect())
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// The result: plans, and which path gets which.
pub(crate) struct Merged {
    pub(crate) sections: Sections,
    pub(crate) plans: Vec<Plan>,
    /// The path of each plan.
    pub(crate) paths: Vec<SectionPath>,
    pub(crate) background: Vec<BackgroundJob>,
    /// What the tools show on the status page.
    pub(crate) status: Vec<Arc<dyn StatusSource>>,
    /// What an upgrade loses.
    pub(crate) lost: Vec<&'static str>,
    /// The pages that tools link to by name: the place in words, and the name.
    pub(crate) links: Vec<(String, String)>,
    /// What looks like a mistake, and stops nothing.
    pub(crate) findings: Vec<String>,
}

/// Merges the settings of one tree in code, in their order, and those of the files, in theirs. A mounted app comes
/// before the one it is mounted in, which has the last word.
pub(crate) fn merge(
    code: &[Statement],
    layers: &[Layer],
    mounts: &[String],
    host: Option<&str>,
    is_rehearsal: bool,
) -> Result<Merged, ConfigError> {
    let mut code: Vec<&Statement> = code.iter().collect();
    let mut layers: Vec<&Layer> = layers.iter().collect();
    code.sort_by_key(|statement| std::cmp::Reverse(statement.place.depth));
    layers.sort_by_key(|layer| std::cmp::Reverse(layer.place.depth));
    // Parents come before their children in this order.
    let mut said: BTreeMap<SectionPath, Said<'_>> = BTreeMap::new();
    said.insert(SectionPath(Vec::new()), Said { written: "/".to_owned(), ..Said::default() });
    for written in mounts {
        let path = SectionPath::parse(written).map_err(|problem| ConfigError::new("the application", problem))?;
        said.entry(path).or_insert_with(|| Said::at(written)).mount = Some(encoded(written).into());
    }
    for Statement { place, path, change } in &code {
        let written = joined(&place.mount, path);
        let path = SectionPath::parse(&written).map_err(|problem| ConfigError::new("the application", problem))?;
        said.entry(path).or_insert_with(|| Said::at(&written)).changes.push((place, change));
    }
    for layer in layers {
        for (in_layer, node) in &layer.sections {
            let written = joined(&layer.place.mount, in_layer);
            let path =
                SectionPath::parse(&written).map_err(|problem| ConfigError::new(node.origin.to_string(), problem))?;
            said.entry(path).or_insert_with(|| Said::at(&written)).layers.push((layer, in_layer, node));
        }
    }
    let known_tools: Vec<&str> = code
        .iter()
        .filter_map(|statement| match &statement.change {
            Change::Default(tool) | Change::On(tool) => Some(tool.name()),
            Change::Off(_) | Change::Settings(_) | Change::ErrorPages(_) => None,
        })
        .collect();

    let mut drafts: Vec<(SectionPath, Draft)> = Vec::new();
    for (path, said) in said {
        let parent = drafts.iter().rev().find(|(above, _)| path.0.starts_with(&above.0));
        let mut draft = parent.map(|(_, draft)| draft.clone()).unwrap_or_default();
        draft.written = said.written;
        let inherited = (draft.settings.errors, std::mem::take(&mut draft.error_pages));
        if said.mount.is_some() {
            draft.mount = said.mount;
        }
        for (app, change) in said.changes {
            draft.apply(change, app)?;
        }
        draft.check_error_pages().map_err(|problem| ConfigError::new("the application", problem))?;
        for (layer, in_layer, node) in said.layers {
            apply(node, |table| draft.apply_table(table, &known_tools))
                .and_then(|()| draft.check_error_pages().map_err(|problem| Refused::new(ERROR_PAGES, problem)))
                .map_err(|refused| layer.error(in_layer, node, &refused))?;
        }
        draft.inherit_error_pages(inherited);
        drafts.push((path, draft));
    }
    Merged::new(drafts, host, is_rehearsal)
}

#[derive(Default)]
struct Said<'a> {
    written: String,
    /// The path of the app that is mounted here, encoded.
    mount: Option<Arc<str>>,
    /// Each with the app that says it.
    changes: Vec<(&'a AppPlace, &'a Change)>,
    /// Each with the path as it is written there.
    layers: Vec<(&'a Layer, &'a str, &'a Node)>,
}

impl Said<'_> {
    fn at(written: &str) -> Self {
        Self { written: written.to_owned(), ..Self::default() }
    }
}

/// A section while it is put together; a child begins with a copy of its parent's.
#[derive(Clone, Default)]
struct Draft {
    written: String,
    tools: Vec<DraftTool>,
    settings: PathSettings,
    error_pages: ErrorPages,
    /// Where the app is mounted that the section belongs to.
    mount: Option<Arc<str>>,
    /// The section that set each of the limits.
    limits_set_by: [Option<String>; LIMITS.len()],
}

/// The table of a section that names its error pages.
const ERROR_PAGES: &str = "error_pages";

type NamedLimit = (&'static str, fn(&PathSettings) -> u64);

/// The limits of bodies, whose answers name the section that set them.
const LIMITS: [NamedLimit; 4] = [
    ("max_body", |settings| settings.max_body),
    ("max_form", |settings| settings.max_form),
    ("max_json", |settings| settings.max_json),
    ("max_parts", |settings| settings.max_parts as u64),
];

#[derive(Clone)]
struct DraftTool {
    tool: Arc<dyn Tool>,
    on: bool,
    /// The section whose code switched it on, and the app; `None` while it is a default.
    set_by: Option<(String, AppPlace)>,
}

impl Draft {
    fn apply(&mut self, change: &Change, app: &AppPlace) -> Result<(), ConfigError> {
        match change {
            Change::Default(tool) => self.tools.push(DraftTool { tool: tool.clone(), on: true, set_by: None }),
            Change::On(tool) => {
                let mut on =
                    DraftTool { tool: tool.clone(), on: true, set_by: Some((self.written.clone(), app.clone())) };
                match self.find(tool.name()) {
                    Some(earlier) if earlier.set_by == on.set_by => {
                        let problem =
                            format!("the tool `{}` is switched on twice at `{}`: keep one", tool.name(), self.written);
                        return Err(ConfigError::new("the application", problem));
                    }
                    Some(earlier) => {
                        let added = tool.added_to(&*earlier.tool).filter(|_| earlier.on);
                        on.tool = added.map_or(on.tool, Arc::from);
                        *earlier = on;
                    }
                    None => self.tools.push(on),
                }
            }
            Change::Off(name) => match self.find(name) {
                Some(tool) => tool.on = false,
                None => {
                    let names: Vec<_> = self.tools.iter().map(|tool| tool.tool.name()).collect();
                    let problem = format!("no tool `{name}` is on at `{}`; {}", self.written, suggestion(name, &names));
                    return Err(ConfigError::new("the application", problem));
                }
            },
            Change::Settings(change) => {
                let before = self.settings.clone();
                change(&mut self.settings);
                self.note_limits(&before);
            }
            Change::ErrorPages(change) => change(&mut self.error_pages),
        }
        Ok(())
    }

    fn apply_table(&mut self, table: &Table, known_tools: &[&str]) -> Result<(), Refused> {
        let before = self.settings.clone();
        for (name, value) in table {
            if let Some(set) = self.settings.set_setting(name, value) {
                set.map_err(|problem| Refused::new(name, format!("`{name}` {problem}")))?;
            } else if name == ERROR_PAGES {
                self.error_pages.read(value).map_err(|problem| Refused::new(name, problem))?;
            } else if let (Some(tool), Value::Table(keys)) = (self.find(name), value) {
                tool.apply_table(name, keys)?;
            } else {
                return Err(Refused::new(name, self.unknown(name, value, known_tools)));
            }
        }
        self.note_limits(&before);
        Ok(())
    }

    fn unknown(&self, name: &str, value: &Value, known_tools: &[&str]) -> String {
        let path = &self.written;
        if name == "server" {
            return "`server` is for the whole program: move it to [global]".to_owned();
        }
        if self.tools.iter().any(|tool| tool.tool.name() == name) {
            let value = value.as_bool().unwrap_or(true);
            return format!("`{name}` is a tool: write `{name}.on = {value}`, or one of its settings");
        }
        if known_tools.contains(&name) {
            return format!(
                "the tool `{name}` is not on here: switch it on in code, with `.tool(\"{path}\", …)` or further up"
            );
        }
        let rows = self.settings.setting_rows();
        let settings = rows.iter().map(|row| row.key).chain([ERROR_PAGES]);
        let names: Vec<_> = settings.chain(known_tools.iter().copied()).collect();
        let hint = if value.is_table() {
            format!(" (a tool must be switched on in code first, with `.tool(\"{path}\", …)`)")
        } else {
            String::new()
        };
        format!("`{name}` is not a setting or a tool; {}{hint}", suggestion(name, &names))
    }

    fn check_error_pages(&mut self) -> Result<(), String> {
        let refused = self.error_pages.refusal.take();
        refused.map_or(Ok(()), |problem| Err(format!("the error pages at `{}`: {problem}", self.written)))
    }

    /// Lays the section's own error pages over those from above. A section that says another form than the one above it
    /// wants none of their pages: those would have their own form.
    fn inherit_error_pages(&mut self, (form, inherited): (ErrorForm, ErrorPages)) {
        if form == self.settings.errors {
            self.error_pages.lay_over(inherited);
        }
    }

    fn find(&mut self, name: &str) -> Option<&mut DraftTool> {
        self.tools.iter_mut().find(|tool| tool.tool.name() == name)
    }

    /// Remembers which section a limit comes from.
    fn note_limits(&mut self, before: &PathSettings) {
        for (set_by, (_, value)) in self.limits_set_by.iter_mut().zip(LIMITS) {
            if value(&self.settings) != value(before) {
                *set_by = Some(self.written.clone());
            }
        }
    }

    fn limits(&self) -> Limits {
        let [max_body, max_form, max_json, max_parts] = std::array::from_fn(|index| {
            let (name, value) = LIMITS[index];
            let section = self.limits_set_by[index].as_deref().unwrap_or("/");
            Limit::new(name, section, value(&self.settings))
        });
        Limits { max_body, max_form, max_json, max_parts, json_types: self.settings.json_types.clone() }
    }
}

impl DraftTool {
    fn apply_table(&mut self, name: &str, keys: &Table) -> Result<(), Refused> {
        let refused = |key: &str, problem: &str| {
            let key = format!("{name}.{key}");
            Refused::new(&*key, format!("`{key}` {problem}"))
        };
        let mut keys = keys.clone();
        if let Some(on) = keys.remove("on") {
            self.on = flag(&on).map_err(|problem| refused("on", &problem))?;
        }
        if !keys.is_empty() {
            let tool = self.tool.configure(&keys);
            self.tool = tool.map_err(|error| refused(&error.key, &error.problem))?.into();
        }
        Ok(())
    }
}

/// The code that switches a tool on.
pub(crate) fn how_to_add(tool: &str) -> String {
    match tool {
        "sessions" => ".tool(\"/\", Sessions::in_memory())".to_owned(),
        "templates" => ".tool(\"/\", Templates::new(\"templates\"))".to_owned(),
        "login" => "SessionAuth, AuthBasic or AuthDigest there with .tool(\"/…\", …), or take `Option<&Login>`; \
                    a tool of your own says `hooks.provides(\"login\")`"
            .to_owned(),
        tool => format!("the tool `{tool}` with .tool(\"/\", …)"),
    }
}

impl Merged {
    fn new(drafts: Vec<(SectionPath, Draft)>, host: Option<&str>, is_rehearsal: bool) -> Result<Self, ConfigError> {
        let mut merged = Self {
            sections: Sections::default(),
            plans: Vec::new(),
            paths: Vec::new(),
            background: Vec::new(),
            lost: Vec::new(),
            status: Vec::new(),
            links: Vec::new(),
            findings: Vec::new(),
        };
        static TREES: AtomicU64 = AtomicU64::new(1);
        let tree = TREES.fetch_add(1, Ordering::Relaxed);
        // A tool that several sections share attaches once.
        let mut attached: Vec<(Arc<dyn Tool>, Hooks)> = Vec::new();
        for (path, draft) in drafts {
            let mut plan = Plan {
                limits: Arc::new(draft.limits()),
                section: draft.written,
                mount: draft.mount,
                settings: draft.settings,
                error_pages: draft.error_pages,
                ..Plan::default()
            };
            let (mut needed, mut users) = (Vec::new(), Vec::new());
            for DraftTool { tool, set_by, .. } in draft.tools.into_iter().filter(|tool| tool.on) {
                plan.tools.push(tool.name());
                plan.answers |= tool.answers();
                let known = attached.iter().position(|(other, _)| Arc::ptr_eq(other, &tool));
                let index = match known {
                    Some(index) => index,
                    None => {
                        let (section, app) = set_by.unwrap_or_else(|| ("/".to_owned(), AppPlace::default()));
                        let mount = encoded(&app.mount).into();
                        let tool_name = tool.name();
                        let mut hooks =
                            Hooks { tool: tool_name, section, mount, tree, is_rehearsal, ..Hooks::default() };
                        tool.attach(&mut hooks);
                        if let Some(error) = hooks.refusal {
                            let place = format!("the tool `{}` at `{}`", tool.name(), plan.section);
                            return Err(ConfigError::new(place, error.to_string()));
                        }
                        let is_early = hooks.hooks.iter().any(|hook| hook.point == HookPoint::BeforeRouting);
                        let problem = match host {
                            None => "it works before the path is looked at, so it can only be on at `/`",
                            Some(_) => {
                                "it works before the host is looked at: switch it on at `/` of the app that has the virtual hosts"
                            }
                        };
                        if is_early && (host.is_some() || !path.0.is_empty()) {
                            let place = format!("the tool `{}` at `{}`", tool.name(), plan.section);
                            return Err(ConfigError::new(place, problem));
                        }
                        merged.background.append(&mut hooks.background);
                        merged.status.append(&mut hooks.status);
                        merged.lost.append(&mut hooks.lost);
                        let links = std::mem::take(&mut hooks.links).into_iter();
                        let section = &plan.section;
                        merged.links.extend(links.map(|(page, place)| {
                            (format!("the tool `{}` at `{section}`: {place}", tool.name()), page)
                        }));
                        attached.push((tool, hooks));
                        attached.len() - 1
                    }
                };
                plan.add(&attached[index].1);
                users.push(index);
                needed.extend(attached[index].1.needed.iter().map(|needs| (attached[index].1.tool, *needs)));
            }
            if let Some((tool, missing)) = needed.into_iter().find(|(_, needs)| !plan.tools.contains(needs)) {
                let place = format!("the tool `{tool}` at `{}`", plan.section);
                let problem =
                    format!("it needs the tool `{missing}`, which is not on there: add {}", how_to_add(missing));
                return Err(ConfigError::new(place, problem));
            }
            if plan.settings.debug_page {
                let rows = plan.settings.setting_rows().into_iter();
                plan.prepare_debug_page(rows.map(|row| (row.key, row.value)).collect());
            }
            users.iter().flat_map(|index| &attached[*index].1.when_complete).for_each(|look| look(&plan));
            merged.sections.insert(path.segments(), merged.plans.len());
            merged.plans.push(plan);
            merged.paths.push(path);
        }
        Ok(merged)
    }
}

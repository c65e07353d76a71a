//! The tables of the reference come from the code: settings from their declarations, hooks from the plans.
//!
//! A line `<!-- settings of NAME -->` in a page stands before such a table. A page that says something else than the
//! code fails here with the right text; `KIRSCH_TABLES=write cargo test -p integration-tests --test tables` writes it.

use kirsch::jobs::{PostgresQueue, RedisQueue};
use kirsch::lifecycle::Plan;
use kirsch::push::{Await, Topic};
use kirsch::server::ServerSettings;
use kirsch::sessions::{FileStore, MemcachedStore, PostgresStore, RedisStore, SqliteStore, Store};
use kirsch::settings::{SettingRow, Settings};
use kirsch::tls::{ClientCertificates, Tls};
use kirsch::tools::*;
use kirsch::{App, Sessions, Tool, Tree, lifecycle::PathSettings};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// One test at a time reads and writes the pages.
static PAGES: Mutex<()> = Mutex::new(());

/// A tool as it is before anything sets it.
struct Described {
    name: &'static str,
    rows: Vec<SettingRow>,
    hooks: String,
}

macro_rules! described {
    ($($tool:expr;)*) => {
        vec![$(described($tool, $tool.setting_rows())),*]
    };
}

fn described(tool: impl Tool + Clone, rows: Vec<SettingRow>) -> Described {
    let name = tool.name();
    let needs_sessions = name == "session_auth";
    let app = || App::new(Tree::new().index(|_| ""));
    let base = || if needs_sessions { app().tool("/", Sessions::in_memory()) } else { app() };
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let with_tool = match name {
        "staticfile" => base().tool("/", StaticFile::new(file.path())),
        "csrf" => base().tool("/", Csrf::new().tokens(true)),
        "require_certificate" => {
            base().tls(Tls::new().client_certificates(ClientCertificates::Optional, ["ca.pem"])).tool("/", tool)
        }
        _ => base().tool("/", tool),
    };
    let (with_tool, base) = (with_tool.build().expect(name), base().build().expect("right"));
    Described { name, rows, hooks: hooks(&with_tool.plans()[0], &base.plans()[0], name) }
}

/// The hooks of one tool as the tables have them, with its admissions before those that follow the admission.
fn hooks(plan: &Plan, base: &Plan, tool: &str) -> String {
    let base: Vec<_> = base.admission_priorities().collect();
    let admissions = plan.admission_priorities().filter(|priority| !base.contains(priority));
    let mut admissions = admissions.map(|priority| format!("admission {priority}")).peekable();
    let mut cells: Vec<String> = Vec::new();
    for hook in plan.all_hooks().map(ToString::to_string) {
        let (point, rest) = hook.split_once(": ").expect("as it is displayed");
        let Some(priority) = rest.strip_prefix(tool).and_then(|rest| rest.strip_prefix(' ')) else { continue };
        if !["BeforeRouting", "OnStartResource", "BeforeRequestBody"].contains(&point) {
            cells.extend(admissions.by_ref());
        }
        cells.push(format!("`{point}` {priority}"));
    }
    cells.dedup();
    cells.join(", ")
}

fn tools() -> Vec<Described> {
    let nobody = [("name", "password")];
    let mut all = described! {
        Accept::new(["text/html"]);
        Allow::default();
        AuthBasic::users("realm", nobody);
        AuthDigest::users("realm", nobody);
        Autovary::new();
        Caching::new();
        Cors::any_origin();
        Csrf::new();
        ErrRedirect::internal("/");
        Etags::new();
        Expires::at_once();
        Gzip::new();
        IgnoreHeaders::default();
        Limit::new(1);
        LogHeaders::new();
        LogTime::slower_than(Duration::ZERO);
        Params::new();
        Proxy::trusting(["loopback"]);
        RateLimit::per_second(1);
        RedirectTo::internal("/");
        Referer::same_origin();
        RequireCertificate::new();
        ResponseHeaders::new();
        SecureHeaders::new();
        SessionAuth::new(|_, _| false);
        Sessions::in_memory();
        StaticDir::new(".");
        StaticFile::new("page.html");
        Templates::embedded([("page.html", "")]);
        Await::on(&Topic::<String>::new("news"));
        Timeout::new(Duration::from_secs(1));
        TrailingSlash::default();
        WebSockets::of_this_site();
    };
    all.push(described(LogHooks, Vec::new()));
    all.push(described(LogTracebacks, Vec::new()));
    all
}

/// The rows behind a name in a page; `all` is every tool's, with its name before each key.
fn rows(name: &str, tools: &[Described]) -> Vec<(String, SettingRow)> {
    let own = |rows: Vec<SettingRow>| rows.into_iter().map(|row| (row.key.to_owned(), row)).collect();
    match name {
        "all tools" => {
            let mut named: Vec<_> = tools.iter().collect();
            named.sort_by_key(|tool| tool.name);
            let rows = |tool: &&Described| -> Vec<_> {
                tool.rows.iter().map(|row| (format!("{}.{}", tool.name, row.key), row.clone())).collect()
            };
            named.iter().flat_map(rows).collect()
        }
        "the server" => own(ServerSettings::default().setting_rows()),
        "paths" => own(PathSettings::default().setting_rows()),
        "FileStore" => own(FileStore::new("sessions").setting_rows()),
        "SqliteStore" => own(SqliteStore::new("sessions.sqlite").setting_rows()),
        "PostgresStore" => own(PostgresStore::new("postgres://127.0.0.1/shop").setting_rows()),
        "RedisStore" => own(RedisStore::new("redis://127.0.0.1").setting_rows()),
        "MemcachedStore" => own(MemcachedStore::new(["127.0.0.1"]).setting_rows()),
        "PostgresQueue" => own(PostgresQueue::new("postgres://127.0.0.1/shop").setting_rows()),
        "RedisQueue" => own(RedisQueue::new("redis://127.0.0.1").setting_rows()),
        "sessions in cookies" => {
            let known = Sessions::in_memory().setting_rows();
            let rows = Sessions::cookie("PHa3fI5XWqdyRCJNFVYh9IyTm0yvbS1u1kp4CoZQk6o=").setting_rows();
            own(rows.into_iter().filter(|row| known.iter().all(|other| other.key != row.key)).collect())
        }
        name => own(tools.iter().find(|tool| tool.name == name).expect("a tool of that name").rows.clone()),
    }
}

fn table(rows: &[(String, SettingRow)]) -> String {
    let row = |(key, row): &(String, SettingRow)| {
        let default = match (row.is_given, &*row.value) {
            (true, _) => "in code".to_owned(),
            (false, "") => String::new(),
            (false, value) => format!("`{value}`"),
        };
        format!("| `{key}` | {default} | {} |\n", row.what.replace('|', "\\|"))
    };
    format!("| key | default | what |\n|---|---|---|\n{}", rows.iter().map(row).collect::<String>())
}

fn pages() -> Vec<PathBuf> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let files = ["guide", "reference"].map(|folder| fs::read_dir(docs.join(folder)).expect("the pages"));
    let paths = files.into_iter().flatten().map(|entry| entry.expect("a page").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// Compares a page with its right text, or writes that.
fn hold(path: &Path, text: &str, right: &str) {
    if text == right {
        return;
    }
    if std::env::var_os("KIRSCH_TABLES").is_some_and(|what| what == "write") {
        return fs::write(path, right).expect("the page can be written");
    }
    let differs = right.lines().filter(|line| !text.contains(line)).collect::<Vec<_>>().join("\n");
    panic!("{}: these lines are missing or elsewhere; KIRSCH_TABLES=write writes them:\n{differs}", path.display());
}

#[test]
fn the_tables_of_settings_are_those_of_the_code() {
    let _turn = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
    let tools = tools();
    let mut seen = Vec::new();
    for path in pages() {
        let text = fs::read_to_string(&path).expect("a page");
        let mut right = String::new();
        let mut lines = text.split_inclusive('\n').peekable();
        while let Some(line) = lines.next() {
            right.push_str(line);
            let name = line.strip_prefix("<!-- settings of ").and_then(|rest| rest.trim_end().strip_suffix(" -->"));
            let Some(name) = name else { continue };
            while lines.next_if(|line| line.trim().is_empty()).is_some() {}
            while lines.next_if(|line| line.starts_with('|')).is_some() {}
            right.push_str(&format!("\n{}", table(&rows(name, &tools))));
            seen.push(name.to_owned());
        }
        hold(&path, &text, &right);
    }
    for name in ["all tools", "the server", "paths"] {
        assert!(seen.iter().any(|seen| seen == name), "no page has the settings of {name}");
    }
}

#[test]
fn the_tables_of_tools_have_the_hooks_of_the_code() {
    let _turn = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
    let tools = tools();
    let mut told = 0;
    for path in pages() {
        let text = fs::read_to_string(&path).expect("a page");
        let mut column = None;
        let mut right = String::new();
        for line in text.split_inclusive('\n') {
            let mut cells: Vec<String> = line.split('|').map(str::to_owned).collect();
            if line.starts_with("| tool | name in files |") {
                column = cells.iter().position(|cell| cell == " hook points and priorities ");
            }
            column = column.filter(|_| line.starts_with('|'));
            let name = cells.get(2).map(|cell| cell.trim_matches(['`', ' ']));
            let tool = tools.iter().find(|tool| Some(tool.name) == name);
            match (column, tool) {
                (Some(column), Some(tool)) => {
                    cells[column] = format!(" {} ", tool.hooks);
                    told += 1;
                    right.push_str(&cells.join("|"));
                }
                _ => right.push_str(line),
            }
        }
        hold(&path, &text, &right);
    }
    assert_eq!(told, 2 * tools.len(), "each tool has its row in the guide and in the reference");
}

/// `<!-- keys of NAME -->` stands before a table that is written by hand, since it has the ways in code as well.
#[test]
fn tables_by_hand_name_every_key() {
    let tools = tools();
    let mut told = 0;
    for path in pages() {
        let text = fs::read_to_string(&path).expect("a page");
        for part in text.split("<!-- keys of ").skip(1) {
            let (name, table) = part.split_once(" -->").expect("the end of the mark");
            let rows = table.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
            let cells = rows.filter_map(|row| row.split('|').nth(1));
            let mut named: Vec<_> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
            let tool = tools.iter().find(|tool| tool.name == name).expect("a tool of that name");
            let mut keys: Vec<_> = tool.rows.iter().map(|row| row.key).collect();
            named.sort_unstable();
            keys.sort_unstable();
            assert_eq!(named, keys, "{name} in {}", path.display());
            told += 1;
        }
    }
    assert_eq!(told, 3, "the tools for authentication");
}

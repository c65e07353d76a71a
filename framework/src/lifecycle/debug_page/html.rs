//! The debug page for browsers. Everything that is not a literal here goes through [`Escaped`]; there is no script.

use super::source::{FrameWithSource, Place};
use super::trace::{HookRun, Outcome};
use super::{About, Failure, Report};
use crate::exchange::Escaped;
use crate::lifecycle::ErrorPage;
use crate::lifecycle::error_page::HTML_START;
use crate::publish::Route;
use std::fmt::{Display, Result, Write};
use std::time::Duration;

pub(super) fn write(report: &Report, page: &ErrorPage<'_>) -> String {
    let mut html = String::with_capacity(16 << 10);
    // Writing to a String cannot fail.
    let _ = write_page(report, page, &mut html);
    html
}

fn write_page(report: &Report, page: &ErrorPage<'_>, html: &mut String) -> Result {
    let (status, title) = (page.status.as_u16(), Escaped(page.title()));
    write!(html, "{HTML_START}<title>{status} {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n")?;
    writeln!(html, "<p class=\"status\"><b>{status}</b> {title} <code>{}</code></p>", Escaped(&report.request_line))?;
    match &report.about {
        About::Failure(failure) => write_failure(failure, html)?,
        About::Routes { found, .. } => {
            writeln!(html, "<h1>{}</h1>\n</header>\n<p>{}</p>", Escaped(page.message), Marked(found))?;
        }
    }
    if let Some(handler) = &report.handler {
        let route = handler.route.as_deref().unwrap_or("not known before it is called");
        let rows = [("handler", &*handler.name), ("route", route), ("takes", &*handler.arguments)];
        table("Handler", rows.into_iter().filter(|(_, value)| !value.is_empty()), html)?;
    }
    if let About::Routes { near, all, .. } = &report.about {
        routes("Routes near this path", near, html)?;
        html.push_str(if near.is_empty() { "<details open>" } else { "<details>" });
        write!(html, "<summary>All {} routes</summary>", all.len())?;
        routes("", all, html)?;
        html.push_str("</details>\n");
    }
    table("Parameters", report.parameters.iter().map(|(name, value)| (&**name, &**value)), html)?;
    if let About::Failure(failure) = &report.about {
        hooks(&failure.hooks, html)?;
        backtrace(failure, html)?;
    }
    table("Plan", [("section", &*report.section), ("tools", &*report.tools)].into_iter(), html)?;
    html.push_str("<details><summary>Settings of this path</summary>\n");
    table("", report.settings.iter().map(|(name, value)| (*name, &**value)), html)?;
    html.push_str("</details>\n");
    table("Request", report.fields.iter().map(|(name, value)| (&**name, &**value)), html)?;
    write_ticket(report, page, html)?;
    writeln!(
        html,
        "<footer>Request {}. Shown because <code>debug_page</code> is on at <code>{}</code> and the browser has the key of this process; others get \
         the usual page. The log has the same error under the same number.</footer>\n</body>\n</html>",
        page.request_id,
        Escaped(&report.section)
    )
}

fn write_ticket(report: &Report, page: &ErrorPage<'_>, html: &mut String) -> Result {
    let Some(ticket) = &report.ticket else { return Ok(()) };
    let text = match ticket.is_kept {
        true => "The ticket of this failure",
        false => "Counted with others of its kind: there are tickets of those",
    };
    match ticket.address(page.request_id) {
        Some(address) => writeln!(html, "<p><a href=\"{}\">{text}</a></p>", Escaped(&address)),
        None => writeln!(html, "<p>{text}: mount the status pages to read it here.</p>"),
    }
}

fn write_failure(failure: &Failure, html: &mut String) -> Result {
    let mut causes = failure.causes.iter();
    let first = causes.next().map_or("", String::as_str);
    writeln!(html, "<h1>{}</h1>", Escaped(first))?;
    for cause in causes {
        writeln!(html, "<p class=\"cause\">caused by: {}</p>", Escaped(cause))?;
    }
    writeln!(html, "<p>Failed in {}.</p>\n</header>", Marked(&failure.place))?;
    let Some(source) = &failure.source else { return Ok(()) };
    writeln!(html, "<section>\n<h2>Where</h2>\n<p><code>{}</code></p>", Escaped(&source.text))?;
    excerpt(source, html)?;
    html.push_str("</section>\n");
    Ok(())
}

fn excerpt(source: &Place, html: &mut String) -> Result {
    if source.excerpt.is_empty() {
        return Ok(());
    }
    html.push_str("<pre>");
    for (number, line) in &source.excerpt {
        let (open, close) = if *number == source.line { ("<mark>", "</mark>") } else { ("", "") };
        writeln!(html, "{open}<i>{number}</i>{}{close}", Escaped(line))?;
    }
    html.push_str("</pre>\n");
    Ok(())
}

fn table<'t>(title: &str, rows: impl Iterator<Item = (&'t str, &'t str)>, html: &mut String) -> Result {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    html.push_str("<section>\n");
    if !title.is_empty() {
        writeln!(html, "<h2>{title}</h2>")?;
    }
    html.push_str("<table>\n");
    for (name, value) in rows {
        writeln!(html, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", Escaped(name), Escaped(value))?;
    }
    html.push_str("</table>\n</section>\n");
    Ok(())
}

fn routes(title: &str, routes: &[Route], html: &mut String) -> Result {
    if routes.is_empty() {
        return Ok(());
    }
    html.push_str("<section>\n");
    if !title.is_empty() {
        writeln!(html, "<h2>{title}</h2>")?;
    }
    html.push_str("<table class=\"routes\">\n");
    for route in routes {
        let Route { path, methods, handler, type_name, .. } = route;
        let methods = if handler.is_empty() { "anything".to_owned() } else { methods.allow() };
        let handler = if handler.is_empty() { type_name.clone() } else { format!("{type_name}::{handler}") };
        let (path, methods, handler) = (Escaped(path), Escaped(&methods), Escaped(&handler));
        // A route without arguments can be tried.
        let (open, close) = match route.path.contains('{') || !methods.0.contains("GET") {
            true => (String::new(), ""),
            false => (format!("<a href=\"{path}\">"), "</a>"),
        };
        writeln!(html, "<tr><th scope=\"row\">{open}{path}{close}</th><td>{methods}</td><td>{handler}</td></tr>")?;
    }
    html.push_str("</table>\n</section>\n");
    Ok(())
}

fn hooks(runs: &[HookRun], html: &mut String) -> Result {
    if runs.is_empty() {
        return Ok(());
    }
    html.push_str("<section>\n<h2>What ran</h2>\n<table class=\"hooks\">\n");
    for run in runs {
        let (class, outcome) = match run.outcome {
            Outcome::Unfinished | Outcome::Ran => ("", String::new()),
            Outcome::Failed(lasted) => (" class=\"failed\"", format!("failed after {}", Lasted(lasted))),
            Outcome::Answered(lasted) => ("", format!("answered after {}", Lasted(lasted))),
            Outcome::Done(lasted) => ("", Lasted(lasted).to_string()),
        };
        match run.tool {
            Some(tool) => write!(
                html,
                "<tr{class}><td>{:?}, {}</td><th scope=\"row\">{}</th>",
                run.point,
                run.priority,
                Escaped(tool)
            )?,
            None => write!(html, "<tr{class}><td></td><th scope=\"row\">the handler</th>")?,
        }
        writeln!(html, "<td>{outcome}</td></tr>")?;
    }
    html.push_str("</table>\n</section>\n");
    Ok(())
}

fn backtrace(failure: &Failure, html: &mut String) -> Result {
    if failure.backtrace.is_empty() {
        return Ok(());
    }
    html.push_str("<section>\n<h2>Backtrace, without the libraries</h2>\n<ol>\n");
    for (index, FrameWithSource { frame, source }) in failure.backtrace.iter().enumerate() {
        write!(html, "<li><code>{}</code>", Escaped(&frame.function))?;
        match (source, &frame.place) {
            (Some(source), _) => {
                let open = if index < MAX_OPEN { " open" } else { "" };
                writeln!(html, "<details{open}><summary><small>{}</small></summary>", Escaped(&source.text))?;
                excerpt(source, html)?;
                html.push_str("</details>");
            }
            (None, Some(place)) => write!(html, "<br><small>{}</small>", Escaped(place))?,
            (None, None) => {}
        }
        html.push_str("</li>\n");
    }
    html.push_str("</ol>\n</section>\n");
    Ok(())
}

/// Of so many steps the lines are shown at once.
const MAX_OPEN: usize = 4;

/// A duration with three digits.
struct Lasted(Duration);

impl Display for Lasted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> Result {
        match self.0.as_micros() {
            micros @ 0..1000 => write!(f, "{micros} µs"),
            micros @ 1000..1_000_000 => write!(f, "{:.1} ms", micros as f64 / 1e3),
            _ => write!(f, "{:.1} s", self.0.as_secs_f64()),
        }
    }
}

/// Text whose parts between backticks are code.
struct Marked<'t>(&'t str);

impl Display for Marked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> Result {
        for (index, part) in self.0.split('`').enumerate() {
            match index % 2 {
                0 => Escaped(part).fmt(f)?,
                _ => write!(f, "<code>{}</code>", Escaped(part))?,
            }
        }
        Ok(())
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--red:#b3123f;--mark:#ffd6df}\
*{box-sizing:border-box}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:64rem;margin:0 auto;padding:1.5rem 1.25rem 3rem;overflow-wrap:anywhere}\
header{border-bottom:2px solid var(--red);margin-bottom:1.5rem}\
h1{font-size:1.5rem;font-weight:600;line-height:1.3;margin:.5rem 0}\
h2{font-size:.8rem;font-weight:600;letter-spacing:.06em;text-transform:uppercase;opacity:.7;margin:0 0 .4rem}\
section{margin:0 0 1.75rem}\
.status{margin:0}.status b{color:var(--red)}.status code{opacity:.75;margin-left:.5rem}\
.cause{margin:.2rem 0;padding-left:.9rem;border-left:3px solid var(--line)}\
code,pre,td,th,small{font-family:ui-monospace,monospace;font-size:.85rem}\
pre{overflow:auto;margin:0;padding:.75rem 0;background:var(--soft);border:1px solid var(--line);border-radius:.4rem;line-height:1.45}\
pre i{display:inline-block;width:5ch;margin-right:1.5ch;text-align:right;opacity:.5;font-style:normal;user-select:none}\
pre mark{display:inline-block;min-width:100%;background:var(--mark);color:inherit}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.3rem .75rem .3rem 0;border-top:1px solid var(--line);font-weight:400}\
th{width:11rem}.routes th{width:45%}.hooks td:first-child{width:16rem;opacity:.75}.hooks td:last-child{text-align:right;padding-right:0}\
.failed{color:var(--red)}.failed th{font-weight:700}\
ol{margin:0;padding-left:1.5rem}li{margin-bottom:.3rem}small{opacity:.7}\
a{color:inherit}\
summary{cursor:pointer;margin-bottom:.75rem}details{margin:-.75rem 0 1.75rem}details section{margin:0}\
li details{margin:0 0 .75rem}li summary{margin-bottom:.25rem}\
footer{font-size:.8rem;opacity:.7;border-top:1px solid var(--line);padding-top:.75rem}\
@media(max-width:36rem){\
table,tbody,tr,th,td{display:block;width:auto!important;border:0;padding:0;text-align:left!important}\
tr{border-top:1px solid var(--line);padding:.35rem 0}th{opacity:.7}.failed th{opacity:1}.hooks td:first-child{font-size:.75rem}}\
@media(prefers-color-scheme:dark){:root{--red:#ff7396;--mark:#5c1a2c}body{background:#16171a;color:#e4e5e8}}";

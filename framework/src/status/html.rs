//! The status for people. Everything that is not a literal here goes through [`Escaped`]: request lines are the work of
//! strangers. There is no script, and nothing comes from elsewhere.

use super::report::{MAX_PARKED, Report, VERSION};
use super::threads::{Thread, stacks_command};
use crate::exchange::{ConversationCounts, Escaped, HandshakeCounts, ServerPhase, StatusRow};
use serde_json::Value;
use std::fmt::{Display, Formatter, Result, Write};
use std::time::Duration;

/// The addresses of the pages, and whether they refresh themselves.
pub(super) struct Frame<'f> {
    /// The start of all addresses, without a slash at its end.
    pub(super) base: &'f str,
    /// The address of the status page.
    pub(super) home: &'f str,
    pub(super) is_paused: bool,
    /// Whether failures leave tickets.
    pub(super) has_tickets: bool,
    /// Lets the style of the page through the page's own policy.
    pub(super) nonce: &'f str,
}

impl Frame<'_> {
    /// The address of the page with this path below the status page.
    pub(super) fn address(&self, path: &str) -> String {
        match path {
            "" => self.home.to_owned(),
            path => format!("{}{path}", self.base),
        }
    }
}

/// How long the browser waits before it asks again, in seconds.
const REFRESH: u32 = 3;

pub(super) fn status(report: &Report, frame: &Frame<'_>) -> String {
    let mut html = String::with_capacity(16 << 10);
    // Writing to a String cannot fail.
    let _ = write_status(report, frame, &mut html);
    html
}

pub(super) fn threads(threads: &[Thread], frame: &Frame<'_>) -> String {
    let mut html = String::with_capacity(8 << 10);
    let _ = write_threads(threads, frame, &mut html);
    html
}

/// Where no server is behind the page.
pub(super) fn without_server(frame: &Frame<'_>) -> String {
    let mut html = String::new();
    let _ = begin("Status", frame, &mut html);
    html.push_str(
        "<p>This request came to the application without a server, as in a test.</p>\n</main>\n</body>\n</html>\n",
    );
    html
}

/// A page that is drawn again and again.
fn begin(title: &str, frame: &Frame<'_>, html: &mut String) -> Result {
    let page = if title == "Threads" { "/threads" } else { "" };
    begin_page(title, page, !frame.is_paused, frame, html)?;
    let here = frame.address(page);
    let here = Escaped(&here);
    match frame.is_paused {
        false => write!(html, "refreshes every {REFRESH} s · <a href=\"{here}?pause\">pause</a>")?,
        true => write!(html, "paused · <a href=\"{here}\">go on</a>")?,
    }
    html.push_str("</p>\n</header>\n<main>\n");
    Ok(())
}

/// A page that stays as it is.
pub(super) fn begin_still(title: &str, page: &str, frame: &Frame<'_>, html: &mut String) -> Result {
    begin_page(title, page, false, frame, html)?;
    html.push_str("</p>\n</header>\n<main>\n");
    Ok(())
}

/// The page with this path below the status page, up to the paragraph that tells whether it refreshes itself.
fn begin_page(title: &str, page: &str, refreshes: bool, frame: &Frame<'_>, html: &mut String) -> Result {
    let Frame { base, nonce, has_tickets, .. } = frame;
    let base = Escaped(base);
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    )?;
    if refreshes {
        writeln!(html, "<meta http-equiv=\"refresh\" content=\"{REFRESH}\">")?;
    }
    writeln!(
        html,
        "<title>{}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style nonce=\"{nonce}\">{STYLE}</style>\n</head>\n<body>",
        Escaped(title)
    )?;
    html.push_str("<header>\n<nav aria-label=\"Pages\">");
    let pages = [("", "Status"), ("/threads", "Threads"), ("/tickets", "Tickets")];
    for (path, text) in pages.into_iter().take(if *has_tickets { 3 } else { 2 }) {
        match path == page {
            true => write!(html, "<b aria-current=\"page\">{text}</b> ")?,
            false => write!(html, "<a href=\"{}\">{text}</a> ", Escaped(&frame.address(path)))?,
        }
    }
    write!(html, "<a href=\"{base}/json\">JSON</a></nav>\n<p class=\"refresh\">")
}

fn write_status(report: &Report, frame: &Frame<'_>, html: &mut String) -> Result {
    begin("Status", frame, html)?;
    write_summary(report, html)?;
    write_workers(report, html)?;
    write_parked(report, html)?;
    html.push_str("<div class=\"cards\">\n");
    write_counts(report, html)?;
    for section in &report.sections {
        write!(html, "<section>\n<h2>{}</h2>\n<table>\n", Escaped(&section.title))?;
        for row in &section.rows {
            write_row(row, html)?;
        }
        html.push_str("</table>\n</section>\n");
    }
    html.push_str("</div>\n");
    write_slow(report, html)?;
    html.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

/// One sentence for each thing that an operator should know first.
fn write_summary(report: &Report, html: &mut String) -> Result {
    let (busy, all, parked) = (report.busy(), report.workers.len(), report.all_parked());
    let state = report.phase.word();
    writeln!(
        html,
        "<h1>The server is {state}</h1>\n<p>Up {} · {VERSION} · process {} · {} requests answered</p>",
        Lasted(report.uptime),
        std::process::id(),
        Grouped(report.statistics.requests)
    )?;
    let mut alarms = Vec::new();
    if report.phase != ServerPhase::Running {
        alarms.push(format!("The server is {state}."));
    }
    if busy == all {
        alarms.push(format!("All {all} workers are busy: other requests wait in the queue."));
    }
    let stuck = report.workers.iter().filter_map(|worker| worker.request.as_ref());
    let stuck = stuck.filter(|request| request.age >= report.stuck_after).count();
    if stuck > 0 {
        let limit = Lasted(report.stuck_after);
        alarms.push(format!("{stuck} of {all} workers have been in one request for more than {limit}."));
    }
    if let Some(oldest) = report.queue.oldest.filter(|oldest| *oldest >= LONG) {
        alarms.push(format!("The oldest request in the queue has waited for {}.", Lasted(oldest)));
    }
    if let Some(first) = report.parked.first().filter(|request| request.waited >= LONG) {
        let (line, waited) = (Escaped(&first.line), Lasted(first.waited));
        let whom = Linked(report, &first.waits_for);
        alarms.push(format!("{parked} parked. <code>{line}</code> has waited for {waited}: for {whom}."));
    }
    if alarms.is_empty() {
        return writeln!(
            html,
            "<p class=\"calm\">{} of {all} workers are free, and nothing waits for long.</p>",
            all - busy
        );
    }
    html.push_str("<ul class=\"alarms\">\n");
    for alarm in alarms {
        writeln!(html, "<li>{alarm}</li>")?;
    }
    html.push_str("</ul>\n");
    Ok(())
}

fn write_workers(report: &Report, html: &mut String) -> Result {
    let (busy, all) = (report.busy(), report.workers.len());
    writeln!(html, "<section>\n<h2>Workers: {busy} of {all} busy</h2>")?;
    if busy > 0 {
        html.push_str(
            "<table class=\"wide\">\n<thead><tr><th scope=\"col\">Worker</th><th scope=\"col\">Request</th><th scope=\"col\">Handler</th>\
             <th scope=\"col\">Doing</th><th scope=\"col\">For</th></tr></thead>\n<tbody>\n",
        );
        for worker in &report.workers {
            let Some(request) = &worker.request else { continue };
            let is_stuck = request.age >= report.stuck_after;
            let (class, mark) = if is_stuck { (" class=\"alarm\"", " <b>stuck</b>") } else { ("", "") };
            writeln!(
                html,
                "<tr{class} id=\"r{id}\"><td>{}</td><td><code>{}</code><small>request {id}</small></td><td><code>{}</code></td><td>{}{mark}</td><td class=\"time\">{}</td></tr>",
                worker.number,
                Escaped(&request.line),
                Escaped(request.handler.as_deref().unwrap_or("–")),
                request.stage.explained(),
                Lasted(request.age),
                id = request.id,
            )?;
        }
        html.push_str("</tbody>\n</table>\n");
    }
    html.push_str("</section>\n");
    Ok(())
}

fn write_parked(report: &Report, html: &mut String) -> Result {
    let all = report.all_parked();
    writeln!(html, "<section>\n<h2>Parked: {} wait without a worker</h2>", Grouped(all as u64))?;
    if !report.parked.is_empty() {
        html.push_str(
            "<table class=\"wide\">\n<thead><tr><th scope=\"col\">Request</th><th scope=\"col\">Waits for</th><th scope=\"col\">For</th>\
             <th scope=\"col\">At most</th></tr></thead>\n<tbody>\n",
        );
        for request in &report.parked {
            let class = if request.waited >= LONG { " class=\"alarm\"" } else { "" };
            writeln!(
                html,
                "<tr{class}><td><code>{}</code><small>request {}</small></td><td>{}</td><td class=\"time\">{}</td><td>{} more</td></tr>",
                Escaped(&request.line),
                request.id,
                Linked(report, &request.waits_for),
                Lasted(request.waited),
                Lasted(request.left),
            )?;
        }
        html.push_str("</tbody>\n</table>\n");
    }
    if all > report.parked.len() {
        writeln!(html, "<p>The page has {} of them, at most {MAX_PARKED}.</p>", report.parked.len())?;
    }
    html.push_str("</section>\n");
    Ok(())
}

/// The parts of the time that a slow request took.
const PARTS: [&str; 5] = ["Queue", "Parked", "Worker", "Body", "Sending"];

fn write_slow(report: &Report, html: &mut String) -> Result {
    if report.slow.is_empty() {
        return Ok(());
    }
    html.push_str(
        "<section>\n<h2>Slow requests, the latest first</h2>\n<table class=\"wide slow\">\n<thead><tr><th scope=\"col\">Request</th>\
         <th scope=\"col\">Took</th>",
    );
    for name in PARTS {
        write!(html, "<th scope=\"col\">{name}</th>")?;
    }
    html.push_str("<th scope=\"col\">Ended</th></tr></thead>\n<tbody>\n");
    for request in &report.slow {
        write!(html, "<tr><td><code>{}</code><small>request {}</small></td>", Escaped(&request.line), request.id)?;
        let parts = [request.in_queue, request.parked, request.on_worker, request.reading_body, request.sending];
        write!(html, "<td class=\"time\" data-of=\"Took\"><b>{}</b></td>", Lasted(request.took))?;
        for (name, part) in PARTS.iter().zip(parts) {
            // What took most of it is what to look at.
            let class = if part * 2 > request.took { "time alarm" } else { "time" };
            write!(html, "<td class=\"{class}\" data-of=\"{name}\">{}</td>", Lasted(part))?;
        }
        writeln!(html, "<td class=\"time\" data-of=\"Ended\">{} ago</td></tr>", Lasted(request.ended))?;
    }
    html.push_str("</tbody>\n</table>\n</section>\n");
    Ok(())
}

fn write_counts(report: &Report, html: &mut String) -> Result {
    let queue = &report.queue;
    html.push_str("<section>\n<h2>Queue for a worker</h2>\n<table>\n");
    write_row(&StatusRow::new("requests", queue.length).alarming(queue.length > 0), html)?;
    write_row(&StatusRow::new("at most", queue.limit), html)?;
    let oldest = queue.oldest.map_or_else(|| "–".to_owned(), |oldest| Lasted(oldest).to_string());
    write_row(&StatusRow::new("oldest", oldest), html)?;
    let refused = report.statistics.overload_rejections;
    write_row(&StatusRow::new("refused", refused).alarming(refused > 0), html)?;
    html.push_str("</table>\n</section>\n<section>\n<h2>Connections</h2>\n<table>\n");
    for (name, count) in report.connections.by_name() {
        write_row(&StatusRow::new(name.replace('_', " "), count), html)?;
    }
    write_row(&StatusRow::new("accepted since the start", report.statistics.connections_accepted), html)?;
    html.push_str("</table>\n</section>\n");
    write_handshakes(&report.statistics.handshakes, html)?;
    write_conversations(&report.statistics.conversations, html)
}

/// Of a server that has had one.
fn write_conversations(counts: &ConversationCounts, html: &mut String) -> Result {
    if counts.opened == 0 {
        return Ok(());
    }
    html.push_str("<section>\n<h2>Conversations by WebSocket</h2>\n<table>\n");
    write_row(&StatusRow::new("open", counts.open), html)?;
    write_row(&StatusRow::new("messages received since the start", counts.messages_in), html)?;
    write_row(&StatusRow::new("messages sent since the start", counts.messages_out), html)?;
    for (name, count) in counts.ends().filter(|(_, count)| *count > 0) {
        write_row(&StatusRow::new(format!("ended: {}", name.replace('_', " ")), count), html)?;
    }
    html.push_str("</table>\n</section>\n");
    Ok(())
}

/// Of a server that has seen one.
fn write_handshakes(counts: &HandshakeCounts, html: &mut String) -> Result {
    if counts.all() == 0 {
        return Ok(());
    }
    html.push_str("<section>\n<h2>Handshakes since the start</h2>\n<table>\n");
    write_row(&StatusRow::new("full", counts.full), html)?;
    write_row(&StatusRow::new("resumed", counts.resumed), html)?;
    for (name, count) in counts.failures().into_iter().filter(|(_, count)| *count > 0) {
        write_row(&StatusRow::new(format!("failed: {}", name.replace('_', " ")), count), html)?;
    }
    html.push_str("</table>\n</section>\n");
    Ok(())
}

fn write_row(row: &StatusRow, html: &mut String) -> Result {
    let class = if row.is_alarming { " class=\"alarm\"" } else { "" };
    writeln!(
        html,
        "<tr{class}><th scope=\"row\">{}</th><td>{}</td></tr>",
        Escaped(&row.name),
        Escaped(&plain(&row.value))
    )
}

fn write_threads(threads: &[Thread], frame: &Frame<'_>, html: &mut String) -> Result {
    begin("Threads", frame, html)?;
    writeln!(
        html,
        "<h1>{} threads</h1>\n<p>Their stacks, from a shell on this machine:</p>\n<pre>{}</pre>\n<section>",
        threads.len(),
        Escaped(&stacks_command())
    )?;
    html.push_str(
        "<table class=\"wide\">\n<thead><tr><th scope=\"col\">Thread</th><th scope=\"col\">Name</th><th scope=\"col\">Owner</th>\
         <th scope=\"col\">State</th><th scope=\"col\">Sleeps in</th><th scope=\"col\">Processor</th></tr></thead>\n<tbody>\n",
    );
    for thread in threads {
        writeln!(
            html,
            "<tr><td>{}</td><td><code>{}</code></td><td>{}</td><td>{}</td><td><code>{}</code></td><td>{}</td></tr>",
            thread.id,
            Escaped(&thread.name),
            Escaped(&thread.owner),
            thread.state,
            Escaped(&thread.sleeps_in),
            Lasted(thread.processor_time),
        )?;
    }
    html.push_str("</tbody>\n</table>\n</section>\n</main>\n</body>\n</html>\n");
    Ok(())
}

/// A wait that is worth a look.
const LONG: Duration = Duration::from_secs(1);

/// A value of a row as text.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => match number.as_u64() {
            Some(number) => Grouped(number).to_string(),
            None => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// A number with its thousands apart.
pub(super) struct Grouped(pub(super) u64);

impl Display for Grouped {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// A duration for people: `340 ms`, `12.4 s`, `3 min 5 s`, `2 d 4 h`.
pub(super) struct Lasted(pub(super) Duration);

impl Display for Lasted {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 => write!(f, "{} ms", self.0.as_millis()),
            1..60 => write!(f, "{:.1} s", self.0.as_secs_f64()),
            60..3600 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            3600..86400 => write!(f, "{} h {} min", seconds / 3600, seconds / 60 % 60),
            _ => write!(f, "{} d {} h", seconds / 86400, seconds / 3600 % 24),
        }
    }
}

/// The words for a wait, in which a request that a worker runs leads to its row.
struct Linked<'l>(&'l Report, &'l str);

impl Display for Linked<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(report, text) = self;
        for worker in report.workers.iter().filter_map(|worker| worker.request.as_ref()) {
            let id = worker.id.to_string();
            if let Some((before, behind)) = text.split_once(&id) {
                return write!(f, "{}<a href=\"#r{id}\">{id}</a>{}", Escaped(before), Escaped(behind));
            }
        }
        Escaped(text).fmt(f)
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark;--text:#1c1d20;--soft:#5d6068;--line:#8883;--back:#fbfbfc;--card:#fff;--accent:#a1122f;--alarm:#fdecef}\
*{box-sizing:border-box}\
body{font:1rem/1.5 system-ui,sans-serif;margin:0;background:var(--back);color:var(--text);overflow-wrap:anywhere}\
header,main{max-width:72rem;margin:0 auto;padding:0 1.25rem}\
header{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;justify-content:space-between;padding-top:1rem}\
nav{display:flex;gap:1.25rem}.refresh{margin:0;color:var(--soft);font-size:.875rem}\
a{color:var(--accent)}button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:.25rem;padding:.4rem .9rem;margin:0 0 1.5rem;cursor:pointer}nav b{border-bottom:2px solid var(--accent)}\
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}\
h1{font-size:1.5rem;font-weight:600;margin:1.25rem 0 0}h1+p{margin:.15rem 0 1rem;color:var(--soft)}\
h2{font-size:1rem;font-weight:600;margin:0 0 .5rem}\
section{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:1rem 1.25rem;margin:0 0 1rem}\
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));gap:1rem;margin:0 0 1rem;align-items:start}.cards section{margin:0}\
.alarms,.calm{margin:0 0 1rem;padding:.75rem 1.25rem;border-left:4px solid var(--line);background:var(--card);border-radius:.25rem}\
.alarms{border-color:var(--accent);background:var(--alarm);list-style:none}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{text-align:left;vertical-align:top;padding:.3rem .75rem .3rem 0;border-top:1px solid var(--line);font-weight:400}\
thead th{border:0;color:var(--soft);font-size:.875rem}.cards td{text-align:right;padding-right:0}tbody th,.cards th{color:var(--soft)}.cards th{overflow-wrap:break-word;min-width:8rem}code+small{white-space:nowrap}\
.wide td:last-child,.time,.tickets th{white-space:nowrap}.tickets td:nth-child(2){min-width:16rem}\
code,pre{font:.9rem/1.5 ui-monospace,monospace}small{display:block;color:var(--soft);font-size:.75rem}\
pre{overflow:auto;padding:.75rem 1rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem}\
tr:target td{background:var(--alarm)}.alarm .time,.time.alarm,.alarm td b,.cards .alarm *{color:var(--accent);font-weight:600}\
@media(max-width:40rem){.wide thead{position:absolute;clip-path:inset(50%)}.wide tr{display:block;border-top:1px solid var(--line);padding:.4rem 0}\
.wide td{display:inline;border:0;padding:0 .75rem 0 0}.wide td:has(small){display:block}.slow .time{display:inline-block}\
.slow td[data-of]::before{content:attr(data-of) ' ';color:var(--soft);font-weight:400}}\
@media(prefers-color-scheme:dark){:root{--text:#e4e5e8;--soft:#a3a7b0;--back:#16171a;--card:#1e2024;--accent:#ff8a9d;--alarm:#3a1a22}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_numbers_are_readable() {
        let lasted = |seconds: u64| Lasted(Duration::from_secs(seconds)).to_string();
        assert_eq!(Lasted(Duration::from_millis(340)).to_string(), "340 ms");
        assert_eq!(
            [lasted(12), lasted(185), lasted(3725), lasted(187_200)],
            ["12.0 s", "3 min 5 s", "1 h 2 min", "2 d 4 h"]
        );
        assert_eq!([Grouped(7), Grouped(1234), Grouped(1_234_567)].map(|n| n.to_string()), ["7", "1,234", "1,234,567"]);
    }
}

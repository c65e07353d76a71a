//! Failures of the program, for people: the list by kind, and one ticket. As in `html.rs`, everything that is not a
//! literal goes through [`Escaped`].

use super::html::{Frame, Grouped, begin_still, plain};
use crate::exchange::Escaped;
use crate::tickets::Group;
use serde_json::Value;
use std::fmt::{Result, Write};

pub(super) fn list(groups: &[Group], frame: &Frame<'_>) -> String {
    let mut html = String::with_capacity(8 << 10);
    // Writing to a String cannot fail.
    let _ = write_list(groups, frame, &mut html);
    html
}

/// With the form that forgets it, if there is a `token` for that.
pub(super) fn ticket(ticket: &Value, token: Option<&str>, frame: &Frame<'_>) -> String {
    let mut html = String::with_capacity(8 << 10);
    let _ = write_ticket(ticket, token, frame, &mut html);
    html
}

fn write_list(groups: &[Group], frame: &Frame<'_>, html: &mut String) -> Result {
    begin_still("Tickets", "/tickets", frame, html)?;
    let failures = groups.iter().map(|group| group.count).sum();
    writeln!(
        html,
        "<h1>{} failures of {} kinds</h1>\n<p>Each number is that of a request, as its visitor has read it on the error page.</p>\n<section>",
        Grouped(failures),
        groups.len()
    )?;
    if groups.is_empty() {
        html.push_str("<p>The program has not failed.</p>\n");
    } else {
        html.push_str(
            "<table class=\"wide tickets\">\n<thead><tr><th scope=\"col\">Times</th><th scope=\"col\">Failure</th><th scope=\"col\">Route</th>\
             <th scope=\"col\">Tickets, the latest first</th><th scope=\"col\">Last</th></tr></thead>\n<tbody>\n",
        );
        groups.iter().try_for_each(|group| write_group(group, frame, html))?;
        html.push_str("</tbody>\n</table>\n");
    }
    html.push_str("</section>\n</main>\n</body>\n</html>\n");
    Ok(())
}

fn write_group(group: &Group, frame: &Frame<'_>, html: &mut String) -> Result {
    let kind = &group.kind;
    write!(
        html,
        "<tr><td class=\"time\"><b>{}</b></td><td>{}<small>{} at {}</small></td><td><code>{}</code></td><td>",
        Grouped(group.count),
        Escaped(&group.message),
        Escaped(&kind.error),
        Escaped(&kind.place),
        Escaped(&kind.route)
    )?;
    for (_, number) in group.tickets.iter().rev() {
        write!(html, "<a href=\"{}/tickets/{number}\"><code>{number}</code></a> ", Escaped(frame.base))?;
    }
    writeln!(html, "</td><td>{}</td></tr>", Escaped(&seconds(&group.last)))
}

fn write_ticket(ticket: &Value, token: Option<&str>, frame: &Frame<'_>, html: &mut String) -> Result {
    let text = |name: &str| plain(&ticket[name]);
    let number = text("number");
    begin_still(&format!("Ticket {number}"), "/tickets/", frame, html)?;
    writeln!(html, "<h1>{}</h1>", Escaped(ticket["causes"][0].as_str().unwrap_or("A failure")))?;
    writeln!(
        html,
        "<p>{} · request <code>{}</code> · <a href=\"?json\">JSON</a></p>",
        Escaped(&seconds(&text("time"))),
        Escaped(&number)
    )?;
    let causes = ticket["causes"].as_array().into_iter().flatten().skip(1);
    lines("Caused by", causes, html)?;
    html.push_str("<section>\n<h2>Where</h2>\n<table>\n");
    for (title, name) in WHERE {
        if !ticket[name].is_null() {
            row(title, &text(name), html)?;
        }
    }
    html.push_str("</table>\n</section>\n");
    pairs("Parameters", &ticket["parameters"], html)?;
    lines("Hooks that ran", ticket["hooks"].as_array().into_iter().flatten(), html)?;
    lines("Backtrace, without the libraries", ticket["backtrace"].as_array().into_iter().flatten(), html)?;
    pairs("Fields of the request", &ticket["fields"], html)?;
    if let Some(token) = token {
        writeln!(
            html,
            "<form method=\"post\"><input type=\"hidden\" name=\"token\" value=\"{token}\"><button>Forget this ticket</button></form>"
        )?;
    }
    html.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

/// The rows of a ticket, with the names of the facts.
const WHERE: [(&str, &str); 11] = [
    ("request", "request"),
    ("failed in", "failed_in"),
    ("place", "place"),
    ("error", "error"),
    ("handler", "handler"),
    ("arguments", "arguments"),
    ("route", "route"),
    ("section", "section"),
    ("tools", "tools"),
    ("trace", "trace"),
    ("version", "version"),
];

fn row(name: &str, value: &str, html: &mut String) -> Result {
    writeln!(html, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", Escaped(name), Escaped(value))
}

fn pairs(title: &str, pairs: &Value, html: &mut String) -> Result {
    let rows = match pairs {
        Value::Array(rows) if !rows.is_empty() => rows,
        Value::String(left_out) => return writeln!(html, "<p>{title}: {}</p>", Escaped(left_out)),
        _ => return Ok(()),
    };
    writeln!(html, "<section>\n<h2>{title}</h2>\n<table>")?;
    rows.iter().try_for_each(|pair| row(&plain(&pair["name"]), &plain(&pair["value"]), html))?;
    html.push_str("</table>\n</section>\n");
    Ok(())
}

fn lines<'l>(title: &str, lines: impl Iterator<Item = &'l Value>, html: &mut String) -> Result {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return Ok(());
    }
    writeln!(html, "<section>\n<h2>{title}</h2>\n<ol>")?;
    lines.try_for_each(|line| writeln!(html, "<li><code>{}</code></li>", Escaped(&plain(line))))?;
    html.push_str("</ol>\n</section>\n");
    Ok(())
}

/// A time of a ticket as people read it: `2026-11-30 17:04:05 UTC`.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{} UTC", seconds.replace('T', " ")),
        None => time.to_owned(),
    }
}

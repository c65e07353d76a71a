//! The debug page for terminals.

use super::source::FrameWithSource;
use super::{About, Report};
use crate::lifecycle::ErrorPage;
use std::fmt::Write;

/// The part below the message.
pub(super) fn write(report: &Report, page: &ErrorPage<'_>) -> String {
    let mut text = format!("{} {}\n\n", page.status.as_u16(), page.title());
    // Writing to a String cannot fail.
    let _ = write_sections(report, page, &mut text);
    text
}

fn write_sections(report: &Report, page: &ErrorPage<'_>, text: &mut String) -> std::fmt::Result {
    match &report.about {
        About::Failure(failure) => {
            for (index, cause) in failure.causes.iter().enumerate() {
                writeln!(text, "{}{cause}", if index == 0 { "" } else { "caused by: " })?;
            }
            writeln!(text, "\nfailed in    {}", failure.place)?;
            if let Some(source) = &failure.source {
                writeln!(text, "at           {}", source.text)?;
                if let Some((_, line)) = source.excerpt.iter().find(|(number, _)| *number == source.line) {
                    writeln!(text, "             {}", line.trim())?;
                }
            }
        }
        About::Routes { found, near, all } => {
            writeln!(text, "{}\n\n{found}", page.message)?;
            let (title, routes) = if near.is_empty() { ("All routes", all) } else { ("Routes near it", near) };
            writeln!(text, "\n{title}:")?;
            for route in routes.iter().take(40) {
                writeln!(text, "  {route}")?;
            }
        }
    }
    if let Some(handler) = &report.handler {
        writeln!(text, "handler      {}", handler.name)?;
        if let Some(route) = &handler.route {
            writeln!(text, "route        {route}")?;
        }
    }
    writeln!(text, "request      {}", report.request_line)?;
    for (name, value) in &report.parameters {
        writeln!(text, "  {name} = {value}")?;
    }
    if let About::Failure(failure) = &report.about {
        for FrameWithSource { frame, .. } in &failure.backtrace {
            writeln!(text, "  in {} ({})", frame.function, frame.place.as_deref().unwrap_or("?"))?;
        }
    }
    writeln!(text, "tools        {}", report.tools)?;
    if let Some(address) = report.ticket.as_ref().and_then(|ticket| ticket.address(page.request_id)) {
        writeln!(text, "ticket       {address}")?;
    }
    writeln!(
        text,
        "\nRequest {} (a browser with the key is shown more; `debug_page` is on at `{}`)",
        page.request_id, report.section
    )
}

//! Places in the source: the lines around one, and those of a backtrace that belong to the program.

use crate::exchange::TextPlace;
use std::backtrace::Backtrace;

/// A place in the source, with the lines around it once they were read.
#[derive(Debug)]
pub(super) struct Place {
    /// `src/main.rs:12:9`.
    pub(super) text: String,
    /// The number of a line, and the line.
    pub(super) excerpt: Vec<(usize, String)>,
    pub(super) line: usize,
}

/// How many lines are shown on each side.
pub(super) const AROUND: usize = 4;
/// How many lines are shown on each side of a step of a backtrace.
const AROUND_A_STEP: usize = 2;
/// A line longer than this in bytes is nothing to look at.
const LONGEST_LINE: usize = 300;

impl Place {
    /// A line of a template or the like.
    pub(super) fn in_text(TextPlace { name, line, text }: &TextPlace) -> Self {
        Self { text: format!("{name}:{line}"), excerpt: excerpt(text, *line, AROUND), line: *line }
    }

    /// Takes `file:line:column` apart. The name of the file comes from the compiler, never from a client.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (_, line) = parts(text)?;
        Some(Self { text: text.to_owned(), excerpt: Vec::new(), line })
    }

    /// Reads the lines around it, where the file can be read from here.
    pub(super) fn read(&mut self, around: usize) {
        if let Some((file, line)) = parts(&self.text).filter(|_| self.excerpt.is_empty()) {
            self.excerpt = excerpt(&read_source(file).unwrap_or_default(), line, around);
        }
    }
}

/// The file and the line of `file:line:column`.
fn parts(text: &str) -> Option<(&str, usize)> {
    let (rest, _column) = text.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file, line.parse().ok()?))
}

fn excerpt(source: &str, line: usize, around: usize) -> Vec<(usize, String)> {
    let first = line.saturating_sub(around + 1);
    let lines = source.lines().enumerate().skip(first).take((line + around).saturating_sub(first));
    lines.map(|(index, line)| (index + 1, line.chars().take(LONGEST_LINE).collect())).collect()
}

/// Reads a file that the compiler names relative to the root of a workspace, which may lie above the working directory.
fn read_source(file: &str) -> Option<String> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().take(MAX_LEVELS).find_map(|folder| std::fs::read_to_string(folder.join(file)).ok())
}

const MAX_LEVELS: usize = 4;

/// One step of a backtrace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) function: String,
    /// Where, if it is known.
    pub(super) place: Option<String>,
}

/// A step with its lines, once they were read.
#[derive(Debug)]
pub(super) struct FrameWithSource {
    pub(super) frame: Frame,
    pub(super) source: Option<Place>,
}

impl FrameWithSource {
    pub(super) fn new(frame: Frame) -> Self {
        Self { frame, source: None }
    }

    /// Reads the lines, if the step is in a file of the program and not of a library that it uses.
    pub(super) fn read(&mut self) {
        let place = self.frame.place.as_deref();
        let own = place.filter(|place| !place.starts_with('/') && !place.contains("/registry/"));
        let mut source = own.and_then(Place::parse);
        if let Some(source) = &mut source {
            source.read(AROUND_A_STEP);
        }
        self.source = source.filter(|place| !place.excerpt.is_empty());
    }
}

/// The part of a backtrace between the panic and the framework, without the standard library and the code of macros.
pub(super) fn frames(backtrace: &Backtrace) -> Vec<Frame> {
    short(&backtrace.to_string())
}

const MAX_FRAMES: usize = 20;

/// Reads the text of a backtrace: there is no other way to its frames yet.
fn short(text: &str) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(place) = line.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut() {
                frame.place = Some(place.strip_prefix("./").unwrap_or(place).to_owned());
            }
        } else if let Some((number, function)) = line.split_once(": ")
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            frames.push(Frame { function: without_hash(function).to_owned(), place: None });
        }
    }
    let panicked = |frame: &Frame| {
        ["core::panicking::", "rust_begin_unwind", "begin_panic", "std::panicking::", "unwrap_failed", "expect_failed"]
            .iter()
            .any(|part| frame.function.contains(part))
    };
    let caught = |frame: &Frame| frame.function.contains("panics::guarded");
    let end = frames.iter().position(caught).unwrap_or(frames.len());
    // Below are the catching ones, which are called nearly the same.
    let end = frames[..end]
        .iter()
        .rposition(|frame| !frame.function.contains("std::panicking::catch_unwind"))
        .map_or(0, |last| last + 1);
    let is_inner =
        |index: &usize| frames[*index].function.contains("catch_unwind") || frames[*index].function.contains("::try");
    let start = (0..end)
        .rev()
        .filter(|index| !is_inner(index))
        .find(|index| panicked(&frames[*index]))
        .map_or(0, |last| last + 1);
    let own = frames.drain(start..end).filter(|frame| !of_the_library(frame));
    own.take(MAX_FRAMES).collect()
}

fn of_the_library(frame: &Frame) -> bool {
    let function = frame.function.trim_start_matches('<');
    let in_library =
        ["std::", "core::", "alloc::", "__rust", "rust_", "kirsch::"].iter().any(|start| function.starts_with(start));
    // Code of the macros does not belong to the program either.
    in_library
        || function.ends_with(" as kirsch::publish::Publish>::call")
        || frame.place.as_ref().is_some_and(|place| place.starts_with("/rustc/"))
}

/// `name` of `name::h0123456789abcdef`.
fn without_hash(function: &str) -> &str {
    match function.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => function,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_shows_the_lines_around_it() {
        let read = |text| {
            let mut place = Place::parse(text).expect("a place");
            place.read(AROUND);
            place
        };
        let place = read(concat!("src/lifecycle/debug_page/source.rs", ":1:2"));
        assert_eq!((place.line, place.excerpt[0].0), (1, 1));
        assert!(place.excerpt[0].1.starts_with("//! Places in the source") && place.excerpt.len() == 1 + AROUND);
        assert_eq!(Place::parse("no place").map(|place| place.line), None);
        assert!(read("no/such.rs:7:1").excerpt.is_empty());
    }

    #[test]
    fn a_backtrace_is_cut_down_to_the_program() {
        let text = "   0: std::backtrace_rs::backtrace::trace::h0123456789abcdef
             at /rustc/5980/library/std/src/../../backtrace/src/backtrace/mod.rs:66:14
   1: core::panicking::panic_fmt
             at /rustc/5980/library/core/src/panicking.rs:80:14
   2: shop::Pages::broken::h0123456789abcdef
             at ./src/main.rs:12:9
   3: core::ops::function::FnOnce::call_once
             at /rustc/5980/library/core/src/ops/function.rs:250:5
   4: <shop::Pages as kirsch::publish::Publish>::call
             at ./src/main.rs:5:1
   5: std::panicking::catch_unwind::do_call
             at /rustc/5980/library/std/src/panicking.rs:581:40
   6: kirsch::panics::guarded
             at ./framework/src/panics.rs:15:11
   7: main";
        let frames = short(text);
        let shown: Vec<_> = frames.iter().map(|frame| (&*frame.function, frame.place.as_deref())).collect();
        assert_eq!(shown, [("shop::Pages::broken", Some("src/main.rs:12:9")),]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_read_as_a_backtrace(text in "( {0,3}[0-9]{1,2}: (std::panicking::x|core::panicking::y|kirsch::panics::guarded|catch_unwind|a::b)\\n| at (./x|/rustc/y)\\n|[a-z:0-9]*\\n){0,12}") {
            proptest::prop_assert!(short(&text).len() <= MAX_FRAMES);
        }
    }
}

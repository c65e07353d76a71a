//! Which path section covers a path: the longest one, segment by segment.
//!
//! The comparison is the traversal's own: on decoded segments, empty ones left out, with `-` and `.` equal to `_`. So
//! any spelling of a path that reaches a handler (`//admin`, `/%61dmin`) is covered by the handler's section.

use crate::publish::same_segment;

/// The sections of an application as a tree; each knows the number of its plan.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    plan: usize,
    below: Vec<(String, Self)>,
}

impl Sections {
    /// Adds the section of these segments. Sections come in ascending depth, so none below it may have been added
    /// before.
    pub(crate) fn insert<'s>(&mut self, segments: impl Iterator<Item = &'s str>, plan: usize) {
        let mut place = self;
        for segment in segments {
            let found = place.below.iter().position(|(name, _)| same_segment(name, segment));
            let index = found.unwrap_or_else(|| {
                place.below.push((segment.to_owned(), Self { plan: place.plan, below: Vec::new() }));
                place.below.len() - 1
            });
            place = &mut place.below[index].1;
        }
        place.plan = plan;
    }

    /// The number of the plan for a path.
    pub(crate) fn find<'s>(&self, segments: impl Iterator<Item = &'s str>) -> usize {
        let mut place = self;
        for segment in segments {
            match place.below.iter().find(|(name, _)| same_segment(name, segment)) {
                Some((_, below)) => place = below,
                None => break,
            }
        }
        place.plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(path: &str) -> impl Iterator<Item = &str> {
        path.split('/').filter(|segment| !segment.is_empty())
    }

    fn sections() -> Sections {
        let mut sections = Sections::default();
        for (plan, path) in ["/", "/admin", "/a/b", "/admin/log_files", "/a/b/c/d"].into_iter().enumerate() {
            sections.insert(segments(path), plan);
        }
        sections
    }

    #[test]
    fn the_longest_section_covers_a_path() {
        let table = [
            ("/", 0),
            ("/other", 0),
            ("/admin", 1),
            ("/admin/", 1),
            ("//admin", 1),
            ("/admin/users/7", 1),
            ("/administrator", 0),
            ("/Admin", 0),
            ("/admin/log_files", 3),
            ("/admin/log-files", 3),
            ("/admin/log.files/x", 3),
            ("/a", 0),
            ("/a/b", 2),
            ("/a/b/c", 2),
            ("/a/b/c/d/e", 4),
        ];
        for (path, plan) in table {
            assert_eq!(sections().find(segments(path)), plan, "{path}");
        }
    }
}

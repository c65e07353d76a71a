//! Each room by itself, on one thread, without sockets: `cargo bench -p micro-benches`.
//!
//! The groups are named after the rooms. `docs/performance.md` says how to use the figures.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use kirsch::header;
use kirsch::http::{HeadLimits, Persistence, RequestHead, ResponseFraming, write_response_head};
use kirsch::{HeaderValue, StatusCode};
use micro_benches::{BROWSER, Line, PLAIN, cookie_of, counter, get, plain_app, site};

fn main() {
    divan::main();
}

/// A request through all rooms.
#[divan::bench_group]
mod whole {
    use super::*;

    #[divan::bench]
    fn plain_page(bencher: Bencher<'_, '_>) {
        answered(bencher, Line::to(plain_app()), PLAIN);
    }

    #[divan::bench]
    fn browser_page(bencher: Bencher<'_, '_>) {
        answered(bencher, Line::to(site()), BROWSER);
    }

    #[divan::bench]
    fn not_found(bencher: Bencher<'_, '_>) {
        answered(bencher, Line::to(plain_app()), &get("/nothing", ""));
    }
}

#[divan::bench_group]
mod http {
    use super::*;

    #[divan::bench(args = ["plain", "browser"])]
    fn read_head(bencher: Bencher<'_, '_>, kind: &str) {
        let (input, limits) = (if kind == "plain" { PLAIN } else { BROWSER }, HeadLimits::default());
        let mut head = RequestHead::new();
        bencher.bench_local(move || head.read(black_box(input), &mut 0, &limits).is_ok());
    }

    #[divan::bench]
    fn write_head(bencher: Bencher<'_, '_>) {
        let fields = [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))];
        let mut out = Vec::new();
        bencher.bench_local(move || {
            out.clear();
            let fields = fields.iter().map(|(name, value)| (name, value));
            let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
            let framing = ResponseFraming::Length(13);
            write_response_head(&mut out, StatusCode::OK, date, black_box(fields), b"", framing, Persistence::Implied);
            out.len()
        });
    }
}

/// Whole requests, for pages at different depths.
#[divan::bench_group]
mod publish {
    use super::*;

    #[divan::bench(args = [1, 3, 6])]
    fn depth(bencher: Bencher<'_, '_>, depth: usize) {
        let path = if depth == 1 { "/about".to_owned() } else { "/below".repeat(depth - 1) + "/page" };
        answered(bencher, Line::to(site()), &get(&path, ""));
    }
}

/// Whole requests at the same depth, with different numbers of arguments.
#[divan::bench_group]
mod exchange {
    use super::*;

    #[divan::bench(args = ["/none", "/two/1/2", "/five/1/2?c=&e=0.5"])]
    fn arguments(bencher: Bencher<'_, '_>, path: &str) {
        answered(bencher, Line::to(site()), &get(path, ""));
    }
}

#[divan::bench_group]
mod sessions {
    use super::*;

    #[divan::bench]
    fn counter_page(bencher: Bencher<'_, '_>) {
        in_a_session(bencher, "/");
    }

    #[divan::bench]
    fn snapshot_page(bencher: Bencher<'_, '_>) {
        in_a_session(bencher, "/view");
    }

    /// One item is one release and one acquire, with the load of the record that belongs to it.
    #[divan::bench]
    fn release_and_acquire(bencher: Bencher<'_, '_>) {
        in_a_session(bencher.counter(ItemsCount::new(1000_u32)), "/locks?count=1000");
    }

    fn in_a_session(bencher: Bencher<'_, '_>, path: &str) {
        let mut line = Line::to(counter());
        let cookie = cookie_of(line.answer(&get("/", "")));
        answered(bencher, line, &get(path, &cookie));
    }
}

fn answered(bencher: Bencher<'_, '_>, mut line: Line, request: &[u8]) {
    bencher.bench_local(move || line.answer(black_box(request)).len());
}

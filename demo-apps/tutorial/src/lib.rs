//! The common part of the ten programs of the tutorial: their address, and the line that announces it. The lessons are
//! in `bin/`, each a file of its own, in the order of `docs/guide/tutorial.md`.

use kirsch::prelude::*;
use std::io::Write;

/// Serves `app` at `http://127.0.0.1:8080/` until Ctrl+C: `app.serve("127.0.0.1:8080")` with a line that says so.
/// Another port goes behind the name of the program: `cargo run -p tutorial --bin t01-hello 8081`.
///
/// # Errors
/// The errors of [`App::serve`], and a port that is not a number.
pub fn serve(app: App) -> kirsch::Result {
    demo_apps::log_to_standard_error();
    let port: u16 = match std::env::args().nth(1) {
        None => 8080,
        Some(text) => text.parse().map_err(|_| Error::unexpected(format!("{text:?} is not a port: 0 to 65535")))?,
    };
    let announce = |address| {
        let mut out = std::io::stdout().lock();
        // If the reader has closed our standard output, the program goes on.
        let _ = writeln!(out, "Serving on http://{address}").and_then(|()| out.flush());
        Ok(())
    };
    app.on_start(announce).serve(("127.0.0.1", port))
}

//! Compile errors, held against the files beside the programs that cause them.
//!
//! The compiler gets the library that cargo has built for this test: nothing is built twice. What depends on the
//! machine or on the features of that build is left out of the comparison.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

const CASES: &str = "tests/compile_fail";

/// Compiles each program of [`CASES`], which must fail with just the errors in the `.stderr` file of its name.
/// With `GOLDEN=overwrite` in the environment the files are written instead.
pub(crate) fn check() {
    let compiler = Compiler::new();
    let mut cases: Vec<_> =
        fs::read_dir(CASES).expect("the folder of the cases").map(|entry| entry.expect("an entry").path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    cases.sort();
    assert!(!cases.is_empty());
    let overwrite = env::var("GOLDEN").is_ok_and(|wish| wish == "overwrite");
    let wrong: Vec<_> = cases.iter().filter_map(|case| compiler.difference(case, overwrite)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

struct Compiler {
    library: PathBuf,
    scratch: tempfile::TempDir,
}

impl Compiler {
    /// With the newest build of kirsch that this compiler can use: others of the folder have other features, or are
    /// another compiler's.
    fn new() -> Self {
        let program = env::current_exe().expect("the test knows its own program");
        let folder = program.parent().expect("a program is in a folder");
        let entries = fs::read_dir(folder).expect("cargo's folder").map(|entry| entry.expect("an entry"));
        let mut builds: Vec<(SystemTime, PathBuf)> = entries
            .filter(|entry| {
                entry.file_name().to_str().is_some_and(|name| name.starts_with("libkirsch-") && name.ends_with(".rlib"))
            })
            .map(|entry| (entry.metadata().and_then(|file| file.modified()).expect("its date"), entry.path()))
            .collect();
        builds.sort();
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let sample = scratch.path().join("sample.rs");
        fs::write(&sample, "use kirsch::handlers as _; fn main() {}").expect("a small file");
        let mut compilers = builds.into_iter().rev().map(|(_, library)| library);
        let library = compilers
            .find(|library| compile(library, scratch.path(), &sample).status.success())
            .expect("cargo has built kirsch for this test");
        Self { library, scratch }
    }

    /// What is wrong with a case; `None`: nothing.
    fn difference(&self, case: &Path, overwrite: bool) -> Option<String> {
        let output = compile(&self.library, self.scratch.path(), case);
        if output.status.success() {
            return Some(format!("{} compiles", case.display()));
        }
        let said = stable(&String::from_utf8_lossy(&output.stderr));
        let golden = case.with_extension("stderr");
        if overwrite {
            fs::write(&golden, said).expect("a file in the folder of the cases");
            return None;
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        (said != expected).then(|| format!("{}: expected\n{expected}\nbut the compiler says\n{said}", case.display()))
    }
}

fn compile(library: &Path, scratch: &Path, program: &Path) -> Output {
    let dependencies = library.parent().expect("a library is in a folder");
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition", "2024", "--crate-name", "case", "--emit", "metadata", "--out-dir"]).arg(scratch);
    rustc.arg("-L").arg(format!("dependency={}", dependencies.display()));
    rustc.arg("--extern").arg(format!("kirsch={}", library.display()));
    rustc.arg(program).output().expect("the compiler of this test")
}

/// Without the last lines, which only count, and without the lists of implementations, which features make longer.
fn stable(said: &str) -> String {
    const COUNTS: [&str; 3] = ["error: aborting due to", "For more information about", "Some errors have detailed"];
    let blocks = said.trim_end().split("\n\n").filter(|block| !COUNTS.iter().any(|count| block.starts_with(count)));
    let text = blocks.collect::<Vec<_>>().join("\n\n");
    // A list is behind this line, and its rows are indented further than all that follows.
    let mut is_in_list = false;
    let lines = text.lines().filter(|line| {
        let is_row = std::mem::replace(&mut is_in_list, false) && line.starts_with("          ");
        is_in_list = is_row || line.contains("= help: the following other types implement trait");
        !is_row
    });
    // A place in the library moves with each change there.
    let lines = lines.map(|line| match line.split_once("--> framework/src/").and_then(|(_, it)| it.split_once(':')) {
        Some((file, _)) => format!("  --> $WORKSPACE/framework/src/{file}"),
        None => line.to_owned(),
    });
    lines.map(|line| line + "\n").collect()
}

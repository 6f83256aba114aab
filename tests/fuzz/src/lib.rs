//! What the fuzz targets do. Every target is a module with two functions: `seeds` makes inputs with the
//! writers of the project, and `run` reads one input as the program would and says whether it was
//! accepted. A target that panics, hangs or takes too much memory has found something; so has one whose
//! accepted input breaks what readers promise.
//!
//! `targets/NAME.rs` makes a program of each; `run.sh` builds and runs them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub mod annotations;
pub mod answers;
pub mod dataset;
pub mod images;
pub mod program;
pub mod statistics;
pub mod weights;

/// Variable with the folder into which a target writes its seeds instead of fuzzing.
const SEEDS: &str = "DP_SIMS_FUZZ_SEEDS";

/// Makes the program of a target.
#[macro_export]
macro_rules! target {
    ($target:path) => {
        use $target as target;

        libfuzzer_sys::fuzz_target!(
            init: $crate::begin(target::seeds, target::run),
            |data: &[u8]| {
                target::run(data);
            }
        );
    };
}

/// What a target begins with.
pub struct Seeds {
    /// Inputs that readers accept.
    pub accepted: Vec<Vec<u8>>,
    /// Inputs that readers refuse, for places that nothing accepted leads to.
    pub refused: Vec<Vec<u8>>,
}

impl From<Vec<Vec<u8>>> for Seeds {
    fn from(accepted: Vec<Vec<u8>>) -> Self {
        Self {
            accepted,
            refused: Vec::new(),
        }
    }
}

/// Prepares the process; writes the seeds and ends it where that is asked for.
pub fn begin<S: Into<Seeds>>(seeds: fn() -> S, run: fn(&[u8]) -> bool) {
    // Handing tiny inputs to another thread and back would take most of the time.
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .use_current_thread()
        .build_global()
        .unwrap();
    let Some(folder) = std::env::var_os(SEEDS).map(PathBuf::from) else {
        return;
    };
    std::fs::create_dir_all(&folder).unwrap();
    let Seeds { accepted, refused } = seeds().into();
    let accepted = accepted.into_iter().map(|seed| (seed, true));
    let refused = refused.into_iter().map(|seed| (seed, false));
    for (number, (seed, is_accepted)) in accepted.chain(refused).enumerate() {
        assert_eq!(run(&seed), is_accepted, "seed {number} is accepted");
        std::fs::write(folder.join(format!("seed-{number:02}")), seed).unwrap();
    }
    let _ = std::fs::remove_dir_all(scratch());
    std::process::exit(0);
}

/// A folder of this process alone, in memory where the system has such a place.
pub fn scratch() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let parent = std::env::var_os("DP_SIMS_FUZZ_SCRATCH");
        let parent = parent.map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = parent.join(format!("dp-sims-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    })
}

/// Writes the input over that of the run before.
pub fn file(name: &str, data: &[u8]) -> PathBuf {
    let path = scratch().join(name);
    std::fs::write(&path, data).unwrap();
    path
}

//! End-to-end tests of the program, through its command line.

mod program {
    pub mod ablations;
    pub mod bench;
    pub mod check;
    pub mod dataset;
    pub mod doctor;
    pub mod evaluate;
    pub mod evaluator_weights;
    pub mod experiments;
    pub mod generate;
    #[cfg(feature = "wgpu")]
    pub mod gpu;
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub mod https;
    pub mod loading;
    pub mod maps;
    pub mod messages;
    pub mod model;
    pub mod notes;
    pub mod plan;
    #[cfg(feature = "distributed")]
    pub mod processes;
    #[cfg(feature = "distributed")]
    pub mod ranks;
    pub mod refusals;
    pub mod resume;
    pub mod rooms;
    pub mod run;
    pub mod run_folder;
    #[cfg(feature = "serve")]
    pub mod serve;
    pub mod train;
    pub mod weights;
}

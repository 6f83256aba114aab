//! End-to-end tests of the program, through its command line.

mod program {
    pub mod generate;
    pub mod resume;
    pub mod run;
    pub mod train;
}

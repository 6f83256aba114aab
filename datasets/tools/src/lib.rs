//! What looks at datasets: a survey of all faults of a split, a first description of a folder of one's
//! own, and pictures of samples.

pub mod check;
mod colours;
pub mod init;
mod scan;
pub mod svg;
pub mod view;

//! The reporter, but for its process: tests of other rooms drive its doors from here.

pub mod doors;

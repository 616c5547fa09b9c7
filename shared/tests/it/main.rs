//! What `shared` promises to the files of this repository.

mod fixtures;

//! From an author's text to what runs: parse, check, detect, emit. Pure: no I/O.
